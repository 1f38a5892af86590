"""Accounts: which vendors' records are one customer, why, and which customers must be measured again.

An account's id is canonical: after a merge the ids that went into it stay as aliases, which `canonical` follows. `resolve`
alone writes links and accounts; here is how they are kept and read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec

from wellkept.records import Account, Json
from wellkept.store.connection import Reader, Tx

State = Literal["active", "test", "gone", "merged", "split", "erased"]
"""``test``: it is no customer. ``gone``: the vendors have deleted all its records. ``merged``, ``split``: an old id, see
`AccountRow.merged_into`."""

TOUCH = (
    "ON CONFLICT (account) DO UPDATE SET at ="
    " CASE WHEN excluded.at > dirty_accounts.at THEN excluded.at ELSE dirty_accounts.at + 1 END"
)
"""How to mark an account as dirty that is dirty already: `at` grows every time, so that whoever has measured an older state
sees that something has happened since, even within one millisecond."""


class Node(NamedTuple):
    """A vendor's account record."""

    instance: str
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRow:
    """An account.

    Attributes:
        id: Its id.
        name: What people call it, from one of its records.
        state: Whether it is a customer's account or an old id.
        merged_into: For an old id: the account that stands in its place (after a split, the one of its oldest record).
    """

    id: str
    name: str | None
    state: State
    merged_into: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Manual:
    """A person's word about two account records.

    Attributes:
        a: One record.
        b: The other one.
        relation: ``same`` customer, ``forced`` (the same although their external ids differ), or ``apart`` whatever else
            speaks for it.
        author: Who said so.
        reason: Why.
        at: When, epoch ms.
    """

    a: Node
    b: Node
    relation: Literal["same", "forced", "apart"]
    author: str
    reason: str
    at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """A merge that was not done, for a person to look at. `subject` identifies it; `detail` is plain data without names.

    ``external_id`` and ``manual``: a person's word, or a vendor's merge, that ids or another word forbid. ``contested``: weak
    evidence between customers that cannot be one. ``crowded``: it would join too many records. ``shared_id`` and ``hub``: an
    external id, or another key, in more records than one customer has.
    """

    kind: Literal["external_id", "manual", "contested", "crowded", "shared_id", "hub"]
    subject: str
    detail: Json


_COLUMNS = "id, name, state, merged_into"


def account(reader: Reader, id_: str) -> AccountRow | None:
    """Return an account by its id, old ids included."""
    row = reader.one(f"SELECT {_COLUMNS} FROM accounts WHERE id = ?", (id_,))  # noqa: S608 - constants
    return None if row is None else _account(row)


def canonical(reader: Reader, id_: str) -> str | None:
    """Return the id under which an account stands now: itself, or where merges have led; None for an unknown id."""
    seen = set()
    while id_ not in seen:
        seen.add(id_)
        row = reader.one("SELECT merged_into FROM accounts WHERE id = ?", (id_,))
        if row is None:
            return None
        if row[0] is None:
            return id_
        id_ = row[0]
    return None


def account_of(reader: Reader, instance: str, record_id: str) -> str | None:
    """Return the canonical account of a vendor's account record; None when it is not linked."""
    value: str | None = reader.value(
        "SELECT account FROM links WHERE type = ? AND instance = ? AND record_id = ?", (Account.type, instance, record_id)
    )
    return value


def records_of(reader: Reader, account: str) -> list[Node]:
    """Return the vendors' account records that an account consists of, by instance and id."""
    rows = reader.rows(
        "SELECT instance, record_id FROM links WHERE account = ? AND type = ? ORDER BY instance, record_id",
        (account, Account.type),
    )
    return [Node(*row) for row in rows]


def evidence(reader: Reader, account: str) -> list[tuple[Node, dict[str, Json]]]:
    """Return why each account record belongs to an account: the rule, a digest of the value, and since when."""
    rows = reader.rows(
        "SELECT instance, record_id, evidence FROM links WHERE account = ? AND type = ? ORDER BY instance, record_id",
        (account, Account.type),
    )
    return [(Node(instance, id_), msgspec.json.decode(text)) for instance, id_, text in rows]


def accounts(reader: Reader, search: str = "") -> Iterator[AccountRow]:
    """Yield the accounts that are not old ids, by id.

    Args:
        reader: Where to read.
        search: Part of a name (in any case), an id, an old id, or a vendor's id of one of its records; empty finds all.
    """
    wanted = search.casefold().strip()
    found = set()
    if wanted:
        found.add(canonical(reader, search.strip()))
        linked = "SELECT account FROM links WHERE type = ? AND record_id = ?"
        found.update(id_ for (id_,) in reader.rows(linked, (Account.type, search.strip())))
    standing = f"SELECT {_COLUMNS} FROM accounts WHERE merged_into IS NULL ORDER BY id"  # noqa: S608 - constants
    for row in reader.rows(standing):
        if wanted in (row[1] or "").casefold() or row[0] in found:
            yield _account(row)


