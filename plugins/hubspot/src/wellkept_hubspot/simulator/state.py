"""What a HubSpot account holds: objects, associations, definitions of properties, owners."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from wellkept import Clock
from wellkept.testing import Log
from wellkept.testing.faults import Effected
from wellkept_hubspot.simulator.errors import HubSpotError, invalid, not_found

TYPES = {
    "contacts": "0-1",
    "companies": "0-2",
    "deals": "0-3",
    "tasks": "0-27",
    "feedback_submissions": "0-19",
}
"""Standard object types and their ids."""

LINK_TYPES: Mapping[tuple[str, str], tuple[int, int | None]] = {
    ("contacts", "companies"): (279, 1),
    ("companies", "contacts"): (280, 2),
    ("deals", "companies"): (341, 5),
    ("companies", "deals"): (342, 6),
    ("tasks", "companies"): (192, None),
    ("companies", "tasks"): (191, None),
    ("tasks", "contacts"): (204, None),
    ("feedback_submissions", "contacts"): (98, None),
}
"""Association types between two object types: the plain one, and the primary one."""


@dataclass
class Thing:
    """An object of any type. Instants are epoch ms.

    Attributes:
        versions: For the search index, which lags behind: when each state was reached.
    """

    id: str
    type: str
    properties: dict[str, str]
    created: int
    updated: int
    archived_at: int | None = None
    merged_into: str | None = None
    versions: list[tuple[int, dict[str, str], bool]] = field(default_factory=list)

    @property
    def here(self) -> bool:
        """Whether it is neither archived nor merged away."""
        return self.archived_at is None and self.merged_into is None

    def indexed(self, at: int) -> dict[str, str] | None:
        """Return the properties as the search index has them; None where it does not have the object."""
        found: dict[str, str] | None = None
        for reached, properties, here in self.versions:
            if reached <= at:
                found = properties if here else None
        return found


class State:
    """Everything in the account.

    Args:
        clock: Its time.
        log: Where changes are noted.

    Attributes:
        plain_types: Object types whose properties cannot be made unique.
        notices: What webhooks would tell, oldest first.
    """

    def __init__(self, clock: Clock, log: Log) -> None:
        self.clock = clock
        self.log = log
        self.things: dict[str, dict[str, Thing]] = {name: {} for name in TYPES}
        self.type_ids: dict[str, str] = dict(TYPES)
        self.links: dict[tuple[str, str], dict[str, dict[str, set[int]]]] = defaultdict(dict)
        self.definitions: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.groups: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.owners: dict[str, dict[str, Any]] = {}
        self.schemas: list[dict[str, Any]] = []
        self.plain_types: set[str] = set()
        self.notices: list[dict[str, Any]] = []
        self._next: dict[str, int] = {}
        self._events = 0

    # --- types ---

    def type_of(self, name: str) -> str:
        """Return the object type that a path means. Raises `HubSpotError` where there is none."""
        for type_, id_ in self.type_ids.items():
            if name in {type_, id_, type_.removesuffix("s")}:
                return type_
        if name == "company":
            return "companies"
        raise HubSpotError(400, f"Unable to infer object type from: {name}")

    def changed_name(self, type_: str) -> str:
        """Return the name of the property with the time of the last change."""
        return "lastmodifieddate" if type_ == "contacts" else "hs_lastmodifieddate"

    def created_name(self, type_: str) -> str:
        """Return the name of the property with the time of creation."""
        return "createdate" if type_ in {"contacts", "companies", "deals"} else "hs_createdate"

    def add_type(self, name: str, id_: str) -> None:
        """Add a custom object type."""
        self.things[name] = {}
        self.type_ids[name] = id_

    # --- definitions ---

    def define(self, type_: str, name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
        """Define a property; one that is not custom has ``hubspotDefined``."""
        now = iso(self.clock.now())
        found = {
            "name": name,
            "label": more.pop("label", name),
            "type": kind,
            "fieldType": more.pop("fieldType", "text"),
            "groupName": more.pop("groupName", f"{type_}information"),
            "description": more.pop("description", ""),
            "options": more.pop("options", []),
            "createdAt": now,
            "updatedAt": now,
            "archived": False,
            "hidden": False,
            "hasUniqueValue": False,
            "modificationMetadata": {"archivable": True, "readOnlyDefinition": False, "readOnlyValue": False},
            **more,
        }
        self.definitions[type_][name] = found
        return found

    # --- objects ---

    def create(self, type_: str, properties: Mapping[str, str], *, at: int | None = None) -> Thing:
        """Make an object. Values are not checked: `write` does that."""
        base = 1 + list(self.things).index(type_)
        number = self._next[type_] = self._next.get(type_, base * 10_000_000_000) + 1
        now = self.clock.now() if at is None else at
        thing = Thing(str(number), type_, dict(properties), now, now)
        self.things[type_][thing.id] = thing
        self._stamp(thing, now)
        self._note(thing, "creation", thing.properties)
        return thing

    def touch(self, thing: Thing, properties: Mapping[str, str], *, at: int | None = None) -> None:
        """Change an object; an empty text clears a property."""
        for name, value in properties.items():
            if value == "":
                thing.properties.pop(name, None)
            else:
                thing.properties[name] = value
        self._stamp(thing, self.clock.now() if at is None else at)
        self._note(thing, "propertyChange", properties)

    def archive(self, thing: Thing) -> None:
        """Put an object into the bin."""
        thing.archived_at = self.clock.now()
        self._stamp(thing, thing.archived_at)
        self._note(thing, "deletion", {})

    def restore(self, thing: Thing) -> None:
        """Take it out again; its time of change stays as it was."""
        thing.archived_at = None
        thing.versions.append((self.clock.now(), dict(thing.properties), True))
        self._note(thing, "restore", {})

    def merge(self, kept: Thing, other: Thing) -> None:
        """Merge an object into another one, which keeps its id and takes over the associations."""
        other.merged_into = kept.id
        other.versions.append((self.clock.now(), dict(other.properties), False))
        before = kept.properties.get("hs_merged_object_ids", "")
        for (start, end), table in list(self.links.items()):
            for near, ends in list(table.items()):
                if start == kept.type and near == other.id:
                    for far, kinds in ends.items():
                        table.setdefault(kept.id, {}).setdefault(far, set()).update(kinds)
                    del table[near]
                elif end == kept.type and other.id in ends:
                    ends.setdefault(kept.id, set()).update(ends.pop(other.id))
                    if start in self.things and near in self.things[start]:
                        self._stamp(self.things[start][near], self.clock.now())
        ids = [
            *filter(None, before.split(";")),
            *filter(None, other.properties.get("hs_merged_object_ids", "").split(";")),
            other.id,
        ]
        kept.properties["hs_merged_object_ids"] = ";".join(dict.fromkeys(ids))
        self._stamp(kept, self.clock.now())
        self._note(kept, "merge", {}, primaryObjectId=int(kept.id), mergedObjectIds=[int(other.id)], newObjectId=int(kept.id))

    def link(self, one: Thing, other: Thing, *, primary: bool = False, kinds: set[int] | None = None) -> None:
        """Associate two objects, in both directions."""
        for near, far in ((one, other), (other, one)):
            plain, first = LINK_TYPES.get((near.type, far.type), (1_000, None))
            found = self.links[near.type, far.type].setdefault(near.id, {}).setdefault(far.id, set())
            found |= {plain, *((first,) if primary and first is not None else ()), *((kinds or set()) if near is one else ())}

    def find(self, type_: str, id_: str, *, archived: bool = False) -> Thing:
        """Return an object; one that was merged away leads to the one that stands."""
        thing = self.things[type_].get(id_)
        while thing is not None and thing.merged_into is not None:
            thing = self.things[type_][thing.merged_into]
        if thing is None or (thing.archived_at is not None) != archived:
            raise not_found(type_, id_)
        return thing

    def by_property(self, type_: str, name: str, value: str) -> Thing:
        """Return the object that has a unique property's value."""
        definition = self.definitions[type_].get(name)
        if definition is None or not definition["hasUniqueValue"]:
            raise HubSpotError(400, f"idProperty {name} is not a unique property of {type_}")
        for thing in self.things[type_].values():
            if thing.here and thing.properties.get(name) == value:
                return thing
        raise not_found(type_, value)

    def standing(self, type_: str) -> Iterator[Thing]:
        """Yield what is neither archived nor merged away, by id."""
        yield from sorted((thing for thing in self.things[type_].values() if thing.here), key=lambda thing: int(thing.id))

    def check(self, type_: str, properties: Mapping[str, str], *, own: str | None = None) -> dict[str, str]:
        """Check values against the definitions; return them as HubSpot keeps them. Raises `HubSpotError`."""
        return {name: self._value(type_, name, value, own) for name, value in properties.items()}

    def _value(self, type_: str, name: str, value: str, own: str | None) -> str:
        found = self.definitions[type_].get(name)
        if found is None:
            raise invalid("PROPERTY_DOESNT_EXIST", name, f'Property "{name}" does not exist')
        if found["modificationMetadata"]["readOnlyValue"]:
            raise invalid("READ_ONLY_VALUE", name, f'"{name}" is a read only property')
        if value == "":
            return value
        _fits(found, value)
        if found["hasUniqueValue"]:
            for thing in self.things[type_].values():
                if thing.here and thing.id != own and thing.properties.get(name) == value:
                    raise HubSpotError(409, f"{name} {value} already exists. Existing ID: {thing.id}")
        return iso(int(value)) if found["type"] == "datetime" and value.isdecimal() else value

    # --- inside ---

    def _stamp(self, thing: Thing, at: int) -> None:
        thing.updated = at
        thing.properties["hs_object_id"] = thing.id
        thing.properties[self.changed_name(thing.type)] = iso(at)
        thing.properties[self.created_name(thing.type)] = iso(thing.created)
        thing.versions.append((at, dict(thing.properties), thing.here))

    def _note(self, thing: Thing, what: str, values: Mapping[str, str], **more: Any) -> None:
        self.log.effects.append(Effected(at=self.clock.now(), kind=f"{thing.type}.{what}", id=thing.id, values=dict(values)))
        word = {"companies": "company", "contacts": "contact", "deals": "deal"}.get(thing.type, "object")
        names = list(values) if what == "propertyChange" else [None]
        for name in names:
            self._events += 1
            self.notices.append(
                {
                    "eventId": self._events,
                    "subscriptionId": 1,
                    "appId": 7,
                    "occurredAt": self.clock.now(),
                    "subscriptionType": f"{word}.{what}",
                    "attemptNumber": 0,
                    "objectId": int(thing.id),
                    **({"objectTypeId": self.type_ids[thing.type]} if word == "object" else {}),
                    **({"propertyName": name, "propertyValue": values[name]} if name else {}),
                    "changeSource": "CRM_UI",
                    **more,
                }
            )


def _fits(found: Mapping[str, Any], value: str) -> None:
    """Raise `HubSpotError` for a value that a property's type does not take."""
    name = found["name"]
    if found["type"] == "number":
        try:
            Decimal(value)
        except InvalidOperation:
            raise invalid("INVALID_INTEGER", name, f"{value} was not a valid number.") from None
    if found["type"] in {"enumeration", "bool"} and found["options"]:
        parts = value.split(";") if found["fieldType"] == "checkbox" else [value]
        if not {option["value"] for option in found["options"]}.issuperset(parts):
            raise invalid("INVALID_OPTION", name, f"{value} was not one of the allowed options")
    if found["type"] in {"date", "datetime"} and instant(value) is None:
        raise invalid("INVALID_DATE", name, f"{value} was not a valid date.")


def iso(at: int) -> str:
    """Return epoch ms as HubSpot writes instants."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=100_000)
def instant(text: str) -> int | None:
    """Return epoch ms of an instant, a day, or epoch ms as text."""
    if text.lstrip("-").isdecimal():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


@lru_cache(maxsize=100_000)
def jumbled(text: str) -> str:
    """Return a key that orders texts without any sense, yet always in the same way."""
    return hashlib.sha256(text.encode()).hexdigest()
