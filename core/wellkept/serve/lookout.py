"""Keeps the watch while the server schedules: looks after each run, and now and then between, and prunes once a day.

Each look has a thread of its own, so that a mail server that is slow holds up nobody. A standby does not look: it would find
the same.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from wellkept.alerts import Watch
from wellkept.errors import WellkeptError
from wellkept.redact import redact_exception
from wellkept.serve.labour import Labour
from wellkept.store import retention

if TYPE_CHECKING:
    from wellkept.runtime import Runtime

LOOK_SECONDS = 60.0
"""How often to look while nothing runs: data grow stale, quiet hours end, and what could not be sent is tried again."""

STOP_SECONDS = 2.0
"""How long to wait for a look that is cut off."""

_log = logging.getLogger("wellkept.serve")


class Lookout:
    """The watch of one server.

    Args:
        runtime: The open installation.
        seconds: See `LOOK_SECONDS`.
    """

    def __init__(self, runtime: Runtime, *, seconds: float = LOOK_SECONDS) -> None:
        self._watch = Watch.of(runtime)
        self._store = runtime.store
        self._retention = runtime.settings.retention
        self._seconds = seconds
        self._wanted = asyncio.Event()
        self._cycle = False
        self._task: asyncio.Task[None] | None = None
        self._labour: Labour[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._keep(), name="lookout")

    async def stop(self) -> None:
        """Look no more. A look under way is cut off; if it hangs at a mail server, its thread ends by itself."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._labour is not None:
            self._labour.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._labour.closed.wait()

    def ended(self, *, cycle: bool) -> None:
        """Note that a run has ended: look soon.

        Args:
            cycle: It was one by schedule; if all is well the outside is told that we live.
        """
        self._cycle = self._cycle or cycle
        self._wanted.set()

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._wanted.wait()
            self._wanted.clear()
            cycle, self._cycle = self._cycle, False
            self._labour = Labour("lookout", partial(self._look, cycle=cycle))
            await self._labour.closed.wait()

    async def _look(self, *, cycle: bool) -> None:
        await self._watch.attend(cycle=cycle)
        if cycle and self._retention.automatic:
            self._prune()

    def _prune(self) -> None:
        try:
            pruned = retention.prune_daily(self._store, self._retention, self._store.clock.now())
        except WellkeptError as error:
            _log.error("the store could not be pruned: %s", redact_exception(error))
        else:
            if pruned:
                _log.info("pruned: %s", ", ".join(f"{count} {name}" for name, count in pruned.items() if count) or "nothing")
