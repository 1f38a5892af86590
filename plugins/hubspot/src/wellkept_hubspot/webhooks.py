"""Webhooks: verified on their raw bytes, then reduced to what should be read again."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

import msgspec

from wellkept import Hint, Received, WebhookRequest
from wellkept.errors import RejectedError, SignatureError
from wellkept_hubspot.kinds import Kind
from wellkept_hubspot.wire import Notice

TOLERANCE = 300_000
"""Milliseconds by which a signature's time may differ from ours, either way. HubSpot's own library bounds the past only."""

_TIME = re.compile(r"[0-9]{1,15}", re.ASCII)
_ENCODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""What HubSpot decodes in the address before it signs it. Source: its guide to validating requests."""


def verify(request: WebhookRequest, secrets: Sequence[str]) -> None:
    """Make sure that a webhook is HubSpot's own, and of now.

    ``X-HubSpot-Signature-v3`` is the Base64 of HMAC-SHA256, under the app's client secret, of method, address, body and
    ``X-HubSpot-Request-Timestamp``; HubSpot's own library computes it.

    Raises:
        SignatureError: It is not.
    """
    if not secrets:
        raise SignatureError("webhooks cannot be verified", guidance="set webhook_secret to the app's client secret")
    signature = request.headers.get("x-hubspot-signature-v3", "")
    time = request.headers.get("x-hubspot-request-timestamp", "")
    if not signature or not _TIME.fullmatch(time):
        raise SignatureError("the X-HubSpot-Signature-v3 or X-HubSpot-Request-Timestamp header is missing or malformed")
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        raise SignatureError("the body is not UTF-8, which HubSpot always sends") from None
    from hubspot.utils.signature import Signature  # type: ignore[import-untyped]

    address = _ENCODED.sub(lambda match: unquote(match[0]), request.url)
    expected = [
        Signature.get_signature(secret, body, "v3", http_uri=address, http_method=request.method, timestamp=time)
        for secret in secrets
    ]
    matches = [hmac.compare_digest(mine.encode(), signature.encode()) for mine in expected]
    if not any(matches):
        raise SignatureError(
            "the signature does not match",
            guidance="compare webhook_secret with the app's client secret, and public_url with the address in the app",
        )
    if abs(request.received_at - int(time)) > TOLERANCE:
        raise SignatureError("the signature is too old, or from the future", guidance="set this machine's clock")


def receive(request: WebhookRequest, secrets: Sequence[str], kinds: Sequence[Kind], *, portal: int | None) -> Received:
    """Verify a webhook and return what to read again.

    Args:
        request: The webhook: up to a hundred events.
        secrets: The secrets that are good at present.
        kinds: What is read.
        portal: The account whose events count, where one app serves several.

    Raises:
        SignatureError: See `verify`.
        RejectedError: It is genuine, but no list of events, or of several accounts.
    """
    verify(request, secrets)
    try:
        notices = msgspec.json.decode(request.body, type=list[Notice])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedError(f"the body is no list of events: {type(error).__name__}") from None
    if portal is not None:
        notices = [notice for notice in notices if notice.portal_id == portal]
    portals = {notice.portal_id for notice in notices}
    if len(portals) > 1:
        raise RejectedError("the events are of several accounts", guidance="set portal_id to the one that is meant")
    hints = {
        (notice.event_id, notice.occurred_at, stream, id_): Hint(
            id=f"{notice.event_id}/{notice.occurred_at}", stream=stream, object_id=id_, at=notice.occurred_at
        )
        for notice in notices
        for stream, id_ in _objects(notice, kinds)
    }
    return Received(hints=list(hints.values()), vendor_account=str(portals.pop()) if portals else None)


def _objects(notice: Notice, kinds: Iterable[Kind]) -> Iterator[tuple[str, str]]:
    """Yield stream and id of what an event is about; nothing for an object that is not read."""
    word, _, what = notice.subscription_type.partition(".")
    if what == "associationChange":
        ends = (notice.association_type or "").lower().split("_to_")
        for end, id_ in zip(ends, (notice.from_object_id, notice.to_object_id), strict=False):
            for kind in kinds:
                if kind.event == end and kind.links and id_ is not None:
                    yield kind.stream.name, str(id_)
        return
    ids = [notice.object_id, notice.primary_object_id, notice.new_object_id, *(notice.merged_object_ids or ())]
    for kind in kinds:
        if kind.event == word or (word == "object" and notice.object_type_id in kind.type_ids):
            yield from ((kind.stream.name, str(id_)) for id_ in dict.fromkeys(ids) if id_ is not None)
