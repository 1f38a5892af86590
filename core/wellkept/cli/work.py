"""``wellkept sync``, ``score``, ``deliver``, ``run`` and ``backfill``: the steps, and how their results are shown."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.runs import TONES
from wellkept.cli.times import Day, day_start

if TYPE_CHECKING:
    from wellkept.pipeline.decide import DecideReport
    from wellkept.pipeline.outgoing import DeliverReport, Result
    from wellkept.pipeline.report import RunReport, SyncReport
    from wellkept.runtime import Runtime
    from wellkept.steps import Steps
    from wellkept.store.runs import Run

SHOWN = 50
"""Effects listed after a run; ``--json`` has them all."""

EFFECT_TONES: dict[Result, Any] = {
    "done": "good",
    "would send": "dim",
    "held": "warn",
    "unknown": "bad",
    "rejected": "bad",
    "again later": "warn",
}


@click.command(cls=Verb)
@click.argument("streams", nargs=-1, metavar="[INSTANCE[.STREAM]]...")
@click.option("--full", is_flag=True, help="Read everything again instead of going on from the cursors.")
@click.option("--estimate", is_flag=True, help="Only say what it would cost: calls, hours, share of the quota.")
@click.option("--accept-deletes", is_flag=True, help="Believe deletions and small volumes that were held back.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="End all streams after so long.")
@pass_app
def sync(
    app: App, streams: tuple[str, ...], *, full: bool, estimate: bool, accept_deletes: bool, minutes: float | None
) -> Exit:
    """Read all streams, or those named, from where they stopped."""
    select = [(instance, stream or None) for instance, _, stream in (name.partition(".") for name in streams)] or None
    with _steps(app) as (_, steps):
        if estimate:
            return _show_estimates(app, asyncio.run(steps.estimate(select, full=full)))
        limit = None if minutes is None else minutes * 60
        report = asyncio.run(steps.sync(select, full=full, accept_deletes=accept_deletes, time_limit=limit))
    return finish(app, report)


@click.command(cls=Verb)
@pass_app
def score(app: App) -> Exit:
    """Link records to accounts, measure what changed, and score."""
    with _steps(app) as (_, steps):
        report = asyncio.run(steps.score())
    return finish(app, report)


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Only show what would be sent; write nothing down.")
@pass_app
def deliver(app: App, *, dry_run: bool) -> Exit:
    """Send what is planned. Instances without ``live = true`` only show it."""
    with _steps(app, dry_run=dry_run) as (_, steps):
        report = asyncio.run(steps.deliver())
    return finish(app, report)


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Do everything but send.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="End all streams after so long.")
@pass_app
def run(app: App, *, dry_run: bool, minutes: float | None) -> Exit:
    """Sync, resolve, measure, score, decide, deliver; then what plugins do at the end, such as exports."""
    limit = None if minutes is None else minutes * 60
    with _steps(app, dry_run=dry_run) as (_, steps):
        report = asyncio.run(steps.run(time_limit=limit))
    return finish(app, report)


@click.command(cls=Verb)
@click.argument("stream", metavar="INSTANCE.STREAM")
@click.option("--from", "first", type=Day(), required=True, help="First day.")
@click.option("--to", "last", type=Day(), required=True, help="Last day, included.")
@pass_app
def backfill(app: App, stream: str, *, first: date, last: date) -> Exit:
    """Read some days of a stream's past again. Where the stream goes on stays as it is; one that was cut off goes on."""
    from wellkept.source import Window

    instance, dot, name = stream.partition(".")
    if not dot:
        raise click.UsageError("name a stream as INSTANCE.STREAM; `wellkept state` lists them")
    with _steps(app) as (runtime, steps):
        zone = ZoneInfo(runtime.settings.wellkept.timezone)
        window = Window(start=day_start(first, zone), end=day_start(last + timedelta(days=1), zone))
        report = asyncio.run(steps.backfill(instance, name, window))
    return finish(app, report)


def finish(app: App, report: RunReport) -> Exit:
    """Print what a run did and return its exit code."""
    if report.sync is not None:
        _show_streams(app, report.sync)
    if report.score is not None:
        for failure in report.score.failures:
            app.out.note(f"Problem: {failure.name} ({failure.instance}): {failure.message}", "warn")
    if report.decide is not None:
        _show_decisions(app, report.decide)
    if report.deliver is not None:
        _show_effects(app, report.deliver)
    if report.jobs:
        ends = [[item.instance, item.stream, item.state, item.read, item.error or item.note] for item in report.jobs]
        tones = [TONES.get(item.state) for item in report.jobs]
        app.out.table(["instance", "job", "state", "rows", "remark"], ends, tones=tones)
    app.out.line(f"Run {report.run}: {report.state}. {'; '.join(report.summary)}", TONES.get(report.state))
    app.out.document(document(report))
    return exit_code(report)


