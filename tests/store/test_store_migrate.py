"""Making a store, and bringing an older one up to date, whatever comes in between."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import RetryableError, StoreError
from wellkept.store import migrate, open_store
from wellkept.store.migrate import MIGRATIONS, NEWEST, prepare, revisions, upgrade
from wellkept.store.sqlite import connect, use_wal

NEXT = """
from alembic import op
import sqlalchemy as sa
revision = "9000_next"
down_revision = "{head}"
def upgrade():
    op.create_table("novelty", sa.Column("a", sa.Text), sqlite_strict=True)
    {middle}
    op.add_column("runs", sa.Column("novel", sa.Text))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "wellkept.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Migrations with one more than there are."""
    return write_next(tmp_path / "50% of migrations")


def write_next(folder: Path, middle: str = "pass") -> Path:
    shutil.copytree(MIGRATIONS, folder, dirs_exist_ok=True)
    (folder / "versions" / "9000_next.py").write_text(NEXT.format(head=revisions()[-1], middle=middle))
    return folder


def describe(path: Path) -> dict[str, Any]:
    """Everything that SQLite knows of a schema, the tables of Alembic aside."""
    with closing(sqlite3.connect(path)) as connection:
        strict = {row[1]: row[5] for row in connection.execute("PRAGMA table_list") if row[0] == "main" and row[2] == "table"}
        return {
            table: {
                "strict": flag,
                "columns": connection.execute("SELECT * FROM pragma_table_info(?)", (table,)).fetchall(),
                "foreign": connection.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,)).fetchall(),
                "indexes": sorted(
                    (
                        name,
                        unique,
                        origin,
                        partial,
                        connection.execute("SELECT * FROM pragma_index_xinfo(?)", (name,)).fetchall(),
                    )
                    for _, name, unique, origin, partial in connection.execute("SELECT * FROM pragma_index_list(?)", (table,))
                ),
            }
            for table, flag in strict.items()
            if table not in {"alembic_version", "sqlite_schema", "sqlite_sequence"}
        }


def test_migrations_make_exactly_the_schema(path: Path, tmp_path: Path) -> None:
    """After a change of the schema: ``python -m wellkept.store.migrations.draft NAME``."""
    from sqlalchemy import create_engine

    from wellkept.store.migrations.draft import operations
    from wellkept.store.schema import metadata

    missing = operations()
    assert missing is None, f"the migrations lack this:\n{missing}"
    prepare(path)
    plain = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    metadata.create_all(plain)
    plain.dispose()
    migrated, wanted = describe(path), describe(tmp_path / "plain.db")
    assert migrated.keys() == wanted.keys()
    for table, description in wanted.items():
        assert migrated[table] == description, table


def test_a_migration_is_drafted_from_the_schema(path: Path, tmp_path: Path) -> None:
    from sqlalchemy import Column, MetaData, Table, Text

    from wellkept.store.migrations.draft import draft
    from wellkept.store.schema import metadata

    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    wanted = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(wanted)
    Table("novelty", wanted, Column("a", Text, primary_key=True), sqlite_strict=True)
    made = draft("add_novelty", wanted, folder)
    assert made is not None
    assert made.name == f"{len(revisions()) + 1:04}_add_novelty.py"
    prepare(path, folder=folder)
    assert describe(path)["novelty"]["strict"]
    assert draft("again", wanted, folder) is None


def test_a_new_store_is_what_the_migrations_make(path: Path, tmp_path: Path) -> None:
    """After a change of the migrations: ``python -m wellkept.store.migrations.newest``."""
    from wellkept.store.migrations.newest import text

    assert (MIGRATIONS / NEWEST).read_text(encoding="utf-8") == text()
    prepare(path)
    migrated = tmp_path / "migrated.db"
    with closing(sqlite3.connect(migrated)) as connection:
        connection.execute("VACUUM")
    upgrade(migrated, revisions(), 1.0, MIGRATIONS)
    assert describe(path) == describe(migrated)
    for sql in ("SELECT * FROM alembic_version", "SELECT name, type FROM sqlite_master ORDER BY 1, 2", "SELECT * FROM meta"):
        with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(migrated)) as old:
            assert new.execute(sql).fetchall() == old.execute(sql).fetchall()


def test_migrations_do_not_follow_the_schema() -> None:
    for file in (MIGRATIONS / "versions").glob("*.py"):
        assert "wellkept" not in file.read_text().partition("import")[2], f"{file.name} must stand for itself"


def test_every_table_is_strict(path: Path) -> None:
    prepare(path)
    assert all(table["strict"] for table in describe(path).values())


@pytest.mark.parametrize("new", [False, True])
def test_a_store_that_lacks_no_migration_opens_without_the_library(path: Path, *, new: bool) -> None:
    if not new:
        prepare(path)
    code = "import sys; from wellkept.store import open_store; open_store(sys.argv[1]).close(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert not {"alembic", "sqlalchemy"} & set(run.stdout.split())


