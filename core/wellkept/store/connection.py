"""Connections to a SQLite file, what may be done with them, and what their errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from wellkept.errors import RetryableError, StoreError

Params = Sequence[Any]

BUSY_SECONDS = 30.0
"""How long a statement waits for another process before it gives up."""

MISFITS: tuple[type[Exception], ...] = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What a statement raises because of a *value*: of the wrong kind, too large, not text. The transaction can go on."""


class _Ended:
    """Stands in for a connection that its user may no longer use."""

    def execute(self, *_: object) -> NoReturn:
        raise StoreError("a snapshot or transaction was used after its end", guidance="this is a bug: read inside the block")

    executemany = execute


_ENDED: Any = _Ended()


class Reader:
    """A snapshot to read from. Rows are plain tuples."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._open: set[sqlite3.Cursor] = set()

    def rows(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows as they come, so that a large result needs no memory."""
        cursor = self._connection.execute(sql, params)
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

    def _drain(self, cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
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

    def insert(self, sql: str, params: Params = ()) -> int:
        """Run an INSERT into a table with a ``seq`` column and return the number given."""
        return int(self._use().execute(sql + " RETURNING seq", params).fetchone()[0])

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

    def _use(self) -> sqlite3.Connection:
        """Return the connection, unless SQLite gave the transaction up (disk full): writing on would commit piecemeal."""
        if self._connection is not _ENDED and not self._connection.in_transaction:
            raise StoreError("the transaction is over: the database rolled it back")
        return self._connection


def connect(path: Path, *, readonly: bool = False, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a connection to a file that exists, with the settings that every connection shares."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    if readonly:
        connection.execute("PRAGMA query_only=ON")
    return connection


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch a database to the write-ahead log, where it does not use it yet.

    The switch needs the file for itself and does not wait for it (SQLite asks no busy handler there), so it waits with a
    lock that does, and tries again.

    Raises:
        sqlite3.OperationalError: Others held the file for as long as the connection's time-out.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return


def empty_log(connection: sqlite3.Connection, busy_seconds: float) -> bool:
    """Move the whole log into the file and truncate it; False if a reader of an older state is in the way."""
    connection.execute(f"PRAGMA busy_timeout={int(min(busy_seconds, 0.25) * 1000)}")
    try:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
    return not busy


def log_size(path: Path) -> int:
    """Return the bytes of the write-ahead log."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translate(error: BaseException, path: Path, busy_seconds: float = BUSY_SECONDS) -> BaseException:
    """Turn SQLite's errors into ours; others pass unchanged."""
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if _is_busy(error):
        return RetryableError(f"{path}: another process kept the store locked for {busy_seconds:g} s")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"{path}: the disk is full", guidance="free some space; nothing that was committed is lost")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreError(f"{path}: {error}", guidance="restore the newest backup, see `wellkept backup --help`")
    return StoreError(f"{path}: {error}")
