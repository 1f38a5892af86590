"""Quiet hours: when a message may leave, by the clock on the recipient's wall."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from wellkept.errors import ConfigError

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def parse(text: str) -> tuple[time, time]:
    """Read ``21:00-08:00``.

    Raises:
        ConfigError: It is no span of two times of day.
    """
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text!r} is no span of hours", key="messages.quiet_hours", guidance="write it like 21:00-08:00, up to 23:59"
        )
    first, first_minute, last, last_minute = map(int, match.groups())
    return time(first, first_minute), time(last, last_minute)


def zone_of(name: str | None, default: str) -> ZoneInfo:
    """Return a recipient's zone, or the installation's where it is not known (or no zone at all: vendors' words vary)."""
    try:
        return ZoneInfo(name or default)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(default)


def quiet_until(now: int, hours: tuple[time, time], zone: ZoneInfo) -> int | None:
    """Return when the quiet hours of this moment end, epoch ms; None when it is not quiet.

    The first hour belongs to the span, the last does not; a span may go over midnight. Where the clock is put forward over
    the end, quiet ends at once; where it is put back behind it, the hour is quiet twice, as the wall says.
    """
    start, end = hours
    local = _local(now, zone)
    if not _is_quiet(local.time(), start, end):
        return None
    candidates = []
    for days in (0, 1):
        day = local.date() + timedelta(days=days)
        for fold in (0, 1):
            instant = round(datetime.combine(day, end, zone).replace(fold=fold).timestamp() * 1000)
            if instant > now and not _is_quiet(_local(instant, zone).time(), start, end):
                candidates.append(instant)
    return min(candidates)


def _local(instant: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC).astimezone(zone)


def _is_quiet(at: time, start: time, end: time) -> bool:
    return start <= at < end if start <= end else at >= start or at < end
