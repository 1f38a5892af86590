"""The commit of sync: rows, deletions, dead letters, marks and the cursor of one chunk, in one transaction.

Everything here runs in the writer thread as one job, and has no effect beyond its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from wellkept.clock import Clock
from wellkept.pipeline import credible
from wellkept.records import Record
from wellkept.source import Deletion, Reject, Replace, Stream
from wellkept.store import cursors, dead_letters, inbox, runs, staging, volumes
from wellkept.store.cursors import LIVE, Key
from wellkept.store.engine import Store, Tx
from wellkept.store.runs import Run
from wellkept.store.salvage import BAD_VALUE, salvage

if TYPE_CHECKING:
    from wellkept.settings import Freshness
    from wellkept.store.records import RecordTables, Upserted


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What all streams of one sync share.

    Attributes:
        store: The store.
        tables: The tables of the records.
        run: The run; its lease is checked in every commit.
        clock: The only clock.
        freshness: What is believed.
        accept_deletes: A person has said that deletions and small volumes are right this time.
    """

    store: Store
    tables: RecordTables
    run: Run
    clock: Clock
    freshness: Freshness
    accept_deletes: bool = False


@dataclass(slots=True)
class Part:
    """Rows that came in together: one batch, or several plain ones after one another. Owns its lists."""

    records: list[Record] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    replaces: Replace | None = None
    last: bool = True
    complete: bool = False


@dataclass(frozen=True, kw_only=True)
class End:
    """A read that ended well.

    Attributes:
        fresh_at: Up to when data are complete now: when this read began, or the full read that it finished.
        read_hints: The newest webhook hint that asked for this read.
        judged: Volumes were judged earlier in this read,
        anomalous: and one of them was not credible.
        judge_day: Whether the volume of the last whole day says something about this stream.
    """

    fresh_at: int
    read_hints: int
    judged: bool
    anomalous: bool
    judge_day: bool


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What is committed together.

    Attributes:
        parts: In the order in which they came; only the last can be complete.
        cursor: Where reading goes on after them, encoded; None leaves the stored cursor.
        observed_at: When they were read, epoch ms.
        begins_full: They are the first of a full read that began then.
        hints: They answer these webhook hints, instead of being read in the stream's order.
        ends: The read ended well with them.
    """

    parts: Sequence[Part]
    observed_at: int
    cursor: str | None = None
    begins_full: int | None = None
    hints: Sequence[int] | None = None
    ends: End | None = None


@dataclass(kw_only=True)
class Committed:
    """What a commit did.

    Attributes:
        held: Why something was not removed, or is not believed.
        judged: A volume was compared with what is usual,
        anomalous: and was not credible.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    held: list[str] = field(default_factory=list)
    judged: bool = False
    anomalous: bool = False

    def add(self, upserted: Upserted) -> None:
        """Count what became of some rows."""
        self.inserted += upserted.inserted
        self.updated += upserted.updated
        self.unchanged += upserted.unchanged + upserted.older + upserted.blocked
        self.deleted += upserted.removed


def commit(tx: Tx, desk: Desk, stream: Stream, key: Key, chunk: Chunk) -> Committed:
    """Commit one chunk and say what happened.

    Raises:
        LeaseLostError: Another process took over; nothing is committed.
    """
    desk.run.check(tx)
    now = desk.clock.now()
    if chunk.begins_full is not None:
        cursors.begin_full(tx, key, chunk.begins_full, now)
        desk.tables.forget_seen(tx, key.instance, key.stream)
    work = _Work(tx, desk, stream, key, chunk)
    for part in chunk.parts:
        work.store_part(part)
    work.write_marks(now)
    if chunk.parts and chunk.parts[-1].complete:
        work.complete_full(now)
    if chunk.ends is not None:
        work.end(chunk.ends, now)
    done = work.done
    figures = (done.read, done.inserted, done.updated, done.unchanged, done.deleted, done.rejected)
    runs.count_stream(tx, desk.run, key.instance, key.stream, figures)
    return done


