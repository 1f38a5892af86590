"""When to try again: what the vendor asks for, and what we do when it asks for nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

FIRST_WAIT = 0.5
"""Seconds before the second try, at most; doubled for each further one."""

LONGEST_WAIT = 30.0

LONGEST_RETRY_AFTER = 31 * 86_400.0
"""Seconds. A larger figure is no duration (some senders put an instant there) and is not understood."""

_SECONDS = re.compile(r"\d{1,10}(\.\d+)?")


def retry_after(headers: Mapping[str, str], now: int) -> float | None:
    """Return how many seconds the vendor asks us to wait (RFC 9110 section 10.2.3), or None.

    Seconds may have a fraction, as Discord's do. A date is held against the answer's own ``Date``, so that it does no harm
    when the vendor's clock differs from ours; without one, against `now` (epoch ms).
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        until = _instant(text)
        if until is None:
            return None
        today = _instant(headers.get("date", ""))
        seconds = max(0.0, until - (now / 1000 if today is None else today))
    return seconds if seconds <= LONGEST_RETRY_AFTER else None


def _instant(text: str) -> float | None:
    """Return an HTTP date in epoch seconds."""
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def backoff(attempt: int, random: Callable[[], float]) -> float:
    """Return seconds to wait after so many tries: doubling, and somewhere in the upper half, so that crowds spread out."""
    ceiling = min(FIRST_WAIT * 2.0 ** min(attempt - 1, 16), LONGEST_WAIT)
    return ceiling * (1 + random()) / 2


def whole_ms(seconds: float) -> int:
    """Return milliseconds, rounded up: a wait is never shorter than what was asked for."""
    return math.ceil(seconds * 1000)
