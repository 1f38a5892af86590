"""Reasons in words: a text with figures in it, each written as its unit asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from wellkept import Column, Unit, Value
from wellkept.money import show

Writer = Callable[[Value], str]
"""Writes a cell."""

PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
"""A place for a figure; nothing else between braces is read."""


def pieces(text: str) -> tuple[str, ...]:
    """Cut a text at its places: texts and names by turns."""
    return tuple(PLACE.split(text))


def places(text: str) -> frozenset[str]:
    """Return the names between braces."""
    return frozenset(PLACE.findall(text))


class Text:
    """A text that was cut by `pieces`, ready to be filled again and again.

    Args:
        cut: Texts and names by turns.
        writer_of: Returns what writes the cells of a name.
    """

    __slots__ = ("_head", "_rest")

    def __init__(self, cut: Sequence[str], writer_of: Callable[[str], Writer]) -> None:
        self._head = cut[0]
        self._rest = [(name, writer_of(name), after) for name, after in zip(cut[1::2], cut[2::2], strict=True)]

    def fill(self, view: Mapping[str, Value], value: Value) -> str:
        """Put an account's figures in their places; the place ``value`` takes the one given."""
        text = self._head
        for name, write, after in self._rest:
            text += write(value if name == "value" else view[name]) + after
        return text


def writer(unit: Unit, currency: str | None = None) -> Writer:
    """Return what writes a cell of a unit as a reader wants it; an unknown one is ``unknown``."""
    number = _NUMBERS.get(unit, _short)
    money = currency if unit == "money" else None
    bare = number is _short and unit != "flag" and not money

    def write(value: Value) -> str:
        if bare and type(value) is int:
            return f"{value:,}"
        if value is None or isinstance(value, str):
            return value or "unknown"
        if unit == "flag" or isinstance(value, bool):
            return "yes" if value else "no"
        if money and isinstance(value, int):
            return show(value, money)
        return number(value)

    return write


def unit_of(column: Column | None) -> tuple[Unit, str | None]:
    """Return a column's unit and currency; a count where nothing is known of it."""
    return (column.unit, column.currency) if column else ("count", None)


def _short(value: float) -> str:
    """Return a number with at most one decimal, and no more digits than a reader needs."""
    rounded = round(value, 1) if -100 < value < 100 else round(value)
    whole = int(rounded)
    return f"{whole:,}" if rounded == whole else f"{rounded:,}"


def _share(value: float) -> str:
    return f"{_short(value * 100)} %"


def _date(value: float) -> str:
    return datetime.fromtimestamp(value / 1000, UTC).date().isoformat()


def _days(value: float) -> str:
    return f"{_short(value)} {'day' if value == 1 else 'days'}"


def _minutes(value: float) -> str:
    return f"{_short(value)} {'minute' if value == 1 else 'minutes'}"


_NUMBERS: Mapping[Unit, Callable[[float], str]] = {"ratio": _share, "date": _date, "days": _days, "minutes": _minutes}
"""How numbers of these units are written; those of others are bare."""
