"""Mixpanel's limits: so many requests in some periods, and so many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wellkept import Clock


class LimitError(Exception):
    """Too many requests."""


class Budget:
    """The budget of one project for one API.

    Args:
        clock: The simulator's time.
        windows: (requests, seconds) of each limit.
        concurrent: Requests at the same time.
        kept: Whether the limits are kept at all.
    """

    def __init__(self, clock: Clock, windows: Sequence[tuple[int, float]], *, concurrent: int, kept: bool) -> None:
        self._clock = clock
        self._windows = windows
        self._concurrent = concurrent
        self._kept = kept
        self._hits: deque[float] = deque()
        self._flying = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a request while it is answered.

        Raises:
            LimitError: It is one too many.
        """
        now = self._clock.now() / 1000
        longest = max(seconds for _, seconds in self._windows)
        while self._hits and self._hits[0] <= now - longest:
            self._hits.popleft()
        over = any(sum(hit > now - seconds for hit in self._hits) >= most for most, seconds in self._windows)
        if self._kept and (over or self._flying >= self._concurrent):
            raise LimitError
        self._hits.append(now)
        self._flying += 1
        try:
            yield
        finally:
            self._flying -= 1
