"""Where a store is: a file, or a URL of PostgreSQL; and how people write that down."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from wellkept.errors import ConfigError
from wellkept.redact import REDACTOR

_SCHEMES = ("postgresql://", "postgres://")
_REFERENCES = ("env:", "file:")


def is_url(address: Path | str) -> bool:
    """Say whether an address is PostgreSQL's, and not a file's."""
    return isinstance(address, str) and address.startswith(_SCHEMES)


def password_in(text: str) -> str | None:
    """Return the password that stands in a URL, None where there is none."""
    if not is_url(text):
        return None
    try:
        parts = urlsplit(text)
        return unquote(parts.password or "") or parse_qs(parts.query).get("password", [None])[0]
    except ValueError:  # whatever is wrong with it: it may be there
        return text


def address(text: str, base: Path) -> Path | str:
    """Return the address that somebody wrote.

    Args:
        text: A file's path, a URL ``postgresql://...``, or a reference ``env:NAME`` or ``file:path`` to such a URL.
        base: The folder that relative paths start from.

    Raises:
        ConfigError: There is nothing behind a reference, or no URL.
    """
    if is_url(text):
        return text
    if not text.startswith(_REFERENCES):
        return base / text
    from wellkept.secrets import Resolver

    value = Resolver(base, REDACTOR.register).value(text)
    if not is_url(value):
        raise ConfigError(
            f"the secret behind {text!r} is no address of a PostgreSQL database", guidance="it must begin with postgresql://"
        )
    return value
