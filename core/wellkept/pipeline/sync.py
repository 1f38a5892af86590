"""Sync, the first step: read every stream of every source from its cursor into the store.

Streams run side by side, since following cursors is a chain and only other chains can fill its waits. One that fails, hangs or
brings nonsense never stops the others; what it did is in its row of the run table and in the report.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wellkept.clock import Clock
from wellkept.errors import CredentialsError, LeaseLostError, RetryableError, WellkeptError
from wellkept.events import Event
from wellkept.logs import log_fields
from wellkept.pipeline.commit import Desk
from wellkept.pipeline.inbox import HintReader
from wellkept.pipeline.plan import Plan, Selection, Sources, Unit, plan, plan_hints
from wellkept.pipeline.reading import CLOSE_SECONDS, Progress, StreamReader
from wellkept.pipeline.report import StreamResult, SyncReport, describe
from wellkept.pipeline.watch import TICK_SECONDS, BlamedError, supervise
from wellkept.plugins.acting import Actor, acting
from wellkept.source import FetchingSource, Window
from wellkept.store import inbox, runs
from wellkept.store.engine import Store, Tx
from wellkept.store.instances import Allowed, Refused
from wellkept.store.runs import Run

if TYPE_CHECKING:
    from wellkept.settings import Freshness
    from wellkept.store.records import RecordTables

Verdict = Allowed | Refused
Gate = Callable[[str], Verdict | Awaitable[Verdict]]
"""Says whether an instance may run; asked once per sync, before anything of the instance is read."""

OnResult = Callable[[str, WellkeptError | None], Awaitable[object] | None]
"""Told how an instance did; see `sync`."""

SILENCE_SECONDS = 900.0
"""A source that yields nothing for so long hangs. Far above what a vendor's Retry-After usually asks for."""

SIDE_BY_SIDE = 16
"""Streams read at the same time; bounds memory when there are very many."""

KEEP_HINTS_MS = 30 * 24 * 3600 * 1000
"""How long answered hints are remembered, so that a vendor's repetition is known as one: vendors give up after days."""

_log = logging.getLogger(__name__)


async def sync(
    store: Store,
    tables: RecordTables,
    sources: Sources,
    *,
    run: Run,
    clock: Clock,
    freshness: Freshness,
    select: Selection | None = None,
    full: bool = False,
    accept_deletes: bool = False,
    gate: Gate | None = None,
    observe: Callable[[Event], None] | None = None,
    on_result: OnResult | None = None,
    progress: Progress | None = None,
    silence: float = SILENCE_SECONDS,
    time_limit: float | None = None,
    tick: float = TICK_SECONDS,
) -> SyncReport:
    """Read the streams of all sources, what webhooks hinted at first.

    Args:
        store: The store.
        tables: The tables of all record types that the sources declare.
        sources: The sources of each instance.
        run: The run, which holds the lease; see `wellkept.store.runs.running`. Its state and summary are set.
        clock: The only clock.
        freshness: What volumes and deletions are believed.
        select: Only these streams, and those that they depend on; None means all.
        full: Read everything of the selected streams again, instead of going on from their cursors. A full read that was
            interrupted goes on.
        accept_deletes: A person has said that deletions and small volumes are right this time.
        gate: Says whether an instance may run; its streams are skipped otherwise.
        observe: Told when a stream has ended.
        on_result: Told how each instance did: at once for a `CredentialsError`, else at the end: None if any of its streams
            was read to its end, else the gravest error. Not told of instances of which nothing ran.
        progress: Told after each commit.
        silence: Seconds after which a source that yields nothing counts as hanging, and its stream is ended.
        time_limit: Seconds after which all streams are ended; the next run goes on from their last commits.
        tick: Real seconds between looks at hanging streams.

    Raises:
        ConfigError: `select` names what is not there.
        LeaseLostError: Another process took over; nothing was committed since.
    """
    desk = Desk(store=store, tables=tables, run=run, clock=clock, freshness=freshness, accept_deletes=accept_deletes)
    shift = Shift(desk, gate=gate, observe=observe, on_result=on_result, progress=progress, full=full)
    return await shift.run(plan(sources, select, clock), silence=silence, time_limit=time_limit, tick=tick)


