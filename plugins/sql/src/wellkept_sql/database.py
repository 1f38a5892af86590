"""Talking to the database: read-only, streaming, in one thread per read, with errors told by what they call for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wellkept.errors import ConfigError, CredentialsError, FatalError, RetryableError, WellkeptError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine, Select

T = TypeVar("T")

_NOT_PERMITTED = ("28", "42501")
"""SQLSTATE: invalid authorization, and insufficient privilege."""

_REFUSALS = ("authentication failed", "access denied", "permission denied", "not authorized", "no password supplied")
_PASSING = ("40", "53", "57", "08", "55P03")
"""SQLSTATE classes that pass: rollbacks, resources, an operator's intervention, connections, locks."""

_FAULTY = ("no such", "syntax error", "misuse", "readonly", "incomplete input", "unrecognized token", "ambiguous column")
"""How SQLite words mistakes in a query, for which it has no class or code of its own."""


def parse(text: str) -> URL:
    """Return a database URL. Raises `ConfigError`, which does not show it."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "`url` refers to no database URL", guidance="it is like postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def place_of(url: URL) -> str:
    """Return which database a URL means. It is no URL itself, as the secret may be one without a password."""
    port = f":{url.port}" if url.port else ""
    return " ".join(part for part in (url.get_backend_name(), f"{url.host or ''}{port}", url.database) if part)


class Session:
    """An open connection. All its methods block, and are called in its own thread."""

    def __init__(self, url: URL, timeout: int) -> None:
        self._url = url
        self._timeout = timeout
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._result: CursorResult[Any] | None = None

    def open(self) -> None:
        """Connect, and begin a transaction that cannot write where the database has such."""
        import sqlalchemy as sa
        from sqlalchemy.pool import NullPool

        url = self._url
        backend = url.get_backend_name()
        if backend == "sqlite" and url.database and url.database != ":memory:" and not Path(url.database).is_file():
            raise RetryableError(f"there is no database {url.database}", guidance="look at the path behind `url`")
        try:
            self._engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
        except (ImportError, sa.exc.NoSuchModuleError) as error:
            raise ConfigError(f"the driver for {url.drivername} is missing: {error}", guidance="install it with pip") from None
        self._connection = self._engine.connect()
        if backend == "postgresql":
            self._connection = self._connection.execution_options(postgresql_readonly=True)
        for statement in _READ_ONLY.get(backend, ()):
            self._connection.exec_driver_sql(statement.format(seconds=self._timeout, ms=self._timeout * 1000))

    def start(self, statement: Select[Any], rows: int) -> None:
        """Send a statement; its rows stay at the server, where the driver can do that."""
        assert self._connection is not None  # noqa: S101 - narrows: it is open
        self._finish()
        options = {"stream_results": True, "max_row_buffer": rows}
        self._result = self._connection.execute(statement, execution_options=options)

    def fetch(self, rows: int) -> Sequence[Mapping[str, Any]]:
        """Return the next rows, by column; none at the end."""
        assert self._result is not None  # noqa: S101 - narrows: a statement was sent
        return [dict(row) for row in self._result.mappings().fetchmany(rows)]

    def _finish(self) -> None:
        """Let the server forget the statement before."""
        if self._result is not None:
            self._result.close()

    def close(self) -> None:
        """Give everything up; nothing is ever committed."""
        self._finish()
        if self._connection is not None:
            self._connection.close()
        if self._engine is not None:
            self._engine.dispose()


_MYSQL = ("COMMIT", "SET SESSION TRANSACTION READ ONLY", "START TRANSACTION")

_READ_ONLY: Mapping[str, Sequence[str]] = {
    "postgresql": ("SET LOCAL statement_timeout = {ms}",),
    "sqlite": ("PRAGMA query_only = ON",),
    "mysql": ("SET SESSION max_execution_time = {ms}", *_MYSQL),
    "mariadb": ("SET SESSION max_statement_time = {seconds}", *_MYSQL),
    "oracle": ("SET TRANSACTION READ ONLY",),
}
"""What is said at the beginning of a transaction, by kind of database."""


class Call:
    """Calls a session's methods in its thread and translates their errors."""

    def __init__(self, session: Session, thread: ThreadPoolExecutor) -> None:
        self._session = session
        self._thread = thread

    async def start(self, statement: Select[Any], rows: int) -> None:
        """See `Session.start`."""
        await self._call(partial(self._session.start, statement, rows))

    async def fetch(self, rows: int) -> Sequence[Mapping[str, Any]]:
        """See `Session.fetch`."""
        return await self._call(partial(self._session.fetch, rows))

    async def open(self) -> None:
        """See `Session.open`."""
        await self._call(self._session.open)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except WellkeptError:
            raise
        except Exception as error:
            found = translated(error)
            if found is None:
                raise
            raise found from None


@asynccontextmanager
async def connected(url: URL, seconds: int) -> AsyncIterator[Call]:
    """Open a connection for a read, and close it in the thread that it was opened in.

    Args:
        url: The database.
        seconds: How long a statement may run.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wellkept-sql")
    session = Session(url, seconds)
    call = Call(session, thread)
    try:
        await call.open()
        yield call
    finally:
        thread.submit(session.close)
        await asyncio.to_thread(thread.shutdown, wait=True)


def translated(error: BaseException) -> WellkeptError | None:
    """Return what a driver's error calls for; None for one that is none. Statements and their values are left out."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    if not isinstance(error, DBAPIError):
        return None
    state = str(getattr(error.orig, "sqlstate", None) or "")
    text = next(iter(str(error.orig).strip().splitlines()), type(error.orig).__name__)
    if state.startswith(_NOT_PERMITTED) or any(word in str(error.orig).lower() for word in _REFUSALS):
        return CredentialsError(f"the database refuses us: {text}", guidance="look at user, password and grants")
    if error.connection_invalidated or state.startswith(_PASSING):
        return RetryableError(f"the database cannot answer at the moment: {text}")
    faulty = any(word in text for word in _FAULTY)
    if isinstance(error, (OperationalError, InterfaceError)) and not faulty and not state:
        return RetryableError(f"the database cannot be reached: {text}")
    if state.startswith("22"):  # the text of a data exception shows data
        text = f"a value does not fit (SQLSTATE {state})"
    return FatalError(f"the database refuses the query: {text}", guidance="try it in the database's own shell")
