"""Copies of a store that can be trusted: taken while it is in use, checked, and recognised when they come back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wellkept.clock import Clock, SystemClock
from wellkept.errors import StoreError
from wellkept.store.connection import Reader, Tx
from wellkept.store.sqlite import connect, translate

if TYPE_CHECKING:
    from wellkept.store.engine import Store

BACKUP_AT = "backup_at"
"""Key in ``meta``: when a copy was taken. A store that has it was opened from one."""

_RESTORED_AT = "restored_at"

ORIGIN = "origin"
"""Key in ``meta``: which database the store is in, where a copy cannot carry a mark; see `Database.origin`."""


def backup(store: Path | str, target: Path, *, clock: Clock | None = None) -> None:
    """Copy a store that may be in use into one file, and check the copy.

    The copy is the store at one instant, in SQLite whatever the store is in. It carries a mark, so that a store which is made
    of it knows that it was restored (see `mark_restored`).

    Args:
        store: The store's file, or ``postgresql://...``.
        target: Where the copy goes; must not exist. Appears only when it is complete and sound.
        clock: Where the time in the mark comes from.

    Raises:
        StoreError: There is no such store, the target exists, the disk is full, or the copy is not sound.
        RetryableError: Another process kept the store locked for too long, or the database cannot be reached.
    """
    if target.exists():
        raise StoreError(f"{target}: exists already", guidance="name a new file; a backup never overwrites one")
    put_in_place(_copy(store, target, (clock or SystemClock()).now()), target)


def put_in_place(part: Path, target: Path) -> None:
    """Give a finished copy its name, and never overwrite anything."""
    try:
        os.link(part, target)  # unlike a rename, this never overwrites
    except FileExistsError as error:
        raise StoreError(f"{target}: exists already", guidance="name a new file; a backup never overwrites one") from error
    except OSError:  # a file system without links
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def copy_before_migration(store: Path, revision: str) -> Path:
    """Copy a store to ``NAME.bak-REVISION`` beside it and return that path; a copy left by an earlier try is replaced.

    Raises:
        StoreError: See `backup`.
    """
    target = store.with_name(f"{store.name}.bak-{revision}")
    _copy(store, target, SystemClock().now()).replace(target)
    return target


def copies(store: Path) -> list[Path]:
    """Return the copies that migrations and restores left beside a store."""
    return sorted(path for what in ("bak", "before-restore") for path in store.parent.glob(f"{store.name}.{what}-*"))


def kept_schemas(reader: Reader) -> list[str]:
    """Return the schemas in which restores kept what stood in the store's place before; none in SQLite."""
    if reader.dialect == "sqlite":
        return []
    sql = "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname::text, ?) ORDER BY 1"
    schema = str(reader.value("SELECT current_schema()::text"))
    return [name for (name,) in reader.all(sql, (kept_name(schema, ""),))]


def kept_name(schema: str, stamp: str) -> str:
    """Return what the schema is called in which a restore keeps a store; PostgreSQL keeps 63 bytes of a name."""
    return f"{schema[:32]}_before_restore_{stamp}"


def mark_restored(tx: Tx, now: int) -> None:
    """Note that the store came back from a backup, so that planned effects are held until a person has compared."""
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_RESTORED_AT, str(now)),
    )
    tx.execute("DELETE FROM meta WHERE key = ?", (BACKUP_AT,))


def recognise(store: Store) -> None:
    """Mark a store that was opened from a backup as restored: a file with a mark, or a database that was another one before."""
    origin = store.origin()
    with store.read() as reader:
        known = dict(reader.all("SELECT key, value FROM meta WHERE key IN (?, ?)", (BACKUP_AT, ORIGIN)))
    restored = BACKUP_AT in known or (ORIGIN in known and known[ORIGIN] != origin)
    if not restored and known.get(ORIGIN) == origin:
        return

    def job(tx: Tx) -> None:
        if restored:
            mark_restored(tx, store.clock.now())
        tx.execute("DELETE FROM meta WHERE key = ?", (ORIGIN,))
        if origin is not None:
            tx.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (ORIGIN, origin))

    store.write_now(job, durable=True)


def _copy(store: Path | str, target: Path, now: int) -> Path:
    """Write a checked copy beside `target` and return its path; leave nothing behind on failure."""
    if isinstance(store, Path) and not store.is_file():
        raise StoreError(f"{store}: there is no store", guidance="check `store` in [wellkept]")
    part = target.with_name(f"{target.name}.part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if isinstance(store, Path):
            _copy_pages(store, part)
        else:
            _copy_rows(store, part)
        _seal(part, store, now)
    except BaseException as error:
        for left in (part, part.with_name(f"{part.name}-wal"), part.with_name(f"{part.name}-shm")):
            left.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise translate(error, target) from error
        if isinstance(error, OSError):
            raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
        raise
    return part


def _copy_pages(store: Path, part: Path) -> None:
    with closing(connect(store)) as source, closing(connect(part)) as copy:
        copy.execute("PRAGMA synchronous=FULL")
        source.backup(copy)
        if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            raise StoreError(f"{store}: is not a Wellkept store")


def _copy_rows(store: str, part: Path) -> None:
    """Make an empty store of the same schema, and copy what a snapshot shows."""
    from wellkept.store import copy, migrate
    from wellkept.store.engine import peek

    with peek(store) as reader:
        migrate.prepare(part, until=migrate.revision_of(reader))
        with closing(connect(part)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            tx = Tx(connection)
            copy.copy_content(reader, tx)
            copy.compare(reader, tx, "the store", str(part))
            connection.execute("COMMIT")


def _seal(part: Path, store: Path | str, now: int) -> None:
    """Mark a copy, make it one file that is whole in itself and on disk, and check it."""
    with closing(connect(part)) as copy:
        copy.execute("PRAGMA synchronous=FULL")
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (BACKUP_AT, str(now)),
        )
        findings = [finding for (finding,) in copy.execute("PRAGMA integrity_check")]
    if findings != ["ok"]:
        raise StoreError(
            f"{store}: is damaged, so its copy is worth nothing: {findings[0]}", guidance="restore the newest sound backup"
        )
