"""The installation's own key, and what is derived from it: seals, signatures and keyed hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wellkept.errors import ConfigError, StoreError
from wellkept.secrets import BUILT_IN, Resolver, Secret, split

if TYPE_CHECKING:
    from wellkept.store import Reader, Tx

KEY_BYTES = 32

_SALT = b"wellkept/installation/1"
_FINGERPRINT = "key_fingerprint"


class InstallationKey:
    """The key of one installation. Its bytes are never handed out; ask `derive` for a key of your own.

    Args:
        material: At least `KEY_BYTES` bytes that nobody can guess.
    """

    __slots__ = ("_root",)

    def __init__(self, material: bytes) -> None:
        self._root = hmac.digest(_SALT, material, "sha256")

    def __repr__(self) -> str:
        return "InstallationKey(***)"

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that belong to `purpose` alone: HKDF-SHA256 (RFC 5869) with the purpose as its `info`."""
        return hmac.digest(self._root, purpose.encode() + b"\x01", "sha256")

    def keyed_hash(self, text: str) -> str:
        """Return the hexadecimal HMAC of a text: equal for equal texts, of no use without the key.

        For tombstones, suppressions and digests of configurations. Normalise the text first (`address_form`, for one).
        """
        return hmac.new(self.derive("hash"), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def address_form(address: str) -> str:
    """Return the form under which an e-mail address is hashed: no blanks, lower case, the domain in ASCII.

    Local parts are case-sensitive by RFC 5321, but no mail service treats them so, and mailing somebody who has unsubscribed
    under another spelling is worse than not mailing a second person.
    """
    local, at, domain = address.strip().casefold().rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}"


class KeySigner:
    """A `wellkept.context.Signer`: tokens are ``TEXT.EXPIRY.MAC`` in URL-safe base64.

    Args:
        key: The installation's key.
        scope: What all tokens of this signer are bound to beside their purpose: the instance's name, so that one plugin
            cannot make another one's links.
    """

    def __init__(self, key: InstallationKey, scope: str) -> None:
        self._key = key
        self._scope = scope

    def sign(self, purpose: str, text: str, *, expires_at: int | None = None) -> str:
        """Return a URL-safe token bound to `purpose`; its holder can read `text`. `expires_at` is in epoch ms."""
        body = f"{_encode(text.encode())}.{'' if expires_at is None else expires_at}"
        return f"{body}.{self._mac(purpose, body)}"

    def verify(self, purpose: str, token: str, *, now: int) -> str | None:
        """Return the text of a genuine, unexpired token for this purpose, else None."""
        body, _, mac = token.rpartition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(purpose, body).encode()):
            return None
        text, _, expires_at = body.partition(".")
        if expires_at and int(expires_at) <= now:
            return None
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()

    def _mac(self, purpose: str, body: str) -> str:
        name = f"sign/{len(self._scope)}:{self._scope}/{purpose}"
        return _encode(hmac.digest(self._key.derive(name), body.encode("utf-8", "replace"), "sha256"))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def open_key(secret: Secret, resolver: Resolver, *, create: bool) -> InstallationKey:
    """Return the installation's key.

    Args:
        secret: ``[wellkept] key``.
        resolver: Resolves the reference.
        create: Make a key file that is missing. Pass False as soon as there is a store that was made with a key: everything
            sealed or hashed with the lost one (tokens, who unsubscribed, what was erased) would be silently forgotten.

    Raises:
        ConfigError: The key is missing, too short, or the file cannot be made.
    """
    parts = split(secret.reference)
    if parts is not None and parts[0] == "file":
        path = resolver.file(parts[1])
        if not path.exists():
            if not create:
                raise ConfigError(
                    f"the installation key {path} is gone, and the store was made with it",
                    key="wellkept.key",
                    guidance="put the key back from your backup; without it, tokens, unsubscriptions and erasures are lost",
                )
            _make(path)
    elif parts is not None and parts[0] not in BUILT_IN:
        raise ConfigError(
            "the installation key cannot come from a provider, which is itself a plugin",
            key="wellkept.key",
            guidance="write env:NAME or file:path",
        )
    text = resolver.value(secret.reference).strip()
    try:
        material = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if len(material) < KEY_BYTES:
        raise ConfigError(
            f"the installation key behind {secret.reference!r} is not base64 of at least {KEY_BYTES} bytes",
            key="wellkept.key",
            guidance="make one with `openssl rand -base64 32`",
        )
    return InstallationKey(material)


def _make(path: Path) -> None:
    """Write a new key file, for its owner alone, whole or not at all; of two processes that try, one wins."""
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    except OSError as error:
        raise ConfigError(
            f"the installation key {path} cannot be made: {error.strerror}",
            key="wellkept.key",
            guidance="make the folder writable, or name another place with `key` in [wellkept]",
        ) from error


def key_is_known(reader: Reader) -> bool:
    """Say whether the store was already used with a key."""
    return reader.value("SELECT 1 FROM meta WHERE key = ?", (_FINGERPRINT,)) is not None


def refuse_other_key(reader: Reader, key: InstallationKey) -> None:
    """Make sure that a store was made with this key, or with none yet.

    Raises:
        StoreError: It belongs to another key.
    """
    known = reader.value("SELECT value FROM meta WHERE key = ?", (_FINGERPRINT,))
    if known is not None and not hmac.compare_digest(str(known), key.derive("fingerprint").hex()):
        raise StoreError(
            "the store belongs to another installation key",
            guidance="put back the key that it was made with; see `key` in [wellkept]",
        )


def remember_key(tx: Tx, key: InstallationKey) -> None:
    """Note which key the store belongs to, or refuse another one.

    Raises:
        StoreError: The store belongs to another key.
    """
    fingerprint = key.derive("fingerprint").hex()
    tx.execute("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (_FINGERPRINT, fingerprint))
    refuse_other_key(tx, key)
