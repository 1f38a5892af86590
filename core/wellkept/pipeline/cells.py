"""Rows of the frame: runs the scans, puts their figures in cells, and says why a cell is empty."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby, islice, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from wellkept.frame import Frame, Gap, Value
from wellkept.money import EXPONENTS, exponent, round_half_even
from wellkept.pipeline import figures, freshness
from wellkept.pipeline.compile import Compiler, Figure, Scan
from wellkept.pipeline.figures import ANOMALY, NO_RATE, Unknown
from wellkept.pipeline.frame_plan import Plan
from wellkept.pipeline.lulls import Lulls
from wellkept.pipeline.parts import Part
from wellkept.store.accounts import canonical
from wellkept.store.connection import Reader
from wellkept.store.frames import FrameRow, StreamState
from wellkept.store.rates import Rates

CHUNK = 2_000
"""Accounts computed at a time, so that memory stays flat."""

PAST_CHUNK = 50_000
"""The same for a past day, whose records must be gathered from the history for each chunk anew."""

NAMED = 500
"""Accounts named in one statement."""


class Driver(NamedTuple):
    """SQL that yields the wanted accounts, and its parameters."""

    sql: str
    params: Sequence[Any]


class _Sheet(NamedTuple):
    """A chunk of rows in the making.

    Attributes:
        accounts: Whose rows they are.
        reasons: For each of them, why its measures are unknown,
        cases: and each of these once; there are few.
        columns: A cell for each of them, by measure.
        amounts: Amounts in single currencies,
        gaps: and why cells are empty, by place.
    """

    accounts: Sequence[str]
    reasons: Sequence[Mapping[str, Gap | None]]
    cases: Sequence[Mapping[str, Gap | None]]
    columns: dict[str, Sequence[Value]]
    amounts: defaultdict[int, dict[str, Value]]
    gaps: defaultdict[int, dict[str, Gap]]


class Cells:
    """Computes rows.

    Args:
        plan: The plan.
        as_of: The day at whose end the figures hold.
        streams: Which streams may be believed.
        rates: Exchange rates.
        lulls: Days that do not count.
        past: It is a past day: records count as they were known at its end.
    """

    def __init__(
        self, plan: Plan, as_of: date, streams: Mapping[str, StreamState], rates: Rates, lulls: Lulls, *, past: bool
    ) -> None:
        self._plan = plan
        self._as_of = as_of
        self._streams = streams
        self._rates = rates
        self._past = past
        self._lulls = lulls
        self._scans = Compiler(plan, as_of, lulls, past=past).scans()
        self._wide: list[Scan] = []
        self._reasons: dict[frozenset[str], dict[str, Gap | None]] = {}
        self._factors: dict[str, Fraction | None] = {}

    def everything(self, reader: Reader) -> Iterator[FrameRow]:
        """Yield the rows of all accounts by id."""
        after, chunk = "", PAST_CHUNK if self._past else CHUNK
        active = "SELECT id FROM accounts WHERE state = 'active'"
        while accounts := [id_ for (id_,) in reader.rows(f"{active} AND id > ? ORDER BY id LIMIT ?", (after, chunk))]:
            after = accounts[-1]
            yield from self.rows(reader, Driver(f"{active} AND id >= ? AND id <= ?", (accounts[0], after)), accounts)

    def some(self, reader: Reader, wanted: Iterable[str]) -> Iterator[FrameRow]:
        """Yield the rows of some accounts by id; old ids lead to the present ones."""
        found = sorted({id_ for id_ in (canonical(reader, id_) for id_ in wanted) if id_ is not None})
        for start in range(0, len(found), NAMED):
            part = found[start : start + NAMED]
            marks = ", ".join("?" * len(part))
            standing = f"SELECT id FROM accounts WHERE state = 'active' AND id IN ({marks}) ORDER BY id"  # noqa: S608
            accounts = [id_ for (id_,) in reader.rows(standing, part)]
            if accounts:
                yield from self.rows(reader, Driver("VALUES " + ", ".join(["(?)"] * len(accounts)), accounts), accounts)

    def rows(self, reader: Reader, driver: Driver, accounts: Sequence[str]) -> Iterator[FrameRow]:
        """Yield the rows of some accounts, in the order given; the driver yields at least these."""
        if not accounts:
            return
        reasons = self._reasons_for(reader, driver, accounts)
        cases = list({id(case): case for case in reasons}.values())
        sheet = _Sheet(accounts, reasons, cases, {}, defaultdict(dict), defaultdict(dict))
        for scan, found in self._read_all(reader, driver):
            self._fill(scan, found, sheet)
        names, computed = tuple(sheet.columns), _computed(self._plan, sheet)
        rows = zip(accounts, zip(*sheet.columns.values(), strict=True), _rows(computed, len(accounts)), strict=True)
        for index, (account, row, more) in enumerate(rows):
            cells = {name: cell for name, cell in zip(names, row, strict=True) if cell is not None}
            if sheet.amounts:
                cells.update(sheet.amounts.get(index, {}))
            cells.update([pair for pair in zip(computed, more, strict=True) if pair[1] is not None])
            yield FrameRow(account=account, cells=cells, gaps=sheet.gaps.get(index, {}))

    # --- reading ---

    def _read_all(self, reader: Reader, driver: Driver) -> list[tuple[Scan, dict[str, Any]]]:
        """Run all scans. A sum too large for the database makes it give up; then all sums are taken in two halves."""
        try:
            return [(scan, self._read(reader, driver, scan)) for scan in self._scans]
        except sqlite3.OperationalError as error:
            if "overflow" not in str(error):
                raise
        self._wide = self._wide or Compiler(self._plan, self._as_of, self._lulls, past=self._past, wide=True).scans()
        return [(scan, self._read(reader, driver, scan)) for scan in self._wide]

    def _read(self, reader: Reader, driver: Driver, scan: Scan) -> dict[str, Any]:
        """Run a scan; returns an account's aggregates, or with currencies its aggregates by currency."""
        found = reader.rows(f"WITH d (account) AS ({driver.sql}){scan.known} {scan.select}", (*driver.params, *scan.params))
        if scan.picks:
            return {account: _picked(scan, group) for account, group in groupby(found, itemgetter(0))}
        if not scan.by_currency:
            return {row[0]: row[1:] for row in found}
        by_account: dict[str, dict[str | None, Sequence[Any]]] = {}
        for account, currency, *values in found:
            groups = by_account.setdefault(account, {})
            code = None if currency is None else currency.lower()
            groups[code] = figures.merge(scan.merges, [groups[code], values]) if code in groups else values
        return by_account

    def _reasons_for(self, reader: Reader, driver: Driver, accounts: Sequence[str]) -> list[dict[str, Gap | None]]:
        """Return, for each account, why its measures are unknown by the instances where it has records."""
        instances: dict[str, set[str]] = {}
        rows = reader.rows(
            f"WITH d (account) AS ({driver.sql}) SELECT DISTINCT d.account, l.instance FROM d CROSS JOIN links l"  # noqa: S608
            " WHERE l.account = d.account",
            driver.params,
        )
        for account, instance in rows:
            instances.setdefault(account, set()).add(instance)
        return [self._reasons_at(frozenset(instances.get(account, ()))) for account in accounts]

    def _reasons_at(self, instances: frozenset[str]) -> dict[str, Gap | None]:
        if instances not in self._reasons:
            parts = self._plan.parts.values()
            self._reasons[instances] = {part.name: freshness.gap(part, instances, self._streams) for part in parts}
        return self._reasons[instances]

    # --- cells ---

    def _fill(self, scan: Scan, found: Mapping[str, Any], sheet: _Sheet) -> None:
        """Put the figures of a scan in their columns."""
        groups = [found.get(account) for account in sheet.accounts]
        rows: Iterable[Any] = groups
        if scan.by_currency:
            rows = [None if group is None else figures.merge(scan.merges, list(group.values())) for group in groups]
        nothing = (None,) * (1 + max(place for figure in scan.figures for place in figure.slots))
        aggregates = list(zip(*[row or nothing for row in rows], strict=True))
        home = {self._plan.reporting}
        at_home = scan.by_currency and all(group is None or group.keys() == home for group in groups)
        for figure in scan.figures:
            name = figure.part.name
            values: Sequence[Any]
            if figure.part.money and not at_home:
                values = [
                    self._money(figure, scan, group, sheet.amounts[index]) if reasons[name] is None else None
                    for index, (group, reasons) in enumerate(zip(groups, sheet.reasons, strict=True))
                ]
            elif figure.finish is figures.plain:
                values = aggregates[figure.slots[0]]
            elif figure.finish is figures.believed:
                values = figures.all_believed(aggregates[figure.slots[0]])
            else:
                values = list(map(figure.finish, *[aggregates[place] for place in figure.slots]))
            if figure.part.money and at_home:
                values = [value if value is None or value is ANOMALY else round(value) for value in values]
                sheet.columns[f"{name}_{self._plan.reporting}"] = [
                    None if value is ANOMALY or reasons[name] is not None else value
                    for value, reasons in zip(values, sheet.reasons, strict=True)
                ]
            sheet.columns[name] = _cells(figure.part, values, sheet)

    def _money(self, figure: Figure, scan: Scan, found: Any, amounts: dict[str, Value]) -> Any:
        """Note an amount per currency, and return all of them in the reporting currency.

        One amount without a rate leaves the whole unknown: a partial sum is no sum.
        """
        groups = _by_currency(figure, scan, found)
        credible = True
        for currency, (value, _) in groups.items():
            if value is ANOMALY:
                credible = False
            elif currency in EXPONENTS:
                amounts[f"{figure.part.name}_{currency}"] = round(value)
        if not groups or not credible:
            return None if credible else ANOMALY
        return _converted(figure, [(self._factor(currency), aggregates) for currency, (_, aggregates) in groups.items()])

    def _factor(self, currency: str | None) -> Fraction | None:
        """Return what one minor unit of a currency is worth in minor units of the reporting one."""
        if currency not in EXPONENTS:
            return None
        if currency not in self._factors:
            rate = self._rates.rate(self._as_of, currency, self._plan.reporting)
            scale = Fraction(10) ** (exponent(self._plan.reporting) - exponent(currency))
            self._factors[currency] = None if rate is None else Fraction(rate) * scale
        return self._factors[currency]


