from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from wellkept import Batch, Context, Deletion, ReadRequest, Reject, Stream
from wellkept.errors import CursorExpiredError
from wellkept.http import Http, Timing, make_http
from wellkept.records import Record
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, Spec
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


class MemoryTokens:
    """The token table: what was put is on disk, and one at a time refreshes."""

    def __init__(self) -> None:
        self.stored: dict[str, Mapping[str, Any]] = {}
        self.puts: list[Mapping[str, Any]] = []
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> Mapping[str, Any] | None:
        return self.stored.get(name)

    async def put(self, name: str, token: Mapping[str, Any]) -> None:
        self.stored[name] = token
        self.puts.append(token)

    def lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


class MemoryState:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        return self.values.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.values[key] = value


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


class Connector:
    """A source with a fake of the store's side: newer versions win, cursors are kept, deletions are remembered."""

    def __init__(
        self, simulator: ZendeskSimulator, store: Store, clock: FakeClock, tokens: MemoryTokens, config: dict[str, Any]
    ) -> None:
        self.simulator = simulator
        self.clock = clock
        self.tokens = tokens
        self.http: Http = make_http(store, clock, f"zendesk-{uuid4().hex}", timing=Timing(attempts=4), random=lambda: 0.5)
        base: dict[str, Any] = {
            "subdomain": f"acme-{uuid4().hex[:12]}",
            "webhook_secret": "env:ZENDESK_WEBHOOK_SECRET",
            "api_base": simulator.url,  # type: ignore[attr-defined]
            "requests_per_minute": 2000,
        }
        if "api_token" not in config:
            base |= {"client_id": "wellkept", "client_secret": "env:ZENDESK_SECRET", "refresh_token": "env:ZENDESK_REFRESH"}
        self.state = MemoryState()
        self.ctx: Context[ZendeskConfig] = Context(
            instance="zendesk",
            config=ZendeskConfig.model_validate({**base, **config}),
            http=self.http,
            clock=clock,
            log=logging.getLogger("test"),
            store=None,  # type: ignore[arg-type]
            state=self.state,
            tokens=tokens,
            suppressions=None,  # type: ignore[arg-type]
            sign=None,  # type: ignore[arg-type]
        )
        self.source = ZendeskSource(self.ctx)
        self.cursors: dict[str, Any] = {}
        self.rows: dict[tuple[type[Record], str], Record] = {}
        self.gone: dict[tuple[type[Record], str], Deletion] = {}
        self.places: dict[tuple[type[Record], str], tuple[int, int]] = {}
        self.rejects: list[Reject] = []
        self.expired = 0
        self.batches: list[Batch] = []

    def stream(self, name: str) -> Stream:
        return next(stream for stream in self.source.streams() if stream.name == name)

    async def sync(self, *names: str, batches: int | None = None) -> int:
        """Read streams from their cursors; stop after so many batches, as a kill would. Returns how many rows came."""
        count = 0
        for name in names or [stream.name for stream in self.source.streams()]:
            try:
                count += await self._follow(name, batches)
            except CursorExpiredError:
                self.expired += 1
                self.cursors.pop(name)
                count += await self._follow(name, batches)
        return count

    async def _follow(self, name: str, batches: int | None) -> int:
        count = 0
        reading = self.source.read(ReadRequest(stream=self.stream(name), cursor=self.cursors.get(name)))
        try:
            async for batch in reading:
                self.apply(batch)
                count += len(batch.records) + len(batch.deletions)
                if batch.cursor is not None:
                    self.cursors[name] = batch.cursor
                if batches is not None and (batches := batches - 1) == 0:
                    break
        finally:
            await reading.aclose()  # type: ignore[attr-defined]
        return count

    def apply(self, batch: Batch, *, observed: int | None = None) -> None:
        """Store a batch as core does: the newer version wins, and of two equal ones what was observed later.

        Args:
            batch: What was read.
            observed: When it was asked for; now when left out.
        """
        now = self.clock.now() if observed is None else observed
        self.batches.append(batch)
        self.rejects += batch.rejects
        for item in (*batch.records, *batch.deletions):
            key = (item.record, item.id) if isinstance(item, Deletion) else (type(item), item.id)
            place = (item.version, now)
            if key in self.places and (place < self.places[key] or (key in self.gone and item.version <= self.places[key][0])):
                continue
            self.places[key] = place
            self.rows.pop(key, None)
            self.gone.pop(key, None)
            if isinstance(item, Deletion):
                self.gone[key] = item
            else:
                self.rows[key] = item

    def all(self, type_: type[Any]) -> dict[str, Any]:
        return {id_: record for (kind, id_), record in self.rows.items() if kind is type_}
