"""Objects as Zendesk shows them."""

from __future__ import annotations

from typing import Any

from wellkept_zendesk.simulator.state import Obj, State, text

BUSINESS_SHARE = 40 / 168
"""Business hours of a week, as a share of it."""

METRICS = (
    "reply_time_in_minutes",
    "first_resolution_time_in_minutes",
    "full_resolution_time_in_minutes",
    "agent_wait_time_in_minutes",
    "requester_wait_time_in_minutes",
    "on_hold_time_in_minutes",
)


def organization(name: str, **more: Any) -> Obj:
    """Return a new organization."""
    return {
        "name": name,
        "external_id": None,
        "domain_names": [],
        "organization_fields": {},
        "tags": [],
        "details": None,
        "notes": None,
        "group_id": None,
        "shared_tickets": False,
        "shared_comments": False,
        "deleted_at": None,
        **more,
    }


def user(name: str, **more: Any) -> Obj:
    """Return a new user: an end user unless said otherwise."""
    return {
        "name": name,
        "email": None,
        "role": "end-user",
        "verified": True,
        "active": True,
        "suspended": False,
        "phone": None,
        "shared_phone_number": None,
        "external_id": None,
        "organization_id": None,
        "locale": "en-US",
        "iana_time_zone": "Etc/UTC",
        "tags": [],
        "user_fields": {},
        **more,
    }


def ticket(subject: str, requester: Obj, **more: Any) -> Obj:
    """Return a new ticket of a customer."""
    return {
        "subject": subject,
        "raw_subject": subject,
        "description": subject,
        "status": "new",
        "priority": None,
        "type": None,
        "requester_id": requester["id"],
        "submitter_id": requester["id"],
        "organization_id": requester["organization_id"],
        "assignee_id": None,
        "group_id": None,
        "external_id": None,
        "via": via("web"),
        "tags": [],
        "satisfaction_rating": {"score": "unoffered"},
        "custom_fields": [],
        "is_public": True,
        "has_incidents": False,
        "allow_channelback": False,
        "_metric": metric(),
        **more,
    }


def via(channel: str, service: str | None = None) -> Obj:
    """Return the way by which a ticket came; `service` is the name of an integration."""
    origin = {} if service is None else {"registered_integration_service_name": service}
    return {"channel": channel, "source": {"from": origin, "to": {}, "rel": None}}


def metric() -> Obj:
    """Return the metrics of a new ticket."""
    return {"reopens": 0, "replies": 0, "solved_at": None, **{name: minutes(None) for name in METRICS}}


def minutes(calendar: int | None) -> Obj:
    """Return a duration, calendar and business."""
    return {"calendar": calendar, "business": None if calendar is None else round(calendar * BUSINESS_SHARE)}


def field(key: str, kind: str, **more: Any) -> Obj:
    """Return a new organization field."""
    return {
        "key": key,
        "type": kind,
        "title": key,
        "description": "",
        "active": True,
        "position": 9999,
        "system": False,
        **more,
    }


def shown(obj: Obj) -> Obj:
    """Return an object without what is our own."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def shown_ticket(obj: Obj, *, metrics: bool = False) -> Obj:
    """Return a ticket, with its metrics where they are side-loaded."""
    found = {**shown(obj), "generated_timestamp": obj["_changed"]}
    return {**found, "metric_set": shown_metric(obj)} if metrics else found


def shown_metric(obj: Obj) -> Obj:
    """Return a ticket's metrics."""
    return {
        "id": obj["id"],
        "ticket_id": obj["id"],
        "created_at": obj["created_at"],
        "updated_at": text(obj["_changed"]),
        **obj["_metric"],
    }


def audit(state: State, obj: Obj, author: Obj, events: list[Obj], metadata: Obj) -> None:
    """Add an entry to a ticket's history."""
    state.audits.setdefault(obj["id"], []).append(
        {
            "id": state.new_id("audit"),
            "ticket_id": obj["id"],
            "created_at": text(state.now),
            "author_id": author["id"],
            "metadata": {"system": {}, "custom": metadata},
            "via": via("api"),
            "events": events,
        }
    )
