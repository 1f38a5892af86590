"""Short locks and leases that all processes on the store share.

A lock has an owner, an end, and an epoch that grows with every new holder and never starts again. A holder that was paused
past the end of its lock finds a larger epoch when it wakes up: `check` it in the transaction that must not be done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wellkept.clock import Clock
from wellkept.errors import LeaseLostError, RetryableError
from wellkept.store.engine import Reader, Store, Tx

POLL_SECONDS = 0.05
"""How often a waiting `shared_lock` asks first; it asks less and less often, up to `SLOWEST_POLL_SECONDS`."""

SLOWEST_POLL_SECONDS = 0.5


def acquire(tx: Tx, name: str, owner: str, ttl_ms: int, now: int) -> int | None:
    """Take a lock that is free or has ended.

    Args:
        tx: The transaction.
        name: What is locked.
        owner: Who takes it; must differ between any two holders, in one process as well.
        ttl_ms: How long it is held at most, milliseconds.
        now: The present instant, epoch ms.

    Returns:
        The new epoch, or None while somebody holds the lock (the same owner included: see `renew`).
    """
    rows = tx.all(
        "INSERT INTO locks (name, owner, epoch, expires_at) VALUES (?, ?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = locks.epoch + 1, expires_at = excluded.expires_at"
        " WHERE locks.expires_at <= ? RETURNING epoch",
        (name, owner, now + ttl_ms, now),
    )
    return int(rows[0][0]) if rows else None


def renew(tx: Tx, name: str, owner: str, epoch: int, ttl_ms: int, now: int) -> bool:  # noqa: PLR0917 - in the order of `acquire`
    """Hold the lock for another `ttl_ms`; False when somebody else has taken it.

    A lock that ended and that nobody took is held again: its epoch is still ours, so nobody else acted under it.
    """
    changed = tx.execute(
        "UPDATE locks SET expires_at = ? WHERE name = ? AND owner = ? AND epoch = ? AND expires_at > 0",
        (now + ttl_ms, name, owner, epoch),
    )
    return changed == 1


def release(tx: Tx, name: str, owner: str, epoch: int) -> bool:
    """Give the lock back; False when it was no longer ours. The row stays, so that the epoch goes on growing."""
    return tx.execute("UPDATE locks SET expires_at = 0 WHERE name = ? AND owner = ? AND epoch = ?", (name, owner, epoch)) == 1


def check(reader: Reader, name: str, owner: str, epoch: int) -> None:
    """Make sure, inside a transaction, that the lock is still ours.

    Raises:
        LeaseLostError: Somebody else has taken it, or we gave it back.
    """
    row = reader.one("SELECT owner, epoch, expires_at FROM locks WHERE name = ?", (name,))
    if row is None or row[:2] != (owner, epoch) or row[2] == 0:
        raise LeaseLostError(f"{name}: another process took over")


@asynccontextmanager
async def shared_lock(
    store: Store, clock: Clock, name: str, owner: str, ttl: float, *, wait: float = 60.0
) -> AsyncIterator[int]:
    """Hold a lock around a short piece of work; yields its epoch.

    The lock is not renewed: the work must be bounded by less than `ttl`, or check its epoch when it commits.

    Args:
        store: Where the lock is.
        clock: Waits and ends go by it.
        name: What is locked.
        owner: See `acquire`.
        ttl: Seconds after which others may take the lock: a holder that died blocks them no longer.
        wait: Seconds to wait for the lock.

    Raises:
        RetryableError: Others held the lock all that time.
    """
    ttl_ms = round(ttl * 1000)
    give_up = clock.monotonic() + wait
    pause = POLL_SECONDS
    while (epoch := await _acquire(store, clock, name, owner, ttl_ms)) is None:
        if clock.monotonic() + pause > give_up:
            raise RetryableError(f"{name}: others held the lock for {wait:.0f} s", retry_after=SLOWEST_POLL_SECONDS)
        await clock.sleep(pause)
        pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)
    try:
        yield epoch
    finally:
        held = epoch
        await asyncio.shield(store.write(lambda tx: release(tx, name, owner, held)))


async def _acquire(store: Store, clock: Clock, name: str, owner: str, ttl_ms: int) -> int | None:
    """Try once. Someone who is cancelled while the writer thread takes the lock gives it back."""
    attempt = asyncio.ensure_future(store.write(lambda tx: acquire(tx, name, owner, ttl_ms, clock.now())))
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        if (epoch := await attempt) is not None:
            await store.write(lambda tx: release(tx, name, owner, epoch))
        raise
