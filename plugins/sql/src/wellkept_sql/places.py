"""Where reading goes on in a query, as plain JSON that keeps the types which the database compares by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from wellkept import Cursor
from wellkept.errors import CursorExpiredError, FatalError

_TYPES: Mapping[str, type[Any]] = {
    "datetime": datetime,
    "date": date,
    "decimal": Decimal,
    "uuid": UUID,
    "int": int,
    "float": float,
    "text": str,
}


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cursor.

    Attributes:
        value: The cursor column of the row that was read last, and its type.
        key: Its key, likewise.
        ended: All rows were read: the next read starts some way before.
        full: The read under way began without a cursor.
        full_at: When the last one of these began, epoch ms.
    """

    value: tuple[str, str] | None = None
    key: list[tuple[str, str]] = []
    ended: bool = False
    full: bool = False
    full_at: int = 0


def packed(value: Any, column: str) -> tuple[str, str]:
    """Return a value as (type, text). Raises `FatalError` for one by which nothing can be ordered."""
    for name, type_ in _TYPES.items():
        if isinstance(value, type_) and not isinstance(value, bool):
            return name, value.isoformat() if isinstance(value, date) else str(value)
    what = "is empty in a row" if value is None else f"holds {type(value).__name__}"
    raise FatalError(
        f"the column {column!r} {what}, so rows cannot be put in order by it",
        guidance="choose another column for `cursor` or `key`, or use COALESCE in the query",
    )


def unpacked(value: tuple[str, str]) -> Any:
    """Return the value that `packed` took."""
    name, text = value
    type_ = _TYPES[name]
    return type_.fromisoformat(text) if issubclass(type_, date) else type_(text)


def set_back(value: Any, lookback: int) -> Any:
    """Return a value of the cursor column that lies some way back; a text is set back if it is an ISO time.

    Raises:
        FatalError: It is neither a time nor a number.
    """
    if lookback == 0:
        return value
    if isinstance(value, datetime):
        return value - timedelta(seconds=lookback)
    if isinstance(value, date):
        return value - timedelta(days=-(-lookback // 86_400))
    if isinstance(value, (int, float, Decimal)):
        return value - lookback
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise FatalError("`lookback` needs a cursor column of times or numbers", guidance="set lookback = 0") from None
    if len(value) == len("2026-11-21"):
        return set_back(moment.date(), lookback).isoformat()
    return (moment - timedelta(seconds=lookback)).isoformat(value[10])


def load(cursor: Cursor | None) -> Progress:
    """Return what a cursor says. Raises `CursorExpiredError` for one that is not understood."""
    try:
        return msgspec.convert(cursor or {}, Progress)
    except msgspec.ValidationError as error:
        raise CursorExpiredError(f"the cursor is not understood: {error}") from None


def dump(progress: Progress) -> Cursor:
    """Return the cursor."""
    cursor: Cursor = msgspec.to_builtins(progress)
    return cursor


def key_of(cells: Mapping[str, Any], keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return a row's key, packed."""
    return [packed(cells[name], name) for name in keys]
