"""New objects with every field that Stripe shows, in the newest API version."""

from __future__ import annotations

from typing import Any

from wellkept_stripe.simulator.state import Obj, State


def customer(state: State, **fields: Any) -> Obj:
    """Return a customer."""
    id_ = state.new_id("customer")
    return {
        "id": id_,
        "object": "customer",
        "address": None,
        "balance": 0,
        "business_name": None,
        "created": state.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": id_[4:12].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None},
        "livemode": state.livemode,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **fields,
    }


def tax_id(state: State, customer_id: str, value: str) -> Obj:
    """Return a VAT id of a customer; its country stands in front."""
    country = value[:2]
    return {
        "id": state.new_id("tax_id"),
        "object": "tax_id",
        "country": country,
        "created": state.now,
        "customer": customer_id,
        "customer_account": None,
        "livemode": state.livemode,
        "owner": {"account": None, "application": None, "customer": customer_id, "customer_account": None, "type": "customer"},
        "type": "gb_vat" if country == "GB" else "eu_vat",
        "value": value,
        "verification": {"status": "verified", "verified_address": None, "verified_name": None},
    }


def product(state: State, name: str, **fields: Any) -> Obj:
    """Return a product."""
    return {
        "id": state.new_id("product"),
        "object": "product",
        "active": True,
        "created": state.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": state.livemode,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": state.now,
        "url": None,
        **fields,
    }


def price(state: State, product_id: str, currency: str, unit_amount: int | None, **fields: Any) -> Obj:
    """Return a price that recurs every month."""
    obj = {
        "id": state.new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": state.now,
        "currency": currency,
        "currency_options": {},
        "custom_unit_amount": None,
        "livemode": state.livemode,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": {
            "interval": "month",
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers": None,
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": unit_amount,
        "unit_amount_decimal": None if unit_amount is None else str(unit_amount),
        **fields,
    }
    own = {name: obj[name] for name in ("tax_behavior", "tiers", "unit_amount", "unit_amount_decimal")}
    obj["currency_options"] = {currency: {"custom_unit_amount": None, **own}, **obj["currency_options"]}
    return obj


def coupon(state: State, id_: str, **fields: Any) -> Obj:
    """Return a coupon."""
    return {
        "id": id_,
        "object": "coupon",
        "amount_off": None,
        "applies_to": {"products": []},
        "created": state.now,
        "currency": None,
        "currency_options": {},
        "duration": "forever",
        "duration_in_months": None,
        "livemode": state.livemode,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
        **fields,
    }


def discount(state: State, coupon_id: str, **fields: Any) -> Obj:
    """Return a discount."""
    return {
        "id": state.new_id("discount"),
        "object": "discount",
        "checkout_session": None,
        "customer": None,
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": state.now,
        "subscription": None,
        "subscription_item": None,
        **fields,
    }


def subscription(state: State, customer_id: str, currency: str, **fields: Any) -> Obj:
    """Return a subscription without items."""
    return {
        "id": state.new_id("subscription"),
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": state.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": None},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": state.now,
        "currency": currency,
        "customer": customer_id,
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "latest_invoice": None,
        "livemode": state.livemode,
        "managed_payments": None,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": state.now,
        "status": "active",
        "status_details": None,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
        "_items": [],
        **fields,
    }


def subscription_item(state: State, subscription_id: str, price_id: str, quantity: int | None, **fields: Any) -> Obj:
    """Return an item of a subscription."""
    return {
        "id": state.new_id("subscription_item"),
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": state.now,
        "current_period_end": state.now,
        "current_period_start": state.now,
        "current_trial": None,
        "discounts": [],
        "metadata": {},
        "price": price_id,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
        **fields,
    }


def invoice(state: State, customer_obj: Obj, currency: str, **fields: Any) -> Obj:
    """Return a draft invoice without lines."""
    id_ = state.new_id("invoice")
    return {
        "id": id_,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Wellkept simulator",
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None},
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": state.now,
        "currency": currency,
        "custom_fields": None,
        "customer": customer_obj["id"],
        "customer_account": None,
        "customer_address": customer_obj["address"],
        "customer_email": customer_obj["email"],
        "customer_name": customer_obj["name"],
        "customer_phone": customer_obj["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {"object": "list", "data": [], "has_more": False, "url": f"/v1/invoices/{id_}/lines"},
        "livemode": state.livemode,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": state.now,
        "period_start": state.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_details": None,
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None},
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        "_payments": [],
        **fields,
    }


def line(state: State, invoice_id: str, currency: str, amount: int, parent: Obj, **fields: Any) -> Obj:
    """Return a line of an invoice."""
    return {
        "id": f"il_{state.new_id('invoiceitem')[3:]}",
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": state.livemode,
        "metadata": {},
        "parent": parent,
        "period": {"end": state.now, "start": state.now},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "subscription": None,
        "subtotal": amount,
        "taxes": [],
        **fields,
    }


def invoice_item(state: State, customer_id: str, currency: str, amount: int, **fields: Any) -> Obj:
    """Return an invoice item: a line to come."""
    return {
        "id": state.new_id("invoiceitem"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer_id,
        "customer_account": None,
        "date": state.now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": state.livemode,
        "metadata": {},
        "net_amount": amount,
        "parent": None,
        "period": {"end": state.now, "start": state.now},
        "pricing": None,
        "proration": False,
        "proration_details": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
        **fields,
    }


def webhook_endpoint(state: State, url: str, enabled_events: list[str], api_version: str | None, secret: str) -> Obj:
    """Return a webhook endpoint."""
    return {
        "id": state.new_id("webhook_endpoint"),
        "object": "webhook_endpoint",
        "api_version": api_version,
        "application": None,
        "created": state.now,
        "description": None,
        "enabled_events": enabled_events,
        "livemode": state.livemode,
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_secret": secret,
    }
