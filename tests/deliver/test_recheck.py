from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest

from wellkept import Effect, Frame, Machine, Measure, Outcome, Policy, ScorePush, Step, Verdict
from wellkept.effects import MessageSend
from wellkept.errors import CredentialsError, FatalError, RetryableError, WellkeptError
from wellkept.pipeline.frame_plan import Plan
from wellkept.pipeline.recheck import MOST, LiveFacts, feeds, is_final
from wellkept.records import (
    CANONICAL,
    Account,
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    Person,
    Subscription,
    Task,
    Ticket,
    Usage,
)
from wellkept.source import Batch
from wellkept.store.records import RecordTables

pytestmark = pytest.mark.both


@pytest.mark.parametrize("plan", ["mail", "pay"])
async def test_never_after_recovery(world: Any, plan: str) -> None:
    """The invoice was paid after the last sync: the store does not know it yet, the vendor does."""
    getattr(world, plan)("x")
    world.source.now["invoice", "in_1"] = world.invoice("in_1", "paid", 2)

    report = await world.deliver()

    assert world.vendor.deliveries == []
    assert (world.entry("x").state, world.entry("x").note) == ("expired", "its reason no longer holds")
    assert world.vendor.fetched == [("invoices", ("in_1",))]
    assert report.total("expired") == 1


async def test_before_every_try_not_only_the_first(world: Any) -> None:
    world.mail()
    world.vendor.script = [lambda _do: Outcome.retry("down")]
    await world.deliver()
    world.source.now["invoice", "in_1"] = world.invoice("in_1", "paid", 2)
    world.clock.advance(3600)
    await world.deliver()
    assert world.vendor.sent == []
    assert world.entry("m1").state == "expired"


async def test_a_deleted_record_is_gone(world: Any) -> None:
    world.mail()
    world.source.now["invoice", "in_1"] = None
    await world.deliver()
    assert world.entry("m1").state == "expired"


@pytest.mark.parametrize("error", [RetryableError("503"), CredentialsError("401"), RuntimeError("bug")])
async def test_what_cannot_be_read_again_holds(world: Any, error: Exception) -> None:
    world.mail()
    world.pay()
    world.source.broken = error
    report = await world.deliver()
    assert world.states() == [("held", "wait"), ("held", "wait")]
    assert world.vendor.deliveries == []
    assert "could not be asked" in (world.entry("m1").note or "")
    assert isinstance(report.errors["crm"], type(error) if isinstance(error, WellkeptError) else FatalError)
    world.source.broken = None
    await world.deliver()
    assert len(world.vendor.deliveries) == 2


