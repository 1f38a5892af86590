from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept.errors import CredentialsError, RetryableError
from wellkept.testing import Fault
from wellkept_stripe import streams
from wellkept_stripe.checking import TRIED

Start = Callable[..., Any]

READS = {
    "customer": "read",
    "subscription": "read",
    "invoice": "read",
    "charge": "read",
    "payment_intent": "read",
    "payment_method": "read",
    "product": "read",
    "plan": "read",
    "coupon": "read",
    "event": "read",
    "accounts_kyc_basic": "read",
}


def test_every_permission_that_a_stream_needs_is_tried() -> None:
    assert {scope for stream in streams.ALL for scope in stream.scopes} == set(TRIED)


async def test_a_restricted_key_with_all_permissions(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    link = connector(simulator, key=simulator.add_key("rk_test_reader", READS))
    result = await link.source.check()
    assert result.ok
    assert (result.vendor_account, result.mode) == (simulator.account_id, "test")
    assert {finding.name for finding in result.findings} >= {*TRIED, "key", "account", "rak_customer_write", "webhooks"}
    assert "least privilege" not in {finding.name for finding in result.findings}
    assert {entry.method for entry in simulator.log.requests} == {"GET"}
    await link.sync()


async def test_missing_permissions_are_named(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    some = {name: level for name, level in READS.items() if name not in {"event", "coupon", "accounts_kyc_basic"}}
    link = connector(simulator, key=simulator.add_key("rk_test_some", some))
    result = await link.source.check()
    assert not result.ok
    wrong = {finding.name: finding for finding in result.findings if not finding.ok}
    assert set(wrong) == {"rak_event_read", "rak_coupon_read"}
    assert wrong["rak_coupon_read"].message == "missing; needed by subscriptions"
    assert "permit rak_event_read" in str(wrong["rak_event_read"].mend)
    assert result.vendor_account == simulator.account_id  # a refusal tells it
    await link.sync("customers")
    with pytest.raises(CredentialsError) as caught:
        await link.sync("customers")
    assert caught.value.missing == ("rak_event_read",)
    assert "rk_test_some" not in str(caught.value)


async def test_a_key_that_is_refused(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    result = await connector(simulator, key="rk_test_nobodys").source.check()
    assert [(finding.name, finding.ok) for finding in result.findings] == [("key", False)]
    assert (result.vendor_account, result.mode) == (None, "test")


async def test_live_mode_a_secret_key_and_webhook_secrets(
    simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate(accounts=1, livemode=True)
    monkeypatch.setenv("B", "whsec_b")
    link = connector(simulator, webhook_secret=["env:STRIPE_WEBHOOK_SECRET", "env:B"])
    result = await link.source.check()
    findings = {finding.name: finding.message for finding in result.findings}
    assert (result.mode, findings["webhooks"]) == ("live", "2 signing secrets are set")
    assert "least privilege" in findings
    none = await connector(simulator, webhook_secret=None).source.check()
    assert none.ok
    assert {finding.name: finding.message for finding in none.findings}["webhooks"] == "no signing secret is set"


async def test_another_account_is_told_apart(simulate: Start, connector: Start) -> None:
    one, other = simulate(seed=1), simulate(seed=2)
    accounts = [(await connector(simulator).source.check()).vendor_account for simulator in (one, other)]
    assert accounts == [one.account_id, other.account_id]
    assert one.account_id != other.account_id


async def test_a_vendor_that_is_down_is_no_finding(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    simulator.faults.add(Fault(kind="status", status=503, times=None))
    with pytest.raises(RetryableError):
        await connector(simulator).source.check()


async def test_an_endpoint_that_fails_is_a_finding(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    simulator.faults.add(Fault(kind="status", status=400, path="/v1/coupons"))
    result = await connector(simulator).source.check()
    assert [(finding.name, finding.message) for finding in result.findings if not finding.ok] == [
        ("rak_coupon_read", "GET /v1/coupons answers 400")
    ]
