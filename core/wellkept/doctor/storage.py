"""The store, only looked at: it must not be migrated, nor marked as restored, by whoever asks how it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from wellkept.doctor.finding import Finding
from wellkept.errors import StoreError, WellkeptError
from wellkept.redact import redact_exception
from wellkept.store import audit, backup, migrate
from wellkept.store.catalogue import tables_of
from wellkept.store.connection import Reader
from wellkept.store.engine import peek
from wellkept.store.sqlite import WAL_LIMIT, log_size

SCARCE = 512 * 1024 * 1024
"""Free bytes below which the disk is nearly full."""

MB = 1024 * 1024


def examine_store(address: Path | str, *, now: int) -> Iterator[Finding]:
    """Examine a store; changes nothing.

    Args:
        address: Its file, or the URL of a database.
        now: Epoch ms, for the comparison with the clocks of others.
    """
    if isinstance(address, Path):
        yield from _disk(address)
        if not address.exists():
            yield Finding("store", "file", "note", f"{address} is made by the first run", "wellkept run")
            return
    try:
        with peek(address, busy_seconds=5) as reader:
            if isinstance(address, Path):
                yield from _integrity(address, reader)
                yield from _size(address, reader)
            else:
                yield from _server(reader, now)
            yield from _content(reader)
            yield from _clock(reader, now)
    except WellkeptError as error:
        if isinstance(address, Path):
            yield Finding("store", "file", "bad", f"it cannot be read: {error.message}", "wellkept restore BACKUP")
        else:
            yield Finding("store", "database", "bad", redact_exception(error), error.guidance or "check `store` in [wellkept]")


def _integrity(path: Path, reader: Reader) -> Iterator[Finding]:
    findings = [text for (text,) in reader.rows("PRAGMA quick_check(3)")]
    if findings == ["ok"]:
        yield Finding("store", "integrity", "ok", "sound")
    else:
        yield Finding("store", "integrity", "bad", f"{path} is damaged: {findings[0]}", "wellkept restore BACKUP")


def _server(reader: Reader, now: int) -> Iterator[Finding]:
    yield Finding("store", "database", "ok", f"{reader.value('SELECT current_database()')} answers")
    theirs = int(reader.value("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"))
    if abs(theirs - now) > 60_000:
        message = f"our clock and the database's differ by {abs(theirs - now) // 1000} s"
        yield Finding("machine", "clock", "bad", message, "timedatectl set-ntp true")
    size = int(reader.value("SELECT pg_database_size(current_database())"))
    yield Finding("store", "size", "ok", f"{size // MB} MB")
    if kept := backup.kept_schemas(reader):
        mend = f'when all is well: DROP SCHEMA "{kept[0]}" CASCADE'
        yield Finding("store", "copies", "note", f"left by restores: the schemas {', '.join(kept)}", mend)


def _content(reader: Reader) -> Iterator[Finding]:
    """Look at what every store has, whatever it is in: the schema, and the audit chain."""
    tables = tables_of(reader)
    if not tables:
        yield Finding("store", "schema", "note", "there is nothing yet: the first run makes it", "wellkept run")
        return
    if "alembic_version" not in tables:
        yield Finding("store", "schema", "bad", "these tables are no Wellkept store", "check `store` in [wellkept]")
        return
    try:
        revision = migrate.revision_of(reader)
        old = migrate.is_old("store", revision, migrate.revisions())
    except StoreError as error:
        yield Finding("store", "schema", "bad", error.message, error.guidance)
        return
    if old:
        mend = "wellkept backup FILE; then the next command that opens it migrates it: wellkept runs"
        yield Finding("store", "schema", "note", f"of an earlier version ({revision}): looked at no further", mend)
    else:
        yield Finding("store", "schema", "ok", f"{revision}, the newest")
    broken = audit.verify(reader)
    if broken is not None:
        mend = "somebody changed the store by other means; compare with a backup: wellkept restore --verify BACKUP"
        yield Finding("store", "audit", "bad", f"the audit chain is broken at entry {broken}", mend)
    else:
        yield Finding("store", "audit", "ok", "the audit chain verifies")


def _size(path: Path, reader: Reader) -> Iterator[Finding]:
    size, log = path.stat().st_size, log_size(path)
    pages, free = (int(reader.value(f"PRAGMA {name}")) for name in ("page_count", "freelist_count"))
    message = f"{size // MB} MB, write-ahead log {log // MB} MB"
    if pages and free / pages > 0.5 and size > 100 * MB:
        yield Finding("store", "size", "note", f"{message}; more than half of it is free space", "wellkept prune --compact")
    elif log > 4 * WAL_LIMIT:
        mend = "some process reads an old state for long: look for one that hangs, and restart it"
        yield Finding("store", "size", "warn", message, mend)
    else:
        yield Finding("store", "size", "ok", message)
    copies = backup.copies(path)
    if copies:
        names = ", ".join(copy.name for copy in copies)
        yield Finding(
            "store", "copies", "note", f"left by migrations and restores: {names}", f"when all is well: rm {copies[0]}"
        )


def _disk(path: Path) -> Iterator[Finding]:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free, needed = shutil.disk_usage(folder).free, path.stat().st_size if path.exists() else 0
    if free < SCARCE:
        mend = "make room, or move the store; wellkept prune --dry-run says what could go"
        yield Finding("store", "disk", "bad" if free < SCARCE // 8 else "warn", f"{free // MB} MB free at {folder}", mend)
    elif free < 2 * needed:
        mend = "an erasure, a migration and `prune --compact` need twice the store's size for the while: make room"
        yield Finding("store", "disk", "warn", f"{free // MB} MB free at {folder}", mend)
    else:
        yield Finding("store", "disk", "ok", f"{free // MB} MB free at {folder}")


def _clock(reader: Reader, now: int) -> Iterator[Finding]:
    """Tell a clock that was put back by what the store has seen already."""
    newest = reader.value("SELECT MAX(heartbeat_at) FROM runs") if "runs" in tables_of(reader) else None
    if newest is not None and int(newest) > now + 60_000:
        message = f"the store has seen an instant {(int(newest) - now) // 1000} s after now"
        yield Finding("machine", "clock", "bad", message, "the clock was put back: timedatectl set-ntp true")
