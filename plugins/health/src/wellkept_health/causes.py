"""Causes: the one thing that most probably makes an account leave, out of a short list.

Five are what customer success looks for first: poor onboarding, disconnection (they stopped using it), price, missing
features, poor support. Trouble with payment is apart, because nobody decided anything; the rest is ``other``. Each account has
exactly one main cause, so that shares of causes sum to 100 %.
"""

from __future__ import annotations

from collections.abc import Iterable

WORDS = {
    "onboarding": "poor onboarding",
    "disconnection": "disconnection",
    "price": "price",
    "features": "missing or unused features",
    "support": "poor support",
    "payment": "payment",
    "other": "other",
}
"""How each is written; in this order of two that weigh the same the first counts."""


def main_cause(lost: Iterable[tuple[str, int]], *, unpaid: bool, new: bool) -> str:
    """Return the main cause of an account.

    Args:
        lost: The cause of each signal, and the hundredths of a point that it takes, as negative numbers. Signs of the leaving
            itself (``none``), such as a cancellation, say nothing of why.
        unpaid: It ended because it was not paid, whatever else there was.
        new: The account is in its first weeks: who does not use a product then was never shown how.
    """
    if unpaid:
        return "payment"
    sums = dict.fromkeys(WORDS, 0)
    for cause, points in lost:
        if cause != "none":
            sums["onboarding" if new and cause in {"disconnection", "features"} else cause] += points
    worst = min(WORDS, key=sums.__getitem__)
    return worst if sums[worst] else "other"
