"""The rate limit of one credential, as one process sees it: slices of the budget, leased from the store.

All clients of a credential share one `Limiter` in a process, and all processes share the store (see `wellkept.store.limits`,
which has the rule and its proof). Requests are served in the order in which they came.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4
from weakref import WeakKeyDictionary, ref

from wellkept.clock import Clock
from wellkept.errors import ConfigError, NotSentError, RetryableError, StoreError
from wellkept.http.retry import whole_ms
from wellkept.store import Store, Tx, limits

LARGEST_PART = 10
"""A lease takes at most the tenth part of the budget, so that what lies idle in one process does not stop the others."""

SLOT_TTL_MS = 150_000
"""How long a request under way is believed in without a sign of life: connecting, sending and the first byte may take that
long together."""

SLOT_SIGN_MS = 15_000
"""How often a request under way gives a sign of life, at most."""

SLOT_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a vendor permits to one credential.

    Args:
        requests: So many requests ...
        per: ... in any period of so many seconds.
        concurrent: Requests that may be under way at the same time.
        burst: Requests that may leave back to back; the rest of the budget is spread over the period. None: all of them.
    """

    requests: int
    per: float
    concurrent: int | None = None
    burst: int | None = None

    def __post_init__(self) -> None:
        """Refuse figures that make no sense.

        Raises:
            ConfigError: They do not.
        """
        if self.requests < 1 or not 0 < self.per < math.inf or (self.concurrent is not None and self.concurrent < 1):
            raise ConfigError(f"{self} permits nothing", guidance="give positive figures")
        if self.burst is not None and not 1 <= self.burst <= self.requests:
            raise ConfigError(f"{self}: burst must be between 1 and {self.requests}")

    @property
    def window(self) -> tuple[int, int]:
        """Return how many requests may leave in how many milliseconds, so that burst and period are both kept.

        With a burst the period is cut into equal parts, as many as bursts fit into the budget: what holds for every part
        holds for the whole.
        """
        if self.burst is None:
            return self.requests, whole_ms(self.per)
        return self.burst, whole_ms(self.per / (self.requests // self.burst))


class _Slice:
    """A lease in use."""

    __slots__ = ("flying", "id", "last", "left", "until", "used")

    def __init__(self, lease: limits.Lease) -> None:
        self.id = lease.id
        self.left = lease.count
        self.until = lease.until
        self.used = 0
        self.flying = 0
        self.last = 0


class Permit:
    """The right to send one request. Say `answered` when its answer begins, and `release` at its end, in any case."""

    def __init__(self, limiter: Limiter, part: _Slice | None, slot: str | None) -> None:
        self._limiter = limiter
        self._part = part
        self._slot = slot
        self._signed = limiter.clock.now()
        if part is not None:
            part.left -= 1
            part.used += 1
            part.flying += 1

    def answered(self) -> None:
        """Take note that the request has reached the vendor by now."""
        if (part := self._part) is not None:
            part.flying -= 1
            part.last = max(part.last, self._limiter.clock.now() + 1)  # the clock shows milliseconds that are over
            self._part = None

    async def alive(self) -> None:
        """Give a sign of life of a request that takes long."""
        now = self._limiter.clock.now()
        if self._slot is not None and now - self._signed >= SLOT_SIGN_MS:
            self._signed = now
            await self._limiter.keep_slot(self._slot, now + SLOT_TTL_MS)

    async def release(self) -> None:
        """Make room for the next."""
        self.answered()
        if self._slot is not None:
            slot, self._slot = self._slot, None
            await self._limiter.free_slot(slot)


class Limiter:
    """Gives permits for one credential, to the tasks of one event loop.

    Args:
        store: Shared with the other processes.
        clock: All waiting goes by it.
        credential: Whose limit.
        rate: None: only blocks are kept.
    """

    def __init__(self, store: Store, clock: Clock, credential: str, rate: RateLimit | None) -> None:
        self.clock = clock
        self.rate: RateLimit | None = None
        self._loop = ref(asyncio.get_running_loop())
        self._store_ref = ref(store)  # the table below must not keep stores alive
        self._credential = credential
        self._owner = uuid4().hex
        self._turn = asyncio.Lock()
        self._places: asyncio.Semaphore | None = None
        self._part: _Slice | None = None
        self._old: list[_Slice] = []
        self._lost: list[limits.Settled] = []
        self._count = 0
        self._want = 1
        if rate is not None:
            self.limit_to(rate)

    @property
    def serves_this_loop(self) -> bool:
        """Whether it belongs to the event loop that is running."""
        return self._loop() is asyncio.get_running_loop()

    def limit_to(self, rate: RateLimit) -> None:
        """Set the limit of a credential that had none."""
        self.rate = rate
        self._places = asyncio.Semaphore(rate.concurrent) if rate.concurrent else None

    async def permit(self, deadline: float) -> Permit:
        """Wait until one more request may leave.

        Args:
            deadline: On the clock's `monotonic`.

        Raises:
            NotSentError: It would take longer than that.
        """
        slot = await self._take_slot(deadline)
        try:
            async with self._turn:
                return Permit(self, await self._next(deadline), slot)
        except BaseException:
            if slot is not None:
                await self.free_slot(slot)
            raise

    async def block(self, seconds: float) -> None:
        """Keep every process from using the credential for so long, as the vendor asked."""
        until = self.clock.now() + 1 + whole_ms(seconds)  # the clock shows milliseconds that are over
        await self._store.write(lambda tx: limits.block(tx, self._credential, until))

    async def keep_slot(self, slot: str, until: int) -> None:
        """See `Permit.alive`. A store that is busy must not end a request."""
        with suppress(RetryableError, StoreError):
            await self._store.write(lambda tx: limits.keep_slot(tx, self._credential, slot, until=until))

    async def free_slot(self, slot: str) -> None:
        """Give a slot back, even when the task is being cancelled. If the store refuses, the slot ends by itself."""
        if self._places is not None:
            self._places.release()
        with suppress(RetryableError, StoreError):
            await asyncio.shield(self._store.write(lambda tx: limits.free_slot(tx, self._credential, slot)))

    @property
    def _store(self) -> Store:
        store = self._store_ref()
        if store is None:
            raise StoreError(f"{self._credential}: the store was closed while requests were under way")
        return store

    async def _next(self, deadline: float) -> _Slice | None:
        while True:
            with self._store.read() as reader:
                blocked = limits.blocked_until(reader, self._credential)
            now = self.clock.now()
            if blocked > now:
                await self._pause(blocked, blocked, deadline, "the vendor has asked for a pause")
                continue
            if self.rate is None:
                return None
            part = self._part
            if part is not None and part.left and now < part.until:
                return part
            answer = await self._lease(self.rate)
            if isinstance(answer, limits.Wait):
                await self._pause(answer.again, answer.sure, deadline, "the rate limit is used up")
            else:
                self._part = _Slice(answer)

    async def _lease(self, rate: RateLimit) -> limits.Lease | limits.Wait:
        """Settle what was used and ask for more: twice as much as last time if that was used up, else for one."""
        requests, per = rate.window
        if self._part is not None:
            used_up = not self._part.left
            self._want = min(self._want * 2, max(1, requests // LARGEST_PART)) if used_up else 1
            self._old.append(self._part)
            self._part = None
        settled = [*self._lost, *(limits.Settled(old.id, old.used, old.last, final=not old.flying) for old in self._old)]
        self._count += 1
        name, want, now = f"{self._owner}.{self._count}", self._want, self.clock.now()

        def job(tx: Tx) -> limits.Lease | limits.Wait:
            return limits.lease(
                tx, self._credential, self._owner, name, requests=requests, per=per, want=want, now=now, settled=settled
            )

        try:
            answer = await self._store.write(job)
        except BaseException:  # the lease may have been granted to nobody: it goes back next time
            self._lost.append(limits.Settled(name, 0, 0, final=True))
            raise
        final = {report.id for report in settled if report.final}
        self._lost = [report for report in self._lost if report.id not in final]
        self._old = [old for old in self._old if old.id not in final]
        return answer

    async def _pause(self, until: int, sure: int, deadline: float, reason: str) -> None:
        now = self.clock.now()
        shortest = (sure - now) / 1000
        if self.clock.monotonic() + shortest > deadline:
            raise NotSentError(f"{self._credential}: {reason}", retry_after=max(0.0, shortest))
        left = deadline - self.clock.monotonic()
        await self.clock.sleep(min((until - now) / 1000, max(left, 0.0)))
        if self.clock.monotonic() >= deadline:
            raise NotSentError(f"{self._credential}: {reason}", retry_after=max(0.0, (until - self.clock.now()) / 1000))

    async def _take_slot(self, deadline: float) -> str | None:
        if self._places is None or self.rate is None or self.rate.concurrent is None:
            return None
        await self._places.acquire()
        slot, limit = uuid4().hex, self.rate.concurrent

        def job(tx: Tx) -> bool:
            return limits.take_slot(tx, self._credential, slot, limit=limit, ttl=SLOT_TTL_MS, now=self.clock.now())

        try:
            while not await self._store.write(job):
                await self._wait_for_slot(deadline)
        except BaseException:
            await self.free_slot(slot)
            raise
        return slot

    async def _wait_for_slot(self, deadline: float) -> None:
        if self.clock.monotonic() + SLOT_POLL_SECONDS > deadline:
            raise NotSentError(f"{self._credential}: others have all places for requests under way")
        await self.clock.sleep(SLOT_POLL_SECONDS)


_limiters: WeakKeyDictionary[Store, dict[str, Limiter]] = WeakKeyDictionary()


def limiter(store: Store, clock: Clock, credential: str, rate: RateLimit | None) -> Limiter:
    """Return the one limiter of a credential in this process.

    Raises:
        ConfigError: Another client of the credential was made with another limit.
    """
    known = _limiters.setdefault(store, {})
    found = known.get(credential)
    if found is None or not found.serves_this_loop:
        found = known[credential] = Limiter(store, clock, credential, rate)
    elif rate is not None and found.rate is None:
        found.limit_to(rate)
    elif rate not in {None, found.rate}:
        raise ConfigError(
            f"{credential}: two clients of this credential have different limits",
            guidance="give both the same RateLimit, or name the second budget with credential=",
        )
    return found
