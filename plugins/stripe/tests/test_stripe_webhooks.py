from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept import Received, WebhookRequest
from wellkept.errors import RejectedError, SignatureError
from wellkept_stripe.simulator import signature
from wellkept_stripe.simulator.shapes import VERSIONS
from wellkept_stripe.webhooks import verify

Start = Callable[..., Any]
SECRET = "whsec_simulated"


def hints(received: Received) -> set[tuple[str, str | None]]:
    return {(hint.stream, hint.object_id) for hint in received.hints}


@pytest.fixture
async def wired(simulate: Start, connector: Start) -> tuple[Any, Any, str]:
    simulator = simulate(accounts=20, seed=3)
    customer = next(
        sub["customer"] for sub in simulator.state.tables["subscription"].rows.values() if sub["status"] == "active"
    )
    return simulator, connector(simulator), customer


async def test_a_failed_payment_hints_at_all_that_it_touches(wired: tuple[Any, Any, str]) -> None:
    simulator, link, customer = wired
    invoice = simulator.fail_payment(customer)
    found = [link.source.receive(simulator.webhook(event, SECRET)) for event in simulator.events()]
    sub = simulator._subscription(customer)["id"]
    intent = simulator.state.all("payment_intent", customer=customer)[0]["id"]
    assert set().union(*map(hints, found)) >= {
        ("invoices", invoice),
        ("payment_attempts", invoice),
        ("payment_attempts", intent),
        ("subscriptions", sub),
        ("customers", customer),
    }
    assert {(one.mode, one.vendor_account) for one in found} == {("test", None)}
    assert all(hint.at == simulator.state.now * 1000 and hint.id.startswith("evt_") for one in found for hint in one.hints)
    for stream in ("invoices", "payment_attempts", "subscriptions", "customers"):
        ids = [hint.object_id for one in found for hint in one.hints if hint.stream == stream]
        link.apply(await link.source.fetch(link.stream(stream), ids))
    await link.sync()
    state = link.state()
    await link.sync()
    assert link.state() == state


@pytest.mark.parametrize("version", VERSIONS)
async def test_webhooks_of_any_version_hint_at_the_same(wired: tuple[Any, Any, str], version: str) -> None:
    simulator, link, customer = wired
    simulator.grant_discount(customer, "LOYAL10")
    simulator.fail_payment(customer)
    for event in simulator.events():
        newest = link.source.receive(simulator.webhook(event, SECRET))
        older = simulator.webhook(event, SECRET, api_version=version)
        assert json.loads(older.body)["api_version"] == version
        assert hints(link.source.receive(older)) == hints(newest)


async def test_the_shape_before_basil(wired: tuple[Any, Any, str]) -> None:
    simulator, link, customer = wired
    invoice = simulator.fail_payment(customer)
    event = simulator.events("invoice.payment_failed")[0]
    request = simulator.webhook(event, SECRET, api_version="2024-06-20")
    shown = json.loads(request.body)["data"]["object"]
    assert {"subscription", "payment_intent", "charge", "paid"} <= shown.keys()
    assert "parent" not in shown
    assert hints(link.source.receive(request)) == {("invoices", invoice), ("payment_attempts", invoice)}


def forged(request: WebhookRequest, **changes: Any) -> WebhookRequest:
    return msgspec.structs.replace(request, **changes)


def resigned(request: WebhookRequest, header: str) -> WebhookRequest:
    return forged(request, headers={**request.headers, "stripe-signature": header})


