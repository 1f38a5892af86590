"""A store moves from one database to another without loss, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.clock import SystemClock
from wellkept.errors import StoreError
from wellkept.records import CANONICAL, Account, Invoice, Record, Ticket
from wellkept.source import Reject
from wellkept.store import Store, Tx, audit, copy, dead_letters, locks, open_store, runs
from wellkept.store.catalogue import tables_of
from wellkept.store.copy import copy_store
from wellkept.store.records import RecordTables
from wellkept.store.schema import metadata

NOW = 1_795_219_200_000


class Visit(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A plugin's own type; the plugin is not there when the store moves."""

    type = "acme.visit"
    history = True

    account_ref: str | None = None
    score: float | None = None
    tags: list[str] | None = None
    kept: bool = False


def fill(store: Store, *, many: int = 1_500) -> None:
    tables = RecordTables([*CANONICAL, Visit])
    store.write_now(tables.ensure)
    accounts = [
        Account(id=f"cus_{number}", version=1, name="Jørgen \t\n\\ 中", extra={"a": [1, 2.5, None]}) for number in range(many)
    ]
    rows: list[Record] = [
        *accounts,
        Invoice(id="in_1", version=1, account_ref="cus_1", status="open", currency="usd", amount_due=5),
        Ticket(id="t", version=1, status="new", created_at=1),
        Visit(id="v", version=1, score=0.1 + 0.2, tags=["x"], kept=True),
    ]
    store.write_now(lambda tx: tables.upsert(tx, "crm", "all", rows, NOW))
    paid = Invoice(id="in_1", version=2, account_ref="cus_1", status="paid", currency="usd", amount_due=0)
    newer: list[Record] = [Visit(id="v", version=2, score=-1e300), paid]
    store.write_now(lambda tx: tables.upsert(tx, "crm", "all", newer, NOW + 1))
    bad = Reject(raw=bytes(range(256)), reason="not understood", id=None)

    def rest(tx: Tx) -> None:
        dead_letters.add(tx, "crm", "all", [bad], NOW)
        tx.execute("INSERT INTO tokens (instance, name, sealed, updated_at) VALUES ('crm', 'oauth', ?, 5)", (b"\0\xff sealed",))
        for number in range(5):
            audit.append(tx, "effect.done", "acc_1", {"number": number}, now=NOW)
        tx.execute("DELETE FROM changes WHERE seq < 10")

    store.write_now(rest)


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.read() as reader:
        return {table: sorted(map(repr, copy._rows(reader, table))) for table in copy._tables(reader)}


@pytest.fixture
def other(postgres: str, address: Path | str, tmp_path: Path) -> Path | str:
    """An address of the other kind, where nothing is."""
    return postgres if isinstance(address, Path) else tmp_path / "new" / "wellkept.db"


def test_a_store_moves_without_loss(store: Store, address: Path | str, other: Path | str) -> None:
    fill(store)
    before = everything(store)
    store.close()
    content = copy_store(address, other)
    assert content["r_account"].rows == 1_500
    assert content["h_acme_visit"].rows == 1
    with closing(open_store(other)) as moved, moved.read() as reader:
        assert everything(moved) == before
        assert audit.verify(reader) is None
        assert reader.value("SELECT sealed FROM tokens") == b"\0\xff sealed"
        assert not reader.value("SELECT 1 FROM meta WHERE key = 'restored_at'")
        assert RecordTables([Visit]).get(reader, Visit, "crm", "v") == Visit(id="v", version=2, score=-1e300)


def test_there_and_back_is_as_before(store: Store, address: Path | str, other: Path | str, tmp_path: Path) -> None:
    fill(store, many=3)
    before = everything(store)
    store.close()
    back = tmp_path / "back.db"
    copy_store(address, other)
    copy_store(other, back)
    with closing(open_store(back)) as moved:
        assert everything(moved) == before


def test_a_store_that_moved_goes_on_counting_and_writing(store: Store, address: Path | str, other: Path | str) -> None:
    fill(store, many=40)
    store.close()
    copy_store(address, other)
    tables = RecordTables([*CANONICAL, Visit])
    with closing(open_store(other)) as moved:
        moved.write_now(tables.ensure)
        moved.write_now(
            lambda tx: tables.upsert(tx, "crm", "all", [Account(id="cus_new", version=1, email="a@b.example")], NOW)
        )
        moved.write_now(lambda tx: audit.append(tx, "effect.done", "acc_1", {}, now=NOW))
        with moved.read() as reader:
            assert reader.value("SELECT id FROM changes ORDER BY seq DESC LIMIT 1") == "cus_new"
            assert audit.verify(reader) is None


