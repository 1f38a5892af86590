"""Who schedules: one server at a time, under a lease. The others stand by, and take over when it lapses."""

from __future__ import annotations

import asyncio

from wellkept.errors import LeaseLostError
from wellkept.store import Store, Tx, locks, owners
from wellkept.store.engine import Reader
from wellkept.store.heartbeat import Heartbeat
from wellkept.store.runs import BEATS

LEASE = "serve"
"""Name of the lock that the server holds which schedules."""

_mine: set[str] = set()
"""Owners of this process that hold the lease, or believe so."""


class Leadership:
    """This server's claim to schedule.

    Args:
        store: Where the lease is.
        lease_seconds: How long it lasts after the last sign of life.
    """

    def __init__(self, store: Store, lease_seconds: float) -> None:
        self.lost = asyncio.Event()
        """Set when another server took over."""
        self._store = store
        self._seconds = lease_seconds
        self._owner = ""
        self._epoch: int | None = None
        self._heart: Heartbeat | None = None

    @property
    def held(self) -> bool:
        """Whether this server schedules, as far as it knows."""
        return self._epoch is not None and not self.lost.is_set()

    async def take(self) -> bool:
        """Take the lease if it is free, has lapsed, or belongs to a process of this machine that is gone; hold it on."""
        owner = owners.new()

        def job(tx: Tx) -> int | None:
            self._free_dead(tx)
            return locks.acquire(tx, LEASE, owner, self._ttl, self._store.clock.now())

        epoch = await self._store.write(job)
        if epoch is None:
            return False
        self._owner, self._epoch = owner, epoch
        _mine.add(owner)
        self.lost.clear()
        loop = asyncio.get_running_loop()

        def beat() -> bool:
            now = self._store.clock.now
            return self._store.write_now(lambda tx: locks.renew(tx, LEASE, owner, epoch, self._ttl, now()))

        self._heart = Heartbeat(
            "heartbeat of the server", beat, self._seconds / BEATS, lambda: loop.call_soon_threadsafe(self.lost.set)
        )
        self._heart.start()
        return True

    def check(self, reader: Reader) -> None:
        """Make sure, inside a transaction, that this server still is the one that schedules.

        Raises:
            LeaseLostError: It is not.
        """
        if self._epoch is None:
            raise LeaseLostError(f"{LEASE}: not held")
        locks.check(reader, LEASE, self._owner, self._epoch)

    async def give_back(self) -> None:
        """Stop holding the lease on, and give it back if it is still ours."""
        if self._heart is None or self._epoch is None:
            return
        self._heart.stop()
        owner, epoch = self._owner, self._epoch
        self._epoch = self._heart = None
        await self._store.write(lambda tx: locks.release(tx, LEASE, owner, epoch))
        _mine.discard(owner)

    @property
    def _ttl(self) -> int:
        return round(self._seconds * 1000)

    def _free_dead(self, tx: Tx) -> None:
        """Free the lease of a server that died on this machine, so that a restart need not wait for its end."""
        row = tx.one("SELECT owner, epoch FROM locks WHERE name = ?", (LEASE,))
        if row is None:
            return
        owner = str(row[0])
        if owner not in _mine if owners.is_ours(owner) else owners.is_gone(owner):
            locks.release(tx, LEASE, row[0], row[1])
