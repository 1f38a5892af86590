"""Absence from a complete full read, whose row it is, and what is never deleted for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wellkept.errors import FatalError
from wellkept.records import CANONICAL, Account, Invoice, Person
from wellkept.source import Deletion, Reject
from wellkept.store import dead_letters
from wellkept.store.records import RecordTables

if TYPE_CHECKING:
    from conftest import Book

NOW = 1_795_219_200_000
DAY = 86_400_000


def accounts(*ids: str, version: int = 1, **fields: Any) -> list[Account]:
    return [Account(id=id_, version=version, **fields) for id_ in ids]


def alive(book: Book) -> list[str]:
    return [id_ for (id_,) in book.all("SELECT id FROM r_account WHERE deleted = 0 ORDER BY id")]


def absent(book: Book, generation: int, type_: type[Any] = Account) -> int:
    with book.store.read() as reader:
        return book.tables.absent(reader, book.instance, book.stream, type_, generation)


def test_what_a_full_read_did_not_find_is_deleted(book: Book) -> None:
    book.put(*accounts("a", "b", "c"))
    read = book.begin_full(NOW + DAY)
    book.put(*accounts("a"), *accounts("b", version=2, name="new"), at=NOW + DAY, generation=read)
    assert absent(book, read) == 1
    assert book.delete_absent(Account, read, NOW + DAY + 9) == 1
    assert alive(book) == ["a", "b"]
    assert absent(book, read) == 0
    assert [row[0] for row in book.all("SELECT id FROM changes WHERE at = ?", (NOW + DAY + 9,))] == ["c"]


def test_marking_by_hand_is_the_same(book: Book) -> None:
    book.put(*accounts("a", "b"))
    read = book.begin_full(NOW + DAY)
    book.store.write_now(lambda tx: book.tables.mark_seen(tx, "crm", "all", Account, ["a"], read))
    assert book.delete_absent(Account, read, NOW + DAY) == 1
    assert alive(book) == ["a"]


def test_what_an_earlier_full_read_saw_does_not_count(book: Book) -> None:
    book.put(*accounts("a"))
    first = book.begin_full(NOW + DAY)
    book.put(*accounts("a"), at=NOW + DAY, generation=first)
    second = book.begin_full(NOW + 2 * DAY)
    assert absent(book, second) == 1


def test_only_unwritten_rows_cost_a_mark(book: Book) -> None:
    book.put(*accounts("a", "b"))
    read = book.begin_full(NOW + DAY)
    book.put(*accounts("a"), *accounts("b", version=2, name="x"), *accounts("c"), at=NOW + DAY, generation=read)
    assert book.all("SELECT id, generation FROM seen") == [("a", read)]
    book.store.write_now(lambda tx: book.tables.forget_seen(tx, "crm", "all"))
    assert not book.all("SELECT * FROM seen")


def test_rows_of_an_older_version_count_as_seen(book: Book) -> None:
    book.put(*accounts("a", version=9, name="newer"))
    read = book.begin_full(NOW + DAY)
    book.put(*accounts("a", version=8), at=NOW + DAY, generation=read)
    assert absent(book, read) == 0


def test_rows_written_meanwhile_are_not_absent(book: Book) -> None:
    book.put(*accounts("old"))
    read = book.begin_full(NOW + DAY)
    book.put(*accounts("new"), at=NOW + DAY + 1)
    assert book.delete_absent(Account, read, NOW + DAY + 2) == 1
    assert alive(book) == ["new"]


def test_rows_in_quarantine_are_not_absent(book: Book) -> None:
    book.put(*accounts("bad", "gone"))
    read = book.begin_full(NOW + DAY)
    letter = Reject(raw=b"{", reason="broken", id="bad")
    book.store.write_now(lambda tx: dead_letters.add(tx, "crm", "all", [letter], NOW + DAY))
    assert book.delete_absent(Account, read, NOW + DAY) == 1
    assert alive(book) == ["bad"]


def test_a_bad_row_without_an_id_may_be_any(book: Book) -> None:
    book.put(*accounts("a", "b"))
    letter = Reject(raw=b"{", reason="broken")
    book.store.write_now(lambda tx: dead_letters.add(tx, "crm", "all", [letter], NOW))
    read = book.begin_full(NOW + DAY)
    assert absent(book, read) == 2  # a letter of an earlier read says nothing about this one
    book.store.write_now(lambda tx: dead_letters.add(tx, "crm", "all", [letter], NOW + DAY))
    assert absent(book, read) == 0


def test_a_stream_deletes_only_what_it_owns(book: Book) -> None:
    book.put(*accounts("mine"))
    book.put(*accounts("theirs"), stream="other")
    read = book.begin_full(NOW + DAY)
    assert book.delete_absent(Account, read, NOW + DAY) == 1
    assert alive(book) == ["theirs"]


def test_a_stream_that_reads_a_row_owns_it_and_one_that_it_rides_on_does_not(book: Book) -> None:
    book.put(Person(id="p", version=1), stream="tickets")
    book.put(Person(id="p", version=1), stream="users", at=NOW + 1)
    assert book.all("SELECT stream FROM r_person") == [("users",)]
    riding = {"riding": frozenset({Person})}
    book.put(Person(id="p", version=2), stream="tickets", at=NOW + 2, **riding)
    book.put(Person(id="p", version=3, name="x"), Person(id="q", version=1), stream="tickets", at=NOW + 3, **riding)
    assert book.all("SELECT id, version, stream FROM r_person ORDER BY id") == [("p", 3, "users"), ("q", 1, "tickets")]


def test_a_row_that_was_only_hidden_comes_back_unchanged(book: Book) -> None:
    book.put(*accounts("a", version=5))
    read = book.begin_full(NOW + DAY)
    assert book.delete_absent(Account, read, NOW + DAY + 1) == 1
    assert book.put(*accounts("a", version=5), at=NOW + 2 * DAY).updated == 1
    assert alive(book) == ["a"]


@pytest.mark.parametrize(("version", "at"), [(4, NOW + 2 * DAY), (9, NOW + DAY - 1)])
def test_an_older_reading_does_not_undo_an_absence(book: Book, version: int, at: int) -> None:
    book.put(*accounts("a", version=5))
    read = book.begin_full(NOW + DAY)
    book.delete_absent(Account, read, NOW + DAY + 1)
    assert book.put(*accounts("a", version=version, name="old"), at=at).older == 1
    assert alive(book) == []


def test_a_report_of_deletion_confirms_an_absence(book: Book) -> None:
    book.put(*accounts("a", version=5))
    read = book.begin_full(NOW + DAY)
    book.delete_absent(Account, read, NOW + DAY + 1)
    assert book.delete(Deletion(record=Account, id="a", version=6), at=NOW + 2 * DAY) == 0
    assert book.put(*accounts("a", version=6), at=NOW + 3 * DAY).older == 1


def test_an_absence_is_known_only_when_the_read_has_ended(book: Book) -> None:
    book.put(*accounts("a", version=5, updated_at=NOW))
    read = book.begin_full(NOW + DAY)
    book.delete_absent(Account, read, NOW + DAY + 9)
    digest = book.tables.shape(Account).digest(*accounts("a"))
    assert book.known(Account, NOW + DAY + 8) == {"a": digest}
    assert book.known(Account, NOW + DAY + 9) == {"a": b"absent"}


def test_machines_learn_of_absence(book: Book) -> None:
    book.tables = RecordTables(CANONICAL, fact_types={Invoice})
    book.put(Invoice(id="i", version=1, account_ref="a", status="open", currency="usd", amount_due=1))
    read = book.begin_full(NOW + DAY)
    book.delete_absent(Invoice, read, NOW + DAY)
    assert book.all("SELECT id, at FROM fact_queue ORDER BY seq") == [("i", NOW), ("i", NOW + DAY)]


def test_without_a_full_read_nothing_is_absent(book: Book) -> None:
    book.put(*accounts("a"))
    read = book.begin_full(NOW + DAY)
    with pytest.raises(FatalError, match=rf"crm\.all: no full read number {read + 1} is under way"):
        book.delete_absent(Account, read + 1, NOW + DAY)
    assert alive(book) == ["a"]
