"""HubSpot for Wellkept: reads companies, people, deals, tasks and surveys; writes scores and tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wellkept import PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Action, Context, Source
    from wellkept.records import Record


class HubSpotPlugin:
    """The plugin object. What it hands out is imported when it is asked for."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="hubspot",
            api="1.0",
            summary="Reads the CRM from HubSpot, writes scores into company properties, and creates tasks.",
            config="wellkept_hubspot.config:HubSpotConfig",
        )

    @hookimpl
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:
        """Return the one source."""
        from wellkept_hubspot.source import HubSpotSource

        return [HubSpotSource(ctx)]

    @hookimpl
    def actions(self, ctx: Context[Any]) -> Sequence[Action]:
        """Return the actions behind ``score.push`` and ``task.create``."""
        from wellkept_hubspot.actions import PushProperties
        from wellkept_hubspot.tasks import CreateTask

        return [PushProperties(ctx), CreateTask(ctx)]

    @hookimpl
    def record_types(self) -> Sequence[type[Record]]:
        """Return deals and custom objects, which are records of HubSpot's own."""
        from wellkept_hubspot.records import HubSpotDeal, HubSpotObject

        return [HubSpotDeal, HubSpotObject]

    @hookimpl
    def provide(self, kind: str, settings: Mapping[str, Any]) -> object | None:
        """Return the demo's HubSpot account."""
        if kind != "simulation":
            return None
        from wellkept_hubspot.simulation import HubSpotSimulation

        return HubSpotSimulation(settings["setting"])


plugin = HubSpotPlugin()
