from __future__ import annotations

from typing import Any

import pytest

from wellkept import Outcome, TaskCreate, Verdict
from wellkept.errors import CredentialsError, FatalError, NotSentError
from wellkept.store import approvals, runs

pytestmark = pytest.mark.both


def perform_then(outcome: Any) -> Any:
    """Do it, and then say (or raise) something."""

    def script(do: Any) -> Outcome:
        do()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    return script


def instead(outcome: Any) -> Any:
    def script(do: Any) -> Outcome:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    return script


async def test_it_is_done_once_whatever_is_planned_again(world: Any) -> None:
    assert world.pay()
    assert not world.pay()
    report = await world.deliver()
    await world.deliver()

    assert world.vendor.payments == ["books/dunning/p1"]
    entry = world.entry()
    assert (entry.state, entry.ref, entry.attempts, entry.instance) == ("done", "ref-books/dunning/p1", 1, "pay")
    assert report.total("done") == 1
    assert report.state == "done"
    assert not world.pay()


async def test_a_batch_is_claimed_on_disk_before_the_call(world: Any) -> None:
    seen = []
    for key in ("a", "b", "c"):
        world.pay(key)

    def look(do: Any) -> Outcome:
        seen.append(world.states())
        return Outcome.done()

    world.vendor.script = [look]

    await world.deliver()

    assert seen == [[("sending", None), ("sending", None), ("planned", None)]]
    assert world.vendor.calls == [2, 1]
    assert [row[0] for row in world.table("SELECT claimed_by IS NOT NULL FROM outbox")] == [1, 1, 1]


async def test_the_claim_is_durable(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    durable: list[bool] = []
    write = world.store.write

    async def spy(job: Any, **options: Any) -> Any:
        before = {entry.state for entry in world.entries()}
        result = await write(job, **options)
        if "sending" in {entry.state for entry in world.entries()} - before:
            durable.append(options.get("durable", False))
        return result

    monkeypatch.setattr(world.store, "write", spy)
    for plan in (world.pay, world.mail, lambda: world.push(score=1)):
        plan()
        await world.deliver()
    assert durable == [True, True, True]


async def test_a_crash_before_the_vendor_heard_of_it(world: Any, fakes: Any) -> None:
    world.pay()
    world.vendor.script = [instead(fakes.Crash())]
    await world.crash()
    assert world.entry().state == "sending"

    await world.deliver()

    assert world.vendor.payments == ["books/dunning/p1"]
    assert world.entry().state == "done"
    keys = {delivery.idempotency_key for delivery in world.vendor.deliveries}
    assert len(keys) == 1


async def test_a_crash_after_the_vendor_did_it(world: Any, fakes: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(fakes.Crash())]
    await world.crash()

    await world.deliver()

    assert world.vendor.payments == ["books/dunning/p1"]
    assert (world.entry().state, world.entry().note) == ("done", "found at the vendor")
    assert len(world.vendor.deliveries) == 1


async def test_it_is_not_looked_up_before_that_means_anything(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("timed out"))]
    await world.deliver()
    world.clock.advance(59)

    report = await world.deliver()
    assert world.entry().state == "unknown"
    assert report.total("unknown") == 1

    world.clock.advance(1)
    await world.deliver()
    assert world.entry().state == "done"


@pytest.mark.parametrize("error", [RuntimeError("boom"), CredentialsError("401"), TimeoutError()])
async def test_after_an_exception_it_is_in_doubt(world: Any, error: Exception) -> None:
    world.pay()
    world.vendor.script = [perform_then(error)]

    report = await world.deliver()

    assert world.entry().state == "unknown"
    assert report.state == "partial"
    assert isinstance(report.errors["pay"], CredentialsError if isinstance(error, CredentialsError) else FatalError)


