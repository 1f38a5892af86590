"""Mail for Wellkept: the capability ``message.send``, and if wanted ``task.create``, over SMTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellkept import Action, Context, PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept_smtp.config import SmtpConfig


class SmtpPlugin:
    """The plugin object."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="smtp",
            api="1.0",
            summary="Sends mail over SMTP, from templates in English and Chinese.",
            config="wellkept_smtp.config:SmtpConfig",
            quality={"simulator": "A mail server is no vendor: the tests send to `wellkept.testing.mail`."},
        )

    @hookimpl
    def actions(self, ctx: Context[SmtpConfig]) -> list[Action]:
        """Return the message action, and the one for tasks where config asks for it."""
        from wellkept_smtp.actions import MailMessages, MailTasks

        return [MailMessages(ctx), *([MailTasks(ctx)] if ctx.config.tasks else [])]

    @hookimpl
    def provide(self, kind: str) -> object | None:
        """Return the demo's mail server."""
        if kind != "simulation":
            return None
        from wellkept_smtp.simulation import SmtpSimulation

        return SmtpSimulation()


plugin = SmtpPlugin()
