"""The default scorecard on accounts that lack nothing but what a test takes away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept import Column, Frame, Gap, Score, Value
from wellkept.errors import ConfigError
from wellkept.expressions import parse
from wellkept.records import Invoice, PaymentAttempt, PaymentMethod, Subscription, Usage
from wellkept_health.billing import BILLING_FORMULAS
from wellkept_health.config import HealthConfig
from wellkept_health.measures import FORMULAS, MEASURES
from wellkept_health.past import Memory
from wellkept_health.scorer import HealthScorer

AS_OF = date(2026, 11, 21)
DECEMBER = 1_796_083_200_000  # 2026-12-01T00:00:00Z

COLUMNS = {
    measure.name: Column(
        name=measure.name, unit=measure.unit, doc=measure.doc, currency="usd" if measure.unit == "money" else None
    )
    for measure in (*MEASURES, *FORMULAS)
} | {"tenure_days": Column(name="tenure_days", unit="days", doc="Core's own.")}
BILLING = {measure.name for measure in MEASURES if measure.record in {Subscription, Invoice, PaymentAttempt, PaymentMethod}} | {
    formula.name for formula in BILLING_FORMULAS
}
PAST = Score(account="a", value=Decimal(100), band="green", coverage=1.0)
"""Yesterday's score."""

VALUES = {formula.name: parse(formula.value) for formula in FORMULAS}

HEALTHY: dict[str, Value] = {
    "mrr": 50_000,
    "mrr_28d_ago": 50_000,
    "mrr_90d_ago": 50_000,
    "plan": "team",
    "ended_unpaid": False,
    "subscriptions": 1,
    "active_subscriptions": 1,
    "past_due_subscriptions": 0,
    "paused_subscriptions": 0,
    "cancelling": False,
    "cancels_at": None,
    "tenure_days": 800,
    "seats_bought": 10,
    "failed_payments_30d": 0,
    "failing_invoices": 0,
    "failing_amount": 0,
    "days_failing": None,
    "late_invoices": 0,
    "late_amount": 0,
    "days_past_due": None,
    "uncollectible_invoices_90d": 0,
    "manual_invoices_365d": 0,
    "payment_methods": 1,
    "card_expires_on": DECEMBER,
    "card_expired_days": -400,
    "events_28d": 1000,
    "events_before_28d": 1000,
    "active_days_28d": 20,
    "active_days_before_84d": 60,
    "days_since_use": 0,
    "seats_active": 9,
    "people_7d": 8,
    "people_1d": 6,
    "person_days_28d": 120,
    "tickets_28d": 1,
    "tickets_before_84d": 3,
    "open_tickets": 0,
    "reopens_28d": 0,
    "reply_median_90d": 30.0,
    "reply_p90_90d": 120.0,
    "reply_business_median_90d": 30.0,
    "reply_business_p90_90d": 90.0,
    "resolution_median_90d": 600.0,
    "resolution_p90_90d": 2000.0,
    "resolution_business_median_90d": 300.0,
    "resolution_business_p90_90d": 900.0,
    "ticket_churn_intent_60d": False,
    "nps_score": 9.5,
    "nps_low": 0.0,
    "nps_high": 10.0,
    "csat_score": 5.0,
    "csat_low": 1.0,
    "csat_high": 5.0,
    "nps_answers": 4,
    "nps_promoters": 4,
    "nps_detractors": 0,
    "csat_answers": 4,
    "csat_satisfied": 4,
    "nps_age_days": 10,
    "csat_age_days": 10,
    "survey_churn_intent_90d": False,
    "touches_90d": 9,
    "mails_sent_90d": 12,
    "mails_opened_90d": 6,
    "mails_clicked_90d": 3,
    "open_tasks": 1,
    "overdue_tasks": 0,
    "tasks_done_90d": 2,
    "days_since_task": 12,
}


def with_formulas(row: Mapping[str, Value]) -> Mapping[str, Value]:
    return {**row, **{name: value.evaluate(row) for name, value in VALUES.items() if name not in row}}


