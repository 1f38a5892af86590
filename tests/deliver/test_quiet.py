from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.pipeline.quiet import parse, quiet_until, zone_of

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
]


def at(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def wall(instant: int, zone: str) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("21:00-08:00", "2026-11-21 20:59", None),
        ("21:00-08:00", "2026-11-21 21:00", "2026-11-22 08:00"),
        ("21:00-08:00", "2026-11-22 07:59", "2026-11-22 08:00"),
        ("21:00-08:00", "2026-11-22 08:00", None),
        ("12:00-13:00", "2026-11-21 12:30", "2026-11-21 13:00"),
        ("12:00-13:00", "2026-11-21 13:00", None),
        ("00:00-00:00", "2026-11-21 13:00", None),
        # the clock goes forward at 02:00 on 2026-03-29, back at 03:00 on 2026-10-25
        ("21:00-08:00", "2026-03-28 23:00", "2026-03-29 08:00"),
        ("21:00-02:30", "2026-03-28 23:00", "2026-03-29 03:30"),
        ("21:00-02:30", "2026-10-25 01:00", "2026-10-25 02:30"),
        ("21:00-08:00", "2026-10-24 23:00", "2026-10-25 08:00"),
    ],
)
def test_berlin(hours: str, now: str, until: str | None) -> None:
    found = quiet_until(at(now, "Europe/Berlin"), parse(hours), ZoneInfo("Europe/Berlin"))
    assert (None if found is None else wall(found, "Europe/Berlin")) == until


def test_a_night_with_a_changed_clock_is_shorter_or_longer() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (("2026-03-28", 10), ("2026-10-24", 12), ("2026-11-21", 11)):
        now = at(f"{day} 21:00", "Europe/Berlin")
        assert quiet_until(now, parse("21:00-08:00"), berlin) == now + hours * 3_600_000


@given(
    st.integers(1_767_225_600, 1_830_297_600),
    st.times().map(lambda t: time(t.hour, t.minute)),
    st.times().map(lambda t: time(t.hour, t.minute)),
    st.sampled_from(ZONES),
)
@example(1_774_746_000, time(21), time(2, 30), "Europe/Berlin")
def test_it_is_loud_when_quiet_ends_and_quiet_until_then(seconds: int, start: time, end: time, zone: str) -> None:
    place, now = ZoneInfo(zone), seconds * 1000
    until = quiet_until(now, (start, end), place)
    if until is None:
        return
    assert now < until <= now + 26 * 3_600_000
    assert quiet_until(until, (start, end), place) is None
    assert start != end


@pytest.mark.parametrize("text", ["24:00-08:00", "21:00-08:60", "21-8", "99:99-99:99"])
def test_hours_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="span of hours"):
        parse(text)


def test_zones() -> None:
    assert zone_of("Asia/Tokyo", "UTC").key == "Asia/Tokyo"
    for name in (None, "", "Nowhere/Land", "../etc/passwd", "Pacific Time (US & Canada)"):
        assert zone_of(name, "Europe/Berlin").key == "Europe/Berlin"
