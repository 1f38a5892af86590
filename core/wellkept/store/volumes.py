"""Volumes: how many rows a stream usually yields, so that a reading that is far too small is not believed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Literal

from wellkept.store.engine import Reader, Tx

Kind = Literal["full", "generation", "read"]
"""``full``: a complete full read. ``generation``: one that replaced a day. ``read``: what came in on one day."""

FULLS = 14
"""Full reads that make up what is usual."""

DAYS = 35
"""Days that make up what is usual, so that five of each weekday are among them."""

KEPT = 140
"""Days that are remembered, so that lulls in a window of 28 days and in the 84 before it are known for what they are."""

DAYS_NEEDED = 7
"""Days before anything counts as usual: each weekday once, since weekends are quiet."""

_MATCH = "instance = ? AND stream = ? AND kind = ?"


def day_of(instant: int) -> str:
    """Return the UTC day of an instant, ISO."""
    return datetime.fromtimestamp(instant / 1000, UTC).date().isoformat()


def put(tx: Tx, instance: str, stream: str, kind: Kind, *, day: str, rows: int) -> None:
    """Note the volume of a day; a later one of the same day replaces it."""
    tx.execute(
        "INSERT INTO volumes (instance, stream, kind, day, rows) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (instance, stream, kind, day) DO UPDATE SET rows = excluded.rows",
        (instance, stream, kind, day, rows),
    )
    _trim(tx, instance, stream, kind, day)


def add(tx: Tx, instance: str, stream: str, day: str, rows: int) -> None:
    """Add to the rows that were read on a day."""
    tx.execute(
        "INSERT INTO volumes (instance, stream, kind, day, rows) VALUES (?, ?, 'read', ?, ?)"
        " ON CONFLICT (instance, stream, kind, day) DO UPDATE SET rows = volumes.rows + excluded.rows",
        (instance, stream, day, rows),
    )
    _trim(tx, instance, stream, "read", day)


def forget(tx: Tx, instance: str, stream: str, kind: Kind) -> None:
    """Forget what was usual."""
    tx.execute(f"DELETE FROM volumes WHERE {_MATCH}", (instance, stream, kind))  # noqa: S608 - constants


def of_day(reader: Reader, instance: str, stream: str, kind: Kind, day: str) -> int | None:
    """Return the volume of one day, None when nothing was noted."""
    value: int | None = reader.value(
        f"SELECT rows FROM volumes WHERE {_MATCH} AND day = ?",  # noqa: S608 - constants
        (instance, stream, kind, day),
    )
    return value


def usual_full(reader: Reader, instance: str, stream: str) -> float | None:
    """Return the median of the last full reads, None before the first."""
    rows = reader.all(
        f"SELECT rows FROM volumes WHERE {_MATCH} ORDER BY day DESC LIMIT ?",  # noqa: S608 - constants
        (instance, stream, "full", FULLS),
    )
    return float(median(count for (count,) in rows)) if rows else None


def usual_day(reader: Reader, instance: str, stream: str, kind: Kind, day: str) -> float | None:
    """Return what a day usually brings, judged by the days before it; None while too few are known.

    The smaller of two medians, that of all days and that of the same weekday, so that a quiet Sunday is nothing unusual.
    """
    known = reader.all(
        f"SELECT day, rows FROM volumes WHERE {_MATCH} AND day >= ? AND day < ?",  # noqa: S608 - constants
        (instance, stream, kind, _before(day, DAYS), day),
    )
    if len(known) < DAYS_NEEDED:
        return None
    weekday = date.fromisoformat(day).weekday()
    same = [rows for known_day, rows in known if date.fromisoformat(known_day).weekday() == weekday]
    usual = float(median(rows for _, rows in known))
    return min(usual, float(median(same))) if same else usual


def days(reader: Reader, instance: str, stream: str, kind: Kind) -> dict[date, int]:
    """Return the volumes of all days that are remembered."""
    rows = reader.rows(f"SELECT day, rows FROM volumes WHERE {_MATCH}", (instance, stream, kind))  # noqa: S608 - constants
    return {date.fromisoformat(day): count for day, count in rows}


def _trim(tx: Tx, instance: str, stream: str, kind: Kind, day: str) -> None:
    """Forget what is too old to be usual; full reads may be rare, so these are kept for two years."""
    oldest = _before(day, 2 * 365 if kind == "full" else KEPT)
    tx.execute(f"DELETE FROM volumes WHERE {_MATCH} AND day < ?", (instance, stream, kind, oldest))  # noqa: S608 - constants


def _before(day: str, days: int) -> str:
    return (date.fromisoformat(day) - timedelta(days=days)).isoformat()
