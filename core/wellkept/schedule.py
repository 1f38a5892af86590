"""Schedules as people write them: five cron fields and perhaps a time zone, or ``every 15 minutes``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from wellkept.errors import ConfigError

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_EVERY = re.compile(r"every\s+(?:(\d{1,6})\s+)?(minute|hour|day)s?", re.IGNORECASE)
_ZONE = re.compile(r"[A-Z][A-Za-z_]*(?:/[A-Za-z0-9_+-]+)*")
_ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval, counted from 1970-01-01T00:00Z, so that it does not depend on when somebody began to count."""

    interval: timedelta


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments at which each field has one of its values; weekdays count from Sunday, 0 to 6."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    zone: str | None = None
    """Where these moments are; None: where the installation is."""


def parse(text: str) -> Every | Cron:
    """Read a schedule.

    Cron fields take ``*``, numbers, names (``mon``, ``jan``), ranges, lists and steps; Sunday is 0 or 7. Restricting the day
    of the month *and* the day of the week is refused: classic cron takes either, other programs want both. A time zone may
    follow: ``30 2 * * * Europe/Berlin``.

    Raises:
        ConfigError: It is no schedule, or it never comes.
    """
    every = _EVERY.fullmatch(text.strip())
    if every:
        count = int(every[1] or 1)
        if count < 1:
            raise ConfigError(f"{text!r} is no interval", guidance="write at least `every 1 minute`")
        return Every(count * _UNITS[every[2].lower()])
    words, zone = _zone(text)
    parts = _ALIASES.get(" ".join(words).lower(), " ".join(words)).split()
    if len(parts) != len(_FIELDS):
        raise ConfigError(
            f"{text!r} is no schedule",
            guidance="write five cron fields such as '30 2 * * *', or 'every 15 minutes', 'every 6 hours', 'every 2 days'",
        )
    minutes, hours, days, months, weekdays = (_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    weekdays = tuple(sorted({day % 7 for day in weekdays}))
    if len(days) < 31 and len(weekdays) < 7:
        raise ConfigError(
            f"{text!r} names days of the month and of the week", guidance="restrict one of them, leave the other '*'"
        )
    if not any(_exists(month, day) for month in months for day in days):
        raise ConfigError(f"{text!r} names a date that never comes", guidance="look at the day of the month")
    return Cron(minutes, hours, days, months, weekdays, zone)


def trigger(text: str, timezone: str) -> BaseTrigger:
    """Return the APScheduler trigger of a schedule.

    Weekdays are passed by name, because APScheduler counts them from Monday where cron counts from Sunday.

    Raises:
        ConfigError: See `parse`.
    """
    schedule = parse(text)
    if isinstance(schedule, Every):
        from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

        start = datetime.fromtimestamp(0, UTC)
        return IntervalTrigger(seconds=int(schedule.interval.total_seconds()), start_date=start, timezone="UTC")
    from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

    def listed(values: tuple[int, ...]) -> str:
        return ",".join(map(str, values))

    return CronTrigger(
        minute=listed(schedule.minutes),
        hour=listed(schedule.hours),
        day=listed(schedule.days),
        month=listed(schedule.months),
        day_of_week=",".join(_DAYS[day] for day in schedule.weekdays),
        timezone=schedule.zone or timezone,
    )


class Timer:
    """Says when a schedule comes next.

    Args:
        text: The schedule.
        timezone: Where cron fields are, unless the schedule says so itself.

    Raises:
        ConfigError: See `parse`.
    """

    def __init__(self, text: str, timezone: str) -> None:
        schedule = parse(text)
        self.trigger = trigger(text, timezone)
        self._once = isinstance(schedule, Cron) and len(schedule.hours) < 24

    def next_after(self, instant: int) -> int:
        """Return the first moment of the schedule after an instant, both epoch ms.

        When clocks are put back, what is due at an hour of its own comes once, at the first of the two hours of that name. When
        they are put forward, what is due in the hour that is left out comes an hour later.
        """
        found = self._next(instant)
        while self._once and found.fold:
            found = self._next(int(found.timestamp()) * 1000)
        return int(found.timestamp()) * 1000

    def _next(self, instant: int) -> datetime:
        found: datetime = self.trigger.get_next_fire_time(None, datetime.fromtimestamp((instant + 1) / 1000, UTC))
        return found


def _zone(text: str) -> tuple[list[str], str | None]:
    """Split a time zone from the end of a schedule.

    Raises:
        ConfigError: There is none of that name.
    """
    words = text.split()
    if len(words) not in {2, len(_FIELDS) + 1} or not _ZONE.fullmatch(words[-1]):
        return words, None
    zone = words.pop()
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"{zone!r} is not a time zone", guidance="use a name such as 'Europe/Berlin'") from None
    return words, zone


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the values of one cron field, ascending."""
    values: set[int] = set()
    for part in text.lower().split(","):
        match = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,4}))?", part)
        if match is None:
            raise _refuse(text, name, low, high, names)
        star, first, last, step = match.groups()
        if star:
            start, end = low, high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if last else (high if step else start)
        if not low <= start <= end <= high or step == "0":
            raise _refuse(text, name, low, high, names)
        values.update(range(start, end + 1, int(step or 1)))
    if name == "day of the week" and "*" in text:
        values.discard(7)  # a star means the seven days 0 to 6
    return tuple(sorted(values))


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isascii() and text.isdigit() else -1


def _refuse(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> ConfigError:
    also = f" or {names[0]} to {names[-1]}" if names else ""
    return ConfigError(
        f"{text!r} is not a valid {name}", guidance=f"write {low} to {high}{also}, '*', a list, a range or a step"
    )


def _exists(month: int, day: int) -> bool:
    """Say whether a month ever has that day; 2028 is a leap year."""
    try:
        date(2028, month, day)
    except ValueError:
        return False
    return True
