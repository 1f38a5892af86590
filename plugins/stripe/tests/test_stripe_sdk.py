"""The official SDK works against the simulator unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from wellkept.testing import Fault

Start = Callable[..., Any]
Shop = tuple[Any, Any]
"""A simulator and the SDK. The SDK is untyped here, as tests send what its types forbid."""
HOUR = 3600


@pytest.fixture
def shop(simulate: Start) -> Shop:
    simulator = simulate(accounts=12, seed=9, months=3)
    return simulator, sdk(simulator)


def sdk(simulator: Any, key: str | None = None, **options: Any) -> Any:
    return stripe.StripeClient(key or simulator.key, base_addresses={"api": simulator.url}, max_network_retries=0, **options)


def labels(obj: Any) -> dict[str, str]:
    found: dict[str, str] = obj.metadata.to_dict()
    return found


LISTS = (
    "customers", "products", "prices", "coupons", "subscriptions", "invoices", "invoice_payments", "payment_intents", "charges",
    "payment_methods", "events", "webhook_endpoints",
)  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_lists_page_by_themselves(shop: Shop, name: str) -> None:
    simulator, client = shop
    simulator.cancel_at_period_end(simulator.new_customer("Late", plan="team_usd_month"))
    client.v1.webhook_endpoints.create({"url": "https://x.example/hook", "enabled_events": ["*"]})
    kind = {"webhook_endpoints": "webhook_endpoint"}.get(name, name.removesuffix("s"))
    params: Any = {"limit": 7, **({"status": "all"} if name == "subscriptions" else {})}
    service: Any = getattr(client.v1, name)
    listed = [row.id for row in service.list(params).auto_paging_iter()]
    expected = [row["id"] for row in simulator.state.tables[kind].listed()]
    assert listed == expected
    assert len(listed) == len(set(listed)) > 0
    last = listed[-1]
    back = [row.id for row in service.list({**params, "ending_before": last}).auto_paging_iter()]
    assert back == listed[:-1][::-1]
    one = service.retrieve(listed[0])
    assert one.id == listed[0]


def test_filters(shop: Shop) -> None:
    simulator, client = shop
    times = sorted(row["created"] for row in simulator.state.tables["customer"].rows.values())
    middle = times[5]
    since = list(client.v1.customers.list({"created": {"gte": middle}, "limit": 100}).auto_paging_iter())
    until = list(client.v1.customers.list({"created": {"lt": middle}, "limit": 100}).auto_paging_iter())
    assert len(since) + len(until) == 12
    assert all(row.created >= middle for row in since)
    some = since[0]
    assert [row.id for row in client.v1.customers.list({"email": some.email}).data] == [some.id]
    simulator.churn(simulator.new_customer("Leaver", plan="team_usd_month"))
    default = {row.status for row in client.v1.subscriptions.list({"limit": 100}).auto_paging_iter()}
    assert "canceled" not in default
    ended = {row.status for row in client.v1.subscriptions.list({"status": "ended", "limit": 100}).auto_paging_iter()}
    assert ended == {"canceled"}
    assert {row.status for row in client.v1.invoices.list({"status": "paid", "limit": 5}).data} == {"paid"}
    price = client.v1.prices.list({"lookup_keys": ["team_jpy_year"]}).data[0]
    assert (price.currency, price.recurring and price.recurring.interval) == ("jpy", "year")
    intent = client.v1.payment_intents.list({"limit": 1}).data[0]
    found = client.v1.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent.id}}).data
    assert [row.payment.payment_intent for row in found] == [intent.id]


def test_expansions(shop: Shop) -> None:
    simulator, client = shop
    simulator.grant_discount(simulator.new_customer("Discounted", plan="team_usd_month"), "LOYAL10")
    page = client.v1.invoice_payments.list({"expand": ["data.payment.payment_intent.latest_charge"], "limit": 3})
    charge: Any = page.data[0].payment.payment_intent
    assert charge.latest_charge.object == "charge"
    sub: Any = client.v1.subscriptions.list(
        {"expand": ["data.customer", "data.discounts.source.coupon", "data.latest_invoice"]}
    ).data[0]
    assert (sub.customer.object, sub.latest_invoice.object) == ("customer", "invoice")
    assert sub.discounts[0].source.coupon.percent_off == 10.0
    bill: Any = client.v1.invoices.list({"expand": ["data.payments"], "limit": 1}).data[0]
    assert bill.payments.data[0].object == "invoice_payment"
    plain: Any = client.v1.invoices.list({"limit": 1}).data[0]
    assert "payments" not in plain.to_dict()
    with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
        client.v1.subscriptions.list({"expand": ["data.items.data.price.product"]})
    with pytest.raises(stripe.InvalidRequestError, match=r"cannot be expanded \(nonsense\)"):
        client.v1.customers.retrieve(sub.customer.id, {"expand": ["nonsense"]})


def test_customers_and_their_metadata(shop: Shop) -> None:
    simulator, client = shop
    made = client.v1.customers.create(
        {"name": "\u5317\u4eac\u4e91\u6749", "email": "a@b.example", "metadata": {"a": "1", "b": "2"}}
    )
    client.v1.customers.update(made.id, {"metadata": {"b": "3", "a": "", "c": "4"}})
    read = client.v1.customers.retrieve(made.id)
    assert (read.name, labels(read)) == ("\u5317\u4eac\u4e91\u6749", {"b": "3", "c": "4"})
    client.v1.customers.update(made.id, {"metadata": ""})
    assert labels(client.v1.customers.retrieve(made.id)) == {}
    for metadata in ({"k" * 41: "v"}, {"k": "v" * 501}, {str(number) + "k": "v" for number in range(51)}):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.customers.update(made.id, {"metadata": metadata})
        assert str(caught.value.param).startswith("metadata")
    client.v1.customers.delete(made.id)
    assert client.v1.customers.retrieve(made.id).to_dict()["deleted"] is True
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.update(made.id, {"name": "X"})
    updates = [event for event in simulator.events("customer.updated") if event["data"]["object"]["id"] == made.id]
    assert updates[0]["data"]["previous_attributes"] == {"metadata": {"a": "1", "b": "2", "c": None}}


def test_a_subscription_from_start_to_end(shop: Shop) -> None:
    simulator, client = shop
    product = client.v1.products.create({"name": "Plan", "unit_label": "seat"})
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 1500,
            "recurring": {"interval": "month"},
            "lookup_key": "plan",
        }
    )
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    customer = client.v1.customers.create({"name": "Firm"})
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    other = simulator.new_customer("Other")
    with pytest.raises(stripe.InvalidRequestError, match="attached"):
        client.v1.payment_methods.attach(method.id, {"customer": other})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    sub = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id, "quantity": 4}],
            "discounts": [{"coupon": coupon.id}],
            "metadata": {"from": "test"},
            "expand": ["latest_invoice"],
        }
    )
    first: Any = sub.latest_invoice
    assert (sub.status, first.status, first.amount_paid, first.billing_reason) == (
        "active",
        "paid",
        3000,
        "subscription_create",
    )
    assert client.v1.subscriptions.retrieve(sub.id).discounts == []
    changed = client.v1.subscriptions.update(
        sub.id, {"cancel_at_period_end": True, "cancellation_details": {"feedback": "unused"}}
    )
    assert changed.cancel_at == changed["items"].data[0].current_period_end
    assert client.v1.subscriptions.update(sub.id, {"cancel_at_period_end": False}).cancel_at is None
    paused = client.v1.subscriptions.update(sub.id, {"pause_collection": {"behavior": "void"}})
    assert paused.pause_collection
    assert client.v1.subscriptions.update(sub.id, {"pause_collection": ""}).pause_collection is None
    items = client.v1.subscription_items.list({"subscription": sub.id}).data
    assert client.v1.subscription_items.update(items[0].id, {"quantity": 6}).quantity == 6
    assert client.v1.subscriptions.cancel(sub.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.subscriptions.update(sub.id, {"metadata": {"x": "y"}})
    types = [event["type"] for event in simulator.events()]
    for expected in (
        "customer.subscription.created",
        "invoice.paid",
        "customer.subscription.updated",
        "customer.subscription.deleted",
    ):
        assert expected in types
    trial = client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], "trial_period_days": 14})
    assert (trial.status, trial.trial_end) == ("trialing", simulator.state.now + 14 * 86_400)


def test_tiers_and_other_currencies(shop: Shop) -> None:
    _, client = shop
    product = client.v1.products.create({"name": "Seats"})
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 5, "unit_amount": 500}, {"up_to": "inf", "unit_amount_decimal": "450.5", "flat_amount": 100}],
            "currency_options": {"eur": {"tiers": [{"up_to": "inf", "unit_amount": 400}]}},
            "recurring": {"interval": "month"},
        }
    )
    assert "tiers" not in price.to_dict()
    whole: Any = client.v1.prices.retrieve(price.id, {"expand": ["tiers", "currency_options"]})
    assert [tier.up_to for tier in whole.tiers] == [5, None]
    assert whole.currency_options["eur"].tiers[0].unit_amount == 400
    customer = client.v1.customers.create({"name": "Firm"})
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    sub: Any = client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id, "quantity": 7}],
            "default_payment_method": method.id,
            "expand": ["latest_invoice"],
        }
    )
    assert sub.latest_invoice.amount_paid == 5 * 500 + 2 * 450.5 + 100
    with pytest.raises(stripe.InvalidRequestError, match="supports currencies"):
        client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], "currency": "jpy"})


@pytest.mark.parametrize(
    ("method", "decline", "code"),
    [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds", "card_declined"),
        ("pm_card_visa_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeCustomerFail", "generic_decline", "card_declined"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ],
)
def test_a_declined_payment_is_402_and_tells_why(shop: Shop, method: str, decline: str, code: str) -> None:
    simulator, client = shop
    customer = simulator.new_customer("Firm", plan="team_usd_month")
    bad = client.v1.payment_methods.attach(method, {"customer": customer})
    client.v1.invoice_items.create({"customer": customer, "amount": 700, "currency": "usd"})
    bill = client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    assert (bill.status, bill.amount_due) == ("draft", 700)
    bill = client.v1.invoices.finalize_invoice(bill.id)
    assert bill.status == "open"
    assert bill.number
    with pytest.raises(stripe.CardError) as caught:
        client.v1.invoices.pay(bill.id, {"payment_method": bad.id})
    error: Any = caught.value
    assert (error.http_status, error.code, error.error.decline_code) == (402, code, decline)
    types = [event["type"] for event in simulator.events()]
    last = types.index("charge.failed")
    assert types[last : last + 4] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.updated",
        "invoice.payment_failed",
    ]
    paid = client.v1.invoices.pay(bill.id)
    assert (paid.status, paid.attempt_count) == ("paid", 1)
    charges = client.v1.charges.list({"customer": customer, "limit": 2}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        client.v1.invoices.pay(bill.id)


def test_invoices_come_to_other_ends(shop: Shop) -> None:
    simulator, client = shop
    customer = simulator.new_customer("Firm")

    def bill() -> str:
        client.v1.invoice_items.create({"customer": customer, "amount": 500, "currency": "usd"})
        made = client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
        return str(made.id)

    draft = bill()
    client.v1.invoices.delete(draft)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.retrieve(draft)
    open_ = client.v1.invoices.finalize_invoice(bill()).id
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.delete(open_)
    assert client.v1.invoices.void_invoice(open_).status == "void"
    given_up = client.v1.invoices.finalize_invoice(bill()).id
    assert client.v1.invoices.mark_uncollectible(given_up).status == "uncollectible"
    outside = client.v1.invoices.finalize_invoice(bill()).id
    assert client.v1.invoices.pay(outside, {"paid_out_of_band": True}).status == "paid"
    kinds = {row.payment.type for row in client.v1.invoice_payments.list({"invoice": outside}).data}
    assert kinds == {"payment_intent", "payment_record"}
    free = client.v1.invoices.finalize_invoice(client.v1.invoices.create({"customer": customer}).id)
    assert (free.status, free.amount_due) == ("paid", 0)


def test_errors_are_of_the_sdks_own_classes(shop: Shop) -> None:
    simulator, client = shop
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_none'") as missing:
        client.v1.customers.retrieve("cus_none")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as dangling:
        client.v1.subscriptions.create({"customer": "cus_none", "items": [{"price": "price_none"}]})
    assert (dangling.value.http_status, dangling.value.param) == (400, "customer")
    with pytest.raises(stripe.InvalidRequestError, match="Received unknown parameter: colour") as unknown:
        client.v1.customers.create({"colour": "red"})
    assert unknown.value.code == "parameter_unknown"
    with pytest.raises(stripe.InvalidRequestError, match="Invalid integer: many"):
        client.v1.customers.list({"limit": "many"})
    with pytest.raises(stripe.InvalidRequestError, match="between 1 and 100"):
        client.v1.customers.list({"limit": 101})
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided: sk_test_") as refused:
        sdk(simulator, "sk_test_wrongwrongwrong").v1.customers.list()
    assert "wrongwrongwrong" not in str(refused.value)
    old = simulator.add_key("sk_test_old")
    simulator.expire_key(old)
    with pytest.raises(stripe.AuthenticationError, match="Expired API Key"):
        sdk(simulator, old).v1.customers.list()
    reader = simulator.add_key("rk_test_reader", {"customer": "read"})
    assert sdk(simulator, reader).v1.customers.list().data
    with pytest.raises(stripe.PermissionError, match=f"'{simulator.account_id}'. Having the 'rak_customer_write' permission"):
        sdk(simulator, reader).v1.customers.create({"name": "X"})
    with pytest.raises(stripe.PermissionError, match="rak_invoice_read"):
        sdk(simulator, reader).v1.invoices.list()
    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version"):
        sdk(simulator, stripe_version="2031-01-01.future").v1.customers.list()
    simulator.faults.add(Fault(kind="status", status=429), Fault(kind="status", status=500), Fault(kind="drop"))
    for error in (stripe.RateLimitError, stripe.APIError, stripe.APIConnectionError):
        with pytest.raises(error):
            client.v1.customers.list()
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client.raw_request("get", "/v1/nonsense")
    assert {mismatch.pointer for mismatch in simulator.refused} <= {"/query/limit", "/body", "/path"}


def test_modes_are_worlds_apart(shop: Shop) -> None:
    simulator, client = shop
    live = sdk(simulator, simulator.add_key("sk_live_key"))
    assert live.v1.customers.list().data == []
    made = live.v1.customers.create({"name": "Live"})
    assert made.livemode is True
    with pytest.raises(stripe.InvalidRequestError, match="exists in live mode, but a test mode key"):
        client.v1.customers.retrieve(made.id)


def test_stripes_limit(simulate: Start) -> None:
    simulator = simulate(accounts=1, rate_limit=3)
    client = sdk(simulator)
    for _ in range(3):
        client.v1.customers.list()
    with pytest.raises(stripe.RateLimitError):
        client.v1.customers.list()
    simulator.clock.advance(1)
    client.v1.customers.list()


# --- idempotency ---


@pytest.fixture
def key() -> stripe.RequestOptions:
    return {"idempotency_key": "order-1"}


def test_the_same_key_gives_the_first_answer_again(shop: Shop, key: stripe.RequestOptions) -> None:
    simulator, client = shop
    first = client.v1.customers.create({"name": "Once"}, key)
    again = client.v1.customers.create({"name": "Once"}, key)
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert [effect.kind for effect in simulator.log.effects] == ["customer.created"]
    simulator.clock.advance(24 * HOUR)
    assert client.v1.customers.create({"name": "Once"}, key).id != first.id


def test_the_same_key_with_other_parameters(shop: Shop, key: stripe.RequestOptions) -> None:
    _, client = shop
    client.v1.customers.create({"name": "Once"}, key)
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        client.v1.customers.create({"name": "Twice"}, key)
    with pytest.raises(stripe.IdempotencyError):
        client.v1.products.create({"name": "Once"}, key)


def test_errors_while_at_work_are_kept_and_refusals_are_not(shop: Shop, key: stripe.RequestOptions) -> None:
    simulator, client = shop
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({"colour": "red"}, key)
    simulator.faults.add(Fault(kind="status", status=500, when="inside"))
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            client.v1.customers.create({"name": "Once"}, key)
    assert simulator.state.all("customer", name="Once") == []
    bill = simulator.fail_payment(simulator.new_customer("Firm", plan="team_usd_month"))
    attempt: stripe.RequestOptions = {"idempotency_key": "attempt-1"}
    before = len(simulator.state.tables["charge"].rows)
    for _ in range(3):
        with pytest.raises(stripe.CardError):
            client.v1.invoices.pay(bill, options=attempt)
    assert len(simulator.state.tables["charge"].rows) == before + 1


def test_two_requests_at_once_with_one_key(shop: Shop, key: stripe.RequestOptions) -> None:
    simulator, client = shop
    made: list[stripe.Customer] = []
    with simulator.gate("POST", "/v1/customers") as gate:
        first = threading.Thread(target=lambda: made.append(client.v1.customers.create({"name": "Once"}, key)))
        first.start()
        assert gate.arrived.wait(10)
        with pytest.raises(stripe.APIError) as caught:
            sdk(simulator).v1.customers.create({"name": "Once"}, key)
        assert (caught.value.http_status, caught.value.error and caught.value.error.code) == (409, "idempotency_key_in_use")
        gate.open()
        first.join(10)
    assert client.v1.customers.create({"name": "Once"}, key).id == made[0].id


def test_the_sdks_own_retries_do_things_once(shop: Shop) -> None:
    simulator, _ = shop
    retrying = stripe.StripeClient(simulator.key, base_addresses={"api": simulator.url}, max_network_retries=2)
    simulator.faults.add(Fault(kind="drop", method="POST", when="after"))
    made = retrying.v1.customers.create({"name": "Once"})
    assert [row["id"] for row in simulator.state.all("customer", name="Once")] == [made.id]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # what the SDK does with httpx
async def test_the_async_client(shop: Shop) -> None:
    simulator, _ = shop
    http: Any = stripe.HTTPXClient()
    try:
        client = sdk(simulator, http_client=http)
        page = await client.v1.customers.list_async({"limit": 10})
        assert len([row async for row in page.auto_paging_iter()]) == 12
        updated = await client.v1.customers.update_async(page.data[0].id, {"metadata": {"health": "72"}})
        assert labels(updated)["health"] == "72"
    finally:
        await http.close_async()
