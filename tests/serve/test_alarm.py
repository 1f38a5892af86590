"""The alarm rings at the times of the schedules, and once for those that it slept through."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.date import DateTrigger

from wellkept.schedule import Timer
from wellkept.serve.alarm import MISFIRE_GRACE_SECONDS, Alarm
from wellkept.serve.timetable import Entry, Timetable


@pytest.mark.parametrize(("late", "missed"), [(0, False), (MISFIRE_GRACE_SECONDS + 5, True)])
async def test_it_rings(late: int, missed: bool, caplog: pytest.LogCaptureFixture) -> None:
    timer = Timer("every 1 hour", "UTC")
    timer.trigger = DateTrigger(datetime.now(UTC) - timedelta(seconds=late))
    rang = asyncio.Event()
    alarm = Alarm(Timetable([Entry(instance="one", timer=timer)]), rang.set)
    with caplog.at_level(logging.WARNING):
        alarm.start()
        async with asyncio.timeout(10):
            await rang.wait()
        alarm.stop()
    assert ("was missed; it is caught up" in caplog.text) is missed
