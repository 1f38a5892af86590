"""``wellkept demo``: the whole path on this machine, against simulators."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wellkept.cli.output import Cell
    from wellkept.demo import DemoReport
    from wellkept.testing.simulation import Happening, Receipt

MOST = 10_000
"""Of fictional customers: with more, the vendors' hourly limits would let the demo's evening pass before all are read."""

SHOWN = 8
"""Rows of a list that are shown."""


@click.command(cls=Verb)
@click.option("--accounts", type=click.IntRange(20, MOST), default=500, show_default=True, help="Fictional customers.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides names, plans, histories and troubles.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new or empty folder that keeps the configuration and the store, to look around in afterwards.",
)
@pass_app
def demo(app: App, accounts: int, seed: int, keep: Path | None) -> Exit:
    """Run everything against simulators on loopback: read, score, let things happen, push and mail exactly those."""
    from wellkept.demo import demo as run_demo
    from wellkept.errors import ConfigError

    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise ConfigError(f"{keep} is not empty", guidance="name a new folder")
    with tempfile.TemporaryDirectory(prefix="wellkept-demo-") as temporary:
        folder = keep or Path(temporary)
        with app.out.progress("reading") as advance:
            report = asyncio.run(run_demo(folder, accounts=accounts, seed=seed, progress=lambda _: advance(1)))
    _show(app, report, accounts)
    if keep is not None:
        app.out.line(f"Look around: wellkept -c {keep / 'plugins.toml'} accounts")
    return Exit.OK if report.ok else Exit.FAILED


def _show(app: App, report: DemoReport, accounts: int) -> None:
    from wellkept.cli.accounts import BAND_TONES, standing_cells

    out = app.out
    out.line(f"{accounts} fictional customers came in over HTTP, twice; in between, things happened to some of them.", "bold")
    _show_runs(app, report)
    for instance, happenings in report.happenings.items():
        _show_list(app, report, f"Happened at {instance}", instance, happenings)
    for instance, receipts in report.received.items():
        _show_list(app, report, f"{instance} then received", instance, receipts)
    out.line()
    out.table(
        ["account", "name", "health", "band", "MRR", "coverage", "main reason"],
        [standing_cells(item) for item in report.risks],
        title="Most at risk",
        tones=[BAND_TONES.get(item.band or "") for item in report.risks],
    )
    out.line()
    _show_links(app, report)
    if report.bystanders:
        out.line(f"{report.bystanders} things happened to records of nobody who pays, and were left alone.")
    for line in report.differences:
        out.line(line, "bad")
    if report.waited >= 1:
        out.line(f"Rate limits let {report.waited:.0f} seconds of the demo's time pass.")
    verdict = "What was pushed, mailed and assigned is exactly what happened." if report.ok else "That is not what happened."
    out.line(f"{verdict} {report.seconds:.0f} seconds.", "good" if report.ok else "bad")
    out.document(_document(report))


def _show_runs(app: App, report: DemoReport) -> None:
    from wellkept.cli.runs import TONES

    rows: list[list[Cell]] = []
    for number, run in enumerate(report.runs, 1):
        streams = run.sync.streams if run.sync else ()
        score, decide, deliver = run.score, run.decide, run.deliver
        rows.append(
            [
                f"{number}: {run.run}",
                run.state,
                sum(stream.read for stream in streams),
                sum(stream.inserted for stream in streams),
                sum(stream.updated for stream in streams),
                score.scored if score else None,
                score.changed if score else None,
                decide.planned if decide else None,
                deliver.total("done") if deliver else None,
            ]
        )
    columns = ["run", "state", "rows read", "new", "changed", "scored", "scores changed", "effects planned", "delivered"]
    app.out.table(columns, rows, title="Runs", tones=[TONES.get(run.state) for run in report.runs])


def _show_list(app: App, report: DemoReport, title: str, instance: str, items: Sequence[Happening] | Sequence[Receipt]) -> None:
    """Show the first of what happened at a vendor, or what it received."""
    if not items:
        return
    rows: list[list[Cell]] = []
    for item in items[:SHOWN]:
        who = item.subject if hasattr(item, "subject") else item.id
        rows.append([report.names.get((instance, who), who), item.text])
    app.out.line()
    app.out.table(["who", "what"], rows, title=title)
    if len(items) > SHOWN:
        app.out.line(f"... and {len(items) - SHOWN} more.")


def _show_links(app: App, report: DemoReport) -> None:
    links = report.links
    if links is not None:
        app.out.line(
            f"Records linked to accounts, held against the truth: precision {links.precision:.4f}, recall {links.recall:.4f},"
            f" {links.wrong_per_thousand:.1f} wrong merges per 1,000 accounts ({links.wrong_merges} among {links.accounts})."
        )


def _document(report: DemoReport) -> dict[str, Any]:
    from wellkept.cli.work import document

    links = report.links
    return {
        "ok": report.ok,
        "runs": [document(run) for run in report.runs],
        "happenings": {
            name: [{"id": item.id, "text": item.text} for item in items] for name, items in report.happenings.items()
        },
        "received": {
            name: [{"subject": item.subject, "capability": item.capability, "text": item.text} for item in items]
            for name, items in report.received.items()
        },
        "bystanders": report.bystanders,
        "most_at_risk": [item.document() for item in report.risks],
        "links": None
        if links is None
        else {
            "accounts": links.accounts,
            "precision": links.precision,
            "recall": links.recall,
            "wrong_merges": links.wrong_merges,
            "wrong_merges_per_thousand": links.wrong_per_thousand,
        },
        "differences": report.differences,
        "waited_seconds": round(report.waited, 1),
        "seconds": round(report.seconds, 1),
    }
