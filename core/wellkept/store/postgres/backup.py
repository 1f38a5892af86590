"""A backup of a store in PostgreSQL: what ``pg_dump`` writes, checked by ``pg_restore``.

The dump is of one instant, and needs no mark: a database that it is restored into is another one, by which `open_store` knows
that the store was restored. See `wellkept.store.database.Database.origin`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

from wellkept.errors import StoreError
from wellkept.redact import REDACTOR
from wellkept.store.backup import put_in_place
from wellkept.store.postgres.database import PgDatabase


def dump(dsn: str, target: Path) -> None:
    """Write a dump of a store that may be in use, and check it.

    Args:
        dsn: Where the store is.
        target: Where the dump goes, in the custom format of ``pg_dump``; must not exist. Appears only when it is complete.

    Raises:
        StoreError: ``pg_dump`` is not installed or fails, there is no store, or the target exists.
    """
    if target.exists():
        raise StoreError(f"{target}: exists already", guidance="name a new file; a backup never overwrites one")
    database = PgDatabase(dsn)
    schema = _schema(database)
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        wanted = [] if schema == "public" else [f"--schema={schema}"]
        _run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={part}", *wanted)
        if " TABLE DATA " not in _run(database, "pg_restore", "--list", str(part)):
            raise StoreError(f"{database.label}: the dump holds no tables, so it is worth nothing")
        put_in_place(part, target)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _schema(database: PgDatabase) -> str:
    """Return the schema that holds the store."""
    try:
        with closing(database.connect(readonly=True)) as connection:
            row = connection.execute("SELECT current_schema()::text, to_regclass('alembic_version') IS NOT NULL").fetchone()
    except database.errors as error:
        raise database.translate(error) from error
    if row is None or not row[1]:
        raise StoreError(f"{database.label}: there is no store", guidance="check `store` in [wellkept]")
    return str(row[0])


def _run(database: PgDatabase, program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs, which gets the password by its environment, and return what it says."""
    path = shutil.which(program)
    if path is None:
        raise StoreError(
            f"{program} is not installed, and a backup of {database.label} needs it",
            guidance="install PostgreSQL's client programs, or copy the store into a file: `wellkept store copy`",
        )
    environment = {**os.environ, **database.environment()}
    done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = REDACTOR.text(done.stderr.strip().partition("\n")[0])
        raise StoreError(
            f"{database.label}: {program} failed: {said}", guidance="its version must not be older than the server's"
        )
    return done.stdout
