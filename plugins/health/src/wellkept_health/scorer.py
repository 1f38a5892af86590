"""The scorer: weighs each account's signals by the card that fits it, and explains every point."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import compress, repeat
from operator import attrgetter, itemgetter
from typing import NamedTuple

import msgspec

from wellkept import Column, Frame, Score, Scorer, Value
from wellkept.errors import ConfigError
from wellkept.expressions import Expression, parse
from wellkept_health.bands import BANDS, Borders
from wellkept_health.card import FULL, fade, losses, points
from wellkept_health.cards import Signal, build
from wellkept_health.causes import WORDS, main_cause
from wellkept_health.config import HealthConfig
from wellkept_health.defaults import NEW_DAYS
from wellkept_health.features import NAMES, UNUSED, Features
from wellkept_health.lines import REMEMBERED, Line, Reading, State
from wellkept_health.past import Memory
from wellkept_health.words import Writer, unit_of, writer

TENURE, UNPAID = "tenure_days", "ended_unpaid"
"""Columns that the main cause is told from."""

SCALE = 1_000_000
"""Parts into which one point of a card's weight is divided."""

REFERENCE = Decimal(100)
"""Where an explanation starts: full health, from which every reason takes its part."""

_STATE, _TAKEN = attrgetter("state"), itemgetter(0)
_KINDS = {"span": "a span of time", "text": "a text", "date": "a date"}
_MENDS = {
    "span": "divide it by days(1)",
    "text": "compare it with something",
    "date": "take a column of unit days, which is the age",
}


class Layout(msgspec.Struct, frozen=True, eq=False):
    """What a card comes to for accounts of whom the same signals are known.

    Attributes:
        counted: For each signal of the card, whether it is weighed.
        lines: Those that are,
        weights: their weights before fading, in parts of the card,
        fading: and the places of those that fade, with their half-lives.
        every: The signals that are part of the card, known or not.
        total: The sum of their weights.
        note: The card, and the groups of which there are no data.
    """

    counted: Sequence[bool]
    lines: Sequence[Line]
    weights: Sequence[int]
    fading: Sequence[tuple[int, float]]
    every: Sequence[Line]
    total: int
    note: str