async def test_forged_webhooks_are_refused(wired: tuple[Any, Any, str]) -> None:
    simulator, link, customer = wired
    simulator.rename(customer, "X")
    event = simulator.events()[0]
    good = simulator.webhook(event, SECRET)
    link.source.receive(good)
    now = simulator.state.now
    hexes = signature(good.body, SECRET, now)
    wrong = [
        simulator.webhook(event, "whsec_other"),
        forged(good, body=good.body + b" "),
        forged(good, body=good.body.replace(b'"X"', b'"Y"')),
        forged(good, headers={}),
        resigned(good, ""),
        resigned(good, f"v1={hexes}"),
        resigned(good, f"t={now}"),
        resigned(good, f"t={now},v0={hexes}"),
        resigned(good, f"t={now},v1="),
        resigned(good, f"t={now},v1={hexes[:-1]}"),
        resigned(good, f"t={now}0,v1={hexes}"),
        resigned(good, f"t={now},t={now - 1},v1={hexes}"),
        resigned(good, f"t=,v1={hexes}"),
        resigned(good, f"t=-{now},v1={hexes}"),
        resigned(good, f"t=\u0661\u0662,v1={hexes}"),
        resigned(good, f"t={now},v1=\u00e9{hexes}"),
        resigned(good, "t=1=2,v1=3=4"),
    ]
    for request in wrong:
        with pytest.raises(SignatureError):
            link.source.receive(request)


@pytest.mark.parametrize(("seconds", "accepted"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
async def test_old_and_future_signatures(wired: tuple[Any, Any, str], seconds: int, accepted: bool) -> None:
    simulator, link, customer = wired
    simulator.rename(customer, "X")
    request = simulator.webhook(simulator.events()[0], SECRET, at=simulator.state.now + seconds)
    if accepted:
        assert link.source.receive(request).hints
    else:
        with pytest.raises(SignatureError, match="too old, or from the future"):
            link.source.receive(request)


async def test_a_replay_says_the_same_again(wired: tuple[Any, Any, str]) -> None:
    """Core keeps one hint for the same (id, stream, object); after five minutes a replay is too old."""
    simulator, link, customer = wired
    simulator.rename(customer, "X")
    request = simulator.webhook(simulator.events()[0], SECRET)
    assert link.source.receive(request) == link.source.receive(request)
    with pytest.raises(SignatureError):
        link.source.receive(forged(request, received_at=request.received_at + 301_000))


async def test_a_secret_that_is_being_rotated(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = simulate(accounts=1)
    customer = next(iter(simulator.state.tables["customer"].rows))
    simulator.rename(customer, "X")
    event = simulator.events()[0]
    monkeypatch.setenv("SECOND_SECRET", "whsec_second")
    link = connector(simulator, webhook_secret=["env:STRIPE_WEBHOOK_SECRET", "env:SECOND_SECRET"])
    for request in (
        simulator.webhook(event, SECRET),
        simulator.webhook(event, "whsec_second"),
        simulator.webhook(event, "whsec_old", also_signed_with="whsec_second"),
    ):
        assert link.source.receive(request).hints
    with pytest.raises(SignatureError):
        link.source.receive(simulator.webhook(event, "whsec_third"))
    none = connector(simulator, webhook_secret=None)
    with pytest.raises(SignatureError, match="set webhook_secret"):
        none.source.receive(simulator.webhook(event, ""))


async def test_genuine_but_not_understood(wired: tuple[Any, Any, str]) -> None:
    simulator, link, _ = wired
    now = simulator.state.now
    for body in (
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"id": "evt_1"}',
        b'{"object":"v2.core.event","id":"e","type":"x","created":"soon","livemode":true}',
    ):
        header = f"t={now},v1={signature(body, SECRET, now)}"
        request = WebhookRequest(method="POST", url="", headers={"stripe-signature": header}, body=body, received_at=now * 1000)
        with pytest.raises(RejectedError):
            link.source.receive(request)


async def test_events_of_no_interest_and_live_mode(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1, livemode=True)
    link = connector(simulator)
    simulator.state.emit("radar.early_fraud_warning.created", {"object": "radar.early_fraud_warning", "id": "issfr_1"})
    simulator.state.emit("invoice.upcoming", {"object": "invoice", "subscription": "sub_1"})
    received = [link.source.receive(simulator.webhook(event, SECRET)) for event in simulator.events()]
    assert [(one.hints, one.mode) for one in received] == [([], "live"), ([], "live")]


async def test_thin_events(wired: tuple[Any, Any, str]) -> None:
    simulator, link, _ = wired
    now = simulator.state.now

    def receive(related: str, **more: Any) -> Received:
        value = {
            "id": "evt_test_1",
            "object": "v2.core.event",
            "type": "v1.customer.subscription.past_due",
            "created": "2026-11-21T00:00:00.250Z",
            "livemode": False,
            "related_object": {"id": related, "type": "subscription", "url": f"/v1/subscriptions/{related}"},
            **more,
        }
        body = json.dumps(value).encode()
        headers = {"stripe-signature": f"t={now},v1={signature(body, SECRET, now)}"}
        found: Received = link.source.receive(
            WebhookRequest(method="POST", url="", headers=headers, body=body, received_at=now * 1000)
        )
        return found

    received = receive("sub_1")
    assert [(hint.stream, hint.object_id, hint.at) for hint in received.hints] == [
        ("subscriptions", "sub_1", 1_795_219_200_250)
    ]
    assert receive("acct_1").hints == []
    with pytest.raises(RejectedError):
        receive("sub_1", related_object=None)


@settings(max_examples=200)
@given(st.text(max_size=80), st.binary(max_size=40))
def test_no_header_and_no_body_break_the_verifier(header: str, body: bytes) -> None:
    request = WebhookRequest(method="POST", url="", headers={"stripe-signature": header}, body=body, received_at=0)
    with pytest.raises(SignatureError):
        verify(request, ["whsec_1"])


async def test_the_official_library_accepts_the_simulators_signature(wired: tuple[Any, Any, str], monkeypatch: Any) -> None:
    import stripe

    simulator, _, customer = wired
    simulator.rename(customer, "\u6539\u540d")
    request = simulator.webhook(simulator.events()[0], SECRET)
    monkeypatch.setattr("time.time", lambda: simulator.state.now)
    event = stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], SECRET)
    assert event.data.object["name"] == "\u6539\u540d"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], "whsec_other")


