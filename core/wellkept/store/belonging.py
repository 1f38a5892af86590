"""Which canonical account a record belongs to.

An account record belongs to what it is linked to. A person belongs to what it is linked to itself, else to the account that it
names. Every other record belongs to the account that it names, and only where it names none, to its person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from wellkept.records import Account, Person, Record
from wellkept.store.accounts import TOUCH
from wellkept.store.columns import Shape
from wellkept.store.connection import Reader, Tx

R = TypeVar("R", bound=Record)


def account_sql(shape: Shape[Any], alias: str) -> str:
    """Return an SQL expression for the account of a row of a type: NULL where it belongs to none."""
    t = alias
    if shape.type_.type == Account.type:
        return _link("account", t, f"{t}.id")
    if shape.type_.type == Person.type:
        return f"COALESCE({_link('person', t, f'{t}.id')}, {_link('account', t, f'{t}.account_ref')})"
    by_account = _link("account", t, f"{t}.account_ref") if "account_ref" in shape.fields else "NULL"
    if "person_ref" not in shape.fields:
        return by_account
    via_person = (
        "(SELECT l.account FROM r_person p JOIN links l ON l.type = 'account' AND l.instance = p.instance"  # noqa: S608
        f" AND l.record_id = p.account_ref WHERE p.instance = {t}.instance AND p.id = {t}.person_ref)"
    )
    by_person = f"COALESCE({_link('person', t, f'{t}.person_ref')}, {via_person})"
    if "account_ref" not in shape.fields:
        return by_person
    return f"CASE WHEN {t}.account_ref IS NOT NULL THEN {by_account} ELSE {by_person} END"


def account_of(reader: Reader, shape: Shape[Any], instance: str, id_: str) -> str | None:
    """Return the canonical account id that a record belongs to, None for no account or an unknown record."""
    account: str | None = reader.value(
        f"SELECT {account_sql(shape, 't')} FROM {shape.table} AS t WHERE t.instance = ? AND t.id = ?",  # noqa: S608
        (instance, id_),
    )
    return account


def owned(reader: Reader, shape: Shape[R], account: str) -> Iterator[tuple[str, R]]:
    """Yield (instance, record) for all records of a type that belong to an account, deleted ones left out.

    The same rule as `account_sql`, driven by the account's links, so that it costs what the account has.
    """
    parts = [
        f"SELECT t.instance, {shape.select('t')} FROM {source} CROSS JOIN {shape.table} t WHERE l.account = ?"  # noqa: S608
        f" AND t.instance = l.instance AND {match} AND t.deleted = 0"
        for source, match in _ways(shape)
    ]
    if parts:
        sql = " UNION ALL ".join(parts) + " ORDER BY 1, 2"
        for instance, *values in reader.rows(sql, (account,) * len(parts)):
            yield instance, shape.record(values)


def mark_dirty(tx: Tx, shape: Shape[Any], condition: str, params: Sequence[Any], at: int) -> None:
    """Mark the accounts of rows to be measured again; for rows whose account will not be known afterwards.

    Args:
        tx: The transaction that is about to change the rows.
        shape: Their type.
        condition: Which rows of the table, named ``t``.
        params: The condition's parameters.
        at: Epoch ms.
    """
    tx.execute(
        "INSERT INTO dirty_accounts (account, at) SELECT DISTINCT account, ? FROM"  # noqa: S608 - fixed text
        f" (SELECT {account_sql(shape, 't')} AS account FROM {shape.table} AS t WHERE {condition}) AS touched"
        f" WHERE account IS NOT NULL {TOUCH}",
        (at, *params),
    )


def _link(type_: str, alias: str, ref: str) -> str:
    return f"(SELECT l.account FROM links l WHERE l.type = '{type_}' AND l.instance = {alias}.instance AND l.record_id = {ref})"  # noqa: S608


def _ways(shape: Shape[Any]) -> Iterator[tuple[str, str]]:
    """Yield the ways from an account's links ``l`` to rows ``t``, which exclude each other: what to read, how to join.

    They are CROSS JOINs because SQLite keeps the order of those: from the few to the many.
    """
    linked = "EXISTS (SELECT 1 FROM links o WHERE o.type = 'person' AND o.instance = l.instance AND o.record_id = {})"
    to_account, to_person = "l.type = 'account' AND ", "l.type = 'person' AND "
    if shape.type_.type == Account.type:
        yield "links l", f"{to_account}t.id = l.record_id"
    elif shape.type_.type == Person.type:
        yield "links l", f"{to_person}t.id = l.record_id"
        yield "links l", f"{to_account}t.account_ref = l.record_id AND NOT {linked.format('t.id')}"
    else:
        unnamed = "t.account_ref IS NULL AND " if "account_ref" in shape.fields else ""
        if "account_ref" in shape.fields:
            yield "links l", f"{to_account}t.account_ref = l.record_id"
        if "person_ref" in shape.fields:
            yield "links l", f"{to_person}{unnamed}t.person_ref = l.record_id"
            through = f"p.instance = l.instance AND p.account_ref = l.record_id AND {unnamed}t.person_ref = p.id"
            yield "links l CROSS JOIN r_person p", f"{to_account}{through} AND NOT {linked.format('p.id')}"