class Weighing(NamedTuple):
    """What is weighed of a layout.

    Attributes:
        lines: The signals of which anything is left,
        weights: their weights,
        shares: and their shares of the whole.
        weight: The sum of the weights.
        coverage: What share of the card that is.
        note: The layout's, and which signals are unknown.
    """

    lines: Sequence[Line]
    weights: Sequence[int]
    shares: Sequence[float]
    weight: int
    coverage: float
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
        count = len(frame)
        table = {name: frame.column(name) for name in self._uses}
        kept: Sequence[Mapping[str, Value]] = [{}] * count
        if self._memory.names:
            past = [
                self._memory.recall(row, frame.as_of, previous.get(account))
                for account, row in zip(frame.accounts, _rows(table, self._memory.columns, count), strict=True)
            ]
            table |= {name: [values[name] for values, _ in past] for name in self._memory.names}
            kept = [carry for _, carry in past]
        looks = [self._features.look(row) for row in _rows(table, self._features.columns, count)]
        table |= {name: [look[name] for look in looks] for name in NAMES}
        given = zip(frame.accounts, kept, table[TENURE], table[UNPAID], strict=True)
        subjects = [Subject(account, previous.get(account), carry, tenure, unpaid) for account, carry, tenure, unpaid in given]
        remaining: Sequence[int] = range(count)
        for place, card in enumerate(self._cards):
            held = _holds(card.when, _at(remaining, table, count), len(remaining))
            chosen = [index for index, holds in zip(remaining, held, strict=True) if holds is True]
            remaining = [index for index, holds in zip(remaining, held, strict=True) if holds is not True]
            if chosen:
                yield from self._scores(place, frame, chosen, _at(chosen, table, count), subjects)

    def _scores(
        self, place: int, frame: Frame, chosen: Sequence[int], table: Mapping[str, Sequence[Value]], subjects: Sequence[Subject]
    ) -> Iterator[Score]:
        """Yield the scores of the accounts of one card.

        Args:
            place: The card.
            frame: All accounts.
            chosen: Where those of the card are.
            table: Their cells.
            subjects: All accounts.
        """
        columns = [line.readings(table, _holds(line.signal.when, table, len(chosen))) for line in self._lines[place]]
        for index, absent, row in zip(chosen, self._absent(place, frame, chosen), zip(*columns, strict=True), strict=True):
            layout = self._layout(place, absent, tuple(map(_STATE, row)))
            yield self._score(subjects[index], layout, list(compress(row, layout.counted)))

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
        return (tuple(found.get(index, ())) for index in chosen) if found else repeat((), len(chosen))

    def _score(self, about: Subject, layout: Layout, readings: Sequence[Reading]) -> Score:
        """Return the score of an account.

        Args:
            about: The account.
            layout: The card.
            readings: What each of its lines says.
        """
        faded = [*layout.weights]
        for index, half_life in layout.fading:
            faded[index] = fade(faded[index], readings[index].age or 0, half_life)
        lines, weights, shares, weight, coverage, note = self._weigh(layout, tuple(faded))
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
        if 0 in faded:
            readings = list(compress(readings, faded))
        lossy = [index for index, reading in enumerate(readings) if reading.health < FULL]
        taken = losses(
            [weights[index] for index in lossy],
            [readings[index].health for index in lossy],
            [readings[index].limit for index in lossy],
            weight,
        )
        value = REFERENCE + points(-sum(taken))
        band, carry = self._borders.band(value, about.previous)
        worst = sorted(compress(zip(taken, lossy, strict=True), taken), key=_TAKEN, reverse=True)
        contributions = [lines[index].say(readings[index], each, shares[index]) for each, index in worst]
        gone = {index for _, index in worst}
        contributions += [
            reading.fine.get(share) or line.say(reading, 0, share)
            for index, (line, reading, share) in enumerate(zip(lines, readings, shares, strict=True))
            if index not in gone
        ]
        if value < REFERENCE:
            note += f"; main cause: {_cause([(lines[index].signal.cause, -each) for each, index in worst], about)}"
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

    def _laid_out(self, place: int, absent: Sequence[str], states: Sequence[State]) -> Layout:
        """Return the signals that are part of the card.

        A group is no part of the card when each of its signals lacks a column because *there are no such data*: no source
        yields them. Data that exist for others but not for this account (``unmatched``, ...) are missing, and lower the
        coverage.

        Args:
            place: The card.
            absent: Columns of which there are no data.
            states: What can be weighed of its signals, and which are meant for such an account.
        """
        card = self._cards[place]
        groups = {signal.group for signal in card.signals if signal.columns.isdisjoint(absent)}
        present = [state != "not part" and signal.group in groups for signal, state in zip(card.signals, states, strict=True)]
        every = list(compress(self._lines[place], present))
        signals = [line.signal for line in every]
        totals: dict[str, float] = {}
        for signal in signals:
            totals[signal.group] = totals.get(signal.group, 0.0) + signal.weight
        shares = [round(SCALE * card.weights[signal.group] * signal.weight / totals[signal.group]) for signal in signals]
        known = [state == "known" for state in compress(states, present)]
        lines = list(compress(every, known))
        missing = [group for group, weight in card.weights.items() if weight and group not in totals]
        return Layout(
            counted=[here and state == "known" for here, state in zip(present, states, strict=True)],
            lines=lines,
            weights=list(compress(shares, known)),
            fading=[(index, line.signal.half_life) for index, line in enumerate(lines) if line.signal.half_life is not None],
            every=every,
            total=sum(shares),
            note=f"card {card.name}" + (f"; no data on {', '.join(missing)}" if missing else ""),
        )

    def _write(self, columns: Mapping[str, Column]) -> None:
        """Get each card's signals with their words ready, whose figures are written as the units of the columns ask."""

        def line(signal: Signal) -> Line:
            def writer_of(name: str) -> Writer:
                unit, currency = unit_of(columns.get(signal.bare or "" if name == "value" else name))
                return writer((signal.unit or unit) if name == "value" else unit, currency)

            return Line(signal, writer_of)

        self._lines = [[line(signal) for signal in card.signals] for card in self._cards]
        self._layout: Callable[[int, Sequence[str], Sequence[State]], Layout] = lru_cache(REMEMBERED)(self._laid_out)
        self._weigh: Callable[[Layout, tuple[int, ...]], Weighing] = lru_cache(REMEMBERED)(_weighed)


def _weighed(layout: Layout, weights: tuple[int, ...]) -> Weighing:
    """Return what is left of a layout with these weights; a signal without any says nothing."""
    lines = list(compress(layout.lines, weights))
    unknown = [line.signal.name for line in layout.every if line not in lines]
    weight = sum(weights)
    return Weighing(
        lines=lines,
        weights=list(filter(None, weights)),
        shares=[round(each / weight, 4) for each in weights if each],
        weight=weight,
        coverage=round(weight / layout.total, 4) if layout.total else 0.0,
        note=layout.note + (f"; unknown: {', '.join(unknown)}" if unknown else ""),
    )


def _rows(table: Mapping[str, Sequence[Value]], names: Collection[str], count: int) -> Iterator[dict[str, Value]]:
    """Yield some cells of each account by name."""
    cells = zip(*[table[name] for name in names], strict=True) if names else repeat((), count)
    return (dict(zip(names, row, strict=True)) for row in cells)


def _at(places: Sequence[int], table: Mapping[str, Sequence[Value]], count: int) -> Mapping[str, Sequence[Value]]:
    """Return the cells at some of so many places."""
    if len(places) == count:
        return table
    return {name: [column[index] for index in places] for name, column in table.items()}


def _holds(when: Expression | None, table: Mapping[str, Sequence[Value]], count: int) -> Sequence[bool | None]:
    """Return whether a condition holds for each of so many accounts; None where that is unknown."""
    return [True] * count if when is None else when.evaluate_all(table, count)


def _cause(lost: Sequence[tuple[str, int]], about: Subject) -> str:
    """Return the main cause in words."""
    new = isinstance(about.tenure, (int, float)) and about.tenure < NEW_DAYS
    return WORDS[main_cause(lost, unpaid=about.unpaid is True, new=new)]


def _check(expression: Expression, names: Mapping[str, Column], key: str, *, condition: bool = False) -> str:
    try:
        return parse(expression.text, names=names, condition=condition).kind
    except ConfigError as error:
        raise ConfigError(error.message, key=key, guidance=error.guidance) from None
