"""Making, migrating, dumping and restoring a store in PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from wellkept.errors import RetryableError, StoreError
from wellkept.store import open_store
from wellkept.store.backup import backup
from wellkept.store.migrate import MIGRATIONS, revisions
from wellkept.store.postgres.database import PgDatabase
from wellkept.store.postgres.migrate import prepare
from wellkept.testing import FakeClock

if TYPE_CHECKING:
    from tests.conftest import Cluster

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


def write_next(folder: Path, middle: str = "pass") -> Path:
    shutil.copytree(MIGRATIONS, folder, dirs_exist_ok=True)
    (folder / "versions" / "9000_next.py").write_text(NEXT.format(head=revisions()[-1], middle=middle))
    return folder


@pytest.fixture
def schema(postgres: str) -> Iterator[str]:
    """The URL of an empty schema beside the store."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute('CREATE SCHEMA "Other"')
        yield f"{postgres}{'&' if '?' in postgres else '?'}options=-csearch_path%3D%22Other%22"
        admin.execute('DROP SCHEMA "Other" CASCADE')


def ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()


def tables(url: str) -> set[str]:
    return {name for (name,) in ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")}


def test_a_store_may_have_a_schema_of_its_own(schema: str, postgres: str) -> None:
    with closing(open_store(schema)) as store:
        store.write_now(lambda tx: tx.execute("INSERT INTO tombstones (digest, at) VALUES ('x', 0)"))
    assert "outbox" in tables(schema)
    assert ask(postgres, "SELECT COUNT(*) FROM tombstones") == [(0,)]


def test_migrations_make_exactly_the_schema(schema: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    from wellkept.store.schema import metadata

    prepare(PgDatabase(schema))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(schema), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_every_text_compares_by_its_bytes(schema: str) -> None:
    prepare(PgDatabase(schema))
    sql = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'Other' AND data_type = 'text'"
    assert not ask(schema, f"{sql} AND collation_name IS DISTINCT FROM 'C'")
    assert len(ask(schema, sql)) > 100


def test_an_older_store_is_migrated_in_one_transaction(schema: str, tmp_path: Path) -> None:
    database = PgDatabase(schema)
    prepare(database)
    before = tables(schema)
    with pytest.raises(StoreError, match="the migration failed, and nothing was changed"):
        prepare(database, folder=write_next(tmp_path / "broken", "op.execute('SELECT * FROM nothing')"))
    assert tables(schema) == before
    prepare(database, folder=write_next(tmp_path / "mended"))
    assert tables(schema) == before | {"novelty"}
    with pytest.raises(StoreError, match=rf"schema 9000_next is newer than this Wellkept, which knows {revisions()[-1]}"):
        open_store(schema)


def test_a_strangers_database_is_refused_untouched(schema: str) -> None:
    with psycopg.connect(schema) as connection:
        connection.execute("CREATE TABLE theirs (a INT)")
    with pytest.raises(StoreError, match="holds tables, but no Wellkept store"):
        open_store(schema)
    assert tables(schema) == {"theirs"}


def test_a_schema_that_is_not_there_is_named(postgres: str) -> None:
    url = f"{postgres}{'&' if '?' in postgres else '?'}options=-csearch_path%3Dnowhere"
    with pytest.raises(StoreError, match="there is no schema to work in"):
        open_store(url)


def test_a_database_that_is_not_there_is_named_at_once(postgres: str) -> None:
    url = postgres.replace("/wellkept_test", "/missing_test")
    with pytest.raises((RetryableError, StoreError), match=r'database "missing_test.* does not exist'):
        open_store(url)


OPENER = """
import sys
from wellkept.store import open_store
from wellkept.store.backup import backup
import alembic.command, alembic.config, sqlalchemy, psycopg, wellkept.store.postgres.migrate
print("ready", flush=True)
sys.stdin.read(1)
store = open_store(sys.argv[1])
store.write_now(lambda tx: tx.execute("INSERT INTO tombstones (digest, at) VALUES (?, 0)", (sys.argv[2],)))
store.close()
"""


def test_processes_that_make_a_store_at_once_all_get_it(schema: str) -> None:
    command = [sys.executable, "-c", OPENER, schema]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    racers = [subprocess.Popen([*command, f"k{number}"], **pipes) for number in range(3)]
    for racer in racers:
        assert racer.stdout.readline() == b"ready\n"  # type: ignore[union-attr]
    for racer in racers:
        racer.stdin.write(b"g")  # type: ignore[union-attr]
        racer.stdin.flush()  # type: ignore[union-attr]
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors.decode()
    assert ask(schema, "SELECT digest FROM tombstones ORDER BY 1") == [("k0",), ("k1",), ("k2",)]


# --- backups ---


@pytest.fixture
def restored(cluster: Cluster) -> Iterator[str]:
    """The name of a database that may be made, and is removed."""
    name = f"{cluster._stem}_restored"
    yield name
    cluster._drop(name)


def test_a_dump_by_other_means_knows_that_it_was_restored(
    postgres: str, cluster: Cluster, restored: str, tmp_path: Path, clock: FakeClock
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("PostgreSQL's client programs are not installed")
    target = tmp_path / "copy.dump"
    with closing(open_store(postgres, clock)) as store:
        store.write_now(lambda tx: tx.execute("INSERT INTO tombstones (digest, at) VALUES ('x', 7)"))
    subprocess.run(["pg_dump", "--format=custom", f"--file={target}", postgres], check=True)
    cluster.admin.execute(f'CREATE DATABASE "{restored}"')
    url = cluster.url(restored)
    subprocess.run(["pg_restore", "--dbname", url, str(target)], check=True)
    clock.advance(60)
    with closing(open_store(url, clock)) as store, store.read() as reader:
        assert reader.all("SELECT digest, at FROM tombstones") == [("x", 7)]
        assert reader.value("SELECT value FROM meta WHERE key = 'restored_at'") == str(clock.now())
    clock.advance(60)
    for address, marks in ((url, [(str(clock.now() - 60_000),)]), (postgres, [])):
        open_store(address, clock).close()
        assert ask(address, "SELECT value FROM meta WHERE key = 'restored_at'") == marks


def test_what_is_no_store_gives_no_backup(schema: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        backup(schema, tmp_path / "copy.db")
    assert not list(tmp_path.iterdir())
