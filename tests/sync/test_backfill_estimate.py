"""Backfill leaves the live cursor alone and can be cut off; estimates ask and store nothing."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sync.conftest import ACCOUNTS, TICKETS, USAGE, Bench, ScriptedSource, account, use

from wellkept.errors import ConfigError, RetryableError
from wellkept.pipeline.backfill import backfill
from wellkept.pipeline.estimate import estimate
from wellkept.records import Usage
from wellkept.settings import Freshness
from wellkept.source import Batch, Estimate, Replace, Window
from wellkept.store import cursors
from wellkept.store.runs import running
from wellkept.testing import FakeClock

WINDOW = Window(start=1000, end=2000)


async def fill(bench: Bench, source: ScriptedSource, stream: str = "accounts", window: Window = WINDOW) -> Any:
    async with running(bench.store, "backfill") as run:
        report = await backfill(
            bench.store, bench.tables, {"one": source}, instance="one", stream=stream, window=window, run=run,
            clock=bench.clock, freshness=Freshness(max_deleted_share=1.0), tick=0.01,
        )  # fmt: skip
    return report.streams[0]


async def test_a_backfill_leaves_the_live_cursor_alone(bench: Bench, clock: FakeClock) -> None:
    await bench.one(
        ScriptedSource({ACCOUNTS: [Batch(records=[account("a"), account("b")], cursor={"live": 1}, complete=True)]})
    )
    before = bench.state()
    clock.advance(60)
    source = ScriptedSource(
        {ACCOUNTS: [Batch(records=[account("old")], cursor={"page": 1}), Batch(cursor={"page": 2}, complete=True)]}
    )
    result = await fill(bench, source)
    assert (result.state, result.deleted, bench.ids()) == ("done", 0, ["a", "b", "old"])
    assert (source.requests[0].window, source.requests[0].cursor) == (WINDOW, None)
    assert bench.state() == before
    assert bench.value("SELECT COUNT(*) FROM cursors") == 1  # its own is forgotten when it has ended well


async def test_a_backfill_goes_on_where_it_was_cut_off(bench: Bench) -> None:
    script: list[Any] = [Batch(records=[account("x")], cursor={"page": 1}), RetryableError("down")]
    assert (await fill(bench, ScriptedSource({ACCOUNTS: script}))).state == "failed"
    other = ScriptedSource({ACCOUNTS: []})
    await fill(bench, other, window=Window(start=1000, end=3000))
    assert other.requests[0].cursor is None  # another window is another backfill
    source = ScriptedSource({ACCOUNTS: [Batch(records=[account("y")])]})
    assert (await fill(bench, source)).state == "done"
    assert source.requests[0].cursor == {"page": 1}
    again = ScriptedSource({ACCOUNTS: [Batch(records=[account("x"), account("y")])]})
    result = await fill(bench, again)
    assert again.requests[0].cursor is None
    assert (result.unchanged, bench.ids()) == (2, ["x", "y"])


async def test_generations_of_a_backfill_stand_apart(bench: Bench) -> None:
    day = Replace(record=Usage, field="day", start="2026-01-01", end="2026-01-02")
    live = ScriptedSource({USAGE: [Batch(records=[use("l", "2026-01-01")], replaces=day, last=False), RetryableError("down")]})
    await bench.fails(live)
    result = await fill(bench, ScriptedSource({USAGE: [Batch(records=[use("b", "2026-01-01")], replaces=day)]}), "usage")
    assert (result.state, bench.ids(Usage)) == ("done", [use("b", "2026-01-01").id])
    assert bench.value("SELECT COUNT(*) FROM volumes") == 0


async def test_what_cannot_be_backfilled_is_said(bench: Bench) -> None:
    source = ScriptedSource({ACCOUNTS: [], TICKETS: []})
    with pytest.raises(ConfigError, match="cannot be backfilled"):
        await fill(bench, source, "tickets")
    with pytest.raises(ConfigError, match="no stream 'ticket'"):
        await fill(bench, source, "ticket")
    with pytest.raises(ConfigError, match="window is empty"):
        await fill(bench, source, window=Window(start=5, end=5))
    assert source.requests == []


async def test_estimates(bench: Bench, clock: FakeClock) -> None:
    asked: dict[str, Any] = {}

    class Priced(ScriptedSource):
        async def estimate(self, stream: Any, cursor: Any) -> Estimate:
            asked[stream.name] = cursor
            if stream is TICKETS:
                raise KeyError("jane@example.com")
            return Estimate(calls=120, quota_share=0.25, seconds=1800)

    source = Priced({ACCOUNTS: [Batch(records=[account("a")], cursor={"v": 1})], TICKETS: []})
    await bench.sync(source, select=[("one", "accounts")])
    before = bench.all("SELECT * FROM cursors")

    async def ask(**options: Any) -> dict[str, Any]:
        rows = await estimate(bench.store, {"one": source}, clock=clock, tick=0.01, **options)
        return {row.stream: row for row in rows}

    rows = await ask()
    assert asked == {"accounts": {"v": 1}, "tickets": None}
    assert (rows["accounts"].calls, rows["accounts"].hours, rows["accounts"].quota_share) == (120, 0.5, 0.25)
    assert (rows["accounts"].full, rows["tickets"].full) == (False, True)
    assert "KeyError" in rows["tickets"].error
    assert "jane" not in rows["tickets"].error
    assert (await ask(full=True, select=[("one", "accounts")]))["accounts"].full
    assert asked["accounts"] is None
    assert bench.all("SELECT * FROM cursors") == before


async def test_an_estimate_that_hangs_is_named(bench: Bench, clock: FakeClock) -> None:
    import asyncio

    class Slow(ScriptedSource):
        async def estimate(self, stream: Any, cursor: Any) -> Estimate:
            clock.advance(1000)
            await asyncio.Event().wait()
            return Estimate(calls=1)

    (row,) = await estimate(bench.store, {"one": Slow({ACCOUNTS: []})}, clock=clock, silence=900, tick=0.01)
    assert "hangs" in str(row.error)


async def test_an_overview_of_cursors(bench: Bench) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], cursor={"v": 1})]}))
    await fill(bench, ScriptedSource({ACCOUNTS: [Batch(records=[account("x")], cursor={"page": 1}), RetryableError("down")]}))
    with bench.store.read() as reader:
        rows = cursors.overview(reader)
    assert [(key.scope, state.cursor) for key, state in rows] == [("live", {"v": 1}), ("window:1000:2000", {"page": 1})]
