"""Errors in Zendesk's words."""

from __future__ import annotations

import json
from typing import Any

from wellkept.testing import Answer

WORDS = {
    400: ("InvalidPaginationParameter", "Invalid pagination parameter"),
    401: ("Couldn't authenticate you", None),
    403: (
        "Forbidden",
        "You do not have access to this page. Please contact the account owner of this help desk for further help.",
    ),
    404: ("RecordNotFound", "Not found"),
    409: ("UpdateConflict", "Safe update prevented the update due to conflict"),
    422: ("RecordInvalid", "Record validation errors"),
    429: ("APIRateLimitExceeded", "Number of allowed API requests per minute exceeded"),
}


class ZendeskError(Exception):
    """A request that is refused."""

    def __init__(
        self,
        status: int,
        error: str | None = None,
        description: str | None = None,
        *,
        details: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(description or error or str(status))
        word, text = WORDS.get(status, ("InternalError", None))
        self.status = status
        self.error = error or word
        self.description = description or text
        self.details = details
        self.headers = headers or {}

    def answer(self) -> Answer:
        """Return the answer."""
        body = {"error": self.error, "description": self.description, "details": self.details}
        shown = {name: value for name, value in body.items() if value is not None}
        headers = {"content-type": "application/json; charset=utf-8", **self.headers}
        return Answer(self.status, headers, json.dumps(shown).encode())


def invalid(field: str, description: str, error: str = "BlankValue") -> ZendeskError:
    """Return the refusal of a field's value."""
    return ZendeskError(422, details={field: [{"description": description, "error": error}]})
