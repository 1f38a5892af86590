"""Reading one stream: from its cursor to its end, batch by batch, with one chunk on its way to disk while the next gathers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from wellkept.errors import CursorExpiredError, FatalError, LeaseLostError, RejectedError, StoreError, StuckCursorError
from wellkept.pipeline.commit import Chunk, Committed, Desk, End, Part, commit
from wellkept.pipeline.report import StreamResult, describe
from wellkept.pipeline.watch import BlamedError, Watch
from wellkept.source import Batch, Cursor, ReadRequest, Replace, Source, Stream, Window
from wellkept.store import cursors, inbox, runs, staging
from wellkept.store.cursors import LIVE, CursorState, Key, window_scope
from wellkept.store.dead_letters import clean
from wellkept.store.engine import Tx
from wellkept.store.salvage import reject_of

CHUNK_ROWS = 2000
"""Rows committed together: enough to make a commit's cost small, few enough that many streams fit into little memory."""

CHUNK_BATCHES = 200
"""Batches committed together at most, for pages that are almost empty."""

CHUNK_SECONDS = 5.0
"""A slow stream commits at least so often, so that a kill costs little."""

CLOSE_SECONDS = 5.0
"""Real seconds that a source may take to close what it has open."""

Progress = Callable[[StreamResult], None]

_END: Final = object()
_log = logging.getLogger(__name__)