_GRAVEST: Sequence[Gap] = ("anomaly", "stale", "no_rate", "unmatched")
"""Why a formula is unknown, where its columns are for several reasons; without any of these there are no data."""


def _computed(plan: Plan, sheet: _Sheet) -> dict[str, Sequence[Value]]:
    """Return the columns of all formulas, and note why cells are empty."""
    table = dict(sheet.columns)
    for index, amounts in sheet.amounts.items():
        for name, amount in amounts.items():
            column = table.get(name, ())
            if not isinstance(column, list):
                table[name] = column = [*column] or [None] * len(sheet.accounts)
            column[index] = amount
    found: dict[str, Sequence[Value]] = {}
    for name, computed in plan.formulas.items():
        names = computed.value.names
        known = {other: table.get(other) or [None] * len(sheet.accounts) for other in names}
        values = list(figures.all_believed(computed.value.evaluate_all(known, len(sheet.accounts))))
        if Unknown in set(map(type, values)):
            for index, value in enumerate(values):
                if type(value) is Unknown:
                    sheet.gaps[index][name] = value.gap
                    values[index] = None
        for index, gaps in sheet.gaps.items():
            if values[index] is None and name not in gaps:
                reasons = {gaps.get(other) for other in names}
                gap = next((reason for reason in _GRAVEST if reason in reasons), None)
                if gap is not None:
                    gaps[name] = gap
        table[name] = found[name] = values
    return found


