"""What an author says about a plugin, so that the standard tests can try it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest

from wellkept.effects import Kind
from wellkept.records import Json
from wellkept.source import Source, Stream
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.bench import Bench
from wellkept.testing.faults import Fault
from wellkept.testing.simulator import Simulator
from wellkept.testing.spec import Spec
from wellkept.testing.switch import Switch

Test = TypeVar("Test", bound=Callable[..., Any])

NOWHERE = "http://127.0.0.1:9"
"""Where nothing listens: good enough for asking a plugin what it offers."""


def kinds(*names: Kind) -> Callable[[Test], Test]:
    """Mark a test of actions that is about some kinds of effects only; for others it is not collected."""

    def mark(test: Test) -> Test:
        vars(test)["kinds"] = names
        return test

    return mark


def told_by(hook: str) -> Callable[[Test], Test]:
    """Mark a test that tries what a hook of the author's tells; where there is none it is not collected."""

    def mark(test: Test) -> Test:
        vars(test)["told_by"] = hook
        return test

    return mark


def applies(case: Any, test: Callable[..., Any], fixtures: Collection[str]) -> bool:
    """Say whether a standard test means anything for what is tried; called by the pytest plugin."""
    if "wire" in fixtures and not case.over_http:
        return False
    hook = vars(test).get("told_by")
    if hook is not None and getattr(case, hook).__module__.startswith(f"{__package__}."):
        return False
    only = vars(test).get("kinds")
    return only is None or case().payload(1).kind in only


class Case(ABC):
    """Base of the standard tests: what is tried, and against what. Subclass one of the test classes, not this.

    Attributes:
        plugin: The name of the plugin's entry point.
        start: The first instant of the virtual time, epoch ms.
        over_http: Whether the vendor is spoken to over HTTP; where it is not, the tests of that connection are left out.
        settings: Further tables of ``plugins.toml``, such as ``[wellkept]``.
        records_folder: Where what a plugin does is written down, beside the test; ``PLUGIN_records`` unless given. A second
            class against another vendor, such as a recording, needs one of its own.
    """

    plugin: ClassVar[str]
    over_http: ClassVar[bool] = True
    start: ClassVar[int] = 1_795_262_400_000
    settings: ClassVar[Mapping[str, Json]] = {}
    records_folder: ClassVar[str | None] = None

    # --- to be overridden ---

    @abstractmethod
    def vendor(self, clock: FakeClock) -> Any:
        """Return a new simulator with enough rows for a few small pages of each stream; each time an equal one.

        A vendor that is not spoken to over HTTP (see `over_http`) may be anything: a folder with files, a database, a mail
        server. Hooks such as `refuse` say what a simulator's faults say otherwise. One with a ``close`` is closed at the end.
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

    def varying(self, vendor: Any) -> Iterable[str]:
        """Return texts that are others in each run, such as the path of a temporary folder: what is written down hides them."""
        del vendor
        return ()

    def refuse(self, vendor: Any) -> None:
        """Let the vendor refuse our credential from now on. By default every answer is 401."""
        vendor.faults.add(Fault(kind="status", status=401, times=None))

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the connector ask for a few rows at a time, so that little data make several pages."""
        del monkeypatch

    # --- what the tests use ---

    def hidden(self, vendor: Any) -> Sequence[str]:
        """Return what must not be written into files: secrets, and what is different in each run."""
        return [*filter(None, self.secrets(vendor).values()), *self.varying(vendor)]

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Virtual time, for both sides."""
        return FakeClock(self.start)

    @pytest.fixture
    def description(self) -> Spec | None:
        """The vendor's own description of its API, where there is one: override this, and let it be read once a session."""
        return None

    @pytest.fixture
    def simulator(self, clock: FakeClock, description: Spec | None) -> Iterator[Any]:
        """The vendor. At the end, both sides must have kept to its description, where it has one."""
        made = self.vendor(clock)
        if description is not None:
            made.spec = description
        yield made
        if isinstance(made, Simulator):
            assert not made.broken, f"the simulator does not keep to the description: {made.broken[0]}"
            assert not made.refused, f"the connector does not keep to the description: {made.refused[0]}"
        dispose(made)

    @pytest.fixture
    def wire(self, simulator: Simulator) -> Simulator:
        """The vendor, for tests of what can happen on the way to it over HTTP."""
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
        with Bench(tmp_path / "bench", self.plugin, table, clock=clock, settings=self.settings) as bench:
            yield bench


@cache
def streams_of(case: type[Case]) -> Mapping[str, tuple[Source, Stream]]:
    """Return a plugin's streams by name, each with its source, for one test each. Nothing is called, and it is asked once."""
    this, clock = case(), FakeClock(case.start)
    vendor = this.vendor(clock)
    keys = this.keys(vendor, NOWHERE)
    with (
        TemporaryDirectory(prefix="wellkept-conformance-") as folder,
        Bench(Path(folder), case.plugin, keys, clock=clock, settings=case.settings) as bench,
    ):
        found = dict(bench.instance.streams)
    dispose(vendor)
    return found


def dispose(vendor: Any) -> None:
    """Close what is no simulator and can be closed, such as a server."""
    if not isinstance(vendor, Simulator) and hasattr(vendor, "close"):
        vendor.close()
