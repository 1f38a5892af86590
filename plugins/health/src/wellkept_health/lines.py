"""The lines of a scorecard: what each signal makes of the cells that it reads, and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from types import NoneType
from typing import Generic, Literal, TypeVar

import msgspec

from wellkept import Contribution, Value
from wellkept.expressions import Expression
from wellkept_health.card import FULL, interpolate, limit, points
from wellkept_health.cards import Signal
from wellkept_health.words import Text, Writer

T = TypeVar("T")

REMEMBERED = 1_024
"""Cases that are kept of each signal: most signals say the same few things about nearly all accounts."""

SAID = 64
"""Contributions that are kept of each of these cases."""

_MISSING = object()

State = Literal["not part", "unknown", "known"]
"""A signal is no part of the card for such an account, cannot be weighed, or can."""


class Remembered(Generic[T]):
    """Asks a function about the cells of accounts, and remembers: the same cells have the same answer.

    An integer, a float and a flag are not the same, though they may be equal.

    Args:
        make: Answers for the cells of one account.
    """

    def __init__(self, make: Callable[[Sequence[Value]], T]) -> None:
        self._make = make
        self._known: dict[tuple[frozenset[type], ...], dict[tuple[object, ...], T]] = {}

    def __call__(self, columns: Sequence[Sequence[Value]], wanted: Sequence[bool]) -> list[T | None]:
        """Return the answers, None for the accounts that are not wanted."""
        if not columns:
            only = self._make(()) if True in wanted else None
            return [only if want else None for want in wanted]
        kinds = [frozenset(map(type, column)) - {NoneType} for column in columns]
        mixed = [map(type, column) for column, kind in zip(columns, kinds, strict=True) if len(kind) > 1]
        if sum(map(len, self._known.values())) > REMEMBERED:
            self._known.clear()
        known = self._known.setdefault(tuple(kinds), {})
        get, width = known.get, len(columns)

        def add(cells: tuple[object, ...]) -> T:
            known[cells] = answer = self._make(cells[:width])  # type: ignore[arg-type]  # behind them are types
            return answer

        cases = zip(*columns, *mixed, strict=True)
        return [
            None if not want else answer if (answer := get(cells, _MISSING)) is not _MISSING else add(cells)  # type: ignore[misc]
            for cells, want in zip(cases, wanted, strict=True)
        ]


class Reading(msgspec.Struct, frozen=True, gc=False, eq=False):
    """What a signal says of the cells that it reads.

    Attributes:
        state: Whether it can be weighed; the rest means nothing without.
        health: From `interpolate`.
        limit: The highest score that it allows, from `limit`.
        age: Days by which its weight fades; None where it does not fade.
        figure: What is shown: the cell, where the value is nothing but a column.
        cells: What it was read from.
        said: What was said of it, by the hundredths of a point that it takes and its share of the card,
        fine: and where it takes nothing, by its share alone.
    """

    state: State
    health: int = 0
    limit: int = FULL
    age: float | None = None
    figure: Value = None
    cells: Sequence[Value] = ()
    said: dict[tuple[int, float], Contribution] = {}
    fine: dict[float, Contribution] = {}


NOT_PART, UNKNOWN = Reading("not part"), Reading("unknown")


class Line:
    """A signal with its words ready to be filled.

    Args:
        signal: The signal.
        writer_of: Returns what writes the cells of a name.

    Attributes:
        signal: The signal.
    """

    def __init__(self, signal: Signal, writer_of: Callable[[str], Writer]) -> None:
        self.signal = signal
        asked = signal.value.names | (signal.age.names if signal.age else frozenset())
        self._names = sorted(asked.union(signal.reason[1::2], signal.fine[1::2]) - {"value"})
        self._remembered = Remembered(self._read)
        self._reason = Text(signal.reason, writer_of)
        self._fine = Text(signal.fine, writer_of)

    def readings(self, table: Mapping[str, Sequence[Value]], holds: Sequence[bool | None]) -> list[Reading]:
        """Return what the signal says of each of some accounts.

        Args:
            table: Their cells by column.
            holds: Whether the signal is meant for such an account.
        """
        wanted = list(map(bool, holds))
        found = self._remembered([table[name] for name in self._names], wanted)
        if all(wanted):
            return found  # type: ignore[return-value]  # all of them were wanted
        return [reading or (NOT_PART if hold is False else UNKNOWN) for reading, hold in zip(found, holds, strict=True)]

    def say(self, reading: Reading, taken: int, share: float) -> Contribution:
        """Return what the signal contributes to the score of an account.

        Args:
            reading: What it says.
            taken: The hundredths of a point that it takes.
            share: Its share of the card.
        """
        known = reading.said.get((taken, share))
        if known is not None:
            return known
        view = dict(zip(self._names, reading.cells, strict=True))
        figure, text = reading.figure, self._reason if taken else self._fine
        contribution = Contribution(
            measure=self.signal.measure,
            group=self.signal.group,
            value=_unsigned(round(figure, 4) if self.signal.bare is None and isinstance(figure, float) else figure),
            points=points(-taken),
            text=text.fill(view, figure),
            weight=share,
        )
        if len(reading.said) >= SAID:
            reading.said.clear()
            reading.fine.clear()
        reading.said[taken, share] = contribution
        if not taken:
            reading.fine[share] = contribution
        return contribution

    def _read(self, cells: Sequence[Value]) -> Reading:
        signal, view = self.signal, dict(zip(self._names, cells, strict=True))
        figure = number(signal.value, view)
        age = None if signal.age is None else number(signal.age, view)
        if figure is None or (signal.age is not None and age is None):
            return UNKNOWN
        health = interpolate(signal.knots, figure)
        shown = figure if signal.bare is None else view[signal.bare]
        return Reading("known", health, limit(health, signal.ceiling), age, shown, cells, {}, {})


def number(expression: Expression, view: Mapping[str, Value]) -> float | None:
    """Return a value as a number, flags as 0 and 1; None when unknown."""
    value = expression.evaluate(view)
    if type(value) is int:
        return float(value)
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else None


def _unsigned(value: Value) -> Value:
    """Return a value without the sign of a zero: those two are the same cell."""
    return value + 0.0 if type(value) is float else value
