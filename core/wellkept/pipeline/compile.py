"""From measures to SQL: grouped scans of each record type, with an aggregate for every measure over it.

The scan starts from the accounts that are wanted, goes over their links to their rows, and groups by account; an index that
holds all columns of a scan makes it one pass over a part of that index. Measures of money group by currency as well, and the
other measures of the type ride along. What cannot be put together from groups stands apart: ``latest`` and the first or last
day of all are small look-ups per account; quantiles, ``per`` and ``ago`` choose their rows first; ``distinct`` beside money has
a scan of its own.

The SQL is common to SQLite and PostgreSQL. Dates and instants stand in it as literals that core made; whatever a person or a
plugin wrote is a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zlib import crc32

from wellkept.expressions import Expression
from wellkept.pipeline import figures
from wellkept.pipeline.days import DAY, end_of, start_of
from wellkept.pipeline.fields import Field, json_value
from wellkept.pipeline.figures import Finish, Merge
from wellkept.pipeline.frame_plan import Plan
from wellkept.pipeline.lulls import Lulls, Span, span
from wellkept.pipeline.parts import QUANTILES, Part
from wellkept.records import Account, Person, Record
from wellkept.store.columns import quoted


@dataclass(frozen=True, slots=True)
class Slot:
    """One aggregate of a scan, and how two groups of one account become one."""

    sql: str
    merge: Merge
    params: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """Where a measure is found in a scan's rows.

    Attributes:
        part: The measure.
        slots: Positions of its aggregates.
        finish: Makes the figure from them: a value, None when nothing was there, or why it is unknown.
    """

    part: Part
    slots: tuple[int, ...]
    finish: Finish


@dataclass(frozen=True, slots=True)
class Scan:
    """One statement.

    Attributes:
        known: A further table behind ``d``: the rows as they were known on a past day, or as they were some days ago.
        select: ``SELECT`` up to the end, over the accounts of ``d``.
        params: The parameters behind those of ``d``.
        figures: The measures in it.
        merges: How to merge each column behind account and currency.
        by_currency: The second column is the currency.
        picks: Set where each row is one record, in order of accounts: which column to put in order, and what to take from it.
    """

    known: str
    select: str
    params: tuple[Any, ...]
    figures: tuple[Figure, ...]
    merges: tuple[Merge, ...] = ()
    by_currency: bool = False
    picks: tuple[tuple[int, Finish], ...] = ()


class Compiler:
    """Writes the scans of a plan for one day.

    Args:
        plan: The plan.
        as_of: The day at whose end the figures hold.
        lulls: Days that do not count, by record type.
        past: Take the rows as they were known at the end of that day, instead of the newest.
        wide: Add up in two halves, for figures whose sum does not fit an integer of the database.
    """

    def __init__(self, plan: Plan, as_of: date, lulls: Lulls, *, past: bool, wide: bool = False) -> None:
        self.plan = plan
        self.as_of = as_of
        self.lulls = lulls
        self.end = end_of(as_of, plan.zone)
        self.past = past
        self.wide = wide

    def scans(self) -> list[Scan]:
        """Return all scans."""
        found: list[Scan] = []
        for record in dict.fromkeys(part.measure.record for part in self.plan.parts.values()):
            parts = [part for part in self.plan.parts.values() if part.measure.record is record]
            time = None if self.past else _index_time(parts)
            ways: dict[Any, list[Part]] = {}
            for part in parts:
                ways.setdefault(_way(part, time), []).append(part)
            for way, members in ways.items():
                apart = way == ("grouped", 0) and time is not None
                for together in self._apart(members, time) if apart else [members]:
                    found += self._scans(record, way, together)
        return found

    def _apart(self, parts: Sequence[Part], time: str | None) -> list[list[Part]]:
        """Return measures by what their windows have in common, where the index leads to the rows of a window.

        A row is then held against the conditions of those measures alone whose windows are near it.
        """
        if any(part.time is None or part.time.name != time for part in parts):
            return [list(parts)]
        groups: list[list[Part]] = []
        last = date.min
        for part in sorted(parts, key=lambda part: self._span(part).earliest or date.min):
            days = self._span(part)
            if not groups or (days.earliest or date.min) > last:
                groups.append([])
            groups[-1].append(part)
            last = max(last, days.last)
        return groups

    # --- statements ---

    def _scans(self, record: type[Record], way: tuple[Any, ...], parts: Sequence[Part]) -> list[Scan]:
        match way[0]:
            case "latest":
                return [self._latest(record, parts)]
            case "edge":
                return [self._edges(record, parts)]
            case "ranked":
                return [self._quantiles(record, parts)]
            case "per":
                return [self._chosen(record, parts)]
        ago = way[1]
        by_currency = any(part.money for part in parts)
        alone = [part for part in parts if by_currency and part.measure.aggregate == "distinct"]
        together = [part for part in parts if part not in alone]
        found = [self._grouped(record, together, ago, by_currency=by_currency)] if together else []
        return found + ([self._grouped(record, alone, ago, by_currency=False)] if alone else [])

    def _grouped(self, record: type[Record], parts: Sequence[Part], ago: int, *, by_currency: bool) -> Scan:
        bounds, until = self._bounds(parts)
        slots: dict[Slot, int] = {}
        found = []
        for part in parts:
            own, finish = self._slots(part, *self._condition(part, until=until))
            found.append(Figure(part, tuple(slots.setdefault(slot, len(slots)) for slot in own), finish))
        keys = 'd.account, r."currency"' if by_currency else "d.account"
        if ago:
            known, source_params = self._back(record, parts, ago), ()
            rows = "FROM d CROSS JOIN known r WHERE r.account = d.account AND r.deleted = 0"
        else:
            source, known, source_params = self._source(record)
            rows = f"FROM d CROSS JOIN links l CROSS JOIN {source} r WHERE {self._join(record)}"
        select = f"SELECT {keys}, {', '.join(slot.sql for slot in slots)} {rows}{bounds} GROUP BY {keys}"
        params = source_params + tuple(param for slot in slots for param in slot.params)
        return Scan(known, select, params, tuple(found), tuple(slot.merge for slot in slots), by_currency)

    def _back(self, record: type[Record], parts: Sequence[Part], ago: int) -> str:
        """Return a further table: the rows of ``d`` as they were some days ago."""
        table = self.plan.tables.table(record)
        owned = f"FROM d CROSS JOIN links l CROSS JOIN {table} r WHERE {self._join(record, past=False)}"
        then = end_of(self.as_of - timedelta(days=ago), self.plan.zone) - 1
        columns = sorted(_used(self.plan, record, parts))
        return f", known AS MATERIALIZED ({self.plan.tables.back(record, columns, owned, then=then, known_at=self.end - 1)})"

    def _chosen(self, record: type[Record], parts: Sequence[Part]) -> Scan:
        """Return a statement over rows of which only the latest counts for each value of a field."""
        first = parts[0]
        assert first.per is not None  # noqa: S101 - narrows: that is why they are here
        assert first.time is not None  # noqa: S101 - narrows: checked by the plan
        source, known, source_params = self._source(record)
        condition, own = self._condition(first)
        slots: dict[Slot, int] = {}
        found = []
        for part in parts:
            text, values = ("", []) if part.having is None else self._filter(part.having)
            slot, finish = self._slots(part, text, tuple(values))
            found.append(Figure(part, tuple(slots.setdefault(item, len(slots)) for item in slot), finish))
        per = first.per.sql()
        columns = ", ".join(f"r.{quoted(name)}" for name in sorted(_used(self.plan, record, parts)))
        select = (
            f"SELECT account, {', '.join(slot.sql for slot in slots)} FROM (SELECT d.account AS account, {columns},"  # noqa: S608
            f" ROW_NUMBER() OVER (PARTITION BY d.account, r.instance, {per}, CASE WHEN {per} IS NULL THEN r.id END"
            f" ORDER BY {first.time.sql()} DESC, r.version DESC, r.id) AS place"
            f" FROM d CROSS JOIN links l CROSS JOIN {source} r WHERE {self._join(record)} AND {condition or '1 = 1'}) AS r"
            " WHERE r.place = 1 GROUP BY account"
        )
        params = (*source_params, *(param for slot in slots for param in slot.params), *own)
        return Scan(known, select, params, tuple(found), tuple(slot.merge for slot in slots))

    def _quantiles(self, record: type[Record], parts: Sequence[Part]) -> Scan:
        """Return a statement that yields the values themselves; whoever reads them puts them in order once for all measures."""
        source, known, source_params = self._source(record)
        condition, own = self._condition(parts[0])
        values: dict[str, int] = {}
        picks: dict[tuple[int, Finish], int] = {}
        found: list[Figure] = []
        for part in parts:
            assert part.field is not None  # noqa: S101 - narrows: checked by the plan
            pick = values.setdefault(part.field.sql(), len(values)), figures.QUANTILES[part.measure.aggregate]
            found.append(Figure(part, (picks.setdefault(pick, len(picks)),), figures.plain))
        select = (
            f"SELECT d.account, {', '.join(values)} FROM d CROSS JOIN links l CROSS JOIN {source} r"  # noqa: S608
            f" WHERE {self._join(record)} AND {condition or '1 = 1'} ORDER BY d.account"
        )
        return Scan(known, select, (*source_params, *own), tuple(found), picks=tuple(picks))

    def _edges(self, record: type[Record], parts: Sequence[Part]) -> Scan:
        """Return a statement with a look-up at the end of the index, so that no row in between is read."""
        columns: list[str] = []
        found: list[Figure] = []
        for part in parts:
            assert part.field is not None  # noqa: S101 - narrows: checked by the plan
            value, (name, order) = part.field.sql(), ("MIN", "ASC") if part.measure.aggregate == "min" else ("MAX", "DESC")
            found.append(Figure(part, (len(columns),), self._one(part)))
            columns.append(
                f"(SELECT {name}((SELECT {value} FROM {self.plan.tables.table(record)} r WHERE {self._join(record)}"  # noqa: S608
                f" AND {value} IS NOT NULL ORDER BY {value} {order} LIMIT 1)) FROM links l WHERE l.account = d.account)"
            )
        return Scan("", f"SELECT d.account, {', '.join(columns)} FROM d", (), tuple(found))  # noqa: S608

    def _latest(self, record: type[Record], parts: Sequence[Part]) -> Scan:
        """Return a statement with a small ordered look-up per measure and account; of two at one time the newer version."""
        source, known, source_params = self._source(record)
        columns: list[str] = []
        params = list(source_params)
        found: list[Figure] = []
        for part in parts:
            assert part.field is not None  # noqa: S101 - narrows: checked by the plan
            assert part.time is not None  # noqa: S101 - likewise
            value = part.field.sql()
            condition, own = self._condition(part)
            place = []
            for wanted in (value, 'r."currency"') if part.money else (value,):
                place.append(len(columns))
                columns.append(
                    f"(SELECT {wanted} FROM links l CROSS JOIN {source} r WHERE {self._join(record)} AND {value} IS NOT NULL"  # noqa: S608
                    f" AND {condition or '1 = 1'} ORDER BY {part.time.sql()} DESC, r.version DESC, r.instance, r.id LIMIT 1)"
                )
                params += own
            found.append(Figure(part, tuple(place), figures.plain if part.money else self._one(part)))
        select = f"SELECT d.account, {', '.join(columns)} FROM d"  # noqa: S608 - names from the type
        return Scan(known, select, tuple(params), tuple(found))

    def _source(self, record: type[Record]) -> tuple[str, str, tuple[Any, ...]]:
        """Return where the rows of a type are, for a past day a further table, and that table's parameters."""
        if not self.past:
            return self.plan.tables.table(record), "", ()
        known, params = self.plan.tables.as_of(record, self.end - 1)
        return "known", f", known AS MATERIALIZED (SELECT x.*, {_both(record) or 'NULL'} AS belongs_to FROM {known} x)", params  # noqa: S608

    def _join(self, record: type[Record], *, past: bool | None = None) -> str:
        """Return how rows ``r`` of a type belong to links ``l`` of the account of ``d``; deleted rows do not."""
        if record in {Account, Person}:
            match = f"l.type = '{record.type}' AND r.id = l.record_id"
        elif both := _both(record):
            match = f"{'r.belongs_to' if (self.past if past is None else past) else both} = l.type || ':' || l.record_id"
        else:
            kind = "account" if "account_ref" in record.__struct_fields__ else "person"
            match = f"l.type = '{kind}' AND r.{kind}_ref = l.record_id"
        return f"l.account = d.account AND r.instance = l.instance AND {match} AND r.deleted = 0"

    # --- conditions ---

    def _bounds(self, parts: Sequence[Part]) -> tuple[str, date | None]:
        """Return what all measures of a scan agree on, so that rows outside of all windows are not even looked at.

        Returns:
            A condition, and the last day that it lets through, if it looks at days: measures need not look at that again.
        """
        time = parts[0].time
        if time is None or any(part.time != time for part in parts):
            return "", None
        spans = [self._span(part) for part in parts]
        first = [each.earliest for each in spans if each.earliest is not None]
        last = max(each.last for each in spans)
        everything = Span(min(first) if len(first) == len(parts) else None, last)
        return f" AND {self._between(time, everything)}", last

    @staticmethod
    def _of_instance(part: Part) -> tuple[list[str], list[Any]]:
        return ([], []) if part.instance is None else (["r.instance = ?"], [part.instance])

    def _condition(self, part: Part, *, until: date | None = None) -> tuple[str, tuple[Any, ...]]:
        """Return which rows count; `until`: the statement itself lets none through that is later."""
        texts, params = self._of_instance(part)
        if part.time is not None:
            days = self._span(part)
            if days.first is not None or days.last != until:
                texts.append(self._between(part.time, days, until=until))
        if part.where is not None:
            text, own = self._filter(part.where)
            texts.append(text)
            params += own
        return " AND ".join(texts), tuple(params)

    def _filter(self, where: Expression) -> tuple[str, list[Any]]:
        text, params = where.to_sql({name: self._name(name, kind) for name, kind in where.kinds.items()})
        return f"({text})", params

    def _name(self, name: str, kind: str) -> str:
        if name == "as_of":
            return str(self.end)
        if name == "today":
            return f"'{self.as_of.isoformat()}'"
        if name.startswith("extra."):
            return json_value('r."extra"', name.removeprefix("extra."), {"text": "text", "flag": "bool"}.get(kind, "float"))
        return f"r.{quoted(name)}"

    def _span(self, part: Part) -> Span:
        measure = part.measure
        steady = part.time is None or part.time.sort != "day" or measure.aggregate == "slope"
        lulls = frozenset() if steady else self.lulls.get(measure.record.type, frozenset())
        return span(self.as_of, measure.window, measure.offset, lulls)

    def _between(self, time: Field, days: Span, *, until: date | None = None) -> str:
        """Return the condition that a row's time lies in a window of the configured zone.

        Args:
            time: The field.
            days: The window.
            until: The last day that the statement itself lets through.
        """
        name, zone, texts = time.sql(), self.plan.zone, []
        if days.first is not None:
            texts.append(f"{name} >= '{days.first}'" if time.sort == "day" else f"{name} >= {start_of(days.first, zone)}")
        if days.last != until:
            texts.append(f"{name} <= '{days.last}'" if time.sort == "day" else f"{name} < {end_of(days.last, zone)}")
        if not days.without:
            return " AND ".join(texts)
        without, more = (", ".join(f"'{day}'" for day in found) for found in (days.without, days.more))
        return f"({' AND '.join(texts)} AND {name} NOT IN ({without}) OR {name} IN ({more}))"

    # --- aggregates ---

    def _slots(self, part: Part, condition: str, params: tuple[Any, ...]) -> tuple[list[Slot], Finish]:
        """Return the aggregates of a measure over the rows that fulfil a condition, and what makes the figure from them."""
        aggregate, field = part.measure.aggregate, part.field
        only = f" FILTER (WHERE {condition})" if condition else ""
        if field is None:
            return [Slot(f"COUNT(*){only}", "add", params)], figures.any_row if aggregate == "any" else figures.plain
        value = field.sql()
        if self.wide and field.custom:
            value = f"CAST({value} AS DOUBLE PRECISION)"
        match aggregate:
            case "distinct":
                return [Slot(f"COUNT(DISTINCT {value}){only}", "add", params)], figures.plain
            case "min" | "max":
                return [Slot(f"{aggregate.upper()}({value}){only}", aggregate, params)], self._one(part)
            case "slope":
                index, mean, spread = self._index(part)
                flat = f"CAST({value} AS DOUBLE PRECISION)"
                slots = [Slot(f"SUM({amount}){only}", "add", params) for amount in (f"{flat} * ({index})", flat)]
                return slots, figures.slope(mean, spread)
        sums = [Slot(f"SUM({value}){only}", "add", params)]
        if self.wide and field.sort == "int":
            halves = (f"{value} / {figures.BILLION}", f"{value} % {figures.BILLION}")
            sums = [Slot(f"SUM({half}){only}", "add", params) for half in halves]
        if aggregate == "sum":
            return sums, figures.total if len(sums) > 1 else figures.believed
        return [Slot(f"COUNT({value}){only}", "add", params), *sums], figures.money_average if part.money else figures.average

    def _one(self, part: Part) -> Finish:
        """Return what makes a cell of a single value, by unit and sort."""
        assert part.field is not None  # noqa: S101 - narrows: checked by the plan
        unit, sort = part.measure.unit, part.field.sort
        if unit == "days" and sort in {"instant", "day"}:
            lulls = self.lulls.get(part.measure.record.type, frozenset()) if sort == "day" else frozenset()
            return figures.age(self.as_of, self.plan.zone, lulls)
        if unit == "date" and sort == "day":
            return figures.instant_of_day
        return figures.flag if unit == "flag" else figures.plain

    def _index(self, part: Part) -> tuple[str, float, float]:
        """Return SQL for a row's place in its window (the first day is 0), the mean place, and the sum of squares around it.

        Between two changes of the clocks, or within a month of ISO days, places follow from arithmetic; the rest is a CASE.
        """
        first, last, *_ = self._span(part)
        assert first is not None  # noqa: S101 - narrows: a slope has a window
        assert part.time is not None  # noqa: S101 - likewise
        days = (last - first).days + 1
        name = part.time.sql()
        if part.time.sort == "day":
            pieces = _by_month(name, first, last)
        else:
            pieces = _by_clock(name, [start_of(first + timedelta(days=place), self.plan.zone) for place in range(days + 1)])
        index = pieces[-1][1]
        if len(pieces) > 1:
            index = (
                "CASE " + " ".join(f"WHEN {name} < {upper} THEN {place}" for upper, place in pieces[:-1]) + f" ELSE {index} END"
            )
        mean = (days - 1) / 2
        return index, mean, sum((place - mean) ** 2 for place in range(days))


