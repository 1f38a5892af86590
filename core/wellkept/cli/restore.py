"""``wellkept restore``: put a backup in the store's place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.config import Config
    from wellkept.store import Reader


@click.command(cls=Verb)
@click.argument("backup", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--verify", is_flag=True, help="Only check the backup; change nothing.")
@pass_app
def restore(app: App, backup: Path, *, verify: bool) -> Exit:
    """Check BACKUP and put it in the store's place, in one step. The present store is kept beside.

    Stop all runs and servers before. Afterwards planned effects are held, since nobody knows what was sent since the backup was
    taken: compare with the vendors, then run `wellkept effects accept-restore`. Whoever was erased since the backup must be
    erased again.
    """
    from wellkept.cli.times import instant
    from wellkept.store import restore as restoring

    config = app.config()

    def check(reader: Reader) -> None:
        _check_key(config, reader)

    zone = ZoneInfo(config.settings.wellkept.timezone)
    if verify:
        taken_at = restoring.verify(backup, check)
        app.out.line(f"{backup}: sound, taken {instant(taken_at, zone)}.", "good")
        app.out.document({"ok": True, "backup": str(backup), "taken_at": taken_at})
        return Exit.OK
    done = restoring.restore(backup, config.store, check=check)
    store = config.store if isinstance(config.store, Path) else "the database"
    app.out.line(f"{store}: restored from {backup}, taken {instant(done.taken_at, zone)}.", "good")
    if done.kept is not None:
        kept = done.kept if isinstance(done.kept, Path) else f"in the schema {done.kept}"
        app.out.line(f"What stood there before is {kept}; remove it when it is not needed any more.")
    if done.damaged is not None:
        app.out.note(f"That store is damaged, so nobody knows whether a run was under way: {done.damaged}", "warn")
    app.out.line(f"{done.planned} planned effects are held. Compare with the vendors, then: wellkept effects accept-restore")
    app.out.document(
        {
            "ok": True,
            "store": str(store),
            "taken_at": done.taken_at,
            "kept": None if done.kept is None else str(done.kept),
            "planned": done.planned,
            "damaged": done.damaged,
        }
    )
    return Exit.OK


def _check_key(config: Config, reader: Reader) -> None:
    """Refuse a backup that was made with another key than the one that is here."""
    from wellkept.redact import REDACTOR
    from wellkept.secrets import Resolver
    from wellkept.trust import open_key, refuse_other_key

    key = open_key(config.settings.wellkept.key, Resolver(config.base, REDACTOR.register), create=False)
    refuse_other_key(reader, key)
