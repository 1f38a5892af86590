"""The streams: what can be read, which permissions each needs, and how deletions are known."""

from __future__ import annotations

from wellkept import Stream
from wellkept.records import Account, Invoice, PaymentAttempt, PaymentMethod, Person, Subscription
from wellkept_stripe.records import StripePrice, StripeProduct

EVENTS = "rak_event_read"

CUSTOMERS = Stream(
    name="customers",
    records=(Account, Person),
    doc="Customers: an account each, and the person who gets the bills.",
    scopes=("rak_customer_read", EVENTS),
    backfill=True,
    deletes="absence",
)
SUBSCRIPTIONS = Stream(
    name="subscriptions",
    records=(Subscription,),
    doc="Subscriptions of every status, with their monthly recurring revenue.",
    scopes=("rak_subscription_read", "rak_plan_read", "rak_product_read", "rak_coupon_read", "rak_invoice_read", EVENTS),
    backfill=True,
    deletes="absence",
)
INVOICES = Stream(
    name="invoices",
    records=(Invoice,),
    doc="Invoices of every status.",
    scopes=("rak_invoice_read", EVENTS),
    backfill=True,
    deletes="absence",
)
PAYMENT_ATTEMPTS = Stream(
    name="payment_attempts",
    records=(PaymentAttempt,),
    doc="Tries to collect invoices, one record a charge, with the reasons of declines.",
    scopes=("rak_invoice_read", "rak_payment_intent_read", "rak_charge_read", EVENTS),
    backfill=True,
    deletes="rows",
)
PAYMENT_METHODS = Stream(
    name="payment_methods",
    records=(PaymentMethod,),
    doc="Cards and mandates that belong to customers, and which one is each customer's default.",
    scopes=("rak_payment_method_read", "rak_customer_read", EVENTS),
    deletes="absence",
)
PRODUCTS = Stream(
    name="products",
    records=(StripeProduct,),
    doc="Products.",
    scopes=("rak_product_read", EVENTS),
    backfill=True,
    deletes="absence",
)
PRICES = Stream(
    name="prices",
    records=(StripePrice,),
    doc="Prices, with their tiers.",
    scopes=("rak_plan_read", EVENTS),
    backfill=True,
    deletes="absence",
)

ALL = (CUSTOMERS, SUBSCRIPTIONS, INVOICES, PAYMENT_ATTEMPTS, PAYMENT_METHODS, PRODUCTS, PRICES)
