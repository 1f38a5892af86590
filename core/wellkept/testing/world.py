"""One fictional market, seen by vendors that disagree: for simulators, the demo, and the measure of identity.

In truth there are companies and the people who work there. A billing system, a helpdesk, an analytics tool and a CRM each know
some of it, under their own ids, with their own mistakes: missing ids, typing errors, shared and free-mail domains, agencies that
act for several customers, people who moved, companies recorded twice. What is true is known, so that links can be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

System = Literal["billing", "helpdesk", "analytics", "crm"]
"""What kind of system looks at the market. Core knows no vendor, and neither does the market."""

Fate = Literal["thriving", "steady", "fading", "silent", "struggling", "leaving", "failing", "new"]
"""How a customer is doing, for all systems alike.

``thriving`` uses more each week; ``steady``; ``fading`` uses less each week; ``silent`` stopped some weeks ago; ``struggling``
asks for help often, waits long and rates it badly; ``leaving`` has said so; ``failing`` cannot be charged; ``new`` came within
the last 60 days.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Human:
    """Somebody who works at a company, as one system knows them.

    Attributes:
        key: The same for the same human in every system.
        name: As this system spells it.
        email: As this system has it; a moved person may still have the old one. None where it has none.
        phone: E.164, or None.
        role: ``billing``, ``admin`` or ``user``.
        locale: BCP 47 tag.
    """

    key: str
    name: str
    email: str | None
    phone: str | None = None
    role: Literal["billing", "admin", "user"] = "user"
    locale: str = "en-US"


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """A customer, in truth.

    Attributes:
        key: Names it in every test, ``co-0001``.
        name: Its proper name.
        external_id: The id that *we* gave it, ``acct-0001``; systems may not have it.
        domain: Its own domain; None for one whose people use free mail.
        country: ISO 3166, two letters.
        seats: How many people may use the product.
        mrr: What it pays a month, in US cents.
        fate: How it is doing.
        since: When it became a customer, epoch ms.
        people: Everybody who works there.
    """

    key: str
    name: str
    external_id: str
    domain: str | None
    country: str
    seats: int
    mrr: int
    fate: Fate
    since: int
    people: tuple[Human, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One account record of one system: a Stripe customer, a Zendesk organization, a Mixpanel group, a HubSpot company.

    Attributes:
        ref: Unique within the system and stable for a seed; the simulator makes its own id of it.
        company: What it is in truth; read `fate`, `seats` and the like from there, names and addresses from the sighting.
        name: As this system spells it.
        external_id: Our id for it, where this system has one; it may be a placeholder such as ``"0"``.
        email: The account's own address, where the system keeps one.
        phone: E.164, or None.
        domains: What the system believes to be its domains.
        tax_id: Its VAT id, or None.
        created_at: When the record was made there, epoch ms.
        merged_into: The `ref` that this record was merged into at the vendor, which then shows it as deleted or merged.
        test: Somebody's test account, not a customer.
        people: Whom the system knows there.
    """

    ref: str
    company: Company
    name: str
    external_id: str | None
    email: str | None
    phone: str | None = None
    domains: tuple[str, ...] = ()
    tax_id: str | None = None
    created_at: int
    merged_into: str | None = None
    test: bool = False
    people: tuple[Human, ...] = ()


class World:
    """The market.

    Args:
        accounts: How many companies.
        seed: Decides everything that is drawn: the same seed gives the same market, whoever asks for it.
        now: The present, epoch ms.

    Attributes:
        companies: All customers, in truth.
    """

    def __init__(self, *, accounts: int, seed: int, now: int) -> None:
        self.seed = seed
        self.now = now
        self.companies: tuple[Company, ...] = ()

    def seen_by(self, system: System) -> tuple[Sighting, ...]:
        """Return what one kind of system knows, in the order in which it came to know it."""
        return ()
