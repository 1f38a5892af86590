"""A backup comes back whole or not at all, what stood there before is kept, and planned effects are held."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.errors import StoreError
from wellkept.store import audit, claims, locks, open_store
from wellkept.store.backup import backup
from wellkept.store.restore import restore, verify
from wellkept.testing import FakeClock

pytestmark = pytest.mark.file


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path, clock: FakeClock) -> Path:
    """A store with an effect that is planned."""
    path = tmp_path / "store" / "wellkept.db"
    with closing(open_store(path, clock)) as store:
        store.write_now(
            lambda tx: tx.execute(
                "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, payload, reason, state,"
                " planned_at) VALUES ('k', 'k', 'r', 'p', '1', 'task.create', 'once', '{}', 'r', 'planned', 0)"
            )
        )
        store.write_now(lambda tx: audit.append(tx, "effect.planned", "acc", {}, now=0))
    return path


@pytest.fixture
def copy(path: Path, tmp_path: Path, clock: FakeClock) -> Path:
    """A backup of it; the store went on since."""
    target = tmp_path / "copy.db"
    backup(path, target, clock=clock)
    put(path, "since", clock)
    return target


def put(path: Path, key: str, clock: FakeClock) -> None:
    with closing(open_store(path, clock)) as store:
        store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES (?, 'x')", (key,)))


def meta(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM meta")}


def test_a_backup_takes_the_place_and_the_store_is_kept(path: Path, copy: Path, clock: FakeClock) -> None:
    before = copy.read_bytes()
    clock.advance(60)
    done = restore(copy, path, clock=clock)
    assert (done.taken_at, done.planned, done.damaged) == (clock.now() - 60_000, 1, None)
    assert done.kept is not None
    assert "since" in meta(done.kept)
    assert "since" not in meta(path)
    assert copy.read_bytes() == before
    assert path.stat().st_mode & 0o077 == 0
    assert not list(path.parent.glob("*.restoring"))


def test_planned_effects_are_held_until_a_person_has_compared(path: Path, copy: Path, clock: FakeClock) -> None:
    restore(copy, path, clock=clock)
    with closing(open_store(path, clock)) as store:
        store.write_now(lambda tx: claims.hold_restored(tx, now=clock.now()))
        with store.read() as reader:
            assert reader.all("SELECT state, hold FROM outbox") == [("held", "restored")]


def test_it_can_be_taken_back(path: Path, copy: Path, clock: FakeClock) -> None:
    kept = restore(copy, path, clock=clock).kept
    assert kept is not None
    kept.replace(path)
    with closing(open_store(path, clock)) as store, store.read() as reader:
        assert reader.value("SELECT 1 FROM meta WHERE key = 'since'") == 1
        assert audit.verify(reader) is None


def test_it_comes_back_where_there_is_no_store(path: Path, copy: Path, clock: FakeClock) -> None:
    shutil.rmtree(path.parent)
    assert restore(copy, path, clock=clock).kept is None
    assert "since" not in meta(path)


def unchanged(path: Path, action: Callable[[], Any], match: str) -> None:
    with pytest.raises(StoreError, match=match):
        action()
    assert "since" in meta(path)
    assert [file.name for file in path.parent.iterdir() if "restor" in file.name] == []


@pytest.mark.parametrize(("lease", "what"), [("run", "a run is working"), ("serve", "a server schedules")])
def test_nobody_may_be_at_work(path: Path, copy: Path, clock: FakeClock, lease: str, what: str) -> None:
    owner = f"{socket.gethostname()}:{os.getpid()}:0"
    with closing(open_store(path, clock)) as store:
        store.write_now(lambda tx: locks.acquire(tx, lease, owner, 60_000, clock.now()))
    unchanged(path, lambda: restore(copy, path, clock=clock), what)
    clock.advance(61)
    restore(copy, path, clock=clock)


def test_the_lease_of_a_dead_process_is_no_reason_to_wait(path: Path, copy: Path, clock: FakeClock) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with closing(open_store(path, clock)) as store:
        owner = f"{socket.gethostname()}:{gone.pid}:0"
        store.write_now(lambda tx: locks.acquire(tx, "run", owner, 60_000, clock.now()))
    restore(copy, path, clock=clock)


def test_nobody_may_have_it_open(path: Path, copy: Path, clock: FakeClock) -> None:
    with closing(open_store(path, clock)) as store, store.read():
        unchanged(path, lambda: restore(copy, path, clock=clock), "another process has the store open")
    restore(copy, path, clock=clock)


def test_a_damaged_store_is_replaced_and_kept(path: Path, copy: Path, clock: FakeClock) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"damage" * 5000)
    path.with_name("wellkept.db-wal").write_bytes(b"left behind")
    done = restore(copy, path, clock=clock)
    assert done.damaged is not None
    assert done.kept is not None
    assert done.kept.read_bytes().startswith(b"SQLite format 3\0damage")
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"left behind"
    assert "since" not in meta(path)


def test_a_damaged_backup_changes_nothing(path: Path, copy: Path, clock: FakeClock) -> None:
    content = bytearray(copy.read_bytes())
    content[8192:20480] = b"\xff" * 12288
    copy.write_bytes(content)
    unchanged(path, lambda: restore(copy, path, clock=clock), "damaged|no backup")


def test_a_backup_whose_audit_trail_was_changed_is_refused(path: Path, copy: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE audit SET kind = 'effect.done'")
    unchanged(path, lambda: restore(copy, path, clock=clock), "audit chain is broken at entry 1")


def test_what_is_no_backup_is_refused(path: Path, copy: Path, clock: FakeClock, tmp_path: Path) -> None:
    unchanged(path, lambda: restore(tmp_path / "none.db", path), "no such file")
    plain = tmp_path / "text.db"
    plain.write_text("hello" * 1000)
    unchanged(path, lambda: restore(plain, path), "no backup")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    unchanged(path, lambda: restore(tmp_path / "other.db", path), "no backup of a store")
    shutil.copy(path, tmp_path / "store.db")
    unchanged(path, lambda: restore(tmp_path / "store.db", path), "no mark of a backup")


def test_a_backup_of_a_newer_program_is_refused(path: Path, copy: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    unchanged(path, lambda: restore(copy, path), "newer than this Wellkept")


def test_a_full_disk_changes_nothing(path: Path, copy: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    unchanged(path, lambda: restore(copy, path, clock=clock), "No space left")


def test_verifying_changes_nothing(path: Path, copy: Path, clock: FakeClock) -> None:
    before = copy.read_bytes()
    assert verify(copy) == clock.now()
    assert copy.read_bytes() == before


# --- the verb ---


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "plugins.toml").write_text("")
    assert main(["score"]) == 0  # makes store and key
    assert main(["backup", "copy.db"]) == 0
    capsys.readouterr()
    return folder


def test_the_verb_says_what_it_did_and_what_to_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "copy.db", "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["restore", "copy.db"]) == 0
    out = capsys.readouterr().out
    assert "wellkept effects accept-restore" in out
    assert "before-restore" in out
    assert main(["effects", "accept-restore"]) == 0


def test_a_backup_of_another_installation_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "wellkept.key").unlink()
    assert main(["restore", "copy.db"]) == 3
    assert "is gone" in capsys.readouterr().err
    import base64

    (here / "wellkept.key").write_text(base64.b64encode(b"x" * 32).decode())
    assert main(["restore", "copy.db"]) == 5
    assert "another installation key" in capsys.readouterr().err
    assert not list(here.glob("*before-restore*"))


def test_postgresql_is_restored_by_its_own_tools(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "plugins.toml").write_text('[wellkept]\nstore = "postgresql://u@127.0.0.1/none"\n')
    assert main(["restore", "copy.db"]) == 3
    assert "pg_restore" in capsys.readouterr().err
