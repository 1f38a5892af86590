"""How payment attempts and payment methods are read: what an event shows of them is never enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from wellkept import Deletion
from wellkept.http import together
from wellkept.records import PaymentAttempt, PaymentMethod, Record
from wellkept_stripe import mapping, streams
from wellkept_stripe.api import Absence, version_at
from wellkept_stripe.readers import Mapped, RowReader, Seen, Subject, Wanted, pointed
from wellkept_stripe.wire import ref
from wellkept_stripe.wire_events import DefaultMethods, Event
from wellkept_stripe.wire_payments import Charge, InvoicePayment, PaymentIntent
from wellkept_stripe.wire_payments import PaymentMethod as Method

FIRST_TRY_SECONDS = 10
"""An automatic payment is tried as soon as its payment intent exists. If the latest charge came later than that, or failed,
there may have been others before it, and they are asked for."""


class PaymentAttempts(RowReader[InvoicePayment]):
    """Tries to collect invoices.

    Since 2025-03-31.basil neither a charge nor a payment intent tells which invoice it is for; only the invoice payment does.
    So that is what is listed and read again, with its payment intent and the latest charge in place. Payments that belong to
    no invoice are not read.
    """

    stream = streams.PAYMENT_ATTEMPTS
    path = "/v1/invoice_payments"
    row = InvoicePayment
    types = (
        "charge.succeeded",
        "charge.failed",
        "charge.pending",
        "charge.updated",
        "charge.expired",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.processing",
        "payment_intent.canceled",
        "invoice_payment.paid",
    )
    expand = ("payment.payment_intent.latest_charge", "payment.charge")
    prefix = "(?:pi|ch|py|inpay)"

    def records(self, seen: Seen[InvoicePayment]) -> Iterable[Record]:
        """Return the attempt that the payment shows by itself, if any."""
        row, version = seen.row, seen.version
        payment = row.payment
        intent, charge = payment.payment_intent, payment.charge
        if isinstance(intent, PaymentIntent):
            if isinstance(intent.latest_charge, Charge):
                error, invoice = intent.last_payment_error, ref(row.invoice)
                return (mapping.attempt(intent.latest_charge, invoice_ref=invoice, error=error, version=version),)
            return (mapping.waiting(row, intent, version=version),) if intent.status == "requires_action" else ()
        if isinstance(charge, Charge):
            return (mapping.attempt(charge, invoice_ref=ref(row.invoice), error=None, version=version),)
        return (mapping.outside(row, version=version),) if payment.type == "payment_record" else ()

    async def map(self, rows: Sequence[Seen[InvoicePayment]], *, listed: bool) -> Mapped:
        """Add the earlier charges of payments that were tried more than once, and take away what is no attempt any more."""
        found = await super().map(rows, listed=listed)
        for seen in () if listed else rows:
            if not list(self.records(seen)):
                found.deletions += self.deletions(seen.row.id, seen.version, seen.updated_at)
        for other in await together([seen for seen in rows if _tried_before(seen.row)], self._earlier):
            found.add(other)
        return found

    async def _earlier(self, seen: Seen[InvoicePayment]) -> Mapped:
        intent = seen.row.payment.payment_intent
        if not isinstance(intent, PaymentIntent):
            return Mapped()
        latest = intent.latest_charge
        known = latest.id if isinstance(latest, Charge) else None
        found = Mapped(deletions=self.deletions(seen.row.id, seen.version, None) if known else [])
        after: str | None = None
        while True:
            page = await self.api.page("/v1/charges", Charge, {"payment_intent": intent.id, "starting_after": after})
            found.rejects += page.rejects
            found.records += [
                mapping.attempt(row, invoice_ref=ref(seen.row.invoice), error=intent.last_payment_error, version=seen.version)
                for row, _ in page.rows
                if row.id != known
            ]
            if not page.has_more:
                return found
            after = page.last_id

    def subjects(self, event: Event) -> list[Subject[InvoicePayment]]:
        """The payment intent is what holds the attempts together."""
        object_ = pointed(event)
        intent = object_.id if object_.object == "payment_intent" else ref(object_.payment_intent)
        if object_.object == "invoice_payment" and object_.payment is not None:
            inner = object_.payment.payment_intent
            intent = inner.id if isinstance(inner, PaymentIntent) else inner
        id_ = intent or object_.id
        return [] if id_ is None else [Subject(id_)]

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapped:
        """Read attempts again. An id may be of a charge, a payment intent, an invoice payment, or an invoice."""
        found = Mapped()
        rows: dict[str, Seen[InvoicePayment]] = {}
        for seen, other in await together(wanted, self._payments):
            found.add(other)
            rows |= {each.row.id: each for each in seen}
        found.add(await self.map(list(rows.values()), listed=False))
        return found

    async def _payments(self, wanted: Wanted) -> tuple[list[Seen[InvoicePayment]], Mapped]:
        """Return the invoice payments behind an id; none for a payment that is for no invoice."""
        id_ = wanted.id
        if id_.startswith("inpay_"):
            seen, other = await self._one(wanted)
            return ([] if seen is None else [seen]), other
        if id_.startswith("in_"):
            return await self._listed({"invoice": id_}, wanted)
        if not id_.startswith("pi_"):
            answer = await self.api.find(f"/v1/charges/{id_}")
            if isinstance(answer, Absence):
                return [], Mapped(
                    deletions=self.deletions(id_, max(wanted.floor, version_at(answer.asked_at)), wanted.updated_at)
                )
            id_ = ref(answer.response.json(Charge).payment_intent) or ""
            if not id_:
                return [], Mapped()
        return await self._listed({"payment[type]": "payment_intent", "payment[payment_intent]": id_}, wanted)

    async def _listed(self, params: Mapping[str, str], wanted: Wanted) -> tuple[list[Seen[InvoicePayment]], Mapped]:
        page = await self.api.page(self.path, InvoicePayment, {**self.list_params(), **params})
        version = max(wanted.floor, version_at(page.asked_at))
        return [Seen(row, raw, version, wanted.updated_at) for row, raw in page.rows], Mapped(rejects=page.rejects)

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """What stood for a payment that had no charge yet goes when it has one."""
        return [Deletion(record=PaymentAttempt, id=id_, version=version, at=at)]


def _tried_before(row: InvoicePayment) -> bool:
    """Say whether there may be charges besides the latest one."""
    intent = row.payment.payment_intent
    if not isinstance(intent, PaymentIntent) or not isinstance(intent.latest_charge, Charge):
        return False
    charge = intent.latest_charge
    return charge.status == "failed" or charge.created - intent.created > FIRST_TRY_SECONDS


class PaymentMethods(RowReader[Method]):
    """Payment methods that belong to customers.

    Which one is the default stands with the customer alone, so it is expanded, and a change of it makes both methods be read
    again.
    """

    stream = streams.PAYMENT_METHODS
    path = "/v1/payment_methods"
    row = Method
    types = (
        "payment_method.attached",
        "payment_method.updated",
        "payment_method.automatically_updated",
        "payment_method.detached",
        "customer.updated",
        "customer.deleted",
    )
    gone = frozenset({"payment_method.detached"})
    expand = ("customer",)
    by_created = False
    prefix = "(?:pm|card|src|ba)"

    def records(self, seen: Seen[Method]) -> Iterable[Record]:
        """Return the payment method."""
        return (mapping.payment_method(seen.row, version=seen.version, updated_at=seen.updated_at),)

    def subjects(self, event: Event) -> list[Subject[Method]]:
        """Of a customer's changes only that of the default method counts; with the customer, its methods go."""
        if event.type.startswith("customer."):
            return [Subject(id_) for id_ in defaults(event)]
        id_ = pointed(event).id
        return [] if id_ is None else [Subject(id_, gone=event.type in self.gone)]

    def is_gone(self, row: Any) -> bool:
        """A method that was detached belongs to nobody, and never will again."""
        return row.customer is None

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """It is of no use any more."""
        return [Deletion(record=PaymentMethod, id=id_, version=version, at=at)]


def defaults(event: Event) -> list[str]:
    """Return the payment methods that were, and are, a customer's default, if the event may have changed that."""
    try:
        after = msgspec.json.decode(event.data.object, type=DefaultMethods)
        before = DefaultMethods()
        if event.type != "customer.deleted":
            before = msgspec.json.decode(event.data.previous_attributes, type=DefaultMethods)
            if before.invoice_settings is None and before.default_source is None:
                return []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    found = []
    for state in (before, after):
        settings = state.invoice_settings
        found += [ref(settings.default_payment_method) if settings else None, ref(state.default_source)]
    return list(dict.fromkeys(id_ for id_ in found if id_ is not None))