def _both(record: type[Record]) -> str | None:
    """Return what a row of a type with two references belongs to, as one text that an index can hold.

    The same rule as in `wellkept.store.belonging`: a row belongs to the account that it names, and only where it names none, to
    its person's.
    """
    if record in {Account, Person} or not {"account_ref", "person_ref"} <= {*record.__struct_fields__}:
        return None
    return "COALESCE('account:' || account_ref, 'person:' || person_ref)"


def _index_time(parts: Sequence[Part]) -> str | None:
    """Return the field that places the rows of all measures of a type in time, if it is one: it stands early in the index."""
    times = {part.time.name for part in parts if part.time is not None}
    return times.pop() if len(times) == 1 else None


def _way(part: Part, time: str | None) -> tuple[Any, ...]:
    """Return how a measure is read; those that are read the same way share a statement."""
    measure = part.measure
    if measure.aggregate == "latest":
        return ("latest",)
    if measure.aggregate in QUANTILES:
        return "ranked", measure.time, measure.window, measure.offset, measure.where, part.instance
    if measure.per is not None:
        return "per", measure.per, measure.time, measure.window, measure.offset, measure.where, part.instance
    edge = measure.aggregate in {"min", "max"} and not part.money and measure.record not in {Account, Person}
    if edge and part.field is not None and part.field.name == time and part.time is None and not measure.where:
        return ("edge",) if part.instance is None else ("grouped", measure.ago)
    return "grouped", measure.ago


