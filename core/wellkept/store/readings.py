"""Writes readings of one record type: decides what each means beside what is stored, then writes them in bulk.

Statements run once per batch, not once per row; this is the innermost loop of every sync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from wellkept.records import Record
from wellkept.source import Deletion
from wellkept.store import belonging, history
from wellkept.store.columns import ABSENT, DELETED, Shape, quoted
from wellkept.store.connection import Tx

CHUNK = 500
"""Rows looked up in one statement; far below the number of parameters that SQLite and PostgreSQL allow."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """What became of records.

    Attributes:
        inserted: Rows that are new.
        updated: Rows whose content changed, or that came back.
        unchanged: Rows that say what was stored already.
        older: Rows that a newer version, or a deletion, was stored of.
        blocked: Rows of what was erased; they were not stored.
        removed: Rows of a generation's range that are not in it any more.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    older: int = 0
    blocked: int = 0
    removed: int = 0

    def __add__(self, other: Upserted) -> Upserted:
        return Upserted(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where readings come from.

    Attributes:
        instance: The plugin instance.
        stream: The stream.
        observed_at: When they were read, epoch ms.
        rides: The type only rides along on this stream: rows stay with the stream that owns them.
        facts: Machines want to know of changes.
    """

    instance: str
    stream: str
    observed_at: int
    rides: bool = False
    facts: bool = False


class _Plan:
    """What a batch amounts to, collected row by row."""

    __slots__ = ("inserted", "late", "moved", "older", "raised", "rows", "superseded", "unwritten")

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []  # new and changed ones, in the order of keys
        self.inserted = 0
        self.superseded: list[str] = []  # rows to copy into the history first
        self.moved: list[str] = []  # rows that named another account or person
        self.raised: list[tuple[Any, ...]] = []  # a newer version of the same content
        self.late: list[tuple[Any, ...]] = []
        self.older = 0
        self.unwritten: list[str] = []


class Readings:
    """The writer of one record type.

    Args:
        shape: The type.
    """

    def __init__(self, shape: Shape[Any]) -> None:
        self._shape = shape
        self._refs = tuple(name for name in ("account_ref", "person_ref") if name in shape.fields)
        known = ", ".join(["id, version, digest, observed_at, valid_from, stream", *self._refs])
        table = shape.table
        names = ", ".join(map(quoted, shape.written))
        marks = ", ".join("?" * len(shape.written))
        changed = [quoted(name) for name in shape.written if name not in {"instance", "id"}]
        sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
        self._known = f"SELECT {known} FROM {table} WHERE instance = ? AND id IN"  # noqa: S608 - names from the type
        self._write = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (instance, id) DO UPDATE SET {sets}"  # noqa: S608
        self._raise = (
            f"UPDATE {table} SET version = ?, updated_at = ?, stream = ?, observed_at = ?, valid_from = ?"  # noqa: S608
            " WHERE instance = ? AND id = ?"
        )
        empty = "".join(f", {quoted(name)} = NULL" for name in shape.fields)
        self._end = (
            f"UPDATE {table} SET deleted = 1, digest = ?, version = ?, updated_at = ?, observed_at = ?, valid_from = ?{empty}"  # noqa: S608
            " WHERE instance = ? AND id = ?"
        )
        self._tombstone = (
            f"INSERT INTO {table} (deleted, digest, version, updated_at, observed_at, valid_from, instance, id, stream)"  # noqa: S608
            " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"
        )

    def store(self, tx: Tx, origin: Origin, records: Sequence[Record]) -> tuple[Upserted, list[str]]:
        """Store records with distinct ids, `CHUNK` at most, best in the order of their ids.

        Returns:
            What became of them, and the ids of those that were not written anew.
        """
        instance, stream, observed_at = origin.instance, origin.stream, origin.observed_at
        digest, values = self._shape.digest, self._shape.values
        known = self._stored(tx, instance, [record.id for record in records])
        plan = _Plan()
        for record in records:
            content = digest(record)
            valid_from = observed_at if record.updated_at is None else record.updated_at
            old = known.get(record.id)
            if old is None:
                plan.inserted += 1
                plan.rows.append((instance, stream, 0, observed_at, valid_from, content, *values(record)))
            elif content == old[2]:
                self._weigh_same(plan, origin, record, valid_from, old)
            else:
                owner = old[5] if origin.rides else stream
                row = (instance, owner, 0, observed_at, valid_from, content, *values(record))
                self._weigh_other(plan, origin, record, row, old)
        self._carry_out(tx, origin, plan)
        updated = len(plan.rows) - plan.inserted
        unchanged = len(records) - len(plan.rows) - plan.older
        return Upserted(plan.inserted, updated, unchanged, plan.older), plan.unwritten

    def delete(self, tx: Tx, origin: Origin, deletions: Sequence[Deletion]) -> int:
        """Store deletions with distinct ids, `CHUNK` at most, and return how many rows went."""
        instance, observed_at = origin.instance, origin.observed_at
        known = self._stored(tx, instance, [deletion.id for deletion in deletions])
        unknown: list[tuple[Any, ...]] = []
        ended: list[tuple[Any, ...]] = []
        gone: list[str] = []
        for deletion in deletions:
            since = (observed_at, observed_at if deletion.at is None else deletion.at)
            old = known.get(deletion.id)
            if old is None:
                unknown.append((DELETED, deletion.version, deletion.at, *since, instance, deletion.id, origin.stream))
            elif deletion.version >= old[1]:
                if old[2] in {DELETED, ABSENT}:
                    since = (old[3], old[4])
                else:
                    gone.append(deletion.id)
                ended.append((DELETED, deletion.version, deletion.at, *since, instance, deletion.id))
        history.keep(tx, self._shape, instance, gone)
        self._mark_dirty(tx, origin, gone)
        tx.many(self._tombstone, unknown)
        tx.many(self._end, ended)
        self._queue(tx, origin, gone)
        return len(gone)

    def _stored(self, tx: Tx, instance: str, ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Return what is stored of rows: id, version, digest, observed_at, valid_from, stream, references."""
        size = 1 << (len(ids) - 1).bit_length()  # few lengths, so that the statement is compiled once
        marks = ", ".join("?" * size)
        rows = tx.all(f"{self._known} ({marks})", (instance, *ids, *[ids[-1]] * (size - len(ids))))
        return {row[0]: row for row in rows}

    def _weigh_same(self, plan: _Plan, origin: Origin, record: Record, valid_from: int, old: tuple[Any, ...]) -> None:
        """The content is what is stored: raise the version, and keep the instants since when it is so."""
        _, version, content, old_observed, old_valid, owner, *_ = old
        plan.unwritten.append(record.id)
        new_owner = owner if origin.rides else origin.stream
        since, new = (old_observed, old_valid), (origin.observed_at, valid_from)
        if record.version < version:
            if max(new) < max(since):  # what is stored is true only later
                plan.late.append((origin.instance, origin.stream, 0, *new, content, *self._shape.values(record)))
            return
        if record.version == version and new_owner == owner:
            return
        if record.version > version and valid_from > origin.observed_at:
            plan.superseded.append(record.id)  # true only later: until then, what was known before is the newest
            since = new
        elif max(since) > max(new):
            since = new
        plan.raised.append((record.version, record.updated_at, new_owner, *since, origin.instance, record.id))

    def _weigh_other(self, plan: _Plan, origin: Origin, record: Record, row: tuple[Any, ...], old: tuple[Any, ...]) -> None:
        """The content differs, or the row is deleted: the newer reading stands."""
        _, version, old_content, _, _, _, *refs = old
        if _stands(record.version, origin.observed_at, old):
            plan.superseded.append(record.id)
            plan.rows.append(row)
            if refs != [getattr(record, name) for name in self._refs]:
                plan.moved.append(record.id)
            return
        plan.older += 1
        plan.unwritten.append(record.id)
        if record.version < version or old_content not in {DELETED, ABSENT}:
            plan.late.append(row)

    def _carry_out(self, tx: Tx, origin: Origin, plan: _Plan) -> None:
        if plan.superseded:
            history.keep(tx, self._shape, origin.instance, plan.superseded)
        self._mark_dirty(tx, origin, plan.moved)
        if plan.rows:
            tx.bulk(self._write, plan.rows)
            place = self._shape.written.index("id")
            self._queue(tx, origin, [row[place] for row in plan.rows])
        if plan.raised:
            tx.many(self._raise, plan.raised)
        history.add_late(tx, self._shape, plan.late)

    def _mark_dirty(self, tx: Tx, origin: Origin, ids: Sequence[str]) -> None:
        """Have the accounts measured again that rows belong to, before that is forgotten."""
        if ids:
            condition = f"t.instance = ? AND t.id IN ({', '.join('?' * len(ids))})"
            belonging.mark_dirty(tx, self._shape, condition, (origin.instance, *ids), origin.observed_at)

    def _queue(self, tx: Tx, origin: Origin, ids: Sequence[str]) -> None:
        """Tell resolve, and machines over this type, that rows changed."""
        type_, instance, at = self._shape.type_.type, origin.instance, origin.observed_at
        rows = [(type_, instance, id_, at) for id_ in ids]
        tx.bulk("INSERT INTO changes (type, instance, id, at) VALUES (?, ?, ?, ?)", rows)
        if origin.facts:
            tx.bulk("INSERT INTO fact_queue (type, instance, id, at) VALUES (?, ?, ?, ?)", rows)


def _stands(version: int, observed_at: int, old: tuple[Any, ...]) -> bool:
    """Say whether a reading replaces what is stored; see `wellkept.store.records` for the rules."""
    _, old_version, old_content, old_observed, old_valid, *_ = old
    if old_content == DELETED:
        return bool(version > old_version)
    if old_content == ABSENT:
        return bool(version >= old_version and observed_at >= old_valid)
    return bool(version > old_version or (version == old_version and observed_at >= old_observed))
