"""Records as billing sends them, through resolve, measure, score and decide: the default score and the default policy."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wellkept import Frame, MessageAction, OnceAction, ScorePush, StateAction, TaskCreate, Template
from wellkept.pipeline.decide import DecideReport, decide
from wellkept.pipeline.measure import Feed, Plan, frame, measure
from wellkept.pipeline.resolve import resolve
from wellkept.pipeline.score import ScoreReport, score, score_columns
from wellkept.records import CANONICAL, Account, Invoice, PaymentAttempt, PaymentMethod, Person, Record, Subscription
from wellkept.settings import Push, Safety
from wellkept.store import Store, cursors, outbox, runs, scores
from wellkept.store.cursors import Key
from wellkept.store.records import RecordTables
from wellkept_health.config import HealthConfig
from wellkept_health.measures import columns
from wellkept_health.scorer import HealthScorer
from wellkept_playbooks.config import PlaybooksConfig
from wellkept_playbooks.rule import Rule

NOW = 1_795_219_200_000 + 6 * 3_600_000  # 2026-11-21T06:00:00Z
DAY = 86_400_000
BILLING = (Account, Person, Subscription, Invoice, PaymentAttempt, PaymentMethod)

RULES = """
[[rules]]
name = "big account turned red"
when = "health_band == 'red' and mrr > usd(500)"
do = ["task: owner", "mail: team"]
cooldown = "30d"
"""


class Pushes(StateAction):
    payload = ScorePush

    async def deliver(self, deliveries: Any) -> Any: ...

    async def read(self, targets: Any, fields: Any) -> Any: ...


class Mails(MessageAction):
    def templates(self) -> list[Template]:
        return [Template(name="alert", purpose="transactional", locales=("en",), variables=("title", "text"))]

    async def send(self, delivery: Any, envelope: Any) -> Any: ...


class Tasks(OnceAction[TaskCreate]):
    payload = TaskCreate

    async def deliver(self, deliveries: Any) -> Any: ...

    async def look_up(self, delivery: Any) -> Any: ...


def customer(id_: str, **change: Any) -> list[Record]:
    """A customer in good order for two years, 1,000 USD a month for ten seats."""
    subscription = {
        "id": f"sub_{id_}",
        "version": 1,
        "account_ref": id_,
        "status": "active",
        "currency": "usd",
        "mrr": 100_000,
        "quantity": 10,
        "started_at": NOW - 700 * DAY,
        "period_end_at": NOW + 10 * DAY,
        "payment_method_ref": f"pm_{id_}",
    }
    return [
        Account(id=id_, version=1, name=id_, created_at=NOW - 700 * DAY),
        Subscription(**{**subscription, **change}),
        PaymentMethod(id=f"pm_{id_}", version=1, account_ref=id_, kind="card", expires_on="2029-01-31", is_default=True),
        Invoice(
            id=f"in_{id_}",
            version=1,
            account_ref=id_,
            status="paid",
            currency="usd",
            amount_due=100_000,
            amount_paid=100_000,
            attempt_count=1,
            created_at=NOW - 20 * DAY,
        ),
    ]


def invoice(id_: str, **change: Any) -> Invoice:
    fields = {
        "id": f"in_2_{id_}",
        "version": 1,
        "account_ref": id_,
        "status": "open",
        "currency": "usd",
        "amount_due": 100_000,
        "amount_remaining": 100_000,
        "attempt_count": 1,
        "created_at": NOW - 9 * DAY,
    }
    return Invoice(**{**fields, **change})


def failure(id_: str, number: int) -> PaymentAttempt:
    return PaymentAttempt(
        id=f"pa_{id_}_{number}",
        version=1,
        account_ref=id_,
        status="failed",
        currency="usd",
        amount=100_000,
        attempted_at=NOW - number * DAY,
    )


class House:
    """The steps from records to effects, with one vendor that bills."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self.tables = RecordTables(CANONICAL)
        store.write_now(self.tables.ensure)
        feed = [Feed(instance="stripe", stream="all", plugin="stripe")]
        feeds = {type_.type: feed for type_ in BILLING}
        self.plan = Plan([("health", item) for item in columns(HealthConfig())], tables=self.tables, feeds=feeds)
        self.scorers = [("health", HealthScorer(HealthConfig()))]
        self.rules = [("playbooks", Rule(table)) for table in PlaybooksConfig.model_validate(tomllib.loads(RULES)).rules]
        self.report = ScoreReport()

    def sync(self, *records: Record) -> None:
        def job(tx: Any) -> None:
            self.tables.upsert(tx, "stripe", "all", records, self.now)
            cursors.end_read(tx, Key("stripe", "all"), self.now, self.now)

        self.store.write_now(job)

    def look(self) -> Frame:
        resolve(self.store, self.tables, now=self.now)
        measure(self.store, self.plan, now=self.now)
        with self.store.read() as reader:
            view = frame(reader, self.plan)
        self.report = score(self.store, self.scorers, view, run_id="run", now=self.now, configs={"health": {}})
        with self.store.read() as reader:
            return score_columns(reader, self.scorers, view, self.now)

    def decide(self, view: Frame) -> DecideReport:
        run = asyncio.run(runs.start(self.store, "run"))
        try:
            return decide(
                self.store,
                self.rules,
                [Push(to="stripe", properties={"wellkept_health": "health", "wellkept_band": "health_band"})],
                view,
                run=run,
                now=self.now,
                safety=Safety(),
                actions=[("stripe", Pushes()), ("mail", Mails()), ("tasks", Tasks())],
                tables=self.tables,
            )
        finally:
            self.store.write_now(lambda tx: runs.finish(tx, run, self.now))

    def account(self, id_: str) -> str:
        with self.store.read() as reader:
            found = reader.value("SELECT account FROM links WHERE type = 'account' AND record_id = ?", (id_,))
        assert isinstance(found, str)
        return found

    def score_of(self, id_: str) -> scores.Entry:
        with self.store.read() as reader:
            return next(scores.history(reader, self.account(id_), "health"))

    def effects(self) -> list[tuple[str, str | None, str]]:
        with self.store.read() as reader:
            return [(entry.capability, entry.account, entry.payload) for entry in outbox.find(reader, states=["planned"])]


