"""What Stripe's billing does by itself: invoices of subscriptions, tries to collect them, and what follows from them."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator import payment_objects as payments
from wellkept_stripe.simulator.errors import StripeError, invalid
from wellkept_stripe.simulator.state import Obj, State

RETRY_DAYS = 3
AUTOMATIC_TAX = Decimal(20)
"""Percent that automatic tax comes to, whatever the address."""


def later(start: int, interval: str, count: int) -> int:
    """Return the instant so many intervals later; the 31st becomes the last day of a shorter month."""
    when = datetime.fromtimestamp(start, UTC)
    if interval in {"day", "week"}:
        return int((when + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = when.month - 1 + count * (12 if interval == "year" else 1)
    year, month = when.year + months // 12, months % 12 + 1
    return int(when.replace(year=year, month=month, day=min(when.day, monthrange(year, month)[1])).timestamp())


def amount_of(price: Obj, currency: str, quantity: int) -> int:
    """Return what so many units cost for one interval, rounded to the smallest unit."""
    option = price["currency_options"].get(currency)
    if option is None:
        raise invalid(
            "items", f"The price specified supports currencies of `{price['currency']}`. This doesn't match `{currency}`."
        )
    units = quantity
    if packs := price["transform_quantity"]:
        whole, rest = divmod(quantity, packs["divide_by"])
        units = whole + (1 if rest and packs["round"] == "up" else 0)
    if price["billing_scheme"] == "per_unit":
        return _rounded(Decimal(option["unit_amount_decimal"]) * units)
    total, below = Decimal(0), 0
    for tier in option["tiers"]:
        top = tier["up_to"]
        if price["tiers_mode"] == "volume":
            if top is None or units <= top:
                return _rounded(_tier(tier, units))
        else:
            inside = (units if top is None else min(units, top)) - below
            if inside > 0:
                total += _tier(tier, inside)
                below += inside
    return _rounded(total)


def _tier(tier: Obj, units: int) -> Decimal:
    return Decimal(tier["flat_amount_decimal"] or 0) + Decimal(tier["unit_amount_decimal"] or 0) * units


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_HALF_UP))


class Billing:
    """Acts on one account in one mode."""

    def __init__(self, state: State) -> None:
        self.state = state

    # --- subscriptions ---

    def subscribe(
        self, customer: Obj, items: list[Obj], *, trial_end: int | None = None, quiet: bool = False, **fields: Any
    ) -> Obj:
        """Start a subscription.

        Args:
            customer: Whose.
            items: Objects with ``price``, ``quantity`` and, where wanted, further fields.
            trial_end: Until then nothing is due.
            quiet: Nothing is invoiced and no event is made; for the history of a generated world.
            fields: Of the subscription.
        """
        state = self.state
        first = state.get("price", items[0]["price"], "items[0][price]")
        currency = fields.pop("currency", None) or first["currency"]
        sub = objects.subscription(state, customer["id"], currency, **fields)
        for position, item in enumerate(items):
            price = state.get("price", item["price"], f"items[{position}][price]")
            metered = price["recurring"]["usage_type"] == "metered"
            quantity = None if metered else item.get("quantity", 1)
            amount_of(price, currency, quantity or 0)
            self.add_item(sub, price, quantity, trial_end, **{k: v for k, v in item.items() if k not in {"price", "quantity"}})
        if customer["currency"] is None:
            customer["currency"] = currency
        if trial_end is not None:
            sub |= {"status": "trialing", "trial_start": sub["start_date"], "trial_end": trial_end}
        state.add("subscription", sub, None if quiet else "customer.subscription.created")
        if not quiet:
            bill = self.bill(sub, "subscription_create")
            self.finalize(bill)
            if bill["status"] == "open" and self.collect(bill)["status"] != "paid":
                with state.change(sub, "customer.subscription.updated"):
                    sub["status"] = "incomplete"
        return sub

    def add_item(self, sub: Obj, price: Obj, quantity: int | None, trial_end: int | None = None, **fields: Any) -> Obj:
        """Add an item, with a period that begins with the subscription's."""
        start = sub["start_date"]
        recurring = price["recurring"]
        end = trial_end if trial_end is not None else later(start, recurring["interval"], recurring["interval_count"])
        item = objects.subscription_item(
            self.state, sub["id"], price["id"], quantity, **{"current_period_start": start, "current_period_end": end, **fields}
        )
        sub["_items"].append(item["id"])
        return self.state.add("subscription_item", item)

    def items(self, sub: Obj) -> list[Obj]:
        """Return the items of a subscription."""
        return [self.state.get("subscription_item", id_) for id_ in sub["_items"]]

    def renew(self, sub: Obj) -> Obj:
        """Begin the next period: make its invoice, and try to collect it."""
        state = self.state
        with state.change(sub, "customer.subscription.updated"):
            for item in self.items(sub):
                recurring = state.get("price", item["price"])["recurring"]
                start = item["current_period_end"]
                item["current_period_start"] = start
                item["current_period_end"] = later(start, recurring["interval"], recurring["interval_count"])
            if sub["status"] == "trialing":
                sub["status"] = "active"
        bill = self.bill(sub, "subscription_cycle")
        self.finalize(bill)
        if bill["status"] == "open" and not sub["pause_collection"]:
            self.collect(bill)
        return bill

    def cancel(self, sub: Obj, *, reason: str = "cancellation_requested", feedback: str | None = None) -> Obj:
        """End a subscription now."""
        state = self.state
        sub["status"] = "canceled"
        sub["ended_at"] = state.now
        sub["canceled_at"] = sub["canceled_at"] or state.now
        sub["cancellation_details"] = {**sub["cancellation_details"], "reason": reason, "feedback": feedback}
        state.emit("customer.subscription.deleted", sub)
        return sub

    # --- invoices ---

    def bill(self, sub: Obj, reason: str) -> Obj:
        """Make the draft invoice of a subscription's present period, with the invoice items that wait for it."""
        state = self.state
        customer = state.get("customer", sub["customer"])
        items = self.items(sub)
        bill = objects.invoice(
            state,
            customer,
            sub["currency"],
            billing_reason=reason,
            collection_method=sub["collection_method"],
            period_start=min(item["current_period_start"] for item in items),
            period_end=max(item["current_period_end"] for item in items),
            parent={
                "type": "subscription_details",
                "quote_details": None,
                "subscription_details": {
                    "metadata": sub["metadata"],
                    "subscription": sub["id"],
                    "subscription_proration_date": None,
                },
            },
        )
        due = Decimal(0)
        for item in items:
            price = state.get("price", item["price"])
            full = 0 if item["quantity"] is None else amount_of(price, sub["currency"], item["quantity"])
            amount = (
                0 if sub["status"] == "trialing" else _rounded(self._less(item["discounts"], Decimal(full), sub["currency"]))
            )
            due += amount
            self._line(bill, amount, sub, item, price)
        due = self._less(sub["discounts"], due, sub["currency"])
        for waiting in state.all("invoiceitem", customer=customer["id"], invoice=None):
            due += waiting["amount"]
            waiting["invoice"] = bill["id"]
            parent = {
                "type": "invoice_item_details",
                "invoice_item_details": {
                    "invoice_item": waiting["id"],
                    "proration": waiting["proration"],
                    "proration_details": None,
                    "subscription": sub["id"],
                },
                "subscription_item_details": None,
            }
            entry = objects.line(
                state, bill["id"], sub["currency"], waiting["amount"], parent, description=waiting["description"]
            )
            bill["lines"]["data"].append(entry)
        self._total(bill, _rounded(due), self._rate(sub, items))
        sub["latest_invoice"] = bill["id"]
        self._use_up(sub)
        return state.add("invoice", bill, "invoice.created")

    def _line(self, bill: Obj, amount: int, sub: Obj, item: Obj, price: Obj) -> None:
        parent = {
            "type": "subscription_item_details",
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": None,
                "subscription": sub["id"],
                "subscription_item": item["id"],
            },
        }
        pricing = {
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
        entry = objects.line(
            self.state,
            bill["id"],
            sub["currency"],
            amount,
            parent,
            pricing=pricing,
            quantity=item["quantity"],
            subscription=sub["id"],
            period={"start": item["current_period_start"], "end": item["current_period_end"]},
        )
        bill["lines"]["data"].append(entry)

    def _less(self, discounts: list[str], due: Decimal, currency: str) -> Decimal:
        for id_ in discounts:
            coupon = self.state.coupon(self.state.get("discount", id_)["source"]["coupon"])
            if coupon["percent_off"] is not None:
                due *= 1 - Decimal(str(coupon["percent_off"])) / 100
            elif coupon["currency"] == currency:
                due = max(Decimal(0), due - coupon["amount_off"])
        return due

    def _use_up(self, sub: Obj) -> None:
        """Take away the discounts that were good for one invoice."""
        for id_ in list(sub["discounts"]):
            coupon = self.state.coupon(self.state.get("discount", id_)["source"]["coupon"])
            if coupon["duration"] == "once":
                sub["discounts"] = [other for other in sub["discounts"] if other != id_]

    def _rate(self, sub: Obj, items: list[Obj]) -> tuple[Decimal, bool]:
        """Return the tax in percent, and whether prices include it."""
        if sub["automatic_tax"]["enabled"]:
            behaviors = {self.state.get("price", item["price"])["tax_behavior"] for item in items}
            return AUTOMATIC_TAX, behaviors == {"inclusive"}
        rates = sub["default_tax_rates"]
        return sum((Decimal(str(rate["percentage"])) for rate in rates), Decimal(0)), any(rate["inclusive"] for rate in rates)

    @staticmethod
    def _total(bill: Obj, due: int, rate: tuple[Decimal, bool]) -> None:
        percent, inclusive = rate
        net = _rounded(Decimal(due) / (1 + percent / 100)) if inclusive else due
        total = due if inclusive else _rounded(Decimal(due) * (1 + percent / 100))
        bill |= {
            "subtotal": due,
            "subtotal_excluding_tax": net,
            "total": total,
            "total_excluding_tax": net,
            "amount_due": max(0, total),
            "amount_remaining": max(0, total),
        }

    def finalize(self, bill: Obj) -> Obj:
        """Make a draft final: it gets its number, and a payment intent if anything is due."""
        state = self.state
        if bill["status"] != "draft":
            raise StripeError(400, "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
        customer = state.get("customer", bill["customer"])
        number = customer["next_invoice_sequence"]
        customer["next_invoice_sequence"] = number + 1
        with state.change(bill, None):
            bill["status"] = "open"
            bill["number"] = f"{customer['invoice_prefix']}-{number:04d}"
            bill["effective_at"] = state.now
            bill["status_transitions"] = {**bill["status_transitions"], "finalized_at": state.now}
            bill["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{bill['id']}"
            if bill["collection_method"] == "charge_automatically":
                bill["next_payment_attempt"] = state.now if bill["amount_due"] else None
            else:
                bill["due_date"] = state.now + 30 * 86_400
        state.emit("invoice.finalized", bill)
        if bill["amount_due"]:
            intent = payments.payment_intent(state, bill["amount_due"], bill["currency"], bill["customer"])
            state.add("payment_intent", intent, "payment_intent.created")
            link = {"type": "payment_intent", "payment_intent": intent["id"], "charge": None, "payment_record": None}
            self._link(bill, link)
        else:
            self._paid(bill, None)
        return bill

    def _link(self, bill: Obj, payment: Obj) -> Obj:
        row = payments.invoice_payment(self.state, bill["id"], bill["amount_due"], bill["currency"], payment)
        bill["_payments"] = [*bill["_payments"], row["id"]]
        return self.state.add("invoice_payment", row)

    def method_for(self, bill: Obj) -> Obj | None:
        """Return what an invoice is paid with: the subscription's method, else the customer's default one."""
        parent = bill["parent"]
        sub = self.state.find(parent["subscription_details"]["subscription"]) if parent else None
        customer = self.state.get("customer", bill["customer"])
        ids = [bill["default_payment_method"], customer["invoice_settings"]["default_payment_method"]]
        if sub is not None:
            ids.insert(1, sub["default_payment_method"])
        return next((self.state.find(id_) for id_ in ids if id_ is not None), None)

    def collect(self, bill: Obj, method: Obj | None = None, *, automatic: bool = True) -> Obj:
        """Try to collect an open invoice.

        Args:
            bill: The invoice.
            method: What to pay it with.
            automatic: The try belongs to the schedule, which counts it and plans the next one.
        """
        state = self.state
        method = method or self.method_for(bill)
        link = state.get("invoice_payment", bill["_payments"][-1])
        intent = state.get("payment_intent", link["payment"]["payment_intent"])
        if method is None:
            self._failed(bill, automatic=automatic)
            return bill
        try_ = state.add("charge", payments.charge(state, intent, method))
        if method["_decline"] is None:
            with state.change(intent, None):
                intent |= {
                    "status": "succeeded",
                    "amount_received": intent["amount"],
                    "latest_charge": try_["id"],
                    "payment_method": method["id"],
                    "last_payment_error": None,
                }
            with state.change(link, None):
                link |= {"status": "paid", "amount_paid": link["amount_requested"]}
                link["status_transitions"] = {**link["status_transitions"], "paid_at": state.now}
            state.emit("charge.succeeded", try_)
            state.emit("payment_intent.succeeded", intent)
            state.emit("invoice_payment.paid", link)
            self._paid(bill, bill["amount_due"], attempts=1 if automatic or not bill["attempted"] else 0)
            return bill
        with state.change(intent, None):
            intent |= {"status": "requires_payment_method", "latest_charge": try_["id"], "payment_method": None}
            intent["last_payment_error"] = decline_error(try_, method)
        state.emit("charge.failed", try_)
        state.emit("payment_intent.payment_failed", intent)
        self._failed(bill, automatic=automatic)
        return bill

    def _paid(self, bill: Obj, amount: int | None, attempts: int = 0) -> None:
        state = self.state
        before = {"status": bill["status"], "amount_remaining": bill["amount_remaining"]}
        bill |= {
            "status": "paid",
            "amount_paid": amount or 0,
            "amount_remaining": 0,
            "attempt_count": bill["attempt_count"] + attempts,
            "attempted": True,
            "auto_advance": False,
            "next_payment_attempt": None,
            "status_transitions": {**bill["status_transitions"], "paid_at": state.now},
        }
        state.emit("invoice.updated", bill, previous=before)
        state.emit("invoice.paid", bill)
        state.emit("invoice.payment_succeeded", bill)
        parent = bill["parent"]
        sub = state.find(parent["subscription_details"]["subscription"]) if parent else None
        if sub is not None and sub["status"] in {"past_due", "incomplete", "unpaid"}:
            with state.change(sub, "customer.subscription.updated"):
                sub["status"] = "active"
        customer = state.get("customer", bill["customer"])
        bills = state.tables["invoice"].rows.values()
        if customer["delinquent"] and not any(row["customer"] == customer["id"] and row["status"] == "open" for row in bills):
            with state.change(customer, "customer.updated"):
                customer["delinquent"] = False

    def pay_outside(self, bill: Obj) -> Obj:
        """Note that an invoice was paid outside of Stripe."""
        state = self.state
        link = state.get("invoice_payment", bill["_payments"][-1])
        intent = state.get("payment_intent", link["payment"]["payment_intent"])
        with state.change(intent, "payment_intent.canceled"):
            intent |= {"status": "canceled", "canceled_at": state.now, "cancellation_reason": "void_invoice"}
        link["status"] = "canceled"
        record = {"type": "payment_record", "payment_intent": None, "charge": None, "payment_record": f"pr_{bill['id'][3:]}"}
        outside = self._link(bill, record)
        outside |= {"status": "paid", "amount_paid": bill["amount_due"]}
        outside["status_transitions"] = {"canceled_at": None, "paid_at": state.now}
        state.emit("invoice_payment.paid", outside)
        self._paid(bill, bill["amount_due"])
        return bill

    def _failed(self, bill: Obj, *, automatic: bool) -> None:
        state = self.state
        first = not bill["attempted"]
        with state.change(bill, "invoice.updated"):
            bill["attempted"] = True
            if automatic or first:
                bill["attempt_count"] += 1
                bill["next_payment_attempt"] = state.now + RETRY_DAYS * 86_400
        state.emit("invoice.payment_failed", bill)
        parent = bill["parent"]
        sub = state.find(parent["subscription_details"]["subscription"]) if parent else None
        if sub is not None and sub["status"] == "active" and bill["billing_reason"] != "subscription_create":
            with state.change(sub, "customer.subscription.updated"):
                sub["status"] = "past_due"
        customer = state.get("customer", bill["customer"])
        with state.change(customer, "customer.updated"):
            customer["delinquent"] = True

    def close(self, bill: Obj, status: str) -> Obj:
        """Void an open invoice, or give it up as uncollectible."""
        if bill["status"] not in {"open", "uncollectible"}:
            raise StripeError(400, f"You can only pass in open invoices. This invoice isn't open, it is {bill['status']}.")
        state = self.state
        moment = {"void": "voided_at", "uncollectible": "marked_uncollectible_at"}[status]
        with state.change(bill, "invoice.updated"):
            bill |= {"status": status, "next_payment_attempt": None, "auto_advance": False}
            bill["status_transitions"] = {**bill["status_transitions"], moment: state.now}
        state.emit({"void": "invoice.voided", "uncollectible": "invoice.marked_uncollectible"}[status], bill)
        return bill


def decline_error(charge: Obj, method: Obj) -> Obj:
    """Return the error that a declined charge leaves on its payment intent, and that a 402 brings."""
    outcome = charge["outcome"]
    found = {
        "charge": charge["id"],
        "code": charge["failure_code"],
        "decline_code": outcome["reason"],
        "doc_url": f"https://stripe.com/docs/error-codes/{str(charge['failure_code']).replace('_', '-')}",
        "message": charge["failure_message"],
        "network_decline_code": outcome["network_decline_code"],
        "advice_code": outcome["advice_code"],
        "payment_method": {name: value for name, value in method.items() if not name.startswith("_")},
        "payment_method_type": "card",
        "type": "card_error",
    }
    return {name: value for name, value in found.items() if value is not None}
