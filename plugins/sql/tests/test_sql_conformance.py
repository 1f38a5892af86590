"""Wellkept's standard tests, on a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, ClassVar
from weakref import finalize

import pytest
import sqlalchemy as sa

from wellkept.testing import FakeClock
from wellkept.testing.conformance import SourceTests

ROWS = 8


class Warehouse:
    """A small database with customers, some of which changed in the same second, and what they have paid."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.folder = Path(mkdtemp(prefix="wellkept-sql-"))
        finalize(self, rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "warehouse-with-a-secret-name.db"
        self.path.touch()
        self.run(
            "CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT, mail TEXT, changed TEXT)",
            "CREATE TABLE payments (id INTEGER PRIMARY KEY, customer TEXT, cents INTEGER, paid TEXT)",
        )
        for number in range(ROWS):
            changed, paid = f"2026-11-20T10:00:{number // 3:02}", f"2026-11-{number + 1:02}T10:00:00Z"
            customer = f"'c{number}', 'Company {number}', 'c{number}@company.example', '{changed}'"
            payment = f"{number}, 'c{number % 3}', {number * 100 + 99}, '{paid}'"
            self.run(f"INSERT INTO customers VALUES ({customer})", f"INSERT INTO payments VALUES ({payment})")  # noqa: S608

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def run(self, *statements: str) -> None:
        """Change something in the database, as its owner."""
        engine = sa.create_engine(f"sqlite:///{self.path}")
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()


class TestSqlSource(SourceTests):
    plugin = "sql"
    over_http = False
    QUERIES: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "customers",
            "query": "SELECT * FROM customers WHERE name LIKE :pattern",
            "params": {"pattern": "Company%"},
            "cursor": "changed",
            "record": "account",
            "id": "id",
            "fields": {"name": "name", "email": "mail"},
        },
        {
            "name": "payments",
            "query": "WITH all_of_them AS (SELECT * FROM payments) SELECT * FROM all_of_them;",
            "record": "payment_attempt",
            "id": "id",
            "fields": {
                "account_ref": "customer",
                "status": {"value": "succeeded"},
                "currency": {"value": "usd"},
                "amount": {"column": "cents", "unit": "minor"},
                "attempted_at": "paid",
            },
        },
    ]

    def varying(self, vendor: Warehouse) -> Iterable[str]:
        return [str(vendor.folder)]

    def vendor(self, clock: FakeClock) -> Warehouse:
        return Warehouse(clock)

    def keys(self, vendor: Warehouse, url: str) -> Mapping[str, Any]:
        return {"url": "env:WAREHOUSE_URL", "batch_rows": 3, "queries": self.QUERIES}

    def secrets(self, vendor: Warehouse) -> Mapping[str, str]:
        return {"WAREHOUSE_URL": vendor.url}

    def change(self, vendor: Warehouse, stream: str) -> bool:
        if stream == "customers":
            vendor.run("UPDATE customers SET name = 'Company Ltd', changed = '2026-11-20T11:00:00' WHERE id = 'c1'")
        else:
            vendor.run("UPDATE payments SET cents = 1 WHERE id = 1")
        return True

    def spoil_row(self, vendor: Warehouse, stream: str) -> Callable[[], object]:
        vendor.run("UPDATE customers SET mail = x'00ff' WHERE id = 'c1'", "UPDATE payments SET paid = 'then' WHERE id = 1")
        return lambda: vendor.run(
            "UPDATE customers SET mail = 'c1@company.example' WHERE id = 'c1'",
            "UPDATE payments SET paid = '2026-11-02T10:00:00Z' WHERE id = 1",
        )

    def stories(self, vendor: Warehouse) -> Mapping[str, Sequence[Callable[[], object]]]:
        customers, payments = self.QUERIES

        def run(*statements: str) -> Callable[[], object]:
            return lambda: vendor.run(*statements)

        def query(base: Mapping[str, Any] = customers, **keys: Any) -> Callable[[], object]:
            return lambda: {"queries": [{**base, **keys}]}

        def put(number: int, name: str, changed: str) -> str:
            return f"INSERT OR REPLACE INTO customers VALUES ('c{number}', 'Company {name}', NULL, '{changed}')"  # noqa: S608

        days = 86_400
        plain = "SELECT * FROM customers"
        return {
            "rows come late": [
                query(lookback=60),
                run(put(20, "in time", "2026-11-20T09:59:02"), put(21, "too late", "2026-11-20T09:59:01")),
                run(put(22, "new", "2026-11-20T12:00:00")),
                lambda: None,
            ],
            "nothing is looked back for": [
                query(lookback=0),
                run(put(9, "after", "2026-11-20T10:00:02"), put(1, "of then", "")),
            ],
            "a number is the cursor": [
                query(payments, cursor="id", lookback=2, reconcile_days=0),
                run("UPDATE payments SET cents = 1 WHERE id = 4", "UPDATE payments SET cents = 5 WHERE id = 5"),
                run("DELETE FROM payments WHERE id = 3"),
                lambda: vendor.clock.advance(400 * days),
            ],
            "all is read again after some days": [
                query(reconcile_days=2),
                run("DELETE FROM customers WHERE id = 'c3'"),
                lambda: vendor.clock.advance(2 * days - 7_201),
                lambda: vendor.clock.advance(2 * days),
            ],
            "rows are marked as gone": [
                query(query=plain, params={}, deleted="mail"),
                *(
                    run(f"UPDATE customers SET mail = '{word}', changed = '2026-11-21' WHERE id = 'c2'")  # noqa: S608
                    for word in ("No ", "yes")
                ),
            ],
            "a row has no cursor": [query(), run("UPDATE customers SET changed = NULL WHERE id = 'c2'"), query(lookback=301)],
            "a cursor of words": [
                query(cursor="name", lookback=5),
                lambda: None,
                query(cursor="name", lookback=0),
                run(put(30, "9", "")),
            ],
            "a query does not work": [
                query(query="SELECT * FROM nowhere", params={}),
                query(query=plain, params={}, id="nothing"),
            ],
        }

    def contents(self, vendor: Warehouse) -> object:
        return vendor.path.read_bytes()

    def refuse(self, vendor: Warehouse) -> None:
        """Take our grants away: SQLite has none, so its authorizer denies what we read."""
        sa.event.listen(sa.Engine, "connect", deny)

    @pytest.fixture(autouse=True)
    def grants_come_back(self) -> Iterator[None]:
        yield
        if sa.event.contains(sa.Engine, "connect", deny):
            sa.event.remove(sa.Engine, "connect", deny)


def deny(connection: Any, record: Any) -> None:
    """Let SQLite refuse to read any table."""
    import sqlite3

    connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
