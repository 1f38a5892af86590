"""What is due: pure functions of the schedules, the last firings and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellkept.schedule import Timer

if TYPE_CHECKING:
    from wellkept.runtime import Runtime
    from wellkept.store.schedules import Fired

MOST_TRIES = 3
"""A run that was cut off so often in a row waits for its next time: it may be what brings the server down."""

AHEAD_MS = 60_000
"""Two machines' clocks may differ by so much. A firing that lies further ahead was noted before the clock was put back, and
says nothing about what has been missed since."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An instance with its schedule.

    Attributes:
        instance: The instance.
        timer: When it is due.
        reads: It has streams; of one that has none, only the later steps are run.
    """

    instance: str
    timer: Timer
    reads: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """An instance that is to run now.

    Attributes:
        instance: The instance.
        reads: Its streams are read.
        since: Since when it has been due, epoch ms.
        why: ``new`` was never fired, ``time`` has come, ``cut off`` was its last run, ``clock`` was put back since.
    """

    instance: str
    reads: bool
    since: int
    why: str

    def late(self, now: int) -> str:
        """Say in words who is due and, if it waited for long, for how long."""
        minutes = (now - self.since) // 60_000
        if self.why == "clock":
            return f"{self.instance} (the clock was put back)"
        if self.why != "time":
            return f"{self.instance} ({self.why})"
        return f"{self.instance} ({minutes} minutes late)" if minutes else self.instance


class Timetable:
    """Says who is due.

    Args:
        entries: All instances that run by the clock.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def due(self, fired: Mapping[str, Fired], now: int) -> list[Due]:
        """Return who is due. However many times were missed, an instance is due once.

        Args:
            fired: The last firings, by instance.
            now: The present instant, epoch ms.
        """
        found = []
        for entry in self.entries:
            last = fired.get(entry.instance)
            if last is None:
                found.append(Due(entry.instance, entry.reads, now, "new"))
            elif last.last_fired > now + AHEAD_MS:
                found.append(Due(entry.instance, entry.reads, now, "clock"))
            elif not last.settled and last.tries < MOST_TRIES:
                found.append(Due(entry.instance, entry.reads, last.last_fired, "cut off"))
            elif (at := entry.timer.next_after(last.last_fired)) <= now:
                found.append(Due(entry.instance, entry.reads, at, "time"))
        return found

    def upcoming(self, fired: Mapping[str, Fired], now: int) -> dict[str, int]:
        """Return when each instance runs next, epoch ms; one that is due runs now."""
        due = {item.instance for item in self.due(fired, now)}
        return {
            entry.instance: now if entry.instance in due else entry.timer.next_after(fired[entry.instance].last_fired)
            for entry in self.entries
        }


def timetable(runtime: Runtime) -> Timetable:
    """Return the timetable of an installation.

    Instances with streams or jobs and without a schedule run by the one of ``[serve]``. An instance with neither runs only if
    it has a schedule.
    """
    settings = runtime.settings
    entries = []
    for name, instance in runtime.instances.items():
        text = instance.head.schedule or (settings.serve.schedule if instance.streams or instance.jobs else None)
        if text is not None:
            timer = Timer(text, settings.wellkept.timezone)
            entries.append(Entry(instance=name, timer=timer, reads=bool(instance.streams)))
    return Timetable(entries)
