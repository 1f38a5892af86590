"""The scorer: weighs each account's signals by the card that fits it, and explains every point."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import compress, repeat
from math import isfinite
from operator import attrgetter, itemgetter, not_
from typing import NamedTuple

import msgspec

from wellkept import Column, Contribution, Frame, Score, Scorer, Value
from wellkept.errors import ConfigError
from wellkept.expressions import Expression, parse
from wellkept_health.bands import BANDS, Borders
from wellkept_health.card import FULL, fade, interpolate, limit, losses, points
from wellkept_health.cards import Signal, build
from wellkept_health.causes import WORDS, main_cause
from wellkept_health.config import HealthConfig
from wellkept_health.defaults import NEW_DAYS
from wellkept_health.features import NAMES, UNUSED, Features
from wellkept_health.past import Memory
from wellkept_health.words import Text, Writer, unit_of, writer

TENURE, UNPAID = "tenure_days", "ended_unpaid"
"""Columns that the main cause is told from."""

SCALE = 1_000_000
"""Parts into which one point of a card's weight is divided."""

REFERENCE = Decimal(100)
"""Where an explanation starts: full health, from which every reason takes its part."""

REMEMBERED = 1_024
"""Readings that are kept of each signal: most signals say the same few things about nearly all accounts."""

_APPLIES, _LOST = attrgetter("applies"), itemgetter(0)
_KINDS = {"span": "a span of time", "text": "a text", "date": "a date"}
_MENDS = {
    "span": "divide it by days(1)",
    "text": "compare it with something",
    "date": "take a column of unit days, which is the age",
}


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a signal says of the cells that it reads.

    Attributes:
        applies: It is part of the card for such an account.
        known: It can be weighed; the rest means nothing without.
        health: From `interpolate`.
        limit: The highest score that it allows, from `limit`.
        age: Days by which its weight fades; None where it does not fade.
        value: The figure, for the explanation.
        reason: The words for points that are lost,
        fine: and for none.
    """

    applies: bool
    known: bool = False
    health: int = 0
    limit: int = FULL
    age: float | None = None
    value: Value = None
    reason: str = ""
    fine: str = ""


NOT_PART, UNKNOWN = Reading(applies=False), Reading(applies=True)


class Line:
    """A signal with its words ready to be filled; `read` says what it makes of an account's cells.

    Args:
        signal: The signal.
        writer_of: Returns what writes the cells of a name.

    Attributes:
        signal: The signal.
        names: What it reads.
        read: Takes the cells of these names, and remembers: the same cells have the same reading. An integer, a float and a
            flag are not the same, though they may be equal.
    """

    def __init__(self, signal: Signal, writer_of: Callable[[str], Writer]) -> None:
        self.signal = signal
        self.names = sorted(signal.names)
        self.read: Callable[..., Reading] = lru_cache(REMEMBERED, typed=True)(self._read)
        self._reason = Text(signal.reason, writer_of)
        self._fine = Text(signal.fine, writer_of)

    def _read(self, *cells: Value) -> Reading:
        signal, view = self.signal, dict(zip(self.names, cells, strict=True))
        holds = signal.when is None or signal.when.evaluate(view)
        if holds is False:
            return NOT_PART
        figure = _figure(signal.value, view) if holds else None
        age = None if signal.age is None else _figure(signal.age, view)
        if figure is None or (signal.age is not None and age is None):
            return UNKNOWN
        bare = view[signal.bare] if signal.bare else None
        health = interpolate(signal.knots, figure)
        return Reading(
            applies=True,
            known=True,
            health=health,
            limit=limit(health, signal.ceiling),
            age=age,
            value=_unsigned(round(figure, 4) if bare is None else bare),
            reason=self._reason.fill(view, figure if bare is None else bare) if health < FULL else "",
            fine=self._fine.fill(view, figure if bare is None else bare),
        )


class Layout(NamedTuple):
    """What a card comes to for accounts with the same signals on it.

    Attributes:
        counted: For each signal of the card, whether it is part of it.
        lines: Those that are,
        shares: their weights before fading, in parts of the card,
        fading: and the places of those that fade, with their half-lives.
        total: The sum of the shares.
        note: The card, and the groups of which there are no data.
    """

    counted: Sequence[bool]
    lines: Sequence[Line]
    shares: Sequence[int]
    fading: Sequence[tuple[int, float]]
    total: int
    note: str


class Subject(NamedTuple):
    """What must be known of an account beside the readings of its card.

    Attributes:
        account: Its id.
        previous: Its last score of an earlier day.
        kept: What the next score must know of columns.
        tenure: Its `TENURE`,
        unpaid: and its `UNPAID`.
    """

    account: str
    previous: Score | None
    kept: Mapping[str, Value]
    tenure: Value
    unpaid: Value


class HealthScorer(Scorer):
    """A weighted scorecard; see the README.

    Args:
        config: What a person wrote.
    """

    version = "2"
    bands = BANDS

    def __init__(self, config: HealthConfig) -> None:
        self.name = config.name
        self._cards = build(config)
        self._columns = [card.columns for card in self._cards]
        self._min_coverage = config.min_coverage
        self._borders = Borders(
            red_below=config.bands.red_below, green_above=config.bands.green_above, margin=config.bands.margin
        )
        self._features = Features(config.features)
        names = frozenset[str]({TENURE, UNPAID}).union(*(card.names for card in self._cards), self._features.columns)
        self._memory = Memory(names)
        self._uses = names - self._memory.names.keys() - {*NAMES} | frozenset(self._memory.names.values())
        self._whens = sorted(frozenset[str]().union(*(card.when.names for card in self._cards if card.when)))
        self._write({})

    @property
    def uses(self) -> frozenset[str]:
        """The columns of all cards."""
        return self._uses

    def bind(self, columns: Mapping[str, Column]) -> None:
        """Check every expression against the columns' units.

        Raises:
            ConfigError: Something is compared or divided that cannot be; names the signal.
        """
        past = {name: columns[column] for name, column in self._memory.names.items() if column in columns}
        own = {name: Column(name=name, unit="text" if name == UNUSED else "count", doc="") for name in NAMES}
        names = {**columns, **past, **own}
        for card in self._cards:
            if card.when:
                _check(card.when, names, f"scorecards.{card.name}.when", condition=True)
            for signal in card.signals:
                kind = _check(signal.value, names, f"signals.{signal.name}.value")
                if kind not in {"number", "flag", "any"}:
                    raise ConfigError(
                        f"a health cannot be read off {_KINDS.get(kind, 'money')}",
                        key=f"signals.{signal.name}.value",
                        guidance=_MENDS.get(kind, "divide it by another amount of that currency"),
                    )
                if signal.when:
                    _check(signal.when, names, f"signals.{signal.name}.when", condition=True)
                if signal.age and _check(signal.age, names, f"signals.{signal.name}.age") not in {"number", "any"}:
                    raise ConfigError("an age is a number of days", key=f"signals.{signal.name}.age", guidance=_MENDS["span"])
        self._write(names)

    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterator[Score]:
        """Yield one score per account, card by card and signal by signal."""
        table = {name: frame.column(name) for name in self._uses}
        past = [
            self._memory.recall(row, frame.as_of, previous.get(account))
            for account, row in zip(frame.accounts, _rows(table, self._memory.columns, len(frame)), strict=True)
        ]
        table |= {name: [values[name] for values, _ in past] for name in self._memory.names}
        looks = [self._features.look(row) for row in _rows(table, self._features.columns, len(frame))]
        table |= {name: [look[name] for look in looks] for name in NAMES}
        places = [self._place(row) for row in _rows(table, self._whens, len(frame))]
        for place, lines in enumerate(self._lines):
            chosen = [index for index, found in enumerate(places) if found == place]
            readings = zip(*[_read(line, table, chosen) for line in lines], strict=True)
            for index, absent, row in zip(chosen, self._absent(place, frame, chosen), readings, strict=True):
                account = frame.accounts[index]
                layout = self._layout(place, absent, tuple(map(_APPLIES, row)))
                about = Subject(account, previous.get(account), past[index][1], table[TENURE][index], table[UNPAID][index])
                yield self._score(about, layout, list(compress(row, layout.counted)))

    def _place(self, row: Mapping[str, Value]) -> int:
        """Return the place of the card for an account."""
        return next(place for place, card in enumerate(self._cards) if card.when is None or card.when.holds(row))

    def _absent(self, place: int, frame: Frame, chosen: Sequence[int]) -> Iterator[tuple[str, ...]]:
        """Yield the columns of a card of which there are no data, for each of some accounts."""
        found: dict[int, list[str]] = {}
        for name in self._columns[place] & self._uses:
            cells = frame.column(name)
            if None in cells:
                known = frame.gaps(name)
                for index in chosen:
                    if cells[index] is None and index not in known:
                        found.setdefault(index, []).append(name)
        return (tuple(found.get(index, ())) for index in chosen)

    def _score(self, about: Subject, layout: Layout, readings: Sequence[Reading]) -> Score:
        """Return the score of an account.

        Args:
            about: The account.
            layout: The card.
            readings: What each of its lines says.
        """
        lines = layout.lines
        weights = [share if reading.known else 0 for share, reading in zip(layout.shares, readings, strict=True)]
        for index, half_life in layout.fading:
            weights[index] = fade(weights[index], readings[index].age or 0, half_life)
        note = layout.note
        if 0 in weights:
            note += f"; unknown: {', '.join(line.signal.name for line in compress(lines, map(not_, weights)))}"
            lines, readings = list(compress(lines, weights)), list(compress(readings, weights))
            weights = list(filter(None, weights))
        weight = sum(weights)
        coverage = round(weight / layout.total, 4) if layout.total else 0.0
        if not weights or coverage < self._min_coverage:
            return Score(
                account=about.account,
                value=None,
                band=None,
                coverage=coverage,
                reference=REFERENCE,
                note=f"not scored: coverage {coverage:.2f}; {note}",
                carry=about.kept,
            )
        lost = losses(weights, [reading.health for reading in readings], [reading.limit for reading in readings])
        value = REFERENCE + points(-sum(lost))
        band, carry = self._borders.band(value, about.previous)
        ratios = {each: round(each / weight, 4) for each in set(weights)}
        found = sorted(zip(lost, weights, lines, readings, strict=True), key=_LOST, reverse=True)
        contributions = [
            Contribution(
                measure=line.signal.measure,
                group=line.signal.group,
                value=reading.value,
                points=points(-taken),
                text=reading.reason if taken else reading.fine,
                weight=ratios[share],
            )
            for taken, share, line, reading in found
        ]
        if value < REFERENCE:
            note += f"; main cause: {_cause(lines, lost, about)}"
        return Score(
            account=about.account,
            value=value,
            band=band,
            coverage=coverage,
            reference=REFERENCE,
            contributions=contributions,
            note=note,
            carry={**about.kept, **carry},
        )

    def _laid_out(self, place: int, absent: Sequence[str], applies: Sequence[bool]) -> Layout:
        """Return the signals that are part of the card.

        A group is no part of the card when each of its signals lacks a column because *there are no such data*: no source
        yields them. Data that exist for others but not for this account (``unmatched``, ...) are missing, and lower the
        coverage.

        Args:
            place: The card.
            absent: Columns of which there are no data.
            applies: Which signals are meant for such an account.
        """
        card = self._cards[place]
        groups = {signal.group for signal in card.signals if signal.columns.isdisjoint(absent)}
        counted = [holds and signal.group in groups for signal, holds in zip(card.signals, applies, strict=True)]
        lines = list(compress(self._lines[place], counted))
        signals = [line.signal for line in lines]
        totals: dict[str, float] = {}
        for signal in signals:
            totals[signal.group] = totals.get(signal.group, 0.0) + signal.weight
        shares = [round(SCALE * card.weights[signal.group] * signal.weight / totals[signal.group]) for signal in signals]
        fading = [(index, signal.half_life) for index, signal in enumerate(signals) if signal.half_life is not None]
        missing = [group for group, weight in card.weights.items() if weight and group not in totals]
        note = f"card {card.name}" + (f"; no data on {', '.join(missing)}" if missing else "")
        return Layout(counted, lines, shares, fading, sum(shares), note)

    def _write(self, columns: Mapping[str, Column]) -> None:
        """Get each card's signals with their words ready, whose figures are written as the units of the columns ask."""

        def line(signal: Signal) -> Line:
            def writer_of(name: str) -> Writer:
                unit, currency = unit_of(columns.get(signal.bare or "" if name == "value" else name))
                return writer((signal.unit or unit) if name == "value" else unit, currency)

            return Line(signal, writer_of)

        self._lines = [[line(signal) for signal in card.signals] for card in self._cards]
        self._layout: Callable[[int, Sequence[str], Sequence[bool]], Layout] = lru_cache(REMEMBERED)(self._laid_out)


