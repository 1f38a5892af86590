"""The alarm rings at the times of the schedules, and once for those that it slept through."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from wellkept.schedule import Timer
from wellkept.serve.alarm import MISFIRE_GRACE_SECONDS, Alarm
from wellkept.serve.timetable import Entry, Timetable


class Late(Timer):
    """A timer whose first time has gone by when the scheduler asks what is due."""

    def __init__(self, seconds: float) -> None:
        super().__init__("every 1 hour", "UTC")
        self._first: list[datetime] = [datetime.now(UTC) - timedelta(seconds=seconds)]

    def next_after(self, instant: int) -> int:
        return int(self._first.pop().timestamp() * 1000) if self._first else super().next_after(instant)


@pytest.mark.parametrize(("late", "missed"), [(0, False), (MISFIRE_GRACE_SECONDS + 5, True)])
async def test_it_rings(late: int, missed: bool, caplog: pytest.LogCaptureFixture) -> None:
    rang = asyncio.Event()
    alarm = Alarm(Timetable([Entry(instance="one", timer=Late(late))]), rang.set)
    with caplog.at_level(logging.WARNING):
        alarm.start()
        async with asyncio.timeout(10):
            await rang.wait()
        alarm.stop()
    assert ("was missed; it is caught up" in caplog.text) is missed
