"""Zendesk's objects as they come over the wire: only the fields that are read.

Source of names and meanings: the vendor's reference of its Support API (organizations, users, tickets, ticket metrics,
satisfaction ratings, deleted tickets).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from wellkept.errors import RejectedError

Id = int | str
"""Ids are numbers in the reference; where one comes as text, it is as good."""


class Wire(msgspec.Struct):
    """Base of the objects."""


class Organization(Wire):
    """A company. `deleted_at` stands in exports only, where deleted organizations are shown as well."""

    id: Id
    name: str | None = None
    external_id: str | None = None
    domain_names: list[str] | None = None
    organization_fields: dict[str, Any] | None = None
    tags: list[str] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    deleted_at: str | None = None


class User(Wire):
    """A customer (``end-user``), or one of us (``agent``, ``admin``). A deleted or merged one is not `active`."""

    id: Id
    name: str | None = None
    email: str | None = None
    verified: bool | None = None
    phone: str | None = None
    shared_phone_number: bool | None = None
    role: str | None = None
    external_id: str | None = None
    organization_id: Id | None = None
    active: bool | None = None
    suspended: bool | None = None
    locale: str | None = None
    iana_time_zone: str | None = None
    user_fields: dict[str, Any] | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Via(Wire):
    """The way by which a ticket came, in an open vocabulary: ``web``, ``voice``, ``chat``, ``wechat``, ``any_channel``..."""

    channel: str | int | None = None
    source: Source | None = None


class Source(Wire):
    """More about the way; `name` is what a channel of an integration calls itself, such as ``QQ``."""

    from_: dict[str, Any] | None = msgspec.field(name="from", default=None)
    rel: str | None = None


class Rated(Wire):
    """What a ticket shows of its rating."""

    score: str | None = None


class Minutes(Wire):
    """A duration on the calendar, and within the account's business hours."""

    calendar: int | None = None
    business: int | None = None


class Metric(Wire):
    """A ticket's metrics. Waiting *of the agent* is time in status pending: the customer is to answer."""

    ticket_id: Id | None = None
    reopens: int | None = None
    replies: int | None = None
    solved_at: str | None = None
    updated_at: str | None = None
    reply_time_in_minutes: Minutes | None = None
    reply_time_in_seconds: Minutes | None = None
    full_resolution_time_in_minutes: Minutes | None = None
    agent_wait_time_in_minutes: Minutes | None = None
    requester_wait_time_in_minutes: Minutes | None = None
    on_hold_time_in_minutes: Minutes | None = None


class Ticket(Wire):
    """A ticket. `status` ``deleted`` stands in exports only. `generated_timestamp` moves with changes by the system as well."""

    id: Id
    created_at: str
    status: str
    updated_at: str | None = None
    generated_timestamp: int | None = None
    subject: str | None = None
    description: str | None = None
    organization_id: Id | None = None
    requester_id: Id | None = None
    assignee_id: Id | None = None
    group_id: Id | None = None
    priority: str | None = None
    type: str | None = None
    via: Via | None = None
    tags: list[str] | None = None
    satisfaction_rating: Rated | None = None
    metric_set: Metric | None = None


class Rating(Wire):
    """A satisfaction rating. Until the customer answers, `score` is ``offered``."""

    id: Id
    score: str
    created_at: str
    updated_at: str | None = None
    ticket_id: Id | None = None
    requester_id: Id | None = None
    comment: str | None = None
    reason: str | None = None


class DeletedTicket(Wire):
    """A ticket in the bin, where it stays for 30 days."""

    id: Id
    deleted_at: str


class Merge(Wire):
    """Two organizations that became one."""

    loser_id: Id
    winner_id: Id
    status: str


def instant(text: str | None, field: str) -> int | None:
    """Return an ISO 8601 text as epoch ms.

    Args:
        text: What Zendesk gives.
        field: Its name, for the error.

    Raises:
        RejectedError: It is not one.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        at = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise RejectedError(f"`{field}` is no instant") from None
    if moment.tzinfo is None:
        raise RejectedError(f"`{field}` is an instant without a time zone")
    return at


def required_instant(text: str | None, field: str) -> int:
    """Return an ISO 8601 text as epoch ms, where there must be one.

    Raises:
        RejectedError: There is none, or it is none.
    """
    found = instant(text, field)
    if found is None:
        raise RejectedError(f"`{field}` is missing")
    return found
