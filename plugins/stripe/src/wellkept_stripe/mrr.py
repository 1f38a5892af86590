"""Monthly recurring revenue of one subscription, by one definition.

MRR is the sum over the items of an active or past-due subscription of (recurring price x quantity - recurring discount) per
month; without tax, trials, free plans, what is paid once, and what is metered. Invoices, prorations, refunds and disputes do
not touch it: it is what the contract is worth, not what was paid. Source: Stripe's billing analytics glossary; interval
factors: `wellkept.money.MONTHS_PER`.

Two things are not always in a subscription as Stripe shows it, and are handed in as `Terms`: prices with tiers or in other
currencies, and the terms of coupons. `missing` tells what is needed; without it, MRR is unknown (None), never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Literal, Protocol

from wellkept.money import MONTHS_PER, exponent, round_half_even
from wellkept_stripe.wire import Coupon, Discount, Price, Recurring, Subscription, SubscriptionItem, TaxRate, Tier, ref

PAYING = frozenset({"active", "past_due"})

_STRIPE_EXPONENTS = {"isk": 2, "mga": 0, "ugx": 2}
"""Currencies whose unit in Stripe's API is not that of ISO 4217 (exponents 0, 2 and 0). ISK and UGX have no decimals any more,
but keep two in the API; the ariary (MGA) is the other way round. HUF and TWD differ in payouts only. Source:
docs.stripe.com/currencies, zero-decimal currencies and special cases."""


@lru_cache(maxsize=512)
def iso_factor(currency: str) -> Fraction:
    """Return by what an amount of Stripe's API is multiplied to become minor units of ISO 4217."""
    code = currency.lower()
    if code not in _STRIPE_EXPONENTS:
        return Fraction(1)
    return Fraction(10) ** (exponent(code) - _STRIPE_EXPONENTS[code])


def iso_minor(amount: int, currency: str) -> int:
    """Return an amount of Stripe's API in minor units of ISO 4217."""
    if currency in _STRIPE_EXPONENTS:
        return round_half_even(amount * iso_factor(currency))
    return amount


class Policy(Protocol):
    """What counts where tools disagree; see `wellkept_stripe.config.MrrPolicy`."""

    @property
    def past_due(self) -> bool:
        """Whether past-due subscriptions count."""
        ...

    @property
    def paused_collection(self) -> Literal["zero", "count"]:
        """What a subscription is worth while its collection is paused."""
        ...

    @property
    def discounts(self) -> Literal["forever", "all", "none"]:
        """Which discounts lower MRR."""
        ...


@dataclass(frozen=True)
class Terms:
    """What subscriptions refer to.

    Attributes:
        prices: Prices with their tiers and currency options, by id.
        coupons: Coupons with the products and currencies that they are for, by id.
        item_discounts: Discounts in full, by item id.
        net: The share of an inclusive price that is not tax, by subscription id, from its latest invoice.
    """

    prices: Mapping[str, Price] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    item_discounts: Mapping[str, Sequence[Discount]] = field(default_factory=dict)
    net: Mapping[str, Fraction] = field(default_factory=dict)


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Mrr:
    """The result.

    Attributes:
        amount: Minor units of ISO 4217 a month; None: unknown.
        note: Why it is unknown.
        main: The item that is worth most, which gives the plan its name; the first one where all are worth the same.
    """

    amount: int | None
    note: str | None
    main: SubscriptionItem | None


class UnknownError(Exception):
    """A figure cannot be known from what is at hand; the text says why."""


