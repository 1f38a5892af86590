"""Schedules as people write them mean what cron means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.schedule import Cron, Every, Timer, parse


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("every 15 minutes", timedelta(minutes=15)),
        ("Every  1 Minute", timedelta(minutes=1)),
        ("every hour", timedelta(hours=1)),
        (" every 2 days ", timedelta(days=2)),
    ],
)
def test_intervals(text: str, interval: timedelta) -> None:
    assert parse(text) == Every(interval)
    step = interval // timedelta(milliseconds=1)
    assert [Timer(text, "UTC").next_after(instant) for instant in (0, step - 1, step)] == [step, step, 2 * step]


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("*/15 * * * *", "minutes", (0, 15, 30, 45)),
        ("5,1-3 * * * *", "minutes", (1, 2, 3, 5)),
        ("10-30/10 * * * *", "minutes", (10, 20, 30)),
        ("50/5 * * * *", "minutes", (50, 55)),
        ("0 0 1 jan-MAR *", "months", (1, 2, 3)),
        ("0 0 * * 0", "weekdays", (0,)),
        ("0 0 * * 7", "weekdays", (0,)),
        ("0 0 * * 5-7", "weekdays", (0, 5, 6)),
        ("0 0 * * sun,Sat", "weekdays", (0, 6)),
        ("0 0 * * mon-fri", "weekdays", (1, 2, 3, 4, 5)),
        ("0 0 * * */2", "weekdays", (0, 2, 4, 6)),
        ("0 0 * * *", "weekdays", (0, 1, 2, 3, 4, 5, 6)),
        ("@weekly", "weekdays", (0,)),
        ("0 0 29 2 *", "days", (29,)),
    ],
)
def test_cron_fields(text: str, field: str, values: tuple[int, ...]) -> None:
    assert getattr(parse(text), field) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no schedule"),
        ("* * * *", "is no schedule"),
        ("* * * * * *", "is no schedule"),
        ("every 0 minutes", "is no interval"),
        ("every 5 seconds", "is no schedule"),
        ("60 * * * *", "'60' is not a valid minute"),
        ("* 24 * * *", "not a valid hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "not a valid month"),
        ("* * * * 8", "day of the week"),
        ("5-1 * * * *", "not a valid minute"),
        ("*/0 * * * *", "not a valid minute"),
        ("x * * * *", "not a valid minute"),
        ("²,1 * * * *", "not a valid minute"),
        (",1 * * * *", "not a valid minute"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 31 4,6 *", "never comes"),
        ("0 0 13 * 5", "days of the month and of the week"),
    ],
)
def test_what_is_no_schedule(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    ranges = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    part = st.one_of(numbers.map(str), ranges, st.builds(lambda text, step: f"{text}/{step}", ranges, st.integers(1, 9)))
    return st.one_of(
        st.just("*"), st.integers(1, 9).map(lambda step: f"*/{step}"), st.lists(part, min_size=1, max_size=3).map(",".join)
    )


@settings(max_examples=60, deadline=None)
@given(
    _field(0, 59),
    _field(0, 23),
    st.one_of(st.tuples(_field(1, 28), st.just("*")), st.tuples(st.just("*"), _field(0, 7))),
    _field(1, 12),
    st.integers(1_767_225_600, 1_924_992_000),
)
def test_a_timer_fires_exactly_when_cron_would(minute: str, hour: str, days: tuple[str, str], month: str, at: int) -> None:
    text = f"{minute} {hour} {days[0]} {month} {days[1]}"
    schedule = parse(text)
    assert isinstance(schedule, Cron)
    start = datetime.fromtimestamp(at - at % 60, UTC)
    fire = datetime.fromtimestamp(Timer(text, "UTC").next_after(int(start.timestamp()) * 1000 - 1) / 1000, UTC)
    assert _due(schedule, fire)
    probe = start
    while probe < min(fire, start + timedelta(days=2)):
        assert not _due(schedule, probe)
        probe += timedelta(minutes=1)


def _due(schedule: Cron, at: datetime) -> bool:
    return (
        at.minute in schedule.minutes
        and at.hour in schedule.hours
        and at.day in schedule.days
        and at.month in schedule.months
        and at.isoweekday() % 7 in schedule.weekdays
    )
