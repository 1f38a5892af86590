"""What may be done in a snapshot and in a transaction, whichever database is behind it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from wellkept.errors import StoreError
from wellkept.store.database import Connection, Cursor, Dialect, MisfitError, Params

MISFITS: tuple[type[Exception], ...] = (
    MisfitError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What a statement raises because of a *value*: of the wrong kind, too large, not text. The transaction can go on, from the
savepoint before it."""


class _Ended:
    """Stands in for a connection that its user may no longer use."""

    def execute(self, *_: object) -> NoReturn:
        raise StoreError("a snapshot or transaction was used after its end", guidance="this is a bug: read inside the block")

    executemany = stream = bulk = execute


_ENDED: Any = _Ended()


class Reader:
    """A snapshot to read from. Rows are plain tuples."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: set[Cursor] = set()

    @property
    def dialect(self) -> Dialect:
        """Which database is behind it, for the few who must know."""
        return self._connection.dialect

    def rows(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows as they come, so that a large result needs no memory."""
        cursor = self._connection.stream(sql, params)
        self._open.add(cursor)
        return self._drain(cursor)

    def all(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._connection.execute(sql, params).fetchall()

    def one(self, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        row: tuple[Any, ...] | None = self._connection.execute(sql, params).fetchone()
        return row

    def value(self, sql: str, params: Params = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, params)
        return None if row is None else row[0]

    def _drain(self, cursor: Cursor) -> Iterator[tuple[Any, ...]]:
        try:
            yield from cursor
        finally:
            self._open.discard(cursor)
            cursor.close()

    def end(self) -> None:
        """Close what was not read to its end: an open statement would hold back the log and see an old state for ever."""
        for cursor in list(self._open):
            cursor.close()
        self._open.clear()
        self._connection = _ENDED


class Tx(Reader):
    """A transaction of the writer thread. Never leaves the function that it was given to."""

    def execute(self, sql: str, params: Params = ()) -> int:
        """Run one statement and return how many rows it touched."""
        return self._use().execute(sql, params).rowcount

    def many(self, sql: str, params: Iterable[Params]) -> int:
        """Run one statement for many parameter rows and return how many rows it touched."""
        return self._use().executemany(sql, params).rowcount

    def bulk(self, sql: str, rows: Sequence[Params]) -> int:
        """Do what `many` does for ``INSERT INTO table (columns) VALUES (?, ...)``, in the way that suits many rows.

        No two of the rows may meet in a key of the table.
        """
        return self._use().bulk(sql, rows).rowcount

    def insert(self, sql: str, params: Params = ()) -> int:
        """Run an INSERT into a table with a ``seq`` column and return the number given."""
        row = self._use().execute(sql + " RETURNING seq", params).fetchone()
        if row is None:
            raise StoreError("an INSERT returned no number")
        return int(row[0])

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is written inside if it raises, and nothing else."""
        connection = self._use()
        connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK TO part")
                connection.execute("RELEASE part")
            raise
        self._use().execute("RELEASE part")

    def _use(self) -> Connection:
        """Return the connection, unless the database gave the transaction up (disk full): writing on would commit piecemeal."""
        if self._connection is not _ENDED and not self._connection.in_transaction:
            raise StoreError("the transaction is over: the database rolled it back")
        return self._connection
