"""``wellkept demo``: the whole path on this machine, against simulators."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.cli.output import Cell
    from wellkept.demo import DemoReport


@click.command(cls=Verb)
@click.option("--accounts", type=click.IntRange(20, 100_000), default=500, show_default=True, help="Fictional customers.")
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
    from wellkept.cli.runs import TONES
    from wellkept.cli.work import document

    out = app.out
    out.line(f"{accounts} fictional customers came in over HTTP, twice; in between, things happened to some of them.", "bold")
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
    out.table(columns, rows, title="Runs", tones=[TONES.get(run.state) for run in report.runs])
    for instance, happenings in report.happenings.items():
        if happenings:
            out.line()
            out.table(["customer", "what happened"], [[item.id, item.text] for item in happenings], title=f"At {instance}")
    for instance, receipts in report.received.items():
        out.line()
        out.table(["who", "what"], [[item.subject, item.text] for item in receipts], title=f"Then {instance} received")
    out.line()
    out.table(
        ["account", "name", "health", "band", "MRR", "coverage", "main reason"],
        [standing_cells(item) for item in report.risks],
        title="Most at risk",
        tones=[BAND_TONES.get(item.band or "") for item in report.risks],
    )
    out.line()
    for line in report.differences:
        out.line(line, "bad")
    verdict = "What was pushed and mailed is exactly what happened." if report.ok else "That is not what happened."
    out.line(f"{verdict} {report.seconds:.0f} seconds.", "good" if report.ok else "bad")
    out.document(
        {
            "ok": report.ok,
            "runs": [document(run) for run in report.runs],
            "happenings": {
                name: [{"id": item.id, "text": item.text} for item in items] for name, items in report.happenings.items()
            },
            "received": {
                name: [{"subject": item.subject, "text": item.text} for item in items]
                for name, items in report.received.items()
            },
            "most_at_risk": [item.document() for item in report.risks],
            "differences": report.differences,
            "seconds": round(report.seconds, 1),
        }
    )
