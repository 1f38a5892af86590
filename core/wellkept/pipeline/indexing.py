"""Keeps the keys of records: what of them may be the same in another record, so that resolving is a look-up.

The keys of an account record depend on its people as well, as their domain may stand for its own. A key that comes or goes may
make a hub, or end one: then all records that have it are solved again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wellkept.identity.keys import account_keys, person_keys
from wellkept.identity.rules import Rules
from wellkept.identity.weak import KIND
from wellkept.pipeline.components import SHARED_LIMIT, merged_digest
from wellkept.records import Account, Person
from wellkept.store import evidence
from wellkept.store.accounts import Conflict, Node, conflicts, digest, pairs, settle_conflicts
from wellkept.store.connection import Reader, Tx
from wellkept.store.evidence import StoredKey, parts
from wellkept.store.records import RecordTables

JOINING = frozenset({"external_id", "tax_id", "email", "phone", "domain"})
"""Kinds of keys that may join account records."""

FINDING = frozenset({"external_id", "user", "email", "domain"})
"""Kinds of keys by which the account of a person is found that names none."""

EXAMPLES = 5
"""Records that the conflict of a hub names."""

KeyId = tuple[str, str]
"""Kind and digest of a key."""


class Hubs:
    """The keys that more records have than one customer can have.

    Args:
        reader: Where to read which are known.
        limit: Records with one key; external ids have a limit of their own.
    """

    def __init__(self, reader: Reader, limit: int) -> None:
        self._limit = limit
        self._known = {key for conflict in conflicts(reader) if (key := _key(conflict)) is not None}

    def __contains__(self, key: KeyId) -> bool:
        return key in self._known

    def review(self, tx: Tx, keys: Iterable[KeyId], now: int) -> set[Node]:
        """Find out whether some keys are hubs now; return the records to be solved again, as one has become or ended."""
        joining = {key for key in keys if key[0] in JOINING}
        wanted = evidence.crowded(tx, joining, min(self._limit, SHARED_LIMIT)) | (joining & self._known)
        counts = evidence.counts(tx, wanted)
        turned: set[KeyId] = set()
        open_: list[Conflict] = []
        for key in sorted(wanted):
            count = counts.get(key, 0)
            is_hub = count > (SHARED_LIMIT if key[0] == "external_id" else self._limit)
            if is_hub != (key in self._known):
                turned.add(key)
            if is_hub:
                self._known.add(key)
                open_.append(_conflict(tx, key, count))
            else:
                self._known.discard(key)
        if open_ or turned:
            settle_conflicts(tx, [_subject(key) for key in turned], open_, now)
            close_contests(tx, turned, now)
        return evidence.holders(tx, turned)

    def review_all(self, tx: Tx, now: int) -> set[Node]:
        """Find out whether those that are known are hubs still: an erasure may have taken records away."""
        return self.review(tx, set(self._known), now)


class Indexer:
    """Makes the keys of changed records, in one transaction.

    Args:
        tx: The transaction.
        tables: The record tables.
        rules: The rules of identity.
        hubs: The hubs; kept up to date.
        now: The current instant, epoch ms.
    """

    def __init__(self, tx: Tx, tables: RecordTables, rules: Rules, hubs: Hubs, now: int) -> None:
        self._tx = tx
        self._tables = tables
        self._rules = rules
        self._hubs = hubs
        self._now = now

    def accounts(self, nodes: Sequence[Node]) -> None:
        """Make the keys of account records, and have those solved again whose keys have changed."""
        self.persons(self._waiting_for(nodes))
        found = dict(account_records(self._tx, self._tables, nodes))
        people = people_of(self._tx, self._tables, list(found))
        keys: dict[Node, dict[StoredKey, str]] = {node: {} for node in nodes}
        for node, (record, _) in found.items():
            made = account_keys(record, people.get(node, ()), self._rules)
            stored = {(key.kind, key.digest): StoredKey(key.kind, key.digest, key.role) for key in reversed(made)}
            for other in merged_with(node, record):
                other_digest = merged_digest(other)
                stored["merged", other_digest] = StoredKey("merged", other_digest, "own")
            keys[node] = dict.fromkeys(stored.values(), node.id)
        self._changed(evidence.replace(self._tx, Account.type, keys), nodes)

    def _waiting_for(self, nodes: Sequence[Node]) -> list[Node]:
        """Return the persons who name some account records and came before them."""
        if Person not in self._tables.types:
            return []
        found: set[Node] = set()
        for part in parts(nodes):
            rows = self._tx.rows(
                f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - names from the type
                f" SELECT DISTINCT p.instance, p.id FROM v CROSS JOIN {self._tables.table(Person)} p CROSS JOIN identity_keys k"
                " WHERE p.instance = v.instance AND p.account_ref = v.id"
                " AND k.type = 'person' AND k.instance = p.instance AND k.record_id = p.id AND k.holder = ''",
                [value for node in part for value in node],
            )
            found.update(Node(*row) for row in rows)
        return sorted(found)

    def persons(self, nodes: Sequence[Node]) -> None:
        """Make the keys of persons, and have their account records looked at again."""
        if not nodes:
            return
        shape = self._tables.shape(Person)
        keys: dict[Node, dict[StoredKey, str]] = {node: {} for node in nodes}
        named: set[Node] = set()
        strays: set[Node] = set()
        accounts = self._tables.table(Account)
        for part in parts(nodes):
            params = [value for node in part for value in node]
            wanted = f"WITH v (instance, id) AS (VALUES {pairs(part)})"
            known = set(
                self._tx.all(
                    f"{wanted} SELECT DISTINCT a.instance, a.id FROM v CROSS JOIN {shape.table} r CROSS JOIN {accounts} a"  # noqa: S608
                    " WHERE r.instance = v.instance AND r.id = v.id AND a.instance = r.instance AND a.id = r.account_ref",
                    params,
                )
            )
            rows = self._tx.rows(
                f"{wanted} SELECT r.instance, {shape.select('r')} FROM v CROSS JOIN {shape.table} r"  # noqa: S608
                " WHERE r.instance = v.instance AND r.id = v.id AND r.deleted = 0",
                params,
            )
            for instance, *values in rows:
                person = shape.record(values)
                node, holder = Node(instance, person.id), person.account_ref or ""
                if (instance, holder) not in known:
                    holder = ""
                stored = {
                    (key.kind, key.digest): StoredKey(key.kind, key.digest, key.role)
                    for key in person_keys(person, self._rules, stray=not holder)
                }
                if holder and not stored and person_keys(person, self._rules, stray=True):
                    # It says something of the account alone, which goes with it: remember for whom it spoke.
                    place = digest("person", *node)
                    stored["person", place] = StoredKey("person", place, "own")
                keys[node] = dict.fromkeys(stored.values(), holder)
                (named if holder else strays).add(Node(instance, holder) if holder else node)
        former = self._holders(nodes)
        self._changed(evidence.replace(self._tx, Person.type, keys), ())
        evidence.enqueue(self._tx, "keys", former | named)
        evidence.enqueue(self._tx, "account", former | named)
        evidence.enqueue(self._tx, "person", strays)

    def _changed(self, changed: tuple[set[KeyId], set[KeyId]], nodes: Sequence[Node]) -> None:
        """Have solved again what keys that came or went may join or part; no path leads to what has lost its common key."""
        keys = changed[0] | changed[1]
        again = self._hubs.review(self._tx, keys, self._now)
        gone = {key for key in changed[1] if key[0] in JOINING and key not in self._hubs}
        close_contests(self._tx, gone, self._now)
        again |= evidence.holders(self._tx, gone)
        finding = {key for key in keys if key[0] in FINDING}
        evidence.enqueue(self._tx, "account", [*nodes, *again])
        evidence.enqueue(self._tx, "person", evidence.strays(self._tx, finding))

    def _holders(self, nodes: Sequence[Node]) -> set[Node]:
        """Return the account records for which persons spoke so far."""
        found: set[Node] = set()
        for part in parts(nodes):
            rows = self._tx.rows(
                f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - place holders
                " SELECT DISTINCT k.instance, k.holder FROM v CROSS JOIN identity_keys k"
                " WHERE k.type = 'person' AND k.instance = v.instance AND k.record_id = v.id AND k.holder <> ''",
                [value for node in part for value in node],
            )
            found.update(Node(*row) for row in rows)
        return found


def people_of(reader: Reader, tables: RecordTables, nodes: Sequence[Node]) -> dict[Node, list[Person]]:
    """Return who belongs to account records by their vendors' word, without test users."""
    found: dict[Node, list[Person]] = {}
    if Person not in tables.types:
        return found
    shape = tables.shape(Person)
    for part in parts(nodes):
        rows = reader.rows(
            f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - names from the type
            f" SELECT r.instance, {shape.select('r')} FROM v CROSS JOIN {shape.table} r"
            " WHERE r.instance = v.instance AND r.account_ref = v.id AND r.deleted = 0",
            [value for node in part for value in node],
        )
        for instance, *values in rows:
            person = shape.record(values)
            if person.account_ref is not None and not person.test:
                found.setdefault(Node(instance, person.account_ref), []).append(person)
    return found


