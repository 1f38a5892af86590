"""The endpoints of CRM objects, associations, properties, owners and schemas, in dated paths and in those of v3 and v4."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wellkept_hubspot.simulator import shapes
from wellkept_hubspot.simulator.errors import HubSpotError, invalid
from wellkept_hubspot.simulator.search import search
from wellkept_hubspot.simulator.state import LINK_TYPES, TYPES, State, Thing

Rule = Callable[[str], bool]
"""What an admin demands of a property's values."""

LIST_LIMIT, BATCH_LIMIT = 100, 100


@dataclass(frozen=True)
class Call:
    """One request to an endpoint.

    Attributes:
        state: The account.
        version: ``2026-03``, ``2026-09``, ``v3`` or ``v4``.
        ids: What the path names.
        query: The query, each name with all of its values.
        body: The JSON body.
        rules: Validation rules by object type and property; they hold from 2026-09 on.
        lag: Milliseconds by which the search index is behind.
        most: Results after which a search ends.
    """

    state: State
    version: str
    ids: tuple[str, ...]
    query: Mapping[str, list[str]]
    body: Any
    rules: Mapping[tuple[str, str], Rule]
    lag: int
    most: int

    @property
    def type(self) -> str:
        """The object type in the path."""
        return self.state.type_of(self.ids[0])

    def one(self, name: str, default: str = "") -> str:
        """Return a single value of the query."""
        return self.query.get(name, [default])[-1]

    def several(self, name: str) -> list[str]:
        """Return the values of a repeated name; the older SDK joins them with commas."""
        return [part for value in self.query.get(name, []) for part in value.split(",")]

    def checked(self, properties: Mapping[str, str], *, own: str | None = None) -> dict[str, str]:
        """Return values as they are kept. Raises `HubSpotError` for one that may not be."""
        for name, value in properties.items():
            rule = self.rules.get((self.type, name))
            if rule is not None and self.version >= "2026-09" and self.version[0] != "v" and not rule(value):
                raise invalid("PROPERTY_VALIDATION_RULE", name, f"{value} breaks the validation rule of {name}")
        return self.state.check(self.type, properties, own=own)


Handler = Callable[[Call], tuple[int, Any]]


@dataclass(frozen=True)
class Endpoint:
    """A method and path, what it does, and the scope that it needs."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    scope: str
    search: bool = False


ENDPOINTS: list[Endpoint] = []
"""In the order in which they are tried."""

SCOPES = {"tasks": "contacts"}
"""Whose scope an object type goes by, where it has none of its own."""


def endpoint(method: str, *templates: str, scope: str, search: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler. ``{v}`` stands for a dated version, ``{}`` for a name in the path; ``{type}`` in the scope."""

    def register(handler: Handler) -> Handler:
        for template in templates:
            pattern = re.escape(template).replace(r"\{v\}", "(?P<v>2026-03|2026-09)").replace(r"\{\}", "([^/]+)")
            ENDPOINTS.append(Endpoint(method, re.compile(pattern), handler, scope, search))
        return handler

    return register


def scope_of(found: Endpoint, ids: tuple[str, ...], state: State) -> str:
    """Return the scope that a request needs."""
    if "{type}" not in found.scope:
        return found.scope
    type_ = state.type_of(ids[0])
    known = (
        SCOPES.get(type_, type_) if type_ in {"contacts", "companies", "deals", "tasks", "feedback_submissions"} else "custom"
    )
    return found.scope.replace("{type}", known)


def _limit(call: Call, most: int) -> int:
    limit = int(call.one("limit", "10"))
    if not 0 < limit <= most:
        raise HubSpotError(400, f"limit must be between 1 and {most}")
    return limit


def _paged(results: list[Any], after: str | None) -> dict[str, Any]:
    return {"results": results, **({"paging": {"next": {"after": after, "link": "?after=" + after}}} if after else {})}


# --- objects -----------------------------------------------------------------------------------------------------------

OBJECTS = ("/crm/objects/{v}/{}", "/crm/v3/objects/{}")