def _rows(columns: Mapping[str, Sequence[Value]], count: int) -> Iterable[Sequence[Value]]:
    """Return the rows of some columns, empty ones where there are none."""
    return zip(*columns.values(), strict=True) if columns else repeat((), count)


def _picked(scan: Scan, group: Iterable[Sequence[Any]]) -> Sequence[Any]:
    """Return what is picked from an account's rows, the values of each column put in order."""
    _, *columns = zip(*group, strict=True)
    ordered = [sorted([value for value in column if value is not None]) for column in columns]
    return [pick(ordered[place]) for place, pick in scan.picks]


def _cells(part: Part, values: Sequence[Any], sheet: _Sheet) -> Sequence[Value]:
    """Return a measure's column, from the figures of all accounts, and note why cells are empty."""
    nothing = zero(part)
    name = part.name
    if all(case[name] is None for case in sheet.cases) and Unknown not in set(map(type, values)):
        return values if nothing is None else [nothing if value is None else value for value in values]
    column: list[Value] = []
    for index, (value, known) in enumerate(zip(values, sheet.reasons, strict=True)):
        gap = value.gap if type(value) is Unknown and known[name] is None else known[name]
        if gap is None:
            column.append(nothing if value is None else value)
            continue
        column.append(None)
        if gap != "none":
            sheet.gaps[index][name] = gap
    return column


