"""The customers that billing knows of the market: who they are, and histories in several currencies that lead to their fate."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from wellkept.testing.world import PLANS, Company, Fate, Sighting
from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator.billing import Billing, later
from wellkept_stripe.simulator.payment_objects import payment_method
from wellkept_stripe.simulator.state import Obj, State

DAY = 86_400
MONTH = 30 * DAY

RATES = {"usd": 1.0, "eur": 0.92, "gbp": 0.79, "jpy": 1.5, "cny": 7.1, "kwd": 3.1, "isk": 140.0}
"""Currencies, and their amount in Stripe's smallest unit for one US cent."""

RECURRING = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}

STATES: Mapping[Fate, Sequence[tuple[str, int]]] = {
    "thriving": (("active", 1),),
    "steady": (("active", 96), ("canceled", 3), ("none", 1)),
    "fading": (("active", 96), ("canceled", 4)),
    "silent": (("active", 65), ("paused", 18), ("canceled", 17)),
    "struggling": (("active", 98), ("canceled", 2)),
    "leaving": (("canceling", 50), ("active", 25), ("canceled", 25)),
    "failing": (("past_due", 60), ("unpaid", 15), ("canceled_unpaid", 15), ("incomplete", 10)),
    "new": (("active", 55), ("trialing", 35), ("incomplete", 10)),
}
"""What has become of a customer's subscription, and its weight: billing learns late of many a fate."""


def build(state: State, billing: Billing, *, sightings: Sequence[Sighting], seed: int, months: int) -> Mapping[str, Sighting]:
    """Fill an empty account with customers and their past. Nothing of it makes events.

    Returns the sightings by the customers' ids.

    Args:
        state: The account.
        billing: Acts on it.
        sightings: Who there is.
        seed: Decides everything else.
        months: How long histories are at most.
    """
    if not sightings:
        return {}
    state.quiet = True
    try:
        return _Writer(state, billing, seed, months).write(sightings)
    finally:
        state.quiet, state.at = False, None


