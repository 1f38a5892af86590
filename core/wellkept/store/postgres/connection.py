"""A connection to PostgreSQL that can be used like one to SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any
from zlib import crc32

import psycopg
from psycopg import Cursor, errors
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import FloatDumper, Int8Dumper
from psycopg.types.string import StrDumper

from wellkept.errors import StoreError
from wellkept.store.database import Dialect, MisfitError, Params
from wellkept.store.postgres.dialect import INSTANT, insert_of, instant_of, translate

COPY_ROWS = 32
"""Rows from which on COPY is faster than single statements."""

ANALYZE_ROWS = 1_000
"""Rows that a connection writes to a table before it has its statistics renewed; then twice as many, and so on."""

FETCH = 1_000
"""Rows of a stream that are fetched at a time."""

_ANYTHING: frozenset[type] = frozenset({type(None), bool, int, float, str})
_FITS: dict[int, frozenset[type]] = {
    17: frozenset({type(None), bytes, bytearray, memoryview}),  # bytea
    20: frozenset({type(None), bool, int}),  # bigint
    701: frozenset({type(None), bool, int, float}),  # double precision
}
"""What fits a column, by the number of its type; anything but bytes becomes a text by itself."""

_OPEN = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE})
_MISFIT_CLASSES = ("22", "23")
"""Data exceptions and violated constraints: the value's fault."""

_MISFIT_CODES = frozenset({"42804", "42883", "54000"})
"""A value of another type than its column, an operation that the value's type does not have, a row too large for its index."""


