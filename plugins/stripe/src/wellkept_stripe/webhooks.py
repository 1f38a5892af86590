"""Webhooks: verified on their raw bytes, then reduced to what should be read again."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from wellkept import Hint, Received, WebhookRequest
from wellkept.errors import RejectedError, SignatureError
from wellkept_stripe import streams
from wellkept_stripe.readers import Reader
from wellkept_stripe.wire_events import Event, Notice

TOLERANCE = 300
"""Seconds by which a signature's time may differ from ours, in either direction. Stripe's own libraries bound the past only."""

PAYING = frozenset({"invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "invoice.payment_action_required"})
"""Events of an invoice that tell of an attempt as well; the payment's own events may not be sent to this endpoint."""

_STREAM_OF = {
    "cus": streams.CUSTOMERS,
    "sub": streams.SUBSCRIPTIONS,
    "in": streams.INVOICES,
    "inpay": streams.PAYMENT_ATTEMPTS,
    "pi": streams.PAYMENT_ATTEMPTS,
    "ch": streams.PAYMENT_ATTEMPTS,
    "py": streams.PAYMENT_ATTEMPTS,
    "pm": streams.PAYMENT_METHODS,
    "price": streams.PRICES,
    "prod": streams.PRODUCTS,
}
"""Prefix of an id to the stream that it belongs to, for thin events, which have nothing but an id."""

_TIME = re.compile(r"[0-9]{1,12}", re.ASCII)


def verify(request: WebhookRequest, secrets: Sequence[str]) -> None:
    """Make sure that a webhook is Stripe's own, and of now.

    ``Stripe-Signature: t=TIME,v1=HEX[,v1=HEX]`` holds HMAC-SHA256 of ``TIME.BODY`` under the endpoint's secret, once for each
    secret that is good while one is being rotated. Source: docs.stripe.com/webhooks, verify manually.

    Raises:
        SignatureError: It is not.
    """
    if not secrets:
        raise SignatureError("webhooks cannot be verified", guidance="set webhook_secret to the endpoint's signing secret")
    parts = [part.strip().partition("=") for part in request.headers.get("stripe-signature", "").split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [value.encode() for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not signatures:
        raise SignatureError("the Stripe-Signature header is missing or malformed")
    signed = times[0].encode() + b"." + request.body
    expected = [hmac.new(secret.encode(), signed, sha256).hexdigest().encode() for secret in secrets]
    matches = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in signatures]
    if not any(matches):
        raise SignatureError(
            "the signature does not match", guidance="compare webhook_secret with the endpoint's signing secret"
        )
    if abs(request.received_at - int(times[0]) * 1000) > TOLERANCE * 1000:
        raise SignatureError("the signature is too old, or from the future", guidance="set this machine's clock")


def receive(request: WebhookRequest, secrets: Sequence[str], readers: Iterable[Reader[Any]]) -> Received:
    """Verify a webhook and return what to read again.

    Raises:
        SignatureError: See `verify`.
        RejectedError: It is genuine, but no event.
    """
    verify(request, secrets)
    try:
        notice = msgspec.json.decode(request.body, type=Notice)
        at = _instant(notice.created)
        found = dict.fromkeys(_thin(notice) if notice.data is None else _hints(notice, request.body, readers))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise RejectedError(f"the body is no event: {type(error).__name__}") from None
    return Received(
        hints=[Hint(id=notice.id, stream=stream, object_id=id_, at=at) for stream, id_ in found],
        vendor_account=notice.account,
        mode="live" if notice.livemode else "test",
    )


def _hints(notice: Notice, body: bytes, readers: Iterable[Reader[Any]]) -> Iterable[tuple[str, str]]:
    event = msgspec.json.decode(body, type=Event)
    for reader in readers:
        if notice.type in reader.types:
            for subject in reader.subjects(event):
                yield reader.stream.name, subject.id
                if notice.type in PAYING:
                    yield streams.PAYMENT_ATTEMPTS.name, subject.id


def _thin(notice: Notice) -> Iterable[tuple[str, str]]:
    related = notice.related_object
    if related is None:
        raise RejectedError("the event says nothing about an object")
    stream = _STREAM_OF.get(related.id.partition("_")[0])
    if stream is not None:
        yield stream.name, related.id


def _instant(created: int | str) -> int:
    """Return epoch ms of epoch seconds, or of an RFC 3339 text."""
    return created * 1000 if isinstance(created, int) else int(datetime.fromisoformat(created).timestamp() * 1000)