@pytest.fixture
def house(store: Store) -> Iterator[House]:
    return House(store)  # type: ignore[return-value]


RISKS: dict[str, tuple[Callable[[str], list[Record]], str]] = {
    "cancellation": (
        lambda id_: customer(id_, version=2, cancel_at_period_end=True, cancel_at=NOW + 10 * DAY),
        "wants to leave: a subscription is set to end on 2026-12-01",
    ),
    "gone": (
        lambda id_: customer(id_, version=2, status="canceled", mrr=0, ended_at=NOW - DAY),
        "has left: no subscription runs any more",
    ),
    "failed payments": (
        lambda id_: [*customer(id_), *(failure(id_, number) for number in (1, 3, 6, 40))],
        "payment trouble: 3 failed payments in 30 days",
    ),
    "could not be collected": (
        lambda id_: [*customer(id_), invoice(id_)],
        "payment trouble: 1 open invoices could not be collected, 1,000.00 USD in all",
    ),
    "not collected for long": (
        lambda id_: [*customer(id_), invoice(id_)],
        "payment trouble: the oldest invoice that could not be collected is 9 days old",
    ),
    "past due": (
        lambda id_: [*customer(id_), invoice(id_, collection="manual", attempt_count=0, due_at=NOW - 5 * DAY)],
        "payment trouble: the oldest unpaid invoice is 5 days past due",
    ),
    "past due subscription": (
        lambda id_: customer(id_, version=2, status="past_due"),
        "payment trouble: subscriptions past due or unpaid: 1",
    ),
    "given up": (
        lambda id_: [*customer(id_), invoice(id_, status="uncollectible")],
        "payment trouble: 1 invoices of 90 days given up as uncollectible",
    ),
    "expiring card": (
        lambda id_: [
            *customer(id_),
            PaymentMethod(id=f"pm_{id_}", version=2, account_ref=id_, kind="card", expires_on="2026-11-30", is_default=True),
        ],
        "payment trouble ahead: the card is good until 2026-11-30",
    ),
    "no payment method": (
        lambda id_: [record for record in customer(id_) if not isinstance(record, PaymentMethod)],
        "payment trouble ahead: no payment method on file",
    ),
    "pause": (
        lambda id_: customer(id_, version=2, status="paused", mrr=0),
        "takes a break: paused subscriptions: 1",
    ),
}


