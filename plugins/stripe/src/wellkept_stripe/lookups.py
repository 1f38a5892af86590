"""What subscriptions refer to, asked for once per read: prices with tiers, coupons, names of products, shares of tax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from wellkept.http import together
from wellkept_stripe.api import Answer, Api
from wellkept_stripe.mrr import Policy, Terms, needs
from wellkept_stripe.wire import (
    Coupon,
    Discount,
    InvoiceTotals,
    Price,
    Product,
    Subscription,
    SubscriptionItem,
    SubscriptionItems,
    ref,
)

WHOLE_PRICE = ("tiers", "currency_options")
WHOLE_COUPON = ("applies_to", "currency_options")


class Lookups:
    """Remembers what it has asked for, as long as one read lasts: the terms of prices and coupons do not change."""

    def __init__(self, api: Api, policy: Policy) -> None:
        self._api = api
        self._policy = policy
        self._prices: dict[str, Price | None] = {}
        self._currencies: dict[str, frozenset[str]] = {}
        self._coupons: dict[str, Coupon | None] = {}
        self._products: dict[str, str | None] = {}

    async def whole(self, rows: Sequence[Subscription]) -> list[Subscription]:
        """Return the subscriptions with all of their items: Stripe embeds the first ten only."""

        async def one(row: Subscription) -> Subscription:
            if not row.items.has_more:
                return row
            items = await self._api.all("/v1/subscription_items", SubscriptionItem, {"subscription": row.id})
            return msgspec.structs.replace(row, items=SubscriptionItems(data=items))

        return list(rows) if not any(row.items.has_more for row in rows) else await together(rows, one)

    async def terms(self, rows: Sequence[Subscription], now: int) -> Terms:
        """Return what the MRR of these subscriptions depends on; what Stripe does not have is left out."""
        wanted = [(row, need) for row in rows if (need := needs(row, self._policy, now=now))]
        if not wanted:
            return Terms()
        prices: dict[str, set[str]] = {}
        for row, need in wanted:
            for item in row.items.data:
                if item.price.id in need.prices:
                    prices.setdefault(item.price.id, set()).update(_foreign(item.price, row.currency))
        item_rows = [row for row, need in wanted if need.item_discounts]
        discounts = dict(pair for pairs in await together(item_rows, self._item_discounts) for pair in pairs)
        coupons = {id_ for _, need in wanted for id_ in need.coupons} | set(_coupons(discounts.values()))
        await together([pair for pair in prices.items() if self._is_new(*pair)], self._price)
        await together(sorted(coupons - self._coupons.keys()), self._coupon)
        net = await together([row for row, need in wanted if need.net], self._net)
        return Terms(
            prices={id_: price for id_, price in self._prices.items() if price is not None},
            coupons={id_: coupon for id_, coupon in self._coupons.items() if coupon is not None},
            item_discounts=discounts,
            net={id_: share for id_, share in net if share is not None},
        )

    async def plans(self, prices: Iterable[Price]) -> dict[str, str]:
        """Return what people call the plan of each price: its product's name, else what the price says itself."""
        found = list(prices)
        ids = {id_ for price in found if (id_ := ref(price.product)) is not None}
        await together(sorted(ids - self._products.keys()), self._product)
        return {price.id: self._plan(price) for price in found}

    def _plan(self, price: Price) -> str:
        product = ref(price.product) or ""
        return self._products.get(product) or price.nickname or price.lookup_key or product or price.id

    def _is_new(self, id_: str, currencies: set[str]) -> bool:
        return id_ not in self._prices or not currencies <= self._currencies[id_]

    async def _price(self, wanted: tuple[str, set[str]]) -> None:
        """Tiers in other currencies show only for the currencies that are named."""
        id_, currencies = wanted
        currencies |= self._currencies.get(id_, frozenset())
        expand = [*WHOLE_PRICE, *(f"currency_options.{currency}.tiers" for currency in sorted(currencies))]
        answer = await self._api.find(f"/v1/prices/{id_}", {"expand[]": expand})
        self._prices[id_] = answer.response.json(Price) if isinstance(answer, Answer) else None
        self._currencies[id_] = frozenset(currencies)

    async def _coupon(self, id_: str) -> None:
        """A coupon that was deleted is known from the discount alone, as far as that goes."""
        answer = await self._api.find(f"/v1/coupons/{id_}", {"expand[]": WHOLE_COUPON})
        self._coupons[id_] = answer.response.json(Coupon) if isinstance(answer, Answer) else None

    async def _product(self, id_: str) -> None:
        answer = await self._api.find(f"/v1/products/{id_}")
        self._products[id_] = answer.response.json(Product).name if isinstance(answer, Answer) else None

    async def _item_discounts(self, row: Subscription) -> list[tuple[str, Sequence[Discount]]]:
        """The coupons of items lie deeper than one request can expand; the list of items brings them nearer."""
        params = {"subscription": row.id, "expand[]": ["data.discounts.source.coupon"]}
        items = await self._api.all("/v1/subscription_items", SubscriptionItem, params)
        return [(item.id, [each for each in item.discounts or () if isinstance(each, Discount)]) for item in items]

    async def _net(self, row: Subscription) -> tuple[str, Fraction | None]:
        """The latest invoice tells how much of the price is tax."""
        id_ = ref(row.latest_invoice)
        answer = None if id_ is None else await self._api.find(f"/v1/invoices/{id_}")
        if not isinstance(answer, Answer):
            return row.id, None
        totals = answer.response.json(InvoiceTotals)
        if totals.subtotal <= 0 or totals.subtotal_excluding_tax is None:
            return row.id, None
        return row.id, Fraction(totals.subtotal_excluding_tax, totals.subtotal)


def _coupons(discounts: Iterable[Sequence[Discount]]) -> Iterable[str]:
    for each in discounts:
        for discount in each:
            coupon = discount.terms()
            if isinstance(coupon, Coupon):
                yield coupon.id


def _foreign(price: Price, currency: str) -> Iterable[str]:
    """Return the currency in which a price's tiers are needed, if it is not its own."""
    return () if price.currency == currency or price.billing_scheme != "tiered" else (currency,)
