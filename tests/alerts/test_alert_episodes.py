"""One alert per episode, whatever channels, clocks and processes do: told when it begins, told when it is over, never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.store import Store, alerts, locks, open_store
from wellkept.store.alerts import Trouble

if TYPE_CHECKING:
    from tests.alerts.conftest import House, Receiver

pytestmark = pytest.mark.both

HOUR = 3_600_000
DAY = 24 * HOUR
WEBHOOK = {"url": "env:ALERT_URL", "secret": "env:ALERT_SECRET"}


def test_an_episode_is_told_once_and_its_end_once(house: House, receiver: Receiver) -> None:
    house.instance("crm", "paused", reason="HTTP 401")
    for _ in range(3):
        house.attend()
        house.clock.advance(3600)
    house.instance("crm", "ok")
    for _ in range(3):
        house.attend()
    house.instance("crm", "paused", reason="HTTP 401")
    house.attend()
    assert receiver.told == ["opened breaker crm", "ended breaker crm", "opened breaker crm"]
    first, end, second = receiver.events
    assert first["id"] == end["id"] != second["id"]
    assert end["ended_at"] == house.clock.now()


def test_what_comes_and_goes_is_not_told_each_time(house: House, receiver: Receiver) -> None:
    """A fault that flaps in every second run for two days, and then is gone."""
    for _ in range(24):
        house.instance("crm", "paused", reason="HTTP 401")
        house.attend()
        house.clock.advance(3600)
        house.instance("crm", "ok")
        house.attend()
        house.clock.advance(3600)
    assert receiver.told == ["opened breaker crm", "ended breaker crm", "opened breaker crm"]
    house.clock.advance(5 * 3600 - 1)
    house.attend()
    assert len(receiver.told) == 3
    house.clock.advance(1)
    house.attend()
    assert receiver.told[3:] == ["ended breaker crm"]
    house.clock.advance(2 * 24 * 3600)
    house.instance("crm", "paused", reason="HTTP 401")
    house.attend()
    house.instance("crm", "ok")
    house.attend()
    assert receiver.told[4:] == ["opened breaker crm", "ended breaker crm"]  # that is long ago: told as the first time


def test_waiting_for_calm_keeps_the_outside_from_nothing(house: House, receiver: Receiver) -> None:
    for state in ("paused", "ok", "paused", "ok"):
        house.instance("crm", state)
        house.attend()
    assert len(receiver.told) == 3
    house.instance("bill", "paused")
    house.attend(cycle=True)
    assert receiver.told[3:] == ["opened breaker bill"]  # not together with an end that is not certain yet
    house.instance("bill", "ok")
    assert house.attend(cycle=True) is True
    assert receiver.pings == ["/ping"]


def test_many_at_once_are_one_message(house: House, receiver: Receiver) -> None:
    for number in range(20):
        house.instance(f"crm-{number:02}", "paused")
    house.attend()
    assert len(receiver.posts) == 1
    assert len(receiver.events) == 20


def test_a_receiver_that_is_down_is_told_later_and_of_all(house: House, receiver: Receiver) -> None:
    receiver.status = 503
    house.instance("crm", "paused")
    assert house.attend() is False
    house.instance("bill", "paused")
    house.attend()
    receiver.status = 200
    house.attend()
    assert receiver.told == []  # not before a minute, or two
    house.clock.advance(130)
    house.attend()
    assert receiver.told == ["opened breaker crm", "opened breaker bill"]


def test_the_pause_between_tries_grows_and_ends(house: House, receiver: Receiver) -> None:
    receiver.status = 500
    house.instance("crm", "paused")
    house.attend()
    pauses = []
    for _ in range(9):
        ((before,),) = house.all("SELECT not_before FROM alert_notices")
        pauses.append((before - house.clock.now()) // 60_000)
        house.clock.advance((before - house.clock.now()) / 1000)
        house.attend()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_nobody_is_told_of_the_end_of_what_nobody_was_told(house: House, receiver: Receiver) -> None:
    house.instance("crm", expires_at=house.clock.now() + DAY)
    house.clock.advance(11 * 3600)  # 23:00
    house.attend(webhook=WEBHOOK, quiet_hours="21:00-08:00")
    house.instance("crm")
    house.attend(webhook=WEBHOOK, quiet_hours="21:00-08:00")
    house.clock.advance(12 * 3600)
    house.attend(webhook=WEBHOOK, quiet_hours="21:00-08:00")
    assert receiver.told == []


def test_a_try_that_may_have_arrived_is_followed_by_the_end(house: House, receiver: Receiver) -> None:
    """A process that dies between sending and writing it down: the receiver may know of the beginning."""
    house.instance("crm", "paused")
    receiver.status = 500
    house.attend()
    house.instance("crm", "ok")
    receiver.status = 200
    house.clock.advance(120)
    house.attend()
    assert receiver.told == ["opened breaker crm", "ended breaker crm"]


def test_what_can_wait_does_so_in_quiet_hours_and_the_rest_does_not(house: House, receiver: Receiver) -> None:
    options: dict[str, Any] = {"webhook": WEBHOOK, "quiet_hours": "21:00-08:00"}
    house.clock.advance(11 * 3600)  # 23:00
    house.instance("crm", "paused", expires_at=house.clock.now() + DAY)
    house.attend(**options)
    assert receiver.told == ["opened breaker crm"]
    house.clock.advance(8 * 3600 + 3599)
    house.attend(**options)
    assert len(receiver.told) == 1
    house.clock.advance(1)
    house.attend(**options)
    assert receiver.told == ["opened breaker crm", "opened credential crm"]


def test_a_channel_that_was_taken_away_is_forgotten(house: House, receiver: Receiver) -> None:
    receiver.status = 500
    house.instance("crm", "paused")
    house.attend()
    assert house.attend(name="without") is True
    assert house.all("SELECT * FROM alert_notices") == []


def test_while_another_process_tells_nobody_else_does(house: House, receiver: Receiver) -> None:
    house.instance("crm", "paused")
    house.store.write_now(lambda tx: locks.acquire(tx, "alerts", "other", 60_000, house.clock.now()))
    house.attend()
    assert receiver.told == []
    house.clock.advance(61)
    house.attend()
    assert receiver.told == ["opened breaker crm"]


def test_two_processes_at_once_tell_once(house: House, receiver: Receiver) -> None:
    house.instance("crm", "paused")

    async def both() -> None:
        one, other = (house.watch(webhook=WEBHOOK) for _ in range(2))
        await asyncio.gather(one.attend(cycle=False), other.attend(cycle=False))

    asyncio.run(both())
    assert receiver.told == ["opened breaker crm"]


# --- the dead man's switch ---


def test_the_ping_follows_a_healthy_cycle_and_nothing_else(house: House, receiver: Receiver) -> None:
    house.attend(cycle=False)
    assert receiver.pings == []
    assert house.attend(cycle=True) is True
    assert receiver.pings == ["/ping"]
    house.instance("crm", expires_at=house.clock.now())  # a warning is no reason for silence
    house.attend(cycle=True)
    assert len(receiver.pings) == 2
    house.instance("crm", "paused")
    house.attend(cycle=True)
    assert len(receiver.pings) == 2
    house.instance("crm", "ok")
    house.attend(cycle=True)
    assert len(receiver.pings) == 3


def test_no_ping_while_an_alert_cannot_be_sent(house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URL", "http://127.0.0.1:9/nobody")
    house.instance("crm", expires_at=house.clock.now())
    assert house.attend(cycle=True) is False
    house.clock.advance(1)
    assert house.attend(cycle=True) is False  # not tried again yet, and not told either
    assert receiver.pings == []


def test_a_monitor_that_does_not_answer_is_logged_without_its_address(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ALERT_PING", "http://127.0.0.1:9/2b8f-very-secret")
    assert house.attend(cycle=True) is True
    assert "could not be told that we live" in caplog.text
    assert "very-secret" not in caplog.text


def test_the_watch_never_brings_down_what_it_watches(house: House, caplog: pytest.LogCaptureFixture) -> None:
    watch = house.watch()
    house.sql("DROP TABLE alerts")
    assert asyncio.run(watch.attend(cycle=True)) is False
    house.store.close()
    assert asyncio.run(watch.attend(cycle=True)) is False
    assert "alerts cannot be looked after" in caplog.text


# --- any sequence ---

KEYS = [("breaker", "a"), ("breaker", "b"), ("stale", "a")]
SEVERITY: dict[str, Any] = {"breaker": "critical", "stale": "warning"}

steps = st.lists(
    st.tuples(
        st.sets(st.sampled_from(KEYS)),  # what is wrong
        st.sampled_from(["taken", "refused", "died", "quiet", "none"]),  # what becomes of an attempt to tell
        st.integers(0, 200),  # minutes
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(open_store(tmp_path_factory.mktemp("alerts") / "wellkept.db")) as made:
        yield made


@pytest.mark.both(False)
@settings(max_examples=60, deadline=None)
@given(sequence=steps)
def test_any_sequence_of_troubles_and_failures(store: Store, sequence: list[tuple[set[tuple[str, str]], str, int]]) -> None:
    """Each beginning and each end arrives, in this order, once; twice only where a process died before it could note it."""
    heard: list[tuple[int, str, str, bool]] = []  # episode, what, condition, whether it may come again
    for table in ("alerts", "alert_notices"):
        store.write_now(lambda tx, table=table: tx.execute(f"DELETE FROM {table}"))
    now = 0

    def look(wrong: set[tuple[str, str]], how: str) -> None:
        found = [Trouble(*key, SEVERITY[key[0]], now, "d") for key in sorted(wrong)]
        store.write_now(lambda tx: alerts.settle(tx, found, ["mail"], now))
        with store.read() as reader:
            assert {episode.key for episode in alerts.open_episodes(reader)} == wrong
            waiting = alerts.waiting(reader, "mail", now)
            due = [notice for notice in waiting if how != "quiet" or notice.episode.severity == "critical"]
        if how == "none" or not any(notice.not_before <= now for notice in due):
            return
        store.write_now(lambda tx: alerts.begin_try(tx, due, now))
        if how == "refused":
            store.write_now(lambda tx: alerts.failed(tx, due, "no"))
            return
        heard.extend((n.episode.seq, n.what, n.episode.condition, how == "died") for n in due)
        if how != "died":
            store.write_now(lambda tx: alerts.sent(tx, due, now))

    for wrong, how, minutes in sequence:
        now += minutes * 60_000
        look(wrong, how)
    last = sequence[-1][0] if sequence else set()
    for _ in range(2):  # once for what is told at once, and once for what calm must prove first
        now += alerts.CALM_MS
        look(last, "taken")
    with store.read() as reader:
        episodes = {row[0]: row for row in reader.all("SELECT seq, condition, subject, ended_at FROM alerts")}
        assert reader.all("SELECT 1 FROM alert_notices WHERE sent_at IS NULL") == []
    for seq, (_, condition, subject, ended_at) in episodes.items():
        told = [(what, again) for heard_seq, what, _, again in heard if heard_seq == seq]
        final = [what for what, again in told if not again]
        assert final.count("opened") <= 1
        assert final.count("ended") <= 1
        if ended_at is None:
            assert final == ["opened"], (condition, subject)
        elif told:
            assert "opened" in [what for what, _ in told]
            assert final[-1:] == ["ended"]
            first_end = [what for what, _ in told].index("ended")
            assert "opened" in [what for what, _ in told][:first_end] or told[0][0] == "opened"
    for key in KEYS:  # episodes of one key do not overlap
        spans = sorted(seq for seq, row in episodes.items() if (row[1], row[2]) == key)
        assert all(episodes[seq][3] is not None for seq in spans[:-1])
