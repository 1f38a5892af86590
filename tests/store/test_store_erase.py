"""An erasure takes everything, leaves everybody else alone, and holds."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pytest
from sqlalchemy import Column, LargeBinary, Text

from wellkept.errors import RejectedError, StoreError
from wellkept.records import CANONICAL, Account, Invoice, Person, Record, Task, Ticket, TimelineEvent, Usage
from wellkept.source import Deletion, Reject
from wellkept.store import Store, audit, dead_letters, open_store
from wellkept.store import erase as erasing
from wellkept.store.catalogue import tables_of
from wellkept.store.erase import ErasureReport, erase
from wellkept.store.records import RecordTables
from wellkept.store.schema import metadata
from wellkept.trust import address_form

if TYPE_CHECKING:
    from conftest import Book

NOW = 1_795_219_200_000
ANNA = "Anna.Müller@Example.com"
BOB = "bob@other.example"


def keyed_hash(text: str) -> str:
    return hashlib.sha256(b"key" + text.encode()).hexdigest()


class Visit(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A record type of some plugin."""

    type: ClassVar[str] = "acme.visit"
    history: ClassVar[bool] = True

    person_ref: str
    note: str | None = None


@pytest.fixture
def tables(store: Store) -> RecordTables:
    made = RecordTables([*CANONICAL, Visit], keyed_hash=keyed_hash)
    store.write_now(made.ensure)
    return made


def invoice(id_: str, account_ref: str, version: int = 1, **fields: Any) -> Invoice:
    return Invoice(
        id=id_, version=version, account_ref=account_ref, **{"status": "open", "currency": "usd", "amount_due": 1, **fields}
    )


def of_anna(version: int = 1) -> list[Record]:
    return [
        Account(id="cus_a", version=version, name="Anna GmbH", email=ANNA, external_id="ext-a", domains=["example.com"]),
        Person(id="p_a", version=version, account_ref="cus_a", email=ANNA, name="Anna"),
        Person(id="p_a2", version=version, account_ref="cus_a", email="second@example.com"),
        invoice("in_a", "cus_a", version, number="A-1"),
        Ticket(id="t_a", version=version, person_ref="p_a", status="new", created_at=1, subject=f"from {ANNA}"),
        Visit(id="v_a", version=version, person_ref="p_a2", note="second@example.com came by"),
        Usage.of(subject="p_a", event="login", day="2026-11-01", count=3, version=version),
        Usage.of(subject="x", event="login", day="2026-11-01", count=3, version=version, account_ref="cus_a"),
    ]


def of_bob() -> list[Record]:
    return [
        Account(id="cus_b", version=1, name="Bob Ltd", email=BOB, owner_ref="p_b", extra={"referred by": ANNA}),
        Person(id="p_b", version=1, account_ref="cus_b", email=BOB),
        invoice("in_b", "cus_b"),
        TimelineEvent(
            id="e_b",
            version=1,
            account_ref="cus_b",
            kind="mail",
            text=f"Bob forwarded to <{ANNA.upper()}>, and Joanna.Müller@Example.com",
            at=1,
        ),
        Usage.of(subject="p_b", event="login", day="2026-11-01", count=3, version=1),
    ]


@pytest.fixture
def world(book: Book) -> Book:
    """Two customers, their records, and something about the first one in every table that can hold it."""
    book.put(*of_anna(), *of_bob())
    book.put(*of_anna(2), at=NOW + 1)
    book.put(invoice("in_a", "cus_a", 3, number="A-2"), at=NOW + 2)
    for account, record in (("acc_a", "cus_a"), ("acc_b", "cus_b")):
        book.link(account, record)
        book.store.write_now(
            lambda tx, account=account: tx.execute(
                "INSERT INTO accounts (id, name, created_at, updated_at) VALUES (?, 'Name', 0, 0)", (account,)
            )
        )
        about = {"to": ANNA if account == "acc_a" else BOB}
        book.store.write_now(lambda tx, account=account, about=about: audit.append(tx, "effect.done", account, about, now=NOW))
    return book


def run(book: Book, who: str) -> ErasureReport:
    return erase(book.store, who, keyed_hash=keyed_hash)


def rows(book: Book, table: str) -> list[tuple[Any, ...]]:
    return book.all(f"SELECT * FROM {table}")


