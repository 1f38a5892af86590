from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from wellkept.http import Http, Timing, make_http
from wellkept.records import Usage
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, Reader, Server, Spec, make_context
from wellkept.testing.world import Company, Human, Sighting
from wellkept_mixpanel.config import MixpanelConfig
from wellkept_mixpanel.simulator import MixpanelSimulator, describe
from wellkept_mixpanel.simulator.state import GROUP_KEY
from wellkept_mixpanel.source import MixpanelSource

SHARED = Path(__file__).parents[4] / "shared" / "specs" / "mixpanel"
NOW = 1_795_219_200_000 + 10 * 3_600_000
"""2026-11-21T10:00:00Z, a Saturday."""


def market(accounts: int = 4, *, people: int = 3, fate: Any = "steady") -> list[Sighting]:
    """Make accounts by hand, all alike."""
    found = []
    for number in range(accounts):
        key = f"co-{number:04}"
        staff = tuple(
            Human(key=f"{key}/{index}", name=f"Person {index}", email=f"p{index}@co{number}.example") for index in range(people)
        )
        company = Company(
            key=key,
            name=f"Company {number}",
            external_id=f"acct-{number:04}",
            domain=f"co{number}.example",
            country="DE",
            seats=people,
            mrr=9900,
            fate=fate,
            since=0,
            people=staff,
        )
        found.append(
            Sighting(
                ref=key,
                company=company,
                name=company.name,
                external_id=company.external_id,
                email=None,
                domains=(company.domain or "",),
                created_at=1_700_000_000_000,
                people=staff,
            )
        )
    return found


@pytest.fixture(scope="session")
def optional_spec() -> Spec | None:
    return describe(SHARED) if SHARED.exists() else None


@pytest.fixture
def spec(optional_spec: Spec | None) -> Spec:
    if optional_spec is None:
        pytest.skip("../shared/specs/mixpanel is not here")
    return optional_spec


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def simulate(
    clock: FakeClock, optional_spec: Spec | None, simulator_server: tuple[Any, str]
) -> Iterator[Callable[..., MixpanelSimulator]]:
    """Starts simulators; both sides of all of them must fit the description, where it is at hand."""
    switch, url = simulator_server
    servers: list[Server] = []
    simulators: list[MixpanelSimulator] = []

    def start(**options: Any) -> MixpanelSimulator:
        simulator = MixpanelSimulator(**{"clock": clock, "seed": 5, "spec": optional_spec, "sightings": market(), **options})
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
    """Where rate limits are kept: each connector has an instance, and so a project, of its own."""
    store = open_store(tmp_path_factory.mktemp("store") / "wellkept.db")
    yield store
    store.close()


@pytest.fixture
async def connector(clock: FakeClock, store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    """Connects the plugin to a simulator; nothing that it sends may be refused for its form."""
    links: list[Connector] = []

    def connect(simulator: MixpanelSimulator, **config: Any) -> Connector:
        monkeypatch.setenv("MIXPANEL_SECRET", config.pop("secret_value", simulator.secret))
        monkeypatch.setenv("MIXPANEL_TOKEN", config.pop("token_value", simulator.token))
        links.append(Connector(simulator, store, clock, config))
        return links[-1]

    yield connect
    for link in links:
        await link.http.aclose()
        assert link.simulator.refused == []


class Connector(Reader):
    """The plugin's source, connected to a simulator."""

    def __init__(self, simulator: MixpanelSimulator, store: Store, clock: FakeClock, config: dict[str, Any]) -> None:
        self.simulator = simulator
        instance = f"mixpanel-{uuid4().hex}"
        http: Http = make_http(store, clock, instance, timing=Timing(attempts=4), random=lambda: 0.5)
        self.http = http
        base = {
            "project_id": simulator.project_id,
            "service_account": simulator.service_account,
            "secret": "env:MIXPANEL_SECRET",
            "token": "env:MIXPANEL_TOKEN",
            "group_key": GROUP_KEY,
            "data_group_id": simulator.data_group_id,
            "history_days": 14,
            "window_days": 5,
            "project_timezone": simulator.project.zone.key,
            "created_before_2023": simulator.project.wall_clock,
            "api_base": simulator.url,  # type: ignore[attr-defined]
        }
        wanted = {name: value for name, value in {**base, **config}.items() if value is not None}

        def own_budget(url: str, *, credential: str | None = None, **options: Any) -> Any:
            return http(url, credential=f"{credential}/{instance}", **options)  # one store serves all tests

        self.ctx = make_context(MixpanelConfig.model_validate(wanted), clock=clock, http=own_budget, instance=instance)
        super().__init__(MixpanelSource(self.ctx), clock)

    def usage(self) -> Counter[tuple[str, str, str, str | None]]:
        """Return what is stored of usage, as counts."""
        return Counter({(row.day, row.subject, row.event, row.account_ref): row.count for row in self.all(Usage).values()})


def count_naively(simulator: MixpanelSimulator, first: str, last: str, *, ignored: str = "$mp_web_page_view") -> Counter[Any]:
    """Count the project's events naively: by the project's own days."""
    counts: Counter[Any] = Counter()
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    zone = simulator.project.zone
    with simulator.lock:
        events = list(
            simulator.project.exported(date.fromordinal(begin.toordinal() - 2), date.fromordinal(end.toordinal() + 2))
        )
    for event in json.loads(json.dumps(events)):
        said = event["properties"]
        day = datetime.fromtimestamp(said["time"], UTC if simulator.project.wall_clock else zone).date()
        if begin <= day <= end and event["event"] != ignored:
            group = said.get(GROUP_KEY)
            counts[day.isoformat(), said["distinct_id"] or group, event["event"], group] += 1
    return counts


@pytest.fixture
def expected() -> Callable[..., Counter[Any]]:
    return count_naively
