"""Which account records are one customer: a pure function of the records and of what people said, whatever came first.

Records are nodes. Evidence makes edges, which are tried in one global order: equal external ids first, then manual links, each
by the age of the records. An edge joins two groups unless a person has said that two of their records are apart, or the groups
have different external ids: strong ids that disagree block a merge.

The account's id follows from the group alone. A group with an external id is named after it, so that linking another vendor's
records, however old they are, changes nothing; another one after its oldest record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import msgspec

from wellkept.store.accounts import Conflict, Manual, Node, digest

Rule = Literal["record", "external_id", "manual"]
"""Why a record belongs to its account: it is what the account was made from, or what joined it."""

SHARED_LIMIT = 50
"""Records with one external id above which it is not believed: a constant that somebody wrote into all of them would make all
customers one, and send one's data to the others."""

PLACEHOLDERS = frozenset(
    {"", "null", "none", "nil", "undefined", "nan", "n/a", "na", "unknown", "anonymous", "test", "true", "false"}
)
"""External ids that stand for none; so does everything that consists of zeros, dashes, dots and spaces alone, and -1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of an account record. `external_id` is None unless it is believed."""

    node: Node
    external_id: str | None = None
    name: str | None = None
    created_at: int | None = None
    deleted: bool = False

    @property
    def order(self) -> tuple[bool, int, Node]:
        """Oldest first; what has no age last; no two are equal."""
        return self.created_at is None, self.created_at or 0, self.node


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
        name: The name that the oldest living record has.
        gone: All its records were deleted.
    """

    account: str
    members: Sequence[Member]
    name: str | None
    gone: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """All groups of a component, merges that were not done, and the subjects that were looked at for them."""

    groups: Sequence[Group]
    conflicts: Sequence[Conflict]
    subjects: Sequence[tuple[str, str]]


@dataclass(slots=True)
class _Cluster:
    facts: list[Facts]
    external_id: str | None
    apart: set[Node] = field(default_factory=set)
    """Records that none of its own may meet."""

    @property
    def nodes(self) -> set[Node]:
        return {facts.node for facts in self.facts}


def believable(external_id: str | None) -> str | None:
    """Return an external id unless it stands for none."""
    if external_id is None or external_id.strip().lower() in PLACEHOLDERS or not external_id.strip("0-. "):
        return None
    return None if external_id.strip() == "-1" else external_id


def external_account(external_id: str) -> str:
    """Return the id of the account that has an external id."""
    return f"acc_{digest('external_id', external_id)}"


def record_account(node: Node) -> str:
    """Return the id of an account that is named after a record."""
    return f"acc_{digest('record', *node)}"


def solve(component: Iterable[Facts], manual: Iterable[Manual]) -> Solution:
    """Return the customers in a component.

    Args:
        component: All records that evidence could connect with each other.
        manual: What people said about them; links to records outside are left out.
    """
    ordered = sorted(component, key=lambda facts: facts.order)
    by_node = {facts.node: facts for facts in ordered}
    said = [link for link in manual if link.a in by_node and link.b in by_node]
    clusters = {facts.node: _Cluster([facts], facts.external_id) for facts in ordered}
    for link in said:
        if link.relation == "apart":
            clusters[link.a].apart.add(link.b)
            clusters[link.b].apart.add(link.a)
    for a, b in _same_external_id(ordered):
        _join(clusters, a, b)
    place = {facts.node: index for index, facts in enumerate(ordered)}
    links = [sorted((link.a, link.b), key=place.__getitem__) for link in said if link.relation == "same"]
    found: list[Conflict] = []
    joined: dict[Node, str] = {}
    subjects: list[tuple[str, str]] = []
    for a, b in sorted(links, key=lambda pair: (place[pair[0]], place[pair[1]])):
        conflict = _conflict(clusters[a], clusters[b], a, b)
        subjects += [("external_id", _subject(a, b)), ("manual", _subject(a, b))]
        if conflict is not None:
            found.append(conflict)
            continue
        _join(clusters, a, b)
        for node in (a, b):
            joined.setdefault(node, digest("manual", _subject(a, b)))
    return Solution(groups=list(_groups(ordered, clusters, joined)), conflicts=found, subjects=subjects)


def _same_external_id(ordered: Sequence[Facts]) -> Iterator[tuple[Node, Node]]:
    known: dict[str, list[Node]] = {}
    for facts in ordered:
        if facts.external_id is not None:
            known.setdefault(facts.external_id, []).append(facts.node)
    for external_id in sorted(known):
        yield from combinations(known[external_id], 2)


def _join(clusters: dict[Node, _Cluster], a: Node, b: Node) -> None:
    """Join two groups unless something is in the way."""
    left, right = clusters[a], clusters[b]
    if left is right or _blocked(left, right):
        return
    left.facts += right.facts
    left.apart |= right.apart
    left.external_id = left.external_id or right.external_id
    for node in right.nodes:
        clusters[node] = left


def _blocked(left: _Cluster, right: _Cluster) -> bool:
    return _disagree(left, right) or not left.apart.isdisjoint(right.nodes)


def _disagree(left: _Cluster, right: _Cluster) -> bool:
    return None not in {left.external_id, right.external_id} and left.external_id != right.external_id


def _conflict(left: _Cluster, right: _Cluster, a: Node, b: Node) -> Conflict | None:
    if left is right or not _blocked(left, right):
        return None
    sides = [
        {
            "record": list(node),
            "external_id": None if cluster.external_id is None else digest("external_id", cluster.external_id),
            "records": [list(known) for known in sorted(cluster.nodes)],
        }
        for node, cluster in ((a, left), (b, right))
    ]
    return Conflict(kind="external_id" if _disagree(left, right) else "manual", subject=_subject(a, b), detail={"sides": sides})


def _subject(a: Node, b: Node) -> str:
    return msgspec.json.encode(sorted((a, b))).decode()


def _groups(ordered: Sequence[Facts], clusters: dict[Node, _Cluster], joined: dict[Node, str]) -> Iterator[Group]:
    done: set[int] = set()
    named: set[str] = set()
    for facts in ordered:
        cluster = clusters[facts.node]
        if id(cluster) in done:
            continue
        done.add(id(cluster))
        members = sorted(cluster.facts, key=lambda known: known.order)
        external_id = cluster.external_id
        if external_id is None or external_id in named:  # a person keeps apart what has one id: the older group is named by it
            account = record_account(facts.node)
        else:
            named.add(external_id)
            account = external_account(external_id)
        names = [known.name for deleted in (False, True) for known in members if known.deleted is deleted and known.name]
        yield Group(
            account=account,
            members=[_member(known, joined) for known in members],
            name=names[0] if names else None,
            gone=all(known.deleted for known in members),
        )


def _member(facts: Facts, joined: dict[Node, str]) -> Member:
    if facts.external_id is not None:
        return Member(node=facts.node, rule="external_id", digest=digest("external_id", facts.external_id))
    if facts.node in joined:
        return Member(node=facts.node, rule="manual", digest=joined[facts.node])
    return Member(node=facts.node, rule="record", digest=digest("record", *facts.node))
