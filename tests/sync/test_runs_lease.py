"""Runs: one at a time, with a heartbeat; dead ones are named, and replaced ones can do no harm."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest
from tests.sync.conftest import Bench

from wellkept.errors import FatalError, LeaseLostError
from wellkept.events import Event
from wellkept.store import Tx, heartbeat, open_store, runs
from wellkept.store.runs import LEASE_SECONDS, Run, RunUnderWayError, running
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

PATIENCE = 60.0
"""Seconds until a test gives up; a busy machine may take some."""


async def wait_for(condition: object) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not happen"
        await asyncio.sleep(0.002)


async def test_a_run_and_its_row(bench: Bench, clock: FakeClock) -> None:
    events: list[Event] = []
    async with running(bench.store, "score", observe=events.append) as run:
        assert bench.all("SELECT id, kind, state, pid FROM runs") == [(run.id, "score", "running", os.getpid())]
        run.state, run.summary = "partial", "7 of 9"
        clock.advance(5)
    with bench.store.read() as reader:
        (row,) = runs.history(reader)
    assert (row.state, row.summary, row.finished_at) == ("partial", "7 of 9", clock.now())
    assert [(event.kind, event.run, event.state) for event in events] == [
        ("run.started", run.id, "running"), ("run.finished", run.id, "partial"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "state", "summary"),
    [
        (FatalError("no"), "failed", "no"),
        (asyncio.CancelledError(), "interrupted", None),
        (KeyboardInterrupt(), "interrupted", None),
    ],
    ids=["failed", "cancelled", "keyboard"],
)
async def test_how_a_run_ends(bench: Bench, error: BaseException, state: str, summary: str | None) -> None:
    with pytest.raises(type(error)):
        async with running(bench.store, "sync"):
            raise error
    assert bench.all("SELECT state, summary FROM runs") == [(state, summary)]
    async with running(bench.store, "sync"):  # and the lease is free
        pass


async def test_a_heartbeat_holds_the_lease(bench: Bench, clock: FakeClock) -> None:
    async with running(bench.store, "sync", beat=0.005) as run:
        for _ in range(4):
            clock.advance(LEASE_SECONDS * 0.9)
            now = clock.now()
            await wait_for(lambda now=now: bench.all("SELECT heartbeat_at FROM runs") == [(now,)])
        with pytest.raises(RunUnderWayError, match=run.id):
            await runs.start(bench.store, "sync")


async def test_a_run_without_heartbeat_is_replaced_and_notices(bench: Bench, clock: FakeClock) -> None:
    async with running(bench.store, "sync", beat=0.005) as run:
        assert not run.lost
        clock.advance(LEASE_SECONDS + 1)
        # as another process would: in one transaction, before the next heartbeat
        bench.store.write_now(lambda tx: tx.execute("UPDATE locks SET owner = 'other', epoch = epoch + 1, expires_at = ?",
                                                    (clock.now() + 60_000,)))  # fmt: skip
        await wait_for(lambda: run.lost)
        with pytest.raises(LeaseLostError):
            bench.store.write_now(run.check)
    assert bench.value("SELECT owner FROM locks") == "other"  # it gives back nothing that is not its own


async def test_long_computing_does_not_stop_the_heart(bench: Bench, clock: FakeClock) -> None:
    async with running(bench.store, "sync", beat=0.005):
        clock.advance(LEASE_SECONDS * 0.9)
        until = time.monotonic() + PATIENCE
        while bench.all("SELECT heartbeat_at FROM runs") != [(clock.now(),)]:  # and the event loop gets no turn
            assert time.monotonic() < until


async def test_a_stuck_event_loop_stops_the_heart(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "SILENT_SECONDS", 0.02)
    async with running(bench.store, "sync", beat=0.005) as run:
        run.doing = "score"
        until = time.monotonic() + PATIENCE
        while not run.lost:
            assert time.monotonic() < until
    assert "the event loop is stuck" in caplog.text
    assert "lost its lease in score" in caplog.text


async def test_a_replaced_run_stays_interrupted(bench: Bench, clock: FakeClock) -> None:
    first = await runs.start(bench.store, "sync")
    bench.store.write_now(lambda tx: runs.begin_stream(tx, first, "one", "accounts", clock.now()))
    clock.advance(LEASE_SECONDS + 1)
    second = await runs.start(bench.store, "sync")
    assert (second.epoch, second.owner) != (first.epoch, first.owner)
    first.state = "done"
    bench.store.write_now(lambda tx: runs.finish(tx, first, clock.now()))  # it wakes up, and thinks that all is well
    assert bench.all("SELECT state FROM runs ORDER BY started_at") == [
        ("interrupted",), ("running",),
    ]  # fmt: skip
    assert bench.all("SELECT state, error FROM run_streams") == [("failed", "interrupted")]
    bench.store.write_now(second.check)


DIES = """
    import asyncio, os, sys
    from wellkept.store import open_store, runs

    async def main():
        store = open_store(sys.argv[1])
        run = await runs.start(store, "sync")
        print(run.id, flush=True)
        os._exit(9)

    asyncio.run(main())
"""


@pytest.mark.file
def test_after_a_crash_nobody_waits(bench: Bench, path: Path) -> None:
    """The process is gone for certain, so its lease need not end first."""
    command = [sys.executable, "-c", textwrap.dedent(DIES), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    run = asyncio.run(runs.start(bench.store, "sync"))
    assert bench.all("SELECT id, state FROM runs ORDER BY state") == [(done.stdout.strip(), "interrupted"), (run.id, "running")]


HOLDS = """
    import asyncio, sys
    from wellkept.store import open_store, runs

    async def main():
        store = open_store(sys.argv[1])
        async with runs.running(store, "sync"):
            print("held", flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        store.close()

    asyncio.run(main())
"""


@pytest.mark.file
def test_two_processes_never_both_run(path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLDS), str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    store = open_store(path)
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunUnderWayError, match=str(process.pid)):
            asyncio.run(runs.start(store, "sync"))
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(30) == 0
        assert asyncio.run(runs.start(store, "sync")).epoch == 2
    store.close()


async def test_looking_back(bench: Bench, clock: FakeClock) -> None:
    ids = []
    for number in range(3):
        async with running(bench.store, "sync") as run:
            ids.append(run.id)
            await bench.store.write(partial(_count, run=run, number=number, now=clock.now()))
        clock.advance(60)
    with bench.store.read() as reader:
        assert [row.id for row in runs.history(reader, limit=2)] == ids[:0:-1]
        assert [row.stream for row in runs.streams(reader, ids[-1])] == ["accounts", "tickets"]
        latest = {row.stream: row for row in runs.latest_of_streams(reader)}
    assert (latest["tickets"].run_id, latest["tickets"].read) == (ids[-1], 2)


def _count(tx: Tx, *, run: Run, number: int, now: int) -> None:
    for stream in ("tickets", "accounts"):
        runs.begin_stream(tx, run, "one", stream, now)
    runs.count_stream(tx, run, "one", "tickets", (number, 0, 0, 0, 0, 0))
