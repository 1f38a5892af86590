"""Core features: how many of those that an account has to hand it uses, and which ones it does not.

Three names stand for an account's own set, in expressions and in words: ``core_features`` is its size, ``core_features_used``
how many of them were used in 28 days, ``core_features_unused`` a text with the names of the others. A feature counts for those
alone for whom its `when` holds, so that one outside the plan is never unused; one of which nothing is known is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wellkept import Value
from wellkept.expressions import Expression, parse
from wellkept_health.config import FeatureTable
from wellkept_health.usage import feature_column

SIGNALS = frozenset({"core_features"})
"""Signals that make sense only where features are configured."""

DUE, USED, UNUSED = NAMES = ("core_features", "core_features_used", "core_features_unused")


class _Feature(msgspec.Struct, frozen=True):
    name: str
    column: str
    when: Expression | None


class Features:
    """The configured features.

    Args:
        tables: What a person wrote.
    """

    def __init__(self, tables: Mapping[str, FeatureTable]) -> None:
        self._features = [
            _Feature(name, feature_column(name), parse(table.when, condition=True) if table.when else None)
            for name, table in tables.items()
        ]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads."""
        named = frozenset[str]().union(*(feature.when.names for feature in self._features if feature.when))
        return named | {feature.column for feature in self._features}

    @property
    def counted(self) -> frozenset[str]:
        """The columns that tell of use."""
        return frozenset(feature.column for feature in self._features)

    def look(self, view: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of the three names for an account."""
        due = [feature for feature in self._features if feature.when is None or feature.when.holds(view)]
        known = [(feature.name, view[feature.column]) for feature in due if view[feature.column] is not None]
        if not known:
            return {DUE: 0 if not due else None, USED: None, UNUSED: None}
        unused = [name for name, count in known if not count]
        return {DUE: len(known), USED: len(known) - len(unused), UNUSED: ", ".join(unused).replace("_", " ")}
