"""Put a backup in the place of a store in PostgreSQL: made beside it, and swapped in by one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from wellkept.clock import Clock
from wellkept.errors import StoreError
from wellkept.store import copy, migrate
from wellkept.store.backup import kept_name
from wellkept.store.catalogue import tables_of
from wellkept.store.columns import quoted
from wellkept.store.connection import Reader, Tx
from wellkept.store.engine import Store, peek
from wellkept.store.postgres import database_at
from wellkept.store.postgres.connection import LOCKED
from wellkept.store.postgres.database import PgDatabase
from wellkept.store.postgres.migrate import prepare

BUSY_SECONDS = 5.0


def put_in_place(backup: Path, dsn: str, clock: Clock, refuse: Callable[[Reader], None]) -> str | None:
    """Copy a backup into a schema of its own, and give its tables the place of the store's.

    Args:
        backup: A backup that was verified.
        dsn: Where the store is, or shall be.
        clock: Where the time comes from.
        refuse: Raises if the store that is there must not be replaced now.

    Returns:
        The schema where that store is kept; None if there was none.

    Raises:
        StoreError: Somebody uses the store, what is there is none, or the database refuses; nothing was changed.
        RetryableError: The database cannot be reached; nothing was changed.
    """
    with closing(Store(database_at(dsn, busy_seconds=BUSY_SECONDS), clock)) as store:
        with store.read() as reader:
            schema = _examine(reader, store.label, refuse)
        stamp = datetime.fromtimestamp(clock.now() / 1000, UTC).strftime("%Y%m%dT%H%M%S")
        with _beside(store, f"{schema[:32]}_restoring_{stamp}") as beside:
            _fill(backup, PgDatabase(dsn, schema=beside), clock)
            return store.write_now(lambda tx: _swap(tx, store.label, beside, kept_name(schema, stamp), refuse), durable=True)


def _examine(reader: Reader, label: str, refuse: Callable[[Reader], None]) -> str:
    """Return the schema that the store is in, or shall be."""
    schema = reader.value("SELECT current_schema()::text")
    if schema is None:
        raise StoreError(f"{label}: there is no schema to work in", guidance="make one that is on the search path")
    tables = tables_of(reader)
    if tables and "alembic_version" not in tables:
        raise StoreError(f"{label}: holds tables, but no Wellkept store", guidance="name an empty database, or an empty schema")
    if "locks" in tables:
        refuse(reader)
    return str(schema)


@contextmanager
def _beside(store: Store, name: str) -> Iterator[str]:
    """Make a schema that is gone in the end, whatever happens."""
    store.write_now(lambda tx: tx.execute(f"CREATE SCHEMA {quoted(name)}"))
    try:
        yield name
    finally:
        store.write_now(lambda tx: tx.execute(f"DROP SCHEMA IF EXISTS {quoted(name)} CASCADE"))


def _fill(backup: Path, database: PgDatabase, clock: Clock) -> None:
    """Make the store that a backup holds, and compare the two."""
    with peek(backup) as reader:
        prepare(database, until=migrate.revision_of(reader))

        def job(tx: Tx) -> None:
            copy.copy_content(reader, tx)
            copy.compare(reader, tx, str(backup), database.label)

        with closing(Store(database, clock)) as made:
            made.write_now(job, durable=True)


def _swap(tx: Tx, label: str, beside: str, aside: str, refuse: Callable[[Reader], None]) -> str | None:
    """Move the present tables aside and those of the backup in; all of it or nothing."""
    schema = _examine(tx, label, refuse)
    present = tables_of(tx)
    try:
        if present:
            tx.execute(f"CREATE SCHEMA {quoted(aside)}")
            for table in present:
                tx.execute(f"ALTER TABLE {quoted(table)} SET SCHEMA {quoted(aside)}")
        for (table,) in tx.all("SELECT tablename FROM pg_tables WHERE schemaname = ? ORDER BY 1", (beside,)):
            tx.execute(f"ALTER TABLE {quoted(beside)}.{quoted(table)} SET SCHEMA {quoted(schema)}")
    except LOCKED as error:
        raise StoreError(
            f"{label}: another process has the store open", guidance="stop `wellkept serve`, let runs end, try again"
        ) from error
    return aside if present else None
