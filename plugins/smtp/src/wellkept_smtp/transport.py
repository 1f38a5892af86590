"""Hands one message to the server, and says exactly what came of it.

What an answer means depends on when it comes (RFC 5321, section 4.2):

=====================================  ==============================================================================
phase                                  outcome
=====================================  ==============================================================================
connect, greet, TLS, login, MAIL FROM  `NotSentError`: a 5xx here is about us, not about this message
RCPT TO                                4xx `retry`; 5xx `rejected`, and the address is suppressed if it does not exist
DATA, before the last line             4xx `retry`; 5xx `rejected`; connection lost: `retry`, the server must drop it
after the last line                    250 `done`; 4xx `retry`; 5xx `rejected`; **no answer: `unknown`**
=====================================  ==============================================================================

No reason repeats what the server said beyond its codes, because servers quote addresses.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiosmtplib

from wellkept import CheckResult, Finding, Outcome
from wellkept.errors import ConfigError, NotSentError
from wellkept_smtp.compose import Mail
from wellkept_smtp.config import SmtpConfig

_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DOT = re.compile(rb"(?m)^\.")

NO_SUCH_ADDRESS = {550, 551, 553}
"""Replies to RCPT TO that mean, without an enhanced code, that the address does not exist (RFC 5321, section 4.2.3)."""

ADDRESS_IS_GONE = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
"""Enhanced codes that mean that the recipient's address does not exist, or cannot take mail. Others of ``5.1`` are about the
sender's address, or about nothing in particular (RFC 3463, section 3.2, and RFC 7505)."""

GOODBYE_SECONDS = 2.0
"""How long to wait for the answer to QUIT."""


class Submission(NamedTuple):
    """What came of a try, and whether the address is known not to exist."""

    outcome: Outcome
    gone: bool = False


class Server:
    """The mail server of one instance. Every message has a connection of its own.

    Args:
        config: Where it is and who we are.
    """

    def __init__(self, config: SmtpConfig) -> None:
        self._config = config
        self._tls: ssl.SSLContext | None = None

    async def submit(self, mail: Mail) -> Submission:
        """Hand one message over.

        Raises:
            NotSentError: The server does not talk to us, or not on our behalf.
            ConfigError: A certificate or secret is not there; nothing was sent.
        """
        client, submission = self._client(), None
        try:
            await self._greet(client)
            await self._login(client)
            await self._mail_from(client, utf8=mail.utf8)
            if mail.utf8 and not client.supports_extension("smtputf8"):
                return Submission(Outcome.rejected("the server takes no addresses outside ASCII (SMTPUTF8)"))
            submission = await _recipient(client, mail) or await _data(client, mail)
            return submission
        finally:
            await _leave(client, politely=submission is not None and submission.outcome.status in {"done", "rejected"})

    async def check(self) -> CheckResult:
        """Connect, log in and name our sender, without sending anything.

        Raises:
            NotSentError: The server does not talk to us at all.
        """
        config, findings = self._config, list[Finding]()
        try:
            client = self._client()
        except ConfigError as error:
            return CheckResult(
                findings=[Finding(name="connection", ok=False, message=error.message, mend=_MENDS["connection"])]
            )
        steps: dict[str, tuple[Callable[[aiosmtplib.SMTP], Awaitable[None]], str]] = {
            "connection": (self._greet, f"{config.host}:{config.server_port} answers, {_MODES[config.tls]}"),
            "login": (self._login, "accepted"),
            "sender": (self._mail_from, "may send as from_address"),
        }
        if config.username is None:
            del steps["login"]
        try:
            for name, (step, well) in steps.items():
                try:
                    await step(client)
                except (NotSentError, ConfigError) as error:
                    if name == "connection":
                        raise NotSentError(error.message, guidance=_MENDS[name]) from None
                    findings.append(Finding(name=name, ok=False, message=str(error), mend=_MENDS[name]))
                    break
                findings.append(Finding(name=name, ok=True, message=well))
        finally:
            await _leave(client, politely=all(finding.ok for finding in findings))
        return CheckResult(findings=findings)

    def _client(self) -> aiosmtplib.SMTP:
        config = self._config
        if self._tls is None and config.tls != "none":
            try:
                self._tls = ssl.create_default_context(cafile=None if config.ca_file is None else str(config.ca_file))
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"ca_file cannot be read: {error.strerror}", key="ca_file") from None
        return aiosmtplib.SMTP(
            hostname=config.host,
            port=config.server_port,
            use_tls=config.tls == "tls",
            start_tls=config.tls == "starttls",
            tls_context=self._tls,
            local_hostname=config.client_name or socket.gethostname(),
            timeout=config.timeout,
        )

    async def _greet(self, client: aiosmtplib.SMTP) -> None:
        try:
            await client.connect()
            await client.ehlo()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotSentError(f"no conversation with the mail server: {_why(error)}") from None

    async def _login(self, client: aiosmtplib.SMTP) -> None:
        config = self._config
        if config.username is None or config.password is None:
            return
        try:
            await client.login(config.username, config.password.reveal())
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotSentError(f"the mail server refused the login: {_why(error)}") from None

    async def _mail_from(self, client: aiosmtplib.SMTP, *, utf8: bool = False) -> None:
        sender = self._config.sender
        wants_utf8 = utf8 or sender.needs_utf8
        options = ["SMTPUTF8", "BODY=8BITMIME"] if wants_utf8 and client.supports_extension("smtputf8") else []
        try:
            await client.mail(sender.address, options=options, encoding="utf-8")
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSentError(f"the mail server refused the sender: {_why(error)}") from None