async def drain(
    store: Store,
    tables: RecordTables,
    sources: Sources,
    *,
    run: Run,
    clock: Clock,
    freshness: Freshness,
    gate: Gate | None = None,
    observe: Callable[[Event], None] | None = None,
    on_result: OnResult | None = None,
    silence: float = SILENCE_SECONDS,
    tick: float = TICK_SECONDS,
) -> SyncReport:
    """Read only what webhooks hinted at: single objects, and whole streams where a hint asks for that.

    Arguments and errors: see `sync`.
    """
    with store.read() as reader:
        fetches, reads = inbox.due_streams(reader, clock.now())
    desk = Desk(store=store, tables=tables, run=run, clock=clock, freshness=freshness)
    shift = Shift(desk, gate=gate, observe=observe, on_result=on_result)
    return await shift.run(plan_hints(sources, fetches, reads, clock), silence=silence, time_limit=None, tick=tick)


class Shift:
    """One sync under way: works off a plan. Arguments: see `sync`; `window` makes it a backfill."""

    def __init__(
        self,
        desk: Desk,
        *,
        gate: Gate | None = None,
        observe: Callable[[Event], None] | None = None,
        on_result: OnResult | None = None,
        progress: Progress | None = None,
        full: bool = False,
        window: Window | None = None,
    ) -> None:
        self._desk = desk
        self._gate = gate
        self._observe = observe
        self._on_result = on_result
        self._progress = progress
        self._full = full
        self._window = window
        self._slots = asyncio.Semaphore(SIDE_BY_SIDE)
        self._verdicts: dict[str, asyncio.Future[Verdict]] = {}
        self._told: set[str] = set()
        self._lost: LeaseLostError | None = None
        self._units: Sequence[Unit] = ()

    async def run(self, todo: Plan, *, silence: float, time_limit: float | None, tick: float) -> SyncReport:
        """Work off a plan; returns when every stream has ended, one way or the other.

        Raises:
            LeaseLostError: Another process took over.
        """
        desk, self._units = self._desk, todo.units
        await desk.store.write(self._prepare)
        until = None if time_limit is None else desk.clock.monotonic() + time_limit
        tasks = {asyncio.create_task(self._work(unit), name=f"{unit.instance}.{unit.stream.name}"): unit for unit in todo.units}
        try:
            watches = {task: unit.watch for task, unit in tasks.items()}

            async def leave(task: asyncio.Task[Any]) -> None:
                await self._leave(task, tasks[task])

            left = await supervise(
                watches, desk.clock, silence=silence, until=until, tick=tick, leave=leave, stop=desk.run.reason_to_stop
            )
        except BaseException:
            await _end_all(tasks)
            raise
        finally:
            await _end_all(self._verdicts.values())
        for task in tasks.keys() - left:
            task.result()  # a stream's failure is in its result: what is raised here is a bug of ours
        for result in todo.broken:
            await self._write_end(result)
        if self._lost is not None:
            raise self._lost
        results = [*todo.broken, *(unit.result for unit in todo.units)]
        await self._tell_rest(results)
        report = SyncReport(run=desk.run.id, streams=results)
        desk.run.state, desk.run.summary = report.state, report.summary
        return report

    def _prepare(self, tx: Tx) -> None:
        self._desk.run.check(tx)
        self._desk.tables.ensure(tx)
        inbox.purge(tx, self._desk.clock.now() - KEEP_HINTS_MS)

    # --- one stream ---

    async def _work(self, unit: Unit) -> None:
        """Do one stream. What goes wrong with it ends up in its result."""
        try:
            actor = Actor(unit.instance, f"stream {unit.stream.name}", unit.result.notes.append, stream=unit.stream.name)
            with log_fields(instance=unit.instance, stream=unit.stream.name), acting(actor):
                await self._do(unit)
            if not unit.left:
                await self._settle(unit.result)
        finally:
            unit.ended.set()

    async def _do(self, unit: Unit) -> None:
        result = unit.result
        try:
            obstacle = await self._obstacle(unit)
            if obstacle is not None:
                result.state = "skipped"
                result.notes.append(obstacle)
                return
            async with self._slots:
                await (unit.work or self._read)(unit)
        except BlamedError as blamed:
            result.fail(blamed.error, blamed=True)
        except WellkeptError as error:
            result.fail(error, blamed=False)

    async def _obstacle(self, unit: Unit) -> str | None:
        """Wait until a stream may begin; return why it may not, if so.

        Raises:
            BlamedError: The gate could not find out.
        """
        for other in unit.needs:
            await other.ended.wait()
            if not other.result.ended_well:
                return f"needs {other.stream.name}, which did not end well"
        if self._gate is None:
            return None
        if unit.instance not in self._verdicts:
            self._verdicts[unit.instance] = asyncio.ensure_future(self._ask_gate(self._gate, unit.instance))
        verdict = await unit.watch.ask(asyncio.shield(self._verdicts[unit.instance]))
        if isinstance(verdict, Refused):
            return f"{verdict.state}: {verdict.reason} ({verdict.mend})"
        return None

    async def _ask_gate(self, gate: Gate, instance: str) -> Verdict:
        verdict = gate(instance)
        return await verdict if isinstance(verdict, Awaitable) else verdict

    async def _read(self, unit: Unit) -> None:
        """Answer hints, then read the stream.

        Raises:
            WellkeptError: The store failed, or the lease was lost.
        """
        desk, result = self._desk, unit.result
        if self._window is None and isinstance(unit.source, FetchingSource):
            await HintReader(desk, unit.source, unit.stream, unit.watch, result).run()
        if unit.read:
            reader = StreamReader(
                desk,
                unit.source,
                unit.stream,
                watch=unit.watch,
                result=result,
                full=self._full and unit.asked,
                window=self._window,
                progress=self._progress,
            )
            await reader.run()
        else:
            result.end_well()

    async def _leave(self, task: asyncio.Task[None], unit: Unit) -> None:
        """Name a stream whose plugin does not obey its cancellation, and go on without it."""
        unit.left = True
        task.add_done_callback(_look_at)
        assert unit.watch.ended_by is not None  # noqa: S101 - narrows: that is why it was cancelled
        unit.result.fail(unit.watch.ended_by, blamed=True)
        unit.result.notes.append("it does not obey its cancellation and was left behind")
        await self._settle(unit.result)
        unit.ended.set()

    # --- what others are told ---

    async def _settle(self, result: StreamResult) -> None:
        """Write and tell how a stream ended."""
        if isinstance(result.stopped_by, LeaseLostError):
            self._stop_all(result.stopped_by)
            return
        if isinstance(result.failure, CredentialsError) and result.instance not in self._told:
            await self._tell(result.instance, result.failure)
        await self._write_end(result)

    async def _write_end(self, result: StreamResult) -> None:
        desk = self._desk

        def job(tx: Tx) -> None:
            desk.run.check(tx)
            runs.end_stream(
                tx,
                desk.run,
                result.instance,
                result.stream,
                state=result.state,
                error=result.error,
                note=result.note,
                now=desk.clock.now(),
            )

        try:
            await desk.store.write(job)
        except LeaseLostError as error:
            self._stop_all(error)
            return
        except WellkeptError as error:
            _log.error("%s.%s: the run table could not be written: %s", result.instance, result.stream, describe(error))
        if self._observe is not None:
            self._tell_observer(self._observe, result)

    def _tell_observer(self, observe: Callable[[Event], None], result: StreamResult) -> None:
        event = Event(
            kind="stream.finished",
            at=self._desk.clock.now(),
            run=self._desk.run.id,
            instance=result.instance,
            stream=result.stream,
            state=result.state,
            reason=result.error or result.note,
            counts=result.counts,
        )
        try:
            observe(event)
        except Exception as error:  # noqa: BLE001 - an observer only looks on
            _log.warning("an observer failed: %s", describe(error))

    def _stop_all(self, error: LeaseLostError) -> None:
        """Another process took over: nothing more can be committed, so nothing more need be read."""
        self._lost = error
        for unit in self._units:
            unit.watch.stop(error)

    async def _tell_rest(self, results: Sequence[StreamResult]) -> None:
        for instance in dict.fromkeys(result.instance for result in results):
            of_instance = [result for result in results if result.instance == instance]
            failures = [result.failure for result in of_instance if result.failure is not None]
            if any(result.ended_well for result in of_instance):
                await self._tell(instance, None)
            elif failures:
                await self._tell(instance, min(failures, key=lambda error: isinstance(error, RetryableError)))

    async def _tell(self, instance: str, error: WellkeptError | None) -> None:
        if self._on_result is None or instance in self._told:
            return
        self._told.add(instance)
        answer = self._on_result(instance, error)
        if isinstance(answer, Awaitable):
            await answer


async def _end_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel what still runs and give it a moment to obey."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
        task.add_done_callback(_look_at)
    if running:
        await asyncio.wait(running, timeout=CLOSE_SECONDS)


def _look_at(done: asyncio.Future[Any]) -> None:
    """Look at what nobody comes for, so that asyncio does not complain."""
    if not done.cancelled():
        done.exception()
