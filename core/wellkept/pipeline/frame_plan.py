"""The plan of the frame: which columns there are, where each comes from, and which streams must be fresh for it.

A plan is made once from what plugins declare, what config maps, and core's own columns. It is checked as a whole: a mistake is
reported with the name of who made it, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from wellkept.errors import ConfigError, StoreError
from wellkept.expressions import Expression, ExpressionError, nearest, parse
from wellkept.frame import Column, Measure
from wellkept.money import EXPONENTS
from wellkept.pipeline.fields import Field, checked_unit, fields_of, find_field
from wellkept.records import Account, Person, Record

if TYPE_CHECKING:
    from wellkept.settings import MappedField
    from wellkept.store.records import RecordTables

CORE = "core"
"""The owner of the columns that are always there."""

BUILT_IN: tuple[Measure, ...] = (
    Measure(name="country", record=Account, aggregate="latest", field="country", time="version", unit="text", doc="Country."),
    Measure(name="segment", record=Account, aggregate="latest", field="segment", time="version", unit="text", doc="Segment."),
    Measure(
        name="owner_known",
        record=Account,
        aggregate="any",
        where="owner_ref is not None",
        unit="flag",
        doc="Somebody on our side looks after the account.",
    ),
    Measure(
        name="tenure_days",
        record=Account,
        aggregate="min",
        field="created_at",
        unit="days",
        doc="Days since a vendor first knew the account.",
    ),
)
"""Columns of every frame. The account's name is not among them: it is personal, and found by the account's id."""

ADDITIVE = frozenset({"count", "distinct", "sum", "any", "slope"})
"""Aggregates that are zero, and not unknown, over no rows."""

_FORMAT = 1
"""Raise it when the same plan would give other cells than before."""


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
        instance: Only rows of this instance count (a mapped custom field).
        feeds: The streams that feed it.
    """

    owner: str
    measure: Measure
    field: Field | None
    time: Field | None
    where: Expression | None
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


