"""Which account records are one customer: a pure function of the records and of what people said, whatever came first.

Records are nodes. Evidence joins them in one global order: equal external ids first, then manual links and what vendors merged,
then weak evidence (see `wellkept.identity.weak`). Nothing joins two groups of which a person has said that two of their records
are apart, or that have different external ids: strong ids that disagree block a merge. Only a person may join those, by force.

The account's id follows from the group alone. A group with an external id is named after it, so that linking another vendor's
records, however old they are, changes nothing; another one after its oldest record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import msgspec

from wellkept.identity import weak
from wellkept.identity.clusters import Cluster, Facts
from wellkept.identity.weak import Contest, Joiner
from wellkept.store.accounts import Conflict, Manual, Node, digest

Rule = Literal["record", "external_id", "manual", "merged"] | weak.Rule
"""Why a record belongs to its account: it is what the account was made from, or what joined it."""

SHARED_LIMIT = 50
"""Records with one external id above which it is not believed: a constant that somebody wrote into all of them would make all
customers one, and send one's data to the others."""

MAX_RECORDS = 200
"""Records that weak evidence may bring together, unless configured otherwise."""

SHOWN = 10
"""Records of one side that a conflict names."""

Subject = tuple[str, str]
"""Kind and subject of a conflict."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A record of a group, and the evidence for it."""

    node: Node
    rule: Rule
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """One customer.

    Attributes:
        account: The canonical account id.
        members: Oldest first.
        name: What to call it: a living record's name if there is one, by the order of sources; the latest; the oldest's.
        gone: All its records were deleted.
        test: It is no customer: a vendor says so, or all of its living records look so.
    """

    account: str
    members: Sequence[Member]
    name: str | None
    gone: bool
    test: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """All groups of a component, merges that were not done, and the subjects that were looked at for them."""

    groups: Sequence[Group]
    conflicts: Sequence[Conflict]
    subjects: Sequence[Subject]


def external_account(external_id: str) -> str:
    """Return the id of the account that has an external id."""
    return f"acc_{digest('external_id', external_id)}"


def record_account(node: Node) -> str:
    """Return the id of an account that is named after a record."""
    return f"acc_{digest('record', *node)}"


def merged_digest(node: Node) -> str:
    """Return the digest under which others name a record that was merged with them."""
    return digest("merged", *node)


def solve(
    component: Iterable[Facts], manual: Iterable[Manual], *, max_records: int = MAX_RECORDS, naming: Sequence[str] = ()
) -> Solution:
    """Return the customers in a component.

    Args:
        component: All records that evidence could connect with each other.
        manual: What people said about them; links to records outside are left out.
        max_records: Records that weak evidence may bring together in one account.
        naming: Instances whose names count before others', the most trusted first.
    """
    ordered = sorted(_current(component), key=lambda facts: facts.order)
    solver = _Solver(ordered, manual)
    solver.join_external_ids()
    solver.join_said("forced")
    solver.join_said("same")
    solver.join_merged()
    found = Joiner(solver.clusters, max_records=max_records).run(ordered)
    for node, (rule, key) in found.joined.items():
        solver.joined.setdefault(node, (rule, key))
    solver.contest("contested", found.contests)
    solver.contest("crowded", found.crowded)
    marks = {(mark.kind, mark.digest) for facts in ordered for mark in facts.marks}
    rules = [(rule, key) for rule in weak.RULES for kind, key in marks if kind == weak.KIND.get(rule, rule)]
    subjects = [*solver.subjects, *((kind, f"{rule}:{key}") for rule, key in rules for kind in ("contested", "crowded"))]
    return Solution(groups=list(solver.groups(naming)), conflicts=solver.conflicts, subjects=subjects)


def _current(component: Iterable[Facts]) -> Iterator[Facts]:
    """Yield the records; what was merged into another one says by its external id what it was, not what it is."""
    found = list(component)
    known = {facts.node for facts in found}
    merged = {other for facts in found if not facts.superseded for other in facts.others} & known
    for facts in found:
        yield replace(facts, external_id=None) if facts.superseded or facts.node in merged else facts


