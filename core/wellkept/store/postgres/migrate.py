"""Bring a store in PostgreSQL to the newest schema: the same migrations as in SQLite, in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from wellkept.errors import StoreError
from wellkept.store.database import Connection
from wellkept.store.migrate import MIGRATIONS, failed, is_old, run, steps
from wellkept.store.postgres.database import WRITER_LOCK, PgDatabase

if TYPE_CHECKING:
    from sqlalchemy import Connection as AlchemyConnection

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


def prepare(database: PgDatabase, *, folder: Path = MIGRATIONS, until: str | None = None) -> None:
    """Create or migrate a store.

    One transaction holds everything, so a migration that is cut off leaves the store as it was, and of two processes that
    come at once one waits and then finds the work done.

    Args:
        database: Where it is.
        folder: Where the migrations are.
        until: The revision to stop at, for a store that another one of an earlier version is copied into.

    Raises:
        StoreError: The store is newer than this program, is no store, or a migration failed.
        RetryableError: The database cannot be reached, or another process kept the store locked for too long.
    """
    known = steps(until, folder)
    try:
        connection = database.connect(readonly=False)
        try:
            if is_old(database.label, _revision(database, connection), known):
                _upgrade(database, connection.raw, known, folder)
        finally:
            connection.close()
    except psycopg.Error as error:
        raise database.translate(error) from error


def _revision(database: PgDatabase, connection: Connection) -> str | None:
    """Return the revision of a store, None where nothing is yet."""
    tables = {name for (name,) in connection.execute(_TABLES).fetchall()}
    if not tables:
        if connection.execute("SELECT 1 WHERE current_schema() IS NULL").fetchone():
            raise StoreError(f"{database.label}: there is no schema to work in", guidance="make one that is on the search path")
        return None
    if "alembic_version" not in tables:
        raise StoreError(
            f"{database.label}: holds tables, but no Wellkept store", guidance="name an empty database, or an empty schema"
        )
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _upgrade(database: PgDatabase, raw: psycopg.Connection[Any], known: list[str], folder: Path) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    class Types(PGTypeCompiler):
        def visit_TEXT(self, type_: Any, **_: Any) -> str:  # noqa: N802, ARG002 - the name is the library's
            return 'TEXT COLLATE "C"'

    raw.cursor_factory = psycopg.Cursor
    raw.autocommit = False
    engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=StaticPool)
    engine.dialect.type_compiler_instance = Types(engine.dialect)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(database.busy_seconds * 1000)}")
            connection.exec_driver_sql(f"SELECT {WRITER_LOCK}")  # the lock comes first: all of this happens once
            if is_old(database.label, _current(connection), known):
                run(connection, folder, known[-1])
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error) and "lock_timeout" in str(error.orig) + str(error.statement):
            raise error.orig from error
        raise failed(database.label, None, error) from error
    except StoreError:
        raise
    except Exception as error:
        raise failed(database.label, None, error) from error


def _current(connection: AlchemyConnection) -> str | None:
    if connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar() is None:
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision
