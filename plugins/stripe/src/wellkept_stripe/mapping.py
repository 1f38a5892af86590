"""From Stripe's objects to canonical records: short, pure functions.

`version` and `updated_at` come from the reading (see `wellkept_stripe.versions`). `updated_at` is what the caller knows of when
the state became true; where it knows nothing (None), an object whose state is final says so itself.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from typing import Any, Literal

from wellkept.errors import RejectedError
from wellkept.records import Account, Invoice, PaymentAttempt, PaymentMethod, Person, Record, Subscription
from wellkept_stripe import wire
from wellkept_stripe import wire_payments as payments
from wellkept_stripe.mrr import Mrr, iso_factor, iso_minor
from wellkept_stripe.records import StripePrice, StripeProduct
from wellkept_stripe.wire import Ref, ref

END_REASONS: Mapping[str, Literal["voluntary", "involuntary", "unknown"]] = {
    "cancellation_requested": "voluntary",
    "payment_failed": "involuntary",
    "payment_disputed": "involuntary",
}
"""``cancellation_details.reason`` to who wanted it. Anything else, ``canceled_by_retention_policy`` among them, is unknown."""

OVER = frozenset({"canceled", "incomplete_expired"})


def ms(seconds: int | None) -> int | None:
    """Return epoch seconds as epoch milliseconds."""
    return None if seconds is None else seconds * 1000


def account(row: wire.Customer, *, external_id_key: str, version: int, updated_at: int | None) -> Account:
    """Return the account behind a customer. Metadata go into `extra`, with ``stripe_delinquent`` beside them."""
    metadata = row.metadata or {}
    return Account(
        id=row.id,
        version=version,
        updated_at=updated_at,
        name=row.business_name or row.name or row.individual_name,
        external_id=metadata.get(external_id_key) or None,
        email=row.email,
        phone=row.phone,
        tax_ids=[_tax_id(known.value, known.country) for known in row.tax_ids.data if known.value] if row.tax_ids else [],
        locale=row.preferred_locales[0] if row.preferred_locales else None,
        country=row.address.country if row.address else None,
        created_at=row.created * 1000,
        extra=_extra(metadata, stripe_delinquent=row.delinquent),
    )


def _tax_id(value: str, country: str | None) -> str:
    """Return a tax id with the country in front; VAT ids have it there already (``EL`` for Greece)."""
    return value if country is None or value[:2].isalpha() else f"{country}{value}"


def billing_contact(row: wire.Customer, *, version: int, updated_at: int | None) -> Person | None:
    """Return who gets the bills of a customer: None where Stripe knows neither an address nor a number."""
    if not (row.email or row.phone):
        return None
    return Person(
        id=row.id,
        version=version,
        updated_at=updated_at,
        account_ref=row.id,
        name=row.individual_name or (row.name if row.business_name else None),
        email=row.email,
        phone=row.phone,
        roles=["billing"],
        locale=row.preferred_locales[0] if row.preferred_locales else None,
        created_at=row.created * 1000,
    )


def subscription(row: wire.Subscription, worth: Mrr, plan: str | None, *, version: int, updated_at: int | None) -> Subscription:
    """Return a subscription. Plan, seats, interval and period are those of the item that is worth most.

    Args:
        row: As Stripe shows it.
        worth: Its MRR, and that item.
        plan: The name of that item's product.
        version: See the module.
        updated_at: See the module.
    """
    item = worth.main
    price = None if item is None else item.price
    recurring = None if price is None else price.recurring
    details = row.cancellation_details
    start, end = row.current_period_start, row.current_period_end
    if item is not None and item.current_period_end is not None:
        start, end = item.current_period_start, item.current_period_end
    over = row.status in OVER
    return Subscription(
        id=row.id,
        version=version,
        updated_at=updated_at if updated_at is not None or not over else ms(row.ended_at),
        account_ref=_required(row.customer, "customer"),
        status=row.status,
        currency=row.currency,
        mrr=worth.amount,
        plan=plan,
        quantity=None if item is None else item.quantity,
        interval=None if recurring is None else recurring.interval,
        interval_count=None if recurring is None else recurring.interval_count,
        started_at=ms(row.start_date if row.start_date is not None else row.created),
        trial_end_at=ms(row.trial_end),
        period_start_at=ms(start),
        period_end_at=ms(end),
        cancel_at_period_end=row.cancel_at_period_end,
        cancel_at=ms(row.cancel_at),
        canceled_at=ms(row.canceled_at),
        ended_at=ms(row.ended_at),
        end_reason=END_REASONS.get((details and details.reason) or "", "unknown") if over else None,
        payment_method_ref=ref(row.default_payment_method) or ref(row.default_source),
        extra=_extra(
            row.metadata or {},
            stripe_price=None if price is None else price.id,
            stripe_product=None if price is None else ref(price.product),
            stripe_items=len(row.items.data) if len(row.items.data) != 1 else None,
            stripe_pause=None if row.pause_collection is None else row.pause_collection.behavior,
            stripe_pause_until=None if row.pause_collection is None else ms(row.pause_collection.resumes_at),
            stripe_cancellation_reason=details and details.reason,
            stripe_cancellation_feedback=details and details.feedback,
            mrr_note=worth.note,
        ),
    )


def invoice(row: wire.Invoice, *, version: int, updated_at: int | None) -> Invoice:
    """Return an invoice.

    Raises:
        RejectedError: It has neither a status nor the older ``paid``: a preview, which is no bill.
    """
    status = row.status
    if status is None:
        if row.paid is None:
            raise RejectedError("it has no status")
        status = "paid" if row.paid else "open"
    transitions = row.status_transitions or _NO_TRANSITIONS
    if updated_at is None:
        final = {
            "paid": transitions.paid_at,
            "void": transitions.voided_at,
            "uncollectible": transitions.marked_uncollectible_at,
        }
        updated_at = ms(final.get(status))
    parent = row.parent.subscription_details if row.parent else None
    currency = row.currency
    return Invoice(
        id=row.id,
        version=version,
        updated_at=updated_at,
        account_ref=_required(row.customer, "customer"),
        status=status,
        currency=currency,
        amount_due=iso_minor(row.amount_due, currency),
        amount_paid=iso_minor(row.amount_paid, currency),
        amount_remaining=iso_minor(row.amount_remaining, currency),
        subscription_ref=ref(parent.subscription) if parent else ref(row.subscription),
        number=row.number,
        billing_reason=row.billing_reason,
        collection="manual" if row.collection_method == "send_invoice" else "automatic",
        attempt_count=row.attempt_count,
        next_attempt_at=ms(row.next_payment_attempt),
        due_at=ms(row.due_date),
        created_at=row.created * 1000,
        finalized_at=ms(transitions.finalized_at),
        paid_at=ms(transitions.paid_at),
        extra=_extra(row.metadata or {}),
    )


_NO_TRANSITIONS = wire.StatusTransitions()


def attempt(
    row: payments.Charge, *, invoice_ref: str | None, error: payments.PaymentError | None, version: int
) -> PaymentAttempt:
    """Return the attempt behind a charge.

    Args:
        row: The charge.
        invoice_ref: The invoice that it was to pay.
        error: What its payment intent says of its latest failure; used where it is this charge's.
        version: See the module.
    """
    said = row.outcome or _NO_OUTCOME
    own = error if error is not None and error.charge == row.id else _NO_ERROR
    failed = row.status == "failed"
    return PaymentAttempt(
        id=row.id,
        version=version,
        updated_at=row.created * 1000 if row.status != "pending" else None,
        account_ref=ref(row.customer),
        invoice_ref=invoice_ref or ref(row.invoice),
        payment_method_ref=row.payment_method or ref(own.payment_method),
        status=row.status,
        currency=row.currency,
        amount=iso_minor(row.amount, row.currency),
        attempted_at=row.created * 1000,
        decline_code=(own.decline_code or said.reason) if failed else None,
        network_code=own.network_decline_code or said.network_decline_code,
        advice_code=own.advice_code or said.advice_code,
        failure_code=row.failure_code or own.code,
        extra=_extra(
            {},
            stripe_network_advice=own.network_advice_code or said.network_advice_code,
            stripe_payment_intent=ref_of(row.payment_intent),
        ),
    )


_NO_OUTCOME = payments.Outcome()
_NO_ERROR = payments.PaymentError()


def waiting(row: payments.InvoicePayment, intent: payments.PaymentIntent, *, version: int) -> PaymentAttempt:
    """Return the attempt of a payment intent that has no charge yet, because the customer has to act first."""
    error = intent.last_payment_error or _NO_ERROR
    return PaymentAttempt(
        id=row.id,
        version=version,
        account_ref=ref(intent.customer),
        invoice_ref=ref(row.invoice),
        payment_method_ref=ref(intent.payment_method) or ref(error.payment_method),
        status="requires_action",
        currency=intent.currency,
        amount=iso_minor(intent.amount, intent.currency),
        attempted_at=intent.created * 1000,
        decline_code=error.decline_code,
        failure_code=error.code,
        extra=_extra({}, stripe_payment_intent=intent.id),
    )


def outside(row: payments.InvoicePayment, *, version: int) -> PaymentAttempt:
    """Return the attempt behind a payment that was made outside of Stripe and reported to it (a payment record)."""
    paid_at = row.status_transitions.paid_at if row.status_transitions else None
    amount = row.amount_requested if row.amount_paid is None else row.amount_paid
    return PaymentAttempt(
        id=row.id,
        version=version,
        updated_at=ms(paid_at),
        invoice_ref=ref(row.invoice),
        status=_OUTSIDE.get(row.status, "pending"),
        currency=row.currency,
        amount=iso_minor(amount, row.currency),
        attempted_at=(paid_at if paid_at is not None else row.created) * 1000,
        extra=_extra({}, stripe_payment_record=ref(row.payment.payment_record)),
    )


_OUTSIDE: Mapping[str, Literal["succeeded", "canceled"]] = {"paid": "succeeded", "canceled": "canceled"}


def payment_method(row: payments.PaymentMethod, *, version: int, updated_at: int | None) -> PaymentMethod:
    """Return a payment method. The customer must be expanded, as it alone knows which method is the default."""
    owner = row.customer
    chosen = None
    if isinstance(owner, payments.Owner):
        settings = owner.invoice_settings
        chosen = (ref(settings.default_payment_method) if settings else None) or ref(owner.default_source)
    card, bank = row.card, row.account() or _NO_BANK
    expires_on = None
    if card is not None and card.exp_month is not None and card.exp_year is not None and 1 <= card.exp_month <= 12:
        last = monthrange(card.exp_year, card.exp_month)[1]
        expires_on = f"{card.exp_year:04d}-{card.exp_month:02d}-{last:02d}"
    return PaymentMethod(
        id=row.id,
        version=version,
        updated_at=updated_at,
        account_ref=owner.id if isinstance(owner, payments.Owner) else owner,
        kind=row.type,
        brand=card.brand if card else bank.bank_name,
        last4=card.last4 if card else bank.last4,
        fingerprint=card.fingerprint if card else bank.fingerprint,
        expires_on=expires_on,
        is_default=chosen == row.id,
        extra=_extra(row.metadata or {}),
    )


_NO_BANK = payments.BankAccount()


def price(row: wire.Price, *, version: int, updated_at: int | None) -> StripePrice:
    """Return a price."""
    factor = iso_factor(row.currency)
    exact = None if row.unit_amount is None else row.unit_amount * factor
    recurring, packs = row.recurring, row.transform_quantity
    return StripePrice(
        id=row.id,
        version=version,
        updated_at=updated_at,
        product_ref=ref(row.product),
        currency=row.currency,
        amount=int(exact) if exact is not None and exact.denominator == 1 else None,
        unit_amount_decimal=row.unit_amount_decimal,
        billing_scheme=row.billing_scheme,
        tiers_mode=row.tiers_mode,
        tiers=[_tier(tier) for tier in row.tiers or ()],
        interval=recurring.interval if recurring else None,
        interval_count=recurring.interval_count if recurring else None,
        usage_type=recurring.usage_type if recurring else None,
        pack_of=packs.divide_by if packs else None,
        pack_rounding=packs.round if packs else None,
        tax_behavior=row.tax_behavior,
        nickname=row.nickname,
        lookup_key=row.lookup_key,
        active=row.active,
        created_at=row.created * 1000,
        extra=_extra(row.metadata or {}),
    )


def product(row: wire.Product, *, version: int, updated_at: int | None) -> StripeProduct:
    """Return a product, which is the one object that says itself when it changed."""
    return StripeProduct(
        id=row.id,
        version=version,
        updated_at=ms(row.updated) if row.updated is not None else updated_at,
        name=row.name,
        active=row.active,
        unit_label=row.unit_label,
        created_at=row.created * 1000,
        extra=_extra(row.metadata or {}),
    )


def ref_of(value: Ref | Record) -> str | None:
    """Return the id behind a reference of any expanded type."""
    return value if isinstance(value, str) or value is None else value.id


def _tier(tier: wire.Tier) -> str:
    flat = tier.flat_amount_decimal or tier.flat_amount or 0
    unit = tier.unit_amount_decimal or tier.unit_amount or 0
    return f"{'inf' if tier.up_to is None else tier.up_to}:{flat}:{unit}"


def _extra(metadata: Mapping[str, str], **own: Any) -> dict[str, Any]:
    """Return metadata and what else we know, without what is not known."""
    return {**metadata, **{key: value for key, value in own.items() if value is not None}}


def _required(value: Ref, field: str) -> str:
    """Return the id behind a reference that must be there.

    Raises:
        RejectedError: It is not.
    """
    found = ref(value)
    if found is None:
        raise RejectedError(f"it has no {field}")
    return found
