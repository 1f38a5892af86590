"""What an author says about a plugin, so that the standard tests can try it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest

from wellkept.records import Json
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.bench import Bench
from wellkept.testing.simulator import Simulator
from wellkept.testing.switch import Switch

NOWHERE = "http://127.0.0.1:9"
"""Where nothing listens: good enough for asking a plugin what it offers."""


class Case(ABC):
    """Base of the standard tests: what is tried, and against what. Subclass one of the test classes, not this.

    Attributes:
        plugin: The name of the plugin's entry point.
        start: The first instant of the virtual time, epoch ms.
    """

    plugin: ClassVar[str]
    start: ClassVar[int] = 1_795_262_400_000

    # --- to be overridden ---

    @abstractmethod
    def vendor(self, clock: FakeClock) -> Any:
        """Return a new simulator with enough rows for a few small pages of each stream; each time an equal one.

        A vendor that is not spoken to over HTTP may be anything: a folder with files, a database. The tests of the connection
        are skipped for it, and hooks such as `SourceTests.refuse` say what the simulator's faults say otherwise.
        """

    @abstractmethod
    def keys(self, vendor: Any, url: str) -> Mapping[str, Json]:
        """Return the plugin's table in ``plugins.toml`` for a simulator that is served at `url` (anything else is not served).

        Secrets are references to environment variables, see `secrets`.
        """

    def secrets(self, vendor: Any) -> Mapping[str, str]:
        """Return the environment variables that `keys` refers to. None of their values may ever be seen anywhere."""
        del vendor
        return {}

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the connector ask for a few rows at a time, so that little data make several pages."""
        del monkeypatch

    # --- what the tests use ---

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Virtual time, for both sides."""
        return FakeClock(self.start)

    @pytest.fixture
    def simulator(self, clock: FakeClock) -> Iterator[Any]:
        """The vendor. At the end, both sides must have kept to its description, where it has one."""
        made = self.vendor(clock)
        yield made
        if isinstance(made, Simulator):
            assert not made.broken, f"the simulator does not keep to the description: {made.broken[0]}"
            assert not made.refused, f"the connector does not keep to the description: {made.refused[0]}"

    @pytest.fixture
    def wire(self, simulator: Any) -> Simulator:
        """The vendor, for tests of what can happen on the way to it."""
        if not isinstance(simulator, Simulator):
            pytest.skip(f"{type(simulator).__name__} is not spoken to over HTTP")
        return simulator

    @pytest.fixture
    def table(
        self, simulator: Any, monkeypatch: pytest.MonkeyPatch, simulator_server: tuple[Switch, str]
    ) -> Iterator[Mapping[str, Json]]:
        """The plugin's table, with the simulator served and the secrets in place."""
        switch, url = simulator_server
        switch.app = simulator if isinstance(simulator, Simulator) else None
        for name, value in self.secrets(simulator).items():
            monkeypatch.setenv(name, value)
        self.small_pages(monkeypatch)
        yield self.keys(simulator, url)
        switch.app = None

    @pytest.fixture
    def bench(self, table: Mapping[str, Json], clock: FakeClock, tmp_path: Path) -> Iterator[Bench]:
        """The plugin, open, in an installation of its own."""
        with Bench(tmp_path / "bench", self.plugin, table, clock=clock) as bench:
            yield bench


def stream_names(case: type[Case]) -> Sequence[str]:
    """Return the names of a plugin's streams, for one test each. Nothing is called."""
    this, clock = case(), FakeClock(case.start)
    with TemporaryDirectory(prefix="wellkept-conformance-") as folder:
        keys = this.keys(this.vendor(clock), NOWHERE)
        with Bench(Path(folder), case.plugin, keys, clock=clock) as bench:
            return list(bench.streams)