async def test_a_wrong_number_of_answers_is_no_answer(world: Any) -> None:
    class Mute(type(world.actions["pay"][0])):  # type: ignore[misc]
        async def deliver(self, deliveries: Any) -> Any:
            await super().deliver(deliveries)
            return []

    world.actions["pay"] = [Mute(world.vendor)]
    world.pay("a")
    world.pay("b")
    await world.deliver()
    assert world.states() == [("unknown", None), ("unknown", None)]


async def test_what_was_never_sent_is_tried_again_later(world: Any) -> None:
    world.pay()
    world.vendor.script = [instead(NotSentError("no connection", retry_after=600))]
    await world.deliver()
    assert world.states() == [("planned", None)]

    world.clock.advance(599)
    await world.deliver()
    assert world.vendor.payments == []
    world.clock.advance(1)
    await world.deliver()

    assert world.vendor.payments == ["books/dunning/p1"]
    assert [delivery.attempt for delivery in world.vendor.deliveries] == [1, 2]
    first, second = world.vendor.deliveries
    assert (second.first_sent_at, second.sent_at) == (first.sent_at, first.sent_at + 600_000)


async def test_it_is_tried_a_bounded_number_of_times(world: Any) -> None:
    world.pay()
    world.vendor.script = [instead(Outcome.retry("busy"))] * 99
    for _ in range(12):
        await world.deliver()
        world.clock.advance(7 * 3600)

    assert world.states() == [("held", "tries")]
    assert "busy" in (world.entry().note or "")
    assert len(world.vendor.deliveries) == 8

    world.vendor.script.clear()
    world.store.write_now(lambda tx: approvals.retry(tx, now=world.clock.now(), keys=["books/dunning/p1"]))
    await world.deliver()
    assert world.vendor.payments == ["books/dunning/p1"]


async def test_the_same_key_is_used_again_only_inside_the_vendors_window(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("dropped"))]
    await world.deliver()

    world.vendor.lookups = [None, None]
    world.clock.advance(3600)
    world.vendor.script = [perform_then(Outcome.unknown("dropped again"))]
    await world.deliver()  # sent again: the vendor knows the key
    assert (world.entry().state, world.entry().attempts) == ("unknown", 2)

    world.clock.advance(23 * 3600)
    await world.deliver()  # too late: the window counts from the first try

    assert world.states() == [("held", "doubt")]
    assert len(world.vendor.deliveries) == 2
    assert world.vendor.payments == ["books/dunning/p1"]


async def test_the_window_must_outlast_the_call(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("dropped"))]
    await world.deliver()
    world.vendor.lookups = [None]
    world.clock.advance(24 * 3600 - 30)

    await world.deliver(call_seconds=60)

    assert world.states() == [("held", "doubt")]
    assert len(world.vendor.deliveries) == 1


async def test_the_window_is_looked_at_again_in_the_claim(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("dropped"))]
    await world.deliver()
    world.clock.advance(23 * 3600)
    world.vendor.lookups = [None]

    class Slow(type(world.policy)):  # type: ignore[misc]
        def recheck(self, effect: Any, facts: Any) -> Verdict:
            world.clock.advance(3600)
            return Verdict.proceed()

    world.deciders["books/dunning"] = Slow()
    await world.deliver()
    assert world.states() == [("held", "doubt")]
    assert len(world.vendor.deliveries) == 1


async def test_a_doubt_that_cannot_be_cleared_is_shown_to_a_person_live_or_not(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("dropped"))]
    await world.deliver()
    world.clock.advance(25 * 3600)
    world.vendor.lookups = [None]
    world.live = {}
    await world.deliver()
    assert world.states() == [("held", "doubt")]


async def test_a_resend_that_did_not_leave_stays_in_doubt(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("dropped")), instead(NotSentError("no connection"))]
    await world.deliver()
    world.vendor.lookups = [None]
    world.clock.advance(3600)
    await world.deliver()

    assert world.entry().state == "unknown"
    world.clock.advance(60)
    await world.deliver()  # looked up, and found
    assert world.entry().state == "done"
    assert world.vendor.payments == ["books/dunning/p1"]


