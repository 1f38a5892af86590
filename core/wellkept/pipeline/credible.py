"""Is a reading credible? One that is far smaller than usual is marked, removes nothing, and makes measures unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from wellkept.source import Replace
from wellkept.store import volumes
from wellkept.store.cursors import Key
from wellkept.store.engine import Reader

if TYPE_CHECKING:
    from wellkept.settings import Freshness

FULL_READ = "full read"
"""How the anomaly of a full read begins; only another full read clears it."""

LAST_ZONE = timedelta(hours=12)
"""A day is over everywhere on Earth twelve hours after it is over in UTC (UTC-12)."""


def unusual_full(reader: Reader, key: Key, rows: int, freshness: Freshness) -> str | None:
    """Say what is unusual about a complete full read of so many rows, or None."""
    usual = volumes.usual_full(reader, key.instance, key.stream)
    return _unusual(FULL_READ, rows, usual, freshness)


def unusual_generation(reader: Reader, key: Key, day: str, rows: int, freshness: Freshness) -> str | None:
    """Say what is unusual about a generation of one whole day (see `generation_day`), or None."""
    usual = volumes.usual_day(reader, key.instance, key.stream, "generation", day)
    return _unusual(day, rows, usual, freshness)


def unusual_day(reader: Reader, key: Key, now: int, freshness: Freshness) -> tuple[bool, str | None]:
    """Judge what came in on the last whole day: whether it can be judged, and what is unusual about it."""
    day = (_utc(now).date() - timedelta(days=1)).isoformat()
    rows = volumes.of_day(reader, key.instance, key.stream, "read", day)
    if rows is None:
        return False, None
    usual = volumes.usual_day(reader, key.instance, key.stream, "read", day)
    return usual is not None, _unusual(day, rows, usual, freshness)


def generation_day(replaces: Replace, now: int) -> str | None:
    """Return the day that a generation replaces, if it is one whole day and over."""
    try:
        if isinstance(replaces.start, str) and isinstance(replaces.end, str):
            start, end = (datetime.combine(date.fromisoformat(day), time(), UTC) for day in (replaces.start, replaces.end))
            over = end + LAST_ZONE
        else:
            start, over = _utc(int(replaces.start)), _utc(int(replaces.end))
            end = over
    except (ValueError, OverflowError):
        return None
    return start.date().isoformat() if over <= _utc(now) and end - start == timedelta(days=1) else None


def _unusual(what: str, rows: int, usual: float | None, freshness: Freshness) -> str | None:
    if usual is None or usual < freshness.anomaly_min_rows or rows >= usual * freshness.anomaly_drop:
        return None
    return f"{what}: {rows} rows, where about {usual:.0f} are usual"


def _utc(instant: int) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)
