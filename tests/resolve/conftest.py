from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wellkept.identity.review import Review
from wellkept.identity.rules import Rules
from wellkept.pipeline.resolve import ResolveReport, resolve
from wellkept.records import CANONICAL, Account, Person, Record
from wellkept.settings import Identity
from wellkept.store import Store, accounts, open_store
from wellkept.store.accounts import Conflict, Manual, Node
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "wellkept.db", FakeClock())
    yield opened
    opened.close()


@pytest.fixture
def tables(store: Store) -> RecordTables:
    made = RecordTables(CANONICAL)
    store.write_now(made.ensure)
    return made


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store; a copy of it is there at once."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    opened = open_store(path, FakeClock())
    opened.write_now(RecordTables(CANONICAL).ensure)
    opened.close()
    return path


@dataclass
class Book:
    """A store, and short ways to say what vendors know; records are called INSTANCE:ID."""

    store: Store
    tables: RecordTables
    rules: Rules
    now: int = 1_000

    def put(self, name: str, /, **fields: Any) -> None:
        """Store an account record; a later word about it takes the place of an earlier one."""
        self._put(Account, name, fields)

    def person(self, name: str, /, **fields: Any) -> None:
        """Store a person record."""
        self._put(Person, name, fields)

    def _put(self, type_: type[Record], name: str, fields: dict[str, Any]) -> None:
        self.now += 1
        instance, _, id_ = name.partition(":")
        record = type_(**{"id": id_, "version": self.now, **fields})
        self.store.write_now(lambda tx: self.tables.upsert(tx, instance, "all", [record], self.now))

    def say(self, a: str, b: str, relation: Any = "same") -> None:
        self.now += 1
        word = Manual(a=node(a), b=node(b), relation=relation, author="ada", reason="called them", at=self.now)
        self.store.write_now(lambda tx: accounts.put_manual(tx, word))

    def resolve(self, **more: Any) -> ResolveReport:
        self.now += 1
        return resolve(self.store, self.tables, now=self.now, **{"rules": self.rules, **more})

    def read(self, job: Callable[..., Any], *args: Any) -> Any:
        with self.store.read() as reader:
            return job(reader, *args)

    def table(self, sql: str) -> list[Any]:
        return self.read(lambda reader: reader.all(sql))  # type: ignore[no-any-return]

    def groups(self, *, resolved: bool = False) -> set[frozenset[str]]:
        """Which records are one customer."""
        if not resolved:
            self.resolve()
        found: dict[str, set[str]] = {}
        for instance, id_, account in self.table("SELECT instance, record_id, account FROM links WHERE type = 'account'"):
            found.setdefault(account, set()).add(f"{instance}:{id_}")
        return set(map(frozenset, found.values()))

    def together(self, *names: str) -> bool:
        """Whether some records are one customer, and nobody else is."""
        return frozenset(names) in self.groups()

    def home(self, name: str) -> str:
        found = self.read(accounts.account_of, *node(name))
        assert found is not None, name
        return str(found)

    def homes(self) -> dict[str, str]:
        """The accounts of persons."""
        rows = self.table("SELECT instance, record_id, account FROM links WHERE type = 'person'")
        return {f"{instance}:{id_}": account for instance, id_, account in rows}

    def why(self, name: str) -> str:
        found = dict(self.read(accounts.evidence, self.home(name)))
        return str(found[node(name)]["rule"])

    def state(self, name: str) -> str:
        return str(self.read(accounts.account, self.home(name)).state)

    def conflicts(self) -> list[Conflict]:
        return list(self.read(accounts.conflicts))

    def review(self, job: Callable[[Review], Any]) -> Any:
        with self.store.read() as reader:
            return job(Review(reader, self.tables, self.rules))

    def close(self) -> None:
        self.store.close()


def node(name: str) -> Node:
    instance, _, id_ = name.partition(":")
    return Node(instance, id_)


MakeBook = Callable[..., Book]


@pytest.fixture
def make_book(empty: Path, tmp_path: Path) -> Iterator[MakeBook]:
    """Make a book in a store of its own."""
    made: list[Book] = []

    def make(rules: Rules | None = None) -> Book:
        path = Path(shutil.copy(empty, tmp_path / f"{len(made)}.db"))
        book = Book(open_store(path, FakeClock()), RecordTables(CANONICAL), rules or Rules.of(Identity()))
        made.append(book)
        return book

    yield make
    for book in made:
        book.close()


@pytest.fixture
def book(make_book: MakeBook) -> Book:
    return make_book()
