from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from wellkept.http import Timing, make_http
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, Reader, Server, Spec, make_context
from wellkept_stripe.config import StripeConfig
from wellkept_stripe.simulator import StripeSimulator, describe
from wellkept_stripe.source import StripeSource

SHARED = Path(__file__).parents[4] / "shared" / "specs" / "stripe"
DESCRIPTION = SHARED / "stripe-v1-billing-from-sdk-16.1.0.json"
WEBHOOK_SECRET = "whsec_simulated"


@pytest.fixture(scope="session")
def optional_spec() -> Spec | None:
    return describe(DESCRIPTION) if DESCRIPTION.exists() else None


@pytest.fixture
def spec(optional_spec: Spec | None) -> Spec:
    if optional_spec is None:
        pytest.skip(f"{DESCRIPTION.name} is not here")
    return optional_spec


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def simulate(
    clock: FakeClock, optional_spec: Spec | None, simulator_server: tuple[Any, str]
) -> Iterator[Callable[..., StripeSimulator]]:
    """Starts simulators; both sides of all of them must fit the description, where it is at hand."""
    switch, url = simulator_server
    servers: list[Server] = []
    simulators: list[StripeSimulator] = []

    def start(**options: Any) -> StripeSimulator:
        simulator = StripeSimulator(**{"clock": clock, "seed": 5, "spec": optional_spec, **options})
        if switch.app is None:
            switch.app, simulator.url = simulator, url  # type: ignore[attr-defined]
        else:
            servers.append(Server(simulator))
            servers[-1].start()
            simulator.url = servers[-1].url  # type: ignore[attr-defined]
        simulators.append(simulator)
        return simulator

    yield start
    switch.app = None
    for server in servers:
        server.close()
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
        simulator: StripeSimulator, *, instance: str = "stripe", our_clock: FakeClock | None = None, **config: Any
    ) -> Connector:
        monkeypatch.setenv("STRIPE_KEY", config.pop("key", simulator.key))
        monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
        links.append(Connector(simulator, store, our_clock or clock, f"{instance}-{uuid4().hex}", config))
        return links[-1]

    yield connect
    for link in links:
        await link.http.aclose()
        assert link.simulator.refused == []


class Connector(Reader):
    """The plugin's source, connected to a simulator."""

    def __init__(
        self, simulator: StripeSimulator, store: Store, clock: FakeClock, instance: str, config: dict[str, Any]
    ) -> None:
        self.simulator = simulator
        self.http = make_http(store, clock, instance, timing=Timing(attempts=4), random=lambda: 0.5)
        base = {"api_key": "env:STRIPE_KEY", "webhook_secret": "env:STRIPE_WEBHOOK_SECRET", "api_base": simulator.url}  # type: ignore[attr-defined]
        self.ctx = make_context(StripeConfig.model_validate({**base, **config}), clock=clock, http=self.http, instance=instance)
        super().__init__(StripeSource(self.ctx), clock)
