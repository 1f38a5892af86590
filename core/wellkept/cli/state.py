"""``wellkept state``: where streams go on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.times import instant

if TYPE_CHECKING:
    from wellkept.store.cursors import CursorState


@click.group(cls=VerbGroup, default="show")
def state() -> None:
    """Show and reset where streams go on."""


@state.command()
@click.argument("instance", required=False)
@pass_app
def show(app: App, instance: str | None) -> Exit:
    """Show, for every stream, where it goes on and up to when its data are complete."""
    import json

    from wellkept.redact import REDACTOR
    from wellkept.store import cursors

    with app.store() as (config, store), store.read() as reader:
        found = [(key, item) for key, item in cursors.overview(reader) if instance in {None, key.instance}]
    zone = ZoneInfo(config.settings.wellkept.timezone)
    rows = [
        [
            key.instance,
            key.stream,
            key.scope,
            instant(item.fresh_at, zone),
            instant(item.complete_at, zone),
            _remark(item),
            json.dumps(REDACTOR.data(item.cursor), ensure_ascii=False) if item.cursor is not None else None,
        ]
        for key, item in found
    ]
    app.out.table(["instance", "stream", "scope", "complete up to", "last full read", "remark", "cursor"], rows)
    app.out.document(
        {
            "streams": [
                {
                    **key._asdict(),
                    "cursor": REDACTOR.data(item.cursor),
                    "fresh_at": item.fresh_at,
                    "complete_at": item.complete_at,
                    "full_since": item.full_since,
                    "full_wanted": item.full_wanted,
                    "anomaly": item.anomaly,
                }
                for key, item in found
            ]
        }
    )
    return Exit.OK


@state.command()
@click.argument("instance")
@click.argument("stream")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_app
def reset(app: App, instance: str, stream: str, *, yes: bool) -> Exit:
    """Read a stream from the beginning at its next sync. What is stored stays, and is brought up to date by that read."""
    from wellkept.clock import SystemClock
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError
    from wellkept.store import cursors

    with app.store() as (_, store):
        with store.read() as reader:
            known = {f"{key.instance} {key.stream}": key for key, _ in cursors.overview(reader) if key.scope == cursors.LIVE}
        key = known.get(f"{instance} {stream}")
        if key is None:
            mend = suggest(f"{instance} {stream}", known, kind="streams that were read")
            raise ConfigError(f"{instance!r} has never read a stream {stream!r}", guidance=mend)
        if not yes:
            click.confirm(f"Read all of {instance} {stream} again at the next sync?", abort=True, err=True)
        now = SystemClock().now()
        store.write_now(lambda tx: cursors.want_full(tx, key, "reset by hand", now))
    app.out.line(f"{instance} {stream} will be read from the beginning at its next sync.", "good")
    app.out.document({"ok": True, "instance": instance, "stream": stream})
    return Exit.OK


def _remark(item: CursorState) -> str | None:
    if item.anomaly:
        return item.anomaly
    if item.full_wanted:
        return f"full read next: {item.full_wanted}"
    return "full read under way" if item.full_since is not None else None