@pytest.mark.parametrize("name", ["100% sure.db", "what?.db", "a#b.db", "中文 ü.db"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        open_store(tmp_path / name).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
def test_a_store_is_for_its_owner_alone(path: Path) -> None:
    prepare(path)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_an_older_store_is_copied_and_migrated(path: Path, folder: Path) -> None:
    with closing(open_store(path)) as store:
        store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES ('k', 'x')"))
    prepare(path, folder=folder)
    copy = path.with_name(f"wellkept.db.bak-{revisions()[-1]}")
    assert "novelty" in describe(path)
    assert "novelty" not in describe(copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'k'").fetchall() == [("x",)]
    assert sorted(file.name for file in path.parent.iterdir()) == ["wellkept.db", copy.name]


def test_a_newer_store_is_refused_untouched(path: Path, folder: Path) -> None:
    prepare(path, folder=folder)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"schema 9000_next is newer than this Wellkept, which knows {revisions()[-1]}"):
        open_store(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["database", "text"])
def test_a_strangers_file_is_refused_untouched(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "text":
        path.write_text("I am a letter, not a database.\n" * 50)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"not a (Wellkept store|database)"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file.x\.db: cannot be made"):
        open_store(tmp_path / "file" / "x.db")


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    open_store(path).close()
    assert "outbox" in describe(path)


def test_a_migration_that_fails_changes_nothing(path: Path, tmp_path: Path) -> None:
    prepare(path)
    before = describe(path)
    broken = write_next(tmp_path / "broken", "op.execute('SELECT * FROM nothing')")
    with pytest.raises(
        StoreError, match=r"the migration failed, and nothing was changed: (.|\n)*a copy of the store is .*bak-"
    ):
        prepare(path, folder=broken)
    assert describe(path) == before
    open_store(path).close()
    prepare(path, folder=write_next(tmp_path / "mended"))
    assert "novelty" in describe(path)


def test_a_first_migration_that_fails_leaves_no_half_store(path: Path, tmp_path: Path) -> None:
    broken = write_next(tmp_path / "broken", "raise RuntimeError('no')")
    with pytest.raises(StoreError, match="the migration failed, and nothing was changed: no"):
        prepare(path, folder=broken)
    assert describe(path) == {}
    open_store(path).close()


def test_a_migration_that_is_killed_changes_nothing(path: Path, tmp_path: Path) -> None:
    prepare(path)
    before = describe(path)
    deadly = write_next(tmp_path / "deadly", "import os; os._exit(9)")
    code = "import sys; from pathlib import Path; from wellkept.store.migrate import prepare; "
    code += "prepare(Path(sys.argv[1]), folder=Path(sys.argv[2]))"
    run = subprocess.run([sys.executable, "-c", code, str(path), str(deadly)], check=False)
    assert run.returncode == 9
    open_store(path).close()
    assert describe(path) == before


def test_a_locked_store_cannot_be_migrated_now(path: Path, folder: Path) -> None:
    prepare(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError):
            prepare(path, folder=folder, busy_seconds=0.05)
    prepare(path, folder=folder)


def test_what_another_process_migrated_meanwhile_is_left_alone(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(path)
    looked = threading.Event()
    connects: list[Path] = []

    def watched(*args: Any, **options: Any) -> sqlite3.Connection:
        connects.append(path)
        if len(connects) == 2:  # the first one looked, this one is to migrate
            looked.set()
        return connect(*args, **options)

    monkeypatch.setattr(migrate, "connect", watched)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        late = threading.Thread(target=prepare, args=(path,), kwargs={"folder": folder})
        late.start()
        looked.wait()
        other.execute("UPDATE alembic_version SET version_num = '9000_next'")
        other.execute("COMMIT")
        late.join()
    assert "novelty" not in describe(path)
    assert not list(path.parent.glob("*.bak-*"))


def test_switching_to_the_log_waits_for_whoever_writes(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    refused = threading.Event()
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=20)) as writer,
    ):
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO t VALUES (1)")
        writer.set_trace_callback(lambda sql: refused.set() if sql == "BEGIN EXCLUSIVE" else None)
        switch = threading.Thread(target=use_wal, args=(writer,))
        switch.start()
        assert refused.wait(10)
        other.execute("COMMIT")
        switch.join()
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


OPENER = """
import sys
from pathlib import Path
from wellkept.store import open_store
from wellkept.store.migrate import prepare
import alembic.command, alembic.config, sqlalchemy  # so that all get there at once
path, folder, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.read(1)
if folder:
    prepare(Path(path), folder=Path(folder))
else:
    store = open_store(path)
    store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES (?, 'x')", (name,)))
    store.close()
"""


def race(path: Path, folder: str = "", *, count: int = 4) -> None:
    """Have processes do the same at the same instant."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(path), folder, f"k{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(count)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == b"ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"g")
        racer.stdin.flush()
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors.decode()


def test_processes_that_make_a_store_at_once_all_get_it(path: Path) -> None:
    race(path)
    with closing(open_store(path)) as store, store.read() as reader:
        assert reader.all("SELECT key FROM meta ORDER BY key") == [("k0",), ("k1",), ("k2",), ("k3",)]


def test_processes_that_migrate_at_once_migrate_once(path: Path, folder: Path) -> None:
    prepare(path)
    race(path, str(folder), count=3)
    assert "novelty" in describe(path)
