"""``wellkept store``: move a store from one database to another."""

from __future__ import annotations

from pathlib import Path

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit


@click.group(cls=VerbGroup)
def store() -> None:
    """Move a store between SQLite and PostgreSQL."""


@store.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@pass_app
def copy(app: App, source: str, target: str) -> Exit:
    """Copy the store FROM into TO, which must be empty, and compare both row by row.

    Each is a file, postgresql://USER@HOST/DATABASE, or env:NAME for a variable that holds such a URL with its password. Stop
    all runs before; afterwards write TO as `store` in plugins.toml, and never use FROM again. The installation's key stays
    where it is.
    """
    from wellkept.place import address
    from wellkept.store.copy import copy_store

    content = copy_store(address(source, Path()), address(target, Path()))
    rows = sum(table.rows for table in content.values())
    app.out.line(f"{rows:,} rows of {len(content)} tables were copied and compared; the audit trail verifies.", "good")
    app.out.line("Now write the new place as `store` in plugins.toml, and use the old one never again.")
    tables = {name: {"rows": table.rows, "digest": table.digest} for name, table in content.items()}
    app.out.document({"ok": True, "rows": rows, "tables": tables})
    return Exit.OK
