"""The default health score: a weighted scorecard over usage, support, satisfaction, billing and engagement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept import Context, PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Formula, Measure, Scorer
    from wellkept_health.config import HealthConfig


class Plugin:
    """What core finds."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="health",
            api="1.0",
            summary="Scores the health of accounts and explains every point.",
            config="wellkept_health.config:HealthConfig",
        )

    @hookimpl
    def scorers(self, ctx: Context[HealthConfig]) -> list[Scorer]:
        """Return the one scorer of an instance."""
        from wellkept_health.scorer import HealthScorer

        return [HealthScorer(ctx.config)]

    @hookimpl
    def measures(self, ctx: Context[HealthConfig]) -> list[Measure | Formula]:
        """Return the columns that the default signals read."""
        from wellkept_health.measures import columns

        return columns(ctx.config)


plugin = Plugin()
