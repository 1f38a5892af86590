"""The scorer: weighs each account's signals by the card that fits it, and explains every point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from typing import NamedTuple

import msgspec

from wellkept import Column, Contribution, Frame, Score, Scorer, Value
from wellkept.errors import ConfigError
from wellkept.expressions import Expression, parse
from wellkept_health.bands import BANDS, Borders
from wellkept_health.card import Part, fade, interpolate, losses
from wellkept_health.cards import Card, Signal, build
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

_POINTS = attrgetter("points")
_KINDS = {"span": "a span of time", "text": "a text", "date": "a date"}
_MENDS = {
    "span": "divide it by days(1)",
    "text": "compare it with something",
    "date": "take a column of unit days, which is the age",
}


class Line(NamedTuple):
    """A signal, and its words ready to be filled."""

    signal: Signal
    reason: Text
    fine: Text


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a signal says about one account.

    Attributes:
        line: The signal.
        share: Its weight before fading, in parts of the card.
        part: Weight and health to be weighed; None when something is unknown.
        figure: The value; means nothing without `part`.
    """

    line: Line
    share: int
    part: Part | None
    figure: float


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
        self._known_shares: dict[tuple[str, tuple[Value, ...]], Sequence[int]] = {}
        self._known_groups: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._lines = self._written({})

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
        self._lines = self._written(names)

    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterator[Score]:
        """Yield one score per account."""
        names = sorted(self._uses)
        cells = zip(*[frame.column(name) for name in names], strict=True) if names else ((),) * len(frame)
        for index, (account, row) in enumerate(zip(frame.accounts, cells, strict=True)):
            yield self._score(account, frame, index, dict(zip(names, row, strict=True)), previous.get(account))

    def _score(self, account: str, frame: Frame, index: int, view: dict[str, Value], previous: Score | None) -> Score:
        past, kept = self._memory.recall(view, frame.as_of, previous)
        view |= past
        view |= self._features.look(view)
        place = next(place for place, card in enumerate(self._cards) if card.when is None or card.when.holds(view))
        card = self._cards[place]
        unknown = [name for name in self._columns[place] if view.get(name, True) is None]
        readings = self._readings(place, frozenset([name for name in unknown if frame.gap(name, index) == "none"]), view)
        known = [(reading, reading.part) for reading in readings if reading.part is not None]
        share = sum([reading.share for reading in readings])
        weight = sum([part.weight for _, part in known])
        coverage = round(weight / share, 4) if share else 0.0
        note = _note(card, readings)
        if not known or coverage < self._min_coverage:
            return Score(
                account=account,
                value=None,
                band=None,
                coverage=coverage,
                reference=REFERENCE,
                note=f"not scored: coverage {coverage:.2f}; {note}",
                carry=kept,
            )
        points = losses([part for _, part in known])
        value = sum(points, REFERENCE)
        band, carry = self._borders.band(value, previous)
        contributions = [
            _contribution(reading, _ratio(part.weight, weight), lost, view)
            for (reading, part), lost in zip(known, points, strict=True)
        ]
        if value < REFERENCE:
            note += f"; main cause: {_cause(known, points, view)}"
        return Score(
            account=account,
            value=value,
            band=band,
            coverage=coverage,
            reference=REFERENCE,
            contributions=sorted(contributions, key=_POINTS),
            note=note,
            carry={**kept, **carry},
        )

    def _readings(self, place: int, absent: frozenset[str], view: Mapping[str, Value]) -> list[Reading]:
        """Return the signals that are part of the card for this account.

        A group is no part of the card when each of its signals lacks a column because *there are no such data*: no source
        yields them. Data that exist for others but not for this account (``unmatched``, ...) are missing, and lower the
        coverage.

        Args:
            place: The card.
            absent: Columns of which there are no data.
            view: The account.
        """
        card = self._cards[place]
        groups = self._groups(card, absent)
        applies = tuple(
            [signal.group in groups and (signal.when is None or signal.when.evaluate(view)) for signal in card.signals]
        )
        found = []
        for line, holds, share in zip(self._lines[place], applies, self._shares(card, applies), strict=True):
            if holds is False:
                continue
            signal = line.signal
            figure = _figure(signal.value, view) if holds else None
            weight = share if figure is not None else 0
            if signal.age is not None and signal.half_life is not None:
                age = _figure(signal.age, view)
                weight = 0 if age is None else fade(weight, age, signal.half_life)
            if figure is None or not weight:
                found.append(Reading(line, share, None, 0.0))
            else:
                part = Part(weight=weight, health=interpolate(signal.knots, figure), ceiling=signal.ceiling)
                found.append(Reading(line, share, part, figure))
        return found

    def _groups(self, card: Card, absent: frozenset[str]) -> frozenset[str]:
        """Return the groups of a card of which there are data; few cases occur again and again."""
        found = self._known_groups.get((card.name, absent))
        if found is None:
            found = frozenset(signal.group for signal in card.signals if absent.isdisjoint(signal.columns))
            self._known_groups[card.name, absent] = found
        return found

    def _shares(self, card: Card, applies: tuple[Value, ...]) -> Sequence[int]:
        """Return each signal's share of the card, when some of them are no part of it; few cases occur again and again."""
        found = self._known_shares.get((card.name, applies))
        if found is None:
            totals: dict[str, float] = {}
            for signal, holds in zip(card.signals, applies, strict=True):
                totals[signal.group] = totals.get(signal.group, 0.0) + (signal.weight if holds is not False else 0.0)
            found = [
                round(SCALE * card.weights[signal.group] * signal.weight / totals[signal.group]) if holds is not False else 0
                for signal, holds in zip(card.signals, applies, strict=True)
            ]
            self._known_shares[card.name, applies] = found
        return found

    def _written(self, columns: Mapping[str, Column]) -> list[list[Line]]:
        """Return each card's signals with their words, whose figures are written as the units of the columns ask."""

        def line(signal: Signal) -> Line:
            def writer_of(name: str) -> Writer:
                unit, currency = unit_of(columns.get(signal.bare or "" if name == "value" else name))
                return writer((signal.unit or unit) if name == "value" else unit, currency)

            return Line(signal, Text(signal.reason, writer_of), Text(signal.fine, writer_of))

        return [[line(signal) for signal in card.signals] for card in self._cards]


