"""Instants and spans as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

_SPAN = re.compile(r"(\d+)\s*([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def instant(at: int | None, zone: ZoneInfo) -> str | None:
    """Return an instant (epoch ms) in a zone, to the second; None stays None."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).isoformat(" ", "seconds")


def day_start(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins in a zone, epoch ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


class Span(click.ParamType[timedelta]):
    """A span such as ``30d``, ``12h`` or ``45m``."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the span."""
        if isinstance(value, timedelta):
            return value
        match = _SPAN.fullmatch(str(value).strip())
        if not match:
            self.fail(f"{value!r} is not a span; write 30d, 12h or 45m", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


class Day(click.ParamType[date]):
    """A day, ISO: ``2026-11-21``."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day; write 2026-11-21", param, ctx)