class Plan:
    """All columns of the frame.

    Args:
        measures: Declared measures with their owners (instances), in display order.
        tables: The tables of the records.
        feeds: For each record type's name, the streams that yield it.
        mapped: Columns from custom fields: instance to column to its mapping.
        zone: Decides where a day ends.
        reporting_currency: ISO 4217 code.
        where: Who is a customer: an expression over the columns.
        stale_after_hours: For streams that do not say themselves.
        report: Is told whose measure is wrong and why; the measure is left out, so that one plugin's mistake does not stop the
            others. Without it the mistake is raised.

    Attributes:
        parts: The checked measures by column name.
        feeds: All streams that feed any column.
        names: The columns that an expression may name, for `wellkept.expressions.parse`.
        where: The parsed filter of accounts.
        digest: Changes when the same data would give other cells.

    Raises:
        ConfigError: Two measures have one name, or a field, unit or filter does not fit; names the owners.
    """

    def __init__(
        self,
        measures: Iterable[tuple[str, Measure]],
        *,
        tables: RecordTables,
        feeds: Mapping[str, Sequence[Feed]],
        mapped: Mapping[str, Mapping[str, MappedField]] | None = None,
        zone: str = "UTC",
        reporting_currency: str = "USD",
        where: str | None = None,
        stale_after_hours: float = 36,
        report: Callable[[str, ConfigError], None] | None = None,
    ) -> None:
        self.tables = tables
        self.zone = ZoneInfo(zone)
        self.reporting = reporting_currency.lower()
        self.stale_after = timedelta(hours=stale_after_hours)
        if self.reporting not in EXPONENTS:
            raise ConfigError(f"{reporting_currency!r} is not an ISO 4217 currency", key="wellkept.reporting_currency")
        self.parts: dict[str, Part] = {}
        self._currencies = {self.reporting}
        declared: list[tuple[str, Measure | tuple[str, MappedField]]] = [(CORE, measure) for measure in BUILT_IN]
        declared += measures
        declared += [(owner, item) for owner, columns in (mapped or {}).items() for item in columns.items()]
        for owner, item in declared:
            try:
                self._add(owner, item, feeds)
            except ConfigError as error:
                if report is None:
                    raise
                report(owner, error)
        self.feeds = tuple(dict.fromkeys(feed for part in self.parts.values() for feed in part.feeds))
        self.names = Names(self)
        self.where = self._where(where)
        self.digest = self._digest()

    @property
    def columns(self) -> dict[str, Column]:
        """The columns that every frame has, in display order. Frames have more for other currencies in the data."""
        return self.columns_for(())

    def columns_for(self, currencies: Iterable[str]) -> dict[str, Column]:
        """Return the columns of a frame in which these currencies occur."""
        codes = sorted(self._currencies.union(currencies))
        columns: dict[str, Column] = {}
        for part in self.parts.values():
            columns[part.name] = self._column(part, None)
            if part.money:
                columns.update((f"{part.name}_{code}", self._column(part, code)) for code in codes)
        return columns

    def column(self, name: str) -> Column | None:
        """Return a column, also that of a currency which no account uses; None when there is none."""
        part, currency = self.split(name)
        return None if part is None else self._column(part, currency)

    def split(self, name: str) -> tuple[Part | None, str | None]:
        """Return the part behind a column's name, and the currency where the column is of one alone."""
        if name in self.parts:
            return self.parts[name], None
        stem, _, code = name.rpartition("_")
        part = self.parts.get(stem)
        return (part, code) if part is not None and part.money and code in EXPONENTS else (None, None)

    def require(self, names: Iterable[str], *, by: str) -> None:
        """Make sure that columns exist, in every frame from now on.

        Args:
            names: Columns that a scorer, policy or push reads.
            by: Whose they are, for the message.

        Raises:
            ConfigError: There is no such column; names the nearest one.
        """
        for name in sorted(names):
            part, currency = self.split(name)
            if part is None:
                raise ConfigError(f"{by}: there is no column {name!r}", guidance=nearest(name, list(self.columns)))
            if currency is not None:
                self._currencies.add(currency)

    def _column(self, part: Part, currency: str | None) -> Column:
        doc = part.measure.doc
        if not part.money:
            return Column(name=part.name, unit=part.measure.unit, doc=doc)
        if currency is None:
            doc += f" All currencies, converted to {self.reporting.upper()}."
            return Column(name=part.name, unit="money", doc=doc, currency=self.reporting)
        return Column(
            name=f"{part.name}_{currency}", unit="money", doc=f"{doc} In {currency.upper()} alone.", currency=currency
        )

    # --- checks ---

    def _add(self, owner: str, item: Measure | tuple[str, MappedField], feeds: Mapping[str, Sequence[Feed]]) -> None:
        """Check one measure and take it in. A mapped custom field counts at its own instance alone."""
        measure = item if isinstance(item, Measure) else self._mapped(owner, *item)
        known = self.parts.get(measure.name)
        if known is not None:
            raise ConfigError(
                f"the column {measure.name!r} is declared by {known.owner} and by {owner}", guidance="rename one of them"
            )
        try:
            self.tables.shape(measure.record)
            part = _checked(owner, measure, None if measure is item else owner, feeds)
        except ExpressionError as error:
            raise ConfigError(f"column {measure.name!r} of {owner}: where: {error.message}", guidance=error.guidance) from None
        except StoreError as error:
            raise ConfigError(f"column {measure.name!r} of {owner}: {error.message}", guidance=error.guidance) from None
        except ValueError as error:
            raise ConfigError(f"column {measure.name!r} of {owner}: {error}") from None
        for other in self.parts.values():
            for plain, money in ((part, other), (other, part)):
                code = plain.name.removeprefix(f"{money.name}_")
                if money.money and code != plain.name and code in EXPONENTS:
                    raise ConfigError(
                        f"the column {plain.name!r} of {plain.owner} is what {money.name!r} of {money.owner} has in"
                        f" {code.upper()}",
                        guidance="rename one of them",
                    )
        self.parts[part.name] = part

    def _mapped(self, instance: str, name: str, mapping: MappedField) -> Measure:
        types = {type_.type: type_ for type_ in self.tables.types}
        if mapping.record not in types:
            raise ConfigError(
                f"there is no record type {mapping.record!r}",
                key=f"plugins.{instance}.map.{name}",
                guidance=nearest(mapping.record, list(types)),
            )
        return Measure(
            name=name,
            record=types[mapping.record],
            aggregate=mapping.aggregate,
            doc=mapping.doc,
            field=None if mapping.aggregate in {"count", "any"} else mapping.field,
            time=mapping.time or ("version" if mapping.aggregate == "latest" else None),
            window=mapping.window,
            where=mapping.where,
            unit="count" if mapping.aggregate in {"count", "distinct", "any"} else mapping.unit,
        )

    def _where(self, where: str | None) -> Expression | None:
        if where is None:
            return None
        try:
            expression = parse(where, names=self.names, condition=True)
        except ExpressionError as error:
            raise ConfigError(error.message, key="accounts.where", guidance=error.guidance) from None
        self.require(expression.names, by="accounts.where")
        return expression

    def _digest(self) -> str:
        parts = [
            [
                part.measure.record.type,
                {name: getattr(part.measure, name) for name in Measure.__struct_fields__ if name not in {"record", "doc"}},
                part.instance,
                [[feed.instance, feed.stream, str(feed.stale_after)] for feed in part.feeds],
            ]
            for part in self.parts.values()
        ]
        return sha256(msgspec.json.encode([parts, self.zone.key, self.reporting, str(self.stale_after), _FORMAT])).hexdigest()


