from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from wellkept.http import Timing, make_http
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, MemoryState, MemoryTokens, Reader, Spec, make_context
from wellkept.testing.world import Company, Human, Sighting
from wellkept_zendesk.config import ZendeskConfig
from wellkept_zendesk.simulator import ZendeskSimulator, describe
from wellkept_zendesk.source import ZendeskSource

DESCRIPTION = Path(__file__).parents[4] / "shared" / "specs" / "zendesk" / "support-merged.json"
WEBHOOK_SECRET = "zendesk-webhook-secret"
DAY = 86_400


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


def sightings(count: int, now: int = 1_795_219_200_000) -> list[Sighting]:
    """A small market of our own, so that these tests do not move when the large one does."""
    fates = ("steady", "struggling", "leaving", "thriving", "silent", "fading", "failing", "new")
    found = []
    for number in range(1, count + 1):
        domain = f"customer-{number:02d}.example"
        people = tuple(
            Human(key=f"hu-{number}-{index}", name=f"Person {number}.{index}", email=f"p{index}@{domain}") for index in range(2)
        )
        company = Company(
            key=f"co-{number:04d}",
            name=f"Customer {number:02d}",
            external_id=f"acct-{number:04d}",
            domain=domain,
            country="DE",
            seats=10,
            mrr=10_000,
            fate=fates[(number - 1) % len(fates)],
            since=now - 400 * DAY * 1000,
            people=people,
        )
        found.append(
            Sighting(
                ref=f"z-{number}",
                company=company,
                name=company.name,
                external_id=company.external_id,
                email=None,
                domains=(domain,),
                created_at=company.since + number * 1000,
                people=people,
            )
        )
    return found


@pytest.fixture
def simulate(
    clock: FakeClock, optional_spec: Spec | None, simulator_server: tuple[Any, str]
) -> Iterator[Callable[..., ZendeskSimulator]]:
    """Starts the simulator; both sides must fit the description, where it is at hand."""
    switch, url = simulator_server

    def start(customers: int = 0, **options: Any) -> ZendeskSimulator:
        assert switch.app is None
        options = {"clock": clock, "seed": 5, "spec": optional_spec, "sightings": sightings(customers), **options}
        switch.app = ZendeskSimulator(**options)
        switch.app.url = url  # type: ignore[attr-defined]
        return switch.app

    yield start
    found, switch.app = switch.app, None
    assert found is None or found.broken == []


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Where rate limits are kept: each connector has an account of its own."""
    store = open_store(tmp_path_factory.mktemp("store") / "wellkept.db")
    yield store
    store.close()


@pytest.fixture
async def connector(clock: FakeClock, store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    """Connects the plugin to a simulator; nothing that it sends may be refused for its form."""
    links: list[Connector] = []

    def connect(simulator: ZendeskSimulator, *, tokens: MemoryTokens | None = None, **config: Any) -> Connector:
        access = simulator.access
        monkeypatch.setenv("ZENDESK_SECRET", access.client_secret)
        monkeypatch.setenv("ZENDESK_REFRESH", config.pop("refresh", simulator.grant.refresh))
        monkeypatch.setenv("ZENDESK_WEBHOOK_SECRET", WEBHOOK_SECRET)
        links.append(Connector(simulator, store, clock, tokens or MemoryTokens(), config))
        return links[-1]

    yield connect
    for link in links:
        await link.http.aclose()
        assert link.simulator.refused == []


class Connector(Reader):
    """The plugin's source, connected to a simulator."""

    def __init__(
        self, simulator: ZendeskSimulator, store: Store, clock: FakeClock, tokens: MemoryTokens, config: dict[str, Any]
    ) -> None:
        self.simulator = simulator
        self.tokens = tokens
        self.http = make_http(store, clock, f"zendesk-{uuid4().hex}", timing=Timing(attempts=4), random=lambda: 0.5)
        base: dict[str, Any] = {
            "subdomain": f"acme-{uuid4().hex[:12]}",
            "webhook_secret": "env:ZENDESK_WEBHOOK_SECRET",
            "api_base": simulator.url,  # type: ignore[attr-defined]
            "requests_per_minute": 2000,
        }
        if "api_token" not in config:
            base |= {"client_id": "wellkept", "client_secret": "env:ZENDESK_SECRET", "refresh_token": "env:ZENDESK_REFRESH"}
        self.kept = MemoryState()
        self.ctx = make_context(
            ZendeskConfig.model_validate({**base, **config}),
            clock=clock,
            http=self.http,
            instance="zendesk",
            state=self.kept,
            tokens=tokens,
        )
        super().__init__(ZendeskSource(self.ctx), clock)
