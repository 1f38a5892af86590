"""LIMIT: the least that a program can do to bring three lists into a database, written by hand for this one vendor.

    python benchmarks/limit.py BASE DATABASE [--together]

pyreqwest, msgspec and sqlite3: typed columns and the raw document, upsert, the state in the same transaction as the rows, 5,000
rows a transaction, WAL. It has no retries, no limits, no identity, no history and no errors: what anything else costs beyond it
is the price of those.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Any

import msgspec
from pyreqwest.client import ClientBuilder

ROWS = 5_000


class Customer(msgspec.Struct, gc=False):
    """A customer: a row of accounts, and one of people."""

    id: str
    created: int
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    metadata: dict[str, str] = {}


class Recurring(msgspec.Struct, gc=False):
    """How often a price is due."""

    interval: str
    interval_count: int


class Price(msgspec.Struct, gc=False):
    """A price."""

    id: str
    product: str
    unit_amount: int
    recurring: Recurring


class Item(msgspec.Struct, gc=False):
    """An item of a subscription."""

    price: Price
    quantity: int
    current_period_end: int


class Items(msgspec.Struct, gc=False):
    """The items."""

    data: list[Item]


class Subscription(msgspec.Struct, gc=False):
    """A subscription."""

    id: str
    customer: str
    status: str
    currency: str
    created: int
    start_date: int
    items: Items


class Invoice(msgspec.Struct, gc=False):
    """An invoice."""

    id: str
    customer: str
    status: str
    currency: str
    amount_due: int
    amount_paid: int
    amount_remaining: int
    attempt_count: int
    number: str
    created: int


class Page(msgspec.Struct):
    """A page of a list; its rows keep their bytes."""

    data: list[msgspec.Raw]
    has_more: bool


def of_customer(row: Customer) -> dict[str, tuple[Any, ...]]:
    """Return the rows of a customer, by table."""
    return {
        "accounts": (row.id, row.name, row.email, row.phone, row.metadata.get("account_id"), row.created * 1000),
        "people": (row.id, row.id, row.name, row.email, row.phone, row.created * 1000),
    }


def of_subscription(row: Subscription) -> dict[str, tuple[Any, ...]]:
    """Return the row of a subscription, with what it is worth a month."""
    item = row.items.data[0]
    mrr = sum(each.quantity * each.price.unit_amount for each in row.items.data)
    return {
        "subscriptions": (
            row.id, row.customer, row.status, row.currency, mrr, item.price.product, item.quantity,
            item.price.recurring.interval, row.start_date * 1000, item.current_period_end * 1000,
        )
    }  # fmt: skip


def of_invoice(row: Invoice) -> dict[str, tuple[Any, ...]]:
    """Return the row of an invoice."""
    return {
        "invoices": (
            row.id, row.customer, row.status, row.currency, row.amount_due, row.amount_paid, row.amount_remaining,
            row.attempt_count, row.number, row.created * 1000,
        )
    }  # fmt: skip


TABLES = {
    "accounts": "id TEXT PRIMARY KEY, name TEXT, email TEXT, phone TEXT, external_id TEXT, created INTEGER, raw TEXT",
    "people": "id TEXT PRIMARY KEY, account TEXT, name TEXT, email TEXT, phone TEXT, created INTEGER, raw TEXT",
    "subscriptions": "id TEXT PRIMARY KEY, customer TEXT, status TEXT, currency TEXT, mrr INTEGER, product TEXT,"
    " quantity INTEGER, every TEXT, started INTEGER, ends INTEGER, raw TEXT",
    "invoices": "id TEXT PRIMARY KEY, customer TEXT, status TEXT, currency TEXT, due INTEGER, paid INTEGER, remaining INTEGER,"
    " attempts INTEGER, number TEXT, created INTEGER, raw TEXT",
}
LISTS: dict[str, tuple[type[Any], Any]] = {
    "customers": (Customer, of_customer),
    "subscriptions": (Subscription, of_subscription),
    "invoices": (Invoice, of_invoice),
}
_page = msgspec.json.Decoder(Page)


def open_database(path: str) -> sqlite3.Connection:
    """Make the tables."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("CREATE TABLE IF NOT EXISTS state (stream TEXT PRIMARY KEY, cursor TEXT) STRICT")
    for name, columns in TABLES.items():
        database.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) STRICT")
    return database


def write(database: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]], name: str, cursor: str | None) -> None:
    """Write rows and the state in one transaction."""
    database.execute("BEGIN IMMEDIATE")
    for table, values in rows.items():
        names = [part.split()[0] for part in TABLES[table].split(", ")]
        changes = ", ".join(f"{field} = excluded.{field}" for field in names[1:])
        database.executemany(
            f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))}) ON CONFLICT (id) DO UPDATE SET {changes}",  # noqa: S608
            values,
        )
    database.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, cursor))
    database.execute("COMMIT")


async def read(client: Any, base: str, database: sqlite3.Connection, name: str) -> None:
    """Read one list to its end."""
    type_, rows_of = LISTS[name]
    decoder = msgspec.json.Decoder(type_)
    after, count = None, 0
    rows: dict[str, list[tuple[Any, ...]]] = {}
    while True:
        query = f"limit=100&starting_after={after}" if after else "limit=100"
        answer = await client.get(f"{base}/v1/{name}?{query}").build().send()
        page = _page.decode(bytes(await answer.bytes()))
        for raw in page.data:
            row = decoder.decode(raw)
            text = str(bytes(raw), "utf-8")
            for table, values in rows_of(row).items():
                rows.setdefault(table, []).append((*values, text))
            after = row.id
        count += len(page.data)
        if count >= ROWS or not page.has_more:
            write(database, rows, name, after)
            rows, count = {}, 0
        if not page.has_more:
            return


async def main() -> None:
    """Read all lists, one after another or together."""
    base, path, *rest = sys.argv[1:]
    database = open_database(path)
    async with ClientBuilder().build() as client:
        jobs = [read(client, base, database, name) for name in LISTS]
        if "--together" in rest:
            await asyncio.gather(*jobs)
        else:
            for job in jobs:
                await job


if __name__ == "__main__":
    asyncio.run(main())
