"""Measures that choose their rows first: quantiles, the latest per person, rows as they were, formulas, and days that count."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.frame import Formula, Measure
from wellkept.pipeline.cells import Cells
from wellkept.pipeline.compile import Compiler
from wellkept.pipeline.lulls import span
from wellkept.pipeline.parts import Feed
from wellkept.records import Subscription, SurveyResponse, Ticket, Usage
from wellkept.store import cursors, rates, volumes
from wellkept.store.cursors import Key

if TYPE_CHECKING:
    from conftest import World

DAY = 86_400_000
NOW = 1_795_262_400_000  # 2026-11-21T12:00Z
TODAY = date(2026, 11, 21)


# --- quantiles ---


def ticket(number: int, minutes: int | None, **more: Any) -> Ticket:
    fields = {"status": "open", "created_at": NOW - DAY, "account_ref": "cus_1", **more}
    return Ticket(id=f"t{number}", version=1, first_reply_minutes=minutes, **fields)


MIDDLE = Measure(
    name="reply_median", record=Ticket, aggregate="median", field="first_reply_minutes", unit="minutes", time="created_at",
    window=28, doc="x",
)  # fmt: skip
HIGH = Measure(name="reply_p90", record=Ticket, aggregate="p90", field="first_reply_minutes", unit="minutes", doc="x")


@given(st.lists(st.one_of(st.none(), st.integers(0, 10_000)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_quantiles_are_what_the_library_says(
    new_world: Callable[[], AbstractContextManager[World]], values: list[int | None]
) -> None:
    with new_world() as world:
        world.customer()
        world.put(*(ticket(number, value) for number, value in enumerate(values)))
        plan = world.plan(MIDDLE, HIGH)
        known = sorted(value for value in values if value is not None)
        world.measure(plan)
        row = next(world.frame(plan).rows())
        assert row["reply_median"] == (statistics.median(known) if known else None)
        assert row["reply_p90"] == (known[(len(known) * 9 + 9) // 10 - 1] if known else None)


def test_a_quantile_looks_at_its_window_its_filter_and_its_account_alone(world: World) -> None:
    world.customer()
    world.customer("cus_2")
    world.put(
        ticket(1, 10),
        ticket(2, 99, created_at=NOW - 40 * DAY),
        ticket(3, 70, account_ref="cus_2"),
        ticket(4, 30, status="spam"),
    )
    measure = Measure(
        name="m", record=Ticket, aggregate="median", field="first_reply_minutes", unit="minutes", time="created_at", window=28,
        where="status != 'spam'", doc="x",
    )  # fmt: skip
    world.measure(world.plan(measure))
    assert sorted(row["m"] for row in world.frame(world.plan(measure)).rows()) == [10, 70]


# --- the latest per person ---


def answer(id_: str, score: float, days: int, person: str | None = "p1", kind: Any = "nps") -> SurveyResponse:
    return SurveyResponse(
        id=id_, version=1, account_ref="cus_1", person_ref=person, kind=kind, score=score, scale_min=0, scale_max=10,
        answered_at=NOW - days * DAY,
    )  # fmt: skip


def nps(name: str, having: str | None = None, **more: Any) -> Measure:
    fields = {"aggregate": "count", "time": "answered_at", "window": 365, "where": "kind == 'nps'", "per": "person_ref"} | more
    return Measure(name=name, record=SurveyResponse, having=having, doc="x", **fields)


def test_only_the_last_answer_of_a_person_counts(world: World) -> None:
    world.customer()
    world.put(
        answer("a", 10, 100), answer("b", 3, 10), answer("c", 9, 5, kind="csat"), answer("d", 10, 400, "p2"),
        answer("e", 9, 7, "p3"), answer("f", 8, 7, None), answer("g", 9, 9, None),
    )  # fmt: skip
    plan = world.plan(
        nps("answers"), nps("promoters", "score >= 9"), nps("detractors", "score <= 6"),
        nps("score", aggregate="avg", field="score", unit="points"),
        Formula(name="nps", value="(promoters - detractors) / answers * 100", unit="points", doc="x"),
    )  # fmt: skip
    world.measure(plan)
    row = next(world.frame(plan).rows())
    assert (row["answers"], row["promoters"], row["detractors"]) == (4, 2, 1)  # b, e, and f, g that nobody is known for
    assert row["score"] == (3 + 9 + 8 + 9) / 4
    assert row["nps"] == 25
    assert plan.column("nps") is not None
    assert plan.records_of("nps") == {SurveyResponse}


def test_fifty_promoters_thirty_passives_twenty_detractors_are_plus_thirty(world: World) -> None:
    world.customer()
    world.put(*(answer(f"a{n}", 9 if n < 50 else 8 if n < 80 else 6, 3, f"p{n}") for n in range(100)))
    plan = world.plan(
        nps("answers"), nps("promoters", "score >= 9"), nps("detractors", "score <= 6"),
        Formula(name="nps", value="(promoters - detractors) / answers * 100", unit="points", doc="x"),
    )  # fmt: skip
    assert world.cell(plan, "nps") == 30


# --- people and days ---


def test_days_of_use_are_summed_over_people(world: World) -> None:
    world.customer()
    world.put(
        *(
            Usage.of(subject=who, event=event, day=str(TODAY - timedelta(days=ago)), count=2, version=1, account_ref="cus_1")
            for who, event, ago in [("a", "x", 0), ("a", "y", 0), ("a", "x", 3), ("b", "x", 3), ("b", "x", 40)]
        )
    )
    plan = world.plan(
        Measure(name="n", record=Usage, aggregate="distinct", field="day, subject", time="day", window=28, doc="x")
    )
    assert world.cell(plan, "n") == 3
    with pytest.raises(ConfigError, match="only texts and days have combinations"):
        world.plan(Measure(name="n", record=Usage, aggregate="distinct", field="day, count", doc="x"))
    with pytest.raises(ConfigError, match="has no field 'days'; did you mean 'day'"):
        world.plan(Measure(name="n", record=Usage, aggregate="distinct", field="days, subject", doc="x"))


# --- formulas ---

OPEN = Measure(name="open", record=Ticket, aggregate="count", where="status == 'open'", doc="x")
ALL = Measure(name="every", record=Ticket, aggregate="count", doc="x")
SHARE = Formula(name="share", value="open / every", doc="Share of tickets that are open.")


def test_a_formula_is_unknown_when_divided_by_zero_or_when_its_columns_are(world: World) -> None:
    world.customer()
    plan = world.plan(SHARE, OPEN, ALL)  # it may be declared before what it names
    assert world.cell(plan, "share") == "none"
    world.put(ticket(1, None), ticket(2, None, status="solved"))
    assert world.cell(plan, "share") == 0.5
    world.now += 3 * DAY
    assert world.cell(plan, "share") == "stale"
    world.fresh(anomaly="too few rows")
    assert world.cell(plan, "share") == "anomaly"


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (Formula(name="share", value="open / ever", doc="x"), "column 'share' of plugin: there is no column 'ever'"),
        (Formula(name="open", value="every", doc="x"), "the column 'open' is declared by plugin and by plugin"),
        (Formula(name="Share", value="every", doc="x"), "lower-case"),
        (Formula(name="share", value="open > 3", doc="x"), "yields a flag cannot be taken as 'ratio'"),
        (Formula(name="share", value="every", unit="text", doc="x"), "cannot be taken as 'text'"),
        (Formula(name="share", value="owner", unit="flag", doc="x"), "there is no column 'owner'"),
    ],
)
def test_a_formula_that_cannot_be_computed_is_refused_by_name(world: World, formula: Formula, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world.plan(OPEN, ALL, formula)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"per": "person_ref"}, "`per` needs `time`"),
        ({"having": "status == 'open'"}, "without `per` write `where`"),
        ({"ago": -1}, "`ago` counts days into the past"),
        ({"ago": 3, "record": Usage}, "`ago` needs a type that keeps history"),
        ({"ago": 3, "aggregate": "median", "field": "reopens"}, "`ago` does not go with"),
        ({"per": "person_ref", "time": "created_at", "aggregate": "p90", "field": "reopens"}, "`per` does not go with"),
        ({"aggregate": "median", "field": "mrr", "record": Subscription, "unit": "money"}, "money of several currencies"),
    ],
)
def test_what_does_not_go_together_is_refused(world: World, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world.plan(Measure(**{"name": "x", "record": Ticket, "aggregate": "count", "doc": "x", **change}))
    assert words in str(caught.value)


# --- rows as they were ---

MRR = Measure(name="mrr", record=Subscription, aggregate="sum", field="mrr", unit="money", doc="x")
BEFORE = Measure(
    name="mrr_28d_ago", record=Subscription, aggregate="sum", field="mrr", unit="money", time="started_at", offset=28, ago=28,
    doc="x",
)  # fmt: skip


def subscription(mrr: int, version: int, id_: str = "s", **more: Any) -> Subscription:
    fields = {"account_ref": "cus_1", "status": "active", "currency": "usd", "started_at": NOW - 700 * DAY, **more}
    return Subscription(id=id_, version=version, mrr=mrr, **fields)


def test_revenue_of_a_month_ago_is_known_from_the_first_day_on(world: World) -> None:
    world.customer()
    world.put(subscription(1000, 1, updated_at=NOW - 100 * DAY), subscription(400, 2, updated_at=NOW - 3 * DAY))
    plan = world.plan(MRR, BEFORE)
    assert (world.cell(plan, "mrr"), world.cell(plan, "mrr_28d_ago"), world.cell(plan, "mrr_28d_ago_usd")) == (400, 1000, 1000)


def test_a_row_whose_history_begins_later_counts_as_it_was_first_known(world: World) -> None:
    world.customer()
    world.put(subscription(1000, 1), subscription(70, 1, "young", started_at=NOW - 5 * DAY))
    plan = world.plan(MRR, BEFORE)
    world.measure(plan)
    world.now += DAY
    world.fresh()
    world.put(subscription(400, 2))
    assert (world.cell(plan, "mrr"), world.cell(plan, "mrr_28d_ago")) == (470, 1000)
    world.now += 60 * DAY
    world.fresh()
    assert (world.cell(plan, "mrr"), world.cell(plan, "mrr_28d_ago")) == (470, 470)


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 9)), min_size=1, max_size=6), st.integers(0, 60)
)
@settings(max_examples=25, deadline=None)
def test_a_row_as_it_was_follows_both_clocks(
    new_world: Callable[[], AbstractContextManager[World]], readings: list[tuple[int, int, int]], back: int
) -> None:
    with new_world() as world:
        world.now = NOW - 91 * DAY
        world.customer()
        known: list[tuple[int, int, int, int]] = []
        for version, (observed, age, mrr) in enumerate(sorted(readings, key=lambda reading: -reading[0]), 1):
            world.now = NOW - observed * DAY
            valid = world.now - age * DAY
            amount = mrr * 10 + version  # no two readings alike, so that each is a run of its own
            world.put(subscription(amount, version, updated_at=valid))
            known.append((version, valid, world.now, amount))
        world.now = NOW
        world.fresh()
        then = NOW + DAY // 2 - back * DAY - 1
        true = [(version, mrr) for version, valid, _, mrr in known if valid <= then]
        wanted = max(true)[1] if true else min((version, mrr) for version, *_, mrr in known)[1]
        plan = world.plan(Measure(name="m", record=Subscription, aggregate="sum", field="mrr", ago=back, doc="x"), MRR)
        assert world.cell(plan, "m") == wanted


def test_of_a_past_day_only_what_was_known_then_counts(world: World) -> None:
    world.now = NOW - 10 * DAY
    world.customer()
    world.put(subscription(1000, 1, updated_at=NOW - 100 * DAY))
    world.now = NOW - 3 * DAY
    world.put(subscription(700, 2, updated_at=NOW - 70 * DAY))
    world.now = NOW
    world.put(subscription(400, 3, updated_at=NOW - 60 * DAY))
    world.fresh()
    plan = world.plan(MRR, BEFORE)
    assert world.cell(plan, "mrr_28d_ago") == 400
    with world.store.read() as reader:
        states = {"stripe.all": "ok"}
        cells = Cells(plan, TODAY - timedelta(days=5), states, rates.load(reader), {}, past=True)
        (row,) = cells.everything(reader)
    assert row.cells["mrr_28d_ago"] == 1000


# --- days that count ---


PAST = st.integers(1, 110).map(lambda ago: TODAY - timedelta(days=ago))


@given(st.integers(1, 40), st.integers(0, 60), st.frozensets(PAST, max_size=9))
@settings(max_examples=200, deadline=None)
def test_a_window_keeps_its_length_and_its_weekdays(days: int, offset: int, lulls: frozenset[date]) -> None:
    found = span(TODAY, days, offset, lulls)
    assert found.first is not None
    plain = [found.last - timedelta(days=place) for place in range(days)]
    counted = sorted({*plain} - {*found.without} | {*found.more})
    assert len(counted) == days
    assert not lulls.intersection(counted)
    assert sorted(day.weekday() for day in counted) == sorted(day.weekday() for day in plain)
    assert all(day < found.first for day in found.more)
    before = span(TODAY, 28, offset + days, lulls)
    assert not {*counted} & {*before.more}
    assert found.without or counted == sorted(plain)


EVENTS = Measure(name="events", record=Usage, aggregate="sum", field="count", time="day", window=28, doc="x")
EVENTS_BEFORE = Measure(
    name="before", record=Usage, aggregate="sum", field="count", time="day", window=28, offset=28, doc="x"
)  # fmt: skip
DAYS_ACTIVE = Measure(name="active", record=Usage, aggregate="distinct", field="day", time="day", window=28, doc="x")
SILENT = Measure(name="silent", record=Usage, aggregate="max", field="day", unit="days", doc="x")
USED = (EVENTS, EVENTS_BEFORE, DAYS_ACTIVE, SILENT)


def workdays(world: World, *, lulls: set[int], until: int = 0) -> None:
    """Use on every workday of 120 days except on lulls, and what the stream brought in for all accounts on each."""
    rows = []
    for ago in range(until, 120):
        day = TODAY - timedelta(days=ago)
        if day.weekday() < 5 and ago not in lulls:
            rows.append(Usage.of(subject="u", event="e", day=day.isoformat(), count=5, version=1, account_ref="cus_1"))
    world.put(*rows)

    def note(tx: Any) -> None:
        for ago in range(119, 0, -1):
            day = TODAY - timedelta(days=ago)
            rows = 3 if ago in lulls else 100 if day.weekday() < 5 else 20
            volumes.put(tx, "stripe", "all", "generation", day=day.isoformat(), rows=rows)

    world.store.write_now(note)


def test_an_outage_for_everybody_is_no_drop(world: World) -> None:
    world.customer()
    workdays(world, lulls=set())
    plan = world.plan(*USED)
    world.measure(plan)
    calm = next(world.frame(plan).rows())
    figures = {name: calm[name] for name in ("events", "before", "active", "silent")}
    assert figures == {"events": 100, "before": 100, "active": 20, "silent": 1}


def test_days_on_which_nobody_did_anything_do_not_count(world: World) -> None:
    world.customer()
    workdays(world, lulls={1, 2, 9, 10, 30})
    plan = world.plan(*USED)
    world.measure(plan)
    row = next(world.frame(plan).rows())
    assert (row["events"], row["before"], row["active"]) == (100, 100, 20)
    assert row["silent"] == 1  # used three days ago: yesterday and the day before did not count


def test_a_day_that_turns_out_to_be_a_lull_measures_everybody_again(world: World) -> None:
    world.customer()
    workdays(world, lulls=set())
    plan = world.plan(*USED)
    world.measure(plan)
    world.store.write_now(lambda tx: volumes.put(tx, "stripe", "all", "generation", day="2026-11-20", rows=2))
    assert world.measure(plan).complete
    row = next(world.frame(plan).rows())
    assert (row["events"], row["silent"]) == (100, 1)
    assert not world.measure(plan).complete


def test_a_stream_that_is_too_small_or_too_young_has_no_lulls(world: World) -> None:
    world.customer()
    plan = world.plan(*USED, lull_min_rows=101)
    workdays(world, lulls={1, 9})
    world.measure(plan)
    assert next(world.frame(plan).rows())["active"] == 18


def test_one_of_two_streams_that_was_quiet_makes_no_lull(world: World) -> None:
    world.customer()
    workdays(world, lulls={1, 9})
    two = {"usage": [Feed(instance="stripe", stream="all"), Feed(instance="stripe", stream="other")]}
    plan = world.plan(*USED, feeds=two)

    def note(tx: Any) -> None:
        for ago in range(60, 0, -1):
            volumes.put(tx, "stripe", "other", "generation", day=(TODAY - timedelta(days=ago)).isoformat(), rows=100)
        cursors.end_read(tx, Key("stripe", "other"), world.now, world.now)

    world.store.write_now(note)
    world.measure(plan)
    assert next(world.frame(plan).rows())["active"] == 18


def test_the_last_day_of_use_is_found_at_the_end_of_the_index(world: World, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--store") != "sqlite":
        pytest.skip("the plan of a statement is told in SQLite's words")
    world.customer()
    plan = world.plan(*USED)
    workdays(world, lulls=set(), until=7)
    world.measure(plan)
    scan = next(scan for scan in Compiler(plan, TODAY, {}, past=False).scans() if scan.figures[0].part.name == "silent")
    with world.store.read() as reader:
        plan_of = f"EXPLAIN QUERY PLAN WITH d (account) AS (VALUES ('x')) {scan.select}"
        steps = [row[3] for row in reader.rows(plan_of, scan.params)]
    assert any(step.startswith("SEARCH r USING INDEX measure_r_usage") for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
    assert next(world.frame(plan).rows())["silent"] == 8
