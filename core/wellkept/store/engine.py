"""The store as an object: snapshots to read from, and the one thread that writes."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from wellkept.clock import Clock, SystemClock
from wellkept.errors import RetryableError, StoreError
from wellkept.place import is_url
from wellkept.store.connection import Reader, Tx
from wellkept.store.database import BUSY_SECONDS, Connection, Database, UncertainError

__all__ = ["Reader", "Store", "Tx", "open_store", "peek"]

T = TypeVar("T")
GROUP_LIMIT = 32
"""Jobs committed together at most; a waiting process gets its turn between groups."""

LOST_LIMIT = 3
"""How often a group is tried whose connection is lost every time: perhaps its own work is what breaks it."""


class _Job:
    """A function on its way to the writer, and whom to tell."""

    __slots__ = ("_tell", "durable", "outside", "run", "told")

    def __init__(
        self,
        run: Callable[[Any], Any],
        tell: Callable[[Any, BaseException | None], None],
        *,
        durable: bool,
        outside: bool = False,
    ) -> None:
        self.run = run
        self.durable = durable
        self.outside = outside
        self.told = False
        self._tell = tell

    def tell(self, result: Any, error: BaseException | None) -> None:
        """Tell the sender how it went, once; a sender whose event loop is gone does not want to know."""
        if not self.told:
            self.told = True
            with suppress(RuntimeError):
                self._tell(result, error)


class _TransactionLostError(Exception):
    """The whole transaction is gone, not one job's part of it."""


