"""The demo's mail server: takes every mail and shows who got what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wellkept.records import Json
from wellkept.testing.mail import MailSink
from wellkept.testing.simulation import Happening, Receipt
from wellkept.testing.world import Seen


class SmtpSimulation:
    """See `wellkept.testing.simulation.Simulation`."""

    def __init__(self) -> None:
        self._sink = MailSink()
        self._seen = 0

    def start(self) -> Mapping[str, Json]:
        """Start the server."""
        self._sink.start()
        return {"host": "127.0.0.1", "port": self._sink.port, "tls": "none"}

    def records(self) -> Mapping[str, Seen]:
        """A mail server knows no accounts."""
        return {}

    def unfold(self) -> Sequence[Happening]:
        """Nothing happens at a mail server."""
        return ()

    def received(self) -> Sequence[Receipt]:
        """Return the mails by recipient."""
        new, self._seen = self._sink.mails[self._seen :], len(self._sink.mails)
        return [
            Receipt(subject=address, text=str(mail.message["Subject"]), capability="message.send")
            for mail in new
            for address in mail.recipients
        ]

    def close(self) -> None:
        """Stop the server."""
        self._sink.close()
