"""A scripted source, a store made from a template, and one call that syncs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wellkept.clock import Clock
from wellkept.pipeline.report import StreamResult, SyncReport
from wellkept.pipeline.sync import sync
from wellkept.records import CANONICAL, Account, Invoice, Record, Ticket, Usage
from wellkept.settings import Freshness
from wellkept.source import Batch, CheckResult, Estimate, FetchingSource, ReadRequest, Source, Stream
from wellkept.store import cursors, dead_letters, open_store
from wellkept.store.cursors import CursorState
from wellkept.store.dead_letters import Letter
from wellkept.store.records import RecordTables
from wellkept.store.runs import running
from wellkept.testing import FakeClock

Script = Callable[[ReadRequest], AsyncIterator[Batch]]

ACCOUNTS = Stream(name="accounts", records=(Account,), doc="Accounts.", deletes="absence", backfill=True)
TICKETS = Stream(name="tickets", records=(Ticket,), includes=(Account,), doc="Tickets.")
INVOICES = Stream(name="invoices", records=(Invoice,), doc="Invoices.")
USAGE = Stream(name="usage", records=(Usage,), doc="Usage by day.", backfill=True)


def account(id_: str, name: str = "Acme", version: int = 1, **fields: Any) -> Account:
    return Account(id=id_, name=name, version=version, **fields)


def ticket(id_: str, version: int = 1, **fields: Any) -> Ticket:
    return Ticket(id=id_, version=version, status="open", created_at=0, **fields)


def use(subject: str, day: str, count: int = 1, version: int = 1) -> Usage:
    return Usage.of(subject=subject, event="login", day=day, count=count, version=version)


class ScriptedSource(Source):
    """Yields what it is told to. A script is a list of batches (or exceptions), or an async generator function."""

    def __init__(self, scripts: Mapping[Stream, Sequence[Batch | BaseException] | Script]) -> None:
        self.scripts = dict(scripts)
        self.requests: list[ReadRequest] = []
        self.estimates: dict[str, Estimate] = {}

    def streams(self) -> Sequence[Stream]:
        return list(self.scripts)

    async def check(self) -> CheckResult:
        return CheckResult(findings=[])

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        self.requests.append(request)
        script = self.scripts[request.stream]
        if not isinstance(script, Sequence):
            async for batch in script(request):
                yield batch
            return
        for item in script:
            await asyncio.sleep(0)
            if isinstance(item, BaseException):
                raise item
            yield item

    async def estimate(self, stream: Stream, cursor: Any) -> Estimate:
        return self.estimates.get(stream.name, Estimate(calls=None))


class ScriptedFetcher(ScriptedSource, FetchingSource):
    """Reads single objects from `objects`, or does what `fetching` says."""

    def __init__(self, scripts: Mapping[Stream, Sequence[Batch | BaseException] | Script]) -> None:
        super().__init__(scripts)
        self.objects: dict[str, Record] = {}
        self.calls: list[list[str]] = []
        self.fetching: Callable[[Stream, Sequence[str]], Awaitable[Batch]] | None = None

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        self.calls.append(list(ids))
        if self.fetching is not None:
            return await self.fetching(stream, ids)
        return Batch(records=[self.objects[id_] for id_ in ids if id_ in self.objects])


class Bench:
    """A store with record tables, and a way to sync."""

    freshness: ClassVar[Freshness] = Freshness()

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock = clock
        self.store = open_store(path, clock)
        self.tables = RecordTables(CANONICAL)
        self.store.write_now(self.tables.ensure)

    def close(self) -> None:
        self.store.close()

    async def sync(self, *sources: Source, **options: Any) -> SyncReport:
        """Sync sources, as instances ``one``, ``two``, ... in a run of their own."""
        names = ("one", "two", "three")
        options.setdefault("freshness", self.freshness)
        options.setdefault("tick", 0.01)
        async with running(self.store, "sync") as run:
            return await sync(
                self.store, self.tables, dict(zip(names, sources, strict=False)), run=run, clock=self.clock, **options
            )

    async def fails(self, source: Source, **options: Any) -> StreamResult:
        """Sync a source of one stream that must fail, and return its result."""
        result = await self.one(source, **options)
        assert result.state == "failed"
        return result

    async def one(self, source: Source, **options: Any) -> StreamResult:
        """Sync a source of one stream and return its result."""
        report = await self.sync(source, **options)
        assert len(report.streams) == 1
        return report.streams[0]

    def all(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.store.read() as reader:
            return reader.all(sql, params)

    def value(self, sql: str, *params: Any) -> Any:
        with self.store.read() as reader:
            return reader.value(sql, params)

    def ids(self, type_: type[Record] = Account, instance: str = "one") -> list[str]:
        """Return the ids of all rows that are not deleted."""
        with self.store.read() as reader:
            return sorted(record.id for owner, record in self.tables.rows(reader, type_) if owner == instance)

    def state(self, stream: Stream = ACCOUNTS, instance: str = "one") -> CursorState:
        """Return what is remembered about reading a stream."""
        with self.store.read() as reader:
            return cursors.load(reader, cursors.Key(instance, stream.name))

    def cursor(self, stream: Stream = ACCOUNTS) -> Any:
        return self.state(stream).cursor

    def letters(self, **options: Any) -> list[Letter]:
        with self.store.read() as reader:
            return dead_letters.listing(reader, **options)


@pytest.fixture
def template(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A migrated store with record tables."""
    return made_once("sync", lambda path: Bench(path, FakeClock()).close())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path, template: Path) -> Path:
    return Path(shutil.copy(template, tmp_path / "wellkept.db"))


@pytest.fixture
def bench(path: Path, clock: FakeClock) -> Iterator[Bench]:
    bench = Bench(path, clock)
    yield bench
    bench.close()
