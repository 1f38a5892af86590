"""Draft the migration that a change of the schema needs: ``python -m wellkept.store.migrations.draft add_notes``.

Writes the next file of ``versions/``: what `wellkept.store.schema` says and the migrations so far do not. Read it before you
keep it: a renamed column, for one, looks like one that goes and one that comes.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from wellkept.store.migrate import MIGRATIONS, prepare, revisions
from wellkept.store.schema import metadata

_TEMPLATE = '''"""{title}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """{title}"""
    {body}
'''


def operations(wanted: MetaData = metadata, folder: Path = MIGRATIONS) -> str | None:
    """Return the operations that are missing, as code; None when nothing is."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "store.db"
        prepare(path, folder=folder)
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
            missing = produce_migrations(context, wanted).upgrade_ops
            assert missing is not None  # noqa: S101 - narrows
            code = None if missing.is_empty() else render_python_code(missing)
        engine.dispose()
    return code


def draft(name: str, wanted: MetaData = metadata, folder: Path = MIGRATIONS) -> Path | None:
    """Write the migration and return its path; None when nothing is missing."""
    code = operations(wanted, folder)
    if code is None:
        return None
    known = revisions(folder)
    revision = f"{len(known) + 1:04}_{name}"
    body = re.sub(r"^ *# ###.*\n", "", code, flags=re.MULTILINE).strip()
    path = folder / "versions" / f"{revision}.py"
    title = f"{name.replace('_', ' ').capitalize()}."
    path.write_text(_TEMPLATE.format(title=title, revision=revision, before=known[-1], body=body), encoding="utf-8")
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r"[a-z][a-z0-9_]*", sys.argv[1]):
        sys.exit(__doc__)
    sys.exit(0 if draft(sys.argv[1]) else "The migrations make exactly the schema already.")
