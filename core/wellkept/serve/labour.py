"""A coroutine in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Labour(Generic[T]):
    """Runs a coroutine beside the event loop that makes it; whatever it blocks, it blocks only itself.

    Args:
        name: Of the thread.
        work: Makes the coroutine; called in the new thread.
    """

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.ended = asyncio.Event()
        """Set when the coroutine has returned or raised."""
        self.closed = asyncio.Event()
        """Set when nothing of it runs any more, threads that it used included."""
        self._outcome: Future[T] = Future()
        self._home = asyncio.get_running_loop()
        self._work = work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self) -> T:
        """Return what the coroutine returned, or raise what it raised; after `ended`."""
        return self._outcome.result(timeout=0)

    def cancel(self) -> None:
        """Cancel the coroutine; one that blocks does not notice."""
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                result = runner.run(self._main())
            except BaseException as error:  # noqa: BLE001 - belongs to whoever asks for the result
                self._outcome.set_exception(error)
            else:
                self._outcome.set_result(result)
            self._say(self.ended)
        self._say(self.closed)

    def _say(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # nobody waits any more
            self._home.call_soon_threadsafe(event.set)

    async def _main(self) -> T:
        self._task = asyncio.current_task()
        return await self._work()