def reasons(entry: scores.Entry) -> list[str]:
    return [part.text for part in entry.score.contributions[:3] if part.points]


def test_each_risk_that_billing_shows_is_among_the_top_three_reasons(house: House) -> None:
    house.sync(*customer("fine"), *(record for risk, (make, _) in RISKS.items() for record in make(risk)))
    house.look()
    assert house.report.failures == []
    fine = house.score_of("fine")
    assert (fine.score.value, fine.band) == (100, "green")
    for risk, (_, text) in RISKS.items():
        entry = house.score_of(risk)
        assert text in reasons(entry), (risk, reasons(entry))
        assert entry.score.coverage > 0.9


def test_contraction_is_a_reason_on_the_next_day(house: House) -> None:
    house.sync(*customer("a"))
    house.look()
    house.now += DAY
    house.sync(*customer("a", version=2, mrr=40_000, quantity=4))
    house.look()
    assert "pays less than a month ago: 400.00 USD a month, it was 1,000.00 USD" in reasons(house.score_of("a"))


def test_an_outage_changes_no_band_and_plans_no_effect(house: House) -> None:
    house.sync(*customer("a"), *customer("b", version=2, cancel_at_period_end=True, cancel_at=NOW + 10 * DAY))
    house.decide(house.look())
    before = {id_: house.score_of(id_) for id_ in ("a", "b")}
    house.now += 5 * DAY
    view = house.look()
    assert house.report.held == 2
    report = house.decide(view)
    assert (report.planned, report.held) == (0, 0)
    assert report.on_hold > 0
    assert house.effects() == []
    for id_, entry in before.items():
        after = house.score_of(id_)
        assert (after.band, after.score) == (entry.band, entry.score)
        assert after.held is not None
        assert "stale" in after.held
    house.sync()
    house.decide(house.look())
    assert house.score_of("a").held is None


def test_health_fell_to_red_and_mrr_above_500_usd_is_five_lines(house: House) -> None:
    assert len(RULES.strip().splitlines()) == 5
    house.sync(*customer("big"), *customer("small", mrr=40_000), *customer("long red", version=2, cancel_at_period_end=True))
    report = house.decide(house.look())
    assert (report.planned, report.failures) == (0, [])
    house.now += DAY
    house.sync(
        *customer("big", version=3, cancel_at_period_end=True, cancel_at=NOW + 10 * DAY),
        *customer("small", version=3, mrr=40_000, cancel_at_period_end=True, cancel_at=NOW + 10 * DAY),
    )
    report = house.decide(house.look())
    assert report.failures == []
    acts = [(capability, account) for capability, account, _ in house.effects() if capability != "score.push"]
    assert acts == [("task.create", house.account("big")), ("message.send", house.account("big"))]
    pushes = {account for capability, account, _ in house.effects() if capability == "score.push"}
    assert pushes == {house.account("big"), house.account("small")}
    house.now += DAY
    house.sync()
    house.decide(house.look())
    assert len([effect for effect in house.effects() if effect[0] != "score.push"]) == 2


def test_paths_of_the_example_configuration_hold() -> None:
    example = tomllib.loads((Path(__file__).parents[2] / "plugins.toml").read_text(encoding="utf-8"))
    assert PlaybooksConfig.model_validate(example["plugins"]["playbooks"]).rules == (
        PlaybooksConfig.model_validate(tomllib.loads(RULES)).rules
    )
    HealthConfig.model_validate(example["plugins"]["health"])
