"""Tokens: sealed, bound to their place, and on disk when `put` returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import ConfigError, StoreError
from wellkept.store import Store, Tx, open_store
from wellkept.store.tokens import StoredTokens
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

KEY = "0123456789abcdef-of-tests"
DAY = 86_400_000


def tokens(store: Store, clock: FakeClock, instance: str = "acme", key: str = KEY) -> StoredTokens:
    return StoredTokens(store, clock, instance, lambda: key)


async def test_what_was_put_is_what_is_got(store: Store, store_path: Path, clock: FakeClock) -> None:
    mine = tokens(store, clock)
    assert await mine.get("oauth") is None
    await mine.put("oauth", {"access": "a1", "expires_at": 5})
    await mine.put("oauth", {"access": "a2", "expires_at": 6})
    assert await mine.get("oauth") == {"access": "a2", "expires_at": 6}
    again = open_store(store_path, clock)
    assert await tokens(again, clock).get("oauth") == {"access": "a2", "expires_at": 6}
    again.close()


async def test_instances_and_names_are_apart(store: Store, clock: FakeClock) -> None:
    await tokens(store, clock, "acme").put("one", {"v": 1})
    await tokens(store, clock, "acme").put("two", {"v": 2})
    await tokens(store, clock, "acme-eu").put("one", {"v": 3})
    assert await tokens(store, clock, "acme").get("one") == {"v": 1}
    assert await tokens(store, clock, "acme").get("two") == {"v": 2}
    assert await tokens(store, clock, "acme-eu").get("one") == {"v": 3}


async def test_the_file_holds_nothing_readable(store: Store, store_path: Path, clock: FakeClock) -> None:
    await tokens(store, clock).put("oauth", {"access": "sesame-in-the-file"})
    store.close()
    for path in store_path.parent.iterdir():
        if path.is_file():
            assert b"sesame" not in path.read_bytes()


async def test_the_same_token_never_looks_the_same(store: Store, clock: FakeClock) -> None:
    mine, seen = tokens(store, clock), set()
    for _ in range(5):
        await mine.put("oauth", {"access": "a"})
        with store.read() as reader:
            seen.add(bytes(reader.value("SELECT sealed FROM tokens")))
    assert len(seen) == 5


@pytest.mark.parametrize(("column", "value"), [("instance", "other"), ("name", "other")])
async def test_a_row_moved_to_another_place_does_not_open(store: Store, clock: FakeClock, column: str, value: str) -> None:
    await tokens(store, clock).put("oauth", {"access": "a"})
    store.write_now(lambda tx: tx.execute(f"UPDATE tokens SET {column} = ?", (value,)))
    place = {"instance": "acme", "name": "oauth"} | {column: value}
    with pytest.raises(ConfigError, match="does not open"):
        await tokens(store, clock, place["instance"]).get(place["name"])


async def test_another_key_does_not_open_it(store: Store, clock: FakeClock) -> None:
    await tokens(store, clock).put("oauth", {"access": "sesame"})
    with pytest.raises(ConfigError, match="does not open") as caught:
        await tokens(store, clock, key="another-key-of-the-tests").get("oauth")
    assert "sesame" not in str(caught.value)


async def test_a_row_that_was_tampered_with_does_not_open(store: Store, clock: FakeClock) -> None:
    await tokens(store, clock).put("oauth", {"access": "a"})

    def flip(tx: Tx) -> None:
        sealed = bytearray(tx.value("SELECT sealed FROM tokens"))
        sealed[-1] ^= 1
        tx.execute("UPDATE tokens SET sealed = ?", (bytes(sealed),))

    store.write_now(flip)
    with pytest.raises(ConfigError):
        await tokens(store, clock).get("oauth")


async def test_a_newer_format_is_named(store: Store, clock: FakeClock) -> None:
    await tokens(store, clock).put("oauth", {"access": "a"})
    store.write_now(lambda tx: tx.execute("UPDATE tokens SET sealed = ?", (b"\x09\x00",)))
    with pytest.raises(StoreError, match="newer"):
        await tokens(store, clock).get("oauth")


async def test_a_short_key_is_refused(store: Store, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="fewer than 16"):
        await tokens(store, clock, key="short").put("oauth", {})


async def test_put_is_durable(store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    write = store.write

    async def spy(job: object, *, durable: bool = False) -> object:
        asked.append(durable)
        return await write(job, durable=durable)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write", spy)
    await tokens(store, clock).put("oauth", {})
    assert asked == [True]


@pytest.mark.parametrize(
    ("token", "ends"),
    [
        ({"access": "a", "issued_at": 0, "expires_at": 30 * DAY}, 30 * DAY),
        ({"access": "a", "issued_at": 0, "expires_at": 1800_000}, None),  # renewed by whoever uses it
        ({"access": "a", "refresh": "r", "issued_at": 0, "expires_at": 30 * DAY}, None),  # its refresh token does not end
        ({"access": "a", "refresh": "r", "issued_at": 0, "expires_at": 1, "refresh_expires_at": 90 * DAY}, 90 * DAY),
        ({"access": "a", "refresh": "r", "issued_at": 0, "expires_at": 1, "refresh_expires_at": 14 * DAY}, None),
        ({"access": "a", "issued_at": 0, "expires_at": None}, None),
        ({"access": "a", "expires_at": "soon", "issued_at": None}, None),
    ],
)
async def test_when_a_token_ends_that_a_person_must_renew(
    store: Store, clock: FakeClock, token: dict[str, Any], ends: int | None
) -> None:
    mine = tokens(store, clock)
    await mine.put("oauth", token)
    await mine.put("other", {"access": "b"})
    await tokens(store, clock, "desk").put("oauth", {"access": "c", "issued_at": 0, "expires_at": 20 * DAY})
    with store.read() as reader:
        assert mine.ends_at(reader, 14 * DAY) == ends


async def test_the_first_token_counts_and_one_that_does_not_open_hides_no_other(store: Store, clock: FakeClock) -> None:
    mine = tokens(store, clock)
    for name, days in (("later", 60), ("first", 40)):
        await mine.put(name, {"access": "a", "issued_at": 0, "expires_at": days * DAY})
    await tokens(store, clock, key="another key of this length").put("sealed otherwise", {"access": "b"})
    sql = "INSERT INTO tokens (instance, name, sealed, updated_at) VALUES ('acme', 'of a newer program', ?, 0)"
    store.write_now(lambda tx: tx.execute(sql, (b"\x09",)))
    with store.read() as reader:
        assert mine.ends_at(reader, 14 * DAY) == 40 * DAY
