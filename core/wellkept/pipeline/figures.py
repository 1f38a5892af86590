"""From aggregates to figures: averages, slopes, ages, and what cannot be believed. Exact where money is meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import NoneType
from typing import Any, Literal
from zoneinfo import ZoneInfo

from wellkept.frame import Gap
from wellkept.pipeline.days import day_of

Finish = Callable[..., Any]
"""Gets a measure's aggregates; returns its value, None when nothing was there, or `Unknown`."""

Merge = Literal["add", "min", "max"]
"""How the aggregates of two groups of one account become one."""

LIMIT = 2**63 - 1
"""The largest cell: a figure beyond is not credible, and could be stored nowhere."""

BILLION = 1_000_000_000
"""Where sums are cut in two that would not fit an integer of the database."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A figure that is not known, and why."""

    gap: Gap


ANOMALY = Unknown("anomaly")
NO_RATE = Unknown("no_rate")


def merge(merges: Sequence[Merge], groups: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Merge the aggregates of several groups."""
    if len(groups) == 1:
        return groups[0]
    columns = zip(*groups, strict=True)
    known = ([value for value in values if value is not None] for values in columns)
    return [_merge(how, values) for how, values in zip(merges, known, strict=True)]


def _merge(how: Merge, values: Sequence[Any]) -> Any:
    if not values:
        return None
    return sum(values) if how == "add" else min(values) if how == "min" else max(values)


def believed(value: Any) -> Any:
    """Return a number, or that it is not credible."""
    if isinstance(value, float):
        return value if math.isfinite(value) else ANOMALY
    return value if value is None or -LIMIT <= value <= LIMIT else ANOMALY


def all_believed(values: Sequence[Any]) -> Sequence[Any]:
    """Return a column of numbers, with those marked that are not credible: nearly always there are none."""
    kinds = set(map(type, values))
    if kinds <= {float, NoneType} and all(map(math.isfinite, filter(None, values))):
        return values
    known = [value for value in values if value is not None] if kinds == {int, NoneType} else values if kinds == {int} else ()
    if known and min(known) >= -LIMIT and max(known) <= LIMIT:
        return values
    return list(map(believed, values))


def plain(value: Any) -> Any:
    """Return the aggregate itself."""
    return value


def any_row(count: int | None) -> bool | None:
    """Return whether there was a row."""
    return None if count is None else count > 0


def flag(value: Any) -> bool | None:
    """Return a stored flag."""
    return None if value is None else bool(value)


def whole(total: Any, rest: int | None = None) -> Any:
    """Return a sum, whether it came in one piece or in two halves."""
    return total if total is None or rest is None else total * BILLION + rest


def total(*parts: Any) -> Any:
    """Return a sum that may be too large."""
    return believed(whole(*parts))


def average(count: int | None, *parts: Any) -> Any:
    """Return the mean."""
    summed = whole(*parts)
    return None if not count or summed is None else believed(summed / count)


def money_average(count: int | None, *parts: Any) -> Any:
    """Return the mean in whole minor units, halves to even."""
    summed = whole(*parts)
    if not count or summed is None:
        return None
    quotient, left = divmod(summed, count)
    return believed(quotient + (2 * left > count or (2 * left == count and quotient % 2 == 1)))


def median(values: Sequence[Any]) -> Any:
    """Return the value in the middle of values in order, of an even number the mean of the two there."""
    middle = values[(len(values) - 1) // 2 : len(values) // 2 + 1]
    return believed(sum(middle) / len(middle)) if middle else None


def p90(values: Sequence[Any]) -> Any:
    """Return the smallest of values in order that at least 90 of 100 do not exceed."""
    return believed(values[(len(values) * 9 + 9) // 10 - 1] / 1) if values else None


QUANTILES: Mapping[str, Finish] = {"median": median, "p90": p90}
"""What takes a quantile from values in order, by aggregate."""


def slope(mean: float, spread: float) -> Finish:
    """Return what makes the slope of a least-squares line through the daily sums.

    Args:
        mean: The mean of the days' places.
        spread: The sum of the squared distances to it.
    """

    def finish(weighted: float | None, flat: float | None) -> Any:
        if weighted is None or flat is None:
            return None
        return believed((weighted - mean * flat) / spread)

    return finish


def age(as_of: date, zone: ZoneInfo, lulls: frozenset[date] = frozenset()) -> Finish:
    """Return what makes the days from an instant or an ISO day to the as-of day; negative for the future.

    Args:
        as_of: The as-of day.
        zone: Decides which day an instant belongs to.
        lulls: Days that do not count.
    """

    def finish(value: Any) -> int | None:
        day = _day_of_text(value) if isinstance(value, str) else _day_of_instant(value, zone)
        return None if day is None else (as_of - day).days - sum(day < lull < as_of for lull in lulls)

    return finish


def instant_of_day(value: Any) -> int | None:
    """Return the first instant of an ISO day in UTC: a day has no zone of its own. Custom fields may hold instants."""
    if value is None or isinstance(value, int):
        return value
    day = _day_of_text(value)
    return None if day is None else round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _day_of_instant(value: int | None, zone: ZoneInfo) -> date | None:
    try:
        return None if value is None else day_of(value, zone)
    except (OverflowError, ValueError, OSError):  # not an instant that a calendar knows
        return None


def _day_of_text(value: str) -> date | None:
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None