def _contribution(reading: Reading, weight: float, points: Decimal, view: Mapping[str, Value]) -> Contribution:
    line, figure = reading.line, reading.figure
    signal = line.signal
    bare = view[signal.bare] if signal.bare else None
    return Contribution(
        measure=signal.measure,
        group=signal.group,
        value=round(figure, 4) if bare is None else bare,
        points=points,
        text=(line.reason if points else line.fine).fill(view, figure if bare is None else bare),
        weight=weight,
    )


@lru_cache(maxsize=4096)
def _ratio(weight: int, whole: int) -> float:
    """Return a share as it is shown; as long as nothing fades, the same few occur again and again."""
    return round(weight / whole, 4)


def _cause(known: Sequence[tuple[Reading, Part]], points: Sequence[Decimal], view: Mapping[str, Value]) -> str:
    """Return the main cause in words."""
    tenure = view[TENURE]
    return WORDS[
        main_cause(
            [(reading.line.signal.cause, lost) for (reading, _), lost in zip(known, points, strict=True)],
            unpaid=view[UNPAID] is True,
            new=isinstance(tenure, (int, float)) and tenure < NEW_DAYS,
        )
    ]


def _note(card: Card, readings: Sequence[Reading]) -> str:
    counted = {reading.line.signal.group for reading in readings}
    absent = [group for group, weight in card.weights.items() if weight and group not in counted]
    missing = [reading.line.signal.name for reading in readings if reading.part is None]
    parts = [f"card {card.name}"]
    if absent:
        parts.append(f"no data on {', '.join(absent)}")
    if missing:
        parts.append(f"unknown: {', '.join(missing)}")
    return "; ".join(parts)


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
