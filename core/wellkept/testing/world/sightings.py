"""How each system has recorded a company: what it knows of it, and what it got wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from wellkept.testing.world import shares
from wellkept.testing.world.companies import DAY, Resident
from wellkept.testing.world.names import slip, slug
from wellkept.testing.world.parts import Company, Human, Sighting, System

PLACEHOLDERS = ("0", "-", "n/a", "none", "null", "unknown", "tbd", "xxx")
"""What people write where an id is required and they have none."""

TYPED: frozenset[System] = frozenset({"helpdesk", "crm"})
"""Where people type; elsewhere our code writes."""

MERGES: frozenset[System] = frozenset({"helpdesk", "crm"})
"""Which systems can merge two records into one."""

LEAD_IN = {"billing": (0, 0), "helpdesk": (-20, 60), "analytics": (0, 4), "crm": (-120, 2)}
"""Between how many days before and after the first purchase a system comes to know a customer."""


def sightings(system: System, resident: Resident, *, seed: int, now: int) -> Iterator[Sighting]:
    """Yield a system's records of a customer; none where it does not know it.

    Args:
        system: Who looks.
        resident: At whom.
        seed: Decides everything.
        now: The present, epoch ms.
    """
    draw = Random(f"market/{seed}/{system}/{resident.number}")  # noqa: S311 - a simulation
    if resident.company.plain:
        yield _plain(system, resident.company)
        return
    if draw.random() >= shares.KNOWN[system]:
        return
    main = _Look(system, resident, draw, now).main()
    yield main
    company = resident.company
    if company.former and company.former.external_id and draw.random() < 0.5:
        yield _Look(system, resident, draw, now).taken_over(main)
    if draw.random() < shares.DUPLICATE[system]:
        yield _Look(system, resident, draw, now).duplicate(main)


def _plain(system: System, company: Company) -> Sighting:
    people = company.people[:1] if system == "billing" else company.people
    return Sighting(
        ref=company.key,
        company=company,
        name=company.name,
        external_id=company.external_id,
        email=people[0].email if system == "billing" else None,
        phone=company.phone if shares.HAS_PHONE[system] else None,
        domains=(company.domain,) if company.domain and shares.HAS_DOMAIN[system] else (),
        created_at=company.since,
        people=people,
    )


class _Look:
    """One record of one company."""

    def __init__(self, system: System, resident: Resident, draw: Random, now: int) -> None:
        self.system = system
        self.resident = resident
        self.company = resident.company
        self.draw = draw
        self.now = now
        former = resident.company.former
        behind = former is not None and former.external_id is None and draw.random() < 0.35
        self.stale = former.domain if former is not None and behind else None
        """The former domain, where the system has not heard of the change."""

    def chance(self, share: float) -> bool:
        return self.draw.random() < share

    def main(self) -> Sighting:
        company, system = self.company, self.system
        contact = self._contact()
        people = (contact,) if system == "billing" else tuple(self._people())
        return Sighting(
            ref=company.key,
            company=company,
            name=self._name(company.name, company.legal_name),
            external_id=self._id(),
            email=contact.email if system == "billing" else None,
            phone=company.phone if self.chance(shares.HAS_PHONE[system]) else None,
            domains=self._domains(),
            tax_id=company.tax_id if self.chance(shares.HAS_TAX_ID[system]) else None,
            created_at=self._created(),
            people=people,
        )

    def duplicate(self, main: Sighting) -> Sighting:
        """The same company once more. Ids that must be unique in the system stand on the first record."""
        company, system = self.company, self.system
        contact = self._person(self.draw.choice(company.people[1:] or company.people))
        merged = system in MERGES and self.chance(shares.MERGED)
        by_id = system in {"billing", "crm"} and main.external_id == company.external_id and self.chance(0.5)
        return Sighting(
            ref=f"{company.key}-2",
            company=company,
            name=self._name(company.name, company.legal_name),
            external_id=main.external_id if by_id else None,
            email=contact.email if system == "billing" else None,
            phone=company.phone if self.chance(shares.HAS_PHONE[system]) else None,
            created_at=self._later(main.created_at),
            merged_into=main.ref if merged else None,
            people=() if contact.key in {human.key for human in main.people} and system != "billing" else (contact,),
            main=False,
        )

    def taken_over(self, main: Sighting) -> Sighting:
        """The customer that this one has bought, as it was recorded."""
        company, system, former = self.company, self.system, self.company.former
        assert former is not None  # noqa: S101 - who calls has seen it
        human = Human(
            key=f"{company.key}/former",
            name=self.draw.choice(("Ida Vance", "Otto Brandt", "Luz Marín")),
            email=f"office@{former.domain}",
            role="billing",
            locale=company.locale,
        )
        merged = system in MERGES and self.chance(0.4)
        return Sighting(
            ref=f"{company.key}-former",
            company=company,
            name=former.name,
            external_id=former.external_id if self.chance(shares.HAS_ID[system]) else None,
            email=human.email if system == "billing" else None,
            domains=(former.domain,) if self.chance(shares.HAS_DOMAIN[system]) else (),
            created_at=max(company.since - 200 * DAY, 0),
            merged_into=main.ref if merged else None,
            people=(human,),
            main=False,
        )

    def _id(self) -> str | None:
        company, system, draw = self.company, self.system, self.draw
        if not self.chance(shares.HAS_ID[system]):
            return None
        if self.chance(shares.PLACEHOLDER[system]):
            return draw.choice(PLACEHOLDERS)
        known = company.external_id
        if system in TYPED and self.chance(shares.WRONG_ID):
            return f"{known[:-2]}{known[-1]}{known[-2]}"
        if system in TYPED and self.chance(shares.UNTIDY_ID):
            return draw.choice((known.upper(), f" {known}", f"{known} "))
        return known

    def _name(self, name: str, legal_name: str) -> str:
        formal = {"billing": 0.6, "helpdesk": 0.15, "analytics": 0.05, "crm": 0.3}[self.system]
        shown = legal_name if self.chance(formal) else name
        if not shown.isascii() and self.system == "crm" and self.chance(0.2):
            domain = self.company.domain or slug(name)
            shown = domain.partition(".")[0].replace("-", " ").title() or shown
        if self.chance(shares.NAME_TYPO[self.system]):
            shown = slip(self.draw, shown)
        return shown.upper() if self.system in TYPED and self.chance(0.03) else shown

    def _contact(self) -> Human:
        payer = self.resident.payer
        return self._person(payer if payer is not None else self.company.people[0])

    def _people(self) -> Iterator[Human]:
        moved = {human.key: old for human, old in self.resident.came}
        holders = {present.key: former for former, present in self.resident.successors}
        for human in self.company.people:
            if not self.chance(shares.KNOWS_PERSON[self.system]) and human is not self.company.people[0]:
                continue
            if human.key in moved:
                where = _whereabouts(self.system, human)
                if where != "former":
                    yield self._person(human if where == "here" else replace(human, email=moved[human.key].email))
            else:
                behind = human.key in holders and _whereabouts(self.system, human) == "former"
                yield self._person(holders[human.key] if behind else human)
        for human in self.resident.left:
            if _whereabouts(self.system, human) == "former":
                yield self._person(human)
        for human in self.resident.guests:
            if self.chance(0.6):
                yield human

    def _person(self, human: Human) -> Human:
        """Return somebody as this system has them."""
        draw, system, email, name = self.draw, self.system, human.email, human.name
        if email is not None:
            local, _, host = email.partition("@")
            if self.stale is not None and host == self.company.domain:
                email = f"{local}@{self.stale}"
            if self.chance(shares.EMAIL_TYPO[system]):
                email = f"{local}@{slip(draw, host)}" if self.chance(0.5) else f"{slip(draw, local)}@{host}"
            if not self.chance(shares.HAS_EMAIL[system]):
                email = None
        if self.chance(shares.NAME_TYPO[system]):
            name = slip(draw, name)
        return replace(human, name=name, email=email)

    def _domains(self) -> tuple[str, ...]:
        company, draw = self.company, self.draw
        if not self.chance(shares.HAS_DOMAIN[self.system]):
            return ()
        own = self.stale or company.domain
        found = [] if own is None else [own]
        if company.former is not None and self.stale is None and self.system in TYPED and self.chance(0.3):
            found.append(company.former.domain)
        if found and self.chance(shares.UNTIDY_DOMAIN):
            found[0] = draw.choice(("www.{}", "mail.{}", "eu.{}")).format(found[0]) if self.chance(0.7) else found[0].upper()
        if self.system == "helpdesk" and self.chance(shares.FREE_MAIL_DOMAIN):
            found.append("gmail.com")
        return tuple(found)

    def _created(self) -> int:
        earliest, latest = LEAD_IN[self.system]
        return min(self.now - DAY, self.company.since + round(self.draw.uniform(earliest, latest) * DAY))

    def _later(self, created_at: int) -> int:
        return created_at + round((self.now - DAY - created_at) * self.draw.uniform(0.2, 0.9))


def _whereabouts(system: System, human: Human) -> str:
    """Return how a system knows somebody who moved: the same whichever of the two companies is looked at."""
    draw = Random(f"{system}/{human.key}")  # noqa: S311
    return draw.choices(list(shares.STALE), list(shares.STALE.values()))[0]


def lead_sighting(company: Company, *, seed: int) -> Sighting:
    """Return the CRM's record of a company that never bought."""
    draw = Random(f"market/{seed}/{company.key}")  # noqa: S311
    return Sighting(
        ref=company.key,
        company=company,
        name=company.name if draw.random() < 0.7 else company.legal_name,
        external_id=None,
        email=None,
        phone=company.phone if draw.random() < shares.HAS_PHONE["crm"] else None,
        domains=(company.domain,) if company.domain else (),
        created_at=company.since,
        people=company.people[:2],
    )


def own_sighting(system: System, company: Company, *, seed: int) -> Sighting | None:
    """Return a system's record of one of our test accounts; None where there is none."""
    draw = Random(f"market/{seed}/{system}/{company.key}")  # noqa: S311
    if draw.random() > {"billing": 0.8, "helpdesk": 0.5, "analytics": 0.9, "crm": 0.4}[system]:
        return None
    ids: Sequence[str | None] = (None, "test", company.external_id)
    return Sighting(
        ref=company.key,
        company=company,
        name=company.name,
        external_id=draw.choice(ids),
        email=company.people[0].email if system == "billing" else None,
        domains=("wellkept.example",) if system in TYPED and draw.random() < 0.5 else (),
        created_at=company.since,
        test=True,
        people=company.people,
    )
