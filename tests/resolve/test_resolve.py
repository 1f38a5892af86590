"""The resolve step: the queue of changes becomes links, accounts, conflicts and dirty accounts."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.pipeline.components import SHARED_LIMIT, external_account, record_account
from wellkept.pipeline.resolve import resolve
from wellkept.records import CANONICAL, Account, Invoice, Person, Record, Ticket, Usage
from wellkept.source import Deletion, Replace
from wellkept.store import Store, Tx, accounts, open_store
from wellkept.store.accounts import Manual, Node
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

S1, S2, H1, H2 = Node("stripe", "cus_1"), Node("stripe", "cus_2"), Node("hubspot", "1"), Node("hubspot", "2")
NOW = 1_000


class World:
    """A store, and short ways to change it."""

    def __init__(self, store: Store, tables: RecordTables) -> None:
        self.store = store
        self.tables = tables
        self.now = NOW
        self.version = 0

    def put(self, instance: str, *records: Record) -> None:
        self.store.write_now(lambda tx: self.tables.upsert(tx, instance, "all", records, self.now))

    def account(self, node: Node, external_id: str | None = None, created_at: int | None = None, **more: Any) -> None:
        self.version += 1
        record = Account(id=node.id, version=self.version, external_id=external_id, created_at=created_at, **more)
        self.put(node.instance, record)

    def delete(self, type_: type[Record], node: Node) -> None:
        self.version += 1
        gone = Deletion(record=type_, id=node.id, version=self.version)
        self.store.write_now(lambda tx: self.tables.delete(tx, node.instance, "all", [gone], self.now))

    def say(self, a: Node, b: Node, relation: Any = "same") -> None:
        link = Manual(a=a, b=b, relation=relation, author="ada", reason="called", at=self.now)
        self.store.write_now(lambda tx: accounts.put_manual(tx, link))

    def resolve(self, **more: Any) -> Any:
        self.now += 1
        return resolve(self.store, self.tables, now=self.now, **more)

    def read(self, job: Callable[..., Any], *args: Any) -> Any:
        with self.store.read() as reader:
            return job(reader, *args)

    def links(self) -> dict[tuple[str, str, str], str]:
        rows = self.read(lambda reader: reader.all("SELECT type, instance, record_id, account FROM links"))
        return {(type_, instance, id_): account for type_, instance, id_, account in rows}

    def everything(self) -> list[Any]:
        queries = ("SELECT * FROM links", "SELECT * FROM accounts", "SELECT * FROM conflicts")
        return [self.read(lambda reader, sql=sql: reader.all(sql)) for sql in queries]

    def dirty(self) -> set[str]:
        """The dirty accounts, which are clean afterwards."""
        found = {account for (account,) in self.read(lambda reader: reader.all("SELECT account FROM dirty_accounts"))}
        self.store.write_now(lambda tx: tx.execute("DELETE FROM dirty_accounts"))
        return found

    def home(self, node: Node) -> str | None:
        found: str | None = self.read(accounts.account_of, node.instance, node.id)
        return found

    def state(self, id_: str) -> tuple[str, str | None]:
        row = self.read(accounts.account, id_)
        return row.state, row.merged_into


@pytest.fixture
def world(store: Store, tables: RecordTables) -> World:
    return World(store, tables)


def test_records_become_accounts_with_evidence(world: World) -> None:
    world.account(S1, "42", 5, name="Acme Inc")
    world.account(H1, "42", 9, name="Acme")
    world.account(H2, name="Bolt")
    report = world.resolve()
    home = external_account("42")
    assert (world.home(S1), world.home(H1), world.home(H2)) == (home, home, record_account(H2))
    assert world.read(accounts.records_of, home) == [H1, S1]
    (first, evidence), _ = world.read(accounts.evidence, home)
    assert first == H1
    assert evidence == {"rule": "external_id", "digest": accounts.digest("external_id", "42"), "since": world.now}
    assert world.read(accounts.account, home).name == "Acme"  # said last
    assert (report.changes, report.linked) == (3, 3)
    assert world.dirty() == {home, record_account(H2)}
    assert world.read(lambda reader: reader.value("SELECT COUNT(*) FROM changes")) == 0


def test_running_again_does_nothing(world: World) -> None:
    world.account(S1, "42")
    world.account(S2)
    world.resolve()
    world.dirty()
    before = world.everything()
    assert world.resolve().changes == 0
    world.account(S1, "42")  # says the same again
    world.resolve()
    world.say(S1, S2, "apart")
    world.resolve()
    assert world.everything() == before


def test_a_merge_keeps_an_alias_and_a_split_restores(world: World) -> None:
    world.account(S1, "1", 1)
    world.account(H1, None, 2)
    world.resolve()
    alone = world.home(H1)
    assert alone == record_account(H1)
    world.dirty()

    world.account(H1, "1", 2)
    report = world.resolve()
    assert (report.merged, report.split) == (1, 0)
    assert world.home(H1) == world.home(S1) == external_account("1")
    assert world.state(alone) == ("merged", external_account("1"))
    assert world.read(accounts.canonical, alone) == external_account("1")
    assert world.dirty() == {alone, external_account("1")}

    world.account(H1, None, 2)
    world.resolve()
    assert world.home(H1) == alone
    assert world.state(alone) == ("active", None)
    assert world.read(accounts.canonical, alone) == alone
    assert world.dirty() == {alone, external_account("1")}


def test_the_id_survives_older_records_of_another_vendor(world: World) -> None:
    world.account(S1, "1", 500)
    world.resolve()
    before = world.home(S1)
    world.account(H1, "1", 3)
    world.resolve()
    assert world.home(S1) == world.home(H1) == before


def test_an_id_whose_records_went_different_ways_leads_to_the_oldest(world: World) -> None:
    world.account(S1, "1", 1)
    world.account(S2, "1", 2)
    world.resolve()
    world.store.write_now(
        lambda tx: world.tables.upsert(
            tx, "stripe", "all", [Account(id=id_, version=99, external_id=id_) for id_ in ("cus_1", "cus_2")], world.now
        )
    )
    report = world.resolve()
    old = external_account("1")
    assert (report.merged, report.split) == (0, 1)
    assert world.state(old) == ("split", external_account("cus_1"))
    assert world.read(accounts.canonical, old) == external_account("cus_1")


def test_aliases_lead_through_several_merges(world: World) -> None:
    world.account(S1, None, 3)
    world.account(S2, None, 2)
    world.account(H1, None, 1)
    world.resolve()
    first, second, third = world.home(S1), world.home(S2), world.home(H1)
    world.say(S1, S2)
    world.resolve()
    assert world.state(first or "") == ("merged", second)
    world.say(S2, H1)
    world.resolve()
    assert world.state(second or "") == ("merged", third)
    assert world.read(accounts.canonical, first) == third
    assert world.read(accounts.canonical, "acc_unknown") is None


def test_ids_that_disagree_block_a_merge_and_say_so(world: World) -> None:
    world.account(S1, "1")
    world.account(H1, "2")
    world.say(S1, H1)
    report = world.resolve()
    assert world.home(S1) != world.home(H1)
    assert report.conflicts == 1
    (conflict,) = world.read(accounts.conflicts)
    assert conflict.kind == "external_id"
    assert [side["record"] for side in conflict.detail["sides"]] == [["hubspot", "1"], ["stripe", "cus_1"]]

    world.account(H1, "1")
    world.resolve()
    assert world.home(S1) == world.home(H1)
    assert world.read(accounts.conflicts) == []

    world.account(H1, "3")
    world.resolve()
    assert world.home(S1) != world.home(H1)
    assert len(world.read(accounts.conflicts)) == 1
    world.store.write_now(lambda tx: accounts.remove_manual(tx, S1, H1, world.now))
    world.resolve()
    assert world.home(S1) != world.home(H1)


def test_what_people_said_survives_another_sync_and_can_be_undone(world: World) -> None:
    world.account(S1, None, 1)
    world.account(H1, None, 2)
    world.say(H1, S1)
    world.resolve()
    assert world.home(S1) == world.home(H1) == record_account(S1)
    world.account(H1, None, 2, name="Again")
    world.resolve()
    assert world.home(H1) == record_account(S1)
    assert world.store.write_now(lambda tx: accounts.remove_manual(tx, S1, H1, world.now))
    world.resolve()
    assert (world.home(S1), world.home(H1)) == (record_account(S1), record_account(H1))
    assert not world.store.write_now(lambda tx: accounts.remove_manual(tx, S1, H1, world.now))


def test_an_id_in_too_many_records_is_not_believed_until_it_is_rare_again(world: World) -> None:
    many = [Node("stripe", f"cus_{number:03}") for number in range(SHARED_LIMIT)]
    for node in many:
        world.account(node, "acme-all")
    world.resolve()
    assert {world.home(node) for node in many} == {external_account("acme-all")}

    world.account(H1, "acme-all")
    world.resolve()
    assert len({world.home(node) for node in [*many, H1]}) == SHARED_LIMIT + 1
    (conflict,) = world.read(accounts.conflicts)
    assert (conflict.kind, conflict.detail["records"]) == ("shared_id", SHARED_LIMIT + 1)
    assert "acme-all" not in str(conflict)
    assert world.state(external_account("acme-all"))[0] == "split"

    world.account(H1, "other")
    world.resolve()
    assert {world.home(node) for node in many} == {external_account("acme-all")}
    assert world.home(H1) == external_account("other")
    assert world.read(accounts.conflicts) == []


def test_a_deleted_record_keeps_its_place_and_an_account_without_others_is_gone(world: World) -> None:
    world.account(S1, "1", name="Acme")
    world.account(H1, "1", name="Acme too")
    world.resolve()
    home = external_account("1")
    world.dirty()
    world.delete(Account, S1)
    world.resolve()
    assert world.home(S1) == home
    assert world.state(home) == ("active", None)
    assert world.dirty() == {home}
    world.delete(Account, H1)
    world.resolve()
    assert world.state(home) == ("gone", None)
    assert world.dirty() == {home}
    world.account(H1, "1", name="Back")
    world.resolve()
    assert world.state(home) == ("active", None)
    assert world.read(accounts.account, home).name == "Back"


def test_a_deleted_record_that_was_never_seen_is_nobody(world: World) -> None:
    world.delete(Account, S1)
    world.resolve()
    assert world.home(S1) is None
    assert world.read(lambda reader: reader.all("SELECT * FROM accounts")) == []


def invoice(id_: str, account: str, version: int = 1) -> Invoice:
    return Invoice(id=id_, version=version, account_ref=account, status="open", currency="usd", amount_due=5)


def test_other_records_make_their_accounts_dirty(world: World) -> None:
    world.account(S1)
    world.account(S2)
    world.put("stripe", Person(id="p", version=1, account_ref="cus_2"), Person(id="stranger", version=1))
    world.resolve()
    world.dirty()
    one, two = record_account(S1), record_account(S2)
    world.put("stripe", invoice("in_1", "cus_1"))
    world.resolve()
    assert world.dirty() == {one}
    world.put("stripe", Ticket(id="t", version=1, person_ref="p", status="open", created_at=1))
    world.resolve()
    assert world.dirty() == {two}
    world.put("stripe", Ticket(id="t", version=2, person_ref="p", account_ref="cus_1", status="open", created_at=1))
    world.resolve()
    assert world.dirty() == {one, two}
    world.put("stripe", Ticket(id="u", version=1, person_ref="stranger", status="open", created_at=1))
    world.put("hubspot", invoice("in_1", "cus_1"))
    world.resolve()
    assert world.dirty() == set()


def test_a_deleted_record_makes_its_account_dirty(world: World) -> None:
    world.account(S1)
    world.put("stripe", invoice("in_1", "cus_1"))
    world.resolve()
    world.dirty()
    world.version = 10
    world.delete(Invoice, Node("stripe", "in_1"))
    world.resolve()
    assert world.dirty() == {record_account(S1)}


def test_rows_that_a_generation_removed_make_their_accounts_dirty(world: World) -> None:
    world.account(S1)
    rows = [Usage.of(subject="cus_1", account_ref="cus_1", event="login", day="2026-11-01", count=3, version=1)]
    world.put("stripe", *rows)
    world.resolve()
    world.dirty()
    span = Replace(record=Usage, field="day", start="2026-11-01", end="2026-11-02")
    world.store.write_now(lambda tx: world.tables.replace(tx, "stripe", "all", span, [], world.now))
    world.resolve()
    assert world.dirty() == {record_account(S1)}


def test_persons_go_where_their_account_goes(world: World) -> None:
    world.put("hubspot", Person(id="early", version=1, account_ref="1"))
    world.resolve()
    assert world.links() == {}
    world.account(H1, None, 1)
    world.resolve()
    assert world.links()["person", "hubspot", "early"] == record_account(H1)
    world.account(H1, "7", 1)
    world.resolve()
    assert world.links()["person", "hubspot", "early"] == external_account("7")
    world.dirty()
    world.account(H2)
    world.put("hubspot", Person(id="early", version=2, account_ref="2"))
    world.resolve()
    assert world.links()["person", "hubspot", "early"] == record_account(H2)
    assert world.dirty() == {external_account("7"), record_account(H2)}
    world.put("hubspot", Person(id="early", version=3))
    world.resolve()
    assert ("person", "hubspot", "early") not in world.links()
    assert world.dirty() == {record_account(H2)}


def test_marking_a_dirty_account_again_is_seen_within_a_millisecond(world: World) -> None:
    instants = []
    for _ in range(3):
        world.store.write_now(lambda tx: accounts.mark_dirty(tx, ["acc"], 5))
        instants.append(world.read(lambda reader: reader.value("SELECT at FROM dirty_accounts")))
    assert instants == [5, 6, 7]


def test_search_finds_names_ids_and_aliases(world: World) -> None:
    world.account(S1, None, 2, name="Müller GmbH")
    world.account(S2, None, 1, name="客户公司")
    world.resolve()
    one, two = record_account(S1), record_account(S2)

    def find(text: str) -> list[str]:
        return [row.id for row in world.read(lambda reader: list(accounts.accounts(reader, text)))]

    assert find("MÜLLER") == [one]
    assert find("客户") == [two]
    assert find("cus_2") == [two]
    assert find(two) == [two]
    assert sorted(find("")) == sorted([one, two])
    assert find("nobody") == []
    world.say(S1, S2)
    world.resolve()
    assert find("müller") == []
    assert find(one) == find("cus_1") == [two]


# --- order, chunks and kills -------------------------------------------------------------------------------------------------

events = st.lists(
    st.tuples(
        st.sampled_from([S1, S2, H1, H2]),
        st.none() | st.sampled_from(["1", "2", "0"]),
        st.none() | st.integers(1, 3),
    ),
    min_size=1,
    max_size=8,
)
manuals = st.lists(
    st.tuples(st.sampled_from([S1, S2]), st.sampled_from([H1, H2]), st.sampled_from(["same", "apart"])),
    max_size=3,
    unique_by=lambda link: link[:2],
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store; a copy of it is there at once."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    store = open_store(path, FakeClock())
    store.write_now(RecordTables(CANONICAL).ensure)
    store.close()
    return path


def play(empty: Path, steps: Sequence[Callable[[World], object]], pauses: Iterable[bool], chunk: int) -> Any:
    """Apply changes in some order, resolve at some points, and return all that resolve decides."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(empty, folder))
        store = open_store(path, FakeClock())
        world = World(store, RecordTables(CANONICAL))
        for step, pause in zip(steps, pauses, strict=True):
            step(world)
            if pause:
                world.resolve(chunk=chunk)
        world.resolve(chunk=chunk)
        found = (
            world.links(),
            {row.id: (row.name, row.state) for row in world.read(lambda reader: list(accounts.accounts(reader)))},
            {(conflict.kind, conflict.subject) for conflict in world.read(accounts.conflicts)},
        )
        store.close()
        return found


