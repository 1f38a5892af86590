"""``wellkept runs``: what ran, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.times import instant

if TYPE_CHECKING:
    from wellkept.cli.output import Tone
    from wellkept.store.runs import RunRow, StreamRow

TONES: dict[str, Tone] = {"done": "good", "partial": "warn", "failed": "bad", "interrupted": "warn", "skipped": "dim"}


@click.command(cls=Verb)
@click.argument("run_id", required=False, metavar="[RUN]")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@pass_app
def runs(app: App, run_id: str | None, limit: int) -> Exit:
    """List the newest runs, or show one of them stream by stream ("last" is the newest)."""
    from wellkept.errors import ConfigError
    from wellkept.store import runs as history

    with app.store() as (config, store), store.read() as reader:
        zone = ZoneInfo(config.settings.wellkept.timezone)
        found = history.history(reader, 1 if run_id == "last" else 1000 if run_id else limit)
        if run_id is None:
            show_runs(app, found, zone)
            app.out.document({"runs": [row._asdict() for row in found]})
            return Exit.OK
        row = next((row for row in found if run_id in {"last", row.id}), None)
        if row is None:
            raise ConfigError(f"there is no run {run_id!r}", guidance="`wellkept runs` lists them")
        streams = history.streams(reader, row.id)
    show_runs(app, [row], zone)
    show_streams(app, streams)
    app.out.document({"run": row._asdict(), "streams": [stream._asdict() for stream in streams]})
    return Exit.OK


def show_runs(app: App, rows: list[RunRow], zone: ZoneInfo) -> None:
    """Print a table of runs."""
    cells = [
        [row.id, row.kind, row.state, instant(row.started_at, zone), _seconds(row), row.summary] for row in rows
    ]  # fmt: skip
    app.out.table(["run", "kind", "state", "began", "seconds", "summary"], cells, tones=[TONES.get(row.state) for row in rows])


def show_streams(app: App, rows: list[StreamRow]) -> None:
    """Print a table of what one run did with each stream."""
    if not rows:
        return
    columns = ["instance", "stream", "state", "read", "new", "changed", "same", "deleted", "rejected", "remark"]
    cells = [
        [
            row.instance,
            row.stream,
            row.state,
            row.read,
            row.inserted,
            row.updated,
            row.unchanged,
            row.deleted,
            row.rejected,
            "; ".join(text for text in (row.error, row.note) if text) or None,
        ]
        for row in rows
    ]
    app.out.table(columns, cells, tones=[TONES.get(row.state) for row in rows])


def _seconds(row: RunRow) -> float | None:
    return None if row.finished_at is None else round((row.finished_at - row.started_at) / 1000, 1)
