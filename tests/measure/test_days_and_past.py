"""Days in the configured zone, and frames of past days that know nothing of what came later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.frame import Measure
from wellkept.pipeline.days import day_of, end_of, start_of
from wellkept.records import Account, Invoice, Ticket, Usage
from wellkept.source import Deletion

World = Any
HOUR = 3_600_000
DAY = 24 * HOUR

ZONES = ["UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Cairo"]


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-11-01", "America/New_York", 25),
        ("2026-03-08", "America/New_York", 23),
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2026-11-21", "Asia/Kathmandu", 24),
        ("2018-11-04", "America/Sao_Paulo", 23),  # midnight itself was skipped
        ("2019-02-16", "America/Sao_Paulo", 25),
        ("2011-12-30", "Pacific/Apia", 0),  # a day that never was
    ],
)
def test_a_day_is_as_long_as_it_is(day: str, zone: str, hours: int) -> None:
    known = ZoneInfo(zone)
    assert end_of(date.fromisoformat(day), known) - start_of(date.fromisoformat(day), known) == hours * HOUR


@given(st.dates(date(2005, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES), st.integers(0, DAY - 1))
@settings(max_examples=100, deadline=None)
def test_every_instant_lies_in_its_day(day: date, zone: str, offset: int) -> None:
    known = ZoneInfo(zone)
    instant = start_of(day, known) + offset
    home = day_of(instant, known)
    assert start_of(home, known) <= instant < end_of(home, known)
    assert start_of(day + timedelta(days=1), known) == end_of(day, known)


def tickets(window: int, offset: int = 0) -> Measure:
    return Measure(name="tickets", record=Ticket, aggregate="count", time="created_at", window=window, offset=offset, doc="x")


def ticket(id_: str, created_at: int, **more: Any) -> Ticket:
    known = {"version": 1, "status": "open", **more}
    return Ticket(id=id_, account_ref="cus_1", created_at=created_at, **known)


@pytest.mark.parametrize(
    ("window", "offset", "expected"),
    [(1, 0, "d"), (2, 0, "cd"), (3, 0, "bcd"), (1, 1, "c"), (2, 1, "bc"), (30, 3, "a")],
)
def test_windows_are_whole_local_days_across_a_change_of_the_clocks(
    world: World, window: int, offset: int, expected: str
) -> None:
    zone = "America/New_York"
    world.now = at("2026-11-02T12:00", zone)
    world.fresh()
    world.customer()
    first = {"a": "2026-10-30T23:59:59.999", "b": "2026-10-31T00:00", "c": "2026-11-01T23:59:59.999", "d": "2026-11-02T00:00"}
    world.put(*(ticket(name, at(instant, zone)) for name, instant in first.items()))
    world.put(ticket("tomorrow", at("2026-11-03T00:00", zone)))
    plan = world.plan(
        tickets(window, offset),
        Measure(name="last", record=Ticket, aggregate="max", field="id", time="created_at", window=window, offset=offset,
                unit="text", doc="x"),
        zone=zone,
    )  # fmt: skip
    assert world.cell(plan, "tickets") == len(expected)
    assert world.cell(plan, "last") == max(expected)


def test_the_same_instant_belongs_to_other_days_elsewhere(world: World) -> None:
    world.customer()
    world.now = at("2026-11-21T22:30")
    world.fresh()
    world.put(ticket("t", at("2026-11-21T20:00")))
    cells = {zone: world.cell(world.plan(tickets(1), zone=zone), "tickets") for zone in ("UTC", "Asia/Tokyo", "America/Lima")}
    assert cells == {"UTC": 1, "Asia/Tokyo": 1, "America/Lima": 1}
    world.now += 2 * HOUR
    cells = {zone: world.cell(world.plan(tickets(1), zone=zone), "tickets") for zone in ("UTC", "Asia/Tokyo", "America/Lima")}
    assert cells == {"UTC": 0, "Asia/Tokyo": 1, "America/Lima": 1}


def test_iso_days_are_the_vendors_own(world: World) -> None:
    world.customer()
    rows = [("2026-11-21", 1), ("2026-11-20", 10), ("2026-11-15", 100), ("2026-11-14", 1_000), ("2026-11-22", 10_000)]
    world.put(*(Usage.of(subject="s", account_ref="cus_1", event="e", day=day, count=n, version=1) for day, n in rows))
    week = Measure(name="week", record=Usage, aggregate="sum", field="count", time="day", window=7, doc="x")
    before = Measure(name="before", record=Usage, aggregate="sum", field="count", time="day", window=7, offset=7, doc="x")
    ever = Measure(name="ever", record=Usage, aggregate="sum", field="count", time="day", doc="x")
    then = Measure(name="then", record=Usage, aggregate="sum", field="count", time="day", offset=7, doc="x")
    plan = world.plan(week, before, ever, then, zone="America/Los_Angeles")
    assert [world.cell(plan, name) for name in ("week", "before", "ever", "then")] == [111, 1_000, 1_111, 1_000]


def test_a_slope_is_per_local_day_across_a_change_of_the_clocks(world: World) -> None:
    zone = "America/New_York"
    world.now = at("2026-11-04T12:00", zone)
    world.fresh()
    world.customer()
    days = [date(2026, 10, 29) + timedelta(days=place) for place in range(7)]
    instants = [start_of(day, ZoneInfo(zone)) for day in days] + [end_of(day, ZoneInfo(zone)) - 1 for day in days]
    world.put(*(ticket(str(i), instant, reopens=i % 7) for i, instant in enumerate(instants)))
    slope = Measure(name="slope", record=Ticket, aggregate="slope", field="reopens", time="created_at", window=7, doc="x")
    assert world.cell(world.plan(slope, zone=zone), "slope") == pytest.approx(2.0)


# --- past days ---------------------------------------------------------------------------------------------------------------

PAST = [
    Measure(name="open", record=Invoice, aggregate="count", where="status == 'open'", doc="x"),
    Measure(name="due", record=Invoice, aggregate="sum", field="amount_due", unit="money", doc="x"),
    Measure(name="state", record=Invoice, aggregate="latest", field="status", time="created_at", unit="text", doc="x"),
    Measure(name="tickets", record=Ticket, aggregate="count", doc="x"),
    Measure(name="usage", record=Usage, aggregate="sum", field="count", time="day", doc="x"),
]
NAMES = ["open", "due", "due_usd", "state", "tickets", "usage", "country"]


def shown(frame: Any) -> dict[str, dict[str, Any]]:
    return {
        row.account: {name: row[name] if row[name] is not None else row.gap(name) for name in NAMES} for row in frame.rows()
    }


def read_well(world: World) -> None:
    """A run that read everything, as the run table remembers it."""
    id_ = f"run-{world.now}"

    def job(tx: Any) -> None:
        tx.execute(
            "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, finished_at, host, pid)"
            " VALUES (?, 'sync', 'done', ?, ?, ?, 'h', 1)",
            (id_, world.now, world.now, world.now),
        )
        tx.execute(
            "INSERT INTO run_streams (run_id, instance, stream, state, started_at, finished_at)"
            " VALUES (?, 'stripe', 'all', 'done', ?, ?)",
            (id_, world.now, world.now),
        )

    world.store.write_now(job)
    world.fresh()


def invoice(version: int, status: Any, amount: int, **more: Any) -> Invoice:
    return Invoice(
        id="in_1", version=version, account_ref="cus_1", status=status, currency="usd", amount_due=amount, created_at=1, **more
    )


def test_a_past_frame_shows_what_was_known_then(world: World) -> None:
    world.customer(country="DE")
    plan = world.plan(*PAST)
    read_well(world)
    world.put(invoice(1, "open", 500), ticket("t", 1))
    world.measure(plan)
    before = shown(world.frame(plan))
    (account,) = before
    assert before[account] == {
        "open": 1, "due": 500, "due_usd": 500, "state": "open", "tickets": 1, "usage": 0, "country": "DE",
    }  # fmt: skip

    world.now += DAY
    read_well(world)
    world.put(invoice(2, "paid", 0), ticket("u", 2), Account(id="cus_1", version=2, country="FR"))
    gone = [Deletion(record=Ticket, id="t", version=2)]
    world.store.write_now(lambda tx: world.tables.delete(tx, "stripe", "all", gone, world.now))
    world.put(Usage.of(subject="s", account_ref="cus_1", event="e", day="2026-11-20", count=7, version=1))
    world.measure(plan)
    assert shown(world.frame(plan))[account] == {
        "open": 0, "due": 0, "due_usd": 0, "state": "paid", "tickets": 1, "usage": 7, "country": "FR",
    }  # fmt: skip
    assert shown(world.compute(plan, "2026-11-21")) == before


def test_a_past_day_before_anything_was_read_is_unknown(world: World) -> None:
    world.customer()
    plan = world.plan(*PAST)
    world.now += 5 * DAY
    read_well(world)
    world.put(invoice(1, "open", 500, updated_at=1))
    world.resolve()
    (cells,) = shown(world.compute(plan, "2026-11-23")).values()
    assert set(cells.values()) == {"none"}
    (cells,) = shown(world.compute(plan, "2026-11-26")).values()
    assert cells["due"] == 500


def test_a_past_day_during_an_outage_stays_unknown(world: World) -> None:
    world.customer()
    plan = world.plan(*PAST)
    read_well(world)
    world.now += 5 * DAY
    read_well(world)
    (cells,) = shown(world.compute(plan, "2026-11-21")).values()
    assert cells["tickets"] == 0
    (cells,) = shown(world.compute(plan, "2026-11-24")).values()
    assert cells["tickets"] == "stale"


def test_the_future_has_no_frame(world: World) -> None:
    with pytest.raises(ValueError, match="2026-11-22 is in the future of 2026-11-21"):
        world.compute(world.plan(), "2026-11-22")


events = st.lists(
    st.tuples(
        st.sampled_from(["invoice", "ticket", "account", "usage", "delete"]),
        st.integers(0, 3),
        st.sampled_from(["open", "paid"]),
        st.integers(0, 500),
    ),
    max_size=5,
)


@given(events, events)
@settings(max_examples=20, deadline=None)
def test_a_past_frame_never_knows_what_was_observed_later(new_world: Callable[[], Any], now: Any, later: Any) -> None:
    with new_world() as world:
        plan = world.plan(*PAST)
        world.customer(country="DE")
        read_well(world)
        _play(world, now)
        world.measure(plan)
        then = world.plain(world.frame(plan))
        world.now += DAY
        read_well(world)
        _play(world, later)
        world.resolve()
        assert world.plain(world.compute(plan, "2026-11-21")) == then


def _play(world: World, steps: list[tuple[str, int, Any, int]]) -> None:
    for place, (what, version, status, amount) in enumerate(steps):
        newer = world.now // 1000 + version * 10 + place
        if what == "invoice":
            world.put(invoice(newer, status, amount))
        elif what == "ticket":
            world.put(ticket(status, amount, version=newer, reopens=amount))
        elif what == "account":
            world.put(Account(id="cus_1", version=newer, country=status))
        elif what == "usage" and not world.read(lambda reader: reader.value("SELECT COUNT(*) FROM r_usage")):
            day = "2026-11-20"
            world.put(Usage.of(subject="s", account_ref="cus_1", event="e", day=day, count=amount, version=newer))
        elif what == "delete":
            gone = [Deletion(record=Ticket, id=status, version=newer)]
            world.store.write_now(lambda tx, gone=gone: world.tables.delete(tx, "stripe", "all", gone, world.now))
