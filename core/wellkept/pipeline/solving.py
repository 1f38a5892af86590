"""Solving: components of account records become accounts, links and conflicts, in one transaction.

A component is everything that evidence, a person's word, or a link of today could connect with a record that changed. It is
always solved as a whole (see `wellkept.pipeline.components`), and what follows is written: links with their evidence, the
accounts' names and states, old ids that become aliases, persons that go where their account goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wellkept.identity.clusters import Facts, Mark
from wellkept.identity.golden import said_at
from wellkept.identity.keys import is_test, tax_form
from wellkept.identity.rules import Rules
from wellkept.pipeline.components import Group, Solution, merged_digest, solve
from wellkept.pipeline.indexing import FINDING, JOINING, Hubs, account_records, merged_with
from wellkept.records import Person
from wellkept.store import evidence
from wellkept.store.accounts import Manual, Node, digest, manual_links, mark_dirty, pairs, settle_conflicts
from wellkept.store.connection import Tx
from wellkept.store.evidence import parts
from wellkept.store.records import RecordTables

BY_REFERENCE = msgspec.json.encode({"rule": "account_ref"}).decode()
"""Evidence of a person's link: the vendor itself says to which of its accounts the person belongs."""


@dataclass(slots=True)
class ResolveReport:
    """What was done.

    Attributes:
        changes: Changed rows taken from the queue.
        linked: Account records whose link is new or another one.
        merged: Old ids that an account has taken in.
        split: Old ids whose records are in several accounts now.
        conflicts: Merges that were not done, among those looked at.
        touched: Accounts that must be measured again, each counted once per chunk.
    """

    changes: int = 0
    linked: int = 0
    merged: int = 0
    split: int = 0
    conflicts: int = 0
    touched: int = 0


