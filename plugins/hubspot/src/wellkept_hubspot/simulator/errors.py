"""Errors in HubSpot's words."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from wellkept.testing import Answer

CATEGORIES = {
    400: "VALIDATION_ERROR",
    401: "EXPIRED_AUTHENTICATION",
    403: "MISSING_SCOPES",
    404: "OBJECT_NOT_FOUND",
    409: "CONFLICT",
    429: "RATE_LIMITS",
}


class HubSpotError(Exception):
    """An error to be answered.

    Args:
        status: HTTP status.
        message: As HubSpot would word it.
        category: HubSpot's category; that of the status unless given.
        errors: The single complaints.
        fields: More members of the answer, such as ``policyName``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        category: str | None = None,
        errors: Sequence[dict[str, Any]] = (),
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {
            "status": "error",
            "message": message,
            "correlationId": str(uuid.uuid5(uuid.NAMESPACE_OID, message)),
            "category": category or CATEGORIES.get(status, "INTERNAL_ERROR"),
            **fields,
        }
        if errors:
            self.body["errors"] = list(errors)

    def answer(self) -> Answer:
        """Return it as an answer."""
        return Answer(self.status, {"content-type": "application/json;charset=utf-8"}, json.dumps(self.body).encode())


def for_status(status: int, code: str | None) -> HubSpotError:
    """Return an error for a fault. `code` is the policy of 429, or the scope of 403."""
    if status == 429:
        policy = code or "TEN_SECONDLY_ROLLING"
        message = f"You have reached your {policy.lower().replace('_', ' ')} limit."
        return HubSpotError(429, message, errorType="RATE_LIMIT", policyName=policy)
    if status == 403:
        return missing_scopes([code or "crm.objects.companies.read"])
    return HubSpotError(status, "Something went wrong.", category=code)


def missing_scopes(scopes: Sequence[str]) -> HubSpotError:
    """Return the refusal of a token that lacks scopes."""
    return HubSpotError(
        403,
        "This app hasn't been granted all required scopes to make this call.",
        errors=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": list(scopes)},
            }
        ],
    )


def invalid(code: str, name: str, message: str) -> HubSpotError:
    """Return the refusal of a property's value."""
    return HubSpotError(
        400,
        f"Property values were not valid: {message}",
        errors=[{"message": message, "code": code, "context": {"propertyName": [name]}}],
    )


def not_found(type_: str, id_: str) -> HubSpotError:
    """Return the error for an object that is not there."""
    return HubSpotError(404, f"Object not found. objectId are usually numeric. ({type_} {id_})")
