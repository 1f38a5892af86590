"""Account records that belong together so far, and what keeps two such clusters from being one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from wellkept.identity.names import Likeness, are_siblings, likeness
from wellkept.store.accounts import Node

RANK: dict[Likeness, int] = {"unlike": 0, "unknown": 1, "like": 2, "same": 3}
"""The likenesses, the closest last."""


class Mark(NamedTuple):
    """A key that an account record has, itself or by its people; see `wellkept.identity.keys`."""

    kind: str
    digest: str
    role: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of an account record.

    Attributes:
        node: The record.
        external_id: Digest of our id for it; None unless it is believed.
        name: Its name, for people.
        company: Its name, to compare: None where it has a person's name, or an address in its place.
        fits: Digests of the domains, its own or its people's, that may be named after the company.
        taxes: Country and digest of its tax numbers.
        parent: The vendor's id of its parent.
        others: Records that the vendor has merged with this one.
        superseded: It was merged into another one: its own external id is of the past.
        created_at: Its age, epoch ms.
        said_at: When the vendor said this, epoch ms.
        deleted: The vendor has deleted it.
        test: It is no customer's: the vendor says so, or it looks so.
        marks: Its keys.
    """

    node: Node
    external_id: str | None = None
    name: str | None = None
    company: str | None = None
    fits: frozenset[str] = frozenset()
    taxes: frozenset[tuple[str, str]] = frozenset()
    parent: str | None = None
    others: tuple[Node, ...] = ()
    superseded: bool = False
    created_at: int | None = None
    said_at: int = 0
    deleted: bool = False
    test: Literal["flag", "pattern"] | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def order(self) -> tuple[bool, int, Node]:
        """Oldest first; what has no age last; no two are equal."""
        return self.created_at is None, self.created_at or 0, self.node


@dataclass(slots=True, eq=False)
class Cluster:
    """Records that are one customer, by what has been tried so far.

    Attributes:
        facts: The records.
        owners: Digests of their external ids; several only where a person said so.
        apart: Records that none of these may meet, by a person's word.
    """

    facts: list[Facts]
    owners: set[str]
    apart: set[Node] = field(default_factory=set)

    @property
    def nodes(self) -> set[Node]:
        """The records' keys."""
        return {facts.node for facts in self.facts}

    @property
    def oldest(self) -> Facts:
        """The record that stands for all."""
        return min(self.facts, key=lambda facts: facts.order)

    def take(self, other: Cluster) -> None:
        """Take another cluster in."""
        self.facts += other.facts
        self.owners |= other.owners
        self.apart |= other.apart

    def disagrees(self, other: Cluster) -> bool:
        """Say whether both have external ids, and no common one."""
        return bool(self.owners and other.owners) and self.owners.isdisjoint(other.owners)

    def is_kept_from(self, other: Cluster) -> bool:
        """Say whether strong evidence is against it: ids that disagree, or a person's word."""
        return self.disagrees(other) or not self.apart.isdisjoint(other.nodes)


def likest(a: Iterable[Facts], b: Iterable[Facts]) -> Likeness:
    """Return how alike the most alike names of two sets of records are."""
    theirs = sorted({facts.company for facts in b if facts.company})
    found: Likeness | None = None
    for name in sorted({facts.company for facts in a if facts.company}):
        for other in theirs:
            present = likeness(*sorted((name, other)))
            if present == "same":
                return present
            if found is None or RANK[present] > RANK[found]:
                found = present
    return found or "unknown"


def agree(a: Cluster, b: Cluster) -> bool:
    """Say whether something beside the key speaks for two clusters: their names, or a domain named after both."""
    return RANK[likest(a.facts, b.facts)] >= RANK["like"] or _share_domain(a, b)


def clash(a: Cluster, b: Cluster) -> bool:
    """Say whether weak evidence must not join two clusters.

    Names that have nothing in common, unless one domain is named after both; names of two parts of one house; two records of
    one vendor with different names, for the vendor tells them apart; tax numbers of one country that differ; parent and child,
    or two children of one parent.
    """
    if likest(a.facts, b.facts) == "unlike" and (not _share_domain(a, b) or _are_siblings(a, b)):
        return True
    return _different_taxes(a, b) or _told_apart(a, b)


def _are_siblings(a: Cluster, b: Cluster) -> bool:
    theirs = {facts.company for facts in b.facts if facts.company}
    return any(are_siblings(facts.company, other) for facts in a.facts if facts.company for other in theirs)


def _share_domain(a: Cluster, b: Cluster) -> bool:
    theirs = set[str]().union(*(facts.fits for facts in b.facts))
    return any(not theirs.isdisjoint(facts.fits) for facts in a.facts)


def _different_taxes(a: Cluster, b: Cluster) -> bool:
    mine = {tax for facts in a.facts for tax in facts.taxes}
    theirs = {tax for facts in b.facts for tax in facts.taxes}
    return mine.isdisjoint(theirs) and not {country for country, _ in mine}.isdisjoint(country for country, _ in theirs)


def _told_apart(a: Cluster, b: Cluster) -> bool:
    """Say whether a vendor that has records in both takes them for two customers."""
    for instance in {facts.node.instance for facts in a.facts} & {facts.node.instance for facts in b.facts}:
        mine = [facts for facts in a.facts if facts.node.instance == instance]
        theirs = [facts for facts in b.facts if facts.node.instance == instance]
        if any(_are_family(one, other) for one in mine for other in theirs):
            return True
        named = any(facts.company for facts in mine) and any(facts.company for facts in theirs)
        if named and likest(mine, theirs) != "same":
            return True
    return False


def _are_family(one: Facts, other: Facts) -> bool:
    if one.parent is not None and one.parent in {other.parent, other.node.id}:
        return True
    return other.parent is not None and other.parent == one.node.id
