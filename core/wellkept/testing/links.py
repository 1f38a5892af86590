"""How good links are, held against the truth of a fictional market: precision, recall, and wrong merges.

What counts is described in `wellkept.testing.world.truth`: recall asks only for pairs of records for which there is evidence,
precision counts every pair of two companies as wrong. Our own test accounts are no question among each other, but one in a
customer's account is a mistake.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from wellkept.testing.world import SYSTEMS, Seen, Sighting, World, knowable


@dataclass(frozen=True, kw_only=True)
class LinkReport:
    """The judgement.

    Attributes:
        accounts: Accounts that were made of the records.
        linked: Pairs of records that are in one account.
        right: Those of them that are of one company.
        knowable: Pairs that should have been linked.
        met: Those of them that were.
        wrong: For each account with records of several companies, the records by company.
        missed: Pairs that should have been linked and were not.
        precision_b3: B-cubed precision: of the records beside a record (itself included), how many belong there, on average.
        recall_b3: B-cubed recall: of the records that should be beside it, how many are.
    """

    accounts: int
    linked: int
    right: int
    knowable: int
    met: int
    wrong: Mapping[str, Mapping[str, Sequence[Seen]]]
    missed: Sequence[frozenset[Seen]]
    precision_b3: float
    recall_b3: float

    @property
    def precision(self) -> float:
        """The share of linked pairs that are right; 1 where nothing was linked."""
        return self.right / self.linked if self.linked else 1.0

    @property
    def recall(self) -> float:
        """The share of knowable pairs that were linked; 1 where nothing could be known."""
        return self.met / self.knowable if self.knowable else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def wrong_merges(self) -> int:
        """How many companies are in an account that is another one's."""
        return sum(len(companies) - 1 for companies in self.wrong.values())

    @property
    def wrong_per_thousand(self) -> float:
        """Wrong merges for each 1,000 accounts."""
        return 1000 * self.wrong_merges / self.accounts if self.accounts else 0.0


def judge(world: World, linked: Mapping[Seen, str]) -> LinkReport:
    """Hold links against the truth.

    Args:
        world: The market.
        linked: The account of each record; records that are missing here are alone. What only a system knows that appears
            nowhere in it is not asked for.
    """
    systems = [system for system in SYSTEMS if any(seen.system == system for seen in linked)]
    records = {Seen(system, item.ref): item for system in systems for item in world.seen_by(system) if item.merged_into is None}
    groups: dict[str, list[Seen]] = defaultdict(list)
    for seen in records:
        groups[linked.get(seen, f"alone/{seen.system}/{seen.ref}")].append(seen)
    right = total = 0
    pairs: set[frozenset[Seen]] = set()
    wrong: dict[str, dict[str, list[Seen]]] = {}
    for account, group in sorted(groups.items()):
        for one, other in combinations(group, 2):
            if records[one].test and records[other].test:
                continue
            same = _truth(records[one]) == _truth(records[other])
            total, right = total + 1, right + same
            if same:
                pairs.add(frozenset((one, other)))
        companies: dict[str, list[Seen]] = defaultdict(list)
        for seen in group:
            companies[_truth(records[seen])].append(seen)
        if len(companies) > 1:
            wrong[account] = dict(companies)
    asked = knowable(world, systems)
    beside = list(_beside(groups.values(), records, asked))
    return LinkReport(
        accounts=len(groups),
        linked=total,
        right=right,
        knowable=len(asked),
        met=len(asked & pairs),
        wrong=wrong,
        missed=sorted(asked - pairs, key=sorted),
        precision_b3=sum(precision for precision, _ in beside) / len(beside) if beside else 1.0,
        recall_b3=sum(recall for _, recall in beside) / len(beside) if beside else 1.0,
    )


def _truth(sighting: Sighting) -> str:
    """Return what a record is of; all our own test accounts are one."""
    return "test" if sighting.test else sighting.company.key


def _beside(
    groups: Iterable[Sequence[Seen]], records: Mapping[Seen, Sighting], asked: set[frozenset[Seen]]
) -> Iterator[tuple[float, float]]:
    """Yield B-cubed precision and recall of each record that is a customer's."""
    wanted = Counter(seen for pair in asked for seen in pair)
    for group in groups:
        sizes = Counter(_truth(records[seen]) for seen in group)
        for seen in group:
            if records[seen].test:
                continue
            met = sum(frozenset((seen, other)) in asked for other in group if other != seen)
            yield sizes[_truth(records[seen])] / len(group), (1 + met) / (1 + wanted[seen])
