"""Backfill: read a window of a stream's past, with a cursor of its own; the live cursor stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wellkept.clock import Clock
from wellkept.errors import ConfigError
from wellkept.events import Event
from wellkept.pipeline.commit import Desk
from wellkept.pipeline.plan import Plan, Sources, plan
from wellkept.pipeline.reading import Progress
from wellkept.pipeline.report import SyncReport
from wellkept.pipeline.sync import SILENCE_SECONDS, Gate, OnResult, Shift
from wellkept.pipeline.watch import TICK_SECONDS
from wellkept.source import Window
from wellkept.store.engine import Store
from wellkept.store.runs import Run

if TYPE_CHECKING:
    from wellkept.settings import Freshness
    from wellkept.store.records import RecordTables


async def backfill(
    store: Store,
    tables: RecordTables,
    sources: Sources,
    *,
    instance: str,
    stream: str,
    window: Window,
    run: Run,
    clock: Clock,
    freshness: Freshness,
    gate: Gate | None = None,
    observe: Callable[[Event], None] | None = None,
    on_result: OnResult | None = None,
    progress: Progress | None = None,
    silence: float = SILENCE_SECONDS,
    time_limit: float | None = None,
    tick: float = TICK_SECONDS,
) -> SyncReport:
    """Read the rows of one stream whose own time lies in a window.

    One that was cut off goes on where it stopped when it is asked for again; one that ended well starts anew and changes
    nothing. Absence deletes nothing, volumes are not judged, and how fresh the data are stays what it was.

    Args:
        store: The store.
        tables: The tables of all record types.
        sources: The sources of each instance.
        instance: Which instance,
        stream: and which of its streams.
        window: The span of time.
        run: The run, which holds the lease.
        clock: The only clock.
        freshness: See `wellkept.pipeline.sync.sync`; so are the other arguments.
        gate: See there.
        observe: See there.
        on_result: See there.
        progress: See there.
        silence: See there.
        time_limit: See there.
        tick: See there.

    Raises:
        ConfigError: There is no such stream, it cannot be backfilled, or the window is empty.
        LeaseLostError: Another process took over.
    """
    todo = plan(sources, [(instance, stream)], clock)
    unit = next((unit for unit in todo.units if (unit.instance, unit.stream.name) == (instance, stream)), None)
    if unit is not None:
        if not unit.stream.backfill:
            raise ConfigError(
                f"the stream {stream!r} of {instance} cannot be backfilled",
                guidance="read everything again instead, with `wellkept sync --full`",
            )
        if window.start >= window.end:
            raise ConfigError("the window is empty", guidance="its end must be after its start")
        unit.needs = []
        todo = Plan(units=[unit], broken=[])
    desk = Desk(store=store, tables=tables, run=run, clock=clock, freshness=freshness)
    shift = Shift(desk, gate=gate, observe=observe, on_result=on_result, progress=progress, window=window)
    return await shift.run(todo, silence=silence, time_limit=time_limit, tick=tick)