def bytes_of(store: Store) -> bytes:
    """All that is stored: the bytes of the files, or where there are none all values of all tables."""
    if store.path is not None:
        return b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    with store.read() as reader:
        found = [row for table in tables_of(reader) for row in reader.all(f"SELECT * FROM {table}")]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in found for value in row)


def left(book: Book) -> list[str]:
    """The ids of all records that are stored, in the present and the past."""
    kinds = ("account", "person", "invoice", "ticket", "acme_visit", "usage", "timeline_event")
    found = [rows(book, f"r_{kind}") for kind in kinds] + [
        rows(book, f"h_{kind}") for kind in ("account", "invoice", "acme_visit")
    ]
    return sorted({row[1] for part in found for row in part})


BOBS = sorted(record.id for record in of_bob())


@pytest.mark.parametrize("who", ["acc_a", ANNA, "anna.müller@EXAMPLE.com"])
def test_everything_goes_and_everybody_else_stays(world: Book, who: str) -> None:
    before = rows(world, "r_invoice")
    report = run(world, who)
    assert report.accounts == ("acc_a",)
    assert report.records == {"account": 1, "acme.visit": 1, "invoice": 1, "person": 2, "ticket": 1, "usage": 2}
    assert report.compacted
    assert left(world) == BOBS
    assert rows(world, "r_invoice") == [row for row in before if row[1] == "in_b"]
    assert world.all("SELECT id, state, name FROM accounts ORDER BY id") == [
        ("acc_a", "erased", None),
        ("acc_b", "active", "Name"),
    ]
    assert world.all("SELECT account FROM links") == [("acc_b",)]


@pytest.mark.parametrize("who", ["acc_a", ANNA])
def test_no_byte_of_an_address_stays_in_the_files(world: Book, who: str) -> None:
    for spelling in (ANNA, "second@example.com"):
        assert spelling.encode().lower() in bytes_of(world.store).lower()
    run(world, who)
    found = bytes_of(world.store).lower()
    assert b"<[erased]>, and joanna.m" in found  # another address that ends alike is not touched
    for gone in (ANNA, "second@example.com", "ext-a", "Anna GmbH", "cus_a", "p_a", "in_a", "A-1"):
        assert gone.lower().encode() not in found.replace("joanna.müller@example.com".encode(), b""), gone


@pytest.mark.parametrize("who", ["acc_a", ANNA])
def test_a_later_sync_cannot_bring_it_back(world: Book, who: str) -> None:
    run(world, who)
    later = of_anna(9)
    done = world.put(*later, *of_bob(), at=NOW + 10)
    assert done.blocked == len(later)
    new = [
        invoice("in_new", "cus_a"),
        Ticket(id="t_new", version=1, person_ref="p_a", status="new", created_at=1),
        Account(id="cus_new", version=1, email=" anna.müller@example.COM"),
        Account(id="cus_new2", version=1, external_id="ext-a"),
        Usage.of(subject="p_a", event="new", day="2027-01-01", count=1, version=1),
        Usage.of(subject=ANNA, event="new", day="2027-01-01", count=1, version=1),
    ]
    assert world.put(*new, at=NOW + 11).blocked == len(new)
    assert world.delete(Deletion(record=Invoice, id="in_a", version=99)) == 0
    assert left(world) == BOBS


def test_only_the_key_can_tell_what_was_erased(world: Book) -> None:
    run(world, "acc_a")
    world.tables = RecordTables([*CANONICAL, Visit])
    with pytest.raises(StoreError, match="without the installation key"):
        world.put(*of_bob())
    world.tables = RecordTables([*CANONICAL, Visit], keyed_hash=lambda text: keyed_hash(text + "other"))
    assert world.put(*of_anna()).blocked == 0


def test_the_audit_chain_verifies_and_tells_of_the_erasure(world: Book) -> None:
    for subject in ("acc_a", "crm:in_a", "acc_b"):
        world.store.write_now(lambda tx, subject=subject: audit.append(tx, "seen", subject, {"n": 1}, now=NOW))
    run(world, "acc_a")
    with world.store.read() as reader:
        assert audit.verify(reader) is None
        entries = list(audit.entries(reader))
    assert [(entry.kind, entry.subject) for entry in entries] == [
        ("effect.done", None),
        ("effect.done", "acc_b"),
        ("seen", None),
        ("seen", None),
        ("seen", "acc_b"),
        ("erasure", "acc_a"),
    ]
    assert entries[-1].body is not None
    assert entries[-1].body["records"] == 8


