"""From decoded rows to what a batch holds: records, deletions, and rejects for rows that make neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec

from wellkept import Deletion, Reject
from wellkept.errors import RejectedError
from wellkept.http import Rows, decode_line
from wellkept.records import Account, Person, Record, SurveyResponse, Ticket
from wellkept_zendesk import mapping, wire
from wellkept_zendesk.words import ChurnWords

W = TypeVar("W", bound=wire.Wire)
Made = Record | Deletion | None


@dataclass(slots=True)
class Mapped:
    """What came of some rows."""

    records: list[Record] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def ids(self) -> set[str]:
        """Return the ids of which something is known now."""
        told = {record.id for record in self.records} | {deletion.id for deletion in self.deletions}
        return told | {reject.id for reject in self.rejects if reject.id is not None}

    def add(self, made: Made) -> None:
        """Sort in what a row made."""
        if isinstance(made, Deletion):
            self.deletions.append(made)
        elif made is not None:
            self.records.append(made)


class Shape(NamedTuple):
    """One kind of object: what it is called, how it looks, which record it becomes."""

    plural: str
    row: type[Any]
    record: type[Record]


ORGANIZATION = Shape("organizations", wire.Organization, Account)
USER = Shape("users", wire.User, Person)
TICKET = Shape("tickets", wire.Ticket, Ticket)
RATING = Shape("satisfaction_ratings", wire.Rating, SurveyResponse)
DELETED_TICKET = Shape("deleted_tickets", wire.DeletedTicket, Ticket)


def organization(row: wire.Organization, merges: Mapping[str, Sequence[str]]) -> Made:
    """Return the account, or that it is gone."""
    if row.deleted_at is None:
        return mapping.account(row, merges.get(str(row.id), ()))
    at = wire.instant(row.deleted_at, "deleted_at")
    return Deletion(record=Account, id=str(row.id), version=mapping.changed_at(row), at=at)


def user(row: wire.User) -> Made:
    """Return the person, or that it is gone."""
    if row.active is not False:
        return mapping.person(row)
    at = mapping.changed_at(row)
    return Deletion(record=Person, id=str(row.id), version=at, at=at)


def ticket(row: wire.Ticket, words: ChurnWords) -> Made:
    """Return the ticket, or that it counts for nothing."""
    if not mapping.is_gone(row):
        return mapping.ticket(row, words)
    at = mapping.ticket_version(row)
    return Deletion(record=Ticket, id=str(row.id), version=at, at=at)


def deleted_ticket(row: wire.DeletedTicket) -> Made:
    """Return the deletion."""
    at = wire.required_instant(row.deleted_at, "deleted_at")
    return Deletion(record=Ticket, id=str(row.id), version=at, at=at)


def each(page: Rows[W], make: Callable[[W], Made]) -> Mapped:
    """Map the rows of a page one by one; one that makes no record is rejected alone."""
    found = Mapped(rejects=list(page.rejects))
    for row, raw in page.rows:
        try:
            found.add(make(row))
        except RejectedError as error:
            found.rejects.append(Reject(raw=bytes(raw), reason=error.message, id=str(getattr(row, "id", "")) or None))
    return found


def with_metrics(page: Rows[wire.Ticket]) -> Rows[wire.Ticket]:
    """Give tickets their metrics where those stand beside them instead of inside, as side-loads usually do.

    A ticket whose metrics cannot be read is rejected alone.
    """
    if page.rest.get("metric_sets") is None:
        return page
    metrics: dict[str, wire.Metric] = {}
    broken: dict[str, str] = {}
    for raw in page.rest.decode("metric_sets", list[msgspec.Raw]):
        found = decode_line(bytes(raw), wire.Metric, id_field="ticket_id")
        if not isinstance(found, Reject):
            metrics[str(found[0].ticket_id)] = found[0]
        elif found.id is not None:
            broken[found.id] = found.reason
    rows = [
        (row if row.metric_set is not None else msgspec.structs.replace(row, metric_set=metrics.get(str(row.id))), raw)
        for row, raw in page.rows
        if str(row.id) not in broken
    ]
    rejects = [
        Reject(raw=bytes(raw), reason=f"its metrics: {broken[str(row.id)]}", id=str(row.id))
        for row, raw in page.rows
        if str(row.id) in broken
    ]
    return Rows(rows, [*page.rejects, *rejects], page.rest, page.last_id)
