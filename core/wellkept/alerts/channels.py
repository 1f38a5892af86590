"""The ways out: mail by SMTP, a signed webhook, and the ping of a dead-man's switch. None needs a plugin or the store."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING

from wellkept.errors import ConfigError, NotSentError
from wellkept.redact import redact_exception

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wellkept.alerts.notices import Message
    from wellkept.settings import AlertMail, AlertWebhook

PATIENCE = 10.0
"""Seconds to wait for a server, each time that it is its turn to speak."""

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port of each mode; RFC 6409 and RFC 8314."""

_STANDARD = "whsec_"


async def mail(settings: AlertMail, message: Message, now: int) -> None:
    """Send a message by mail. Blocks the event loop meanwhile: whoever watches has one of his own.

    Raises:
        NotSentError: The server did not take it, from us or for any of the addresses.
        ConfigError: The password is not there.
    """
    letter = EmailMessage()
    letter["From"] = settings.from_address
    letter["To"] = ", ".join(settings.to)
    letter["Subject"] = " ".join(message.subject.split())
    letter["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    letter["Message-ID"] = f"<{message.id}@{settings.from_address.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text)
    password = None if settings.password is None else settings.password.reveal()
    _submit(settings, password, letter)


def _submit(settings: AlertMail, password: str | None, letter: EmailMessage) -> None:
    port = settings.port or PORTS[settings.tls]
    try:
        trust = ssl.create_default_context()
        if settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, port, timeout=PATIENCE, context=trust)
        else:
            server = smtplib.SMTP(settings.host, port, timeout=PATIENCE)
        with server:
            if settings.tls == "starttls":
                server.starttls(context=trust)
            if settings.username is not None and password is not None:
                server.login(settings.username, password)
            refused = server.send_message(letter)
    except (smtplib.SMTPException, OSError) as error:
        raise NotSentError(f"the mail server {settings.host} did not take it: {_why(error)}") from None
    if refused:  # the others have it: to send it again would tell them twice
        raise PartlySentError(f"the mail server {settings.host} refused {len(refused)} of {len(settings.to)} addresses")


class PartlySentError(NotSentError):
    """Some have it, and some never will."""


def _why(error: Exception) -> str:
    """Say what an error was, without what a server said: it may quote addresses."""
    match error:
        case smtplib.SMTPResponseException():
            return f"it answered {error.smtp_code}"
        case smtplib.SMTPRecipientsRefused():
            return "it refused all addresses"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case OSError(strerror=str(text)):
            return text
    return type(error).__name__


async def webhook(settings: AlertWebhook, message: Message, now: int) -> None:
    """Post a message, signed as Standard Webhooks says.

    Raises:
        NotSentError: It was not taken with a 2xx.
        ConfigError: Address or secret are not there.
    """
    import msgspec

    body = msgspec.json.encode(message.data)
    headers = {"content-type": "application/json", **signature(settings.secret.reveal(), message.id, now, body)}
    await _exchange("POST", settings.url.reveal(), headers, body, what="the webhook")


def signature(secret: str, id_: str, now: int, body: bytes) -> Mapping[str, str]:
    """Return the headers of Standard Webhooks: HMAC-SHA256 over id, time in seconds, and body.

    Args:
        secret: ``whsec_`` and base64, or any text.
        id_: The message's.
        now: Epoch ms.
        body: The body as it goes out.
    """
    key = secret.encode()
    if secret.startswith(_STANDARD):
        try:
            key = base64.b64decode(secret.removeprefix(_STANDARD), validate=True)
        except binascii.Error:
            raise ConfigError(
                "the webhook's secret begins with whsec_ and is not base64", key="alerts.webhook.secret"
            ) from None
    at = str(now // 1000)
    mac = hmac.digest(key, f"{id_}.{at}.".encode() + body, "sha256")
    return {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": f"v1,{base64.b64encode(mac).decode()}"}


async def ping(url: str) -> None:
    """Fetch an address, to say that we live.

    Raises:
        NotSentError: Nobody answered with a 2xx.
    """
    await _exchange("GET", url, {}, None, what="the ping")


async def _exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, what: str) -> None:
    """Make one request and insist on a 2xx. No error shows the address: it is a secret."""
    from wellkept.errors import FatalError
    from wellkept.http.messages import split_url
    from wellkept.http.transport import Progress, Transport, WireError

    try:
        origin, target = split_url(url)
    except FatalError as error:
        raise ConfigError(f"{what} has no address that can be used: {redact_exception(error)}") from None
    fields = {"user-agent": "wellkept", "accept": "*/*", **headers}
    if body is not None:
        fields["content-length"] = str(len(body))
    transport = Transport(origin, connect=PATIENCE, read=PATIENCE)
    try:
        async with asyncio.timeout(3 * PATIENCE), transport.exchange(method, target, fields, body, Progress()) as answer:
            status = answer.status
    except TimeoutError:
        raise NotSentError(f"{what}: no answer in time") from None
    except WireError as error:
        raise NotSentError(f"{what}: {error}") from None
    finally:
        await transport.aclose()
    if not 200 <= status < 300:
        raise NotSentError(f"{what} was answered with HTTP {status}")
