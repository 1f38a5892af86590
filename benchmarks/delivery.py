"""Targets 9 and 11: effects out of the outbox.

    python benchmarks/delivery.py [push] [outbox] [--records 5000]

9 push: changed scores, 100 in a request; its CPU with an action that only counts, and its time on the clock with requests to
the fixture server, which answers after 50 ms and permits 19 requests a second, as HubSpot does.  11 outbox: effects one by one,
each claimed durably, delivered and settled.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from meter import Cost, Figure, finish, here
from vendor import serving

from wellkept import (
    Delivery,
    Effect,
    Facts,
    Frame,
    OnceAction,
    Outcome,
    Policy,
    Row,
    ScorePush,
    StateAction,
    StateDelivery,
    Target,
    Verdict,
)
from wellkept.clock import Clock, SystemClock
from wellkept.effects import Payload
from wellkept.http import Client, RateLimit, make_http
from wellkept.pipeline.deliver import deliver
from wellkept.records import CANONICAL
from wellkept.settings import General, Messages, Safety
from wellkept.store import Store, Tx, open_store, outbox, pushed, runs
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock
from wellkept.trust import InstallationKey, KeySigner

RATE, LATENCY = 19, 0.05
"""Requests a second that the fixture server permits, and seconds until it answers."""


class Call(Payload, frozen=True, kw_only=True):
    """A capability of kind ``once``."""

    capability: ClassVar[str] = "benchmark.call"
    kind: ClassVar[Any] = "once"

    number: int


class Push(StateAction):
    """Takes scores, 100 in a request."""

    payload = ScorePush
    max_batch = 100

    def __init__(self) -> None:
        self.taken = 0

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Accept them."""
        self.taken += len(deliveries)
        return [Outcome.done() for _ in deliveries]

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Any] | None]:
        """Say that nothing stands there."""
        return [dict.fromkeys(fields) for _ in targets]


class Sent(Push):
    """Sends scores to the fixture server.

    Args:
        client: Of the server; keeps the limit.
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Send them in one request."""
        rows = [{"id": delivery.target.id, "properties": delivery.fields} for delivery in deliveries]
        await self._client.post("/batch/update", json={"inputs": rows})
        return await super().deliver(deliveries)


class Calls(OnceAction[Call]):
    """Takes calls, one in a request."""

    payload = Call

    def __init__(self) -> None:
        self.taken = 0

    async def deliver(self, deliveries: Sequence[Delivery[Call]]) -> Sequence[Outcome]:
        """Accept them."""
        self.taken += len(deliveries)
        return [Outcome.done() for _ in deliveries]

    async def look_up(self, delivery: Delivery[Call]) -> Outcome | None:
        """Know nothing."""
        del delivery
        return None


class Always(Policy):
    """Stands by what it has planned."""

    name = "calls"
    version = "1"

    @property
    def uses(self) -> frozenset[str]:
        """No column."""
        return frozenset()

    def decide(self, frame: Frame) -> Sequence[Effect]:
        """Plan nothing."""
        del frame
        return ()

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        """Say that the reason still holds."""
        del effect, facts
        return Verdict.proceed()


def row(account: str) -> Row:
    """Return an account of which nothing is known."""
    return next(Frame(date(2026, 11, 21), [account], {}, {}).rows())


def plan_push(tx: Tx, number: int, now: int) -> None:
    """Plan a changed score: the vendor has an older one from us."""
    target = Target(instance="crm", type="account", id=f"c{number}")
    pushed.accept(tx, [pushed.Accepted(target, "score.push", {"health": number % 97 + 0.5}, "plan")], now=now)
    outbox.plan_state(
        tx,
        target=target,
        capability="score.push",
        fields={"health": number % 100},
        account=f"a{number}",
        reason="the score changed",
        policy="push/crm",
        policy_version="1",
        run_id="plan",
        state="planned",
        note=None,
        now=now,
    )


