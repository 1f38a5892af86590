"""The standard tests, on the default scorecard."""

from __future__ import annotations

from wellkept.testing.conformance import ScorerTests


class TestHealthScore(ScorerTests):
    plugin = "health"
