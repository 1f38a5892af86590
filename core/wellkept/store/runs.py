"""Runs: one row per run with a heartbeat, one per stream read, and the lease that lets one run at a time work on a store.

Whoever syncs, scores or delivers does so inside `running`. The lease's epoch is checked in every commit that must not be done
twice (`Run.check`), so that a process that was paused and replaced can do no harm when it wakes up.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

from wellkept.errors import RetryableError
from wellkept.events import Event
from wellkept.redact import redact_exception
from wellkept.store import inbox, locks, owners
from wellkept.store.engine import Reader, Store, Tx
from wellkept.store.heartbeat import Heartbeat

RunKind = Literal["sync", "score", "deliver", "run", "backfill", "hints", "wake"]
"""What a run does. ``hints`` reads what webhooks hinted at instead of whole streams, ``wake`` reads nothing; both do the later
steps, as ``run`` does."""

KINDS: tuple[RunKind, ...] = get_args(RunKind)
RunState = Literal["running", "done", "partial", "failed", "interrupted"]
STATES: tuple[RunState, ...] = get_args(RunState)
StreamState = Literal["running", "done", "partial", "failed", "skipped"]

INTERRUPTED, HANGS = CUT_OFF = ("interrupted", "hangs")
"""The errors of streams that were being read when their run ended."""

LEASE = "run"
"""Name of the lock that a run holds."""

LEASE_SECONDS = 60.0
"""How long a run that gave no sign of life keeps others out."""

BEATS = 4
"""How often a run shows that it lives in the time of a lease; three may be missed before it ends."""

_log = logging.getLogger(__name__)
_mine: set[str] = set()
"""Runs of this process. A row with our process number that is not among them is of an earlier process with that number."""


class RunUnderWayError(RetryableError):
    """Another run holds the store; nothing was done."""


class RunStoppedError(RetryableError):
    """The run was asked to stop, and parked its work; the next one goes on from there."""


@dataclass(kw_only=True)
class Run:
    """A run under way, and the right to commit.

    Attributes:
        id: Its name in tables, logs and commands: when it began, and the lease's epoch.
        kind: What it does.
        owner: Who holds the lease; differs between any two runs.
        epoch: The lease's.
        started_at: Epoch ms.
        lease_seconds: How long it keeps others out after its last sign of life.
        doing: Which step it is at, for whoever has to say where it hangs.
        state: How it ends; the body of `running` sets it when it did not go well.
        summary: One line for the run table, redacted.
        lost: Another process took over.
        stopping: Why it is to park its work soon, None while it is not; may be set from another thread.
    """

    id: str
    kind: RunKind
    owner: str
    epoch: int
    started_at: int
    lease_seconds: float = LEASE_SECONDS
    doing: str = "starting"
    state: RunState = "done"
    summary: str | None = None
    lost: bool = field(default=False, repr=False)
    stopping: str | None = field(default=None, repr=False)

    def check(self, reader: Reader) -> None:
        """Make sure, inside a transaction, that this run may still commit.

        Raises:
            LeaseLostError: Another process took over.
        """
        locks.check(reader, LEASE, self.owner, self.epoch)

    def check_going(self, reader: Reader) -> None:
        """Make sure, inside a transaction, that this run may still commit and should go on.

        Raises:
            LeaseLostError: Another process took over.
            RunStoppedError: It is to stop.
        """
        self.check(reader)
        self.check_stopping()

    def check_stopping(self) -> None:
        """Raise `RunStoppedError` when the run is to stop."""
        if (reason := self.reason_to_stop()) is not None:
            raise reason

    def reason_to_stop(self) -> RunStoppedError | None:
        """Return what to raise when the run is to stop; None while it may go on."""
        if self.stopping is None:
            return None
        return RunStoppedError(self.stopping, guidance="the next run goes on from the last commit")


class RunRow(NamedTuple):
    """A run as the run table shows it."""

    id: str
    kind: str
    state: str
    started_at: int
    heartbeat_at: int
    finished_at: int | None
    host: str
    pid: int
    summary: str | None


class StreamRow(NamedTuple):
    """What one run did with one stream."""

    run_id: str
    instance: str
    stream: str
    state: str
    started_at: int
    finished_at: int | None
    read: int
    inserted: int
    updated: int
    unchanged: int
    deleted: int
    rejected: int
    error: str | None
    note: str | None


_RUN_COLUMNS = ", ".join(RunRow._fields)
_STREAM_COLUMNS = ", ".join(StreamRow._fields)


@asynccontextmanager
async def running(
    store: Store,
    kind: RunKind,
    *,
    observe: Callable[[Event], None] | None = None,
    lease: float = LEASE_SECONDS,
    beat: float | None = None,
    also: Callable[[Tx], None] | None = None,
) -> AsyncIterator[Run]:
    """Be the one run that works on the store.

    The heartbeat has a thread of its own, since a step may compute for longer than a lease lasts; it stops when the event loop
    is stuck. Its rhythm is real time; what it writes is the store's clock.

    Args:
        store: The store.
        kind: What the run does.
        observe: Told when the run begins and ends.
        lease: Seconds for which a run that gives no sign of life keeps others out.
        beat: Real seconds between signs of life; by default `BEATS` in a lease.
        also: Done in the transaction that takes the lease; what it raises, nothing was done.

    Raises:
        RunUnderWayError: Another run holds the lease.
    """
    run = await start(store, kind, lease=lease, also=also)
    tell = observe or (lambda _event: None)
    heart = _heart(store, run, lease / BEATS if beat is None else beat)
    heart.start()
    try:
        tell(Event(kind="run.started", at=run.started_at, run=run.id, state="running"))
        yield run
    except RunStoppedError as stopped:
        run.state, run.summary = "interrupted", stopped.message
        raise
    except Exception as error:
        run.state, run.summary = "failed", redact_exception(error)
        raise
    except BaseException:  # cancelled, or interrupted from the keyboard
        run.state = "interrupted"
        raise
    finally:
        heart.stop()
        await asyncio.shield(store.write(lambda tx: finish(tx, run, store.clock.now())))
        _mine.discard(run.id)
        tell(Event(kind="run.finished", at=store.clock.now(), run=run.id, state=run.state, reason=run.summary))


async def start(store: Store, kind: RunKind, *, lease: float = LEASE_SECONDS, also: Callable[[Tx], None] | None = None) -> Run:
    """Take the lease and add the run's row. Runs that died without saying so are marked `interrupted`.

    Arguments: see `running`.

    Raises:
        RunUnderWayError: Another run holds the lease.
    """
    owner = owners.new()

    def job(tx: Tx) -> Run:
        run = _start(tx, kind, owner, lease, store.clock.now())
        if also is not None:
            also(tx)
        return run

    run = await store.write(job)
    _mine.add(run.id)
    return run


def finish(tx: Tx, run: Run, now: int) -> None:
    """End a run's row and give the lease back. A run that another process replaced is left as that one marked it."""
    tx.execute(
        "UPDATE runs SET state = ?, finished_at = ?, heartbeat_at = ?, summary = ? WHERE id = ? AND state = 'running'",
        (run.state, now, now, run.summary, run.id),
    )
    _end_streams(tx, run.id, INTERRUPTED, now)
    locks.release(tx, LEASE, run.owner, run.epoch)