def _standing(found: Any) -> Any:
    """Accounts that exist only because of an earlier state are aliases or gone; only what stands is compared."""
    links, rows, conflicts = found
    return links, {id_: row for id_, row in rows.items() if row[1] == "active" or id_ in links.values()}, conflicts


def _reading(version: int, node: Node, external_id: str | None, created_at: int | None) -> Callable[[World], object]:
    record = Account(id=node.id, version=version, external_id=external_id, created_at=created_at, name=f"n{version}")
    person = Person(id=f"p{version}", version=1, account_ref=node.id)
    return lambda world: world.put(node.instance, record, person)


def _gone(node: Node) -> Callable[[World], object]:
    gone = Deletion(record=Account, id=node.id, version=1_000)
    return lambda world: world.store.write_now(lambda tx: world.tables.delete(tx, node.instance, "all", [gone], world.now))


def _said(a: Node, b: Node, relation: str) -> Callable[[World], object]:
    return lambda world: world.say(a, b, relation)


@given(events, manuals, st.sets(st.sampled_from([S1, H1])), st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrival_order_and_chunks_never_matter(
    empty: Path,
    readings: list[tuple[Node, str | None, int | None]],
    said: list[tuple[Node, Node, str]],
    deleted: set[Node],
    shuffler: random.Random,
    chunk: int,
) -> None:
    steps = [_reading(version, *reading) for version, reading in enumerate(readings, start=1)]
    steps += [_said(*link) for link in said]
    endings = [_gone(node) for node in sorted(deleted)]
    expected = play(empty, [*steps, *endings], [False] * len([*steps, *endings]), 1_000)
    shuffler.shuffle(steps)
    pauses = [shuffler.random() < 0.5 for _ in [*steps, *endings]]
    assert _standing(play(empty, [*steps, *endings], pauses, chunk)) == _standing(expected)


class KilledError(Exception):
    """The process is gone."""


@pytest.mark.parametrize("survived", range(6))
def test_a_kill_between_chunks_loses_nothing(world: World, survived: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        world.account(Node("stripe", f"cus_{number}"), str(number % 2 + 1))
        world.put("stripe", invoice(f"in_{number}", f"cus_{number}"))
    real, calls = world.store.write_now, 0

    def dying(job: Callable[[Tx], Any], **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > survived:
            raise KilledError
        return real(job, **more)

    monkeypatch.setattr(world.store, "write_now", dying)
    with pytest.raises(KilledError):
        world.resolve(chunk=2)
    monkeypatch.undo()
    world.resolve(chunk=2)
    assert set(world.links().values()) == {external_account("1"), external_account("2")}
    assert world.dirty() == {external_account("1"), external_account("2")}
