"""Bring a store to the newest schema: a new one from the text of all its tables, an older one with Alembic.

Alembic is imported only where it has something to do; it takes longer than all else that a first sync of a few pages does.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wellkept.errors import StoreError
from wellkept.store import backup
from wellkept.store.catalogue import tables_of
from wellkept.store.connection import Reader
from wellkept.store.database import BUSY_SECONDS
from wellkept.store.sqlite import connect, translate, use_wal

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"

NEWEST = "newest.sql"
"""In the folder of migrations: what all of them make in an empty file, see `wellkept.store.migrations.newest`."""


def revisions(folder: Path = MIGRATIONS) -> list[str]:
    """Return all known revisions, oldest first; a file's name is its revision and their order is the history."""
    return sorted(path.stem for path in (folder / "versions").glob("[0-9]*.py"))


def revision_of(reader: Reader) -> str:
    """Return the revision of a store.

    Raises:
        StoreError: There is none.
    """
    found = reader.value("SELECT version_num FROM alembic_version") if "alembic_version" in tables_of(reader) else None
    if found is None:
        raise StoreError("there is no store", guidance="check `store` in [wellkept]")
    return str(found)


def steps(until: str | None, folder: Path = MIGRATIONS) -> list[str]:
    """Return the revisions up to one of them, oldest first; all of them without one.

    Raises:
        StoreError: This program does not know it.
    """
    known = revisions(folder)
    if until is None:
        return known
    is_old("this store", until, known)
    return known[: known.index(until) + 1]


def prepare(path: Path, *, busy_seconds: float = BUSY_SECONDS, folder: Path = MIGRATIONS, until: str | None = None) -> None:
    """Create or migrate the store at `path`.

    One transaction holds everything, so a migration that is cut off leaves the store as it was, and of two processes that
    come at once one waits and then finds the work done.

    Args:
        path: The database file; it and its folder are made when missing, for their owner alone.
        busy_seconds: How long to wait for another process that holds the store.
        folder: Where the migrations are.
        until: The revision to stop at, for a store that another one of an earlier version is copied into.

    Raises:
        StoreError: The store is newer than this program, is no store, or a migration failed (the copy is named).
        RetryableError: Another process kept the store locked for too long.
    """
    known = steps(until, folder)
    try:
        _make_file(path)
        with closing(connect(path, busy_seconds=busy_seconds)) as connection:
            if not is_old(path, _revision(path, connection), known):
                return
            made = _make_tables(path, connection, known, folder)
        if not made:
            upgrade(path, known, busy_seconds, folder)
        with closing(connect(path, busy_seconds=busy_seconds)) as connection:
            use_wal(connection)
    except sqlite3.Error as error:
        raise translate(error, path, busy_seconds) from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}", guidance="name a place that can be written") from error


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def is_old(store: object, current: str | None, known: list[str]) -> bool:
    """Say whether there is something to do; refuse what this program does not know."""
    if current is not None and current not in known:
        raise StoreError(
            f"{store}: the store's schema {current} is newer than this Wellkept, which knows {known[-1]}",
            guidance="upgrade Wellkept, or restore a backup that it made",
        )
    return current != known[-1]


def _revision(path: Path, connection: sqlite3.Connection) -> str | None:
    """Return the revision of a store, None for an empty file; reads only, so that a stranger's file stays as it is."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise StoreError(f"{path}: is a database, but not a Wellkept store", guidance="name another file")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _make_tables(path: Path, connection: sqlite3.Connection, known: list[str], folder: Path) -> bool:
    """Make the tables of an empty store; return False where it is not empty, or migrations have come that the text lacks."""
    revision, *statements = _newest(folder)
    if revision != f"-- {known[-1]}":
        return False
    connection.execute("BEGIN IMMEDIATE")  # the lock comes first: all of this happens once
    empty = _revision(path, connection) is None
    for statement in statements if empty else ():
        connection.execute(statement)
    connection.execute("COMMIT")
    return empty


def _newest(folder: Path) -> list[str]:
    """Return the lines of `NEWEST`: a comment with the revision, then one statement in each."""
    return (folder / NEWEST).read_text(encoding="utf-8").splitlines()


def upgrade(path: Path, known: list[str], busy_seconds: float, folder: Path) -> None:
    """Run the migrations that a store lacks. Arguments and errors: see `prepare`."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine("sqlite://", creator=lambda: connect(path, busy_seconds=busy_seconds), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the lock comes first: all of this happens once

    copy: Path | None = None
    try:
        with engine.begin() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - narrows the driver's type
            current = _revision(path, raw)
            if not is_old(path, current, known):
                return
            if current is not None:
                copy = backup.copy_before_migration(path, current)
            run(connection, folder, known[-1])
    except DBAPIError as error:
        if copy is None and isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise failed(path, copy, error) from error
    except StoreError:
        raise
    except Exception as error:
        raise failed(path, copy, error) from error
    finally:
        engine.dispose()


def failed(store: object, copy: Path | None, error: Exception) -> StoreError:
    """Return the error of a migration that failed."""
    return StoreError(
        f"{store}: the migration failed, and nothing was changed: {error}",
        guidance=f"a copy of the store is {copy}" if copy else None,
    )


def run(connection: Connection, folder: Path, revision: str) -> None:
    """Run all migrations that are missing up to a revision, in the transaction of a connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
