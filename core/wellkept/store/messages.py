"""Whom we may write to, and whom we have written to. Addresses are kept as keyed hashes alone."""

from __future__ import annotations

from typing import Literal

from wellkept.clock import Clock
from wellkept.store.engine import Reader, Store, Tx
from wellkept.trust import InstallationKey, address_form

Scope = Literal["marketing", "all"]

DAY = 86_400_000


def digest(key: InstallationKey, address: str) -> str:
    """Return the keyed hash under which an address is known; equal for all spellings of one address."""
    return key.keyed_hash(address_form(address))


def suppress(tx: Tx, address_digest: str, *, scope: Scope, reason: str, now: int) -> None:
    """Note that an address must not get mail. ``all`` includes ``marketing`` and is never narrowed by it."""
    tx.execute(
        "INSERT INTO suppressions (address_digest, scope, reason, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (address_digest) DO UPDATE SET scope = excluded.scope, reason = excluded.reason, at = excluded.at"
        " WHERE suppressions.scope <> 'all'",
        (address_digest, scope, reason, now),
    )


def suppressed(reader: Reader, address_digest: str) -> Scope | None:
    """Return what is suppressed for an address."""
    scope: Scope | None = reader.value("SELECT scope FROM suppressions WHERE address_digest = ?", (address_digest,))
    return scope


class StoredSuppressions:
    """`wellkept.context.Suppressions` over the store."""

    def __init__(self, store: Store, key: InstallationKey, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._clock = clock

    async def add(self, address: str, *, scope: Scope, reason: str) -> None:
        """Suppress an address; durable when it returns, because a lost unsubscription is a broken promise."""
        name, now = digest(self._key, address), self._clock.now()
        await self._store.write(lambda tx: suppress(tx, name, scope=scope, reason=reason, now=now), durable=True)

    async def scope(self, address: str) -> Scope | None:
        """Return what is suppressed for an address."""
        with self._store.read() as reader:
            return suppressed(reader, digest(self._key, address))


def note_sent(tx: Tx, address_digest: str, *, account: str | None, purpose: str, now: int) -> int:
    """Note a message that is about to leave, and return a number for `note_unsent`."""
    return tx.insert(
        "INSERT INTO sent_messages (address_digest, account, purpose, at) VALUES (?, ?, ?, ?)",
        (address_digest, account, purpose, now),
    )


def note_unsent(tx: Tx, seq: int) -> None:
    """Take back a note: the message certainly did not leave."""
    tx.execute("DELETE FROM sent_messages WHERE seq = ?", (seq,))


def free_at(reader: Reader, address_digest: str, *, now: int, cap: int, days: int) -> int:
    """Return when the next marketing message may go to an address: `now`, or when the cap lets it.

    At most `cap` of them leave in any span of `days` times 24 hours; transactional ones do not count.
    """
    row = reader.one(
        "SELECT at FROM sent_messages WHERE address_digest = ? AND purpose = 'marketing' AND at > ?"
        " ORDER BY at DESC LIMIT 1 OFFSET ?",
        (address_digest, now - days * DAY, cap - 1),
    )
    return now if row is None else int(row[0]) + days * DAY
