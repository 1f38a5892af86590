"""Calling a plugin under watch: what it raises is sorted out, and when it hangs, it is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from wellkept.clock import Clock
from wellkept.errors import FatalError, RetryableError, WellkeptError
from wellkept.pipeline.report import blame

T = TypeVar("T")

TICK_SECONDS = 1.0
"""How often a supervisor looks. Real seconds of the event loop; *whether* time is up is the clock's to say."""

GRACE_TICKS = 5
"""Ticks that a plugin has to obey a cancellation, before it is left behind."""


class BlamedError(Exception):
    """A plugin's failure; `error` is what the report and the breaker get."""

    def __init__(self, error: WellkeptError) -> None:
        super().__init__()
        self.error = error


class Watch:
    """What a supervisor sees of one stream's work.

    Args:
        clock: Says how long a plugin has been silent.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.waiting_since: float | None = None
        """Since when a plugin owes an answer, on the monotonic clock; None while it does not."""
        self.ended_by: WellkeptError | None = None
        """Why the work is to end; whoever asks a plugin next is told."""

    def stop(self, error: WellkeptError) -> None:
        """End the work at the next answer."""
        self.ended_by = self.ended_by or error

    async def ask(self, call: Awaitable[T]) -> T:
        """Await a plugin's answer.

        Raises:
            BlamedError: The plugin failed, took too long, or its answer is no longer wanted.
        """
        if self.ended_by is not None:
            if isinstance(call, Coroutine):
                call.close()
            raise BlamedError(self.ended_by)
        self.waiting_since = self._clock.monotonic()
        try:
            answer = await call
        except asyncio.CancelledError:
            self._give_up_if_stopped()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise BlamedError(FatalError("the plugin cancelled its own work")) from None
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a plugin may even call sys.exit
            raise BlamedError(blame(error)) from error
        finally:
            self.waiting_since = None
        self._give_up_if_stopped()
        return answer

    def _give_up_if_stopped(self) -> None:
        """Take note of a cancellation that was ours, whether the plugin obeyed it or not."""
        if self.ended_by is None:
            return
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            task.uncancel()
        raise BlamedError(self.ended_by) from None


async def supervise(
    tasks: Mapping[asyncio.Task[Any], Watch],
    clock: Clock,
    *,
    silence: float,
    until: float | None,
    tick: float,
    leave: Callable[[asyncio.Task[Any]], Awaitable[None]] | None = None,
    stop: Callable[[], WellkeptError | None] = lambda: None,
) -> set[asyncio.Task[Any]]:
    """Wait for all tasks; end those whose plugin is silent for too long, and all of them when the time is up.

    Args:
        tasks: What is to be waited for, with what can be seen of it.
        clock: The clock.
        silence: Seconds without an answer after which a plugin counts as hanging.
        until: When all must have ended, on the monotonic clock; None for no limit.
        tick: Seconds between looks.
        leave: Told of each task that is left behind, at once.
        stop: Says why all of them must end now; None while they may go on.

    Returns:
        The tasks that did not even obey their cancellation, and were left behind.
    """
    left: set[asyncio.Task[Any]] = set()
    grace: dict[asyncio.Task[Any], int] = {}
    waiting = set(tasks)
    while waiting:
        _, waiting = await asyncio.wait(waiting, timeout=tick)
        now = clock.monotonic()
        for task in list(waiting):
            watch = tasks[task]
            if watch.ended_by is None:
                watch.ended_by = stop() or _verdict(watch, now, silence, until)
            if watch.ended_by is None or watch.waiting_since is None:
                continue
            if task not in grace:
                task.cancel()
                grace[task] = GRACE_TICKS
            elif grace[task] > 0:
                grace[task] -= 1
            else:
                left.add(task)
                waiting.discard(task)
                if leave is not None:
                    await leave(task)
    return left


def _verdict(watch: Watch, now: float, silence: float, until: float | None) -> WellkeptError | None:
    if until is not None and now >= until:
        return RetryableError("the time of this run is up", guidance="the next run goes on from the last commit")
    if watch.waiting_since is not None and now - watch.waiting_since >= silence:
        return RetryableError(f"the source hangs: it gave no answer for {silence:.0f} s")
    return None
