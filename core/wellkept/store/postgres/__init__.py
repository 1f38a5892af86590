"""PostgreSQL as the store's database. Its driver comes with the extra ``wellkept[postgresql]``, and is imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept.errors import StoreError
from wellkept.store.database import BUSY_SECONDS

if TYPE_CHECKING:
    from wellkept.store.postgres.database import PgDatabase


def database_at(dsn: str, *, busy_seconds: float = BUSY_SECONDS) -> PgDatabase:
    """Return a database as it is.

    Args:
        dsn: A URL ``postgresql://...``.
        busy_seconds: How long to wait for another process that writes, and for a server that does not answer.

    Raises:
        StoreError: The driver is not installed, or the URL is none.
    """
    try:
        from wellkept.store.postgres.database import PgDatabase
    except ImportError as error:
        raise StoreError(
            "a store in PostgreSQL needs its driver", guidance="install it: pip install 'wellkept[postgresql]'"
        ) from error
    return PgDatabase(dsn, busy_seconds=busy_seconds)


def open_database(dsn: str, *, busy_seconds: float = BUSY_SECONDS) -> PgDatabase:
    """Make sure that a store is there, of the newest schema, and return its database.

    Raises:
        StoreError: See `database_at`; or what is there is no store.
        RetryableError: The database cannot be reached.
    """
    database = database_at(dsn, busy_seconds=busy_seconds)
    from wellkept.store.postgres.migrate import prepare

    prepare(database)
    return database
