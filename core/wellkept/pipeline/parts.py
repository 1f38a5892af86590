"""The parts of a plan: a declared measure or formula after it was checked, and the streams behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from wellkept.expressions import Expression, parse
from wellkept.frame import Formula, Measure
from wellkept.pipeline.fields import Field, checked_unit, fields_of, find_field
from wellkept.records import Account, Person, Record

QUANTILES = frozenset({"median", "p90"})
"""Aggregates that need the rows in order."""

ADDITIVE = frozenset({"count", "distinct", "sum", "any", "slope"})
"""Aggregates that are zero, and not unknown, over no rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """A stream that yields a record type.

    Attributes:
        instance: The plugin instance.
        stream: The stream's name.
        stale_after: When its data no longer count; None takes the configured default.
        plugin: The plugin's name, by which a measure may name the stream as well: ``stripe.invoices`` of ``stripe-eu``.
    """

    instance: str
    stream: str
    stale_after: timedelta | None = None
    plugin: str | None = None

    @property
    def names(self) -> set[str]:
        """What a measure may call it."""
        return {f"{self.instance}.{self.stream}", f"{self.plugin}.{self.stream}"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A checked measure.

    Attributes:
        owner: Who declared it.
        measure: The declaration, with the unit that it really has.
        field: What is aggregated.
        time: What places a row in time.
        where: The filter.
        per: Of rows with one value of it, only the latest counts.
        having: The filter over those.
        instance: Only rows of this instance count (a mapped custom field).
        feeds: The streams that feed it.
    """

    owner: str
    measure: Measure
    field: Field | None
    time: Field | None
    where: Expression | None
    per: Field | None
    having: Expression | None
    instance: str | None
    feeds: tuple[Feed, ...]

    @property
    def name(self) -> str:
        """The column."""
        return self.measure.name

    @property
    def money(self) -> bool:
        """Whether there is a column per currency."""
        return self.measure.unit == "money"

    @property
    def additive(self) -> bool:
        """Whether no rows mean zero."""
        return self.measure.aggregate in ADDITIVE


@dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """A checked formula.

    Attributes:
        owner: Who declared it.
        formula: The declaration.
        value: The expression.
    """

    owner: str
    formula: Formula
    value: Expression


def checked(owner: str, measure: Measure, instance: str | None, feeds: Mapping[str, Sequence[Feed]]) -> Part:
    """Check one measure. Raises `ValueError` with what is wrong."""
    record = measure.record
    check_name(measure.name)
    fields = fields_of(record)
    if record not in {Account, Person} and not {"account_ref", "person_ref"} & fields.keys():
        raise ValueError(f"{record.type} has neither account_ref nor person_ref, so its rows belong to no account")
    time = None if measure.time is None else find_field(record, measure.time, "date")
    if time is not None and (time.custom or time.sort not in {"instant", "day", "int"}):
        raise ValueError(f"{measure.time!r} is neither an instant nor a day of {record.type}")
    _check_window(measure)
    per = None if measure.per is None else find_field(record, measure.per, "scalar")
    field = _aggregated(measure)
    unit = checked_unit(measure, field)
    names = {name: known.unit for name, known in fields.items()} | {"as_of": "date", "today": "text"}
    return Part(
        owner=owner,
        measure=msgspec.structs.replace(measure, unit=unit),
        field=field,
        time=time,
        where=None if measure.where is None else parse(measure.where, names=names, condition=True),
        per=per,
        having=None if measure.having is None else parse(measure.having, names=names, condition=True),
        instance=instance,
        feeds=tuple(
            feed
            for feed in feeds.get(record.type, ())
            if instance in {None, feed.instance} and (not measure.streams or feed.names & {*measure.streams})
        ),
    )


def _aggregated(measure: Measure) -> Field | None:
    if measure.aggregate in {"count", "any"}:
        if measure.field is not None:
            raise ValueError(f"{measure.aggregate!r} has no use for the field {measure.field!r}")
        return None
    if measure.field is None:
        raise ValueError(f"{measure.aggregate!r} needs a field")
    return find_field(measure.record, measure.field, "scalar" if measure.aggregate == "distinct" else measure.unit)


def check_name(name: str) -> None:
    """Raise `ValueError` unless a name can be a column's."""
    if not name.isidentifier() or name != name.lower():
        raise ValueError("the name must consist of lower-case letters, digits and _")


def _check_window(measure: Measure) -> None:
    if measure.window is not None and measure.window < 1:
        raise ValueError(f"a window of {measure.window} days has no day in it")
    if measure.offset < 0:
        raise ValueError("an offset into the future would look at what is not known yet")
    if measure.time is None and (measure.window is not None or measure.offset or measure.aggregate == "latest"):
        raise ValueError("`window`, `offset` and 'latest' need `time`")
    if measure.per is not None and measure.time is None:
        raise ValueError("`per` needs `time`, which says what is the latest")
    if measure.per is not None and (measure.unit == "money" or measure.aggregate in {"latest", "slope"} | QUANTILES):
        raise ValueError("`per` does not go with money, nor with 'latest', 'slope', 'median' and 'p90'")
    if measure.having is not None and measure.per is None:
        raise ValueError("`having` filters what `per` has chosen; without `per` write `where`")
    if measure.ago < 0:
        raise ValueError("`ago` counts days into the past")
    if measure.ago and (measure.per is not None or measure.aggregate in {"latest", "slope"} | QUANTILES):
        raise ValueError("`ago` does not go with `per`, nor with 'latest', 'slope', 'median' and 'p90'")
    if measure.ago and (measure.record in {Account, Person} or not measure.record.history):
        raise ValueError(f"`ago` needs a type that keeps history and names its account, and {measure.record.type} is none")
    if measure.aggregate == "slope" and (measure.window is None or measure.window < 2):
        raise ValueError("'slope' needs a window of at least two days")


def check_formula(formula: Formula, value: Expression) -> None:
    """Raise `ValueError` unless a formula's unit fits what it yields."""
    wanted = "flag" if formula.unit == "flag" else "number"
    if formula.unit in {"money", "text", "date"} or value.kind != wanted:
        raise ValueError(f"a formula that yields a {value.kind} cannot be taken as {formula.unit!r}")


def record_types(parts: Iterable[Part]) -> list[type[Record]]:
    """Return the record types that some parts are computed from, each once."""
    return list(dict.fromkeys(part.measure.record for part in parts))