def frame(rows: Mapping[str, Mapping[str, Value]], gaps: Mapping[str, Gap] | None = None) -> Frame:
    accounts = sorted(rows)
    rows = {account: with_formulas(row) for account, row in rows.items()}
    cells = {name: [rows[account][name] for account in accounts] for name in COLUMNS}
    why = {name: dict.fromkeys(range(len(accounts)), gap) for name, gap in (gaps or {}).items()}
    return Frame(AS_OF, accounts, COLUMNS, cells, why)


def scorer() -> HealthScorer:
    found = HealthScorer(HealthConfig())
    found.bind(COLUMNS)
    return found


DEFAULT = scorer()


def score(
    change: Mapping[str, Value] | None = None,
    *,
    missing: Iterable[str] = (),
    gap: Gap = "none",
    previous: Score | None = PAST,
    using: HealthScorer | None = None,
) -> Score:
    row = {**HEALTHY, **(change or {}), **dict.fromkeys(missing)}
    unknown = [name for name, value in VALUES.items() if not value.names.isdisjoint(missing)]
    view = frame({"a": row}, dict.fromkeys((*missing, *unknown), gap))
    (found,) = (using or DEFAULT).score(view, {"a": previous} if previous else {})
    assert found.value is None or sum((part.points for part in found.contributions), found.reference) == found.value
    return found


def reasons(found: Score, count: int = 3) -> list[str]:
    return [part.text for part in found.contributions[:count] if part.points]


def only_billing() -> list[str]:
    return [name for name in HEALTHY if name not in BILLING | {"tenure_days"}]


# --- what it says ---


def test_an_account_that_lacks_nothing_is_green_and_every_signal_says_so() -> None:
    found = score()
    assert (found.value, found.band) == (100, "green")
    assert found.coverage > 0.99
    assert {part.group for part in found.contributions} == {"usage", "support", "satisfaction", "billing", "engagement"}
    assert abs(sum(part.weight for part in found.contributions) - 1) < 0.01
    assert all(part.points == 0 for part in found.contributions)