def mrr(subscription: Subscription, policy: Policy, *, now: int, terms: Terms = NO_TERMS) -> Mrr:
    """Return the MRR of a subscription.

    Args:
        subscription: As Stripe shows it.
        policy: What counts.
        now: Epoch seconds: whether a discount, a pause or an item's trial is over.
        terms: What it refers to.
    """
    plain = _plain(subscription)
    if plain is not None:
        item, due, recurring = plain
        return Mrr(_whole(due, recurring, subscription.currency) if is_paying(subscription, policy, now) else 0, None, item)
    reckoning = _Reckoning(subscription, policy, now, terms)
    items = subscription.items.data
    worth: list[Fraction] = []
    note = None
    for item in items:
        try:
            worth.append(reckoning.item(item))
        except UnknownError as error:
            worth.append(Fraction(0))
            note = f"{item.price.id}: {error}"
    main = max(zip(worth, items, strict=True), key=lambda pair: pair[0])[1] if items else None
    if not is_paying(subscription, policy, now):
        return Mrr(0, None, main)
    if note is None:
        try:
            total = reckoning.total(worth)
            return Mrr(round_half_even(total * iso_factor(subscription.currency)), None, main)
        except UnknownError as error:
            note = str(error)
    return Mrr(None, note, main)


def is_paying(subscription: Subscription, policy: Policy, now: int) -> bool:
    """Say whether a subscription's price counts at all."""
    if subscription.status not in PAYING or (subscription.status == "past_due" and not policy.past_due):
        return False
    pause = subscription.pause_collection
    paused = pause is not None and (pause.resumes_at is None or pause.resumes_at > now)
    return not (paused and policy.paused_collection == "zero")


def _plain(subscription: Subscription) -> tuple[SubscriptionItem, int, Recurring] | None:
    """Take apart a subscription that has nothing to it but price times quantity, as most are; None for any other.

    Returns:
        Its only item, what is due for one interval, and the interval.
    """
    items = subscription.items.data
    if len(items) != 1 or subscription.discounts or subscription.discount is not None or subscription.default_tax_rates:
        return None
    item = items[0]
    price = item.price
    recurring = price.recurring
    if price.unit_amount is None or item.quantity is None or recurring is None or recurring.usage_type != "licensed":
        return None
    odd = (
        price.billing_scheme != "per_unit"
        or price.transform_quantity is not None
        or price.currency != subscription.currency
        or item.discounts
        or item.tax_rates
        or item.current_trial is not None
        or (price.tax_behavior == "inclusive" and subscription.automatic_tax is not None)
    )
    return None if odd else (item, price.unit_amount * item.quantity, recurring)


def _whole(due: int, recurring: Recurring, currency: str) -> int:
    """Return an amount due every interval as minor units a month, in integers: the long way's result at a tenth of its cost."""
    above, below = _ratio(recurring.interval, recurring.interval_count, currency)
    whole, rest = divmod(due * above, below)
    return whole + (1 if 2 * rest > below or (2 * rest == below and whole % 2) else 0)