async def test_without_a_window_it_is_held_for_a_person(world: Any) -> None:
    world.plan("t1", TaskCreate(title="call", assignee="owner"))
    world.vendor.script = [perform_then(Outcome.unknown("dropped"))]
    await world.deliver()
    await world.deliver()
    await world.deliver()

    entry = world.entry("t1")
    assert (entry.state, entry.hold) == ("held", "doubt")
    assert world.vendor.payments == ["books/dunning/t1"]

    def change(**options: Any) -> Any:
        now = world.clock.now()
        return world.store.write_now(lambda tx: approvals.retry(tx, now=now, keys=["books/dunning/t1"], **options))

    assert change() == []
    assert len(change(i_know=True)) == 1
    await world.deliver()
    assert world.entry("t1").state == "done"


async def test_a_failed_look_up_decides_nothing(world: Any) -> None:
    world.pay()
    world.vendor.script = [perform_then(Outcome.unknown("dropped"))]
    await world.deliver()
    world.clock.advance(3600)
    world.vendor.lookups = [RuntimeError("down"), Outcome.unknown("odd"), Outcome.rejected("card declined")]

    report = await world.deliver()
    assert (world.entry().state, report.total("unknown")) == ("unknown", 1)
    await world.deliver()  # an unknown answer is none: sent again under the same key
    assert (world.entry().state, world.vendor.payments) == ("done", ["books/dunning/p1"])


async def test_a_look_up_may_end_it(world: Any) -> None:
    world.pay()
    world.vendor.script = [instead(Outcome.unknown("dropped"))]
    await world.deliver()
    world.clock.advance(3600)
    world.vendor.lookups = [Outcome.rejected("card declined")]
    await world.deliver()
    assert (world.entry().state, world.entry().note) == ("rejected", "card declined")


async def test_a_repeat_is_rechecked_too(world: Any) -> None:
    world.pay()
    world.vendor.script = [instead(Outcome.unknown("dropped"))]
    await world.deliver()
    world.clock.advance(3600)

    world.vendor.lookups = [None, None, None]
    world.policy.verdict = Verdict.hold("paused")
    await world.deliver()
    assert world.entry().state == "unknown"
    world.live["pay"] = False
    world.policy.verdict = None
    await world.deliver()
    assert world.entry().state == "unknown"
    world.policy.verdict = Verdict.expire("paid")
    await world.deliver()
    assert world.states() == [("held", "doubt")]
    assert len(world.vendor.deliveries) == 1


async def test_many_failures_in_a_row_spare_the_rest(world: Any) -> None:
    for number in range(20):
        world.pay(f"p{number:02}")
    world.vendor.script = [instead(Outcome.unknown("down"))] * 40

    report = await world.deliver()

    assert len(world.vendor.deliveries) == 6  # three calls of two
    assert report.failures == {"pay": "down"}
    assert sum(state == "planned" for state, _ in world.states()) == 14