@endpoint("POST", *(f"{path}/search" for path in OBJECTS), scope="crm.objects.{type}.read", search=True)
def search_objects(call: Call) -> tuple[int, Any]:
    """Answer a search."""
    page, total, after = search(call.state, call.type, call.body, lag=call.lag, most=call.most)
    asked = call.body.get("properties") or []
    rows = [shapes.shown(call.state, thing, asked, properties=properties) for thing, properties in page]
    return 200, {"total": total, **_paged(rows, after)}


@endpoint("POST", *(f"{path}/batch/read" for path in OBJECTS), scope="crm.objects.{type}.read")
def read_batch(call: Call) -> tuple[int, Any]:
    """Answer objects by id; those that are lost make it a multi-status."""
    found: dict[str, Thing] = {}
    lost: list[str] = []
    name = call.body.get("idProperty")
    for wanted in _inputs(call):
        try:
            id_ = wanted["id"]
            thing = call.state.by_property(call.type, name, id_) if name else call.state.find(call.type, id_)
        except HubSpotError as error:
            if error.status != 404:
                raise
            lost.append(wanted["id"])
        else:
            found[thing.id] = thing
    rows = [shapes.shown(call.state, thing, call.body.get("properties") or []) for thing in found.values()]
    return (207 if lost else 200), shapes.batch(call.state, rows, shapes.missing(call.type, lost))


@endpoint("POST", *(f"{path}/batch/update" for path in OBJECTS), scope="crm.objects.{type}.write")
def update_batch(call: Call) -> tuple[int, Any]:
    """Change several objects; one bad value spoils the batch."""
    changes: list[tuple[Thing, dict[str, str]]] = []
    lost: list[str] = []
    for wanted in _inputs(call):
        try:
            thing = call.state.find(call.type, wanted["id"])
        except HubSpotError:
            lost.append(wanted["id"])
        else:
            changes.append((thing, call.checked(wanted["properties"], own=thing.id)))
    for thing, values in changes:
        call.state.touch(thing, values)
    rows = [shapes.shown(call.state, thing, list(values)) for thing, values in changes]
    return (207 if lost else 200), shapes.batch(call.state, rows, shapes.missing(call.type, lost))


@endpoint("POST", *(f"{path}/batch/create" for path in OBJECTS), scope="crm.objects.{type}.write")
def create_batch(call: Call) -> tuple[int, Any]:
    """Make several objects."""
    values = [call.checked(wanted["properties"]) for wanted in _inputs(call)]
    rows = [shapes.shown(call.state, call.state.create(call.type, part), list(part)) for part in values]
    return 201, shapes.batch(call.state, rows)


@endpoint("POST", *(f"{path}/merge" for path in OBJECTS), scope="crm.objects.{type}.write")
def merge_objects(call: Call) -> tuple[int, Any]:
    """Merge one object into another."""
    kept = call.state.find(call.type, call.body["primaryObjectId"])
    call.state.merge(kept, call.state.find(call.type, call.body["objectIdToMerge"]))
    return 200, shapes.shown(call.state, kept)


@endpoint("GET", *OBJECTS, scope="crm.objects.{type}.read")
def list_objects(call: Call) -> tuple[int, Any]:
    """Answer a page of a list, by id."""
    limit, after = _limit(call, LIST_LIMIT), int(call.one("after", "0") or 0)
    archived = call.one("archived", "false").lower() == "true"
    everything = sorted(call.state.things[call.type].values(), key=lambda thing: int(thing.id))
    wanted = [
        thing
        for thing in everything
        if thing.merged_into is None and (thing.archived_at is not None) == archived and int(thing.id) > after
    ]
    page = wanted[:limit]
    asked, links = call.several("properties"), call.several("associations")
    rows = [shapes.shown(call.state, thing, asked, links=links) for thing in page]
    return 200, _paged(rows, page[-1].id if len(wanted) > limit else None)


