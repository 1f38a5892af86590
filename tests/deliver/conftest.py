from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wellkept import (
    Action,
    Batch,
    CheckResult,
    Column,
    Decider,
    Deletion,
    Delivery,
    Effect,
    Envelope,
    Event,
    FetchingSource,
    Frame,
    MessageAction,
    MessageSend,
    OnceAction,
    Outcome,
    Policy,
    ReadRequest,
    Row,
    Source,
    StateAction,
    StateDelivery,
    Stream,
    Target,
    TaskCreate,
    Template,
    Verdict,
)
from wellkept.effects import Payload, ScorePush
from wellkept.pipeline.deliver import deliver
from wellkept.pipeline.outgoing import DeliverReport
from wellkept.records import CANONICAL, Account, Invoice, Person, Record
from wellkept.settings import General, Messages, Safety
from wellkept.store import Store, open_store, outbox, runs
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock
from wellkept.trust import InstallationKey, KeySigner

DAY = 86_400_000


class Crash(BaseException):
    """The process dies here."""


class InvoicePay(Payload, frozen=True, kw_only=True):
    """A capability of kind ``once`` for a vendor with idempotency keys."""

    capability: ClassVar[str] = "invoice.pay"
    kind: ClassVar[Any] = "once"

    amount: int


Script = Callable[[Any], Any]
"""What a fake vendor does with one delivery: returns an outcome, or raises."""


@dataclass
class Vendor:
    """What happened at the vendors, in order, and what they are told to do next."""

    clock: FakeClock
    log: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    sets: list[tuple[str, str, Any]] = field(default_factory=list)
    paid: dict[str, int] = field(default_factory=dict)
    """Idempotency key to when it was first performed."""
    payments: list[str] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    deliveries: list[Any] = field(default_factory=list)
    script: list[Script] = field(default_factory=list)
    lookups: list[Any] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    fetched: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    reads: int = 0
    unreadable: BaseException | None = None

    def next(self, delivery: Any, do: Callable[[], None]) -> Outcome:
        """Perform a delivery, or what the script says instead. The script gets `do`, to perform it all the same."""
        self.deliveries.append(delivery)
        if self.script:
            outcome: Outcome = self.script.pop(0)(do)
            return outcome
        do()
        return Outcome.done(ref=f"ref-{delivery.key}")


class FakePush(StateAction):
    payload = ScorePush
    max_batch = 3

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        self.vendor.calls.append(len(deliveries))
        return [self.vendor.next(delivery, lambda d=delivery: self._set(d)) for delivery in deliveries]  # type: ignore[misc]

    def _set(self, delivery: StateDelivery) -> None:
        for name, value in delivery.fields.items():
            self.vendor.values.setdefault(delivery.target.id, {})[name] = None if value is None else str(value)
            self.vendor.sets.append((delivery.target.id, name, value))

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Any] | None]:
        self.vendor.reads += 1
        if self.vendor.unreadable is not None:
            raise self.vendor.unreadable
        found = []
        for target in targets:
            known = self.vendor.values.get(target.id, {})
            found.append(None if known == {"gone": "true"} else {name: known.get(name) for name in fields})
        return found

    def normalise(self, field: str, value: Any) -> Any:
        return None if value is None else str(value)


class FakePay(OnceAction[InvoicePay]):
    """Honours idempotency keys for a day, as Stripe does."""

    payload = InvoicePay
    idempotency_window = timedelta(days=1)
    settle_after = timedelta(minutes=1)
    max_batch = 2

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    async def deliver(self, deliveries: Sequence[Delivery[InvoicePay]]) -> Sequence[Outcome]:
        self.vendor.calls.append(len(deliveries))
        return [self.vendor.next(delivery, lambda d=delivery: self._pay(d)) for delivery in deliveries]  # type: ignore[misc]

    def _pay(self, delivery: Delivery[InvoicePay]) -> None:
        now, key = self.vendor.clock.now(), delivery.idempotency_key
        if key in self.vendor.paid and now < self.vendor.paid[key] + DAY:
            return
        self.vendor.paid[key] = now
        self.vendor.payments.append(delivery.key)

    async def look_up(self, delivery: Delivery[InvoicePay]) -> Outcome | None:
        if self.vendor.lookups:
            found = self.vendor.lookups.pop(0)
            if isinstance(found, BaseException):
                raise found
            return found(delivery) if callable(found) else found  # type: ignore[no-any-return]
        return Outcome.done(ref="found") if delivery.idempotency_key in self.vendor.paid else Outcome.retry("not there")


class FakeTasks(OnceAction[TaskCreate]):
    """Knows nothing of keys, and cannot be asked."""

    payload = TaskCreate

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    async def deliver(self, deliveries: Sequence[Delivery[TaskCreate]]) -> Sequence[Outcome]:
        return [
            self.vendor.next(delivery, lambda d=delivery: self.vendor.payments.append(d.key))  # type: ignore[misc]
            for delivery in deliveries
        ]

    async def look_up(self, delivery: Delivery[TaskCreate]) -> Outcome | None:
        return None


