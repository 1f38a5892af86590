"""What is done to tickets: raise their priority, add tags, assign them, write internal notes.

Every change of a field carries the time at which the ticket was looked at (`safe_update`), so that what somebody else changes
meanwhile is not overwritten: Zendesk answers 409, and the next delivery looks again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from wellkept import (
    PRIORITIES,
    Delivery,
    OnceAction,
    Outcome,
    Payload,
    StateAction,
    StateDelivery,
    Target,
    TicketAssign,
    TicketNote,
    TicketPriority,
    TicketTag,
)
from wellkept.errors import RetryableError
from wellkept.http import StatusError, decode_rows, together
from wellkept_zendesk.api import PAGE, Api, chunks, complaint

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept.records import Json
    from wellkept_zendesk.config import ZendeskConfig

GONE = "the ticket is gone"
CLOSED = "the ticket is closed, and cannot be changed any more"
MARK = "wellkept"
"""The key in an update's metadata that names what it was, invisible to people."""


class Present(msgspec.Struct):
    """A ticket as it is before we touch it."""

    id: int
    status: str
    updated_at: str
    priority: str | None = None
    tags: list[str] | None = None
    assignee_id: int | None = None
    group_id: int | None = None


class Group(msgspec.Struct):
    """A group of agents."""

    id: int
    name: str
    deleted: bool = False


class Audit(msgspec.Struct):
    """An entry of a ticket's history; `metadata.custom` is what its author put there."""

    id: int
    metadata: dict[str, Any] | None = None


