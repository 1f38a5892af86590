"""What went wrong with a request, told by what may have happened at the vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from wellkept.errors import CredentialsError, NotSentError, RejectedError, RetryableError, WellkeptError
from wellkept.http.messages import Response, vendor_id

T = TypeVar("T")

UNSTABLE = frozenset({408, 425, *range(500, 600)})
"""Statuses after which the same request may succeed: the vendor's fault, or the network's in between."""

_SCOPE = re.compile(r'\bscope="?([^",]+)"?')


class OutcomeUnknown(RetryableError):  # noqa: N818 - says what it is: nobody knows the outcome
    """A write left, and nobody can say what became of it: a time-out, a dropped connection, a 5xx, an answer cut off.

    Ask the vendor before doing it again, or do it again under the same idempotency key.
    """


class NotAllowedError(NotSentError, CredentialsError):
    """A write that certainly was not done, for want of a credential: the instance pauses, and the effect may be sent again."""

    def __init__(self, message: str, *, missing: tuple[str, ...] = (), guidance: str | None = None) -> None:
        CredentialsError.__init__(self, message, missing=missing, guidance=guidance)
        self.retry_after = None


class StatusError(RejectedError):
    """The vendor refused the request with a status that trying again will not change: 400, 402, 404, 409, 422 and the like.

    Attributes:
        status: HTTP status.
        headers: Names are lower case.
        body: What the vendor said, up to 64 KiB. May hold personal data: never log it.
    """

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.status = response.status
        self.headers = response.headers
        self.body = response.body

    def json(self, type: type[T]) -> T | None:  # noqa: A002 - msgspec's word
        """Decode what the vendor said; None where it is not of this type."""
        try:
            return msgspec.json.decode(self.body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


def from_status(response: Response, *, write: bool, retry_after: float | None) -> WellkeptError | None:
    """Return the error that a status stands for; None for success.

    Args:
        response: The answer.
        write: Whether the request may have changed something.
        retry_after: Seconds that the vendor asks to wait.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    message = f"{response.where}: HTTP {status}{vendor_id(response.headers)}"
    if status in {401, 403}:
        refusal = NotAllowedError if write else CredentialsError
        if status == 401:
            return refusal(f"{message}: the vendor refused the credential", guidance="check the secret, or authorise again")
        return refusal(f"{message}: the credential lacks a permission", missing=scopes(response.headers))
    if status == 429:
        return NotSentError(f"{message}: too many requests", retry_after=retry_after)
    if status in UNSTABLE:
        return RetryableError(f"{message}: the vendor had a fault", retry_after=retry_after)
    return StatusError(message, response)


def scopes(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the permissions that a refusal names.

    RFC 6750 section 3.1 has them in ``WWW-Authenticate`` (``error="insufficient_scope", scope="a b"``); some vendors have
    a header of their own.
    """
    challenge = headers.get("www-authenticate", "")
    if "insufficient_scope" in challenge and (match := _SCOPE.search(challenge)):
        return tuple(match[1].split())
    return tuple(name.strip() for name in headers.get("x-accepted-oauth-scopes", "").split(",") if name.strip())