async def test_silence_about_a_record_holds(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(stream: Any, ids: Any) -> Batch:
        return Batch()

    world.mail()
    monkeypatch.setattr(world.source, "fetch", silent)
    await world.deliver()
    assert world.states() == [("held", "wait")]
    assert "said nothing about 1 of 1" in (world.entry("m1").note or "")


async def test_a_vendor_that_is_paused_holds(world: Any) -> None:
    world.mail()
    world.sources = {}
    await world.deliver()
    assert world.states() == [("held", "wait")]
    assert "paused" in (world.entry("m1").note or "")


async def test_a_source_that_cannot_read_single_records_is_taken_at_its_word(world: Any) -> None:
    from wellkept import Source

    class Plain(Source):
        def streams(self) -> Any:
            return world.source.streams()

        async def check(self) -> Any:
            return None

        async def read(self, request: Any) -> Any:
            yield Batch()

    world.mail()
    world.sources = {"crm": [Plain()]}
    await world.deliver()
    assert len(world.vendor.sent) == 1


@pytest.mark.parametrize("gap", ["stale", "anomaly"])
async def test_stale_data_hold(world: Any, gap: str) -> None:
    world.mail()
    world.gaps["open_invoices"] = gap
    await world.deliver()
    assert world.states() == [("held", "wait")]
    assert "open_invoices is" in (world.entry("m1").note or "")
    assert world.policy.asked == []


async def test_a_column_that_nobody_feeds_holds(world: Any) -> None:
    world.mail()
    world.policy.columns = frozenset({"open_invoices", "mystery"})
    await world.deliver()
    assert world.states() == [("held", "wait")]
    assert "mystery" in (world.entry("m1").note or "")


async def test_a_policy_that_stumbles_holds(world: Any) -> None:
    world.mail()
    world.policy.raises = RuntimeError("divided by zero")
    await world.deliver()
    assert world.states() == [("held", "wait")]
    assert "the recheck of books/dunning failed" in (world.entry("m1").note or "")
    world.policy.raises = None
    await world.deliver()
    assert len(world.vendor.sent) == 1


async def test_a_policy_that_is_gone_holds_what_cannot_be_taken_back(world: Any) -> None:
    world.mail()
    world.push(score=1)
    world.deciders = {}
    await world.deliver()
    assert world.states() == [("held", "wait"), ("done", None)]


async def test_an_account_that_is_gone(world: Any) -> None:
    world.mail()
    world.store.write_now(lambda tx: tx.execute("DELETE FROM accounts"))
    await world.deliver()
    assert (world.entry("m1").state, world.entry("m1").note) == ("expired", "the account is gone")


async def test_no_account_no_effect(world: Any) -> None:
    world.pay(account=None)
    world.mail(account=None)
    await world.deliver()
    assert world.states() == [("held", "wait"), ("held", "wait")]
    assert world.vendor.deliveries == []


async def test_a_hold_waits_until_its_time(world: Any) -> None:
    world.mail()
    world.policy.verdict = Verdict.hold("paused", until=world.clock.now() + 3_600_000)
    await world.deliver()
    assert (world.entry("m1").state, world.entry("m1").note) == ("held", "paused")
    world.policy.verdict = Verdict.proceed()
    await world.deliver()
    assert world.vendor.sent == []
    world.clock.advance(3600)
    await world.deliver()
    assert len(world.vendor.sent) == 1


async def test_the_recipient_is_who_it_is_now(world: Any) -> None:
    world.feeds = lambda _column: {Invoice, Account}
    world.source.now["account", "cus_1"] = Account(id="cus_1", version=2, name="Acme Inc", email="new@acme.example")
    world.mail()
    await world.deliver()
    assert world.vendor.sent == [("books/dunning/m1", "new@acme.example")]


async def test_only_unfinished_records_are_read_and_not_too_many(world: Any) -> None:
    for number in range(30):
        world.records(world.invoice(f"a{number:02}", "open", number), stream="invoices")
    world.records(world.invoice("old", "paid", 99), stream="invoices")
    world.mail()
    await world.deliver()
    ((stream, ids),) = world.vendor.fetched
    assert stream == "invoices"
    assert len(ids) == MOST
    assert ids[0] == "a29"
    assert "old" not in ids


async def test_the_target_is_always_read(world: Any) -> None:
    from wellkept import Target

    world.records(world.invoice("in_9", "paid", 9), stream="invoices")
    world.pay(target=Target(instance="crm", type="invoice", id="in_9"))
    await world.deliver()
    assert world.vendor.fetched == [("invoices", ("in_1", "in_9"))]
    assert world.vendor.deliveries[0].target.id == "in_9"


class Memory(msgspec.Struct):
    count: int = 0


class Watch(Machine[Memory]):
    name = "watch"
    version = "1"
    state = Memory
    over: ClassVar[Any] = Invoice
    reads = (Account,)
    uses = frozenset()

    def initial(self, subject: str) -> Memory:
        return Memory()

    def step(self, state: Memory, fact: Any) -> Step[Memory]:
        return Step(state=state)

    def recheck(self, effect: Any, facts: Any) -> Verdict:
        invoice = facts.record(Invoice, "in_1", instance="crm")
        assert facts.now > 0
        assert facts.row("acme") is not None
        is_open = invoice is not None and invoice.status == "open" and len(facts.records(Invoice, "acme")) == 1
        return Verdict.proceed() if is_open else Verdict.expire("paid")


async def test_a_machines_own_subject_is_read_again(world: Any) -> None:
    world.deciders["books/watch"] = Watch()
    world.mail("a", policy="books/watch")
    await world.deliver()
    assert sorted(stream for stream, _ in world.vendor.fetched) == ["accounts", "invoices"]
    assert len(world.vendor.sent) == 1
    world.source.now["invoice", "in_1"] = world.invoice("in_1", "paid", 2)
    world.mail("b", policy="books/watch")
    await world.deliver()
    assert len(world.vendor.sent) == 1


def test_what_feeds_a_column() -> None:
    from decimal import Decimal

    from wellkept import AccountScorer, Score

    class Health(AccountScorer):
        name = "health"
        version = "1"
        bands = ("red", "green")
        uses = frozenset({"open", "mrr", "health_band_before"})

        def score_account(self, row: Any, previous: Any) -> Score:
            return Score(account=row.account, value=Decimal(1), band="red", coverage=1.0)

    measures = [
        Measure(name="open", record=Invoice, aggregate="count", doc="."),
        Measure(name="mrr", record=Subscription, aggregate="sum", field="mrr", unit="money", doc="."),
        Measure(name="tickets", record=Ticket, aggregate="count", doc="."),
    ]
    plan = Plan([("books", measure) for measure in measures], tables=RecordTables(CANONICAL), feeds={})
    of = feeds(plan.records_of, [Health()])
    assert set(of("open")) == {Invoice}
    assert set(of("mrr")) == set(of("mrr_usd")) == {Subscription}
    assert set(of("health")) == set(of("health_band")) == set(of("health_coverage")) == {Invoice, Subscription}
    assert list(of("open_usd")) == list(of("nothing")) == []


@pytest.mark.parametrize(
    ("record", "final"),
    [
        (Invoice(id="1", version=1, account_ref="a", status="uncollectible", currency="usd", amount_due=1), False),
        (Invoice(id="1", version=1, account_ref="a", status="void", currency="usd", amount_due=1), True),
        (Subscription(id="1", version=1, account_ref="a", status="past_due", currency="usd", mrr=1), False),
        (Subscription(id="1", version=1, account_ref="a", status="canceled", currency="usd", mrr=0), True),
        (PaymentAttempt(id="1", version=1, status="pending", currency="usd", amount=1, attempted_at=1), False),
        (PaymentAttempt(id="1", version=1, status="failed", currency="usd", amount=1, attempted_at=1), True),
        (PaymentMethod(id="1", version=1, kind="card"), False),
        (Ticket(id="1", version=1, status="solved", created_at=1), False),
        (Ticket(id="1", version=1, status="closed", created_at=1), True),
        (Task(id="1", version=1, status="done", completed_at=1), True),
        (Task(id="1", version=1, status="open"), False),
        (Usage.of(subject="s", event="e", day="2026-11-21", count=1, version=1), True),
        (Account(id="1", version=1), False),
        (Person(id="1", version=1), False),
    ],
)
def test_final_records(record: Any, final: bool) -> None:
    assert is_final(record) == final


async def test_what_is_wanted_again_in_other_python_types_is_the_same(world: Any) -> None:
    world.plan("x", MessageSend(template="alert", to="billing", variables={"title": "t", "reasons": ("a", ("b",))}))
    await world.deliver()
    assert len(world.vendor.sent) == 1


def test_payloads_survive_the_outbox(world: Any) -> None:
    payload = MessageSend(template="alert", to="team", variables={"title": "x", "reasons": ["a", {"b": 1.5}], "none": None})
    world.plan("x", payload)
    assert world.entry("x").effect(MessageSend).payload == payload
    assert LiveFacts(world.store, world.tables, world.clock, world.row).row("nobody") is None


class Pusher(Policy):
    """Wants two properties to stand at every account."""

    name: ClassVar[str] = "pusher"
    version: ClassVar[str] = "1"
    uses: ClassVar[frozenset[str]] = frozenset()
    band: str | None = "red"

    def decide(self, frame: Frame) -> Iterable[Effect]:
        for account in frame.accounts:
            payload = ScorePush(properties={"health": 40, "band": self.band})
            yield Effect(key="", payload=payload, account=account, reason="score changed")


@pytest.mark.parametrize(
    ("kept", "action"),
    [
        ({"band": "red"}, "proceed"),
        ({"health": 40, "band": "red"}, "proceed"),
        ({"band": "green"}, "expire"),
        ({"mrr": 1}, "expire"),
    ],
)
def test_the_part_of_a_state_that_was_new_is_still_wanted(kept: dict[str, Any], action: str) -> None:
    """The outbox keeps of a state only what the vendor does not have from us yet; the policy wants the whole of it."""
    frame = Frame(date(2026, 11, 21), ["acme"], {}, {})
    facts: Any = SimpleNamespace(row=frame.row)
    effect = Effect(key="", payload=ScorePush(properties=kept), account="acme", reason="score changed")
    assert Pusher().recheck(effect, facts).action == action