class _Number(Loader):
    """Loads ``numeric``: what sums of integers are, and the numbers of custom fields."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


class _Flag(Loader):
    """Loads a comparison as SQLite shows it."""

    def load(self, data: Any) -> int:
        return int(bytes(data) == b"t")


class _DayOrInstant(Loader):
    """Loads what `wellkept.store.postgres.dialect` makes of a custom field that holds a day, or an instant in its place."""

    def load(self, data: Any) -> str | int:
        text = bytes(data).decode()
        return instant_of(text) if text.startswith(INSTANT) else text


class _FlagDumper(Int8Dumper):
    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


def adapters() -> AdaptersMap:
    """Return how values travel: integers and flags as 64-bit integers, texts as ``text``, as the columns are."""
    found = AdaptersMap(psycopg.adapters)
    found.register_dumper(int, Int8Dumper)
    found.register_dumper(bool, _FlagDumper)
    found.register_dumper(float, FloatDumper)
    found.register_dumper(str, StrDumper)
    found.register_loader("numeric", _Number)
    found.register_loader("bool", _Flag)
    found.register_loader("bpchar", _DayOrInstant)
    return found


class PgConnection:
    """A connection; see `wellkept.store.database.Connection`.

    Args:
        raw: The driver's, in autocommit mode.
    """

    dialect: Dialect = "postgresql"

    def __init__(self, raw: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.raw = raw
        self._names = count(1)
        self._done: list[str] = []
        self._kinds: dict[tuple[str, str], list[tuple[str, int]]] = {}
        self._grown: dict[str, int] = {}
        self._looks: dict[str, int] = {}

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, even one that has failed."""
        return not self.raw.closed and self.raw.info.transaction_status in _OPEN

    @property
    def gone(self) -> bool:
        """Whether the connection is known to be lost."""
        return self.raw.closed or self.raw.broken

    def execute(self, sql: str, params: Params = (), /) -> Cursor[tuple[Any, ...]]:
        """Run one statement."""
        if sql.startswith(("BEGIN", "ROLLBACK")):
            self._done = []  # the server has closed their streams
        with _misfits():
            return self.raw.execute(translate(sql).encode(), params or None)

    def script(self, sql: str) -> None:
        """Run several statements without parameters, in PostgreSQL's own words."""
        if sql.startswith("BEGIN"):
            self._done = []
        self.raw.execute(sql.encode())

    def executemany(self, sql: str, params: Iterable[Params], /) -> Cursor[tuple[Any, ...]]:
        """Run one statement for many parameter rows, in few exchanges with the server."""
        cursor = self.raw.cursor()
        rows = list(params)
        with _misfits():
            if not rows:
                return cursor.execute(b"SELECT 1 WHERE false")
            cursor.executemany(translate(sql).encode(), rows)
            if found := insert_of(sql):
                self._grow(found[0], len(rows))
        return cursor

    def stream(self, sql: str, params: Params = (), /) -> Cursor[tuple[Any, ...]] | Stream:
        """Run a query whose rows come as they are asked for."""
        if not re.match(r"\s*(SELECT|WITH|VALUES)\b", sql):
            return self.execute(sql, params)
        name = f"rows_{next(self._names)}"
        done, self._done = self._done, []
        cursor = self.raw.cursor()
        with _misfits(), self.raw.pipeline():
            for old in done:
                self.raw.execute(f"CLOSE {old}".encode())
            self.raw.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {translate(sql)}".encode(), params or None, prepare=False)
            cursor.execute(_fetch(name))
        return Stream(self, name, cursor)

    def end_of(self, name: str) -> None:
        """Have a stream closed together with the next statement of its kind, or by the end of the transaction."""
        self._done.append(name)

    def bulk(self, sql: str, rows: Sequence[Params], /) -> Cursor[tuple[Any, ...]]:
        """Insert rows with different keys: COPY into a temporary table, then merge."""
        found = insert_of(sql)
        if found is None or not rows:
            return self.executemany(sql, rows)
        table, columns, rest = found
        self._check(table, columns, rows)
        if len(rows) < COPY_ROWS:
            return self.executemany(sql, rows)
        heap = f"bulk_{crc32(f'{table} {columns}'.encode()):08x}"
        with _misfits():
            self.script(
                f"CREATE TEMPORARY TABLE IF NOT EXISTS {heap} ON COMMIT DELETE ROWS"  # noqa: S608 - names from the type
                f" AS SELECT {columns} FROM {table} WITH NO DATA"
            )
            with self.raw.cursor().copy(f"COPY {heap} ({columns}) FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
            merge = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {heap} WHERE true{rest}"  # noqa: S608 - likewise
            cursor = self.raw.execute(merge.encode())
            self.script(f"DELETE FROM {heap}")  # noqa: S608 - likewise
            self._grow(table, len(rows))
        return cursor

    def _grow(self, table: str, rows: int) -> None:
        """Count rows that were written, and have the server look at a table that has grown by much.

        It would do so by itself, but only after a while: until then it takes a new table for a small one, and reads all of it
        to find a few hundred rows.
        """
        self._grown[table] = self._grown.get(table, 0) + rows
        if self._grown[table] >= self._looks.get(table, ANALYZE_ROWS):
            self._looks[table] = 2 * self._grown[table]
            self.script(f"ANALYZE {table}")

    def _check(self, table: str, columns: str, rows: Sequence[Params]) -> None:
        """Refuse what SQLite's strict tables refuse, and PostgreSQL would round, or take for a text."""
        key = table, columns
        if key not in self._kinds:
            empty = self.raw.execute(f"SELECT {columns} FROM {table} WHERE false".encode())  # noqa: S608 - names from the type
            self._kinds[key] = [(column.name, column.type_code) for column in empty.description or ()]
        for (name, oid), values in zip(self._kinds[key], zip(*rows, strict=True), strict=True):
            fits = _FITS.get(oid, _ANYTHING)
            for kind in set(map(type, values)) - fits:
                if not issubclass(kind, tuple(fits)):
                    raise MisfitError(f"cannot store {kind.__name__} value in column {table}.{name}")

    def close(self) -> None:
        """Close it."""
        self.raw.close()


class Stream:
    """The rows of a query, some at a time.

    Args:
        connection: The connection.
        name: The server's cursor.
        first: The first rows.
    """

    rowcount = -1

    def __init__(self, connection: PgConnection, name: str, first: Cursor[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._name = name
        self._rows: Iterator[tuple[Any, ...]] = iter(first.fetchall())
        self._more = first.rowcount == FETCH
        self._closed = False

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return next(self, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        return list(self)

    def close(self) -> None:
        """Give up the rest."""
        if not self._closed:
            self._closed = True
            self._connection.end_of(self._name)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self

    def __next__(self) -> tuple[Any, ...]:
        if self._closed:
            raise StoreError("rows were read after the end of their snapshot", guidance="this is a bug: read inside the block")
        row = next(self._rows, None)
        if row is None and self._more:
            with _misfits():
                cursor = self._connection.raw.execute(_fetch(self._name))
            self._rows, self._more = iter(cursor.fetchall()), cursor.rowcount == FETCH
            row = next(self._rows, None)
        if row is None:
            raise StopIteration
        return row


def _fetch(name: str) -> bytes:
    return f"FETCH FORWARD {FETCH} FROM {name}".encode()


@contextmanager
def _misfits() -> Iterator[None]:
    """Tell what is a value's fault as such; other errors pass."""
    try:
        yield
    except psycopg.Error as error:
        if is_misfit(error):
            raise MisfitError(described(error)) from error
        raise


def is_misfit(error: psycopg.Error) -> bool:
    """Say whether a value is to blame, one that the driver could not even send included."""
    code = error.sqlstate
    if code is None:
        return isinstance(error, (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError))
    return code.startswith(_MISFIT_CLASSES) or code in _MISFIT_CODES


def described(error: psycopg.Error) -> str:
    """Say what is wrong without the value, which PostgreSQL likes to quote."""
    diag = error.diag
    if isinstance(error, psycopg.IntegrityError):
        place = diag.constraint_name or ".".join(filter(None, (diag.table_name, diag.column_name)))
        return f"{_words(error)}: {place}"
    if is_misfit(error):
        column = re.search(r"column \"?(\w+)\"?", f"{diag.context or ''} {diag.message_primary or ''}")
        return f"cannot store a value{f' in column {column[1]}' if column else ''}: {_words(error)}"
    return diag.message_primary or str(error).partition("\n")[0] or type(error).__name__


def _words(error: psycopg.Error) -> str:
    """Return an error's name in words: ``unique violation``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()


LOST_CODES = ("08", "57P", "25P03", "53300")
"""Broken connections, servers that stop or start, sessions that were ended for being idle, too many sessions."""


def is_lost(error: BaseException) -> bool:
    """Say whether an error means no more than that the connection is gone, or could not be made."""
    if not isinstance(error, psycopg.Error) or is_misfit(error):
        return False
    code = error.sqlstate
    if code is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return code.startswith(LOST_CODES)


LOCKED = (errors.LockNotAvailable, errors.QueryCanceled)
COLLIDED = (errors.SerializationFailure, errors.DeadlockDetected)

__all__ = ["COLLIDED", "LOCKED", "PgConnection", "Stream", "adapters", "described", "is_lost", "is_misfit"]