class _Tickets:
    """What the actions on tickets share."""

    def __init__(self, ctx: Context[ZendeskConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    async def _present(self, targets: Sequence[Target]) -> dict[str, Present]:
        found: dict[str, Present] = {}
        ids = dict.fromkeys(target.id for target in targets if target.type == "ticket" and target.id.isdigit())
        for part in chunks(list(ids)):
            shown = await self._api.show_many("tickets", part, Present)
            found |= {str(row.id): row for row in shown if row.status != "deleted"}
        return found

    async def _change(self, method: str, path: str, body: Mapping[str, Any]) -> Outcome:
        """Send one change, and say what came of it."""
        try:
            await self._api.client.request(method, path, json=body)
        except RetryableError as error:
            return Outcome.failed(error)
        except StatusError as error:
            return _refusal(error)
        return Outcome.done()

    async def _update(self, ticket: Present, changes: Mapping[str, Any]) -> Outcome:
        """Change a ticket, unless somebody else has changed it since it was looked at."""
        safe = {**changes, "updated_stamp": ticket.updated_at, "safe_update": True}
        return await self._change("PUT", f"/api/v2/tickets/{ticket.id}", {"ticket": safe})


class _TicketState(_Tickets, StateAction):
    """Base of the actions that set something."""

    max_batch: ClassVar[int] = PAGE
    target_types: ClassVar[tuple[str, ...]] = ("ticket",)

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Look at the tickets, then change them one by one.

        Raises:
            CredentialsError: The credential was refused, or may not write.
        """
        present = await self._present([delivery.target for delivery in deliveries])

        async def one(delivery: StateDelivery) -> Outcome:
            ticket = present.get(delivery.target.id)
            if ticket is None:
                return Outcome.rejected(GONE)
            return Outcome.rejected(CLOSED) if ticket.status == "closed" else await self._set(ticket, delivery)

        return await together(deliveries, one)

    @abstractmethod
    async def _set(self, ticket: Present, delivery: StateDelivery) -> Outcome:
        """Change one ticket."""

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return the present values; None for a ticket that is gone."""
        present = await self._present(targets)
        shown = [present.get(target.id) for target in targets]
        return [None if ticket is None else {name: await self._value(ticket, name) for name in fields} for ticket in shown]

    @abstractmethod
    async def _value(self, ticket: Present, name: str) -> Json:
        """Return one present value."""


class RaisePriority(_TicketState):
    """``ticket.priority``: raises a priority, and lowers one only to put back what stood there before."""

    payload: ClassVar[type[Payload]] = TicketPriority

    async def _set(self, ticket: Present, delivery: StateDelivery) -> Outcome:
        wanted = delivery.fields.get("priority")
        if wanted is not None and wanted not in PRIORITIES:
            return Outcome.rejected(f"there is no priority {wanted!r}; there are {', '.join(PRIORITIES)}")
        if not delivery.restores and _rank(wanted) <= _rank(ticket.priority):
            return Outcome.done(ref=str(ticket.id))
        return await self._update(ticket, {"priority": wanted})

    async def _value(self, ticket: Present, name: str) -> Json:
        return ticket.priority if name == "priority" else None


class AddTags(_TicketState):
    """``ticket.tag``: adds tags by the endpoint that only adds; takes away only what we added ourselves."""

    payload: ClassVar[type[Payload]] = TicketTag

    async def _set(self, ticket: Present, delivery: StateDelivery) -> Outcome:
        present = set(ticket.tags or ())
        refused = {tag: wrong for tag, value in delivery.fields.items() if (wrong := _wrong(tag, value, delivery))}
        asked = {tag: value for tag, value in delivery.fields.items() if tag not in refused}
        path = f"/api/v2/tickets/{ticket.id}/tags"
        new = [tag for tag, value in asked.items() if value and tag.lower() not in present]
        old = [tag for tag, value in asked.items() if not value and tag.lower() in present]
        for method, tags in (("PUT", new), ("DELETE", old)):
            outcome = await self._change(method, path, {"tags": tags}) if tags else Outcome.done()
            if outcome.status != "done":
                return outcome
        if refused:
            return Outcome.rejected("; ".join(sorted(set(refused.values()))), fields=refused)
        return Outcome.done(ref=str(ticket.id))

    async def _value(self, ticket: Present, name: str) -> Json:
        return True if name.lower() in (ticket.tags or ()) else None


class Assign(_TicketState):
    """``ticket.assign``: gives a ticket to an agent (by id) or to a group (by name)."""

    payload: ClassVar[type[Payload]] = TicketAssign

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Look up the groups once, then assign."""
        self._groups = await self._by_id() if any("group" in delivery.fields for delivery in deliveries) else {}
        return await super().deliver(deliveries)

    async def _set(self, ticket: Present, delivery: StateDelivery) -> Outcome:
        changes: dict[str, Any] = {}
        for name, value in delivery.fields.items():
            if name == "group":
                ids = [id_ for id_, group in self._groups.items() if value and group.casefold() == str(value).casefold()]
                if value and not ids:
                    return Outcome.rejected(f"there is no group {value!r}")
                changes["group_id"] = ids[0] if ids else None
            elif name == "assignee" and (value is None or str(value).isdigit()):
                changes["assignee_id"] = None if value is None else int(value)
            else:
                return Outcome.rejected("an assignee is the id of an agent, and a group is named")
        return await self._update(ticket, changes)

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return who has the tickets."""
        self._groups = await self._by_id() if "group" in fields else {}
        return await super().read(targets, fields)

    async def _value(self, ticket: Present, name: str) -> Json:
        if name == "group":
            return None if ticket.group_id is None else self._groups.get(ticket.group_id)
        return None if ticket.assignee_id is None else str(ticket.assignee_id)

    async def _by_id(self) -> dict[int, str]:
        found: dict[int, str] = {}
        after: str | None = None
        while True:
            response = await self._api.get("/api/v2/groups", {"page[size]": PAGE, "page[after]": after})
            page = decode_rows(response, Group, path=("groups",))
            found |= {group.id: group.name for group, _ in page.rows if not group.deleted}
            following = page.rest.at(("meta", "after_cursor"))
            if page.rest.at(("meta", "has_more")) is not True or not isinstance(following, str) or following == after:
                return found
            after = following

    def normalise(self, field: str, value: Json) -> Json:
        """Return a name in one form: groups are found in any case."""
        return value.casefold() if field == "group" and isinstance(value, str) else value


class WriteNote(_Tickets, OnceAction[TicketNote]):
    """``ticket.note``: writes an internal comment, marked so that it can be found again when its outcome is unknown."""

    payload: ClassVar[type[Payload]] = TicketNote
    settle_after: ClassVar[timedelta] = timedelta(minutes=2)

    async def deliver(self, deliveries: Sequence[Delivery[TicketNote]]) -> Sequence[Outcome]:
        """Write the notes.

        Raises:
            CredentialsError: The credential was refused, or may not write.
        """
        return [await self._write(delivery) for delivery in deliveries]

    async def _write(self, delivery: Delivery[TicketNote]) -> Outcome:
        target = delivery.target
        if target is None or target.type != "ticket" or not target.id.isdigit():
            return Outcome.rejected("a note needs a ticket")
        comment = {"body": delivery.payload.text, "public": False}
        body = {"ticket": {"comment": comment, "metadata": {MARK: delivery.idempotency_key}}}
        outcome = await self._change("PUT", f"/api/v2/tickets/{target.id}", body)
        return Outcome.done(ref=target.id) if outcome.status == "done" else outcome

    async def look_up(self, delivery: Delivery[TicketNote]) -> Outcome | None:
        """Look for the mark in the ticket's history."""
        target = delivery.target
        if target is None:
            return None
        after: str | None = None
        path = f"/api/v2/tickets/{target.id}/audits"
        while True:
            try:
                response = await self._api.get(path, {"page[size]": PAGE, "page[after]": after})
            except StatusError as error:
                return Outcome.rejected(GONE) if error.status in {404, 410} else None
            page = decode_rows(response, Audit, path=("audits",))
            for audit, _ in page.rows:
                custom = (audit.metadata or {}).get("custom")
                if isinstance(custom, Mapping) and custom.get(MARK) == delivery.idempotency_key:
                    return Outcome.done(ref=target.id)
            if page.rejects:
                return None  # it may be the one that cannot be read
            following = page.rest.at(("meta", "after_cursor"))
            if page.rest.at(("meta", "has_more")) is not True:
                return Outcome.retry("the ticket's history does not have it")
            if not isinstance(following, str) or following == after:
                return None
            after = following


def _wrong(tag: str, value: Json, delivery: StateDelivery) -> str | None:
    """Return why a tag cannot be set or taken away, or None."""
    if not tag or any(character.isspace() for character in tag):
        return "a tag has no spaces"
    return None if value or delivery.restores else "tags are only added"


def _rank(priority: Json) -> int:
    """Return how pressing a priority is; -1 for none, or for one that is not known."""
    return PRIORITIES.index(priority) if priority in PRIORITIES else -1


def _refusal(error: StatusError) -> Outcome:
    """Return what a refusal amounts to. Zendesk's description may repeat what was sent, so it is not shown."""
    if error.status in {404, 410}:
        return Outcome.rejected(GONE)
    if error.status == 409:
        return Outcome.retry("somebody else changed the ticket at the same time")
    return Outcome.rejected(f"Zendesk refuses it: {complaint(error.body).code or f'HTTP {error.status}'}")
