"""Promise 4: memory is flat in the size of the data."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.sync.conftest import TICKETS, USAGE, Bench, ScriptedSource, ticket, use

from wellkept.pipeline import reading
from wellkept.records import Usage
from wellkept.source import Batch, ReadRequest, Replace

DAY = Replace(record=Usage, field="day", start="2026-11-16", end="2026-11-17")


def tickets(rows: int) -> ScriptedSource:
    async def script(request: ReadRequest) -> AsyncIterator[Batch]:
        for start in range(0, rows, 100):
            records = [ticket(f"{n:06}", subject="x" * 200) for n in range(start, start + 100)]
            yield Batch(records=records, cursor={"n": start}, complete=start + 100 == rows)

    return ScriptedSource({TICKETS: script})


def generation(rows: int) -> ScriptedSource:
    async def script(request: ReadRequest) -> AsyncIterator[Batch]:
        for start in range(0, rows, 100):
            records = [use(f"{n:06}" + "x" * 200, "2026-11-16") for n in range(start, start + 100)]
            yield Batch(records=records, replaces=DAY, last=start + 100 == rows)

    return ScriptedSource({USAGE: script})


@pytest.fixture
def _own_garbage() -> Iterator[None]:
    """Let the collector look at this test's objects alone: it comes the more rarely, the more the whole process has made."""
    gc.collect()
    gc.freeze()
    gc.collect()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_own_garbage")
@pytest.mark.parametrize("make", [tickets, generation])
async def test_memory_is_flat(bench: Bench, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 500)
    assert callable(make)
    peaks = []
    await bench.one(make(500), full=True)  # caches of every kind
    for rows in (2000, 12_000):
        tracemalloc.start()
        result = await bench.one(make(rows), full=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (result.state, result.read) == ("done", rows)
    assert peaks[1] < peaks[0] * 1.25
