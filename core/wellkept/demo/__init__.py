"""The demo: the real plugins against simulators on loopback, twice, with known changes in between.

All simulators know one fictional market (see `wellkept.testing.world`), each in its own, faulty way. What is pushed, mailed and
given to people as tasks in the second run must be about exactly the customers to whom something happened, at every vendor that
knows them. The demo checks that itself, holds the links against the truth, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import tomlkit

from wellkept import config as configuration
from wellkept.demo.checking import Checker, judge_links, pushed_values
from wellkept.demo.clock import DemoClock
from wellkept.demo.report import Check, DemoReport
from wellkept.errors import ConfigError
from wellkept.plugins import load_plugins
from wellkept.portrait import standings
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing.simulation import Setting, Simulation

if TYPE_CHECKING:
    from wellkept.pipeline.reading import Progress

__all__ = ["Check", "DemoClock", "DemoReport", "demo"]

EXAMPLE = Path(configuration.__file__).parents[1] / "example.toml"
"""The example configuration; `plugins.toml` at the top of the repository is the same file."""

RATES = """\
day,base,quote,rate
2020-01-01,EUR,USD,1.09
2020-01-01,GBP,USD,1.27
2020-01-01,JPY,USD,0.0067
2020-01-01,CNY,USD,0.14
2020-01-01,KWD,USD,3.25
2020-01-01,ISK,USD,0.0072
"""
"""Fictional exchange rates."""

LATER = 20 * 60_000
"""Between the two runs: what came in meanwhile is listed by every vendor, and quiet hours have not begun."""


async def demo(folder: Path, *, accounts: int, seed: int, progress: Progress | None = None) -> DemoReport:
    """Run the demo in an empty folder.

    Args:
        folder: Where the configuration, the store and the keys go.
        accounts: How many fictional customers.
        seed: Decides everything that is drawn.
        progress: Told as streams are read.
    """
    began, clock, report = time.monotonic(), DemoClock(), DemoReport()
    setting = Setting(accounts=accounts, seed=seed, clock=clock, folder=folder)
    with _simulations(setting) as simulations:
        path = _configure(folder, {name: simulation.start() for name, simulation in simulations.items()})
        with Runtime.open(path, clock=clock, strict=True) as runtime:
            steps = Steps(runtime, progress=progress)
            report.runs.append(await steps.run())
            before = pushed_values(runtime, steps)
            report.links = judge_links(runtime, setting.world, {name: item.records() for name, item in simulations.items()})
            report.premature = [item for simulation in simulations.values() for item in simulation.received()]
            report.happenings = {name: simulation.unfold() for name, simulation in simulations.items()}
            clock.move_on(LATER)
            report.runs.append(await steps.run())
            report.received = {name: simulation.received() for name, simulation in simulations.items()}
            report.risks = standings(runtime, "health")[:10]
            checker = Checker(runtime, steps, report.happenings, report.received)
            report.checks = checker.checks(before, report.runs[-1].run)
            report.names, report.bystanders = checker.names, checker.bystanders
    report.waited, report.seconds = clock.waited, time.monotonic() - began
    return report


@contextmanager
def _simulations(setting: Setting) -> Iterator[dict[str, Simulation]]:
    """Ask the plugins of the example for simulations; all are closed at the end.

    Raises:
        ConfigError: A plugin of the example is not installed.
    """
    config = configuration.load(EXAMPLE)
    plugins = load_plugins(config)
    if plugins.problems:
        raise ConfigError(
            f"the demo cannot start: {plugins.problems[0]}",
            guidance='install everything it needs: pip install "wellkept[demo]"',
        )
    found: dict[str, Simulation] = {}
    with ExitStack() as stack:
        for table in config.enabled:
            simulation = cast("Simulation | None", plugins.provide(table.plugin, "simulation", {"setting": setting}))
            if simulation is not None:
                stack.callback(simulation.close)
                found[table.name] = simulation
        yield found


def _configure(folder: Path, tables: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the example configuration, with every instance live and leading to its simulation."""
    document: Any = tomlkit.parse(EXAMPLE.read_text(encoding="utf-8"))
    document["wellkept"]["rates"] = "rates.csv"
    for name, keys in tables.items():
        table = document["plugins"][name]
        table["live"] = True
        table.pop("webhook_secret", None)
        for key, value in keys.items():
            table[key] = value
    (folder / "rates.csv").write_text(RATES, encoding="utf-8")
    path = folder / "plugins.toml"
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path
