"""Batches of ``state`` effects follow each other without a pause: the next one is claimed while a call is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from wellkept import Outcome, StateDelivery, Verdict
from wellkept.errors import LeaseLostError, RetryableError
from wellkept.store import audit, runs

pytestmark = pytest.mark.both


async def changed_twice(world: Any, *, calls: int = 2) -> None:
    """Push values to two batches of three, so that no present value must be read, and plan newer ones."""
    for number in range(3 * calls):
        world.push(f"cus_{number}", score=number)
    await world.deliver()
    world.vendor.calls.clear()
    world.vendor.sets.clear()
    for number in range(3 * calls):
        world.push(f"cus_{number}", score=number + 100)


def newest(world: Any) -> list[Any]:
    return [entry for entry in world.entries() if entry.fields["score"] >= 100]


def states(world: Any) -> list[str]:
    return [entry.state for entry in newest(world)]


def during_calls(world: Any, monkeypatch: pytest.MonkeyPatch, *scripts: Callable[[], Any]) -> list[list[str]]:
    """Let as many calls as there are scripts wait until the next batch is claimed, and run them then.

    Returns:
        The states that each of these calls saw.
    """
    action = type(world.actions["crm"][0])
    deliver, seen, left = action.deliver, list[list[str]](), list(scripts)

    async def watched(self: Any, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        if left:
            following = 3 * (len(seen) + 1)
            while states(world)[following : following + 1] == ["planned"]:  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.01)
            seen.append(states(world))
            left.pop(0)()
        found: Sequence[Outcome] = await deliver(self, deliveries)
        return found

    monkeypatch.setattr(action, "deliver", watched)
    return seen


async def test_the_next_batch_is_claimed_with_what_came_of_the_last(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world, calls=4)
    seen = during_calls(world, monkeypatch, *[world.clock.now] * 4)
    report = await world.deliver()
    assert world.vendor.calls == [3] * 4
    sending, planned, done = ["sending"] * 3, ["planned"] * 3, ["done"] * 3
    assert seen[0] == sending * 2 + planned * 2
    assert seen[1] == done + sending * 2 + planned
    assert seen[2] == done * 2 + sending * 2
    assert set(states(world)) == {"done"}
    assert report.total("done") == 12


async def test_of_one_record_nothing_is_claimed_before_the_answer(world: Any) -> None:
    await changed_twice(world, calls=1)
    world.push("cus_0", band="red")
    world.vendor.script = [lambda _do: Outcome.rejected("no")]
    await world.deliver()
    assert world.vendor.calls == [3, 1]
    assert [entry.state for entry in world.entries()][-4:] == ["rejected", "done", "done", "done"]


async def test_what_was_claimed_when_the_run_is_to_stop_is_given_back(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world)
    before = newest(world)[3:]

    def stop() -> None:
        world.run.stopping = "the server is stopping"

    during_calls(world, monkeypatch, stop)
    await world.deliver()
    assert world.vendor.calls == [3]
    assert newest(world)[3:] == before, "as if nobody had claimed them"
    with world.store.read() as reader:
        assert audit.verify(reader) is None
    monkeypatch.undo()
    await world.deliver()
    assert set(states(world)) == {"done"}


async def test_what_waited_long_for_a_call_is_looked_at_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world)
    world.deciders["push/crm"] = world.policy
    world.policy.verdict = Verdict.proceed()

    def reconsider() -> None:
        world.clock.advance(20)
        world.policy.verdict = Verdict.expire("its reason no longer holds")

    during_calls(world, monkeypatch, reconsider)
    await world.deliver()
    assert world.vendor.calls == [3]
    assert states(world) == ["done"] * 3 + ["expired"] * 3


async def test_what_still_holds_after_a_long_call_leaves(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world)
    during_calls(world, monkeypatch, lambda: world.clock.advance(20))
    await world.deliver()
    assert world.vendor.calls == [3, 3]
    assert [(entry.state, entry.attempts) for entry in newest(world)] == [("done", 1)] * 6


async def test_a_newer_value_wins_over_one_that_was_given_back(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world)

    def stop() -> None:
        world.push("cus_5", run="later", score=205)
        world.run.stopping = "the server is stopping"

    during_calls(world, monkeypatch, stop)
    await world.deliver()
    assert states(world) == ["done"] * 3 + ["planned"] * 2 + ["superseded", "planned"]


async def test_an_answer_is_written_down_though_the_lease_is_lost(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world, calls=3)

    def lose() -> None:
        world.store.write_now(lambda tx: tx.execute("UPDATE locks SET epoch = epoch + 1 WHERE name = ?", (runs.LEASE,)))

    during_calls(world, monkeypatch, lose)
    with pytest.raises(LeaseLostError):
        await world.deliver(finish=False)
    assert world.vendor.calls == [3, 3], "the second one was claimed before"
    assert states(world) == ["done"] * 6 + ["planned"] * 3


async def test_a_vendor_that_fails_keeps_nothing_claimed(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await changed_twice(world, calls=5)

    def fail() -> None:
        raise RetryableError("no answer")

    during_calls(world, monkeypatch, fail, fail, fail)
    report = await world.deliver()
    assert world.vendor.calls == [], "three calls in a row failed before they got there"
    assert "no answer" in report.failures["crm"]
    assert [(entry.state, entry.attempts) for entry in newest(world)] == [("planned", 1)] * 9 + [("planned", 0)] * 6
