"""Days of a project: which day an event belongs to, and which dates an export has to be asked for.

Projects made since 2023-01-01 store UTC: an export is asked for by UTC dates, and `time` is an ordinary epoch. Older ones store
the project's own wall clock: an export is asked for by local dates, and `time` counts the seconds from 1970-01-01T00:00 *on
that clock*, so that it is an epoch only in a UTC project. Either way a day of ours is a day in the project's zone, as in
Mixpanel's own reports; it lasts 23, 24 or 25 hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from wellkept.errors import RejectedError

if TYPE_CHECKING:
    from wellkept_mixpanel.config import MixpanelConfig

QUARTER = 900
"""Seconds. All zones differ from UTC by whole quarters of an hour today, and change on them: one look-up serves a quarter."""

MOST_REMEMBERED = 50_000
"""Quarters of an hour: more than a year."""

DAY = timedelta(days=1)


class Calendar:
    """The days of one project.

    Args:
        config: Says which zone, and how the project stores time.
    """

    def __init__(self, config: MixpanelConfig) -> None:
        self._zone = config.zone
        self._wall_clock = config.created_before_2023
        self._known: dict[int, str] = {}

    def day_of_event(self, seconds: float) -> str:
        """Return the day of an event's `time` as an export gives it.

        Raises:
            RejectedError: It is no time that a calendar has.
        """
        quarter = int(seconds // QUARTER)
        day = self._known.get(quarter)
        if day is None:
            try:
                moment = datetime.fromtimestamp(quarter * QUARTER, UTC if self._wall_clock else self._zone)
            except (ValueError, OverflowError, OSError):
                raise RejectedError("its `time` is out of range") from None
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            day = self._known[quarter] = moment.date().isoformat()
        return day

    def today(self, now: int) -> date:
        """Return the project's date at an instant (epoch ms)."""
        return datetime.fromtimestamp(now / 1000, self._zone).date()

    def instant(self, moment: datetime) -> int:
        """Return the instant of a time that a profile gives without a zone, epoch ms."""
        zone = self._zone if self._wall_clock else UTC
        return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)

    def asked_for(self, first: date, last: date, now: int) -> tuple[str, str]:
        """Return the `from_date` and `to_date` of the export that holds these days whole; it may hold parts of others.

        No later date than today's is asked for: a day that is not over may reach into tomorrow.
        """
        if self._wall_clock:
            return first.isoformat(), last.isoformat()
        begin, end = self._start(first), self._start(last + DAY) - timedelta(microseconds=1)
        end = min(end, datetime.fromtimestamp(now / 1000, UTC))
        return begin.date().isoformat(), end.date().isoformat()

    def _start(self, day: date) -> datetime:
        """Return the first instant of a day, in UTC."""
        return datetime.combine(day, time(), self._zone).astimezone(UTC)