@endpoint("POST", *OBJECTS, scope="crm.objects.{type}.write")
def create_object(call: Call) -> tuple[int, Any]:
    """Make one object, with its associations."""
    values = call.checked(call.body["properties"])
    if call.type == "tasks" and "hs_timestamp" not in values:
        raise HubSpotError(400, "hs_timestamp is required")
    ends = []
    for link in call.body.get("associations") or []:
        far = next((name for name in call.state.things if link["to"]["id"] in call.state.things[name]), None)
        if far is None:
            raise HubSpotError(400, f"association to {link['to']['id']} is not valid")
        ends.append((call.state.find(far, link["to"]["id"]), {kind["associationTypeId"] for kind in link["types"]}))
    thing = call.state.create(call.type, values)
    for end, kinds in ends:
        call.state.link(thing, end, kinds=kinds)
    return 201, shapes.shown(call.state, thing, list(values))


@endpoint("GET", *(f"{path}/{{}}" for path in OBJECTS), scope="crm.objects.{type}.read")
def get_object(call: Call) -> tuple[int, Any]:
    """Answer one object."""
    name, archived = call.one("idProperty"), call.one("archived", "false").lower() == "true"
    id_ = call.ids[1]
    thing = call.state.by_property(call.type, name, id_) if name else call.state.find(call.type, id_, archived=archived)
    return 200, shapes.shown(call.state, thing, call.several("properties"), links=call.several("associations"))


@endpoint("PATCH", *(f"{path}/{{}}" for path in OBJECTS), scope="crm.objects.{type}.write")
def update_object(call: Call) -> tuple[int, Any]:
    """Change one object."""
    thing = call.state.find(call.type, call.ids[1])
    values = call.checked(call.body["properties"], own=thing.id)
    call.state.touch(thing, values)
    return 200, shapes.shown(call.state, thing, list(values))


@endpoint("DELETE", *(f"{path}/{{}}" for path in OBJECTS), scope="crm.objects.{type}.write")
def archive_object(call: Call) -> tuple[int, Any]:
    """Put one object into the bin."""
    call.state.archive(call.state.find(call.type, call.ids[1]))
    return 204, None


def _inputs(call: Call) -> list[dict[str, Any]]:
    inputs: list[dict[str, Any]] = call.body["inputs"]
    if not inputs or len(inputs) > BATCH_LIMIT:
        raise HubSpotError(400, f"a batch has 1 to {BATCH_LIMIT} inputs")
    return inputs


# --- associations ------------------------------------------------------------------------------------------------------

LINKS = ("/crm/associations/{v}/{}/{}", "/crm/v4/associations/{}/{}")
LINK_PAGE = 500


@endpoint("POST", *(f"{path}/batch/read" for path in LINKS), scope="crm.objects.{type}.read")
def read_links(call: Call) -> tuple[int, Any]:
    """Answer the associations of several objects."""
    near, far = call.type, call.state.type_of(call.ids[1])
    if {near, far} <= TYPES.keys() and (near, far) not in LINK_TYPES:
        raise HubSpotError(400, f"there are no associations from {near} to {far}")
    table = call.state.links[near, far]
    rows, lost = [], []
    for wanted in call.body["inputs"]:
        ends = [id_ for id_ in sorted(table.get(wanted["id"], {}), key=int) if call.state.things[far][id_].here]
        if not ends:
            lost.append(wanted["id"])
            continue
        start = int(wanted.get("after") or 0)
        rows.append(
            {
                "from": {"id": wanted["id"]},
                "to": [
                    {"toObjectId": id_, "associationTypes": shapes.link_kinds(near, far, table[wanted["id"]][id_])}
                    for id_ in ends[start : start + LINK_PAGE]
                ],
                **({"paging": {"next": {"after": str(start + LINK_PAGE)}}} if len(ends) > start + LINK_PAGE else {}),
            }
        )
    return (207 if lost else 200), shapes.batch(call.state, rows, shapes.missing(near, lost))


