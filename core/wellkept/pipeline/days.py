"""Days in the configured zone: where they begin, and which day an instant or an ISO date belongs to.

A day lasts 23, 24 or 25 hours where clocks change, and may be missing where a zone crossed the date line. All arithmetic is
done on dates; instants are looked up, never added to.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = 86_400_000
"""Milliseconds of an ordinary day."""


def day_of(instant: int, zone: ZoneInfo) -> date:
    """Return the local date at an instant (epoch ms)."""
    return datetime.fromtimestamp(instant / 1000, zone).date()


def start_of(day: date, zone: ZoneInfo) -> int:
    """Return the first instant of a local day, epoch ms.

    Where midnight is skipped, that is the instant of the change; where it comes twice, the first one.
    """
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round(local.astimezone(UTC).timestamp() * 1000)


def end_of(day: date, zone: ZoneInfo) -> int:
    """Return the first instant after a local day, epoch ms."""
    return start_of(day + timedelta(days=1), zone)
