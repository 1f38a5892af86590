"""Full reads: generations, interruption, deletion by absence, and readings that are not believed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from tests.sync.conftest import ACCOUNTS, TICKETS, Bench, ScriptedSource, account, ticket

from wellkept.errors import RetryableError
from wellkept.records import Account, Ticket
from wellkept.settings import Freshness
from wellkept.source import Batch, ReadRequest, Reject
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

ANY_SHARE = Freshness(max_deleted_share=1.0)
DAY = 86_400


def whole(ids: Sequence[str], *, rejects: Sequence[Reject] = (), size: int = 2) -> list[Batch]:
    """Return a complete full read in pages; the last one brings the rejects."""
    parts = [ids[start : start + size] for start in range(0, len(ids), size)] or [()]
    batches = [Batch(records=[account(id_) for id_ in part], cursor={"n": n}) for n, part in enumerate(parts)]
    batches[-1] = msgspec.structs.replace(batches[-1], rejects=rejects, complete=True)
    return batches


async def first(bench: Bench, clock: FakeClock, ids: Sequence[str]) -> None:
    """Do a first complete read, and let some time pass."""
    assert (await bench.one(ScriptedSource({ACCOUNTS: whole(ids)}))).state == "done"
    clock.advance(3600)


async def again(bench: Bench, script: Any, **options: Any) -> Any:
    """Do another full read."""
    return await bench.one(
        ScriptedSource({ACCOUNTS: script}), full=True, freshness=options.pop("freshness", ANY_SHARE), **options
    )


async def test_what_a_complete_read_does_not_bring_is_gone(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "abcde")
    result = await again(bench, whole("abd"))
    assert (result.state, result.deleted, bench.ids()) == ("done", 2, ["a", "b", "d"])
    assert bench.all("SELECT COUNT(*) FROM seen") == [(0,)]
    assert bench.state().full_since is None
    assert bench.state().complete_at == clock.now()
    clock.advance(60)
    result = await again(bench, whole("abcd"))  # and comes back
    assert bench.ids() == ["a", "b", "c", "d"]


async def test_without_complete_nothing_is_gone(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "abc")
    script = [msgspec.structs.replace(batch, complete=False) for batch in whole("a")]
    assert (await again(bench, script)).deleted == 0
    assert bench.ids() == ["a", "b", "c"]
    assert bench.state().full_since is None  # the read has ended all the same
    assert bench.value("SELECT COUNT(*) FROM seen") == 0


async def test_an_incremental_read_cannot_be_complete(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "abc")
    result = await bench.one(ScriptedSource({ACCOUNTS: whole("a")}), freshness=ANY_SHARE)
    assert (result.state, result.deleted, bench.ids()) == ("done", 0, ["a", "b", "c"])


async def test_streams_that_do_not_delete_by_absence(bench: Bench, clock: FakeClock) -> None:
    script = [Batch(records=[ticket("t"), account("a")], complete=True)]
    await bench.one(ScriptedSource({TICKETS: script}))
    clock.advance(60)
    await bench.one(ScriptedSource({TICKETS: [Batch(complete=True)]}), full=True, freshness=ANY_SHARE)
    assert (bench.ids(Ticket), bench.ids(Account)) == (["t"], ["a"])


async def test_absence_says_nothing_of_what_only_rides_along(bench: Bench, clock: FakeClock) -> None:
    stream = msgspec.structs.replace(TICKETS, deletes="absence")
    await bench.one(ScriptedSource({stream: [Batch(records=[ticket("t"), ticket("u"), account("a")], complete=True)]}))
    clock.advance(60)
    script = [Batch(records=[ticket("t")], complete=True)]
    result = await bench.one(ScriptedSource({stream: script}), full=True, freshness=ANY_SHARE)
    assert (result.deleted, bench.ids(Ticket), bench.ids(Account)) == (1, ["t"], ["a"])


async def test_a_full_read_survives_interruption(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "abcdef")
    interrupted = [*whole("acegik")[:2], RetryableError("down")]  # a, c, e, g
    began = clock.now()
    assert (await again(bench, interrupted)).state == "failed"
    generation = bench.state().generation
    assert bench.ids() == ["a", "b", "c", "d", "e", "f", "g"]
    clock.advance(3600)
    for options in ({"full": True}, {}):
        source = ScriptedSource({ACCOUNTS: [Batch(records=[account("i")], cursor={"n": 3}), RetryableError("down again")]})
        await bench.fails(source, freshness=ANY_SHARE, **options)
        assert source.requests[0].cursor is not None  # it goes on, asked for or not
        clock.advance(60)
    source = ScriptedSource({ACCOUNTS: [Batch(records=[account("k")], cursor={"n": 4}, complete=True)]})
    result = await bench.one(source, freshness=ANY_SHARE)
    assert bench.ids() == ["a", "c", "e", "g", "i", "k"]
    assert (result.state, result.deleted) == ("done", 3)
    assert bench.state().generation == generation
    assert bench.state().fresh_at == began  # what was read first is no fresher than that


async def test_a_full_read_without_cursors_starts_again(bench: Bench, clock: FakeClock) -> None:
    """Rows that the cut-off part saw, and that went before the second part, must not count as seen."""
    await first(bench, clock, "abcd")
    await again(bench, [Batch(records=[account("a"), account("b")]), RetryableError("down")])
    assert bench.cursor() is None
    clock.advance(60)
    source = ScriptedSource({ACCOUNTS: [Batch(records=[account("a"), account("c")], complete=True)]})
    await bench.one(source, freshness=ANY_SHARE)
    assert source.requests[0].cursor is None
    assert bench.ids() == ["a", "c"]


async def test_a_full_read_that_fails_at_once_changes_nothing(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "ab")
    before = bench.state()
    assert (await again(bench, [RetryableError("down")])).state == "failed"
    assert bench.state() == before


async def test_rows_in_quarantine_are_not_gone(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "abc")
    result = await again(bench, whole("a", rejects=[Reject(raw=b"{", reason="broken", id="b")]))
    assert (result.state, result.deleted, result.rejected) == ("partial", 1, 1)
    assert bench.ids() == ["a", "b"]


async def test_a_row_that_a_person_dropped_is_not_gone_either(bench: Bench, clock: FakeClock) -> None:
    from wellkept.store import dead_letters

    await first(bench, clock, "abc")
    bad = Reject(raw=b"{", reason="broken", id="b")
    await again(bench, whole("ac", rejects=[bad]))
    await bench.store.write(lambda tx: dead_letters.drop(tx, [letter.seq for letter in bench.letters()]))
    clock.advance(60)
    await again(bench, whole("ac", rejects=[bad]))
    assert bench.ids() == ["a", "b", "c"]


async def test_a_nameless_row_in_quarantine_might_be_any(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "abc")
    result = await again(bench, [Batch(rejects=[Reject(raw=b"{", reason="broken")], cursor={"n": 0}), *whole("a")[-1:]])
    assert (result.state, result.deleted, bench.ids()) == ("partial", 0, ["a", "b", "c"])
    assert "rejected without an id" in str(result.note)


async def test_rows_written_meanwhile_are_not_gone(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "ab")

    async def script(request: ReadRequest) -> AsyncIterator[Batch]:
        yield Batch(records=[account("a")], cursor={"n": 0})
        clock.advance(1)
        now = clock.now()  # a webhook brings a row that the full read has already passed
        await bench.store.write(lambda tx: bench.tables.upsert(tx, "one", "accounts", [account("new")], now))
        clock.advance(1)
        yield Batch(cursor={"n": 1}, complete=True)

    assert (await again(bench, script)).deleted == 1
    assert bench.ids() == ["a", "new"]


async def test_a_mass_deletion_is_held(bench: Bench, clock: FakeClock) -> None:
    ids = [f"{n:02}" for n in range(20)]
    await first(bench, clock, ids)
    result = await again(bench, whole(ids[:15]), freshness=Freshness())
    assert (result.state, result.deleted, len(bench.ids())) == ("partial", 0, 20)
    assert "5 of 20 rows" in str(result.note)
    assert "--accept-deletes" in str(result.note)
    clock.advance(60)
    assert (await again(bench, whole(ids[:16]), freshness=Freshness())).deleted == 4  # exactly a fifth
    clock.advance(60)
    result = await again(bench, whole(ids[:3]), freshness=Freshness(), accept_deletes=True)
    assert (result.state, result.deleted, bench.ids()) == ("done", 13, ids[:3])


async def test_a_full_read_can_be_asked_for(bench: Bench, clock: FakeClock) -> None:
    await first(bench, clock, "ab")
    source = ScriptedSource({ACCOUNTS: whole("ab")})
    await bench.one(source, full=True)
    assert source.requests[0].cursor is None
    assert bench.state().generation == 2


# --- volumes -------------------------------------------------------------------------------------------------------------

SMALL = Freshness(anomaly_min_rows=5, max_deleted_share=1.0)


async def test_a_reading_far_too_small_is_not_believed(bench: Bench, clock: FakeClock) -> None:
    ids = [f"{n:02}" for n in range(20)]
    for _ in range(3):
        assert (await again(bench, whole(ids, size=7), freshness=SMALL)).state == "done"
        clock.advance(DAY)
    result = await again(bench, whole(ids[:9], size=7), freshness=SMALL)
    assert (result.state, result.deleted, len(bench.ids())) == ("partial", 0, 20)
    assert bench.state().anomaly == "full read: 9 rows, where about 20 are usual"
    assert bench.state().complete_at == clock.now()
    clock.advance(DAY)
    # an incremental read says nothing about it
    assert (await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("x")])]}), freshness=SMALL)).state == "done"
    assert bench.state().anomaly is not None
    clock.advance(60)
    result = await again(bench, whole(ids[:10], size=7), freshness=SMALL)  # half is credible
    assert (result.state, result.deleted, bench.state().anomaly) == ("done", 11, None)


async def test_a_person_can_accept_a_small_reading(bench: Bench, clock: FakeClock) -> None:
    """And from then on so little is usual."""
    for _ in range(3):
        await again(bench, whole([f"{n:02}" for n in range(20)]), freshness=SMALL)
        clock.advance(DAY)
    for accept, state, gone in ((False, "partial", 0), (True, "done", 18), (False, "done", 0)):
        result = await again(bench, whole(["00", "01"]), freshness=SMALL, accept_deletes=accept)
        assert (result.state, result.deleted) == (state, gone)
        assert (bench.state().anomaly is None) is (state == "done")
        clock.advance(DAY)


async def test_an_interrupted_full_read_counts_as_one(bench: Bench, clock: FakeClock) -> None:
    ids = [f"{n:02}" for n in range(20)]
    await again(bench, whole(ids, size=5), freshness=SMALL)
    clock.advance(DAY)
    await again(bench, [*whole(ids, size=5)[:3], RetryableError("down")], freshness=SMALL)
    clock.advance(DAY)
    result = await bench.one(ScriptedSource({ACCOUNTS: whole(ids, size=5)[3:]}), freshness=SMALL)
    assert (result.state, result.read, bench.state().anomaly) == ("done", 5, None)


async def test_small_streams_are_not_watched(bench: Bench, clock: FakeClock) -> None:
    await again(bench, whole("abcd"), freshness=SMALL)
    clock.advance(DAY)
    assert (await again(bench, whole("a"), freshness=SMALL)).deleted == 3


async def days(bench: Bench, clock: FakeClock, volumes: Sequence[int]) -> list[tuple[str, bool]]:
    """Read so many tickets a day; return each day's state and whether it left an anomaly."""
    seen: list[tuple[str, bool]] = []
    for volume in volumes:
        rows = [ticket(f"{clock.now()}-{n}") for n in range(volume)]
        result = await bench.one(ScriptedSource({TICKETS: [Batch(records=rows, cursor={"day": clock.now()})]}), freshness=SMALL)
        seen.append((result.state, bench.state(TICKETS).anomaly is not None))
        clock.advance(DAY)
    return seen


