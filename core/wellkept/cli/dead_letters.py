"""``wellkept dead-letters``: rows that could not be understood."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.times import instant

if TYPE_CHECKING:
    from wellkept.store import Reader
    from wellkept.store.dead_letters import Letter


@click.group("dead-letters", cls=VerbGroup, default="list")
def dead_letters() -> None:
    """List, look into, read again and drop rows that could not be understood."""


@dead_letters.command("list")
@click.option("--instance", help="Only of this instance.")
@click.option("--stream", help="Only of this stream.")
@click.option("--all", "everything", is_flag=True, help="Resolved and dropped ones too.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@pass_app
def list_letters(app: App, instance: str | None, stream: str | None, *, everything: bool, limit: int) -> Exit:
    """List dead letters with their reasons, without their bytes."""
    from dataclasses import asdict

    from wellkept.store import dead_letters as room

    with app.store() as (config, store), store.read() as reader:
        zone = ZoneInfo(config.settings.wellkept.timezone)
        letters = room.listing(
            reader, state=None if everything else "open", instance=instance, stream=stream, limit=limit
        )  # fmt: skip
    rows = [
        [item.seq, item.instance, item.stream, item.record_id, item.state, item.count, instant(item.last_at, zone), item.reason]
        for item in letters
    ]
    app.out.table(["no", "instance", "stream", "record", "state", "times", "last", "reason"], rows)
    app.out.document({"dead_letters": [asdict(item) for item in letters]})
    return Exit.OK


@dead_letters.command()
@click.argument("number", type=int)
@pass_app
def show(app: App, number: int) -> Exit:
    """Print one dead letter with its bytes. They may be personal data."""
    from dataclasses import asdict

    from wellkept.store import dead_letters as room

    with app.store() as (_, store), store.read() as reader:
        (letter,) = _known(reader, [number])
        raw = room.raw(reader, number) or b""
    text = raw.decode("utf-8", "backslashreplace")
    app.out.line(f"{letter.instance} {letter.stream} {letter.record_id or '(no id)'}: {letter.reason}")
    app.out.line(text)
    app.out.document({**asdict(letter), "raw": text})
    return Exit.OK


@dead_letters.command()
@click.argument("numbers", type=int, nargs=-1, required=True)
@pass_app
def retry(app: App, numbers: tuple[int, ...]) -> Exit:
    """Read rows again now: one by one where the source can do that, else with the whole stream at its next sync."""
    from wellkept.cli.work import finish
    from wellkept.steps import Steps

    with app.runtime() as runtime:
        report = asyncio.run(Steps(runtime).retry_letters(numbers))
    return finish(app, report)


@dead_letters.command()
@click.argument("numbers", type=int, nargs=-1, required=True)
@pass_app
def drop(app: App, numbers: tuple[int, ...]) -> Exit:
    """Put dead letters aside for good. What is stored of these rows stays as it is."""
    from wellkept.store import dead_letters as room

    with app.store() as (_, store):
        with store.read() as reader:
            _known(reader, numbers)
        dropped = store.write_now(lambda tx: room.drop(tx, numbers))
    app.out.line(f"{dropped} dropped.", "good")
    app.out.document({"ok": True, "dropped": dropped})
    return Exit.OK


def _known(reader: Reader, numbers: Sequence[int]) -> list[Letter]:
    from wellkept.errors import ConfigError
    from wellkept.store import dead_letters as room

    letters = room.by_seq(reader, numbers)
    missing = sorted(set(numbers) - {item.seq for item in letters})
    if missing:
        names = ", ".join(map(str, missing))
        raise ConfigError(f"there is no dead letter {names}", guidance="`wellkept dead-letters` lists them")
    return letters
