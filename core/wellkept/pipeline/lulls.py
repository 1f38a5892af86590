"""Lulls: days on which all accounts together did far less than usual, such as an outage or a public holiday.

They say nothing of any one account. A window over days leaves them out and takes the same weekday further back instead, so that
a week has as many Mondays as any other, and nobody seems to use less or to have gone silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

from wellkept.pipeline.frame_plan import Plan
from wellkept.store import volumes
from wellkept.store.connection import Reader

Lulls = Mapping[str, frozenset[date]]
"""The lulls by the name of a record type."""

NEAR = timedelta(days=volumes.DAYS)
"""How far around a day other days tell what is usual."""


class Span(NamedTuple):
    """The days of a window.

    Attributes:
        first: The first day; None goes back for ever.
        last: The last day.
        without: Days between that do not count.
        more: Days before that count in their place.
    """

    first: date | None
    last: date
    without: tuple[date, ...] = ()
    more: tuple[date, ...] = ()

    @property
    def earliest(self) -> date | None:
        """The first day of all."""
        return self.first if self.first is None else min((self.first, *self.more))


def find(reader: Reader, plan: Plan, as_of: date) -> dict[str, frozenset[date]]:
    """Return the lulls before a day, for the types whose days are read as generations; others have none.

    Where several streams feed a type, a day is a lull if it was one in each of them that is remembered well enough.
    """
    feeding: dict[str, dict[tuple[str, str], None]] = {}
    for part in plan.parts.values():
        field = part.time or part.field
        if field is not None and field.sort == "day":
            feeding.setdefault(part.measure.record.type, {}).update(((feed.instance, feed.stream), None) for feed in part.feeds)
    found: dict[str, frozenset[date]] = {}
    for type_, streams in feeding.items():
        known = [volumes.days(reader, instance, stream, "generation") for instance, stream in streams]
        quiet = [_lulls(plan, days, as_of) for days in known if len(days) >= volumes.DAYS_NEEDED]
        if common := frozenset.intersection(*quiet) if quiet else frozenset():
            found[type_] = common
    return found


def _lulls(plan: Plan, known: Mapping[date, int], as_of: date) -> frozenset[date]:
    return frozenset(day for day, rows in known.items() if day < as_of and _is_lull(plan, known, day, rows))


def _is_lull(plan: Plan, known: Mapping[date, int], day: date, rows: int) -> bool:
    """Judge a day by the days around it: by all of them, and by those of the same weekday, so that a Sunday is a Sunday."""
    near = {other: count for other, count in known.items() if other != day and abs(other - day) <= NEAR}
    if len(near) < volumes.DAYS_NEEDED - 1:
        return False
    same = [count for other, count in near.items() if other.weekday() == day.weekday()]
    usual = min(median(near.values()), median(same or near.values()))
    return usual >= plan.lull_min_rows and rows < usual * plan.lull_below


def span(as_of: date, days: int | None, offset: int, lulls: frozenset[date] = frozenset()) -> Span:
    """Return a window: `days` days that end `offset` days before `as_of`, with lulls replaced.

    Args:
        as_of: The as-of day.
        days: None takes all of the past, lulls included.
        offset: Days that the window is moved back.
        lulls: Days that do not count.
    """
    last = as_of - timedelta(days=offset)
    if days is None:
        return Span(None, last)
    first = last - timedelta(days=days - 1)
    if not any(first - timedelta(days=7 * len(lulls)) <= day <= as_of for day in lulls):
        return Span(first, last)
    weekdays = [_credible(as_of - timedelta(days=place), (offset + days) // 7 + 1, lulls) for place in range(7)]
    counted = {weekdays[place % 7][place // 7] for place in range(offset, offset + days)}
    plain = {last - timedelta(days=place) for place in range(days)}
    return Span(first, last, tuple(sorted(plain - counted)), tuple(sorted(counted - plain)))


def _credible(day: date, count: int, lulls: frozenset[date]) -> list[date]:
    """Return so many days of one weekday, going back from a day, without lulls."""
    found: list[date] = []
    while len(found) < count:
        if day not in lulls:
            found.append(day)
        day -= timedelta(days=7)
    return found