class StreamReader:
    """Reads one stream once. What a plugin raises ends up in `result`, and goes no further.

    Args:
        desk: What the streams of this sync share.
        source: The source.
        stream: The stream.
        watch: What a supervisor sees.
        result: How it goes.
        full: Read everything again, whatever the cursor says.
        window: Backfill this window instead; the live cursor stays where it is.
        progress: Told after each commit.
    """

    def __init__(
        self,
        desk: Desk,
        source: Source,
        stream: Stream,
        *,
        watch: Watch,
        result: StreamResult,
        full: bool = False,
        window: Window | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.result = result
        self._desk = desk
        self._source = source
        self._stream = stream
        self._watch = watch
        self._full = full
        self._window = window
        self._key = Key(result.instance, stream.name, LIVE if window is None else window_scope(window))
        self._progress = progress
        self._types = {*stream.records, *stream.includes}
        self._judged = self._anomalous = False

        self._parts: list[Part] = []
        self._rows = self._batches = 0
        self._since, self._observed_at = 0.0, 0
        self._cursor: str | None = None
        self._inflight: asyncio.Future[Committed] | None = None
        self._begins_full: int | None = None
        self._generation: Replace | None = None
        self._generations = 0
        self._circle = _Circle()

    async def run(self) -> None:
        """Read the stream to its end, or to what stops it."""
        result = self.result
        try:
            await self._read()
        except BlamedError as blamed:
            result.fail(blamed.error, blamed=True)
            await self._save_rest()
        except Exception as error:  # noqa: BLE001 - one stream's failure is its own; the report names it
            asked_for = isinstance(error, FatalError) and not isinstance(error, (StoreError, LeaseLostError))
            result.fail(error, blamed=asked_for)  # the tables refuse what makes no sense
        else:
            result.end_well()

    # --- from the cursor to the end ---

    async def _read(self) -> None:
        state, read_hints = await self._desk.store.write(self._open)
        cursor = state.cursor
        wanted = self._full or state.full_wanted is not None
        if self._window is None and wanted and (state.full_since is None or cursor is None):
            cursor = None
            self.result.notes += [state.full_wanted] if state.full_wanted else []
        try:
            await self._follow(cursor, read_hints, state.full_since)
        except BlamedError as blamed:
            if cursor is None or not isinstance(blamed.error, CursorExpiredError):
                raise
            await self._announce_expiry(blamed.error)
            await self._follow(None, read_hints, None)

    def _open(self, tx: Tx) -> tuple[CursorState, int]:
        """Begin: drop what an interrupted generation left, and look where to go on."""
        desk, key = self._desk, self._key
        desk.run.check(tx)
        runs.begin_stream(tx, desk.run, key.instance, key.stream, desk.clock.now())
        staging.clear(tx, key)
        return cursors.load(tx, key), inbox.newest_read_hint(tx, key.instance, key.stream)

    async def _announce_expiry(self, error: CursorExpiredError) -> None:
        await self._save_rest()
        note = f"everything is read again: {describe(error)}"
        self.result.notes.append(note)
        _log.warning("%s: stream %s: %s", self._key.instance, self._key.stream, note)

        def job(tx: Tx) -> None:
            self._desk.run.check(tx)
            cursors.expire(tx, self._key, self._desk.clock.now())
            staging.clear(tx, self._key)
            runs.note_stream(tx, self._desk.run, self._key.instance, self._key.stream, note)

        await self._desk.store.write(job)
        self._generation = None

    async def _follow(self, cursor: Cursor | None, read_hints: int, full_since: int | None) -> None:
        """Read on from a cursor and commit what comes."""
        started_at = self._desk.clock.now()
        live = self._window is None
        begins_full = live and cursor is None
        self._begins_full = started_at if begins_full else None
        self._circle = _Circle()
        request = ReadRequest(stream=self._stream, cursor=cursor, window=self._window)
        iterator = await self._watch.ask(self._iterate(request))
        try:
            while (batch := await self._watch.ask(anext(iterator, _END))) is not _END:
                if self._parts and self._parts[-1].complete:
                    await self._flush()
                self._accept(batch)
                if self._is_due():
                    await self._flush()
        finally:
            await self._close(iterator)
        if self._generation is not None:
            raise BlamedError(FatalError("the read ended within a generation", guidance="say `last` with its last batch"))
        fresh_at = full_since if live and not begins_full and full_since is not None else started_at
        end = End(
            fresh_at=fresh_at,
            read_hints=read_hints,
            judged=self._judged,
            anomalous=self._anomalous,
            judge_day=not begins_full and full_since is None and self._generations == 0,
        )
        await self._flush(end)
        await self._settle()

    async def _iterate(self, request: ReadRequest) -> AsyncIterator[Batch]:
        iterator = self._source.read(request)
        if not isinstance(iterator, AsyncIterator):
            raise FatalError("`read` returned no asynchronous iterator", guidance="write it as an async generator")
        return iterator

    async def _close(self, iterator: AsyncIterator[Batch]) -> None:
        """Let the source close what it has open. It was read to its end, or failed already: what happens here is its affair."""
        close = getattr(iterator, "aclose", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await close()
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("%s: stream %s: closing failed: %s", self._key.instance, self._key.stream, describe(error))

    # --- batches ---

    def _accept(self, batch: object) -> None:
        """Check a batch and take its rows over. Lists are copied: a source may use its own again.

        Raises:
            BlamedError: The batch breaks the contract of `Batch`.
        """
        try:
            batch = self._check(batch)
        except FatalError as error:
            raise BlamedError(error) from None
        if not self._parts:
            self._since, self._observed_at = self._desk.clock.monotonic(), self._desk.clock.now()
        part = self._part_for(batch)
        part.records += batch.records
        part.deletions += batch.deletions
        part.rejects += map(clean, batch.rejects)
        part.last, part.complete = batch.last, batch.complete
        if not self._types.issuperset(map(type, batch.records)):
            self._reject_foreign(part)
        self._batches += 1
        self._rows += len(batch.records) + len(batch.deletions) + len(batch.rejects)

    def _check(self, batch: object) -> Batch:
        if not isinstance(batch, Batch):
            raise FatalError(f"`read` yielded a {type(batch).__name__}, not a Batch")
        if not self._types.issuperset(deletion.record for deletion in batch.deletions):
            raise FatalError("a deletion of a type that the stream does not declare")
        if self._generation is not None and batch.replaces != self._generation:
            raise FatalError("a batch came before the generation was ended", guidance="say `last` with its last batch")
        if batch.replaces is not None:
            if batch.replaces.record not in self._types:
                raise FatalError(f"a generation of {batch.replaces.record.__name__}, which the stream does not declare")
            if type(batch.replaces.start) is not type(batch.replaces.end):
                raise FatalError("the bounds of a generation are of different kinds")
            open_ = not batch.last
            if open_ and (batch.cursor is not None or batch.complete):
                raise FatalError(
                    "a cursor came within a generation", guidance="leave it None until the generation's last batch"
                )
            self._generation = batch.replaces if open_ else None
            self._generations += 1
        if batch.cursor is not None:
            cursor = cursors.encode(batch.cursor)
            if batch.records and self._circle.closed_by(cursor):
                raise StuckCursorError("the cursor came back to where it was, so reading would never end")
            self._cursor = cursor
        return batch

    def _part_for(self, batch: Batch) -> Part:
        """Return the part that a batch belongs to: the last one, as long as order does not matter."""
        last = self._parts[-1] if self._parts else None
        if last is not None and not last.complete and last.replaces == batch.replaces:
            if batch.replaces is None and not last.deletions:
                return last
            if batch.replaces is not None and not last.last:
                return last
        part = Part(replaces=batch.replaces)
        self._parts.append(part)
        return part

    def _reject_foreign(self, part: Part) -> None:
        """Put aside records of types that the stream does not declare."""
        foreign = [record for record in part.records if type(record) not in self._types]
        part.records = [record for record in part.records if type(record) in self._types]
        reason = RejectedError("the stream does not declare this type")
        part.rejects += [reject_of(record, reason) for record in foreign]

    # --- commits ---

    def _is_due(self) -> bool:
        return (
            self._rows >= CHUNK_ROWS
            or self._batches >= CHUNK_BATCHES
            or self._desk.clock.monotonic() - self._since >= CHUNK_SECONDS
        )

    async def _flush(self, end: End | None = None) -> None:
        """Send what has gathered to the store, once the chunk before it is there."""
        await self._settle()
        if not self._parts and end is None:
            return
        if self._cursor is not None:
            try:
                cursors.refuse_secrets(self._cursor)
            except FatalError as error:
                self._parts = []
                raise BlamedError(error) from None
        chunk = Chunk(
            parts=self._parts,
            cursor=self._cursor,
            observed_at=self._observed_at if self._parts else self._desk.clock.now(),
            begins_full=self._begins_full,
            ends=end,
        )
        self._parts, self._rows, self._batches, self._cursor, self._begins_full = [], 0, 0, None, None
        job = partial(commit, desk=self._desk, stream=self._stream, key=self._key, chunk=chunk)
        self._inflight = asyncio.ensure_future(self._desk.store.write(job))
        self._inflight.add_done_callback(_look_at)

    async def _settle(self) -> None:
        """Wait for the chunk on its way, and count what it did."""
        if self._inflight is None:
            return
        done = await self._inflight
        self._inflight = None
        result = self.result
        result.add(done)
        result.held |= bool(done.held)
        self._judged |= done.judged
        self._anomalous |= done.anomalous
        result.notes += done.held
        if self._progress is not None:
            self._progress(result)

    async def _save_rest(self) -> None:
        """Commit what came before a failure: its rows and cursor are as good as any."""
        try:
            await self._flush()
            await self._settle()
        except Exception as error:  # noqa: BLE001 - the first failure is the one to report
            self.result.notes.append(f"the rows read last could not be stored: {describe(error)}")


class _Circle:
    """Notices when a sequence of cursors comes back to an earlier one, in constant memory (Brent's cycle detection)."""

    def __init__(self) -> None:
        self._last: str | None = None
        self._mark: str | None = None
        self._steps = 0
        self._limit = 1

    def closed_by(self, cursor: str) -> bool:
        """Take the next cursor and say whether it closes a circle."""
        if cursor in {self._last, self._mark}:
            return True
        self._last = cursor
        self._steps += 1
        if self._steps == self._limit:
            self._mark, self._steps, self._limit = cursor, 0, self._limit * 2
        return False


def _look_at(done: asyncio.Future[Committed]) -> None:
    """Look at a result that nobody may come for, so that asyncio does not complain: its sender was cancelled."""
    if not done.cancelled():
        done.exception()
