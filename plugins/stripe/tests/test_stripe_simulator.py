from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wellkept.testing import FakeClock, Spec
from wellkept.testing.world import World
from wellkept_stripe.simulator import StripeSimulator, shapes

Start = Callable[..., Any]
DAY = 86_400


def snapshot(simulator: StripeSimulator) -> str:
    return json.dumps({kind: list(table.rows.values()) for kind, table in simulator.state.tables.items()}, sort_keys=True)


def test_a_world_is_decided_by_its_seed() -> None:
    def world(seed: int) -> str:
        return snapshot(StripeSimulator(accounts=20, clock=FakeClock(), seed=seed))

    assert world(1) == world(1)
    assert world(1) != world(2)


def test_a_world_is_a_plausible_one() -> None:
    simulator = StripeSimulator(accounts=400, clock=FakeClock(), seed=1)
    tables = simulator.state.tables
    statuses = Counter(sub["status"] for sub in tables["subscription"].rows.values())
    assert set(statuses) == {
        "active", "trialing", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "paused",
    }  # fmt: skip
    assert statuses["active"] > 250
    currencies = {sub["currency"] for sub in tables["subscription"].rows.values()}
    assert currencies == {"usd", "eur", "gbp", "jpy", "cny", "kwd", "isk"}
    names = [customer["name"] for customer in tables["customer"].rows.values()]
    assert any("\u4e00" <= letter <= "\u9fff" for name in names for letter in name)
    assert len(set(names)) > 390
    now = simulator.state.now
    assert all(row["created"] <= now for kind in ("customer", "invoice", "charge") for row in tables[kind].rows.values())
    for sub in tables["subscription"].rows.values():
        ends = simulator.billing.items(sub)[0]["current_period_end"]
        assert (ends > now) or sub["status"] in {"canceled", "incomplete_expired"}
    open_ = {bill["customer"] for bill in simulator.state.all("invoice", status="open")}
    troubled = {
        sub["customer"] for sub in tables["subscription"].rows.values() if sub["status"] in {"past_due", "unpaid", "incomplete"}
    }
    assert troubled <= open_
    assert not tables["event"].rows
    assert not simulator.log.effects


def test_its_customers_are_what_billing_knows_of_the_market() -> None:
    clock = FakeClock()
    world = World(accounts=400, seed=1, now=clock.now())
    simulator = StripeSimulator(clock=clock, seed=1, world=world)
    customers = sorted(simulator.state.tables["customer"].rows.values(), key=lambda row: row["_seq"])
    sightings = world.seen_by("billing")
    assert [row["name"] for row in customers] == [sighting.name for sighting in sightings]
    assert [row["email"] for row in customers] == [sighting.email for sighting in sightings]
    assert [row["metadata"].get("account_id") for row in customers] == [sighting.external_id for sighting in sightings]
    tax = {row["customer"]: row["value"] for row in simulator.state.all("tax_id")}
    assert [tax.get(row["id"]) for row in customers] == [sighting.tax_id for sighting in sightings]
    assert tax
    status = {sub["customer"]: sub["status"] for sub in simulator.state.all("subscription")}
    items = {sub["customer"]: simulator.billing.items(sub)[0] for sub in simulator.state.all("subscription")}
    troubled = 0
    for row, sighting in zip(customers, sightings, strict=True):
        running = status.get(row["id"]) not in {None, "canceled", "incomplete_expired"}
        assert not running or sighting.main, "of two records of a company one is paid for"
        if sighting.main and sighting.company.fate == "failing":
            assert status[row["id"]] not in {"active", "trialing"}
            troubled += 1
        if running:
            price = simulator.state.get("price", items[row["id"]]["price"])
            months = 12 if price["recurring"]["interval"] == "year" else 1
            assert items[row["id"]]["quantity"] == sighting.company.seats
            if price["currency"] == "usd":
                assert round(sighting.company.seats * price["unit_amount"] / months) == sighting.company.mrr
    assert troubled > 10


def test_everything_in_it_fits_the_description(spec: Spec) -> None:
    simulator = StripeSimulator(accounts=25, clock=FakeClock(), seed=3)
    customer = simulator.new_customer("Firm", plan="team_usd_month")
    simulator.grant_discount(customer, "LOYAL10")
    simulator.fail_payment(customer)
    simulator.add_tax_id(customer, "FR12345678901")
    names = {
        "customer": "Customer", "product": "Product", "price": "Price", "subscription": "Subscription",
        "subscription_item": "SubscriptionItem", "invoice": "Invoice", "invoice_payment": "InvoicePayment",
        "payment_intent": "PaymentIntent", "charge": "Charge", "payment_method": "PaymentMethod", "event": "Event",
        "coupon": "Coupon", "discount": "Discount", "tax_id": "TaxId",
    }  # fmt: skip
    for kind, name in names.items():
        rows = simulator.state.tables[kind].rows.values()
        assert rows, kind
        for row in rows:
            spec.check_object(name, shapes.render(simulator.state, row))
    for event in simulator.events():
        shown = event["data"]["object"]
        spec.check_object(names[shown["object"]], shown)