_MENDS = {
    "connection": "check host, port, tls and ca_file",
    "login": "check username and the secret behind password",
    "sender": "use a from_address that this login may send from",
}


_MODES = {"none": "not encrypted", "starttls": "encrypted by STARTTLS", "tls": "encrypted"}


async def _recipient(client: aiosmtplib.SMTP, mail: Mail) -> Submission | None:
    try:
        await client.rcpt(mail.recipient.address, encoding="utf-8")
    except aiosmtplib.SMTPResponseException as error:
        return _refused("RCPT TO", error.code, error.message)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Submission(Outcome.retry(f"connection lost at RCPT TO: {_why(error)}"))
    return None


async def _data(client: aiosmtplib.SMTP, mail: Mail) -> Submission:
    """Send the message. Its last line goes out on its own, when nothing speaks against it: from then on it is in doubt."""
    protocol = client.protocol
    try:
        response = await client.execute_command(b"DATA")
        if response.code != aiosmtplib.SMTPStatus.start_input:
            return _refused("DATA", response.code, response.message)
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(_stuffed(mail.body))
        await asyncio.sleep(0)  # let the loop notice a connection that is gone
        protocol.write(b".\r\n")
    except (aiosmtplib.SMTPException, OSError) as error:
        return Submission(Outcome.retry(f"connection lost before the message was handed over: {_why(error)}"))
    try:
        response = await protocol.read_response(timeout=client.timeout)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Submission(Outcome.unknown(f"no answer after the message was handed over: {_why(error)}"))
    if 200 <= response.code < 300:
        return Submission(Outcome.done())
    return _refused("the end of DATA", response.code, response.message)


def _stuffed(body: bytes) -> bytes:
    """Return the message with CRLF line ends, and lines that begin with a dot escaped (RFC 5321, section 4.5.2)."""
    body = _LINE_END.sub(b"\r\n", body)
    return _DOT.sub(b"..", body if body.endswith(b"\r\n") else body + b"\r\n")


def _refused(phase: str, code: int, text: str) -> Submission:
    """Judge a reply that says no."""
    match = _ENHANCED.match(text)
    enhanced = match[1] if match else None
    reason = f"{code}{f' {enhanced}' if enhanced else ''} at {phase}"
    if 400 <= code < 500:
        return Submission(Outcome.retry(reason))
    if 500 <= code < 600:
        gone = enhanced in ADDRESS_IS_GONE if enhanced else phase == "RCPT TO" and code in NO_SUCH_ADDRESS
        return Submission(Outcome.rejected(reason), gone)
    return Submission(Outcome.unknown(reason) if phase == "the end of DATA" else Outcome.retry(reason))


async def _leave(client: aiosmtplib.SMTP, *, politely: bool) -> None:
    """Close the connection, after a goodbye if the server still listens; what it says to that changes nothing."""
    try:
        if politely and client.is_connected:
            await client.quit(timeout=GOODBYE_SECONDS)
    except (aiosmtplib.SMTPException, OSError):
        pass
    finally:
        transport = client.transport
        client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # do not wait for the other side's end of TLS
        await asyncio.sleep(0)  # the loop closes the socket in its next turn


def _why(error: BaseException) -> str:
    """Say what an error was, without what it says: that may quote addresses or passwords."""
    for cause in (error, error.__cause__, error.__context__):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted ({cause.verify_message})"
            case ssl.SSLError():
                return f"TLS failed ({cause.reason})"
            case aiosmtplib.SMTPResponseException():
                return f"it answered {cause.code}"
            case aiosmtplib.SMTPTimeoutError():
                return "it did not answer in time"
            case OSError(strerror=str(text)):
                return text
    return "the connection was lost" if isinstance(error, aiosmtplib.SMTPServerDisconnected) else type(error).__name__