def exit_code(report: RunReport) -> Exit:
    """Return the exit code of a run: the gravest thing first."""
    if report.state == "failed":
        return Exit.FAILED
    if report.decide is not None and report.decide.mass:
        return Exit.HELD
    return Exit.PARTIAL if report.state == "partial" else Exit.OK


def document(report: RunReport) -> dict[str, Any]:
    """Return a run's report as plain data."""
    import msgspec

    found: dict[str, Any] = {"run": report.run, "state": report.state, "summary": report.summary}
    if report.sync is not None:
        found["streams"] = [
            {
                "instance": item.instance,
                "stream": item.stream,
                "state": item.state,
                **item.counts,
                "error": item.error,
                "note": item.note,
            }
            for item in report.sync.streams
        ]
    if report.resolve is not None:
        found["resolve"] = asdict(report.resolve)
    if report.measure is not None:
        found["measure"] = asdict(report.measure)
    if report.score is not None:
        found["score"] = msgspec.to_builtins(report.score)
    if report.decide is not None:
        found["decide"] = msgspec.to_builtins(report.decide)
    if report.deliver is not None:
        found["deliver"] = {
            "effects": [msgspec.to_builtins(row) for row in report.deliver.rows],
            "failures": dict(report.deliver.failures),
        }
    if report.jobs is not None:
        found["jobs"] = [
            {"instance": item.instance, "job": item.stream, "state": item.state, "rows": item.read, "error": item.error}
            for item in report.jobs
        ]
    return found


def _show_streams(app: App, report: SyncReport) -> None:
    columns = ["instance", "stream", "state", "read", "new", "changed", "same", "deleted", "rejected", "remark"]
    rows = [
        [
            item.instance,
            item.stream,
            item.state,
            item.read,
            item.inserted,
            item.updated,
            item.unchanged,
            item.deleted,
            item.rejected,
            "; ".join(text for text in (item.error, item.note) if text) or None,
        ]
        for item in report.streams
    ]
    app.out.table(columns, rows, tones=[TONES.get(item.state) for item in report.streams])


def _show_decisions(app: App, report: DecideReport) -> None:
    for failure in report.failures:
        app.out.note(f"Problem: {failure.name} ({failure.instance}): {failure.message}", "warn")
    if report.primed:
        app.out.line(f"First run, took note and planned nothing: {', '.join(report.primed)}")
    if report.mass:
        app.out.line(f"Held for approval: {report.mass}. `wellkept effects` shows them.", "warn")


def _show_effects(app: App, report: DeliverReport) -> None:
    rows = [
        [row.result, row.instance, row.capability, row.account, _change(row.diff) or row.why, row.note]
        for row in report.rows[:SHOWN]
    ]
    if rows:
        tones = [EFFECT_TONES.get(row.result) for row in report.rows[:SHOWN]]
        app.out.table(["result", "instance", "capability", "account", "what", "remark"], rows, tones=tones)
    more = sum(report.counts.values()) - len(rows)
    if more > 0:
        app.out.line(f"... and {more} more; `wellkept effects list` shows them.")
    for instance, reason in report.failures.items():
        app.out.note(f"Problem: {instance}: {reason}", "warn")


def _change(diff: Any) -> str:
    return ", ".join(f"{name}: {_value(old)} -> {_value(new)}" for name, (old, new) in diff.items())


def _value(value: object) -> str:
    return "(none)" if value is None else str(value)


def _show_estimates(app: App, estimates: Sequence[Any]) -> Exit:
    rows = [
        [
            item.instance,
            item.stream,
            "everything" if item.full else "what is new",
            item.calls,
            None if item.hours is None else round(item.hours, 3),
            None if item.quota_share is None else f"{item.quota_share:.1%}",
            item.error,
        ]
        for item in estimates
    ]
    app.out.table(["instance", "stream", "reads", "calls", "hours", "quota", "remark"], rows)
    app.out.document({"streams": [asdict(item) for item in estimates]})
    return Exit.PARTIAL if any(item.error for item in estimates) else Exit.OK


@contextmanager
def _steps(app: App, **options: Any) -> Iterator[tuple[Runtime, Steps]]:
    """Open the installation for steps. When a run was made, whether it went well or not, alerts are looked after at the end."""
    from wellkept.steps import Steps, Terms

    made: list[Run] = []
    with app.runtime(**options) as runtime:
        try:
            with app.out.progress("reading") as advance:
                yield runtime, Steps(runtime, progress=lambda _: advance(1), terms=Terms(began=made.append))
        finally:
            if made and not runtime.dry_run and not isinstance(sys.exception(), KeyboardInterrupt):
                from wellkept.alerts import Watch

                asyncio.run(Watch.of(runtime).attend(cycle=True))
