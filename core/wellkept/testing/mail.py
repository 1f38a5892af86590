"""A real SMTP server on loopback that keeps what it is sent, and fails where a test tells it to. Needs `aiosmtpd`."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult

Phase = Literal["mail", "rcpt", "data", "body", "end"]
"""Where a fault strikes.

========  ===============================================================
mail      at MAIL FROM
rcpt      at RCPT TO
data      at DATA, before the server says that it is ready
body      when the server has said so, before it has read the message
end       when it has read the last line
========  ===============================================================
"""

DROP: Literal["drop"] = "drop"
"""A fault: the connection is closed without an answer."""

STALL: Literal["stall"] = "stall"
"""A fault: no answer, until the client goes."""

START_SECONDS = 10.0

CLOSING_TURNS = 5
"""Turns of the loop in which transports that were aborted close their sockets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedMail:
    """A message that the server took responsibility for, or (see `MailSink.in_doubt`) read without saying so."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The parsed message."""
        found = message_from_bytes(self.content, policy=policy.default)
        if not isinstance(found, EmailMessage):
            raise TypeError("not a message")
        return found


@dataclass(kw_only=True, slots=True)
class _Fault:
    phase: Phase
    what: str
    address: str | None
    left: int | None


class MailSink:
    """Takes mail on ``127.0.0.1`` until it is closed; a context manager.

    Args:
        port: 0 takes a free one.
        tls: Whether the server offers STARTTLS, speaks TLS from the first byte, or neither.
        context: The server's certificate, for both kinds of TLS.
        users: Logins that are accepted, name to password; None asks for none.
        smtputf8: Whether it takes addresses outside ASCII.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        tls: Literal["none", "starttls", "tls"] = "none",
        context: ssl.SSLContext | None = None,
        users: Mapping[str, str] | None = None,
        smtputf8: bool = True,
    ) -> None:
        self._wanted_port = port
        self._tls = tls
        self._context = context
        self.users = users
        self._smtputf8 = smtputf8
        self._faults: list[_Fault] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wellkept-mail-sink", daemon=True)
        self._stop: asyncio.Event | None = None
        self._open: dict[Any, Any] = {}
        self.port = 0
        """Where it listens, once started."""
        self.mails: list[ReceivedMail] = []
        """What it took responsibility for, in order."""
        self.in_doubt: list[ReceivedMail] = []
        """What it has read whole and never answered."""
        self.log: list[str] = []
        """What was said, such as ``RCPT bo@example.com 550``: the same for the same conversation."""

    def fail(self, phase: Phase, what: str, *, address: str | None = None, times: int | None = 1) -> None:
        """Fail from now on.

        Args:
            phase: Where.
            what: A reply such as ``"451 4.3.0 come again"``, or `DROP`, or `STALL`.
            address: Only for this recipient (phase ``rcpt``).
            times: How often; None for always.

        Raises:
            ValueError: There is no place for a reply in the phase ``body``.
        """
        if phase == "body" and what not in {DROP, STALL}:
            raise ValueError("nothing can be replied while the message is read")
        self._faults.append(_Fault(phase=phase, what=what, address=address, left=times))

    def mend(self) -> None:
        """Stop failing."""
        self._faults.clear()

    def start(self) -> None:
        """Start the server; returns when it can be reached.

        The library's own log, which repeats every line of every mail, is silenced: it would drown a test's, and tests that
        look for personal data in logs would find it.
        """
        logging.getLogger("mail.log").disabled = True
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError("the mail sink did not start")

    def close(self) -> None:
        """Stop the server and wait for its thread."""
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _take(self, phase: Phase, address: str | None = None) -> str | None:
        """Return the fault that strikes now."""
        for fault in self._faults:
            if fault.phase == phase and fault.left != 0 and fault.address in {None, address}:
                if fault.left is not None:
                    fault.left -= 1
                return fault.what
        return None

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        options: dict[str, Any] = {"enable_SMTPUTF8": self._smtputf8, "hostname": "localhost", "loop": self._loop}
        if self.users is not None:
            options |= {"auth_require_tls": self._tls == "starttls", "authenticator": self._authenticate}
        if self._tls == "starttls":
            options |= {"tls_context": self._context, "require_starttls": True}
        server = await self._loop.create_server(
            lambda: _Protocol(self, **options),
            "127.0.0.1",
            self._wanted_port,
            ssl=self._context if self._tls == "tls" else None,
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await server.wait_closed()
        for transport in list(self._open.values()):
            transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        del server, session, envelope
        name, password = data.login.decode(), data.password.decode()
        good = (self.users or {}).get(name) == password
        self.log.append(f"AUTH {mechanism} {name} {'235' if good else '535'}")
        return AuthResult(success=good, handled=False)

    # --- the hooks of aiosmtpd -------------------------------------------------------------------------------------------

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        """Take a recipient, or not."""
        del session, options
        reply = await server.struck(self._take("rcpt", address), f"RCPT {address}")
        if reply is None:
            envelope.rcpt_tos.append(address)
            reply = "250 OK"
        self.log.append(f"RCPT {address} {reply[:3]}")
        return str(reply)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a message, or not."""
        del session
        mail = ReceivedMail(sender=envelope.mail_from, recipients=tuple(envelope.rcpt_tos), content=bytes(envelope.content))
        fault = self._take("end")
        if fault in {DROP, STALL}:
            self.in_doubt.append(mail)
        reply = await server.struck(fault, "END")
        reply = reply or "250 OK"
        if reply.startswith("2"):
            self.mails.append(mail)
        self.log.append(f"END {reply[:3]}")
        return str(reply)


class _Protocol(SMTP):
    """aiosmtpd's server with faults."""

    def __init__(self, sink: MailSink, **options: Any) -> None:
        super().__init__(sink, **options)
        self._sink = sink

    def connection_made(self, transport: Any) -> None:
        self._sink._open.setdefault(self, transport)  # noqa: SLF001 - the two are one
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sink._open.pop(self, None)  # noqa: SLF001
        super().connection_lost(error)

    async def struck(self, fault: str | None, step: str) -> str | None:
        """Return the reply that a fault wants; do not return if it wants none."""
        if fault not in {DROP, STALL}:
            return fault
        self._sink.log.append(f"{step} {fault}")
        if fault == DROP and self.transport is not None:
            self.transport.close()
        await asyncio.Event().wait()  # until the connection is lost, which ends this task
        return None

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        reply = await self.struck(self._sink._take("mail"), "MAIL")  # noqa: SLF001 - the two are one
        logged_in = self.session is not None and self.session.authenticated
        if reply is None and self._sink.users is not None and not logged_in:
            reply = "530 5.7.0 log in first"
        self._sink.log.append(f"MAIL {'' if reply is None else reply[:3]}".strip())
        if reply is not None:
            await self.push(reply)
        else:
            await super().smtp_MAIL(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        reply = await self.struck(self._sink._take("data"), "DATA")  # noqa: SLF001
        if reply is not None:
            self._sink.log.append(f"DATA {reply[:3]}")
            await self.push(reply)
            return
        fault = self._sink._take("body")  # noqa: SLF001
        if fault is not None:
            await self.push("354 go on")
            await self.struck(fault, "BODY")
        await super().smtp_DATA(arg)
