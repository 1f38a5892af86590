"""Endpoints: payment methods, payment intents, charges, invoice payments, events, webhook endpoints."""

from __future__ import annotations

import fnmatch
import hashlib
from typing import Any

from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator.calls import Call, deleted, endpoint
from wellkept_stripe.simulator.errors import StripeError, invalid
from wellkept_stripe.simulator.params import boolean, fields, integer, merged, metadata, one_of, or_empty, span, text, texts
from wellkept_stripe.simulator.payment_objects import TEST_METHODS, payment_method
from wellkept_stripe.simulator.state import Obj


@endpoint("GET", "/v1/payment_methods", "payment_method")
def list_methods(call: Call) -> Obj:
    """All payment methods that belong to a customer."""
    return call.page("payment_method", {"customer": text, "type": text}, lambda row, _: row["customer"] is not None)


@endpoint("POST", "/v1/payment_methods", "payment_method")
def create_method(call: Call) -> Obj:
    """A new card, that belongs to nobody yet."""
    sent = call.read(
        type=one_of("card"),
        card=fields(number=text, exp_month=integer, exp_year=integer, cvc=text, token=text),
        metadata=metadata,
    )
    made = payment_method(call.state, metadata=merged({}, sent.get("metadata")))
    for name in ("exp_month", "exp_year"):
        if name in sent.get("card", {}):
            made["card"][name] = sent["card"][name]
    return call.show(call.state.add("payment_method", made))


@endpoint("GET", "/v1/payment_methods/{}", "payment_method")
def method(call: Call) -> Obj:
    """One payment method."""
    call.read()
    return call.show(call.state.get("payment_method", call.ids[0]))


@endpoint("POST", "/v1/payment_methods/{}", "payment_method")
def update_method(call: Call) -> Obj:
    """Changes a payment method."""
    sent = call.read(card=fields(exp_month=integer, exp_year=integer), metadata=metadata)
    obj = call.state.get("payment_method", call.ids[0])
    with call.state.change(obj, "payment_method.updated"):
        obj["card"] = {**obj["card"], **sent.get("card", {})}
        if "metadata" in sent:
            obj["metadata"] = merged(obj["metadata"], sent["metadata"])
    return call.show(obj)


@endpoint("POST", "/v1/payment_methods/{}/attach", "payment_method")
def attach_method(call: Call) -> Obj:
    """Gives a payment method to a customer; Stripe's test methods are made on the way."""
    sent = call.read(customer=text)
    state = call.state
    owner = state.get("customer", sent.get("customer", ""), "customer")
    if call.ids[0] in TEST_METHODS:
        brand, decline = TEST_METHODS[call.ids[0]]
        obj = state.add("payment_method", payment_method(state, brand, decline))
    else:
        obj = state.get("payment_method", call.ids[0])
    if obj["customer"] not in {None, owner["id"]}:
        raise invalid("customer", "The payment method you provided has already been attached to a customer.")
    obj["customer"] = owner["id"]
    state.emit("payment_method.attached", obj)
    return call.show(obj)


@endpoint("POST", "/v1/payment_methods/{}/detach", "payment_method")
def detach_method(call: Call) -> Obj:
    """Takes a payment method away from its customer, for good."""
    call.read()
    state = call.state
    obj = state.get("payment_method", call.ids[0])
    if obj["customer"] is None:
        raise StripeError(400, "The payment method you provided is not attached to a customer so detachment is impossible.")
    owner = state.get("customer", obj["customer"])
    previous = {"customer": obj["customer"]}
    obj["customer"] = None
    if owner["invoice_settings"]["default_payment_method"] == obj["id"]:
        with state.change(owner, "customer.updated"):
            owner["invoice_settings"] = {**owner["invoice_settings"], "default_payment_method": None}
    state.emit("payment_method.detached", obj, previous=previous)
    return call.show(obj)


@endpoint("GET", "/v1/payment_intents", "payment_intent")
def list_intents(call: Call) -> Obj:
    """All payment intents."""
    return call.page("payment_intent", {"created": span, "customer": text})


@endpoint("GET", "/v1/payment_intents/{}", "payment_intent")
def intent(call: Call) -> Obj:
    """One payment intent."""
    call.read()
    return call.show(call.state.get("payment_intent", call.ids[0]))


@endpoint("GET", "/v1/charges", "charge")
def list_charges(call: Call) -> Obj:
    """All charges."""
    return call.page("charge", {"created": span, "customer": text, "payment_intent": text})


