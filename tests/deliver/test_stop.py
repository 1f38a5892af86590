"""A delivery that is to stop finishes the call under way and begins no other; one that was paused does not call late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept import Outcome
from wellkept.pipeline.outgoing import CLAIM_SHARE

pytestmark = pytest.mark.both


def stop_during(world: Any) -> Callable[[Any], Outcome]:
    def script(do: Any) -> Outcome:
        world.run.stopping = "the server is stopping"
        do()
        return Outcome.done(ref="r")

    return script


async def test_messages(world: Any) -> None:
    world.mail("m1")
    world.mail("m2")
    world.vendor.script = [stop_during(world)]
    report = await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/m1"]
    assert [world.entry(key).state for key in ("m1", "m2")] == ["done", "planned"]
    assert report.failures == {}, "nobody's fault"
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/m1", "books/dunning/m2"]


async def test_state_effects(world: Any) -> None:
    for number in range(7):  # three to a batch
        world.push(f"cus_{number}", score=number)
    world.vendor.script = [stop_during(world)]
    await world.deliver()
    assert world.vendor.calls == [3]
    assert sorted(entry.state for entry in world.entries()) == ["done"] * 3 + ["planned"] * 4
    await world.deliver()
    assert {entry.state for entry in world.entries()} == {"done"}


async def test_once_effects(world: Any) -> None:
    for key in ("p1", "p2", "p3"):  # two to a batch
        world.pay(key)
    world.vendor.script = [stop_during(world)]
    await world.deliver()
    assert world.vendor.calls == [2]
    assert [world.entry(key).state for key in ("p1", "p2", "p3")] == ["done", "done", "planned"]
    await world.deliver()
    assert sorted(world.vendor.payments) == [f"books/dunning/{key}" for key in ("p1", "p2", "p3")]


@pytest.mark.parametrize(("share", "called"), [(0.9, True), (1.1, False)])
async def test_a_claim_that_grew_old_is_given_back(
    world: Any, share: float, called: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was paused between the claim and the call: another one may have taken over meanwhile."""
    world.mail("m1")
    write = world.store.write

    async def paused(job: Any, *, durable: bool = False) -> Any:
        done = await write(job, durable=durable)
        if durable:
            world.clock.advance(world.run.lease_seconds * CLAIM_SHARE * share)
        return done

    monkeypatch.setattr(world.store, "write", paused)
    await world.deliver()
    assert bool(world.vendor.sent) is called
    assert world.entry("m1").state == ("done" if called else "planned")
