"""MRR by definition. The edge cases are those listed in the definition's source, each under its name there."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.money import EXPONENTS
from wellkept.records import Account, Invoice, Subscription
from wellkept.testing import FakeClock, Log, Spec
from wellkept_stripe import wire
from wellkept_stripe.config import MrrPolicy
from wellkept_stripe.mrr import Mrr, Terms, iso_factor, iso_minor, mrr, needs
from wellkept_stripe.simulator import objects, shapes
from wellkept_stripe.simulator.billing import Billing
from wellkept_stripe.simulator.state import State

Start = Callable[..., Any]
DAY = 86_400
NOW = FakeClock().now() // 1000
MONTHLY = {"interval": "month", "interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}


class Desk:
    """Makes subscriptions as Stripe shows them."""

    def __init__(self, spec: Spec | None) -> None:
        self.state = State(FakeClock(), seed=1, livemode=False, api_version=wire.API_VERSION, log=Log())
        self.state.quiet = True
        self.billing = Billing(self.state)
        self.product = self.state.add("product", objects.product(self.state, "Plan"))
        self.spec = spec

    def price(self, amount: int | None, currency: str = "usd", **fields: Any) -> dict[str, Any]:
        recurring = {**MONTHLY, **fields.pop("recurring", {})}
        return self.state.add(
            "price", objects.price(self.state, self.product["id"], currency, amount, recurring=recurring, **fields)
        )

    def discount(self, **coupon: Any) -> str:
        made = objects.coupon(self.state, f"C{len(self.state.tables['coupon'].rows)}", **coupon)
        self.state.add("coupon", made)
        return str(self.state.add("discount", objects.discount(self.state, made["id"]))["id"])

    def subscription(self, *items: dict[str, Any], expand: list[str] | None = None, **fields: Any) -> wire.Subscription:
        customer = self.state.add("customer", objects.customer(self.state))
        sub = self.billing.subscribe(customer, list(items), quiet=True, **fields)
        shown = shapes.expand(self.state, shapes.render(self.state, sub), ["discounts.source.coupon", *(expand or [])])
        shown = {**shown, "status": fields.get("status", shown["status"])}
        if self.spec is not None:
            self.spec.check_object("Subscription", shown)
        return msgspec.json.decode(json.dumps(shown), type=wire.Subscription)

    def terms(self, *prices: dict[str, Any]) -> Terms:
        """What lookups would bring."""
        whole = {p["id"]: msgspec.convert({k: v for k, v in p.items() if k[0] != "_"}, wire.Price) for p in prices}
        coupons = {
            id_: msgspec.json.decode(json.dumps({k: v for k, v in c.items() if k[0] != "_"}), type=wire.Coupon)
            for id_, c in self.state.tables["coupon"].rows.items()
        }
        for id_, coupon in coupons.items():
            if coupon.applies_to is not None and not coupon.applies_to.products:
                coupons[id_] = msgspec.structs.replace(coupon, applies_to=None)
        return Terms(prices=whole, coupons=coupons)


@pytest.fixture
def desk(optional_spec: Spec | None) -> Desk:
    return Desk(optional_spec)


def of(price: dict[str, Any], quantity: int | None = 1, **fields: Any) -> dict[str, Any]:
    return {"price": price["id"], "quantity": quantity, **fields}


def worth(subscription: wire.Subscription, terms: Terms | None = None, **policy: Any) -> Mrr:
    return mrr(subscription, MrrPolicy(**policy), now=NOW, terms=terms or Terms())


# --- intervals, currencies, quantities ---


@pytest.mark.parametrize(
    ("interval", "count", "amount", "expected"),
    [
        ("month", 1, 5000, 5000),
        ("month", 3, 15000, 5000),
        ("month", 6, 30001, 5000),
        ("year", 1, 60000, 5000),
        ("year", 2, 60000, 2500),
        ("week", 1, 1200, 5200),
        ("week", 2, 1200, 2600),
        ("day", 1, 100, 3042),
        ("day", 30, 3000, 3042),
        ("year", 1, 100, 8),
        ("year", 1, 6, 0),
        ("year", 1, 18, 2),
    ],
    ids=str,
)
def test_annual_to_monthly(desk: Desk, interval: str, count: int, amount: int, expected: int) -> None:
    price = desk.price(amount, recurring={"interval": interval, "interval_count": count})
    assert worth(desk.subscription(of(price))).amount == expected


def test_the_worked_example_of_stripes_glossary(desk: Desk) -> None:
    """100 customers at 100 USD a month and 50 at 600 USD a year come to 12,500 USD; 800 for 600 there is a misprint."""
    monthly = desk.subscription(of(desk.price(10_000)))
    yearly = desk.subscription(of(desk.price(60_000, recurring={"interval": "year"})))
    assert 100 * (worth(monthly).amount or 0) + 50 * (worth(yearly).amount or 0) == 1_250_000


def test_leap_day(desk: Desk) -> None:
    """A year is twelve months, whatever days it has; periods have no say in MRR."""
    leap = 1_835_395_200  # 2028-02-29
    price = desk.price(36_600, recurring={"interval": "year"})
    assert worth(desk.subscription(of(price), start_date=leap, billing_cycle_anchor=leap)).amount == 3050


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [
        ("jpy", 5000, 5000),
        ("kwd", 12_340, 12_340),
        ("usd", 5000, 5000),
        ("isk", 250_000, 2500),
        ("ugx", 370_000, 3700),
        ("mga", 500, 50_000),
        ("huf", 199_900, 199_900),
        ("twd", 59_900, 59_900),
    ],
)
def test_zero_and_three_decimal_currencies(desk: Desk, currency: str, amount: int, expected: int) -> None:
    """Minor units are those of ISO 4217; Stripe's API has others for ISK, UGX and MGA."""
    assert worth(desk.subscription(of(desk.price(amount, currency)))).amount == expected
    assert iso_minor(amount, currency) == expected


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_only_three_currencies_differ(currency: str) -> None:
    assert iso_factor(currency) == {"isk": Fraction(1, 100), "ugx": Fraction(1, 100), "mga": Fraction(100)}.get(currency, 1)


