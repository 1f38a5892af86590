"""Time, injected: nothing in Wellkept reads the wall clock except through a `Clock`."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a component may ask of time.

    All instants are integers: milliseconds since 1970-01-01T00:00:00Z (`Millis`).
    """

    def now(self) -> int:
        """Return the current instant in epoch milliseconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; a test's clock moves forward instead."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the current instant in epoch milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return `time.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait with `asyncio.sleep`."""
        await asyncio.sleep(seconds)
