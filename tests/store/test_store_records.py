"""What readings become, row by row: order of arrival, ties, deletions, ownership, queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from wellkept.errors import FatalError, StoreError
from wellkept.records import CANONICAL, Account, Invoice, PaymentMethod, Person, Record, Subscription, Task, Ticket, Usage
from wellkept.source import Deletion, Replace
from wellkept.store import Store
from wellkept.store.connection import MISFITS
from wellkept.store.records import RecordTables, Upserted

if TYPE_CHECKING:
    from conftest import Book

NOW = 1_795_219_200_000
DAY = 86_400_000


def invoice(id_: str = "in_1", version: int = 1, account_ref: str = "cus_1", **fields: Any) -> Invoice:
    return Invoice(
        id=id_, version=version, account_ref=account_ref, **{"status": "open", "currency": "usd", "amount_due": 100, **fields}
    )


def usage(day: str, subject: str, count: int = 1, version: int = NOW, **fields: Any) -> Usage:
    return Usage.of(subject=subject, event="login", day=day, count=count, version=version, **fields)


# --- one row ---


def test_a_record_comes_back_as_it_went_in(book: Book) -> None:
    records: list[Record] = [
        Account(id="a", version=1, updated_at=7, name="Ümläut 中文", domains=["x.com", "y.com"], extra={"k": [1, {"z": None}]}),
        Person(id="p", version=1, roles=["billing"], email_verified=True, marketing_consent=False),
        Person(id="q", version=1),
        Subscription(id="s", version=1, account_ref="a", status="active", currency="eur", mrr=5, cancel_at_period_end=True),
        invoice(amount_due=2**63 - 1),
        PaymentMethod(id="m", version=1, kind="card", is_default=True),
        Ticket(id="t", version=1, status="new", created_at=3, tags=["a", "b"], churn_intent=True),
    ]
    assert book.put(*records) == Upserted(inserted=len(records))
    for record in records:
        assert book.get(type(record), record.id) == record


def test_an_older_version_never_overwrites_a_newer_one(book: Book) -> None:
    book.put(invoice(version=5, amount_due=500))
    assert book.put(invoice(version=4, amount_due=400), at=NOW + 1) == Upserted(older=1)
    assert book.get(Invoice, "in_1") == invoice(version=5, amount_due=500)


def test_of_equal_versions_the_later_observed_stands(book: Book) -> None:
    book.put(invoice(amount_due=1), at=NOW)
    assert book.put(invoice(amount_due=2), at=NOW + 1).updated == 1
    assert book.put(invoice(amount_due=3), at=NOW).older == 1
    assert book.get(Invoice, "in_1") == invoice(amount_due=2)


def test_an_unchanged_row_is_not_rewritten(book: Book) -> None:
    book.put(invoice(version=5), at=NOW)
    place = "rowid" if book.store.path else "ctid"
    before = book.all(f"SELECT {place}, * FROM r_invoice")
    changes = book.all("SELECT * FROM changes")
    assert book.put(invoice(version=5), at=NOW + DAY) == Upserted(unchanged=1)
    assert book.all(f"SELECT {place}, * FROM r_invoice") == before
    assert book.all("SELECT * FROM changes") == changes
    assert not book.all("SELECT * FROM h_invoice")


def test_the_version_of_an_unchanged_row_goes_up_and_never_down(book: Book) -> None:
    book.put(invoice(version=1, amount_due=1), at=NOW)
    assert book.put(invoice(version=9, amount_due=1), at=NOW + 1).unchanged == 1
    assert book.put(invoice(version=2, amount_due=1), at=NOW + 2).unchanged == 1
    assert book.put(invoice(version=5, amount_due=5), at=NOW + 3).older == 1
    assert book.get(Invoice, "in_1") == invoice(version=9, amount_due=1)


def test_reading_the_same_every_night_writes_no_history(book: Book) -> None:
    for night in range(5):
        book.put(invoice(version=NOW + night * DAY), at=NOW + night * DAY)
    assert not book.all("SELECT * FROM h_invoice")


def test_an_id_twice_in_one_batch_is_two_readings(book: Book) -> None:
    done = book.put(invoice(version=2, amount_due=2), invoice(version=3, amount_due=3), invoice(version=1, amount_due=1))
    assert done == Upserted(inserted=1, updated=1, older=1)
    assert book.get(Invoice, "in_1") == invoice(version=3, amount_due=3)


def test_types_may_be_mixed_and_share_ids(book: Book) -> None:
    book.put(Account(id="1", version=1), Person(id="1", version=1), invoice("1"))
    assert all(book.get(type_, "1") is not None for type_ in (Account, Person, Invoice))


def test_a_large_batch_is_stored_whole(book: Book) -> None:
    many = [invoice(f"in_{number:05}", amount_due=number) for number in range(1234)]
    assert book.put(*many).inserted == 1234
    assert book.put(*many, invoice("in_new")) == Upserted(inserted=1, unchanged=1234)


def test_a_new_default_field_changes_no_digest(book: Book) -> None:
    class Now(Record, frozen=True, kw_only=True, omit_defaults=True):
        type = "acme.thing"
        a: int

    class Later(Record, frozen=True, kw_only=True, omit_defaults=True):
        type = "acme.thing"
        a: int
        b: list[str] = []  # noqa: RUF012 - msgspec copies it
        c: bool = True

    before, after = RecordTables([Now]), RecordTables([Later])
    book.store.write_now(before.ensure)
    book.store.write_now(lambda tx: before.upsert(tx, "x", "s", [Now(id="1", version=1, a=1)], NOW))
    book.store.write_now(after.ensure)
    later = Later(id="1", version=1, a=1)
    assert book.store.write_now(lambda tx: after.upsert(tx, "x", "s", [later], NOW)).unchanged == 1
    with book.store.read() as reader:
        assert after.get(reader, Later, "x", "1") == later


@pytest.mark.parametrize("id_", ['a,"version":7,"updated_at":8', "a\\", 'q"', "中"])
def test_a_digest_is_not_fooled_by_an_id(book: Book, id_: str) -> None:
    shape = book.tables.shape(Invoice)
    assert shape.digest(invoice(id_)) == shape.digest(invoice("other", version=99, updated_at=5))
    assert shape.digest(invoice(id_)) != shape.digest(invoice(id_, amount_due=1))


@pytest.mark.parametrize(
    "bad",
    [
        invoice(amount_due="12 USD"),
        invoice(amount_due=1.5),
        invoice(amount_due=2**63),
        invoice(number="\udc80"),
        invoice(number=b"bytes"),
        invoice(extra={"x": object()}),
        invoice(id_=None),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_its_neighbours_can_stay(book: Book, bad: Invoice) -> None:
    def job(tx: Any) -> None:
        book.tables.upsert(tx, "crm", "all", [invoice("good")], NOW)
        with pytest.raises(MISFITS), tx.savepoint():
            book.tables.upsert(tx, "crm", "all", [invoice("a"), bad], NOW)

    book.store.write_now(job)
    assert book.get(Invoice, "good") is not None
    assert book.get(Invoice, "a") is None


# --- deletions ---


def test_a_reported_deletion_stands_until_a_newer_version(book: Book) -> None:
    book.put(invoice(version=5))
    assert book.delete(Deletion(record=Invoice, id="in_1", version=6, at=NOW - 1), at=NOW + 1) == 1
    assert book.get(Invoice, "in_1") is None
    assert book.put(invoice(version=4), at=NOW + 2).older == 1
    assert book.put(invoice(version=6), at=NOW + 3).older == 1
    assert book.get(Invoice, "in_1") is None
    assert book.put(invoice(version=7), at=NOW + 4).updated == 1
    assert book.get(Invoice, "in_1") == invoice(version=7)


def test_a_deletion_that_comes_first_is_remembered(book: Book) -> None:
    assert book.delete(Deletion(record=Invoice, id="in_1", version=6)) == 0
    assert book.put(invoice(version=5), at=NOW + 1).older == 1
    assert book.get(Invoice, "in_1") is None
    assert not book.all("SELECT * FROM changes")


def test_an_older_deletion_deletes_nothing(book: Book) -> None:
    book.put(invoice(version=5))
    assert book.delete(Deletion(record=Invoice, id="in_1", version=4)) == 0
    assert book.get(Invoice, "in_1") == invoice(version=5)


def test_a_deleted_row_keeps_its_place_and_not_its_content(book: Book) -> None:
    book.link("A", "cus_1")
    book.put(invoice(version=1, number="X-1"))
    book.delete(Deletion(record=Invoice, id="in_1", version=2), Deletion(record=Invoice, id="in_1", version=9), at=NOW + 1)
    assert book.all("SELECT deleted, version, account_ref, number FROM r_invoice") == [(1, 9, None, None)]
    assert book.all("SELECT account, at FROM dirty_accounts") == [("A", NOW + 1)]
    assert book.delete(Deletion(record=Invoice, id="in_1", version=10), at=NOW + 2) == 0
    assert book.all("SELECT version, observed_at FROM r_invoice") == [(10, NOW + 1)]


# --- generations ---


def day(text: str) -> Replace:
    return Replace(record=Usage, field="day", start=text, end=text + "~")


def test_a_day_read_twice_never_doubles(book: Book) -> None:
    first = [usage("2026-11-01", "u1", 3), usage("2026-11-01", "u2", 4), usage("2026-11-02", "u1", 5)]
    book.put(*first)
    again = [usage("2026-11-01", "u1", 7, version=NOW + 1)]
    assert book.replace(day("2026-11-01"), *again, at=NOW + 1) == Upserted(updated=1, removed=1)
    assert book.replace(day("2026-11-01"), *again, at=NOW + 1) == Upserted(unchanged=1)
    assert book.all("SELECT day, subject, count FROM r_usage ORDER BY day") == [
        ("2026-11-01", "u1", 7),
        ("2026-11-02", "u1", 5),
    ]


def test_a_generation_that_was_read_earlier_removes_nothing_newer(book: Book) -> None:
    book.put(usage("2026-11-01", "u1", version=NOW + 5), at=NOW + 5)
    assert book.replace(day("2026-11-01"), at=NOW).removed == 0
    assert book.replace(day("2026-11-01"), at=NOW + 6).removed == 1


def test_a_generation_leaves_other_streams_alone(book: Book) -> None:
    book.put(usage("2026-11-01", "u1"), stream="other")
    assert book.replace(day("2026-11-01")).removed == 0


def test_a_generation_of_a_type_with_history_leaves_the_past_as_it_was(book: Book) -> None:
    book.put(invoice(created_at=5, updated_at=5), at=NOW)
    span = Replace(record=Invoice, field="created_at", start=0, end=10)
    assert book.replace(span, at=NOW + 2).removed == 1
    assert book.get(Invoice, "in_1") is None
    assert book.known(Invoice, NOW + 1) == {"in_1": book.tables.shape(Invoice).digest(invoice(created_at=5))}
    assert book.put(invoice(created_at=5, updated_at=5), at=NOW + 3).updated == 1


@pytest.mark.parametrize(
    "wrong",
    [
        Replace(record=Usage, field="nothing", start="a", end="b"),
        Replace(record=Usage, field="day", start=1, end=2),
        Replace(record=Usage, field="day", start="a", end=2),
        Replace(record=Usage, field="extra", start="a", end="b"),
    ],
)
def test_a_generation_must_be_a_range_of_a_column(book: Book, wrong: Replace) -> None:
    book.put(usage("2026-11-01", "u1"))
    with pytest.raises(FatalError, match=r"crm\.all: a generation of usage"):
        book.replace(wrong)
    assert book.all("SELECT COUNT(*) FROM r_usage") == [(1,)]


# --- what others are told ---


def test_changed_rows_are_queued_and_unchanged_ones_are_not(book: Book) -> None:
    book.tables = RecordTables(CANONICAL, fact_types={Invoice})
    book.put(invoice(), Account(id="cus_1", version=1))
    book.put(invoice(version=2), Account(id="cus_1", version=2), at=NOW + 1)
    book.put(invoice(version=3, amount_due=1), at=NOW + 2)
    book.delete(Deletion(record=Invoice, id="in_1", version=4), at=NOW + 3)
    queued = book.all("SELECT type, instance, id, at FROM changes ORDER BY seq")
    assert queued == [
        ("invoice", "crm", "in_1", NOW),
        ("account", "crm", "cus_1", NOW),
        ("invoice", "crm", "in_1", NOW + 2),
        ("invoice", "crm", "in_1", NOW + 3),
    ]
    facts = book.all("SELECT type, instance, id, at FROM fact_queue ORDER BY seq")
    assert facts == [row for row in queued if row[0] == "invoice"]


def test_an_account_that_loses_a_row_is_measured_again(book: Book) -> None:
    book.link("A", "cus_1")
    book.link("B", "cus_2")
    book.put(
        Ticket(id="t", version=1, account_ref="cus_1", status="new", created_at=1),
        usage("2026-11-01", "u", account_ref="cus_2"),
    )
    assert not book.all("SELECT * FROM dirty_accounts")
    book.put(Ticket(id="t", version=2, account_ref="cus_2", status="new", created_at=1), at=NOW + 1)
    assert book.all("SELECT account, at FROM dirty_accounts") == [("A", NOW + 1)]
    book.replace(day("2026-11-01"), at=NOW + 2)
    assert book.all("SELECT account, at FROM dirty_accounts ORDER BY account") == [("A", NOW + 1), ("B", NOW + 2)]


# --- whose row it is ---


def test_a_row_belongs_to_the_account_that_it_names_else_to_its_persons(book: Book) -> None:
    book.link("A", "cus_1")
    book.link("B", "cus_2")
    book.link("C", "p_3", type_="person")
    tickets = {
        "named": {"account_ref": "cus_1", "person_ref": "p_2"},
        "through": {"person_ref": "p_2"},
        "linked": {"person_ref": "p_3"},
        "unlinked account": {"account_ref": "cus_9", "person_ref": "p_2"},
        "nobody": {"person_ref": "p_9"},
    }
    persons = [
        Person(id="p_1", version=1, account_ref="cus_1"),
        Person(id="p_2", version=1, account_ref="cus_2"),
        Person(id="p_3", version=1, account_ref="cus_1"),
    ]
    book.put(
        *(Ticket(id=id_, version=1, status="new", created_at=1, **refs) for id_, refs in tickets.items()),
        *persons,
        *(Account(id=f"cus_{number}", version=1) for number in (1, 2, 9)),
    )
    owners = {"named": "A", "through": "B", "linked": "C", "unlinked account": None, "nobody": None}
    with book.store.read() as reader:
        assert {id_: book.tables.account_of(reader, Ticket, "crm", id_) for id_ in tickets} == owners
        assert [book.tables.account_of(reader, Person, "crm", person.id) for person in persons] == ["A", "B", "C"]
        assert book.tables.account_of(reader, Account, "crm", "cus_9") is None
    for account in "ABC":
        assert [ticket.id for ticket in book.of_account(Ticket, account)] == [
            t for t, owner in owners.items() if owner == account
        ]
    assert [person.id for person in book.of_account(Person, "A")] == ["p_1"]
    assert [person.id for person in book.of_account(Person, "C")] == ["p_3"]
    assert [record.id for record in book.of_account(Account, "B")] == ["cus_2"]


def test_deleted_rows_are_not_read(book: Book) -> None:
    book.link("A", "cus_1")
    book.put(invoice("in_1"), invoice("in_2"))
    book.delete(Deletion(record=Invoice, id="in_1", version=2))
    assert [row.id for row in book.of_account(Invoice, "A")] == ["in_2"]
    with book.store.read() as reader:
        assert [row.id for _, row in book.tables.rows(reader, Invoice)] == ["in_2"]
        assert [row.id for _, row in book.tables.rows(reader, Invoice, "t.amount_due > ?", (100,))] == []
        assert book.tables.count(reader, "crm", "all") == 1
        assert book.tables.count(reader, "crm", "all", Account) == 0


# --- types ---


def make(name: str, fields: dict[str, Any], type_name: str = "acme.thing", *, history: bool = False) -> type[Record]:
    namespace = {"__annotations__": fields, "type": type_name, "history": history, "__module__": __name__}
    return type(Record)(name, (Record,), namespace, frozen=True, kw_only=True, omit_defaults=True)  # type: ignore[no-any-return]


def test_a_field_that_changes_its_kind_is_refused(book: Book) -> None:
    book.store.write_now(RecordTables([make("One", {"a": str | None})]).ensure)
    with pytest.raises(StoreError, match=r"acme\.thing: field a was text and is now json"):
        book.store.write_now(RecordTables([make("Two", {"a": list[str]})]).ensure)


def test_a_field_may_become_optional_or_go(book: Book) -> None:
    one, two, three = make("One", {"a": int, "b": str}), make("Two", {"a": int | None, "b": str}), make("Three", {"b": str})
    for type_ in (one, two, three, one):
        tables = RecordTables([type_])
        book.store.write_now(tables.ensure)
    book.store.write_now(lambda tx: tables.upsert(tx, "x", "s", [one(id="1", version=1, a=1, b="b")], NOW))


def test_a_type_may_gain_history(book: Book) -> None:
    book.store.write_now(RecordTables([make("One", {"a": int})]).ensure)
    two = make("Two", {"a": int}, history=True)
    tables = RecordTables([two])
    book.store.write_now(tables.ensure)
    for version in (1, 2):
        row = two(id="1", version=version, a=version)
        book.store.write_now(lambda tx, row=row: tables.upsert(tx, "x", "s", [row], NOW + row.version))
    assert book.all("SELECT a FROM h_acme_thing") == [(1,)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a": tuple[int, str]}, "field a has a type that cannot be stored"),
        ({"a": int | str}, "field a has a type that cannot be stored"),
        ({"instance": str}, "the field name instance is taken"),
        ({"Upper": str}, "'Upper' cannot name a column"),
        ({"a" * 64: str}, "has more than 63 characters"),
    ],
)
def test_a_field_that_cannot_be_stored_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        RecordTables([make("Bad", fields)])


def test_a_name_that_no_database_can_hold_is_refused() -> None:
    RecordTables([make("Long", {"a": int}, "acme." + "x" * 39)])
    with pytest.raises(StoreError, match="has more than 44 characters"):
        RecordTables([make("Longer", {"a": int}, "acme." + "x" * 40)])


def test_two_types_cannot_share_a_table() -> None:
    with pytest.raises(StoreError, match=r"Two and .*One are both stored as r_acme_thing"):
        RecordTables([make("One", {"a": int}), make("Two", {"a": int}, "acme_thing")])


def test_an_unknown_type_is_named(book: Book) -> None:
    stranger = make("Stranger", {"a": int})
    with pytest.raises(StoreError, match=r"acme\.thing .*Stranger\) is unknown"):
        book.put(stranger(id="1", version=1, a=1))
    with pytest.raises(StoreError, match=r"acme\.thing"):
        book.delete(Deletion(record=stranger, id="1", version=1))


def test_a_field_may_be_called_like_a_keyword(book: Book) -> None:
    word = make("Word", {"order": int, "group": str | None, "select": dict[str, int]})
    tables = RecordTables([word])
    book.store.write_now(tables.ensure)
    row = word(id="1", version=1, order=1, group=None, select={"a": 1})
    book.store.write_now(lambda tx: tables.upsert(tx, "x", "s", [row], NOW))
    with book.store.read() as reader:
        assert tables.get(reader, word, "x", "1") == row
    assert list(tables.columns(word))[-4:] == ["extra", "order", "group", "select"]


def test_a_task_without_optional_fields_is_one_row(book: Book) -> None:
    book.put(Task(id="t", version=1, status="open"))
    assert msgspec.json.decode(book.all("SELECT extra FROM r_task")[0][0]) == {}


def plan_of(store: Store, sql: str, params: list[str]) -> str:
    """What PostgreSQL would do, if it had to read a whole table only where there is no other way."""
    with store.read() as reader:
        reader._connection.execute("SET LOCAL enable_seqscan = off")
        return "\n".join(line for (line,) in reader.all(f"EXPLAIN {sql}", params))


@pytest.mark.parametrize("type_", CANONICAL)
def test_what_an_account_has_is_found_by_index(book: Book, type_: type[Record]) -> None:
    asked: list[str] = []

    class Listening:
        def rows(self, sql: str, _: Any) -> list[Any]:
            asked.append(sql)
            return []

    assert list(book.tables.owned(Listening(), type_, "A")) == []  # type: ignore[arg-type]
    params = ["A"] * asked[0].count("?")
    if book.store.path is None:
        assert "Seq Scan" not in plan_of(book.store, asked[0], params)
        return
    plan = [row[3] for row in book.all(f"EXPLAIN QUERY PLAN {asked[0]}", params)]
    assert not [step for step in plan if step.startswith("SCAN")]
    assert not [step for step in plan if "USING INDEX" in step and step.endswith("(instance=?)")]
