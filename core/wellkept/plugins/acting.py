"""Whose code runs at the moment, and what it writes to standard output meanwhile.

Standard output belongs to the command: its tables, and with ``--json`` one document. What a plugin prints there while core is
calling it goes to the log instead, under its name. This holds for the tasks and worker threads that its call starts; a thread
of its own, a child process, and C code that writes to the descriptor itself are beyond it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

LINE_LIMIT = 200
"""Characters of a printed line that the log shows."""

LINES_LOGGED = 20
"""Lines of one call that the log shows; the others are only counted."""

Tell = Callable[[str], object]

_log = logging.getLogger(__name__)


class Actor:
    """A plugin's code that core is calling.

    Args:
        name: Whose: an instance, or a plugin that has none yet.
        doing: What it was called for: ``the hook 'sources'``, ``stream invoices``.
        tell: Is given one sentence about what it should not have done.
        stream: The stream that it reads, if so.
    """

    def __init__(self, name: str, doing: str, tell: Tell | None = None, *, stream: str | None = None) -> None:
        self.name = name
        self.doing = doing
        self.stream = stream
        self._tell = tell
        self._lock = threading.Lock()
        self._rest = ""
        self._lines = 0

    def remark(self, text: str) -> None:
        """Tell one sentence about it."""
        if self._tell is not None:
            self._tell(text)

    def say(self, text: str) -> None:
        """Take in what it prints."""
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            if len(self._rest) > LINE_LIMIT:
                lines, self._rest = [*lines, self._rest], ""
            for line in lines:
                self._write(line)

    def finish(self) -> None:
        """Say what it printed, if it did."""
        with self._lock:
            if self._rest:
                self._write(self._rest)
                self._rest = ""
            lines, self._lines = self._lines, 0
        if lines:
            self.remark(f"it wrote {lines} {'line' if lines == 1 else 'lines'} to standard output, now in the log; use ctx.log")

    def _write(self, line: str) -> None:
        self._lines += 1
        if self._lines <= LINES_LOGGED:
            _log.warning("%s wrote to standard output in %s: %s", self.name, self.doing, line[:LINE_LIMIT])


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)
_tasks: WeakKeyDictionary[asyncio.Task[Any], Actor] = WeakKeyDictionary()
_lock = threading.Lock()
_depth = 0
_outlet: Outlet | None = None


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Let what runs inside, in this task and what it starts, count as a plugin's doing."""
    task = None
    with suppress(RuntimeError):  # no event loop runs here
        task = asyncio.current_task()
    before = None if task is None else _tasks.get(task)
    _open()
    token = _acting.set(actor)
    if task is not None:
        _tasks[task] = actor
    try:
        yield
    finally:
        if task is not None and before is not None:
            _tasks[task] = before
        elif task is not None:
            _tasks.pop(task, None)
        _acting.reset(token)
        _close()
        actor.finish()


def actor_of(task: asyncio.Task[Any] | None) -> Actor | None:
    """Return whose code a task runs; may be asked from another thread."""
    return None if task is None else _tasks.get(task)


class Outlet:
    """Stands in for standard output while plugins act.

    Args:
        real: What it stands in for.
    """

    def __init__(self, real: Any) -> None:
        self.real = real

    def write(self, text: str) -> int:
        """Write, or give the text to whoever acts."""
        actor = _acting.get()
        if actor is None:
            return int(self.real.write(text))
        actor.say(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        """The way past the encoding; watched as well."""
        actor = _acting.get()
        return self.real.buffer if actor is None else _Bytes(actor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Bytes:
    """The `buffer` of an `Outlet` while a plugin acts."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def write(self, data: bytes) -> int:
        self._actor.say(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""


def _open() -> None:
    global _depth, _outlet  # noqa: PLW0603 - standard output is the process's own
    with _lock:
        _depth += 1
        if _outlet is None or sys.stdout is not _outlet:
            _outlet = Outlet(sys.stdout)
            sys.stdout = _outlet


def _close() -> None:
    global _depth, _outlet  # noqa: PLW0603 - likewise
    with _lock:
        _depth -= 1
        if _depth == 0 and _outlet is not None:
            if sys.stdout is _outlet:
                sys.stdout = _outlet.real
            _outlet = None