class Store:
    """An open store. Make it with `open_store`; close it with `close`.

    Every sender waits for the commit of what it sent, which slows down a producer that is faster than the disk: as many jobs
    wait as there are senders.

    Args:
        database: Where it is.
        clock: Where the time comes from.

    Attributes:
        label: What it is called in messages.
        path: The file, None where the store is no file.
        clock: Where the time comes from.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.label = database.label
        self.path = database.path
        self.clock = clock
        self._database = database
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._idle: list[Connection] = []
        self._closed = False
        try:
            self._writer = database.connect(readonly=False)
        except database.errors as error:
            raise database.translate(error) from error
        self._thread = threading.Thread(target=self._write_loop, name="wellkept-writer", daemon=True)
        self._thread.start()

    # --- reading ---

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Open a snapshot: everything read inside belongs to one instant, and sees only what was committed.

        Raises:
            StoreError: The store is closed, or cannot be read.
            RetryableError: The database cannot be reached.
        """
        try:
            with self._snapshot() as connection:
                reader = Reader(connection)
                try:
                    yield reader
                finally:
                    reader.end()
        except self._database.errors as error:
            raise self._database.translate(error) from error

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        connection = self._begin_snapshot()
        try:
            yield connection
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        with self._changed:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _begin_snapshot(self) -> Connection:
        """Begin a snapshot on an idle connection, or on a new one; idle ones may have been lost without anybody noticing."""
        while True:
            with self._changed:
                if self._closed:
                    raise self._closed_error()
                idle = self._idle.pop() if self._idle else None
            connection = idle or self._database.connect(readonly=True)
            try:
                self._database.snapshot(connection)
            except BaseException as error:
                connection.close()
                if idle is None or not self._database.lost(error):
                    raise
            else:
                return connection

    def origin(self) -> str | None:
        """Return a name that this very database has and no copy of it; see `wellkept.store.database.Database`."""
        with self._snapshot() as connection:
            return self._database.origin(connection)

    # --- writing ---

    async def write(self, job: Callable[[Tx], T], *, durable: bool = False) -> T:
        """Run `job` in the writer thread and return its result once it is committed.

        Either all of the job is committed or nothing of it. Jobs run in the order in which they were sent. A job that was
        sent is run even if its sender is cancelled meanwhile: what it writes down may be the answer of a call outside.

        Args:
            job: Gets a `Tx`. Must be quick, must not wait for anything, and must have no effect beyond its transaction:
                when the commit of a group of jobs fails as a whole, each is run again on its own.
            durable: Return only when the commit is on disk: for claims before a call outside.

        Raises:
            StoreError: The disk is full, the file is broken, or the store is closed. Nothing of the job was committed.
            RetryableError: Another process kept the database locked for too long, or it cannot be reached. Nothing of the job
                was committed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def tell(result: Any, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(settle, result, error)

        self._send(_Job(job, tell, durable=durable))
        return await future

    def write_now(self, job: Callable[[Tx], T], *, durable: bool = False) -> T:
        """Do what `write` does, from code that is not async; blocks until the commit."""
        result: T = self._send_and_wait(job, durable=durable, outside=False)
        return result

    def compact(self) -> bool:
        """Rewrite the database without anything that was deleted; blocks.

        Needs free space of about twice the store's size for the while. To be called after an erasure: deleted rows leave
        their bytes otherwise.

        Returns:
            Whether all is gone. If not, somebody still reads an older state, and deleted bytes may be there until the next
            call.

        Raises:
            StoreError: The disk is full.
            RetryableError: Another process kept the database locked for too long.
        """
        return bool(self._send_and_wait(self._database.compact, durable=True, outside=True))

    def close(self) -> None:
        """Finish what was sent, then close all connections. Snapshots still open are closed by those who read them."""
        if threading.current_thread() is self._thread:
            raise StoreError(f"{self.label}: a job cannot close the store")
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            idle, self._idle = self._idle, []
        self._thread.join()
        for connection in idle:
            connection.close()
        self._writer.close()

    def _send(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                raise self._closed_error()
            self._jobs.append(job)
            self._changed.notify()

    def _send_and_wait(self, run: Callable[[Any], Any], *, durable: bool, outside: bool) -> Any:
        if threading.current_thread() is self._thread:
            raise StoreError(f"{self.label}: a job cannot wait for another job", guidance="do both in one job")
        ready = threading.Event()
        box: list[Any] = [None, None]

        def done(result: Any, error: BaseException | None) -> None:
            box[0], box[1] = result, error
            ready.set()

        self._send(_Job(run, done, durable=durable, outside=outside))
        ready.wait()
        if box[1] is not None:
            raise box[1]
        return box[0]

    def _closed_error(self) -> StoreError:
        return StoreError(f"{self.label}: the store is closed")

    # --- the writer thread ---

    def _write_loop(self) -> None:
        while group := self._next_group():
            try:
                self._work_off(group)
            except BaseException as error:  # noqa: BLE001 - the thread must outlive anything, or every sender waits for ever
                for job in group:
                    job.tell(None, StoreError(f"{self.label}: the writer failed: {type(error).__name__}"))
                self._renew()

    def _next_group(self) -> list[_Job]:
        """Wait for work; an empty list means that the store is closed and everything is done."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            group: list[_Job] = []
            while self._jobs and len(group) < GROUP_LIMIT and not (group and self._jobs[0].outside):
                group.append(self._jobs.popleft())
                if group[-1].outside:
                    break
            return group

    def _work_off(self, group: list[_Job], tries: int = LOST_LIMIT) -> None:
        if group[0].outside:
            self._run_outside(group[0])
            return
        try:
            self._begin(durable=any(job.durable for job in group))
        except self._database.errors as error:
            failure = self._database.translate(error)
            for job in group:
                job.tell(None, failure)
            return
        try:
            outcomes = self._run(group)
        except UncertainError as error:
            self._renew()
            for job in group:
                job.tell(None, error)
            return
        except _TransactionLostError as lost:
            if self._database.lost(lost.__cause__ or lost):
                self._renew()
                if tries > 1:
                    self._work_off(group, tries - 1)
                    return
            self._roll_back()
            if len(group) == 1:
                group[0].tell(None, self._database.translate(lost.__cause__ or lost))
                return
            for job in group:  # one that is too large for the disk must not take the others with it
                self._work_off([job])
            return
        for done, result, reason in outcomes:
            done.tell(result, reason)
        with suppress(*self._database.errors):  # what is committed is committed
            self._database.tidy(self._writer)

    def _begin(self, *, durable: bool) -> None:
        """Begin a transaction; on a new connection where the old one turns out to be gone, for nothing was done on it yet."""
        try:
            self._database.begin(self._writer, durable=durable)
        except self._database.errors as error:
            if not self._database.lost(error):
                self._roll_back()
                if not isinstance(self._database.translate(error), RetryableError):
                    self._renew()
                raise
            self._writer.close()
            self._writer = self._database.reconnect()
            self._database.begin(self._writer, durable=durable)

    def _run(self, group: list[_Job]) -> list[tuple[_Job, Any, BaseException | None]]:
        """Run jobs in the open transaction, each in a savepoint, so that one that fails takes no other with it; commit."""
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            for job in group:
                self._writer.execute("SAVEPOINT job")
                result, failure = self._run_one(job)
                if failure is not None:
                    self._writer.execute("ROLLBACK TO job")
                self._writer.execute("RELEASE job")
                outcomes.append((job, result, failure))
            self._database.commit(self._writer)
        except self._database.errors as error:
            raise _TransactionLostError from error
        return outcomes

    def _run_one(self, job: _Job) -> tuple[Any, BaseException | None]:
        tx = Tx(self._writer)
        result: Any = None
        failure: BaseException | None = None
        try:
            result = job.run(tx)
        except StopIteration as error:  # cannot be handed to a future
            failure = RuntimeError(f"a job ended with {error!r}")
        except BaseException as error:  # noqa: BLE001 - whatever a job raises belongs to its sender
            failure = error
        finally:
            tx.end()
        if not self._writer.in_transaction:
            raise _TransactionLostError from failure
        return result, None if failure is None else self._database.translate(failure)

    def _run_outside(self, job: _Job) -> None:
        """Run a job that manages its own transactions."""
        try:
            result = job.run(self._writer)
        except self._database.errors as error:
            if self._database.lost(error):
                self._renew()
            self._roll_back()
            job.tell(None, self._database.translate(error))
        else:
            job.tell(result, None)

    def _roll_back(self) -> None:
        with suppress(*self._database.errors):  # a connection that is broken has rolled back already
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _renew(self) -> None:
        """Replace the connection. One that cannot be made is tried again by the next group, which then fails."""
        with suppress(*self._database.errors):
            self._writer.close()
        with suppress(*self._database.errors):
            self._writer = self._database.reconnect()