class _Work:
    """One commit under way."""

    def __init__(self, tx: Tx, desk: Desk, stream: Stream, key: Key, chunk: Chunk) -> None:
        self.done = Committed()
        self._tx = tx
        self._desk = desk
        self._stream = stream
        self._key = key
        self._chunk = chunk
        self._state = cursors.load(tx, key)
        self._full = key.scope == LIVE and chunk.hints is None and self._state.full_since is not None
        self._marks = self._full and stream.deletes == "absence"
        self._observed_at = max(chunk.observed_at, self._state.full_since or 0)
        self._riding = frozenset(stream.includes).difference(stream.records)
        self._stored: list[Sequence[Record]] = []
        self._gone: list[str] = []
        self._rejects: list[Reject] = []

    # --- rows ---

    def store_part(self, part: Part) -> None:
        """Store (or stage) rows, then what is gone."""
        self.done.read += len(part.records) + len(part.rejects) + len(part.deletions)
        self._rejects += part.rejects
        if part.replaces is None:
            self._upsert(part.records)
        else:
            self._take_generation(part.replaces, part)
        if part.deletions:
            for gone, count in salvage(self._tx, part.deletions, self._delete_all, self._rejects):
                self._gone += [deletion.id for deletion in gone]
                self.done.deleted += count

    def _upsert(self, rows: Sequence[Record]) -> None:
        """Store rows; one that the store refuses is rejected alone."""
        if rows:
            for part, upserted in salvage(self._tx, rows, self._upsert_all, self._rejects):
                self._stored.append(part)
                self.done.add(upserted)

    def _upsert_all(self, rows: Sequence[Record]) -> Upserted:
        return self._desk.tables.upsert(
            self._tx,
            self._key.instance,
            self._key.stream,
            rows,
            self._observed_at,
            generation=self._state.generation if self._marks else None,
            riding=self._riding,
        )

    def _delete_all(self, gone: Sequence[Deletion]) -> int:
        key = self._key
        return self._desk.tables.delete(self._tx, key.instance, key.stream, gone, self._observed_at)

    # --- generations ---

    def _take_generation(self, replaces: Replace, part: Part) -> None:
        """Keep rows aside until their generation is whole; those of other types are none of its business."""
        rows = [record for record in part.records if type(record) is replaces.record]
        if len(rows) < len(part.records):
            self._upsert([record for record in part.records if type(record) is not replaces.record])
        self._stored.append(rows)
        if self._marks:
            self._mark_seen(replaces.record, [record.id for record in rows])
        if part.last:
            self._swap(replaces, rows, part.rejects)
        else:
            staging.put_rejects(self._tx, self._key, part.rejects)
            self._rejects += staging.put(self._tx, self._key, rows)

    def _swap(self, replaces: Replace, last: Sequence[Record], rejects: Sequence[Reject]) -> None:
        """Put a generation in the place of what is stored, unless that would remove what had better stay."""
        tx, key = self._tx, self._key
        rejected, unknown = staging.rejected(tx, key)
        rejected |= {reject.id for reject in rejects if reject.id is not None}
        unknown += sum(reject.id is None for reject in rejects)
        held = self._judge_generation(replaces, staging.count(tx, key) + len(last))
        if unknown:
            held.append(f"{replaces.start} to {replaces.end}: {unknown} rows were rejected without an id, so none is removed")
        if held:
            self.done.held += held
            for part in self._generation(replaces, last):
                self._upsert(part)
        else:
            self._replace(replaces, last, rejected)
        staging.clear(tx, key)

    def _generation(self, replaces: Replace, last: Sequence[Record]) -> Iterator[Sequence[Record]]:
        yield from staging.records(self._tx, self._key, replaces.record)
        yield last

    def _replace(self, replaces: Replace, last: Sequence[Record], rejected: set[str]) -> None:
        """Swap. A row that cannot be stored is rejected; what is stored of it stays."""
        tx = self._tx
        try:
            with tx.savepoint():
                self.done.add(self._replace_all(replaces, last, rejected))
        except BAD_VALUE:
            refused: list[Reject] = []
            for part in self._generation(replaces, last):
                for _, upserted in salvage(tx, part, self._upsert_all, refused) if part else ():
                    self.done.add(upserted)
            self._rejects += refused
            if any(reject.id is None for reject in refused):
                self.done.held.append(f"{replaces.start} to {replaces.end}: a row without a usable id, so none is removed")
                return
            rejected |= {str(reject.id) for reject in refused}
            self.done.deleted += self._replace_all(replaces, last, rejected).removed

    def _replace_all(self, replaces: Replace, last: Sequence[Record], rejected: set[str]) -> Upserted:
        tx, key, tables = self._tx, self._key, self._desk.tables
        fresh = chain.from_iterable(self._generation(replaces, last))
        rows = (row for row in fresh if row.id not in rejected) if rejected else fresh
        kept = (tables.get(tx, replaces.record, key.instance, id_) for id_ in sorted(rejected))
        whole = chain(rows, (row for row in kept if row is not None))
        return tables.replace(tx, key.instance, key.stream, replaces, whole, self._observed_at)

    def _judge_generation(self, replaces: Replace, rows: int) -> list[str]:
        """Note the volume of a generation and say why it is not believed, if it is not. Backfills are not judged."""
        tx, key, desk = self._tx, self._key, self._desk
        day = credible.generation_day(replaces, desk.clock.now()) if key.scope == LIVE else None
        if day is None:
            return []
        self.done.judged = True
        anomaly = credible.unusual_generation(tx, key, day, rows, desk.freshness)
        volumes.put(tx, key.instance, key.stream, "generation", day=day, rows=rows)
        if anomaly is None or desk.accept_deletes:
            return []
        self.done.anomalous = True
        cursors.set_anomaly(tx, key, anomaly)
        return [anomaly]

    # --- what belongs to the rows ---

    def write_marks(self, now: int) -> None:
        """Write marks, dead letters, hints and the cursor."""
        tx, key, chunk = self._tx, self._key, self._chunk
        if self._marks:
            rejected = [reject.id for reject in self._rejects if reject.id is not None]
            for type_ in self._stream.records:  # a rejected row is there, whatever is wrong with it
                self._mark_seen(type_, rejected)
        dead_letters.resolve(tx, key.instance, key.stream, self._ids())
        self.done.rejected = dead_letters.add(tx, key.instance, key.stream, self._rejects, now)
        if chunk.hints is not None:
            inbox.settle(tx, chunk.hints, now)
        elif self._full:
            unknown = sum(reject.id is None for reject in self._rejects)
            cursors.advance(tx, key, chunk.cursor, now, full_rows=self.done.read, full_unknown=unknown)
        else:
            cursors.advance(tx, key, chunk.cursor, now)
            if key.scope == LIVE:
                volumes.add(tx, key.instance, key.stream, volumes.day_of(chunk.observed_at), self.done.read)

    def _mark_seen(self, type_: type[Record], ids: Sequence[str]) -> None:
        self._desk.tables.mark_seen(self._tx, self._key.instance, self._key.stream, type_, ids, self._state.generation)

    def _ids(self) -> Iterator[str]:
        yield from self._gone
        for part in self._stored:
            for record in part:
                yield record.id

    # --- ends ---

    def complete_full(self, now: int) -> None:
        """A full read left nothing out: what it did not bring is gone, if that is to be believed."""
        if not self._full:
            return
        tx, key, desk = self._tx, self._key, self._desk
        state = cursors.load(tx, key)
        assert state.full_since is not None  # noqa: S101 - narrows: it is a full read
        anomaly = credible.unusual_full(tx, key, state.full_rows, desk.freshness)
        self.done.judged = True
        if anomaly is not None and not desk.accept_deletes:
            self.done.anomalous = True
            self.done.held.append(anomaly)
            cursors.set_anomaly(tx, key, anomaly)
        else:
            if anomaly is not None:  # a person says that so little is right: it is what is usual from now on
                volumes.forget(tx, key.instance, key.stream, "full")
            cursors.set_anomaly(tx, key, None)
            volumes.put(tx, key.instance, key.stream, "full", day=volumes.day_of(now), rows=state.full_rows)
            if self._stream.deletes == "absence":
                self._delete_absent(state.generation, state.full_unknown)
            dead_letters.resolve_absent(tx, key.instance, key.stream, state.full_since)
        desk.tables.forget_seen(tx, key.instance, key.stream)
        cursors.complete_full(tx, key, now)

    def _delete_absent(self, generation: int, unknown: int) -> None:
        """Delete what a complete full read did not bring; a share of the stream that is too large waits for a person."""
        tx, key, desk = self._tx, self._key, self._desk
        if unknown:
            self.done.held.append(f"{unknown} rows were rejected without an id, so nothing counts as deleted")
            return
        place = (key.instance, key.stream)
        absent = {type_: desk.tables.absent(tx, *place, type_, generation) for type_ in self._stream.records}
        gone, stored = sum(absent.values()), sum(desk.tables.count(tx, *place, type_) for type_ in absent)
        if gone > stored * desk.freshness.max_deleted_share and not desk.accept_deletes:
            self.done.held.append(
                f"{gone} of {stored} rows are gone at the vendor and were kept: run `wellkept sync --full --accept-deletes`"
                " if that is right"
            )
            return
        for type_, count in absent.items():
            if count:
                self.done.deleted += desk.tables.delete_absent(tx, *place, type_, generation, self._observed_at)

    def end(self, end: End, now: int) -> None:
        """Note that the read ended well, and judge what came in."""
        tx, key = self._tx, self._key
        if key.scope != LIVE:
            cursors.forget(tx, key)
            return
        if self._full:  # whether it claimed to be complete or not
            self._desk.tables.forget_seen(tx, key.instance, key.stream)
        cursors.end_read(tx, key, end.fresh_at, now)
        inbox.settle_reads(tx, key.instance, key.stream, end.read_hints, now)
        if end.anomalous or self.done.anomalous or (self._state.anomaly or "").startswith(credible.FULL_READ):
            return
        if end.judged or self.done.judged:
            cursors.set_anomaly(tx, key, None)
        elif end.judge_day:
            judged, anomaly = credible.unusual_day(tx, key, now, self._desk.freshness)
            if judged:
                cursors.set_anomaly(tx, key, anomaly)
            if anomaly is not None:
                self.done.held.append(anomaly)
