"""What a full read has seen, and what follows from not being seen.

A row is absent when a complete full read of the stream that owns it did not yield it, although it had been stored before the
read began, and no row of the read is in quarantine in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from wellkept.errors import FatalError
from wellkept.store import history
from wellkept.store.columns import ABSENT, Shape
from wellkept.store.connection import Reader, Tx
from wellkept.store.cursors import LIVE

_ABSENT = (
    "t.instance = ? AND t.stream = ? AND t.deleted = 0 AND t.observed_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM seen s WHERE s.instance = t.instance AND s.stream = ? AND s.type = ? AND s.id = t.id"
    " AND s.generation = ?)"
    " AND t.id NOT IN (SELECT d.record_id FROM dead_letters d WHERE d.state = 'open' AND d.instance = ? AND d.stream = ?"
    " AND d.record_id IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM dead_letters d WHERE d.state = 'open' AND d.instance = ? AND d.stream = ?"
    " AND d.record_id IS NULL AND d.last_at >= ?)"
)


class FullRead(NamedTuple):
    """A full read under way: what it reads, and its number."""

    instance: str
    stream: str
    generation: int


def mark_seen(tx: Tx, shape: Shape[Any], read: FullRead, ids: Iterable[str]) -> None:
    """Note that a full read has yielded these rows."""
    tx.many(
        "INSERT INTO seen (instance, stream, type, id, generation) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (instance, stream, type, id) DO UPDATE SET generation = excluded.generation",
        [(read.instance, read.stream, shape.type_.type, id_, read.generation) for id_ in ids],
    )


def forget_seen(tx: Tx, instance: str, stream: str) -> None:
    """Forget what full reads of a stream have seen: the read has ended."""
    tx.execute("DELETE FROM seen WHERE instance = ? AND stream = ?", (instance, stream))


def absent(reader: Reader, shape: Shape[Any], read: FullRead) -> int:
    """Return how many rows a full read did not find.

    Raises:
        FatalError: No full read of that generation is under way.
    """
    params = _params(shape, read, _since(reader, read))
    return int(reader.value(f"SELECT COUNT(*) FROM {shape.table} AS t WHERE {_ABSENT}", params))  # noqa: S608 - constants


def delete_absent(tx: Tx, shape: Shape[Any], read: FullRead, observed_at: int, *, facts: bool) -> int:
    """Mark the rows as deleted that a full read did not find, and return how many.

    They keep their version: a reading made after the read began brings one back, even if the vendor says that it has not
    changed since (it was hidden for a while). An older version never does.

    Raises:
        FatalError: No full read of that generation is under way.
    """
    since = _since(tx, read)
    return retire(tx, shape, _ABSENT, _params(shape, read, since), gone_at=since, observed_at=observed_at, facts=facts)


def retire(
    tx: Tx, shape: Shape[Any], condition: str, params: tuple[Any, ...], *, gone_at: int, observed_at: int, facts: bool
) -> int:
    """Mark rows of the table ``t`` as deleted because a read that must hold them does not; return how many.

    Args:
        tx: The transaction.
        shape: Their type.
        condition: Which rows.
        params: The condition's parameters.
        gone_at: Since when they are not there, epoch ms.
        observed_at: When that was found, epoch ms.
        facts: Machines want to know.
    """
    history.keep_where(tx, shape, condition, params)
    for queue in ("changes", "fact_queue") if facts else ("changes",):
        tx.execute(
            f"INSERT INTO {queue} (type, instance, id, at)"  # noqa: S608 - constants
            f" SELECT ?, t.instance, t.id, ? FROM {shape.table} AS t WHERE {condition}",
            (shape.type_.type, observed_at, *params),
        )
    return tx.execute(
        f"UPDATE {shape.table} AS t SET deleted = 1, digest = ?, valid_from = ?, observed_at = ? WHERE {condition}",  # noqa: S608
        (ABSENT, gone_at, observed_at, *params),
    )


def _since(reader: Reader, read: FullRead) -> int:
    since: int | None = reader.value(
        "SELECT full_since FROM cursors WHERE instance = ? AND stream = ? AND scope = ? AND generation = ?",
        (read.instance, read.stream, LIVE, read.generation),
    )
    if since is None:
        raise FatalError(
            f"{read.instance}.{read.stream}: no full read number {read.generation} is under way, so nothing can be absent"
        )
    return since


def _params(shape: Shape[Any], read: FullRead, since: int) -> tuple[Any, ...]:
    place = (read.instance, read.stream)
    return (*place, since, read.stream, shape.type_.type, read.generation, *place, *place, since)
