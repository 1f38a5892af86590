"""The standard tests, on Stripe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wellkept import ScorePush, WebhookRequest
from wellkept.testing import FakeClock, Fault, Spec
from wellkept.testing.conformance import ActionTests, Case, RecordingTests, SourceTests, WebhookTests
from wellkept_stripe.simulator import StripeSimulator, signature

WEBHOOK_SECRET = "whsec_simulated"
MOST_METADATA = 50


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


class TestStripeRecording(RecordingTests, Stripe):
    """What ``wellkept record`` makes of an account; for want of a live one here, of a simulated one."""

    recording = Path(__file__).parent / "stripe_recording"
    bad_rows: ClassVar[Mapping[str, Fault]] = TestStripeSource.bad_rows


class TestStripeWebhooks(Stripe, WebhookTests):
    def deliveries(self, vendor: StripeSimulator) -> Sequence[WebhookRequest]:
        known = len(vendor.events())
        vendor.fail_payment(next(sub["customer"] for sub in vendor.state.all("subscription") if sub["status"] == "active"))
        return [vendor.webhook(event, WEBHOOK_SECRET) for event in vendor.events()[known:]]

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

    def spoil(self, vendor: StripeSimulator) -> bool:
        customer = vendor.state.all("customer")[0]
        customer["metadata"] |= {f"key_{number}": "full" for number in range(MOST_METADATA)}
        return True
