"""Objects and their parts as answers show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wellkept_hubspot.simulator.state import LINK_TYPES, State, Thing, iso

USUAL = {
    "contacts": ("firstname", "lastname", "email"),
    "companies": ("name", "domain"),
    "deals": ("dealname", "amount", "dealstage", "pipeline", "closedate"),
    "tasks": ("hs_task_subject",),
}
"""What is shown of an object when nothing is asked for."""


def shown(
    state: State,
    thing: Thing,
    asked: Sequence[str] = (),
    *,
    properties: Mapping[str, str] | None = None,
    links: Iterable[str] = (),
) -> dict[str, Any]:
    """Return an object: the properties that were asked for and exist, null where they are empty."""
    values = thing.properties if properties is None else properties
    names = [name for name in (asked or USUAL.get(thing.type, ())) if name in state.definitions[thing.type]]
    always = (state.changed_name(thing.type), state.created_name(thing.type), "hs_object_id")
    found: dict[str, Any] = {
        "id": thing.id,
        "properties": {name: values.get(name) for name in dict.fromkeys([*names, *always])},
        "createdAt": iso(thing.created),
        "updatedAt": values.get(state.changed_name(thing.type)) or iso(thing.updated),
        "archived": thing.archived_at is not None,
        "url": f"https://app.hubspot.com/contacts/1/record/{state.type_ids[thing.type]}/{thing.id}",
    }
    if thing.archived_at is not None:
        found["archivedAt"] = iso(thing.archived_at)
    tables = {name: state.links[thing.type, state.type_of(name)].get(thing.id, {}) for name in links}
    if any(tables.values()):
        found["associations"] = {
            name: {"results": [{"id": far, "type": f"{thing.type}_to_{name}"} for far in sorted(ends)]}
            for name, ends in tables.items()
            if ends
        }
    return found


def link_kinds(near: str, far: str, kinds: Iterable[int]) -> list[dict[str, Any]]:
    """Return association types as answers show them."""
    primary = LINK_TYPES.get((near, far), (0, None))[1]
    return [
        {"category": "HUBSPOT_DEFINED", "typeId": kind, "label": "Primary" if kind == primary else None}
        for kind in sorted(kinds)
    ]


def batch(state: State, results: Sequence[Any], errors: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return the answer to a batch."""
    now = iso(state.clock.now())
    found: dict[str, Any] = {"status": "COMPLETE", "results": list(results), "startedAt": now, "completedAt": now}
    if errors:
        found |= {"numErrors": len(errors), "errors": list(errors)}
    return found


def missing(type_: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the complaint of a multi-status about objects that are not there."""
    if not ids:
        return []
    message = f"Could not get some {type_} objects, they may be deleted or not exist. Check that ids are valid."
    return [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": list(ids)}}]