def plan_call(tx: Tx, number: int, now: int) -> None:
    """Plan a call for an account of its own."""
    tx.execute("INSERT INTO accounts (id, name, state, created_at, updated_at) VALUES (?, '', 'active', 0, 0)", (f"a{number}",))
    effect = Effect(key=f"t{number}", payload=Call(number=number), account=f"a{number}", reason="benchmark")
    outbox.plan(
        tx,
        effect,
        key=f"books/calls/t{number}",
        policy="books/calls",
        policy_version="1",
        kind="once",
        target=None,
        state="planned",
        note=None,
        run_id="plan",
        now=now,
    )


async def perform(store: Store, tables: RecordTables, clock: Clock, action: Push | Calls) -> None:
    """Deliver all that is planned, in as many runs as it takes."""
    key = InstallationKey(b"k" * 32)
    run = await runs.start(store, "deliver")
    await deliver(
        store,
        tables,
        {"crm": [action]},
        run=run,
        clock=clock,
        live={"crm": True},
        deciders={"books/calls": Always()},
        row=row,
        feeds=lambda _: (),
        sources={},
        general=General(),
        messages=Messages(),
        safety=Safety(),
        key=key,
        signer=KeySigner(key, "core"),
        observe=lambda _: None,
        dry_run=False,
    )
    store.write_now(lambda tx: runs.finish(tx, run, clock.now()))


def measure(action: Push | Calls, plan: Any, records: int) -> Cost:
    """Return what it takes to deliver so many effects."""
    with planned(FakeClock(), plan, records) as (store, tables):
        cost = here(lambda: asyncio.run(perform(store, tables, store.clock, action)))
        finished(store, action, records)
    return cost


def measure_sending(records: int) -> Cost:
    """Return what it takes to send scores to the fixture server."""
    with planned(SystemClock(), plan_push, records) as (store, tables), serving(latency=LATENCY) as base:

        async def send() -> None:
            http = make_http(store, store.clock, "crm")
            action = Sent(http(base, rate=RateLimit(requests=RATE, per=1.0)))
            try:
                await perform(store, tables, store.clock, action)
            finally:
                await http.aclose()
            finished(store, action, records)

        return here(lambda: asyncio.run(send()))


@contextmanager
def planned(clock: Clock, plan: Any, records: int) -> Iterator[tuple[Store, RecordTables]]:
    """Make a store in which so many effects are planned."""
    with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder) / "wellkept.db", clock)) as store:
        tables = RecordTables(CANONICAL)
        store.write_now(tables.ensure)
        store.write_now(lambda tx: [plan(tx, number, clock.now()) for number in range(records)])
        yield store, tables


def finished(store: Store, action: Push | Calls, records: int) -> None:
    """Make sure that all of it was done."""
    with store.read() as reader:
        seen = reader.all("SELECT state, note, COUNT(*) FROM outbox GROUP BY state, note")
    assert action.taken == records, f"{action.taken} of {records}: {seen}"
    assert seen == [("done", None, records)], seen


def targets(names: Sequence[str], records: int) -> list[Figure]:
    """Measure."""
    found = []
    if "push" in names:
        cost, sent = measure(Push(), plan_push, records), measure_sending(records)
        what = f"push of {records:,} scores"
        per_cpu = records / cost.cpu
        share = sent.wall / (records / 100 / RATE)
        found += [
            Figure(target=9, what=what, value=per_cpu, unit="/ CPU s", gate=25_000, stretch=50_000, more_is_better=True),
            Figure(target=9, what="- on the clock", value=records / cost.wall, unit="/ s"),
            Figure(target=9, what=f"- sent at {RATE} requests / s: time", value=share, unit="x", gate=1.2),
            Figure(target=9, what="- sent: CPU, requests included", value=records / sent.cpu, unit="/ CPU s"),
        ]
    if "outbox" in names:
        per_second = records / measure(Calls(), plan_call, records).wall
        steps = 3 * per_second  # claim, deliver, settle
        what = f"steps of {records:,} effects one by one"
        found += [
            Figure(target=11, what=what, value=steps, unit="/ s", gate=2_000, stretch=5_000, more_is_better=True),
            Figure(target=11, what="- effects", value=per_second, unit="/ s"),
        ]
    return found


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which of push, outbox; both unless given")
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    options = parser.parse_args()
    return finish("delivery", targets(options.names or ("push", "outbox"), options.records), remember=options.remember)


if __name__ == "__main__":
    raise SystemExit(main())
