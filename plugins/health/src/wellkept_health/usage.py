"""Columns from the product's own events: how much, how often, by how many people, and which features.

Windows leave out days on which all accounts were quiet, see `wellkept.Measure`: an outage or a public holiday is no drop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from wellkept import Formula, Measure
from wellkept.records import Usage

if TYPE_CHECKING:
    from wellkept_health.config import FeatureTable

USAGE = (
    Measure(name="events_28d", record=Usage, aggregate="sum", field="count", time="day", window=28, doc="Events in 28 days."),
    Measure(
        name="events_before_28d",
        record=Usage,
        aggregate="sum",
        field="count",
        time="day",
        window=28,
        offset=28,
        doc="Events in the 28 days before those.",
    ),
    Measure(
        name="active_days_28d",
        record=Usage,
        aggregate="distinct",
        field="day",
        time="day",
        window=28,
        doc="Days of 28 with any use.",
    ),
    Measure(
        name="active_days_before_84d",
        record=Usage,
        aggregate="distinct",
        field="day",
        time="day",
        window=84,
        offset=28,
        doc="Days with any use in the 84 days before the last 28: the account's own rhythm.",
    ),
    Measure(
        name="days_since_use",
        record=Usage,
        aggregate="max",
        field="day",
        unit="days",
        doc="Days since the last one with any use.",
    ),
    Measure(
        name="seats_active",
        record=Usage,
        aggregate="distinct",
        field="subject",
        time="day",
        window=28,
        doc="People who used the product in 28 days (monthly active).",
    ),
    Measure(
        name="people_7d",
        record=Usage,
        aggregate="distinct",
        field="subject",
        time="day",
        window=7,
        doc="People who used the product in 7 days (weekly active).",
    ),
    Measure(
        name="people_1d",
        record=Usage,
        aggregate="distinct",
        field="subject",
        time="day",
        window=1,
        offset=1,
        doc="People who used the product yesterday, the last whole day (daily active).",
    ),
    Measure(
        name="person_days_28d",
        record=Usage,
        aggregate="distinct",
        field="day, subject",
        time="day",
        window=28,
        doc="Days of use in 28 days, summed over people.",
    ),
)

USAGE_FORMULAS = (
    Formula(
        name="usage_trend_28d",
        value="events_28d / events_before_28d",
        doc="Events in 28 days as a share of the 28 days before.",
    ),
    Formula(
        name="active_days_trend",
        value="active_days_28d * 3 / active_days_before_84d",
        doc="Days with any use in 28 days as a share of the usual number.",
    ),
    Formula(
        name="stickiness",
        value="person_days_28d / 28 / seats_active",
        doc="People on an average day as a share of those of 28 days.",
    ),
    Formula(name="seat_use", value="seats_active / seats_bought", doc="People who used the product as a share of the seats."),
)


def feature_column(name: str) -> str:
    """Return the column of a feature."""
    return f"feature_{name}_28d"


def feature_measures(features: Mapping[str, FeatureTable]) -> Iterator[Measure]:
    """Yield the columns of the configured features."""
    for name, feature in features.items():
        yield Measure(
            name=feature_column(name),
            record=Usage,
            aggregate="sum",
            field="count",
            where=_one_of(feature.events),
            time="day",
            window=28,
            doc=f"How often the feature {name!r} was used in 28 days.",
        )


def leaving_measure(events: Sequence[str]) -> Measure:
    """Return the column of the events that somebody causes who looks for the way out."""
    return Measure(
        name="leaving_events_14d",
        record=Usage,
        aggregate="sum",
        field="count",
        where=_one_of(events),
        time="day",
        window=14,
        doc="How often somebody looked for the way out in 14 days.",
        leaks=True,
    )


def _one_of(events: Sequence[str]) -> str:
    return f"event in [{', '.join(map(quoted, events))}]"


def quoted(text: str) -> str:
    """Return a text as an expression writes it."""
    mark = "'" if "'" not in text else '"'
    return f"{mark}{text}{mark}"
