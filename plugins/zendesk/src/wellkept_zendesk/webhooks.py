"""Webhooks: verified on their raw bytes, then reduced to what should be read again.

Zendesk sends two kinds. *Events* have a shape of their own, with a subject such as ``zen:ticket:35436``. *Triggers and
automations* send what an admin wrote; of that, ``{"ticket_id": "{{ticket.id}}"}`` and the like are understood.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from wellkept import Hint, Received, WebhookRequest
from wellkept.errors import RejectedError, SignatureError
from wellkept_zendesk import streams
from wellkept_zendesk.wire import instant

TOLERANCE = 300
"""Seconds by which a signature's time may differ from ours, in either direction."""

STREAM_OF = {
    "ticket": streams.TICKETS.name,
    "user": streams.USERS.name,
    "organization": streams.ORGANIZATIONS.name,
    "satisfaction_rating": streams.RATINGS.name,
}

_SUBJECT = re.compile(r"zen:(ticket|user|organization|satisfaction_rating):(\d{1,20})", re.ASCII)
_RATED = re.compile(r"csat|satisfaction")


class Notice(msgspec.Struct):
    """What is read of a webhook's body."""

    id: str | None = None
    type: str | None = None
    subject: str | None = None
    time: str | None = None
    ticket_id: int | str | None = None
    user_id: int | str | None = None
    organization_id: int | str | None = None
    satisfaction_rating_id: int | str | None = None


def signature(timestamp: str, body: bytes, secret: str) -> str:
    """Return base64 of HMAC-SHA256 over the time stamp and the raw body. Source: the vendor's guide, verifying webhooks."""
    return base64.b64encode(hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()).decode()


def verify(request: WebhookRequest, secrets: Sequence[str]) -> int:
    """Make sure that a webhook is Zendesk's own, and of now; return when it was sent, epoch ms.

    Raises:
        SignatureError: It is not.
    """
    if not secrets:
        raise SignatureError("webhooks cannot be verified", guidance="set webhook_secret to the webhook's signing secret")
    timestamp = request.headers.get("x-zendesk-webhook-signature-timestamp", "")
    given = request.headers.get("x-zendesk-webhook-signature", "")
    if not given or not timestamp:
        raise SignatureError("the X-Zendesk-Webhook-Signature headers are missing")
    matches = [hmac.compare_digest(signature(timestamp, request.body, secret).encode(), given.encode()) for secret in secrets]
    if not any(matches):
        raise SignatureError(
            "the signature does not match", guidance="compare webhook_secret with the webhook's signing secret"
        )
    try:
        at = instant(timestamp, "timestamp")
    except RejectedError:
        at = None
    if at is None or abs(request.received_at - at) > TOLERANCE * 1000:
        raise SignatureError("the signature is too old, or from the future", guidance="set this machine's clock")
    return at


def receive(request: WebhookRequest, secrets: Sequence[str], wanted: Collection[str]) -> Received:
    """Verify a webhook and return what to read again.

    Args:
        request: As it came.
        secrets: The signing secrets that are good at present.
        wanted: The streams that are read.

    Raises:
        SignatureError: See `verify`.
        RejectedError: It is genuine, but says nothing that is understood.
    """
    at = verify(request, secrets)
    try:
        notice = msgspec.json.decode(request.body, type=Notice)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedError(f"the body is no event: {type(error).__name__}") from None
    try:
        happened = instant(notice.time, "time") or at
    except RejectedError:
        happened = at
    delivery = notice.id or hashlib.sha256(request.body).hexdigest()
    found = list(dict.fromkeys(_named(notice)))
    if not found and notice.subject is None:
        raise RejectedError("the body names no ticket, user, organization or rating")
    return Received(
        hints=[Hint(id=delivery, stream=stream, object_id=id_, at=happened) for stream, id_ in found if stream in wanted]
    )


def _named(notice: Notice) -> Iterable[tuple[str, str | None]]:
    """Return (stream, id) of what a notice is about; a rating is found by reading on, as events do not name it."""
    match = _SUBJECT.fullmatch(notice.subject or "")
    if match is not None:
        yield STREAM_OF[match[1]], match[2]
    for kind, stream in STREAM_OF.items():
        id_ = getattr(notice, f"{kind}_id")
        if id_ is not None and str(id_).isdigit():
            yield stream, str(id_)
    if _RATED.search(notice.type or ""):
        yield streams.RATINGS.name, None