SCENARIOS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "rename": ({"name": "New"}, ["customer.updated"]),
    "add_tax_id": ({"value": "DE123456789"}, ["customer.tax_id.created"]),
    "cancel_at_period_end": ({}, ["customer.subscription.updated"]),
    "churn": ({}, ["customer.subscription.deleted"]),
    "contract": ({"quantity": 1}, ["customer.subscription.updated"]),
    "switch_plan": ({"plan": "enterprise_usd_month"}, ["customer.subscription.updated"]),
    "grant_discount": ({"coupon": "LOYAL10"}, ["customer.discount.created", "customer.subscription.updated"]),
    "pause_collection": ({}, ["customer.subscription.updated"]),
    "give_up": ({}, ["customer.subscription.updated"]),
    "pause": ({}, ["customer.subscription.updated", "customer.subscription.paused"]),
    "resume": ({}, ["customer.subscription.resumed"]),
    "expire_card": ({"year": 2026, "month": 1}, ["payment_method.automatically_updated"]),
    "replace_card": ({}, ["payment_method.attached", "customer.updated"]),
    "delete_customer": ({}, ["customer.subscription.deleted", "customer.deleted"]),
    "renew": (
        {},
        [
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice_payment.paid",
            "invoice.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
        ],
    ),
    "fail_payment": (
        {"decline_code": "expired_card"},
        [
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.updated",
            "invoice.payment_failed",
            "customer.subscription.updated",
            "customer.updated",
        ],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_make_the_right_events(name: str) -> None:
    simulator = StripeSimulator(accounts=1, clock=FakeClock(), seed=8)
    customer = simulator.new_customer("Firm", plan="team_usd_month", quantity=5)
    before = len(simulator.events())
    arguments, expected = SCENARIOS[name]
    getattr(simulator, name)(customer, **arguments)
    events = simulator.events()[before:]
    assert [event["type"] for event in events] == expected
    for event in events:
        previous = event["data"].get("previous_attributes")
        assert event["type"].endswith("updated") == (previous is not None)
        assert all(event["data"]["object"].get(field) != value for field, value in (previous or {}).items())


def test_every_scenario_can_be_played_over_http(simulate: Start) -> None:
    simulator = simulate(accounts=1)
    url = f"{simulator.url}/_control/scenarios"
    customer = httpx.post(f"{url}/new_customer", json={"name": "\u682a\u5f0f\u4f1a\u793e", "plan": "team_jpy_month"}).json()[
        "result"
    ]
    invoice = httpx.post(f"{url}/fail_payment", json={"customer": customer}).json()["result"]
    assert simulator.state.get("invoice", invoice)["status"] == "open"
    assert httpx.post(f"{url}/recover", json={"customer": customer}).json() == {"result": 1}
    assert simulator.state.get("invoice", invoice)["status"] == "paid"
    assert httpx.post(f"{url}/recover", json={"customer": "cus_none"}).status_code >= 400
    assert set(simulator.scenarios()) >= {"churn", "contract", "cancel_at_period_end", "retry", "end_trial", "give_up"}


def test_a_failure_and_a_recovery_leave_consistent_books() -> None:
    clock = FakeClock()
    simulator = StripeSimulator(accounts=1, clock=clock, seed=8)
    customer = simulator.new_customer("Firm", plan="business_usd_month", quantity=3)
    bill = simulator.state.get("invoice", simulator.fail_payment(customer))
    sub = simulator._subscription(customer)
    assert (sub["status"], bill["status"], bill["attempt_count"], bill["amount_remaining"]) == ("past_due", "open", 1, 7200)
    assert bill["next_payment_attempt"] == simulator.state.now + 3 * DAY
    assert simulator.state.get("customer", customer)["delinquent"]
    clock.advance(3 * DAY)
    assert simulator.retry(customer) == "open"
    assert bill["attempt_count"] == 2
    assert simulator.recover(customer) == 1
    assert (sub["status"], bill["status"], bill["amount_paid"], bill["amount_remaining"]) == ("active", "paid", 7200, 0)
    assert not simulator.state.get("customer", customer)["delinquent"]
    assert simulator.retry(customer) is None


def test_events_are_forgotten_after_thirty_days(simulate: Start) -> None:
    simulator = simulate(accounts=1)
    customer = next(iter(simulator.state.tables["customer"].rows))
    simulator.rename(customer, "One")
    simulator.clock.advance(30 * DAY)
    simulator.rename(customer, "Two")
    for seconds, left in ((0, 2), (1, 1)):
        simulator.clock.advance(seconds)
        answer = httpx.get(f"{simulator.url}/v1/events", headers={"authorization": f"Bearer {simulator.key}"})
        assert len(answer.json()["data"]) == left


def test_basic_authentication_and_request_ids(simulate: Start) -> None:
    simulator = simulate(accounts=1)
    answer = httpx.get(f"{simulator.url}/v1/account", auth=(simulator.key, ""))
    assert answer.json()["id"] == simulator.account_id
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"
    assert httpx.get(f"{simulator.url}/v1/account").status_code == 401


@pytest.mark.parametrize("version", shapes.VERSIONS)
def test_older_versions_can_be_asked_for(version: str) -> None:
    simulator = StripeSimulator(accounts=12, clock=FakeClock(), seed=3)
    state = simulator.state
    sub = next(iter(state.tables["subscription"].rows.values()))
    if sub["status"] != "canceled":
        simulator.grant_discount(sub["customer"], "LOYAL10")
    shown = shapes.older(shapes.render(state, sub), version, state)
    bill = shapes.older(shapes.render(state, state.all("invoice", status="paid")[0]), version, state)
    before_basil = version < "2025-03-31"
    assert ("current_period_end" in shown) is before_basil
    assert ("subscription" in bill) is before_basil
    assert ("parent" in bill) is not before_basil
