"""What a server does next, and that two of them never both do it: with the store, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from tests.serve.conftest import Home

from wellkept import Hint
from wellkept.errors import LeaseLostError
from wellkept.runtime import Runtime
from wellkept.serve.conductor import Conductor, Task
from wellkept.serve.dispatch import Dispatcher
from wellkept.serve.leadership import Leadership
from wellkept.serve.timetable import Due, timetable
from wellkept.steps import Steps, Terms
from wellkept.store import inbox, locks, runs, schedules
from wellkept.store.inbox import OpenHint
from wellkept.store.runs import RunStoppedError
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

PROBE = Due("probe", True, 0, "time")


class Bench:
    """An open installation, and what a server has beside it."""

    def __init__(self, home: Home, clock: FakeClock) -> None:
        self.home, self.clock = home, clock
        self.runtime = home.open(clock)
        self.store = self.runtime.store
        self.leadership = Leadership(self.store, 60)
        self.conductor = self.conducted_by(self.leadership)

    def conducted_by(self, leadership: Leadership) -> Conductor:
        return Conductor(self.store, self.again, leadership, self.runtime.settings.serve, grace=5)

    def again(self) -> Runtime:
        return self.home.open(self.clock, store=self.store)

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.store, timetable(self.runtime), hooked=["probe"], hints_seconds=10)

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.read() as reader:
            return reader.all(sql)

    def write(self, sql: str, *params: Any) -> None:
        self.store.write_now(lambda tx: tx.execute(sql, params))

    def hint(self, id_: str, instance: str = "probe") -> None:
        hint = Hint(id=id_, stream="accounts", object_id=id_, at=1)
        self.store.write_now(lambda tx: inbox.add(tx, instance, [hint], self.clock.now()))

    def settle(self) -> None:
        """Let everything have run just now."""
        now = self.clock.now()
        self.store.write_now(lambda tx: schedules.fire(tx, ["probe"], now))
        self.store.write_now(lambda tx: schedules.settle(tx, ["probe"]))


@pytest.fixture
def bench(home: Home, clock: FakeClock) -> Iterator[Bench]:
    bench = Bench(home, clock)
    yield bench
    bench.conductor.close()
    bench.runtime.close()


@pytest.fixture
async def leader(bench: Bench) -> AsyncIterator[Bench]:
    """The same, once it holds the lease."""
    assert await bench.leadership.take()
    yield bench
    await bench.leadership.give_back()


# --- what is next ----------------------------------------------------------------------------------------------------------


def test_whole_instances_come_first(bench: Bench) -> None:
    bench.hint("a")
    task = bench.dispatcher().next()
    assert task is not None
    assert (task.kind, task.instances) == ("run", ["probe"])


def test_hints_are_read_when_they_come_but_not_too_often(bench: Bench, clock: FakeClock) -> None:
    bench.settle()
    dispatcher = bench.dispatcher()
    assert dispatcher.next() is None
    bench.hint("a")
    task = dispatcher.next()
    assert task is not None
    assert task.kind == "hints"
    assert dispatcher.next() == task, "one that could not be begun is found again"
    dispatcher.begun(task, clock.now())
    bench.hint("b")
    clock.advance(9)
    assert dispatcher.next() is None
    clock.advance(1)
    assert dispatcher.next() == Task(kind="hints", newest_hint=2)


def test_hints_that_failed_come_back_when_they_are_due(bench: Bench, clock: FakeClock) -> None:
    bench.settle()
    bench.hint("a")
    dispatcher = bench.dispatcher()
    task = dispatcher.next()
    assert task is not None
    dispatcher.begun(task, clock.now())
    bench.store.write_now(lambda tx: inbox.postpone(tx, [OpenHint(1, "a", 0)], clock.now()))
    clock.advance(59)
    assert dispatcher.next() is None
    clock.advance(1)
    assert dispatcher.next() == Task(kind="hints", newest_hint=1)


def test_hints_that_nobody_can_read_start_nothing(bench: Bench) -> None:
    bench.settle()
    bench.hint("a", instance="gone")
    assert bench.dispatcher().next() is None


def test_what_waits_for_a_moment_is_woken_once(bench: Bench, clock: FakeClock) -> None:
    bench.settle()
    dispatcher = bench.dispatcher()
    soon = clock.now() + 5000
    bench.write("INSERT INTO policy_states (policy, subject, state, wake_at, updated_at) VALUES ('p', 's', '{}', ?, 0)", soon)
    assert dispatcher.next() is None
    clock.advance(5)
    assert dispatcher.next() == Task(kind="wake")
    bench.write(
        "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, host, pid) VALUES ('r', 'wake', 'done', ?, 0, '', 0)",
        soon,
    )
    assert dispatcher.next() is None, "a run has looked since"


def test_what_waits_is_woken_though_the_clock_was_put_back(bench: Bench, clock: FakeClock) -> None:
    """The newest run began tomorrow, as it seems."""
    bench.settle()
    bench.write(
        "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, host, pid) VALUES ('r', 'run', 'done', ?, 0, '', 0)",
        clock.now() + 86_400_000,
    )
    soon = clock.now() + 5000
    bench.write("INSERT INTO policy_states (policy, subject, state, wake_at, updated_at) VALUES ('p', 's', '{}', ?, 0)", soon)
    clock.advance(5)
    assert bench.dispatcher().next() == Task(kind="wake")


# --- one server schedules --------------------------------------------------------------------------------------------------


async def test_one_leads_and_the_other_follows_when_the_lease_lapses(bench: Bench, clock: FakeClock) -> None:
    first, second = bench.leadership, Leadership(bench.store, 60)
    assert await first.take()
    assert not await second.take()
    clock.advance(61)
    assert await second.take()
    with pytest.raises(LeaseLostError):
        bench.store.write_now(first.check)
    bench.store.write_now(second.check)
    await first.give_back()
    bench.store.write_now(second.check)
    assert not await first.take()
    await second.give_back()
    assert await first.take(), "given back, it is free at once"
    await first.give_back()


async def test_a_leader_that_was_replaced_finds_out(bench: Bench) -> None:
    leadership = Leadership(bench.store, 0.04)
    assert await leadership.take()
    assert leadership.held
    bench.write("UPDATE locks SET owner = 'elsewhere:1:1', epoch = epoch + 1 WHERE name = 'serve'")
    async with asyncio.timeout(5):
        await leadership.lost.wait()
    assert not leadership.held


async def test_a_replaced_server_fires_nobody(leader: Bench, clock: FakeClock) -> None:
    clock.advance(61)
    other = Leadership(leader.store, 60)
    assert await other.take()
    with pytest.raises(LeaseLostError):
        await leader.conductor.perform(Task(kind="run", due=[PROBE]))
    assert leader.all("SELECT * FROM runs") == []
    assert leader.all("SELECT * FROM schedules") == []
    assert leader.home.log() == []
    conductor = leader.conducted_by(other)
    assert await conductor.perform(Task(kind="run", due=[PROBE]))
    conductor.close()
    assert leader.all("SELECT kind, state FROM runs") == [("run", "done")]
    await other.give_back()


# --- how a task is performed -----------------------------------------------------------------------------------------------


async def test_a_run_is_noted_with_its_beginning_and_settled_with_its_end(leader: Bench, clock: FakeClock) -> None:
    assert await leader.conductor.perform(Task(kind="run", due=[PROBE]))
    assert leader.all("SELECT * FROM schedules") == [("probe", clock.now(), 1, 0)]
    assert await leader.conductor.perform(Task(kind="wake"))
    assert leader.all("SELECT kind, state FROM runs ORDER BY id") == [("run", "done"), ("wake", "done")]


async def test_another_run_under_way_is_waited_for(leader: Bench) -> None:
    """Somebody works by hand: nothing is fired, so that it stays due."""
    by_hand = await runs.start(leader.store, "backfill")
    assert not await leader.conductor.perform(Task(kind="run", due=[PROBE]))
    assert leader.all("SELECT * FROM schedules") == []
    leader.store.write_now(lambda tx: runs.finish(tx, by_hand, leader.clock.now()))
    assert await leader.conductor.perform(Task(kind="run", due=[PROBE]))


async def test_a_run_that_is_parked_is_begun_again(leader: Bench, clock: FakeClock) -> None:
    leader.conductor.stop("the server is stopping")
    assert await leader.conductor.perform(Task(kind="run", due=[PROBE]))
    assert leader.all("SELECT state, summary FROM runs") == [("interrupted", "the server is stopping")]
    assert leader.all("SELECT settled, tries FROM schedules") == [(0, 0)]
    task = leader.dispatcher().next()
    assert task is not None
    assert task.due[0].why == "cut off"
    leader.conductor.resume()
    assert await leader.conductor.perform(task)
    assert leader.all("SELECT settled, tries FROM schedules") == [(1, 0)]


async def test_an_instance_without_streams_runs_the_later_steps(leader: Bench) -> None:
    due = [Due("probe", False, 0, "time")]
    assert await leader.conductor.perform(Task(kind="run", due=due))
    assert leader.all("SELECT kind FROM runs") == [("wake",)]
    assert leader.home.log() == []


def test_what_every_run_finds_is_one_problem(bench: Bench) -> None:
    for _ in range(3):
        bench.runtime.instances["probe"].report("a column is declared twice")
    assert len(bench.runtime.problems) == 1


# --- runs that were replaced, or are to stop -------------------------------------------------------------------------------


def steal(bench: Bench, _run: Any) -> None:
    bench.write("UPDATE locks SET owner = 'elsewhere:1:1', epoch = epoch + 1 WHERE name = ?", runs.LEASE)


async def test_a_replaced_run_computes_for_nothing(leader: Bench) -> None:
    """Resolve, measure and score commit under the lease too."""
    await Steps(leader.runtime).sync()
    steps = Steps(leader.runtime, terms=Terms(began=partial(steal, leader)))
    with pytest.raises(LeaseLostError):
        await steps.wake()
    assert leader.all("SELECT * FROM accounts") == []
    leader.store.write_now(lambda tx: locks.release(tx, runs.LEASE, "elsewhere:1:1", 3))
    await Steps(leader.runtime).wake()
    assert len(leader.all("SELECT * FROM accounts")) == 1


async def test_a_run_that_is_to_stop_computes_no_further(leader: Bench) -> None:
    await Steps(leader.runtime).sync()

    def stop(run: Any) -> None:
        run.stopping = "enough"

    with pytest.raises(RunStoppedError, match="enough"):
        await Steps(leader.runtime, terms=Terms(began=stop)).wake()
    assert leader.all("SELECT kind, state, summary FROM runs WHERE kind = 'wake'") == [("wake", "interrupted", "enough")]
