"""What a sync is going to read: which streams, and which of them wait for which."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wellkept.clock import Clock
from wellkept.errors import ConfigError, FatalError, WellkeptError
from wellkept.pipeline.report import StreamResult, blame, describe
from wellkept.pipeline.watch import Watch
from wellkept.plugins.acting import Actor, acting
from wellkept.source import Source, Stream

Selection = Collection[tuple[str, str | None]]
"""Which streams: (instance, stream), or (instance, None) for all of an instance."""

Sources = Mapping[str, Source | Sequence[Source]]
"""The sources of each instance; usually one."""

Keys = Collection[tuple[str, str]]
"""Streams, as (instance, name)."""

ALL_STREAMS = "*"
"""Stands in a report for the streams that a source could not even list."""


@dataclass(kw_only=True, eq=False)
class Unit:
    """One stream of a sync.

    Attributes:
        instance: The instance.
        source: Its source.
        stream: The stream.
        watch: What a supervisor sees of it.
        result: How it goes.
        asked: It was selected itself, not only because another one depends on it.
        read: Whether the stream is read, or only what webhooks hinted at.
        needs: What must have ended well before.
        work: What to do instead of answering hints and reading.
        left: Its plugin does not obey; whatever it still does is nobody's business.
        ended: Set when it has ended, however that was.
    """

    instance: str
    source: Source
    stream: Stream
    watch: Watch
    result: StreamResult
    asked: bool = True
    read: bool = True
    needs: list[Unit] = field(default_factory=list)
    work: Callable[[Unit], Awaitable[None]] | None = None
    left: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(kw_only=True)
class Plan:
    """What is going to be read, and what cannot be.

    Attributes:
        units: What is read, in the order of configuration.
        broken: Results of what cannot even begin.
    """

    units: list[Unit]
    broken: list[StreamResult]


def plan(sources: Sources, select: Selection | None, clock: Clock) -> Plan:
    """Choose the streams to read; what a selected one depends on is read too.

    Raises:
        ConfigError: `select` names what is not there.
    """
    broken: list[StreamResult] = []
    known: dict[str, dict[str, Unit]] = {}
    for instance, given in sources.items():
        units = known.setdefault(instance, {})
        for source in given if isinstance(given, Sequence) else (given,):
            try:
                with acting(Actor(instance, "its list of streams")):
                    units |= _units(instance, source, units, clock)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's own method; the others go on
                broken.append(_broken(instance, ALL_STREAMS, blame(error)))
    chosen = _chosen(known, select, {result.instance for result in broken})
    ready: list[Unit] = []
    for instance, units in known.items():
        for unit in _connect(units, [name for name in units if (instance, name) in chosen]):
            if unit.result.failure is None:
                ready.append(unit)
            else:
                broken.append(unit.result)
    if select is not None:
        broken = [result for result in broken if result.stream != ALL_STREAMS or any(result.instance == i for i, _ in select)]
    return Plan(units=ready, broken=broken)


def plan_hints(sources: Sources, fetches: Keys, reads: Keys, clock: Clock) -> Plan:
    """Choose what webhooks hinted at: streams to read, with all that they depend on, and streams of which only objects are."""
    whole = plan(sources, None, clock)
    waiting = [unit for unit in whole.units if (unit.instance, unit.stream.name) in reads]
    reading: set[Unit] = set()
    while waiting:
        unit = waiting.pop()
        reading.add(unit)
        waiting += [other for other in unit.needs if other not in reading]
    units = [unit for unit in whole.units if unit in reading or (unit.instance, unit.stream.name) in fetches]
    for unit in units:
        if unit not in reading:
            unit.read, unit.needs = False, []
    hinted = {instance for instance, _ in [*fetches, *reads]}
    return Plan(units=units, broken=[result for result in whole.broken if result.instance in hinted])


def _units(instance: str, source: Source, taken: Collection[str], clock: Clock) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for stream in source.streams():
        if stream.name in units or stream.name in taken:
            raise FatalError(f"two streams are called {stream.name!r}", guidance="give each stream of an instance its own name")
        result = StreamResult(instance=instance, stream=stream.name)
        units[stream.name] = Unit(instance=instance, source=source, stream=stream, watch=Watch(clock), result=result)
    return units


def _chosen(
    known: Mapping[str, Mapping[str, Unit]], select: Selection | None, unlisted: Collection[str]
) -> set[tuple[str, str]]:
    """Return what is selected; streams of an instance that could not list them are taken on trust."""
    everything = {(instance, name) for instance, units in known.items() for name in units}
    if select is None:
        return everything
    chosen: set[tuple[str, str]] = set()
    for instance, name in select:
        if instance not in known:
            raise ConfigError(f"there is no source {instance!r}", guidance=f"choose among: {_list(known)}")
        if name is not None and name not in known[instance] and instance not in unlisted:
            raise ConfigError(f"{instance} has no stream {name!r}", guidance=f"choose among: {_list(known[instance])}")
        chosen |= {(instance, each) for each in known[instance] if name in {None, each}}
    return chosen


def _connect(units: Mapping[str, Unit], names: Iterable[str]) -> list[Unit]:
    """Return the named units and all that they depend on, connected; those that never could begin have a failure."""
    needed: list[str] = []
    asked = list(names)
    waiting = list(asked)
    while waiting:
        name = waiting.pop(0)
        if name not in needed and name in units:
            needed.append(name)
            waiting += units[name].stream.depends_on
    done: set[str] = set()
    while ready := [name for name in needed if name not in done and done.issuperset(units[name].stream.depends_on)]:
        done.update(ready)
    for name in needed:
        unit = units[name]
        unit.asked = name in asked
        unit.needs = [units[other] for other in unit.stream.depends_on if other in units]
        if name not in done:
            unknown = [other for other in unit.stream.depends_on if other not in units]
            reason = f"depends on {_list(unknown)}, which there is not" if unknown else "waits for streams that wait for it"
            unit.result = _broken(unit.instance, name, FatalError(reason, guidance="this is a bug of the plugin"))
    return [unit for name, unit in units.items() if name in needed]


def _broken(instance: str, stream: str, error: WellkeptError) -> StreamResult:
    return StreamResult(instance=instance, stream=stream, state="failed", error=describe(error), failure=error)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
