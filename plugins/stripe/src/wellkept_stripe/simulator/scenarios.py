"""What happens to customers while the world goes on. Each method makes the events that Stripe would make.

Names and arguments are plain, so that ``POST /_control/scenarios/fail_payment {"customer": "cus_..."}`` works as well.
"""

from __future__ import annotations

import threading
from typing import Any

from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator.billing import Billing
from wellkept_stripe.simulator.contracts import ENDED
from wellkept_stripe.simulator.payment_objects import payment_method
from wellkept_stripe.simulator.state import Obj, State


class Scenarios:
    """The part of the simulator that plays customers. All methods take a customer's id."""

    state: State
    billing: Billing
    lock: threading.RLock

    def new_customer(self, name: str, *, plan: str | None = None, quantity: int = 1, email: str | None = None) -> str:
        """A new customer with a card signs up; `plan` is a price's id or lookup key. Returns the customer's id."""
        with self.lock:
            state = self.state
            obj = objects.customer(state, name=name, email=email or f"billing@{_slug(name)}.example")
            state.add("customer", obj, "customer.created")
            self._card(obj, None)
            if plan is not None:
                self.billing.subscribe(obj, [{"price": self._price(plan)["id"], "quantity": quantity}])
            return str(obj["id"])

    def rename(self, customer: str, name: str) -> None:
        """The customer has another name now."""
        with self.lock:
            obj = self.state.get("customer", customer)
            with self.state.change(obj, "customer.updated"):
                obj["name"] = name

    def add_tax_id(self, customer: str, value: str) -> str:
        """The customer gives a VAT id. Returns its id."""
        with self.lock:
            obj = objects.tax_id(self.state, self.state.get("customer", customer)["id"], value)
            return str(self.state.add("tax_id", obj, "customer.tax_id.created")["id"])

    def fail_payment(self, customer: str, decline_code: str = "insufficient_funds") -> str:
        """The next renewal comes and its payment is declined: the subscription is past due. Returns the invoice's id."""
        with self.lock:
            sub = self._subscription(customer)
            method = self._method(customer)
            method["_decline"] = decline_code
            return str(self.billing.renew(sub)["id"])

    def retry(self, customer: str) -> str | None:
        """Stripe tries the oldest open invoice again, on its schedule. Returns the invoice's status."""
        with self.lock:
            bills = self.state.all("invoice", customer=customer, status="open")
            return None if not bills else str(self.billing.collect(bills[-1])["status"])

    def recover(self, customer: str) -> int:
        """The card works again and all open invoices are paid. Returns how many."""
        with self.lock:
            self._method(customer)["_decline"] = None
            bills = self.state.all("invoice", customer=customer, status="open")
            for bill in reversed(bills):
                self.billing.collect(bill)
            return len(bills)

    def renew(self, customer: str) -> str:
        """The next renewal comes and is paid. Returns the invoice's id."""
        with self.lock:
            return str(self.billing.renew(self._subscription(customer))["id"])

    def cancel_at_period_end(self, customer: str, *, wish: bool = True, feedback: str | None = None) -> None:
        """The customer wants to leave when the paid period is over; with `wish` false, to stay after all."""
        with self.lock:
            sub = self._subscription(customer)
            ends = max(item["current_period_end"] for item in self.billing.items(sub))
            with self.state.change(sub, "customer.subscription.updated"):
                sub |= {
                    "cancel_at_period_end": wish,
                    "cancel_at": ends if wish else None,
                    "canceled_at": self.state.now if wish else None,
                }
                reason = "cancellation_requested" if wish else None
                sub["cancellation_details"] = {**sub["cancellation_details"], "reason": reason, "feedback": feedback}

    def churn(self, customer: str, *, reason: str = "cancellation_requested", feedback: str | None = None) -> None:
        """The subscription ends now; `reason` may be ``payment_failed``."""
        with self.lock:
            self.billing.cancel(self._subscription(customer), reason=reason, feedback=feedback)

    def give_up(self, customer: str) -> None:
        """All retries failed: the invoices stay open, the subscription becomes unpaid."""
        with self.lock:
            sub = self._subscription(customer)
            with self.state.change(sub, "customer.subscription.updated"):
                sub["status"] = "unpaid"

    def contract(self, customer: str, quantity: int = 1) -> None:
        """The customer has so many seats from now on: fewer, or more."""
        with self.lock:
            sub = self._subscription(customer)
            item = self.billing.items(sub)[0]
            with self.state.change(sub, "customer.subscription.updated"):
                item["quantity"] = quantity

    def switch_plan(self, customer: str, plan: str) -> None:
        """The customer has another plan from now on; `plan` is a price's id or lookup key."""
        with self.lock:
            sub = self._subscription(customer)
            price = self._price(plan)
            with self.state.change(sub, "customer.subscription.updated"):
                self.billing.items(sub)[0]["price"] = price["id"]

    def grant_discount(self, customer: str, coupon: str) -> None:
        """The subscription gets a discount from a coupon."""
        with self.lock:
            sub = self._subscription(customer)
            made = objects.discount(self.state, self.state.get("coupon", coupon)["id"], subscription=sub["id"])
            self.state.add("discount", made, "customer.discount.created")
            with self.state.change(sub, "customer.subscription.updated"):
                sub["discounts"] = [*sub["discounts"], made["id"]]

    def pause_collection(self, customer: str, *, paused: bool = True) -> None:
        """Invoices are not collected for now; with `paused` false, they are again."""
        with self.lock:
            sub = self._subscription(customer)
            with self.state.change(sub, "customer.subscription.updated"):
                sub["pause_collection"] = {"behavior": "void", "resumes_at": None} if paused else None

    def pause(self, customer: str) -> None:
        """The subscription itself is paused, as after a trial without a payment method."""
        with self.lock:
            sub = self._subscription(customer)
            with self.state.change(sub, "customer.subscription.updated"):
                sub["status"] = "paused"
            self.state.emit("customer.subscription.paused", sub)

    def resume(self, customer: str) -> None:
        """The paused subscription goes on."""
        with self.lock:
            sub = self._subscription(customer)
            with self.state.change(sub, "customer.subscription.updated"):
                sub["status"] = "active"
            self.state.emit("customer.subscription.resumed", sub)

    def end_trial(self, customer: str) -> str:
        """The trial is over and the first invoice comes. Returns its id."""
        return self.renew(customer)

    def expire_card(self, customer: str, *, year: int, month: int) -> str:
        """The card's network says that the card is good until this month. Returns the payment method's id."""
        with self.lock:
            method = self._method(customer)
            previous = {"card": {"exp_month": method["card"]["exp_month"], "exp_year": method["card"]["exp_year"]}}
            method["card"] = {**method["card"], "exp_month": month, "exp_year": year}
            self.state.emit("payment_method.automatically_updated", method, previous=previous)
            return str(method["id"])

    def replace_card(self, customer: str, brand: str = "mastercard") -> str:
        """The customer pays with another card from now on. Returns the new payment method's id."""
        with self.lock:
            return str(self._card(self.state.get("customer", customer), None, brand)["id"])

    def delete_customer(self, customer: str) -> None:
        """Somebody deletes the customer in the dashboard."""
        with self.lock:
            obj = self.state.get("customer", customer)
            for sub in self.state.all("subscription", customer=customer):
                if sub["status"] not in ENDED:
                    self.billing.cancel(sub)
            for method in self.state.all("payment_method", customer=customer):
                method["customer"] = None
            self.state.remove(obj, "customer.deleted")
            self.state.deleted_customers.add(customer)

    # --- helpers ---

    def _card(self, customer: Obj, decline: str | None, brand: str = "visa") -> Obj:
        method = payment_method(self.state, brand, decline, customer=customer["id"])
        self.state.add("payment_method", method, "payment_method.attached")
        with self.state.change(customer, "customer.updated"):
            customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": method["id"]}
        return method

    def _subscription(self, customer: str) -> Obj:
        """Return the newest subscription that has not ended. Raises `LookupError`."""
        for sub in self.state.all("subscription", customer=customer):
            if sub["status"] not in ENDED:
                return sub
        raise LookupError(f"{customer} has no subscription that has not ended")

    def _method(self, customer: str) -> Obj:
        obj = self.state.get("customer", customer)
        found: Any = self.state.find(obj["invoice_settings"]["default_payment_method"] or "")
        if found is None:
            raise LookupError(f"{customer} has no payment method")
        return found  # type: ignore[no-any-return]

    def _price(self, name: str) -> Obj:
        for price in self.state.tables["price"].listed():
            if name in {price["id"], price["lookup_key"]}:
                return price
        raise LookupError(f"there is no price {name}")


def _slug(name: str) -> str:
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return letters.strip("-") or f"x{sum(name.encode())}"
