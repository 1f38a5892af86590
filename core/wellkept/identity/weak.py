"""Weak evidence: equal tax numbers, addresses, phone numbers, domains, people.

Kinds are tried one after another, the better ones first. Within a kind all keys count at once, so that there is no order in
which they could come. A key that unlike clusters share joins only those of its clusters that nothing keeps apart. A cluster
that could go to either of two that cannot be one goes to neither, unless one of the two has its very name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from wellkept.identity.clusters import Cluster, Facts, agree, clash, likest
from wellkept.store.accounts import Node

Rule = Literal["tax_id", "email", "phone", "domain", "email_unverified", "people"]
"""Kinds of weak evidence.

``email``: an account's own address is that of a person who has proven it at another vendor. ``email_unverified``: it is an
account's own at both, or of a person who has not proven it. ``people``: several people are known at both.
"""

RULES: tuple[Rule, ...] = ("tax_id", "email", "phone", "domain", "email_unverified", "people")
"""In the order in which they are tried."""

KIND: Mapping[str, str] = {"email_unverified": "email", "people": "email"}
"""Which keys a rule looks at, where it is called otherwise."""

COMMON_PEOPLE = 2
"""People known at both that speak for two clusters whose names say nothing: one may have moved, or work for others."""

_COMPANYS = frozenset({"site", "people"})
"""Roles of a domain that is a whole company's."""