def abandon(tx: Tx, run: Run, summary: str, now: int) -> None:
    """End a run from outside, because it hangs and does not obey: it can commit nothing any more.

    Args:
        tx: The transaction.
        run: The run.
        summary: Why, for the run table; redacted.
        now: The current instant.
    """
    locks.release(tx, LEASE, run.owner, run.epoch)
    tx.execute(
        "UPDATE runs SET state = 'failed', finished_at = ?, summary = ? WHERE id = ? AND state = 'running'",
        (now, summary, run.id),
    )
    _end_streams(tx, run.id, HANGS, now)


def heartbeat(tx: Tx, run: Run, now: int) -> bool:
    """Show that a run lives and hold the lease on; False when another process took over."""
    if not locks.renew(tx, LEASE, run.owner, run.epoch, _ms(run.lease_seconds), now):
        return False
    tx.execute("UPDATE runs SET heartbeat_at = ? WHERE id = ?", (now, run.id))
    return True


# --- streams of a run ------------------------------------------------------------------------------------------------------


def begin_stream(tx: Tx, run: Run, instance: str, stream: str, now: int) -> None:
    """Add the row of a stream that is being read."""
    tx.execute(
        "INSERT INTO run_streams (run_id, instance, stream, state, started_at) VALUES (?, ?, ?, 'running', ?)"
        " ON CONFLICT (run_id, instance, stream) DO UPDATE SET state = 'running', finished_at = NULL, error = NULL",
        (run.id, instance, stream, now),
    )


