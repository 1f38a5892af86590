"""The description of Zendesk's Support API, for checks on both sides, with what it lost filled in again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wellkept.testing import Spec

OBJECT: dict[str, Any] = {"type": "object"}
STAMP = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["integer", "null"]}
MINUTES = {"type": "object", "required": ["calendar", "business"], "properties": {"calendar": NUMBER, "business": NUMBER}}

STUBS: dict[str, dict[str, Any]] = {
    "OrganizationObject": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "external_id": TEXT,
        "domain_names": {"type": "array", "items": {"type": "string"}},
        "organization_fields": OBJECT,
        "tags": {"type": "array", "items": {"type": "string"}},
        "created_at": STAMP,
        "updated_at": STAMP,
    },
    "UserObject": {
        "name": {"type": "string"},
        "email": TEXT,
        "role": {"enum": ["end-user", "agent", "admin"]},
        "organization_id": NUMBER,
        "active": {"type": "boolean"},
        "verified": {"type": "boolean"},
    },
    "TicketObject": {
        "id": {"type": "integer"},
        "subject": TEXT,
        "status": {"enum": ["new", "open", "pending", "hold", "solved", "closed", "deleted"]},
        "priority": {"enum": ["low", "normal", "high", "urgent", None]},
        "requester_id": {"type": "integer"},
        "organization_id": NUMBER,
        "via": {"type": "object", "required": ["channel"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "created_at": STAMP,
        "updated_at": STAMP,
        "generated_timestamp": {"type": "integer"},
    },
    "TicketMetricObject": {
        "ticket_id": {"type": "integer"},
        "reopens": {"type": "integer"},
        "reply_time_in_minutes": MINUTES,
        "full_resolution_time_in_minutes": MINUTES,
        "agent_wait_time_in_minutes": MINUTES,
    },
    "SatisfactionRatingObject": {
        "id": {"type": "integer"},
        "score": {"enum": ["offered", "unoffered", "good", "bad"]},
        "ticket_id": {"type": "integer"},
        "requester_id": {"type": "integer"},
        "created_at": STAMP,
        "updated_at": STAMP,
    },
    "OrganizationFieldObject": {
        "id": {"type": "integer"},
        "key": {"type": "string"},
        "title": {"type": "string"},
        "type": {
            "enum": [
                "checkbox",
                "date",
                "decimal",
                "dropdown",
                "integer",
                "lookup",
                "multiselect",
                "regexp",
                "text",
                "textarea",
            ]
        },
    },
    "JobStatusObject": {
        "id": {"type": "string"},
        "status": {"enum": ["queued", "working", "failed", "completed", "killed"]},
    },
}
"""Fields of objects whose schemas are stubs in the description; all of them are always there."""

BODIES: dict[tuple[str, str], str | None] = {
    ("/api/v2/organizations/{organization_id}", "put"): "organization",
    ("/api/v2/organizations/update_many", "put"): "organizations",
    ("/api/v2/organization_fields", "post"): "organization_field",
    ("/api/v2/tickets/{ticket_id}", "put"): "ticket",
    ("/api/v2/tickets/update_many", "put"): None,
    ("/api/v2/tickets/{ticket_id}/tags", "put"): "tags",
    ("/api/v2/tickets/{ticket_id}/tags", "post"): "tags",
    ("/api/v2/tickets/{ticket_id}/tags", "delete"): "tags",
    ("/api/v2/users/{user_id}", "put"): "user",
}
"""Bodies that the description lost, and what must stand in them."""


def describe(path: Path) -> Spec:
    """Load the description and fill in what its derivation lost.

    * Request bodies of some writes, and of the token endpoint, which takes forms (RFC 6749).
    * Error answers: any body, as Zendesk has several forms of it.
    * ``nullable``, which OpenAPI 3.1 does not have.
    * A single rating, which is described as a list and is an object in the vendor's samples: both are permitted.
    * The fields of the objects that we read, for `STUBS`.
    """
    spec = Spec.load(path, unknown_names="allow", strip_suffix=".json")
    document = spec.document
    _open_nulls(document["components"])
    schemas, paths = document["components"]["schemas"], document["paths"]
    for name, properties in STUBS.items():
        schemas[name] = {"type": "object", "required": sorted(properties), "properties": properties}
    for (template, method), part in BODIES.items():
        schema = OBJECT if part is None else {"type": "object", "required": [part]}
        paths[template][method]["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    form = {"schema": {"type": "object", "required": ["grant_type", "client_id", "client_secret"]}}
    paths["/oauth/tokens"]["post"]["requestBody"] = {
        "content": {"application/x-www-form-urlencoded": form, "application/json": form}
    }
    listed = schemas["SatisfactionRatingResponse"]["properties"]["satisfaction_rating"]
    schemas["SatisfactionRatingResponse"]["properties"]["satisfaction_rating"] = {"anyOf": [listed, listed["items"]]}
    for item in paths.values():
        for operation in item.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"] |= {"4XX": {}, "429": {}, "5XX": {}}
    return spec


def _open_nulls(node: Any) -> None:
    if isinstance(node, dict):
        if node.pop("nullable", False) and isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        for value in list(node.values()):
            _open_nulls(value)
    elif isinstance(node, list):
        for value in node:
            _open_nulls(value)
