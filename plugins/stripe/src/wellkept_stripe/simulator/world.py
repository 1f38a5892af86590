"""A fictional company's customers, drawn from a seed: names in several scripts, plans in several currencies, histories."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator.billing import Billing, later
from wellkept_stripe.simulator.payment_objects import payment_method
from wellkept_stripe.simulator.state import Obj, State

DAY = 86_400
MONTH = 30 * DAY

PLANS = (("Starter", 1900, 3), ("Team", 900, 12), ("Business", 2400, 40), ("Enterprise", 4900, 150))
"""Product, price of a seat a month in US cents, and usual seats."""

CURRENCIES = (
    ("usd", 52, 1.0),
    ("eur", 22, 0.92),
    ("gbp", 7, 0.79),
    ("jpy", 8, 1.5),
    ("cny", 6, 7.1),
    ("kwd", 3, 3.1),
    ("isk", 2, 140.0),
)
"""Currency, weight among customers, and amount in Stripe's smallest unit for one US cent."""

RECURRING = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}

FIRST = (
    "Aster",
    "Birch",
    "Cinder",
    "Delta",
    "Ember",
    "Fjord",
    "Glade",
    "Harbor",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Linden",
    "Marlow",
    "Nimbus",
    "Orchard",
    "Pebble",
    "Quarry",
    "Rowan",
    "Saffron",
    "Tundra",
    "Umber",
    "Vesper",
    "Willow",
    "Yarrow",
    "Zephyr",
)
SECOND = (
    "Analytics",
    "Bakery",
    "Clinics",
    "Design",
    "Energy",
    "Freight",
    "Gardens",
    "Hotels",
    "Insurance",
    "Labs",
    "Logistics",
    "Media",
    "Motors",
    "Optics",
    "Partners",
    "Robotics",
    "Schools",
    "Software",
    "Studios",
    "Textiles",
    "Travel",
    "Works",
)
CJK = (
    ("北京云杉科技有限公司", "zh-CN", "CN"),
    ("上海晨曦软件有限公司", "zh-CN", "CN"),
    ("深圳蓝鲸数据有限公司", "zh-CN", "CN"),
    ("杭州青竹网络有限公司", "zh-CN", "CN"),
    ("株式会社あおぞら", "ja", "JP"),
    ("みどり商事株式会社", "ja", "JP"),
    ("株式会社ツバメ製作所", "ja", "JP"),
    ("주식회사 한빛데이터", "ko", "KR"),
    ("서울물류 주식회사", "ko", "KR"),
    ("臺北明月股份有限公司", "zh-TW", "TW"),
)
PLACES = (("en-US", "US"), ("en-GB", "GB"), ("de-DE", "DE"), ("fr-FR", "FR"), ("es-ES", "ES"), ("nl-NL", "NL"))

FATES = (
    ("active", 78),
    ("canceling", 3),
    ("past_due", 4),
    ("trialing", 4),
    ("unpaid", 1),
    ("canceled", 6),
    ("canceled_unpaid", 1),
    ("paused", 1),
    ("incomplete", 1),
    ("none", 1),
)
"""What has become of a customer's subscription, and its weight."""


def build(state: State, billing: Billing, *, accounts: int, seed: int, months: int) -> None:
    """Fill an empty account with customers and their past. Nothing of it makes events.

    Args:
        state: The account.
        billing: Acts on it.
        accounts: How many customers.
        seed: Decides everything.
        months: How long histories are at most.
    """
    if accounts:
        state.quiet = True
        try:
            _Writer(state, billing, seed, months).write(accounts)
        finally:
            state.quiet, state.at = False, None


class _Writer:
    def __init__(self, state: State, billing: Billing, seed: int, months: int) -> None:
        self.state = state
        self.billing = billing
        self.draw = random.Random(f"world/{seed}")  # noqa: S311 - a simulation
        self.months = months
        self.now = state.now
        self.prices: dict[tuple[str, str, str], Obj] = {}

    def write(self, accounts: int) -> None:
        self.state.at = self.now - (self.months + 30) * MONTH
        self._catalogue()
        for number in range(1, accounts + 1):
            self._customer(number)

    def _catalogue(self) -> None:
        """Make products and prices; a year costs ten months."""
        state = self.state
        for name, cents, _ in PLANS:
            product = state.add("product", objects.product(state, name, unit_label="seat"))
            for currency, _, rate in CURRENCIES:
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

    def _pick(self, weighted: Sequence[tuple[Any, ...]]) -> Any:
        return self.draw.choices(weighted, weights=[entry[1] for entry in weighted])[0][0]

    def _customer(self, number: int) -> None:
        state, draw = self.state, self.draw
        fate = self._pick(FATES)
        ages = {"trialing": draw.randrange(1, 12) * DAY, "incomplete": draw.randrange(1, 20) * 3600}
        usual = int(draw.uniform(0.5, self.months + 24) * MONTH)
        state.at = born = self.now - ages.get(fate, usual)
        customer = state.add("customer", self._identity(number))
        brand = draw.choice(("visa", "mastercard", "amex"))
        method = state.add("payment_method", payment_method(state, brand, customer=customer["id"]))
        customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": method["id"]}
        if fate == "none":
            return
        plan, _, seats = draw.choices(PLANS, weights=(35, 35, 22, 8))[0]
        interval = "year" if draw.random() < 0.3 else "month"
        price = self.prices[plan, self._pick(CURRENCIES), interval]
        item = {"price": price["id"], "quantity": max(1, round(seats * draw.uniform(0.4, 1.8)))}
        trial_end = born + 14 * DAY if fate == "trialing" else None
        sub = self.billing.subscribe(customer, [item], quiet=True, trial_end=trial_end)
        if draw.random() < 0.08:
            discount = state.add("discount", objects.discount(state, "LOYAL10", subscription=sub["id"]))
            sub["discounts"] = [discount["id"]]
        self._history(sub, method, fate)

    def _identity(self, number: int) -> Obj:
        draw = self.draw
        if draw.random() < 0.15:
            name, locale, country = draw.choice(CJK)
            slug = f"customer-{number:04d}"
        else:
            first, second = draw.choice(FIRST), draw.choice(SECOND)
            name, slug = f"{first} {second}", f"{first}-{second}-{number}".lower()
            locale, country = draw.choice(PLACES)
        return objects.customer(
            self.state,
            name=f"{name} {number}",
            email=f"billing@{slug}.example",
            phone=f"+1555{number:07d}" if draw.random() < 0.4 else None,
            address={"city": None, "country": country, "line1": None, "line2": None, "postal_code": None, "state": None},
            preferred_locales=[locale],
            metadata={"account_id": f"acct-{number:04d}"} if draw.random() < 0.9 else {},
        )

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
