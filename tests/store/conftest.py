from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from wellkept.records import CANONICAL, Record
from wellkept.source import Deletion, Replace
from wellkept.store import Store, cursors, open_store
from wellkept.store.cursors import Key
from wellkept.store.records import RecordTables, Upserted
from wellkept.testing import FakeClock

R = TypeVar("R", bound=Record)

NOW = 1_795_219_200_000
DAY = 86_400_000


class Book:
    """The record tables, with instance and stream filled in. Every call is one transaction."""

    def __init__(self, store: Store, tables: RecordTables, *, instance: str = "crm", stream: str = "all") -> None:
        self.store, self.tables, self.instance, self.stream = store, tables, instance, stream

    def put(self, *records: Record, at: int = NOW, stream: str | None = None, **options: Any) -> Upserted:
        place = (self.instance, stream or self.stream)
        return self.store.write_now(lambda tx: self.tables.upsert(tx, *place, records, at, **options))

    def delete(self, *deletions: Deletion, at: int = NOW) -> int:
        return self.store.write_now(lambda tx: self.tables.delete(tx, self.instance, self.stream, deletions, at))

    def replace(self, replace: Replace, *records: Record, at: int = NOW) -> Upserted:
        return self.store.write_now(lambda tx: self.tables.replace(tx, self.instance, self.stream, replace, records, at))

    def begin_full(self, since: int) -> int:
        """Begin a full read and return its generation."""
        return self.store.write_now(lambda tx: cursors.begin_full(tx, Key(self.instance, self.stream), since, since))

    def delete_absent(self, type_: type[Record], generation: int, at: int) -> int:
        place = (self.instance, self.stream)
        return self.store.write_now(lambda tx: self.tables.delete_absent(tx, *place, type_, generation, at))

    def get(self, type_: type[R], id_: str) -> R | None:
        with self.store.read() as reader:
            return self.tables.get(reader, type_, self.instance, id_)

    def of_account(self, type_: type[R], account: str) -> list[R]:
        with self.store.read() as reader:
            return self.tables.of_account(reader, type_, account)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.store.read() as reader:
            return reader.all(sql, params)

    def current(self, type_: type[Record]) -> list[tuple[Any, ...]]:
        """The table of a type, as far as it must not depend on the order of arrival."""
        shape = self.tables.shape(type_)
        names = ", ".join(f'"{name}"' for name in shape.columns if name not in {"observed_at", "valid_from"})
        return self.all(f"SELECT {names} FROM {shape.table} WHERE instance = ? ORDER BY id", (self.instance,))

    def known(self, type_: type[Record], at: int) -> dict[str, bytes]:
        """What was known at an instant: id to the digest of its content."""
        sql, params = self.tables.as_of(type_, at)
        rows = self.all(f"SELECT id, digest FROM {sql} AS t WHERE instance = ?", (*params, self.instance))
        assert len({id_ for id_, _ in rows}) == len(rows)
        return dict(rows)

    def link(self, account: str, record_id: str, *, type_: str = "account") -> None:
        self.store.write_now(
            lambda tx: tx.execute(
                "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES (?, ?, ?, ?, '{}', 0)",
                (type_, self.instance, record_id, account),
            )
        )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(address: Path | str, clock: FakeClock) -> Iterator[Store]:
    opened = open_store(address, clock)
    yield opened
    opened.close()


@pytest.fixture
def file_store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """A store in SQLite, for what only a file can do."""
    opened = open_store(tmp_path / "wellkept.db", clock)
    yield opened
    opened.close()


@pytest.fixture
def tables(store: Store) -> RecordTables:
    made = RecordTables(CANONICAL)
    store.write_now(made.ensure)
    return made


@pytest.fixture
def book(store: Store, tables: RecordTables) -> Book:
    return Book(store, tables)
