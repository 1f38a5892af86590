"""A day of any size is counted in the same memory."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]

SUBJECTS = 400
PADDING = "x" * 300


class Busy:
    """Answers an export with so many events of one day, compressed and made on the way; half of the rest is one subject's."""

    def __init__(self, events: int, subjects: int) -> None:
        self.events = events
        self.subjects = subjects

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        engine = zlib.compressobj(1, wbits=31)
        for start in range(0, self.events, 500):
            lines = (
                f'{{"event": "E{number % 3}", "properties": {{"time": {1_795_132_800 + number % 86_400},'
                f' "distinct_id": "u{number % self.subjects}", "padding": "{PADDING}"}}}}\n'
                for number in range(start, start + 500)
            )
            await send({"type": "http.response.body", "body": engine.compress("".join(lines).encode()), "more_body": True})
        await send({"type": "http.response.body", "body": engine.flush()})


async def peak(link: Any, switch: Any, events: int, subjects: int) -> tuple[int, int, int]:
    """Return the peak of one read, how many rows it brought, and how many events they stand for."""
    switch.app = Busy(events, subjects)
    rows = counted = 0
    stream = link.stream("events")
    from wellkept import ReadRequest

    tracemalloc.start()
    try:
        async for batch in link.source.read(ReadRequest(stream=stream)):
            rows += len(batch.records)
            counted += sum(record.count for record in batch.records)
        return tracemalloc.get_traced_memory()[1], rows, counted
    finally:
        tracemalloc.stop()


async def test_memory_is_flat(
    simulate: Start, connector: Start, simulator_server: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the events take no more memory, nor do twenty times the subjects: their counts move to disk."""
    monkeypatch.setattr("wellkept_mixpanel.tally.MOST_IN_MEMORY", 2000)
    link = connector(simulate(), history_days=1, window_days=1)
    switch, _ = simulator_server
    await peak(link, switch, 1000, SUBJECTS)
    few, rows, counted = await peak(link, switch, 5000, SUBJECTS)
    assert (rows, counted) == (SUBJECTS * 3, 5000)
    many, rows, counted = await peak(link, switch, 30_000, SUBJECTS)
    assert (rows, counted) == (SUBJECTS * 3, 30_000)
    assert many < few * 1.2 + 500_000
    crowd, rows, counted = await peak(link, switch, 30_000, SUBJECTS * 20 + 2)
    assert counted == 30_000
    assert rows > SUBJECTS * 20 * 2
    assert crowd < few * 1.5 + 2_000_000
    assert many < 30_000 * len(PADDING) / 4
