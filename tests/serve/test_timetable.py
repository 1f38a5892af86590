"""Who is due when: missed times come once, whatever happened to the server or its clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.schedule import Cron, Timer, parse
from wellkept.serve.timetable import MOST_TRIES, Entry, Timetable
from wellkept.store.schedules import Fired

HOUR = 3_600_000
START = int(datetime(2026, 11, 21, 12, 30, tzinfo=UTC).timestamp()) * 1000


def table(schedule: str = "every 1 hour", zone: str = "UTC") -> Timetable:
    return Timetable([Entry(instance="one", timer=Timer(schedule, zone))])


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def moments(schedule: str, zone: str, after: str, count: int) -> list[str]:
    timer, found, instant = Timer(schedule, zone), [], at(after)
    for _ in range(count):
        instant = timer.next_after(instant)
        found.append(datetime.fromtimestamp(instant / 1000, UTC).strftime("%d %H:%M"))
    return found


def test_an_instance_that_never_ran_is_due() -> None:
    (due,) = table().due({}, START)
    assert (due.instance, due.since, due.why) == ("one", START, "new")


def test_nothing_is_due_before_its_time() -> None:
    fired = {"one": Fired(START, settled=True, tries=0)}
    assert table().due(fired, at("2026-11-21T12:59:59Z")) == []
    (due,) = table().due(fired, at("2026-11-21T13:00:00Z"))
    assert (due.since, due.why) == (at("2026-11-21T13:00:00Z"), "time")


def test_many_missed_times_are_one() -> None:
    fired = {"one": Fired(START, settled=True, tries=0)}
    (due,) = table().due(fired, START + 1000 * HOUR)
    assert due.since == at("2026-11-21T13:00:00Z")  # late since the first of them
    assert due.late(START + 1000 * HOUR) == "one (59970 minutes late)"
    caught_up = {"one": Fired(START + 1000 * HOUR, settled=True, tries=0)}
    assert table().due(caught_up, START + 1000 * HOUR + 60_000) == []


def test_a_run_that_was_cut_off_is_begun_again_but_not_for_ever() -> None:
    for tries in range(1, MOST_TRIES):
        (due,) = table().due({"one": Fired(START, settled=False, tries=tries)}, START + 1)
        assert due.why == "cut off"
    given_up = {"one": Fired(START, settled=False, tries=MOST_TRIES)}
    assert table().due(given_up, START + 1) == []
    assert [due.why for due in table().due(given_up, START + HOUR)] == ["time"]


def test_a_clock_that_was_put_back_stops_nobody() -> None:
    """Who is due then is let run at once, for nobody knows what was missed, and by its schedule from then on."""
    ahead = {"one": Fired(START + 1000 * HOUR, settled=True, tries=0)}
    (due,) = table().due(ahead, START)
    assert (due.since, due.why, due.late(START)) == (START, "clock", "one (the clock was put back)")
    assert table().upcoming(ahead, START) == {"one": START}
    assert table().due({"one": Fired(START, settled=True, tries=0)}, START + 1000) == []


def test_clocks_of_two_machines_that_differ_a_little_fire_nobody_twice() -> None:
    noon = {"one": Fired(at("2026-11-21T12:00:03Z"), settled=True, tries=0)}
    assert table().due(noon, at("2026-11-21T11:59:58Z")) == []
    assert table().due(noon, at("2026-11-21T12:00:02Z")) == []
    assert table().upcoming(noon, at("2026-11-21T12:00:02Z")) == {"one": at("2026-11-21T13:00:00Z")}


def test_upcoming() -> None:
    assert table().upcoming({}, START) == {"one": START}
    fired = {"one": Fired(START, settled=True, tries=0)}
    assert table("30 2 * * *", "Europe/Berlin").upcoming(fired, START) == {"one": at("2026-11-22T01:30:00Z")}


@given(
    st.sampled_from(["every 7 minutes", "every 2 days", "*/15 * * * *", "30 2 * * *", "0 0 1 * *", "15 3 * * 1 Asia/Tokyo"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]),
    st.lists(st.integers(1, 40 * 24 * HOUR), min_size=1, max_size=12),
)
def test_whoever_looks_whenever_fires_each_time_at_most_once(schedule: str, zone: str, pauses: list[int]) -> None:
    """Firing when due, and looking at any moments, there is one firing at most between two times of the schedule."""
    timer, times = Timer(schedule, zone), table(schedule, zone)
    now, fired = START, {"one": Fired(START, settled=True, tries=0)}
    for pause in pauses:
        due_from = timer.next_after(now)
        late = now + pause >= due_from
        now += pause
        found = times.due(fired, now)
        assert bool(found) == late
        if found:
            assert fired["one"].last_fired < found[0].since <= now
            fired = {"one": Fired(now, settled=True, tries=0)}
            assert times.due(fired, now) == []


def test_zones() -> None:
    assert moments("30 2 * * * Asia/Tokyo", "Europe/Berlin", "2026-11-21T00:00Z", 2) == ["21 17:30", "22 17:30"]
    assert moments("@daily America/New_York", "UTC", "2026-11-21T00:00Z", 1) == ["21 05:00"]
    assert parse("30 2 * * * Asia/Tokyo").zone == "Asia/Tokyo"  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="not a time zone"):
        parse("30 2 * * * Europe/Atlantis")
    with pytest.raises(ConfigError, match="is no schedule"):
        parse("every 15 minutes Europe/Berlin")


def test_when_clocks_change() -> None:
    """Berlin, 2027: forward on March 28th at 01:00Z, back on October 31st at 01:00Z."""
    assert moments("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00Z", 2) == ["28 01:30", "29 00:30"]
    assert moments("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00Z", 2) == ["31 00:30", "01 01:30"]
    assert moments("30 * * * *", "Europe/Berlin", "2027-10-30T23:00Z", 3) == ["30 23:30", "31 00:30", "31 01:30"]
    assert moments("30 0 * * *", "Europe/Berlin", "2027-03-27T00:00Z", 3) == ["27 23:30", "28 22:30", "29 22:30"]
    assert moments("15,30 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00Z", 3) == ["03 15:30", "03 15:45", "04 15:15"]


SHIFTS = [
    ("Europe/Berlin", "2027-03-28T01:00Z"),
    ("Europe/Berlin", "2027-10-31T01:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),  # by half an hour
    ("Australia/Lord_Howe", "2027-04-03T15:00Z"),
    ("America/Havana", "2026-03-08T05:00Z"),  # at midnight, to one o'clock
    ("America/Havana", "2026-11-01T05:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00Z"),  # by two hours
    ("UTC", "2026-03-29T01:00Z"),
]


@pytest.mark.parametrize(("zone", "shift"), SHIFTS)
@settings(max_examples=15, deadline=None)
@given(
    minutes=st.sampled_from(["0", "30", "59", "*/15", "15,30"]),
    hours=st.sampled_from(["0", "1", "2", "3", "2,3", "0-4", "23", "*"]),
    weekday=st.sampled_from(["*", "sun", "sat,mon"]),
)
def test_around_a_change_of_clocks_no_time_is_lost_and_none_comes_twice(
    zone: str, shift: str, minutes: str, hours: str, weekday: str
) -> None:
    """Against all minutes of three days, one by one."""
    schedule = parse(f"{minutes} {hours} * * {weekday}")
    assert isinstance(schedule, Cron)
    begin = datetime.fromisoformat(shift) - timedelta(days=1)
    instants = [begin + timedelta(minutes=minute) for minute in range(1, 3 * 24 * 60)]

    def wanted(shown: datetime) -> bool:
        fits = shown.minute in schedule.minutes and shown.hour in schedule.hours
        return fits and shown.isoweekday() % 7 in schedule.weekdays

    shown = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    expected = {instant for instant, local in zip(instants, shown, strict=True) if wanted(local)}
    if hours != "*":
        expected -= {instant for instant, local in zip(instants, shown, strict=True) if local.fold}
        for before, after in pairwise(shown):
            left_out = after.replace(tzinfo=None) - before.replace(tzinfo=None) - timedelta(minutes=1)
            for late in range(max(0, int(left_out.total_seconds()) // 60)):
                if wanted(before.replace(tzinfo=None) + timedelta(minutes=1 + late)):
                    expected.add(after.astimezone(UTC) + timedelta(minutes=late))
    timer, found, now = Timer(f"{minutes} {hours} * * {weekday}", zone), [], int(begin.timestamp()) * 1000
    while (now := timer.next_after(now)) <= instants[-1].timestamp() * 1000:
        found.append(datetime.fromtimestamp(now / 1000, UTC))
    assert found == sorted(expected)


def test_intervals_do_not_depend_on_when_one_began_to_count() -> None:
    assert moments("every 6 hours", "Europe/Berlin", "2026-11-21T01:23Z", 3) == ["21 06:00", "21 12:00", "21 18:00"]