def test_quantity_change(desk: Desk) -> None:
    price = desk.price(1200)
    assert [worth(desk.subscription(of(price, seats))).amount for seats in (0, 1, 7)] == [0, 1200, 8400]


def test_items_of_one_subscription_are_added_before_rounding(desk: Desk) -> None:
    year = {"interval": "year"}
    prices = [desk.price(100, recurring=year), desk.price(100, recurring=year), desk.price(1000)]
    result = worth(desk.subscription(*map(of, prices)))
    assert result.amount == 1017
    assert result.main is not None
    assert result.main.price.id == prices[2]["id"]


def test_parts_of_a_cent(desk: Desk) -> None:
    price = desk.price(None, unit_amount_decimal="0.125")
    assert worth(desk.subscription(of(price, 1000))).amount == 125


@pytest.mark.parametrize(("round_", "expected"), [("up", 3000), ("down", 2000)])
def test_packages(desk: Desk, round_: str, expected: int) -> None:
    price = desk.price(1000, transform_quantity={"divide_by": 10, "round": round_})
    assert worth(desk.subscription(of(price, 25))).amount == expected


# --- tiers ---

TIERS = [
    {"up_to": 5, "flat_amount": 1000, "flat_amount_decimal": "1000", "unit_amount": 500, "unit_amount_decimal": "500"},
    {"up_to": 10, "flat_amount": None, "flat_amount_decimal": None, "unit_amount": 400, "unit_amount_decimal": "400"},
    {"up_to": None, "flat_amount": None, "flat_amount_decimal": None, "unit_amount": None, "unit_amount_decimal": "99.5"},
]


@pytest.mark.parametrize(
    ("mode", "seats", "expected"),
    [
        ("graduated", 0, 1000),
        ("graduated", 5, 3500),
        ("graduated", 6, 3900),
        ("graduated", 12, 5699),
        ("volume", 5, 3500),
        ("volume", 6, 2400),
        ("volume", 12, 1194),
    ],
)
def test_tiers(desk: Desk, mode: str, seats: int, expected: int) -> None:
    price = desk.price(None, billing_scheme="tiered", tiers_mode=mode, tiers=TIERS)
    subscription = desk.subscription(of(price, seats))
    assert needs(subscription, MrrPolicy(), now=NOW).prices == {price["id"]}
    assert worth(subscription, desk.terms(price)).amount == expected


