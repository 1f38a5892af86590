"""PostgreSQL as the store's database: transactions, lost connections, and commits whose answer was lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import RawCursor

from wellkept.errors import RetryableError, StoreError
from wellkept.redact import REDACTOR
from wellkept.store.columns import quoted
from wellkept.store.database import BUSY_SECONDS, Connection, MisfitError, UncertainError
from wellkept.store.postgres.connection import COLLIDED, LOCKED, PgConnection, adapters, described, is_lost

PAUSE_SECONDS = 60.0
"""After so long without a statement in a transaction the server ends it: a writer that was paused frees the others."""

BACK_OFF = (0.05, 2.0)
"""Seconds before the second try to connect, doubling with each one, and the most."""

OLDEST = 130000
"""PostgreSQL 13: the first that tells what became of a transaction by the number used here."""

WRITER_LOCK = "pg_advisory_xact_lock(1466264683, hashtext(current_schema()))"
"""Whoever writes holds it until the end of the transaction, so that one writes at a time, as in SQLite: what a job reads in
its transaction (a lease and its epoch, a budget, the head of the audit chain) nobody changes until it has committed."""

_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "connect_timeout": 10}


class PgDatabase:
    """A database, or a schema in one; see `wellkept.store.database.Database`.

    Args:
        dsn: How to reach it: a URL ``postgresql://...``.
        busy_seconds: How long to wait for another process that writes, and for a server that does not answer.
        pause_seconds: See `PAUSE_SECONDS`.
        schema: The schema to work in, where it is not the one that the URL leads to.

    Raises:
        StoreError: It is no such URL.
    """

    errors: tuple[type[Exception], ...] = (psycopg.Error,)
    path: Path | None = None

    def __init__(
        self,
        dsn: str,
        *,
        busy_seconds: float = BUSY_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        schema: str | None = None,
    ) -> None:
        self._options = _parsed(dsn)
        if schema is not None:
            self._options["options"] = f"{self._options.get('options', '')} -csearch_path={quoted(schema)}"
        self.label = _label(self._options)
        self.busy_seconds = busy_seconds
        self._pause_seconds = pause_seconds
        self._adapters = adapters()

    def connect(self, *, readonly: bool) -> PgConnection:
        """Open a connection; tries once."""
        raw: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
            **{**_KEEPALIVE, "application_name": "wellkept", **self._options},
            autocommit=True,
            context=self._adapters,
            cursor_factory=RawCursor,
        )
        if raw.info.server_version < OLDEST:
            raw.close()
            raise StoreError(
                f"{self.label}: PostgreSQL {raw.info.server_version // 10000} is too old", guidance="use 13 or newer"
            )
        connection = PgConnection(raw)
        pause = 0 if readonly else round(self._pause_seconds * 1000)
        connection.script(
            "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET TimeZone = 'UTC';"
            " SET client_min_messages = warning; SET plan_cache_mode = force_custom_plan;"
            f" SET idle_in_transaction_session_timeout = {pause}"
        )
        return connection

    def reconnect(self) -> PgConnection:
        """Open the writer's connection again; tries for as long as others would be waited for."""
        give_up = time.monotonic() + self.busy_seconds
        pause, most = BACK_OFF
        while True:
            try:
                return self.connect(readonly=False)
            except psycopg.Error as error:
                if not is_lost(error) or time.monotonic() + pause > give_up:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, most)

    def begin(self, writer: Connection, *, durable: bool) -> None:
        """Begin a transaction, once all others that write have ended."""
        _pg(writer).script(
            f"BEGIN; SET LOCAL lock_timeout = {max(1, round(self.busy_seconds * 1000))};"
            f" SET LOCAL synchronous_commit = {'on' if durable else 'off'}; SELECT {WRITER_LOCK}"
        )

    def commit(self, writer: Connection) -> None:
        """Commit. Where the answer is lost together with the connection, ask the server what became of the transaction."""
        connection = _pg(writer)
        row = connection.execute("SELECT pg_current_xact_id_if_assigned()::text, pg_backend_pid()").fetchone()
        assert row is not None  # noqa: S101 - narrows: a SELECT without FROM
        number, process = row
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if number is None or not is_lost(error) or not self._is_committed(number, process):
                raise

    def snapshot(self, reader: Connection) -> None:
        """Begin a snapshot; BEGIN alone would take none."""
        _pg(reader).script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1")

    def tidy(self, writer: Connection) -> None:
        """Do nothing: the server looks after itself."""

    def compact(self, writer: Connection) -> bool:
        """Rewrite all tables. What the server itself keeps, its log of changes and its backups, is not in our hands."""
        connection = _pg(writer)
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'r'"
            " AND (pg_relation_size(oid) > 0 OR pg_relation_size(NULLIF(reltoastrelid, 0)) > 0) ORDER BY relname"
        ).fetchall()
        older = (
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_xmin IS NOT NULL"
        )
        free = connection.execute(older).fetchone() == (0,)
        connection.script("SET lock_timeout = 250")
        try:
            for (name,) in tables:
                connection.script(f'VACUUM FULL "{name}"')
        except LOCKED:
            return False
        finally:
            if not connection.gone:
                connection.script("RESET lock_timeout")
        return free

    def lost(self, error: BaseException) -> bool:
        """Say whether an error means no more than that the connection is gone."""
        return is_lost(error)

    def translate(self, error: BaseException) -> BaseException:
        """Turn the driver's errors into ours."""
        if isinstance(error, MisfitError):
            return StoreError(f"{self.label}: {error}")
        if not isinstance(error, psycopg.Error):
            return error
        if isinstance(error, (*LOCKED, *COLLIDED)) or is_lost(error):
            return RetryableError(f"{self.label}: {self._hindrance(error)}")
        if isinstance(error, psycopg.errors.DiskFull):
            return StoreError(f"{self.label}: the disk is full", guidance="free some space; nothing that was committed is lost")
        return StoreError(f"{self.label}: {described(error)}")

    def _hindrance(self, error: psycopg.Error) -> str:
        """Say what passes by itself."""
        if isinstance(error, LOCKED):
            return f"another process kept the store locked for {self.busy_seconds:g} s"
        return f"the database cannot be reached: {described(error)}" if is_lost(error) else described(error)

    def origin(self, reader: Connection) -> str | None:
        """Return what a restored copy does not share: the cluster, its history, the database and the table of facts."""
        row = reader.execute(
            "SELECT (SELECT system_identifier FROM pg_control_system()) || ':' ||"
            " (SELECT timeline_id FROM pg_control_checkpoint()) || ':' ||"
            " (SELECT oid FROM pg_database WHERE datname = current_database()) || ':' || to_regclass('meta')::oid"
        ).fetchone()
        return None if row is None else str(row[0])

    def _is_committed(self, number: str, process: int) -> bool:
        """Find out whether a transaction was committed whose connection was lost in the moment of its commit.

        Raises:
            UncertainError: The server does not answer, or does not know any more.
        """
        try:
            state = self._fate(number, process)
        except psycopg.Error as error:
            raise UncertainError(f"{self.label}: {described(error)}, and what became of a commit is not known") from error
        if state not in {"committed", "aborted"}:
            raise UncertainError(f"{self.label}: what became of the commit of transaction {number} is not known")
        return state == "committed"

    def _fate(self, number: str, process: int) -> str | None:
        """Return what the server says of a transaction; waits for one that it still believes to be under way."""
        connection = self.reconnect()
        try:
            give_up = time.monotonic() + self.busy_seconds
            while True:
                row = connection.execute(f"SELECT pg_xact_status('{number}'::xid8)").fetchone()
                state: str | None = row[0] if row else None
                if state != "in progress" or time.monotonic() > give_up:
                    return state
                connection.execute("SELECT pg_terminate_backend(?::int)", (process,))  # it has lost us, and will learn it late
                time.sleep(BACK_OFF[0])
        finally:
            connection.close()


def _pg(connection: Connection) -> PgConnection:
    assert isinstance(connection, PgConnection)  # noqa: S101 - narrows: this database made it
    return connection


def _parsed(dsn: str) -> dict[str, Any]:
    """Take a URL apart; the driver's own message might show the password."""
    try:
        options = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.Error:
        raise StoreError(
            "the store's address is not a PostgreSQL URL", guidance="write postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    if password := options.get("password"):
        REDACTOR.register(str(password))
    return dict(options)


def _label(options: dict[str, Any]) -> str:
    """Return the address without any secret."""
    user = f"{options['user']}@" if options.get("user") else ""
    port = f":{options['port']}" if options.get("port") else ""
    return f"postgresql://{user}{options.get('host') or ''}{port}/{options.get('dbname') or ''}"