def _rows(table: Mapping[str, Sequence[Value]], names: Collection[str], count: int) -> Iterator[dict[str, Value]]:
    """Yield some cells of each account by name."""
    cells = zip(*[table[name] for name in names], strict=True) if names else repeat((), count)
    return (dict(zip(names, row, strict=True)) for row in cells)


def _read(line: Line, table: Mapping[str, Sequence[Value]], chosen: Sequence[int]) -> Iterator[Reading]:
    """Yield what a line says of each of some accounts."""
    columns = [table[name] for name in line.names]
    if not columns:
        return repeat(line.read(), len(chosen))
    return map(line.read, *[[column[index] for index in chosen] for column in columns])


def _cause(lines: Sequence[Line], lost: Sequence[int], about: Subject) -> str:
    """Return the main cause in words."""
    new = isinstance(about.tenure, (int, float)) and about.tenure < NEW_DAYS
    taken = [(line.signal.cause, points(-each)) for line, each in zip(lines, lost, strict=True) if each]
    return WORDS[main_cause(taken, unpaid=about.unpaid is True, new=new)]


def _unsigned(value: Value) -> Value:
    """Return a value without the sign of a zero: those two are the same cell."""
    return value + 0.0 if type(value) is float else value


def _check(expression: Expression, names: Mapping[str, Column], key: str, *, condition: bool = False) -> str:
    try:
        return parse(expression.text, names=names, condition=condition).kind
    except ConfigError as error:
        raise ConfigError(error.message, key=key, guidance=error.guidance) from None


def _figure(expression: Expression, view: Mapping[str, Value]) -> float | None:
    """Return a value as a number, flags as 0 and 1; None when unknown."""
    value = expression.evaluate(view)
    if type(value) is int:
        return float(value)
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else None
