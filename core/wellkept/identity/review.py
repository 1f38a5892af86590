"""What people see of identity: why records are one account, what waits for a decision, and what nobody could be linked with.

Only digests of evidence are stored. Here the records' keys are made again, so that the value behind a digest can be shown to
whoever sits at the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from wellkept.identity.golden import Golden, golden
from wellkept.identity.keys import account_keys, person_keys
from wellkept.identity.names import likeness
from wellkept.identity.rules import Rules
from wellkept.pipeline.indexing import account_records, people_of
from wellkept.records import Account, Json, Person
from wellkept.store import evidence
from wellkept.store.accounts import Conflict, Manual, Node, account_of, conflicts, manual_links, records_of
from wellkept.store.accounts import evidence as links_of
from wellkept.store.connection import Reader
from wellkept.store.records import RecordTables

NAMED_ALIKE = 5
"""Accounts with one name up to which it is worth a suggestion; more are a common name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Linked:
    """Why one record belongs to an account.

    Attributes:
        record: The record.
        name: Its name.
        deleted: The vendor has deleted it.
        rule: What joined it; ``record``: the account was made from it.
        value: What is the same in another record; None for a rule without a value, or one that has changed since.
        since: Since when, epoch ms.
        people: How many people the vendor names there.
    """

    record: Node
    name: str | None
    deleted: bool
    rule: str
    value: str | None
    since: int
    people: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Everything about the identity of one account.

    Attributes:
        account: The canonical id.
        state: Whether it is a customer's account.
        former: Old ids that lead to it.
        records: Its records.
        fields: The values that count, and whose word they are.
        said: What people said about its records.
        conflicts: What was not joined with it.
    """

    account: str
    state: str
    former: Sequence[str]
    records: Sequence[Linked]
    fields: Sequence[Golden]
    said: Sequence[Manual]
    conflicts: Sequence[Open]


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One side of what waits for a decision.

    Attributes:
        record: The record to name in a decision.
        name: Its name.
        account: The account that it belongs to now.
        external_id: Whether an id of ours stands behind it.
        records: All records of that side, as far as they are listed.
    """

    record: Node
    name: str | None
    account: str | None
    external_id: bool
    records: Sequence[Node]


@dataclass(frozen=True, kw_only=True, slots=True)
class Open:
    """Something that waits for a decision.

    Attributes:
        kind: See `wellkept.store.accounts.Conflict`; or ``name``: a suggestion, because two names are alike.
        rule: The kind of evidence, where it is evidence.
        value: What is the same.
        sides: Who would be joined.
        records: How many records have the value, for hubs.
    """

    kind: str
    rule: str | None
    value: str | None
    sides: Sequence[Side]
    records: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Alone:
    """A record that is linked with no other vendor's.

    Attributes:
        type: ``account`` or ``person``.
        record: The record.
        name: Its name.
        account: Its account; None for a person who belongs to none.
        values: What it could be found by.
    """

    type: str
    record: Node
    name: str | None
    account: str | None
    values: Sequence[str] = field(default=())


