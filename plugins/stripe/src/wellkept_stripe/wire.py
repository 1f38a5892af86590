"""The shapes of Stripe's objects as they come over the wire: only the fields that we read.

Pinned is API version 2026-10-28.endive; `API_VERSION` goes with every request. Webhooks and events bring objects in the version
that was current where and when they were made, so that older places of a field stand here too, each with the version that
removed it:

* ``current_period_start`` and ``current_period_end`` of a subscription (on its items since 2025-03-31.basil)
* ``subscription``, ``payment_intent``, ``charge`` and ``paid`` of an invoice (2025-03-31.basil)
* ``invoice`` of a charge and of a payment intent (2025-03-31.basil)
* ``discount`` of a subscription (now ``discounts``) and ``coupon`` of a discount (``source.coupon`` since 2025-09-30.clover)

Amounts are in the smallest unit *of Stripe's API*, which differs from ISO 4217 for three currencies: see `mrr.iso_factor`.
Instants are epoch seconds. Source of the shapes: the types of stripe-python 16.1.0 and Stripe's API reference.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

API_VERSION = "2026-10-28.endive"
"""Sent as ``Stripe-Version``: answers keep this shape whatever the account's own default is."""

OLDEST_READABLE = "2020-08-27"
"""Before it, subscriptions had plans instead of prices. Snapshots of older versions are not used; the object is read again."""

RELEASES = frozenset({"acacia", "basil", "clover", "dahlia", "endive"})
"""The named releases whose shapes are known to be readable by the structs below."""


Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that a store can keep; a larger one makes its row a reject."""


def readable(api_version: str | None) -> bool:
    """Say whether an object of this API version can be read with these structs."""
    if not api_version:
        return False
    day, _, release = api_version.partition(".")
    return day >= OLDEST_READABLE and (not release or release in RELEASES)


class Wire(msgspec.Struct, frozen=True, gc=False):
    """Base: unknown fields are ignored; there are no cycles, so the garbage collector has nothing to track."""


class Named(Wire, frozen=True, gc=False):
    """An expanded object of which only the id is read."""

    id: str


Ref = str | Named | None
"""A reference that Stripe may have expanded."""


def ref(value: Ref) -> str | None:
    """Return the id behind a reference."""
    return value.id if isinstance(value, Named) else value


class Deleted(Wire, frozen=True, gc=False):
    """What is left of a deleted object when it is asked for by id."""

    id: str
    deleted: bool = False


class Labels(Wire, frozen=True, gc=False):
    """The metadata of any object."""

    metadata: dict[str, str] | None = None
    deleted: bool = False


class Address(Wire, frozen=True, gc=False):
    """A postal address; only the country (ISO 3166 alpha-2) is read."""

    country: str | None = None


class InvoiceSettings(Wire, frozen=True, gc=False):
    """What a customer's invoices are paid with by default."""

    default_payment_method: Ref = None


class TaxId(Wire, frozen=True, gc=False):
    """``tax_id``: a customer's VAT or other tax number."""

    value: str | None = None
    country: str | None = None
    customer: Ref = None


class TaxIds(Wire, frozen=True, gc=False):
    """The tax ids of a customer; Stripe permits five."""

    data: list[TaxId]


class Customer(Wire, frozen=True, gc=False):
    """``customer``: whom we bill. `delinquent`: its latest invoice was due and not paid. `tax_ids` show where asked for."""

    id: str
    created: Int
    name: str | None = None
    business_name: str | None = None
    individual_name: str | None = None
    email: str | None = None
    phone: str | None = None
    address: Address | None = None
    preferred_locales: list[str] | None = None
    delinquent: bool | None = None
    metadata: dict[str, str] | None = None
    tax_ids: TaxIds | msgspec.UnsetType | None = msgspec.UNSET


class TaxRate(Wire, frozen=True, gc=False):
    """``tax_rate``: `percentage` is part of the price when `inclusive`."""

    percentage: Decimal
    inclusive: bool


class CurrencyAmount(Wire, frozen=True, gc=False):
    """What a coupon takes off in another currency than its own."""

    amount_off: Int


class Products(Wire, frozen=True, gc=False):
    """The products that a coupon is restricted to; shown only where it was asked for."""

    products: list[str]


class Coupon(Wire, frozen=True, gc=False):
    """``coupon``: either `percent_off` or `amount_off` (in `currency`), for ever, once, or for some months."""

    id: str
    duration: str
    percent_off: Decimal | None = None
    amount_off: Int | None = None
    currency: str | None = None
    currency_options: dict[str, CurrencyAmount] | None = None
    applies_to: Products | None = None


class DiscountSource(Wire, frozen=True, gc=False):
    """Where a discount comes from; so far always a coupon."""

    coupon: str | Coupon | None = None


class Discount(Wire, frozen=True, gc=False):
    """``discount``: a coupon at work. `end` is None where it has no end."""

    id: str
    start: Int | None = None
    end: Int | None = None
    source: DiscountSource | None = None
    coupon: str | Coupon | None = None
    subscription: str | None = None

    def terms(self) -> str | Coupon | None:
        """Return the coupon, wherever the version puts it."""
        return self.source.coupon if self.source is not None else self.coupon


class Recurring(Wire, frozen=True, gc=False):
    """How often a price is due. `usage_type`: ``licensed`` (quantity known in advance) or ``metered``."""

    interval: Literal["day", "week", "month", "year"]
    interval_count: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = 1
    usage_type: str = "licensed"


class Tier(Wire, frozen=True, gc=False):
    """One tier of a price: up to and including `up_to` units (None: without end)."""

    up_to: Int | None = None
    flat_amount: Int | None = None
    flat_amount_decimal: str | None = None
    unit_amount: Int | None = None
    unit_amount_decimal: str | None = None