_BY_PEOPLE: frozenset[str] = frozenset({"verified", "unverified"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """A key that would join what cannot be one.

    Attributes:
        rule: Which kind of evidence.
        digest: The key.
        nodes: Records that it would join.
    """

    rule: Rule
    digest: str
    nodes: tuple[Node, ...]


@dataclass(slots=True)
class Weak:
    """What weak evidence has done.

    Attributes:
        joined: Rule and digest by which a record first came to another one.
        contests: Keys that joined less than they could.
        crowded: Keys that would have made a cluster too large.
    """

    joined: dict[Node, tuple[Rule, str]] = field(default_factory=dict)
    contests: list[Contest] = field(default_factory=list)
    crowded: list[Contest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Edge:
    a: Facts
    b: Facts
    digest: str
    near: bool
    """The names are the same."""


class Joiner:
    """Joins clusters by weak evidence.

    Args:
        clusters: The cluster of each record; kept up to date.
        max_records: How large a cluster may become.
    """

    def __init__(self, clusters: dict[Node, Cluster], *, max_records: int) -> None:
        self._clusters = clusters
        self._max = max_records
        self.result = Weak()
        self._contested: dict[tuple[str, str], Rule] = {}

    def run(self, ordered: Sequence[Facts]) -> Weak:
        """Try all rules on the records, the oldest first, and return what came of it."""
        holders: dict[tuple[str, str], list[tuple[Facts, str]]] = {}
        for facts in ordered:
            if facts.test is None:
                for mark in facts.marks:
                    if mark.role != "several":
                        holders.setdefault((mark.kind, mark.digest), []).append((facts, mark.role))
        for rule in RULES:
            kind = KIND.get(rule, rule)
            keys = sorted(key for key, held in holders.items() if key[0] == kind and len(held) > 1)
            self._join(rule, [edge for key in keys for edge in self._edges(rule, key[1], holders[key])])
        return self.result

    # --- one rule ---

    def _edges(self, rule: Rule, digest: str, held: Sequence[tuple[Facts, str]]) -> Iterator[_Edge]:
        """Yield what a key may join; what it must not is contested."""
        roles: dict[Cluster, set[str]] = {}
        first: dict[Cluster, Facts] = {}
        for facts, role in held:
            cluster = self._clusters[facts.node]
            roles.setdefault(cluster, set()).add(role)
            first.setdefault(cluster, facts)
        pairs = [(a, b) for a, b in combinations(first, 2) if _applies(rule, roles[a], roles[b])]
        against = {pair for pair in pairs if _opposed(*pair)}
        for part in _parts(first, [pair for pair in pairs if pair not in against]):
            inner = [pair for pair in combinations(part, 2) if pair in against or _opposed(*pair)]
            for a, b in combinations(part, 2):
                if (a, b) not in pairs or (a, b) in against:
                    continue
                near = likest(a.facts, b.facts) == "same"
                if inner and not near:
                    self._contest(rule, digest, [first[a], first[b]])
                else:
                    yield _Edge(first[a], first[b], digest, near)
        if against:
            self._contest(rule, digest, sorted({first[one] for pair in against for one in pair}, key=lambda facts: facts.order))

    def _join(self, rule: Rule, edges: list[_Edge]) -> None:
        if rule == "people":
            edges = self._by_several(edges)
        elif rule == "domain":
            edges = [edge for edge in edges if self._is_told(edge)]
        while edges := [edge for edge in edges if self._clusters[edge.a.node] is not self._clusters[edge.b.node]]:
            dropped = self._ambiguous(edges)
            if dropped:
                for edge in dropped:
                    self._contest(rule, edge.digest, [edge.a, edge.b])
                gone = set(map(id, dropped))
                edges = [edge for edge in edges if id(edge) not in gone]
                continue
            owned = [edge for edge in edges if self._is_owned(edge.a) != self._is_owned(edge.b)]
            for edge in owned or edges:
                self._unite(rule, edge)
            tried = set(map(id, owned or edges))
            edges = [edge for edge in edges if id(edge) not in tried]

    def _by_several(self, edges: Sequence[_Edge]) -> list[_Edge]:
        """Return the edges between clusters that have several people in common, or one and like names."""
        counts = Counter(self._pair(edge) for edge in edges)
        return [edge for edge in edges if counts[self._pair(edge)] >= COMMON_PEOPLE or agree(*self._ends(edge))]

    def _is_told(self, edge: _Edge) -> bool:
        """Say whether a domain is a company's on both sides, or the names agree.

        One person's address alone is not enough on either side. Two accounts that have it from nothing but an address of theirs
        may be two customers of a provider that no list knows; and the people of a company that is not called like their domain
        may be consultants.
        """
        told = [_domain_roles(cluster, edge.digest) for cluster in self._ends(edge)]
        if all(roles - {"somebody"} for roles in told) and any(roles & _COMPANYS for roles in told):
            return True
        return agree(*self._ends(edge))

    def _ambiguous(self, edges: Sequence[_Edge]) -> list[_Edge]:
        """Return the edges of clusters that could go to either of two that cannot be one."""
        around: dict[Cluster, dict[Cluster, list[_Edge]]] = {}
        for edge in edges:
            a, b = self._ends(edge)
            around.setdefault(a, {}).setdefault(b, []).append(edge)
            around.setdefault(b, {}).setdefault(a, []).append(edge)
        dropped: list[_Edge] = []
        for neighbours in around.values():
            if not any(_opposed(a, b) for a, b in combinations(neighbours, 2)):
                continue
            near = [other for other, found in neighbours.items() if any(edge.near for edge in found)]
            kept = near if near and not any(_opposed(a, b) for a, b in combinations(near, 2)) else []
            dropped += [edge for other, found in neighbours.items() if other not in kept for edge in found]
        return dropped

    def _unite(self, rule: Rule, edge: _Edge) -> None:
        a, b = self._ends(edge)
        if a is b:
            return
        if _opposed(a, b):
            self._contest(rule, edge.digest, [edge.a, edge.b])
            return
        if len(a.facts) + len(b.facts) > self._max:
            self.result.crowded.append(Contest(rule=rule, digest=edge.digest, nodes=(edge.a.node, edge.b.node)))
            return
        a.take(b)
        for facts in b.facts:
            self._clusters[facts.node] = a
        for facts in (edge.a, edge.b):
            self.result.joined.setdefault(facts.node, (rule, edge.digest))

    # --- small things ---

    def _ends(self, edge: _Edge) -> tuple[Cluster, Cluster]:
        return self._clusters[edge.a.node], self._clusters[edge.b.node]

    def _pair(self, edge: _Edge) -> frozenset[Cluster]:
        return frozenset(self._ends(edge))

    def _is_owned(self, facts: Facts) -> bool:
        return bool(self._clusters[facts.node].owners)

    def _contest(self, rule: Rule, digest: str, facts: Iterable[Facts]) -> None:
        told = (KIND.get(rule, rule), digest)
        by = self._contested.setdefault(told, rule)
        if rule != "people" and by == rule:  # somebody known at several customers is nothing unusual
            self.result.contests.append(Contest(rule=rule, digest=digest, nodes=tuple(one.node for one in facts)))


def _domain_roles(cluster: Cluster, digest: str) -> set[str]:
    """Return how a cluster comes to a domain; by its people only if it is not called otherwise."""
    named = any(facts.company for facts in cluster.facts)
    fits = any(digest in facts.fits for facts in cluster.facts)
    marks = (mark for facts in cluster.facts for mark in facts.marks if (mark.kind, mark.digest) == ("domain", digest))
    return {"somebody" if mark.role == "people" and named and not fits else mark.role for mark in marks}


def _opposed(a: Cluster, b: Cluster) -> bool:
    return a.is_kept_from(b) or clash(a, b)


def _applies(rule: Rule, mine: set[str], theirs: set[str]) -> bool:
    """Say whether a rule looks at a key that two clusters have in these roles."""
    if KIND.get(rule, rule) != "email":
        return True
    by_people = mine <= _BY_PEOPLE and theirs <= _BY_PEOPLE
    if rule == "people":
        return by_people
    return not by_people and (rule == "email_unverified" or "verified" in mine | theirs)


def _parts(clusters: Iterable[Cluster], pairs: Iterable[tuple[Cluster, Cluster]]) -> list[list[Cluster]]:
    """Return the clusters that pairs connect, those of each part in their order; lone ones are left out."""
    home = {cluster: [cluster] for cluster in clusters}
    for a, b in pairs:
        mine, theirs = home[a], home[b]
        if mine is not theirs:
            mine += theirs
            for cluster in theirs:
                home[cluster] = mine
    place = {cluster: index for index, cluster in enumerate(home)}
    found = {id(part): part for part in home.values() if len(part) > 1}
    return [sorted(part, key=place.__getitem__) for part in found.values()]
