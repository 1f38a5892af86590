"""A backup comes back whole or not at all, what stood there before is kept, and planned effects are held."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from wellkept.cli import main
from wellkept.errors import StoreError, WellkeptError
from wellkept.records import CANONICAL, Account
from wellkept.store import audit, claims, locks, open_store, owners
from wellkept.store.backup import backup
from wellkept.store.copy import Content, compare
from wellkept.store.engine import peek
from wellkept.store.migrate import revisions
from wellkept.store.postgres.database import PgDatabase
from wellkept.store.postgres.migrate import prepare
from wellkept.store.records import RecordTables
from wellkept.store.restore import restore, verify
from wellkept.testing import FakeClock

IN_A_FILE = pytest.mark.parametrize("address", ["sqlite"], indirect=True)
"""For what only a file can be, and for what is refused before anybody looks at the store."""

IN_POSTGRESQL = pytest.mark.parametrize("address", ["postgresql"], indirect=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def place(address: Path | str, clock: FakeClock) -> Path | str:
    """Where a store is that has an effect which is planned: once a file, once a database."""
    with closing(open_store(address, clock)) as store:
        store.write_now(
            lambda tx: tx.execute(
                "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, payload, reason, state,"
                " planned_at) VALUES ('k', 'k', 'r', 'p', '1', 'task.create', 'once', '{}', 'r', 'planned', 0)"
            )
        )
        store.write_now(lambda tx: audit.append(tx, "effect.planned", "acc", {}, now=0))
        tables = RecordTables(CANONICAL)
        store.write_now(tables.ensure)
        rows = [Account(id=f"a{number}", version=1, name="Jørgen \t中", extra={"a": [1, 2.5, None]}) for number in range(50)]
        store.write_now(lambda tx: tables.upsert(tx, "crm", "accounts", rows, 1))
    return address


@pytest.fixture
def copy(place: Path | str, tmp_path: Path, clock: FakeClock) -> Path:
    """A backup of it; the store went on since."""
    target = tmp_path / "copy.db"
    backup(place, target, clock=clock)
    put(place, "since", clock)
    return target


def put(place: Path | str, key: str, clock: FakeClock) -> None:
    with closing(open_store(place, clock)) as store:
        store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES (?, 'x')", (key,)))


def ask(place: Path | str, sql: str) -> list[tuple[Any, ...]]:
    with peek(place) as reader:
        return reader.all(sql)


def meta(place: Path | str) -> set[str]:
    return {key for (key,) in ask(place, "SELECT key FROM meta")}


def content(place: Path | str) -> dict[str, Content]:
    with peek(place) as reader:
        return {
            name: compare(reader, reader, "", "")[name] for name in ("r_account", "h_account", "outbox", "audit", "changes")
        }


def test_a_backup_takes_the_place_and_the_store_is_kept(place: Path | str, copy: Path, clock: FakeClock) -> None:
    before, held = copy.read_bytes(), content(place)
    clock.advance(60)
    done = restore(copy, place, clock=clock)
    assert (done.taken_at, done.planned, done.damaged) == (clock.now() - 60_000, 1, None)
    assert "since" not in meta(place)
    assert content(place) == held
    assert copy.read_bytes() == before
    if isinstance(place, Path):
        assert isinstance(done.kept, Path)
        assert "since" in meta(done.kept)
        assert place.stat().st_mode & 0o077 == 0
        assert not list(place.parent.glob("*.restoring"))
    else:
        assert ask(place, f"SELECT value FROM \"{done.kept}\".meta WHERE key = 'since'") == [("x",)]
        assert ask(place, "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%restoring%'") == []


def test_planned_effects_are_held_until_a_person_has_compared(place: Path | str, copy: Path, clock: FakeClock) -> None:
    restore(copy, place, clock=clock)
    with closing(open_store(place, clock)) as store:
        store.write_now(lambda tx: claims.hold_restored(tx, now=clock.now()))
        with store.read() as reader:
            assert reader.all("SELECT state, hold FROM outbox") == [("held", "restored")]


def test_what_was_restored_goes_on_as_before(place: Path | str, copy: Path, clock: FakeClock) -> None:
    """Numbers are counted on, the audit chain continues, and a backup of it is one again."""
    restore(copy, place, clock=clock)
    with closing(open_store(place, clock)) as store:
        tables = RecordTables(CANONICAL)
        store.write_now(tables.ensure)
        store.write_now(lambda tx: tables.upsert(tx, "crm", "accounts", [Account(id="new", version=1)], 2))
        store.write_now(lambda tx: audit.append(tx, "effect.done", "acc", {}, now=1))
        with store.read() as reader:
            assert reader.value("SELECT id FROM changes ORDER BY seq DESC LIMIT 1") == "new"
            assert audit.verify(reader) is None
    again = copy.with_name("again.db")
    backup(place, again, clock=clock)
    clock.advance(1)
    restore(again, place, clock=clock)
    assert ask(place, "SELECT COUNT(*) FROM r_account") == [(51,)]


def test_it_can_be_taken_back(place: Path | str, copy: Path, clock: FakeClock) -> None:
    kept = restore(copy, place, clock=clock).kept
    assert kept is not None
    if isinstance(place, Path):
        assert isinstance(kept, Path)
        kept.replace(place)
    else:
        place = f"{place}{'&' if '?' in place else '?'}options=-csearch_path%3D%22{kept}%22"
    with closing(open_store(place, clock)) as store, store.read() as reader:
        assert reader.value("SELECT 1 FROM meta WHERE key = 'since'") == 1
        assert audit.verify(reader) is None


def test_it_comes_back_where_there_is_no_store(place: Path | str, copy: Path, clock: FakeClock) -> None:
    if isinstance(place, Path):
        shutil.rmtree(place.parent)
    else:
        with psycopg.connect(place) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert restore(copy, place, clock=clock).kept is None
    assert "since" not in meta(place)
    assert ask(place, "SELECT COUNT(*) FROM r_account") == [(50,)]


def test_a_backup_comes_back_in_the_other_database(copy: Path, place: Path | str, postgres: str, clock: FakeClock) -> None:
    """The way out when the one kind of database is not to be had."""
    held = content(place)
    other = postgres if isinstance(place, Path) else copy.parent / "other" / "wellkept.db"
    assert restore(copy, other, clock=clock).planned == 1
    assert content(other) == held


def unchanged(place: Path | str, action: Callable[[], Any], match: str) -> None:
    with pytest.raises(StoreError, match=match):
        action()
    assert "since" in meta(place)
    if isinstance(place, Path):
        assert [file.name for file in place.parent.iterdir() if "restor" in file.name] == []
    else:
        assert ask(place, "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%restor%'") == []


@pytest.mark.parametrize(("lease", "what"), [("run", "a run is working"), ("serve", "a server schedules")])
def test_nobody_may_be_at_work(place: Path | str, copy: Path, clock: FakeClock, lease: str, what: str) -> None:
    owner = owners.new()
    with closing(open_store(place, clock)) as store:
        store.write_now(lambda tx: locks.acquire(tx, lease, owner, 60_000, clock.now()))
    unchanged(place, lambda: restore(copy, place, clock=clock), what)
    clock.advance(61)
    restore(copy, place, clock=clock)


def test_the_lease_of_a_dead_process_is_no_reason_to_wait(place: Path | str, copy: Path, clock: FakeClock) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with closing(open_store(place, clock)) as store:
        owner = f"{owners.place()}:{gone.pid}:0"
        store.write_now(lambda tx: locks.acquire(tx, "run", owner, 60_000, clock.now()))
    restore(copy, place, clock=clock)


def test_nobody_may_have_it_open(place: Path | str, copy: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    from wellkept.store.postgres import restore as in_postgres

    monkeypatch.setattr(in_postgres, "BUSY_SECONDS", 0.2)
    with closing(open_store(place, clock)) as store, store.read() as reader:
        assert reader.value("SELECT COUNT(*) FROM outbox") == 1
        unchanged(place, lambda: restore(copy, place, clock=clock), "another process has the store open")
    restore(copy, place, clock=clock)


@IN_A_FILE
def test_a_damaged_store_is_replaced_and_kept(place: Path, copy: Path, clock: FakeClock) -> None:
    place.write_bytes(b"SQLite format 3\0" + b"damage" * 5000)
    place.with_name("wellkept.db-wal").write_bytes(b"left behind")
    done = restore(copy, place, clock=clock)
    assert done.damaged is not None
    assert isinstance(done.kept, Path)
    assert done.kept.read_bytes().startswith(b"SQLite format 3\0damage")
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"left behind"
    assert "since" not in meta(place)


@IN_A_FILE
def test_a_damaged_backup_changes_nothing(place: Path | str, copy: Path, clock: FakeClock) -> None:
    found = bytearray(copy.read_bytes())
    found[8192:20480] = b"\xff" * 12288
    copy.write_bytes(found)
    unchanged(place, lambda: restore(copy, place, clock=clock), "damaged|no backup")


@IN_A_FILE
def test_a_backup_whose_audit_trail_was_changed_is_refused(place: Path | str, copy: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE audit SET kind = 'effect.done'")
    unchanged(place, lambda: restore(copy, place, clock=clock), "audit chain is broken at entry 1")


@IN_A_FILE
def test_what_is_no_backup_is_refused(place: Path | str, copy: Path, clock: FakeClock, tmp_path: Path) -> None:
    unchanged(place, lambda: restore(tmp_path / "none.db", place), "no such file")
    plain = tmp_path / "text.db"
    plain.write_text("hello" * 1000)
    unchanged(place, lambda: restore(plain, place), "no backup")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    unchanged(place, lambda: restore(tmp_path / "other.db", place), "no backup of a store")
    open_store(tmp_path / "store.db", clock).close()
    unchanged(place, lambda: restore(tmp_path / "store.db", place), "no mark of a backup")


@IN_A_FILE
def test_a_backup_of_a_newer_program_is_refused(place: Path | str, copy: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    unchanged(place, lambda: restore(copy, place), "newer than this Wellkept")


@IN_A_FILE
def test_a_full_disk_changes_nothing(place: Path, copy: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    unchanged(place, lambda: restore(copy, place, clock=clock), "No space left")


@IN_POSTGRESQL
def test_a_connection_that_is_lost_on_the_way_changes_nothing(
    place: str, copy: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wellkept.store.postgres import restore as in_postgres

    whole = in_postgres._examine
    tries: list[int] = []

    def cut_off(reader: Any, *rest: Any) -> str:
        found = whole(reader, *rest)
        if tries:  # in the transaction that swaps, and each time that it is tried again
            with psycopg.connect(place, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (reader.value("SELECT pg_backend_pid()"),))
        tries.append(1)
        return found

    monkeypatch.setattr(in_postgres, "_examine", cut_off)
    with pytest.raises(WellkeptError):
        restore(copy, place, clock=clock)
    assert len(tries) > 2
    assert "since" in meta(place)
    assert ask(place, "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%restor%'") == []
    monkeypatch.undo()
    restore(copy, place, clock=clock)
    assert "since" not in meta(place)


@IN_POSTGRESQL
def test_a_strangers_tables_are_left_alone(place: str, copy: Path, clock: FakeClock) -> None:
    with psycopg.connect(place) as connection:
        connection.execute("DROP TABLE alembic_version; INSERT INTO meta VALUES ('theirs', 'x')")
    with pytest.raises(StoreError, match="no Wellkept store"):
        restore(copy, place, clock=clock)
    assert "theirs" in meta(place)


@IN_A_FILE
def test_verifying_changes_nothing(copy: Path, clock: FakeClock) -> None:
    before = copy.read_bytes()
    assert verify(copy) == clock.now()
    assert copy.read_bytes() == before


@pytest.mark.parametrize("older", revisions()[:-1])
def test_a_store_of_an_older_schema_is_copied_as_it_is_and_comes_back_migrated(
    postgres: str, tmp_path: Path, clock: FakeClock, older: str
) -> None:
    """A backup before an upgrade, taken with the new program."""
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE SCHEMA old")
    url = f"{postgres}{'&' if '?' in postgres else '?'}options=-csearch_path%3Dold"
    prepare(PgDatabase(url), until=older)
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO meta (key, value) VALUES ('of the old one', 'x')")
    backup(url, tmp_path / "copy.db", clock=clock)
    assert ask(url, "SELECT version_num FROM alembic_version") == [(older,)]
    assert ask(tmp_path / "copy.db", "SELECT version_num FROM alembic_version") == [(older,)]
    restore(tmp_path / "copy.db", url, clock=clock)
    assert ask(url, "SELECT version_num FROM alembic_version") == [(revisions()[-1],)]
    assert "of the old one" in meta(url)


# --- the verb ---


@pytest.fixture
def here(address: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "plugins.toml").write_text(f'[wellkept]\nstore = "{address}"\n')
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
    assert re.search("before.restore", out)
    assert main(["effects", "accept-restore"]) == 0


def test_a_backup_of_another_installation_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "wellkept.key").unlink()
    assert main(["restore", "copy.db"]) == 3
    assert "is gone" in capsys.readouterr().err
    import base64

    (here / "wellkept.key").write_text(base64.b64encode(b"x" * 32).decode())
    assert main(["restore", "copy.db"]) == 5
    assert "another installation key" in capsys.readouterr().err
    assert not list(here.parent.glob("**/*before-restore*"))
