"""What webhooks hinted at: the objects are read again by id, in order of arrival, and the hints settle with their rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from wellkept.errors import CredentialsError, FatalError, RejectedError, RetryableError, WellkeptError
from wellkept.pipeline.commit import Chunk, Desk, Part, commit
from wellkept.pipeline.report import StreamResult, describe
from wellkept.pipeline.watch import BlamedError, Watch
from wellkept.source import Batch, FetchingSource, Reject, Stream
from wellkept.store import inbox, runs
from wellkept.store.cursors import Key
from wellkept.store.dead_letters import clean
from wellkept.store.engine import Tx
from wellkept.store.inbox import OpenHint
from wellkept.store.runs import RunStoppedError

FETCH_IDS = 100
"""Objects asked for at once, at most. Hints that failed before are asked for in ever smaller company, until the one that
spoils the others stands alone."""

FAILURES_IN_A_ROW = 3
"""Failed calls after which the rest waits for the next sync: the vendor is down."""

_log = logging.getLogger(__name__)


class HintReader:
    """Answers the hints at single objects of one stream.

    Args:
        desk: What the streams of this sync share.
        source: The source.
        stream: The stream.
        watch: What a supervisor sees.
        result: Gets the figures and notes.
    """

    def __init__(self, desk: Desk, source: FetchingSource, stream: Stream, watch: Watch, result: StreamResult) -> None:
        self._desk = desk
        self._fetcher = Fetcher(desk, source, stream, watch, result)
        self._result = result
        self._failures = 0
        self._last_error: WellkeptError | None = None

    async def run(self) -> None:
        """Answer all hints that are due; those that arrive meanwhile wait for the next time. So do those that fail.

        Raises:
            WellkeptError: The store failed, or the lease was lost.
        """
        instance, stream = self._result.instance, self._result.stream
        now = self._desk.clock.now()
        after: OpenHint | None = None
        with self._desk.store.read() as reader:
            until = inbox.newest(reader)
        while self._failures < FAILURES_IN_A_ROW:
            with self._desk.store.read() as reader:
                hints = inbox.due(reader, instance, stream, now, after=after, until=until)
            if not hints:
                break
            after = hints[-1]
            for group in _groups(hints):
                await self._answer(group)
                if self._failures >= FAILURES_IN_A_ROW:
                    break
        if self._last_error is not None:
            self._result.held = True
            self._result.notes.append(f"webhook hints wait: {describe(self._last_error)}")

    async def _answer(self, hints: Sequence[OpenHint]) -> None:
        ids = list(dict.fromkeys(hint.object_id for hint in hints))
        if any(hint.attempts for hint in hints):
            await self._postpone(hints)  # beforehand: whoever asks for the one that ends its process counts nothing afterwards
        try:
            await self._fetcher.fetch(ids, [hint.seq for hint in hints])
        except BlamedError as blamed:
            self._last_error = blamed.error
            if isinstance(blamed.error, RunStoppedError):
                self._failures = FAILURES_IN_A_ROW
                return
            if isinstance(blamed.error, CredentialsError):
                self._failures = FAILURES_IN_A_ROW
                self._result.failure = blamed.error
            elif isinstance(blamed.error, RetryableError) or len(ids) == 1:
                self._failures += 1
            else:
                await self._halve(hints, ids)
                return
            await self._postpone(hints, blamed.error)
        else:
            self._failures = 0
            self._result.hints += len(hints)

    async def _halve(self, hints: Sequence[OpenHint], ids: Sequence[str]) -> None:
        """Find the object that a call fails for, for good."""
        first = set(ids[: len(ids) // 2])
        for half in ([hint for hint in hints if (hint.object_id in first) is side] for side in (True, False)):
            await self._answer(half)

    async def _postpone(self, hints: Sequence[OpenHint], error: WellkeptError | None = None) -> None:
        now = self._desk.clock.now()
        asked = round((getattr(error, "retry_after", None) or 0) * 1000)

        def job(tx: Tx) -> None:
            self._desk.run.check(tx)
            inbox.postpone(tx, hints, now, at_least=asked)

        await self._desk.store.write(job)


class Fetcher:
    """Reads single objects of one stream again and commits them. Arguments: see `HintReader`."""

    def __init__(self, desk: Desk, source: FetchingSource, stream: Stream, watch: Watch, result: StreamResult) -> None:
        self._desk = desk
        self._source = source
        self._stream = stream
        self._watch = watch
        self._result = result
        self._key = Key(result.instance, stream.name)
        self._begun = False

    async def fetch(self, ids: Sequence[str], hints: Sequence[int]) -> None:
        """Fetch objects and commit them, together with the hints that they answer.

        Raises:
            BlamedError: The plugin failed; nothing was committed.
        """
        try:
            part = self._part(await self._watch.ask(self._source.fetch(self._stream, ids)))
        except BlamedError as blamed:
            if not isinstance(blamed.error, RejectedError) or len(ids) > 1:
                raise
            part = Part(rejects=[clean(Reject(raw=b"", reason=describe(blamed.error), id=ids[0]))])
        if not self._begun:
            self._begun = True
            key, run, clock = self._key, self._desk.run, self._desk.clock
            await self._desk.store.write(lambda tx: runs.begin_stream(tx, run, key.instance, key.stream, clock.now()))
        chunk = Chunk(parts=[part], observed_at=self._desk.clock.now(), hints=tuple(hints))
        job = partial(commit, desk=self._desk, stream=self._stream, key=self._key, chunk=chunk)
        self._result.add(await self._desk.store.write(job))

    def _part(self, batch: object) -> Part:
        """Take the rows of a batch; what says where a *read* goes on means nothing here."""
        types = {*self._stream.records, *self._stream.includes}
        if not isinstance(batch, Batch):
            raise BlamedError(FatalError(f"`fetch` returned a {type(batch).__name__}, not a Batch"))
        found = {*map(type, batch.records), *(deletion.record for deletion in batch.deletions)}
        if not types.issuperset(found):
            raise BlamedError(FatalError("`fetch` returned a type that the stream does not declare"))
        return Part(records=list(batch.records), deletions=list(batch.deletions), rejects=list(map(clean, batch.rejects)))


def _groups(hints: Sequence[OpenHint]) -> list[list[OpenHint]]:
    """Put hints into calls, in order of arrival; hints at one object share a call."""
    groups: list[list[OpenHint]] = []
    by_size: dict[int, list[list[OpenHint]]] = {}
    by_object: dict[str, list[OpenHint]] = {}
    for hint in hints:
        by_object.setdefault(hint.object_id, []).append(hint)
    for same in by_object.values():
        size = max(1, FETCH_IDS >> (2 * max(hint.attempts for hint in same)))
        open_groups = by_size.setdefault(size, [])
        if not open_groups or len({hint.object_id for hint in open_groups[-1]}) >= size:
            open_groups.append([])
            groups.append(open_groups[-1])
        open_groups[-1].extend(same)
    return groups
