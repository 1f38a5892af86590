"""A watchdog over the event loop: code that blocks it stops every stream, webhook and deadline, so it is named while it does.

Its thread asks the loop for an answer at a steady rhythm. Answers that stay out are counted rather than timed: a process that
was paused, or a machine that slept, must not seem blocked.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wellkept.plugins.acting import actor_of
from wellkept.plugins.owners import Owner, place_of

POLL_SECONDS = 1.0
"""Real seconds between questions."""

BLOCKED_AFTER = 5
"""Questions without an answer after which the loop counts as blocked."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocked:
    """The event loop is blocked.

    Attributes:
        owner: The plugin whose code is on the stack; None where there is none.
        place: The line at which it blocks.
        seconds: For how long, at least.
        instance: The instance whose work it is, as far as is known.
        stream: Its stream.
    """

    owner: Owner | None
    place: str
    seconds: float
    instance: str | None = None
    stream: str | None = None

    def __str__(self) -> str:
        where = ".".join(part for part in (self.instance, self.stream) if part)
        who = " ".join(part for part in (where, f"({self.owner})" if where and self.owner else str(self.owner or "")) if part)
        return f"{who or 'something'} has blocked the event loop for {self.seconds:.0f} s at {self.place}"


@contextmanager
def watching(
    tell: Callable[[Blocked], object] = lambda _blocked: None, *, poll: float = POLL_SECONDS, after: int = BLOCKED_AFTER
) -> Iterator[None]:
    """Watch the running event loop; what blocks it is logged, and noted with the stream that does.

    Args:
        tell: Told as well, in the watchdog's thread, once for each place that blocks.
        poll: Real seconds between questions.
        after: Questions without an answer.
    """
    dog = _Watchdog(asyncio.get_running_loop(), tell, poll, after)
    dog.start()
    try:
        yield
    finally:
        dog.stop()


class _Watchdog:
    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[Blocked], object], poll: float, after: int) -> None:
        self._loop = loop
        self._tell = tell
        self._poll = poll
        self._after = after
        self._owner_of_loop = threading.get_ident()
        self._unanswered = 0
        self._patience = after
        self._named: set[tuple[str, str | None, str | None]] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wellkept-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._poll):
            if self._unanswered >= self._patience:
                self._name()
                self._patience *= 2  # a loop that is blocked for good is told ever more rarely
            self._unanswered += 1
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # the loop is closed
                return

    def _answer(self) -> None:
        self._unanswered, self._patience = 0, self._after

    def _name(self) -> None:
        """Say who blocks, and where. The stack may move on meanwhile: it is a sample, as any profiler's."""
        actor = actor_of(asyncio.current_task(self._loop))
        place = place_of(sys._current_frames().get(self._owner_of_loop))  # noqa: SLF001 - the only way into another thread
        found = Blocked(
            owner=place.owner,
            place=place.text,
            seconds=self._unanswered * self._poll,
            instance=None if actor is None else actor.name,
            stream=None if actor is None else actor.stream,
        )
        _log.warning("%s; whatever takes long belongs into a thread (asyncio.to_thread)", found)
        key = (found.place, found.instance, found.stream)
        if place.owner is None or key in self._named:
            return
        self._named.add(key)
        if actor is not None:
            actor.remark(f"it blocked the event loop at {found.place}")
        self._tell(found)
