"""Reasons in words: a text with figures in it, each written as its unit asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from wellkept import Column, Unit, Value
from wellkept.money import show

PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
"""A place for a figure; nothing else between braces is read."""


def pieces(text: str) -> tuple[str, ...]:
    """Cut a text at its places: texts and names by turns."""
    return tuple(PLACE.split(text))


def places(text: str) -> frozenset[str]:
    """Return the names between braces."""
    return frozenset(PLACE.findall(text))


def fill(cut: tuple[str, ...], figure: Callable[[str], str]) -> str:
    """Put figures in the places of a text that was cut by `pieces`."""
    if len(cut) == 1:
        return cut[0]
    return "".join([figure(piece) if place % 2 else piece for place, piece in enumerate(cut)])


def write(value: Value, unit: Unit, currency: str | None = None) -> str:
    """Return a cell as a reader wants it; an unknown one is ``unknown``."""
    if value is None or isinstance(value, str):
        return value or "unknown"
    if unit == "flag" or isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "money" and currency and isinstance(value, int):
        return show(value, currency)
    match unit:
        case "ratio":
            text = f"{_short(value * 100)} %"
        case "date":
            text = datetime.fromtimestamp(value / 1000, UTC).date().isoformat()
        case "days" | "minutes":
            text = f"{_short(value)} {unit[:-1] if value == 1 else unit}"
        case _:
            text = _short(value)
    return text


def unit_of(column: Column | None) -> tuple[Unit, str | None]:
    """Return a column's unit and currency; a count where nothing is known of it."""
    return (column.unit, column.currency) if column else ("count", None)


def _short(value: float) -> str:
    """Return a number with at most one decimal, and no more digits than a reader needs."""
    rounded = round(value, 1) if abs(value) < 100 else round(value)
    return f"{int(rounded):,}" if rounded == int(rounded) else f"{rounded:,}"
