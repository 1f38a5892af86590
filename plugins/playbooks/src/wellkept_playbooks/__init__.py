"""The default policy: rules in `plugins.toml` that act once when a condition becomes true for an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept import Context, PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Decider
    from wellkept_playbooks.config import PlaybooksConfig


class Plugin:
    """What core finds."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="playbooks",
            api="1.0",
            summary="Acts by rules: mails, tasks and changes of tickets when a condition becomes true for an account.",
            config="wellkept_playbooks.config:PlaybooksConfig",
        )

    @hookimpl
    def policies(self, ctx: Context[PlaybooksConfig]) -> list[Decider]:
        """Return one machine per rule."""
        from wellkept_playbooks.rule import Rule
        from wellkept_playbooks.tickets import TicketRule

        return [TicketRule(table) if any(do.on_tickets for do in table.do) else Rule(table) for table in ctx.config.rules]


plugin = Plugin()