def account_records(reader: Reader, tables: RecordTables, nodes: Sequence[Node]) -> Iterator[tuple[Node, tuple[Account, bool]]]:
    """Yield account records and whether they are deleted; a deleted one as it was last.

    Its invoices and its past still belong to somebody. One that was never seen alive says nothing, and is left out.
    """
    shape = tables.shape(Account)
    for part in parts(nodes):
        rows = reader.all(
            f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - names from the type
            f" SELECT r.instance, r.deleted, {shape.select('r')} FROM v CROSS JOIN {shape.table} r"
            " WHERE r.instance = v.instance AND r.id = v.id",
            [value for node in part for value in node],
        )
        for instance, deleted, *values in rows:
            if not deleted:
                record = shape.record(values)
                yield Node(instance, record.id), (record, False)
                continue
            node = Node(instance, values[shape.own_columns.index("id")])
            last = last_words(reader, shape, node)
            if last is not None:
                yield node, (last, True)


def last_words(reader: Reader, shape: Any, node: Node) -> Account | None:
    """Return what a record said before it was deleted."""
    row = reader.one(
        f"SELECT {shape.select('r')} FROM {shape.past} r WHERE r.instance = ? AND r.id = ? AND r.deleted = 0"  # noqa: S608
        " ORDER BY r.version DESC, r.observed_at DESC LIMIT 1",
        node,
    )
    record: Account | None = None if row is None else shape.record(row)
    return record


