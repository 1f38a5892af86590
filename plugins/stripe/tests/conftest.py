from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from wellkept import Batch, Context, Deletion, ReadRequest, Reject, Stream, Window
from wellkept.errors import CursorExpiredError
from wellkept.http import Http, Timing, make_http
from wellkept.records import Record
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, Server, Spec
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


class Connector:
    """A source with a fake of the store's side: newer versions win, cursors are kept, deletions are remembered."""

    def __init__(
        self, simulator: StripeSimulator, store: Store, clock: FakeClock, instance: str, config: dict[str, Any]
    ) -> None:
        self.simulator = simulator
        self.clock = clock
        timing = Timing(attempts=4)
        self.http: Http = make_http(store, clock, instance, timing=timing, random=lambda: 0.5)
        base = {"api_key": "env:STRIPE_KEY", "webhook_secret": "env:STRIPE_WEBHOOK_SECRET", "api_base": simulator.url}  # type: ignore[attr-defined]
        self.ctx: Context[StripeConfig] = Context(
            instance=instance,
            config=StripeConfig.model_validate({**base, **config}),
            http=self.http,
            clock=clock,
            log=logging.getLogger("test"),
            store=None,  # type: ignore[arg-type]
            state=None,  # type: ignore[arg-type]
            tokens=None,  # type: ignore[arg-type]
            suppressions=None,  # type: ignore[arg-type]
            sign=None,  # type: ignore[arg-type]
        )
        self.source = StripeSource(self.ctx)
        self.cursors: dict[str, Any] = {}
        self.rows: dict[tuple[type[Record], str], Record] = {}
        self.gone: dict[tuple[type[Record], str], Deletion] = {}
        self.seen: dict[str, set[tuple[type[Record], str]]] = {}
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
                self.apply(batch)
                count += len(batch.records) + len(batch.deletions)
                if name in self.seen and window is None:
                    self.seen[name] |= {(type(record), record.id) for record in batch.records}
                if batch.cursor is not None:
                    self.cursors[name if window is None else f"{name}/window"] = batch.cursor
                if batch.complete:
                    seen = self.seen.pop(name)
                    for key in [key for key in self.rows if key[0] in stream.records and key not in seen]:
                        if stream.deletes == "absence":
                            del self.rows[key]
                if batches is not None and (batches := batches - 1) == 0:
                    break
        finally:
            await reading.aclose()  # type: ignore[attr-defined]
        return count

    async def backfill(self, name: str, window: Window) -> int:
        return await self._follow(name, self.cursors.get(f"{name}/window"), None, window)

    def apply(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.rejects += batch.rejects
        for record in batch.records:
            key = (type(record), record.id)
            known, tombstone = self.rows.get(key), self.gone.get(key)
            if (known is None or record.version >= known.version) and (tombstone is None or record.version > tombstone.version):
                self.rows[key] = record
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
        import msgspec

        return {
            (kind.type, id_): msgspec.structs.replace(record, version=0, updated_at=None)
            for (kind, id_), record in sorted(self.rows.items(), key=lambda item: (item[0][0].type, item[0][1]))
        }
