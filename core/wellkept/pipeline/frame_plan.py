"""The plan of the frame: which columns there are, where each comes from, and which streams must be fresh for it.

A plan is made once from what plugins declare, what config maps, and core's own columns. It is checked as a whole: a mistake is
reported with the name of who made it, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from wellkept.errors import ConfigError, StoreError
from wellkept.expressions import Expression, ExpressionError, nearest, parse
from wellkept.frame import Column, Formula, Measure
from wellkept.money import EXPONENTS
from wellkept.pipeline.parts import Computed, Feed, Part, check_formula, check_name, checked
from wellkept.records import Account, Record

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

_FORMAT = 2
"""Raise it when the same plan would give other cells than before."""


class Plan:
    """All columns of the frame.

    Args:
        measures: Declared measures and formulas with their owners (instances), in display order.
        tables: The tables of the records.
        feeds: For each record type's name, the streams that yield it.
        mapped: Columns from custom fields: instance to column to its mapping.
        zone: Decides where a day ends.
        reporting_currency: ISO 4217 code.
        where: Who is a customer: an expression over the columns.
        stale_after_hours: For streams that do not say themselves.
        lull_below: A day with less than this share of the usual rows is a lull; see `wellkept.pipeline.lulls`.
        lull_min_rows: Where fewer rows are usual, no day is one.
        report: Is told whose measure is wrong and why; the measure is left out, so that one plugin's mistake does not stop the
            others. Without it the mistake is raised.

    Attributes:
        parts: The checked measures by column name.
        formulas: The checked formulas by column name, in the order in which they can be computed.
        feeds: All streams that feed any column.
        names: The columns that an expression may name, for `wellkept.expressions.parse`.
        where: The parsed filter of accounts.
        digest: Changes when the same data would give other cells.

    Raises:
        ConfigError: Two measures have one name, or a field, unit or filter does not fit; names the owners.
    """

    def __init__(
        self,
        measures: Iterable[tuple[str, Measure | Formula]],
        *,
        tables: RecordTables,
        feeds: Mapping[str, Sequence[Feed]],
        mapped: Mapping[str, Mapping[str, MappedField]] | None = None,
        zone: str = "UTC",
        reporting_currency: str = "USD",
        where: str | None = None,
        stale_after_hours: float = 36,
        lull_below: float = 0.5,
        lull_min_rows: int = 50,
        report: Callable[[str, ConfigError], None] | None = None,
    ) -> None:
        self.tables = tables
        self.zone = ZoneInfo(zone)
        self.reporting = reporting_currency.lower()
        self.stale_after = timedelta(hours=stale_after_hours)
        if self.reporting not in EXPONENTS:
            raise ConfigError(f"{reporting_currency!r} is not an ISO 4217 currency", key="wellkept.reporting_currency")
        self.lull_below, self.lull_min_rows = lull_below, lull_min_rows
        self.parts: dict[str, Part] = {}
        self.formulas: dict[str, Computed] = {}
        self._currencies = {self.reporting}
        self.names = Names(self)
        declared: list[tuple[str, Measure | Formula | tuple[str, MappedField]]] = [(CORE, measure) for measure in BUILT_IN]
        declared += measures
        declared += [(owner, item) for owner, columns in (mapped or {}).items() for item in columns.items()]
        declared.sort(key=lambda pair: isinstance(pair[1], Formula))  # which may name any measure
        for owner, item in declared:
            try:
                if isinstance(item, Formula):
                    self._add_formula(owner, item)
                else:
                    self._add(owner, item, feeds)
            except ConfigError as error:
                if report is None:
                    raise
                report(owner, error)
        self.feeds = tuple(dict.fromkeys(feed for part in self.parts.values() for feed in part.feeds))
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
        columns.update((name, _computed_column(computed.formula)) for name, computed in self.formulas.items())
        return columns

    def column(self, name: str) -> Column | None:
        """Return a column, also that of a currency which no account uses; None when there is none."""
        if name in self.formulas:
            return _computed_column(self.formulas[name].formula)
        part, currency = self.split(name)
        return None if part is None else self._column(part, currency)

    def records_of(self, name: str) -> frozenset[type[Record]]:
        """Return the record types that a column is computed from; none for an unknown column."""
        if name in self.formulas:
            return frozenset[type[Record]]().union(*(self.records_of(other) for other in self.formulas[name].value.names))
        part, _ = self.split(name)
        return frozenset() if part is None else frozenset({part.measure.record})

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
            _, currency = self.split(name)
            if self.column(name) is None:
                raise ConfigError(f"{by}: there is no column {name!r}", guidance=nearest(name, list(self.columns)))
            if currency is not None:
                self._currencies.add(currency)

    def _column(self, part: Part, currency: str | None) -> Column:
        doc = part.measure.doc
        if not part.money:
            return Column(name=part.name, unit=part.measure.unit, doc=doc, leaks=part.measure.leaks)
        if currency is None:
            doc += f" All currencies, converted to {self.reporting.upper()}."
            return Column(name=part.name, unit="money", doc=doc, currency=self.reporting, leaks=part.measure.leaks)
        return Column(
            name=f"{part.name}_{currency}",
            unit="money",
            doc=f"{doc} In {currency.upper()} alone.",
            currency=currency,
            leaks=part.measure.leaks,
        )

    # --- checks ---

    def _add(self, owner: str, item: Measure | tuple[str, MappedField], feeds: Mapping[str, Sequence[Feed]]) -> None:
        """Check one measure and take it in. A mapped custom field counts at its own instance alone."""
        measure = item if isinstance(item, Measure) else self._mapped(owner, *item)
        self._check_free(owner, measure.name)
        try:
            self.tables.shape(measure.record)
            part = checked(owner, measure, None if measure is item else owner, feeds)
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

    def _add_formula(self, owner: str, formula: Formula) -> None:
        """Check one formula and take it in; whatever it names must be there already."""
        self._check_free(owner, formula.name)
        try:
            check_name(formula.name)
            value = parse(formula.value, names=self.names)
            check_formula(formula, value)
        except ExpressionError as error:
            raise ConfigError(f"column {formula.name!r} of {owner}: {error.message}", guidance=error.guidance) from None
        except ValueError as error:
            raise ConfigError(f"column {formula.name!r} of {owner}: {error}") from None
        self.require(value.names, by=f"column {formula.name!r} of {owner}")
        self.formulas[formula.name] = Computed(owner=owner, formula=formula, value=value)

    def _check_free(self, owner: str, name: str) -> None:
        known = self.parts.get(name) or self.formulas.get(name)
        if known is not None:
            raise ConfigError(f"the column {name!r} is declared by {known.owner} and by {owner}", guidance="rename one of them")

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
                {
                    name: getattr(part.measure, name)
                    for name in Measure.__struct_fields__
                    if name not in {"record", "doc", "leaks"}
                },
                part.instance,
                [[feed.instance, feed.stream, str(feed.stale_after)] for feed in part.feeds],
            ]
            for part in self.parts.values()
        ]
        formulas = [[name, computed.formula.value, computed.formula.unit] for name, computed in self.formulas.items()]
        return sha256(
            msgspec.json.encode([parts, formulas, self.zone.key, self.reporting, str(self.stale_after), _FORMAT])
        ).hexdigest()


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


def _computed_column(formula: Formula) -> Column:
    return Column(name=formula.name, unit=formula.unit, doc=formula.doc, leaks=formula.leaks)