def _by_currency(figure: Figure, scan: Scan, found: Any) -> dict[str | None, tuple[Any, Sequence[Any]]]:
    """Return a measure's figure and its aggregates by currency, as far as there were rows for it."""
    if found is None:
        return {}
    if not scan.by_currency:  # the latest amount, which is of one currency
        value, currency = (found[place] for place in figure.slots)
        return {} if value is None else {currency and currency.lower(): (figure.finish(value), (value,))}
    groups = {currency: [row[place] for place in figure.slots] for currency, row in found.items()}
    finished = {currency: (figure.finish(*values), values) for currency, values in groups.items()}
    return {currency: pair for currency, pair in finished.items() if pair[0] is not None}


def _converted(figure: Figure, groups: Sequence[tuple[Fraction | None, Sequence[Any]]]) -> Any:
    """Return amounts of several currencies as one, by the factor of each: exact up to one rounding at the end."""
    aggregate = figure.part.measure.aggregate
    count = sum(values[0] for _, values in groups) if aggregate == "avg" else 1
    amounts: list[Fraction] = []
    for factor, values in groups:
        amount = figures.whole(*values[1:]) if aggregate == "avg" else figure.finish(*values)
        if factor is None and amount:
            return NO_RATE
        amounts.append(Fraction(amount) * (factor or 0))
    combine = {"min": min, "max": max}.get(aggregate, sum)
    return figures.believed(round_half_even(Fraction(combine(amounts)) / count))


def zero(part: Part) -> Value:
    """Return what a measure is over no rows."""
    aggregate = part.measure.aggregate
    if not part.additive:
        return None
    if aggregate == "any":
        return False
    return 0.0 if aggregate == "slope" and not part.money else 0


def build(plan: Plan, as_of: date, rows: Iterable[FrameRow]) -> Frame:
    """Return a frame of rows that come in ascending order of accounts."""
    accounts: list[str] = []
    plain = {*plan.parts, *plan.formulas}
    cells: dict[str, list[Value]] = {name: [] for name in plan.parts | plan.formulas}
    gaps: dict[str, dict[int, Gap]] = {name: {} for name in cells}
    amounts: dict[str, dict[int, Value]] = {}
    rows = iter(rows)
    while part := list(islice(rows, CHUNK)):
        first = len(accounts)
        accounts += [row.account for row in part]
        known = [row.cells for row in part]
        for name, column in cells.items():
            column += [row.get(name) for row in known]
        for index, row in enumerate(part, first):
            for name, gap in row.gaps.items():
                if name in gaps:
                    gaps[name][index] = gap
            for name in row.cells.keys() - plain:
                amounts.setdefault(name, {})[index] = row.cells[name]
    columns = plan.columns_for(name.rpartition("_")[2] for name in amounts if plan.split(name)[1])
    for name in columns.keys() - plain:
        money, _ = plan.split(name)
        assert money is not None  # noqa: S101 - narrows: the columns were made from the parts
        cells[name], gaps[name] = _of_currency(money, amounts.get(name, {}), cells[money.name], gaps[money.name])
    return Frame(as_of, accounts, columns, cells, gaps)


def _of_currency(
    part: Part, known: Mapping[int, Value], whole: Sequence[Value], reasons: Mapping[int, Gap]
) -> tuple[list[Value], dict[int, Gap]]:
    """Return the column of one currency: nothing in it is zero where the measure itself may be believed."""
    nothing = zero(part)
    cells: list[Value] = []
    gaps: dict[int, Gap] = {}
    for index, value in enumerate(whole):
        reason = reasons.get(index)
        if index in known:
            cells.append(known[index])
        elif value is not None or reason == "no_rate":
            cells.append(nothing)
        else:
            cells.append(None)
            if reason is not None:
                gaps[index] = reason
    return cells, gaps
