"""From configuration to scorecards: which signals count for whom, and with which weight."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from wellkept import Unit
from wellkept.errors import ConfigError
from wellkept.expressions import Expression, parse
from wellkept_health import features
from wellkept_health.card import Knots
from wellkept_health.config import CardTable, HealthConfig, SignalTable
from wellkept_health.defaults import CARDS, CAUSES, SIGNALS, WEIGHTS
from wellkept_health.past import split
from wellkept_health.words import pieces, places

REQUIRED = ("group", "value", "knots", "reason")
"""What a new signal must say."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a scorecard; see `wellkept_health.config.SignalTable` for its parts.

    A contribution is filed under `measure`, the first column of the value.
    """

    name: str
    group: str
    value: Expression
    knots: Knots
    reason: tuple[str, ...]
    fine: tuple[str, ...]
    measure: str
    bare: str | None
    """The column, where the value is nothing but a column."""
    cause: str
    weight: float = 1.0
    ceiling: int = 100
    when: Expression | None = None
    age: Expression | None = None
    half_life: float | None = None
    unit: Unit | None = None
    columns: frozenset[str]
    """The columns that its value is computed from."""
    names: frozenset[str]
    """All names that it reads."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A scorecard: its signals, and the weight of each group."""

    name: str
    when: Expression | None
    weights: Mapping[str, float]
    signals: tuple[Signal, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that its values are computed from."""
        return frozenset[str]().union(*(signal.columns for signal in self.signals))

    @property
    def names(self) -> frozenset[str]:
        """All names that it reads."""
        names = self.when.names if self.when else frozenset()
        return names.union(*(signal.names for signal in self.signals))


def build(config: HealthConfig) -> tuple[Card, ...]:
    """Return the cards in the order in which they are tried; the last one is for everybody.

    Raises:
        ConfigError: A signal or weight cannot be used; names its key.
    """
    tables = merge(SIGNALS, config.signals, "signals")
    if not config.features:
        tables = {name: parts for name, parts in tables.items() if name not in features.SIGNALS}
    if not config.leaving_events:
        tables = {name: parts for name, parts in tables.items() if name != "leaving_events"}
    weights = config.weights or WEIGHTS
    groups = {*WEIGHTS, *weights, *(group for card in config.scorecards or () for group in card.weights or ())}
    for name, parts in tables.items():
        if parts["group"] not in groups:
            mend = _nearest(parts["group"], groups)
            raise ConfigError(f"there is no group {parts['group']!r}", key=f"signals.{name}.group", guidance=mend)
    counted = features.Features(config.features).counted
    cards = [CardTable.model_validate(card) for card in CARDS] if config.scorecards is None else config.scorecards
    result = []
    for index, card in enumerate(cards):
        key = f"scorecards.{index}"
        changes = {name: change for name, change in card.signals.items() if name in tables or name not in SIGNALS}
        own = merge(tables, changes, f"{key}.signals", new=False)
        signals = [_signal(name, parts, counted) for name, parts in own.items()]
        result.append(_card(card, card.weights or weights, signals, f"{key}.weights"))
    everybody = [_signal(name, parts, counted) for name, parts in tables.items()]
    return (*result, _card(None, weights, everybody, "weights"))


def merge(
    base: Mapping[str, Mapping[str, Any]], changes: Mapping[str, SignalTable], key: str, *, new: bool = True
) -> dict[str, dict[str, Any]]:
    """Return signals with the parts that a person changed.

    Args:
        base: Signals by name, as plain data.
        changes: What a person wrote.
        key: Where it stands, for messages.
        new: Whether signals may be added.

    Raises:
        ConfigError: A new signal lacks something, or there is no such signal to change.
    """
    result = {name: dict(parts) for name, parts in base.items()}
    for name, table in changes.items():
        parts = {part: value for part, value in table.model_dump().items() if value is not None}
        if name in result:
            result[name] |= parts
            continue
        missing = [part for part in REQUIRED if part not in parts]
        if missing or not new:
            near = difflib.get_close_matches(name, list(result), n=1)
            what = f"a new signal needs {missing[0]!r}" if missing and new else "there is no such signal"
            raise ConfigError(what, key=f"{key}.{name}", guidance=f"did you mean {near[0]!r}?" if near else None)
        result[name] = parts
    return {name: parts for name, parts in result.items() if parts.get("enabled", True)}


def _card(card: CardTable | None, weights: Mapping[str, float], signals: Sequence[Signal], key: str) -> Card:
    """Return a card, the one for everybody where there is no table of it."""
    groups = {signal.group for signal in signals}
    for group in weights:
        if group not in groups:
            raise ConfigError(f"there is no group {group!r}", key=key, guidance=_nearest(group, groups))
    return Card(
        name=card.name if card else "default",
        when=parse(card.when, condition=True) if card else None,
        weights=weights,
        signals=tuple(signal for signal in signals if weights.get(signal.group, 0) > 0),
    )


def _signal(name: str, parts: Mapping[str, Any], counted: frozenset[str]) -> Signal:
    if ("age" in parts) != ("half_life" in parts):
        raise ConfigError("age and half_life go together", key=f"signals.{name}", guidance="give both, or neither")
    value = parse(parts["value"])
    reason, fine = parts["reason"], parts.get("fine", parts["reason"])
    when = parse(parts["when"], condition=True) if "when" in parts else None
    age = parse(parts["age"]) if "age" in parts else None
    read = value.names.union(*(expression.names for expression in (when, age) if expression))
    measure = min(value.names, key=lambda other: (value.text.find(other), -len(other)), default=name)
    columns = frozenset(found[0] if (found := split(other)) else other for other in value.names - {*features.NAMES})
    return Signal(
        name=name,
        group=parts["group"],
        value=value,
        knots=parts["knots"],
        reason=pieces(reason),
        fine=pieces(fine),
        measure=measure,
        bare=measure if value.text.strip() == measure else None,
        cause=parts.get("cause", CAUSES.get(parts["group"], "other")),
        weight=parts.get("weight", 1.0),
        ceiling=parts.get("ceiling", 100),
        when=when,
        age=age,
        half_life=parts.get("half_life"),
        unit=parts.get("unit"),
        columns=columns if columns or value.names.isdisjoint(features.NAMES) else counted,
        names=read | (places(reason) | places(fine)) - {"value"},
    )


def _nearest(word: str, words: Collection[str]) -> str:
    near = difflib.get_close_matches(word, sorted(words), n=1)
    return f"did you mean {near[0]!r}?" if near else f"groups: {', '.join(sorted(words))}"
