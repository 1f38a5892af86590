"""The standard tests, on mail: an SMTP conversation has refusals and lost connections where HTTP has its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import pytest

from wellkept import Envelope, MessageSend, Payload, Recipient, TaskCreate
from wellkept.records import Account, Json, Person, Record
from wellkept.testing import FakeClock
from wellkept.testing.conformance import ActionTests, Case, PluginTests
from wellkept.testing.mail import DROP, STALL, MailSink

PASSWORD = "correct horse battery"
TEMPLATES = Path(__file__).parent / "smtp_templates"


ADA, BO, CHEN = "ada@analytical.example", "bo@bicycles.example", "chen@示例.example"
REFUSED = {
    "gone-1@rcpt.example": "550 5.1.1 <gone-1@rcpt.example> unknown",
    "gone-2@rcpt.example": "550 no such user",
    "gone-3@rcpt.example": "551 not here",
    "gone-4@rcpt.example": "553 bad name",
    "blocked@rcpt.example": "550 5.7.1 5.1.1 blocked",
    "full@rcpt.example": "552 5.2.2 full",
    "strange@rcpt.example": "552 strange",
    "moved@rcpt.example": "551 5.1.6 moved",
    "other@rcpt.example": "550 5.1.0 something",
    "soon@rcpt.example": "450 4.2.1 come again",
    "odd@rcpt.example": "650 what",
}
"""What the server says to each of them, whenever they are to be a recipient."""

NO_ADDRESSES = ("nobody", "a b@x.example", "a@x..example", ".a@x.example", "a.@x.example", "a..b@x.example", "a@-x.example")
UNUSUAL = ("pelé@club.example", "x.y+z@sub.bücher.example")

CUSTOMERS: Sequence[str | Record] = (
    ADA,
    BO,
    Account(id=CHEN, version=1, name="示例公司", email=CHEN, locale="zh-Hans-CN"),
    Person(id="lian", version=1, account_ref=CHEN, email="lian@示例.example", name="陈莲", locale="zh_TW"),
    Person(id="gone", version=1, account_ref=BO, email="gone-1@rcpt.example"),
)


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
        self.mend(sink)
        return sink

    def keys(self, vendor: MailSink, url: str) -> Mapping[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": vendor.port,
            "tls": "none",
            "username": "wellkept",
            "password": "env:SMTP_PASSWORD",
            "from_address": "Customer Success <success@wellkept.example>",
            "reply_to": '"Team, the" <team@wellkept.example>',
            "templates": str(TEMPLATES / "own"),
            "tasks": True,
            "timeout": 30,
        }

    def secrets(self, vendor: MailSink) -> Mapping[str, str]:
        return {"SMTP_PASSWORD": PASSWORD}

    def varying(self, vendor: MailSink) -> Sequence[str]:
        return [str(TEMPLATES), str(vendor.port)]

    def refuse(self, vendor: MailSink) -> None:
        vendor.users = {}

    def mend(self, vendor: MailSink) -> None:
        vendor.mend()
        for address, reply in REFUSED.items():
            vendor.fail("rcpt", reply, address=address, times=None)


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

    def keys(self, vendor: MailSink, url: str) -> Mapping[str, Any]:
        return {**super().keys(vendor, url), "timeout": 3}

    def strike(self, vendor: MailSink, fault: Trouble) -> None:
        vendor.fail(fault.phase, fault.what, times=fault.times)

    def changes(self, vendor: MailSink) -> int:
        return len(vendor.mails) + len(vendor.in_doubt)

    def spoil(self, vendor: MailSink) -> bool:
        vendor.fail("rcpt", "550 5.1.1 no such user", address=ADA, times=None)
        return True

    def arrived(self, vendor: MailSink) -> Sequence[str]:
        """Return what was said, and each mail as it was read."""
        found, mails = list[str](), iter(vendor.mails)
        for said in vendor.log:
            found.append(said)
            if said.startswith("END 2"):
                mail = next(mails)
                text = mail.content.decode("utf-8", "backslashreplace")
                found += [f"{mail.sender} to {', '.join(mail.recipients)}", *text.split("\n")]
        return found

    def about(self, vendor: MailSink, words: str) -> Mapping[str, int]:
        """Return how many mails with these words in the subject each recipient has, or may have."""
        mails = [mail for mail in (*vendor.mails, *vendor.in_doubt) if words in str(mail.message["Subject"])]
        return Counter(address for mail in mails for address in mail.recipients)


class TestSmtp(Mail, PluginTests):
    def troubles(self, vendor: MailSink) -> Mapping[str, Callable[[], Mapping[str, Json] | None]]:
        nobody: Mapping[str, Json] = {"username": None, "password": None}
        wrong = sorted(path.name for path in (TEMPLATES / "wrong").iterdir())
        return {
            "a login is refused": lambda: vars(vendor).update(users={}),
            "no login, and one is needed": lambda: nobody,
            "no login, and none is needed": lambda: vars(vendor).update(users=None) or nobody,
            "a sender that is refused": lambda: vendor.fail("mail", "550 5.7.1 not you", times=None),
            "a server that hangs up": lambda: vendor.fail("mail", DROP, times=None),
            "a server that is silent": lambda: vendor.fail("mail", STALL, times=None) or {"timeout": 0.5},
            "nobody there": lambda: {"port": 9},
            "no STARTTLS": lambda: {"tls": "starttls"},
            "no such certificate": lambda: {"tls": "starttls", "ca_file": "none.pem"},
            "no such secret": lambda: {"password": "env:NO_SUCH_SECRET"},
            "no such folder": lambda: {"templates": str(TEMPLATES / "nowhere")},
            "no folder": lambda: {"templates": None},
            "no tasks": lambda: {"tasks": None},
            "another machine": lambda: {"host": "mail.example"},
            "a name without a password": lambda: {"password": None},
            "no such sender": lambda: {"from_address": "nobody"},
            **{f"wrong templates: {name}": partial(dict, templates=str(TEMPLATES / "wrong" / name)) for name in wrong},
        }


class Encrypted(Mail):
    mode: ClassVar[Literal["starttls", "tls"]]
    authority: ClassVar[Any]

    @pytest.fixture(autouse=True)
    def certificates(self, authority: Any) -> None:
        type(self).authority = authority

    def vendor(self, clock: FakeClock) -> MailSink:
        sink = MailSink(tls=self.mode, context=self.authority.server, users={"wellkept": PASSWORD}, smtputf8=False)
        sink.start()
        return sink

    def keys(self, vendor: MailSink, url: str) -> Mapping[str, Any]:
        return {**super().keys(vendor, url), "tls": self.mode, "ca_file": str(self.authority.ca_file)}

    def troubles(self, vendor: MailSink) -> Mapping[str, Callable[[], Mapping[str, Json] | None]]:
        return {
            "a certificate that no system knows": lambda: {"ca_file": None},
            "not encrypted": lambda: {"tls": "none", "ca_file": None, "timeout": 1},
        }


class TestSmtpStartTls(Encrypted, PluginTests):
    mode = "starttls"
    records_folder = "smtp_starttls_records"


class TestSmtpTls(Encrypted, PluginTests):
    mode = "tls"
    records_folder = "smtp_tls_records"


def envelope(address: str = ADA, locale: str = "en", name: str | None = None, **fields: Any) -> Envelope:
    return Envelope(recipient=Recipient(address=address, name=name, locale=locale), **{"purpose": "transactional", **fields})


def note(**variables: str) -> MessageSend:
    return MessageSend(template="note", to="billing", variables={"title": "a title", "text": "a text", **variables})


class TestSmtpMessages(MailActions):
    def payload(self, number: int) -> MessageSend:
        return MessageSend(template="alert", to="billing", variables={"title": f"Health fell {number} times"})

    def messages(self) -> Mapping[str, tuple[MessageSend, Envelope]]:
        def send(template: str, **variables: Json) -> MessageSend:
            return MessageSend(template=template, to="billing", variables=variables)

        pay, who = "https://pay.example/update?a=1&b=2", {"name": "Ada & <Bo>"}
        dots = "first\n.\n..two\rthree\r\nfour <b>&</b>, see https://w.example/x?a=1&b=2.\n\n\n  http://w.example/y\nlast"
        chinese = envelope(CHEN, "zh-Hans-CN", "陈莲", account_name="示例公司")
        asked = {"purpose": "marketing", "unsubscribe_url": f"https://wellkept.example/unsubscribe/{'x' * 90}"}
        named = envelope(name='Ada "Countess" King,\n  Lovelace', account_name="Analytical Engines")
        return {
            "a note": (note(), envelope()),
            "an alert": (send("alert", title="a\r\nBcc: b", reasons=["r", "健康"], text="t"), named),
            "an alert in Chinese": (send("alert", title="健康度下降", reasons=["两次"]), chinese),
            "reasons that are none": (send("alert", title="健康度下降", reasons=5), chinese),
            "a payment": (send("payment_failed", amount="12.00 USD", update_url=pay, sender="C"), named),
            "a card": (send("card_expiring", expires="2026-12-31", card="Visa 4242"), chinese),
            "tips": (send("tips", title="两个", tips=["一", "b"]), envelope(CHEN, "zh_TW", **asked)),
            "an own template": (send("renewal", who=who, gift="1"), envelope(name="Ada", **asked)),
            "an own template in Chinese": (send("renewal", who=who, link=pay), envelope(CHEN, "ZH_tw", **asked)),
            "nothing to say for a link": (send("renewal", who=who), envelope(**asked)),
            "a name is missing": (send("renewal", who={}, gift="1"), envelope(**asked)),
            "lines and dots": (note(title="x" * 201, text=dots), envelope(locale="de")),
            "no subject": (note(title=" \n"), envelope()),
            "half of it Chinese": (note(text="健" * 8 + "a" * 7), envelope(locale="")),
            "more than half of it Chinese": (note(text="健" * 10 + "a" * 6), envelope()),
            "no such template": (send("nothing"), envelope()),
            **{address: (note(), envelope(address)) for address in (*REFUSED, *NO_ADDRESSES, *UNUSUAL)},
        }

    def circumstances(self, vendor: MailSink) -> Mapping[str, Callable[[], object]]:
        replies = [
            *(("mail", reply) for reply in ("451 4.3.0 busy", "550 5.7.1 not you", DROP)),
            *(("rcpt", reply) for reply in ("399 what", "499 later", "599 5.5.9 no", "600 what", DROP)),
            *(("data", reply) for reply in ("400 later", "550 no", "554 5.1.8 no", "299 what", "300 what", DROP)),
            *(("end", reply) for reply in ("200 taken", "299 taken", "300 what", "452 4.3.1 disk full", "554 5.6.0 spam")),
            *(("end", reply) for reply in ("550 no", "150 what", "600 what", DROP, "550 5.1.10 no mail here")),
        ]
        return {f"{what} at {phase}": partial(self.strike, vendor, Trouble(phase, what, None)) for phase, what in replies}

    def done(self, vendor: MailSink, payload: MessageSend) -> Mapping[str, int]:
        return self.about(vendor, str(payload.variables["title"]))


class TestSmtpTasks(MailActions):
    def payload(self, number: int) -> TaskCreate:
        return TaskCreate(title=f"Call them {number}", body="Now", assignee="billing", due_at=self.start)

    def others(self) -> Sequence[Payload]:
        return [
            TaskCreate(title="Without a date", assignee="person:wishes:lian"),
            TaskCreate(title="For somebody who is gone", assignee="person:wishes:gone", due_at=self.start - 1),
        ]

    def done(self, vendor: MailSink, payload: TaskCreate) -> Mapping[str, int]:
        return self.about(vendor, payload.title)
