"""Put a backup in the place of a store: checked before, atomically, and with the present store kept aside."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wellkept.clock import Clock, SystemClock
from wellkept.errors import StoreError
from wellkept.store import audit, migrate, owners
from wellkept.store.backup import BACKUP_AT
from wellkept.store.connection import Reader
from wellkept.store.engine import open_store
from wellkept.store.runs import LEASE
from wellkept.store.sqlite import connect, is_busy

LEASES = {LEASE: "a run is working on the store", "serve": "a server schedules"}
"""The leases of those who must not be at work, and what to say of them."""

BUSY_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        taken_at: When the backup was taken, epoch ms.
        kept: Where the store is that stood there before: its file, or its schema in the database; None if there was none.
        planned: Planned effects, which are held from now on.
        damaged: Why the store that stood there before could not be asked whether a run is under way; None if it could.
    """

    taken_at: int
    kept: Path | str | None
    planned: int
    damaged: str | None


def restore(
    backup: Path, store: Path | str, *, check: Callable[[Reader], None] = lambda _: None, clock: Clock | None = None
) -> Restored:
    """Put a backup in the place of a store.

    Args:
        backup: The backup, which stays as it is.
        store: The store's file, which need not exist, or ``postgresql://...``. What is there is kept beside: as the file
            ``NAME.before-restore-TIME``, or as the schema ``NAME_before_restore_TIME``.
        check: Raises if the backup is not the right one, for a reason that the file alone does not tell.
        clock: Where the time comes from.

    Raises:
        StoreError: The backup is not sound, not of this program or of a newer one; or a run or server is working on the store.
            Nothing was changed.
        RetryableError: The database cannot be reached. Nothing was changed.
    """
    clock = clock or SystemClock()
    taken_at = verify(backup, check)
    damaged: str | None = None
    kept: Path | str | None
    if isinstance(store, Path):
        kept, damaged = _put_file(backup, store, clock)
    else:
        from wellkept.store.postgres.restore import put_in_place

        kept = put_in_place(backup, store, clock, lambda reader: refuse_busy(reader, clock.now()))
    with closing(open_store(store, clock)) as opened, opened.read() as reader:  # migrates it, and marks it as restored
        planned = int(reader.value("SELECT COUNT(*) FROM outbox WHERE state = 'planned'"))
    return Restored(taken_at=taken_at, kept=kept, planned=planned, damaged=damaged)


def _put_file(backup: Path, store: Path, clock: Clock) -> tuple[Path | None, str | None]:
    part = store.with_name(f"{store.name}.restoring")
    try:
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(backup, part)
        return _swap(part, store, clock.now())
    except OSError as error:
        raise StoreError(f"{store}: cannot be restored: {error.strerror}", guidance="the store is as it was") from error
    finally:
        part.unlink(missing_ok=True)


def verify(backup: Path, check: Callable[[Reader], None] = lambda _: None) -> int:
    """Make sure that a file is a sound backup that this program can use, and return when it was taken, epoch ms.

    Raises:
        StoreError: It is not.
    """
    if not backup.is_file():
        raise StoreError(f"{backup}: there is no such file")
    try:
        with closing(connect(backup, readonly=True)) as connection:
            findings = [text for (text,) in connection.execute("PRAGMA integrity_check(3)")]
            if findings != ["ok"]:
                raise StoreError(f"{backup}: is damaged: {findings[0]}", guidance="use another backup")
            reader = Reader(connection)
            taken_at = _mark(reader, backup)
            migrate.is_old(backup, migrate.revision_of(reader), migrate.revisions())
            broken = audit.verify(reader)
            if broken is not None:
                raise StoreError(f"{backup}: the audit chain is broken at entry {broken}", guidance="use another backup")
            check(reader)
    except sqlite3.Error as error:
        raise StoreError(f"{backup}: is no backup of a store: {error}", guidance="use another backup") from error
    return taken_at


def _mark(reader: Reader, backup: Path) -> int:
    if not reader.one("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
        raise StoreError(f"{backup}: is a database, but no backup of a store")
    taken_at = reader.value("SELECT value FROM meta WHERE key = ?", (BACKUP_AT,))
    if taken_at is None:
        raise StoreError(
            f"{backup}: has no mark of a backup: it is a store, or a copy that was made by other means",
            guidance="use a file that `wellkept backup` wrote, or `wellkept backup` of this one",
        )
    return int(taken_at)


def _copy(backup: Path, part: Path) -> None:
    part.unlink(missing_ok=True)
    with backup.open("rb") as source, os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
        target.flush()
        os.fsync(target.fileno())


def _swap(part: Path, store: Path, now: int) -> tuple[Path | None, str | None]:
    """Put the copy in the store's place; return where that is now, and why it could not be asked who uses it."""
    if not store.exists():
        part.replace(store)
        return None, None
    damaged = None
    try:
        with closing(connect(store, busy_seconds=BUSY_SECONDS)) as connection:
            refuse_busy(Reader(connection), now)
            connection.execute("PRAGMA journal_mode=DELETE")  # puts all into one file; refused while anybody has it open
    except sqlite3.Error as error:
        if is_busy(error):
            raise StoreError(
                f"{store}: another process has the store open", guidance="stop `wellkept serve`, let runs end, try again"
            ) from error
        damaged = str(error)
    kept = _aside(store, now)
    part.replace(store)
    return kept, damaged


def refuse_busy(reader: Reader, now: int) -> None:
    """Make sure that nobody is at work.

    Raises:
        StoreError: Somebody is.
    """
    for lease, what in LEASES.items():
        owner = reader.value("SELECT owner FROM locks WHERE name = ? AND expires_at > ?", (lease, now))
        if owner is not None and not owners.is_gone(owner):
            raise StoreError(f"{what} ({owner})", guidance="stop it, and try again")


def _aside(store: Path, now: int) -> Path:
    """Give the present store, and what belongs to it, a second name. Its first one is replaced next, and never missing."""
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%S")
    kept = store.with_name(f"{store.name}.before-restore-{stamp}")
    try:
        os.link(store, kept)
    except FileExistsError as error:
        raise StoreError(f"{kept}: exists already", guidance="rename it, and try again") from error
    except OSError:  # a file system without links
        shutil.copy2(store, kept)
    for suffix in ("-wal", "-shm", "-journal"):  # of a damaged one; they would be taken for the restored one's
        with suppress(FileNotFoundError):
            store.with_name(store.name + suffix).replace(kept.with_name(kept.name + suffix))
    return kept