class Review:
    """Reads what there is to see.

    Args:
        reader: Where to read.
        tables: The record tables.
        rules: The rules of identity.
    """

    def __init__(self, reader: Reader, tables: RecordTables, rules: Rules) -> None:
        self._reader = reader
        self._tables = tables
        self._rules = rules

    def explain(self, account: str) -> Explanation:
        """Explain one account."""
        reader = self._reader
        nodes = records_of(reader, account)
        records = dict(account_records(reader, self._tables, nodes))
        people = people_of(reader, self._tables, nodes)
        linked = []
        for node, why in links_of(reader, account):
            record, deleted = records.get(node, (None, True))
            values = self._values([node])
            linked.append(
                Linked(
                    record=node,
                    name=record.name if record else None,
                    deleted=deleted,
                    rule=str(why["rule"]),
                    value=values.get(str(why["digest"])),
                    since=int(why["since"]),
                    people=len(people.get(node, ())),
                )
            )
        mine = set(nodes)
        open_ = [self._open(conflict) for conflict in conflicts(reader) if mine & set(_nodes(conflict.detail))]
        former = [id_ for (id_,) in reader.rows("SELECT id FROM accounts WHERE merged_into = ? ORDER BY id", (account,))]
        state = reader.value("SELECT state FROM accounts WHERE id = ?", (account,))
        fields = golden(reader, self._tables, account, self._rules)
        said = manual_links(reader, nodes)
        return Explanation(
            account=account, state=state, former=former, records=linked, fields=fields, said=said, conflicts=open_
        )

    def queue(self) -> list[Open]:
        """Return what waits for a decision: conflicts, oldest first, then suggestions."""
        found = [self._open(conflict) for conflict in conflicts(self._reader)]
        told = {
            frozenset(pair)
            for item in found
            for pair in combinations(sorted({side.account for side in item.sides if side.account}), 2)
        }
        return [*found, *self._suggestions(told)]

    def unmatched(self, instance: str | None = None) -> Iterator[Alone]:
        """Yield records that are linked with no other vendor's, and persons who belong to no account."""
        where, params = ("", ()) if instance is None else (" AND l.instance = ?", (instance,))
        rows = self._reader.all(
            "SELECT l.instance, l.record_id, l.account FROM links l JOIN accounts a ON a.id = l.account AND a.state = 'active'"  # noqa: S608
            f" WHERE l.type = 'account'{where} AND NOT EXISTS (SELECT 1 FROM links o WHERE o.type = 'account'"
            " AND o.account = l.account AND o.instance <> l.instance) ORDER BY l.instance, l.record_id",
            params,
        )
        for part in evidence.parts(rows):
            nodes = [Node(owner, id_) for owner, id_, _ in part]
            records = dict(account_records(self._reader, self._tables, nodes))
            for node, (*_, account) in zip(nodes, part, strict=True):
                record, _ = records.get(node, (None, False))
                values = sorted(set(self._values([node], people=False).values()))
                yield Alone(
                    type=Account.type, record=node, name=record.name if record else None, account=account, values=values
                )
        if Person in self._tables.types:
            yield from self._lost_persons(instance)

    # --- inside ---

    def _lost_persons(self, instance: str | None) -> Iterator[Alone]:
        condition = (
            "NOT EXISTS (SELECT 1 FROM links l WHERE l.type = 'person' AND l.instance = t.instance AND l.record_id = t.id)"
            " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.type = 'account' AND l.instance = t.instance"
            " AND l.record_id = t.account_ref)"
        )
        params = () if instance is None else (instance,)
        more = "" if instance is None else " AND t.instance = ?"
        for owner, person in self._tables.rows(self._reader, Person, condition + more, params):
            keys = person_keys(person, self._rules, stray=True)
            if keys:
                values = sorted({key.value for key in keys})
                yield Alone(type=Person.type, record=Node(owner, person.id), name=person.name, account=None, values=values)

    def _values(self, nodes: Sequence[Node], *, people: bool = True) -> dict[str, str]:
        """Return the values behind the digests of records."""
        found: dict[str, str] = {}
        theirs = people_of(self._reader, self._tables, nodes)
        for node, (record, _) in account_records(self._reader, self._tables, nodes):
            mine = theirs.get(node, [])
            keys = account_keys(record, mine, self._rules)
            if people:
                keys += [key for person in mine for key in person_keys(person, self._rules)]
            found.update((key.digest, key.value) for key in keys if key.kind != "name")
        return found

    def _open(self, conflict: Conflict) -> Open:
        detail: Mapping[str, Json] = conflict.detail
        nodes = list(_nodes(detail))
        digest = str(detail["digest"]) if "digest" in detail else None
        sides = [self._side(side) for side in detail.get("sides", ())]
        sides += [self._side({"record": node, "records": [node]}) for node in detail.get("examples", ())]
        value = None if digest is None else self._values(nodes).get(digest)
        return Open(
            kind=conflict.kind, rule=detail.get("rule"), value=value, sides=sides, records=int(detail.get("records", 0))
        )

    def _side(self, side: Mapping[str, Json]) -> Side:
        node = Node(*side["record"])
        found = dict(account_records(self._reader, self._tables, [node])).get(node)
        return Side(
            record=node,
            name=found[0].name if found else None,
            account=account_of(self._reader, *node),
            external_id=side.get("external_id") is not None,
            records=[Node(*other) for other in side["records"]],
        )

    def _suggestions(self, told: set[frozenset[str]]) -> Iterator[Open]:
        """Yield accounts with like names that nothing has joined, and of which no person has said that they are apart.

        Args:
            told: Pairs of accounts that wait for a decision anyway.
        """
        rows = self._reader.all(
            "SELECT k.digest FROM identity_keys k JOIN links l ON l.type = 'account' AND l.instance = k.instance"
            " AND l.record_id = k.holder JOIN accounts a ON a.id = l.account AND a.state = 'active'"
            " WHERE k.kind = 'name' AND k.type = 'account' GROUP BY k.digest"
            " HAVING COUNT(DISTINCT l.account) BETWEEN 2 AND ? ORDER BY k.digest",
            (NAMED_ALIKE,),
        )
        for (digest,) in rows:
            by_account: dict[str, list[Node]] = {}
            for node, _ in evidence.holders_of(self._reader, "name", digest, 50):
                account = account_of(self._reader, *node)
                if account is not None:
                    by_account.setdefault(account, []).append(node)
            for one, other in combinations(sorted(by_account), 2):
                pair = frozenset((one, other))
                found = self._suggest(by_account[one], by_account[other])
                if found is not None and pair not in told:
                    told.add(pair)
                    yield found

    def _suggest(self, mine: Sequence[Node], theirs: Sequence[Node]) -> Open | None:
        ids = [self._external_ids(nodes) for nodes in (mine, theirs)]
        if all(ids) and ids[0].isdisjoint(ids[1]):
            return None
        apart = {frozenset((link.a, link.b)) for link in manual_links(self._reader, mine) if link.relation == "apart"}
        if any(frozenset((a, b)) in apart for a in mine for b in theirs):
            return None
        sides = [
            self._side({"record": list(nodes[0]), "records": [list(node) for node in nodes], "external_id": known or None})
            for nodes, known in zip((mine, theirs), ids, strict=True)
        ]
        names = [side.name for side in sides if side.name]
        if len(names) < 2 or likeness(*sorted(names)) not in {"same", "like"}:
            return None
        return Open(kind="name", rule="name", value=names[0], sides=sides)

    def _external_ids(self, nodes: Sequence[Node]) -> set[str]:
        accounts = {account for node in nodes if (account := account_of(self._reader, *node)) is not None}
        whole = [node for account in accounts for node in records_of(self._reader, account)]
        keys = evidence.spoken_keys(self._reader, whole)
        return {key.digest for found in keys.values() for key in found if key.kind == "external_id"}


def _nodes(detail: Mapping[str, Json]) -> Iterator[Node]:
    for side in detail.get("sides", ()):
        yield Node(*side["record"])
        yield from (Node(*node) for node in side["records"])
    yield from (Node(*node) for node in detail.get("examples", ()))
