from __future__ import annotations

import logging
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import Delivery, Envelope, MessageSend, Recipient, TaskCreate
from wellkept.testing.mail import DROP, STALL, MailSink
from wellkept_smtp.actions import MailMessages, MailTasks
from wellkept_smtp.addresses import AddressError, mailbox, one_line, parse_mailbox
from wellkept_smtp.compose import compose
from wellkept_smtp.templates import Rendered

Make = Callable[..., Any]


async def test_a_message_arrives_in_both_forms(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    action = MailMessages(context(port=sink.port, reply_to="team@wellkept.example"))

    outcome = await action.send(delivery(), envelope())

    assert outcome.status == "done"
    (mail,) = sink.mails
    message = mail.message
    assert (mail.sender, mail.recipients) == ("success@wellkept.example", ("bo@example.com",))
    assert message["From"] == "Success <success@wellkept.example>"
    assert message["To"] == "Bo <bo@example.com>"
    assert message["Reply-To"] == "team@wellkept.example"
    assert message["Subject"] == "Acme: health fell"
    assert message["Message-ID"] == "<key-policy-1@wellkept.example>"
    assert parsedate_to_datetime(message["Date"]).timestamp() * 1000 == 1_795_219_200_000
    assert message["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in message
    plain, html = message.iter_parts()
    assert "Acme: health fell" in plain.get_content()
    assert html.get_content_type() == "text/html"
    assert "<p>Acme: health fell</p>" in html.get_content()


async def test_every_try_sends_the_same_bytes(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    ctx = context(port=sink.port)
    action = MailMessages(ctx)
    sink.fail("end", "451 4.3.0 later")

    outcomes = []
    for _ in range(3):
        outcomes.append(await action.send(delivery(), envelope()))
        ctx.clock.advance(3600)

    assert [outcome.status for outcome in outcomes] == ["retry", "done", "done"]
    assert sink.mails[0].content == sink.mails[1].content


async def test_marketing_can_be_left_in_one_click(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    url = "https://wellkept.example/unsubscribe/" + "x" * 180
    action = MailMessages(context(port=sink.port))

    outcome = await action.send(
        delivery(template="tips", variables={"title": "Three tips", "tips": ["one"]}),
        envelope(purpose="marketing", unsubscribe_url=url),
    )

    assert outcome.status == "done"
    raw = sink.mails[0].content.decode()
    assert f"List-Unsubscribe: <{url}>\r\n" in raw
    assert sink.mails[0].message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for part in sink.mails[0].message.iter_parts():
        assert url in part.get_content()


async def test_chinese(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    action = MailMessages(context(port=sink.port))

    await action.send(
        delivery(variables={"title": "健康度下降", "reasons": ["两次付款失败"]}), envelope(locale="zh-CN", name="李雷")
    )

    message = sink.mails[0].message
    assert sink.mails[0].content.isascii()
    assert message["Subject"] == "Acme：健康度下降"  # noqa: RUF001 - as it is written in Chinese
    assert message["To"] == "李雷 <bo@example.com>"
    assert message["Content-Language"] == "zh"
    assert "原因：\n- 两次付款失败" in next(message.iter_parts()).get_content().replace("\r\n", "\n")  # noqa: RUF001


async def test_an_idn_domain_goes_out_in_ascii(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    action = MailMessages(context(port=sink.port))

    assert (await action.send(delivery(), envelope("bo@bücher.example"))).status == "done"

    assert sink.mails[0].recipients == ("bo@xn--bcher-kva.example",)
    assert sink.mails[0].message["To"] == "Bo <bo@xn--bcher-kva.example>"


async def test_a_local_part_outside_ascii_needs_smtputf8(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    action = MailMessages(context(port=sink.port))
    assert (await action.send(delivery(), envelope("李@example.com"))).status == "done"
    assert sink.mails[0].recipients == ("李@example.com",)

    with MailSink(smtputf8=False) as old:
        outcome = await MailMessages(context(port=old.port)).send(delivery(), envelope("李@example.com"))
    assert outcome.status == "rejected"
    assert "SMTPUTF8" in outcome.reason
    assert old.mails == []


@pytest.mark.parametrize("name", ["Bo\r\nBcc: eve@example.com", "Bo\nX: y", "Bo\x00", 'Bo" <eve@example.com>, "x'])
async def test_a_name_cannot_add_headers_or_recipients(
    sink: MailSink, context: Make, delivery: Make, envelope: Make, name: str
) -> None:
    action = MailMessages(context(port=sink.port))

    await action.send(delivery(variables={"title": f"t{name}"}), envelope(name=name, account_name=name))

    message = sink.mails[0].message
    assert sink.mails[0].recipients == ("bo@example.com",)
    assert [address.addr_spec for address in message["To"].addresses] == ["bo@example.com"]
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Language",
    }  # fmt: skip


@pytest.mark.parametrize(
    "address",
    ["", "bo", "bo@", "@x.example", "bo@x..example", "bo@x.example\r\nRCPT TO:<eve@x>", "bo eve@x.example", "<bo@x.example>",
     "bo@x.example>\r\n", "b\x00o@x.example", "bo@-x.example", ".bo@x.example"],
)  # fmt: skip
async def test_what_is_no_address_is_rejected_before_the_server_hears_it(
    sink: MailSink, context: Make, delivery: Make, envelope: Make, address: str
) -> None:
    outcome = await MailMessages(context(port=sink.port)).send(delivery(), envelope(address))

    assert outcome.status == "rejected"
    assert sink.log == []


@given(st.text(), st.text(), st.text())
def test_no_text_breaks_out_of_a_header(name: str, local: str, subject: str) -> None:
    try:
        box = mailbox(name, f"{local}@example.com")
    except AddressError:
        return
    content = Rendered(locale="en", subject=one_line(subject) or "x", text="t\n", html="<p>t</p>")
    mail = compose(content, sender=mailbox("W", "w@example.com"), recipient=box, reply_to=None, idempotency_key="k", date=0)
    head = mail.body.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    names = [line.split(b":", 1)[0] for line in head.split(b"\r\n")]
    assert names == [
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"MIME-Version", b"Content-Type",
        b"Content-Language",
    ]  # fmt: skip
    assert b"\n" not in mail.body.replace(b"\r\n", b"")


def test_mailboxes_are_read() -> None:
    assert parse_mailbox('"Doe, Jo" <jo@example.com>') == ("Doe, Jo", "jo", "example.com")
    assert parse_mailbox("jo@example.com") == ("", "jo", "example.com")


async def test_a_line_that_begins_with_a_dot_survives(sink: MailSink, context: Make, delivery: Make, envelope: Make) -> None:
    text = "first\n.\n..hidden\nlast"
    await MailMessages(context(port=sink.port)).send(
        delivery(template="note", variables={"title": "dots", "text": text}), envelope(account_name=None)
    )
    assert next(sink.mails[0].message.iter_parts()).get_content().replace("\r\n", "\n").startswith(text)


REPLIES = [
    ("mail", "451 4.3.0 busy", "not sent", False),
    ("mail", "550 5.7.1 not you", "not sent", False),
    ("rcpt", "451 4.7.1 greylisted", "retry", False),
    ("rcpt", "450 mailbox busy", "retry", False),
    ("rcpt", "550 5.1.1 no such user", "rejected", True),
    ("rcpt", "550 no such user", "rejected", True),
    ("rcpt", "550 5.7.1 blocked", "rejected", False),
    ("rcpt", "552 5.2.2 mailbox full", "rejected", False),
    ("data", "451 later", "retry", False),
    ("data", "554 no", "rejected", False),
    ("end", "452 4.3.1 disk full", "retry", False),
    ("end", "554 5.6.0 spam", "rejected", False),
    ("end", "550 5.1.1 no such user", "rejected", True),
    ("mail", DROP, "not sent", False),
    ("rcpt", DROP, "retry", False),
    ("data", DROP, "retry", False),
    ("mail", STALL, "not sent", False),
    ("data", STALL, "retry", False),
    ("end", DROP, "unknown", False),
    ("end", STALL, "unknown", False),
]


@pytest.mark.parametrize(("phase", "what", "status", "gone"), REPLIES)
async def test_what_a_reply_means(
    sink: MailSink,
    context: Make,
    delivery: Make,
    envelope: Make,
    attempt: Make,
    suppressed: Any,
    phase: Any,
    what: str,
    status: str,
    gone: bool,
) -> None:
    sink.fail(phase, what)

    outcome = await attempt(MailMessages(context(port=sink.port, timeout=0.3)), delivery(), envelope())

    assert outcome.status == status
    assert sink.mails == []
    assert len(sink.in_doubt) == (status == "unknown")
    assert suppressed.scopes == ({"bo@example.com": "all"} if gone else {})
    assert "bo@" not in outcome.reason


async def test_a_drop_while_the_message_is_read_never_counts_as_done(
    sink: MailSink, context: Make, delivery: Make, envelope: Make
) -> None:
    sink.fail("body", DROP)

    outcome = await MailMessages(context(port=sink.port, timeout=0.3)).send(delivery(), envelope())

    assert outcome.status in {"retry", "unknown"}
    assert sink.mails == sink.in_doubt == []


async def test_one_recipient_is_refused_and_the_other_is_not(
    sink: MailSink, context: Make, delivery: Make, envelope: Make
) -> None:
    sink.fail("rcpt", "550 5.1.1 no", address="eve@example.com", times=None)
    action = MailMessages(context(port=sink.port))

    assert (await action.send(delivery("a"), envelope("eve@example.com"))).status == "rejected"
    assert (await action.send(delivery("b"), envelope("bo@example.com"))).status == "done"


async def test_nobody_listens(context: Make, delivery: Make, envelope: Make, attempt: Make) -> None:
    with MailSink() as gone:
        port = gone.port

    outcome = await attempt(MailMessages(context(port=port)), delivery(), envelope())

    assert outcome.status == "not sent"


async def test_what_cannot_be_rendered_is_rejected_without_quoting_it(
    sink: MailSink, context: Make, delivery: Make, envelope: Make
) -> None:
    action = MailMessages(context(port=sink.port))

    missing = await action.send(delivery(variables={}), envelope())
    unknown = await action.send(delivery(template="nothing"), envelope())

    assert (missing.status, unknown.status) == ("rejected", "rejected")
    assert "'title' is undefined" in missing.reason
    assert "payment_failed" in unknown.reason
    assert sink.log == []


async def test_no_address_is_logged(
    sink: MailSink, context: Make, delivery: Make, envelope: Make, caplog: pytest.LogCaptureFixture
) -> None:
    sink.fail("rcpt", "550 5.1.1 <bo@example.com>: no such user")
    with caplog.at_level(logging.DEBUG, logger="wellkept"):
        outcome = await MailMessages(context(port=sink.port)).send(delivery(), envelope())
    assert outcome.reason == "550 5.1.1 at RCPT TO"
    assert "bo@example.com" not in "".join(record.getMessage() for record in caplog.records if record.name != "mail.log")


def task(**fields: Any) -> Delivery[TaskCreate]:
    values: dict[str, Any] = {"recipient": Recipient(address="ann@wellkept.example", name="Ann", locale="en"), **fields}
    return Delivery(
        key="t/1",
        idempotency_key="t-1",
        payload=TaskCreate(title="Call Acme", body="Ask about the two failed payments.", due_at=1_795_305_600_000),
        target=None,
        account="acct_1",
        attempt=1,
        first_sent_at=1_795_219_200_000,
        sent_at=1_795_219_200_000,
        **values,
    )


async def test_a_task_is_mailed_to_whom_it_is_for(sink: MailSink, context: Make) -> None:
    action = MailTasks(context(port=sink.port, tasks=True))

    (outcome,) = await action.deliver([task()])

    assert outcome.status == "done"
    assert sink.mails[0].recipients == ("ann@wellkept.example",)
    text = next(sink.mails[0].message.iter_parts()).get_content()
    assert sink.mails[0].message["Subject"] == "Task: Call Acme"
    assert "Due: 2026-11-22" in text
    assert "two failed payments" in text


async def test_a_task_in_doubt_cannot_be_looked_up(sink: MailSink, context: Make) -> None:
    action = MailTasks(context(port=sink.port, tasks=True))
    sink.fail("end", DROP)

    (outcome,) = await action.deliver([task()])

    assert outcome.status == "unknown"
    assert await action.look_up(task()) is None
    assert (await action.deliver([task(recipient=None)]))[0].status == "rejected"


def test_the_plugin_offers_tasks_only_when_asked(context: Make) -> None:
    from wellkept_smtp import plugin

    assert [type(action) for action in plugin.actions(context())] == [MailMessages]
    assert [type(action) for action in plugin.actions(context(tasks=True))] == [MailMessages, MailTasks]
    assert plugin.describe().name == "smtp"


def test_types(delivery: Make, envelope: Make) -> None:
    assert isinstance(delivery().payload, MessageSend)
    assert isinstance(envelope(), Envelope)
