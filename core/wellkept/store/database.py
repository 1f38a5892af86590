"""What the store asks of a database: a connection, transactions, and what went wrong.

There are two: `wellkept.store.sqlite` and `wellkept.store.postgres`. SQL is written once, in SQLite's words with ``?`` for
parameters, as far as possible in those that both understand; `wellkept.store.postgres.dialect` translates the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from wellkept.errors import StoreError

Dialect = Literal["sqlite", "postgresql"]

Params = Sequence[Any]

BUSY_SECONDS = 30.0
"""How long a statement waits for another process before it gives up."""


class MisfitError(Exception):
    """A value does not fit its column. Names the column where the database does, and never the value."""


class UncertainError(StoreError):
    """It is not known whether a transaction was committed: its jobs must not be run again."""


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement touched."""
        ...

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        ...

    def close(self) -> None:
        """Give up the rest."""
        ...

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...


class Connection(Protocol):
    """A connection that commits nothing by itself: transactions are begun and ended by statements."""

    dialect: Dialect

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, even one that has failed."""
        ...

    def execute(self, sql: str, params: Params = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, params: Iterable[Params], /) -> Cursor:
        """Run one statement for many parameter rows."""
        ...

    def stream(self, sql: str, params: Params = ..., /) -> Cursor:
        """Run a query whose rows come as they are asked for, so that a large result needs no memory."""
        ...

    def bulk(self, sql: str, rows: Sequence[Params], /) -> Cursor:
        """Do what `executemany` does for an ``INSERT ... VALUES (?, ...)`` of rows with different keys, as fast as can be."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Database(Protocol):
    """Where a store is, and how to work with it.

    Attributes:
        label: What it is called in messages; holds no secret.
        path: The file, for a database that is one.
        errors: What its driver raises.
    """

    label: str
    path: Path | None
    errors: tuple[type[Exception], ...]

    def connect(self, *, readonly: bool) -> Connection:
        """Open a connection: the writer's, or one for snapshots."""
        ...

    def reconnect(self) -> Connection:
        """Open the writer's connection again, after the one before was lost or broke; waits while nobody answers."""
        ...

    def begin(self, writer: Connection, *, durable: bool) -> None:
        """Begin a transaction that nobody else writes beside; waits for those who do.

        Args:
            writer: The connection.
            durable: Its commit must be on disk when it returns.
        """
        ...

    def commit(self, writer: Connection) -> None:
        """Commit, and return only if that is certain.

        Raises:
            UncertainError: It is not known whether it was committed. Any other error means that it was not.
        """
        ...

    def snapshot(self, reader: Connection) -> None:
        """Begin a transaction that reads, and sees the database as it is now until its end."""
        ...

    def tidy(self, writer: Connection) -> None:
        """Do what is due now and then; called after each commit."""
        ...

    def compact(self, writer: Connection) -> bool:
        """Remove the bytes of what was deleted; False if somebody still reads an older state."""
        ...

    def lost(self, error: BaseException) -> bool:
        """Whether an error means that the connection is gone, and nothing else: the same may be tried again on a new one."""
        ...

    def translate(self, error: BaseException) -> BaseException:
        """Turn the driver's errors into ours; others pass unchanged."""
        ...

    def origin(self, reader: Connection) -> str | None:
        """Return a name that this very database has and no copy of it; None where a copy can be told otherwise."""
        ...
