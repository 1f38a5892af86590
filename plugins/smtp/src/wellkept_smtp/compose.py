"""Composes a message for the wire: the same bytes for every try of one effect."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any

import msgspec

from wellkept_smtp.addresses import Mailbox
from wellkept_smtp.templates import Rendered

_VERBATIM = {"list-unsubscribe", "list-unsubscribe-post", "message-id"}


class _Policy(EmailPolicy):
    """The library's rules for SMTP, except that it breaks long tokens (RFC 8058 wants the link in one piece)."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _VERBATIM:
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its envelope.

    Attributes:
        sender: Where the server returns what it cannot deliver.
        recipient: To whom.
        body: Headers and text, lines end in CRLF.
        utf8: Whether the server must support SMTPUTF8.
    """

    sender: Mailbox
    recipient: Mailbox
    body: bytes
    utf8: bool


def compose(
    content: Rendered,
    *,
    sender: Mailbox,
    recipient: Mailbox,
    reply_to: Mailbox | None,
    idempotency_key: str,
    date: int,
    unsubscribe_url: str | None = None,
) -> Mail:
    """Make a multipart message.

    Args:
        content: Subject and text in both forms.
        sender: From whom.
        recipient: To whom.
        reply_to: Whom an answer reaches.
        idempotency_key: Names the effect: the Message-ID is made of it, so that two copies can be told to be one.
        date: Epoch ms; the first try's, so that every try sends the same message.
        unsubscribe_url: For marketing: puts the headers of RFC 2369 and, for one click, RFC 8058.
    """
    utf8 = recipient.needs_utf8 or sender.needs_utf8 or (reply_to is not None and reply_to.needs_utf8)
    message = EmailMessage(policy=_Policy(linesep="\r\n", utf8=utf8))
    message["From"] = _address(sender)
    message["To"] = _address(recipient)
    if reply_to is not None:
        message["Reply-To"] = _address(reply_to)
    message["Subject"] = content.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(date // 1000, UTC))
    message["Message-ID"] = f"<{idempotency_key}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(content.text, cte=_encoding(content.text))
    message.add_alternative(content.html, subtype="html", cte=_encoding(content.html))
    message["Content-Language"] = content.locale  # last: adding parts would move it into one of them
    message.set_boundary(f"=_{idempotency_key}")
    return Mail(sender=sender, recipient=recipient, body=message.as_bytes(), utf8=utf8)


def _address(box: Mailbox) -> Address:
    return Address(display_name=box.name, username=box.local, domain=box.domain)


def _encoding(text: str) -> str:
    """Choose an encoding that every server can pass on: readable where most of it is ASCII."""
    return "quoted-printable" if sum(map(str.isascii, text)) * 2 > len(text) else "base64"
