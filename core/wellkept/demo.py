"""The demo: the real plugins against simulators on loopback, twice, with known changes in between.

What is pushed and mailed in the second run must be about exactly the customers to whom something happened. The demo checks that
itself, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import tomlkit

from wellkept import config as configuration
from wellkept.errors import ConfigError
from wellkept.plugins import load_plugins
from wellkept.portrait import Standing, standings
from wellkept.records import Account
from wellkept.runtime import Runtime
from wellkept.steps import RunReport, Steps
from wellkept.store import outbox
from wellkept.testing.simulation import Happening, Receipt, Setting, Simulation

if TYPE_CHECKING:
    from wellkept.pipeline.reading import Progress

EXAMPLE = Path(__file__).with_name("example.toml")
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

DAY = 86_400_000
HOUR = 3_600_000


class DemoClock:
    """Begins at noon (UTC) of the present day and can be moved on: no demo crosses midnight or falls into quiet hours."""

    def __init__(self) -> None:
        self._start = time.time_ns() // 1_000_000 // DAY * DAY + DAY // 2
        self._began = time.monotonic()

    def now(self) -> int:
        """Return the instant, epoch ms."""
        return self._start + round((time.monotonic() - self._began) * 1000)

    def monotonic(self) -> float:
        """Return `time.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio

        await asyncio.sleep(seconds)

    def move_on(self, millis: int) -> None:
        """Let time pass."""
        self._start += millis


@dataclass(kw_only=True)
class DemoReport:
    """What the demo did.

    Attributes:
        runs: The two runs.
        happenings: What happened between them, by instance.
        received: What each instance's vendor received in the second run.
        premature: What was received before anything happened; must be empty.
        risks: The ten accounts most at risk.
        expected: For each thing that is checked, the accounts it should be about.
        found: For each thing that is checked, the accounts it was about.
        seconds: How long it took.
    """

    runs: list[RunReport] = field(default_factory=list)
    happenings: dict[str, Sequence[Happening]] = field(default_factory=dict)
    received: dict[str, Sequence[Receipt]] = field(default_factory=dict)
    premature: list[Receipt] = field(default_factory=list)
    risks: list[Standing] = field(default_factory=list)
    expected: dict[str, set[str]] = field(default_factory=dict)
    found: dict[str, set[str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether what was pushed and mailed equals what happened, to the last account."""
        return bool(self.found) and self.found == self.expected and not self.premature

    @property
    def differences(self) -> list[str]:
        """What is not as it should be, in words."""
        lines = [f"before anything happened, {item.subject} got: {item.text}" for item in self.premature]
        for what, expected in self.expected.items():
            found = self.found.get(what, set())
            lines += [f"{what}: nothing about {item}" for item in sorted(expected - found)]
            lines += [f"{what}: unexpectedly about {item}" for item in sorted(found - expected)]
        return lines


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
            report.runs.append(await Steps(runtime, progress=progress).run())
            report.premature = [item for simulation in simulations.values() for item in simulation.received()]
            report.happenings = {name: simulation.unfold() for name, simulation in simulations.items()}
            clock.move_on(HOUR)
            steps = Steps(runtime, progress=progress)
            report.runs.append(await steps.run())
            report.received = {name: simulation.received() for name, simulation in simulations.items()}
            report.risks = standings(runtime, "health")[:10]
            _compare(runtime, steps, report)
    report.seconds = time.monotonic() - began
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


def _compare(runtime: Runtime, steps: Steps, report: DemoReport) -> None:
    """Hold what was received against what happened."""
    second = report.runs[-1].run
    with runtime.store.read() as reader:
        changed: set[str] = set()
        pushed: set[str] = set()
        for instance, happenings in report.happenings.items():
            changed |= {_account(runtime, reader, instance, item.id) for item in happenings}
        for instance, receipts in report.received.items():
            if instance in {push.to for push in runtime.settings.push}:
                pushed |= {_account(runtime, reader, instance, item.subject) for item in receipts}
        effects = outbox.find(reader, run=second)
    report.expected["pushed"], report.found["pushed"] = changed, pushed
    frame = steps.frame(sorted(changed))
    fired = {
        row.account
        for row in frame.rows()
        if row["health_band"] == "red" and isinstance(row["mrr"], int) and row["mrr"] > 500_00
    }
    sent = {item.account or "" for item in effects if item.capability == "message.send" and item.state == "done"}
    report.expected["mailed"], report.found["mailed"] = fired, sent
    mails = [
        item
        for name, receipts in report.received.items()
        if name not in {p.to for p in runtime.settings.push}
        for item in receipts
    ]
    if len(mails) != len(sent) + sum(item.capability == "task.create" and item.state == "done" for item in effects):
        report.expected["mails at the server"], report.found["mails at the server"] = {str(len(sent))}, {str(len(mails))}


def _account(runtime: Runtime, reader: Any, instance: str, id_: str) -> str:
    return runtime.tables.account_of(reader, Account, instance, id_) or f"unknown customer {id_}"
