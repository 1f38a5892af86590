"""Errors, grouped by the reaction they need.

Core never inspects a vendor's exception: a plugin raises one of these (or a subclass), and the class alone decides what
happens next.

========================  =====================================================================================
class                     core's reaction
========================  =====================================================================================
`RetryableError`          try again with back-off; never counts towards the breaker
`NotSentError`            the same, and certain that the vendor saw nothing: an effect may be sent again
`CredentialsError`        one token refresh and one retry, then pause the instance until its secret changes
`ConfigError`             name the file, line and key; skip the plugin (or stop, with ``--strict``)
`RejectedError`           put the row or the effect aside with the reason; the stream or the batch goes on
`FatalError`              stop this stream or batch now; counts towards the breaker
========================  =====================================================================================

Any other exception that leaves a plugin is treated as `FatalError` of that plugin.
"""

from __future__ import annotations

from pathlib import Path


class WellkeptError(Exception):
    """Base of all errors that Wellkept raises on purpose.

    Args:
        message: What went wrong, naming the file, field or record. Must not contain secrets or personal data.
        guidance: What the reader can do about it, as an imperative sentence; shown on a line of its own.
    """

    def __init__(self, message: str, *, guidance: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.guidance = guidance

    def __str__(self) -> str:
        return f"{self.message} ({self.guidance})" if self.guidance else self.message


class RetryableError(WellkeptError):
    """The same call may succeed later: a time-out, a dropped connection, HTTP 429 or 5xx.

    Args:
        message: See `WellkeptError`.
        retry_after: Seconds to wait before the next try, where the vendor said so.
        guidance: See `WellkeptError`.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, guidance: str | None = None) -> None:
        super().__init__(message, guidance=guidance)
        self.retry_after = retry_after


class NotSentError(RetryableError):
    """The request never left: no connection, no name, no permission from the limiter in time; or the vendor answered 429.

    Whoever delivers an effect may send it again. Every other error of a write leaves the outcome unknown.
    """


class CredentialsError(WellkeptError):
    """The vendor refused the credential (401), or it lacks a permission (403).

    Args:
        message: See `WellkeptError`.
        missing: Names of the permissions or scopes that are missing, in the vendor's own words.
        guidance: See `WellkeptError`.
    """

    def __init__(self, message: str, *, missing: tuple[str, ...] = (), guidance: str | None = None) -> None:
        super().__init__(message, guidance=guidance)
        self.missing = missing


class ConfigError(WellkeptError):
    """What a person wrote cannot be used.

    Args:
        message: See `WellkeptError`.
        path: The file it stands in.
        line: The line, from 1.
        key: The key path, such as ``plugins.stripe.api_key``.
        guidance: See `WellkeptError`; often the nearest valid key.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | None = None,
        line: int | None = None,
        key: str | None = None,
        guidance: str | None = None,
    ) -> None:
        super().__init__(message, guidance=guidance)
        self.path = path
        self.line = line
        self.key = key

    @property
    def text(self) -> str:
        """The place and the message, without the guidance."""
        place = ":".join(str(part) for part in (self.path, self.line) if part is not None)
        return ": ".join(part for part in (place, self.key, self.message) if part)

    def __str__(self) -> str:
        return f"{self.text} ({self.guidance})" if self.guidance else self.text


class RejectedError(WellkeptError):
    """One row or one effect is wrong for good; its neighbours are not."""


class FatalError(WellkeptError):
    """This stream or batch cannot go on, and trying again will not help."""


class SignatureError(WellkeptError):
    """A webhook whose signature is wrong, missing, too old or from the future: answered 401; pauses nobody."""


class CursorExpiredError(WellkeptError):
    """The cursor counts no more: the vendor refuses it, or what was read has changed as a whole.

    Core notes the message with the stream, and reads it from the beginning.
    """


class StuckCursorError(FatalError):
    """A vendor's page cursor did not move, so that following it would never end."""


class StoreError(FatalError):
    """The store cannot be opened, is newer than this program, or lost its disk."""


class LeaseLostError(FatalError):
    """Another process took over the work; nothing of this one was committed since."""