class TransformQuantity(Wire, frozen=True, gc=False):
    """Units are sold in packages of `divide_by`, parts of a package rounded ``up`` or ``down``."""

    divide_by: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    round: str


class CurrencyOption(Wire, frozen=True, gc=False):
    """A price in another currency."""

    unit_amount: Int | None = None
    unit_amount_decimal: str | None = None
    tiers: list[Tier] | None = None
    tax_behavior: str | None = None


class Price(Wire, frozen=True, gc=False):
    """``price``: what one unit of a product costs. `tiers` and `currency_options` are shown only where they were asked for."""

    id: str
    product: Ref
    currency: str
    created: Int = 0
    active: bool = True
    nickname: str | None = None
    lookup_key: str | None = None
    billing_scheme: str = "per_unit"
    unit_amount: Int | None = None
    unit_amount_decimal: str | None = None
    tiers_mode: str | None = None
    tiers: list[Tier] | None = None
    transform_quantity: TransformQuantity | None = None
    tax_behavior: str | None = None
    recurring: Recurring | None = None
    currency_options: dict[str, CurrencyOption] | None = None
    metadata: dict[str, str] | None = None


class Product(Wire, frozen=True, gc=False):
    """``product``: what is sold. `updated` is Stripe's own time of its last change."""

    id: str
    name: str
    created: Int
    active: bool = True
    updated: Int | None = None
    unit_label: str | None = None
    metadata: dict[str, str] | None = None


class CurrentTrial(Wire, frozen=True, gc=False):
    """A trial of one item alone."""

    end_date: Int


class SubscriptionItem(Wire, frozen=True, gc=False):
    """``subscription_item``: one price of a subscription, with its quantity (None where usage is metered)."""

    id: str
    price: Price
    quantity: Int | None = None
    current_period_start: Int | None = None
    current_period_end: Int | None = None
    current_trial: CurrentTrial | None = None
    discounts: list[str | Discount] | None = None
    tax_rates: list[TaxRate] | None = None


class SubscriptionItems(Wire, frozen=True, gc=False):
    """The first items of a subscription, and whether there are more."""

    data: list[SubscriptionItem]
    has_more: bool = False


class PauseCollection(Wire, frozen=True, gc=False):
    """Invoices are not collected for now; the subscription's status does not change."""

    behavior: str
    resumes_at: Int | None = None


class CancellationDetails(Wire, frozen=True, gc=False):
    """Why it was cancelled. `reason` is Stripe's, `feedback` the customer's own choice from a list."""

    reason: str | None = None
    feedback: str | None = None


class AutomaticTax(Wire, frozen=True, gc=False):
    """Whether Stripe works out the tax; then its rate is known from invoices only."""

    enabled: bool = False


class Subscription(Wire, frozen=True, gc=False):
    """``subscription``: a recurring contract. See the module's docstring for where older versions put things."""

    id: str
    customer: Ref
    status: Literal["trialing", "active", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled"]
    currency: str
    items: SubscriptionItems
    created: Int
    start_date: Int | None = None
    trial_end: Int | None = None
    current_period_start: Int | None = None
    current_period_end: Int | None = None
    cancel_at_period_end: bool = False
    cancel_at: Int | None = None
    canceled_at: Int | None = None
    ended_at: Int | None = None
    cancellation_details: CancellationDetails | None = None
    pause_collection: PauseCollection | None = None
    default_payment_method: Ref = None
    default_source: Ref = None
    discounts: list[str | Discount] | None = None
    discount: Discount | None = None
    default_tax_rates: list[TaxRate] | None = None
    automatic_tax: AutomaticTax | None = None
    latest_invoice: Ref = None
    metadata: dict[str, str] | None = None


class SubscriptionDetails(Wire, frozen=True, gc=False):
    """The subscription that an invoice is for."""

    subscription: Ref = None


class InvoiceParent(Wire, frozen=True, gc=False):
    """What an invoice was made from."""

    subscription_details: SubscriptionDetails | None = None


class StatusTransitions(Wire, frozen=True, gc=False):
    """When an invoice came into its states."""

    finalized_at: Int | None = None
    paid_at: Int | None = None
    voided_at: Int | None = None
    marked_uncollectible_at: Int | None = None


class Invoice(Wire, frozen=True, gc=False):
    """``invoice``: a bill. `attempt_count` follows Stripe's retry schedule and is not the number of network attempts."""

    id: str
    currency: str
    amount_due: Int
    created: Int
    customer: Ref = None
    status: Literal["draft", "open", "paid", "void", "uncollectible"] | None = None
    amount_paid: Int = 0
    amount_remaining: Int = 0
    number: str | None = None
    billing_reason: str | None = None
    collection_method: str | None = None
    attempt_count: Int = 0
    next_payment_attempt: Int | None = None
    due_date: Int | None = None
    status_transitions: StatusTransitions | None = None
    parent: InvoiceParent | None = None
    subscription: Ref = None
    paid: bool | None = None
    metadata: dict[str, str] | None = None


class InvoiceTotals(Wire, frozen=True, gc=False):
    """The part of an invoice that tells how much of its prices is tax."""

    subtotal: Int = 0
    subtotal_excluding_tax: Int | None = None


class VendorAccount(Wire, frozen=True, gc=False):
    """``account``: whose data these are. Its `created` bounds how old a row can be."""

    id: str
    created: Int | None = None


class ErrorBody(Wire, frozen=True, gc=False):
    """The inside of an error answer. `message` may repeat what was sent: it is read for names of permissions alone."""

    type: str | None = None
    code: str | None = None
    param: str | None = None
    message: str | None = None


class ErrorAnswer(Wire, frozen=True, gc=False):
    """An error answer."""

    error: ErrorBody
