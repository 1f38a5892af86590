"""PostgreSQL as the store's database. Its driver comes with the extra ``wellkept[postgresql]``, and is imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept.errors import StoreError
from wellkept.store.database import BUSY_SECONDS

if TYPE_CHECKING:
    from wellkept.store.postgres.database import PgDatabase


def open_database(dsn: str, *, busy_seconds: float = BUSY_SECONDS) -> PgDatabase:
    """Make sure that a store is there, of the newest schema, and return its database.

    Args:
        dsn: A URL ``postgresql://...``.
        busy_seconds: How long to wait for another process that writes, and for a server that does not answer.

    Raises:
        StoreError: The driver is not installed, the URL is none, or what is there is no store.
        RetryableError: The database cannot be reached.
    """
    try:
        from wellkept.store.postgres.database import PgDatabase
    except ImportError as error:
        raise StoreError(
            "a store in PostgreSQL needs its driver", guidance="install it: pip install 'wellkept[postgresql]'"
        ) from error
    from wellkept.store.postgres.migrate import prepare

    database = PgDatabase(dsn, busy_seconds=busy_seconds)
    prepare(database)
    return database
