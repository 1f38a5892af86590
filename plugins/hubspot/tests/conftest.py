from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from wellkept.http import Timing, make_http
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, MemoryTokens, Reader, Spec, make_context
from wellkept_hubspot.config import HubSpotConfig
from wellkept_hubspot.simulator import HubSpotSimulator, describe
from wellkept_hubspot.source import HubSpotSource

SHARED = Path(__file__).parents[4] / "shared" / "specs" / "hubspot"
DATED = SHARED / "crm-2026-03-from-sdk-0.1.0a9.json"
LEGACY = SHARED / "crm-from-sdk-12.0.0.json"


@pytest.fixture(scope="session")
def optional_spec() -> Spec | None:
    return describe(DATED, LEGACY) if DATED.exists() else None


@pytest.fixture
def spec(optional_spec: Spec | None) -> Spec:
    if optional_spec is None:
        pytest.skip(f"{DATED.name} is not here")
    return optional_spec


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def simulate(
    clock: FakeClock, optional_spec: Spec | None, simulator_server: tuple[Any, str]
) -> Iterator[Callable[..., HubSpotSimulator]]:
    """Makes the simulator that the server shows; both of its sides must fit the description, where it is at hand."""
    switch, url = simulator_server
    simulators: list[HubSpotSimulator] = []

    def start(**options: Any) -> HubSpotSimulator:
        simulator = HubSpotSimulator(**{"clock": clock, "seed": 5, "spec": optional_spec, **options})
        switch.app, simulator.url = simulator, url  # type: ignore[attr-defined]
        simulators.append(simulator)
        return simulator

    yield start
    switch.app = None
    for simulator in simulators:
        assert simulator.broken == []


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Where rate limits are kept: each connector has a credential of its own."""
    store = open_store(tmp_path_factory.mktemp("store") / "wellkept.db")
    yield store
    store.close()


@pytest.fixture
async def connector(clock: FakeClock, store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    """Connects the plugin to a simulator; nothing that it sends may be refused for its form."""
    links: list[Connector] = []

    def connect(
        simulator: HubSpotSimulator, *, instance: str = "hubspot", our_clock: FakeClock | None = None, **config: Any
    ) -> Connector:
        monkeypatch.setenv("HUBSPOT_TOKEN", config.pop("token", simulator.token))
        monkeypatch.setenv("HUBSPOT_WEBHOOK_SECRET", simulator.webhook_secret)
        links.append(Connector(simulator, store, our_clock or clock, f"{instance}-{uuid4().hex}", config))
        return links[-1]

    yield connect
    for link in links:
        await link.http.aclose()
        assert link.simulator.refused == []


class Connector(Reader):
    """The plugin's source, connected to a simulator."""

    def __init__(
        self, simulator: HubSpotSimulator, store: Store, clock: FakeClock, instance: str, config: dict[str, Any]
    ) -> None:
        self.simulator = simulator
        self.tokens = MemoryTokens()
        self.http = make_http(store, clock, instance, timing=Timing(attempts=4), random=lambda: 0.5)
        base = {"webhook_secret": "env:HUBSPOT_WEBHOOK_SECRET", "api_base": simulator.url}  # type: ignore[attr-defined]
        if "oauth" not in config:
            base["access_token"] = "env:HUBSPOT_TOKEN"
        self.ctx = make_context(
            HubSpotConfig.model_validate({**base, **config}),
            clock=clock,
            http=self.http,
            instance=instance,
            tokens=self.tokens,
        )
        super().__init__(HubSpotSource(self.ctx), clock)
