"""The shapes of events and webhooks. See `wellkept_stripe.wire`."""

from __future__ import annotations

import msgspec

from wellkept_stripe.wire import Int, InvoiceSettings, Ref, Wire
from wellkept_stripe.wire_payments import Payment


class EventData(Wire, frozen=True, gc=False):
    """The object as it was right after the event, and the earlier values of what changed; both read later."""

    object: msgspec.Raw
    previous_attributes: msgspec.Raw = msgspec.Raw(b"null")


class Event(Wire, frozen=True, gc=False):
    """``event``: something happened to an object. `created` has a resolution of one second."""

    id: str
    type: str
    created: Int
    data: EventData
    api_version: str | None = None


class RelatedObject(Wire, frozen=True, gc=False):
    """What a thin event is about."""

    id: str
    type: str


class Notice(Wire, frozen=True, gc=False):
    """A webhook's body: an event, or a thin event (``v2.core.event``), whose `created` is an RFC 3339 text."""

    id: str
    object: str
    type: str
    created: Int | str
    livemode: bool
    account: str | None = None
    data: EventData | None = None
    related_object: RelatedObject | None = None


class Pointed(Wire, frozen=True, gc=False):
    """The references in any event's object that tell what else to read again."""

    id: str | None = None
    object: str | None = None
    subscription: Ref = None
    payment_intent: Ref = None
    payment: Payment | None = None
    invoice: Ref = None
    deleted: bool = False


class DefaultMethods(Wire, frozen=True, gc=False):
    """What a customer pays with by default, now or before."""

    invoice_settings: InvoiceSettings | None = None
    default_source: Ref = None
