"""Cursors: stuck ones, expired ones, those that must not be stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sync.conftest import ACCOUNTS, Bench, ScriptedSource, account

from wellkept.errors import CursorExpiredError, FatalError, RetryableError, StuckCursorError
from wellkept.redact import REDACTOR
from wellkept.source import Batch, ReadRequest
from wellkept.store import cursors


async def test_a_stuck_cursor_ends_the_stream(bench: Bench) -> None:
    async def stuck(request: ReadRequest) -> AsyncIterator[Batch]:
        while True:
            yield Batch(records=[account("a")], cursor={"after": "a"})

    result = await bench.fails(ScriptedSource({ACCOUNTS: stuck}))
    assert isinstance(result.failure, StuckCursorError)
    assert bench.ids() == ["a"]
    assert bench.cursor() == {"after": "a"}


async def test_a_circle_of_cursors_ends_the_stream(bench: Bench) -> None:
    async def circle(request: ReadRequest) -> AsyncIterator[Batch]:
        yield Batch(records=[account("start")], cursor={"page": "start"})
        while True:
            for page in range(5):
                yield Batch(records=[account(str(page))], cursor={"page": page})

    result = await bench.fails(ScriptedSource({ACCOUNTS: circle}))
    assert isinstance(result.failure, StuckCursorError)
    assert result.read < 40


async def test_cursors_that_stand_still_without_harm(bench: Bench) -> None:
    """A look-back brings rows again and ends where the read began; an empty page may repeat its cursor."""
    script = [Batch(records=[account("a")], cursor={"since": 5}), Batch(cursor={"since": 5}), Batch(cursor={"since": 5})]
    assert (await bench.one(ScriptedSource({ACCOUNTS: script}))).state == "done"
    assert (await bench.one(ScriptedSource({ACCOUNTS: script}))).state == "done"


async def test_an_expired_cursor_is_announced_and_everything_read_again(bench: Bench, clock: Any) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a"), account("b")], cursor={"v": 1}, complete=True)]}))
    clock.advance(60)
    notes: list[Any] = []

    async def expiring(request: ReadRequest) -> AsyncIterator[Batch]:
        if request.cursor is not None:
            yield Batch(records=[account("c")], cursor={"v": 2})
            raise CursorExpiredError("too old")
        notes.extend(bench.all("SELECT note FROM run_streams WHERE state = 'running'"))
        assert bench.cursor() is None
        yield Batch(
            records=[account("a"), account("c"), account("d"), account("e"), account("f")], cursor={"v": 9}, complete=True
        )

    source = ScriptedSource({ACCOUNTS: expiring})
    result = await bench.one(source, freshness=bench.freshness.model_copy(update={"max_deleted_share": 1.0}))
    assert [request.cursor for request in source.requests] == [{"v": 1}, None]
    assert result.state == "done"
    assert notes == [(result.note,)]  # on record while the long read runs
    assert result.note == "everything is read again: too old"
    assert bench.ids() == ["a", "c", "d", "e", "f"]
    assert bench.cursor() == {"v": 9}
    assert bench.state().generation == 2


async def test_a_cursor_that_expires_again_fails_the_stream(bench: Bench) -> None:
    await bench.one(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], cursor={"v": 1})]}))
    source = ScriptedSource({ACCOUNTS: [CursorExpiredError("too old")]})
    assert (await bench.fails(source)).error == "too old"
    assert len(source.requests) == 2
    await bench.fails(ScriptedSource({ACCOUNTS: [RetryableError("down")]}))
    assert bench.ids() == ["a"]


@pytest.mark.parametrize(
    "cursor",
    [{"at": object()}, {"t": {1, 2}}, {"b": b"x"}, {1: 2}, {"n": float("nan")}, {"long": "x" * 70_000}, {"\ud800": 1}],
    ids=["object", "set", "bytes", "key", "nan", "long", "surrogate"],
)
async def test_a_cursor_must_be_plain(bench: Bench, cursor: Any) -> None:
    script = [Batch(records=[account("a")], cursor={"v": 1}), Batch(records=[account("b")], cursor=cursor)]
    result = await bench.fails(ScriptedSource({ACCOUNTS: script}))
    assert isinstance(result.failure, FatalError)
    assert (bench.ids(), bench.cursor()) == (["a"], {"v": 1})


SECRETS: list[dict[str, Any]] = [
    {"api_key": "abc"},
    {"next": {"Authorization": "x"}},
    {"pages": [{"refresh-token": "x"}]},
    {"after": "sk_live_abcdefghijkl"},
    {"header": "Bearer abcdefghijkl"},
    {"next": "https://user:pass@example.com/page/2"},
    {"next": "https://example.com/page?access_token=abc"},
    {"next": "https://example.com/page?starting_after=hunter2hunter2"},
]


@pytest.mark.parametrize("cursor", SECRETS, ids=map(str, range(len(SECRETS))))
async def test_a_cursor_must_not_hold_a_secret(bench: Bench, cursor: dict[str, Any]) -> None:
    REDACTOR.register("hunter2hunter2")
    result = await bench.fails(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], cursor=cursor)]}))
    assert "looks like a secret" in str(result.error)
    assert not any(value in str(result.error) for value in ("abc", "hunter2", "pass@"))
    assert bench.cursor() is None
    assert bench.ids() == []


@pytest.mark.parametrize(
    "cursor",
    [
        {"page_token": "CAUSDAoKMTIzNDU2Nzg5MA"},
        {"next": "https://example.com/api?page[token]=eyJvIjoiaWQifQ&per_page=100"},
        {"after": 4532015112830366},
        {"after": "4532015112830366"},
        {"after": "jane@example.com"},
        {"since": 1_795_219_200_000, "seen": ["a", "b"], "done": False, "ratio": 0.5, "x": None},
    ],
)
def test_page_tokens_are_no_secrets(cursor: dict[str, Any]) -> None:
    cursors.refuse_secrets(cursors.encode(cursor))


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json, max_size=4))
def test_encoded_cursors_are_equal_when_the_cursors_are(cursor: dict[str, Any]) -> None:
    text = cursors.encode(cursor)
    import msgspec

    assert msgspec.json.decode(text) == cursor
    assert cursors.encode(dict(reversed(cursor.items()))) == text


async def test_tuples_in_a_cursor_come_back_as_lists(bench: Bench) -> None:
    source = ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], cursor={"place": (1, ("x", None))})]})
    assert (await bench.one(source)).state == "done"
    assert bench.cursor() == {"place": [1, ["x", None]]}


@pytest.mark.parametrize(
    ("cursor", "told"),
    [
        ({"seen": [{"at": {"a set"}}]}, "the cursor is not plain JSON: set at `seen[...].at`"),
        ({"at": datetime(2026, 11, 22, tzinfo=UTC)}, "the cursor is not plain JSON: datetime at `at`"),
        ({"of": {7: "x"}}, "the cursor is not plain JSON: int as a key at `of`"),
        ({"share": float("nan")}, "the cursor is not plain JSON: float at `share`"),
    ],
)
async def test_what_a_cursor_cannot_hold_is_named_with_its_place(bench: Bench, cursor: Any, told: str) -> None:
    result = await bench.fails(ScriptedSource({ACCOUNTS: [Batch(records=[account("a")], cursor=cursor)]}))
    assert str(result.error).startswith(told)
