"""The capabilities: ``message.send``, and ``task.create`` by mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wellkept import (
    CheckResult,
    Context,
    Delivery,
    Envelope,
    Finding,
    MessageAction,
    MessageSend,
    OnceAction,
    Outcome,
    Recipient,
    TaskCreate,
    Template,
)
from wellkept.errors import ConfigError, NotSentError, RejectedError
from wellkept_smtp.addresses import AddressError, mailbox
from wellkept_smtp.compose import compose
from wellkept_smtp.templates import Templates

if TYPE_CHECKING:
    from wellkept_smtp.config import SmtpConfig
    from wellkept_smtp.transport import Server

TASK_TEMPLATE = "task"


class _Mailer:
    """What both actions share: templates, and the way to the server."""

    def __init__(self, ctx: Context[SmtpConfig]) -> None:
        self._ctx = ctx
        self.templates = Templates(ctx.config.templates)

    @cached_property
    def server(self) -> Server:
        from wellkept_smtp.transport import Server

        return Server(self._ctx.config)

    async def mail(
        self,
        delivery: Delivery[Any],
        recipient: Recipient,
        template: str,
        values: Mapping[str, Any],
        unsubscribe_url: str | None = None,
    ) -> Outcome:
        """Render, compose and submit one message.

        Raises:
            NotSentError: The server does not talk to us, or the configuration is wrong.
        """
        config = self._ctx.config
        try:
            to = mailbox(recipient.name, recipient.address)
            content = self.templates.render(template, recipient.locale, values)
            mail = compose(
                content,
                sender=config.sender,
                recipient=to,
                reply_to=config.answers_to,
                idempotency_key=delivery.idempotency_key,
                date=delivery.first_sent_at,
                unsubscribe_url=unsubscribe_url,
            )
            submission = await self.server.submit(mail)
        except (AddressError, RejectedError) as error:
            return Outcome.rejected(str(error))
        except ConfigError as error:  # a secret, certificate or template that is not there: found before anything was sent
            raise NotSentError(str(error)) from None
        if submission.gone:
            await self._ctx.suppressions.add(recipient.address, scope="all", reason=submission.outcome.reason)
        return submission.outcome


class MailMessages(MessageAction):
    """Sends messages by mail."""

    def __init__(self, ctx: Context[SmtpConfig]) -> None:
        self._mailer = _Mailer(ctx)

    def templates(self) -> Sequence[Template]:
        """Return the built-in templates and the configured folder's."""
        return self._mailer.templates.describe()

    async def send(self, delivery: Delivery[MessageSend], envelope: Envelope) -> Outcome:
        """Send one message; done means that the server has taken responsibility for it."""
        values = {
            **delivery.payload.variables,
            "account_name": envelope.account_name,
            "recipient_name": envelope.recipient.name,
            "unsubscribe_url": envelope.unsubscribe_url,
        }
        url = envelope.unsubscribe_url
        return await self._mailer.mail(delivery, envelope.recipient, delivery.payload.template, values, url)

    async def check(self) -> CheckResult:
        """Read the templates, then try the server."""
        try:
            count = len(self._mailer.templates.all)
            finding = Finding(name="templates", ok=True, message=f"{count} can be used")
        except ConfigError as error:
            finding = Finding(name="templates", ok=False, message=error.message, mend=error.guidance)
        server = await self._mailer.server.check()
        return CheckResult(findings=[finding, *server.findings])


class MailTasks(OnceAction[TaskCreate]):
    """Mails a task to whom it is for.

    A mail server cannot be asked what became of a message, and knows no idempotency keys: a task in doubt is held for a person.
    """

    payload = TaskCreate

    def __init__(self, ctx: Context[SmtpConfig]) -> None:
        self._ctx = ctx
        self._mailer = _Mailer(ctx)

    async def deliver(self, deliveries: Sequence[Delivery[TaskCreate]]) -> Sequence[Outcome]:
        """Mail them, one by one."""
        return [await self._one(delivery) for delivery in deliveries]

    async def look_up(self, delivery: Delivery[TaskCreate]) -> Outcome | None:
        """Say that nobody can tell."""
        del delivery
        return None

    async def _one(self, delivery: Delivery[TaskCreate]) -> Outcome:
        task, recipient = delivery.payload, delivery.recipient
        if recipient is None:
            return Outcome.rejected("the task is for nobody")
        due = None if task.due_at is None else datetime.fromtimestamp(task.due_at / 1000, UTC).date().isoformat()
        account = await self._account_name(delivery.account)
        values = {
            "title": task.title,
            "body": task.body,
            "due": due,
            "account_name": account,
            "recipient_name": recipient.name,
            "unsubscribe_url": None,
        }
        return await self._mailer.mail(delivery, recipient, TASK_TEMPLATE, values)

    async def _account_name(self, account: str | None) -> str | None:
        from wellkept.records import Account

        if account is None:
            return None
        found = await self._ctx.store.records(Account, account=account)
        return next((record.name for record in found if record.name), None)