RISKS: dict[str, tuple[dict[str, Value], str, str]] = {
    # customer-success.md, section 1f
    "F1 long without login": (
        {"days_since_use": 20, "active_days_28d": 6, "active_days_before_84d": 60},
        "went silent: 20 days without use, before that used on 60 of 84 days",
        "usage",
    ),
    "F3 frequent requests": (
        {"tickets_28d": 9, "tickets_before_84d": 3},
        "asks for help more than usual: 9 tickets in 28 days, 3 in the 84 days before, 10 seats",
        "support",
    ),
    "F4 low satisfaction": (
        {"csat_score": 2.0, "csat_satisfied": 0},
        "not satisfied: 0 % of the CSAT answers are good, answers: 4, on average 2 of 5, the last one 10 days ago",
        "satisfaction",
    ),
    "F5 cancellation": (
        {"cancelling": True, "cancels_at": DECEMBER},
        "wants to leave: a subscription is set to end on 2026-12-01",
        "engagement",
    ),
    "F5 complaint": (
        {"ticket_churn_intent_60d": True},
        "wants to leave: a ticket of the last 60 days says so",
        "support",
    ),
    "F6 use fell": (
        {"events_28d": 200},
        "uses less: 200 events in 28 days, 1,000 in the 28 days before",
        "usage",
    ),
    "F7 seats unused": ({"seats_active": 1}, "seats unused: 1 people use the 10 seats paid for", "usage"),
    "F8 NPS": (
        {"nps_score": 3.0, "nps_promoters": 0, "nps_detractors": 4},
        "would not recommend us: NPS -100 ± 59.6, answers: 4, on average 3 of 10, the last one 10 days ago",
        "satisfaction",
    ),
    "F11 failed payments": (
        {"failed_payments_30d": 3},
        "payment trouble: 3 failed payments in 30 days",
        "billing",
    ),
    "F11 expiring card": (
        {"card_expired_days": -10},
        "payment trouble ahead: the card is good until 2026-12-01",
        "billing",
    ),
    "F11 expired card": (
        {"card_expired_days": 20, "card_expires_on": 1_793_404_800_000},
        "payment trouble ahead: the card is good until 2026-10-31",
        "billing",
    ),
    "F11 no payment method": (
        {"payment_methods": 0, "card_expires_on": None, "card_expired_days": None},
        "payment trouble ahead: no payment method on file",
        "billing",
    ),
    "F11 could not be collected": (
        {"failing_invoices": 1, "failing_amount": 50_000, "days_failing": 8},
        "payment trouble: 1 open invoices could not be collected, 500.00 USD in all",
        "billing",
    ),
    "F11 collected since long": (
        {"failing_invoices": 1, "failing_amount": 50_000, "days_failing": 20},
        "payment trouble: the oldest invoice that could not be collected is 20 days old",
        "billing",
    ),
    "past due invoice": (
        {"late_invoices": 2, "late_amount": 123_456, "days_past_due": 12, "manual_invoices_365d": 9},
        "payment trouble: 2 invoices past due, 1,234.56 USD in all",
        "billing",
    ),
    "past due since long": (
        {"late_invoices": 1, "late_amount": 5, "days_past_due": 40, "manual_invoices_365d": 9},
        "payment trouble: the oldest unpaid invoice is 40 days past due",
        "billing",
    ),
    "past due subscription": (
        {"past_due_subscriptions": 1},
        "payment trouble: subscriptions past due or unpaid: 1",
        "billing",
    ),
    "given up": (
        {"uncollectible_invoices_90d": 1},
        "payment trouble: 1 invoices of 90 days given up as uncollectible",
        "billing",
    ),
    "F1 comes less often": (
        {"active_days_28d": 5},
        "comes less often: on 5 of 28 days, before that on 60 of 84",
        "usage",
    ),
    "F3 no seats are sold": (
        {"tickets_28d": 9, "seats_bought": None},
        "asks for help more than usual: 9 tickets in 28 days, 3 in the 84 days before",
        "support",
    ),
    "F7 nobody": (
        {"seats_active": 0, "person_days_28d": 0},
        "nobody uses it: no person in 28 days, 10 seats paid for",
        "usage",
    ),
    "slow answers": (
        {"reply_median_90d": 2880.0, "reply_p90_90d": 9000.0},
        "waits for answers: half of the first replies took 2,880 minutes or more, one in ten 9,000 minutes or more",
        "support",
    ),
    "slow solutions": (
        {"resolution_median_90d": 20_160.0, "resolution_p90_90d": 30_000.0},
        "waits for solutions: half of the tickets took 20,160 minutes or more, one in ten 30,000 minutes or more",
        "support",
    ),
    "overdue tasks": ({"overdue_tasks": 2}, "we owe them something: overdue tasks of ours: 2", "engagement"),
    "contraction": (
        {"mrr": 20_000},
        "pays less than a month ago: 200.00 USD a month, it was 500.00 USD",
        "engagement",
    ),
    "pause": ({"paused_subscriptions": 1, "mrr": 0}, "takes a break: paused subscriptions: 1", "engagement"),
    "gone": (
        {"active_subscriptions": 0, "mrr": 0},
        "has left: no subscription runs any more",
        "engagement",
    ),
    "survey says so": (
        {"survey_churn_intent_90d": True},
        "wants to leave: an answer of the last 90 days says so",
        "satisfaction",
    ),
    "reopened": ({"reopens_28d": 2}, "solutions did not last: tickets opened again 2 times in 28 days", "support"),
    "hardly answers": ({"touches_90d": 0}, "hardly answers: opened, clicked or visited 0 times in 90 days", "engagement"),
}
BY_BILLING = {name for name, (change, _, _) in RISKS.items() if set(change) <= BILLING}


