"""Virtual time."""

from __future__ import annotations

import asyncio
import heapq


class FakeClock:
    """A `Clock` whose time moves only when somebody waits for it, or when a test says so.

    `sleep` returns at once for the sleeper that is due first, and moves the time there: waits of hours take no time and
    happen in the right order. An instance belongs to one event loop at a time.

    Args:
        start: The first instant, epoch ms. The default is 2026-11-21T00:00:00Z.
    """

    def __init__(self, start: int = 1_795_219_200_000) -> None:
        self._now = start
        self._waiting: list[tuple[int, int, asyncio.Event]] = []
        self._count = 0
        self._driver: asyncio.Task[None] | None = None
        self.slept: list[float] = []
        """Every wait that was asked for, in seconds."""

    def now(self) -> int:
        """Return the virtual instant, epoch ms."""
        return self._now

    def monotonic(self) -> float:
        """Return the virtual instant in seconds."""
        return self._now / 1000

    def advance(self, seconds: float) -> None:
        """Move the time forward (or, to play a skewed clock, back)."""
        self._now += round(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Wait until the virtual time has moved on by `seconds`."""
        self.slept.append(seconds)
        due = asyncio.Event()
        self._count += 1
        heapq.heappush(self._waiting, (self._now + max(0, round(seconds * 1000)), self._count, due))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        await due.wait()

    async def _drive(self) -> None:
        """Wake sleepers in order, after everybody else had a chance to run."""
        while self._waiting:
            for _ in range(5):
                await asyncio.sleep(0)
            at, _, due = heapq.heappop(self._waiting)
            self._now = max(self._now, at)
            due.set()
