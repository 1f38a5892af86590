"""The last look before an effect leaves: facts read again at the vendor, and the policy asked again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from wellkept.clock import Clock
from wellkept.effects import Effect
from wellkept.frame import Row
from wellkept.pipeline.outgoing import OURS, Outgoing
from wellkept.policy import Decider, Machine, Verdict
from wellkept.records import (
    Invoice,
    PaymentAttempt,
    Record,
    Subscription,
    SurveyResponse,
    Task,
    Ticket,
    TimelineEvent,
    Touch,
    Usage,
)
from wellkept.redact import redact_exception
from wellkept.scorer import Scorer
from wellkept.source import Batch, FetchingSource, Source, Stream
from wellkept.store.engine import Reader, Store, Tx
from wellkept.store.outbox import Entry
from wellkept.store.records import RecordTables

R = TypeVar("R", bound=Record)

MOST = 20
"""Records of one type that are read again for one effect, the newest ones."""

SCORE_COLUMNS = ("", "_band", "_band_before", "_coverage")
"""What a scorer adds to the frame, after its name."""


class LiveFacts:
    """`wellkept.policy.Facts` over the store, at this instant."""

    def __init__(self, store: Store, tables: RecordTables, clock: Clock, row: Callable[[str], Row | None]) -> None:
        self._store = store
        self._tables = tables
        self._clock = clock
        self._row = row

    @property
    def now(self) -> int:
        """The current instant, epoch ms."""
        return self._clock.now()

    def row(self, account: str) -> Row | None:
        """Return the account's measures and scores, recomputed now; None when the account is gone."""
        return self._row(account)

    def records(self, record: type[R], account: str) -> Sequence[R]:
        """Return all records of a type that belong to an account, deleted ones left out."""
        with self._store.read() as reader:
            return self._tables.of_account(reader, record, account)

    def record(self, record: type[R], id_: str, *, instance: str) -> R | None:
        """Return one record; None when it is unknown or deleted."""
        with self._store.read() as reader:
            return self._tables.get(reader, record, instance, id_)


def feeds(
    records_of: Callable[[str], Collection[type[Record]]], scorers: Iterable[Scorer]
) -> Callable[[str], Collection[type[Record]]]:
    """Return a function that says which record types a column of the frame is computed from.

    Args:
        records_of: Says it of measures and formulas; see `Plan.records_of`.
        scorers: All scorers; a score is fed by what feeds the columns that it uses.
    """
    scores = {f"{scorer.name}{suffix}": scorer for scorer in scorers for suffix in SCORE_COLUMNS}

    def of(column: str, seen: frozenset[str] = frozenset()) -> Collection[type[Record]]:
        known = records_of(column)
        if known or column not in scores or column in seen:
            return known
        return {type_ for used in scores[column].uses for type_ in of(used, seen | {column})}

    return of


def is_final(record: Record) -> bool:
    """Say whether a record tells of something that is over, so that reading it again would tell nothing new."""
    match record:
        case Subscription() | Invoice() | PaymentAttempt() | Ticket():
            return record.status in _OVER[type(record)]
        case Task():
            return record.completed_at is not None
        case _:
            return isinstance(record, (Usage, SurveyResponse, Touch, TimelineEvent))


_OVER: Mapping[type[Record], frozenset[str]] = {
    Subscription: frozenset({"canceled", "incomplete_expired"}),
    Invoice: frozenset({"paid", "void"}),
    PaymentAttempt: frozenset({"succeeded", "failed", "canceled"}),
    Ticket: frozenset({"closed"}),
}


async def look_again(out: Outgoing, entry: Entry, effect: Effect) -> Verdict:
    """Decide whether an effect may leave now.

    Before a ``message`` or ``once`` effect the account's records that feed the decider are read again at their vendors. What
    cannot be read, is stale, or makes the policy stumble, holds the effect.
    """
    decider = out.deciders.get(entry.policy)
    if decider is None:
        gone = f"the policy {entry.policy} is not configured any more; reject the effect, or bring it back"
        return Verdict.hold(gone)
    if entry.account is None:
        return Verdict.hold("it names no account")
    problem = None if entry.kind == "state" else await _refresh(out, entry, decider)
    if problem is not None:
        return Verdict.hold(problem)
    facts = LiveFacts(out.store, out.tables, out.clock, out.row)
    try:
        unsure = _unsure(decider, facts.row(entry.account))
        return decider.recheck(effect, facts) if unsure is None else Verdict.hold(unsure)
    except OURS:
        raise
    except Exception as error:  # noqa: BLE001 - a policy that stumbles sends nothing
        return Verdict.hold(f"the recheck of {entry.policy} failed: {redact_exception(error)}")


