"""Dead letters: a bad row alone is put aside, counted, and resolved when it comes well after all."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.sync.conftest import ACCOUNTS, TICKETS, Bench, ScriptedFetcher, ScriptedSource, account, ticket

from wellkept.errors import ConfigError, FatalError, RejectedError, RetryableError
from wellkept.pipeline import letters
from wellkept.records import Account, Record, Ticket
from wellkept.source import Batch, Deletion, Reject, Stream
from wellkept.store import dead_letters
from wellkept.store.runs import running
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

BAD = Reject(raw=b'{"id": "b", "name": 5}', reason="Expected `str`, got `int` - at `$.name`", id="b")
NAMELESS = Reject(raw=b"\xff\xfe", reason="not UTF-8")


async def retry(bench: Bench, source: Any, *seqs: int) -> Any:
    async with running(bench.store, "sync") as run:
        return await letters.retry(
            bench.store, bench.tables, {"one": source}, seqs, run=run, clock=bench.clock, freshness=bench.freshness, tick=0.01
        )


async def test_a_bad_row_does_not_stop_its_page(bench: Bench, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    batch = Batch(records=[account("a"), account("c")], rejects=[BAD], cursor={"after": "c"})
    result = await bench.one(ScriptedSource({ACCOUNTS: [batch]}))
    assert (result.state, result.read, result.rejected) == ("partial", 3, 1)
    assert (bench.ids(), bench.cursor()) == (["a", "c"], {"after": "c"})
    (letter,) = bench.letters()
    assert (letter.instance, letter.stream, letter.record_id, letter.reason) == ("one", "accounts", "b", BAD.reason)
    assert (letter.first_at, letter.count, letter.size) == (clock.now(), 1, len(BAD.raw))
    with bench.store.read() as reader:
        assert dead_letters.raw(reader, letter.seq) == BAD.raw
        assert dead_letters.counts(reader) == {("one", "accounts"): 1}
    assert bench.all("SELECT state, rejected FROM run_streams") == [("partial", 1)]
    assert BAD.raw.decode() not in caplog.text


async def test_the_same_bytes_are_one_letter(bench: Bench, clock: FakeClock) -> None:
    for _ in range(3):
        await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD, NAMELESS])]}))
        clock.advance(60)
    assert [(letter.record_id, letter.count) for letter in bench.letters()] == [("b", 3), (None, 3)]
    assert bench.letters()[0].last_at - bench.letters()[0].first_at == 120_000


async def test_letters_without_bytes_are_told_apart(bench: Bench) -> None:
    rejects = [Reject(raw=b"", reason=reason, id=id_) for reason in ("x", "y") for id_ in ("a", "b", None)]
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=rejects)]}))
    assert len(bench.letters()) == 6


async def test_a_letter_is_resolved_when_its_row_is_stored(bench: Bench) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD, NAMELESS])]}))
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a"), account("b")])]}))
    assert [letter.record_id for letter in bench.letters()] == [None]
    assert [letter.state for letter in bench.letters(state=None)] == ["resolved", "open"]
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD])]}))  # and opens again
    assert [(letter.record_id, letter.count) for letter in bench.letters()] == [("b", 2), (None, 1)]
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(deletions=[Deletion(record=Account, id="b", version=9)])]}))
    assert [letter.record_id for letter in bench.letters()] == [None]


async def test_another_streams_row_resolves_nothing(bench: Bench) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD])]}))
    await bench.sync(ScriptedSource({TICKETS: [Batch(records=[ticket("b")])]}))
    assert len(bench.letters()) == 1


async def test_a_complete_read_resolves_what_no_longer_comes(bench: Bench, clock: FakeClock) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], rejects=[BAD, NAMELESS], complete=True)]}))
    clock.advance(60)
    script = [Batch(records=[account("a")], rejects=[BAD], complete=True)]
    await bench.one(ScriptedSource({ACCOUNTS: script}), full=True)
    assert [letter.record_id for letter in bench.letters()] == ["b"]


async def test_a_dropped_letter_stays_dropped(bench: Bench) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD])]}))
    (letter,) = bench.letters()
    assert await bench.store.write(lambda tx: dead_letters.drop(tx, [letter.seq, 99])) == 1
    result = await bench.one(ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD])]}))
    assert result.state == "partial"  # the run says so all the same
    assert bench.letters() == []
    assert [(one.state, one.count) for one in bench.letters(state=None)] == [("dropped", 2)]


async def test_listing(bench: Bench) -> None:
    source = ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD])], TICKETS: [Batch(rejects=[BAD, NAMELESS])]})
    await bench.sync(source, ScriptedSource({ACCOUNTS: [Batch(rejects=[BAD])]}))
    every = bench.letters()
    assert len(every) == 4
    assert bench.letters(limit=2) == every[:2]
    assert bench.letters(after=every[1].seq) == every[2:]
    assert {letter.stream for letter in bench.letters(instance="one", stream="tickets")} == {"tickets"}


# --- rows that the store refuses -----------------------------------------------------------------------------------------


def _bad(id_: Any = "bad", **fields: Any) -> Account:
    return Account(id=id_, version=fields.pop("version", 1), **fields)


@pytest.mark.parametrize(
    "bad",
    [
        _bad(seats_bought="many"),
        _bad(seats_bought=2**70),
        _bad(name="\ud800"),
        _bad(name=object()),
        _bad(extra={"x": object()}),
        _bad(version="new"),
        _bad(id_="\ud800"),
    ],
    ids=["text", "large", "surrogate", "object", "extra", "version", "id"],
)
@pytest.mark.parametrize("place", [0, 7, 14])
async def test_a_row_that_the_store_refuses_is_put_aside_alone(bench: Bench, bad: Account, place: int) -> None:
    good = [account(f"{n:02}") for n in range(14)]
    records = [*good[:place], bad, *good[place:]]
    result = await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=records, cursor={"v": 1})]}))
    assert bench.ids() == [record.id for record in good]
    assert (result.state, result.inserted, result.rejected) == ("partial", 14, 1)
    assert bench.cursor() == {"v": 1}
    (letter,) = bench.letters()
    assert letter.reason.startswith("account: ")
    assert letter.record_id == (None if bad.id == "\ud800" else "bad")


async def test_bad_rows_of_several_types(bench: Bench) -> None:
    records: list[Record] = [ticket("a"), _bad(seats_bought="x"), ticket("b", reopens="y"), account("c"), ticket("d")]
    result = await bench.one(ScriptedSource({TICKETS: [Batch(records=records)]}))
    assert (bench.ids(Ticket), bench.ids()) == (["a", "d"], ["c"])
    assert result.rejected == 2


async def test_a_deletion_that_cannot_be_stored(bench: Bench) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a"), account("b")])]}))
    gone = [Deletion(record=Account, id="a", version=2), Deletion(record=Account, id="b", version="new")]  # type: ignore[arg-type]
    result = await bench.one(ScriptedSource({ACCOUNTS: [Batch(deletions=gone)]}))
    assert (result.state, result.deleted, result.rejected, bench.ids()) == ("partial", 1, 1, ["b"])
    assert bench.letters()[0].reason.startswith("deletion of account: ")


async def test_a_reject_may_be_broken_itself(bench: Bench) -> None:
    odd = Reject(raw=memoryview(b"{"), reason="bad \ud800", id="\ud800")  # type: ignore[arg-type]
    result = await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], rejects=[odd])]}))
    assert (result.state, bench.ids()) == ("partial", ["a"])
    assert [(letter.record_id, letter.reason) for letter in bench.letters()] == [(None, "bad ?")]


# --- once more -----------------------------------------------------------------------------------------------------------


async def test_retrying_fetches_the_rows(bench: Bench) -> None:
    source = ScriptedFetcher({ACCOUNTS: [Batch(rejects=[BAD, Reject(raw=b"2", reason="bad", id="z")])]})
    await bench.one(source)
    source.objects["b"] = account("b")
    report = await retry(bench, source, *(letter.seq for letter in bench.letters()))
    assert source.calls == [["b", "z"]]
    assert bench.ids() == ["b"]
    assert [letter.record_id for letter in bench.letters()] == ["z"]
    assert (report.state, report.streams[0].note) == ("partial", "1 of 2 dead letters are resolved")


async def test_one_row_that_fails_for_good_does_not_stop_the_others(bench: Bench) -> None:
    rejects = [Reject(raw=id_.encode(), reason="bad", id=id_) for id_ in "abcde"]
    source = ScriptedFetcher({ACCOUNTS: [Batch(rejects=rejects)]})
    await bench.one(source)

    async def fetching(stream: Stream, ids: Any) -> Batch:
        if "c" in ids:
            raise RejectedError("no such row")
        return Batch(records=[account(id_) for id_ in ids])

    source.fetching = fetching
    report = await retry(bench, source, *(letter.seq for letter in bench.letters()))
    assert bench.ids() == ["a", "b", "d", "e"]
    assert report.state == "partial"


async def test_a_retry_that_cannot_be_made_now(bench: Bench) -> None:
    source = ScriptedFetcher({ACCOUNTS: [Batch(rejects=[BAD])]})
    await bench.one(source)

    async def fetching(stream: Stream, ids: Any) -> Batch:
        raise RetryableError("the vendor is down")

    source.fetching = fetching
    report = await retry(bench, source, bench.letters()[0].seq)
    assert (report.state, report.streams[0].error) == ("failed", "the vendor is down")
    assert len(bench.letters()) == 1


@pytest.mark.parametrize("kind", [ScriptedSource, ScriptedFetcher])
async def test_what_cannot_be_fetched_makes_the_next_read_full(bench: Bench, clock: FakeClock, kind: Any) -> None:
    source = kind({ACCOUNTS: [Batch(records=[account("a")], rejects=[NAMELESS], cursor={"v": 1})]})
    await bench.one(source)
    report = await retry(bench, source, bench.letters()[0].seq)
    assert "the next sync of the stream is a full read" in str(report.streams[0].note)
    source.scripts[ACCOUNTS] = [Batch(records=[account("a"), account("b")], cursor={"v": 2}, complete=True)]
    clock.advance(60)
    result = await bench.one(source)
    assert source.requests[-1].cursor is None
    assert result.note == "everything is read again, for 1 dead letters"
    assert (bench.ids(), bench.letters()) == (["a", "b"], [])
    await bench.one(source)
    assert source.requests[-1].cursor == {"v": 2}  # once is enough


async def test_only_open_letters_of_known_streams_can_be_retried(bench: Bench) -> None:
    source = ScriptedFetcher({ACCOUNTS: [Batch(rejects=[BAD])]})
    await bench.one(source)
    with pytest.raises(ConfigError, match="has the number 77"):
        await retry(bench, source, bench.letters()[0].seq, 77)
    with pytest.raises(ConfigError, match="there is no source 'one'"):
        async with running(bench.store, "sync") as run:
            await letters.retry(bench.store, bench.tables, {}, [bench.letters()[0].seq], run=run, clock=bench.clock,
                                freshness=bench.freshness)  # fmt: skip


async def test_our_own_mistakes_reject_no_rows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no row's fault stops the commit, instead of filling the dead letters."""

    def broken(*_: object, **__: object) -> None:
        raise FatalError("no such table")

    monkeypatch.setattr(bench.tables, "upsert", broken)
    assert (await bench.fails(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], cursor={"v": 1})]}))).rejected == 0
    assert (bench.letters(), bench.cursor()) == ([], None)