class FakeMail(MessageAction):
    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    def templates(self) -> Sequence[Template]:
        return [
            Template(name="alert", purpose="transactional", locales=("en",), variables=("title",)),
            Template(name="tips", purpose="marketing", locales=("en", "zh")),
        ]

    async def send(self, delivery: Delivery[MessageSend], envelope: Envelope) -> Outcome:
        def do() -> None:
            self.vendor.sent.append((delivery.key, envelope.recipient.address))
            self.vendor.envelopes.append(envelope)

        return self.vendor.next(delivery, do)


class FakeSource(FetchingSource):
    """Keeps records of its own, which may have changed since they were synced."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.now: dict[tuple[str, str], Record | None] = {}
        self.broken: BaseException | None = None

    def streams(self) -> Sequence[Stream]:
        return [
            Stream(name="accounts", records=(Account, Person), doc="."),
            Stream(name="invoices", records=(Invoice,), doc="."),
        ]

    async def check(self) -> CheckResult:
        return CheckResult(findings=())

    async def read(self, request: ReadRequest) -> Any:
        yield Batch()

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        self.vendor.fetched.append((stream.name, tuple(ids)))
        if self.broken is not None:
            raise self.broken
        records, deletions = [], []
        for id_ in ids:
            found = [(type_, record) for (type_, known), record in self.now.items() if known == id_]
            for type_, record in found:
                if record is not None:
                    records.append(record)
                else:
                    record_type = next(t for t in CANONICAL if t.type == type_)
                    deletions.append(Deletion(record=record_type, id=id_, version=self.vendor.clock.now()))
        return Batch(records=records, deletions=deletions)


class Always(Policy):
    """Wants what it is told to want, for accounts that owe something."""

    name = "dunning"
    version = "1"
    columns: frozenset[str] = frozenset({"open_invoices"})

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.wanted: list[Effect] = []
        self.raises: Exception | None = None
        self.asked: list[Effect] = []

    @property
    def uses(self) -> frozenset[str]:
        return self.columns

    def decide(self, frame: Frame) -> Sequence[Effect]:
        (row,) = frame.rows()
        return self.wanted if row["open_invoices"] else []

    def recheck(self, effect: Effect, facts: Any) -> Verdict:
        self.asked.append(effect)
        if self.raises is not None:
            raise self.raises
        return self.verdict or super().recheck(effect, facts)


@dataclass
class World:
    """A store, vendors, and a policy; `deliver` runs the step."""

    path: Path
    store: Store
    tables: RecordTables
    clock: FakeClock
    vendor: Vendor
    source: FakeSource
    policy: Always
    key: InstallationKey = field(default_factory=lambda: InstallationKey(b"k" * 32))
    events: list[Event] = field(default_factory=list)
    actions: dict[str, list[Action]] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    general: dict[str, Any] = field(default_factory=dict)
    safety: dict[str, Any] = field(default_factory=dict)
    deciders: dict[str, Decider] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    gaps: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    run: Any = None
    """The delivery under way, or the last one."""

    def signer(self) -> KeySigner:
        return KeySigner(self.key, "core")

    # --- planning ---

    def plan(
        self, key: str, payload: Payload, *, account: str | None = "acme", policy: str = "books/dunning", **more: Any
    ) -> bool:
        fields = {"state": "planned", "note": None, "run_id": "plan", **more}
        wanted = {name: fields.pop(name) for name in ("not_before", "expires_at") if name in fields}
        target = fields.pop("target", None)
        effect = Effect(key=key, payload=payload, account=account, reason="because", target=target, **wanted)
        self.policy.wanted.append(effect)
        return self.store.write_now(
            lambda tx: outbox.plan(
                tx,
                effect,
                key=f"{policy}/{key}",
                policy=policy,
                policy_version="1",
                kind=payload.kind,
                target=target,
                now=self.clock.now(),
                **fields,
            )
        )

    def push(
        self, id_: str = "cus_1", *, run: str = "plan", state: Any = "planned", account: str = "acme", **fields: Any
    ) -> bool:
        return self.store.write_now(
            lambda tx: outbox.plan_state(
                tx,
                target=Target(instance="crm", type="account", id=id_),
                capability="score.push",
                fields=fields,
                account=account,
                reason="score changed",
                policy="push/crm",
                policy_version="1",
                run_id=run,
                state=state,
                note=None,
                now=self.clock.now(),
            )
        )

    def mail(self, key: str = "m1", template: str = "alert", to: str = "billing", **more: Any) -> bool:
        variables = {"title": "hello"} if template == "alert" else {}
        locale = more.pop("locale", None)
        return self.plan(key, MessageSend(template=template, to=to, variables=variables, locale=locale), **more)

    def pay(self, key: str = "p1", **more: Any) -> bool:
        return self.plan(key, InvoicePay(amount=100), **more)

    # --- records ---

    def records(self, *records: Record, instance: str = "crm", stream: str = "accounts", account: str = "acme") -> None:
        def job(tx: Any) -> None:
            tx.execute(
                "INSERT INTO accounts (id, name, state, created_at, updated_at) VALUES (?, ?, 'active', 0, 0)"
                " ON CONFLICT (id) DO NOTHING",
                (account, next((record.name for record in records if isinstance(record, Account)), account)),
            )
            for record in records:
                if isinstance(record, Account):
                    tx.execute(
                        "INSERT INTO links (type, instance, record_id, account, evidence, at)"
                        " VALUES ('account', ?, ?, ?, '{}', 0) ON CONFLICT DO NOTHING",
                        (instance, record.id, account),
                    )
            self.tables.upsert(tx, instance, stream, records, self.clock.now())

        self.store.write_now(job)
        if instance == "crm":
            for record in records:
                self.source.now[record.type, record.id] = record

    def owes(self, id_: str = "in_1", account_ref: str = "cus_1") -> None:
        """Give the account an open invoice."""
        self.records(self.invoice(id_, "open", 1, account_ref), stream="invoices")

    def invoice(self, id_: str, status: Any, version: int, account_ref: str = "cus_1") -> Invoice:
        return Invoice(
            id=id_, version=version, account_ref=account_ref, status=status, currency="usd", amount_due=100, created_at=0
        )

    # --- delivering ---

    def row(self, account: str) -> Row | None:
        with self.store.read() as reader:
            if reader.one("SELECT 1 FROM accounts WHERE id = ?", (account,)) is None:
                return None
            count = sum(invoice.status == "open" for invoice in self.tables.of_account(reader, Invoice, account))
        gap = self.gaps.get("open_invoices")
        column = Column(name="open_invoices", unit="count", doc=".")
        cells = {"open_invoices": [None if gap else count]}
        return next(
            Frame(date(2026, 11, 21), [account], {column.name: column}, cells, {column.name: {0: gap}} if gap else None).rows()
        )

    def feeds(self, column: str) -> Collection[type[Record]]:
        return {Invoice} if column == "open_invoices" else ()

    async def deliver(self, *, dry_run: bool = False, call_seconds: float = 60.0, finish: bool = True) -> DeliverReport:
        """Run one delivery. A crash leaves the run as it is, and its lease to end by itself."""
        run = self.run = await runs.start(self.store, "deliver")
        report = await deliver(
            self.store,
            self.tables,
            self.actions,
            run=run,
            clock=self.clock,
            live=self.live,
            deciders=self.deciders,
            row=self.row,
            feeds=self.feeds,
            sources=self.sources,
            general=General(**self.general),
            messages=Messages(**self.settings),
            safety=Safety(**self.safety),
            key=self.key,
            signer=self.signer(),
            observe=self.events.append,
            dry_run=dry_run,
            call_seconds=call_seconds,
        )
        if finish:
            self.store.write_now(lambda tx: runs.finish(tx, run, self.clock.now()))
        return report

    async def crash(self) -> None:
        """Deliver until the process dies, then let its lease end."""
        with pytest.raises(Crash):
            await self.deliver()
        self.clock.advance(61)

    # --- looking ---

    def entries(self) -> list[outbox.Entry]:
        with self.store.read() as reader:
            return outbox.find(reader)

    def entry(self, key: str = "p1") -> outbox.Entry:
        with self.store.read() as reader:
            found = outbox.get(reader, f"books/dunning/{key}")
        assert found is not None
        return found

    def states(self) -> list[tuple[str, str | None]]:
        return [(entry.state, entry.hold) for entry in self.entries()]

    def table(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.read() as reader:
            return reader.all(sql)


def make_world(path: Path, empty: Path) -> World:
    shutil.copy(empty, path)
    clock = FakeClock()
    store = open_store(path, clock)
    tables = RecordTables(CANONICAL, fact_types=frozenset())
    vendor = Vendor(clock)
    world = World(path, store, tables, clock, vendor, FakeSource(vendor), Always())
    world.actions = {
        "crm": [FakePush(vendor)],
        "pay": [FakePay(vendor)],
        "mail": [FakeMail(vendor)],
        "tasks": [FakeTasks(vendor)],
    }
    world.live = {"crm": True, "pay": True, "mail": True, "tasks": True}
    world.deciders = {"books/dunning": world.policy}
    world.sources = {"crm": world.source}
    world.records(Account(id="cus_1", version=1, name="Acme Inc", email="pay@acme.example", owner_ref="ann@us.example"))
    world.owes()
    return world


@pytest.fixture
def worlds(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Callable[[Path], World]:
    """Makes worlds, each from a copy of an empty store."""

    def empty(path: Path) -> None:
        with closing(open_store(path, FakeClock())) as store:
            store.write_now(RecordTables(CANONICAL).ensure)

    return lambda path: make_world(path, made_once("deliver", empty))


@pytest.fixture
def world(worlds: Callable[[Path], World], tmp_path: Path) -> Iterator[World]:
    made = worlds(tmp_path / "wellkept.db")
    yield made
    made.store.close()


@pytest.fixture
def fakes() -> Any:
    """The classes of this file, for tests that need another mix."""
    import types

    return types.SimpleNamespace(
        Crash=Crash,
        InvoicePay=InvoicePay,
        FakePay=FakePay,
        FakeMail=FakeMail,
        FakePush=FakePush,
        FakeTasks=FakeTasks,
        Always=Always,
    )