async def test_a_claim_that_grew_old_is_not_sent(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pay()
    write = world.store.write

    async def slow(job: Any, **options: Any) -> Any:
        result = await write(job, **options)
        if options.get("durable"):
            world.clock.advance(31)  # the process was stopped behind the commit
        return result

    monkeypatch.setattr(world.store, "write", slow)
    await world.deliver()
    assert world.vendor.deliveries == []
    assert world.states() == [("planned", None)]


async def test_a_run_that_was_replaced_claims_nothing(world: Any) -> None:
    from wellkept.errors import LeaseLostError

    for number in range(4):
        world.push(f"cus_{number}", score=1)

    def taken_over(do: Any) -> Outcome:
        do()
        world.clock.advance(61)
        world.store.write_now(lambda tx: tx.execute("UPDATE locks SET epoch = epoch + 1, owner = 'other'"))
        return Outcome.done()

    world.vendor.script = [taken_over]
    with pytest.raises(LeaseLostError):
        await world.deliver()

    assert [entry.state for entry in world.entries()] == ["done", "done", "done", "planned"]
    assert len(world.vendor.deliveries) == 3


async def test_the_answer_of_one_believed_dead_is_heard(world: Any) -> None:
    """A paused process wakes up with the vendor's answer after another run has taken over."""
    from wellkept.store import claims

    world.pay()
    run = await runs.start(world.store, "deliver")
    entry = world.entry()

    def job(tx: Any) -> Any:
        return claims.claim(tx, entry, run=run.id, now=world.clock.now(), instance="pay")

    claim = world.store.write_now(job)
    world.clock.advance(61)
    world.vendor.lookups = [RuntimeError("down")]
    await world.deliver()
    assert world.entry().state == "unknown"

    settled = world.store.write_now(lambda tx: claims.settle(tx, claim, Outcome.done(ref="late"), now=world.clock.now()))
    assert settled is not None
    assert (world.entry().state, world.entry().ref) == ("done", "late")
    assert world.store.write_now(lambda tx: claims.settle(tx, claim, Outcome.unknown("x"), now=world.clock.now())) is None


async def test_the_answer_to_an_earlier_try_says_nothing_of_a_later_one(world: Any) -> None:
    from wellkept.store import claims

    world.pay()

    def take(run: str) -> Any:
        entry = world.entry()
        return world.store.write_now(lambda tx: claims.claim(tx, entry, run=run, now=world.clock.now(), instance="pay"))

    def settle(claim: Any, outcome: Outcome) -> Any:
        return world.store.write_now(lambda tx: claims.settle(tx, claim, outcome, now=world.clock.now()))

    first = take("a")
    settle(first, Outcome.unknown("dropped"))
    unknown = world.entry()
    world.store.write_now(lambda tx: claims.resolve(tx, unknown, Outcome.retry("not there"), now=world.clock.now()))
    take("b")
    assert settle(first, Outcome.rejected("too late")) is None
    assert world.entry().state == "sending"


async def test_what_changed_since_it_was_looked_at_is_not_claimed(world: Any) -> None:
    from wellkept.store import claims

    world.push(score=1, band="red")
    (looked_at,) = world.entries()
    world.push(score=2)
    found = world.store.write_now(lambda tx: claims.claim_states(tx, [looked_at], run="r", now=0, priors={looked_at.key: {}}))
    assert found == ([], [])
    world.pay()
    entry = world.entry()
    world.store.write_now(lambda tx: approvals.hold(tx, now=0, reason="wait", keys=[entry.key]))
    held = world.entry()
    for seen in (entry, held):
        assert world.store.write_now(lambda tx, seen=seen: claims.claim(tx, seen, run="r", now=0, instance="pay")) is None


async def test_a_recipient_and_the_vendors_record_are_found(world: Any) -> None:
    world.plan("t1", TaskCreate(title="call"))
    await world.deliver()
    (delivery,) = world.vendor.deliveries
    assert delivery.recipient.address == "ann@us.example"
    assert delivery.target is None  # the tasks vendor does not know the account

    from wellkept.records import Account

    world.records(Account(id="t-acme", version=1), instance="tasks")
    world.plan("t2", TaskCreate(title="call"))
    await world.deliver()
    assert world.vendor.deliveries[-1].target.id == "t-acme"
    assert world.entry("t2").target == world.vendor.deliveries[-1].target


def test_idempotency_keys_are_safe_and_stable() -> None:
    from wellkept.pipeline.worker import idempotency_key

    key = idempotency_key("books/dunning/ä b\n")
    assert key == idempotency_key("books/dunning/ä b\n")
    assert key != idempotency_key("books/dunning/other")
    assert key.isalnum()
    assert len(key) == 50


async def test_a_slow_call_is_given_up(world: Any) -> None:
    import asyncio

    class Slow(type(world.actions["pay"][0])):  # type: ignore[misc]
        async def deliver(self, deliveries: Any) -> Any:
            await asyncio.Event().wait()

    world.actions["pay"] = [Slow(world.vendor)]
    world.pay()
    await world.deliver(call_seconds=0.02)
    assert world.entry().state == "unknown"
