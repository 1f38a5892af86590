"""Links on the seeded market, whose truth is known: how many are right, how many are found, whatever came first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wellkept.identity.rules import Rules
from wellkept.pipeline.resolve import resolve
from wellkept.records import CANONICAL, Account, Person, Record
from wellkept.settings import Identity
from wellkept.store import Store, open_store
from wellkept.store.accounts import conflicts
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock
from wellkept.testing.links import LinkReport, judge
from wellkept.testing.world import SYSTEMS, Seen, System, World

NOW = 1_795_219_200_000
ACCOUNTS = 100
SEEDS = range(20)

MakeBook = Callable[..., Any]


def records(world: World, system: System) -> Iterator[Record]:
    """Yield what a connector would make of a system's sightings; billing knows no people, only an address."""
    for item in world.seen_by(system):
        yield Account(
            id=item.ref,
            version=NOW,
            name=item.name,
            external_id=item.external_id,
            email=item.email,
            phone=item.phone,
            domains=list(item.domains),
            tax_ids=[item.tax_id] if item.tax_id else [],
            merged_into=item.merged_into,
            created_at=item.created_at,
        )
        if system == "billing":
            continue
        for human in item.people:
            yield Person(
                id=f"{item.ref}/{human.key}",
                version=NOW,
                account_ref=item.ref,
                name=human.name,
                email=human.email,
                email_verified=system == "helpdesk",
                phone=human.phone,
            )


@dataclass
class Book:
    store: Store
    tables: RecordTables
    rules: Rules


def links(book: Any, world: World, systems: Sequence[System], *, chunk: int = 1_000, between: bool = False) -> dict[Seen, str]:
    """Resolve what some systems know, in their order, and return the account of each record."""
    for system in systems:
        found = list(records(world, system))
        book.store.write_now(lambda tx, found=found, system=system: book.tables.upsert(tx, system, "all", found, NOW))
        if between:
            resolve(book.store, book.tables, now=NOW, rules=book.rules, chunk=chunk)
    resolve(book.store, book.tables, now=NOW, rules=book.rules, chunk=chunk)
    with book.store.read() as reader:
        rows = reader.all("SELECT instance, record_id, account FROM links WHERE type = 'account'")
    return {Seen(system, ref): account for system, ref, account in rows}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> list[LinkReport]:
    """The judgement of every seed."""
    folder = tmp_path_factory.mktemp("seeds")
    found = []
    for seed in SEEDS:
        world = World(accounts=ACCOUNTS, seed=seed, now=NOW)
        store = open_store(Path(shutil.copy(empty, folder / f"{seed}.db")), FakeClock())
        book = Book(store, RecordTables(CANONICAL), Rules.of(Identity()))
        found.append(judge(world, links(book, world, SYSTEMS)))
        store.close()
    return found


def test_links_are_right(reports: list[LinkReport]) -> None:
    linked = sum(report.linked for report in reports)
    assert sum(report.right for report in reports) / linked >= 0.995
    wrong = 1000 * sum(report.wrong_merges for report in reports) / sum(report.accounts for report in reports)
    assert wrong <= 2, f"{wrong:.2f} wrong merges in 1,000 accounts"
    assert sum(report.precision >= 0.995 for report in reports) >= len(reports) - 2


def test_links_are_found(reports: list[LinkReport]) -> None:
    assert sum(report.met for report in reports) / sum(report.knowable for report in reports) >= 0.985
    assert min(report.recall for report in reports) >= 0.97


@pytest.mark.parametrize("seed", [3, 8])
def test_the_order_in_which_vendors_are_read_never_matters(make_book: MakeBook, seed: int) -> None:
    world = World(accounts=60, seed=seed, now=NOW)
    expected = links(first := make_book(), world, SYSTEMS)
    order = SYSTEMS[::-1]
    assert links(second := make_book(), world, order, chunk=37, between=True) == expected
    assert queue(first) == queue(second)


def queue(book: Any) -> set[tuple[str, str]]:
    return {(conflict.kind, conflict.subject) for conflict in book.read(conflicts)}