class _Writer:
    def __init__(self, state: State, billing: Billing, seed: int, months: int) -> None:
        self.state = state
        self.billing = billing
        self.seed = seed
        self.draw = random.Random()  # noqa: S311 - a simulation
        self.months = months
        self.now = state.now
        self.prices: dict[tuple[str, str, str], Obj] = {}

    def write(self, sightings: Sequence[Sighting]) -> Mapping[str, Sighting]:
        self.state.at = self.now - (self.months + 48) * MONTH
        self._catalogue()
        made = {}
        for sighting in sightings:
            self.draw = random.Random(f"stripe/{self.seed}/{sighting.ref}")  # noqa: S311
            made[self._customer(sighting)] = sighting
        return made

    def _catalogue(self) -> None:
        """Make products and prices; a year costs ten months."""
        state = self.state
        for name, (cents, _) in PLANS.items():
            product = state.add("product", objects.product(state, name, unit_label="seat"))
            for currency, rate in RATES.items():
                amount = _neat(cents * rate, currency)
                for interval, factor in (("month", 1), ("year", 10)):
                    recurring = {**RECURRING, "interval": interval}
                    key, nickname = f"{name.lower()}_{currency}_{interval}", f"{name} {interval}ly"
                    price = objects.price(
                        state, product["id"], currency, amount * factor, recurring=recurring, lookup_key=key, nickname=nickname
                    )
                    self.prices[name, currency, interval] = state.add("price", price)
        state.add("coupon", objects.coupon(state, "LOYAL10", name="Loyal customers", percent_off=10.0))
        welcome = {"percent_off": 50.0, "duration": "repeating", "duration_in_months": 3}
        state.add("coupon", objects.coupon(state, "WELCOME", name="Welcome", **welcome))

    def _customer(self, sighting: Sighting) -> str:
        """Make a customer with all that belongs to one, and return the id."""
        state, draw = self.state, self.draw
        status = self._status(sighting)
        state.at = min(sighting.created_at // 1000, self.now)
        customer = state.add("customer", _identity(state, sighting))
        if sighting.tax_id is not None:
            state.add("tax_id", objects.tax_id(state, customer["id"], sighting.tax_id))
        brand = draw.choice(("visa", "mastercard", "amex"))
        method = state.add("payment_method", payment_method(state, brand, customer=customer["id"]))
        customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": method["id"]}
        if status != "none":
            self._contract(sighting.company, customer, method, status)
        return str(customer["id"])

    def _contract(self, company: Company, customer: Obj, method: Obj, status: str) -> None:
        """Make the subscription and its past."""
        state, draw = self.state, self.draw
        if status == "incomplete":
            state.at = max(state.now, self.now - draw.randrange(1, 20) * 3600)
        price = self.prices[company.plan, company.currency, company.interval]
        item = {"price": price["id"], "quantity": company.seats}
        trial_end = max(state.now + 14 * DAY, self.now + draw.randrange(1, 12) * DAY) if status == "trialing" else None
        sub = self.billing.subscribe(customer, [item], quiet=True, trial_end=trial_end)
        if draw.random() < 0.08:
            discount = state.add("discount", objects.discount(state, "LOYAL10", subscription=sub["id"]))
            sub["discounts"] = [discount["id"]]
        self._history(sub, method, status)

    def _status(self, sighting: Sighting) -> str:
        """Choose what has become of the subscription: of two records of one company, one is paid for."""
        if sighting.test:
            return "none"
        if not sighting.main:
            return self.draw.choice(("none", "canceled"))
        if sighting.company.plain:
            return "active"
        weighted = STATES[sighting.company.fate]
        return self.draw.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]

    def _history(self, sub: Obj, method: Obj, fate: str) -> None:
        """Write the invoices of the last months, and bring the subscription to where it is today."""
        state, draw, billing = self.state, self.draw, self.billing
        if fate == "trialing":
            return
        if fate == "incomplete":
            method["_decline"] = "authentication_required"
            bill = billing.bill(sub, "subscription_create")
            self._collect(bill)
            sub["status"] = "incomplete"
            if sub["created"] // 3600 % 2:  # nobody paid within 23 hours
                billing.close(bill, "void")
                sub |= {"status": "incomplete_expired", "ended_at": self.now}
            return
        ended = self.now - int(draw.uniform(1, 3) * MONTH) if fate.startswith("canceled") else None
        until = self.now if ended is None else max(ended, sub["start_date"] + DAY)
        item = billing.items(sub)[0]
        while item["current_period_end"] <= max(sub["start_date"], until - self.months * MONTH):
            self._advance(item)
        while True:
            state.at = min(until, item["current_period_start"])
            last = item["current_period_end"] > until
            if last and fate in {"past_due", "unpaid", "canceled_unpaid"}:
                method["_decline"] = draw.choice(("insufficient_funds", "generic_decline", "expired_card"))
            elif draw.random() < 0.03:
                method["_decline"] = "insufficient_funds"
            bill = billing.bill(sub, "subscription_create" if state.at == sub["start_date"] else "subscription_cycle")
            self._collect(bill)
            if bill["status"] == "open" and (not last or fate in {"active", "canceling", "paused", "canceled"}):
                state.at += min(3 * DAY, self.now - state.at)
                method["_decline"] = None
                billing.collect(bill)
            if last:
                break
            self._advance(item)
        state.at = until
        _settle(state, sub, fate, item, None if ended is None else until)

    def _collect(self, bill: Obj) -> None:
        self.billing.finalize(bill)
        if bill["status"] == "open":
            self.billing.collect(bill)

    def _advance(self, item: Obj) -> None:
        recurring = self.state.get("price", item["price"])["recurring"]
        item["current_period_start"] = item["current_period_end"]
        item["current_period_end"] = later(item["current_period_start"], recurring["interval"], recurring["interval_count"])


def _identity(state: State, sighting: Sighting) -> Obj:
    """Return the customer as billing knows them."""
    company = sighting.company
    return objects.customer(
        state,
        name=sighting.name,
        email=sighting.email,
        phone=sighting.phone,
        address={"city": None, "country": company.country, "line1": None, "line2": None, "postal_code": None, "state": None},
        preferred_locales=[company.locale],
        metadata={} if sighting.external_id is None else {"account_id": sighting.external_id},
    )


def _neat(amount: float, currency: str) -> int:
    """Round to what a price list would say: whole units for ISK, tens of fils for KWD."""
    step = {"isk": 100, "kwd": 10, "jpy": 10}.get(currency, 50)
    return max(step, round(amount / step) * step)


def _settle(state: State, sub: Obj, fate: str, item: Obj, ended: int | None) -> None:
    """Bring a subscription to where it is today."""
    details = sub["cancellation_details"]
    if fate == "canceling":
        sub |= {"cancel_at_period_end": True, "cancel_at": item["current_period_end"], "canceled_at": state.now}
        sub["cancellation_details"] = {**details, "reason": "cancellation_requested", "feedback": "too_expensive"}
    elif fate in {"past_due", "unpaid"}:
        sub["status"] = fate
    elif fate == "paused" and sub["created"] % 2:
        sub["status"] = "paused"
    elif fate == "paused":
        sub["pause_collection"] = {"behavior": "void", "resumes_at": None}
    elif ended is not None:
        reason = "payment_failed" if fate == "canceled_unpaid" else "cancellation_requested"
        sub |= {"status": "canceled", "ended_at": ended, "canceled_at": ended}
        sub["cancellation_details"] = {**details, "reason": reason}
