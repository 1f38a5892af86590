"""The alarm clock: APScheduler, which wakes the server when a schedule comes. What is due then, the timetable says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from apscheduler.events import EVENT_JOB_MISSED  # type: ignore[import-untyped]
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from wellkept.schedule import Timer
    from wellkept.serve.timetable import Timetable

MISFIRE_GRACE_SECONDS = 60
"""An alarm that rings later than this was missed: the process stood still, or the machine slept. It is caught up all the same,
as one that was missed while the server was down; only the log calls it by its name."""

_log = logging.getLogger("wellkept.serve")


class Alarm:
    """Rings at every time of a timetable, in the event loop that it is started in.

    Times that were missed ring once (coalescing). No job store: what was missed is found from the store's `last_fired`.

    Args:
        timetable: The times.
        ring: Called at each of them.
    """

    def __init__(self, timetable: Timetable, ring: Callable[[], None]) -> None:
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_GRACE_SECONDS}
        self._scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=defaults)
        self._ring = ring

        async def sound() -> None:  # a coroutine function, so that APScheduler stays in the event loop
            ring()

        for entry in timetable.entries:
            self._scheduler.add_job(sound, _Trigger(entry.timer), id=entry.instance, name=f"schedule of {entry.instance}")
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED)

    def start(self) -> None:
        """Begin to ring."""
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more."""
        self._scheduler.shutdown(wait=False)

    def _missed(self, event: Any) -> None:
        name, when = event.job_id, event.scheduled_run_time.isoformat()
        _log.warning("%s: its time %s was missed; it is caught up", name, when, extra={"instance": name})
        self._ring()


class _Trigger(BaseTrigger):  # type: ignore[misc]
    """A timer as APScheduler knows it. However many times were missed, the next one is after now."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:  # noqa: ARG002 - APScheduler's
        return datetime.fromtimestamp(self._timer.next_after(int(now.timestamp() * 1000)) / 1000, UTC)
