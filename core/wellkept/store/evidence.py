"""Evidence at rest: the keys of records as digests, what waits to be resolved, and the hubs.

A hub is a key that more account records have than can be one customer. It joins nothing; the conflict that says so is also how
hubs are remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from wellkept.records import Account, Person
from wellkept.store.accounts import Node, pairs
from wellkept.store.connection import Reader, Tx

T = TypeVar("T")

Stage = Literal["keys", "account", "person"]
"""What must be done with a record: make an account record's keys again, solve it, find a person's account."""

LOOKUP = 400
"""Values in one look-up; far below the number of parameters that SQLite and PostgreSQL allow."""

BASIS = "identity_basis"
"""Key in ``meta``: the fingerprint of the rules by which everything was resolved."""


class StoredKey(NamedTuple):
    """One key of one record."""

    kind: str
    digest: str
    role: str


# --- what waits --------------------------------------------------------------------------------------------------------------


def enqueue(tx: Tx, stage: Stage, nodes: Iterable[Node]) -> None:
    """Note records to be worked on; those that are noted already are so once."""
    tx.many(
        "INSERT INTO unresolved (stage, instance, id) VALUES (?, ?, ?) ON CONFLICT (stage, instance, id) DO NOTHING",
        [(stage, *node) for node in sorted(set(nodes))],
    )


def waiting(reader: Reader, stage: Stage, limit: int) -> list[Node]:
    """Return the next records to be worked on."""
    rows = reader.rows("SELECT instance, id FROM unresolved WHERE stage = ? ORDER BY instance, id LIMIT ?", (stage, limit))
    return [Node(*row) for row in rows]


def done(tx: Tx, stage: Stage, nodes: Iterable[Node]) -> None:
    """Note that records have been worked on."""
    tx.many("DELETE FROM unresolved WHERE stage = ? AND instance = ? AND id = ?", [(stage, *node) for node in nodes])


def enqueue_everything(tx: Tx, accounts: str, persons: str | None) -> None:
    """Note all records of these tables: the rules have changed."""
    tx.execute(
        f"INSERT INTO unresolved (stage, instance, id) SELECT 'keys', instance, id FROM {accounts} WHERE 1 = 1"  # noqa: S608
        " ON CONFLICT (stage, instance, id) DO NOTHING"
    )
    tx.execute(
        f"INSERT INTO unresolved (stage, instance, id) SELECT 'account', instance, id FROM {accounts} WHERE 1 = 1"  # noqa: S608
        " ON CONFLICT (stage, instance, id) DO NOTHING"
    )
    if persons is not None:
        tx.execute(
            "INSERT INTO changes (type, instance, id, at)"  # noqa: S608 - names from the type
            f" SELECT 'person', instance, id, observed_at FROM {persons} WHERE deleted = 0"
        )


# --- keys --------------------------------------------------------------------------------------------------------------------


def replace(
    tx: Tx, type_: str, keys: Mapping[Node, Mapping[StoredKey, str]]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Store the keys of some records in the place of those they had.

    Args:
        tx: The transaction.
        type_: ``account`` or ``person``.
        keys: Of each record its keys, and the account record for which each speaks.

    Returns:
        Kind and digest of every key that came, and of every one that went; one that speaks for another record now did both.
    """
    before = {(node, key): holder for node, key, holder in _of(tx, type_, list(keys))}
    after = {(node, key): holder for node, own in keys.items() for key, holder in own.items()}
    gone = [place for place, holder in before.items() if after.get(place) != holder]
    new = [(place, holder) for place, holder in after.items() if before.get(place) != holder]
    tx.many(
        "DELETE FROM identity_keys WHERE type = ? AND instance = ? AND record_id = ? AND kind = ? AND digest = ?",
        [(type_, *node, key.kind, key.digest) for node, key in gone],
    )
    tx.many(
        "INSERT INTO identity_keys (type, instance, record_id, kind, digest, role, holder) VALUES (?, ?, ?, ?, ?, ?, ?)",
        sorted((type_, *node, *key, holder) for (node, key), holder in new),
    )
    return {(key.kind, key.digest) for (_, key), _ in new}, {(key.kind, key.digest) for _, key in gone}


def _of(reader: Reader, type_: str, nodes: Sequence[Node]) -> Iterator[tuple[Node, StoredKey, str]]:
    for part in parts(nodes):
        rows = reader.rows(
            f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - place holders
            " SELECT k.instance, k.record_id, k.kind, k.digest, k.role, k.holder FROM v CROSS JOIN identity_keys k"
            " WHERE k.type = ? AND k.instance = v.instance AND k.record_id = v.id",
            [*(value for node in part for value in node), type_],
        )
        for instance, id_, kind, digest, role, holder in rows:
            yield Node(instance, id_), StoredKey(kind, digest, role), holder


def own_keys(reader: Reader, type_: str, nodes: Sequence[Node]) -> dict[Node, list[StoredKey]]:
    """Return the keys of records."""
    found: dict[Node, list[StoredKey]] = {}
    for node, key, _ in _of(reader, type_, nodes):
        found.setdefault(node, []).append(key)
    return found


def spoken_keys(reader: Reader, nodes: Sequence[Node]) -> dict[Node, list[StoredKey]]:
    """Return all keys that speak for account records: their own, and those of their people."""
    found: dict[Node, list[StoredKey]] = {}
    for part in parts(nodes):
        rows = reader.rows(
            f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - place holders
            " SELECT k.instance, k.holder, k.kind, k.digest, k.role FROM v CROSS JOIN identity_keys k"
            " WHERE k.instance = v.instance AND k.holder = v.id",
            [value for node in part for value in node],
        )
        for instance, id_, *key in rows:
            found.setdefault(Node(instance, id_), []).append(StoredKey(*key))
    return found