@pytest.mark.parametrize("risk", RISKS)
def test_a_planted_risk_is_among_the_top_three_reasons(risk: str) -> None:
    change, text, group = RISKS[risk]
    found = score(change)
    assert text in reasons(found)
    assert found.value is not None
    assert found.value < 100
    assert next(part.group for part in found.contributions if part.text == text) == group


@pytest.mark.parametrize("risk", sorted(BY_BILLING))
def test_billing_alone_shows_it_too(risk: str) -> None:
    change, text, _ = RISKS[risk]
    found = score(change, missing=only_billing())
    assert found.coverage > 0.9
    assert found.note is not None
    assert found.note.startswith("card default; no data on usage, support, satisfaction; unknown: overdue_tasks, touches; main")
    assert text in reasons(found)


def test_most_risks_are_shown_by_billing() -> None:
    assert len(BY_BILLING) >= 14


@pytest.mark.parametrize("risk", ["F5 cancellation", "gone"])
def test_a_clear_sign_alone_makes_an_account_red(risk: str) -> None:
    assert score(RISKS[risk][0]).band == "red"
    assert score(RISKS[risk][0], missing=only_billing()).band == "red"


def test_trouble_with_payment_is_kept_apart_from_the_wish_to_leave() -> None:
    found = score({name: value for risk in BY_BILLING for name, value in RISKS[risk][0].items()})
    for part in found.contributions:
        if part.points:
            assert (part.group == "billing") == part.text.startswith("payment trouble")


def test_a_weekend_is_no_silence() -> None:
    assert score({"days_since_use": 2}).value == 100


def test_a_seat_more_than_paid_for_is_no_loss() -> None:
    assert score({"seats_active": 30, "person_days_28d": 300}).value == 100


# --- what is missing ---


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(sorted(HEALTHY))), st.sampled_from(["none", "unmatched", "no_rate", "filtered"]))
def test_missing_never_counts_as_bad(names: set[str], gap: Gap) -> None:
    found = score(missing=names, gap=gap)
    assert found.value in {None, 100}
    assert (found.value is None) == (found.coverage < 0.5)
    assert (found.band is None) == (found.value is None)


def test_below_half_the_weight_an_account_is_not_scored_never_green() -> None:
    found = score(missing=[name for name in HEALTHY if name not in {"touches_90d", "nps_score"}], gap="unmatched")
    assert (found.value, found.band) == (None, None)
    assert found.coverage < 0.5
    assert found.note is not None
    assert found.note.startswith(f"not scored: coverage {found.coverage:.2f}; card default; unknown: ")


def test_a_group_that_nobody_knows_is_no_part_of_the_card_and_one_that_is_unmatched_lowers_the_coverage() -> None:
    usage = [name for name in HEALTHY if name in {measure.name for measure in MEASURES if measure.record is Usage}]
    assert score(missing=usage).coverage > 0.99
    assert 0.69 < score(missing=usage, gap="unmatched").coverage < 0.7


def test_old_answers_fade_and_take_the_coverage_with_them() -> None:
    def share(age: float) -> tuple[float, float]:
        found = score({"nps_age_days": age})
        return next(part.weight for part in found.contributions if part.measure == "nps_score"), found.coverage

    fresh, all_ = share(0)
    assert abs(fresh - 0.03) < 0.001
    for age, left in ((180, 1 / 2), (540, 1 / 8)):
        weight, coverage = share(age)
        assert abs(weight - 0.03 * left) < 0.001
        assert abs(all_ - coverage - 0.03 * (1 - left)) < 0.0005


def test_an_account_is_measured_against_its_own_card() -> None:
    young: dict[str, Value] = {"tenure_days": 30, "events_before_28d": 0, "tickets_28d": 6}
    found = score(young, previous=None)
    assert found.note == "card new"
    assert found.value == 100
    assert score({**young, "tenure_days": 91}).note == "card default; main cause: poor support"


