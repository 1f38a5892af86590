"""One fictional market, seen by vendors that disagree: for simulators, the demo, and the measure of identity.

In truth there are companies and the people who work there. A billing system, a helpdesk, an analytics tool and a CRM each know
some of it, under their own ids, with their own mistakes: missing ids, typing errors, shared and free-mail domains, agencies
that act for several customers, people who moved, companies recorded twice. What is true is known, so that links can be judged:
see `knowable`. How often each mistake is made stands in `wellkept.testing.world.shares`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice

from wellkept.testing.world.companies import SIZE, Resident, leads, neighbourhood, own_accounts
from wellkept.testing.world.names import FREE_MAIL
from wellkept.testing.world.parts import PLANS, SYSTEMS, Company, Fate, Former, Human, Sighting, System
from wellkept.testing.world.sightings import lead_sighting, own_sighting, sightings
from wellkept.testing.world.truth import Seen, knowable, living

UNIQUE_IDS: frozenset[System] = frozenset({"helpdesk", "analytics"})
"""Systems that take an external id once only, whatever its capitals: the second record that wants it goes without."""


class World:
    """The market.

    Systems show what they know through `seen_by`; `companies` is the truth behind it.

    Args:
        accounts: How many companies are customers. A larger market begins with the companies of a smaller one.
        seed: Decides everything that is drawn: the same seed gives the same market, whoever asks for it.
        now: The present, epoch ms.
    """

    def __init__(self, *, accounts: int, seed: int, now: int) -> None:
        self.accounts = accounts
        self.seed = seed
        self.now = now
        self._seen: dict[System, tuple[Sighting, ...]] = {}

    @cached_property
    def companies(self) -> tuple[Company, ...]:
        """All customers, in truth."""
        return tuple(resident.company for resident in self._residents)

    def seen_by(self, system: System) -> tuple[Sighting, ...]:
        """Return what one kind of system knows, in the order in which it came to know it.

        Among it are companies that never bought (CRM only) and our own test accounts.
        """
        if system not in self._seen:
            self._seen[system] = tuple(sorted(self._look(system), key=lambda sighting: (sighting.created_at, sighting.ref)))
        return self._seen[system]

    @cached_property
    def _residents(self) -> tuple[Resident, ...]:
        blocks = range((self.accounts + SIZE - 1) // SIZE)
        drawn = chain.from_iterable(neighbourhood(block, seed=self.seed, now=self.now) for block in blocks)
        return tuple(islice(drawn, self.accounts))

    def _look(self, system: System) -> Iterator[Sighting]:
        taken: set[str] = set()
        for resident in self._residents:
            for sighting in sightings(system, resident, seed=self.seed, now=self.now):
                wanted = (sighting.external_id or "").strip().lower()
                if system in UNIQUE_IDS and wanted in taken:
                    yield replace(sighting, external_id=None)
                else:
                    yield sighting
                taken.add(wanted)
        if system == "crm":
            for company in leads(self.accounts, seed=self.seed, now=self.now):
                yield lead_sighting(company, seed=self.seed)
        for company in own_accounts(self.accounts, seed=self.seed, now=self.now):
            found = own_sighting(system, company, seed=self.seed)
            if found is not None:
                repeated = system in UNIQUE_IDS and found.external_id == "test" and "test" in taken
                yield replace(found, external_id=None) if repeated else found
                taken.add(found.external_id or "")


__all__ = [
    "FREE_MAIL",
    "PLANS",
    "SYSTEMS",
    "Company",
    "Fate",
    "Former",
    "Human",
    "Seen",
    "Sighting",
    "System",
    "World",
    "knowable",
    "living",
]