def holders(reader: Reader, keys: Collection[tuple[str, str]]) -> set[Node]:
    """Return the account records for which any of some keys speak."""
    found: set[Node] = set()
    for part in parts(sorted(keys)):
        rows = reader.rows(
            f"WITH v (kind, digest) AS (VALUES {pairs(part)})"  # noqa: S608 - place holders
            " SELECT DISTINCT k.instance, k.holder FROM v CROSS JOIN identity_keys k"
            " WHERE k.kind = v.kind AND k.digest = v.digest AND k.holder <> ''",
            [value for key in part for value in key],
        )
        found.update(Node(*row) for row in rows)
    return found


def holders_of(reader: Reader, kind: str, digest: str, limit: int) -> list[tuple[Node, str]]:
    """Return some of the account records for which a key speaks, with its roles, by instance and id."""
    rows = reader.rows(
        "SELECT DISTINCT instance, holder, role FROM identity_keys WHERE kind = ? AND digest = ? AND holder <> ''"
        " ORDER BY instance, holder, role LIMIT ?",
        (kind, digest, limit),
    )
    return [(Node(instance, id_), role) for instance, id_, role in rows]


def strays(reader: Reader, keys: Collection[tuple[str, str]]) -> set[Node]:
    """Return the persons without an account of their own vendor's who have any of some keys."""
    found: set[Node] = set()
    for part in parts(sorted(keys)):
        rows = reader.rows(
            f"WITH v (kind, digest) AS (VALUES {pairs(part)})"  # noqa: S608 - place holders
            " SELECT DISTINCT k.instance, k.record_id FROM v CROSS JOIN identity_keys k"
            " WHERE k.kind = v.kind AND k.digest = v.digest AND k.type = 'person' AND k.holder = ''",
            [value for key in part for value in key],
        )
        found.update(Node(*row) for row in rows)
    return found


def crowded(reader: Reader, keys: Collection[tuple[str, str]], limit: int) -> set[tuple[str, str]]:
    """Return those of some keys that more records and people have than a limit; most keys are told apart by this alone."""
    found: set[tuple[str, str]] = set()
    for part in parts(sorted(keys)):
        rows = reader.rows(
            f"WITH v (kind, digest) AS (VALUES {pairs(part)}) SELECT v.kind, v.digest FROM v WHERE"  # noqa: S608
            " (SELECT COUNT(*) FROM identity_keys k WHERE k.kind = v.kind AND k.digest = v.digest) > ?",
            [*(value for key in part for value in key), limit],
        )
        found.update((kind, digest) for kind, digest in rows)
    return found


def counts(reader: Reader, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return for how many account records each of some keys speaks; keys of none are left out."""
    found: dict[tuple[str, str], int] = {}
    for part in parts(sorted(keys)):
        rows = reader.rows(
            f"WITH v (kind, digest) AS (VALUES {pairs(part)}), h AS (SELECT DISTINCT k.kind, k.digest, k.instance, k.holder"  # noqa: S608
            " FROM v CROSS JOIN identity_keys k WHERE k.kind = v.kind AND k.digest = v.digest AND k.holder <> '')"
            " SELECT kind, digest, COUNT(*) FROM h GROUP BY kind, digest",
            [value for key in part for value in key],
        )
        found.update(((kind, digest), count) for kind, digest, count in rows)
    return found


def accounts_with(reader: Reader, key: tuple[str, str]) -> set[str]:
    """Return the accounts that have records for which a key (kind and digest) speaks."""
    rows = reader.rows(
        "SELECT DISTINCT l.account FROM identity_keys k JOIN links l ON l.type = ? AND l.instance = k.instance"
        " AND l.record_id = k.holder WHERE k.kind = ? AND k.digest = ?",
        (Account.type, *key),
    )
    return {account for (account,) in rows}


def humans(reader: Reader, seeds: Collection[tuple[str, str]], limit: int = 200) -> set[Node]:
    """Return the person records that are one human: those that have a common address or id of ours, step by step.

    Args:
        reader: Where to read.
        seeds: Kind and digest of the keys to begin with.
        limit: Records after which to stop: a mailbox that many share leads on and on.
    """
    found: set[Node] = set()
    seen: set[tuple[str, str]] = set()
    keys = set(seeds)
    while keys and len(found) < limit:
        seen |= keys
        new: set[Node] = set()
        for part in parts(sorted(keys)):
            rows = reader.rows(
                f"WITH v (kind, digest) AS (VALUES {pairs(part)})"  # noqa: S608 - place holders
                " SELECT k.instance, k.record_id FROM v CROSS JOIN identity_keys k"
                " WHERE k.kind = v.kind AND k.digest = v.digest AND k.type = ?",
                [*(value for key in part for value in key), Person.type],
            )
            new.update(Node(*row) for row in rows)
        new -= found
        found |= new
        own = own_keys(reader, Person.type, sorted(new))
        keys = {(key.kind, key.digest) for found_keys in own.values() for key in found_keys if key.kind in {"email", "user"}}
        keys -= seen
    return found


def parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items in parts that fit into one look-up."""
    return (items[start : start + LOOKUP] for start in range(0, len(items), LOOKUP))