def count_stream(tx: Tx, run: Run, instance: str, stream: str, counts: tuple[int, int, int, int, int, int]) -> None:
    """Add to a stream's figures: read, inserted, updated, unchanged, deleted, rejected."""
    tx.execute(
        "UPDATE run_streams SET read = read + ?, inserted = inserted + ?, updated = updated + ?, unchanged = unchanged + ?,"
        " deleted = deleted + ?, rejected = rejected + ? WHERE run_id = ? AND instance = ? AND stream = ?",
        (*counts, run.id, instance, stream),
    )


def note_stream(tx: Tx, run: Run, instance: str, stream: str, note: str) -> None:
    """Write a note while a stream is still being read; redacted."""
    tx.execute(
        "UPDATE run_streams SET note = ? WHERE run_id = ? AND instance = ? AND stream = ?", (note, run.id, instance, stream)
    )


def end_stream(
    tx: Tx,
    run: Run,
    instance: str,
    stream: str,
    *,
    state: StreamState,
    error: str | None,
    note: str | None,
    now: int,
) -> None:
    """Write how a stream ended; both texts must be redacted."""
    tx.execute(
        "INSERT INTO run_streams (run_id, instance, stream, state, started_at, finished_at, error, note)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, instance, stream) DO UPDATE SET state = excluded.state,"
        " finished_at = excluded.finished_at, error = excluded.error, note = excluded.note",
        (run.id, instance, stream, state, now, now, error, note),
    )


# --- looking back ----------------------------------------------------------------------------------------------------------


def history(reader: Reader, limit: int = 20) -> list[RunRow]:
    """Return the newest runs first."""
    rows = reader.rows(f"SELECT {_RUN_COLUMNS} FROM runs ORDER BY started_at DESC, id DESC LIMIT ?", (limit,))  # noqa: S608
    return [RunRow(*row) for row in rows]


def get(reader: Reader, run_id: str) -> RunRow | None:
    """Return one run."""
    row = reader.one(f"SELECT {_RUN_COLUMNS} FROM runs WHERE id = ?", (run_id,))  # noqa: S608 - constants
    return None if row is None else RunRow(*row)


def newest_end(reader: Reader, state: RunState) -> int | None:
    """Return when a run last ended so; None before the first."""
    sql = "SELECT finished_at FROM runs WHERE state = ? AND finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1"
    found = reader.value(sql, (state,))
    return None if found is None else int(found)


def newest_ended(reader: Reader) -> list[RunRow]:
    """Return the newest run of each kind that is over and was not cut off."""
    sql = (
        f"SELECT {_RUN_COLUMNS} FROM runs WHERE kind = ? AND state IN ('done', 'partial', 'failed')"  # noqa: S608 - constants
        " ORDER BY started_at DESC, id DESC LIMIT 1"
    )
    rows = (reader.one(sql, (kind,)) for kind in KINDS)
    return [RunRow(*row) for row in rows if row is not None]


def streams(reader: Reader, run_id: str) -> list[StreamRow]:
    """Return what a run did, stream by stream."""
    rows = reader.rows(
        f"SELECT {_STREAM_COLUMNS} FROM run_streams WHERE run_id = ? ORDER BY instance, stream",  # noqa: S608 - constants
        (run_id,),
    )
    return [StreamRow(*row) for row in rows]


def newest_of_stream(reader: Reader, instance: str, stream: str) -> StreamRow | None:
    """Return what came of a stream the last time that it was to be read and was not cut off; None before the first time."""
    row = reader.one(
        f"SELECT {_STREAM_COLUMNS} FROM run_streams WHERE instance = ? AND stream = ?"  # noqa: S608 - constants
        " AND state <> 'running' AND COALESCE(error, '') NOT IN (?, ?) ORDER BY started_at DESC LIMIT 1",
        (instance, stream, *CUT_OFF),
    )
    return None if row is None else StreamRow(*row)