# --- steadiness ---


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_account_is_explained_exactly_and_the_same_every_time(data: st.DataObject) -> None:
    row: dict[str, Value] = {}
    for name in data.draw(st.sets(st.sampled_from(sorted(HEALTHY)), max_size=10)):
        if isinstance(HEALTHY[name], bool):
            known: st.SearchStrategy[Value] = st.booleans()
        elif isinstance(HEALTHY[name], float):
            known = st.floats(-1e9, 1e9)
        else:
            known = st.integers(-(10**6) if COLUMNS[name].unit in {"date", "days"} else 0, 10**12)
        row[name] = data.draw(st.one_of(st.none(), known))
    one, two = score(row), score(row, using=scorer())
    assert msgspec.json.encode(one) == msgspec.json.encode(two)
    assert 0 <= (one.value or 0) <= 100
    assert all(abs(part.points) == round(abs(part.points), 2) for part in one.contributions)
    assert [part.points for part in one.contributions] == sorted(part.points for part in one.contributions)


@pytest.mark.parametrize(
    ("column", "worse"),
    [
        ("failed_payments_30d", range(7)),
        ("tickets_28d", range(0, 30, 3)),
        ("events_28d", range(1200, -1, -100)),
        ("seats_active", range(12, -1, -1)),
        ("mrr", range(60_000, -1, -5_000)),
        ("csat_score", [5.0, 4.0, 3.0, 2.0, 1.0]),
        ("card_expired_days", [-400, -40, -9, 0, 300]),
    ],
)
def test_worse_is_never_healthier(column: str, worse: Iterable[Value]) -> None:
    values = [score({column: value}).value for value in worse]
    assert all(value is not None for value in values)
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]
    assert values[0] != values[-1]


cells = st.one_of(st.none(), st.booleans(), st.integers(-2, 30), st.sampled_from([0.0, -0.0, 1.0, 2.5, 30.0]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(sorted(HEALTHY.keys() - {"plan"})), cells, max_size=4), min_size=2, max_size=6))
def test_what_signals_remember_of_one_account_never_shows_in_another(changes: list[dict[str, Value]]) -> None:
    view = frame({f"a{number}": {**HEALTHY, **change} for number, change in enumerate(changes)})
    together = {found.account: msgspec.json.encode(found) for found in scorer().score(view, {})}
    for row in view.rows():
        (alone,) = scorer().score(row.frame(), {})
        assert together[row.account] == msgspec.json.encode(alone)


def test_an_account_does_not_depend_on_its_neighbours() -> None:
    rows = {"a": HEALTHY, "b": {**HEALTHY, "failed_payments_30d": 4}, "c": {**HEALTHY, "mrr": 1}}
    together = {found.account: found for found in scorer().score(frame(rows), {})}
    for account, row in rows.items():
        (alone,) = scorer().score(frame({account: row}), {})
        assert alone == together[account]


# --- the past ---


REMEMBERS = HealthScorer(
    HealthConfig.model_validate({"signals": {"open_tickets": {"value": "open_tickets - open_tickets_28d_ago"}}})
)
REMEMBERS.bind(COLUMNS)


def day(number: int, tickets: Value, previous: Score | None) -> Score:
    cells: dict[str, list[Value]] = {name: [cell] for name, cell in with_formulas({**HEALTHY, "open_tickets": tickets}).items()}
    view = Frame(AS_OF + timedelta(days=number), ["a"], COLUMNS, cells)
    (found,) = REMEMBERS.score(view, {"a": previous} if previous else {})
    return found


def lost(found: Score, words: str) -> Decimal:
    return sum((part.points for part in found.contributions if words in part.text), Decimal(0))


def test_what_is_asked_for_is_remembered_and_forgotten_in_the_end() -> None:
    first = day(0, 2, None)
    assert first.value == 100
    second = day(1, 7, first)
    assert lost(second, "open tickets") < 0
    assert second.carry["past.open_tickets"] == "2026-11-21=2;2026-11-22=7"
    month = day(28, 7, second)
    assert lost(month, "open tickets") < 0
    month = day(29, 7, month)
    assert month.value == 100
    assert month.carry["past.open_tickets"] == "2026-11-22=7"


