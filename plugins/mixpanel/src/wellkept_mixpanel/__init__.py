"""Mixpanel for Wellkept: reads usage, user and group profiles; writes scores into group or user properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wellkept import PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Action, Context, Source


class MixpanelPlugin:
    """The plugin object. What it hands out is imported when it is asked for."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="mixpanel",
            api="1.0",
            summary="Reads product usage and profiles from Mixpanel and writes scores into group or user properties.",
            config="wellkept_mixpanel.config:MixpanelConfig",
            quality={"webhooks": "Mixpanel tells of no event as it happens: exports by day are its one way out."},
        )

    @hookimpl
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:
        """Return the one source."""
        from wellkept_mixpanel.source import MixpanelSource

        return [MixpanelSource(ctx)]

    @hookimpl
    def actions(self, ctx: Context[Any]) -> Sequence[Action]:
        """Return the action behind ``score.push``, if there is a token to write with."""
        from wellkept_mixpanel.actions import pushing

        return pushing(ctx)

    @hookimpl
    def provide(self, kind: str, settings: Mapping[str, Any]) -> object | None:
        """Return the demo's Mixpanel project."""
        if kind != "simulation":
            return None
        from wellkept_mixpanel.simulation import MixpanelSimulation

        return MixpanelSimulation(settings["setting"])


plugin = MixpanelPlugin()
