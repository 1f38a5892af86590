"""How the fictional customers use the product: drawn anew for each account and day, so that years take no memory."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from wellkept.testing.world import Company, Sighting

CORE = ("Report Viewed", "Dashboard Shared", "Export Created", "Automation Run")
SIDE = ("Settings Opened", "Help Opened", "Profile Edited")
NOISE = "$mp_web_page_view"

MORNING, EVENING = 7 * 3600, 20 * 3600
"""When people work, in seconds of a UTC day."""

SILENT_DAYS = 21
"""How long a ``silent`` account has used nothing."""

DAY_MS = 86_400_000


class Act(NamedTuple):
    """Somebody did something; `at` is epoch seconds, and `who` is empty where only the account is known."""

    who: str
    event: str
    at: int
    group: str


@dataclass
class Habits:
    """The use of all accounts.

    Args:
        seed: Decides everything that is drawn.
        now: The instant from which fates are counted, epoch ms.
        accounts: Sighting, its group id, and the distinct ids of its people.

    Attributes:
        stopped: Group id to the instant from which nothing happens any more, epoch seconds.
    """

    seed: int
    now: int
    accounts: Sequence[tuple[Sighting, str, Sequence[str]]]
    stopped: dict[str, int] = field(default_factory=dict)

    def on(self, day: date) -> Iterator[Act]:
        """Yield what happens on a UTC day, in no order of time."""
        for sighting, group, people in self.accounts:
            yield from self._of(sighting, group, people, day)

    def _of(self, sighting: Sighting, group: str, people: Sequence[str], day: date) -> Iterator[Act]:
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        level = self._level(sighting.company, midnight)
        if level <= 0 or not sighting.main:
            return
        draw = random.Random(f"{self.seed}/{group}/{day}")  # noqa: S311 - a simulation
        end = self.stopped.get(group)
        features = self._features(sighting.company, draw)
        for who in people or ("",):
            if draw.random() >= min(0.95, 0.65 * level):
                continue
            for _ in range(1 + int(draw.expovariate(0.25) * min(1.5, level))):
                at = midnight + draw.randrange(MORNING, EVENING)
                act = Act(who, draw.choices(list(features), list(features.values()))[0], at, group)
                if end is None or act.at < end:
                    yield act

    def _level(self, company: Company, midnight: int) -> float:
        """Return how busy a company is on a day: 1 is usual, weekends are quiet."""
        age = (self.now // 1000 - midnight) / 86_400
        if midnight * 1000 < company.since:
            return 0
        level = {
            "thriving": 1.3 - min(age, 90) / 150,
            "fading": min(1.0, 0.15 + max(age, 0) / 60),
            "silent": 1.0 if age > SILENT_DAYS else 0.0,
            "struggling": 0.7,
            "leaving": min(1.0, 0.3 + max(age, 0) / 90),
        }.get(company.fate, 1.0)
        weekend = datetime.fromtimestamp(midnight, UTC).weekday() >= 5
        return level * (0.12 if weekend else 1.0)

    def _features(self, company: Company, draw: random.Random) -> Mapping[str, float]:
        """Return events and their weights; those who do badly have left the core of the product."""
        known = 1 if company.fate in {"fading", "struggling", "leaving"} else len(CORE)
        weights = {name: 4.0 / (number + 1) for number, name in enumerate(CORE[:known])}
        return {**weights, **dict.fromkeys(SIDE, 0.4 + draw.random() / 5), NOISE: 2.0}


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days from the first to the last."""
    while first <= last:
        yield first
        first += timedelta(days=1)
