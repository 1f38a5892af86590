"""Locks: one holder at a time, and an epoch that tells a late one from the present one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.errors import LeaseLostError, RetryableError
from wellkept.store import Store, locks, open_store
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both


def test_one_holder_at_a_time(store: Store) -> None:
    assert store.write_now(lambda tx: locks.acquire(tx, "run", "a", 1000, 0)) == 1
    assert store.write_now(lambda tx: locks.acquire(tx, "run", "b", 1000, 999)) is None
    assert store.write_now(lambda tx: locks.acquire(tx, "run", "a", 1000, 999)) is None
    assert store.write_now(lambda tx: locks.acquire(tx, "other", "b", 1000, 0)) == 1
    assert store.write_now(lambda tx: locks.acquire(tx, "run", "b", 1000, 1000)) == 2


def test_the_epoch_grows_after_a_release_too(store: Store) -> None:
    for epoch in (1, 2, 3):
        assert store.write_now(lambda tx: locks.acquire(tx, "run", "a", 1000, 0)) == epoch
        assert store.write_now(lambda tx, epoch=epoch: locks.release(tx, "run", "a", epoch))
        assert not store.write_now(lambda tx, epoch=epoch: locks.renew(tx, "run", "a", epoch, 1000, 0))


def test_a_holder_that_was_overtaken_can_do_nothing(store: Store) -> None:
    store.write_now(lambda tx: locks.acquire(tx, "run", "a", 10, 0))
    store.write_now(lambda tx: locks.check(tx, "run", "a", 1))
    assert store.write_now(lambda tx: locks.acquire(tx, "run", "b", 1000, 10)) == 2
    assert not store.write_now(lambda tx: locks.renew(tx, "run", "a", 1, 1000, 11))
    assert not store.write_now(lambda tx: locks.release(tx, "run", "a", 1))
    with pytest.raises(LeaseLostError):
        store.write_now(lambda tx: locks.check(tx, "run", "a", 1))
    store.write_now(lambda tx: locks.check(tx, "run", "b", 2))


def test_a_holder_that_nobody_overtook_may_go_on(store: Store) -> None:
    store.write_now(lambda tx: locks.acquire(tx, "run", "a", 10, 0))
    assert store.write_now(lambda tx: locks.renew(tx, "run", "a", 1, 1000, 500))
    assert store.write_now(lambda tx: locks.acquire(tx, "run", "b", 1000, 1499)) is None


def test_what_was_given_back_is_no_longer_held(store: Store) -> None:
    with pytest.raises(LeaseLostError):
        store.write_now(lambda tx: locks.check(tx, "run", "a", 1))
    store.write_now(lambda tx: locks.acquire(tx, "run", "a", 10, 0))
    store.write_now(lambda tx: locks.release(tx, "run", "a", 1))
    with pytest.raises(LeaseLostError):
        store.write_now(lambda tx: locks.check(tx, "run", "a", 1))


STEPS = st.lists(
    st.tuples(st.sampled_from(["acquire", "renew", "release", "wait"]), st.sampled_from("abc"), st.integers(1, 300)),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_keeps_one_holder_and_growing_epochs(store: Store, steps: list[tuple[str, str, int]]) -> None:
    store.write_now(lambda tx: tx.execute("DELETE FROM locks"))
    now, highest = 0, 0
    held: dict[str, int] = {}
    until = -1
    for step, who, figure in steps:
        if step == "wait":
            now += figure
        elif step == "acquire":
            epoch = store.write_now(lambda tx, who=who, figure=figure, now=now: locks.acquire(tx, "x", who, figure, now))
            assert (epoch is not None) == (until <= now)
            if epoch is not None:
                assert epoch > highest
                highest, until = epoch, now + figure
                held[who] = epoch
        else:
            epoch = held.get(who, 0)
            ours = epoch == highest and epoch > 0 and until > 0
            if step == "renew":
                done = store.write_now(lambda tx, w=who, e=epoch, f=figure, n=now: locks.renew(tx, "x", w, e, f, n))
                until = now + figure if done else until
            else:
                done = store.write_now(lambda tx, w=who, e=epoch: locks.release(tx, "x", w, e))
                until = 0 if done else until
            assert done == ours or step == "release"


async def test_a_shared_lock_is_waited_for_and_given_back(store: Store, clock: FakeClock) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        async with locks.shared_lock(store, clock, "token", name, 60):
            order.append(f"{name} in")
            await clock.sleep(5)
            order.append(f"{name} out")

    await asyncio.gather(*(work(name) for name in "abc"))
    assert [order[n].split()[0] == order[n + 1].split()[0] for n in (0, 2, 4)] == [True, True, True]
    assert sorted(order) == sorted(f"{name} {way}" for name in "abc" for way in ("in", "out"))


async def test_a_lock_is_given_back_after_a_failure(store: Store, clock: FakeClock) -> None:
    with pytest.raises(ZeroDivisionError):
        async with locks.shared_lock(store, clock, "token", "a", 60):
            raise ZeroDivisionError
    async with locks.shared_lock(store, clock, "token", "b", 60) as epoch:
        assert epoch == 2
    assert clock.slept == []


async def test_a_holder_that_died_blocks_nobody_for_long(store: Store, store_path: Path, clock: FakeClock) -> None:
    store.write_now(lambda tx: locks.acquire(tx, "token", "dead", 60_000, clock.now()))
    begun = clock.now()
    second = open_store(store_path, clock)
    async with locks.shared_lock(second, clock, "token", "b", 60, wait=120):
        assert 60_000 <= clock.now() - begun < 61_000
    second.close()


async def test_waiting_for_a_lock_ends(store: Store, clock: FakeClock) -> None:
    store.write_now(lambda tx: locks.acquire(tx, "token", "other", 60_000, clock.now()))
    with pytest.raises(RetryableError, match="others held the lock"):
        async with locks.shared_lock(store, clock, "token", "b", 60, wait=10):
            pass


async def test_someone_who_is_cancelled_while_the_lock_is_taken_gives_it_back(store: Store, clock: FakeClock) -> None:
    async def hold() -> None:
        async with locks.shared_lock(store, clock, "token", "a", 60):
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await asyncio.sleep(0)  # the job is on its way to the writer thread
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.write_now(lambda tx: locks.acquire(tx, "token", "b", 1000, clock.now())) == 2
