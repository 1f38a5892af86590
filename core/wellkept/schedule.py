"""Schedules as people write them: five cron fields, or ``every 15 minutes``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from wellkept.errors import ConfigError

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_EVERY = re.compile(r"every\s+(?:(\d{1,6})\s+)?(minute|hour|day)s?", re.IGNORECASE)
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
    """A fixed interval."""

    interval: timedelta


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments at which each field has one of its values; weekdays count from Sunday, 0 to 6."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]


def parse(text: str) -> Every | Cron:
    """Read a schedule.

    Cron fields take ``*``, numbers, names (``mon``, ``jan``), ranges, lists and steps; Sunday is 0 or 7. Restricting the day
    of the month *and* the day of the week is refused: classic cron takes either, other programs want both.

    Raises:
        ConfigError: It is no schedule, or it never comes.
    """
    every = _EVERY.fullmatch(text.strip())
    if every:
        count = int(every[1] or 1)
        if count < 1:
            raise ConfigError(f"{text!r} is no interval", guidance="write at least `every 1 minute`")
        return Every(count * _UNITS[every[2].lower()])
    parts = _ALIASES.get(text.strip().lower(), text).split()
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
    return Cron(minutes, hours, days, months, weekdays)


def trigger(text: str, timezone: str) -> BaseTrigger:
    """Return the APScheduler trigger of a schedule.

    Weekdays are passed by name, because APScheduler counts them from Monday where cron counts from Sunday.

    Raises:
        ConfigError: See `parse`.
    """
    schedule = parse(text)
    if isinstance(schedule, Every):
        from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

        return IntervalTrigger(seconds=int(schedule.interval.total_seconds()), timezone=timezone)
    from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

    def listed(values: tuple[int, ...]) -> str:
        return ",".join(map(str, values))

    return CronTrigger(
        minute=listed(schedule.minutes),
        hour=listed(schedule.hours),
        day=listed(schedule.days),
        month=listed(schedule.months),
        day_of_week=",".join(_DAYS[day] for day in schedule.weekdays),
        timezone=timezone,
    )


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
