"""Idempotency keys: the first answer is given again, whatever it was."""

from __future__ import annotations

from dataclasses import dataclass

from wellkept import Clock
from wellkept.testing import Answer
from wellkept_stripe.simulator.errors import StripeError

KEEP_SECONDS = 24 * 3600
"""How long a key is remembered. Source: docs.stripe.com/api/idempotent_requests."""

LONGEST = 255


@dataclass
class _Saved:
    fingerprint: str
    at: int
    request: str
    answer: Answer | None = None


class SavedAnswers:
    """What idempotency keys remember, per mode.

    Answers are kept from the moment when an endpoint is at work, 500 included; a request that was refused before that is not
    remembered.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._saved: dict[tuple[bool, str], _Saved] = {}

    def begin(self, livemode: bool, name: str, fingerprint: str, request: str) -> Answer | None:
        """Take note of a request; return the answer of an earlier one with the same key.

        Raises:
            StripeError: The earlier one had other parameters, or is still at work.
        """
        if len(name) > LONGEST:
            raise StripeError(400, f"Idempotency keys can have up to {LONGEST} characters.", type="idempotency_error")
        now = self._clock.now() // 1000
        known = self._saved.get((livemode, name))
        if known is None or now - known.at >= KEEP_SECONDS:
            self._saved[livemode, name] = _Saved(fingerprint, now, request)
            return None
        if known.fingerprint != fingerprint:
            raise StripeError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a "
                f"key other than '{name}' if you meant to execute a different request.",
                type="idempotency_error",
            )
        if known.answer is None:
            raise StripeError(
                409,
                f"There is currently another in-progress request using this Idempotent Key ({name}). Please try again later.",
                type="idempotency_error",
                code="idempotency_key_in_use",
            )
        headers = {**known.answer.headers, "idempotent-replayed": "true", "original-request": known.request}
        return known.answer._replace(headers=headers)

    def end(self, livemode: bool, name: str, answer: Answer | None) -> None:
        """Keep the answer of a request, or forget the request if there is none to keep."""
        if answer is None:
            self._saved.pop((livemode, name), None)
        else:
            self._saved[livemode, name].answer = answer
