"""Resolve: the step that links vendors' records to customers, and finds out which customers changed.

It consumes the queue of changed rows in chunks, each one transaction: a kill at any instant leaves the rest of the queue for
the next run. Components that a changed account record touches are solved again as a whole, so that neither the order of
arrival nor the size of a chunk matters. What changed in any other record makes its account dirty, to be measured again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

import msgspec

from wellkept.pipeline.components import (
    SHARED_LIMIT,
    Facts,
    Group,
    believable,
    external_account,
    solve,
)
from wellkept.records import Account, Person
from wellkept.store.accounts import (
    TOUCH,
    Conflict,
    Manual,
    Node,
    conflicts,
    digest,
    manual_links,
    mark_dirty,
    pairs,
    settle_conflicts,
)
from wellkept.store.connection import Tx
from wellkept.store.engine import Store
from wellkept.store.records import RecordTables

T = TypeVar("T")

CHUNK = 1_000
"""Changed rows worked off in one transaction, so that other writers wait a tenth of a second at most."""

LOOKUP = 400
"""Keys in one look-up."""


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


def resolve(store: Store, tables: RecordTables, *, now: int, chunk: int = CHUNK) -> ResolveReport:
    """Work off the queue of changed rows. Running it again without changes does nothing.

    Args:
        store: The store.
        tables: The tables of the records.
        now: The current instant, epoch ms.
        chunk: Changed rows per transaction.
    """
    total = ResolveReport()
    store.write_now(lambda tx: _prepare(tx, tables, now))
    while done := store.write_now(lambda tx: _work(tx, tables, now, chunk)):
        total = ResolveReport(*(mine + theirs for mine, theirs in zip(astuple(total), astuple(done), strict=True)))
    return total


def _prepare(tx: Tx, tables: RecordTables, now: int) -> None:
    """Index what is looked up, and take up again records whose external id is shared by few enough now."""
    table = tables.table(Account)
    tx.execute(f"CREATE INDEX IF NOT EXISTS {table}_external ON {table} (external_id)")
    for conflict in conflicts(tx):
        if conflict.kind != "shared_id":
            continue
        external_id = _shared_id(tx, table, conflict)
        count = f"SELECT COUNT(*) FROM {table} WHERE external_id = ?"  # noqa: S608 - names from the type
        if external_id is not None and tx.value(count, (external_id,)) > SHARED_LIMIT:
            continue
        tx.execute(
            "INSERT INTO changes (type, instance, id, at)"  # noqa: S608 - names from the type
            f" SELECT 'account', instance, id, ? FROM {table} WHERE external_id = ?",
            (now, external_id),
        )
        settle_conflicts(tx, [(conflict.kind, conflict.subject)], [], now)


def _shared_id(tx: Tx, table: str, conflict: Conflict) -> str | None:
    """Return the external id behind a conflict, which holds but its digest; None when no record has it any more."""
    examples = conflict.detail["examples"]
    known = tx.all(
        f"WITH v (instance, id) AS (VALUES {pairs(examples)}) SELECT r.external_id FROM v"  # noqa: S608
        f" JOIN {table} r ON r.instance = v.instance AND r.id = v.id WHERE r.external_id IS NOT NULL",
        [value for example in examples for value in example],
    )
    everywhere = f"SELECT DISTINCT external_id FROM {table} WHERE external_id IS NOT NULL"  # noqa: S608
    for (external_id,) in chain(known, tx.rows(everywhere)):
        if digest("external_id", external_id) == conflict.subject:
            return str(external_id)
    return None


def _work(tx: Tx, tables: RecordTables, now: int, chunk: int) -> ResolveReport | None:
    """Work off one chunk; None when there was nothing to do."""
    rows = tx.all("SELECT seq, type, instance, id FROM changes ORDER BY seq LIMIT ?", (chunk,))
    if not rows:
        return None
    seeds = sorted({Node(instance, id_) for _, type_, instance, id_ in rows if type_ == Account.type})
    done = ResolveReport(changes=len(rows))
    _Chunk(tx, tables, now, done).run(seeds, {type_ for _, type_, _, _ in rows}, (rows[0][0], rows[-1][0]))
    tx.many("DELETE FROM changes WHERE seq = ?", [(row[0],) for row in rows])
    return done


@dataclass(slots=True)
class _Component:
    """Everything that evidence or a present link could connect with the changed records."""

    facts: dict[Node, Facts] = field(default_factory=dict)
    links: dict[Node, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    manual: dict[tuple[Node, Node], Manual] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    seen: set[Node] = field(default_factory=set)
    seen_ids: set[str] = field(default_factory=set)
    seen_accounts: set[str] = field(default_factory=set)


class _Chunk:
    """One transaction of the step."""

    def __init__(self, tx: Tx, tables: RecordTables, now: int, report: ResolveReport) -> None:
        self.tx = tx
        self.tables = tables
        self.now = now
        self.report = report
        self.table = tables.table(Account)
        self.past = tables.shape(Account).past
        self.persons = tables.table(Person) if Person in tables.types else None
        self.dirty: set[str] = set()

    def run(self, seeds: Sequence[Node], types: set[str], span: tuple[int, int]) -> None:
        """Solve the components of changed account records, then follow the other changed rows to their accounts."""
        if seeds:
            component = self._component(seeds)
            self._store(component, set(seeds))
        mark_dirty(self.tx, self.dirty, self.now)
        self.report.touched = len(self.dirty)
        if self.persons and Person.type in types:
            self._link_persons(span)
        for type_ in self.tables.types:
            if type_.type in types and type_ is not Account:
                self.report.touched += self._touch_owners(type_.type, self.tables.account_sql(type_, "r"), span)

    # --- components ---

    def _component(self, seeds: Sequence[Node]) -> _Component:
        found = _Component()
        frontier = set(seeds)
        while frontier:
            nodes = sorted(frontier)
            found.seen |= frontier
            reached: set[Node] = set()
            found.facts.update((facts.node, facts) for facts in self._facts(nodes))
            ids = {facts.external_id for node in nodes if (facts := found.facts.get(node)) and facts.external_id}
            reached |= self._with_external_ids(found, sorted(ids - found.seen_ids))
            for link in manual_links(self.tx, nodes):
                found.manual[link.a, link.b] = link
                reached |= {link.a, link.b}
            reached |= self._with_accounts(found, nodes, [external_account(external_id) for external_id in sorted(ids)])
            frontier = reached - found.seen
        for node, facts in found.facts.items():
            if facts.external_id in found.shared:
                found.facts[node] = replace(facts, external_id=None)
        return found

    def _facts(self, nodes: Sequence[Node]) -> Iterator[Facts]:
        """Yield what is known of records. One that was never seen alive says nothing, and is none."""
        for part in _parts(nodes):
            rows = self.tx.all(
                f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - names from the type
                f" SELECT r.instance, r.id, r.deleted, {_SAID} FROM v JOIN {self.table} r"
                " ON r.instance = v.instance AND r.id = v.id",
                [value for node in part for value in node],
            )
            for instance, id_, deleted, *content in rows:
                node = Node(instance, id_)
                known = self._last_words(node) if deleted and content == [None] * 3 else content
                if known is not None:
                    external_id, name, created_at = known
                    yield Facts(
                        node=node,
                        external_id=believable(external_id),
                        name=name,
                        created_at=created_at,
                        deleted=bool(deleted),
                    )

    def _last_words(self, node: Node) -> Sequence[Any] | None:
        """Return what a record said before it was deleted; its invoices and the past still belong to somebody."""
        return self.tx.one(
            f"SELECT {_SAID} FROM {self.past} r WHERE instance = ? AND id = ? AND deleted = 0"  # noqa: S608
            " ORDER BY version DESC, observed_at DESC LIMIT 1",
            node,
        )

    def _with_external_ids(self, found: _Component, ids: Sequence[str]) -> set[Node]:
        """Return the records that share external ids, except for ids that too many share."""
        found.seen_ids.update(ids)
        reached: set[Node] = set()
        for part in _parts(ids):
            marks = ", ".join("?" * len(part))
            counts = self.tx.rows(
                f"SELECT external_id, COUNT(*) FROM {self.table} WHERE external_id IN ({marks})"  # noqa: S608
                " GROUP BY external_id HAVING COUNT(*) > ?",
                [*part, SHARED_LIMIT],
            )
            found.shared.update(dict(counts))
            few = [external_id for external_id in part if external_id not in found.shared]
            if few:
                marks = ", ".join("?" * len(few))
                rows = self.tx.rows(f"SELECT instance, id FROM {self.table} WHERE external_id IN ({marks})", few)  # noqa: S608
                reached.update(Node(*row) for row in rows)
        return reached

    def _with_accounts(self, found: _Component, nodes: Sequence[Node], named: Sequence[str]) -> set[Node]:
        """Return the records that are linked to the same accounts now, or to those that the external ids name."""
        accounts = set(named)
        for part in _parts(nodes):
            rows = self.tx.rows(
                f"WITH v (instance, id) AS (VALUES {pairs(part)})"  # noqa: S608 - constants
                " SELECT l.account FROM v JOIN links l"
                " ON l.type = 'account' AND l.instance = v.instance AND l.record_id = v.id",
                [value for node in part for value in node],
            )
            accounts.update(account for (account,) in rows)
        reached: set[Node] = set()
        for unseen in _parts(sorted(accounts - found.seen_accounts)):
            marks = ", ".join("?" * len(unseen))
            rows = self.tx.rows(
                f"SELECT instance, record_id, account, evidence FROM links WHERE type = 'account' AND account IN ({marks})",  # noqa: S608
                unseen,
            )
            for instance, id_, account, evidence in rows:
                node = Node(instance, id_)
                found.links[node] = account, msgspec.json.decode(evidence)
                reached.add(node)
        found.seen_accounts |= accounts
        return reached

    # --- what follows ---

    def _store(self, component: _Component, seeds: set[Node]) -> None:
        solution = solve(component.facts.values(), component.manual.values())
        homes: dict[Node, str] = {}
        for group in solution.groups:
            homes.update((member.node, group.account) for member in group.members)
        self._write_accounts(solution.groups)
        self._write_links(component, solution.groups)
        self._retire(component, homes)
        self.dirty |= {homes[node] for node in seeds if node in homes}
        self._settle(component, solution.conflicts, solution.subjects)

    def _write_accounts(self, groups: Sequence[Group]) -> None:
        self.tx.many(
            "INSERT INTO accounts (id, name, state, merged_into, created_at, updated_at) VALUES (?, ?, ?, NULL, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state, merged_into = NULL,"
            " updated_at = excluded.updated_at WHERE accounts.state <> 'erased' AND (accounts.state <> excluded.state"
            " OR COALESCE(accounts.name, '') <> COALESCE(excluded.name, ''))",
            [(group.account, group.name, "gone" if group.gone else "active", self.now, self.now) for group in groups],
        )

    def _write_links(self, component: _Component, groups: Sequence[Group]) -> None:
        """Write the links that are new or other ones, and take the records' persons along."""
        rows = []
        moved = []
        for group in groups:
            for member in group.members:
                old = component.links.get(member.node)
                evidence = {"rule": member.rule, "digest": member.digest, "since": self.now}
                if old is not None and {**old[1], "since": self.now} == evidence:
                    if old[0] == group.account:
                        continue
                    evidence = old[1]
                rows.append((*member.node, group.account, msgspec.json.encode(evidence).decode(), self.now))
                if old is None or old[0] != group.account:
                    moved.append((member.node, group.account))
                    self.dirty |= {group.account} if old is None else {old[0], group.account}
        lost = [node for node in component.links if node not in component.facts]
        self.dirty |= {component.links[node][0] for node in lost}
        self.tx.many(
            "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('account', ?, ?, ?, ?, ?)"
            " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, evidence = excluded.evidence,"
            " at = excluded.at",
            sorted(rows),
        )
        self.tx.many("DELETE FROM links WHERE type = 'account' AND instance = ? AND record_id = ?", sorted(lost))
        self.report.linked += len(moved)
        if self.persons:
            self._move_persons(moved, lost)

    def _move_persons(self, moved: Iterable[tuple[Node, str]], lost: Iterable[Node]) -> None:
        self.tx.many(
            "INSERT INTO links (type, instance, record_id, account, evidence, at)"  # noqa: S608 - names from the type
            f" SELECT 'person', p.instance, p.id, ?, ?, ? FROM {self.persons} p WHERE p.instance = ? AND p.account_ref = ?"
            " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, at = excluded.at"
            " WHERE links.account <> excluded.account",
            [(account, _BY_REFERENCE, self.now, *node) for node, account in moved],
        )
        self.tx.many(
            "DELETE FROM links WHERE type = 'person' AND instance = ? AND record_id IN"  # noqa: S608 - names from the type
            f" (SELECT p.id FROM {self.persons} p WHERE p.instance = ? AND p.account_ref = ?)",
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
            self.report.merged += state == "merged"
            self.report.split += state == "split"
            rows.append((state, homes[known[0].node] if known else None, self.now, account))
            self.dirty.add(account)
        self.tx.many("UPDATE accounts SET state = ?, merged_into = ?, updated_at = ? WHERE id = ? AND state <> 'erased'", rows)

    def _settle(self, component: _Component, found: Sequence[Conflict], subjects: Sequence[tuple[str, str]]) -> None:
        examples = f"SELECT instance, id FROM {self.table} WHERE external_id = ? ORDER BY instance, id LIMIT 5"  # noqa: S608
        shared = [
            Conflict(
                kind="shared_id",
                subject=digest("external_id", external_id),
                detail={"records": count, "examples": [list(row) for row in self.tx.rows(examples, (external_id,))]},
            )
            for external_id, count in sorted(component.shared.items())
        ]
        looked_at = [*subjects, *(("shared_id", digest("external_id", external_id)) for external_id in component.seen_ids)]
        settle_conflicts(self.tx, looked_at, [*found, *shared], self.now)
        self.report.conflicts += len(found) + len(shared)

    # --- the other records ---

    def _link_persons(self, span: tuple[int, int]) -> None:
        """Link changed persons to the accounts that they name; whom they leave must be measured as well."""
        changed = "SELECT DISTINCT c.instance, c.id FROM changes c WHERE c.type = 'person' AND c.seq BETWEEN ? AND ?"
        link = "l.type = 'person' AND l.instance = c.instance AND l.record_id = c.id"
        self.tx.execute(
            f"INSERT INTO dirty_accounts (account, at) SELECT DISTINCT l.account, ? FROM ({changed}) c JOIN links l ON {link}"  # noqa: S608
            f" WHERE 1 = 1 {TOUCH}",
            (self.now, *span),
        )
        named = (
            f"SELECT p.instance, p.id, a.account FROM ({changed}) c JOIN {self.persons} p"  # noqa: S608 - names from the type
            " ON p.instance = c.instance AND p.id = c.id JOIN links a ON a.type = 'account' AND a.instance = p.instance"
            " AND a.record_id = p.account_ref"
        )
        self.tx.execute(
            "DELETE FROM links WHERE type = 'person' AND EXISTS"  # noqa: S608 - names from the type
            f" (SELECT 1 FROM ({changed}) c WHERE c.instance = links.instance AND c.id = links.record_id) AND NOT EXISTS"
            f" (SELECT 1 FROM ({named}) n WHERE n.instance = links.instance AND n.id = links.record_id)",
            (*span, *span),
        )
        self.tx.execute(
            "INSERT INTO links (type, instance, record_id, account, evidence, at)"  # noqa: S608 - names from the type
            f" SELECT 'person', n.instance, n.id, n.account, ?, ? FROM ({named}) n WHERE 1 = 1"
            " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, at = excluded.at"
            " WHERE links.account <> excluded.account",
            (_BY_REFERENCE, self.now, *span),
        )

    def _touch_owners(self, type_: str, owner: str, span: tuple[int, int]) -> int:
        """Mark the accounts of changed rows of one type as dirty; return how many."""
        table = next(self.tables.table(known) for known in self.tables.types if known.type == type_)
        return self.tx.execute(
            "INSERT INTO dirty_accounts (account, at) SELECT DISTINCT account, ? FROM"  # noqa: S608 - names from the type
            f" (SELECT {owner} AS account FROM changes c JOIN {table} r ON r.instance = c.instance AND r.id = c.id"
            " WHERE c.type = ? AND c.seq BETWEEN ? AND ?) AS touched"
            f" WHERE account IS NOT NULL {TOUCH}",
            (self.now, type_, *span),
        )


_SAID = "r.external_id, r.name, r.created_at"
"""What an account record says about whose it is."""

_BY_REFERENCE = msgspec.json.encode({"rule": "account_ref"}).decode()
"""Evidence of a person's link: the vendor itself says to which of its accounts the person belongs."""


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + LOOKUP] for start in range(0, len(items), LOOKUP))
