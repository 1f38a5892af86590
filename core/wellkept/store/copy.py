"""Copy a store into another one, of whatever database: how an installation moves from SQLite to PostgreSQL, or back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import msgspec

from wellkept.clock import Clock, SystemClock
from wellkept.errors import StoreError
from wellkept.store import audit, runs
from wellkept.store.backup import ORIGIN
from wellkept.store.catalogue import columns_of, tables_of
from wellkept.store.columns import copy_tables, quoted
from wellkept.store.connection import Reader, Tx
from wellkept.store.engine import Store, open_store
from wellkept.store.frames import INDEXES

CHUNK = 1_000
"""Rows that are copied at a time, so that memory stays flat."""

OWN = (INDEXES, ORIGIN)
"""Keys in ``meta`` that speak of the database and not of the installation."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: how many rows, and a digest of them that no order of rows or columns changes."""

    rows: int
    digest: str


def copy_store(source: Path | str, target: Path | str, *, clock: Clock | None = None) -> Mapping[str, Content]:
    """Copy all that a store holds, and make sure that the copy is the same; all of it or nothing.

    The copy is not taken for a restored backup: of the two only one may be used from now on.

    Args:
        source: The store's file, or ``postgresql://...``.
        target: Where to copy it: a file that is made, or a database that is empty.
        clock: Where the time comes from.

    Returns:
        What the tables hold, by name.

    Raises:
        StoreError: The source is in use or changed meanwhile, the target is not empty, or the copy differs; names the table.
        RetryableError: A database cannot be reached.
    """
    if isinstance(source, Path) and not source.is_file():
        raise StoreError(f"{source}: there is no store", guidance="check the path")
    with closing(open_store(source, clock)) as old, closing(open_store(target, clock)) as new:
        if old.label == new.label:
            raise StoreError(f"{old.label}: a store cannot be copied into itself", guidance="name another target")
        _refuse_busy(old, clock or SystemClock())
        return new.write_now(lambda tx: _copy(old, tx, new.label), durable=True)


def _refuse_busy(store: Store, clock: Clock) -> None:
    with store.read() as reader:
        holder = reader.one("SELECT owner FROM locks WHERE name = ? AND expires_at > ?", (runs.LEASE, clock.now()))
    if holder is not None:
        raise StoreError(
            f"{store.label}: a run is working on the store", guidance="stop `wellkept serve`, let runs end, try again"
        )


def _copy(old: Store, tx: Tx, label: str) -> dict[str, Content]:
    """Copy everything in one transaction, and compare it with what the source holds then."""
    _refuse_used(tx, label)
    with old.read() as reader:
        copy_tables(reader, tx)
        if strange := sorted(set(_tables(reader)) - set(tables_of(tx))):
            raise StoreError(f"{old.label}: the table {strange[0]} is not Wellkept's", guidance="remove it, or rename it")
        copy_content(reader, tx)
    with old.read() as reader:
        content = compare(reader, tx, old.label, label)
    if (broken := audit.verify(tx)) is not None:
        raise StoreError(f"{old.label}: the audit chain is broken at entry {broken}, so nothing was copied")
    return content


def copy_content(reader: Reader, tx: Tx) -> None:
    """Copy all rows of Wellkept's tables into an empty store of the same schema.

    Args:
        reader: Reads the store that is copied.
        tx: Writes the other one, where only the tables of records may be missing.
    """
    copy_tables(reader, tx)
    known = set(tables_of(tx))
    for table in _tables(reader):
        if table in known:
            _copy_table(reader, tx, table)
    _set_sequences(tx)


def compare(reader: Reader, tx: Reader, label: str, copy: str) -> dict[str, Content]:
    """Return what the tables hold that two stores share.

    Args:
        reader: Reads the store that was copied.
        tx: Reads the copy.
        label: What the one is called.
        copy: What the other is called.

    Raises:
        StoreError: The copy is not the same; names the table.
    """
    known = set(tables_of(tx))
    content = {table: _content(reader, table) for table in _tables(reader) if table in known}
    for table, wanted in content.items():
        if _content(tx, table) != wanted:
            raise StoreError(
                f"{copy}: the table {table} is not as in {label}, so nothing was copied",
                guidance="if something wrote there meanwhile, stop it and try again",
            )
    return content


def _refuse_used(tx: Tx, label: str) -> None:
    """Make sure that there is nothing in the target that the copy would mix with."""
    for table in _tables(tx):
        if table != "meta" and tx.one(f"SELECT 1 FROM {table} LIMIT 1"):  # noqa: S608 - from the catalogue
            raise StoreError(
                f"{label}: is in use already: {table} has rows", guidance="name a file or database without a store"
            )


def _tables(reader: Reader) -> list[str]:
    """Return all tables that are copied; ``audit`` comes before its texts, which refer to it."""
    return [table for table in tables_of(reader) if table != "alembic_version"]


def _copy_table(reader: Reader, tx: Tx, table: str) -> None:
    names = sorted(columns_of(reader, table))
    columns, marks = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
    if table == "meta":
        tx.execute(f"DELETE FROM meta WHERE key NOT IN ({', '.join('?' * len(OWN))})", OWN)  # noqa: S608 - place holders
    rows = _rows(reader, table)
    while chunk := list(islice(rows, CHUNK)):
        tx.bulk(f"INSERT INTO {table} ({columns}) VALUES ({marks})", chunk)  # noqa: S608 - from the catalogue


def _rows(reader: Reader, table: str) -> Iterator[tuple[object, ...]]:
    columns = ", ".join(quoted(name) for name in sorted(columns_of(reader, table)))
    if table == "meta":
        return reader.rows(f"SELECT {columns} FROM meta WHERE key NOT IN ({', '.join('?' * len(OWN))})", OWN)  # noqa: S608
    return reader.rows(f"SELECT {columns} FROM {table}")  # noqa: S608 - from the catalogue


def _content(reader: Reader, table: str) -> Content:
    encode = msgspec.msgpack.Encoder().encode
    count, total = 0, 0
    for row in _rows(reader, table):
        count += 1
        total += int.from_bytes(blake2b(encode(row), digest_size=16).digest(), "big")
    return Content(rows=count, digest=f"{total % 2**128:032x}")


def _set_sequences(tx: Tx) -> None:
    """Have PostgreSQL go on counting where the copied rows end; SQLite does so by itself."""
    if tx.dialect == "sqlite":
        return
    for table in _tables(tx):
        name = tx.value("SELECT pg_get_serial_sequence(?, 'seq')", (table,)) if "seq" in columns_of(tx, table) else None
        if name is not None:
            tx.value(f"SELECT setval(?::regclass, MAX(seq)) FROM {table} HAVING MAX(seq) IS NOT NULL", (name,))  # noqa: S608
