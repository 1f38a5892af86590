"""How much of what goes wrong: every share of the market in one place, each with the reason for its size.

They are estimates of a software company with a self-service and a sales-led half, rounded; none was measured at a customer.
Together they make a market in which a third of the records of a helpdesk and a CRM lack our id, so that identity cannot rest
on ids alone, while every single kind of trap stays as rare as people meet it.
"""

from __future__ import annotations

from collections.abc import Mapping

from wellkept.testing.world.parts import Fate, System

FATES: Mapping[Fate, float] = {
    "steady": 0.42,
    "thriving": 0.15,
    "fading": 0.10,
    "struggling": 0.08,
    "new": 0.08,
    "silent": 0.06,
    "failing": 0.06,
    "leaving": 0.05,
}
"""Most customers are well; a tenth drifts away unheard, and payment troubles touch one in sixteen in any month."""

KNOWN: Mapping[System, float] = {"billing": 1.0, "helpdesk": 0.88, "analytics": 0.93, "crm": 0.97}
"""Everybody pays; some never asked for help, blocked the tracking, or bought without a salesperson."""

HAS_ID: Mapping[System, float] = {"billing": 0.93, "helpdesk": 0.60, "analytics": 0.86, "crm": 0.72}
"""Our code writes the id at checkout and on events, apart from the early days; agents and salespeople type it, or do not."""

PLACEHOLDER: Mapping[System, float] = {"billing": 0.002, "helpdesk": 0.015, "analytics": 0.004, "crm": 0.015}
"""Where an id is a required field, people who have none write something else; code does so only by mistake."""

UNTIDY_ID = 0.02
"""Ids that people typed with other capitals or with blanks around them."""

WRONG_ID = 0.001
"""Ids that people mistyped into another one, which may exist: rare, as ids are mostly pasted."""

HAS_DOMAIN: Mapping[System, float] = {"billing": 0.0, "helpdesk": 0.85, "analytics": 0.30, "crm": 0.93}
"""A CRM is built around the domain, a helpdesk uses it to sort in new users, billing keeps none."""

UNTIDY_DOMAIN = 0.06
"""Domains with ``www.`` or a sub-domain in front, or with capitals."""

FREE_MAIL_DOMAIN = 0.008
"""Organizations to whose domains somebody has added a free-mail provider, because one user writes from there."""

HAS_PHONE: Mapping[System, float] = {"billing": 0.40, "helpdesk": 0.0, "analytics": 0.0, "crm": 0.55}
"""Checkout asks for it, salespeople collect it."""

HAS_TAX_ID: Mapping[System, float] = {"billing": 0.70, "helpdesk": 0.0, "analytics": 0.0, "crm": 0.15}
"""Of companies that have one: billing needs it for invoices without tax."""

KNOWS_PERSON: Mapping[System, float] = {"billing": 0.0, "helpdesk": 0.45, "analytics": 0.85, "crm": 0.55}
"""Of the people at a company: who has written a ticket, used the product, or talked to sales. Billing knows its one contact."""

HAS_EMAIL: Mapping[System, float] = {"billing": 1.0, "helpdesk": 0.97, "analytics": 0.90, "crm": 0.96}
"""Of the people that a system knows: tickets by phone and events before the log-in carry no address."""

NAME_TYPO: Mapping[System, float] = {"billing": 0.02, "helpdesk": 0.05, "analytics": 0.01, "crm": 0.05}
"""Names that people typed, with a slip of two letters."""

EMAIL_TYPO: Mapping[System, float] = {"billing": 0.008, "helpdesk": 0.005, "analytics": 0.0, "crm": 0.02}
"""Addresses with a slip; a product that confirms addresses has none."""

DUPLICATE: Mapping[System, float] = {"billing": 0.03, "helpdesk": 0.02, "analytics": 0.02, "crm": 0.04}
"""Companies that a system has twice: checked out again, wrote from another address, changed the id, was imported."""

MERGED = 0.5
"""Of the duplicates in a helpdesk or a CRM: those that somebody has merged there."""

FREE_MAIL = 0.08
"""Customers without a domain of their own: sole traders and very small firms."""

PLATFORM = 0.01
"""Customers whose only address on the web is one below somebody else's domain, such as a shop's."""

DOMAIN_CHANGE = 0.03
"""Customers with another domain than some years ago: rebranding, or a shorter one became free."""

ACQUIRED = 0.015
"""Customers that took over another customer, whose records still stand under the old name in some systems."""

BY_RESELLER = 0.02
"""Customers that a reseller pays for: the billing contact sits at the reseller, and works for dozens."""

AGENCY = 0.5
"""Neighbourhoods (25 companies) with an agency that works for some of them: one customer in sixteen has such people."""

GROUP = 0.25
"""Neighbourhoods in which sister companies, each a customer of its own, share the mail domain of their group."""

MOVER = 0.6
"""Neighbourhoods in which somebody has moved from one customer to another; drawn twice."""

FOUNDER = 0.15
"""Neighbourhoods in which one person runs two small firms from one free-mail address."""

NAMESAKE = 0.2
"""Neighbourhoods with two unrelated companies of the same name in two countries."""

STALE: Mapping[str, float] = {"here": 0.5, "old address": 0.2, "former": 0.3}
"""How a system knows somebody who moved: rightly, at the new company with the old address, or still at the former company."""

REUSED_ADDRESS = 0.01
"""Companies at which somebody's address was given to a successor; systems differ in whom they mean by it."""

TEST = 0.012
"""Test accounts for each customer: every team makes some, and nobody clears them away."""

LEAD = 0.10
"""Companies in the CRM for each customer that never bought; no other system knows them."""