def _at(address: Path | str, busy_seconds: float) -> Database:
    """Return the database behind an address as it is: nothing is made, and nothing is migrated."""
    if is_url(address):
        from wellkept.store.postgres import database_at

        return database_at(str(address), busy_seconds=busy_seconds)
    from wellkept.store.sqlite import SqliteDatabase

    return SqliteDatabase(Path(address), busy_seconds=busy_seconds)


def _prepared(address: Path | str, busy_seconds: float) -> Database:
    """Make sure that a store is there, of the newest schema, and return its database."""
    if is_url(address):
        from wellkept.store.postgres import open_database

        return open_database(str(address), busy_seconds=busy_seconds)
    from wellkept.store import migrate

    migrate.prepare(Path(address), busy_seconds=busy_seconds)
    return _at(address, busy_seconds)


@contextmanager
def peek(address: Path | str, *, busy_seconds: float = BUSY_SECONDS) -> Iterator[Reader]:
    """Open a snapshot of what is there, and change nothing: no store is made, migrated, or marked as restored.

    Args:
        address: A file that exists, or ``postgresql://...``.
        busy_seconds: How long to wait for another process that holds it.

    Raises:
        StoreError: It cannot be read.
        RetryableError: The database cannot be reached.
    """
    database = _at(address, busy_seconds)
    try:
        with closing(database.connect(readonly=True)) as connection:
            database.snapshot(connection)
            yield Reader(connection)
    except database.errors as error:
        raise database.translate(error) from error


def open_store(address: Path | str, clock: Clock | None = None, *, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open a store, making or migrating it first.

    A copy of an older file is taken before it is migrated (``NAME.bak-REVISION`` beside it). A store that was a backup is
    marked as restored, so that effects which it still plans are held.

    Args:
        address: The database file, which is made when missing, as is its folder; or ``postgresql://...``, a database that is
            there, where the tables are made.
        clock: Where the time comes from.
        busy_seconds: How long to wait for another process that holds the store.

    Raises:
        StoreError: The store was made by a newer Wellkept, or cannot be opened or migrated.
        RetryableError: Another process kept the store locked for too long.
    """
    from wellkept.store import backup

    store = Store(_prepared(address, busy_seconds), clock or SystemClock())
    try:
        backup.recognise(store)
    except BaseException:
        store.close()
        raise
    return store