@dataclass(slots=True)
class _Component:
    facts: dict[Node, Facts] = field(default_factory=dict)
    links: dict[Node, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    manual: dict[tuple[Node, Node], Manual] = field(default_factory=dict)
    seen: set[Node] = field(default_factory=set)
    seen_keys: set[tuple[str, str]] = field(default_factory=set)
    seen_accounts: set[str] = field(default_factory=set)


class Solving:
    """One transaction of the solving.

    Args:
        tx: The transaction.
        tables: The record tables.
        rules: The rules of identity.
        hubs: Keys that join nothing.
        now: The current instant, epoch ms.
    """

    def __init__(self, tx: Tx, tables: RecordTables, rules: Rules, hubs: Hubs, now: int) -> None:
        self._tx = tx
        self._tables = tables
        self._rules = rules
        self._hubs = hubs
        self._now = now
        self._report = ResolveReport()
        self._persons = tables.table(Person) if Person in tables.types else None
        self._dirty: set[str] = set()

    def run(self, seeds: Sequence[Node]) -> ResolveReport:
        """Solve the components of some account records."""
        component = self._component(seeds)
        self._store(component, set(seeds))
        mark_dirty(self._tx, self._dirty, self._now)
        self._report.touched = len(self._dirty)
        evidence.done(self._tx, "account", sorted(component.seen | set(seeds)))
        return self._report

    # --- components ---

    def _component(self, seeds: Sequence[Node]) -> _Component:
        found = _Component()
        frontier = set(seeds)
        while frontier:
            nodes = sorted(frontier)
            found.seen |= frontier
            new = self._facts(nodes)
            found.facts.update((facts.node, facts) for facts in new)
            keys = {(mark.kind, mark.digest) for facts in new for mark in facts.marks if mark.kind in JOINING | {"merged"}}
            keys |= {("merged", merged_digest(node)) for node in nodes}
            reached = evidence.holders(self._tx, keys - found.seen_keys)
            found.seen_keys |= keys
            reached |= {other for facts in new for other in facts.others}
            for link in manual_links(self._tx, nodes):
                found.manual[link.a, link.b] = link
                reached |= {link.a, link.b}
            named = [f"acc_{owner}" for owner in sorted({facts.external_id for facts in new if facts.external_id})]
            reached |= self._with_accounts(found, nodes, named)
            frontier = reached - found.seen
        return found

    def _facts(self, nodes: Sequence[Node]) -> list[Facts]:
        """Return what is known of records, without the keys that are hubs."""
        spoken = evidence.spoken_keys(self._tx, nodes)
        made: list[Facts] = []
        for node, (record, deleted) in account_records(self._tx, self._tables, nodes):
            keys = [key for key in spoken.get(node, ()) if (key.kind, key.digest) not in self._hubs]
            numbers = {number for text in record.tax_ids if (number := tax_form(text, record.country))}
            made.append(
                Facts(
                    node=node,
                    external_id=next((key.digest for key in keys if key.kind == "external_id"), None),
                    name=record.name,
                    company=record.name if any(key.kind == "name" for key in keys) else None,
                    fits=frozenset(key.digest for key in keys if key.kind == "fits"),
                    taxes=frozenset((number[:2], digest("tax_id", number)) for number in numbers if number[:2].isalpha()),
                    parent=record.parent_ref,
                    others=merged_with(node, record),
                    superseded=record.merged_into is not None,
                    created_at=record.created_at,
                    said_at=said_at(record),
                    deleted=deleted,
                    test=is_test(record, self._rules),
                    marks=tuple(sorted(Mark(*key) for key in keys)),
                )
            )
        return made

    def _with_accounts(self, found: _Component, nodes: Sequence[Node], named: Sequence[str]) -> set[Node]:
        """Return the records that are linked to the same accounts now, or to those that the external ids name."""
        accounts = set(named)
        for part in parts(nodes):
            rows = self._tx.rows(
                f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - constants
                " SELECT l.account FROM v JOIN links l"
                " ON l.type = 'account' AND l.instance = v.instance AND l.record_id = v.id",
                [value for node in part for value in node],
            )
            accounts.update(account for (account,) in rows)
        reached: set[Node] = set()
        for unseen in parts(sorted(accounts - found.seen_accounts)):
            marks = ", ".join("?" * len(unseen))
            rows = self._tx.rows(
                f"SELECT instance, record_id, account, evidence FROM links WHERE type = 'account' AND account IN ({marks})",  # noqa: S608
                unseen,
            )
            for instance, id_, account, why in rows:
                node = Node(instance, id_)
                found.links[node] = account, msgspec.json.decode(why)
                reached.add(node)
        found.seen_accounts |= accounts
        return reached

    # --- what follows ---

    def _store(self, component: _Component, seeds: set[Node]) -> None:
        solution = solve(
            component.facts.values(),
            component.manual.values(),
            max_records=self._rules.max_records,
            naming=self._rules.fields.get("name", self._rules.sources),
        )
        homes: dict[Node, str] = {}
        for group in solution.groups:
            homes.update((member.node, group.account) for member in group.members)
        self._write_accounts(solution.groups)
        self._write_links(component, solution.groups)
        self._retire(component, homes)
        self._dirty |= {homes[node] for node in seeds if node in homes}
        self._settle(component, solution)

    def _write_accounts(self, groups: Sequence[Group]) -> None:
        self._tx.many(
            "INSERT INTO accounts (id, name, state, merged_into, created_at, updated_at) VALUES (?, ?, ?, NULL, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state, merged_into = NULL,"
            " updated_at = excluded.updated_at WHERE accounts.state <> 'erased' AND (accounts.state <> excluded.state"
            " OR COALESCE(accounts.name, '') <> COALESCE(excluded.name, ''))",
            [(group.account, group.name, _state(group), self._now, self._now) for group in groups],
        )

    def _write_links(self, component: _Component, groups: Sequence[Group]) -> None:
        """Write the links that are new or other ones, and take the records' persons along."""
        rows = []
        moved = []
        for group in groups:
            for member in group.members:
                old = component.links.get(member.node)
                why = {"rule": member.rule, "digest": member.digest, "since": self._now}
                if old is not None and {**old[1], "since": self._now} == why:
                    if old[0] == group.account:
                        continue
                    why = old[1]
                rows.append((*member.node, group.account, msgspec.json.encode(why).decode(), self._now))
                if old is None or old[0] != group.account:
                    moved.append((member.node, group.account))
                    self._dirty |= {group.account} if old is None else {old[0], group.account}
        lost = [node for node in component.links if node not in component.facts]
        self._dirty |= {component.links[node][0] for node in lost}
        self._tx.many(
            "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('account', ?, ?, ?, ?, ?)"
            " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, evidence = excluded.evidence,"
            " at = excluded.at",
            sorted(rows),
        )
        self._tx.many("DELETE FROM links WHERE type = 'account' AND instance = ? AND record_id = ?", sorted(lost))
        self._report.linked += len(moved)
        if self._persons:
            self._move_persons(moved, lost)
            keys = {
                (mark.kind, mark.digest) for node, _ in moved for mark in component.facts[node].marks if mark.kind in FINDING
            }
            evidence.enqueue(self._tx, "person", evidence.strays(self._tx, keys))

    def _move_persons(self, moved: Iterable[tuple[Node, str]], lost: Iterable[Node]) -> None:
        self._tx.many(
            "INSERT INTO links (type, instance, record_id, account, evidence, at)"  # noqa: S608 - names from the type
            f" SELECT 'person', p.instance, p.id, ?, ?, ? FROM {self._persons} p WHERE p.instance = ? AND p.account_ref = ?"
            " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, evidence = excluded.evidence,"
            " at = excluded.at WHERE links.account <> excluded.account OR links.evidence <> excluded.evidence",
            [(account, BY_REFERENCE, self._now, *node) for node, account in moved],
        )
        self._tx.many(
            "DELETE FROM links WHERE type = 'person' AND instance = ? AND record_id IN"  # noqa: S608 - names from the type
            f" (SELECT p.id FROM {self._persons} p WHERE p.instance = ? AND p.account_ref = ?)",
            [(node.instance, *node) for node in lost],
        )

    def _retire(self, component: _Component, homes: Mapping[Node, str]) -> None:
        """Turn accounts that no record belongs to any more into aliases of where their records went."""
        standing = set(homes.values())
        went: dict[str, list[Node]] = {}
        for node, (account, _) in component.links.items():
            if account not in standing:
                went.setdefault(account, []).append(node)
        rows = []
        for account, nodes in sorted(went.items()):
            known = sorted((component.facts[node] for node in nodes if node in homes), key=lambda facts: facts.order)
            targets = {homes[facts.node] for facts in known}
            state = "gone" if not targets else "merged" if len(targets) == 1 else "split"
            self._report.merged += state == "merged"
            self._report.split += state == "split"
            rows.append((state, homes[known[0].node] if known else None, self._now, account))
            self._dirty.add(account)
        self._tx.many("UPDATE accounts SET state = ?, merged_into = ?, updated_at = ? WHERE id = ? AND state <> 'erased'", rows)

    def _settle(self, component: _Component, solution: Solution) -> None:
        """Open what is in conflict, and close what is not any more."""
        open_ = set(self._tx.all("SELECT kind, subject FROM conflicts WHERE closed_at IS NULL"))
        looked_at = open_.intersection(solution.subjects)
        for kind, subject in open_:
            if kind in {"external_id", "manual"} and not component.seen.isdisjoint(_pair(subject)):
                looked_at.add((kind, subject))
        settle_conflicts(self._tx, sorted(looked_at), solution.conflicts, self._now)
        self._report.conflicts += len(solution.conflicts)


def _pair(subject: str) -> set[Node]:
    """Return the two records that a conflict is about."""
    return {Node(*pair) for pair in msgspec.json.decode(subject)}


def _state(group: Group) -> str:
    return "gone" if group.gone else "test" if group.test else "active"