async def test_delivery_over_http(simulate: Start, connector: Start) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from wellkept.testing import Server

    simulator = simulate(accounts=1)
    link = connector(simulator)
    taken: list[Received] = []
    answers = iter([500, 200, 200])

    async def hook(request: Request) -> Response:
        message = WebhookRequest(
            method="POST",
            url=str(request.url),
            headers=dict(request.headers),
            body=await request.body(),
            received_at=link.clock.now(),
        )
        taken.append(link.source.receive(message))
        return Response(status_code=next(answers))

    import asyncio

    import stripe

    with Server(Starlette(routes=[Route("/hook", hook, methods=["POST"])])) as server:
        client = stripe.StripeClient(simulator.key, base_addresses={"api": simulator.url})
        endpoint = client.v1.webhook_endpoints.create(
            {"url": f"{server.url}/hook", "enabled_events": ["customer.updated"], "api_version": "2024-06-20"}
        )
        simulator.state.get("webhook_endpoint", endpoint.id)["_secret"] = SECRET
        customer = next(iter(simulator.state.tables["customer"].rows))
        simulator.rename(customer, "X")
        simulator.cancel_at_period_end(simulator.new_customer("Other", plan="team_usd_month"))
        assert await asyncio.to_thread(simulator.deliver) == {"taken": 1, "refused": 1}
        assert await asyncio.to_thread(simulator.deliver) == {"taken": 1, "refused": 0}
        assert await asyncio.to_thread(simulator.deliver) == {"taken": 0, "refused": 0}
    assert {stream for one in taken for stream, _ in hints(one)} == {"customers", "payment_methods"}


async def test_a_genuine_event_of_another_shape_is_no_event(wired: tuple[Any, Any, str]) -> None:
    """A snapshot event whose time is written as a thin event's is; asking Stripe to send it again would not help."""
    simulator, link, customer = wired
    simulator.rename(customer, "X")
    event = json.loads(simulator.webhook(simulator.events()[0], SECRET).body)
    body = json.dumps(event | {"created": "2026-11-21T12:00:00Z"}).encode()
    now = simulator.state.now
    header = f"t={now},v1={signature(body, SECRET, now)}"
    request = forged(simulator.webhook(simulator.events()[0], SECRET), body=body)
    with pytest.raises(RejectedError, match="the body is no event"):
        link.source.receive(resigned(request, header))