def mark_dirty(tx: Tx, accounts: Iterable[str], at: int) -> None:
    """Mark accounts to be measured again."""
    tx.many(
        f"INSERT INTO dirty_accounts (account, at) VALUES (?, ?) {TOUCH}",  # noqa: S608 - constants
        [(id_, at) for id_ in sorted(set(accounts))],
    )


# --- manual links ------------------------------------------------------------------------------------------------------------


def put_manual(tx: Tx, link: Manual) -> None:
    """Keep a person's word; a later one about the same two records replaces it. Call `resolve` afterwards."""
    a, b = sorted((link.a, link.b))
    tx.execute(
        "INSERT INTO manual_links (a_instance, a_id, b_instance, b_id, relation, author, reason, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (a_instance, a_id, b_instance, b_id) DO UPDATE SET"
        " relation = excluded.relation, author = excluded.author, reason = excluded.reason, at = excluded.at",
        (*a, *b, link.relation, link.author, link.reason, link.at),
    )
    _changed(tx, (a, b), link.at)


def remove_manual(tx: Tx, a: Node, b: Node, at: int) -> bool:
    """Forget what a person said about two records; return whether there was anything. Call `resolve` afterwards."""
    a, b = sorted((a, b))
    count = tx.execute("DELETE FROM manual_links WHERE a_instance = ? AND a_id = ? AND b_instance = ? AND b_id = ?", (*a, *b))
    _changed(tx, (a, b), at)
    return count > 0


def manual_links(reader: Reader, nodes: Sequence[Node]) -> list[Manual]:
    """Return what people have said about some records, with whatever other record."""
    found: dict[tuple[Node, Node], Manual] = {}
    for part in _parts(nodes):
        for side in ("a", "b"):
            rows = reader.rows(
                f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - constants
                " SELECT m.a_instance, m.a_id, m.b_instance, m.b_id, m.relation, m.author, m.reason, m.at"
                f" FROM v JOIN manual_links m ON m.{side}_instance = v.instance AND m.{side}_id = v.id",
                [value for node in part for value in node],
            )
            for ai, ax, bi, bx, relation, author, reason, at in rows:
                a, b = Node(ai, ax), Node(bi, bx)
                found[a, b] = Manual(a=a, b=b, relation=relation, author=author, reason=reason, at=at)
    return [found[key] for key in sorted(found)]


def _changed(tx: Tx, nodes: Iterable[Node], at: int) -> None:
    tx.many("INSERT INTO changes (type, instance, id, at) VALUES (?, ?, ?, ?)", [(Account.type, *node, at) for node in nodes])


# --- conflicts ---------------------------------------------------------------------------------------------------------------


def settle_conflicts(tx: Tx, subjects: Iterable[tuple[str, str]], open_: Iterable[Conflict], at: int) -> None:
    """Open the conflicts that exist, and close those of the same subjects that do not any more.

    Args:
        tx: The transaction.
        subjects: Kind and subject of everything that was looked at.
        open_: What is in conflict.
        at: Epoch ms.
    """
    current = {(conflict.kind, conflict.subject): conflict for conflict in open_}
    tx.many(
        "UPDATE conflicts SET closed_at = ? WHERE kind = ? AND subject = ? AND closed_at IS NULL",
        [(at, *key) for key in subjects if key not in current],
    )
    tx.many(
        "INSERT INTO conflicts (kind, subject, detail, at) VALUES (?, ?, ?, ?) ON CONFLICT (kind, subject) DO UPDATE SET"
        " detail = excluded.detail, at = CASE WHEN conflicts.closed_at IS NULL THEN conflicts.at ELSE excluded.at END,"
        " closed_at = NULL",
        [(*key, msgspec.json.encode(conflict.detail).decode(), at) for key, conflict in current.items()],
    )


def conflicts(reader: Reader) -> list[Conflict]:
    """Return the open conflicts, oldest first."""
    rows = reader.rows("SELECT kind, subject, detail FROM conflicts WHERE closed_at IS NULL ORDER BY at, seq")
    return [Conflict(kind=kind, subject=subject, detail=msgspec.json.decode(detail)) for kind, subject, detail in rows]


# --- small things ------------------------------------------------------------------------------------------------------------


def digest(*parts: str) -> str:
    """Return a digest of some texts: 80 bits, in hexadecimal."""
    return sha256(msgspec.json.encode(parts)).hexdigest()[:20]


def pairs(rows: Sequence[object]) -> str:
    """Return place holders for rows of two values."""
    return ", ".join(["(?, ?)"] * len(rows))


def _parts(nodes: Sequence[Node], size: int = 400) -> Iterator[Sequence[Node]]:
    return (nodes[start : start + size] for start in range(0, len(nodes), size))


def _account(row: tuple[Any, ...]) -> AccountRow:
    id_, name, state, merged_into = row
    return AccountRow(id=id_, name=name, state=state, merged_into=merged_into)