def merged_with(node: Node, record: Account) -> tuple[Node, ...]:
    """Return the records that the vendor has merged with one, in either direction."""
    others = {other for other in (record.merged_into, *record.merged_ids) if other and other != node.id}
    return tuple(Node(node.instance, other) for other in sorted(others))


def close_contests(tx: Tx, keys: set[KeyId], now: int) -> None:
    """Close what was contested about some keys; solving opens it again where it still is."""
    if not keys:
        return
    open_ = tx.all("SELECT kind, subject FROM conflicts WHERE closed_at IS NULL AND kind IN ('contested', 'crowded')")
    closing = []
    for kind, subject in open_:
        rule, _, digest = subject.partition(":")
        if (KIND.get(rule, rule), digest) in keys:
            closing.append((kind, subject))
    settle_conflicts(tx, closing, [], now)


def _key(conflict: Conflict) -> KeyId | None:
    if conflict.kind == "shared_id":
        return "external_id", conflict.subject
    if conflict.kind == "hub":
        kind, _, digest = conflict.subject.partition(":")
        return kind, digest
    return None


def _subject(key: KeyId) -> tuple[str, str]:
    kind, digest = key
    return ("shared_id", digest) if kind == "external_id" else ("hub", f"{kind}:{digest}")


def _conflict(reader: Reader, key: KeyId, count: int) -> Conflict:
    examples: Mapping[Node, str] = dict(evidence.holders_of(reader, *key, EXAMPLES))
    kind, subject = _subject(key)
    detail = {"rule": key[0], "digest": key[1], "records": count, "examples": [list(node) for node in examples]}
    return Conflict(kind="shared_id" if kind == "shared_id" else "hub", subject=subject, detail=detail)
