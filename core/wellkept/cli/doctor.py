"""``wellkept doctor``: examine everything, and say how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.cli.output import Tone
    from wellkept.config import Config
    from wellkept.doctor import Finding, Grade

TONES: dict[Grade, Tone] = {"ok": "good", "note": "dim", "warn": "warn", "bad": "bad"}


@click.command(cls=Verb)
@click.option(
    "--offline",
    is_flag=True,
    help="Open no instance: leave plugins' faults, credentials and vendors' clocks out.",
)
@click.option("--all", "everything", is_flag=True, help="Show what is well, too.")
@pass_app
def doctor(app: App, *, offline: bool, everything: bool) -> Exit:
    """Examine the machine, plugins, configuration, store and instances; each finding comes with what mends it.

    Changes nothing, but for what `wellkept check` does: the vendor account behind each instance is remembered, and one that was
    paused runs again if its credential works. Exit codes: 0 nothing to do, 3 the configuration or a plugin, 4 something else,
    5 the store.
    """
    found = _examine(app, offline=offline)
    shown = found if everything or app.as_json else [finding for finding in found if finding.grade != "ok"]
    rows = [[item.area, item.name, item.grade, item.message, f"-> {item.mend}" if item.mend else ""] for item in shown]
    if rows:
        app.out.table(["area", "what", "grade", "found", "to do"], rows, tones=[TONES[item.grade] for item in shown])
    else:
        app.out.line(f"All is well: {len(found)} things were looked at.", "good")
    code = _code(found)
    app.out.document({"ok": code is Exit.OK, "exit": int(code), "findings": [item.document() for item in found]})
    return code


def _examine(app: App, *, offline: bool) -> list[Finding]:
    """Examine from the outside in; what cannot be looked at is a finding too."""
    from wellkept.clock import SystemClock
    from wellkept.doctor import Finding, examine_house, examine_store, worst
    from wellkept.errors import WellkeptError

    config, found = _config(app)
    found += examine_house(config)
    if config is None:
        return found
    now = SystemClock().now()
    try:
        address = config.store
    except WellkeptError as error:
        return [*found, Finding("store", "address", "bad", error.message, error.guidance)]
    stored = list(examine_store(address, now=now))
    found += stored
    sound = worst(item for item in stored if item.name != "disk") != "bad"
    if sound and any(item.name == "schema" and item.grade == "ok" for item in stored):
        found += _inside(app, config, now, offline=offline)
    return found


def _config(app: App) -> tuple[Config | None, list[Finding]]:
    from wellkept import config
    from wellkept.doctor import Finding
    from wellkept.errors import ConfigError
    from wellkept.problems import ProblemsError

    try:
        return config.load(app.config_path, env=app.env), []
    except ProblemsError as error:
        return None, [Finding("configuration", "file", "bad", str(problem), problem.mend) for problem in error.problems]
    except ConfigError as error:
        return None, [Finding("configuration", "file", "bad", error.text, error.guidance or "wellkept init")]


def _inside(app: App, config: Config, now: int, *, offline: bool) -> list[Finding]:
    """Examine what the store tells of the work, and unless `offline` the instances."""
    from wellkept.doctor import Finding, examine_instances, examine_work
    from wellkept.errors import WellkeptError
    from wellkept.runtime import Runtime
    from wellkept.store.engine import peek

    found: list[Finding] = []
    try:
        if not offline:
            with (
                Runtime.open(app.config_path, env=app.env) as runtime,
                app.out.progress("examining", len(runtime.instances)) as advance,
            ):
                found += runtime.run(examine_instances(runtime, advance))
        with peek(config.store) as reader:
            return list(examine_work(reader, config.settings, now)) + found
    except WellkeptError as error:
        return [*found, Finding("store", "open", "bad", error.message, error.guidance)]


def _code(found: Sequence[Finding]) -> Exit:
    """Return the exit code: the store before the configuration before the rest."""
    bad = {item.area for item in found if item.grade == "bad"}
    if "store" in bad:
        return Exit.FAILED
    if bad & {"configuration", "plugins"}:
        return Exit.CONFIG
    return Exit.PARTIAL if bad or any(item.grade == "warn" for item in found) else Exit.OK