@lru_cache(maxsize=1024)
def _ratio(interval: str, count: int, currency: str) -> tuple[int, int]:
    """Return by what an amount is multiplied and divided to become minor units a month."""
    ratio = iso_factor(currency) / (MONTHS_PER[interval] * count)
    return ratio.numerator, ratio.denominator


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be asked for before MRR can be told.

    Attributes:
        prices: Ids of prices whose tiers or amounts in other currencies are not shown.
        coupons: Ids of coupons whose restrictions are not shown.
        item_discounts: The discounts of items.
        discounts: The subscription's own discounts, which are shown as ids only: read it again, with expansions.
        net: How much of its prices is tax.
    """

    prices: frozenset[str]
    coupons: frozenset[str]
    item_discounts: bool
    discounts: bool
    net: bool

    def __bool__(self) -> bool:
        return bool(self.prices or self.coupons or self.item_discounts or self.discounts or self.net)


NOTHING = Needs(frozenset(), frozenset(), item_discounts=False, discounts=False, net=False)


def needs(subscription: Subscription, policy: Policy, *, now: int) -> Needs:
    """Return what `mrr` has to be given as `Terms` for this subscription."""
    if _plain(subscription) is not None or not is_paying(subscription, policy, now):
        return NOTHING
    prices: set[str] = set()
    net = item_discounts = False
    for item in subscription.items.data:
        price = item.price
        if _is_metered(price):
            continue
        if (price.billing_scheme == "tiered" and not price.tiers) or price.currency != subscription.currency:
            prices.add(price.id)
        item_discounts = item_discounts or bool(item.discounts)
        net = net or _tax_is_automatic(subscription, price)
    coupons: set[str] = set()
    short = False
    if policy.discounts != "none":
        for discount in _all_discounts(subscription):
            terms = discount if isinstance(discount, str) else discount.terms()
            if isinstance(terms, str) or terms is None:
                short = True
            elif terms.duration == "forever" or policy.discounts == "all":
                coupons.add(terms.id)
    else:
        item_discounts = False
    if not (prices or coupons or item_discounts or short or net):
        return NOTHING
    return Needs(frozenset(prices), frozenset(coupons), item_discounts=item_discounts, discounts=short, net=net)


def _is_metered(price: Price) -> bool:
    return price.recurring is None or price.recurring.usage_type != "licensed"


def _due(price: Price, currency: str, quantity: int) -> Fraction:
    """Return what is due for one interval, before discounts and with tax if it is inclusive."""
    units: Fraction | int = quantity
    if price.transform_quantity is not None:
        packs = Fraction(quantity, price.transform_quantity.divide_by)
        units = -(-packs.numerator // packs.denominator) if price.transform_quantity.round == "up" else int(packs)
    if price.currency != currency:
        option = (price.currency_options or {}).get(currency)
        if option is None:
            raise UnknownError(f"it has no amount in {currency.upper()}")
        amount, exact, tiers = option.unit_amount, option.unit_amount_decimal, option.tiers
    else:
        amount, exact, tiers = price.unit_amount, price.unit_amount_decimal, price.tiers
    if price.billing_scheme == "tiered":
        if not tiers:
            raise UnknownError("it has tiers that could not be read")
        return _tiered(tiers, price.tiers_mode, int(units))
    return _amount(amount, exact) * units


def _tiered(tiers: Sequence[Tier], mode: str | None, units: int) -> Fraction:
    """Return the price of so many units: with ``volume`` all at the tier that they reach, else each at its own tier."""
    ordered = sorted(tiers, key=lambda tier: (tier.up_to is None, tier.up_to or 0))
    if mode == "volume":
        tier = next((tier for tier in ordered if tier.up_to is None or units <= tier.up_to), None)
        if tier is None:
            raise UnknownError("its tiers end before its quantity")
        return _flat(tier) + _unit(tier) * units
    total, below = Fraction(0), 0
    for tier in ordered:
        top = units if tier.up_to is None else min(units, tier.up_to)
        if top > below or (units == 0 and below == 0 and tier is ordered[0]):
            total += _flat(tier) + _unit(tier) * (top - below)
        below = max(below, top)
    if below < units:
        raise UnknownError("its tiers end before its quantity")
    return total


def _flat(tier: Tier) -> Fraction:
    if tier.flat_amount is None and tier.flat_amount_decimal is None:
        return Fraction(0)
    return _amount(tier.flat_amount, tier.flat_amount_decimal)


def _unit(tier: Tier) -> Fraction:
    if tier.unit_amount is None and tier.unit_amount_decimal is None:
        return Fraction(0)
    return _amount(tier.unit_amount, tier.unit_amount_decimal)


def _amount(amount: int | None, exact: str | None) -> Fraction:
    if amount is not None:
        return Fraction(amount)
    if exact is None:
        raise UnknownError("it has no amount")
    return Fraction(exact)


def _all_discounts(subscription: Subscription) -> Iterable[str | Discount]:
    if subscription.discounts:
        return subscription.discounts
    return () if subscription.discount is None else (subscription.discount,)


def _discounted(due: Fraction, coupon: Coupon, currency: str) -> Fraction:
    if coupon.percent_off is not None:
        return due * (1 - Fraction(coupon.percent_off) / 100)
    return max(Fraction(0), due - _amount_off(coupon, currency))


def _amount_off(coupon: Coupon, currency: str) -> int:
    if coupon.amount_off is not None and coupon.currency == currency:
        return coupon.amount_off
    option = (coupon.currency_options or {}).get(currency)
    if option is None:
        raise UnknownError(f"coupon {coupon.id} has no amount in {currency.upper()}")
    return option.amount_off


def _tax_is_automatic(subscription: Subscription, price: Price) -> bool:
    """Say whether Stripe works out how much of this price is tax."""
    automatic = subscription.automatic_tax is not None and subscription.automatic_tax.enabled
    return automatic and price.tax_behavior == "inclusive"


@dataclass(frozen=True, slots=True)
class _Reckoning:
    """One subscription's sum."""

    subscription: Subscription
    policy: Policy
    now: int
    terms: Terms

    def item(self, item: SubscriptionItem) -> Fraction:
        """Return what one item is worth a month, after its own discounts and without tax, in Stripe's smallest unit."""
        price = item.price
        recurring = price.recurring
        if recurring is None or recurring.usage_type != "licensed":
            return Fraction(0)
        if item.current_trial is not None and item.current_trial.end_date > self.now:
            return Fraction(0)
        quantity = 1 if item.quantity is None else item.quantity
        due = _due(self.terms.prices.get(price.id, price), self.subscription.currency, quantity)
        if item.discounts:
            for coupon in self._at_work(self.terms.item_discounts.get(item.id, item.discounts)):
                due = _discounted(due, coupon, self.subscription.currency)
        return due / _months(item) * self._net(item)

    def total(self, worth: list[Fraction]) -> Fraction:
        """Take the subscription's own discounts off, one after the other, each from what those before it left."""
        items = self.subscription.items.data
        for coupon in self._at_work(_all_discounts(self.subscription)):
            only = None if coupon.applies_to is None else coupon.applies_to.products
            chosen = [place for place, item in enumerate(items) if only is None or ref(item.price.product) in only]
            base = sum((worth[place] for place in chosen), Fraction(0))
            if base <= 0:
                continue
            if coupon.percent_off is not None:
                left = 1 - Fraction(coupon.percent_off) / 100
            else:
                left = max(Fraction(0), 1 - self._monthly_off(coupon, [items[place] for place in chosen]) / base)
            for place in chosen:
                worth[place] *= left
        return sum(worth, Fraction(0))

    def _at_work(self, discounts: Iterable[str | Discount]) -> Iterator[Coupon]:
        """Yield the coupons that lower MRR today."""
        if self.policy.discounts == "none":
            return
        for discount in discounts:
            found = None if isinstance(discount, str) else discount.terms()
            if isinstance(discount, str) or found is None or isinstance(found, str):
                raise UnknownError("it has a discount that could not be read")
            coupon = self.terms.coupons.get(found.id, found)
            begun = discount.start is None or discount.start <= self.now
            ended = discount.end is not None and discount.end <= self.now
            if begun and not ended and (coupon.duration == "forever" or self.policy.discounts == "all"):
                yield coupon

    def _monthly_off(self, coupon: Coupon, items: Sequence[SubscriptionItem]) -> Fraction:
        """Return what a fixed amount off every invoice is worth a month: invoices come at the shortest of the intervals."""
        licensed = [item for item in items if item.price.recurring is not None]
        off = Fraction(_amount_off(coupon, self.subscription.currency)) / min(map(_months, licensed))
        shares = {self._net(item) for item in licensed}
        return off * (shares.pop() if len(shares) == 1 else 1)

    def _net(self, item: SubscriptionItem) -> Fraction:
        """Return the share of the price that is not tax."""
        if _tax_is_automatic(self.subscription, item.price):
            share = self.terms.net.get(self.subscription.id)
            if share is None:
                raise UnknownError("it includes tax at a rate that no invoice shows")
            return share
        rates: Sequence[TaxRate] = item.tax_rates or self.subscription.default_tax_rates or ()
        inclusive = sum((Fraction(rate.percentage) for rate in rates if rate.inclusive), Fraction(0))
        return 1 / (1 + inclusive / 100) if inclusive else Fraction(1)


def _months(item: SubscriptionItem) -> Fraction:
    """Return how many months lie between two payments of an item."""
    recurring = item.price.recurring
    if recurring is None:
        raise UnknownError("it does not recur")
    return MONTHS_PER[recurring.interval] * recurring.interval_count