def test_tiers_that_cannot_be_read_make_no_figure(desk: Desk) -> None:
    price = desk.price(None, billing_scheme="tiered", tiers_mode="volume", tiers=TIERS)
    result = worth(desk.subscription(of(price, 3)))
    assert result.amount is None
    assert result.note == f"{price['id']}: it has tiers that could not be read"
    short = desk.price(None, billing_scheme="tiered", tiers_mode="graduated", tiers=TIERS[:2])
    assert worth(desk.subscription(of(short, 20)), desk.terms(short)).amount is None


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=5),
    st.integers(0, 300),
)
def test_graduated_tiers_charge_each_unit_once(steps: list[tuple[int, int, int]], seats: int) -> None:
    tops, top = [], 0
    for step, flat, unit in steps:
        top += step
        tops.append((top, flat, unit))
    tiers = [wire.Tier(up_to=top, flat_amount=flat, unit_amount=unit) for top, flat, unit in tops]
    tiers[-1] = msgspec.structs.replace(tiers[-1], up_to=None)
    price = wire.Price(
        id="p",
        product="x",
        currency="usd",
        billing_scheme="tiered",
        tiers_mode="graduated",
        tiers=tiers,
        recurring=wire.Recurring("month"),
    )
    item = wire.SubscriptionItem(id="i", price=price, quantity=seats)
    sub = wire.Subscription(
        id="s", customer="c", status="active", currency="usd", items=wire.SubscriptionItems([item]), created=0
    )
    slow, reached = 0, set()
    for unit_number in range(1, seats + 1):
        place = next(place for place, tier in enumerate(tiers) if tier.up_to is None or unit_number <= tier.up_to)
        slow += tiers[place].unit_amount or 0
        reached.add(place)
    slow += sum(tiers[place].flat_amount or 0 for place in reached or {0})
    assert worth(sub).amount == slow


# --- what does not count ---


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", 5000),
        ("past_due", 5000),
        ("trialing", 0),
        ("unpaid", 0),
        ("paused", 0),
        ("incomplete", 0),
        ("incomplete_expired", 0),
        ("canceled", 0),
    ],
)
def test_statuses(desk: Desk, status: str, expected: int) -> None:
    subscription = desk.subscription(of(desk.price(5000)), status=status)
    assert worth(subscription).amount == expected


def test_past_due_by_policy(desk: Desk) -> None:
    subscription = desk.subscription(of(desk.price(5000)), status="past_due")
    assert worth(subscription, past_due=False).amount == 0


@pytest.mark.parametrize(
    ("pause", "policy", "expected"),
    [
        ({"behavior": "void", "resumes_at": None}, "zero", 0),
        ({"behavior": "keep_as_draft", "resumes_at": NOW + 1}, "zero", 0),
        ({"behavior": "keep_as_draft", "resumes_at": NOW}, "zero", 5000),
        ({"behavior": "void", "resumes_at": None}, "count", 5000),
    ],
)
def test_pause(desk: Desk, pause: dict[str, Any], policy: str, expected: int) -> None:
    subscription = desk.subscription(of(desk.price(5000)), pause_collection=pause)
    assert worth(subscription, paused_collection=policy).amount == expected


def test_metered_and_free_items(desk: Desk) -> None:
    metered = desk.price(700, recurring={"usage_type": "metered"})
    free = desk.price(0)
    assert worth(desk.subscription(of(metered, None), of(free))).amount == 0
    assert worth(desk.subscription(of(metered, None), of(desk.price(900)))).amount == 900


def test_a_trial_of_one_item(desk: Desk) -> None:
    trial = {"start_date": NOW - DAY, "end_date": NOW + DAY, "trial_offer": "to_1"}
    price, other = desk.price(5000), desk.price(300)
    assert worth(desk.subscription(of(price, current_trial=trial), of(other))).amount == 300
    over = {**trial, "end_date": NOW}
    assert worth(desk.subscription(of(price, current_trial=over), of(other))).amount == 5300


# --- discounts ---


