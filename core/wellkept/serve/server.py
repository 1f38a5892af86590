"""The server itself: HTTP, leadership, and the loop that lets run what is due."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellkept.alerts import stale_limits
from wellkept.errors import LeaseLostError, WellkeptError
from wellkept.redact import redact_exception
from wellkept.serve.alarm import Alarm
from wellkept.serve.conductor import GRACE_SECONDS, Conductor
from wellkept.serve.dispatch import Dispatcher
from wellkept.serve.http import Http, address_of, listen
from wellkept.serve.leadership import Leadership
from wellkept.serve.lookout import Lookout
from wellkept.serve.metrics import Metrics
from wellkept.serve.site import site, webhook_sources
from wellkept.serve.timetable import timetable

if TYPE_CHECKING:
    from wellkept.runtime import Runtime
    from wellkept.serve.tracing import Tracing
    from wellkept.settings import Serve

POLL_SECONDS = 5.0
"""How often, at least, the server looks for what is due. Webhooks may have come in through another one."""

SWITCH_SECONDS = 0.001
"""How long a computing run may keep the interpreter from the thread that answers HTTP; Python's own 5 ms add up."""

CUT_OFF_SECONDS = 5.0
"""How long a run that is cut off has to give its lease back."""

TRACES_SECONDS = 3.0
"""How long the last traces may take to leave: a collector that is away must not hold up the end."""

_log = logging.getLogger("wellkept.serve")


@dataclass(frozen=True, slots=True)
class Ending:
    """How the server ended.

    Attributes:
        parked: What was under way was finished or parked in time.
        left_behind: Runs that hang in threads of theirs: the process must not wait for them.
    """

    parked: bool
    left_behind: int


