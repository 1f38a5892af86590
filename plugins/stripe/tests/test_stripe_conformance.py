"""The standard tests, on Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from wellkept.testing import FakeClock, Fault
from wellkept.testing.conformance import SourceTests
from wellkept_stripe.simulator import StripeSimulator


class TestStripeSource(SourceTests):
    plugin = "stripe"
    cursor_names: ClassVar[Mapping[str, Any]] = {"*": ("starting_after",)}
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        "customers": Fault(kind="row", path="/v1/customers", row=1, field="created", raw='"soon"'),
        "subscriptions": Fault(kind="row", path="/v1/subscriptions", row=1, field="status", raw="7"),
        "invoices": Fault(kind="row", path="/v1/invoices", row=1, field="status", raw="null"),
        "prices": Fault(kind="row", path="/v1/prices", row=0, field="id", raw="7"),
        "products": Fault(kind="row", path="/v1/products", row=0, field="name", raw='"\xff"'),
    }

    def vendor(self, clock: FakeClock) -> StripeSimulator:
        return StripeSimulator(accounts=6, clock=clock, seed=5, months=2)

    def keys(self, vendor: StripeSimulator, url: str) -> Mapping[str, Any]:
        return {"api_key": "env:STRIPE_KEY", "api_base": url, "requests_per_second": 100}

    def secrets(self, vendor: StripeSimulator) -> Mapping[str, str]:
        return {"STRIPE_KEY": vendor.key}

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_stripe.api.PAGE", 3)

    def change(self, vendor: StripeSimulator, stream: str) -> bool:
        if stream != "customers":
            return False
        vendor.rename(min(vendor.state.tables["customer"].rows), "Renamed")
        return True
