"""The demo's time."""

from __future__ import annotations

import asyncio
import time

DAY = 86_400_000
EVENING = 20 * 3_600_000 + 300_000
"""20:05, in UTC."""

REAL_SECONDS = 0.02
"""How long a wait really takes at most."""


class DemoClock:
    """Begins in the evening of the present day (UTC), and lets waits pass at once.

    In the evening the market's people have gone home, so that nobody's use grows while we look; quiet hours have not begun, and
    midnight is far. A wait takes no time, and the clock is that much further afterwards, for our side as for the simulators:
    every limit of every vendor is kept to the second of this time, though nobody waits for Zendesk's ten exports a minute.

    Attributes:
        waited: How long all waits would have taken, in seconds; of waits at the same time, the longest counts.
    """

    def __init__(self) -> None:
        self._start = time.time_ns() // 1_000_000 // DAY * DAY + EVENING
        self._began = time.monotonic()
        self.waited = 0.0

    def now(self) -> int:
        """Return the instant, epoch ms."""
        return self._start + round((time.monotonic() - self._began) * 1000)

    def monotonic(self) -> float:
        """Return `time.monotonic`: what really takes long is still given up in time."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let time pass: hardly any for those who watch."""
        until = self.now() + round(seconds * 1000)
        await asyncio.sleep(min(seconds, REAL_SECONDS))
        left = until - self.now()
        if left > 0:
            self.waited += left / 1000
            self.move_on(left)

    def move_on(self, millis: int) -> None:
        """Let time pass."""
        self._start += millis
