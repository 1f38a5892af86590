"""Zendesk for Wellkept: reads organizations, users, tickets and ratings; writes organization fields and tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wellkept import PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Action, Context, Source


class ZendeskPlugin:
    """The plugin object. What it hands out is imported when it is asked for."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="zendesk",
            api="1.0",
            summary="Reads support from Zendesk; writes scores into organization fields, and priorities, tags and notes.",
            config="wellkept_zendesk.config:ZendeskConfig",
        )

    @hookimpl
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:
        """Return the one source."""
        from wellkept_zendesk.source import ZendeskSource

        return [ZendeskSource(ctx)]

    @hookimpl
    def actions(self, ctx: Context[Any]) -> Sequence[Action]:
        """Return the actions: one for organizations, four for tickets."""
        from wellkept_zendesk.actions import PushFields
        from wellkept_zendesk.tickets import AddTags, Assign, RaisePriority, WriteNote

        return [PushFields(ctx), RaisePriority(ctx), AddTags(ctx), Assign(ctx), WriteNote(ctx)]

    @hookimpl
    def provide(self, kind: str, settings: Mapping[str, Any]) -> object | None:
        """Return the demo's Zendesk account."""
        if kind != "simulation":
            return None
        from wellkept_zendesk.simulation import ZendeskSimulation

        return ZendeskSimulation(settings["setting"])


plugin = ZendeskPlugin()
