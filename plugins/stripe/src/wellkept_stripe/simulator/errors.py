"""Errors in Stripe's own words."""

from __future__ import annotations

import json
from typing import Any

from wellkept.testing import Answer


class StripeError(Exception):
    """An error answer.

    Args:
        status: HTTP status.
        message: For people.
        type: Stripe's type of error.
        code: Stripe's code, where it has one.
        param: The parameter concerned.
        saved: Whether an idempotency key keeps it: it arose while the endpoint was at work, not before.
        more: Further fields, such as ``decline_code``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",  # noqa: A002 - Stripe's word
        code: str | None = None,
        param: str | None = None,
        saved: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.saved = saved
        self.fields: dict[str, Any] = {"message": message, "type": type}
        if code is not None:
            self.fields |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
        if param is not None:
            self.fields["param"] = param
        self.fields |= more

    def answer(self) -> Answer:
        """Return it as HTTP."""
        return Answer(self.status, {"content-type": "application/json"}, json.dumps({"error": self.fields}, indent=2).encode())


def missing(kind: str, id_: str, param: str | None = "id") -> StripeError:
    """Say that there is no such object: 404 where the path names it, 400 where a parameter does."""
    status = 404 if param == "id" else 400
    return StripeError(status, f"No such {kind}: '{id_}'", code="resource_missing", param=param)


def unknown_parameter(name: str) -> StripeError:
    """Say that a parameter does not exist."""
    return StripeError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def invalid(param: str, message: str, code: str | None = None) -> StripeError:
    """Say that a parameter has a wrong value."""
    return StripeError(400, message, code=code, param=param)


def for_status(status: int, code: str | None) -> StripeError:
    """Return the error that stands for a status where nothing more is known of its cause."""
    if status == 429:
        return StripeError(
            429,
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            code=code or "rate_limit",
        )
    if status == 401:
        return StripeError(401, "Expired API Key provided: sk_test_********************", code=code or "api_key_expired")
    if status >= 500:
        return StripeError(status, "An unknown error occurred", type="api_error", code=code, saved=True)
    return StripeError(status, f"Request refused ({status})", code=code)
