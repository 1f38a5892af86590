from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from wellkept import Window
from wellkept.records import Account, Usage
from wellkept.testing import FakeClock

Start = Callable[..., Any]
DAY = 86_400


def moment(text: str) -> int:
    """Return epoch seconds of a UTC time such as ``2026-11-20T12:00``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


async def test_usage_is_counted_by_subject_event_and_day(simulate: Start, connector: Start, expected: Start) -> None:
    simulator = simulate()
    link = connector(simulator)
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")
    assert sum(link.usage().values()) > 300
    assert link.rejects == []
    one = next(iter(link.all(Usage).values()))
    assert one.person_ref == one.subject
    assert one.account_ref in simulator.project.groups
    assert [(entry.params["from_date"], entry.params["to_date"]) for entry in simulator.log.matching("/api/2.0/export")] == [
        ("2026-11-07", "2026-11-11"),
        ("2026-11-12", "2026-11-16"),
        ("2026-11-17", "2026-11-20"),
    ]


async def test_days_come_as_generations_and_the_read_ends_complete(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator, window_days=14)
    await link.sync("events")
    *days, end = link.batches
    assert [batch.replaces.start for batch in days] == [f"2026-11-{day:02}" for day in range(7, 21)]
    assert all(batch.replaces.field == "day" and batch.last for batch in days)
    assert end.complete
    assert end.replaces is None
    assert link.cursors["events"]["done"] == "2026-11-20"


async def test_a_large_day_comes_in_several_batches(
    simulate: Start, connector: Start, expected: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wellkept_mixpanel.events.BATCH", 3)
    monkeypatch.setattr("wellkept_mixpanel.tally.MOST_IN_MEMORY", 5)
    simulator = simulate()
    link = connector(simulator)
    await link.sync("events")
    assert any(not batch.last for batch in link.batches)
    assert all(len(batch.records) <= 3 for batch in link.batches)
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")


@pytest.mark.parametrize("after", range(1, 16))
async def test_a_kill_after_any_batch_loses_nothing_and_doubles_nothing(
    simulate: Start, connector: Start, expected: Start, after: int
) -> None:
    simulator = simulate(sightings=None, accounts=6)
    link = connector(simulator)
    await link.sync("events", batches=after)
    simulator.log.clear()
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")
    days = [entry.params["from_date"] for entry in simulator.log.matching("/api/2.0/export")]
    assert min(days, default="2026-11-21") == (f"2026-11-{7 + after:02}" if after < 14 else "2026-11-21")
    assert link.batches[-1].complete


async def test_a_day_that_is_read_again_never_doubles(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator)
    await link.sync("events")
    before = link.usage()
    link.cursors.clear()
    await link.sync("events")
    assert link.usage() == before


async def test_nothing_is_asked_for_twice_a_day(simulate: Start, connector: Start, expected: Start, clock: FakeClock) -> None:
    simulator = simulate()
    link = connector(simulator, window_days=7)
    await link.sync("events")
    simulator.log.clear()
    clock.advance(3600)
    assert await link.sync("events") == 0
    assert not simulator.log.requests
    clock.advance(DAY)
    await link.sync("events")
    (entry,) = simulator.log.requests
    assert (entry.params["from_date"], entry.params["to_date"]) == ("2026-11-16", "2026-11-21")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")


async def test_events_that_come_late(simulate: Start, connector: Start, expected: Start, clock: FakeClock) -> None:
    """They count as long as their day is read again; later ones with a backfill."""
    simulator = simulate()
    link = connector(simulator, lookback_days=3)
    await link.sync("events")
    clock.advance(DAY)
    simulator.track("u-late", "Report Viewed", moment("2026-11-18T12:00"), "g-1")
    simulator.track("u-late", "Report Viewed", moment("2026-11-17T12:00"), "g-1")
    await link.sync("events")
    assert link.usage()["2026-11-18", "u-late", "Report Viewed", "g-1"] == 1
    assert link.usage()["2026-11-17", "u-late", "Report Viewed", "g-1"] == 0
    day = moment("2026-11-17T00:00") * 1000
    live = dict(link.cursors["events"])
    await link.sync("events", window=Window(start=day, end=day + DAY * 1000))
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")
    assert link.cursors["events"] == live


async def test_a_backfill_that_was_cut_off_goes_on(simulate: Start, connector: Start, expected: Start) -> None:
    simulator = simulate()
    link = connector(simulator, window_days=2)
    window = Window(start=moment("2026-10-01T00:00") * 1000, end=moment("2026-10-07T00:00") * 1000)
    await link.sync("events", batches=3, window=window)
    simulator.log.clear()
    await link.sync("events", window=window)
    assert simulator.log.requests[0].params["from_date"] == "2026-10-04"
    assert link.usage() == expected(simulator, "2026-10-01", "2026-10-06")
    assert not any(batch.complete for batch in link.batches)


@pytest.mark.parametrize("after", [1, 3, 5, 6])
async def test_a_kill_while_days_are_read_again(
    simulate: Start, connector: Start, expected: Start, clock: FakeClock, after: int
) -> None:
    """The next run goes on after the last day; on another day the lookback begins anew."""
    simulator = simulate()
    link = connector(simulator, window_days=7)
    await link.sync("events")
    clock.advance(DAY)
    await link.sync("events", batches=after)
    simulator.log.clear()
    other = dict(link.cursors)
    await link.sync("events")
    assert [entry.params["from_date"] for entry in simulator.log.requests] == [f"2026-11-{16 + after:02}"][: 6 - after]
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")
    simulator.log.clear()
    link.cursors = other
    clock.advance(DAY)
    await link.sync("events")
    assert simulator.log.requests[0].params["from_date"] == ("2026-11-16" if after < 6 else "2026-11-17")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-22")


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo", "UTC"])
async def test_no_date_in_the_future_is_asked_for(simulate: Start, connector: Start, expected: Start, zone: str) -> None:
    """Today's last hours in Los Angeles are tomorrow's in UTC; Mixpanel refuses a date that has not come."""
    simulator = simulate(timezone=zone)
    link = connector(simulator, unfinished_day=True)
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")


async def test_use_that_is_removed_at_the_vendor_vanishes(
    simulate: Start, connector: Start, expected: Start, clock: FakeClock
) -> None:
    simulator = simulate()
    link = connector(simulator)
    await link.sync("events")
    group = min(simulator.project.groups)
    clock.advance(DAY)
    simulator.stop_using(group, 3)
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")
    assert max(row.day for row in link.all(Usage).values() if row.account_ref == group) < "2026-11-20"


async def test_today_is_left_out_until_it_is_over(simulate: Start, connector: Start, clock: FakeClock) -> None:
    simulator = simulate()
    link = connector(simulator)
    simulator.track("u-1", "Report Viewed", clock.now() // 1000 - 60, "g-1")
    await link.sync("events")
    assert max(row.day for row in link.all(Usage).values()) == "2026-11-20"
    clock.advance(DAY)
    await link.sync("events")
    assert link.usage()["2026-11-21", "u-1", "Report Viewed", "g-1"] == 1


@pytest.mark.parametrize("lookback", [0, 5])
async def test_today_is_read_where_that_is_wanted(
    simulate: Start, connector: Start, expected: Start, clock: FakeClock, lookback: int
) -> None:
    """It is read again in each run, and once more when it is over."""
    simulator = simulate()
    link = connector(simulator, unfinished_day=True, lookback_days=lookback)
    for hours in (2, 20):
        simulator.track("u-1", "Report Viewed", clock.now() // 1000 - 60, "g-1")
        await link.sync("events")
        assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")
        clock.advance(hours * 3600)
        if hours == 2:
            simulator.track("u-1", "Report Viewed", clock.now() // 1000 - 60, "g-1")
            await link.sync("events")
            assert link.usage()["2026-11-21", "u-1", "Report Viewed", "g-1"] == 2
    simulator.track("u-2", "Report Viewed", moment("2026-11-21T23:59"), "g-1")
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-22")


async def test_where_today_is_read_each_run_looks_back(
    simulate: Start, connector: Start, expected: Start, clock: FakeClock
) -> None:
    simulator = simulate()
    link = connector(simulator, unfinished_day=True)
    for number in range(3):
        await link.sync("events")
        assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")
        clock.advance(3600)
        simulator.track("u-late", "Report Viewed", moment("2026-11-19T12:00") + number, "g-1")


async def test_whose_use_it_is(simulate: Start, connector: Start) -> None:
    simulator = simulate(sightings=[])
    at = moment("2026-11-19T12:00")
    with simulator.lock:
        for number, (who, group) in enumerate(
            [
                ("u-1", "g-1"),
                ("u-1", "g-2"),
                ("u-1", ["g-2", "g-1"]),
                ("", "g-1"),
                ("u-2", None),
                (17, 4),
                ("$device:abc", None),
                ("$device:abc", "g-3"),
                ("", None),
                ("u-3", {"odd": True}),
            ]
        ):
            said = {"time": at, "distinct_id": who, "$insert_id": str(number), "company_id": group}
            simulator.project.take({"event": "Report Viewed", "properties": said})
    link = connector(simulator)
    await link.sync("events")
    rows = {(row.subject, row.account_ref, row.person_ref): row.count for row in link.all(Usage).values()}
    assert rows == {
        ("u-1", "g-1", "u-1"): 2,
        ("u-1", "g-2", "u-1"): 2,
        ("g-1", "g-1", None): 1,
        ("u-2", None, "u-2"): 1,
        ("17", "4", "17"): 1,
        ("$device:abc", "g-3", "$device:abc"): 1,
        ("u-3", None, "u-3"): 1,
    }


async def test_a_group_without_a_profile_is_an_account_that_any_profile_outweighs(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    ids = sorted(simulator.project.groups)
    bare = simulator.project.groups.pop(ids[0])
    link = connector(simulator)
    await link.sync("groups")
    named = {id_: account.name for id_, account in link.all(Account).items()}
    await link.sync("events")
    assert {id_: account.name for id_, account in link.all(Account).items()} == {**named, ids[0]: None}
    assert link.all(Account)[ids[0]].version == 0
    simulator.project.groups[ids[0]] = bare
    link.cursors.pop("groups")
    await link.sync("groups")
    assert link.all(Account)[ids[0]].name == bare["$name"]


async def test_without_a_group_key_use_belongs_to_persons(simulate: Start, connector: Start) -> None:
    link = connector(simulate(), group_key=None, data_group_id=None)
    await link.sync("events")
    assert {row.account_ref for row in link.all(Usage).values()} == {None}


async def test_which_events_are_read(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator, events=["Report Viewed", "Help Opened", "Automation Run"], ignore_events=["Help Opened"])
    await link.sync("events")
    assert {row.event for row in link.all(Usage).values()} == {"Report Viewed", "Automation Run"}
    every = connector(simulator, ignore_events=[])
    await every.sync("events")
    assert "$mp_web_page_view" in {row.event for row in every.all(Usage).values()}


@pytest.mark.parametrize("old", [False, True], ids=["utc", "wall-clock"])
@pytest.mark.parametrize(
    ("zone", "now"),
    [
        ("Europe/Berlin", "2026-10-27T10:00"),
        ("America/Los_Angeles", "2026-11-03T03:00"),
        ("America/Los_Angeles", "2026-03-10T05:00"),
        ("Asia/Kolkata", "2026-11-21T19:00"),
        ("Pacific/Auckland", "2026-04-07T12:30"),
        ("Africa/Cairo", "2026-04-26T01:00"),
    ],
)
async def test_days_are_the_projects_own(
    simulate: Start, connector: Start, expected: Start, clock: FakeClock, zone: str, now: str, old: bool
) -> None:
    """Around changes of the clocks, with an event in each half hour."""
    clock.advance(moment(now) - clock.now() / 1000)
    simulator = simulate(sightings=[], timezone=zone, created_before_2023=old)
    begin = moment(now) - 5 * DAY
    for number in range(5 * 48):
        simulator.track(f"u-{number % 3}", "Report Viewed", begin + number * 1800, "g-1", insert_id=str(number))
    today = datetime.fromtimestamp(moment(now), simulator.project.zone).date()
    first, last = (today.fromordinal(today.toordinal() - back).isoformat() for back in (3, 1))
    for window in (1, 2, 5):
        link = connector(simulator, history_days=3, window_days=window)
        await link.sync("events")
        assert link.usage() == expected(simulator, first, last)
        per_day = {day: sum(n for (at, *_), n in link.usage().items() if at == day) for day in (first, last)}
        assert all(46 <= count <= 50 for count in per_day.values()), per_day
        assert link.rejects == []


def test_a_moment_of_both_kinds_of_project() -> None:
    """2026-10-25 has 25 hours in Berlin: 22:30Z the day before is already Sunday, 23:30Z on Sunday is Monday."""
    from wellkept_mixpanel.config import MixpanelConfig
    from wellkept_mixpanel.days import Calendar

    keys = {"project_id": 1, "service_account": "s", "secret": "env:S", "project_timezone": "Europe/Berlin"}
    new, old = (Calendar(MixpanelConfig.model_validate({**keys, "created_before_2023": before})) for before in (False, True))
    cases = {
        "2026-10-24T21:59": "2026-10-24",
        "2026-10-24T22:00": "2026-10-25",
        "2026-10-25T22:59": "2026-10-25",
        "2026-10-25T23:00": "2026-10-26",
        "2026-03-28T23:00": "2026-03-29",
        "2026-03-29T21:59": "2026-03-29",
        "2026-03-29T22:00": "2026-03-30",
    }
    assert {text: new.day_of_event(moment(text)) for text in cases} == cases
    assert old.day_of_event(moment("2026-10-25T23:59")) == "2026-10-25"
    assert old.day_of_event(moment("2026-10-26T00:00")) == "2026-10-26"
    sunday = datetime(2026, 10, 25, tzinfo=UTC).date()
    later = moment("2026-12-01T00:00") * 1000
    assert new.asked_for(sunday, sunday, later) == ("2026-10-24", "2026-10-25")
    assert old.asked_for(sunday, sunday, later) == ("2026-10-25", "2026-10-25")
    assert new.instant(datetime(2026, 10, 25, 12)) == moment("2026-10-25T12:00") * 1000  # noqa: DTZ001 - as profiles give it
    assert old.instant(datetime(2026, 10, 25, 12)) == moment("2026-10-25T11:00") * 1000  # noqa: DTZ001 - likewise
