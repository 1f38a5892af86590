from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from wellkept import Outcome, Target
from wellkept.store import approvals, audit, outbox

pytestmark = pytest.mark.both


async def test_every_move_is_in_the_audit_chain(world: Any, fakes: Any) -> None:
    world.pay("a")
    world.mail("b", state="held", note="asks")
    world.push(score=1, band="red")
    world.push(score=2)
    world.push(band="green")
    world.store.write_now(lambda tx: approvals.reject(tx, now=0, keys=["books/dunning/b"], reason="no"))
    world.vendor.script = [lambda _do: Outcome.retry("busy")]
    await world.deliver()
    world.clock.advance(60)
    await world.deliver()

    with world.store.read() as reader:
        assert audit.verify(reader) is None
        trail = list(audit.entries(reader, subject="acme"))
    found: dict[str, list[str]] = {}
    for item in trail:
        assert item.body is not None
        found.setdefault(item.body["effect"], []).append(item.kind.removeprefix("effect."))
    assert Counter(map(tuple, found.values())) == Counter(
        [
            ("planned", "sending", "planned", "sending", "done"),
            ("planned", "rejected"),
            ("planned", "narrowed", "superseded"),
            ("planned", "sending", "done"),
            ("planned", "sending", "done"),
        ]
    )
    planned = trail[0].body
    assert planned is not None
    assert (planned["policy"], planned["policy_version"], planned["reason"]) == ("books/dunning", "1", "because")


async def test_what_concerns_nobody_is_filed_under_its_run(world: Any) -> None:
    world.pay("a", account=None, run_id="r7")
    with world.store.read() as reader:
        assert [item.kind for item in audit.entries(reader, subject="r7")] == ["effect.planned"]


@pytest.mark.both(False)
@pytest.mark.slow
async def test_a_thousand_effects_take_less_than_a_second(world: Any, fakes: Any) -> None:
    """Claim, deliver and settle of `state` effects in batches of 100, best of three; half of the target, for slow machines."""

    class Quick(fakes.FakePush):  # type: ignore[misc]
        max_batch = 100

        async def deliver(self, deliveries: Any) -> Any:
            return [Outcome.done()] * len(deliveries)

        async def read(self, targets: Any, fields: Any) -> Any:
            return [{}] * len(targets)

    world.actions = {"crm": [Quick(world.vendor)]}

    def plan(tx: Any, round_: int) -> None:
        who = {
            "policy": "push/crm",
            "policy_version": "1",
            "run_id": f"r{round_}",
            "account": "acme",
            "reason": "r",
            "note": None,
        }
        for number in range(1000):
            target = Target(instance="crm", type="account", id=f"c{number}")
            outbox.plan_state(tx, target=target, capability="score.push", fields={"s": round_}, state="planned", now=0, **who)

    rates = []
    for round_ in range(3):
        world.store.write_now(lambda tx, round_=round_: plan(tx, round_))
        start = time.process_time()
        report = await world.deliver()
        rates.append(1000 / (time.process_time() - start))
        assert report.total("done") == 1000
    assert max(rates) > 1000, rates
