"""What a person may write below ``[plugins.health]``."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept import Unit
from wellkept.errors import ConfigError
from wellkept.expressions import parse


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _expression(text: str) -> str:
    try:
        parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


def _condition(text: str) -> str:
    try:
        parse(text, condition=True)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


def _writable(events: list[str]) -> list[str]:
    for event in events:
        if "\\" in event or ("'" in event and '"' in event):
            raise ValueError(f"{event!r}: an event's name cannot hold a backslash, nor both kinds of quotation marks")
    return events


def _one_direction(knots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if any(after[0] <= before[0] for before, after in pairwise(knots)):
        raise ValueError("the first figures of the knots must ascend")
    if any(not 0 <= health <= 100 for _, health in knots):
        raise ValueError("the second figure of a knot is a health, from 0 to 100")
    rises = [after[1] - before[1] for before, after in pairwise(knots)]
    if min(rises) < 0 < max(rises):
        raise ValueError("the health of the knots must go one way: up, or down")
    return knots


def _full(weights: dict[str, float]) -> dict[str, float]:
    for group, weight in weights.items():
        if weight < 0:
            raise ValueError(f"{group}: a weight cannot be negative")
    total = sum(weights.values())
    if abs(total - 100) > 1e-6:
        raise ValueError(f"the weights must sum to 100; these sum to {total:g}")
    return weights


Cause = Literal["onboarding", "disconnection", "price", "features", "support", "payment", "other", "none"]
"""What makes customers leave; ``none`` is no cause but the leaving itself."""

Expression = Annotated[str, AfterValidator(_expression)]
Condition = Annotated[str, AfterValidator(_condition)]
Knots = Annotated[list[tuple[float, float]], Field(min_length=2), AfterValidator(_one_direction)]
Weights = Annotated[dict[str, float], AfterValidator(_full)]
Points = Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)]


FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class SignalTable(_Table):
    """``[plugins.health.signals.NAME]``: changes a signal, or adds one. What is left out stays as it is."""

    enabled: bool | None = None
    """False leaves the signal out."""
    group: str | None = None
    """The group whose weight it shares."""
    value: Expression | None = None
    """An expression over columns that yields a number or a flag (1 for true). ``mrr_28d_ago`` is what `mrr` was then."""
    knots: Knots | None = None
    """``[[value, health], ...]``: straight lines in between, level outside. Health runs from 0 to 100, one way."""
    weight: Annotated[float, Field(gt=0)] | None = None
    """Its share of the group, beside the group's other signals."""
    ceiling: Annotated[int, Field(ge=0, le=100)] | None = None
    """What the whole score cannot exceed while this signal's health is 0; the limit rises to 100 with its health."""
    when: Condition | None = None
    """Only for accounts for which this holds; for others the signal is no part of the card."""
    age: Expression | None = None
    """An expression that yields the age of the value in days."""
    half_life: Annotated[float, Field(gt=0)] | None = None
    """Days in which the weight of an old value halves."""
    reason: str | None = None
    """The reason in words; ``{value}`` and ``{column}`` are replaced."""
    fine: str | None = None
    """The words while nothing is lost; `reason` unless given."""
    cause: Cause | None = None
    """What it points to when an account leaves; `other` unless given. The account's main cause is the one that lost most."""
    unit: Unit | None = None
    """How ``{value}`` is written; the column's own where `value` is nothing but a column."""


class FeatureTable(_Table):
    """``[plugins.health.features.NAME]``: something the product does that a healthy customer uses."""

    events: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    """Names of events that show its use; any of them will do."""
    when: Condition | None = None
    """For whom it counts, such as ``plan in ['pro', 'team']``: a feature that is not in somebody's plan is never unused."""

    @field_validator("events")
    @classmethod
    def _writable(cls, events: list[str]) -> list[str]:
        return _writable(events)


class CardTable(_Table):
    """``[[plugins.health.scorecards]]``: another card for some accounts. The first one whose `when` holds counts."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """Its name, shown in the note of a score."""
    when: Condition
    """For which accounts."""
    weights: Weights | None = None
    """Weights of the groups; those of the default card unless given."""
    signals: dict[str, SignalTable] = {}
    """Changes to signals, for this card alone."""


class BandsTable(_Table):
    """``bands``: where bands begin, and how steady they are."""

    red_below: Points = Decimal(50)
    """A score below is red."""
    green_above: Points = Decimal(75)
    """A score above is green."""
    margin: Points = Decimal(3)
    """A band changes at once when the score is more than this past the border, else on the second day."""

    @model_validator(mode="after")
    def _ordered(self) -> BandsTable:
        if self.red_below >= self.green_above:
            raise ValueError("red_below must be less than green_above")
        return self


class HealthConfig(_Table):
    """``[plugins.health]``. Every key has a default; see the README for the default signals."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "health"
    """The score's name, and the first part of its columns' names; must differ between instances."""
    weights: Weights | None = None
    """Weight of each group, summing to 100. A group that is left out does not count."""
    bands: BandsTable = BandsTable()
    """Borders between red, yellow and green."""
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Below this share of the card's weight an account is not scored."""
    signals: dict[str, SignalTable] = {}
    """Changes to the default signals, and new ones."""
    features: dict[FeatureName, FeatureTable] = {}
    """The core features of the product; without any, nobody is measured by them."""
    leaving_events: list[Annotated[str, Field(min_length=1)]] = []
    """Events of somebody who looks for the way out: ``["Cancel page viewed", "Exported all data"]``."""
    scorecards: list[CardTable] | None = None
    """Cards for segments and life stages; unless given, one for accounts in their first 90 days."""

    @field_validator("leaving_events")
    @classmethod
    def _events(cls, events: list[str]) -> list[str]:
        return _writable(events)

    @model_validator(mode="after")
    def _usable(self) -> HealthConfig:
        from wellkept_health.cards import build

        try:
            build(self)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self
