"""``wellkept backup``: a sound copy of the store, taken while it is in use."""

from __future__ import annotations

from pathlib import Path

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit


@click.command(cls=Verb)
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@pass_app
def backup(app: App, target: Path) -> Exit:
    """Copy the store to TARGET, which must not exist, and check the copy.

    The store may be in use. `wellkept restore` puts the copy back, whatever database either is in; the store then knows that
    it was restored, and holds planned effects until `wellkept effects accept-restore`. The installation's key is not in the
    copy: keep it elsewhere.
    """
    from wellkept.store.backup import backup as copy

    copy(app.config().store, target)
    size = target.stat().st_size
    app.out.line(f"{target}: {size:,} bytes, checked.", "good")
    app.out.document({"ok": True, "target": str(target), "bytes": size})
    return Exit.OK
