"""Generations: a day read again replaces the day whole, together with the cursor, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.sync.conftest import USAGE, Bench, ScriptedSource, account, use

from wellkept.errors import RetryableError
from wellkept.records import Account, Usage
from wellkept.settings import Freshness
from wellkept.source import Batch, ReadRequest, Reject, Replace
from wellkept.store import runs
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

SMALL = Freshness(anomaly_min_rows=5)


def day_of(day: str, end: str) -> Replace:
    return Replace(record=Usage, field="day", start=day, end=end)


MONDAY = day_of("2026-11-16", "2026-11-17")
TUESDAY = day_of("2026-11-17", "2026-11-18")


def rows(*subjects: str, replaces: Replace = MONDAY, count: int = 1) -> list[Usage]:
    return [use(subject, str(replaces.start), count) for subject in subjects]


def generation(*subjects: str, replaces: Replace = MONDAY, cursor: Any = None, **options: Any) -> Batch:
    return Batch(records=rows(*subjects, replaces=replaces), replaces=replaces, cursor=cursor, **options)


def subjects(bench: Bench, day: str = "2026-11-16") -> list[str]:
    return [
        subject for (subject,) in bench.all("SELECT subject FROM r_usage WHERE day = ? AND deleted = 0 ORDER BY subject", day)
    ]


async def read(bench: Bench, *script: Any, **options: Any) -> Any:
    bench.clock.advance(60)  # type: ignore[attr-defined]
    return await bench.one(ScriptedSource({USAGE: script}), **options)


async def test_a_day_read_again_never_doubles(bench: Bench) -> None:
    await read(bench, generation("a", "b", "c", cursor={"day": 16}), generation("x", replaces=TUESDAY, cursor={"day": 17}))
    result = await read(bench, generation("b", "d", cursor={"day": 16, "again": True}))
    assert (subjects(bench), subjects(bench, "2026-11-17")) == (["b", "d"], ["x"])
    assert (result.inserted, result.unchanged, result.deleted) == (1, 1, 2)
    assert bench.cursor(USAGE) == {"day": 16, "again": True}


async def test_a_generation_in_parts_is_swapped_in_at_its_end(bench: Bench) -> None:
    await read(bench, generation("a", "b"))

    async def script(request: ReadRequest) -> AsyncIterator[Batch]:
        for number in range(45):
            yield generation(*(f"n{number:02}{n:02}" for n in range(100)), last=False)
        assert bench.value("SELECT COUNT(*) FROM staged") >= 2000  # on disk, not in memory
        assert subjects(bench) == ["a", "b"]
        yield generation("b", "z", cursor={"day": 16})

    result = await read_script(bench, script)
    assert (result.state, result.read) == ("done", 4502)
    assert len(subjects(bench)) == 4502
    assert "a" not in subjects(bench)
    assert bench.value("SELECT COUNT(*) FROM staged") == 0


@pytest.mark.parametrize("last", [True, False], ids=["at once", "staged"])
async def test_rows_of_other_types_are_no_part_of_the_generation(bench: Bench, last: bool) -> None:
    stream = msgspec.structs.replace(USAGE, includes=(Account,))
    batches = [Batch(records=[account("x"), *rows("a")], replaces=MONDAY, last=last)]
    await bench.one(ScriptedSource({stream: [*batches, *([] if last else [generation("b")])]}))
    assert (subjects(bench), bench.ids()) == (["a"] if last else ["a", "b"], ["x"])


async def read_script(bench: Bench, script: Any, **options: Any) -> Any:
    bench.clock.advance(60)  # type: ignore[attr-defined]
    return await bench.one(ScriptedSource({USAGE: script}), **options)


async def test_an_interrupted_generation_starts_again(bench: Bench) -> None:
    await read(bench, generation("a", "b", cursor={"day": 15}))
    result = await read(bench, generation("c", "d", last=False), RetryableError("down"))
    assert result.state == "failed"
    assert (subjects(bench), bench.cursor(USAGE)) == (["a", "b"], {"day": 15})
    assert bench.value("SELECT COUNT(*) FROM staged") == 2
    await read(bench, generation("e", cursor={"day": 16}))  # its leftovers are no part of the next one
    assert subjects(bench) == ["e"]
    assert bench.value("SELECT COUNT(*) FROM staged") == 0


async def test_a_read_that_ends_within_a_generation_failed(bench: Bench) -> None:
    result = await read(bench, generation("a", last=False))
    assert (result.state, subjects(bench)) == ("failed", [])
    assert "within a generation" in result.error


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (Batch(records=rows("b")), "before the generation was ended"),
        (generation("b", replaces=TUESDAY), "before the generation was ended"),
        (generation("b", last=False, cursor={"day": 16}), "within a generation"),
        (generation("b", last=False, complete=True), "within a generation"),
    ],
    ids=["plain", "other", "cursor", "complete"],
)
async def test_a_broken_generation_fails_the_stream(bench: Bench, batch: Batch, words: str) -> None:
    result = await read(bench, generation("a", last=False), batch)
    assert (result.state, subjects(bench)) == ("failed", [])
    assert words in result.error


@pytest.mark.parametrize(
    "replaces",
    [
        Replace(record=Usage, field="day", start="2026-11-16", end=5),
        Replace(record=Usage, field="nothing", start=1, end=5),
        Replace(record=type(account("a")), field="created_at", start=1, end=5),
    ],
    ids=["kinds", "field", "type"],
)
async def test_an_impossible_generation_fails_the_stream(bench: Bench, replaces: Replace) -> None:
    result = await read(bench, Batch(records=rows("a"), replaces=replaces))
    assert result.state == "failed"
    assert result.failure is not None  # the plugin's fault, not the store's
    assert subjects(bench) == []


async def test_rejected_rows_keep_what_is_stored_of_them(bench: Bench) -> None:
    await read(bench, generation("a", "b", "c"))
    bad = rows("b")[0].id
    result = await read(
        bench, generation("a", last=False, rejects=[Reject(raw=b"{", reason="broken", id=bad)]), generation("d")
    )
    assert (result.state, result.rejected, result.deleted) == ("partial", 1, 1)
    assert subjects(bench) == ["a", "b", "d"]


async def test_a_nameless_reject_keeps_everything(bench: Bench) -> None:
    await read(bench, generation("a", "b"))
    result = await read(bench, generation("c", rejects=[Reject(raw=b"{", reason="broken")]))
    assert (result.state, result.deleted, subjects(bench)) == ("partial", 0, ["a", "b", "c"])
    assert "none is removed" in result.note


@pytest.mark.parametrize("last", [True, False], ids=["at once", "staged"])
async def test_one_bad_row_does_not_spoil_a_generation(bench: Bench, last: bool) -> None:
    await read(bench, generation("a", "b", "c"))
    bad = Usage(id=rows("b")[0].id, version=2, subject="b", event="login", day="2026-11-16", count="many")  # type: ignore[arg-type]
    batches = [Batch(records=[*rows("a"), bad, *rows("d")], replaces=MONDAY, last=last)]
    result = await read(bench, *batches, *([] if last else [generation("e")]))
    assert (result.state, result.rejected) == ("partial", 1)
    assert subjects(bench) == ["a", "b", "d"] + ([] if last else ["e"])
    assert bench.letters()[0].record_id == bad.id


async def test_a_day_far_too_small_removes_nothing(bench: Bench, clock: FakeClock) -> None:
    clock.advance(13 * 3600)  # Friday is over everywhere
    days = [day_of(f"2026-11-{day:02}", f"2026-11-{day + 1:02}") for day in range(5, 21)]
    many = [f"s{n}" for n in range(20)]
    for replaces in days:
        assert (await read(bench, generation(*many, replaces=replaces), freshness=SMALL)).state == "done"
    result = await read(bench, generation("s1", "new", replaces=days[-1]), freshness=SMALL)
    assert (result.state, result.deleted) == ("partial", 0)
    assert len(subjects(bench, "2026-11-20")) == 21
    assert bench.state(USAGE).anomaly == "2026-11-20: 2 rows, where about 20 are usual"
    today = day_of("2026-11-21", "2026-11-22")
    result = await read(bench, generation("s1", replaces=today), freshness=SMALL)  # a day that is not over is not judged
    assert (result.state, bench.state(USAGE).anomaly is None) == ("done", False)
    result = await read(bench, generation(*many[:10], replaces=days[-1]), freshness=SMALL)
    assert (result.state, bench.state(USAGE).anomaly, len(subjects(bench, "2026-11-20"))) == ("done", None, 10)
    clock.advance(60)
    result = await read(bench, generation("s1", replaces=days[-1]), freshness=SMALL, accept_deletes=True)
    assert (result.state, result.deleted) == ("done", 9)


async def test_a_generation_and_its_cursor_commit_together(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await read(bench, generation("a", cursor={"day": 15}))

    def broken(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "count_stream", broken)  # the last statement of the commit
        assert (await read(bench, generation("b", cursor={"day": 16}))).state == "failed"
    assert (subjects(bench), bench.cursor(USAGE)) == (["a"], {"day": 15})
