"""What can be known of the market: which records of one company somebody careful could link, from what stands in them.

Two records are a true pair if they are of the same company. A true pair is *knowable* if evidence leads from one to the
other, directly or over further records of that company. Evidence is what two records have in common (our id, an address, a
phone number, a tax id, a domain) if no record of any other company has it too; what an agency, a reseller, a group of sister
companies or two customers of a free-mail provider share proves nothing. Left out are records

* that were merged away at the vendor, as these are gone;
* of our own test accounts: whether these are one customer or many is no question;
* that carry an id of another company, or a constant that looks like one: strong ids that disagree keep records apart, rightly.
  They still count among each other, and every link to a record of another company is a wrong one.

So recall is the share of knowable pairs that were linked, and precision the share of true pairs among those that were linked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from wellkept.testing.world.names import FREE_MAIL, PLACES, PLATFORMS
from wellkept.testing.world.parts import SYSTEMS, Sighting, System
from wellkept.testing.world.sightings import PLACEHOLDERS

if TYPE_CHECKING:
    from wellkept.testing.world import World

_SUFFIXES = frozenset({*(place.suffix for place in PLACES), *PLATFORMS, "com", "de"})
_NO_ID = frozenset({*PLACEHOLDERS, "test"})


class Seen(NamedTuple):
    """A record of a system: a sighting by its `ref`."""

    system: System
    ref: str


def registrable(host: str) -> str:
    """Return the part of a host name that somebody of the market has registered."""
    labels = host.strip().lower().rstrip(".").split(".")
    for at in range(1, len(labels)):
        if ".".join(labels[at:]) in _SUFFIXES:
            return ".".join(labels[at - 1 :])
    return ".".join(labels)


def our_id(sighting: Sighting) -> str | None:
    """Return the id that a record carries, tidied; None if it stands for none."""
    found = (sighting.external_id or "").strip().lower()
    return None if not found or found in _NO_ID else found


def tokens(sighting: Sighting) -> Iterator[tuple[str, str]]:
    """Yield everything in a record that could prove whose it is, as (kind, value).

    Of the domains of its people it is the one that most of them have: one who moved, or an agency's, is none of the company's.
    """
    if (known := our_id(sighting)) is not None:
        yield "id", known
    emails = [email.lower() for email in (sighting.email, *(human.email for human in sighting.people)) if email]
    for email in emails:
        yield "email", email
    for phone in (sighting.phone, *(human.phone for human in sighting.people)):
        if phone:
            yield "phone", phone
    if sighting.tax_id:
        yield "tax", sighting.tax_id
    domains = {registrable(domain) for domain in sighting.domains}
    if not domains and emails:
        hosts = [registrable(email.partition("@")[2]) for email in emails]
        domains = {max(sorted(set(hosts)), key=hosts.count)}
    for domain in sorted(domains - FREE_MAIL - _SUFFIXES):
        yield "domain", domain


def living(world: World, systems: Iterable[System] = SYSTEMS) -> Mapping[Seen, Sighting]:
    """Return the records that are neither merged away nor our own tests."""
    return {
        Seen(system, sighting.ref): sighting
        for system in systems
        for sighting in world.seen_by(system)
        if sighting.merged_into is None and not sighting.test
    }


def knowable(world: World, systems: Iterable[System] = SYSTEMS) -> set[frozenset[Seen]]:
    """Return the pairs of records that are of the same company and can be known to be.

    Args:
        world: The market.
        systems: The systems whose records are at hand; what only another one knows is not asked for.
    """
    systems = tuple(systems)
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for system in systems:
        for sighting in world.seen_by(system):
            for token in tokens(sighting):
                holders[token].add(sighting.company.key)
    proof = {token for token, companies in holders.items() if len(companies) == 1}
    groups: dict[tuple[str, str | None], list[Seen]] = defaultdict(list)
    records = living(world, systems)
    for seen, sighting in records.items():
        company, known = sighting.company, our_id(sighting)
        foreign = known if known not in {None, company.external_id} else None
        groups[company.key, foreign].append(seen)
    found: set[frozenset[Seen]] = set()
    for group in groups.values():
        for connected in _connected(group, records, proof):
            found.update(frozenset(pair) for pair in combinations(connected, 2))
    return found


def _connected(
    group: Sequence[Seen], records: Mapping[Seen, Sighting], proof: set[tuple[str, str]]
) -> Iterator[Sequence[Seen]]:
    """Yield the parts of a group that evidence holds together."""
    parts: list[tuple[list[Seen], set[tuple[str, str]]]] = []
    for seen in group:
        members, evidence = [seen], {token for token in tokens(records[seen]) if token in proof}
        apart = []
        for part in parts:
            if part[1].isdisjoint(evidence):
                apart.append(part)
            else:
                members, evidence = [*part[0], *members], evidence | part[1]
        parts = [*apart, (members, evidence)]
    return (members for members, _ in parts)
