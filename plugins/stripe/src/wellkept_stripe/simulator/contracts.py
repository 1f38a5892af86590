"""Endpoints: subscriptions and their items, invoices and invoice items."""

from __future__ import annotations

from typing import Any

from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator.billing import amount_of, decline_error
from wellkept_stripe.simulator.calls import Call, deleted, endpoint
from wellkept_stripe.simulator.errors import StripeError, invalid
from wellkept_stripe.simulator.params import (
    boolean,
    either,
    fields,
    inside,
    integer,
    many,
    merged,
    metadata,
    one_of,
    or_empty,
    span,
    text,
    texts,
)
from wellkept_stripe.simulator.state import Obj, State

STATUSES = ("active", "canceled", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid")
ENDED = frozenset({"canceled", "incomplete_expired"})
_DISCOUNTS = many(fields(coupon=text, discount=text))
_ITEM = {"price": text, "quantity": integer, "metadata": metadata, "discounts": _DISCOUNTS, "tax_rates": texts}
_COMMON = {
    "automatic_tax": fields(enabled=boolean),
    "cancel_at": or_empty(either("max_period_end", integer)),
    "cancel_at_period_end": boolean,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "days_until_due": integer,
    "default_payment_method": or_empty(text),
    "default_tax_rates": texts,
    "description": or_empty(text),
    "discounts": _DISCOUNTS,
    "metadata": metadata,
    "payment_behavior": text,
    "proration_behavior": one_of("always_invoice", "create_prorations", "none"),
    "off_session": boolean,
    "trial_end": either("now", integer),
}


@endpoint("GET", "/v1/subscriptions", "subscription")
def list_subscriptions(call: Call) -> Obj:
    """Subscriptions; those that are cancelled only when ``status`` asks for them."""

    def passes(row: Obj, sent: dict[str, Any]) -> bool:
        wanted = sent.get("status")
        if wanted is None and row["status"] == "canceled":
            return False
        if wanted == "ended" and row["status"] not in ENDED:
            return False
        if wanted in STATUSES and row["status"] != wanted:
            return False
        if "price" in sent and all(item["price"] != sent["price"] for item in call.billing.items(row)):
            return False
        ends = call.billing.items(row)[0]["current_period_end"]
        return "current_period_end" not in sent or inside(ends, sent["current_period_end"])

    filters = {
        "collection_method": text,
        "created": span,
        "current_period_end": span,
        "customer": text,
        "price": text,
        "status": one_of(*STATUSES, "all", "ended"),
    }
    return call.page("subscription", filters, passes)


@endpoint("POST", "/v1/subscriptions", "subscription")
def create_subscription(call: Call) -> Obj:
    """Starts a subscription."""
    sent = call.read(
        **_COMMON,
        backdate_start_date=integer,
        currency=text,
        customer=text,
        items=many(fields(**_ITEM)),
        trial_period_days=integer,
    )
    state = call.state
    for name in ("customer", "items"):
        if name not in sent:
            raise StripeError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
    owner = state.get("customer", sent.pop("customer"), "customer")
    trial_end = sent.pop("trial_end", None)
    if "trial_period_days" in sent:
        trial_end = state.now + sent.pop("trial_period_days") * 86_400
    for unused in ("payment_behavior", "proration_behavior", "off_session"):
        sent.pop(unused, None)
    if "backdate_start_date" in sent:
        sent["start_date"] = sent.pop("backdate_start_date")
    items = [_new_item(state, item) for item in sent.pop("items")]
    discounts = [_discount(state, item) for item in sent.pop("discounts", [])]
    fixed = _fixed(state, sent, {})
    made = call.billing.subscribe(
        owner, items, trial_end=trial_end if trial_end != "now" else None, discounts=discounts, **fixed
    )
    for id_ in discounts:
        state.get("discount", id_)["subscription"] = made["id"]
    return call.show(made)


def _new_item(state: State, sent: dict[str, Any]) -> dict[str, Any]:
    item = {"quantity": 1, **sent, "metadata": merged({}, sent.get("metadata"))}
    item["discounts"] = [_discount(state, each) for each in sent.get("discounts", [])]
    item["tax_rates"] = _rates(state, sent.get("tax_rates", []))
    return item


def _discount(state: State, sent: dict[str, Any]) -> str:
    if "discount" in sent:
        return str(state.get("discount", sent["discount"], "discounts")["id"])
    coupon = state.get("coupon", sent["coupon"], "discounts")
    coupon["times_redeemed"] += 1
    months = coupon["duration_in_months"]
    end = state.now + months * 30 * 86_400 if coupon["duration"] == "repeating" else None
    return str(state.add("discount", objects.discount(state, coupon["id"], end=end))["id"])


def _rates(state: State, ids: list[str]) -> list[Obj]:
    return [{**state.get("tax_rate", id_, "default_tax_rates")} for id_ in ids]


def _fixed(state: State, sent: dict[str, Any], known: Obj) -> dict[str, Any]:
    """Return what was sent as the object keeps it."""
    if "metadata" in sent:
        sent["metadata"] = merged(known.get("metadata", {}), sent["metadata"])
    if "automatic_tax" in sent:
        sent["automatic_tax"] = {"disabled_reason": None, "liability": {"type": "self"}, **sent["automatic_tax"]}
    if "default_tax_rates" in sent:
        sent["default_tax_rates"] = [_visible(rate) for rate in _rates(state, sent["default_tax_rates"])]
    return sent


def _visible(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if not name.startswith("_")}


@endpoint("GET", "/v1/subscriptions/{}", "subscription")
def subscription(call: Call) -> Obj:
    """One subscription."""
    call.read()
    return call.show(call.state.get("subscription", call.ids[0]))


@endpoint("POST", "/v1/subscriptions/{}", "subscription")
def update_subscription(call: Call) -> Obj:
    """Changes a subscription: its items, its end, a pause, a trial, discounts."""
    sent = call.read(
        **_COMMON,
        cancellation_details=fields(comment=or_empty(text), feedback=or_empty(text)),
        items=many(fields(**_ITEM, id=text, deleted=boolean)),
        pause_collection=or_empty(fields(behavior=one_of("keep_as_draft", "mark_uncollectible", "void"), resumes_at=integer)),
        proration_date=integer,
    )
    state = call.state
    sub = state.get("subscription", call.ids[0])
    if sub["status"] in ENDED:
        raise StripeError(
            400, "A canceled subscription can only update its cancellation_details and metadata.", code="subscription_canceled"
        )
    behavior = sent.pop("proration_behavior", "create_prorations")
    for unused in ("payment_behavior", "proration_date", "off_session"):
        sent.pop(unused, None)
    with state.change(sub, "customer.subscription.updated"):
        change(call, sub, sent, prorate=behavior != "none")
    return call.show(sub)


def change(call: Call, sub: Obj, sent: dict[str, Any], *, prorate: bool) -> None:
    """Put changes into a subscription."""
    state = call.state
    for item in sent.pop("items", []):
        _change_item(call, sub, item, prorate=prorate)
    if "cancel_at_period_end" in sent:
        ends = max(item["current_period_end"] for item in call.billing.items(sub))
        wish = sent["cancel_at_period_end"]
        sub |= {"cancel_at": ends if wish else None, "canceled_at": state.now if wish else None}
        reason = "cancellation_requested" if wish else None
        sub["cancellation_details"] = {**sub["cancellation_details"], "reason": reason}
    if "trial_end" in sent:
        end = state.now if sent.pop("trial_end") == "now" else sub["trial_end"]
        sub |= {"trial_end": end, "status": "active"}
    if "discounts" in sent:
        sent["discounts"] = [_discount(state, item) for item in sent["discounts"]]
        for id_ in sent["discounts"]:
            state.get("discount", id_)["subscription"] = sub["id"]
    if "pause_collection" in sent and sent["pause_collection"] is not None:
        sent["pause_collection"] = {"resumes_at": None, **sent["pause_collection"]}
    if "cancellation_details" in sent:
        sent["cancellation_details"] = {**sub["cancellation_details"], **sent["cancellation_details"]}
    sub |= _fixed(state, sent, sub)


def _change_item(call: Call, sub: Obj, sent: dict[str, Any], *, prorate: bool) -> None:
    state = call.state
    if "id" not in sent:
        price = state.get("price", sent.pop("price"), "items")
        call.billing.add_item(
            sub, price, sent.get("quantity", 1), discounts=[_discount(state, d) for d in sent.get("discounts", [])]
        )
        return
    item = state.get("subscription_item", sent.pop("id"), "items")
    if sent.pop("deleted", False):
        sub["_items"] = [id_ for id_ in sub["_items"] if id_ != item["id"]]
        state.remove(item)
        return
    before = amount_of(state.get("price", item["price"]), sub["currency"], item["quantity"] or 0)
    if "discounts" in sent:
        sent["discounts"] = [_discount(state, each) for each in sent["discounts"]]
    if "metadata" in sent:
        sent["metadata"] = merged(item["metadata"], sent["metadata"])
    if "price" in sent:
        state.get("price", sent["price"], "items")
    item |= sent
    after = amount_of(state.get("price", item["price"]), sub["currency"], item["quantity"] or 0)
    if prorate and before != after and sub["status"] == "active":
        left = item["current_period_end"] - state.now
        share = max(0.0, left / (item["current_period_end"] - item["current_period_start"]))
        for amount, words in ((-before, "Unused time"), (after, "Remaining time")):
            entry = objects.invoice_item(
                state, sub["customer"], sub["currency"], round(amount * share), proration=True, description=words
            )
            state.add("invoiceitem", entry, "invoiceitem.created")


@endpoint("DELETE", "/v1/subscriptions/{}", "subscription")
def cancel_subscription(call: Call) -> Obj:
    """Ends a subscription now."""
    sent = call.read(cancellation_details=fields(comment=text, feedback=text), invoice_now=boolean, prorate=boolean)
    sub = call.state.get("subscription", call.ids[0])
    if sub["status"] in ENDED:
        raise StripeError(404, f"No such subscription: '{sub['id']}'", code="resource_missing", param="id")
    return call.show(call.billing.cancel(sub, feedback=sent.get("cancellation_details", {}).get("feedback")))


@endpoint("POST", "/v1/subscriptions/{}/resume", "subscription")
def resume_subscription(call: Call) -> Obj:
    """Resumes a paused subscription."""
    call.read(proration_behavior=text, payment_behavior=text)
    sub = call.state.get("subscription", call.ids[0])
    if sub["status"] != "paused":
        raise StripeError(400, "This subscription cannot be resumed because it is not paused.")
    with call.state.change(sub, "customer.subscription.updated"):
        sub["status"] = "active"
        sub["status_details"] = None
    call.state.emit("customer.subscription.resumed", sub)
    return call.show(sub)


@endpoint("GET", "/v1/subscription_items", "subscription")
def list_items(call: Call) -> Obj:
    """The items of one subscription."""
    if "subscription" not in call.params:
        raise StripeError(400, "Missing required param: subscription.", code="parameter_missing", param="subscription")
    call.state.get("subscription", str(call.params["subscription"]), "subscription")
    return call.page("subscription_item", {"subscription": text})


@endpoint("GET", "/v1/subscription_items/{}", "subscription")
def item(call: Call) -> Obj:
    """One item."""
    call.read()
    return call.show(call.state.get("subscription_item", call.ids[0]))


@endpoint("POST", "/v1/subscription_items/{}", "subscription")
def update_item(call: Call) -> Obj:
    """Changes an item, and with it its subscription."""
    sent = call.read(**_ITEM, proration_behavior=text)
    found = call.state.get("subscription_item", call.ids[0])
    sub = call.state.get("subscription", found["subscription"])
    prorate = sent.pop("proration_behavior", "create_prorations") != "none"
    with call.state.change(sub, "customer.subscription.updated"):
        _change_item(call, sub, {**sent, "id": found["id"]}, prorate=prorate)
    return call.show(found)


# --- invoices ---


@endpoint("GET", "/v1/invoices", "invoice")
def list_invoices(call: Call) -> Obj:
    """All invoices."""

    def passes(row: Obj, sent: dict[str, Any]) -> bool:
        if "status" in sent and row["status"] != sent["status"]:
            return False
        details = (row["parent"] or {}).get("subscription_details") or {}
        return "subscription" not in sent or details.get("subscription") == sent["subscription"]

    filters = {
        "collection_method": text,
        "created": span,
        "customer": text,
        "status": one_of("draft", "open", "paid", "uncollectible", "void"),
        "subscription": text,
    }
    return call.page("invoice", filters, passes)


@endpoint("POST", "/v1/invoices", "invoice")
def create_invoice(call: Call) -> Obj:
    """A draft with the invoice items that wait for the customer."""
    sent = call.read(
        auto_advance=boolean,
        collection_method=text,
        currency=text,
        customer=text,
        days_until_due=integer,
        description=text,
        metadata=metadata,
        pending_invoice_items_behavior=one_of("exclude", "include"),
    )
    state = call.state
    if "customer" not in sent:
        raise StripeError(400, "Missing required param: customer.", code="parameter_missing", param="customer")
    owner = state.get("customer", sent.pop("customer"), "customer")
    take = sent.pop("pending_invoice_items_behavior", "exclude") == "include"
    sent["metadata"] = merged({}, sent.get("metadata"))
    sent.pop("days_until_due", None)
    bill = objects.invoice(state, owner, sent.pop("currency", None) or owner["currency"] or "usd", **sent)
    if take:
        for waiting in state.all("invoiceitem", customer=owner["id"], invoice=None):
            add_line(state, bill, waiting)
    return call.show(state.add("invoice", bill, "invoice.created"))


def add_line(state: State, bill: Obj, waiting: Obj) -> None:
    """Put an invoice item into a draft."""
    waiting["invoice"] = bill["id"]
    details = {
        "invoice_item": waiting["id"],
        "proration": waiting["proration"],
        "proration_details": None,
        "subscription": None,
    }
    parent = {"type": "invoice_item_details", "invoice_item_details": details, "subscription_item_details": None}
    amount = waiting["amount"]
    bill["lines"]["data"].append(objects.line(state, bill["id"], bill["currency"], amount, parent))
    for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax", "amount_due", "amount_remaining"):
        bill[name] += amount


@endpoint("POST", "/v1/invoiceitems", "invoice")
def create_invoice_item(call: Call) -> Obj:
    """Something to be paid once, with the next invoice or with a given draft."""
    sent = call.read(amount=integer, currency=text, customer=text, description=text, invoice=text, metadata=metadata)
    state = call.state
    owner = state.get("customer", sent["customer"], "customer")
    made = objects.invoice_item(
        state, owner["id"], sent.get("currency", "usd"), sent.get("amount", 0), description=sent.get("description")
    )
    if "invoice" in sent:
        bill = state.get("invoice", sent["invoice"], "invoice")
        if bill["status"] != "draft":
            raise StripeError(400, "This invoice is no longer editable", code="invoice_not_editable")
        add_line(state, bill, made)
    return call.show(state.add("invoiceitem", made, "invoiceitem.created"))


@endpoint("GET", "/v1/invoices/{}", "invoice")
def invoice(call: Call) -> Obj:
    """One invoice."""
    call.read()
    return call.show(call.state.get("invoice", call.ids[0]))


@endpoint("POST", "/v1/invoices/{}", "invoice")
def update_invoice(call: Call) -> Obj:
    """Changes an invoice."""
    sent = call.read(auto_advance=boolean, description=text, metadata=metadata, default_payment_method=text)
    bill = call.state.get("invoice", call.ids[0])
    if "default_payment_method" in sent:
        call.state.get("payment_method", sent["default_payment_method"], "default_payment_method")
    with call.state.change(bill, "invoice.updated"):
        bill |= _fixed(call.state, sent, bill)
    return call.show(bill)


@endpoint("DELETE", "/v1/invoices/{}", "invoice")
def delete_invoice(call: Call) -> Obj:
    """Deletes a draft."""
    call.read()
    bill = call.state.get("invoice", call.ids[0])
    if bill["status"] != "draft":
        raise StripeError(400, "You can only delete draft invoices.", code="invoice_not_editable")
    call.state.remove(bill, "invoice.deleted")
    return deleted(bill)


@endpoint("POST", "/v1/invoices/{}/finalize", "invoice")
def finalize_invoice(call: Call) -> Obj:
    """Makes a draft final."""
    call.read(auto_advance=boolean)
    return call.show(call.billing.finalize(call.state.get("invoice", call.ids[0])))


@endpoint("POST", "/v1/invoices/{}/pay", "invoice")
def pay_invoice(call: Call) -> Obj:
    """Tries to collect an invoice now."""
    sent = call.read(paid_out_of_band=boolean, payment_method=text, off_session=boolean, forgive=boolean)
    state = call.state
    bill = state.get("invoice", call.ids[0])
    if bill["status"] == "draft":
        call.billing.finalize(bill)
    if bill["status"] == "paid":
        raise StripeError(400, "Invoice is already paid", saved=True)
    if bill["status"] != "open":
        raise StripeError(400, f"Invoice is {bill['status']}, it can't be paid", code="invoice_not_editable", saved=True)
    if sent.get("paid_out_of_band"):
        return call.show(call.billing.pay_outside(bill))
    method = None
    if "payment_method" in sent:
        method = state.get("payment_method", sent["payment_method"], "payment_method")
        if method["customer"] != bill["customer"]:
            raise invalid("payment_method", "The payment method must be attached to the invoice's customer.")
    method = method or call.billing.method_for(bill)
    if method is None:
        raise StripeError(
            400, "There is no `default_payment_method` set on this Customer or Invoice.", code="missing", saved=True
        )
    call.billing.collect(bill, method, automatic=False)
    if bill["status"] != "paid":
        link = state.get("invoice_payment", bill["_payments"][-1])
        intent = state.get("payment_intent", link["payment"]["payment_intent"])
        error = decline_error(state.get("charge", intent["latest_charge"]), method)
        message, code, kind = error.pop("message"), error.pop("code"), error.pop("type")
        error.pop("doc_url", None)
        raise StripeError(402, message, type=kind, code=code, saved=True, **error)
    return call.show(bill)


@endpoint("POST", "/v1/invoices/{}/void", "invoice")
def void_invoice(call: Call) -> Obj:
    """Makes an invoice void."""
    call.read()
    return call.show(call.billing.close(call.state.get("invoice", call.ids[0]), "void"))


@endpoint("POST", "/v1/invoices/{}/mark_uncollectible", "invoice")
def give_up_invoice(call: Call) -> Obj:
    """Gives an invoice up."""
    call.read()
    return call.show(call.billing.close(call.state.get("invoice", call.ids[0]), "uncollectible"))
