"""Every aggregate in SQL equals a naive computation in Python, whatever the records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.frame import Measure
from wellkept.pipeline import figures
from wellkept.pipeline.days import day_of, end_of, start_of
from wellkept.pipeline.measure import Feed
from wellkept.records import Account, Invoice, Person, Record, SurveyResponse, Ticket, Usage
from wellkept.source import Deletion
from wellkept.store.accounts import Manual, Node, put_manual

World = Any
NOW = 1_795_262_400_000  # 2026-11-21T12:00Z
DAY = 86_400_000
ZONE = "America/New_York"
"""Clocks went back there on 1 November 2026, within the windows below."""


def m(name: str, record: type[Record], aggregate: Any, field: str | None = None, **more: Any) -> Measure:
    return Measure(name=name, record=record, aggregate=aggregate, field=field, doc="x", **more)


MEASURES = [
    m("usage_rows", Usage, "count"),
    m("usage_total", Usage, "sum", "count"),
    m("usage_30", Usage, "sum", "count", time="day", window=30),
    m("usage_30_before", Usage, "sum", "count", time="day", window=30, offset=30),
    m("logins_7", Usage, "sum", "count", time="day", window=7, where="event == 'login'"),
    m("events_30", Usage, "distinct", "event", time="day", window=30),
    m("people_30", Usage, "distinct", "person_ref", time="day", window=30),
    m("usage_slope", Usage, "slope", "count", time="day", window=40),
    m("usage_max", Usage, "max", "count", time="day", window=14),
    m("usage_avg", Usage, "avg", "count", time="day", window=60, unit="ratio"),
    m("last_seen", Usage, "max", "day", unit="days"),
    m("last_seen_at", Usage, "max", "day", unit="date"),
    m("last_event", Usage, "latest", "event", time="day", unit="text"),
    m("tickets", Ticket, "count"),
    m("open_tickets", Ticket, "count", where="status in ['open', 'new']"),
    m("tickets_today", Ticket, "count", time="created_at", window=1),
    m("tickets_30", Ticket, "count", time="created_at", window=30),
    m("ticket_slope", Ticket, "slope", "reopens", time="created_at", window=30),
    m("vip_tickets", Ticket, "count", where="contains(tags, 'vip')"),
    m("wants_out", Ticket, "any", where="churn_intent", unit="flag"),
    m("first_ticket", Ticket, "min", "created_at", unit="days"),
    m("newest_ticket", Ticket, "max", "created_at", unit="date"),
    m("reply", Ticket, "avg", "first_reply_minutes", unit="minutes"),
    m("old_open", Ticket, "count", where="solved_at is None and as_of - created_at > days(10)"),
    m("last_status", Ticket, "latest", "status", time="created_at", unit="text"),
    m("last_intent", Ticket, "latest", "churn_intent", time="created_at", unit="flag"),
    m("nps_avg", SurveyResponse, "avg", "score", where="kind == 'nps'", unit="points"),
    m("nps_last", SurveyResponse, "latest", "score", time="answered_at", where="kind == 'nps'", unit="points"),
    m("nps_min", SurveyResponse, "min", "score", unit="points"),
    m("people", Person, "count", where="'x' == 'x'"),
    m("seats", Account, "sum", "seats_bought"),
    m("unpaid", Invoice, "count", where="status == 'open' and attempt_count > 1"),
    m("currencies", Invoice, "distinct", "currency"),
    m("due", Invoice, "sum", "amount_due", unit="money"),
]

ACCOUNTS = ["a", "b", "c"]
PERSONS = ["p", "q"]
FIRST = date(2026, 9, 1)
instants = st.integers(start_of(FIRST, ZoneInfo(ZONE)), NOW + 2 * DAY)
"""Around the change of the clocks, and beyond the as-of day."""
days = st.integers(0, 90).map(lambda place: (FIRST + timedelta(days=place)).isoformat())
refs = st.none() | st.sampled_from([*ACCOUNTS, "stranger"])
people = st.none() | st.sampled_from([*PERSONS, "nobody"])


def rows(build: Any, **fields: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.fixed_dictionaries(fields), max_size=10).map(
        lambda found: [build(index, **row) for index, row in enumerate(found)]
    )


usage = rows(
    lambda index, **row: Usage(id=f"u{index}", version=1, subject="s", **row),
    account_ref=refs,
    person_ref=people,
    event=st.sampled_from(["login", "export", "ö"]),
    day=days,
    count=st.integers(0, 50),
)
tickets = rows(
    lambda index, **row: Ticket(id=f"t{index}", version=1, **row),
    account_ref=refs,
    person_ref=people,
    status=st.sampled_from(["open", "new", "solved"]),
    created_at=instants,
    tags=st.lists(st.sampled_from(["vip", "v", "a,vip"]), max_size=2),
    solved_at=st.none() | instants,
    first_reply_minutes=st.none() | st.integers(0, 500),
    reopens=st.integers(0, 3),
    churn_intent=st.booleans(),
)
surveys = rows(
    lambda index, **row: SurveyResponse(id=f"r{index}", version=1, scale_min=0, scale_max=10, **row),
    account_ref=refs,
    kind=st.sampled_from(["nps", "csat"]),
    score=st.sampled_from([0.0, 3.5, 9.0, 10.0]),
    answered_at=instants,
)
invoices = rows(
    lambda index, **row: Invoice(id=f"i{index}", version=1, **row),
    account_ref=st.sampled_from(ACCOUNTS),
    status=st.sampled_from(["open", "paid"]),
    currency=st.sampled_from(["usd", "USD", "eur"]),
    amount_due=st.integers(0, 100_000),
    attempt_count=st.integers(0, 3),
)


class Naive:
    """The same figures, computed row by row."""

    def __init__(self, as_of: date, zone: str) -> None:
        self.as_of = as_of
        self.zone = ZoneInfo(zone)
        self.end = end_of(as_of, self.zone)

    def day(self, row: Record, time: str) -> date | None:
        value = getattr(row, time)
        if value is None:
            return None
        return date.fromisoformat(value) if isinstance(value, str) else day_of(value, self.zone)

    def matches(self, measure: Measure, row: Record) -> bool:
        if measure.time is not None:
            day, last = self.day(row, measure.time), self.as_of - timedelta(days=measure.offset)
            if day is None or day > last or (measure.window is not None and (last - day).days >= measure.window):
                return False
        tests = {
            "logins_7": lambda r: r.event == "login",
            "open_tickets": lambda r: r.status in {"open", "new"},
            "vip_tickets": lambda r: "vip" in r.tags,
            "wants_out": lambda r: r.churn_intent,
            "old_open": lambda r: r.solved_at is None and self.end - r.created_at > 10 * DAY,
            "nps_avg": lambda r: r.kind == "nps",
            "nps_last": lambda r: r.kind == "nps",
            "unpaid": lambda r: r.status == "open" and r.attempt_count > 1,
        }
        return tests.get(measure.name, lambda _: True)(row)

    def value(self, measure: Measure, found: list[Any]) -> Any:
        chosen = [row for row in found if self.matches(measure, row)]
        values = [getattr(row, measure.field) for row in chosen] if measure.field else []
        known = [value for value in values if value is not None]
        if measure.aggregate in {"count", "any"}:
            return len(chosen) if measure.aggregate == "count" else bool(chosen)
        if measure.aggregate == "slope":
            return self.slope(measure, chosen)
        if measure.aggregate == "latest":
            return self.latest(measure, chosen)
        if measure.aggregate in {"min", "max"}:
            return self.shown(measure, min(known) if measure.aggregate == "min" else max(known)) if known else None
        if measure.aggregate == "distinct":
            return len(set(known))
        return sum(known) if measure.aggregate == "sum" else fmean(known) if known else None

    @staticmethod
    def latest(measure: Measure, chosen: list[Any]) -> Any:
        time, field = measure.time or "", measure.field or ""
        best = [row for row in chosen if getattr(row, field) is not None]
        newest = max((getattr(row, time) for row in best), default=None)
        tied = sorted((row.id, getattr(row, field)) for row in best if getattr(row, time) == newest)
        return tied[0][1] if tied else None

    def shown(self, measure: Measure, value: Any) -> Any:
        if measure.unit == "days":
            day = date.fromisoformat(value) if isinstance(value, str) else day_of(value, self.zone)
            return (self.as_of - day).days
        if measure.unit == "date" and isinstance(value, str):
            return start_of(date.fromisoformat(value), ZoneInfo("UTC"))
        return value

    def slope(self, measure: Measure, chosen: list[Any]) -> float:
        """Least squares by the normal equations, over one sum per day."""
        assert measure.window
        assert measure.time
        assert measure.field
        sums = dict.fromkeys(range(measure.window), 0.0)
        for row in chosen:
            day = self.day(row, measure.time)
            assert day
            sums[measure.window - 1 - (self.as_of - day).days] += getattr(row, measure.field)
        n, xs = measure.window, list(sums)
        numerator = n * sum(x * sums[x] for x in xs) - sum(xs) * sum(sums.values())
        return numerator / (n * sum(x * x for x in xs) - sum(xs) ** 2)


@given(usage, tickets, surveys, invoices, st.booleans(), st.sampled_from([ZONE, "Europe/Berlin", "UTC", "Asia/Kathmandu"]))
@settings(max_examples=30, deadline=None)
def test_sql_equals_a_naive_computation(
    new_world: Callable[[], Any], usage: Any, tickets: Any, surveys: Any, invoices: Any, merged: bool, zone: str
) -> None:
    with new_world() as world:
        world.put(*(Account(id=id_, version=1, seats_bought=3) for id_ in ACCOUNTS))
        world.put(Person(id="p", version=1, account_ref="a"), Person(id="q", version=1, account_ref="b"))
        world.put(*usage, *tickets, *surveys, *invoices)
        if merged:
            same = Manual(a=Node("stripe", "a"), b=Node("stripe", "b"), relation="same", author="x", reason="x", at=1)
            world.store.write_now(lambda tx: put_manual(tx, same))
        plan = world.plan(*MEASURES, zone=zone)
        world.measure(plan)
        found = world.frame(plan)
        links = "SELECT record_id, account FROM links WHERE type = 'account'"
        home = dict(world.read(lambda reader: reader.all(links)))
        naive = Naive(found.as_of, zone)
        records = [*usage, *tickets, *surveys, *invoices, *[Account(id=id_, version=1, seats_bought=3) for id_ in ACCOUNTS]]
        records += [Person(id="p", version=1, account_ref="a"), Person(id="q", version=1, account_ref="b")]
        people = {"p": "a", "q": "b"}
        for row in found.rows():
            own = [record for record in records if home.get(_ref(record, people) or "") == row.account]
            for measure in MEASURES:
                mine = [record for record in own if isinstance(record, measure.record)]
                if measure.name == "due":
                    usd = sum(r.amount_due for r in mine if r.currency.lower() == "usd")
                    eur = sum(r.amount_due for r in mine if r.currency == "eur")
                    assert row["due_usd"] == usd
                    assert row.get("due_eur", 0) == eur
                    assert (row["due"], row.gap("due")) == ((None, "no_rate") if eur else (usd, None))
                    continue
                expected = naive.value(measure, mine)
                actual = row[measure.name]
                if isinstance(expected, float) and expected is not None:
                    assert actual == pytest.approx(expected, abs=1e-9), measure.name
                else:
                    assert actual == expected, measure.name


def _ref(record: Any, people: dict[str, str]) -> str | None:
    if isinstance(record, Account):
        return record.id
    if record.account_ref is not None:
        return str(record.account_ref)
    return people.get(getattr(record, "person_ref", None) or "")


def test_deleted_rows_do_not_count(world: World) -> None:
    world.customer()
    plan = world.plan(m("tickets", Ticket, "count"), m("seats", Account, "sum", "seats_bought"))
    world.put(Ticket(id="t", version=1, account_ref="cus_1", status="open", created_at=1))
    assert world.cell(plan, "tickets") == 1
    gone = Deletion(record=Ticket, id="t", version=2)
    world.store.write_now(lambda tx: world.tables.delete(tx, "stripe", "all", [gone], world.now))
    assert world.cell(plan, "tickets") == 0


def test_rows_of_several_vendors_are_one_figure(world: World) -> None:
    feeds = {Ticket.type: [Feed(instance="stripe", stream="all"), Feed(instance="zendesk", stream="all")]}
    world.fresh("zendesk")
    account = world.customer("cus_1", external_id="7")
    assert world.customer("org_1", "zendesk", external_id="7") == account
    world.put(Ticket(id="1", version=1, account_ref="cus_1", status="open", created_at=1))
    world.put(Ticket(id="1", version=1, account_ref="org_1", status="solved", created_at=2), instance="zendesk")
    plan = world.plan(
        m("tickets", Ticket, "count"),
        m("states", Ticket, "distinct", "status"),
        m("last", Ticket, "latest", "status", time="created_at", unit="text"),
        feeds=feeds,
    )
    assert [world.cell(plan, name) for name in ("tickets", "states", "last")] == [2, 2, "solved"]


def test_sums_beyond_the_database_are_exact_or_unknown(world: World) -> None:
    world.customer()
    big = 2**62
    world.put(
        *(
            Usage(id=f"u{i}", version=1, subject="s", account_ref="cus_1", event="e", day="2026-11-20", count=big)
            for i in range(3)
        )
    )
    world.put(
        *(Invoice(id=f"i{i}", version=1, account_ref="cus_1", status="open", currency="usd", amount_due=big) for i in range(3))
    )
    plan = world.plan(
        m("total", Usage, "sum", "count"),
        m("mean", Usage, "avg", "count", unit="ratio"),
        m("rows", Usage, "count"),
        m("due", Invoice, "sum", "amount_due", unit="money"),
        m("due_mean", Invoice, "avg", "amount_due", unit="money"),
    )
    assert world.cell(plan, "total") == "anomaly"
    assert world.cell(plan, "mean") == float(big)
    assert world.cell(plan, "rows") == 3
    assert world.cell(plan, "due") == "anomaly"
    assert world.cell(plan, "due_usd") == "anomaly"
    assert world.cell(plan, "due_mean") == big


edges = st.sampled_from([figures.LIMIT, figures.LIMIT + 1, -figures.LIMIT, -figures.LIMIT - 1])


@given(st.one_of(st.lists(st.none() | kind, max_size=5) for kind in (st.floats(), st.integers() | edges, st.floats() | edges)))
def test_a_column_is_believed_as_its_cells_are(values: list[Any]) -> None:
    assert repr(list(figures.all_believed(values))) == repr(list(map(figures.believed, values)))
