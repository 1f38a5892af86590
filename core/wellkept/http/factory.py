"""Where clients come from: one factory per plugin instance."""

from __future__ import annotations

import random as random_
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakSet

from wellkept.clock import Clock
from wellkept.http.auth import Auth
from wellkept.http.call import Timing
from wellkept.http.client import Classify, Client
from wellkept.http.limit import RateLimit
from wellkept.store import Store

if TYPE_CHECKING:
    from wellkept.redact import Redactor


class Http:
    """Makes the clients of one plugin instance; `Context.http`. Close it when the instance is no longer used."""

    def __init__(
        self, store: Store, clock: Clock, instance: str, *, redactor: Redactor, timing: Timing, random: Callable[[], float]
    ) -> None:
        self._store = store
        self._clock = clock
        self._instance = instance
        self._redactor = redactor
        self._timing = timing
        self._random = random
        self._clients: list[Client] = []
        self._older: WeakSet[Client] = WeakSet()
        """Clients that were closed at least once: those that a plugin still holds may have been opened again."""

    def __call__(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        rate: RateLimit | None = None,
        headers: Mapping[str, str] | None = None,
        credential: str | None = None,
        classify: Classify | None = None,
    ) -> Client:
        """Return a client; see `wellkept.context.HttpFactory`."""
        client = Client(
            base_url,
            store=self._store,
            clock=self._clock,
            credential=credential or self._instance,
            auth=auth,
            rate=rate,
            headers=headers,
            classify=classify,
            register=self._redactor.register,
            timing=self._timing,
            random=self._random,
        )
        self._clients.append(client)
        return client

    def clock_skew(self) -> float | None:
        """Return by how many seconds our clock is ahead of a vendor's, as its newest answer said; None before the first."""
        from email.utils import parsedate_to_datetime

        answers = [client.heard for client in (*self._clients, *self._older) if client.heard is not None]
        if not answers:
            return None
        date, came = max(answers, key=lambda answer: answer[1])
        try:
            return came / 1000 - parsedate_to_datetime(date).timestamp()
        except ValueError:
            return None

    async def aclose(self) -> None:
        """Close all clients. They open again when they are used; those that nobody holds any more are forgotten."""
        clients = [*self._clients, *self._older]
        self._older.update(self._clients)
        self._clients.clear()
        for client in clients:
            await client.aclose()


def make_http(
    store: Store,
    clock: Clock,
    instance: str,
    *,
    redactor: Redactor | None = None,
    timing: Timing | None = None,
    random: Callable[[], float] = random_.random,
) -> Http:
    """Return the factory of an instance's clients.

    Args:
        store: Where limits are shared.
        clock: All waiting goes by it.
        instance: The instance; limits are its own unless a client names a credential.
        redactor: Learns every secret that is used; the process's own by default.
        timing: How long things may take.
        random: Uniform in 0 to 1, for the back-off.
    """
    if redactor is None:
        from wellkept.redact import REDACTOR

        redactor = REDACTOR
    return Http(store, clock, instance, redactor=redactor, timing=timing or Timing(), random=random)