def test_indexes_of_measures_are_made_again(store: Store, address: Path | str, other: Path | str) -> None:
    """What says that they are there stays behind, for they do."""
    store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES ('measure_indexes', '[\"measure_x\"]')"))
    store.close()
    copy_store(address, other)
    with closing(open_store(other)) as moved, moved.read() as reader:
        assert reader.value("SELECT 1 FROM meta WHERE key = 'measure_indexes'") is None


def used(tx: Tx) -> None:
    tx.execute("INSERT INTO tombstones (digest, at) VALUES ('x', 0)")


def test_a_target_in_use_is_refused_untouched(store: Store, address: Path | str, other: Path | str) -> None:
    fill(store, many=3)
    store.close()
    with closing(open_store(other)) as busy:
        busy.write_now(used)
        before = everything(busy)
    with pytest.raises(StoreError, match="is in use already: tombstones has rows"):
        copy_store(address, other)
    with closing(open_store(other)) as busy:
        assert everything(busy) == before


def test_a_store_is_not_copied_into_itself(store: Store, address: Path | str) -> None:
    with pytest.raises(StoreError, match="cannot be copied into itself"):
        copy_store(address, address)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        copy_store(tmp_path / "missing.db", tmp_path / "new.db")
    assert not list(tmp_path.iterdir())


def test_a_store_on_which_a_run_works_is_not_copied(store: Store, address: Path | str, other: Path | str) -> None:
    now = SystemClock().now()
    store.write_now(lambda tx: locks.acquire(tx, runs.LEASE, "somebody", 60_000, now))
    with pytest.raises(StoreError, match="a run is working on the store"):
        copy_store(address, other)


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Tx], object]], None]]:
    """Do something in the target's transaction after the rows were copied."""

    def after(job: Callable[[Tx], object]) -> None:
        monkeypatch.setattr(copy, "_set_sequences", job)

    return after


@pytest.mark.parametrize(
    "spoiling",
    [
        "DELETE FROM r_account WHERE id = 'cus_1'",
        "UPDATE tokens SET updated_at = 6",
        "UPDATE h_acme_visit SET score = 0.3",
        "INSERT INTO tombstones (digest, at) VALUES ('stray', 0)",
    ],
)
def test_a_copy_that_differs_is_no_copy(
    store: Store, address: Path | str, other: Path | str, spoil: Callable[[Callable[[Tx], object]], None], spoiling: str
) -> None:
    fill(store, many=3)
    store.close()
    spoil(lambda tx: tx.execute(spoiling))
    with pytest.raises(StoreError, match="so nothing was copied"):
        copy_store(address, other)
    with closing(open_store(other)) as target, target.read() as reader:
        assert not reader.value("SELECT COUNT(*) FROM tokens")
        assert "h_acme_visit" not in tables_of(reader)


def test_what_is_written_meanwhile_is_noticed(
    store: Store, address: Path | str, other: Path | str, spoil: Callable[[Callable[[Tx], object]], None]
) -> None:
    fill(store, many=3)
    spoil(lambda _: store.write_now(used))
    with pytest.raises(StoreError, match="the table tombstones is not as in"):
        copy_store(address, other)


def test_a_broken_audit_chain_does_not_move(store: Store, address: Path | str, other: Path | str) -> None:
    fill(store, many=3)
    store.write_now(lambda tx: tx.execute("UPDATE audit SET kind = 'forged' WHERE seq = 2"))
    store.close()
    with pytest.raises(StoreError, match="the audit chain is broken at entry 2"):
        copy_store(address, other)


def test_a_strangers_table_is_named(store: Store, address: Path | str, other: Path | str) -> None:
    store.write_now(lambda tx: tx.execute("CREATE TABLE mine (a INTEGER)"))
    with pytest.raises(StoreError, match="the table mine is not Wellkept's"):
        copy_store(address, other)


def test_every_table_is_copied(store: Store) -> None:
    with store.read() as reader:
        assert set(copy._tables(reader)) >= set(metadata.tables)
