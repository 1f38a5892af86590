"""What ``[plugins.smtp]`` may hold."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wellkept import LocalPath
from wellkept.secrets import Secret
from wellkept_smtp.addresses import AddressError, Mailbox, parse_mailbox

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""The usual port of each mode; RFC 6409 and RFC 8314."""


def _mailbox(text: str) -> str:
    try:
        parse_mailbox(text)
    except AddressError as error:
        raise ValueError(str(error)) from None
    return text


MailboxText = Annotated[str, AfterValidator(_mailbox)]


class SmtpConfig(BaseModel):
    """A mail server, who we are to it, and our templates."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    host: Annotated[str, Field(min_length=1)]
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The usual one of the `tls` mode unless given: 587, 465 or 25."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """``starttls`` is required, never optional; ``tls`` from the first byte; ``none`` on loopback only."""
    allow_plaintext: bool = False
    """Permit ``tls = "none"`` to another machine: everybody on the way can read the mail and the password."""
    ca_file: LocalPath | None = None
    """Certificates to trust, in PEM, instead of the system's."""
    username: str | None = None
    """Who we are to the server; goes with `password`."""
    password: Secret | None = None
    """The password of `username`."""
    from_address: MailboxText
    """``Customer Success <success@example.com>``"""
    reply_to: MailboxText | None = None
    """Where answers go, if not to `from_address`."""
    templates: LocalPath | None = None
    """A folder of your own templates; one with a built-in's name replaces it."""
    tasks: bool = False
    """Whether tasks are mailed to whom they are for, where no other plugin keeps tasks."""
    timeout: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Seconds to wait for each answer of the server."""
    client_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\[\]:-]+$")] | None = None
    """How we greet the server (EHLO); the machine's name unless given."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.tls == "none" and not self.allow_plaintext and not is_loopback(self.host):
            raise ValueError('tls = "none" sends readable mail to another machine: use "starttls" or "tls"')
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self

    @property
    def server_port(self) -> int:
        """The port to connect to."""
        return self.port or PORTS[self.tls]

    @property
    def sender(self) -> Mailbox:
        """Who the mail is from."""
        return parse_mailbox(self.from_address)

    @property
    def answers_to(self) -> Mailbox | None:
        """Whom an answer reaches, if not the sender."""
        return None if self.reply_to is None else parse_mailbox(self.reply_to)


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