@pytest.mark.parametrize(
    ("coupon", "policy", "expected"),
    [
        ({"percent_off": 25.0}, "forever", 7500),
        ({"percent_off": 33.33}, "forever", 6667),
        ({"percent_off": 100.0}, "forever", 0),
        ({"percent_off": 25.0, "duration": "once"}, "forever", 10_000),
        ({"percent_off": 25.0, "duration": "repeating", "duration_in_months": 3}, "forever", 10_000),
        ({"percent_off": 25.0, "duration": "once"}, "all", 7500),
        ({"percent_off": 25.0, "duration": "repeating", "duration_in_months": 3}, "all", 7500),
        ({"percent_off": 25.0}, "none", 10_000),
        ({"amount_off": 1500, "currency": "usd"}, "forever", 8500),
        ({"amount_off": 15_000, "currency": "usd"}, "forever", 0),
        ({"amount_off": 900, "currency": "eur", "currency_options": {"usd": {"amount_off": 1000}}}, "forever", 9000),
    ],
    ids=str,
)
def test_coupon_forever_lowers_mrr_once_and_repeating_do_not(
    desk: Desk, coupon: dict[str, Any], policy: str, expected: int
) -> None:
    subscription = desk.subscription(of(desk.price(5000), 2), discounts=[desk.discount(**coupon)])
    assert worth(subscription, desk.terms(), discounts=policy).amount == expected


def test_discounts_that_are_over_or_to_come(desk: Desk) -> None:
    ids = [desk.discount(percent_off=10.0, duration="repeating", duration_in_months=1) for _ in range(2)]
    desk.state.get("discount", ids[0])["end"] = NOW
    desk.state.get("discount", ids[1])["start"] = NOW + 1
    assert worth(desk.subscription(of(desk.price(5000)), discounts=ids), desk.terms(), discounts="all").amount == 5000


def test_several_discounts_each_take_from_what_is_left(desk: Desk) -> None:
    ids = [desk.discount(percent_off=50.0), desk.discount(amount_off=1000, currency="usd"), desk.discount(percent_off=10.0)]
    assert worth(desk.subscription(of(desk.price(5000), 2), discounts=ids), desk.terms()).amount == 3600


def test_an_amount_off_every_invoice_of_a_year(desk: Desk) -> None:
    price = desk.price(60_000, recurring={"interval": "year"})
    ids = [desk.discount(amount_off=12_000, currency="usd")]
    assert worth(desk.subscription(of(price), discounts=ids), desk.terms()).amount == 4000


def test_a_discount_on_an_item_and_one_for_some_products(desk: Desk) -> None:
    other = desk.state.add("product", objects.product(desk.state, "Support"))
    one, two = desk.price(10_000), desk.price(2000)
    two["product"] = other["id"]
    on_item = desk.discount(amount_off=1000, currency="usd")
    on_product = desk.discount(percent_off=50.0, applies_to={"products": [other["id"]]})
    subscription = desk.subscription(
        of(one, 1, discounts=[on_item]), of(two), discounts=[on_product], expand=["items.data.discounts"]
    )
    assert needs(subscription, MrrPolicy(), now=NOW).item_discounts
    full = {
        subscription.items.data[0].id: [
            wire.Discount(id=on_item, source=wire.DiscountSource(coupon=wire.Coupon(id="C0", duration="forever")))
        ]
    }
    terms = desk.terms()
    result = mrr(subscription, MrrPolicy(), now=NOW, terms=Terms(prices={}, coupons=terms.coupons, item_discounts=full))
    assert result.amount == 9000 + 1000


def test_a_discount_that_shows_as_an_id_must_be_read_again(desk: Desk) -> None:
    subscription = desk.subscription(of(desk.price(5000)), discounts=[desk.discount(percent_off=50.0)])
    bare = msgspec.structs.replace(subscription, discounts=["di_1"])
    assert needs(bare, MrrPolicy(), now=NOW).discounts
    assert worth(bare).amount is None
    assert not needs(bare, MrrPolicy(discounts="none"), now=NOW)
    assert worth(bare, discounts="none").amount == 5000


def test_the_discount_of_older_versions(desk: Desk) -> None:
    subscription = desk.subscription(of(desk.price(5000)))
    coupon = wire.Coupon(id="OLD", duration="forever", percent_off=Decimal(20))
    old = msgspec.structs.replace(subscription, discount=wire.Discount(id="di_1", coupon=coupon))
    assert worth(old).amount == 4000