def _used(plan: Plan, record: type[Record], parts: Sequence[Part]) -> set[str]:
    """Return the columns of a type that the aggregates and filters of some measures read."""
    used = {"deleted"} | ({"currency"} if any(part.money for part in parts) else set())
    for part in parts:
        used |= {name for field in (part.field, part.time, part.per) if field is not None for name in field.names}
        used |= {name for filter_ in (part.where, part.having) if filter_ is not None for name in filter_.names}
    return {name for name in (name.partition(".")[0] for name in used) if name in plan.tables.columns(record)}


def indexes(plan: Plan) -> dict[str, str]:
    """Return the statements that make the indexes which the scans of a plan read, by name.

    Each begins with what a row belongs to, then the time if all measures share it, then all that the aggregates need, so that
    the scan never touches the table. Small tables that are found by their key need none.
    """
    found: dict[str, str] = {}
    for record in dict.fromkeys(part.measure.record for part in plan.parts.values()):
        if record in {Account, Person}:
            continue
        parts = [part for part in plan.parts.values() if part.measure.record is record and not part.measure.ago]
        time = _index_time(parts)
        single = [] if time is None else [quoted(time)]
        both = _both(record)
        rest = sorted(quoted(name) for name in _used(plan, record, parts) if name != time)
        fields = record.__struct_fields__
        refs = [name for name in ("account_ref", "person_ref") if name in fields]
        key = f"({both})" if both else refs[0]
        table = plan.tables.table(record)
        columns = ", ".join(["instance", key, *single, *rest])
        name = f"measure_{table}_{crc32(columns.encode()):08x}"
        found[name] = f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns})"
    return found


def _by_month(name: str, first: date, last: date) -> list[tuple[str, str]]:
    """Return, for each month of a window, where it ends, and SQL for a day's place in the window."""
    pieces: list[tuple[str, str]] = []
    start = first.replace(day=1)
    while start <= last:
        following = (start + timedelta(days=32)).replace(day=1)
        pieces.append((f"'{following.isoformat()}'", f"{(start - first).days - 1} + CAST(substr({name}, 9, 2) AS INTEGER)"))
        start = following
    return pieces


def _by_clock(name: str, bounds: Sequence[int]) -> list[tuple[str, str]]:
    """Return, for each run of ordinary days and each day of another length, where it ends, and SQL for an instant's place."""
    pieces: list[tuple[str, str]] = []
    place, days = 0, len(bounds) - 1
    while place < days:
        run = 0
        while place + run < days and bounds[place + run + 1] - bounds[place + run] == DAY:
            run += 1
        if run:
            pieces.append((str(bounds[place + run]), f"{place} + ({name} - {bounds[place]}) / {DAY}"))
        else:
            run = 1
            pieces.append((str(bounds[place + 1]), str(place)))
        place += run
    return pieces
