"""Webhooks: what is believed, and what is read again because of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept import WebhookRequest
from wellkept.errors import RejectedError, SignatureError
from wellkept.records import Account

Start = Callable[..., Any]
URL = "https://wellkept.example/webhooks/hubspot"


def request(headers: Mapping[str, str], body: bytes, at: int, url: str = URL, method: str = "POST") -> WebhookRequest:
    return WebhookRequest(method=method, url=url, headers=headers, body=body, received_at=at)


@pytest.fixture
async def pair(simulate: Start, connector: Start) -> tuple[Any, Any]:
    simulator = simulate(accounts=4)
    return simulator, connector(simulator)


def hints(received: Any) -> set[tuple[str, str]]:
    return {(hint.stream, hint.object_id) for hint in received.hints}


async def test_a_batch_of_events_becomes_hints(pair: tuple[Any, Any]) -> None:
    simulator, link = pair
    await link.sync("companies")
    one, two, three, *_ = sorted(link.all(Account))
    simulator.edit("companies", one, name="Told", domain="told.example")
    simulator.archive("companies", two)
    headers, body = simulator.webhook(URL)
    assert len(json.loads(body)) == 3
    received = link.source.receive(request(headers, body, simulator.clock.now()))
    assert hints(received) == {("companies", one), ("companies", two)}
    assert received.vendor_account == str(simulator.portal_id)
    assert {hint.at for hint in received.hints} == {simulator.clock.now()}
    link.apply(await link.source.fetch(link.stream("companies"), [hint.object_id for hint in received.hints]))
    assert link.all(Account)[one].name == "Told"
    assert two not in link.all(Account)
    again = link.source.receive(request(headers, body, simulator.clock.now()))
    assert [hint.id for hint in again.hints] == [hint.id for hint in received.hints]  # a replay tells nothing new
    simulator.merge_companies(one, three)
    received = link.source.receive(request(*simulator.webhook(URL), simulator.clock.now()))
    assert ("companies", three) in hints(received)
    link.apply(await link.source.fetch(link.stream("companies"), [hint.object_id for hint in received.hints]))
    assert three not in link.all(Account)


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        ({"subscriptionType": "contact.creation", "objectId": 7}, {("contacts", "7")}),
        ({"subscriptionType": "deal.creation", "objectId": "7", "eventId": "x", "mergedObjectIds": None}, {("deals", "7")}),
        ({"subscriptionType": "contact.privacyDeletion", "objectId": 7}, {("contacts", "7")}),
        ({"subscriptionType": "deal.restore", "objectId": 7}, {("deals", "7")}),
        ({"subscriptionType": "object.creation", "objectTypeId": "0-27", "objectId": 7}, {("tasks", "7")}),
        ({"subscriptionType": "object.propertyChange", "objectTypeId": "0-2", "objectId": 7}, {("companies", "7")}),
        ({"subscriptionType": "object.propertyChange", "objectTypeId": "2-99", "objectId": 7}, {("contracts", "7")}),
        ({"subscriptionType": "object.propertyChange", "objectTypeId": "2-98", "objectId": 7}, set()),
        ({"subscriptionType": "ticket.creation", "objectId": 7}, set()),
        (
            {"subscriptionType": "company.merge", "primaryObjectId": 7, "mergedObjectIds": [8, 9], "newObjectId": 10},
            {("companies", "7"), ("companies", "8"), ("companies", "9"), ("companies", "10")},
        ),
        (
            {
                "subscriptionType": "contact.associationChange",
                "associationType": "CONTACT_TO_COMPANY",
                "fromObjectId": 7,
                "toObjectId": 8,
            },
            {("contacts", "7")},
        ),
        (
            {
                "subscriptionType": "company.associationChange",
                "associationType": "COMPANY_TO_DEAL",
                "fromObjectId": 7,
                "toObjectId": 8,
            },
            {("deals", "8")},
        ),
    ],
)  # fmt: skip
async def test_kinds_of_events(simulate: Start, connector: Start, notice: dict[str, Any], expected: set[Any]) -> None:
    simulator = simulate()
    link = connector(simulator, objects={"contracts": {"object_type": "2-99"}})
    event = {"eventId": 1, "occurredAt": simulator.clock.now(), **notice}
    received = link.source.receive(request(*simulator.webhook(URL, [event]), simulator.clock.now()))
    assert hints(received) == expected


async def test_forged_ones(pair: tuple[Any, Any]) -> None:
    simulator, link = pair
    simulator.new_company("One")
    now = simulator.clock.now()
    headers, body = simulator.webhook(URL)
    link.source.receive(request(headers, body, now))
    forgeries = [
        request({**headers, "x-hubspot-signature-v3": "AAAA"}, body, now),
        request({**headers, "x-hubspot-signature-v3": "\u00e9"}, body, now),
        request({**headers, "x-hubspot-request-timestamp": str(now + 1)}, body, now),
        request({**headers, "x-hubspot-request-timestamp": "soon"}, body, now),
        request({**headers, "x-hubspot-request-timestamp": ""}, body, now),
        request({name: value for name, value in headers.items() if "signature" not in name}, body, now),
        request(headers, body + b" ", now),
        request(headers, body + b"\xff", now),
        request(headers, body, now, url=URL + "/other"),
        request(headers, body, now, method="PUT"),
    ]
    for forged in forgeries:
        with pytest.raises(SignatureError):
            link.source.receive(forged)


@pytest.mark.parametrize(("seconds", "good"), [(299, True), (301, False), (-299, True), (-301, False)])
async def test_old_ones_and_those_from_the_future(pair: tuple[Any, Any], seconds: int, good: bool) -> None:
    simulator, link = pair
    now = simulator.clock.now()
    headers, body = simulator.webhook(URL, [], at=now - seconds * 1000)
    if good:
        assert link.source.receive(request(headers, body, now)).hints == []
    else:
        with pytest.raises(SignatureError):
            link.source.receive(request(headers, body, now))


async def test_secrets_while_one_is_rotated(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = simulate()
    monkeypatch.setenv("NEXT", "the-next-secret")
    both = connector(simulator, webhook_secret=["env:NEXT", "env:HUBSPOT_WEBHOOK_SECRET"])
    now = simulator.clock.now()
    both.source.receive(request(*simulator.webhook(URL, []), now))
    simulator.webhook_secret = "the-next-secret"
    both.source.receive(request(*simulator.webhook(URL, []), now))
    none = connector(simulator, webhook_secret=None)
    with pytest.raises(SignatureError):
        none.source.receive(request(*simulator.webhook(URL, []), now))


async def test_an_apps_client_secret_signs(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = simulate()
    monkeypatch.setenv("APP_SECRET", simulator.webhook_secret)
    monkeypatch.setenv("REFRESH", "r")
    oauth = {"client_id": "a", "client_secret": "env:APP_SECRET", "refresh_token": "env:REFRESH"}
    link = connector(simulator, oauth=oauth, webhook_secret=None)
    link.source.receive(request(*simulator.webhook(URL, []), simulator.clock.now()))


async def test_genuine_but_not_understood(pair: tuple[Any, Any]) -> None:
    simulator, link = pair
    now = simulator.clock.now()
    for body in (b"{}", b"[1]", b"nonsense", b'[{"eventId": 1}]'):
        headers = simulator.signed(URL, body)
        with pytest.raises(RejectedError):
            link.source.receive(request(headers, body, now))


async def test_events_of_several_accounts(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    now = simulator.clock.now()
    event = {"occurredAt": now, "subscriptionType": "company.creation"}
    events = [{**event, "eventId": 1, "objectId": 7}, {**event, "eventId": 2, "objectId": 8, "portalId": 1}]
    message = request(*simulator.webhook(URL, events), now)
    with pytest.raises(RejectedError, match="several accounts"):
        connector(simulator).source.receive(message)
    received = connector(simulator, portal_id=simulator.portal_id).source.receive(message)
    assert hints(received) == {("companies", "7")}


async def test_an_encoded_address(pair: tuple[Any, Any]) -> None:
    simulator, link = pair
    headers, body = simulator.webhook("https://wellkept.example/webhooks/hub:spot", [])
    link.source.receive(request(headers, body, simulator.clock.now(), url="https://wellkept.example/webhooks/hub%3Aspot"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)), split=st.lists(st.integers(0, 5), max_size=3))
async def test_any_order_and_repetition_converge(pair: tuple[Any, Any], order: list[int], split: list[int]) -> None:
    simulator, link = pair
    company = simulator.new_company("Zero")
    for number in range(5):
        simulator.clock.advance(1)
        simulator.edit("companies", company, name=f"Name {number}")
    notices, simulator.state.notices = list(simulator.state.notices), []
    now = simulator.clock.now()
    for index in [*order, *split]:
        received = link.source.receive(request(*simulator.webhook(URL, [notices[index]]), now))
        link.apply(await link.source.fetch(link.stream("companies"), [hint.object_id for hint in received.hints]))
    assert link.all(Account)[company].name == "Name 4"
