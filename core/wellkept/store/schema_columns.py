"""What the tables are made of: one metadata, and short ways to write columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.types import Integer, TypeEngine

metadata = MetaData()

SEQUENCE: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
"""An ascending number that the database gives out; SQLite wants plain INTEGER for that."""


def table(name: str, *items: Column[object] | UniqueConstraint | Index) -> Table:
    """Add a table."""
    return Table(name, metadata, *items, sqlite_strict=True)


def text(name: str, *, key: bool = False, null: bool = False, default: str | None = None) -> Column[object]:
    """Return a column of text."""
    return Column(name, Text, primary_key=key, nullable=null and not key, server_default=default)


def integer(name: str, *, key: bool = False, null: bool = False, default: str | None = None) -> Column[object]:
    """Return a column of 64-bit integers."""
    return Column(
        name,
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=key,
        nullable=null and not key,
        server_default=default,
        autoincrement=False,
    )


def sequence() -> Column[object]:
    """Return the column of numbers that the database gives out."""
    return Column("seq", SEQUENCE, primary_key=True, autoincrement=True)


def blob(name: str, *, null: bool = False) -> Column[object]:
    """Return a column of bytes."""
    return Column(name, LargeBinary, nullable=null)