# --- tax ---

VAT = {
    "active": True,
    "created": 0,
    "display_name": "VAT",
    "id": "txr_1",
    "inclusive": True,
    "livemode": False,
    "object": "tax_rate",
    "percentage": 20.0,
}


def test_tax_inclusive_price(desk: Desk) -> None:
    price = desk.price(12_000, tax_behavior="inclusive")
    exclusive = {**VAT, "inclusive": False}
    assert worth(desk.subscription(of(price), default_tax_rates=[VAT])).amount == 10_000
    assert worth(desk.subscription(of(price), default_tax_rates=[exclusive])).amount == 12_000
    assert worth(desk.subscription(of(price, tax_rates=[VAT]), default_tax_rates=[exclusive])).amount == 10_000


def test_tax_that_stripe_works_out_is_known_from_an_invoice(desk: Desk) -> None:
    price = desk.price(12_000, tax_behavior="inclusive")
    automatic = {"disabled_reason": None, "enabled": True, "liability": None}
    subscription = desk.subscription(of(price), automatic_tax=automatic)
    assert needs(subscription, MrrPolicy(), now=NOW).net
    assert worth(subscription).amount is None
    assert worth(subscription, Terms(net={subscription.id: Fraction(100, 119)})).amount == 10_084
    exclusive = desk.subscription(of(desk.price(12_000, tax_behavior="exclusive")), automatic_tax=automatic)
    assert worth(exclusive).amount == 12_000


def test_multi_currency(desk: Desk) -> None:
    """A price may have amounts in other currencies; the subscription's own counts, and nothing is converted."""
    option = {
        "custom_unit_amount": None,
        "tax_behavior": "unspecified",
        "tiers": None,
        "unit_amount": 4500,
        "unit_amount_decimal": "4500",
    }
    price = desk.price(5000, currency_options={"eur": option})
    subscription = desk.subscription(of(price), currency="eur")
    assert worth(subscription).amount is None
    assert worth(subscription, desk.terms(price)).amount == 4500


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**7), st.integers(0, 500), st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 12)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_mrr_is_the_exact_sum_rounded_once(lines: list[tuple[int, int, str, int]]) -> None:
    per = {"day": Fraction(365, 12), "week": Fraction(52, 12), "month": Fraction(1), "year": Fraction(1, 12)}
    items = [
        wire.SubscriptionItem(
            id=f"i{n}",
            price=wire.Price(
                id=f"p{n}",
                product="x",
                currency="usd",
                unit_amount=amount,
                recurring=msgspec.convert({"interval": interval, "interval_count": count}, wire.Recurring),
            ),
            quantity=quantity,
        )
        for n, (amount, quantity, interval, count) in enumerate(lines)
    ]
    sub = wire.Subscription(
        id="s", customer="c", status="active", currency="usd", items=wire.SubscriptionItems(items), created=0
    )
    exact = sum((amount * quantity * per[interval] / count for amount, quantity, interval, count in lines), Fraction(0))
    assert abs((worth(sub).amount or 0) - exact) <= Fraction(1, 2)


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**4),
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(1, 12),
    st.sampled_from(["usd", "jpy", "kwd", "isk", "mga"]),
)
def test_the_short_way_and_the_long_way_agree(amount: int, quantity: int, interval: str, count: int, currency: str) -> None:
    recurring = msgspec.convert({"interval": interval, "interval_count": count}, wire.Recurring)
    price = wire.Price(id="p", product="x", currency=currency, unit_amount=amount, recurring=recurring)
    item = wire.SubscriptionItem(id="i", price=price, quantity=quantity)
    nothing = wire.SubscriptionItem(id="j", price=msgspec.structs.replace(price, unit_amount=0), quantity=1)

    def subscription(*items: wire.SubscriptionItem) -> wire.Subscription:
        return wire.Subscription(
            id="s", customer="c", status="active", currency=currency, items=wire.SubscriptionItems(list(items)), created=0
        )

    assert worth(subscription(item)).amount == worth(subscription(item, nothing)).amount


# --- what happens, through the connector ---


