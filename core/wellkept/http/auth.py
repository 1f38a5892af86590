"""How requests are signed. A scheme is applied to every attempt anew, so that what expires while we wait is renewed."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from wellkept.clock import Clock
from wellkept.errors import ConfigError
from wellkept.http.messages import UNFIT, Outgoing, Params, Response


class Revealing(Protocol):
    """A secret that can be asked for its value, such as `wellkept.secrets.Secret`."""

    def reveal(self) -> str:
        """Return the present value."""
        ...


SecretLike = Revealing | Callable[[], str]
"""A `Secret` from the configuration, or a function that returns the value."""


class Post(Protocol):
    """Sends a form to a server that gives out tokens, outside of the client's own limit."""

    def __call__(self, url: str, form: Params, headers: Mapping[str, str]) -> Awaitable[Response]:
        """Return the answer, whatever its status. Raises `RetryableError` where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """What a client lends to its `Auth`."""

    clock: Clock
    post: Post
    register: Callable[[str], None]


class Auth(ABC):
    """Signs requests. Subclass it for a scheme of your own."""

    @abstractmethod
    async def apply(self, request: Outgoing) -> None:
        """Put the credential into the request, and note in `request.credential` which one it was.

        Raises:
            CredentialsError: There is none that could be used.
            RetryableError: It must be fetched, which failed for now.
        """

    async def refresh(self, refused: Outgoing) -> bool:
        """Get another credential after the vendor answered 401; called once per request.

        Args:
            refused: The attempt that was refused. Somebody else may have renewed its credential in the meantime.

        Returns:
            Whether another attempt makes sense.
        """
        del refused
        return False

    def bind(self, session: Session) -> None:
        """Take what the client lends; called when the client is made."""
        del session

    async def aclose(self) -> None:  # noqa: B027 - most schemes have nothing to finish
        """Finish what is under way; called when the client is closed."""


class Static(Auth):
    """Base of the schemes whose secret changes only when a person rotates it. The secret is read anew for every attempt."""

    @abstractmethod
    def _value(self) -> str:
        """Return the header's present value."""

    def __init__(self, header: str) -> None:
        self._header = header.lower()
        self._register: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._header!r})"

    def bind(self, session: Session) -> None:
        """Take the redactor, which learns every value before it is used."""
        self._register = session.register

    async def apply(self, request: Outgoing) -> None:
        """Set the header."""
        value = self._value()
        request.headers[self._header] = request.credential = value

    async def refresh(self, refused: Outgoing) -> bool:
        """Try again if the secret was rotated since."""
        return self._value() != refused.credential

    def _reveal(self, secret: SecretLike) -> str:
        return reveal(secret, self._register)


class Bearer(Static):
    """``Authorization: Bearer ...`` (RFC 6750) with a key that does not expire."""

    def __init__(self, secret: SecretLike) -> None:
        super().__init__("authorization")
        self._secret = secret

    def _value(self) -> str:
        return f"Bearer {self._reveal(self._secret)}"


class Basic(Static):
    """``Authorization: Basic ...`` (RFC 7617).

    Args:
        user: The user, or the key of vendors that leave the password empty; may itself be a secret.
        secret: The password; None for an empty one.
    """

    def __init__(self, user: str | SecretLike, secret: SecretLike | None = None) -> None:
        super().__init__("authorization")
        self._user = user
        self._secret = secret

    def _value(self) -> str:
        user = self._user if isinstance(self._user, str) else self._reveal(self._user)
        return basic(user, self._reveal(self._secret) if self._secret is not None else "")


class Header(Static):
    """A header of the vendor's own, such as ``X-Api-Key``."""

    def __init__(self, name: str, secret: SecretLike) -> None:
        super().__init__(name)
        self._secret = secret

    def _value(self) -> str:
        return self._reveal(self._secret)


def basic(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` header of the Basic scheme, in UTF-8."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def reveal(secret: SecretLike, register: Callable[[str], None] | None = None) -> str:
    """Return a secret's present value.

    Raises:
        ConfigError: It cannot stand in a header: it has a line break or the like.
    """
    value = secret() if callable(secret) else secret.reveal()
    if register is not None:
        register(value)
    if not value or UNFIT.search(value):
        name = getattr(secret, "reference", "a secret")
        raise ConfigError(f"{name} is empty, or has characters that no header can carry", guidance="copy it once more")
    return value