@endpoint("POST", *(f"{path}/batch/create" for path in LINKS), scope="crm.objects.{type}.write")
def create_links(call: Call) -> tuple[int, Any]:
    """Associate pairs of objects."""
    near, far = call.type, call.state.type_of(call.ids[1])
    rows = []
    for wanted in call.body["inputs"]:
        one, other = call.state.find(near, wanted["from"]["id"]), call.state.find(far, wanted["to"]["id"])
        call.state.link(one, other, kinds={kind["associationTypeId"] for kind in wanted["types"]})
        rows.append(
            {
                "fromObjectTypeId": call.state.type_ids[near],
                "fromObjectId": one.id,
                "toObjectTypeId": call.state.type_ids[far],
                "toObjectId": other.id,
                "labels": [],
            }
        )
    return 201, shapes.batch(call.state, rows)


# --- properties --------------------------------------------------------------------------------------------------------

PROPERTIES = ("/crm/properties/{v}/{}", "/crm/v3/properties/{}")


@endpoint("GET", *PROPERTIES, scope="crm.objects.{type}.read")
def list_properties(call: Call) -> tuple[int, Any]:
    """Answer all definitions."""
    return 200, {"results": list(call.state.definitions[call.type].values())}


@endpoint("POST", *PROPERTIES, scope="crm.schemas.{type}.write")
def create_property(call: Call) -> tuple[int, Any]:
    """Define a property."""
    body = dict(call.body)
    name = body["name"]
    if name in call.state.definitions[call.type]:
        raise HubSpotError(409, f"A property named '{name}' already exists.")
    if body["groupName"] not in call.state.groups[call.type]:
        raise HubSpotError(400, f"property group {body['groupName']} does not exist")
    if body.get("hasUniqueValue") and call.type in call.state.plain_types:
        raise HubSpotError(400, f"{call.type} cannot have unique properties")
    kind = body.pop("type")
    return 201, call.state.define(call.type, body.pop("name"), kind, **body)


@endpoint("POST", *(f"{path}/groups" for path in PROPERTIES), scope="crm.schemas.{type}.write")
def create_group(call: Call) -> tuple[int, Any]:
    """Make a property group."""
    name = call.body["name"]
    if name in call.state.groups[call.type]:
        raise HubSpotError(409, f"property group {name} already exists")
    found = call.state.groups[call.type][name] = {
        "name": name,
        "label": call.body["label"],
        "archived": False,
        "displayOrder": 1,
    }
    return 201, found


@endpoint("GET", *(f"{path}/groups/{{}}" for path in PROPERTIES), scope="crm.objects.{type}.read")
def get_group(call: Call) -> tuple[int, Any]:
    """Answer one property group."""
    found = call.state.groups[call.type].get(call.ids[1])
    if found is None:
        raise HubSpotError(404, f"property group {call.ids[1]} does not exist")
    return 200, found


@endpoint("GET", *(f"{path}/{{}}" for path in PROPERTIES), scope="crm.objects.{type}.read")
def get_property(call: Call) -> tuple[int, Any]:
    """Answer one definition."""
    found = call.state.definitions[call.type].get(call.ids[1])
    if found is None:
        raise HubSpotError(404, f"property {call.ids[1]} does not exist")
    return 200, found


# --- owners and schemas ------------------------------------------------------------------------------------------------


@endpoint("GET", "/crm/owners/{v}", "/crm/v3/owners/", "/crm/v3/owners", scope="crm.objects.owners.read")
def list_owners(call: Call) -> tuple[int, Any]:
    """Answer a page of owners."""
    limit, after, email = _limit(call, 500), int(call.one("after", "0") or 0), call.one("email")
    archived = call.one("archived", "false").lower() == "true"
    wanted = [
        owner
        for owner in sorted(call.state.owners.values(), key=lambda owner: int(owner["id"]))
        if owner["archived"] == archived and int(owner["id"]) > after and (not email or owner.get("email") == email)
    ]
    return 200, _paged(wanted[:limit], wanted[limit - 1]["id"] if len(wanted) > limit else None)


@endpoint("GET", "/crm-object-schemas/{v}/schemas", "/crm-object-schemas/v3/schemas", scope="crm.schemas.custom.read")
def list_schemas(call: Call) -> tuple[int, Any]:
    """Answer the custom object types."""
    return 200, {"results": call.state.schemas}
