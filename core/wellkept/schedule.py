"""Schedules as people write them: five cron fields and perhaps a time zone, or ``every 15 minutes``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo

from wellkept.errors import ConfigError

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
_LONGEST_SHIFT: Final = timedelta(hours=3)
"""More than clocks are ever put forward or back at once."""
_MINUTE_MS: Final = 60_000
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

    def next_after(self, instant: int, zone: ZoneInfo) -> int:
        """Return the first moment after an instant, both epoch ms; see `Timer.next_after`."""
        return self._by_time(instant, zone) if len(self.hours) == 24 else self._by_clock(instant, zone)

    def _by_time(self, instant: int, zone: ZoneInfo) -> int:
        """Find the next moment where every hour counts: minute by minute, an hour at a time on days that do not."""
        found = (instant // _MINUTE_MS + 1) * _MINUTE_MS
        while True:
            shown = datetime.fromtimestamp(found / 1000, zone)
            if not self._has(shown):
                found += (60 - shown.minute) * _MINUTE_MS
            elif shown.minute not in self.minutes:
                found += _MINUTE_MS
            else:
                return found

    def _by_clock(self, instant: int, zone: ZoneInfo) -> int:
        """Find the next moment where hours are named: each time that clocks should show is one moment, whatever they show."""
        walls = self._walls(datetime.fromtimestamp(instant / 1000, zone).replace(tzinfo=None) - _LONGEST_SHIFT)
        found = next(moment for wall in walls if (moment := _epoch_ms(wall.replace(tzinfo=zone))) > instant)
        shown = datetime.fromtimestamp(found / 1000, zone).replace(tzinfo=None)
        for wall in takewhile(lambda wall: wall < shown, walls):  # one that is left out comes later: after these, perhaps
            moment = _epoch_ms(wall.replace(tzinfo=zone))
            found = moment if instant < moment < found else found
        return found

    def _walls(self, start: datetime) -> Iterator[datetime]:
        """Yield what clocks should show at the moments of this schedule, from the hour of `start` on."""
        day = start.date()
        while True:
            if self._has(day):
                for hour in self.hours:
                    if day > start.date() or hour >= start.hour:
                        yield from (datetime.combine(day, time(hour, minute)) for minute in self.minutes)
            day += timedelta(days=1)

    def _has(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays


def _epoch_ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


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


class Timer:
    """Says when a schedule comes next.

    Cron fields are reckoned here and not by APScheduler, whose own reckoning leaves out whole days, and finds others twice,
    where clocks change.

    Args:
        text: The schedule.
        timezone: Where cron fields are, unless the schedule says so itself.

    Raises:
        ConfigError: See `parse`.
    """

    def __init__(self, text: str, timezone: str) -> None:
        self._schedule = parse(text)
        self._timezone = timezone

    def next_after(self, instant: int) -> int:
        """Return the first moment of the schedule after an instant, both epoch ms.

        When clocks are put back, what is due at an hour of its own comes once, at the first of the two hours of that name. When
        they are put forward, what is due in the time that is left out comes later by as much.
        """
        if isinstance(self._schedule, Every):
            interval = self._schedule.interval // timedelta(milliseconds=1)
            return (instant // interval + 1) * interval
        return self._schedule.next_after(instant, ZoneInfo(self._schedule.zone or self._timezone))


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
