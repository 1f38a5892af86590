"""``wellkept erase``: remove a customer or a person everywhere, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.override import find_account

if TYPE_CHECKING:
    from wellkept.runtime import Runtime


@click.command(cls=Verb)
@click.argument("who", metavar="ACCOUNT|ADDRESS")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_app
def erase(app: App, who: str, *, yes: bool) -> Exit:
    """Erase an account, or everybody behind an e-mail address, here; and turn them away when a sync brings them again.

    This cannot be undone. The vendors keep what they have: erase it there too. The audit trail still verifies.
    """
    from wellkept.store.erase import erase as remove

    with app.runtime() as runtime:
        target = _target(runtime, who)
        if not yes:
            click.confirm(f"Erase {target} and everything about it, for good?", abort=True, err=True)
        report = remove(runtime.store, target, keyed_hash=runtime.key.keyed_hash)
    records = sum(report.records.values())
    app.out.line(
        f"{len(report.accounts)} accounts, {records} records and {sum(report.removed.values())} other rows are gone.", "good"
    )
    app.out.line(f"{report.blanked} mentions were blanked; {report.tombstones} ids and addresses are turned away from now on.")
    if not report.compacted:
        app.out.line("Somebody still reads an older state of the store: erase again later, to rewrite the file.", "warn")
    for copy in report.copies:
        app.out.line(f"{copy} still holds everything: delete it, and backups elsewhere too.", "warn")
    app.out.document(
        {
            "ok": report.compacted and not report.copies,
            "accounts": list(report.accounts),
            "records": dict(report.records),
            "removed": dict(report.removed),
            "blanked": report.blanked,
            "tombstones": report.tombstones,
            "compacted": report.compacted,
            "copies": [str(path) for path in report.copies],
        }
    )
    return Exit.OK if report.compacted and not report.copies else Exit.PARTIAL


def _target(runtime: Runtime, who: str) -> str:
    """Return what to erase: an address as it is, else the account that is meant."""
    return who if "@" in who else find_account(runtime, who)
