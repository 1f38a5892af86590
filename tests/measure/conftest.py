from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from wellkept.frame import Frame, Measure
from wellkept.pipeline.days import day_of
from wellkept.pipeline.measure import Feed, Plan, compute, frame, measure
from wellkept.pipeline.resolve import resolve
from wellkept.records import CANONICAL, Account, Record
from wellkept.store import Store, Tx, cursors, open_store
from wellkept.store.cursors import Key
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

DAY = 86_400_000
HOUR = 3_600_000


def at(text: str) -> int:
    """An instant, from ISO text in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = at("2026-11-21T12:00")

FEEDS = {type_.type: [Feed(instance="stripe", stream="all", plugin="stripe")] for type_ in CANONICAL}


class World:
    """A store with one vendor, ``stripe``, whose stream ``all`` is fresh, and short ways to use it."""

    def __init__(self, store: Store, tables: RecordTables) -> None:
        self.store = store
        self.tables = tables
        self.now = NOW
        self.plain = plain
        self.fresh()

    def fresh(self, instance: str = "stripe", stream: str = "all", *, anomaly: str | None = None) -> None:
        """A stream has been read well just now; whether it is believed is another matter."""
        key = Key(instance, stream)

        def job(tx: Tx) -> None:
            cursors.end_read(tx, key, self.now, self.now)
            cursors.set_anomaly(tx, key, anomaly)

        self.store.write_now(job)

    def put(self, *records: Record, instance: str = "stripe") -> None:
        self.store.write_now(lambda tx: self.tables.upsert(tx, instance, "all", records, self.now))

    def customer(self, id_: str = "cus_1", instance: str = "stripe", **more: Any) -> str:
        """A vendor's account record; returns the account's id."""
        self.put(Account(id=id_, version=more.pop("version", 1), **more), instance=instance)
        self.resolve()
        account = self.read(
            lambda reader: reader.value("SELECT account FROM links WHERE instance = ? AND record_id = ?", (instance, id_))
        )
        assert isinstance(account, str)
        return account

    def resolve(self) -> None:
        resolve(self.store, self.tables, now=self.now)

    def read(self, job: Callable[..., Any]) -> Any:
        with self.store.read() as reader:
            return job(reader)

    def plan(self, *measures: Measure, feeds: Any = FEEDS, **more: Any) -> Plan:
        return Plan([("plugin", measure) for measure in measures], tables=self.tables, feeds=feeds, **more)

    def measure(self, plan: Plan, **more: Any) -> Any:
        self.resolve()
        return measure(self.store, plan, now=self.now, **more)

    def frame(self, plan: Plan, accounts: Iterable[str] | None = None) -> Frame:
        """The kept frame, which must equal the one computed anew."""
        wanted = None if accounts is None else list(accounts)
        kept: Frame = self.read(lambda reader: frame(reader, plan, wanted))
        fresh = self.compute(plan, accounts=wanted)
        assert plain(kept) == plain(fresh)
        return kept

    def compute(self, plan: Plan, day: str | None = None, accounts: Any = None) -> Frame:
        as_of = day_of(self.now, plan.zone) if day is None else date.fromisoformat(day)
        found: Frame = self.read(lambda reader: compute(reader, plan, as_of, self.now, accounts))
        return found

    def cell(self, plan: Plan, name: str, account: str | None = None) -> Any:
        """A cell of the only account, or of the one named, and why it is empty."""
        self.measure(plan)
        found = self.frame(plan)
        row = found.row(account or found.accounts[0])
        return row[name] if row[name] is not None else row.gap(name)


def plain(found: Frame) -> Any:
    """All that a frame says, as plain data."""
    return (
        found.as_of,
        found.columns,
        {
            account: {
                name: found.column(name)[index] if found.column(name)[index] is not None else found.gap(name, index)
                for name in found.columns
            }
            for index, account in enumerate(found.accounts)
        },
    )


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store; a copy of it is there at once."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    store = open_store(path, FakeClock())
    store.write_now(RecordTables(CANONICAL).ensure)
    store.close()
    return path


@pytest.fixture(scope="session")
def new_world(empty: Path) -> Callable[[], AbstractContextManager[World]]:
    """Makes worlds, for tests that need many."""

    @contextmanager
    def make() -> Iterator[World]:
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(shutil.copy(empty, folder)), FakeClock(NOW))
            try:
                yield World(store, RecordTables(CANONICAL))
            finally:
                store.close()

    return make


@pytest.fixture
def world(new_world: Callable[[], AbstractContextManager[World]]) -> Iterator[World]:
    with new_world() as made:
        yield made
