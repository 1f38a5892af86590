"""New payment methods, payment intents, charges and invoice payments, with every field that Stripe shows."""

from __future__ import annotations

from typing import Any

from wellkept_stripe.simulator.state import Obj, State

DECLINE_CODES = {
    "insufficient_funds": ("51", "try_again_later"),
    "generic_decline": ("05", "try_again_later"),
    "do_not_honor": ("05", "try_again_later"),
    "expired_card": ("54", "confirm_card_data"),
    "lost_card": ("41", "do_not_try_again"),
    "stolen_card": ("43", "do_not_try_again"),
    "authentication_required": ("1A", "try_again_later"),
}
"""Decline code to the network's code and Stripe's advice. Source: docs.stripe.com/declines/codes, ISO 8583 field 39."""

TEST_METHODS: dict[str, tuple[str, str | None]] = {
    "pm_card_visa": ("visa", None),
    "pm_card_mastercard": ("mastercard", None),
    "pm_card_chargeCustomerFail": ("visa", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("visa", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedExpiredCard": ("visa", "expired_card"),
    "pm_card_visa_chargeDeclinedLostCard": ("visa", "lost_card"),
    "pm_card_authenticationRequired": ("visa", "authentication_required"),
}
"""Stripe's own test payment methods: brand, and why charges fail."""


def payment_method(state: State, brand: str = "visa", decline: str | None = None, **fields: Any) -> Obj:
    """Return a card; `decline` says why charges fail."""
    id_ = state.new_id("payment_method")
    number = sum(id_.encode())
    return {
        "id": id_,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "card": {
            "brand": brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": brand,
            "exp_month": number % 12 + 1,
            "exp_year": 2027 + number % 4,
            "fingerprint": id_[-16:],
            "funding": "credit",
            "generated_from": None,
            "last4": f"{number * 7919 % 10_000:04d}",
            "networks": {"available": [brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": state.now,
        "customer": None,
        "customer_account": None,
        "livemode": state.livemode,
        "metadata": {},
        "type": "card",
        "_decline": decline,
        **fields,
    }


def payment_intent(state: State, amount: int, currency: str, customer_id: str, **fields: Any) -> Obj:
    """Return a payment intent that waits for a payment method."""
    return {
        "id": state.new_id("payment_intent"),
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": state.now,
        "currency": currency,
        "customer": customer_id,
        "customer_account": None,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": state.livemode,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": "off_session",
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **fields,
    }


def invoice_payment(state: State, invoice_id: str, amount: int, currency: str, payment: Obj, **fields: Any) -> Obj:
    """Return the link between an invoice and a payment of it."""
    return {
        "id": state.new_id("invoice_payment"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": amount,
        "created": state.now,
        "currency": currency,
        "invoice": invoice_id,
        "is_default": True,
        "livemode": state.livemode,
        "payment": payment,
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
        **fields,
    }


def charge(state: State, intent: Obj, method: Obj, **fields: Any) -> Obj:
    """Return a try to collect money with a card, as the card's own fate decides."""
    decline = method["_decline"]
    network, advice = DECLINE_CODES.get(decline or "", (None, None))
    outcome = {
        "advice_code": advice,
        "network_advice_code": None,
        "network_decline_code": network,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": decline,
        "risk_level": "normal",
        "seller_message": "The bank declined the payment." if decline else "Payment complete.",
        "type": "issuer_declined" if decline else "authorized",
    }
    card = method["card"]
    return {
        "id": state.new_id("charge"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if decline else intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "WELLKEPT",
        "captured": not decline,
        "created": state.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": _failure_code(decline),
        "failure_message": "Your card was declined." if decline else None,
        "fraud_details": {},
        "livemode": state.livemode,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": outcome,
        "paid": not decline,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {
            "card": {
                "brand": card["brand"],
                "checks": card["checks"],
                "country": card["country"],
                "exp_month": card["exp_month"],
                "exp_year": card["exp_year"],
                "fingerprint": card["fingerprint"],
                "funding": card["funding"],
                "last4": card["last4"],
                "network": card["brand"],
            },
            "type": "card",
        },
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "failed" if decline else "succeeded",
        "transfer_data": None,
        "transfer_group": None,
        **fields,
    }


def _failure_code(decline: str | None) -> str | None:
    """Some declines have a code of their own; the others are ``card_declined``."""
    return decline if decline in {None, "expired_card", "authentication_required"} else "card_declined"
