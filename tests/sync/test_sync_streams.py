"""Streams: rows and cursor commit together, and one that fails leaves the others alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from tests.sync.conftest import ACCOUNTS, INVOICES, TICKETS, Bench, ScriptedSource, account, ticket

from wellkept.errors import ConfigError, CredentialsError, FatalError, LeaseLostError, RetryableError
from wellkept.events import Event
from wellkept.records import Account, Invoice, Ticket
from wellkept.source import Batch, Deletion, ReadRequest, Source, Stream
from wellkept.store import runs
from wellkept.store.instances import Allowed, Refused
from wellkept.store.runs import RunUnderWayError, running
from wellkept.testing import FakeClock


def pages(*ids: str, step: int = 1) -> list[Batch]:
    return [
        Batch(records=[account(id_) for id_ in ids[place : place + step]], cursor={"after": ids[place : place + step][-1]})
        for place in range(0, len(ids), step)
    ]


async def test_rows_and_cursor_are_stored(bench: Bench, clock: FakeClock) -> None:
    began = clock.now()
    source = ScriptedSource({ACCOUNTS: pages("a", "b", "c", step=2)})
    result = await bench.one(source)
    assert bench.ids() == ["a", "b", "c"]
    assert bench.cursor() == {"after": "c"}
    assert bench.state().fresh_at == began
    assert result.counts == {"read": 3, "inserted": 3, "updated": 0, "unchanged": 0, "deleted": 0, "rejected": 0}
    (row,) = bench.all("SELECT state, read, inserted, finished_at, error, note FROM run_streams")
    assert row == ("done", 3, 3, clock.now(), None, None)
    assert bench.all("SELECT state, summary FROM runs") == [("done", "3 rows of 1 streams")]


async def test_the_next_read_goes_on_from_the_cursor(bench: Bench, clock: FakeClock) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: pages("a")}))
    clock.advance(60)
    source = ScriptedSource({ACCOUNTS: [Batch(records=[account("a", name="Acme 2", version=2)], cursor=None)]})
    result = await bench.one(source)
    assert source.requests[0].cursor == {"after": "a"}
    assert result.updated == 1
    assert bench.cursor() == {"after": "a"}  # None leaves it
    assert bench.state().fresh_at == clock.now()
    await bench.one(ScriptedSource({ACCOUNTS: pages("b", "c")}))
    assert bench.cursor() == {"after": "c"}


async def test_a_failure_keeps_what_came_before_it_and_no_more(bench: Bench, clock: FakeClock) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: pages("a")}))
    fresh = bench.state().fresh_at
    clock.advance(60)
    script: list[Batch | BaseException] = [*pages("b", "c"), FatalError("the page is not JSON"), *pages("d")]
    result = await bench.fails(ScriptedSource({ACCOUNTS: script}))
    assert result.error == "the page is not JSON"
    assert bench.ids() == ["a", "b", "c"]
    assert bench.cursor() == {"after": "c"}
    assert bench.state().fresh_at == fresh  # data are complete up to the last read that ended well
    assert bench.all("SELECT state, error FROM run_streams WHERE state = 'failed'") == [("failed", "the page is not JSON")]


async def test_a_cursor_is_never_ahead_of_its_rows(bench: Bench) -> None:
    """Looked at from outside after every commit, while 6,000 rows come in."""
    seen: list[tuple[int, int]] = []

    async def script(request: ReadRequest) -> AsyncIterator[Batch]:
        for page in range(60):
            rows = [account(f"{page:03}-{row:03}") for row in range(100)]
            yield Batch(records=rows, cursor={"page": page})
            await asyncio.sleep(0)

    def look(_: object) -> None:
        seen.append((bench.cursor()["page"], len(bench.ids())))

    result = await bench.one(ScriptedSource({ACCOUNTS: script}), progress=look)
    assert result.read == 6000
    assert len(seen) > 3  # in several commits
    assert all(rows >= (page + 1) * 100 for page, rows in seen)


async def test_one_broken_stream_leaves_the_others_alone(bench: Bench) -> None:
    class Unlisted(ScriptedSource):
        def streams(self) -> Sequence[Stream]:
            raise ValueError("jane@example.com")

    script: list[Batch | BaseException] = [ValueError("jane@example.com"), *pages("a")]
    broken = ScriptedSource({ACCOUNTS: script, TICKETS: [Batch(records=[ticket("t")])]})
    report = await bench.sync(broken, Unlisted({}), ScriptedSource({ACCOUNTS: pages("z")}))
    states = {(result.instance, result.stream): result.state for result in report.streams}
    assert states == {
        ("one", "accounts"): "failed",
        ("one", "tickets"): "done",
        ("two", "*"): "failed",
        ("three", "accounts"): "done",
    }
    assert report.state == "partial"
    assert bench.ids(Ticket) == ["t"]
    assert bench.ids(Account, "three") == ["z"]
    errors = [result.error for result in report.streams if result.error]
    assert all("ValueError at " in error and "jane" not in error for error in errors)
    assert bench.value("SELECT COUNT(*) FROM run_streams WHERE state = 'failed'") == 2
    assert bench.all("SELECT state FROM runs") == [("partial",)]


async def test_nothing_readable_is_a_failure(bench: Bench) -> None:
    report = await bench.sync(ScriptedSource({ACCOUNTS: [RetryableError("time-out")]}))
    assert report.state == "failed"
    assert (await bench.sync()).state == "done"


@pytest.mark.parametrize("end", [SystemExit(3), asyncio.CancelledError(), BaseException()], ids=["exit", "cancel", "base"])
async def test_a_plugin_cannot_end_the_run(bench: Bench, end: BaseException) -> None:
    report = await bench.sync(ScriptedSource({ACCOUNTS: [end]}), ScriptedSource({ACCOUNTS: pages("a")}))
    assert [result.state for result in report.streams] == ["failed", "done"]


async def test_what_is_no_iterator_or_no_batch_fails_the_stream(bench: Bench) -> None:
    class Odd(ScriptedSource):
        def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
            return [Batch()]  # type: ignore[return-value]

    assert "asynchronous iterator" in str((await bench.fails(Odd({ACCOUNTS: []}))).error)
    result = await bench.fails(ScriptedSource({ACCOUNTS: [*pages("a"), None]}))  # type: ignore[list-item]
    assert "not a Batch" in str(result.error)
    assert bench.ids() == ["a"]


# --- order ---------------------------------------------------------------------------------------------------------------


async def test_a_stream_waits_for_what_it_depends_on(bench: Bench) -> None:
    later = msgspec.structs.replace(TICKETS, depends_on=("accounts",))
    order: list[str] = []

    async def accounts(request: ReadRequest) -> AsyncIterator[Batch]:
        for _ in range(10):
            await asyncio.sleep(0)
        order.append("accounts")
        yield Batch(records=[account("a")])

    async def tickets(request: ReadRequest) -> AsyncIterator[Batch]:
        order.append("tickets")
        yield Batch(records=[ticket("t")])

    await bench.sync(ScriptedSource({later: tickets, ACCOUNTS: accounts}))
    assert order == ["accounts", "tickets"]

    failing = ScriptedSource({later: tickets, ACCOUNTS: [RetryableError("down")]})
    report = await bench.sync(failing, select=[("one", "tickets")])  # what it depends on is read, too
    assert [(result.stream, result.state) for result in report.streams] == [("tickets", "skipped"), ("accounts", "failed")]
    assert report.streams[0].note == "needs accounts, which did not end well"


async def test_only_what_is_selected_is_read_in_full(bench: Bench) -> None:
    later = msgspec.structs.replace(TICKETS, depends_on=("accounts",))
    source = ScriptedSource({ACCOUNTS: pages("a"), later: [Batch(records=[ticket("t")], cursor={"v": 1})]})
    await bench.sync(source)
    await bench.sync(source, select=[("one", "tickets")], full=True)
    assert [(request.stream.name, request.cursor) for request in source.requests[2:]] == [
        ("accounts", {"after": "a"}), ("tickets", None),
    ]  # fmt: skip


async def test_impossible_dependencies_are_named(bench: Bench) -> None:
    round_ = [
        msgspec.structs.replace(TICKETS, depends_on=("invoices",)),
        msgspec.structs.replace(INVOICES, depends_on=("tickets",)),
    ]
    astray = msgspec.structs.replace(ACCOUNTS, depends_on=("nowhere",))
    report = await bench.sync(ScriptedSource({stream: [Batch()] for stream in [*round_, astray]}))
    assert [result.state for result in report.streams] == ["failed"] * 3
    errors = {result.stream: str(result.error) for result in report.streams}
    assert "nowhere" in errors["accounts"]
    assert "wait" in errors["tickets"]


async def test_selection(bench: Bench) -> None:
    def source() -> ScriptedSource:
        return ScriptedSource({ACCOUNTS: pages("a"), TICKETS: [Batch(records=[ticket("t")])]})

    report = await bench.sync(source(), source(), select=[("one", "tickets"), ("two", None)])
    assert [(result.instance, result.stream) for result in report.streams] == [
        ("one", "tickets"), ("two", "accounts"), ("two", "tickets"),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no source 'ten'"):
        await bench.sync(source(), select=[("ten", None)])
    with pytest.raises(ConfigError, match="accounts, tickets"):
        await bench.sync(source(), select=[("one", "ticket")])


async def test_two_streams_of_one_name_are_refused(bench: Bench) -> None:
    async with running(bench.store, "sync") as run:
        from wellkept.pipeline.sync import sync

        sources: dict[str, Sequence[Source]] = {"one": [ScriptedSource({ACCOUNTS: pages("a")}), ScriptedSource({ACCOUNTS: []})]}
        report = await sync(bench.store, bench.tables, sources, run=run, clock=bench.clock, freshness=bench.freshness)
    assert {(result.stream, result.state) for result in report.streams} == {("accounts", "done"), ("*", "failed")}


# --- hanging -------------------------------------------------------------------------------------------------------------


async def test_a_hanging_stream_is_ended_and_named(bench: Bench, clock: FakeClock) -> None:
    closed = False

    async def hang(request: ReadRequest) -> AsyncIterator[Batch]:
        nonlocal closed
        try:
            yield Batch(records=[account("a")], cursor={"after": "a"})
            clock.advance(1000)
            await asyncio.Event().wait()
        finally:
            closed = True

    report = await bench.sync(ScriptedSource({ACCOUNTS: hang, TICKETS: [Batch(records=[ticket("t")])]}), silence=900)
    results = {result.stream: result for result in report.streams}
    assert results["tickets"].state == "done"
    assert results["accounts"].state == "failed"
    assert results["accounts"].error == "the source hangs: it gave no answer for 900 s"
    assert isinstance(results["accounts"].failure, RetryableError)  # never counts towards the breaker
    assert bench.ids() == ["a"]
    assert bench.cursor() == {"after": "a"}
    assert closed


async def test_a_plugin_that_ignores_its_cancellation_is_left_behind(bench: Bench, clock: FakeClock) -> None:
    release, left = asyncio.Event(), asyncio.Event()

    async def stubborn(request: ReadRequest) -> AsyncIterator[Batch]:
        clock.advance(1000)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        yield Batch(records=[account("late")], cursor={"after": "late"})

    async def others(request: ReadRequest) -> AsyncIterator[Batch]:
        await left.wait()
        release.set()  # it comes back while the run goes on
        for _ in range(50):
            await asyncio.sleep(0.001)
        yield Batch(records=[ticket("t")])

    needy = msgspec.structs.replace(INVOICES, depends_on=("accounts",))
    source = ScriptedSource({ACCOUNTS: stubborn, TICKETS: others, needy: [Batch()]})
    report = await bench.sync(source, silence=900, observe=lambda event: left.set() if event.stream == "accounts" else None)
    results = {result.stream: result for result in report.streams}
    assert (results["tickets"].state, results["invoices"].state) == ("done", "skipped")
    assert "left behind" in str(results["accounts"].note)
    assert bench.ids() == []  # whatever it still does is nobody's business
    assert bench.all("SELECT state FROM run_streams WHERE stream = 'accounts'") == [("failed",)]


async def test_the_time_of_a_run_can_be_limited(bench: Bench, clock: FakeClock) -> None:
    async def endless(request: ReadRequest) -> AsyncIterator[Batch]:
        page = (request.cursor or {"page": 0})["page"]
        while True:
            page += 1
            clock.advance(30)
            yield Batch(records=[account(f"{page:05}")], cursor={"page": page})
            await asyncio.sleep(0.001)

    result = await bench.fails(ScriptedSource({ACCOUNTS: endless}), time_limit=600)
    assert "time of this run is up" in str(result.error)
    read = bench.cursor()["page"]
    assert len(bench.ids()) == read  # everything that came was kept, and the next run goes on there


# --- leases --------------------------------------------------------------------------------------------------------------


async def test_a_process_that_was_replaced_commits_nothing(bench: Bench, clock: FakeClock) -> None:
    async def slow(request: ReadRequest) -> AsyncIterator[Batch]:
        yield Batch(records=[account("a")], cursor={"after": "a"})
        clock.advance(runs.LEASE_SECONDS + 1)  # paused: no heartbeat for so long
        other = await runs.start(bench.store, "sync")
        await bench.store.write(lambda tx: runs.finish(tx, other, clock.now()))
        yield Batch(records=[account("b")], cursor={"after": "b"}, complete=True)

    with pytest.raises(LeaseLostError):
        await bench.sync(ScriptedSource({ACCOUNTS: slow, TICKETS: [Batch(records=[ticket("t")])]}))
    assert bench.ids() == []
    assert bench.cursor() is None
    assert [state for (state,) in bench.all("SELECT state FROM runs ORDER BY id")] == ["interrupted", "done"]


async def test_one_run_at_a_time(bench: Bench) -> None:
    async with running(bench.store, "sync"):
        with pytest.raises(RunUnderWayError, match="is working on the store"):
            await bench.sync(ScriptedSource({ACCOUNTS: pages("a")}))
    assert (await bench.sync(ScriptedSource({ACCOUNTS: pages("a")}))).state == "done"


# --- the breaker's callbacks, events ------------------------------------------------------------------------------------


async def test_the_gate_is_asked_before_anything_is_read(bench: Bench) -> None:
    def gate(instance: str) -> Allowed | Refused:
        if instance == "one":
            return Refused("paused", "the key was refused", "put a new one")
        return Allowed(check_first=False)

    one, two = ScriptedSource({ACCOUNTS: pages("a"), TICKETS: []}), ScriptedSource({ACCOUNTS: pages("b")})
    told: list[Any] = []
    report = await bench.sync(one, two, gate=gate, on_result=lambda instance, error: told.append((instance, error)))
    assert [result.state for result in report.streams] == ["skipped", "skipped", "done"]
    assert report.streams[0].note == "paused: the key was refused (put a new one)"
    assert one.requests == []
    assert told == [("two", None)]
    assert report.state == "partial"


async def test_a_gate_that_cannot_find_out_fails_its_instance(bench: Bench) -> None:
    async def gate(instance: str) -> Allowed | Refused:
        await asyncio.sleep(0)
        if instance == "one":
            raise RetryableError("the vendor cannot be reached")
        return Allowed(check_first=False)

    told: dict[str, Any] = {}
    report = await bench.sync(
        ScriptedSource({ACCOUNTS: pages("a")}), ScriptedSource({ACCOUNTS: pages("b")}), gate=gate, on_result=told.__setitem__
    )
    assert [result.state for result in report.streams] == ["failed", "done"]
    assert str(told["one"]) == "the vendor cannot be reached"


async def test_what_the_breaker_is_told(bench: Bench) -> None:
    told: list[tuple[str, Any]] = []

    async def on_result(instance: str, error: Any) -> None:
        await asyncio.sleep(0)
        told.append((instance, type(error)))

    refused = ScriptedSource({ACCOUNTS: [CredentialsError("401")], TICKETS: [Batch(records=[ticket("t")])]})
    mixed = ScriptedSource({ACCOUNTS: [RetryableError("down")], TICKETS: [FatalError("nonsense")]})
    lucky = ScriptedSource({ACCOUNTS: [FatalError("nonsense")], TICKETS: [Batch(records=[ticket("t")])]})
    await bench.sync(refused, mixed, lucky, on_result=on_result)
    assert sorted(told, key=str) == [("one", CredentialsError), ("three", type(None)), ("two", FatalError)]


async def test_observers_are_told_and_cannot_harm(bench: Bench) -> None:
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        raise RuntimeError

    report = await bench.sync(ScriptedSource({ACCOUNTS: pages("a"), TICKETS: [FatalError("nonsense")]}), observe=observe)
    assert report.state == "partial"
    assert [(event.stream, event.state, event.reason, event.counts.get("read")) for event in events] == [
        ("tickets", "failed", "nonsense", 0),
        ("accounts", "done", None, 1),
    ]


# --- what the source hands over -----------------------------------------------------------------------------------------


async def test_a_source_may_use_its_lists_and_cursor_again(bench: Bench) -> None:
    async def thrifty(request: ReadRequest) -> AsyncIterator[Batch]:
        rows: list[Account] = []
        cursor: dict[str, Any] = {}
        for id_ in "abc":
            rows[:] = [account(id_)]
            cursor["after"] = id_
            yield Batch(records=rows, cursor=cursor)
        rows.clear()
        cursor.clear()

    assert (await bench.one(ScriptedSource({ACCOUNTS: thrifty}))).state == "done"
    assert bench.ids() == ["a", "b", "c"]
    assert bench.cursor() == {"after": "c"}


async def test_deletions_come_in_order_with_rows(bench: Bench) -> None:
    script = [
        Batch(records=[account("a"), account("b")]),
        Batch(deletions=[Deletion(record=Account, id="a", version=2)]),
        Batch(records=[account("b", version=2, name="B"), account("a", version=1)]),
    ]
    result = await bench.one(ScriptedSource({ACCOUNTS: script}))
    assert bench.ids() == ["b"]
    assert result.deleted == 1


async def test_rows_that_ride_along_stay_with_their_stream(bench: Bench) -> None:
    source = ScriptedSource({ACCOUNTS: pages("a"), msgspec.structs.replace(TICKETS, depends_on=("accounts",)): [
        Batch(records=[ticket("t", account_ref="a"), account("a", name="Acme Inc", version=2), account("n")])
    ]})  # fmt: skip
    await bench.sync(source)
    assert bench.all("SELECT id, stream, name FROM r_account ORDER BY id") == [
        ("a", "accounts", "Acme Inc"), ("n", "tickets", "Acme"),
    ]  # fmt: skip


async def test_foreign_rows_are_put_aside(bench: Bench) -> None:
    invoice = Invoice(id="i", version=1, account_ref="a", status="open", currency="usd", amount_due=1)
    result = await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a"), invoice, account("b")])]}))
    assert (result.state, result.rejected, bench.ids(), bench.ids(Invoice)) == ("partial", 1, ["a", "b"], [])
    assert bench.letters()[0].reason == "invoice: the stream does not declare this type"
    gone = Deletion(record=Invoice, id="i", version=1)
    assert "does not declare" in str((await bench.fails(ScriptedSource({ACCOUNTS: [Batch(deletions=[gone])]}))).error)
