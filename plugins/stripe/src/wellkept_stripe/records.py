"""The record types that are Stripe's own."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from wellkept.records import Record


class StripePrice(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A price. `amount` is None where it has tiers, or parts of the currency's smallest unit (see `unit_amount_decimal`)."""

    type: ClassVar[str] = "stripe.price"
    search: ClassVar[tuple[str, ...]] = ("nickname", "lookup_key")

    product_ref: str | None = None
    currency: str
    amount: int | None = None
    """Minor units (ISO 4217) for one unit of the product and one interval."""
    unit_amount_decimal: str | None = None
    """Stripe's own figure, with up to twelve decimals, in the smallest unit of its API."""
    billing_scheme: str
    tiers_mode: str | None = None
    tiers: list[str] = msgspec.field(default_factory=list)
    """One text a tier, ``up_to:flat:unit`` in the smallest unit of Stripe's API; ``inf`` for the last."""
    interval: str | None = None
    """None for a price that is paid once."""
    interval_count: int | None = None
    usage_type: str | None = None
    pack_of: int | None = None
    """Units are sold in packages of so many ..."""
    pack_rounding: str | None = None
    """... parts of a package rounded ``up`` or ``down``."""
    tax_behavior: str | None = None
    nickname: str | None = None
    lookup_key: str | None = None
    active: bool = True
    created_at: int | None = None


class StripeProduct(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A product: what the prices are for."""

    type: ClassVar[str] = "stripe.product"
    search: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    active: bool = True
    unit_label: str | None = None
    created_at: int | None = None
