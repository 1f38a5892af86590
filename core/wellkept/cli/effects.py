"""``wellkept effects``: what is planned, held, sent, and what a person decides about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.times import instant

if TYPE_CHECKING:
    from wellkept.store import Tx
    from wellkept.store.outbox import Change

STATES = ("planned", "held", "sending", "done", "rejected", "unknown", "superseded", "expired")

Decision = Callable[..., "list[Change]"]


@click.group(cls=VerbGroup, default="list")
def effects() -> None:
    """List effects; approve, reject, retry and undo them. NAMES are keys of effects, or a run."""


@effects.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only in these states.")
@click.option("--run", "run_id", help="Only those planned by this run.")
@click.option("--account", help="Only those about this account.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest last.")
@pass_app
def list_effects(app: App, states: tuple[Any, ...], run_id: str | None, account: str | None, limit: int) -> Exit:
    """List effects, and what waits for a decision."""
    import msgspec

    from wellkept.store import approvals, outbox

    with app.store() as (config, store), store.read() as reader:
        zone = ZoneInfo(config.settings.wellkept.timezone)
        found = outbox.find(reader, run=run_id, account=account, states=states or None, limit=limit)
        waiting = approvals.held_runs(reader)
    rows = [
        [
            item.state,
            item.capability,
            item.instance,
            item.account,
            item.reason,
            item.note,
            instant(item.planned_at, zone),
            item.key,
        ]
        for item in found
    ]
    app.out.table(["state", "capability", "instance", "account", "reason", "remark", "planned", "key"], rows)
    if waiting:
        app.out.line()
        lines = [[item.run, item.effects, item.accounts, instant(item.since, zone), item.note or item.hold] for item in waiting]
        app.out.table(["run", "effects", "accounts", "since", "waits for"], lines, title="Waiting for a decision")
    app.out.document(
        {
            "effects": [_plain(msgspec.to_builtins(item)) for item in found],
            "waiting": [msgspec.to_builtins(item) for item in waiting],
        }
    )
    return Exit.OK


@effects.command()
@click.argument("names", nargs=-1, required=True)
@pass_app
def approve(app: App, names: tuple[str, ...]) -> Exit:
    """Let effects go that were held for approval; the next delivery sends them."""
    from wellkept.store import approvals

    return _decide(app, names, approvals.approve, "approved")


@effects.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@pass_app
def reject(app: App, names: tuple[str, ...], *, reason: str) -> Exit:
    """Drop effects for good. Their keys are never planned again."""
    from wellkept.store import approvals

    return _decide(app, names, approvals.reject, "rejected", reason=reason)


@effects.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@pass_app
def hold(app: App, names: tuple[str, ...], *, reason: str) -> Exit:
    """Keep planned effects back until they are approved."""
    from wellkept.store import approvals

    return _decide(app, names, approvals.hold, "held", reason=reason)


@effects.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--i-know", is_flag=True, help="Also those in doubt: you have looked, and they were NOT done at the vendor.")
@pass_app
def retry(app: App, names: tuple[str, ...], *, i_know: bool) -> Exit:
    """Try effects again that were tried too often or wait."""
    from wellkept.store import approvals

    return _decide(app, names, approvals.retry, "to be tried again", i_know=i_know)


@effects.command()
@click.argument("names", nargs=-1, required=True)
@pass_app
def undo(app: App, names: tuple[str, ...]) -> Exit:
    """Plan prior values for what was set, where ours still stand. Mails and tasks cannot be undone."""
    import msgspec

    from wellkept.pipeline.undo import undo as plan_back
    from wellkept.steps import Steps

    with app.runtime() as runtime:
        run_id, keys = _which(runtime.store, names)
        now = runtime.clock.now()
        report = runtime.run(
            plan_back(runtime.store, Steps(runtime).actions, undo_run=f"undo-{now}", run=run_id, keys=keys, now=now)
        )
    app.out.line(f"{len(report.planned)} values will be put back by the next delivery.", "good" if report.planned else None)
    app.out.table(["left as it is", "field", "why"], [[item.key, item.field, item.reason] for item in report.left])
    app.out.document({"planned": report.planned, "left": [msgspec.to_builtins(item) for item in report.left]})
    return Exit.PARTIAL if report.left else Exit.OK


@effects.command("accept-restore")
@pass_app
def accept_restore(app: App) -> Exit:
    """End the caution after a restore from a backup: you have compared what was sent since. What is held stays held."""
    from wellkept.store import claims

    with app.store() as (_, store):
        was = store.write_now(claims.accept_restore)
    app.out.line("Planned effects are sent again." if was else "There was no restore.", "good")
    app.out.document({"ok": True, "restored": was})
    return Exit.OK


def _decide(app: App, names: Sequence[str], decision: Decision, word: str, **more: Any) -> Exit:
    with app.store() as (_, store):
        run_id, keys = _which(store, names)
        now = store.clock.now()

        def job(tx: Tx) -> list[Change]:
            return decision(tx, now=now, run=run_id, keys=keys, **more)

        changes = store.write_now(job)
    app.out.line(f"{len(changes)} {word}.", "good" if changes else "warn")
    app.out.document({"ok": bool(changes), "effects": [change.entry.key for change in changes]})
    return Exit.OK if changes else Exit.PARTIAL


def _which(store: Any, names: Sequence[str]) -> tuple[str | None, Sequence[str] | None]:
    """Tell a run from keys of effects.

    Raises:
        ConfigError: A name is neither.
    """
    from wellkept.errors import ConfigError
    from wellkept.store import outbox

    with store.read() as reader:
        if len(names) == 1 and outbox.find(reader, run=names[0], limit=1):
            return names[0], None
        known = {item.key for item in outbox.find(reader, keys=names)}
    for name in names:
        if name not in known:
            raise ConfigError(f"{name!r} is neither an effect nor a run with effects", guidance="`wellkept effects` lists them")
    return None, list(names)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return an outbox row with its JSON columns opened."""
    import json

    return {name: json.loads(value) if name in {"payload", "prior"} and value else value for name, value in row.items()}
