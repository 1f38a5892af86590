"""``wellkept new-plugin``: the start of a plugin, with tests that pass."""

from __future__ import annotations

from pathlib import Path

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit
from wellkept.scaffold import KINDS, Kind, write


@click.command("new-plugin", cls=Verb)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="source", show_default=True, help="What it does at first.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where its folder goes.")
@pass_app
def new_plugin(app: App, name: str, kind: Kind, into: Path) -> Exit:
    """Write a complete plugin distribution: configuration, a simulator, what it does, and the standard tests."""
    folder = write(name, kind, into)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    app.out.line(f"{folder}: {len(files)} files.", "good")
    app.out.line(f'Next: cd {folder} && pip install -e ".[test]" && pytest')
    app.out.document({"ok": True, "folder": str(folder), "files": files})
    return Exit.OK