class Server:
    """Serves one installation until it is told to stop.

    Args:
        runtime: The open installation: what is reachable over HTTP, and the store.
        open_runtime: Opens the same installation on the same store, for the runs: they have plugin objects of their own.
        settings: Instead of the installation's ``[serve]``.
        grace: See `wellkept.serve.conductor.GRACE_SECONDS`.
        poll: See `POLL_SECONDS`.
    """

    def __init__(
        self,
        runtime: Runtime,
        open_runtime: Callable[[], Runtime],
        *,
        settings: Serve | None = None,
        grace: float | None = None,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._runtime = runtime
        self._settings = settings or runtime.settings.serve
        self._poll = min(poll, self._settings.hints_seconds, self._settings.lease_seconds / 4)
        self._bell = asyncio.Event()
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._timetable = timetable(runtime)
        self._leadership = Leadership(runtime.store, self._settings.lease_seconds)
        self._observers: list[Callable[..., None]] = []
        self._conductor = Conductor(
            runtime.store,
            lambda: self._watched(open_runtime()),
            self._leadership,
            self._settings,
            grace=GRACE_SECONDS if grace is None else grace,
        )
        self.metrics = self._metrics()
        self._observers.append(self.metrics.observe)
        self._tracing = self._trace()

    @property
    def role(self) -> str:
        """What the server is doing: ``scheduling``, ``standby`` or ``stopping``."""
        if self._stopping.is_set():
            return "stopping"
        return "scheduling" if self._leadership.held else "standby"

    def stop(self) -> None:
        """Stop: park what is under way, within `stop_seconds`. Called again: at once."""
        if self._stopping.is_set():
            self._hurried.set()
            return
        _log.info("stopping; a run under way has %.0f s to park its work", self._settings.stop_seconds)
        self._stopping.set()
        self._bell.set()
        self._conductor.stop("the server is stopping")

    async def run(self, started: Callable[[str], None] | None = None) -> Ending:
        """Serve until `stop` is called, or a signal says so.

        Args:
            started: Told the address when requests are answered.

        Raises:
            ConfigError: The address cannot be listened on.
        """
        http = Http(site(self._runtime, self.metrics, lambda: self.role))
        listener = listen(self._settings.host, self._settings.port)
        switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            with self._signals():
                serving = asyncio.create_task(http.serve(sockets=[listener]), name="http")
                serving.add_done_callback(self._http_ended)
                if started is not None:
                    started(address_of(listener))
                _log.info("serving on %s", address_of(listener))
                parked = await self._work()
                http.should_exit = True
                await serving
        finally:
            listener.close()
            sys.setswitchinterval(switch)
            if self._tracing is not None:
                await self._close_tracing(self._tracing)
            await self._runtime.disconnect()
        if not self._conductor.left_behind:
            self._conductor.close()
        return Ending(parked, self._conductor.left_behind)

    def _http_ended(self, serving: asyncio.Task[None]) -> None:
        """Stop when HTTP fails: a server that nobody can reach should be started anew."""
        del serving
        if not self._stopping.is_set():
            self.stop()

    # --- scheduling ---

    async def _work(self) -> bool:
        """Schedule while this server leads, stand by while it does not; ends within `stop_seconds` of a stop."""
        work = asyncio.create_task(self._lead_or_stand_by(), name="schedule")
        await self._stopping.wait()
        hurried = asyncio.create_task(self._hurried.wait(), name="hurry")
        await asyncio.wait({work, hurried}, timeout=self._settings.stop_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        parked = work.done() and not self._hurried.is_set()
        if not work.done():
            why = "is to end at once" if self._hurried.is_set() else f"did not end within {self._settings.stop_seconds:.0f} s"
            _log.error("what was under way %s, and is cut off", why)
            self._conductor.cut_off()
            await asyncio.wait({work}, timeout=CUT_OFF_SECONDS)
            if not work.done():
                with suppress(WellkeptError):
                    await self._conductor.leave()
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
        with suppress(WellkeptError):
            await self._leadership.give_back()
        return parked

    async def _lead_or_stand_by(self) -> None:
        standing_by = False
        while not self._stopping.is_set():
            try:
                if await self._leadership.take():
                    standing_by = False
                    await self._lead()
                elif not standing_by:
                    standing_by = True
                    _log.info("another server schedules; standing by")
            except LeaseLostError:
                _log.warning("the lease was lost; what was under way was dropped")
            except WellkeptError as error:
                _log.error("scheduling failed, and is tried again: %s", redact_exception(error))
            except Exception:  # noqa: BLE001 - the server must outlive any of its own mistakes
                _log.exception("scheduling failed, and is tried again")
            await self._pause()

    async def _lead(self) -> None:
        """Let run what is due, until the lease is lost or the server stops."""
        _log.info("this server schedules: %s", self._upcoming())
        dispatcher = Dispatcher(
            self._runtime.store,
            self._timetable,
            hooked=[name for name, instance in self._runtime.instances.items() if instance.streams],
            hints_seconds=self._settings.hints_seconds,
        )
        alarm = Alarm(self._timetable, self._bell.set)
        alarm.start()
        watch = asyncio.create_task(self._watch_lease(), name="lease")
        lookout = Lookout(self._runtime)
        lookout.start()
        try:
            self._conductor.resume()
            while self._leadership.held and not self._stopping.is_set():
                task, at = dispatcher.next(), self._runtime.clock.now()
                if task is not None and await self._conductor.perform(task):
                    dispatcher.begun(task, at)
                    lookout.ended(cycle=task.kind == "run")
                else:
                    await self._pause()
        finally:
            watch.cancel()
            alarm.stop()
            await lookout.stop()
            await self._leadership.give_back()

    async def _watch_lease(self) -> None:
        """Stop the run under way when another server took over."""
        await self._leadership.lost.wait()
        _log.warning("another server took over; this one stands by")
        self._conductor.stop("another server took over")
        self._bell.set()

    async def _pause(self) -> None:
        """Wait for the bell, or until it is time to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll):
                await self._bell.wait()
        if not self._stopping.is_set():
            self._bell.clear()

    # --- what the parts need ---

    def _watched(self, runtime: Runtime) -> Runtime:
        runtime.observers += self._observers
        return runtime

    def _trace(self) -> Tracing | None:
        if not self._settings.traces:
            return None
        from wellkept.serve.tracing import Tracing

        tracing = Tracing.to_collector(self._runtime.store)
        self._observers.append(tracing.observe)
        return tracing

    @staticmethod
    async def _close_tracing(tracing: Tracing) -> None:
        closing = threading.Thread(target=tracing.close, name="traces", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, TRACES_SECONDS)
        if closing.is_alive():
            _log.warning("the last traces could not be sent within %.0f s, and are dropped", TRACES_SECONDS)

    def _metrics(self) -> Metrics:
        return Metrics(
            self._runtime.store,
            names=self._runtime.instances,
            stale_after=stale_limits(self._runtime),
            next_runs=self._timetable.upcoming,
            leads=lambda: self._leadership.held,
        )

    def _upcoming(self) -> str:
        names = [entry.instance for entry in self._timetable.entries]
        hooked = webhook_sources(self._runtime)
        return f"{', '.join(names) or 'nothing'}; webhooks of {', '.join(hooked) or 'nobody'}"

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, where this thread may listen to signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def stop(*_: object) -> None:
            loop.call_soon_threadsafe(self.stop)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
