"""What the market consists of: people, companies, and how one system has recorded a company."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

System = Literal["billing", "helpdesk", "analytics", "crm"]
"""What kind of system looks at the market. Core knows no vendor, and neither does the market."""

SYSTEMS: tuple[System, ...] = ("billing", "helpdesk", "analytics", "crm")

Fate = Literal["thriving", "steady", "fading", "silent", "struggling", "leaving", "failing", "new"]
"""How a customer is doing, for all systems alike.

``thriving`` uses more each week; ``steady``; ``fading`` uses less each week; ``silent`` stopped some weeks ago; ``struggling``
asks for help often, waits long and rates it badly; ``leaving`` has said so; ``failing`` cannot be charged; ``new`` came within
the last 60 days.
"""


PLANS: Mapping[str, tuple[int, int]] = {
    "Starter": (1900, 3),
    "Team": (900, 12),
    "Business": (2400, 40),
    "Enterprise": (4900, 150),
}
"""What we sell: the price of a seat a month in US cents, and the usual number of seats. A year costs ten months."""


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
class Former:
    """What a company was called before, or what the company was that it took over: names that live on in some systems.

    Attributes:
        name: The former name; the present one after a mere change of the domain.
        domain: The former domain.
        external_id: The id that the company had which was taken over; None after a change of the domain.
    """

    name: str
    domain: str
    external_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """A customer, in truth.

    Attributes:
        key: Names it in every test, ``co-0001``; ``lead-0001`` never bought, ``test-0001`` is one of our own test accounts.
        name: Its proper name, without the legal form.
        external_id: The id that *we* gave it, ``acct-0001``; systems may not have it.
        domain: Its own domain; None for one whose people use free mail.
        country: ISO 3166, two letters.
        seats: How many people may use the product.
        mrr: What it pays a month, in US cents.
        fate: How it is doing.
        since: When it became a customer, epoch ms.
        people: Everybody who works there.
        legal_name: Its name with the legal form.
        locale: BCP 47 tag.
        currency: What it pays in, ISO 4217 in lower case.
        plan: A name of `PLANS`.
        interval: How often it pays.
        phone: Its own number, E.164, or None.
        tax_id: Its VAT id, or None.
        former: What it was before, if it was something else.
        plain: Nothing about it goes wrong in any system, so that the smallest market has customers for every test.
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
    legal_name: str = ""
    locale: str = "en-US"
    currency: str = "usd"
    plan: str = "Team"
    interval: Literal["month", "year"] = "month"
    phone: str | None = None
    tax_id: str | None = None
    former: Former | None = None
    plain: bool = False


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
        main: The record that is worked with: what the company pays, asks and does is recorded here. False for a duplicate.
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
    main: bool = True
