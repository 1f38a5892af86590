"""Resolve: the step that links vendors' records to customers, and finds out which customers changed.

It works in stages, each in chunks that are transactions: a kill at any instant leaves the rest for the next run. First the
queue of changed rows is worked off: what changed makes its account dirty, to be measured again. Then the keys of changed
account records and persons are made (see `wellkept.pipeline.indexing`). Then everything is solved again that evidence connects
with a record that changed (`wellkept.pipeline.solving`), always a component as a whole, so that neither the order of arrival
nor the size of a chunk matters. Last, persons whose vendor names no account are found one (`wellkept.pipeline.strays`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass

from wellkept.identity.rules import Rules
from wellkept.pipeline.indexing import Hubs, Indexer
from wellkept.pipeline.solving import BY_REFERENCE, ResolveReport, Solving
from wellkept.pipeline.strays import find_accounts, named
from wellkept.records import Account, Person
from wellkept.settings import Identity
from wellkept.store import evidence
from wellkept.store.accounts import TOUCH, Node
from wellkept.store.connection import Tx
from wellkept.store.engine import Store
from wellkept.store.records import RecordTables

__all__ = ["ResolveReport", "resolve"]

CHUNK = 1_000
"""Rows worked off in one transaction, so that other writers wait some tenths of a second at most."""


def resolve(store: Store, tables: RecordTables, *, now: int, rules: Rules | None = None, chunk: int = CHUNK) -> ResolveReport:
    """Work off the queue of changed rows. Running it again without changes does nothing.

    Args:
        store: The store.
        tables: The tables of the records.
        now: The current instant, epoch ms.
        rules: The rules of identity; when they are others than last time, everything is resolved again.
        chunk: Rows per transaction.
    """
    rules = rules or Rules.of(Identity())
    total = ResolveReport()
    hubs = store.write_now(lambda tx: _prepare(tx, tables, rules, now))
    steps = _Steps(tables, rules, hubs, now, chunk)
    stages: tuple[Callable[[Tx], ResolveReport | None], ...] = (steps.changes, steps.keys, steps.accounts, steps.persons)
    for stage in stages:
        while done := store.write_now(stage):
            total = ResolveReport(*(mine + theirs for mine, theirs in zip(astuple(total), astuple(done), strict=True)))
    return total


def _prepare(tx: Tx, tables: RecordTables, rules: Rules, now: int) -> Hubs:
    """Have everything resolved again when the rules have changed; find the hubs."""
    basis = rules.fingerprint
    if tx.value("SELECT value FROM meta WHERE key = ?", (evidence.BASIS,)) != basis:
        if tx.one("SELECT 1 FROM links LIMIT 1"):
            persons = tables.table(Person) if Person in tables.types else None
            evidence.enqueue_everything(tx, tables.table(Account), persons)
        tx.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (evidence.BASIS, basis),
        )
    hubs = Hubs(tx, rules.hub_limit)
    evidence.enqueue(tx, "account", hubs.review_all(tx, now))
    return hubs


@dataclass(frozen=True, slots=True)
class _Steps:
    """The stages. Each works off one chunk, and returns None when there was nothing to do."""

    tables: RecordTables
    rules: Rules
    hubs: Hubs
    now: int
    chunk: int

    def changes(self, tx: Tx) -> ResolveReport | None:
        """Follow changed rows to their accounts, and note whose keys must be made again."""
        rows = tx.all("SELECT seq, type, instance, id FROM changes ORDER BY seq LIMIT ?", (self.chunk,))
        if not rows:
            return None
        nodes: dict[str, list[Node]] = {}
        for _, type_, instance, id_ in rows:
            nodes.setdefault(type_, []).append(Node(instance, id_))
        report = ResolveReport(changes=len(rows))
        accounts = nodes.get(Account.type, [])
        evidence.enqueue(tx, "keys", accounts)
        evidence.enqueue(tx, "account", accounts)
        span = (rows[0][0], rows[-1][0])
        if Person in self.tables.types and Person.type in nodes:
            _link_persons(tx, self.tables, span, self.now)
            self._indexer(tx).persons(sorted(set(nodes[Person.type])))
        for type_ in self.tables.types:
            if type_.type in nodes and type_ is not Account:
                owner = self.tables.account_sql(type_, "r")
                report.touched += _touch_owners(tx, type_.type, self.tables.table(type_), owner, span=span, now=self.now)
        tx.many("DELETE FROM changes WHERE seq = ?", [(row[0],) for row in rows])
        return report

    def keys(self, tx: Tx) -> ResolveReport | None:
        """Make the keys of account records."""
        nodes = evidence.waiting(tx, "keys", self.chunk)
        if not nodes:
            return None
        self._indexer(tx).accounts(nodes)
        evidence.done(tx, "keys", nodes)
        return ResolveReport()

    def accounts(self, tx: Tx) -> ResolveReport | None:
        """Solve the components of account records."""
        seeds = evidence.waiting(tx, "account", self.chunk)
        return Solving(tx, self.tables, self.rules, self.hubs, self.now).run(seeds) if seeds else None

    def persons(self, tx: Tx) -> ResolveReport | None:
        """Find accounts for persons without one."""
        nodes = evidence.waiting(tx, "person", self.chunk)
        if not nodes:
            return None
        touched = find_accounts(tx, self.tables, nodes, self.hubs, self.now)
        evidence.done(tx, "person", nodes)
        return ResolveReport(touched=touched)

    def _indexer(self, tx: Tx) -> Indexer:
        return Indexer(tx, self.tables, self.rules, self.hubs, self.now)


def _link_persons(tx: Tx, tables: RecordTables, span: tuple[int, int], now: int) -> None:
    """Link changed persons to the accounts that they name; whom they leave must be measured as well."""
    persons = tables.table(Person)
    changed = "SELECT DISTINCT c.instance, c.id FROM changes c WHERE c.type = 'person' AND c.seq BETWEEN ? AND ?"
    link = "l.type = 'person' AND l.instance = c.instance AND l.record_id = c.id"
    tx.execute(
        f"INSERT INTO dirty_accounts (account, at) SELECT DISTINCT l.account, ? FROM ({changed}) c JOIN links l ON {link}"  # noqa: S608
        f" WHERE 1 = 1 {TOUCH}",
        (now, *span),
    )
    linked = (
        f"SELECT p.instance, p.id, a.account FROM ({changed}) c JOIN {persons} p"  # noqa: S608 - names from the type
        " ON p.instance = c.instance AND p.id = c.id JOIN links a ON a.type = 'account' AND a.instance = p.instance"
        " AND a.record_id = p.account_ref"
    )
    stray = (
        f"SELECT 1 FROM {persons} s WHERE s.instance = links.instance AND s.id = links.record_id AND s.deleted = 0"  # noqa: S608
        f" AND NOT EXISTS ({named(tables, 's')})"
    )
    tx.execute(
        "DELETE FROM links WHERE type = 'person' AND EXISTS"  # noqa: S608 - names from the type
        f" (SELECT 1 FROM ({changed}) c WHERE c.instance = links.instance AND c.id = links.record_id) AND NOT EXISTS"
        f" (SELECT 1 FROM ({linked}) n WHERE n.instance = links.instance AND n.id = links.record_id) AND NOT EXISTS ({stray})",
        (*span, *span),
    )
    tx.execute(
        "INSERT INTO links (type, instance, record_id, account, evidence, at)"  # noqa: S608 - names from the type
        f" SELECT 'person', n.instance, n.id, n.account, ?, ? FROM ({linked}) n WHERE 1 = 1"
        " ON CONFLICT (type, instance, record_id) DO UPDATE SET account = excluded.account, evidence = excluded.evidence,"
        " at = excluded.at WHERE links.account <> excluded.account OR links.evidence <> excluded.evidence",
        (BY_REFERENCE, now, *span),
    )


def _touch_owners(tx: Tx, type_: str, table: str, owner: str, *, span: tuple[int, int], now: int) -> int:
    """Mark the accounts of changed rows of one type as dirty; return how many."""
    return tx.execute(
        "INSERT INTO dirty_accounts (account, at) SELECT DISTINCT account, ? FROM"  # noqa: S608 - names from the type
        f" (SELECT {owner} AS account FROM changes c JOIN {table} r ON r.instance = c.instance AND r.id = c.id"
        " WHERE c.type = ? AND c.seq BETWEEN ? AND ?) AS touched"
        f" WHERE account IS NOT NULL {TOUCH}",
        (now, type_, *span),
    )