async def test_a_day_that_brought_far_too_little_is_noticed(bench: Bench, clock: FakeClock) -> None:
    await days(bench, clock, [100, *[10] * 8])  # the first was a full read, and counts for itself
    assert await days(bench, clock, [2, 10, 10]) == [("done", False), ("partial", True), ("done", False)]


@pytest.mark.both(False)
async def test_quiet_weekends_are_nothing_unusual(bench: Bench, clock: FakeClock) -> None:
    """2026-11-21 is a Saturday."""
    weeks = [1, 1, 20, 20, 20, 20, 20] * 4
    assert await days(bench, clock, [0, *weeks[1:]]) == [("done", False)] * 28


async def test_a_day_without_a_read_is_not_judged(bench: Bench, clock: FakeClock) -> None:
    await days(bench, clock, [100, *[10] * 8])
    clock.advance(2 * DAY)
    assert await days(bench, clock, [10]) == [("done", False)]


@pytest.mark.parametrize("share", [0.2, 1.0])
async def test_the_share_counts_only_rows_of_the_stream(bench: Bench, clock: FakeClock, share: float) -> None:
    await bench.sync(ScriptedSource({ACCOUNTS: whole("ab")}), ScriptedSource({ACCOUNTS: whole("abcdefghijkl")}))
    clock.advance(60)
    result = await again(bench, whole("a"), freshness=Freshness(max_deleted_share=share))
    assert result.deleted == (1 if share == 1.0 else 0)
    assert len(bench.ids(Account, "two")) == 12
