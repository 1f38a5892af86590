"""Any split into batches and any schedule of crashes ends with the same rows."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sync.conftest import ACCOUNTS, Bench, ScriptedSource, account

from wellkept.errors import RetryableError
from wellkept.pipeline import reading
from wellkept.records import Account
from wellkept.settings import Freshness
from wellkept.source import Batch, Deletion, ReadRequest
from wellkept.store import runs
from wellkept.testing import FakeClock

Row = Account | Deletion
IDS = "abcdef"


class Log(ScriptedSource):
    """A vendor's log, read in batches of drawn sizes; its cursor is the place in the log. Fails after so many batches."""

    def __init__(self, log: Sequence[Row], sizes: Sequence[int], *, fail_after: int | None = None, hang: bool = False) -> None:
        super().__init__({ACCOUNTS: self.script})
        self.log, self.sizes, self.fail_after, self.hang = log, sizes, fail_after, hang
        self.started = asyncio.Event()

    async def script(self, request: ReadRequest) -> AsyncIterator[Batch]:
        place = (request.cursor or {"n": 0})["n"]
        number = 0
        while True:
            if number == self.fail_after:
                self.started.set()
                if self.hang:
                    await asyncio.Event().wait()
                raise RetryableError("down")
            part = self.log[place : place + self.sizes[number % len(self.sizes)]]
            place += len(part)
            number += 1
            yield Batch(
                records=[row for row in part if isinstance(row, Account)],
                deletions=[row for row in part if isinstance(row, Deletion)],
                cursor={"n": place},
                complete=place == len(self.log),
            )
            if place == len(self.log):
                return


async def attempt(bench: Bench, source: Log, kind: str, place: int, options: dict[str, Any]) -> None:
    """Sync once and crash in one of three ways."""
    if kind == "source":
        source.fail_after = place
        await bench.one(source, **options)
    elif kind == "cancel":
        source.fail_after, source.hang = place, True
        task = asyncio.create_task(bench.sync(source, **options))
        _, pending = await asyncio.wait([task, asyncio.create_task(source.started.wait())], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        for waiting in pending:
            waiting.cancel()
        with suppress(asyncio.CancelledError):
            await task
    else:
        count, real = 0, runs.count_stream

        def breaks(*args: Any) -> None:
            nonlocal count
            real(*args)
            count += 1
            if count > place:
                raise RuntimeError("power cut")  # after the last statement of the commit

        with mock.patch.object(runs, "count_stream", breaks):
            await bench.one(source, **options)


sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)
crashes = st.lists(st.tuples(st.sampled_from(["source", "cancel", "store"]), st.integers(0, 6), sizes), max_size=5)
entries = st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 3), st.booleans()), max_size=30)


def log_of(drawn: Sequence[tuple[str, int, bool]]) -> list[Row]:
    """Return readings with distinct versions per id, in an order that need not be theirs."""
    rows: list[Row] = []
    for number, (id_, rank, gone) in enumerate(drawn):
        version = rank * 100 + number
        rows.append(Deletion(record=Account, id=id_, version=version) if gone else account(id_, f"{number}", version))
    return rows


def expected(log: Sequence[Row]) -> list[tuple[str, int, int]]:
    newest: dict[str, Row] = {}
    for row in log:
        if row.id not in newest or newest[row.id].version < row.version:
            newest[row.id] = row
    return [(id_, row.version, int(isinstance(row, Deletion))) for id_, row in sorted(newest.items())]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=entries, first=crashes, chunk=st.integers(1, 8), last=sizes)
def test_an_incremental_read_converges(
    template: Path, drawn: list[tuple[str, int, bool]], first: list[tuple[str, int, list[int]]], chunk: int, last: list[int]
) -> None:
    log = log_of(drawn)

    async def scenario(bench: Bench) -> None:
        for kind, place, split in first:
            await attempt(bench, Log(log, split), kind, place, {})
            bench.clock.advance(60)  # type: ignore[attr-defined]
        assert (await bench.one(Log(log, last))).ended_well
        assert bench.all("SELECT id, version, deleted FROM r_account ORDER BY id") == expected(log)
        assert bench.cursor() == {"n": len(log)}

    run(template, scenario, chunk)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.sets(st.sampled_from(IDS)),
    after=st.sets(st.sampled_from(IDS)),
    first=crashes,
    chunk=st.integers(1, 8),
    last=sizes,
    ask_again=st.booleans(),
)
def test_a_full_read_converges(
    template: Path,
    before: set[str],
    after: set[str],
    first: list[tuple[str, int, list[int]]],
    chunk: int,
    last: list[int],
    ask_again: bool,
) -> None:
    """However often it is interrupted, exactly what it did not bring is gone at its end."""

    async def scenario(bench: Bench) -> None:
        clock: FakeClock = bench.clock  # type: ignore[assignment]
        await bench.one(Log([account(id_) for id_ in sorted(before)], [2]))
        clock.advance(60)
        options: dict[str, Any] = {"full": True, "freshness": Freshness(max_deleted_share=1.0)}
        world = [account(id_) for id_ in sorted(after)]
        for kind, place, split in first:
            await attempt(bench, Log(world, split), kind, place, options)
            clock.advance(60)
        if ask_again or bench.state().full_since is None:
            await bench.one(Log(world, last), **options)
        else:
            await bench.one(Log(world, last), freshness=options["freshness"])
        assert bench.ids() == sorted(after)
        assert bench.value("SELECT COUNT(*) FROM seen") == 0

    run(template, scenario, chunk)


def run(template: Path, scenario: Any, chunk: int) -> None:
    """Run a scenario on a store of its own, with chunks of a drawn size."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(shutil.copy(template, Path(folder) / "wellkept.db")), FakeClock())
        try:
            with mock.patch.object(reading, "CHUNK_ROWS", chunk):
                asyncio.run(scenario(bench))
        finally:
            bench.close()
