"""Bands with hysteresis: a score that wavers around a border does not make the band flap."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from wellkept import Score, Value

BANDS = ("red", "yellow", "green")
"""Worst first."""


class Borders(msgspec.Struct, frozen=True, kw_only=True):
    """Where bands begin, and how far past a border a score must be to change the band at once.

    Attributes:
        red_below: Scores below are red.
        green_above: Scores above are green.
        margin: Points past a border that change the band at once.
    """

    red_below: Decimal = Decimal(50)
    green_above: Decimal = Decimal(75)
    margin: Decimal = Decimal(3)

    def plain(self, value: Decimal) -> str:
        """Return the band of a score that has no past."""
        return BANDS[0] if value < self.red_below else BANDS[2] if value > self.green_above else BANDS[1]

    def band(self, value: Decimal, previous: Score | None) -> tuple[str, Mapping[str, Value]]:
        """Return the band of today's score, and what tomorrow's must know.

        A border counts as crossed when the score is more than `margin` past it, or past it on a second day in a row.

        Args:
            value: Today's score.
            previous: The last score of an earlier day.
        """
        now = BANDS.index(self.plain(value))
        if previous is None or previous.band not in BANDS:
            return BANDS[now], {}
        place = BANDS.index(previous.band)
        pending = previous.carry.get("to")
        step = 1 if now > place else -1
        while place != now:
            border = (self.red_below, self.green_above)[min(place, place + step)]
            waited = pending in BANDS and (BANDS.index(str(pending)) - place) * step > 0
            if abs(value - border) <= self.margin and not waited:
                return BANDS[place], {"to": BANDS[now]}
            place += step
        return BANDS[now], {}
