"""Webhooks: genuine, forged, old, from the future, replayed; and what they hint at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import WebhookRequest
from wellkept.errors import RejectedError, SignatureError
from wellkept_zendesk import webhooks
from wellkept_zendesk.webhooks import TOLERANCE, receive, signature

Start = Callable[..., Any]
SECRET = "zendesk-webhook-secret"
STREAMS = ("organizations", "users", "tickets", "satisfaction_ratings")


@pytest.fixture
def told(simulate: Start, connector: Start) -> tuple[Any, Any, int]:
    simulator = simulate(1, tickets=False)
    user = next(row["id"] for row in simulator.state.all("user") if row["organization_id"])
    return simulator, connector(simulator), simulator.new_ticket(user, "Question")


def test_a_genuine_one(told: tuple[Any, Any, int]) -> None:
    simulator, link, ticket = told
    event = simulator.state.events[-1]
    received = link.source.receive(simulator.webhook(event, SECRET))
    assert [(hint.id, hint.stream, hint.object_id) for hint in received.hints] == [(event.id, "tickets", str(ticket))]
    assert received.hints[0].at == event.at * 1000


def test_a_replay_is_the_same_hint(told: tuple[Any, Any, int]) -> None:
    """Core keeps one hint for the same delivery, stream and object."""
    simulator, link, _ = told
    request = simulator.webhook(simulator.state.events[-1], SECRET)
    again = msgspec.structs.replace(request, received_at=request.received_at + 1000)
    assert link.source.receive(request).hints == link.source.receive(again).hints


@pytest.mark.parametrize("off", [-TOLERANCE - 1, TOLERANCE + 1])
def test_an_old_one_and_one_from_the_future(told: tuple[Any, Any, int], off: int) -> None:
    simulator, link, _ = told
    request = simulator.webhook(simulator.state.events[-1], SECRET, at=simulator.state.now + off)
    with pytest.raises(SignatureError, match="too old, or from the future"):
        link.source.receive(request)


@pytest.mark.parametrize("off", [-TOLERANCE, TOLERANCE])
def test_clocks_may_differ_a_little(told: tuple[Any, Any, int], off: int) -> None:
    simulator, link, _ = told
    assert link.source.receive(simulator.webhook(simulator.state.events[-1], SECRET, at=simulator.state.now + off)).hints


def test_forged_ones(told: tuple[Any, Any, int]) -> None:
    simulator, link, _ = told
    genuine = simulator.webhook(simulator.state.events[-1], SECRET)
    other = {"x-zendesk-webhook-signature-timestamp": "2026-11-21T00:00:01Z"}
    forged = [
        simulator.webhook(simulator.state.events[-1], "another-secret"),
        msgspec.structs.replace(genuine, body=genuine.body.replace(b"ticket", b"user")),
        msgspec.structs.replace(genuine, headers={**genuine.headers, **other}),
        msgspec.structs.replace(genuine, headers={**genuine.headers, "x-zendesk-webhook-signature": "\u00e9"}),
        msgspec.structs.replace(genuine, headers={}),
    ]
    for request in forged:
        with pytest.raises(SignatureError):
            link.source.receive(request)


def test_a_time_that_is_signed_and_is_none(told: tuple[Any, Any, int]) -> None:
    headers = {
        "x-zendesk-webhook-signature": signature("soon", b"{}", SECRET),
        "x-zendesk-webhook-signature-timestamp": "soon",
    }
    request = WebhookRequest(method="POST", url="/", headers=headers, body=b"{}", received_at=0)
    with pytest.raises(SignatureError):
        receive(request, [SECRET], STREAMS)


def test_without_a_secret_nothing_is_believed(told: tuple[Any, Any, int]) -> None:
    simulator, _, _ = told
    with pytest.raises(SignatureError, match="webhook_secret"):
        receive(simulator.webhook(simulator.state.events[-1], ""), [], STREAMS)


def test_a_secret_that_is_being_rotated(told: tuple[Any, Any, int]) -> None:
    simulator, _, _ = told
    for secret in ("old", "new"):
        assert receive(simulator.webhook(simulator.state.events[-1], secret), ["old", "new"], STREAMS).hints


@pytest.mark.parametrize(
    ("body", "hints"),
    [
        ({"ticket_id": "17"}, [("tickets", "17")]),
        ({"ticket_id": 17, "organization_id": 4}, [("tickets", "17"), ("organizations", "4")]),
        ({"satisfaction_rating_id": 9, "user_id": "3"}, [("users", "3"), ("satisfaction_ratings", "9")]),
        ({"type": "zen:event-type:organization.deleted", "subject": "zen:organization:5"}, [("organizations", "5")]),
        (
            {"type": "zen:event-type:ticket.csat_received", "subject": "zen:ticket:8", "id": "e"},
            [("tickets", "8"), ("satisfaction_ratings", None)],
        ),
        ({"type": "zen:event-type:article.published", "subject": "zen:article:5"}, []),
    ],
)
def test_what_is_hinted_at(told: tuple[Any, Any, int], body: dict[str, Any], hints: list[tuple[str, str | None]]) -> None:
    simulator, link, _ = told
    received = link.source.receive(simulator.webhook(body, SECRET))
    assert [(hint.stream, hint.object_id) for hint in received.hints] == hints


@pytest.mark.parametrize("body", [{"hello": "world"}, {"ticket_id": "17; drop"}, ["ticket"], "text"])
def test_genuine_but_not_understood(told: tuple[Any, Any, int], body: Any) -> None:
    simulator, link, _ = told
    with pytest.raises(RejectedError):
        link.source.receive(simulator.webhook(body, SECRET))


@given(body=st.binary(max_size=200), stamp=st.text(max_size=30))
def test_anything_at_all_is_refused_or_rejected(body: bytes, stamp: str) -> None:
    """Whoever does not know the secret gets nothing but a SignatureError."""
    headers = {"x-zendesk-webhook-signature": "bm8=", "x-zendesk-webhook-signature-timestamp": stamp}
    with pytest.raises(SignatureError):
        webhooks.receive(WebhookRequest(method="POST", url="/", headers=headers, body=body, received_at=0), [SECRET], STREAMS)


def test_streams_that_are_not_read_are_not_hinted_at(told: tuple[Any, Any, int]) -> None:
    simulator, _, _ = told
    request = simulator.webhook({"ticket_id": 17, "organization_id": 4}, SECRET)
    assert [hint.stream for hint in receive(request, [SECRET], ["tickets"]).hints] == ["tickets"]


def test_a_known_signature() -> None:
    """Computed with openssl: printf '2021-03-25T05:09:27Z{"a":1}' | openssl dgst -sha256 -hmac secret -binary | base64"""
    assert signature("2021-03-25T05:09:27Z", b'{"a":1}', "secret") == "cfusl9J3LiQ8f1lBL4XyKz9XF36PrBmDiX2DDJ7FACs="


async def test_a_hint_is_read_again_by_id(told: tuple[Any, Any, int]) -> None:
    simulator, link, ticket = told
    [hint] = link.source.receive(simulator.webhook(simulator.state.events[-1], SECRET)).hints
    batch = await link.source.fetch(link.stream(hint.stream), [hint.object_id])
    assert [record.id for record in batch.records] == [str(ticket)]
