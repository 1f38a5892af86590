"""The tables of records: one per record type, and the rules by which readings become rows.

Of two readings of a row the one with the larger `version` stands, whatever the order of arrival; of two with equal versions
the one that was observed later (of two observed in the same millisecond, the one that arrived later). A row that says the
same as what is stored is not rewritten, but its version is raised, so that an older reading cannot slip in afterwards. A
deletion that the vendor reported stands until a *newer* version comes; a deletion that followed from absence until a reading
that was made later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

from wellkept.errors import FatalError, StoreError
from wellkept.records import Record
from wellkept.source import Deletion, Replace
from wellkept.store import belonging, history, presence, tombstones
from wellkept.store.columns import Kind, Shape, ensure, quoted, shape_of
from wellkept.store.connection import Reader, Tx
from wellkept.store.presence import FullRead
from wellkept.store.readings import CHUNK, Origin, Readings, Upserted
from wellkept.store.tombstones import Gate, KeyedHash

R = TypeVar("R", bound=Record)

T = TypeVar("T")

__all__ = ["RecordTables", "Upserted"]

_BY_ID = attrgetter("id")


class RecordTables:
    """The tables of all record types.

    Args:
        types: The record types, the plugins' own included.
        fact_types: Types whose changes are queued for machines. May grow until the first write.
        keyed_hash: The installation key's hash, by which erased records are recognised.

    Raises:
        StoreError: A type cannot be stored, or two types claim the same table.
    """

    def __init__(
        self,
        types: Iterable[type[Record]],
        *,
        fact_types: AbstractSet[type[Record]] = frozenset(),
        keyed_hash: KeyedHash | None = None,
    ) -> None:
        self._shapes: dict[type[Record], Shape[Any]] = {}
        self._fact_types = fact_types
        self._gate = Gate(keyed_hash)
        by_table: dict[str, type[Record]] = {}
        for type_ in types:
            shape = shape_of(type_)
            other = by_table.setdefault(shape.table, type_)
            if other is not type_:
                raise StoreError(
                    f"{type_.__module__}.{type_.__qualname__} and {other.__module__}.{other.__qualname__} are both stored as"
                    f" {shape.table}",
                    guidance="give one of the record types another name",
                )
            self._shapes[type_] = shape
        self._readings = {type_: Readings(shape) for type_, shape in self._shapes.items()}

    def ensure(self, tx: Tx) -> None:
        """Make the tables of all types, or add the columns that they have gained.

        Raises:
            StoreError: A field has changed its kind.
        """
        for shape in self._shapes.values():
            ensure(tx, shape)

    # --- for those who build SQL ---

    @property
    def types(self) -> Collection[type[Record]]:
        """All record types."""
        return self._shapes.keys()

    def shape(self, type_: type[R]) -> Shape[R]:
        """Return what is known of a type as a table.

        Raises:
            StoreError: The type is not one of this installation.
        """
        try:
            return self._shapes[type_]
        except KeyError:
            raise StoreError(
                f"record type {type_.type} ({type_.__module__}.{type_.__qualname__}) is unknown",
                guidance="return it from the `record_types` hook",
            ) from None

    def table(self, type_: type[Record]) -> str:
        """Return the name of the table that holds the newest version of each row."""
        return self.shape(type_).table

    def columns(self, type_: type[Record]) -> Mapping[str, Kind]:
        """Return all columns of a type's table and what they hold. Quote the names: fields may be called like keywords."""
        return self.shape(type_).columns

    def as_of(self, type_: type[Record], at: int) -> tuple[str, tuple[int, ...]]:
        """Return a subquery (text and parameters) for the rows of a type as known at an instant; see `history.as_of`."""
        return history.as_of(self.shape(type_), at)

    def back(self, type_: type[Record], columns: Sequence[str], owned: str, *, then: int, known_at: int) -> str:
        """Return SQL for some rows of a type as they were at an instant; see `history.back`."""
        return history.back(self.shape(type_), columns, owned, then=then, known_at=known_at)

    def account_sql(self, type_: type[Record], alias: str) -> str:
        """Return an SQL expression for the canonical account of a row of a type's table; see `belonging`."""
        return belonging.account_sql(self.shape(type_), alias)

    # --- writing ---

    def upsert(
        self,
        tx: Tx,
        instance: str,
        stream: str,
        records: Iterable[Record],
        observed_at: int,
        *,
        generation: int | None = None,
        riding: AbstractSet[type[Record]] = frozenset(),
    ) -> Upserted:
        """Store records, in any order and mix of types; nothing is lost and nothing older wins.

        Args:
            tx: The transaction.
            instance: The plugin instance that read them.
            stream: The stream that read them; it owns the rows from now on.
            records: The records.
            observed_at: When they were read, epoch ms: not before the full read under way began.
            generation: The full read under way, which notes what it has seen (only rows that are not written anew cost
                anything); without it, call `mark_seen`.
            riding: Types that only ride along on this stream: their rows stay with the stream that owns them.

        Raises:
            StoreError: A type is unknown, or something was erased and there is no key.
            connection.MISFITS: A value does not fit its column. What was written before it stays in the transaction, so
                call this in a savepoint.
        """
        total = Upserted()
        for type_, part in _by_type(records).items():
            shape = self.shape(type_)
            readings = self._readings[type_]
            origin = Origin(
                instance=instance,
                stream=stream,
                observed_at=observed_at,
                rides=type_ in riding,
                facts=type_ in self._fact_types,
            )
            admitted = self._gate.admit(tx, instance, part)
            total += Upserted(blocked=len(part) - len(admitted))
            for wave in _waves(admitted):
                for chunk in _chunks(wave):
                    done, unwritten = readings.store(tx, origin, chunk)
                    total += done
                    if generation is not None:
                        presence.mark_seen(tx, shape, FullRead(instance, stream, generation), unwritten)
        return total

    def delete(self, tx: Tx, instance: str, stream: str, deletions: Iterable[Deletion], observed_at: int) -> int:
        """Store what the vendor reports as deleted, and return how many rows went.

        A deleted row loses its content but keeps its place: an older reading cannot bring it back, nor one of the same
        version. A deletion of an unknown row is remembered for the same reason.
        """
        count = 0
        by_type: dict[type[Record], dict[str, Deletion]] = {}
        for deletion in deletions:
            newest = by_type.setdefault(deletion.record, {})
            if deletion.id not in newest or newest[deletion.id].version < deletion.version:
                newest[deletion.id] = deletion
        for type_, newest in by_type.items():
            self.shape(type_)
            texts = {tombstones.of_record(type_.type, instance, id_): id_ for id_ in newest}
            erased = {texts[text] for text in self._gate.erased(tx, texts)}
            facts = type_ in self._fact_types
            origin = Origin(instance=instance, stream=stream, observed_at=observed_at, facts=facts)
            for ids in _chunks(sorted(newest.keys() - erased)):
                count += self._readings[type_].delete(tx, origin, [newest[id_] for id_ in ids])
        return count

    def replace(  # noqa: PLR0917 - the place of a row, in the order of every method here
        self, tx: Tx, instance: str, stream: str, replace: Replace, records: Iterable[Record], observed_at: int
    ) -> Upserted:
        """Store a generation: these are *all* rows of its range from this stream; others there go in the same transaction.

        Rows of a type with history are marked as deleted, so that the past stays as it was; others are removed. Rows that
        were observed after this generation was read stay.

        Raises:
            FatalError: The range is not one of the type's columns.
            StoreError, connection.MISFITS: See `upsert`.
        """
        shape = self.shape(replace.record)
        kind: Kind = "int" if isinstance(replace.start, int) else "text"
        if shape.columns.get(replace.field) != kind or type(replace.start) is not type(replace.end):
            raise FatalError(
                f"{instance}.{stream}: a generation of {replace.record.type} cannot be a range of {replace.field}",
                guidance="name an instant or a day of the record, with bounds of its kind",
            )
        tx.execute("CREATE TEMPORARY TABLE IF NOT EXISTS generation (id TEXT PRIMARY KEY)")
        tx.execute("DELETE FROM generation")
        total = Upserted()
        for part in _chunks(records):
            total += self.upsert(tx, instance, stream, part, observed_at)
            tx.many(
                "INSERT INTO generation (id) VALUES (?) ON CONFLICT (id) DO NOTHING",
                [(record.id,) for record in part if type(record) is replace.record],
            )
        name = quoted(replace.field)
        condition = (
            f"t.instance = ? AND t.stream = ? AND t.deleted = 0 AND t.{name} >= ? AND t.{name} < ?"  # noqa: S608 - a column
            " AND t.observed_at <= ? AND t.id NOT IN (SELECT id FROM generation)"
        )
        params = (instance, stream, replace.start, replace.end, observed_at)
        if shape.past is not None:
            facts = replace.record in self._fact_types
            removed = presence.retire(tx, shape, condition, params, gone_at=observed_at, observed_at=observed_at, facts=facts)
        else:
            belonging.mark_dirty(tx, shape, condition, params, observed_at)
            removed = tx.execute(f"DELETE FROM {shape.table} AS t WHERE {condition}", params)  # noqa: S608 - names from the type
        tx.execute("DELETE FROM generation")
        return total + Upserted(removed=removed)

    # --- presence ---

    def mark_seen(  # noqa: PLR0917 - the place of a row, in the order of every method here
        self, tx: Tx, instance: str, stream: str, type_: type[Record], ids: Iterable[str], generation: int
    ) -> None:
        """Note that a full read has yielded these rows."""
        presence.mark_seen(tx, self.shape(type_), FullRead(instance, stream, generation), ids)

    def forget_seen(self, tx: Tx, instance: str, stream: str) -> None:
        """Forget what full reads of a stream have seen."""
        presence.forget_seen(tx, instance, stream)

    def absent(self, reader: Reader, instance: str, stream: str, type_: type[Record], generation: int) -> int:
        """Return how many rows of a type the full read under way did not find; see `presence`.

        Raises:
            FatalError: No full read of that generation is under way.
        """
        return presence.absent(reader, self.shape(type_), FullRead(instance, stream, generation))

    def delete_absent(  # noqa: PLR0917 - likewise
        self, tx: Tx, instance: str, stream: str, type_: type[Record], generation: int, observed_at: int
    ) -> int:
        """Mark as deleted what the full read under way did not find, and return how many rows that were; see `presence`.

        Raises:
            FatalError: No full read of that generation is under way.
        """
        read = FullRead(instance, stream, generation)
        return presence.delete_absent(tx, self.shape(type_), read, observed_at, facts=type_ in self._fact_types)

    def count(self, reader: Reader, instance: str, stream: str, type_: type[Record] | None = None) -> int:
        """Return how many rows a stream owns that are not deleted, of one type or of all."""
        shapes = self._shapes.values() if type_ is None else [self.shape(type_)]
        return sum(
            reader.value(
                f"SELECT COUNT(*) FROM {shape.table} WHERE instance = ? AND stream = ? AND deleted = 0",  # noqa: S608
                (instance, stream),
            )
            for shape in shapes
        )

    # --- reading ---

    def get(self, reader: Reader, type_: type[R], instance: str, id_: str) -> R | None:
        """Return one record; None when it is unknown or deleted."""
        shape = self.shape(type_)
        row = reader.one(
            f"SELECT {shape.select('t')} FROM {shape.table} t WHERE t.instance = ? AND t.id = ? AND t.deleted = 0",  # noqa: S608
            (instance, id_),
        )
        return None if row is None else shape.record(row)

    def rows(self, reader: Reader, type_: type[R], where: str = "1 = 1", params: Sequence[Any] = ()) -> Iterator[tuple[str, R]]:
        """Yield (instance, record) for the rows that satisfy a condition over the table ``t``; deleted ones are left out."""
        shape = self.shape(type_)
        found = reader.rows(
            f"SELECT t.instance, {shape.select('t')} FROM {shape.table} t WHERE t.deleted = 0 AND ({where})",  # noqa: S608
            params,
        )
        return ((instance, shape.record(values)) for instance, *values in found)

    def of_account(self, reader: Reader, type_: type[R], account: str) -> list[R]:
        """Return all records of a type that belong to a canonical account, deleted ones left out."""
        return [record for _, record in self.owned(reader, type_, account)]

    def owned(self, reader: Reader, type_: type[R], account: str) -> Iterator[tuple[str, R]]:
        """Yield (instance, record) for all records of a type that belong to a canonical account; see `belonging`."""
        return belonging.owned(reader, self.shape(type_), account)

    def account_of(self, reader: Reader, type_: type[Record], instance: str, id_: str) -> str | None:
        """Return the canonical account id that a record belongs to, None for no account or an unknown record."""
        return belonging.account_of(reader, self.shape(type_), instance, id_)


def _by_type(records: Iterable[Record]) -> dict[type[Record], list[Record]]:
    groups: dict[type[Record], list[Record]] = {}
    for record in records:
        groups.setdefault(type(record), []).append(record)
    return groups


def _waves(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield the records in the order of their ids (what the key's index likes best), no id twice in one wave."""
    if len({record.id for record in records}) == len(records):
        yield sorted(records, key=_BY_ID)
        return
    waves: list[dict[str, Record]] = []
    for record in records:
        for wave in waves:
            if record.id not in wave:
                break
        else:
            wave = {}
            waves.append(wave)
        wave[record.id] = record
    for wave in waves:
        yield sorted(wave.values(), key=_BY_ID)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
