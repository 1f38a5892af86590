"""A store of any older schema, with a row in every table, is upgraded without losing anything, and can be taken back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.records import CANONICAL, Account
from wellkept.store import audit, migrate, open_store
from wellkept.store.catalogue import tables_of
from wellkept.store.connection import Reader, Tx
from wellkept.store.migrate import MIGRATIONS, prepare, revisions
from wellkept.store.records import RecordTables
from wellkept.store.restore import restore, verify
from wellkept.store.sqlite import connect

pytestmark = pytest.mark.file

OLD = revisions()[:-1]
OWN = {"alembic_version", "audit", "audit_bodies"}
"""Not filled by rule: the version, and the audit chain, whose rows belong together."""

READABLE = {
    ("runs", "state"): "done",
    ("locks", "expires_at"): 0,
    ("outbox", "state"): "planned",
    ("outbox", "hold"): None,
    ("outbox", "capability"): "task.create",
    ("outbox", "kind"): "once",
    ("outbox", "payload"): '{"title": "Call"}',
    ("outbox", "prior"): None,
    ("limits", "state"): "{}",
    ("alerts", "ended_at"): 1,
    ("inbox", "done_at"): 1,
    ("instances", "state"): "ok",
    ("schedules", "settled"): 1,
    ("meta", "key"): "a fact",
}
"""Values that the program would find in these columns, and must understand when it opens the store."""


def value(table: str, name: str, kind: str, number: int) -> Any:
    if (table, name) in READABLE:
        return READABLE[table, name]
    return {"TEXT": f"{name} 客 {number}", "INTEGER": number, "BIGINT": number, "BLOB": bytes([number % 256, 0, 255])}[kind]


def fill(connection: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Put a row into every table, and return all of them with the columns of then."""
    for number, table in enumerate(sorted(set(tables_of(Reader(connection))) - OWN)):  # type: ignore[arg-type]
        columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
        row = [value(table, name, kind.upper(), number + 1) for name, kind in columns]
        connection.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
    return {table: rows(connection, table) for table in tables_of(Reader(connection))}  # type: ignore[arg-type]


def rows(connection: sqlite3.Connection, table: str, columns: Sequence[str] = ("*",)) -> list[tuple[Any, ...]]:
    return connection.execute(f'SELECT {", ".join(columns)} FROM "{table}" ORDER BY 1').fetchall()


def names(connection: sqlite3.Connection, table: str) -> list[str]:
    return [f'"{name}"' for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]


@pytest.fixture(params=OLD)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, list[tuple[Any, ...]]], dict[str, list[str]]]:
    """A store as an earlier version left it: its file, its rows, and the columns that they have."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    for revision in revisions():
        if revision > request.param:
            (folder / "versions" / f"{revision}.py").unlink()
    path = tmp_path / "here" / "wellkept.db"
    prepare(path, folder=folder)
    with closing(connect(path)) as connection:
        tx = Tx(connection)
        connection.execute("BEGIN IMMEDIATE")
        content = fill(connection)
        audit.append(tx, "effect.done", "acc", {"to": "客"}, now=1)
        audit.append(tx, "effect.done", "acc", {}, now=2)
        tables = RecordTables(CANONICAL, keyed_hash=lambda text: f"hash of {text}")
        tables.ensure(tx)
        tables.upsert(tx, "crm", "accounts", [Account(id="a", version=1, name="Anna")], 1)
        connection.execute("COMMIT")
        content |= {table: rows(connection, table) for table in tables_of(tx)}
        columns = {table: names(connection, table) for table in content}
    return path, content, columns


def test_every_older_schema_is_tried() -> None:
    assert OLD[0] == "0001_initial"
    assert len(OLD) == len(list((MIGRATIONS / "versions").glob("0*.py"))) - 1


def test_nothing_is_lost(old: Any) -> None:
    path, content, columns = old
    open_store(path).close()
    with closing(connect(path)) as connection:
        for table, before in content.items():
            if table != "alembic_version":
                assert set(before) <= set(rows(connection, table, columns[table])), table
        assert rows(connection, "alembic_version") == [(revisions()[-1],)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert audit.verify(Reader(connection)) is None  # type: ignore[arg-type]


def test_the_program_works_on_it(old: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, _, _ = old
    monkeypatch.chdir(path.parent)
    (path.parent / "plugins.toml").write_text("")
    assert main(["doctor", "--offline", "--json"]) in {0, 4}
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)["findings"] if item["area"] == "store"}
    assert found["schema"]["grade"] == "note"  # examined before it was migrated
    for command in (["runs"], ["effects", "list"], ["dead-letters", "list"], ["prune"], ["doctor", "--offline"]):
        assert main(command) in {0, 4}, (command, capsys.readouterr().err)
    with closing(open_store(path)) as store, store.read() as reader:
        assert reader.all("SELECT name FROM r_account WHERE id = 'a'") == [("Anna",)]


def test_it_can_be_taken_back(old: Any) -> None:
    """The copy that was made before is a backup like any other, and the rows in it are those of before."""
    path, content, columns = old
    open_store(path).close()
    (copy,) = path.parent.glob("wellkept.db.bak-*")
    verify(copy)
    with closing(connect(copy)) as connection:
        for table in content.keys() - {"meta"}:
            assert rows(connection, table, columns[table]) == content[table]
    restore(copy, path)
    with closing(open_store(path)) as store, store.read() as reader:
        assert reader.value("SELECT version_num FROM alembic_version") == revisions()[-1]
        assert reader.value("SELECT 1 FROM meta WHERE key = 'restored_at'") == 1


def test_an_upgrade_that_is_cut_off_changes_nothing(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, content, columns = old

    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    whole = migrate.run

    def cut_off(*arguments: Any) -> None:
        whole(*arguments)
        broken()

    monkeypatch.setattr(migrate, "run", cut_off)
    with pytest.raises(KeyboardInterrupt):
        open_store(path)
    with closing(connect(path)) as connection:
        for table in content:
            assert names(connection, table) == columns[table]
            assert rows(connection, table) == content[table]
    monkeypatch.undo()
    open_store(path).close()
