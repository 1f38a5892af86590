"""The standard tests, on mail: an SMTP conversation has refusals and lost connections where HTTP has its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from wellkept import MessageSend, TaskCreate
from wellkept.testing import FakeClock
from wellkept.testing.conformance import ActionTests, Case, PluginTests
from wellkept.testing.mail import DROP, STALL, MailSink

PASSWORD = "correct horse battery"
CUSTOMERS = ("ada@analytical.example", "bo@bicycles.example", "chen@示例.example")


class Trouble(NamedTuple):
    """Something that goes wrong at a place of the conversation, once or (None) until it is mended."""

    phase: Any
    what: str
    times: int | None = 1


class Mail(Case):
    plugin = "smtp"
    over_http = False

    def vendor(self, clock: FakeClock) -> MailSink:
        sink = MailSink(users={"wellkept": PASSWORD})
        sink.start()
        return sink

    def keys(self, vendor: MailSink, url: str) -> Mapping[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": vendor.port,
            "tls": "none",
            "username": "wellkept",
            "password": "env:SMTP_PASSWORD",
            "from_address": "Customer Success <success@wellkept.example>",
            "tasks": True,
            "timeout": 0.5,
        }

    def secrets(self, vendor: MailSink) -> Mapping[str, str]:
        return {"SMTP_PASSWORD": PASSWORD}

    def refuse(self, vendor: MailSink) -> None:
        vendor.users = {}


class MailActions(Mail, ActionTests):
    customers = CUSTOMERS
    borne: ClassVar[Mapping[str, Trouble]] = {
        "busy": Trouble("mail", "421 4.3.2 come again"),
        "greylisted": Trouble("rcpt", "451 4.7.1 come again", 2),
        "not ready": Trouble("data", "451 4.3.0 come again"),
        "full": Trouble("end", "452 4.3.1 no room"),
        "dropped at the sender": Trouble("mail", DROP),
        "dropped at the recipient": Trouble("rcpt", DROP),
        "dropped before the message": Trouble("data", DROP),
    }
    doubtful: ClassVar[Mapping[str, Trouble]] = {
        "dropped in the message": Trouble("body", DROP),
        "dropped after": Trouble("end", DROP),
        "silent after": Trouble("end", STALL),
        "nonsense after": Trouble("end", "999 what"),
    }
    outage = Trouble("mail", "421 4.3.2 closed", None)
    unwelcome = Trouble("mail", "530 5.7.0 log in first", None)
    nonsense = Trouble("rcpt", "501 5.5.4 what")

    def strike(self, vendor: MailSink, fault: Trouble) -> None:
        vendor.fail(fault.phase, fault.what, times=fault.times)

    def mend(self, vendor: MailSink) -> None:
        vendor.mend()

    def changes(self, vendor: MailSink) -> int:
        return len(vendor.mails) + len(vendor.in_doubt)

    def spoil(self, vendor: MailSink) -> bool:
        vendor.fail("rcpt", "550 5.1.1 no such user", address=CUSTOMERS[0], times=None)
        return True

    def about(self, vendor: MailSink, words: str) -> Mapping[str, int]:
        """Return how many mails with these words in the subject each recipient has, or may have."""
        mails = [mail for mail in (*vendor.mails, *vendor.in_doubt) if words in str(mail.message["Subject"])]
        return Counter(address for mail in mails for address in mail.recipients)


class TestSmtp(Mail, PluginTests):
    pass


class TestSmtpMessages(MailActions):
    def payload(self, number: int) -> MessageSend:
        return MessageSend(template="alert", to="billing", variables={"title": f"Health fell {number} times"})

    def done(self, vendor: MailSink, payload: MessageSend) -> Mapping[str, int]:
        return self.about(vendor, str(payload.variables["title"]))


class TestSmtpTasks(MailActions):
    def payload(self, number: int) -> TaskCreate:
        return TaskCreate(title=f"Call them {number}", body="Now", assignee="billing", due_at=self.start)

    def done(self, vendor: MailSink, payload: TaskCreate) -> Mapping[str, int]:
        return self.about(vendor, payload.title)
