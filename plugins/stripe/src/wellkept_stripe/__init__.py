"""Stripe for Wellkept: reads customers, subscriptions, invoices, payments, prices and products; writes customer metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wellkept import PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Action, Context, Source
    from wellkept.records import Record


class StripePlugin:
    """The plugin object. What it hands out is imported when it is asked for."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="stripe",
            api="1.0",
            summary="Reads billing from Stripe and writes scores into customer metadata.",
            config="wellkept_stripe.config:StripeConfig",
        )

    @hookimpl
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:
        """Return the one source."""
        from wellkept_stripe.source import StripeSource

        return [StripeSource(ctx)]

    @hookimpl
    def actions(self, ctx: Context[Any]) -> Sequence[Action]:
        """Return the action behind ``score.push``."""
        from wellkept_stripe.actions import PushMetadata

        return [PushMetadata(ctx)]

    @hookimpl
    def record_types(self) -> Sequence[type[Record]]:
        """Return prices and products, which are records of Stripe's own."""
        from wellkept_stripe.records import StripePrice, StripeProduct

        return [StripePrice, StripeProduct]

    @hookimpl
    def provide(self, kind: str, settings: Mapping[str, Any]) -> object | None:
        """Return the demo's Stripe account."""
        if kind != "simulation":
            return None
        from wellkept_stripe.simulation import StripeSimulation

        return StripeSimulation(settings["setting"])


plugin = StripePlugin()