def test_an_audit_entry_of_others_that_mentions_it_loses_its_text(world: Book) -> None:
    world.store.write_now(lambda tx: audit.append(tx, "override", "acc_b", {"author": ANNA}, now=NOW))
    run(world, ANNA)
    with world.store.read() as reader:
        assert audit.verify(reader) is None
        assert next(entry.body for entry in audit.entries(reader, after=2)) is None


def test_erasing_again_is_harmless_and_a_stranger_is_remembered(world: Book) -> None:
    run(world, "acc_a")
    again = run(world, ANNA)
    assert (again.records, again.accounts) == ({}, ())
    assert run(world, "carol@nowhere.example").records == {}
    assert world.put(Person(id="c", version=1, email="Carol@Nowhere.example")).blocked == 1
    with pytest.raises(RejectedError, match="there is no such account"):
        run(world, "acc_zzz")


def test_old_ids_go_with_their_account(world: Book) -> None:
    def merge(tx: Any) -> None:
        tx.execute(
            "INSERT INTO accounts (id, state, merged_into, created_at, updated_at) VALUES ('acc_old', 'merged', 'acc_a', 0, 0)"
        )
        tx.execute(
            "INSERT INTO accounts (id, state, merged_into, created_at, updated_at)"
            " VALUES ('acc_older', 'split', 'acc_old', 0, 0)"
        )
        tx.execute("INSERT INTO holds (policy, account, reason, at) VALUES ('p', 'acc_older', 'r', 0), ('p', 'acc_b', 'r', 0)")

    world.store.write_now(merge)
    assert run(world, "acc_older").accounts == ("acc_a", "acc_old", "acc_older")
    assert left(world) == BOBS
    assert world.all("SELECT account FROM holds") == [("acc_b",)]


def test_an_account_that_loses_a_part_is_solved_and_measured_again(world: Book) -> None:
    world.put(Account(id="cus_c", version=1, email="carol@example.com", external_id="ext-b"), invoice("in_c", "cus_c"))
    world.put(Account(id="cus_b", version=2, name="Bob Ltd", email=BOB, external_id="ext-b"))
    world.link("acc_b", "cus_c")
    world.store.write_now(lambda tx: tx.execute("DELETE FROM changes"))
    report = run(world, "carol@example.com")
    assert report.accounts == ()
    assert left(world) == sorted({*BOBS, *(record.id for record in of_anna())})
    assert world.all("SELECT type, id FROM changes") == [("account", "cus_b")]
    assert ("acc_b",) in world.all("SELECT account FROM dirty_accounts")
    assert world.put(Account(id="cus_b", version=3, email=BOB, external_id="ext-b"), at=NOW + 9).blocked == 0


def test_an_address_that_others_carry_is_not_turned_away_with_an_account(world: Book) -> None:
    world.put(Person(id="p_shared", version=1, account_ref="cus_b", email="Second@Example.com", name="Both"))
    run(world, "acc_a")
    assert world.get(Person, "p_shared") is not None
    assert world.put(Person(id="p_shared", version=2, account_ref="cus_b", email="Second@Example.com")).blocked == 0
    assert run(world, "second@example.com").records == {"person": 1}
    assert world.put(Person(id="p_other", version=1, email="second@example.com")).blocked == 1


def test_somebody_of_ours_is_forgotten_where_they_look_after_others(world: Book) -> None:
    world.put(
        Person(id="agent", version=1, email="sam@us.example", roles=["agent"]),
        Account(id="cus_b", version=5, owner_ref="agent"),
        Task(id="task", version=5, account_ref="cus_b", owner_ref="Sam@us.example", status="open"),
    )
    assert run(world, "sam@us.example").records == {"person": 1}
    assert world.all("SELECT id, owner_ref FROM r_account UNION SELECT id, owner_ref FROM r_task ORDER BY id") == [
        ("cus_a", None),
        ("cus_b", None),
        ("task", None),
    ]
    again = [
        Account(id="cus_b", version=6, owner_ref="agent"),
        Task(id="task", version=6, owner_ref="sam@us.example", status="open"),
    ]
    assert world.put(*again, at=NOW + 9).blocked == 0
    assert world.get(Account, "cus_b") == Account(id="cus_b", version=6)
    assert world.get(Task, "task") == Task(id="task", version=6, status="open")


