"""Rotating credentials, sealed: what the database file holds is of no use without the installation's key.

Each token is sealed with AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA256 (RFC 5869) derives from the
installation's. The instance and the name are authenticated along with it, so that a row copied to another place does not open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from wellkept.clock import Clock
from wellkept.errors import ConfigError, StoreError
from wellkept.store.engine import Reader, Store, Tx
from wellkept.store.locks import shared_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = b"\x01"
"""First byte of a sealed token: which scheme it was sealed with."""

NONCE_BYTES = 12

SHORTEST_KEY = 16
"""Bytes. The key is expected to be random; deriving does not make a short one strong."""

LOCK_SECONDS = 90.0
"""Lease of the lock around a refresh: more than the token endpoint (`wellkept.http.client.TOKEN_SECONDS`) and the store
(`wellkept.store.engine.BUSY_SECONDS`) may take together."""


class StoredTokens:
    """The `Tokens` of one instance (see `wellkept.context`).

    Args:
        store: Where they are kept.
        clock: For the instant of storing, and for waiting at the lock.
        instance: Whose tokens.
        key: Returns the installation's key; called when a token is sealed or opened.
        random: Returns so many random bytes, for nonces; a nonce must never come twice.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        instance: str,
        key: Callable[[], bytes | str],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._clock = clock
        self._instance = instance
        self._key = key
        self._random = random

    async def get(self, name: str) -> Mapping[str, Any] | None:
        """Return the newest stored token, whichever process stored it.

        Raises:
            ConfigError: It was sealed under another key.
        """
        with self._store.read() as reader:
            sealed = reader.value("SELECT sealed FROM tokens WHERE instance = ? AND name = ?", (self._instance, name))
        return None if sealed is None else self._open(name, bytes(sealed))

    async def put(self, name: str, token: Mapping[str, Any]) -> None:
        """Store a token; returns when it is on disk."""
        sealed = self._seal(name, msgspec.json.encode(token))
        now = self._clock.now()

        def job(tx: Tx) -> None:
            tx.execute(
                "INSERT INTO tokens (instance, name, sealed, updated_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (instance, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at",
                (self._instance, name, sealed, now),
            )

        await self._store.write(job, durable=True)

    def ends_at(self, reader: Reader, notice: int) -> int | None:
        """Return when the first token ends that a person must renew, epoch ms; None if there is none, or nobody can tell.

        A token that comes with another one to renew it lasts as long as that one. One that lives for less than the notice is
        renewed by whoever uses it.

        Args:
            reader: A snapshot of the store.
            notice: Milliseconds.
        """
        ends = []
        for name, sealed in reader.all("SELECT name, sealed FROM tokens WHERE instance = ?", (self._instance,)):
            try:
                token = self._open(name, bytes(sealed))
            except (ConfigError, StoreError):  # whoever uses it tells so
                continue
            end = token.get("refresh_expires_at" if token.get("refresh") else "expires_at")
            begin = token.get("issued_at")
            if isinstance(end, int) and isinstance(begin, int) and end - begin > notice:
                ends.append(end)
        return min(ends, default=None)

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return the lock around a refresh, shared by all processes on the store."""
        return self._lock(name)

    @asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        key = f"token:{self._instance}:{name}"
        async with shared_lock(self._store, self._clock, key, uuid4().hex, LOCK_SECONDS, wait=2 * LOCK_SECONDS):
            yield

    def _seal(self, name: str, text: bytes) -> bytes:
        nonce = self._random(NONCE_BYTES)
        return FORMAT + nonce + self._cipher().encrypt(nonce, text, self._place(name))

    def _open(self, name: str, sealed: bytes) -> Mapping[str, Any]:
        from cryptography.exceptions import InvalidTag

        if sealed[:1] != FORMAT:
            raise StoreError(f"{self._instance}: token {name!r} was sealed by a newer Wellkept", guidance="upgrade Wellkept")
        nonce, text = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            plain = self._cipher().decrypt(nonce, text, self._place(name))
        except InvalidTag:
            raise ConfigError(
                f"{self._instance}: token {name!r} does not open with this installation's key",
                key="wellkept.key",
                guidance="put the key back that belongs to this store, or authorise the instance again",
            ) from None
        token: dict[str, Any] = msgspec.json.decode(plain)
        return token

    def _place(self, name: str) -> bytes:
        return msgspec.json.encode([self._instance, name])

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        key = self._key()
        raw = key.encode() if isinstance(key, str) else key
        if len(raw) < SHORTEST_KEY:
            raise ConfigError(
                f"the installation's key has fewer than {SHORTEST_KEY} bytes",
                key="wellkept.key",
                guidance="use a random one, such as the output of `openssl rand -hex 32`",
            )
        return AESGCM(HKDF(SHA256(), 32, None, b"wellkept tokens 1").derive(raw))
