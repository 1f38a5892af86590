"""What to do next, from what stands in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept.serve.conductor import Task
from wellkept.store import inbox, schedules

if TYPE_CHECKING:
    from collections.abc import Collection

    from wellkept.serve.timetable import Timetable
    from wellkept.store import Store


class Dispatcher:
    """Finds the next task; one for each time that a server takes the lease.

    Whole instances come first, then hints, then what waited for a moment. A task that could not be begun is found again.

    Args:
        store: The store.
        timetable: Who is due when.
        hooked: Instances whose hints can be read.
        hints_seconds: How often hints are read at most.
    """

    def __init__(self, store: Store, timetable: Timetable, *, hooked: Collection[str], hints_seconds: float) -> None:
        self._store = store
        self._timetable = timetable
        self._hooked = frozenset(hooked)
        self._hints_ms = round(hints_seconds * 1000)
        self._seen = 0
        self._hints_at: int | None = None

    def next(self) -> Task | None:
        """Return what to do now."""
        now = self._store.clock.now()
        with self._store.read() as reader:
            due = self._timetable.due(schedules.load(reader), now)
            if due:
                return Task(kind="run", due=due)
            if self._hints_at is None or not 0 <= now - self._hints_at < self._hints_ms:
                newest = inbox.newest(reader)
                if inbox.news(reader, self._seen, self._hints_at or 0, now) & self._hooked:
                    return Task(kind="hints", newest_hint=newest)
            if schedules.came_due(reader, schedules.newest_start(reader, now), now):
                return Task(kind="wake")
        return None

    def begun(self, task: Task, at: int) -> None:
        """Take note that a task was begun at an instant: hints that failed in it come back when they are due again."""
        if task.kind == "hints":
            self._seen, self._hints_at = task.newest_hint, at