@endpoint("GET", "/v1/charges/{}", "charge")
def charge(call: Call) -> Obj:
    """One charge."""
    call.read()
    return call.show(call.state.get("charge", call.ids[0]))


@endpoint("GET", "/v1/invoice_payments", "invoice")
def list_invoice_payments(call: Call) -> Obj:
    """How invoices were paid, or are to be."""

    def passes(row: Obj, sent: dict[str, Any]) -> bool:
        if "status" in sent and row["status"] != sent["status"]:
            return False
        wanted = sent.get("payment", {})
        return all(row["payment"].get(name) == value for name, value in wanted.items())

    filters = {
        "created": span,
        "invoice": text,
        "payment": fields(type=one_of("payment_intent", "payment_record"), payment_intent=text, payment_record=text),
        "status": one_of("canceled", "open", "paid"),
    }
    return call.page("invoice_payment", filters, passes)


@endpoint("GET", "/v1/invoice_payments/{}", "invoice")
def invoice_payment(call: Call) -> Obj:
    """One of them."""
    call.read()
    return call.show(call.state.get("invoice_payment", call.ids[0]))


@endpoint("GET", "/v1/events", "event")
def list_events(call: Call) -> Obj:
    """What happened in the last thirty days; `type` may have a star at its end."""
    call.state.forget_old_events()
    if "types" in call.params and "type" in call.params:
        raise invalid("types", "You may only specify one of these parameters: type, types.")

    def passes(row: Obj, sent: dict[str, Any]) -> bool:
        if "types" in sent and row["type"] not in sent["types"]:
            return False
        return "kind" not in sent or fnmatch.fnmatchcase(row["type"], sent["kind"])

    call.params = {("kind" if name == "type" else name): value for name, value in call.params.items()}
    return call.page("event", {"created": span, "kind": text, "types": _types}, passes)


def _types(value: Any, name: str) -> list[str]:
    found = texts(value, name)
    if len(found) > 20:
        raise invalid(name, "The `types` array may have at most 20 entries.")
    return found


@endpoint("GET", "/v1/events/{}", "event")
def event(call: Call) -> Obj:
    """One event."""
    call.read()
    call.state.forget_old_events()
    return call.show(call.state.get("event", call.ids[0]))


# --- webhook endpoints ---


@endpoint("GET", "/v1/webhook_endpoints", "webhook")
def list_webhooks(call: Call) -> Obj:
    """All webhook endpoints."""
    return call.page("webhook_endpoint", {})


@endpoint("POST", "/v1/webhook_endpoints", "webhook")
def create_webhook(call: Call) -> Obj:
    """A new endpoint; its secret shows in this answer only."""
    sent = call.read(
        url=text, enabled_events=texts, api_version=text, description=or_empty(text), metadata=metadata, connect=boolean
    )
    state = call.state
    secret = f"whsec_{hashlib.sha256(state.new_id('webhook_endpoint').encode()).hexdigest()[:32]}"
    obj = objects.webhook_endpoint(state, sent["url"], sent["enabled_events"], sent.get("api_version"), secret)
    obj["metadata"] = merged({}, sent.get("metadata"))
    return {**call.show(state.add("webhook_endpoint", obj)), "secret": secret}


@endpoint("GET", "/v1/webhook_endpoints/{}", "webhook")
def webhook(call: Call) -> Obj:
    """One endpoint."""
    call.read()
    return call.show(call.state.get("webhook_endpoint", call.ids[0]))


@endpoint("POST", "/v1/webhook_endpoints/{}", "webhook")
def update_webhook(call: Call) -> Obj:
    """Changes an endpoint."""
    sent = call.read(url=text, enabled_events=texts, disabled=boolean, metadata=metadata)
    obj = call.state.get("webhook_endpoint", call.ids[0])
    if "disabled" in sent:
        obj["status"] = "disabled" if sent.pop("disabled") else "enabled"
    if "metadata" in sent:
        sent["metadata"] = merged(obj["metadata"], sent["metadata"])
    obj |= sent
    return call.show(obj)


@endpoint("DELETE", "/v1/webhook_endpoints/{}", "webhook")
def delete_webhook(call: Call) -> Obj:
    """Deletes an endpoint."""
    call.read()
    obj = call.state.get("webhook_endpoint", call.ids[0])
    call.state.remove(obj)
    return deleted(obj)
