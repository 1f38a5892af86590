"""E-mail addresses as SMTP wants them: IDN domains in ASCII, and nothing that could break out of a header or command."""

from __future__ import annotations

import re
from typing import NamedTuple

_LOCAL = re.compile(r'[^\s@<>()\[\],;:\\"\x00-\x1f\x7f]{1,64}')
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")


class AddressError(ValueError):
    """A text is no address that mail can be sent to. The message does not repeat the text."""


class Mailbox(NamedTuple):
    """An address with the name that belongs to it.

    Attributes:
        name: For people; no line breaks or other control characters.
        local: What stands before the ``@``; outside ASCII it needs SMTPUTF8 (RFC 6531).
        domain: In ASCII.
    """

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """``local@domain``."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it."""
        return not self.local.isascii()


def mailbox(name: str | None, address: str) -> Mailbox:
    """Check an address and put it into the form for the wire.

    Raises:
        AddressError: It has no ``@``, or characters that no plain address has.
    """
    local, at, domain = address.strip().rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressError("not a valid e-mail address")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise AddressError("the domain of the e-mail address is not valid") from None
    if not _DOMAIN.fullmatch(domain):
        raise AddressError("the domain of the e-mail address is not valid")
    return Mailbox(one_line(name or ""), local, domain)


def parse_mailbox(text: str) -> Mailbox:
    """Read ``Name <address>`` or a plain address. Raises `AddressError`."""
    match = _NAMED.fullmatch(text.strip())
    return mailbox(match["name"].strip().strip('"'), match["address"]) if match else mailbox(None, text)


def one_line(text: str) -> str:
    """Return a text on one line, without control characters: fit for a header."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
