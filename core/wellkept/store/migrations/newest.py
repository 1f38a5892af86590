"""Write down what all migrations make in an empty SQLite file: ``python -m wellkept.store.migrations.newest``.

A new store is made from that text instead of by running the migrations one after another. To be called after each change of
the migrations; a test compares.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path

from wellkept.store.database import BUSY_SECONDS
from wellkept.store.migrate import MIGRATIONS, NEWEST, revisions, upgrade
from wellkept.store.sqlite import connect


def text(folder: Path = MIGRATIONS) -> str:
    """Return the text: the revision as a comment, then one statement in each line."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "store.db"
        os.close(os.open(path, os.O_CREAT))
        known = revisions(folder)
        upgrade(path, known, BUSY_SECONDS, folder)
        with closing(connect(path)) as connection:
            _, *statements, _ = connection.iterdump()  # without its BEGIN and COMMIT
    return "\n".join([f"-- {known[-1]}", *(" ".join(statement.split()) for statement in statements), ""])


if __name__ == "__main__":
    (MIGRATIONS / NEWEST).write_text(text(), encoding="utf-8")
