"""The columns that the default signals read, computed from canonical records of whatever sources there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept_health.billing import BILLING, BILLING_FORMULAS
from wellkept_health.engagement import ENGAGEMENT, ENGAGEMENT_FORMULAS
from wellkept_health.support import SATISFACTION, SUPPORT, SUPPORT_FORMULAS
from wellkept_health.usage import USAGE, USAGE_FORMULAS, feature_measures, leaving_measure

if TYPE_CHECKING:
    from wellkept import Formula, Measure
    from wellkept_health.config import HealthConfig

MEASURES: tuple[Measure, ...] = (*BILLING, *USAGE, *SUPPORT, *SATISFACTION, *ENGAGEMENT)
"""What is computed from records."""

FORMULAS: tuple[Formula, ...] = (*BILLING_FORMULAS, *USAGE_FORMULAS, *SUPPORT_FORMULAS, *ENGAGEMENT_FORMULAS)
"""What is computed from those."""

NAMES = frozenset(column.name for column in (*MEASURES, *FORMULAS))
"""The names of the columns that are always there."""


def columns(config: HealthConfig) -> list[Measure | Formula]:
    """Return all columns, with those of the features and events that a person has named."""
    named = list(feature_measures(config.features))
    if config.leaving_events:
        named.append(leaving_measure(config.leaving_events))
    return [*MEASURES, *named, *FORMULAS]