class _Solver:
    """Joins records by strong evidence.

    Args:
        ordered: The records, oldest first.
        manual: What people said.

    Attributes:
        clusters: The cluster of each record.
        joined: Rule and digest by which a record first came to another one.
        conflicts: What could not be joined.
        subjects: What was looked at.
    """

    def __init__(self, ordered: Sequence[Facts], manual: Iterable[Manual]) -> None:
        self._ordered = ordered
        self._place = {facts.node: index for index, facts in enumerate(ordered)}
        self._said = [link for link in manual if link.a in self._place and link.b in self._place]
        self.clusters = {facts.node: Cluster([facts], {facts.external_id} if facts.external_id else set()) for facts in ordered}
        self.joined: dict[Node, tuple[Rule, str]] = {}
        self.conflicts: list[Conflict] = []
        self.subjects: list[Subject] = []
        for link in self._said:
            if link.relation == "apart":
                self.clusters[link.a].apart.add(link.b)
                self.clusters[link.b].apart.add(link.a)

    def join_external_ids(self) -> None:
        """Join the records that have the same external id."""
        known: dict[str, list[Node]] = {}
        for facts in self._ordered:
            if facts.external_id is not None:
                known.setdefault(facts.external_id, []).append(facts.node)
        for external_id in sorted(known):
            for a, b in combinations(known[external_id], 2):
                left, right = self.clusters[a], self.clusters[b]
                if left is not right and not left.is_kept_from(right):
                    self._unite(left, right)

    def join_said(self, relation: Literal["same", "forced"]) -> None:
        """Join what a person said is the same, by age; a forced word counts although external ids disagree."""
        links = [sorted((link.a, link.b), key=self._place.__getitem__) for link in self._said if link.relation == relation]
        for a, b in sorted(links, key=lambda pair: (self._place[pair[0]], self._place[pair[1]])):
            subject = _subject(a, b)
            self.subjects += [("external_id", subject), ("manual", subject)]
            left, right = self.clusters[a], self.clusters[b]
            if left is right:
                pass
            elif not left.apart.isdisjoint(right.nodes) or (relation == "same" and left.disagrees(right)):
                kind: Literal["external_id", "manual"] = "external_id" if left.disagrees(right) else "manual"
                sides = [_side(a, left), _side(b, right)]
                self.conflicts.append(Conflict(kind=kind, subject=subject, detail={"sides": sides}))
                continue
            else:
                self._unite(left, right)
            for node in (a, b):
                self.joined.setdefault(node, ("manual", digest("manual", subject)))

    def join_merged(self) -> None:
        """Join what the vendors have merged."""
        for facts in self._ordered:
            for other in sorted(facts.others):
                if other not in self.clusters:
                    continue
                left, right = self.clusters[facts.node], self.clusters[other]
                if left is not right and left.is_kept_from(right):
                    subject = _subject(facts.node, other)
                    sides = [_side(facts.node, left), _side(other, right)]
                    self.conflicts.append(Conflict(kind="external_id", subject=subject, detail={"sides": sides}))
                    continue
                if left is not right:
                    self._unite(left, right)
                for node in (facts.node, other):
                    self.joined.setdefault(node, ("merged", merged_digest(other)))
                self.subjects.append(("external_id", _subject(facts.node, other)))

    def contest(self, kind: Literal["contested", "crowded"], contests: Iterable[Contest]) -> None:
        """Make conflicts of keys that would join what is apart in the end, and of which no person has said that it is."""
        by_key: dict[str, tuple[Contest, set[Node]]] = {}
        for contest in contests:
            by_key.setdefault(f"{contest.rule}:{contest.digest}", (contest, set()))[1].update(contest.nodes)
        for subject, (contest, nodes) in sorted(by_key.items()):
            clusters: dict[Cluster, Node] = {}
            for node in sorted(nodes, key=self._place.__getitem__):
                clusters.setdefault(self.clusters[node], node)
            if all(self._is_decided(a, b) for a, b in combinations(clusters, 2)):
                continue
            sides = [_side(node, cluster) for cluster, node in list(clusters.items())[:SHOWN]]
            detail = {"rule": contest.rule, "digest": contest.digest, "sides": sides, "all": len(clusters)}
            self.conflicts.append(Conflict(kind=kind, subject=subject, detail=detail))

    def groups(self, naming: Sequence[str]) -> Iterator[Group]:
        """Yield the customers by their oldest records."""
        done: set[Cluster] = set()
        named: set[str] = set()
        for facts in self._ordered:
            cluster = self.clusters[facts.node]
            if cluster in done:
                continue
            done.add(cluster)
            members = sorted(cluster.facts, key=lambda known: known.order)
            external_id = next((known.external_id for known in members if known.external_id is not None), None)
            if external_id is None or external_id in named:  # of what a person keeps apart, the older one is named by the id
                account = record_account(facts.node)
            else:
                named.add(external_id)
                account = f"acc_{external_id}"
            names = sorted((known for known in members if known.name), key=lambda known: _preference(known, naming))
            living = [known for known in members if not known.deleted] or members
            yield Group(
                account=account,
                members=[_member(known, self.joined) for known in members],
                name=names[0].name if names else None,
                gone=all(known.deleted for known in members),
                test=any(known.test == "flag" for known in living) or all(known.test is not None for known in living),
            )

    def _unite(self, left: Cluster, right: Cluster) -> None:
        left.take(right)
        for facts in right.facts:
            self.clusters[facts.node] = left

    def _is_decided(self, a: Cluster, b: Cluster) -> bool:
        """Say whether a person has said that two clusters are not one."""
        return not a.apart.isdisjoint(b.nodes)


def _preference(facts: Facts, naming: Sequence[str]) -> tuple[object, ...]:
    """Order records by whose name counts: see `wellkept.identity.golden`, which does the same for all fields."""
    instance = facts.node.instance
    place = naming.index(instance) if instance in naming else len(naming)
    return facts.deleted, place, -facts.said_at, facts.order


def _side(node: Node, cluster: Cluster) -> dict[str, object]:
    """Return one side of a conflict as plain data: the record that met the other side, whose it is, and what comes with it."""
    owners = sorted(cluster.owners)
    nodes = [list(known) for known in sorted(cluster.nodes)]
    return {"record": list(node), "external_id": owners[0] if owners else None, "records": nodes[:SHOWN]}


def _subject(a: Node, b: Node) -> str:
    return msgspec.json.encode(sorted((a, b))).decode()


def _member(facts: Facts, joined: Mapping[Node, tuple[Rule, str]]) -> Member:
    if facts.external_id is not None:
        return Member(node=facts.node, rule="external_id", digest=facts.external_id)
    rule, key = joined.get(facts.node, ("record", digest("record", *facts.node)))
    return Member(node=facts.node, rule=rule, digest=key)
