"""The shapes of payments: charges, payment intents, invoice payments, payment methods. See `wellkept_stripe.wire`."""

from __future__ import annotations

from typing import Literal

from wellkept_stripe.wire import Int, InvoiceSettings, Ref, Wire


class Outcome(Wire, frozen=True, gc=False):
    """What the network and Stripe's rules said to a charge; the codes are open vocabularies."""

    reason: str | None = None
    network_decline_code: str | None = None
    network_advice_code: str | None = None
    advice_code: str | None = None


class Charge(Wire, frozen=True, gc=False):
    """``charge``: one try to collect money."""

    id: str
    amount: Int
    currency: str
    created: Int
    status: Literal["succeeded", "failed", "pending"]
    customer: Ref = None
    payment_intent: Ref = None
    payment_method: str | None = None
    failure_code: str | None = None
    outcome: Outcome | None = None
    invoice: Ref = None


class PaymentError(Wire, frozen=True, gc=False):
    """Why the latest try of a payment intent failed; `charge` says which one it was."""

    charge: str | None = None
    code: str | None = None
    decline_code: str | None = None
    network_decline_code: str | None = None
    network_advice_code: str | None = None
    advice_code: str | None = None
    payment_method: Ref = None


class PaymentIntent(Wire, frozen=True, gc=False):
    """``payment_intent``: the wish to collect an amount, through as many charges as it takes."""

    id: str
    amount: Int
    currency: str
    created: Int
    status: str
    customer: Ref = None
    payment_method: Ref = None
    latest_charge: str | Charge | None = None
    last_payment_error: PaymentError | None = None


class Payment(Wire, frozen=True, gc=False):
    """How an invoice is paid: by a payment intent, by a charge, or outside of Stripe (a payment record)."""

    type: str
    payment_intent: str | PaymentIntent | None = None
    charge: str | Charge | None = None
    payment_record: Ref = None


class PaymentTransitions(Wire, frozen=True, gc=False):
    """When an invoice payment came into its states."""

    paid_at: Int | None = None


class InvoicePayment(Wire, frozen=True, gc=False):
    """``invoice_payment``: the link between an invoice and a payment of it (since 2025-03-31.basil)."""

    id: str
    invoice: Ref
    currency: str
    amount_requested: Int
    created: Int
    status: str
    payment: Payment
    amount_paid: Int | None = None
    status_transitions: PaymentTransitions | None = None


class Card(Wire, frozen=True, gc=False):
    """A card, without its number."""

    brand: str | None = None
    last4: str | None = None
    exp_month: Int | None = None
    exp_year: Int | None = None
    fingerprint: str | None = None


class BankAccount(Wire, frozen=True, gc=False):
    """A bank account of any of the debit schemes."""

    last4: str | None = None
    fingerprint: str | None = None
    bank_name: str | None = None


class Owner(Wire, frozen=True, gc=False):
    """The customer of a payment method, expanded to learn which method is the default one."""

    id: str
    invoice_settings: InvoiceSettings | None = None
    default_source: Ref = None


class PaymentMethod(Wire, frozen=True, gc=False):
    """``payment_method``: a card, a debit mandate or a wallet. `customer` is None once it was detached."""

    id: str
    type: str
    customer: str | Owner | None = None
    card: Card | None = None
    sepa_debit: BankAccount | None = None
    us_bank_account: BankAccount | None = None
    bacs_debit: BankAccount | None = None
    au_becs_debit: BankAccount | None = None
    acss_debit: BankAccount | None = None
    metadata: dict[str, str] | None = None

    def account(self) -> BankAccount | None:
        """Return the bank account, of whichever scheme."""
        return self.sepa_debit or self.us_bank_account or self.bacs_debit or self.au_becs_debit or self.acss_debit
