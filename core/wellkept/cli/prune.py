"""``wellkept prune``: remove what nobody needs any more."""

from __future__ import annotations

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--compact", is_flag=True, help="Give the freed space back; needs twice the store's size for the while.")
@pass_app
def prune(app: App, *, dry_run: bool, compact: bool) -> Exit:
    """Remove what is older than [retention] says: runs, answered webhook hints, settled dead letters, old scores.

    May run at any time: it works a little at a time, and others write meanwhile. The server does it once a day by itself.
    """
    from wellkept.clock import SystemClock
    from wellkept.store import retention

    now = SystemClock().now()
    with app.store() as (config, store):
        settings = config.settings.retention
        with store.read() as reader:
            due = retention.counts(reader, settings, now)
        if dry_run:
            removed = due
        else:
            with app.out.progress("pruning", sum(due.values())) as advance:
                removed = retention.prune(store, settings, now, advance)
        compacted = store.compact() if compact and not dry_run else None
    word = "would go" if dry_run else "gone"
    app.out.table(["what", word], [[name, count] for name, count in removed.items()])
    if compacted is False:
        app.out.note("Somebody still reads an older state: the next `prune --compact` gives the space back.", "warn")
    app.out.document({"ok": True, "dry_run": dry_run, "rows": removed, "compacted": compacted})
    return Exit.OK
