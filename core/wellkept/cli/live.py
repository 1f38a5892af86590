"""``wellkept try`` and ``wellkept record``: looking at a live account, read-only."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.instance import Instance
    from wellkept.runtime import Runtime
    from wellkept.tryout import Tryout

WIDEST = 60
"""Characters of a value that the table shows."""


@click.command("try", cls=Verb)
@click.argument("instance")
@click.argument("stream")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Records to show.")
@pass_app
def try_(app: App, instance: str, stream: str, limit: int) -> Exit:
    """Read a few live records of a stream and show what the vendor sent beside what it became.

    Reads only, stores nothing, moves no cursor. Secrets and addresses are masked.
    """
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError
    from wellkept.tryout import try_stream

    with app.runtime(dry_run=True) as runtime:
        found = _instance(app, runtime, instance)
        if stream not in found.streams:
            mend = suggest(stream, found.streams, kind="streams")
            raise ConfigError(f"{instance} has no stream {stream!r}", path=app.config_path, guidance=mend)
        with app.out.progress("reading") as advance:
            tryout = runtime.run(try_stream(found, stream, limit))
            advance(1)
    document = _tried(tryout)
    for row in document["rows"]:
        app.out.table(["vendor", "became"], _side_by_side(row["vendor"], row["record"]))
        app.out.line()
    for reject in document["rejects"]:
        app.out.line(f"Not understood: {reject['reason']}", "bad")
        app.out.line(f"  {reject['raw'][: WIDEST * 2]}", "dim")
    rest = "that is all there is" if tryout.ended else "there may be more"
    app.out.line(f"Records: {len(tryout.rows)}, requests: {tryout.requests}; {rest}. Nothing was stored.")
    app.out.document({"ok": True, "instance": instance, "stream": stream, **document})
    return Exit.PARTIAL if tryout.rejects else Exit.OK


@click.command(cls=Verb)
@click.argument("instance")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="A new folder.  [default: INSTANCE-recording]"
)
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Requests for each stream.")
@pass_app
def record(app: App, instance: str, output: Path | None, limit: int) -> Exit:
    """Record what an instance and its vendor say to each other, without secrets and personal data, for tests.

    Reads only: it checks the credential and reads each stream, and then what is new since. `wellkept.testing.Recording` plays
    it back. What was replaced is told by rules, so look through the files before you share them.
    """
    from wellkept.errors import ConfigError
    from wellkept.recording import record_instance

    folder = output or Path(f"{instance}-recording")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", guidance="name a new folder with --output")
    with app.runtime(dry_run=True) as runtime:
        found = _instance(app, runtime, instance)
        with app.out.progress("recording") as advance:
            report = runtime.run(record_instance(found, folder, limit=limit, now=runtime.clock.now()))
            advance(1)
    rows = [[item.stream, item.requests, item.records, item.note] for item in report.streams]
    app.out.table(["stream", "requests", "records", "remark"], rows)
    for kind, count in report.left_out.items():
        app.out.line(f"{count} answers of {kind} are left out, and cannot be played back.", "warn")
    app.out.line(f"{report.exchanges} exchanges in {folder}. Look through them before you share them.")
    app.out.document({"ok": report.ok, **report.document(), "folder": str(folder)})
    return Exit.OK if report.ok else Exit.PARTIAL


def _instance(app: App, runtime: Runtime, name: str) -> Instance:
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError

    if name not in runtime.instances:
        mend = suggest(name, runtime.instances, kind="instances")
        raise ConfigError(f"there is no working instance {name!r}", path=app.config_path, guidance=mend)
    return runtime.instances[name]


def _tried(tryout: Tryout) -> dict[str, Any]:
    from wellkept.redact import REDACTOR
    from wellkept.tryout import fields_of

    return {
        "rows": [REDACTOR.data({"vendor": item.row, "record": fields_of(item.record)}) for item in tryout.rows],
        "rejects": [
            REDACTOR.data({"id": item.id, "reason": item.reason, "raw": item.raw.decode("utf-8", "replace")})
            for item in tryout.rejects
        ],
        "requests": tryout.requests,
        "ended": tryout.ended,
    }


def _side_by_side(vendor: Any, fields: dict[str, Any]) -> list[list[str | None]]:
    from wellkept.tryout import flat

    left = [f"{path}: {text[:WIDEST]}" for path, text in flat(vendor)] if vendor is not None else ["(no row names this id)"]
    right = [f"{path}: {text[:WIDEST]}" for path, text in flat(fields)]
    return [[one, other] for one, other in zip_longest(left, right, fillvalue="")]
