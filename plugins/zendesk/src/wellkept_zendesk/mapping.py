"""From Zendesk's objects to canonical records: short, pure functions.

Versions are Zendesk's own times of change, so that it does not matter when or by which way a row was read. A ticket's is the
latest of its own, of its metrics', and of `generated_timestamp`, which moves when the system changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wellkept.records import Account, Person, SurveyResponse, Ticket
from wellkept_zendesk import wire
from wellkept_zendesk.wire import instant, required_instant
from wellkept_zendesk.words import ChurnWords

SOLVED = frozenset({"solved", "closed"})

MERGED = "closed_by_merge"
"""The tag that Zendesk sets on a ticket that was merged into another one."""

SCORES = {"good": 1.0, "bad": 0.0}
"""Only these are answers; ``offered`` and ``unoffered`` are none."""

OURS = frozenset({"agent", "admin"})


def version(*instants: int | None) -> int:
    """Return the latest of some instants; 0 without any."""
    return max((at for at in instants if at is not None), default=0)


def changed_at(row: wire.Organization | wire.User) -> int:
    """Return when a row changed, epoch ms."""
    deleted = instant(row.deleted_at, "deleted_at") if isinstance(row, wire.Organization) else None
    return version(required_instant(row.updated_at or row.created_at, "updated_at"), deleted)


def account(row: wire.Organization, merged: Sequence[str] = ()) -> Account:
    """Return the account behind an organization. Its custom fields become `extra`, with ``zendesk_tags`` beside them.

    Args:
        row: As Zendesk shows it.
        merged: Organizations that were merged into it.
    """
    at = changed_at(row)
    return Account(
        id=str(row.id),
        version=at,
        updated_at=at,
        name=row.name,
        external_id=row.external_id or None,
        domains=list(row.domain_names or ()),
        merged_ids=list(merged),
        created_at=instant(row.created_at, "created_at"),
        extra=_extra(row.organization_fields, zendesk_tags=row.tags),
    )


def person(row: wire.User) -> Person:
    """Return a user. One of us belongs to no customer, whatever organization stands there; a shared line is nobody's phone."""
    at = changed_at(row)
    ours = row.role in OURS
    return Person(
        id=str(row.id),
        version=at,
        updated_at=at,
        account_ref=None if ours or row.organization_id is None else str(row.organization_id),
        external_id=row.external_id or None,
        name=row.name,
        email=row.email,
        email_verified=bool(row.verified) and row.email is not None,
        phone=None if row.shared_phone_number else row.phone,
        roles=["agent"] if ours else ["user"],
        locale=row.locale,
        time_zone=row.iana_time_zone,
        created_at=instant(row.created_at, "created_at"),
        extra=_extra(row.user_fields, zendesk_suspended=row.suspended or None),
    )


def ticket_version(row: wire.Ticket) -> int:
    """Return when a ticket or its metrics changed, epoch ms."""
    metric = row.metric_set
    return version(
        required_instant(row.updated_at or row.created_at, "updated_at"),
        None if row.generated_timestamp is None else row.generated_timestamp * 1000,
        None if metric is None else instant(metric.updated_at, "metric_set.updated_at"),
    )


def is_gone(row: wire.Ticket) -> bool:
    """Say whether a ticket counts for nothing: deleted (spam is deleted), or merged into another one, which goes on."""
    return row.status == "deleted" or MERGED in (row.tags or ())


def ticket(row: wire.Ticket, words: ChurnWords) -> Ticket:
    """Return a ticket. While it is not solved, or was reopened, there is no resolution.

    Args:
        row: As Zendesk shows it, with its metrics.
        words: Finds the wish to leave.
    """
    metric = row.metric_set or wire.Metric()
    over = row.status in SOLVED
    resolution = (metric.full_resolution_time_in_minutes if over else None) or wire.Minutes()
    reply, pending = metric.reply_time_in_minutes or wire.Minutes(), metric.agent_wait_time_in_minutes or wire.Minutes()
    at = ticket_version(row)
    return Ticket(
        id=str(row.id),
        version=at,
        updated_at=required_instant(row.updated_at or row.created_at, "updated_at"),
        account_ref=None if row.organization_id is None else str(row.organization_id),
        person_ref=None if row.requester_id is None else str(row.requester_id),
        status=row.status,
        created_at=required_instant(row.created_at, "created_at"),
        subject=row.subject,
        channel=channel(row.via),
        priority=row.priority,
        tags=list(row.tags or ()),
        solved_at=_solved_at(row, metric) if over else None,
        first_reply_minutes=_first_reply(metric),
        first_reply_business_minutes=reply.business,
        resolution_minutes=resolution.calendar,
        resolution_business_minutes=resolution.business,
        pending_minutes=pending.calendar,
        reopens=metric.reopens or 0,
        churn_intent=words.found_in(row.subject, row.description),
        extra=_extra(
            None,
            zendesk_pending_business_minutes=pending.business,
            zendesk_on_hold_minutes=(metric.on_hold_time_in_minutes or wire.Minutes()).calendar,
            zendesk_requester_wait_minutes=(metric.requester_wait_time_in_minutes or wire.Minutes()).calendar,
            zendesk_replies=metric.replies,
            zendesk_type=row.type,
            zendesk_assignee=None if row.assignee_id is None else str(row.assignee_id),
            zendesk_group=None if row.group_id is None else str(row.group_id),
            zendesk_rating=None if row.satisfaction_rating is None else row.satisfaction_rating.score,
        ),
    )


def _solved_at(row: wire.Ticket, metric: wire.Metric) -> int | None:
    """Return when a ticket that is over was solved; archived ones may have no metrics, and then it was by their last change."""
    return instant(metric.solved_at, "metric_set.solved_at") or instant(row.updated_at or row.created_at, "updated_at")


def channel(via: wire.Via | None) -> str | None:
    """Return the way by which a ticket came, as it is named.

    Integrations all come as ``any_channel``; then the name that the integration gives itself is what people know it by.
    """
    if via is None or via.channel is None:
        return None
    if via.channel == "any_channel" and via.source is not None:
        name = (via.source.from_ or {}).get("registered_integration_service_name")
        if isinstance(name, str) and name:
            return name
    return str(via.channel)


def rating(row: wire.Rating, words: ChurnWords) -> SurveyResponse | None:
    """Return an answer to the question how support was; None while there is none. ``good`` is 1 and ``bad`` is 0."""
    score = SCORES.get(row.score)
    if score is None:
        return None
    at = required_instant(row.updated_at or row.created_at, "updated_at")
    return SurveyResponse(
        id=str(row.id),
        version=at,
        updated_at=at,
        person_ref=None if row.requester_id is None else str(row.requester_id),
        kind="csat",
        score=score,
        scale_min=0.0,
        scale_max=1.0,
        answered_at=at,
        comment=row.comment or None,
        churn_intent=words.found_in(row.comment),
        extra=_extra(None, zendesk_ticket=None if row.ticket_id is None else str(row.ticket_id), zendesk_reason=row.reason),
    )


def _first_reply(metric: wire.Metric) -> int | None:
    """Return the first reply's calendar minutes; messaging and chat tell seconds alone."""
    minutes = metric.reply_time_in_minutes
    if minutes is not None and minutes.calendar is not None:
        return minutes.calendar
    seconds = metric.reply_time_in_seconds
    return None if seconds is None or seconds.calendar is None else seconds.calendar // 60


def _extra(fields: Mapping[str, Any] | None, **ours: Any) -> dict[str, Any]:
    """Return the custom fields that have a value, and ours."""
    return {name: value for name, value in {**(fields or {}), **ours}.items() if value not in (None, [], "")}
