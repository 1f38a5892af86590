"""A source read outside an installation, with core's side of the contract in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TypeVar, cast

import msgspec

from wellkept.clock import Clock
from wellkept.errors import CursorExpiredError
from wellkept.records import Record
from wellkept.source import Batch, Cursor, Deletion, ReadRequest, Reject, Replace, Source, Stream, Window

R = TypeVar("R", bound=Record)
Key = tuple[type[Record], str]


class Reader:
    """Reads a source as core does, and keeps what it yields: for tests of a source alone, faster than a whole installation.

    Of two versions of a row the newer stays, of two equal ones what was observed later; what was deleted comes back only with
    a newer version; cursors move with the rows before them; a generation replaces its range at its end; a complete read removes
    what it did not show, where the stream's deletions are told by absence.

    Args:
        source: The source under test.
        clock: Its clock.

    Attributes:
        rows: What is stored, by type and id.
        gone: What is known as deleted.
        cursors: Where each stream goes on; a window's is kept under ``STREAM/window``.
        batches: Every batch that was yielded, in order.
        rejects: Every row that was put aside.
        expired: How often a cursor was refused and its stream read anew.
    """

    def __init__(self, source: Source, clock: Clock) -> None:
        self.source = source
        self.clock = clock
        self.rows: dict[Key, Record] = {}
        self.gone: dict[Key, Deletion] = {}
        self.cursors: dict[str, Cursor] = {}
        self.batches: list[Batch] = []
        self.rejects: list[Reject] = []
        self.expired = 0
        self._places: dict[Key, tuple[int, int]] = {}
        self._seen: dict[str, set[Key]] = {}
        self._owner: dict[Key, str] = {}
        self._staged: list[Batch] = []

    def stream(self, name: str) -> Stream:
        """Return a stream of the source."""
        return next(stream for stream in self.source.streams() if stream.name == name)

    async def sync(self, *names: str, batches: int | None = None, window: Window | None = None) -> int:
        """Read streams, or all of them, on from their cursors.

        Args:
            names: Which.
            batches: Stop behind so many of each stream, as a kill would.
            window: Read what lies in it instead.

        Returns:
            How many rows and deletions came.

        Raises:
            ValueError: The source broke the rules of generations, see `Batch.replaces`.
        """
        count = 0
        for name in names or [stream.name for stream in self.source.streams()]:
            try:
                count += await self._follow(name, batches, window)
            except CursorExpiredError:
                self.expired += 1
                self.cursors.pop(_place(name, window))
                count += await self._follow(name, batches, window)
        return count

    async def _follow(self, name: str, batches: int | None, window: Window | None) -> int:
        place, count, stream = _place(name, window), 0, self.stream(name)
        cursor = self.cursors.get(place)
        self._staged = []
        if cursor is None:
            self._seen[place] = set()
        request = ReadRequest(stream=stream, cursor=cursor, window=window)
        reading = cast("AsyncGenerator[Batch]", self.source.read(request))
        try:
            async for batch in reading:
                self.apply(batch)
                count += len(batch.records) + len(batch.deletions)
                keys = {(type(record), record.id) for record in batch.records}
                for key in keys:
                    self._owner.setdefault(key, name)
                if place in self._seen:
                    self._seen[place] |= keys
                if batch.cursor is not None:
                    if batch.replaces is not None and not batch.last:
                        raise ValueError(f"{name}: a cursor in the middle of a generation")
                    self.cursors[place] = msgspec.json.decode(msgspec.json.encode(batch.cursor))
                if batch.complete:
                    seen = self._seen.pop(place)
                    if stream.deletes == "absence" and window is None:
                        self.rows = {key: row for key, row in self.rows.items() if key in seen or self._owner.get(key) != name}
                if batches is not None and (batches := batches - 1) == 0:
                    break
        finally:
            await reading.aclose()
        return count

    def apply(self, batch: Batch, *, observed: int | None = None) -> None:
        """Store a batch.

        Args:
            batch: What was read or fetched.
            observed: When it was asked for, epoch ms; now when left out.
        """
        self.batches.append(batch)
        self.rejects += batch.rejects
        records = [*batch.records]
        if batch.replaces is not None:
            self._staged.append(batch)
            if not batch.last:
                return
            generation, self._staged = self._staged, []
            records = [record for part in generation for record in part.records]
            if len({record.id for record in records}) < len(records):
                raise ValueError(f"{batch.replaces.record.type}: an id twice in one generation")
            self._clear(batch.replaces, {reject.id for part in generation for reject in part.rejects})
        at = self.clock.now() if observed is None else observed
        for record in records:
            self._put(type(record), record, at)
        for deletion in batch.deletions:
            self._put(deletion.record, deletion, at)

    def _clear(self, range_: Replace, rejected: set[str | None]) -> None:
        if None in rejected:
            return  # any row could be the one that was rejected
        start, end = cast("int", range_.start), cast("int", range_.end)  # of the field's kind: instants, or ISO days
        self.rows = {
            key: row
            for key, row in self.rows.items()
            if key[0] is not range_.record or key[1] in rejected or not start <= getattr(row, range_.field) < end
        }

    def _put(self, type_: type[Record], item: Record | Deletion, at: int) -> None:
        key, place = (type_, item.id), (item.version, at)
        known = self._places.get(key)
        if known is not None and (place < known or (key in self.gone and item.version <= known[0])):
            return
        self._places[key] = place
        self.rows.pop(key, None)
        self.gone.pop(key, None)
        if isinstance(item, Deletion):
            self.gone[key] = item
        else:
            self.rows[key] = item

    def all(self, type_: type[R]) -> dict[str, R]:
        """Return the rows of one type by id."""
        return {id_: cast("R", row) for (kind, id_), row in self.rows.items() if kind is type_}

    def state(self) -> dict[tuple[str, str], Record]:
        """Return what is stored by type's name and id, without when it was read: for comparing runs."""
        return {
            (kind.type, id_): msgspec.structs.replace(row, version=0, updated_at=None)
            for (kind, id_), row in sorted(self.rows.items(), key=lambda item: (item[0][0].type, item[0][1]))
        }


def _place(name: str, window: Window | None) -> str:
    return name if window is None else f"{name}/window"
