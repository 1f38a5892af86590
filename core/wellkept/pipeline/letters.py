"""Dead letters once more: read their rows again by id where the source can, else ask for a full read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from wellkept.clock import Clock
from wellkept.errors import ConfigError, RetryableError
from wellkept.events import Event
from wellkept.pipeline.commit import Desk
from wellkept.pipeline.inbox import FETCH_IDS, Fetcher
from wellkept.pipeline.plan import Plan, Sources, Unit, plan
from wellkept.pipeline.report import SyncReport
from wellkept.pipeline.sync import SILENCE_SECONDS, Gate, OnResult, Shift
from wellkept.pipeline.watch import TICK_SECONDS, BlamedError
from wellkept.source import FetchingSource
from wellkept.store import cursors, dead_letters
from wellkept.store.cursors import Key
from wellkept.store.dead_letters import Letter
from wellkept.store.engine import Store, Tx
from wellkept.store.runs import Run

if TYPE_CHECKING:
    from wellkept.settings import Freshness
    from wellkept.store.records import RecordTables


async def retry(
    store: Store,
    tables: RecordTables,
    sources: Sources,
    seqs: Sequence[int],
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
    """Try the open letters with these numbers again.

    A letter whose row is stored well is resolved by that. Rows that cannot be fetched one by one make the next read of their
    stream a full one; the notes of the report say so.

    Arguments and errors: see `wellkept.pipeline.sync.sync`; `seqs` are the numbers of letters.

    Raises:
        ConfigError: A letter does not exist, is not open, or came from what is no stream of these sources.
    """
    with store.read() as reader:
        letters = dead_letters.by_seq(reader, seqs)
    by_stream = _group(letters, seqs)
    desk = Desk(store=store, tables=tables, run=run, clock=clock, freshness=freshness)
    units: list[Unit] = []
    chosen = plan(sources, list(by_stream), clock)
    for unit in chosen.units:
        if of_unit := by_stream.get((unit.instance, unit.stream.name)):
            unit.needs, unit.work = [], partial(_retry, desk, of_unit)
            units.append(unit)
    shift = Shift(desk, gate=gate, observe=observe, on_result=on_result)
    return await shift.run(Plan(units=units, broken=chosen.broken), silence=silence, time_limit=None, tick=tick)


def _group(letters: Iterable[Letter], seqs: Iterable[int]) -> Mapping[tuple[str, str], list[Letter]]:
    open_letters = {letter.seq: letter for letter in letters if letter.state == "open"}
    if missing := sorted(set(seqs) - open_letters.keys()):
        raise ConfigError(
            f"no open dead letter has the number {', '.join(map(str, missing))}", guidance="see `wellkept dead-letters`"
        )
    groups: dict[tuple[str, str], list[Letter]] = {}
    for letter in open_letters.values():
        groups.setdefault((letter.instance, letter.stream), []).append(letter)
    return groups


async def _retry(desk: Desk, letters: Sequence[Letter], unit: Unit) -> None:
    """Retry the letters of one stream.

    Raises:
        BlamedError: The source cannot be asked at the moment.
    """
    ids = list(dict.fromkeys(letter.record_id for letter in letters if letter.record_id is not None))
    if isinstance(unit.source, FetchingSource):
        fetcher = Fetcher(desk, unit.source, unit.stream, unit.watch, unit.result)
        for start in range(0, len(ids), FETCH_IDS):
            await _fetch(fetcher, ids[start : start + FETCH_IDS], unit)
        unfetchable = sum(letter.record_id is None for letter in letters)
    else:
        unfetchable = len(letters)
    if unfetchable:
        reason = f"everything is read again, for {unfetchable} dead letters"
        key = Key(unit.instance, unit.stream.name)

        def job(tx: Tx) -> None:
            desk.run.check(tx)
            cursors.want_full(tx, key, reason, desk.clock.now())

        await desk.store.write(job)
        unit.result.notes.append(f"{unfetchable} rows cannot be read one by one: the next sync of the stream is a full read")
    with desk.store.read() as reader:
        left = [letter for letter in dead_letters.by_seq(reader, [letter.seq for letter in letters]) if letter.state == "open"]
    unit.result.notes.append(f"{len(letters) - len(left)} of {len(letters)} dead letters are resolved")
    unit.result.held |= bool(left)
    unit.result.end_well()


async def _fetch(fetcher: Fetcher, ids: Sequence[str], unit: Unit) -> None:
    """Fetch rows again; one that the call fails for, for good, is left out."""
    try:
        await fetcher.fetch(ids, ())
    except BlamedError as blamed:
        if isinstance(blamed.error, RetryableError) or len(ids) == 1:
            raise
        middle = len(ids) // 2
        for half in (ids[:middle], ids[middle:]):
            await _fetch(fetcher, half, unit)