def first_try(reader: Reader, instance: str, stream: str) -> int | None:
    """Return when a stream was first read, or tried to be, as far back as runs are kept."""
    found = reader.value("SELECT MIN(started_at) FROM run_streams WHERE instance = ? AND stream = ?", (instance, stream))
    return None if found is None else int(found)


def whereabouts(reader: Reader, run: Run) -> str:
    """Say where a run is: its step, the streams that it reads, and the instances that it sends through."""
    reading = reader.all(
        "SELECT instance || '.' || stream FROM run_streams WHERE run_id = ? AND state = 'running' ORDER BY 1", (run.id,)
    )
    sending = reader.all(
        "SELECT DISTINCT instance FROM outbox WHERE state = 'sending' AND claimed_by = ? ORDER BY 1", (run.id,)
    )
    names = ", ".join(name for (name,) in (*reading, *sending) if name)
    return f"{run.doing} ({names})" if names else run.doing


def latest_of_streams(reader: Reader) -> list[StreamRow]:
    """Return the newest row of every stream, whichever run it belongs to."""
    rows = reader.rows(
        f"SELECT {_STREAM_COLUMNS} FROM run_streams AS s WHERE started_at = (SELECT MAX(t.started_at) FROM run_streams AS t"  # noqa: S608
        " WHERE t.instance = s.instance AND t.stream = s.stream) ORDER BY instance, stream, run_id",
    )
    return list({(row[1], row[2]): StreamRow(*row) for row in rows}.values())


# --- inside ----------------------------------------------------------------------------------------------------------------


def _start(tx: Tx, kind: RunKind, owner: str, lease: float, now: int) -> Run:
    host, pid = owners.place(), os.getpid()
    open_runs = [RunRow(*row) for row in tx.all(f"SELECT {_RUN_COLUMNS} FROM runs WHERE state = 'running'")]  # noqa: S608
    for row in open_runs:
        if row.host == host and _is_dead(row):
            _free(tx, row)
    epoch = locks.acquire(tx, LEASE, owner, _ms(lease), now)
    if epoch is None:
        holder = next((f"run {row.id} on {row.host} (process {row.pid})" for row in open_runs), "another process")
        raise RunUnderWayError(f"{holder} is working on the store", retry_after=lease, guidance="wait until it has ended")
    for row in open_runs:
        _interrupt(tx, row, now)
    if open_runs:
        inbox.suspect(tx, now, now, until=inbox.newest(tx))
    run = Run(id=f"{_stamp(now)}-{epoch}", kind=kind, owner=owner, epoch=epoch, started_at=now, lease_seconds=lease)
    tx.execute(
        "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, host, pid) VALUES (?, ?, 'running', ?, ?, ?, ?)",
        (run.id, kind, now, now, host, pid),
    )
    return run


def _is_dead(row: RunRow) -> bool:
    """Say whether the process of a run at this place is gone for certain."""
    return row.id not in _mine if row.pid == os.getpid() else owners.process_is_gone(row.pid)


def _free(tx: Tx, row: RunRow) -> None:
    """Give back the lease of a dead run, so that a restart after a crash need not wait for its end."""
    lock = tx.one("SELECT owner, epoch FROM locks WHERE name = ?", (LEASE,))
    if lock is not None and row.id.rpartition("-")[2] == str(lock[1]):
        locks.release(tx, LEASE, lock[0], lock[1])


def _interrupt(tx: Tx, row: RunRow, now: int) -> None:
    tx.execute("UPDATE runs SET state = 'interrupted', finished_at = ? WHERE id = ?", (now, row.id))
    _end_streams(tx, row.id, INTERRUPTED, now)


def _end_streams(tx: Tx, run_id: str, error: str, now: int) -> None:
    """Mark the streams that a run was reading when it ended."""
    tx.execute(
        "UPDATE run_streams SET state = 'failed', finished_at = ?, error = ? WHERE run_id = ? AND state = 'running'",
        (now, error, run_id),
    )


def _heart(store: Store, run: Run, seconds: float) -> Heartbeat:
    def beat() -> bool:
        return store.write_now(lambda tx: heartbeat(tx, run, store.clock.now()))

    def lost() -> None:
        run.lost = True
        _log.error("run %s: lost its lease in %s; nothing more will be committed", run.id, run.doing, extra={"run": run.id})

    return Heartbeat(f"heartbeat of run {run.id}", beat, seconds, lost)


def _stamp(now: int) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%S")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
