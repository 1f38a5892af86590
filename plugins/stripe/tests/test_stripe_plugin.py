from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import wellkept_stripe
from wellkept.clock import Clock
from wellkept.records import Account, Invoice, PaymentAttempt, PaymentMethod, Person, Subscription
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing import FakeClock
from wellkept_stripe.config import StripeConfig
from wellkept_stripe.records import StripePrice, StripeProduct
from wellkept_stripe.source import READERS

Start = Callable[..., Any]


def test_it_says_who_it_is() -> None:
    info = wellkept_stripe.plugin.describe()
    assert (info.name, info.config) == ("stripe", "wellkept_stripe.config:StripeConfig")
    assert wellkept_stripe.plugin.record_types() == [StripePrice, StripeProduct]
    assert wellkept_stripe.plugin.provide("store", {}) is None


def test_importing_it_is_cheap() -> None:
    heavy = ("stripe", "pydantic", "httpx", "starlette", "httpcore", "uvicorn")
    code = f"import sys, wellkept_stripe; wellkept_stripe.plugin.describe(); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"


def test_reading_does_not_import_the_sdk() -> None:
    code = "import sys, wellkept_stripe.source, wellkept_stripe.actions; print('stripe' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "False"


def test_event_types_exist_and_are_few_enough(spec: Any) -> None:
    known = set(spec.document["components"]["schemas"]["Event"]["properties"]["type"]["enum"])
    for reader in READERS.values():
        assert set(reader.types) <= known
        assert len(reader.types) <= 20
        assert reader.gone <= set(reader.types)


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"api_key": "sk_test_123"}, "api_key"),
        ({}, "api_key"),
        ({"api_key": "env:X", "api_base": "http://api.stripe.com"}, "api_base"),
        ({"api_key": "env:X", "api_base": "https://api.stripe.com/v1"}, "api_base"),
        ({"api_key": "env:X", "reconcile_days": 29}, "reconcile_days"),
        ({"api_key": "env:X", "lookback_minutes": 0}, "lookback_minutes"),
        ({"api_key": "env:X", "requests_per_second": 1000}, "requests_per_second"),
        ({"api_key": "env:X", "external_id_key": "k" * 41}, "external_id_key"),
        ({"api_key": "env:X", "webhook_secret": "whsec_1"}, "webhook_secret"),
        ({"api_key": "env:X", "mrr": {"discount": "all"}}, "mrr"),
        ({"api_key": "env:X", "streams": ["customers"]}, "streams"),
    ],
)
def test_mistakes_in_the_configuration(keys: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        StripeConfig.model_validate(keys)
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


@pytest.mark.parametrize("base", ["http://127.0.0.1:12", "http://localhost", "http://[::1]:8", "https://stripe.example"])
def test_where_stripe_may_be(base: str) -> None:
    assert StripeConfig.model_validate({"api_key": "env:X", "api_base": base}).api_base == base


CONFIG = """\
[wellkept]

[plugins.stripe]
live = ["score.push"]
api_key = "file:stripe.key"
api_base = "{url}"
webhook_secret = "env:WEBHOOK"
"""


class Installation:
    """A real installation with this plugin alone."""

    def __init__(self, folder: Path, simulator: Any, clock: FakeClock) -> None:
        self.path = folder / "plugins.toml"
        self.path.write_text(CONFIG.format(url=simulator.url))
        key = folder / "stripe.key"
        key.touch(mode=0o600)
        key.write_text(simulator.key)
        self.clock: Clock = clock

    def sync(self) -> Any:
        async def run(runtime: Runtime) -> Any:
            return (await Steps(runtime).run()).sync

        with Runtime.open(self.path, clock=self.clock, strict=True) as runtime:
            return asyncio.run(run(runtime))

    def ids(self, type_: Any) -> set[str]:
        with Runtime.open(self.path, clock=self.clock) as runtime, runtime.store.read() as reader:
            rows = reader.all(f'SELECT id FROM "r_{type_.type.replace(".", "_")}" WHERE deleted = 0')  # noqa: S608 - a type of our own
            return {row[0] for row in rows}


def test_with_the_real_core(simulate: Start, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All streams into the real store, changes, a deletion, a webhook and a reconciliation."""
    monkeypatch.setenv("WEBHOOK", "whsec_simulated")
    simulator = simulate(accounts=25, seed=3)
    house = Installation(tmp_path, simulator, clock)
    first = house.sync()
    assert {stream.state for stream in first.streams} == {"done"}
    kinds = {
        Account: "customer",
        Person: "customer",
        Subscription: "subscription",
        Invoice: "invoice",
        PaymentAttempt: "charge",
        PaymentMethod: "payment_method",
        StripePrice: "price",
        StripeProduct: "product",
    }

    def complete() -> None:
        for type_, kind in kinds.items():
            expected = set(simulator.state.tables[kind].rows)
            if kind == "payment_method":
                expected = {id_ for id_, row in simulator.state.tables[kind].rows.items() if row["customer"]}
            assert house.ids(type_) == expected, type_

    complete()
    clock.advance(3600)
    active = sorted(
        row["customer"] for row in simulator.state.tables["subscription"].rows.values() if row["status"] == "active"
    )
    simulator.fail_payment(active[0])
    simulator.new_customer("\u682a\u5f0f\u4f1a\u793e", plan="team_jpy_month")
    simulator.delete_customer(active[1])
    clock.advance(60)
    again = house.sync()
    assert {stream.state for stream in again.streams} == {"done"}
    complete()
    simulator.state.tables["invoice"].remove(next(iter(simulator.state.tables["invoice"].rows)))
    clock.advance(8 * 86_400)
    third = house.sync()
    notes = [note for stream in third.streams for note in stream.notes]
    assert any("everything is read again" in note for note in notes)
    for type_, kind in kinds.items():
        if type_ is Invoice:
            assert house.ids(type_) == set(simulator.state.tables[kind].rows)
    assert simulator.refused == []
