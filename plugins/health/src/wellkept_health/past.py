"""What a column was before: ``open_tickets_7d_ago`` is `open_tickets` 7 days ago, or the oldest value known since.

What was sold is known from the records' own history, and has columns of its own: `mrr_28d_ago`. Other columns of the frame show
one day. What a score must know of earlier days travels from one score of an account to the next, as the days on
which the column changed. An account that was seen for the first time yesterday is compared with yesterday.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from wellkept import Score, Value
from wellkept_health.measures import NAMES as COLUMNS

_NAME = re.compile(r"([a-z_][a-z0-9_]*?)_(\d{1,3})d_ago")

_PREFIX = "past."
"""How the keys of a score's carry begin that hold a column's past."""


def split(name: str) -> tuple[str, int] | None:
    """Return the column and the days behind a name such as ``events_28d_7d_ago``; None for what is a column itself."""
    match = None if name in COLUMNS else _NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


class Memory:
    """The columns of which somebody asks for the past, and how far back.

    Args:
        names: All names in expressions and texts.
    """

    def __init__(self, names: Collection[str]) -> None:
        asked = {name: found for name in names if (found := split(name)) is not None}
        self._asked = asked
        self._days: dict[str, int] = {}
        for column, days in asked.values():
            self._days[column] = max(days, self._days.get(column, 0))

    @property
    def names(self) -> Mapping[str, str]:
        """The names that are answered from memory, and their columns."""
        return {name: column for name, (column, _) in self._asked.items()}

    @property
    def columns(self) -> Sequence[str]:
        """Those columns, each once."""
        return list(self._days)

    def recall(
        self, row: Mapping[str, Value], as_of: date, previous: Score | None
    ) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return the values of all names for an account, and what the next score must know.

        Args:
            row: The account today.
            as_of: That day.
            previous: Its last score of an earlier day.
        """
        values: dict[str, Value] = {}
        carry: dict[str, Value] = {}
        changes: dict[str, list[tuple[date, int | float]]] = {}
        for column, days in self._days.items():
            known = _read(previous.carry.get(_PREFIX + column) if previous else None)
            changes[column] = _grown(known, as_of, row[column], days)
            if changes[column]:
                carry[_PREFIX + column] = ";".join(f"{day.isoformat()}={value!r}" for day, value in changes[column])
        for name, (column, days) in self._asked.items():
            then = as_of - timedelta(days=days)
            past = [value for day, value in changes[column] if day <= then] or [value for _, value in changes[column][:1]]
            values[name] = past[-1] if past else None
        return values, carry


def _read(text: Value) -> list[tuple[date, int | float]]:
    found = []
    for item in str(text or "").split(";"):
        day, _, value = item.partition("=")
        if value:
            found.append((date.fromisoformat(day), int(value) if value.lstrip("-").isdigit() else float(value)))
    return found


def _grown(known: list[tuple[date, int | float]], today: date, value: Value, days: int) -> list[tuple[date, int | float]]:
    """Return the changes with today's, without those that nobody will ask for again."""
    found = [(day, past) for day, past in known if day < today]
    if isinstance(value, (int, float)) and (not found or found[-1][1] != value):
        found.append((today, value))
    oldest = today - timedelta(days=days)
    while len(found) > 1 and found[1][0] <= oldest:
        found.pop(0)
    return found
