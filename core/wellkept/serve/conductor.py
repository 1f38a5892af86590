"""Carries out what is due: one run at a time, each in a thread of its own, and none for longer than its deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from wellkept.errors import LeaseLostError, WellkeptError
from wellkept.events import Event
from wellkept.logs import log_fields
from wellkept.pipeline.report import RunReport
from wellkept.redact import redact_exception
from wellkept.serve.labour import Labour
from wellkept.steps import Steps, Terms
from wellkept.store import Store, Tx, inbox, runs, schedules
from wellkept.store.runs import Run, RunStoppedError, RunUnderWayError

if TYPE_CHECKING:
    from wellkept.runtime import Runtime
    from wellkept.serve.leadership import Leadership
    from wellkept.serve.timetable import Due
    from wellkept.settings import Serve

GRACE_SECONDS = 20.0
"""How long a run may take to obey its deadline. Then it is left behind, in its thread, and can commit nothing any more."""

Outcome = Literal["done", "failed", "parked", "cut off"]
"""How a task ended: well or not by itself (``failed`` also if it hangs), because it was told to, or before it could."""

_log = logging.getLogger("wellkept.serve")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done now.

    Attributes:
        kind: See `wellkept.store.runs.RunKind`.
        due: For ``run``: who is due.
        newest_hint: For ``hints``: the number of the newest one when it was found.
    """

    kind: Literal["run", "hints", "wake"]
    due: Sequence[Due] = ()
    newest_hint: int = 0

    @property
    def instances(self) -> list[str]:
        """The instances that are fired."""
        return [item.instance for item in self.due]


class Conductor:
    """Performs tasks.

    Args:
        store: The store that all runs work on.
        open_runtime: Opens the installation on that store: at first, and again after a run had to be left behind, since such
            a run may go on using its plugins' objects.
        leadership: Checked in the transaction that begins a run.
        settings: ``[serve]``.
        grace: See `GRACE_SECONDS`.
    """

    def __init__(
        self,
        store: Store,
        open_runtime: Callable[[], Runtime],
        leadership: Leadership,
        settings: Serve,
        *,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.left_behind = 0
        """Runs that hang for good, each in its thread."""
        self._store = store
        self._open_runtime = open_runtime
        self._leadership = leadership
        self._settings = settings
        self._grace = grace
        self._runtime: Runtime | None = None
        self._labour: Labour[RunReport] | None = None
        self._run: Run | None = None
        self._stopping: str | None = None
        self._waiting: str | None = None

    def stop(self, reason: str) -> None:
        """Ask the run under way, or the next one, to park its work and end."""
        self._stopping = reason
        if self._run is not None:
            self._run.stopping = reason

    def cut_off(self) -> None:
        """End the run under way at once."""
        if self._labour is not None:
            self._labour.cancel()

    def resume(self) -> None:
        """Take back `stop`: runs may begin again."""
        self._stopping = None

    def close(self) -> None:
        """Close the installation. Not to be called while a run is under way."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    async def perform(self, task: Task) -> bool:
        """Perform a task and say whether it was begun; what goes wrong with it is logged, and in the run table.

        Raises:
            LeaseLostError: Another server took over.
        """
        if self._runtime is None:
            self._runtime = await asyncio.to_thread(self._open_runtime)
        runtime, deadline = self._runtime, self._settings.deadline_minutes * 60
        self._run = None
        terms = Terms(
            lease=self._settings.lease_seconds, deadline=deadline, also=self._also(task), began=partial(self._began, task)
        )
        labour = self._labour = Labour(f"run: {task.kind}", lambda: _work(Steps(runtime, terms=terms), task))
        try:
            if not (await _within(labour.ended, deadline + self._grace) and await _within(labour.closed, self._grace)):
                await self.leave()
        finally:
            self._labour = None
        with self._named():
            outcome = self._tell(task, labour)
        run, self._run = self._run, None
        if run is not None:
            await self._note(task, outcome)
        return run is not None

    # --- how it ends ---

    async def leave(self) -> None:
        """Go on without a run that hangs and does not obey; it can commit nothing any more."""
        self.left_behind += 1
        runtime, self._runtime = self._runtime, None
        run, now = self._run, self._store.clock.now()
        if run is None or runtime is None:
            _log.error("a run hangs before it has begun, and was left behind")
            return
        with self._store.read() as reader:
            where = runs.whereabouts(reader, run)
        reason = f"it hung in {where} and was left behind"
        await self._store.write(lambda tx: runs.abandon(tx, run, reason, now))
        _log.error("run %s: %s; a restart of the server frees what it holds", run.id, reason, extra={"run": run.id})
        runtime.observe(Event(kind="run.finished", at=now, run=run.id, state="failed", reason=reason))

    def _named(self) -> AbstractContextManager[None]:
        """Let log lines carry the run, if it has begun."""
        return nullcontext() if self._run is None else log_fields(run=self._run.id)

    def _tell(self, task: Task, labour: Labour[RunReport]) -> Outcome:
        """Log how a task ended, and return that.

        Raises:
            LeaseLostError: Another server took over.
        """
        name = task.kind if self._run is None else f"run {self._run.id} ({task.kind})"
        if not labour.ended.is_set():
            return "failed"
        waiting, self._waiting = self._waiting, None
        try:
            report = labour.result()
        except LeaseLostError:
            raise
        except RunUnderWayError as error:
            self._waiting = error.message
            if waiting != error.message:
                _log.info("%s waits: %s", name, error.message)
            return "cut off"
        except RunStoppedError as error:
            _log.info("%s: %s", name, error.message)
            return "parked"
        except asyncio.CancelledError:
            _log.warning("%s: cut off", name)
            return "cut off"
        except Exception as error:  # noqa: BLE001 - the server must outlive any run
            _log.error("%s: failed: %s", name, redact_exception(error), exc_info=not isinstance(error, WellkeptError))
            return "failed"
        level = logging.INFO if report.state == "done" else logging.WARNING
        _log.log(level, "%s: %s: %s", name, report.state, "; ".join(report.summary))
        return "done"

    async def _note(self, task: Task, outcome: Outcome) -> None:
        """Write down how a run ended, for whoever finds the next task.

        Raises:
            LeaseLostError: Another server took over.
        """
        now = self._store.clock.now()

        def job(tx: Tx) -> None:
            self._leadership.check(tx)
            if outcome in {"done", "failed"}:
                schedules.settle(tx, task.instances)
            elif outcome == "parked":
                schedules.park(tx, task.instances)
            if outcome == "failed" and task.kind == "hints":
                inbox.suspect(tx, now, now + inbox.BACK_OFF_MS, until=task.newest_hint)

        await self._store.write(job)

    # --- how it begins ---

    def _also(self, task: Task) -> Callable[[Tx], None]:
        """Return what belongs into the transaction that begins the run: two servers never both fire."""

        def job(tx: Tx) -> None:
            self._leadership.check(tx)
            schedules.fire(tx, task.instances, self._store.clock.now())

        return job

    def _began(self, task: Task, run: Run) -> None:
        self._run = run
        run.stopping = self._stopping
        if task.due:
            due = ", ".join(item.late(run.started_at) for item in task.due)
            _log.info("run %s: due: %s", run.id, due, extra={"run": run.id})


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; False when the time is up first."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _work(steps: Steps, task: Task) -> RunReport:
    if task.kind == "hints":
        return await steps.hints()
    if task.kind == "wake" or not any(item.reads for item in task.due):
        return await steps.wake(task.instances)
    return await steps.run([(item.instance, None) for item in task.due if item.reads], jobs_of=task.instances)
