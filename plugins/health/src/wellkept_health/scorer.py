"""The scorer: weighs each account's signals by the card that fits it, and explains every point."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite

import msgspec

from wellkept import AccountScorer, Column, Contribution, Row, Score, Value
from wellkept.errors import ConfigError
from wellkept.expressions import Expression, parse
from wellkept_health.bands import BANDS, Borders
from wellkept_health.card import Part, fade, interpolate, losses
from wellkept_health.cards import Card, Signal, build
from wellkept_health.config import HealthConfig
from wellkept_health.past import Memory
from wellkept_health.words import fill, unit_of, write

SCALE = 1_000_000
"""Parts into which one point of a card's weight is divided."""

REFERENCE = Decimal(100)
"""Where an explanation starts: full health, from which every reason takes its part."""

_KINDS = {"span": "a span of time", "text": "a text", "date": "a date"}
_MENDS = {
    "span": "divide it by days(1)",
    "text": "compare it with something",
    "date": "take a column of unit days, which is the age",
}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a signal says about one account.

    Attributes:
        signal: The signal.
        share: Its weight before fading, in parts of the card.
        part: Weight and health to be weighed; None when something is unknown.
        figure: The value; means nothing without `part`.
    """

    signal: Signal
    share: int
    part: Part | None
    figure: float


class HealthScorer(AccountScorer):
    """A weighted scorecard; see the README.

    Args:
        config: What a person wrote.
    """

    version = "1"
    bands = BANDS

    def __init__(self, config: HealthConfig) -> None:
        self.name = config.name
        self._cards = build(config)
        self._min_coverage = config.min_coverage
        self._borders = Borders(
            red_below=config.bands.red_below, green_above=config.bands.green_above, margin=config.bands.margin
        )
        self._names = frozenset[str]().union(*(card.names for card in self._cards))
        self._memory = Memory(self._names)
        self._columns: Mapping[str, Column] = {}

    @property
    def uses(self) -> frozenset[str]:
        """The columns of all cards."""
        return self._names - self._memory.names.keys() | frozenset(self._memory.names.values())

    def bind(self, columns: Mapping[str, Column]) -> None:
        """Check every expression against the columns' units.

        Raises:
            ConfigError: Something is compared or divided that cannot be; names the signal.
        """
        names = {**columns, **{name: columns[column] for name, column in self._memory.names.items() if column in columns}}
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
        self._columns = names

    def score_account(self, row: Row, previous: Score | None) -> Score:
        """Return one account's score."""
        past, kept = self._memory.recall(row, previous)
        view: Mapping[str, Value] = ChainMap(past, row)  # type: ignore[arg-type]
        card = next(card for card in self._cards if card.when is None or card.when.holds(view))
        readings = list(self._readings(card, row, view))
        known = [(reading, reading.part) for reading in readings if reading.part is not None]
        share = sum(reading.share for reading in readings)
        coverage = round(sum(part.weight for _, part in known) / share, 4) if share else 0.0
        note = self._note(card, readings)
        if not known or coverage < self._min_coverage:
            return Score(
                account=row.account,
                value=None,
                band=None,
                coverage=coverage,
                reference=REFERENCE,
                note=f"not scored: coverage {coverage:.2f}; {note}",
                carry=kept,
            )
        weight = sum(part.weight for _, part in known)
        points = losses([part for _, part in known])
        value = sum(points, REFERENCE)
        band, carry = self._borders.band(value, previous)
        contributions = [
            self._contribution(reading, part.weight / weight, lost, view)
            for (reading, part), lost in zip(known, points, strict=True)
        ]
        return Score(
            account=row.account,
            value=value,
            band=band,
            coverage=coverage,
            reference=REFERENCE,
            contributions=sorted(contributions, key=lambda item: item.points),
            note=note,
            carry={**kept, **carry},
        )

    def _readings(self, card: Card, row: Row, view: Mapping[str, Value]) -> Iterator[Reading]:
        """Yield the signals that are part of the card for this account."""
        applicable = [(signal, signal.when.evaluate(view) if signal.when else True) for signal in card.signals]
        groups = _groups_with_data(card, row)
        counted = [(signal, holds) for signal, holds in applicable if signal.group in groups and holds is not False]
        totals: dict[str, float] = {}
        for signal, _ in counted:
            totals[signal.group] = totals.get(signal.group, 0.0) + signal.weight
        for signal, holds in counted:
            share = round(SCALE * card.weights[signal.group] * signal.weight / totals[signal.group])
            figure = _figure(signal.value, view) if holds is True else None
            weight = share if figure is not None else 0
            if signal.age is not None and signal.half_life is not None:
                age = _figure(signal.age, view)
                weight = 0 if age is None else fade(weight, age, signal.half_life)
            if figure is None or not weight:
                yield Reading(signal=signal, share=share, part=None, figure=0.0)
                continue
            part = Part(weight=weight, health=interpolate(signal.knots, figure), ceiling=signal.ceiling)
            yield Reading(signal=signal, share=share, part=part, figure=figure)

    def _contribution(self, reading: Reading, weight: float, points: Decimal, view: Mapping[str, Value]) -> Contribution:
        signal = reading.signal
        bare = view[signal.bare] if signal.bare else None
        text = signal.reason if points else signal.fine
        figures = {name: write(view[name], *unit_of(self._columns.get(name))) for name in signal.shown}
        unit, currency = unit_of(self._columns.get(signal.bare or ""))
        figures["value"] = write(reading.figure if bare is None else bare, signal.unit or unit, currency)
        return Contribution(
            measure=signal.measure,
            group=signal.group,
            value=round(reading.figure, 4) if bare is None else bare,
            points=points,
            text=fill(text, figures),
            weight=round(weight, 4),
        )

    def _note(self, card: Card, readings: list[Reading]) -> str:
        counted = {reading.signal.group for reading in readings}
        absent = [group for group, weight in card.weights.items() if weight and group not in counted]
        missing = [reading.signal.name for reading in readings if reading.part is None]
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


def _groups_with_data(card: Card, row: Row) -> frozenset[str]:
    """Return the groups of which anything at all is known, or could be.

    A group is no part of the card when each of its signals lacks a column because *there are no such data*: no source yields
    them. Data that exist for others but not for this account (``unmatched``, ...) are missing, and lower the coverage.
    """
    return frozenset(signal.group for signal in card.signals if not any(row.gap(name) == "none" for name in signal.columns))


def _figure(expression: Expression, view: Mapping[str, Value]) -> float | None:
    """Return a value as a number, flags as 0 and 1; None when unknown."""
    value = expression.evaluate(view)
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else None
