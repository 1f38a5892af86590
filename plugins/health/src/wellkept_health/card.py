"""The arithmetic of a scorecard: weights, losses, ceilings and rounding, in integers, so that every point is accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import isfinite

import msgspec

FULL = 100_000
"""A health of 100 in thousandths of a point; knots are read to that precision."""

Knots = Sequence[tuple[float, float]]


class Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One signal of one account, ready to be weighed.

    Attributes:
        weight: Its share, in any unit that all parts of a card have in common; faded and positive.
        health: 0 to `FULL`, from `interpolate`.
        ceiling: What the whole score cannot exceed while this part's health is 0, in points; at full health nothing.
    """

    weight: int
    health: int
    ceiling: int = 100


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


def losses(parts: Sequence[Part]) -> list[Decimal]:
    """Return what each part takes from 100 points, at most 0, with two decimals; 100 plus their sum is the score.

    Each part loses its share of the weight times what its health lacks. When a ceiling is lower than what is left, the part
    with the lowest ceiling takes the rest. Hundredths that rounding leaves over go to the largest remainders, so that the
    parts add up to the rounded total exactly.
    """
    weight = sum(part.weight for part in parts)
    scale = weight * FULL // 10_000  # one hundredth of a point
    amounts = [part.weight * (FULL - part.health) for part in parts]
    limits = [_limit(part) for part in parts]
    limit = min(limits)
    amounts[limits.index(limit)] += max(0, (FULL - limit) * weight - sum(amounts))
    total = _round_half_even(sum(amounts), scale)
    whole = [amount // scale for amount in amounts]
    rests = [-(amount % scale) for amount in amounts]
    for index in sorted(range(len(parts)), key=rests.__getitem__)[: total - sum(whole)]:
        whole[index] += 1
    return [_points(hundredths) for hundredths in whole]


@cache
def _points(hundredths: int) -> Decimal:
    """Return hundredths of a point as points lost; there are no more than 10,001 of them."""
    return Decimal(-hundredths).scaleb(-2)


def _limit(part: Part) -> int:
    """Return the highest score that a part allows, in thousandths: from its ceiling up to 100 with its health."""
    if part.ceiling == 100:
        return FULL
    low = part.ceiling * 1000
    return low + (FULL - low) * part.health // FULL


def _thousandths(health: float) -> int:
    return round(health * 1000)


def _round_half_even(amount: int, unit: int) -> int:
    whole, rest = divmod(amount, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))
