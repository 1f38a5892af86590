"""The shared budget: never too much in any window, whoever asks, dies or dawdles; and nobody starves."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.store import Store, limits
from wellkept.store.limits import Lease, Settled, Wait

pytestmark = pytest.mark.both


def fullest_window(instants: list[int], per: int) -> int:
    """Return the largest number of instants in any ``[t, t + per)``."""
    instants = sorted(instants)
    most = first = 0
    for last, instant in enumerate(instants):
        while instants[first] <= instant - per:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass
class Part:
    lease: Lease
    left: int
    used: int = 0
    last: int = 0
    flying: list[int] = field(default_factory=list)


class Process:
    """A process that leases, sends and settles as the HTTP kit does."""

    def __init__(self, name: str, luck: random.Random, slowest: int) -> None:
        self.name = name
        self.luck = luck
        self.slowest = slowest
        self.parts: list[Part] = []
        self.count = 0
        self.again = 0
        self.got = 0

    def ask(self, store: Store, requests: int, per: int, now: int, want: int) -> None:
        reports = []
        for part in self.parts:
            arrived = [answer for answer in part.flying if answer <= now]
            part.last = max([part.last, *arrived])
            part.flying = [answer for answer in part.flying if answer > now]
            reports.append(Settled(part.lease.id, part.used, part.last, final=not part.flying))
        self.parts = [part for part in self.parts if part.flying]
        for part in self.parts:
            part.left = 0
        self.count += 1
        name = f"{self.name}.{self.count}"
        answer = store.write_now(
            lambda tx: limits.lease(
                tx, "cred", self.name, name, requests=requests, per=per, want=want, now=now, settled=reports
            )
        )
        if isinstance(answer, Lease):
            assert 0 < answer.count <= want
            self.got += answer.count
            self.parts.append(Part(answer, answer.count))
        else:
            assert now < answer.again
            self.again = answer.again

    def send(self, now: int) -> int | None:
        """Send one request if it may; return when it reaches the vendor."""
        part = self.parts[-1] if self.parts else None
        if part is None or not part.left or now >= part.lease.until:
            return None
        arrival = now + self.luck.randint(0, self.slowest)
        part.left -= 1
        part.used += 1
        part.flying.append(arrival + self.luck.randint(0, 3 * self.slowest))
        return arrival


@pytest.mark.both(False)
@given(
    st.integers(1, 30),
    st.sampled_from([100, 1000, 10_000, 60_000]),
    st.integers(1, 4),
    st.integers(0, 10**6),
    st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_window_ever_holds_too_many(store: Store, requests: int, per: int, crowd: int, seed: int, mortal: bool) -> None:
    store.write_now(lambda tx: tx.execute("DELETE FROM limits"))
    luck = random.Random(seed)  # noqa: S311 - chance, not secrecy
    slowest = limits.lease_ms(per)
    processes = [Process(f"p{n}", luck, slowest) for n in range(crowd)]
    arrivals: list[int] = []
    now = 10**12
    for step in range(250):
        now += luck.choice([0, 0, 1, luck.randint(0, per // 5), luck.randint(0, slowest)])
        place = luck.randrange(crowd)
        if mortal and luck.random() < 0.03:
            processes[place] = Process(f"p{place}-{step}", luck, slowest)
        process = processes[place]
        arrival = process.send(now)
        if arrival is not None:
            arrivals.append(arrival)
        elif now >= process.again:
            process.ask(store, requests, per, now - luck.choice([0, 0, 3]), luck.randint(1, requests))
    assert fullest_window(arrivals, per) <= requests


def run_hungry(store: Store, requests: int, per: int, crowd: int, periods: int) -> list[Process]:
    """Let processes ask as soon as they may, and use what they get at once; answers take no time."""
    luck = random.Random(1)  # noqa: S311 - chance, not secrecy
    processes = [Process(f"p{n}", luck, 0) for n in range(crowd)]
    now = begun = 10**12
    part = max(1, requests // 10)
    while now < begun + periods * per:
        for process in processes:
            while process.send(now) is not None:
                pass
            if now >= process.again:
                process.ask(store, requests, per, now, part)
        due = [process.again for process in processes if not (process.parts and process.parts[-1].left)]
        now = max(now + 1, min(due)) if len(due) == crowd else now
    return processes


@pytest.mark.parametrize(("requests", "per"), [(1, 1000), (10, 60_000), (100, 1000), (190, 10_000)])
def test_the_budget_is_used_up(store: Store, requests: int, per: int) -> None:
    (process,) = run_hungry(store, requests, per, 1, 8)
    assert process.got >= 0.9 * 8 * requests


@pytest.mark.both(False)
@pytest.mark.parametrize("crowd", [2, 3, 7])
@pytest.mark.parametrize(("requests", "per"), [(1, 1000), (10, 60_000), (100, 1000)])
def test_nobody_starves(store: Store, requests: int, per: int, crowd: int) -> None:
    periods = 14
    processes = run_hungry(store, requests, per, crowd, periods)
    fair = periods * requests / crowd
    assert sum(process.got for process in processes) >= 0.8 * periods * requests
    assert min(process.got for process in processes) >= 0.5 * fair


def ask(store: Store, owner: str, now: int, *, want: int = 1, requests: int = 2, name: str = "") -> Lease | Wait:
    return store.write_now(
        lambda tx: limits.lease(tx, "c", owner, name or f"{owner}@{now}", requests=requests, per=1000, want=want, now=now)
    )


def test_a_waiter_that_does_not_come_back_loses_its_place(store: Store) -> None:
    assert isinstance(ask(store, "a", 0, want=2), Lease)
    waiting = ask(store, "dead", 10)
    assert isinstance(waiting, Wait)
    later = ask(store, "b", 20)
    assert isinstance(later, Wait)
    held_back = ask(store, "b", 2000, want=2)
    assert isinstance(held_back, Lease)
    assert held_back.count == 1  # one is kept for who waits longer
    assert isinstance(ask(store, "b", 2001), Wait)
    assert isinstance(ask(store, "b", waiting.again + limits.GRACE_MS), Lease)


def test_what_a_dead_process_held_comes_back(store: Store) -> None:
    assert isinstance(ask(store, "dead", 0, want=2), Lease)
    assert isinstance(ask(store, "b", 1000 + 2 * limits.lease_ms(1000) - 1), Wait)
    assert isinstance(ask(store, "b", 1000 + 2 * limits.lease_ms(1000)), Lease)


def test_an_early_answer_of_what_is_sure_not_to_come(store: Store) -> None:
    lease = ask(store, "a", 0, want=2)
    assert isinstance(lease, Lease)
    waiting = ask(store, "b", 10)
    assert isinstance(waiting, Wait)
    assert waiting.sure == 10  # the lease might be given back at any moment
    used = [Settled(lease.id, 2, 400, final=True)]
    answer = store.write_now(lambda tx: limits.lease(tx, "c", "a", "a2", requests=2, per=1000, want=1, now=500, settled=used))
    assert isinstance(answer, Wait)
    assert answer.sure == 1400


def test_a_clock_that_is_put_back_does_not_block_for_ever(store: Store) -> None:
    assert isinstance(ask(store, "a", 10**9, want=2), Lease)
    for now in range(0, 40_000, 1000):
        if isinstance(ask(store, "b", now), Lease):
            return
    pytest.fail("permits from the future were never given back")


@pytest.mark.both(False)
def test_the_row_stays_small(store: Store) -> None:
    report: list[Settled] = []
    for now in range(0, 150_000, 100):
        answer = store.write_now(
            lambda tx, now=now, report=report: limits.lease(
                tx, "c", "a", f"a{now}", requests=10_000, per=100_000, want=1, now=now, settled=report
            )
        )
        assert isinstance(answer, Lease)
        report = [Settled(answer.id, 1, now, final=True)]
    with store.read() as reader:
        assert len(reader.value("SELECT state FROM limits WHERE credential = 'c'")) < 2_000


def test_a_block_is_only_ever_made_longer(store: Store) -> None:
    with store.read() as reader:
        assert limits.blocked_until(reader, "c") == 0
    for until, wanted in ((500, 500), (300, 500), (900, 900)):
        store.write_now(lambda tx, until=until: limits.block(tx, "c", until))
        with store.read() as reader:
            assert limits.blocked_until(reader, "c") == wanted
    assert isinstance(ask(store, "a", 0), Lease)  # the budget beside it is untouched
    with store.read() as reader:
        assert limits.blocked_until(reader, "c") == 900


def test_slots(store: Store) -> None:
    def take(owner: str, now: int) -> bool:
        return store.write_now(lambda tx: limits.take_slot(tx, "c", owner, limit=2, ttl=1000, now=now))

    assert take("a", 0)
    assert take("b", 0)
    assert not take("c", 10)
    assert not take("d", 20)
    store.write_now(lambda tx: limits.free_slot(tx, "c", "a"))
    assert not take("d", 30)  # c was first
    assert take("c", 40)
    assert not take("d", 900)
    store.write_now(lambda tx: limits.keep_slot(tx, "c", "b", until=3000))
    assert take("d", 1045)  # c died; b gave a sign of life
    assert not take("e", 1500)
