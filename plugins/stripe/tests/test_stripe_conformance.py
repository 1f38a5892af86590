"""The standard tests, on Stripe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wellkept import Payload, ScorePush, WebhookRequest
from wellkept.records import Json
from wellkept.testing import FakeClock, Fault, Spec
from wellkept.testing.conformance import ActionTests, Case, RecordingTests, SourceTests, WebhookTests
from wellkept_stripe.simulator import StripeSimulator, signature
from wellkept_stripe.simulator.variety import Variety
from wellkept_stripe.wire import API_VERSION

WEBHOOK_SECRET = "whsec_simulated"
MOST_METADATA = 50
HOUR, DAY = 3600, 86_400

Obj = dict[str, Any]


class Stripe(Case):
    plugin = "stripe"

    @pytest.fixture
    def description(self, optional_spec: Spec | None) -> Spec | None:
        return optional_spec

    def vendor(self, clock: FakeClock) -> StripeSimulator:
        return StripeSimulator(accounts=6, clock=clock, seed=5, months=2)

    def keys(self, vendor: StripeSimulator, url: str) -> Mapping[str, Any]:
        return {
            "api_key": "env:STRIPE_KEY",
            "webhook_secret": "env:STRIPE_WEBHOOK_SECRET",
            "api_base": url,
            "requests_per_second": 100,
        }

    def secrets(self, vendor: StripeSimulator) -> Mapping[str, str]:
        return {"STRIPE_KEY": vendor.key, "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}

    def troubles(self, vendor: StripeSimulator) -> Mapping[str, Callable[[], Mapping[str, Json] | None]]:
        resources = ("charge", "coupon", "customer", "event", "invoice", "payment_intent", "payment_method", "plan", "product")
        every: dict[str, Any] = dict.fromkeys((*resources, "subscription", "accounts_kyc_basic"), "read")

        def restricted(*without: str) -> None:
            vendor.key = vendor.add_key("rk_test_restricted", {name: how for name, how in every.items() if name not in without})

        return {
            "a restricted key": restricted,
            "no account": lambda: restricted("accounts_kyc_basic"),
            "no customers, no events": lambda: restricted("customer", "event"),
            "no charges, no coupons": lambda: restricted("charge", "coupon", "plan", "product"),
            "a live key": lambda: vars(vendor).update(key=vendor.add_key("rk_live_restricted")),
            "a key of no known mode": lambda: vars(vendor).update(key=vendor.add_key("rk_0123456789")),
            "an expired key": lambda: vendor.expire_key(vendor.key),
            "no webhooks": lambda: {"webhook_secret": None},
            "two webhook secrets": lambda: {"webhook_secret": ["env:STRIPE_WEBHOOK_SECRET", "env:STRIPE_KEY"]},
            "an odd answer": lambda: vendor.faults.add(Fault(kind="status", status=400, path="/v1/coupons", times=None)),
        }

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_stripe.api.PAGE", 3)


class TestStripeSource(Stripe, SourceTests):
    cursor_names: ClassVar[Mapping[str, Any]] = {"*": ("starting_after",)}
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        "customers": Fault(kind="row", path="/v1/customers", row=1, field="created", raw='"soon"'),
        "subscriptions": Fault(kind="row", path="/v1/subscriptions", row=1, field="status", raw="7"),
        "invoices": Fault(kind="row", path="/v1/invoices", row=1, field="status", raw="null"),
        "prices": Fault(kind="row", path="/v1/prices", row=0, field="id", raw="7"),
        "products": Fault(kind="row", path="/v1/products", row=0, field="name", raw='"\xff"'),
        "payment_attempts": Fault(kind="row", path="/v1/invoice_payments", row=1, field="id", raw="null"),
        "payment_methods": Fault(kind="row", path="/v1/payment_methods", row=0, field="type", raw="7"),
    }

    def change(self, vendor: StripeSimulator, stream: str) -> bool:
        customer = next(sub["customer"] for sub in vendor.state.all("subscription") if sub["status"] == "active")
        match stream:
            case "customers":
                vendor.rename(customer, "Renamed")
            case "subscriptions":
                vendor.cancel_at_period_end(customer)
            case "invoices" | "payment_attempts":
                vendor.fail_payment(customer)
            case "payment_methods":
                vendor.expire_card(customer, year=2031, month=5)
            case _:
                kind = stream.removesuffix("s")
                obj = vendor.state.all(kind)[0]
                with vendor.lock, vendor.state.change(obj, f"{kind}.updated"):
                    obj["nickname" if kind == "price" else "name"] = "Renamed"
        return True

    def stories(self, vendor: StripeSimulator) -> Mapping[str, Sequence[Callable[[], object]]]:
        desk = Variety(vendor)
        days = vendor.clock.advance
        unlike = {"mrr": {"discounts": "all", "past_due": False, "paused_collection": "count"}, "external_id_key": "crm_id"}
        without = {"mrr": {"discounts": "none"}, "tax_ids": True, "reconcile_days": 25, "lookback_minutes": 1}
        return {
            "prices": [desk.every_price, lambda: self.touch(vendor)],
            "discounts": [
                desk.every_discount,
                lambda: self.touch(vendor),
                lambda: days(8 * DAY) or unlike,
                lambda: days(26 * DAY) or without,
            ],
            "taxes": [desk.every_tax, lambda: self.touch(vendor)],
            "states": [desk.every_status, lambda: days(8 * DAY) or unlike],
            "payment methods": [desk.every_method],
            "customers": [desk.every_customer, lambda: days(8 * DAY) or unlike, lambda: days(26 * DAY) or without],
            "bills": [desk.every_bill],
            "a month": [int, lambda: self.month(vendor), lambda: self.month(vendor, "2022-11-15"), lambda: days(31 * DAY)],
        }

    def month(self, vendor: StripeSimulator, version: str | None = None) -> None:
        """Let everything happen that the simulator can play, some of it in one second, in events of any version."""
        vendor.state.api_version = version or vendor.state.api_version
        wait = vendor.clock.advance
        active = [sub["customer"] for sub in vendor.state.all("subscription") if sub["status"] == "active"]
        one, two, three = sorted(set(active))[:3]
        vendor.fail_payment(one)
        wait(HOUR)
        vendor.retry(one)
        vendor.fail_payment(two, "expired_card")
        wait(60)
        vendor.recover(two)
        vendor.cancel_at_period_end(three, feedback="too_complex")
        vendor.rename(three, "First")
        vendor.rename(three, "Second")
        wait(5)
        vendor.contract(three, 4)
        vendor.grant_discount(three, "LOYAL10")
        vendor.add_tax_id(three, "DE123456789")
        wait(5)
        vendor.pause_collection(two)
        vendor.replace_card(two)
        vendor.expire_card(two, year=2026, month=12)
        detached = vendor.state.get("payment_method", vendor.replace_card(two))
        with vendor.state.change(detached, "payment_method.detached"):
            detached["customer"] = None
        made = vendor.new_customer("新しい会社 K.K.", plan="team_jpy_month", quantity=7)
        wait(60)
        vendor.delete_customer(made)
        vendor.churn(one, reason="payment_failed")
        product = vendor.state.all("product")[0]
        with vendor.state.change(product, "product.updated"):
            product |= {"name": f"{product['name']}!", "updated": vendor.state.now}

    def touch(self, vendor: StripeSimulator) -> None:
        """Let every subscription change, so that its event shows it."""
        for sub in vendor.state.all("subscription"):
            with vendor.state.change(sub, "customer.subscription.updated"):
                sub["metadata"] = {"touched": "yes"}


class TestStripeRecording(RecordingTests, Stripe):
    """What ``wellkept record`` makes of an account; for want of a live one here, of a simulated one."""

    recording = Path(__file__).parent / "stripe_recording"
    bad_rows: ClassVar[Mapping[str, Fault]] = TestStripeSource.bad_rows


class TestStripeWebhooks(Stripe, WebhookTests):
    tolerance = 300_000

    def deliveries(self, vendor: StripeSimulator) -> Sequence[WebhookRequest]:
        known = len(vendor.events())
        vendor.fail_payment(next(sub["customer"] for sub in vendor.state.all("subscription") if sub["status"] == "active"))
        return [vendor.webhook(event, WEBHOOK_SECRET) for event in vendor.events()[known:]]

    def bodies(self, vendor: StripeSimulator) -> Mapping[str, bytes]:
        at = vendor.state.now

        def event(kind: str, about: Obj | None = None, **more: Any) -> bytes:
            fields: Obj = {"id": "evt_1", "object": "event", "type": kind, "created": at, "livemode": False}
            data = {} if about is None else {"data": {"object": about}}
            return json.dumps({**fields, "api_version": API_VERSION, **data, **more}).encode()

        def thin(related: Obj | None, **more: Any) -> bytes:
            return event("v1.something", related_object=related, object="v2.core.event", **more)

        ids = ("cus_1", "sub_1", "in_1", "inpay_1", "pi_1", "ch_1", "py_1", "pm_1", "price_1", "prod_1", "re_1", "1")
        invoice = {"id": "in_1", "object": "invoice", "currency": "usd", "amount_due": 1, "created": at, "customer": "cus_1"}
        card = {"invoice_settings": {"default_payment_method": "pm_2"}, "default_source": "card_1"}
        customer = {"id": "cus_1", "object": "customer", "created": at, **card}
        before = {"invoice_settings": {"default_payment_method": "pm_1"}}
        charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}
        payment = {
            "id": "inpay_1",
            "object": "invoice_payment",
            "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
        }
        return {
            **{f"thin, {id_}": thin({"id": id_, "type": "x"}, created="2026-11-22T12:00:00.5Z") for id_ in ids},
            "thin, about nothing": thin(None),
            "no such time": thin({"id": "cus_1", "type": "x"}, created="yesterday"),
            "live, of an account": event("invoice.paid", invoice, livemode=True, account="acct_2"),
            "a failure": event("invoice.payment_failed", invoice, api_version="2019-01-01"),
            "an unreadable invoice": event("invoice.created", {**invoice, "amount_due": "1"}),
            "an invoice without an id": event("invoice.created", {"object": "invoice"}),
            "other defaults": event("customer.updated", data={"object": customer, "previous_attributes": before}),
            "another name": event(
                "customer.updated", customer, data={"object": customer, "previous_attributes": {"name": "x"}}
            ),
            "a customer goes": event("customer.deleted", customer),
            "a charge": event("charge.failed", charge),
            "a charge by itself": event("charge.failed", {"id": "ch_1", "object": "charge"}),
            "an intent": event("payment_intent.canceled", {"id": "pi_1", "object": "payment_intent"}),
            "an invoice's payment": event("invoice_payment.paid", payment),
            "a discount": event("customer.discount.created", {"id": "di_1", "object": "discount", "subscription": "sub_1"}),
            "a discount of nothing": event("customer.discount.created", {"id": "di_1", "object": "discount"}),
            "a method goes": event("payment_method.detached", {"id": "pm_1", "object": "payment_method"}),
            "a type that is not read": event("payout.paid", {"id": "po_1", "object": "payout"}),
        }

    def signed(self, vendor: StripeSimulator, body: bytes) -> WebhookRequest:
        at = vendor.clock.now() // 1000
        headers = {"stripe-signature": f"t={at},v1={signature(body, WEBHOOK_SECRET, at)}"}
        url = "https://wellkept.example/webhooks/stripe"
        return WebhookRequest(method="POST", url=url, headers=headers, body=body, received_at=vendor.clock.now())


class TestStripePush(Stripe, ActionTests):
    writes = "/v1/customers/*"
    write_method = "POST"

    def payload(self, number: int) -> ScorePush:
        return ScorePush(properties={"wellkept_health": 50 + number, "wellkept_band": "yellow"})

    def done(self, vendor: StripeSimulator, payload: ScorePush) -> Mapping[str, int]:
        wanted = {name: str(value) for name, value in payload.properties.items()}
        found = {customer["id"]: customer["metadata"] for customer in vendor.state.all("customer")}
        return {id_: 1 for id_, metadata in found.items() if wanted.items() <= metadata.items()}

    def others(self) -> Sequence[Payload]:
        odd = {"a" * 41: 1, "": 1, "a[b": 1, "a]b": 1, "long": "x" * 501, "a" * 40: "x" * 500}
        values = {
            "whole": 7,
            "part": 71.25,
            "yes": True,
            "no": False,
            "text": "é",
            "nothing": None,
            "empty": "",
        }
        return [ScorePush(properties=values), ScorePush(properties=odd), ScorePush(properties={"": 1})]

    def circumstances(self, vendor: StripeSimulator) -> Mapping[str, Callable[[], object]]:
        customers = vendor.state.all("customer")

        def fill(keys: int, **more: str) -> None:
            customers[0]["metadata"] = {**{f"key_{number}": "full" for number in range(keys)}, **more}

        def fails(status: int, code: str | None = None) -> Callable[[], object]:
            return lambda: self.strike(vendor, Fault(kind="status", status=status, code=code, times=None))

        return {
            "room for one": lambda: fill(MOST_METADATA - 1, wellkept_health=""),
            "room for none": lambda: fill(MOST_METADATA),
            "room for what is there": lambda: fill(MOST_METADATA - 1, wellkept_band="red"),
            "refused": fails(400),
            "not there": fails(404, "resource_missing"),
            "in conflict": fails(409),
            "too many": fails(429),
            "unwell": fails(500),
            "one is deleted": lambda: vendor.delete_customer(customers[1]["id"]),
        }

    def spoil(self, vendor: StripeSimulator) -> bool:
        customer = vendor.state.all("customer")[0]
        customer["metadata"] |= {f"key_{number}": "full" for number in range(MOST_METADATA)}
        return True
