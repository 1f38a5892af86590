"""Salvage: find the rows that the store refuses, so that the others are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from wellkept.errors import RejectedError
from wellkept.records import Record
from wellkept.source import Deletion, Reject
from wellkept.store.connection import MISFITS, Tx
from wellkept.store.dead_letters import clean

T = TypeVar("T")
Row = TypeVar("Row", bound="Record | Deletion")

BAD_VALUE: tuple[type[Exception], ...] = (*MISFITS, RejectedError, msgspec.MsgspecError)
"""What a row raises that cannot be stored; everything else is no row's fault and stops the commit."""


def salvage(
    tx: Tx, rows: Sequence[Row], store: Callable[[Sequence[Row]], T], rejects: list[Reject]
) -> Iterator[tuple[Sequence[Row], T]]:
    """Store rows, halving them where that fails until the bad one stands alone; yield what was stored, with its result.

    Args:
        tx: The transaction.
        rows: At least one.
        store: Stores some rows.
        rejects: Gets the bad ones.
    """
    try:
        with tx.savepoint():
            result = store(rows)
    except BAD_VALUE as error:
        if len(rows) == 1:
            rejects.append(reject_of(rows[0], error))
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            yield from salvage(tx, half, store, rejects)
    else:
        yield rows, result


def reject_of(row: Record | Deletion, error: Exception) -> Reject:
    """Return a row that cannot be stored as a dead letter, with its content if that can be written at all."""
    try:
        raw = msgspec.json.encode(row)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        raw = b""
    what = f"deletion of {row.record.type}" if isinstance(row, Deletion) else type(row).type
    return clean(Reject(raw=raw, reason=f"{what}: {_reason(error)}", id=row.id))


def _reason(error: Exception) -> str:
    """Say what is wrong. SQLite names table and column, msgspec the field; other messages may quote the value."""
    if isinstance(error, (msgspec.MsgspecError, RejectedError)) or "cannot store" in str(error):
        return str(error)
    return f"a value cannot be stored ({type(error).__name__})"