def test_what_moved_to_another_account_stays_without_its_past(world: Book) -> None:
    world.put(invoice("in_moved", "cus_a", 1), at=NOW)
    world.put(invoice("in_moved", "cus_b", 2), at=NOW + 1)
    run(world, "acc_a")
    assert world.get(Invoice, "in_moved") == invoice("in_moved", "cus_b", 2)
    assert world.all("SELECT id FROM h_invoice") == []


def test_what_the_vendor_deleted_goes_with_its_past(world: Book) -> None:
    world.delete(
        *(Deletion(record=type_, id=id_, version=50) for type_, id_ in ((Account, "cus_a"), (Invoice, "in_a"))), at=NOW + 5
    )
    assert run(world, ANNA).accounts == ("acc_a",)
    assert left(world) == BOBS


def test_records_of_a_plugin_that_is_gone_are_found(world: Book) -> None:
    world.tables = RecordTables(CANONICAL, keyed_hash=keyed_hash)
    assert run(world, "acc_a").records["acme.visit"] == 1


@pytest.mark.parametrize("raw", [ANNA, json.dumps(ANNA)[1:-1].replace("@", r"\u0040"), quote(ANNA.upper())])
def test_dead_letters_that_mention_it_go(world: Book, raw: str) -> None:
    letters = [
        Reject(raw=b'{"email": "' + raw.encode() + b'"}', reason="broken"),
        Reject(raw=b"{", reason="broken", id="in_a"),
        Reject(raw=b'{"email": "jo' + ANNA.encode() + b'"}', reason="broken"),
        Reject(raw=b'{"id": "in_b"}', reason="broken", id="in_b"),
    ]
    world.store.write_now(lambda tx: dead_letters.add(tx, "crm", "all", letters, NOW))
    run(world, "acc_a")
    assert len(rows(world, "dead_letters")) == 2


def test_conflicts_that_name_it_go(world: Book) -> None:
    details = [
        '{"examples":[["crm","cus_a"],["crm","cus_z"]]}',
        '{"examples":[["crm","cus_b"]]}',
        '{"sides":[{"node":["crm","cus_a"]}]}',
    ]
    for number, detail in enumerate(details):
        world.store.write_now(
            lambda tx, row=(str(number), detail): tx.execute(
                "INSERT INTO conflicts (kind, subject, detail, at) VALUES ('k', ?, ?, 0)", row
            )
        )
    run(world, "acc_a")
    assert world.all("SELECT subject FROM conflicts") == [("1",)]


SWEPT = {
    "alert_notices", "alerts", "configs", "cursors", "instances", "limits", "locks", "meta", "plugin_state", "policies",
    "rates", "run_streams", "runs", "schedules", "tokens", "volumes",
}  # fmt: skip
"""Tables that are about no customer; an address in them is blanked all the same."""


def test_every_table_has_its_place_in_an_erasure() -> None:
    by_rule = {*erasing.BY_ACCOUNT, *erasing.BY_SUBJECT, *erasing.BY_RECORD, *erasing.UNTOUCHED}
    placed = by_rule | SWEPT | {"accounts", "manual_links", "conflicts"}
    assert set(metadata.tables) | {"alembic_version"} == placed, "say in wellkept.store.erase what becomes of a new table"


def filler(table: str, column: Column[Any], number: int) -> object:
    if isinstance(column.type, Text):
        return f"{number} {ANNA}, and on"
    if isinstance(column.type, LargeBinary):
        return b"sealed" if table == "tokens" else f"{number} {ANNA}".encode()
    return number


def test_an_address_in_any_column_of_any_table_goes(world: Book) -> None:
    def fill(tx: Any) -> None:
        for table in metadata.sorted_tables:
            if table.name in erasing.UNTOUCHED | {"audit_bodies"}:
                continue
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            marks = ", ".join("?" * len(table.columns))
            for number in (7001, 7002):
                values = [filler(table.name, column, number) for column in table.columns]
                tx.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)

    world.store.write_now(fill)
    assert bytes_of(world.store).count(f"7001 {ANNA}".encode()) > 50
    report = run(world, ANNA)
    assert report.blanked > 50
    assert ANNA.lower().encode() not in bytes_of(world.store).lower().replace("joanna.müller@example.com".encode(), b"")
    with world.store.read() as reader:
        assert audit.verify(reader) is None


