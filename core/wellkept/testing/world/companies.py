"""The truth: companies, drawn in neighbourhoods of 25 in which they have to do with each other.

A neighbourhood is drawn whole and then cut to what is wanted, so that a larger market begins with the smaller one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from wellkept.testing.world import shares
from wellkept.testing.world.names import FIRST, PLACES, PLATFORMS, SECOND, Place, company_name, human_name, slug
from wellkept.testing.world.parts import PLANS, Company, Fate, Former, Human

T = TypeVar("T")

SIZE = 25
"""Companies in a neighbourhood."""
PLAIN = 3
"""The first companies of a market have no peculiarity, so that the smallest one has customers for every test."""
PLAN_WEIGHTS = (35, 35, 22, 8)
DAY = 86_400_000

RESELLERS = ("cloudhaus.example", "saasmart.example", "northbridge-it.example")
"""Domains of those who buy for others."""


@dataclass(kw_only=True, slots=True)
class Resident:
    """A company, and what else systems may have recorded about it.

    Attributes:
        company: The company.
        number: Its number in the market.
        guests: People of an agency who act for it.
        payer: Who gets its bills, if nobody of its own.
        came: Who moved here, with their former address.
        left: Who moved away, as they were here.
        successors: Whose address here had been somebody else's: the former holder and the present one.
    """

    company: Company
    number: int
    guests: list[Human] = field(default_factory=list)
    payer: Human | None = None
    came: list[tuple[Human, Human]] = field(default_factory=list)
    left: list[Human] = field(default_factory=list)
    successors: list[tuple[Human, Human]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Role:
    """What is settled about a company before it is drawn: a name and a domain that it shares, or an owner."""

    name: str | None = None
    domain: str | None = None
    phone: str | None = None
    place: Place | None = None
    owner: Human | None = None


def neighbourhood(block: int, *, seed: int, now: int) -> Sequence[Resident]:
    """Return the residents of a neighbourhood.

    Args:
        block: Which one, from 0.
        seed: Decides everything.
        now: The present, epoch ms.
    """
    draw = Random(f"market/{seed}/block/{block}")  # noqa: S311 - a simulation
    start = Random(f"market/{seed}/names").randrange(10**6)  # noqa: S311
    numbers = [block * SIZE + at + 1 for at in range(SIZE)]
    free = [at for at, number in enumerate(numbers) if number > PLAIN]
    draw.shuffle(free)
    roles = _roles(draw, free, block, start)
    residents = [
        Resident(company=_company(seed, number, roles.get(at, _Role()), now, start), number=number)
        for at, number in enumerate(numbers)
    ]
    _agency(draw, residents, free)
    for _ in range(2):
        _move(draw, residents)
    for resident in residents:
        own = Random(f"market/{seed}/people/{resident.number}")  # noqa: S311
        _pay_elsewhere(own, resident)
        _succeed(own, resident)
    return residents


def _roles(draw: Random, free: list[int], block: int, start: int) -> dict[int, _Role]:
    """Choose who has to do with whom; each company is in one such story at most."""
    roles: dict[int, _Role] = {}
    if draw.random() < shares.GROUP:
        first = draw.choice(FIRST)
        domain, phone = f"{slug(first)}-group-{block}.example", PLACES[0].phone.format(9_000_000 + block)
        for second in draw.sample(SECOND["en"], draw.randint(2, 4)):
            roles[free.pop()] = _Role(name=f"{first} {second}", domain=domain, phone=phone, place=PLACES[0])
    if draw.random() < shares.FOUNDER:
        name, given, family = human_name(draw, "latin")
        founder = Human(key=f"founder-{block}", name=name, email=f"{given}.{family}.f{block}@gmail.com", role="billing")
        for _ in range(2):
            roles[free.pop()] = _Role(place=PLACES[0], owner=founder)
    if draw.random() < shares.NAMESAKE:
        name, _ = company_name(draw, PLACES[0], 5_000_000 + block, start)
        for place in draw.sample(PLACES[:3], 2):
            roles[free.pop()] = _Role(name=name, place=place)
    return roles


def _company(seed: int, number: int, role: _Role, now: int, start: int) -> Company:
    draw = Random(f"market/{seed}/company/{number}")  # noqa: S311
    plain, chances = number <= PLAIN, [draw.random() for _ in range(4)]
    place = role.place or (PLACES[0] if plain else draw.choices(PLACES, [place.weight for place in PLACES])[0])
    name, stem = company_name(draw, place, number, start)
    if role.name is not None:
        name, stem = role.name, f"{slug(role.name)}-{number}"
    fate: Fate = "steady" if plain else draw.choices(list(shares.FATES), list(shares.FATES.values()))[0]
    small = not plain and not role.domain and (role.owner is not None or chances[0] < shares.FREE_MAIL)
    plan = "Starter" if small else draw.choices(list(PLANS), PLAN_WEIGHTS)[0]
    price, usual = PLANS[plan]
    seats = max(1, round(usual * draw.uniform(0.4, 1.8)))
    interval = "year" if draw.random() < 0.3 and not plain else "month"
    domain = None if small else role.domain or f"{stem}.{place.suffix}"
    if domain and not (plain or role.domain) and chances[1] < shares.PLATFORM:
        domain = f"{stem}.{draw.choice(PLATFORMS)}"
    key = f"co-{number:04d}"
    people = _people(draw, place, domain, key=key, seats=seats, number=number, apart=bool(role.domain))
    company = Company(
        key=key,
        name=name,
        legal_name=draw.choice(place.forms).format(name),
        external_id=f"acct-{number:04d}",
        domain=domain,
        country=place.country,
        seats=seats,
        mrr=round(seats * price * (10 / 12 if interval == "year" else 1)),
        fate=fate,
        since=now - round((draw.uniform(5, 55) if fate == "new" else draw.uniform(90, 1_400)) * DAY),
        people=people if role.owner is None else (role.owner, *people[1:]),
        locale=place.locale,
        currency=place.currency,
        plan=plan,
        interval="year" if interval == "year" else "month",
        phone=role.phone or place.phone.format(number),
        plain=plain,
        tax_id=f"{place.tax}{100_000_000 + number * 7_919 % 900_000_000}" if place.tax else None,
    )
    if plain or small or role.domain:
        return company
    return replace(company, former=_former(draw, company, number, chances[2:]))


def _former(draw: Random, company: Company, number: int, chances: Sequence[float]) -> Former | None:
    one, other = draw.sample(FIRST, 2)
    if chances[0] < shares.DOMAIN_CHANGE:
        return Former(name=company.name, domain=f"{slug(one)}-online-{number}.example")
    if chances[1] < shares.ACQUIRED:
        name, domain = f"{one} & {other}", f"{slug(one)}-{slug(other)}-{number}.example"
        return Former(name=name, domain=domain, external_id=f"acct-{500_000 + number}")
    return None


def _people(
    draw: Random, place: Place, domain: str | None, *, key: str, seats: int, number: int, apart: bool
) -> tuple[Human, ...]:
    """Return who works there: up to a dozen whom one knows by name, the first of whom gets the bills."""
    people, taken = [], set()
    pattern = draw.choice(("{given}.{family}", "{given}", "{initial}.{family}"))
    for at in range(min(12, seats, 1 + round(seats**0.55))):
        name, given, family = human_name(draw, place.script)
        local = pattern.format(given=given, family=family, initial=given[0])
        if domain is None:
            local, host = f"{given}.{family}.{number}", draw.choice(place.mail)
        else:
            local, host = (f"{local}{number}" if apart else local), domain
        if at == 0 and domain is not None and draw.random() < 0.5:
            local = f"billing{number}" if apart else "billing"
        while local in taken:
            local += str(at)
        taken.add(local)
        role = ("billing", "admin")[at] if at < 2 else "user"
        phone = place.phone.format(number) if domain is None and at == 0 else None
        people.append(
            Human(key=f"{key}/{at}", name=name, email=f"{local}@{host}", phone=phone, role=role, locale=place.locale)  # type: ignore[arg-type]
        )
    return tuple(people)


def _agency(draw: Random, residents: Sequence[Resident], free: Sequence[int]) -> None:
    """Let people of one company, or of an agency that is no customer, act for some others."""
    if draw.random() >= shares.AGENCY:
        return
    chosen = [residents[at] for at in draw.sample(list(free), 5)]
    agency, clients = chosen[0], [resident for resident in chosen[1 : 1 + draw.randint(2, 4)] if resident.company.domain]
    domain = agency.company.domain if draw.random() < 0.5 else None
    domain = domain or f"agency-{agency.number}.example"
    for at in range(draw.randint(1, 2)):
        name, given, family = human_name(draw, "latin")
        local = f"{given}.{family}.{at}"
        human = Human(key=f"agency-{agency.number}/{at}", name=name, email=f"{local}@{domain}", role="admin")
        for client in clients:
            client.guests.append(human)
            if at == 0 and draw.random() < 0.3:
                client.payer = replace(human, role="billing")


def _move(draw: Random, residents: Sequence[Resident]) -> None:
    """Let somebody change from one company to another."""
    if draw.random() >= shares.MOVER:
        return
    able = [resident for resident in residents if not resident.company.plain and resident.company.domain]
    former, present = draw.sample(able, 2)
    if former.company.domain == present.company.domain or len(former.company.people) < 3:
        return
    *others, gone = former.company.people
    if gone.email is None or any(gone.key == human.key for human, _ in former.came):
        return
    local = gone.email.partition("@")[0]
    now = replace(gone, email=f"{local}.{present.number}@{present.company.domain}", role="user", locale=present.company.locale)
    former.company = replace(former.company, people=tuple(others))
    former.left.append(gone)
    present.company = replace(present.company, people=(*present.company.people, now))
    present.came.append((now, gone))


def _pay_elsewhere(draw: Random, resident: Resident) -> None:
    if draw.random() < shares.BY_RESELLER and not resident.company.plain and resident.payer is None:
        domain = draw.choice(RESELLERS)
        name, given, family = human_name(Random(domain), "latin")  # noqa: S311
        resident.payer = Human(key=f"{domain}/0", name=name, email=f"{given}.{family}@{domain}", role="billing")


def _succeed(draw: Random, resident: Resident) -> None:
    company = resident.company
    if draw.random() < shares.REUSED_ADDRESS and not company.plain and company.domain:
        name, _, _ = human_name(draw, "latin")
        present = company.people[0]
        resident.successors.append((replace(present, key=f"{company.key}/before", name=name), present))


def leads(accounts: int, *, seed: int, now: int) -> Iterator[Company]:
    """Yield companies that never bought."""
    start = Random(f"market/{seed}/names").randrange(10**6)  # noqa: S311
    for number in range(1, int(accounts * shares.LEAD) + 1):
        company = _company(seed, 1_000_000 + number, _Role(), now, start)
        yield replace(company, key=f"lead-{number:04d}", external_id="", seats=0, mrr=0, fate="steady", former=None)


def own_accounts(accounts: int, *, seed: int, now: int) -> Iterator[Company]:
    """Yield our own test accounts."""
    for number in range(1, int(accounts * shares.TEST) + 1):
        draw = Random(f"market/{seed}/test/{number}")  # noqa: S311
        name = draw.choice(("Test GmbH", "asdf", "Demo account", "QA sandbox", "TEST do not touch", "Acme test"))
        human = Human(key=f"test-{number:04d}/0", name="Test Test", email=f"qa+{number}@wellkept.example", role="billing")
        yield Company(
            key=f"test-{number:04d}",
            name=name,
            legal_name=name,
            external_id=f"test-{number:04d}",
            domain="wellkept.example",
            country="US",
            seats=1,
            mrr=0,
            fate="steady",
            since=now - round(draw.uniform(30, 900) * DAY),
            people=(human,),
            plan="Starter",
        )