class Names(Mapping[str, Column]):
    """The columns that an expression may name: those of the plan, and those of any other currency."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __getitem__(self, name: str) -> Column:
        column = self._plan.column(name)
        if column is None:
            raise KeyError(name)
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._plan.columns)

    def __len__(self) -> int:
        return len(self._plan.columns)


def _checked(owner: str, measure: Measure, instance: str | None, feeds: Mapping[str, Sequence[Feed]]) -> Part:
    """Check one measure. Raises `ValueError` with what is wrong."""
    record = measure.record
    if not measure.name.isidentifier() or measure.name != measure.name.lower():
        raise ValueError("the name must consist of lower-case letters, digits and _")
    fields = fields_of(record)
    if record not in {Account, Person} and not {"account_ref", "person_ref"} & fields.keys():
        raise ValueError(f"{record.type} has neither account_ref nor person_ref, so its rows belong to no account")
    time = None if measure.time is None else find_field(record, measure.time, "date")
    if time is not None and (time.custom or time.sort not in {"instant", "day", "int"}):
        raise ValueError(f"{measure.time!r} is neither an instant nor a day of {record.type}")
    _check_window(measure)
    field = _aggregated(measure)
    unit = checked_unit(measure, field)
    names = {name: known.unit for name, known in fields.items()} | {"as_of": "date", "today": "text"}
    return Part(
        owner=owner,
        measure=msgspec.structs.replace(measure, unit=unit),
        field=field,
        time=time,
        where=None if measure.where is None else parse(measure.where, names=names, condition=True),
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


def _check_window(measure: Measure) -> None:
    if measure.window is not None and measure.window < 1:
        raise ValueError(f"a window of {measure.window} days has no day in it")
    if measure.offset < 0:
        raise ValueError("an offset into the future would look at what is not known yet")
    if measure.time is None and (measure.window is not None or measure.offset or measure.aggregate == "latest"):
        raise ValueError("`window`, `offset` and 'latest' need `time`")
    if measure.aggregate == "slope" and (measure.window is None or measure.window < 2):
        raise ValueError("'slope' needs a window of at least two days")


def record_types(parts: Iterable[Part]) -> list[type[Record]]:
    """Return the record types that some parts are computed from, each once."""
    return list(dict.fromkeys(part.measure.record for part in parts))
