from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from wellkept import (
    Action,
    Column,
    Decider,
    Delivery,
    Envelope,
    Frame,
    Gap,
    MessageAction,
    MessageSend,
    OnceAction,
    Outcome,
    StateAction,
    StateDelivery,
    Target,
    TaskCreate,
    Template,
    Value,
)
from wellkept.effects import ScorePush
from wellkept.pipeline.decide import DecideReport, decide
from wellkept.records import CANONICAL, Account, Record
from wellkept.settings import Push, Safety
from wellkept.store import Store, open_store, outbox, runs
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
DAY = 86_400_000


class FakePush(StateAction):
    payload = ScorePush

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        return [Outcome.done() for _ in deliveries]

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Any] | None]:
        return [{} for _ in targets]


class FakeMail(MessageAction):
    def templates(self) -> Sequence[Template]:
        return [Template(name="alert", purpose="transactional", locales=("en",), variables=("subject", "body"))]

    async def send(self, delivery: Delivery[MessageSend], envelope: Envelope) -> Outcome:
        return Outcome.done()


class FakeTasks(OnceAction[TaskCreate]):
    payload = TaskCreate

    async def deliver(self, deliveries: Sequence[Delivery[TaskCreate]]) -> Sequence[Outcome]:
        return [Outcome.done() for _ in deliveries]

    async def look_up(self, delivery: Delivery[TaskCreate]) -> Outcome | None:
        return None


@dataclass
class World:
    """A store with accounts that a vendor `crm` knows, and whatever a test decides in it."""

    store: Store
    tables: RecordTables
    now: int = NOW
    actions: list[tuple[str, Action]] = field(
        default_factory=lambda: [("crm", FakePush()), ("mail", FakeMail()), ("tasks", FakeTasks())]
    )

    def accounts(self, *names: str, instance: str = "crm") -> None:
        """Make canonical accounts, each with one record of the same name at the vendor."""

        def job(tx: Any) -> None:
            for name in names:
                tx.execute(
                    "INSERT INTO accounts (id, name, state, created_at, updated_at) VALUES (?, ?, 'active', 0, 0)"
                    " ON CONFLICT (id) DO NOTHING",
                    (name, name),
                )
                tx.execute(
                    "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('account', ?, ?, ?, '{}', 0)",
                    (instance, name, name),
                )
            self.tables.upsert(tx, instance, "accounts", [Account(id=name, version=1) for name in names], self.now)

        self.store.write_now(job)

    def records(self, *records: Record, instance: str = "crm") -> None:
        self.store.write_now(lambda tx: self.tables.upsert(tx, instance, "stream", records, self.now))

    def decide(
        self,
        frame: Frame,
        *deciders: Decider,
        pushes: Sequence[Push] = (),
        store: Store | None = None,
        **safety: Any,
    ) -> DecideReport:
        """Let one run decide, a minute after the one before."""
        self.now += 60_000
        run = asyncio.run(runs.start(self.store, "run"))
        try:
            return decide(
                store or self.store,
                [("books", decider) for decider in deciders],
                pushes,
                frame,
                run=run,
                now=self.now,
                safety=Safety(**{"max_effects": 1000, "max_share": 1.0, **safety}),
                actions=self.actions,
                tables=self.tables,
            )
        finally:
            self.store.write_now(lambda tx: runs.finish(tx, run, self.now))

    def effects(self, state: str | None = None) -> list[outbox.Entry]:
        with self.store.read() as reader:
            return [entry for entry in outbox.find(reader) if state in {None, entry.state}]

    def keys(self, state: str) -> list[str]:
        return sorted(entry.key for entry in self.effects(state))

    def fields(self, state: str) -> dict[str, dict[str, Any]]:
        """Return the values of ``state`` effects, by record."""
        found: dict[str, dict[str, Any]] = {}
        for entry in self.effects(state):
            if entry.kind == "state":
                found.setdefault(entry.target_id or "", {}).update(entry.fields)
        return found

    def settle(self, key: str, state: Any, note: str | None = None) -> None:
        def job(tx: Any) -> None:
            entry = outbox.get(tx, key)
            assert entry is not None
            if state == "done":
                outbox.move(tx, entry, "sending", now=self.now)
                entry = outbox.get(tx, key)
                assert entry is not None
            outbox.move(tx, entry, state, now=self.now, note=note)

        self.store.write_now(job)

    def table(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.read() as reader:
            return reader.all(sql)


def make_frame(
    cells: Mapping[str, Mapping[str, Value]],
    *,
    gaps: Mapping[str, Mapping[str, Gap]] | None = None,
    columns: Mapping[str, Column] | None = None,
    day: int = 0,
) -> Frame:
    """Return a frame from {account: {column: value}}; gaps are {account: {column: why}}."""
    accounts = sorted(cells)
    names = list(dict.fromkeys(name for row in cells.values() for name in row))
    texts = {name for row in cells.values() for name, value in row.items() if isinstance(value, str)} | {"health_band"}
    known = {name: Column(name=name, unit="text" if name in texts else "points", doc=name) for name in names}
    known |= columns or {}
    return Frame(
        date(2026, 11, 21) + timedelta(days=day),
        accounts,
        known,
        {name: [cells[account].get(name) for account in accounts] for name in known},
        {
            name: {
                index: gaps[account][name] for index, account in enumerate(accounts) if gaps and name in gaps.get(account, {})
            }
            for name in known
        },
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(tmp_path / "wellkept.db", FakeClock())
    tables = RecordTables(CANONICAL, fact_types=frozenset(CANONICAL))
    store.write_now(tables.ensure)
    yield World(store, tables)
    store.close()


@pytest.fixture
def frame() -> Callable[..., Frame]:
    return make_frame
