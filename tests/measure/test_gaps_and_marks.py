"""Stale is not zero, and a row is measured again exactly when something that it depends on has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.errors import StoreError
from wellkept.frame import Measure
from wellkept.pipeline.measure import Feed
from wellkept.records import CANONICAL, Account, Ticket, Usage
from wellkept.source import Deletion
from wellkept.store import rates
from wellkept.store.accounts import Manual, Node, mark_dirty, put_manual
from wellkept.store.rates import Rate

World = Any
HOUR = 3_600_000
DAY = 24 * HOUR

TICKETS = Measure(name="tickets", record=Ticket, aggregate="count", doc="Tickets.")
SHAPES = [
    TICKETS,
    Measure(name="reopens", record=Ticket, aggregate="sum", field="reopens", doc="x"),
    Measure(name="kinds", record=Ticket, aggregate="distinct", field="status", doc="x"),
    Measure(name="wants_out", record=Ticket, aggregate="any", where="churn_intent", unit="flag", doc="x"),
    Measure(name="trend", record=Ticket, aggregate="slope", field="reopens", time="created_at", window=7, doc="x"),
    Measure(name="reply", record=Ticket, aggregate="avg", field="first_reply_minutes", unit="minutes", doc="x"),
    Measure(name="newest", record=Ticket, aggregate="max", field="created_at", unit="date", doc="x"),
    Measure(name="state", record=Ticket, aggregate="latest", field="status", time="created_at", unit="text", doc="x"),
]
ZERO = {
    "tickets": 0,
    "reopens": 0,
    "kinds": 0,
    "wants_out": False,
    "trend": 0.0,
    "reply": "none",
    "newest": "none",
    "state": "none",
}


def ticket(id_: str, account: str = "cus_1", **more: Any) -> Ticket:
    known = {"version": 1, "status": "open", "created_at": 1, **more}
    return Ticket(id=id_, account_ref=account, **known)


def feeds(*streams: tuple[str, str], stale_after: timedelta | None = None) -> Any:
    found = [Feed(instance=instance, stream=stream, plugin=instance, stale_after=stale_after) for instance, stream in streams]
    return {type_.type: found for type_ in CANONICAL}


def cells(world: World, plan: Any, account: str | None = None) -> dict[str, Any]:
    world.measure(plan)
    found = world.frame(plan)
    row = found.row(account or found.accounts[0])
    return {name: row[name] if row[name] is not None else row.gap(name) for name in ZERO}


# --- why a cell is empty -----------------------------------------------------------------------------------------------------


def test_no_rows_are_zero_once_the_stream_was_read(world: World) -> None:
    world.customer()
    assert cells(world, world.plan(*SHAPES)) == ZERO


def test_a_stream_that_was_never_read_says_nothing_even_about_rows_that_are_there(world: World) -> None:
    world.customer()
    world.put(ticket("t"))
    plan = world.plan(*SHAPES, feeds=feeds(("stripe", "all"), ("stripe", "tickets")))
    assert set(cells(world, plan).values()) == {"none"}
    world.fresh("stripe", "tickets")
    assert cells(world, plan)["tickets"] == 1


def test_a_column_that_no_stream_feeds_is_unknown(world: World) -> None:
    world.customer()
    assert set(cells(world, world.plan(*SHAPES, feeds={})).values()) == {"none"}


def test_an_account_without_a_record_at_the_vendor_is_unmatched(world: World) -> None:
    world.fresh("zendesk")
    world.customer()
    plan = world.plan(*SHAPES, feeds=feeds(("zendesk", "all")))
    assert set(cells(world, plan).values()) == {"unmatched"}


@pytest.mark.parametrize("rows", [0, 3])
def test_stale_is_never_zero_nor_any_other_figure(world: World, rows: int) -> None:
    world.customer()
    world.put(*(ticket(str(number), created_at=world.now - 1) for number in range(rows)))
    plan = world.plan(*SHAPES)
    world.now += 36 * HOUR
    assert cells(world, plan)["tickets"] == rows
    world.now += 1
    assert set(cells(world, plan).values()) == {"stale"}
    world.fresh()
    assert cells(world, plan)["tickets"] == rows


def test_a_stream_says_itself_when_it_is_stale(world: World) -> None:
    world.customer()
    plan = world.plan(*SHAPES, feeds=feeds(("stripe", "all"), stale_after=timedelta(hours=2)))
    world.now += 2 * HOUR
    assert cells(world, plan)["tickets"] == 0
    world.now += 1
    assert cells(world, plan)["tickets"] == "stale"


def test_a_reading_that_is_not_credible_makes_unknown(world: World) -> None:
    world.customer()
    plan = world.plan(*SHAPES)
    world.fresh(anomaly="full read: 3 rows, usually 900")
    assert set(cells(world, plan).values()) == {"anomaly"}
    world.fresh()
    assert cells(world, plan) == ZERO


def test_an_outage_concerns_only_accounts_at_that_vendor(world: World) -> None:
    world.fresh("zendesk")
    both = world.customer("cus_1", external_id="1")
    world.customer("org_1", "zendesk", external_id="1")
    only_zendesk = world.customer("org_2", "zendesk")
    plan = world.plan(*SHAPES, feeds=feeds(("stripe", "all"), ("zendesk", "all")))
    world.now += 30 * HOUR
    world.fresh("zendesk")
    world.now += 10 * HOUR
    assert cells(world, plan, both)["tickets"] == "stale"
    assert cells(world, plan, only_zendesk)["tickets"] == 0


def test_a_measure_may_name_its_streams(world: World) -> None:
    world.customer()
    own = [("a", ("stripe.tickets",)), ("b", ("stripe.all",)), ("c", ("stripe-eu.all",))]
    measures = [Measure(name=name, record=Ticket, aggregate="count", doc="x", streams=streams) for name, streams in own]
    both = {Ticket.type: [Feed(instance="stripe", stream="tickets"), Feed(instance="stripe", stream="all", plugin="stripe")]}
    plan = world.plan(*measures, feeds=both)
    assert [world.cell(plan, name) for name in "abc"] == ["none", 0, "none"]


def test_a_persons_link_counts_as_a_record_at_the_vendor(world: World) -> None:
    world.fresh("mixpanel")
    account = world.customer()
    with_link = (
        "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('person', 'mixpanel', 'p', ?, '{}', 1)"
    )
    world.store.write_now(lambda tx: tx.execute(with_link, (account,)))
    usage = Usage(id="u", version=1, subject="p", person_ref="p", event="login", day="2026-11-20", count=4)
    world.put(usage, instance="mixpanel")
    plan = world.plan(
        Measure(name="logins", record=Usage, aggregate="sum", field="count", doc="x"), feeds=feeds(("mixpanel", "all"))
    )
    assert world.cell(plan, "logins") == 4


# --- who is in the frame -----------------------------------------------------------------------------------------------------


def test_the_frame_holds_customers_alone(world: World) -> None:
    one, two = world.customer("cus_1", country="DE"), world.customer("cus_2", country="FR")
    three = world.customer("cus_3")
    plan = world.plan(where="country == 'DE'")
    world.measure(plan)
    assert list(world.frame(plan).accounts) == [one]
    assert sorted(world.frame(world.plan()).accounts) == sorted([one, two, three])


def test_an_account_that_is_gone_or_merged_leaves_the_frame(world: World) -> None:
    one, two = world.customer("cus_1", created_at=1), world.customer("cus_2", created_at=2)
    plan = world.plan(TICKETS)
    world.put(ticket("t", "cus_2"))
    world.measure(plan)
    assert len(world.frame(plan)) == 2
    same = Manual(a=Node("stripe", "cus_1"), b=Node("stripe", "cus_2"), relation="same", author="x", reason="x", at=1)
    world.store.write_now(lambda tx: put_manual(tx, same))
    world.measure(plan)
    assert list(world.frame(plan).accounts) == [one]
    assert world.cell(plan, "tickets") == 1
    assert list(world.compute(plan, accounts=[two]).accounts) == [one]
    gone = [Deletion(record=Account, id=id_, version=9) for id_ in ("cus_1", "cus_2")]
    world.store.write_now(lambda tx: world.tables.delete(tx, "stripe", "all", gone, world.now))
    world.measure(plan)
    assert len(world.frame(plan)) == 0


def test_without_a_measurement_there_is_no_frame(world: World) -> None:
    with pytest.raises(StoreError, match="no frame yet"):
        world.frame(world.plan())


def test_built_in_columns(world: World) -> None:
    world.customer("cus_1", country="DE", segment="smb", created_at=world.now - 40 * DAY, external_id="1", version=5)
    world.fresh("hubspot")
    world.customer("7", "hubspot", country="FR", created_at=world.now - 50 * DAY, owner_ref="ada", external_id="1", version=9)
    plan = world.plan(feeds=feeds(("stripe", "all"), ("hubspot", "all")))
    world.measure(plan)
    (row,) = world.frame(plan).rows()
    assert dict(row) == {"country": "FR", "segment": "smb", "owner_known": True, "tenure_days": 50}


# --- what is measured again ---------------------------------------------------------------------------------------------------


def dirty(world: World) -> set[str]:
    return {account for (account,) in world.read(lambda reader: reader.all("SELECT account FROM dirty_accounts"))}


def test_within_the_day_only_touched_accounts_are_measured(world: World) -> None:
    one, two = world.customer("cus_1"), world.customer("cus_2")
    plan = world.plan(TICKETS)
    report = world.measure(plan)
    assert (report.measured, report.complete) == (2, True)
    assert dirty(world) == set()
    assert world.measure(plan).measured == 0
    world.put(ticket("t", "cus_2"))
    world.now += HOUR
    report = world.measure(plan)
    assert (report.measured, report.complete) == (1, False)
    instants = dict(world.read(lambda reader: reader.all("SELECT account, measured_at FROM frame_rows")))
    assert instants == {one: world.now - HOUR, two: world.now}
    assert world.measure(plan, all=True).measured == 2


def test_a_new_day_another_plan_and_other_rates_measure_everything(world: World) -> None:
    world.customer("cus_1")
    plan = world.plan(TICKETS, zone="Asia/Tokyo")
    world.measure(plan)
    assert not world.measure(plan).complete
    world.now += 3 * HOUR  # midnight in Tokyo
    report = world.measure(plan)
    assert (str(report.as_of), report.complete) == ("2026-11-22", True)
    assert world.measure(world.plan(*SHAPES, zone="Asia/Tokyo")).complete
    assert not world.measure(world.plan(*SHAPES, zone="Asia/Tokyo")).complete
    world.store.write_now(lambda tx: rates.replace(tx, [Rate("2026-11-01", "eur", "usd", 1)]))  # type: ignore[arg-type]
    assert world.measure(world.plan(*SHAPES, zone="Asia/Tokyo")).complete


def test_a_stream_that_turns_stale_or_fresh_measures_its_accounts_alone(world: World) -> None:
    world.fresh("zendesk")
    one = world.customer("cus_1")
    two = world.customer("org_1", "zendesk")
    plan = world.plan(*SHAPES, feeds=feeds(("stripe", "all"), ("zendesk", "all")), zone="Pacific/Auckland", stale_after_hours=4)
    world.measure(plan)
    world.now += 3 * HOUR
    world.fresh("zendesk")
    world.now += 2 * HOUR
    report = world.measure(plan)
    assert (report.measured, report.complete) == (1, False)
    assert [cells(world, plan, account)["tickets"] for account in (one, two)] == ["stale", 0]
    world.fresh()
    assert world.measure(plan).measured == 1
    assert [cells(world, plan, account)["tickets"] for account in (one, two)] == [0, 0]


def test_what_is_marked_while_it_is_measured_stays_marked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = world.customer("cus_1")
    plan = world.plan(TICKETS)
    world.measure(plan)
    world.put(ticket("1"))
    world.resolve()
    real = world.store.write_now
    calls = 0

    def interfering(job: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:  # the row was computed, and is about to be kept
            real(lambda tx: world.tables.upsert(tx, "stripe", "all", [ticket("2")], world.now))
            real(lambda tx: mark_dirty(tx, [account], world.now))
        return real(job, **more)

    monkeypatch.setattr(world.store, "write_now", interfering)
    from wellkept.pipeline.measure import measure

    measure(world.store, plan, now=world.now)
    monkeypatch.undo()
    assert dirty(world) == {account}
    assert cells(world, world.plan(*SHAPES))["tickets"] == 2


def test_a_process_that_wakes_up_late_overwrites_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.customer("cus_1")
    plan = world.plan(TICKETS)
    world.measure(plan)
    world.put(ticket("1"))
    world.resolve()
    from wellkept.pipeline.measure import frame, measure

    real, woken = world.store.write_now, False
    calls = 0

    def late(job: Any, **more: Any) -> Any:
        nonlocal calls, woken
        calls += 1
        if calls == 2 and not woken:
            woken = True
            monkeypatch.setattr(world.store, "write_now", real)
            world.put(ticket("2"))
            world.measure(plan)  # somebody else measures, and is done
            monkeypatch.setattr(world.store, "write_now", late)
        return real(job, **more)

    monkeypatch.setattr(world.store, "write_now", late)
    measure(world.store, plan, now=world.now)
    monkeypatch.undo()
    assert woken
    (row,) = world.read(lambda reader: frame(reader, plan)).rows()
    assert row["tickets"] == 2


class KilledError(Exception):
    """The process is gone."""


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_a_kill_leaves_the_rest_to_the_next_run(world: World, survived: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept.pipeline.measure.CHUNK", 1)
    world.customer("cus_1")
    world.customer("cus_2")
    world.put(ticket("1", "cus_1"), ticket("2", "cus_2"))
    plan = world.plan(TICKETS)
    real, calls = world.store.write_now, 0

    def dying(job: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > survived:
            raise KilledError
        return real(job, **more)

    world.resolve()
    monkeypatch.setattr(world.store, "write_now", dying)
    from wellkept.pipeline.measure import measure

    with pytest.raises(KilledError):
        measure(world.store, plan, now=world.now)
    monkeypatch.setattr(world.store, "write_now", real)
    measure(world.store, plan, now=world.now)
    assert [row["tickets"] for row in world.frame(plan).rows()] == [1, 1]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ticket"), st.sampled_from(["cus_1", "cus_2", "stranger"]), st.sampled_from("abc")),
        st.tuples(st.just("account"), st.sampled_from(["cus_1", "cus_2"]), st.none() | st.just("7")),
        st.tuples(st.just("wait"), st.sampled_from([1, 20, 30])),
        st.tuples(st.just("fresh"), st.none() | st.just("full read: too few")),
        st.tuples(st.just("delete"), st.sampled_from("abc")),
        st.tuples(st.just("measure")),
    ),
    max_size=14,
)


@given(steps)
@settings(max_examples=20, deadline=None)
def test_kept_rows_always_equal_those_computed_anew(new_world: Callable[[], Any], steps: list[tuple[Any, ...]]) -> None:
    with new_world() as world:
        plan = world.plan(*SHAPES, zone="Europe/Berlin")
        for version, (what, *more) in enumerate([*steps, ("measure",)], start=1):
            if what == "ticket":
                world.put(ticket(more[1], more[0], version=version, reopens=version, created_at=world.now))
            elif what == "account":
                world.put(Account(id=more[0], version=version, external_id=more[1], created_at=version))
            elif what == "wait":
                world.now += more[0] * HOUR
            elif what == "fresh":
                world.fresh(anomaly=more[0])
            elif what == "delete":
                gone = [Deletion(record=Ticket, id=more[0], version=version)]
                world.store.write_now(lambda tx, gone=gone: world.tables.delete(tx, "stripe", "all", gone, world.now))
            else:
                world.measure(plan)
                world.frame(plan)  # compares with what is computed anew