def test_suppressions_stay_and_sent_messages_go(world: Book) -> None:
    digests = [keyed_hash(address_form(address)) for address in (ANNA, BOB)]

    def job(tx: Any) -> None:
        for digest in digests:
            tx.execute("INSERT INTO suppressions (address_digest, scope, reason, at) VALUES (?, 'all', 'bounce', 0)", (digest,))
            tx.execute(
                "INSERT INTO sent_messages (address_digest, account, purpose, at) VALUES (?, NULL, 'marketing', 0)", (digest,)
            )

    world.store.write_now(job)
    run(world, ANNA)
    assert world.all("SELECT COUNT(*) FROM suppressions") == [(2,)]
    assert world.all("SELECT address_digest FROM sent_messages") == [(digests[1],)]


def test_effects_go_with_their_account_or_target(world: Book) -> None:
    def plan(tx: Any) -> None:
        for key, account, target in (("k1", "acc_a", None), ("k2", "acc_b", "cus_a"), ("k3", "acc_b", "cus_b")):
            tx.execute(
                "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, account, target_instance,"
                " target_type, target_id, payload, reason, state, planned_at)"
                " VALUES (?, ?, 'r', 'p', '1', 'c', 'state', ?, 'crm', 'account', ?, '{}', 'x', 'sending', 0)",
                (key, key, account, target),
            )
            tx.execute("INSERT INTO effect_subjects (key, subject) VALUES (?, 'other')", (key,))

    world.store.write_now(plan)
    report = run(world, "acc_a")
    assert world.all("SELECT key FROM outbox") == [("k3",)]
    assert world.all("SELECT key FROM effect_subjects") == [("k3",)]
    assert report.removed["outbox"] == 2


def test_what_the_audit_says_of_an_effect_without_an_account_goes(world: Book) -> None:
    def plan(tx: Any) -> None:
        for key, target in (("k1", "in_a"), ("k2", "in_b")):
            tx.execute(
                "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, target_instance,"
                " target_type, target_id, payload, reason, state, planned_at)"
                " VALUES (?, ?, 'run_1', 'p', '1', 'c', 'once', 'crm', 'invoice', ?, '{}', 'x', 'planned', 0)",
                (key, key, target),
            )
            audit.append(tx, "effect.planned", "run_1", {"effect": key}, now=NOW)

    world.store.write_now(plan)
    run(world, "acc_a")
    with world.store.read() as reader:
        assert [entry.body for entry in audit.entries(reader, after=2)][:2] == [None, {"effect": "k2"}]


def test_who_reads_an_older_state_is_waited_for_another_time(world: Book) -> None:
    with world.store.read():
        assert run(world, ANNA).compacted is False
    assert run(world, ANNA).compacted is True
    assert ANNA.encode() not in bytes_of(world.store).replace("Joanna.Müller@Example.com".encode(), b"")


def test_copies_beside_the_store_are_named(world: Book) -> None:
    """Those that migrations leave, and those that restores keep."""
    path = world.store.path
    copies: tuple[Path | str, ...]
    if path is None:
        copies = ("public_before_restore_20261122T000000",)
        world.store.write_now(lambda tx: tx.execute(f'CREATE SCHEMA "{copies[0]}"'))
    else:
        copies = path.with_name("wellkept.db.bak-0000"), path.with_name("wellkept.db.before-restore-20261122T000000")
        for copy in copies:
            copy.write_bytes(b"")
    assert run(world, ANNA).copies == copies


def test_an_erasure_is_whole_or_not_at_all(world: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_sweep", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(world, ANNA)
    assert left(world) == sorted({*BOBS, *(record.id for record in of_anna())})
    monkeypatch.undo()
    run(world, ANNA)
    assert left(world) == BOBS


def test_an_erasure_survives_reopening(world: Book, address: Path | str) -> None:
    run(world, ANNA)
    world.store.close()
    with closing(open_store(address)) as again:
        assert again.write_now(lambda tx: world.tables.upsert(tx, "crm", "all", of_anna(), NOW)).blocked == len(of_anna())
