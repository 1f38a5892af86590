"""What a sync would cost, before it is run: calls, hours, and the share of the vendor's quota."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from wellkept.clock import Clock
from wellkept.pipeline.plan import Selection, Sources, Unit, plan
from wellkept.pipeline.report import describe
from wellkept.pipeline.sync import SIDE_BY_SIDE, SILENCE_SECONDS
from wellkept.pipeline.watch import TICK_SECONDS, BlamedError, supervise
from wellkept.source import Estimate
from wellkept.store import cursors
from wellkept.store.cursors import Key
from wellkept.store.engine import Store


@dataclass(frozen=True, kw_only=True)
class StreamEstimate:
    """What reading one stream would cost.

    Attributes:
        instance: The instance.
        stream: The stream.
        full: Everything would be read, not only what is new.
        calls: Requests, at most; None when nobody can know.
        hours: Duration at the vendor's permitted rate.
        quota_share: The part of the vendor's quota, 0 to 1 or above.
        error: Why there is no estimate, redacted.
    """

    instance: str
    stream: str
    full: bool = False
    calls: int | None = None
    hours: float | None = None
    quota_share: float | None = None
    error: str | None = None


async def estimate(
    store: Store,
    sources: Sources,
    *,
    clock: Clock,
    select: Selection | None = None,
    full: bool = False,
    silence: float = SILENCE_SECONDS,
    tick: float = TICK_SECONDS,
) -> Sequence[StreamEstimate]:
    """Ask the sources what reading on from the stored cursors would cost. Stores nothing.

    Raises:
        ConfigError: `select` names what is not there.
    """
    todo = plan(sources, select, clock)
    slots = asyncio.Semaphore(SIDE_BY_SIDE)
    tasks = {asyncio.create_task(_ask(store, unit, slots, full=full)): unit for unit in todo.units}
    watches = {task: unit.watch for task, unit in tasks.items()}
    try:
        left = await supervise(watches, clock, silence=silence, until=None, tick=tick)
    finally:
        for task in tasks:
            task.cancel()
    broken = [StreamEstimate(instance=bad.instance, stream=bad.stream, error=bad.error) for bad in todo.broken]
    return [*broken, *(_hanging(unit) if task in left else task.result() for task, unit in tasks.items())]


async def _ask(store: Store, unit: Unit, slots: asyncio.Semaphore, *, full: bool) -> StreamEstimate:
    with store.read() as reader:
        state = cursors.load(reader, Key(unit.instance, unit.stream.name))
    everything = full or state.full_wanted is not None
    cursor = None if everything and state.full_since is None else state.cursor
    answer, error = Estimate(calls=None), None
    try:
        async with slots:
            answer = await unit.watch.ask(unit.source.estimate(unit.stream, cursor))
    except BlamedError as blamed:
        error = describe(blamed.error)
    return StreamEstimate(
        instance=unit.instance,
        stream=unit.stream.name,
        full=cursor is None,
        calls=answer.calls,
        hours=None if answer.seconds is None else answer.seconds / 3600,
        quota_share=answer.quota_share,
        error=error,
    )


def _hanging(unit: Unit) -> StreamEstimate:
    error = None if unit.watch.ended_by is None else describe(unit.watch.ended_by)
    return StreamEstimate(instance=unit.instance, stream=unit.stream.name, error=error)
