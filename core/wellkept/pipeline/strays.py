"""Finds the accounts of persons for whom their own vendor names none: profiles of an analytics tool, say.

Our id of the account comes first, then our id of the person, an address, and the domain of a company. Whoever could belong to
two accounts belongs to neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wellkept.pipeline.indexing import Hubs
from wellkept.records import Account, Person
from wellkept.store import evidence
from wellkept.store.accounts import Node, mark_dirty, pairs
from wellkept.store.connection import Reader, Tx
from wellkept.store.evidence import StoredKey, parts
from wellkept.store.records import RecordTables

ORDER = ("external_id", "user", "email", "domain")
"""The kinds of keys by which an account is found, the best one first."""


def find_accounts(tx: Tx, tables: RecordTables, nodes: Sequence[Node], hubs: Hubs, now: int) -> int:
    """Link persons to the accounts that their keys tell, or to none; return how many accounts must be measured again.

    Those whose vendor names an account are left as they are.

    Args:
        tx: The transaction.
        tables: The record tables.
        nodes: The persons.
        hubs: Keys that tell nothing.
        now: The current instant, epoch ms.
    """
    strays = _strays(tx, tables, nodes)
    keys = evidence.own_keys(tx, Person.type, sorted(strays))
    new: list[tuple[str, str, str, str, int]] = []
    gone: list[Node] = []
    dirty: set[str] = set()
    for node, old in sorted(strays.items()):
        account, key = _account(tx, keys.get(node, ()), hubs)
        if old == account:
            continue
        dirty |= {found for found in (old, account) if found is not None}
        if account is None or key is None:
            gone.append(node)
        else:
            why = {"rule": key.kind, "digest": key.digest, "since": now}
            new.append((*node, account, msgspec.json.encode(why).decode(), now))
    tx.many("DELETE FROM links WHERE type = 'person' AND instance = ? AND record_id = ?", gone)
    tx.many(
        "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('person', ?, ?, ?, ?, ?)"
        " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, evidence = excluded.evidence,"
        " at = excluded.at",
        new,
    )
    mark_dirty(tx, dirty, now)
    return len(dirty)


def _strays(reader: Reader, tables: RecordTables, nodes: Sequence[Node]) -> dict[Node, str | None]:
    """Return those of some persons whose vendor names no account that is known, and to which they are linked now."""
    persons = tables.table(Person)
    found: dict[Node, str | None] = {}
    for part in parts(nodes):
        rows = reader.rows(
            f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - names from the type
            f" SELECT p.instance, p.id, l.account FROM v CROSS JOIN {persons} p"
            " LEFT JOIN links l ON l.type = 'person' AND l.instance = p.instance AND l.record_id = p.id"
            f" WHERE p.instance = v.instance AND p.id = v.id AND p.deleted = 0 AND NOT EXISTS ({named(tables, 'p')})",
            [value for node in part for value in node],
        )
        found.update((Node(instance, id_), account) for instance, id_, account in rows)
    return found


def named(tables: RecordTables, person: str) -> str:
    """Return an SQL subquery for the account record that a person's row names."""
    return f"SELECT 1 FROM {tables.table(Account)} n WHERE n.instance = {person}.instance AND n.id = {person}.account_ref"  # noqa: S608


def _account(reader: Reader, keys: Sequence[StoredKey], hubs: Hubs) -> tuple[str | None, StoredKey | None]:
    """Return the one account that the best keys tell, and by which key."""
    for kind in ORDER:
        told = [key for key in keys if key.kind == kind and (kind, key.digest) not in hubs]
        by_key = {key: evidence.accounts_with(reader, (kind, key.digest)) for key in sorted(told)}
        accounts = set[str]().union(*by_key.values())
        if len(accounts) == 1:
            return accounts.pop(), next(key for key, found in by_key.items() if found)
        if accounts:
            break
    return None, None
