"""A backup is whole, sound, never overwrites, and is recognised when it comes back."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import StoreError
from wellkept.store import Store, open_store
from wellkept.store.backup import backup, mark_restored
from wellkept.testing import FakeClock


def put(store: Store, key: str) -> None:
    store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES (?, 'x')", (key,)))


def meta(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, value FROM meta").fetchall())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "copy.db"


def test_a_backup_of_a_store_in_use_is_one_whole_file(file_store: Store, target: Path, clock: FakeClock) -> None:
    put(file_store, "before")
    with file_store.read():
        backup(file_store.path, target, clock=clock)
    put(file_store, "after")
    assert meta(target) == {"before": "x", "backup_at": str(clock.now())}
    assert [path.name for path in target.parent.iterdir()] == ["copy.db"]
    assert meta(file_store.path).keys() == {"before", "after"}


def test_a_backup_is_one_instant_while_others_write(file_store: Store, target: Path) -> None:
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            file_store.write_now(
                lambda tx, number=number: tx.many(
                    "INSERT INTO meta (key, value) VALUES (?, 'x')", [(f"a{number}",), (f"b{number}",)]
                )
            )
            number += 1
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    for number in range(3):
        backup(file_store.path, target.with_name(f"{number}.db"))
    stop.set()
    writer.join()
    for number in range(3):
        found = meta(target.with_name(f"{number}.db"))
        assert {key[1:] for key in found if key[0] == "a"} == {key[1:] for key in found if key[0] == "b" and key != "backup_at"}


def test_a_backup_never_overwrites(file_store: Store, target: Path) -> None:
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        backup(file_store.path, target)
    assert target.read_text() == "precious"
    with pytest.raises(StoreError, match="exists already"):
        backup(file_store.path, file_store.path)


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    file_store: Store, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: False if self == target else exists(self))
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        backup(file_store.path, target)
    assert target.read_text() == "precious"
    assert [path.name for path in target.parent.iterdir()] == ["copy.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
def test_a_backup_is_for_its_owner_alone(file_store: Store, target: Path) -> None:
    backup(file_store.path, target)
    assert target.stat().st_mode & 0o077 == 0


def test_a_backup_never_overwrites_where_there_are_no_links(
    file_store: Store, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    backup(file_store.path, target)
    before = target.read_bytes()
    with pytest.raises(StoreError, match="exists already"):
        backup(file_store.path, target)
    assert target.read_bytes() == before


def test_a_damaged_store_gives_no_backup(file_store: Store, target: Path) -> None:
    put(file_store, "a-key-that-its-index-knows")
    file_store.close()
    data = file_store.path.read_bytes()
    assert data.count(b"a-key-that-its-index-knows") == 2
    file_store.path.write_bytes(data.replace(b"a-key-that-its-index-knows", b"a-key-that-its-index-never", 1))
    with pytest.raises(StoreError, match="is damaged, so its copy is worth nothing: "):
        backup(file_store.path, target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"I am a letter, not a database.\n" * 99])
def test_what_is_no_store_gives_no_backup(tmp_path: Path, target: Path, content: bytes | None) -> None:
    path = tmp_path / "nothing.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"(there is no store|not a Wellkept store|not a database)"):
        backup(path, target)
    assert list(target.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(file_store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing.copy\.db: cannot be written"):
        backup(file_store.path, tmp_path / "missing" / "copy.db")


def test_a_store_that_came_from_a_backup_knows_it(file_store: Store, target: Path, clock: FakeClock) -> None:
    backup(file_store.path, target, clock=clock)
    clock.advance(60)
    with closing(open_store(target, clock)) as restored:
        put(restored, "works")
    assert meta(target) == {"works": "x", "restored_at": str(clock.now())}
    clock.advance(60)
    open_store(target, clock).close()
    assert meta(target)["restored_at"] == str(clock.now() - 60_000)
    assert "restored_at" not in meta(file_store.path)


def test_a_restore_by_other_means_can_be_noted(store: Store) -> None:
    store.write_now(lambda tx: mark_restored(tx, 5))
    store.write_now(lambda tx: mark_restored(tx, 6))
    with store.read() as reader:
        assert reader.all("SELECT value FROM meta WHERE key = 'restored_at'") == [("6",)]
