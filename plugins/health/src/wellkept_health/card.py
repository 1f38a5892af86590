"""The arithmetic of a scorecard: weights, losses, ceilings and rounding, in integers, so that every point is accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import isfinite

FULL = 100_000
"""A health of 100 in thousandths of a point; knots are read to that precision."""

Knots = Sequence[tuple[float, float]]


def interpolate(knots: Knots, value: float) -> int:
    """Return the health at a value: straight lines between the knots, level beyond the outermost ones.

    Args:
        knots: (value, health 0 to 100), by ascending value.
        value: A finite number.
    """
    if value <= knots[0][0]:
        return _thousandths(knots[0][1])
    if value > knots[-1][0]:
        return _thousandths(knots[-1][1])
    for (x0, y0), (x1, y1) in pairwise(knots):
        if value <= x1:
            y = y0 + (y1 - y0) * ((value - x0) / (x1 - x0))
            return _thousandths(min(max(y, min(y0, y1)), max(y0, y1)))
    return _thousandths(knots[-1][1])


def fade(weight: int, age: float, half_life: float) -> int:
    """Return a weight that has halved once per half-life; an age below zero counts as zero."""
    return round(weight * 2 ** (-max(0.0, age) / half_life)) if isfinite(age) else 0


def losses(weights: Sequence[int], healths: Sequence[int], limits: Sequence[int], weight: int) -> list[int]:
    """Return what each signal takes from 100 points, in hundredths of a point; what they leave is the score.

    Signals of full health take nothing, whether they are among these or not.

    Each takes its share of the weight times what its health lacks. When a limit is lower than what is left, the signal with
    the lowest limit takes the rest. Hundredths that rounding leaves over go to the largest remainders, so that the parts add
    up to the rounded total exactly.

    Args:
        weights: The shares of the signals, in any unit that they have in common; positive.
        healths: 0 to `FULL`, from `interpolate`.
        limits: The highest score that each allows, from `limit`.
        weight: The share of all signals together.
    """
    if not weights:
        return []
    scale = weight * FULL // 10_000  # one hundredth of a point
    amounts = [share * (FULL - health) for share, health in zip(weights, healths, strict=True)]
    lowest = min(limits)
    amounts[limits.index(lowest)] += max(0, (FULL - lowest) * weight - sum(amounts))
    total = _round_half_even(sum(amounts), scale)
    whole = [amount // scale for amount in amounts]
    left = total - sum(whole)
    if left:
        rests = [amount % scale for amount in amounts]
        for index in sorted(range(len(rests)), key=rests.__getitem__, reverse=True)[:left]:
            whole[index] += 1
    return whole


@cache
def points(hundredths: int) -> Decimal:
    """Return hundredths of a point as points, with two decimals; a scorecard has no more than 10,001 of them."""
    return Decimal(hundredths).scaleb(-2)


def limit(health: int, ceiling: int) -> int:
    """Return the highest score that a signal allows, in thousandths: from its ceiling up to 100 with its health.

    Args:
        health: 0 to `FULL`.
        ceiling: What the whole score cannot exceed while the health is 0, in points.
    """
    low = ceiling * 1000
    return low + (FULL - low) * health // FULL


def _thousandths(health: float) -> int:
    return round(health * 1000)


def _round_half_even(amount: int, unit: int) -> int:
    whole, rest = divmod(amount, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))
