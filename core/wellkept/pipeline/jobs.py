"""Jobs: the plugins' own work at the end of a run. One that fails leaves the others alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from wellkept.errors import FatalError, StoreError
from wellkept.events import Event
from wellkept.installation import Installation
from wellkept.pipeline.report import StreamResult
from wellkept.plugins.acting import Actor, acting
from wellkept.store import runs

if TYPE_CHECKING:
    from wellkept.job import Job
    from wellkept.runtime import Runtime
    from wellkept.store import Tx
    from wellkept.store.runs import Run


def place(job: str) -> str:
    """Return where a job stands in the run table, among the streams of its instance."""
    return f"{job} (job)"


async def perform(
    runtime: Runtime, jobs: Mapping[str, Sequence[Job]], *, run: Run, may_work: Callable[[str], Awaitable[bool]]
) -> list[StreamResult]:
    """Do the jobs of some instances, one after the other, and return how each ended.

    Args:
        runtime: The open installation.
        jobs: What is to be done, by instance.
        run: The run under way; each job is noted in its table when it begins and when it ends.
        may_work: Whether an instance may work at all; the jobs of one that is paused are skipped.
    """
    results, store, installation = [], runtime.store, Installation(runtime)
    for instance, items in jobs.items():
        allowed = await may_work(instance)
        for job in items:
            run.check_stopping()
            result = StreamResult(instance=instance, stream=place(job.name))
            await store.write(partial(_begin, run=run, result=result, now=store.clock.now()))
            if allowed:
                await _do(job, installation, result)
            else:
                result.state, result.notes = "skipped", ["the instance is paused"]
            await store.write(partial(_end, run=run, result=result, now=store.clock.now()))
            runtime.observe(
                Event(
                    kind="stream.finished",
                    at=store.clock.now(),
                    run=run.id,
                    instance=instance,
                    stream=result.stream,
                    state=result.state,
                    reason=result.error or result.note,
                    counts=result.counts,
                )
            )
            results.append(result)
    return results


async def _do(job: Job, installation: Installation, result: StreamResult) -> None:
    try:
        with acting(Actor(result.instance, f"the job {job.name}", result.notes.append, stream=result.stream)):
            result.read = _counted(await asyncio.to_thread(job.perform, installation))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises: it is told, and the others go on
        result.fail(error, blamed=not isinstance(error, StoreError))
    else:
        result.end_well()


def _counted(count: object) -> int:
    if not isinstance(count, int):
        raise FatalError(f"`perform` returned {type(count).__name__}, not how many rows it dealt with")
    return count


def _begin(tx: Tx, *, run: Run, result: StreamResult, now: int) -> None:
    run.check(tx)
    runs.begin_stream(tx, run, result.instance, result.stream, now)


def _end(tx: Tx, *, run: Run, result: StreamResult, now: int) -> None:
    run.check(tx)
    runs.count_stream(tx, run, result.instance, result.stream, (result.read, 0, 0, 0, 0, 0))
    runs.end_stream(tx, run, result.instance, result.stream, state=result.state, error=result.error, note=result.note, now=now)