def test_revenue_is_not_remembered_because_the_records_tell_it() -> None:
    assert score().carry == {}
    found = score({"mrr": 25_000})
    assert "pays less than a month ago: 250.00 USD a month, it was 500.00 USD" in reasons(found)


def test_a_day_without_a_figure_forgets_nothing() -> None:
    first = day(0, 2, None)
    blind = day(1, None, first)
    assert blind.carry == first.carry
    assert lost(day(2, 7, blind), "open tickets") < 0


def test_scoring_a_day_twice_remembers_the_same() -> None:
    first = day(0, 5, None)
    assert day(1, 4, first) == day(1, 4, first)
    assert day(1, 3, first).carry["past.open_tickets"] == "2026-11-21=5;2026-11-22=3"


def test_an_account_that_was_not_scored_remembers_too() -> None:
    missing = [name for name in HEALTHY if name != "open_tickets"]
    found = score(missing=missing, gap="unmatched", previous=None, using=REMEMBERS)
    assert found.value is None
    assert found.carry == {"past.open_tickets": "2026-11-21=0"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.one_of(st.none(), st.integers(0, 9))), min_size=1, max_size=12))
def test_what_is_remembered_is_what_was(steps: list[tuple[int, int | None]]) -> None:
    known: list[tuple[int, int]] = []
    previous, number = None, 0
    memory = Memory({"open_tickets_28d_ago", "open_tickets_90d_ago", "mrr_28d_ago"})
    assert set(memory.names) == {"open_tickets_28d_ago", "open_tickets_90d_ago"}
    for pause, value in steps:
        number += pause
        values, carry = memory.recall({"open_tickets": value}, AS_OF + timedelta(days=number), previous)
        if value is not None:
            known.append((number, value))
        for days in (28, 90):
            then = [past for on, past in known if on <= number - days] or [past for _, past in known[:1]]
            assert values[f"open_tickets_{days}d_ago"] == (then[-1] if then else None)
        previous = Score(account="a", value=None, band=None, coverage=0, carry=carry)


def test_bands_follow_yesterdays_score() -> None:
    trouble = {"failed_payments_30d": 2, "past_due_subscriptions": 1, "failing_invoices": 2, "uncollectible_invoices_90d": 1}
    low = score(trouble)
    assert low.band == "yellow"
    was_green = msgspec.structs.replace(PAST, value=Decimal(90))
    near = HealthConfig.model_validate({"bands": {"green_above": float(low.value or 0) + 1}})
    using = HealthScorer(near)
    using.bind(COLUMNS)
    first = score(trouble, previous=was_green, using=using)
    assert (first.band, first.carry) == ("green", {**PAST.carry, "to": "yellow"})
    assert score(trouble, previous=first, using=using).band == "yellow"


# --- columns that do not fit ---


def test_bind_names_the_signal_and_the_mend() -> None:
    strange = HealthScorer(HealthConfig.model_validate({"signals": {"seats": {"value": "mrr"}}}))
    with pytest.raises(ConfigError, match=r"signals\.seats\.value: a health cannot be read off money \(divide it"):
        strange.bind(COLUMNS)
    strange = HealthScorer(HealthConfig.model_validate({"signals": {"seats": {"value": "cancels_at - card_expires_on"}}}))
    with pytest.raises(ConfigError, match=r"divide it by days\(1\)"):
        strange.bind(COLUMNS)
    with pytest.raises(ConfigError, match=r"there is no column 'mrr'"):
        scorer().bind({name: column for name, column in COLUMNS.items() if name != "mrr"})
    money = {name: Column(name=name, unit="money", doc="", currency="eur") for name, of in COLUMNS.items() if of.currency}
    euros = {**COLUMNS, **money}
    scorer().bind(euros)
    rich = HealthScorer(HealthConfig.model_validate({"scorecards": [{"name": "rich", "when": "mrr > usd(5000)"}]}))
    with pytest.raises(ConfigError, match=r"scorecards\.rich\.when: 'mrr' \(EUR amount\) cannot be compared with this USD"):
        rich.bind(euros)
