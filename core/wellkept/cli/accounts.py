"""``wellkept accounts`` and ``wellkept account NAME``: who needs a look, and everything that is known about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.override import find_account, find_scorer
from wellkept.cli.times import instant

if TYPE_CHECKING:
    from wellkept.cli.output import Tone
    from wellkept.frame import Column, Value
    from wellkept.portrait import Portrait, Standing
    from wellkept.scorer import Contribution

BAND_TONES: dict[str, Tone] = {"red": "bad", "yellow": "warn", "green": "good"}


@click.command(cls=Verb)
@click.argument("search", required=False, default="")
@click.option("--scorer", "name", default="health", show_default=True, help="Which score.")
@click.option("--band", help="Only accounts in this band.")
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=30, show_default=True, help="How many, worst first.")
@pass_app
def accounts(app: App, search: str, name: str, band: str | None, limit: int) -> Exit:
    """List accounts, worst score first, with the main reason; SEARCH finds part of a name or an id."""
    from wellkept.portrait import standings

    with app.runtime() as runtime:
        find_scorer(runtime, name)
        found = [item for item in standings(runtime, name, search) if band in {None, item.band}]
    app.out.table(
        ["account", "name", name, "band", "MRR", "coverage", "main reason"],
        [standing_cells(item) for item in found[:limit]],
        tones=[BAND_TONES.get(item.band or "") for item in found[:limit]],
    )
    if len(found) > limit:
        app.out.line(f"... and {len(found) - limit} more.")
    app.out.document({"accounts": [item.document() for item in found[:limit]], "total": len(found)})
    return Exit.OK


@click.command(cls=Verb)
@click.argument("account_name", metavar="NAME")
@click.option("--scorer", "name", default="health", show_default=True, help="Which score.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Entries of the timeline.")
@pass_app
def account(app: App, account_name: str, name: str, limit: int) -> Exit:
    """Show one account: its score to the last point, timeline, effects, and per source why data is absent."""
    from wellkept.portrait import portrait

    with app.runtime() as runtime:
        find_scorer(runtime, name)
        found = portrait(runtime, find_account(runtime, account_name), name, limit=limit)
        zone = ZoneInfo(runtime.settings.wellkept.timezone)
    _show(app, found, zone)
    app.out.document(found.document())
    return Exit.OK


def standing_cells(item: Standing) -> list[Any]:
    """Return one account's row in a list of accounts."""
    return [
        item.account,
        item.name,
        None if item.value is None else float(item.value),
        f"{item.band or 'not scored'}{' (held)' if item.held else ''}{' (override)' if item.overridden else ''}",
        item.mrr,
        None if item.coverage is None else f"{item.coverage:.0%}",
        item.reason,
    ]


def _show(app: App, found: Portrait, zone: ZoneInfo) -> None:
    out, item = app.out, found.standing
    out.line(f"{item.name or '(no name)'}  {item.account}", "bold")
    out.table(["source", "record", "data"], [[line.instance, line.records, line.text] for line in found.presence])
    out.line()
    value = "not scored" if item.value is None else f"{item.value} {item.band}"
    out.line(f"{found.scorer}: {value}", BAND_TONES.get(item.band or ""))
    for remark in found.remarks:
        out.line(f"  {remark}", "warn")
    if found.score is not None and found.score.value is not None:
        rows = [["start", None, None, str(found.score.reference)]]
        rows += [_contribution(part, found.columns.get(part.measure)) for part in found.score.contributions]
        rows.append([found.scorer, None, None, str(found.score.value)])
        out.table(["measure", "group", "why", "points"], rows)
    out.line()
    out.table(
        ["when", "where", "what"],
        [[instant(event.at, zone), event.where, event.text] for event in found.timeline],
        title="Timeline, newest first",
    )


def _contribution(part: Contribution, column: Column | None) -> list[Any]:
    return [part.measure, part.group, part.text or _value(part.value, column), f"{part.points:+}"]


def _value(value: Value, column: Column | None) -> str:
    return "unknown" if value is None else f"{column.doc if column else ''} {value}".strip()
