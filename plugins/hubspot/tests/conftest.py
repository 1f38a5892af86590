from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from wellkept import Batch, Context, Deletion, ReadRequest, Reject, Stream, Window
from wellkept.errors import CursorExpiredError
from wellkept.http import Http, Timing, make_http
from wellkept.records import Record
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, Spec
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


class KeptTokens:
    """Tokens in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Any]] = {}

    async def get(self, name: str) -> Mapping[str, Any] | None:
        return self.kept.get(name)

    async def put(self, name: str, token: Mapping[str, Any]) -> None:
        self.kept[name] = token

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        del name
        yield


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


class Connector:
    """A source with a fake of the store's side: newer versions win, cursors are kept, deletions are remembered."""

    def __init__(
        self, simulator: HubSpotSimulator, store: Store, clock: FakeClock, instance: str, config: dict[str, Any]
    ) -> None:
        self.simulator = simulator
        self.clock = clock
        self.tokens = KeptTokens()
        timing = Timing(attempts=4)
        self.http: Http = make_http(store, clock, instance, timing=timing, random=lambda: 0.5)
        base = {"webhook_secret": "env:HUBSPOT_WEBHOOK_SECRET", "api_base": simulator.url}  # type: ignore[attr-defined]
        if "oauth" not in config:
            base["access_token"] = "env:HUBSPOT_TOKEN"
        self.ctx: Context[HubSpotConfig] = Context(
            instance=instance,
            config=HubSpotConfig.model_validate({**base, **config}),
            http=self.http,
            clock=clock,
            log=logging.getLogger("test"),
            store=None,  # type: ignore[arg-type]
            state=None,  # type: ignore[arg-type]
            tokens=self.tokens,
            suppressions=None,  # type: ignore[arg-type]
            sign=None,  # type: ignore[arg-type]
        )
        self.source = HubSpotSource(self.ctx)
        self.cursors: dict[str, Any] = {}
        self.rows: dict[tuple[type[Record], str], Record] = {}
        self.gone: dict[tuple[type[Record], str], Deletion] = {}
        self.seen: dict[str, set[tuple[type[Record], str]]] = {}
        self.owner: dict[tuple[type[Record], str], str] = {}
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
                count += await self._follow(name, self.cursors.get(name), batches)
            except CursorExpiredError:
                self.expired += 1
                count += await self._follow(name, None, batches)
        return count

    async def _follow(self, name: str, cursor: Any, batches: int | None, window: Window | None = None) -> int:
        count, stream = 0, self.stream(name)
        if cursor is None and window is None:
            self.seen[name] = set()
        reading = self.source.read(ReadRequest(stream=stream, cursor=cursor, window=window))
        try:
            async for batch in reading:
                self.apply(batch, name)
                count += len(batch.records) + len(batch.deletions)
                if name in self.seen and window is None:
                    self.seen[name] |= {(type(record), record.id) for record in batch.records}
                if batch.cursor is not None:
                    self.cursors[name if window is None else f"{name}/window"] = batch.cursor
                if batch.complete:
                    seen = self.seen.pop(name)
                    for key in [key for key in self.rows if self.owner[key] == name and key not in seen]:
                        del self.rows[key]
                if batches is not None and (batches := batches - 1) == 0:
                    break
        finally:
            await reading.aclose()  # type: ignore[attr-defined]
        return count

    async def backfill(self, name: str, window: Window) -> int:
        return await self._follow(name, self.cursors.get(f"{name}/window"), None, window)

    def apply(self, batch: Batch, stream: str = "") -> None:
        self.batches.append(batch)
        self.rejects += batch.rejects
        for record in batch.records:
            key = (type(record), record.id)
            known, tombstone = self.rows.get(key), self.gone.get(key)
            if (known is None or record.version >= known.version) and (tombstone is None or record.version > tombstone.version):
                self.rows[key] = record
                self.owner.setdefault(key, stream)
        for deletion in batch.deletions:
            key = (deletion.record, deletion.id)
            known = self.rows.get(key)
            if known is None or deletion.version >= known.version:
                self.rows.pop(key, None)
                self.gone[key] = deletion

    def all(self, type_: type[Any]) -> dict[str, Any]:
        return {id_: record for (kind, id_), record in self.rows.items() if kind is type_}

    def state(self) -> dict[tuple[str, str], Any]:
        """What is stored, without when it was read: for comparing runs."""
        return {
            (kind.type, id_): msgspec.structs.replace(record, version=0, updated_at=None)
            for (kind, id_), record in sorted(self.rows.items(), key=lambda item: (item[0][0].type, item[0][1]))
        }
