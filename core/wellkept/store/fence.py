"""The store as the holder of a lease should see it: every write first makes sure that the lease is still its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from wellkept.store.engine import Reader, Store, Tx

T = TypeVar("T")


class FencedStore(Store):
    """Passes everything on to another store; writes only under the fence.

    Args:
        store: The store.
        check: Raises in the writing transaction when the lease is lost; see `wellkept.store.runs.Run.check`.
    """

    def __init__(self, store: Store, check: Callable[[Reader], None]) -> None:
        self.label = store.label
        self.path = store.path
        self.clock = store.clock
        self._store = store
        self._check = check

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """See `Store.read`."""
        with self._store.read() as reader:
            yield reader

    async def write(self, job: Callable[[Tx], T], *, durable: bool = False) -> T:
        """See `Store.write`. Raises `LeaseLostError` too."""
        return await self._store.write(self._fenced(job), durable=durable)

    def write_now(self, job: Callable[[Tx], T], *, durable: bool = False) -> T:
        """See `Store.write_now`. Raises `LeaseLostError` too."""
        return self._store.write_now(self._fenced(job), durable=durable)

    def compact(self) -> bool:
        """See `Store.compact`."""
        return self._store.compact()

    def close(self) -> None:
        """Do nothing: whoever opened the store closes it."""

    def _fenced(self, job: Callable[[Tx], T]) -> Callable[[Tx], T]:
        def fenced(tx: Tx) -> T:
            self._check(tx)
            return job(tx)

        return fenced