def only(link: Any) -> Subscription:
    found: Subscription
    (found,) = (sub for sub in link.all(Subscription).values() if sub.status != "canceled")
    return found


@pytest.fixture
async def company(simulate: Start, connector: Start) -> tuple[Any, Any, str]:
    """One customer with ten seats at 24 USD."""
    simulator = simulate(accounts=1, seed=1)
    link = connector(simulator)
    customer = simulator.new_customer("Fixture Ltd", plan="business_usd_month", quantity=10)
    for sub in list(simulator.state.tables["subscription"].rows.values()):
        if sub["customer"] != customer:
            simulator.state.tables["subscription"].remove(sub["id"])
    simulator.clock.advance(10 * DAY)
    await link.sync("subscriptions", "customers")
    assert (only(link).mrr, only(link).plan, only(link).quantity) == (24_000, "Business", 10)
    return simulator, link, customer


async def test_trial_to_paid_with_an_unpaid_first_invoice(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    sub = simulator._subscription(customer)
    with simulator.state.change(sub, "customer.subscription.updated"):
        sub |= {"status": "trialing", "trial_end": simulator.state.now + DAY}
    await link.sync("subscriptions")
    assert (only(link).status, only(link).mrr) == ("trialing", 0)
    simulator.clock.advance(DAY)
    simulator.fail_payment(customer)
    await link.sync("subscriptions")
    assert (only(link).status, only(link).mrr) == ("past_due", 24_000)
    simulator.give_up(customer)
    simulator.clock.advance(60)
    await link.sync("subscriptions")
    assert (only(link).status, only(link).mrr) == ("unpaid", 0)


async def test_mid_month_upgrade_and_proration_lines(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    import stripe

    client = stripe.StripeClient(simulator.key, base_addresses={"api": simulator.url})
    sub = simulator._subscription(customer)
    item = simulator.billing.items(sub)[0]["id"]
    client.v1.subscriptions.update(sub["id"], {"items": [{"id": item, "quantity": 20}]})
    simulator.clock.advance(60)
    await link.sync("subscriptions", "invoices")
    assert only(link).mrr == 48_000
    bill = simulator.renew(customer)
    simulator.clock.advance(60)
    await link.sync("subscriptions", "invoices")
    assert only(link).mrr == 48_000
    assert link.all(Invoice)[bill].amount_due > 48_000  # it has proration lines, MRR has not


async def test_plan_swap_at_the_same_price(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    state = simulator.state
    product = state.add("product", objects.product(state, "Business (new)"))
    price = state.add("price", objects.price(state, product["id"], "usd", 2400, lookup_key="new"))
    simulator.switch_plan(customer, price["lookup_key"])
    await link.sync("subscriptions")
    assert (only(link).mrr, only(link).plan) == (24_000, "Business (new)")


async def test_two_subscriptions(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    state = simulator.state
    price = simulator._price("starter_usd_month")
    second = simulator.billing.subscribe(state.get("customer", customer), [{"price": price["id"], "quantity": 1}])
    await link.sync("subscriptions")
    assert sum(sub.mrr for sub in link.all(Subscription).values()) == 24_000 + 1900
    simulator.clock.advance(60)
    simulator.billing.cancel(second)
    await link.sync("subscriptions")
    assert sum(sub.mrr for sub in link.all(Subscription).values()) == 24_000


async def test_cancelled_then_uncancelled(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    simulator.cancel_at_period_end(customer)
    await link.sync("subscriptions")
    assert (only(link).cancel_at_period_end, only(link).mrr) == (True, 24_000)
    simulator.clock.advance(60)
    simulator.cancel_at_period_end(customer, wish=False)
    await link.sync("subscriptions")
    assert (only(link).cancel_at_period_end, only(link).cancel_at, only(link).canceled_at, only(link).mrr) == (
        False,
        None,
        None,
        24_000,
    )


async def test_backdated(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    import stripe

    client = stripe.StripeClient(simulator.key, base_addresses={"api": simulator.url})
    simulator.churn(customer)
    start = simulator.state.now - 200 * DAY
    price = simulator._price("business_usd_month")["id"]
    client.v1.subscriptions.create(
        {"customer": customer, "items": [{"price": price, "quantity": 10}], "backdate_start_date": start}
    )
    simulator.clock.advance(60)
    await link.sync("subscriptions")
    assert (only(link).mrr, only(link).started_at) == (24_000, start * 1000)


async def test_refunds_and_disputes_are_ignored(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    charge = simulator.state.all("charge", customer=customer)[0]
    with simulator.state.change(charge, "charge.refunded"):
        charge |= {"refunded": True, "amount_refunded": charge["amount"], "disputed": True}
    simulator.state.emit("charge.dispute.created", {"object": "dispute", "id": "dp_1", "charge": charge["id"]})
    await link.sync("subscriptions", "payment_attempts")
    assert only(link).mrr == 24_000


async def test_invoice_items_once(company: tuple[Any, Any, str]) -> None:
    simulator, link, customer = company
    import stripe

    client = stripe.StripeClient(simulator.key, base_addresses={"api": simulator.url})
    client.v1.invoice_items.create({"customer": customer, "amount": 99_000, "currency": "usd", "description": "Set-up"})
    bill = simulator.renew(customer)
    simulator.clock.advance(60)
    await link.sync("subscriptions", "invoices")
    assert only(link).mrr == 24_000
    assert link.all(Invoice)[bill].amount_due == 24_000 + 99_000


async def test_schedule_phases(company: tuple[Any, Any, str]) -> None:
    """A phase counts when it has begun; what is to come is no MRR yet."""
    simulator, link, customer = company
    sub = simulator._subscription(customer)
    with simulator.state.change(sub, "customer.subscription.updated"):
        sub["schedule"] = "sub_sched_1"
    await link.sync("subscriptions")
    assert only(link).mrr == 24_000
    simulator.clock.advance(60)
    simulator.contract(customer, 4)
    await link.sync("subscriptions")
    assert only(link).mrr == 9600


async def test_discounts_tiers_and_tax_are_looked_up(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1, seed=1)
    state, billing = simulator.state, simulator.billing
    for table in ("subscription", "subscription_item"):
        for id_ in list(state.tables[table].rows):
            state.tables[table].remove(id_)
    product = state.add("product", objects.product(state, "Seats"))
    tiered = objects.price(state, product["id"], "usd", None, billing_scheme="tiered", tiers_mode="graduated", tiers=TIERS)
    inclusive = objects.price(state, product["id"], "eur", 12_000, tax_behavior="inclusive")
    for price in (tiered, inclusive):
        state.add("price", price)
    state.add("coupon", objects.coupon(state, "GONE", percent_off=50.0))
    customer = next(iter(state.tables["customer"].rows.values()))
    on_item = state.add("discount", objects.discount(state, "LOYAL10"))
    on_sub = state.add("discount", objects.discount(state, "GONE"))
    made = {
        "tiers": billing.subscribe(customer, [{"price": tiered["id"], "quantity": 12}], quiet=True),
        "item": billing.subscribe(
            customer, [{"price": simulator._price("starter_usd_month")["id"], "discounts": [on_item["id"]]}], quiet=True
        ),
        "deleted coupon": billing.subscribe(
            customer, [{"price": simulator._price("starter_usd_month")["id"]}], quiet=True, discounts=[on_sub["id"]]
        ),
        "tax": billing.subscribe(
            customer,
            [{"price": inclusive["id"]}],
            automatic_tax={"disabled_reason": None, "enabled": True, "liability": None},
        ),
        "many items": billing.subscribe(
            customer, [{"price": simulator._price("starter_usd_month")["id"]} for _ in range(13)], quiet=True
        ),
    }
    state.deleted_coupons["GONE"] = state.get("coupon", "GONE")
    state.tables["coupon"].remove("GONE")
    link = connector(simulator)
    await link.sync("subscriptions")
    assert {name: link.all(Subscription)[sub["id"]].mrr for name, sub in made.items()} == {
        "tiers": 5699,
        "item": 1710,
        "deleted coupon": 950,
        "tax": 10_000,
        "many items": 13 * 1900,
    }
    assert link.all(Subscription)[made["tiers"]["id"]].plan == "Seats"
    assert len(simulator.log.matching("/v1/prices/*")) == 1
    assert len(link.all(Account)) == 0