def _unsure(decider: Decider, row: Row | None) -> str | None:
    """Say which column is not to be believed."""
    if row is None:
        return None
    for column in sorted(decider.uses):
        gap = row.gap(column)
        if gap in {"stale", "anomaly"}:
            return f"{column} is {'stale' if gap == 'stale' else 'anomalous'}"
    return None


async def _refresh(out: Outgoing, entry: Entry, decider: Decider) -> str | None:
    """Read again what the decider builds on. Returns why that was not possible."""
    types: dict[type[Record], None] = {}
    for column in sorted(decider.uses):
        fed = out.feeds(column)
        if not fed:
            return f"nothing is known to feed the column {column}"
        types |= dict.fromkeys(sorted(fed, key=lambda type_: type_.type))
    if isinstance(decider, Machine):
        types |= dict.fromkeys([*([decider.over] if isinstance(decider.over, type) else []), *decider.reads])
    with out.store.read() as reader:
        wanted = [item for type_ in types for item in _wanted(out, reader, entry, type_)]
    groups: dict[tuple[str, type[Record], str], list[str]] = {}
    for instance, type_, stream, id_ in wanted:
        groups.setdefault((instance, type_, stream), []).append(id_)
    for (instance, type_, stream), ids in groups.items():
        problem = await _fetch(out, instance, type_, stream, ids)
        if problem is not None:
            return problem
    return None


def _wanted(out: Outgoing, reader: Reader, entry: Entry, type_: type[Record]) -> list[tuple[str, type[Record], str, str]]:
    """Return (instance, type, stream, id) of what to read again: the target, and the account's newest unfinished records."""
    target, account = entry.target, entry.account or ""
    found = [(instance, record) for instance, record in out.tables.owned(reader, type_, account) if not is_final(record)]
    found.sort(key=lambda item: (-item[1].version, item[0], item[1].id))
    places = [(instance, record.id) for instance, record in found[:MOST]]
    if target is not None and target.type == type_.type and (target.instance, target.id) not in places:
        places.append((target.instance, target.id))
    table = out.tables.table(type_)
    sql = f"SELECT stream FROM {table} WHERE instance = ? AND id = ?"  # noqa: S608 - the type's own name
    return [(instance, type_, reader.value(sql, (instance, id_)) or "", id_) for instance, id_ in places]


async def _fetch(out: Outgoing, instance: str, type_: type[Record], stream_name: str, ids: Sequence[str]) -> str | None:
    """Read records of one stream again and store them. Returns why that was not possible."""
    known = out.sources.get(instance)
    if known is None:
        return f"{instance} cannot be asked whether things are still so; it is not enabled, or paused"
    asked_at = out.clock.now()
    try:
        found = _stream(known if isinstance(known, Sequence) else (known,), stream_name, type_)
        if found is None:
            return None  # nobody can read single records of this type: what was synced last has to do
        source, stream = found
        batch = await source.fetch(stream, ids)
        problem = _incomplete(batch, type_, ids)
        if problem is None:
            origin = (instance, stream, asked_at)
            await out.store.write(lambda tx: _store(out, tx, batch, origin))
    except OURS:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises: what is not known for certain is not acted upon
        out.remember(instance, error)
        return f"{instance} could not be asked whether things are still so: {redact_exception(error)}"
    return None if problem is None else f"{instance} {problem}"


def _stream(sources: Sequence[Source], name: str, type_: type[Record]) -> tuple[FetchingSource, Stream] | None:
    """Find who can read single records: the stream that wrote them, else the first one about their type."""
    able = [(source, stream) for source in sources if isinstance(source, FetchingSource) for stream in source.streams()]
    about = [pair for pair in able if type_ in pair[1].records]
    return next((pair for pair in about if pair[1].name == name), about[0] if about else None)


def _incomplete(batch: Batch, type_: type[Record], ids: Sequence[str]) -> str | None:
    told = {record.id for record in batch.records if type(record) is type_}
    told |= {deletion.id for deletion in batch.deletions if deletion.record is type_}
    missing = len(set(ids) - told)
    return f"said nothing about {missing} of {len(ids)} records of type {type_.type}" if missing else None


def _store(out: Outgoing, tx: Tx, batch: Batch, origin: tuple[str, Stream, int]) -> None:
    instance, stream, observed_at = origin
    out.run.check(tx)
    riding = frozenset(stream.includes)
    out.tables.upsert(tx, instance, stream.name, batch.records, observed_at, riding=riding)
    out.tables.delete(tx, instance, stream.name, batch.deletions, observed_at)
