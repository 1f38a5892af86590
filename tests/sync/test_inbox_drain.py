"""Hints: what a webhook said is read again by id, once, in order, and settles together with its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from tests.sync.conftest import ACCOUNTS, TICKETS, Bench, ScriptedFetcher, account, ticket

from wellkept.errors import CredentialsError, FatalError, LeaseLostError, RejectedError, RetryableError
from wellkept.pipeline.inbox import FETCH_IDS
from wellkept.pipeline.sync import KEEP_HINTS_MS, drain
from wellkept.records import Account, Ticket
from wellkept.source import Batch, Deletion, Hint, Reject, Stream
from wellkept.store import inbox, runs
from wellkept.store.runs import running
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both


def hint(id_: str, object_id: str | None, stream: str = "accounts") -> Hint:
    return Hint(id=id_, stream=stream, object_id=object_id, at=0)


async def receive(bench: Bench, *hints: Hint, instance: str = "one") -> int:
    return await bench.store.write(lambda tx: inbox.add(tx, instance, hints, bench.clock.now()))


def waiting(bench: Bench) -> dict[tuple[str, str], int]:
    with bench.store.read() as reader:
        return inbox.waiting(reader)


async def empty(bench: Bench, *sources: Any, **options: Any) -> Any:
    names = ("one", "two")
    async with running(bench.store, "sync") as run:
        return await drain(
            bench.store, bench.tables, dict(zip(names, sources, strict=False)), run=run, clock=bench.clock,
            freshness=bench.freshness, tick=0.01, **options,
        )  # fmt: skip


def fetcher(ids: Iterable[str] = (), script: Sequence[Any] = ()) -> ScriptedFetcher:
    source = ScriptedFetcher({ACCOUNTS: script})
    source.objects = {id_: account(id_) for id_ in ids}
    return source


async def test_hints_are_fetched_once_and_before_the_stream(bench: Bench) -> None:
    await receive(bench, hint("e1", "b"), hint("e2", "a"), hint("e3", "b"))
    source = fetcher("ab", [Batch(records=[account("z")], cursor={"v": 1})])
    result = await bench.one(source)
    assert source.calls == [["b", "a"]]
    assert (bench.ids(), waiting(bench), result.hints, result.read) == (["a", "b", "z"], {}, 3, 3)
    await bench.one(source)
    assert len(source.calls) == 1


async def test_the_same_hint_twice_is_one(bench: Bench) -> None:
    assert await receive(bench, hint("e1", "a"), hint("e1", "b"), hint("e1", "a", "tickets")) == 3
    assert await receive(bench, hint("e1", "a")) == 0
    source = ScriptedFetcher({ACCOUNTS: [], TICKETS: []})
    await empty(bench, source)
    assert await receive(bench, hint("e1", "a")) == 0  # also when it was done
    assert waiting(bench) == {}


async def test_draining_reads_no_stream_unless_asked(bench: Bench) -> None:
    source = ScriptedFetcher({ACCOUNTS: [Batch(records=[account("z")])], TICKETS: [Batch(records=[ticket("t")])]})
    source.objects = {"a": account("a")}
    await receive(bench, hint("e1", "a"), hint("e2", None, "tickets"))
    report = await empty(bench, source)
    assert (bench.ids(), bench.ids(Ticket), waiting(bench)) == (["a"], ["t"], {})
    assert [(result.stream, result.state) for result in report.streams] == [("accounts", "done"), ("tickets", "done")]
    assert (await empty(bench, source)).streams == []


async def test_a_hint_at_a_stream_is_settled_only_by_a_read_that_began_later(bench: Bench) -> None:
    async def script(request: Any) -> Any:
        await receive(bench, hint("e2", None))
        yield Batch(records=[account("a")], cursor={"v": 1})

    await receive(bench, hint("e1", None))
    source = ScriptedFetcher({ACCOUNTS: script})
    await bench.one(source)
    assert waiting(bench) == {("one", "accounts"): 1}
    source.scripts[ACCOUNTS] = [RetryableError("down")]
    await bench.fails(source)
    assert waiting(bench) == {("one", "accounts"): 1}
    source.scripts[ACCOUNTS] = []
    await bench.one(source)
    assert waiting(bench) == {}


async def test_hints_that_arrive_meanwhile_wait_for_the_next_time(bench: Bench) -> None:
    source = fetcher()

    async def fetching(stream: Stream, ids: Sequence[str]) -> Batch:
        await receive(bench, hint("later", "a"))
        return Batch(records=[account("a", version=1)])

    source.fetching = fetching
    await receive(bench, hint("e1", "a"))
    await empty(bench, source)
    assert (source.calls, waiting(bench)) == ([["a"]], {("one", "accounts"): 1})
    await empty(bench, source)
    assert (source.calls, waiting(bench)) == ([["a"], ["a"]], {})


async def test_what_is_gone_is_deleted(bench: Bench) -> None:
    source = fetcher("ab")
    await receive(bench, hint("e1", "a"), hint("e2", "b"))
    await empty(bench, source)

    async def fetching(stream: Stream, ids: Sequence[str]) -> Batch:
        return Batch(deletions=[Deletion(record=Account, id="a", version=2)], rejects=[Reject(raw=b"{", reason="bad", id="b")])

    source.fetching = fetching
    await receive(bench, hint("e3", "a"), hint("e4", "b"))
    report = await empty(bench, source)
    assert (bench.ids(), waiting(bench), report.state) == (["b"], {}, "partial")
    assert len(bench.letters()) == 1


async def test_older_readings_and_disorder_converge(bench: Bench) -> None:
    source = fetcher()
    source.objects = {"a": account("a", name="new", version=5)}
    await receive(bench, hint("e5", "a"))
    await empty(bench, source)
    source.objects = {"a": account("a", name="old", version=3)}
    await receive(bench, hint("e3", "a"))
    await empty(bench, source)
    assert bench.all("SELECT name, version FROM r_account") == [("new", 5)]


async def test_many_hints_come_in_batches(bench: Bench) -> None:
    ids = [f"{n:04}" for n in range(1234)]
    await receive(bench, *(hint(id_, id_) for id_ in ids))
    source = fetcher(ids)
    result = (await empty(bench, source)).streams[0]
    assert [id_ for call in source.calls for id_ in call] == ids
    assert max(map(len, source.calls)) == FETCH_IDS
    assert (result.hints, len(bench.ids()), waiting(bench)) == (1234, 1234, {})


async def test_failures_wait_and_are_tried_again(bench: Bench, clock: FakeClock) -> None:
    source = fetcher("a")

    async def down(stream: Stream, ids: Sequence[str]) -> Batch:
        raise RetryableError("the vendor is down", retry_after=300)

    source.fetching = down
    await receive(bench, hint("e1", "a"))
    report = await empty(bench, source)
    assert report.state == "partial"
    assert report.streams[0].note == "webhook hints wait: the vendor is down"
    source.fetching = None
    assert (await empty(bench, source)).streams == []  # too early
    clock.advance(299)
    assert (await empty(bench, source)).streams == []
    clock.advance(2)
    await empty(bench, source)
    assert (bench.ids(), waiting(bench)) == (["a"], {})


@pytest.mark.parametrize("error", [FatalError("nonsense"), RetryableError("500"), KeyError("x")], ids=["fatal", "500", "bug"])
async def test_one_object_that_always_fails_does_not_stop_the_others(bench: Bench, clock: FakeClock, error: Exception) -> None:
    ids = [f"{n:02}" for n in range(20)]
    source = fetcher(ids)

    async def fetching(stream: Stream, wanted: Sequence[str]) -> Batch:
        if "07" in wanted:
            raise error
        return Batch(records=[source.objects[id_] for id_ in wanted])

    source.fetching = fetching
    await receive(bench, *(hint(id_, id_) for id_ in ids))
    await empty(bench, source)
    assert len(bench.ids()) == (0 if isinstance(error, RetryableError) else 19)  # what fails for good is found at once
    for _ in range(5):
        clock.advance(4000)
        await empty(bench, source)
    clock.advance(4000)
    assert len(bench.ids()) == 19
    assert waiting(bench) == {("one", "accounts"): 1}
    calls = len(source.calls)
    await empty(bench, source)
    assert len(source.calls) <= calls + 1  # it waits longer and longer


async def test_an_object_that_ends_the_process_stops_neither_the_others_nor_every_start(bench: Bench, clock: FakeClock) -> None:
    ids = [f"{n:03}" for n in range(300)]
    source, reached = fetcher(), asyncio.Event()

    async def fetching(stream: Stream, ids: Sequence[str]) -> Batch:
        if "150" in ids:
            reached.set()
            await asyncio.Event().wait()
        return Batch(records=[account(id_) for id_ in ids])

    source.fetching = fetching
    await receive(bench, *(hint(id_, id_) for id_ in ids))
    died = []
    for minute in range(20):
        reached.clear()
        run = await runs.start(bench.store, "hints", lease=1)
        draining = asyncio.create_task(
            drain(bench.store, bench.tables, {"one": source}, run=run, clock=clock, freshness=bench.freshness, tick=0.01)
        )
        dying = asyncio.create_task(reached.wait())
        await asyncio.wait([draining, dying], return_when=asyncio.FIRST_COMPLETED)
        if dying.done():
            died.append(minute)
            draining.cancel()  # its row and its lease stay, as a dead process leaves them
        else:
            await bench.store.write(lambda tx: runs.finish(tx, run, clock.now()))  # noqa: B023 - called at once
        dying.cancel()
        await asyncio.wait([draining, dying])
        clock.advance(60)
    assert bench.ids() == [id_ for id_ in ids if id_ != "150"]
    assert waiting(bench) == {("one", "accounts"): 1}
    assert died == [0, 1, 3, 7, 15]


async def test_an_object_that_is_refused_becomes_a_dead_letter(bench: Bench) -> None:
    source = fetcher("b")

    async def fetching(stream: Stream, ids: Sequence[str]) -> Batch:
        if "a" in ids:
            raise RejectedError("no customer of ours")
        return Batch(records=[source.objects[id_] for id_ in ids])

    source.fetching = fetching
    await receive(bench, hint("e1", "a"), hint("e2", "b"))
    await empty(bench, source)
    assert (bench.ids(), waiting(bench)) == (["b"], {})
    assert [(letter.record_id, letter.reason) for letter in bench.letters()] == [("a", "no customer of ours")]


async def test_a_refused_credential_stops_at_once(bench: Bench) -> None:
    source = fetcher()

    async def fetching(stream: Stream, ids: Sequence[str]) -> Batch:
        raise CredentialsError("401")

    source.fetching = fetching
    await receive(bench, *(hint(str(n), str(n)) for n in range(300)))
    told: dict[str, Any] = {}
    await empty(bench, source, on_result=told.__setitem__)
    assert len(source.calls) == 1
    assert isinstance(told["one"], CredentialsError)
    assert waiting(bench) == {("one", "accounts"): 300}


async def test_what_fetch_returns_is_checked(bench: Bench) -> None:
    source = fetcher()
    answers = [Batch(records=[ticket("t")]), None, Batch(records=[account("a")], cursor={"v": 9}, complete=True)]

    async def fetching(stream: Stream, ids: Sequence[str]) -> Any:
        return answers[int(ids[0])]

    source.fetching = fetching
    for n in range(3):
        await receive(bench, hint(str(n), str(n)))
        await empty(bench, source)
    assert (bench.ids(), bench.ids(Ticket), bench.cursor()) == (["a"], [], None)  # a fetch moves no cursor
    assert waiting(bench) == {("one", "accounts"): 2}


async def test_hints_and_rows_commit_together(bench: Bench, clock: FakeClock) -> None:
    source = fetcher("a")

    async def fetching(stream: Stream, ids: Sequence[str]) -> Batch:
        clock.advance(runs.LEASE_SECONDS + 1)
        other = await runs.start(bench.store, "sync")
        await bench.store.write(lambda tx: runs.finish(tx, other, clock.now()))
        return Batch(records=[account("a")])

    source.fetching = fetching
    await receive(bench, hint("e1", "a"))
    with pytest.raises(LeaseLostError):
        await empty(bench, source)
    assert (bench.ids(), waiting(bench)) == ([], {("one", "accounts"): 1})


async def test_hints_of_other_instances_and_streams_wait(bench: Bench) -> None:
    await receive(bench, hint("e1", "a"), instance="gone")
    await receive(bench, hint("e2", "t", "tickets"))
    source = ScriptedFetcher({ACCOUNTS: [], TICKETS: []})
    await bench.sync(source, select=[("one", "accounts")])
    assert source.calls == []
    assert waiting(bench) == {("gone", "accounts"): 1, ("one", "tickets"): 1}


async def test_old_answered_hints_are_forgotten(bench: Bench, clock: FakeClock) -> None:
    source = fetcher("a")
    await receive(bench, hint("e1", "a"))
    await empty(bench, source)
    clock.advance(KEEP_HINTS_MS / 1000 + 1)
    await empty(bench, source)
    assert bench.value("SELECT COUNT(*) FROM inbox") == 0
