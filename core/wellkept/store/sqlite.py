"""SQLite as the store's database: one file in WAL mode."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from wellkept.errors import RetryableError, StoreError
from wellkept.store.database import BUSY_SECONDS, Connection, Dialect, MisfitError, Params

WAL_LIMIT = 64 * 1024 * 1024
"""Bytes of the write-ahead log above which the writer insists on emptying it, instead of leaving that to chance."""


class SqliteConnection(sqlite3.Connection):
    """A connection of the standard library, which streams anyway."""

    dialect: Dialect = "sqlite"
    stream = sqlite3.Connection.execute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._needed: dict[str, frozenset[str]] = {}

    def bulk(self, sql: str, rows: Sequence[Params], /) -> sqlite3.Cursor:
        """Insert rows without the columns that are empty in all of them: binding a None takes longer than any value."""
        found = _insert_of(sql)
        if found is None or not rows:
            return self.executemany(sql, rows)
        table, names, rest = found
        if table not in self._needed:
            self._needed[table] = self._with_default(table)
        needed = self._needed[table]
        columns = list(zip(*rows, strict=True))
        kept = [
            (name, values)
            for name, values in zip(names, columns, strict=True)
            if values[0] is not None or name in needed or values.count(None) < len(values)
        ]
        text = f"INSERT INTO {table} ({', '.join(name for name, _ in kept)}) VALUES ({', '.join('?' * len(kept))}){rest}"  # noqa: S608
        return self.executemany(text, zip(*(values for _, values in kept), strict=True))

    def _with_default(self, table: str) -> frozenset[str]:
        """Return the columns of a table that would not be NULL if they were left out, as SQL may name them."""
        rows = self.execute("SELECT name FROM pragma_table_info(?) WHERE dflt_value IS NOT NULL", (table,))
        return frozenset(text for (name,) in rows for text in (name, f'"{name}"'))


@lru_cache(maxsize=256)
def _insert_of(sql: str) -> tuple[str, list[str], str] | None:
    """Take ``INSERT INTO table (columns) VALUES (?, ...) rest`` apart: table, columns, rest; None for anything else."""
    match = re.fullmatch(r"\s*INSERT INTO (\w+) \(([^()]*)\) VALUES \([?, ]+\)(.*)", sql, re.DOTALL)
    return None if match is None else (match[1], [name.strip() for name in match[2].split(",")], match[3])


class SqliteDatabase:
    """A file; see `wellkept.store.database.Database`.

    Args:
        path: The file, which exists.
        busy_seconds: How long to wait for another process that holds it.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path: Path | None = path
        self.label = str(path)
        self._file = path
        self._busy_seconds = busy_seconds
        self._trim_at = WAL_LIMIT
        self._full_sync = False

    def connect(self, *, readonly: bool) -> Connection:
        """Open a connection."""
        connection = connect(self._file, readonly=readonly, busy_seconds=self._busy_seconds)
        if not readonly:
            use_wal(connection)
            connection.execute("PRAGMA cache_size=-5120")
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
            self._full_sync = False
        return connection

    def reconnect(self) -> Connection:
        """Open the writer's connection again."""
        return self.connect(readonly=False)

    def begin(self, writer: Connection, *, durable: bool) -> None:
        """Begin a transaction, with the only lock there is."""
        self._set_sync(writer, full=durable)
        writer.execute("BEGIN IMMEDIATE")

    def commit(self, writer: Connection) -> None:
        """Commit."""
        writer.execute("COMMIT")

    def snapshot(self, reader: Connection) -> None:
        """Begin a snapshot; BEGIN alone would take none."""
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()

    def tidy(self, writer: Connection) -> None:
        """Empty the log when readers that overlap all the time have kept it from starting over."""
        size = log_size(self._file)
        if size >= self._trim_at:
            self._trim_at = WAL_LIMIT if empty_log(writer, self._busy_seconds) else size + WAL_LIMIT

    def compact(self, writer: Connection) -> bool:
        """Rewrite the file and empty the log; needs free space of about twice the store's size for the while."""
        self._set_sync(writer, full=True)
        writer.execute("VACUUM")
        return empty_log(writer, self._busy_seconds)

    def lost(self, error: BaseException) -> bool:  # noqa: ARG002
        """Return False: there is nothing between the program and its file."""
        return False

    def translate(self, error: BaseException) -> BaseException:
        """See `translate`."""
        return translate(error, self._file, self._busy_seconds)

    def origin(self, reader: Connection) -> str | None:  # noqa: ARG002
        """Return None: a copy carries a mark."""
        return None

    def _set_sync(self, writer: Connection, *, full: bool) -> None:
        if full != self._full_sync:
            writer.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full_sync = full


def connect(path: Path, *, readonly: bool = False, busy_seconds: float = BUSY_SECONDS) -> SqliteConnection:
    """Open a connection to a file that exists, with the settings that every connection shares."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    options: dict[str, Any] = {"uri": True, "isolation_level": None, "check_same_thread": False}
    connection = sqlite3.connect(uri, timeout=busy_seconds, factory=SqliteConnection, **options)
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
            if not is_busy(error):
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return


def empty_log(connection: Connection, busy_seconds: float) -> bool:
    """Move the whole log into the file and truncate it; False if a reader of an older state is in the way."""
    connection.execute(f"PRAGMA busy_timeout={int(min(busy_seconds, 0.25) * 1000)}")
    try:
        busy: tuple[Any, ...] | None = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
    return busy is not None and not busy[0]


def log_size(path: Path) -> int:
    """Return the bytes of the write-ahead log."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def is_busy(error: BaseException) -> bool:
    """Whether an error of SQLite means that another process holds the file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translate(error: BaseException, path: Path, busy_seconds: float = BUSY_SECONDS) -> BaseException:
    """Turn SQLite's errors into ours; others pass unchanged."""
    if not isinstance(error, (sqlite3.Error, MisfitError)):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if is_busy(error):
        return RetryableError(f"{path}: another process kept the store locked for {busy_seconds:g} s")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"{path}: the disk is full", guidance="free some space; nothing that was committed is lost")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreError(f"{path}: {error}", guidance="restore the newest backup, see `wellkept backup --help`")
    return StoreError(f"{path}: {error}")
