"""Retention: removes what nobody needs any more, a little at a time, so that whoever writes need not wait.

Never removed: records, the newest history that a question may need, effects (their keys are known for ever), what was erased
(tombstones), who unsubscribed, and the audit chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from wellkept.store.catalogue import tables_of
from wellkept.store.columns import quoted

if TYPE_CHECKING:
    from wellkept.settings import Retention
    from wellkept.store.engine import Reader, Store, Tx

CHUNK = 500
"""Rows removed in one transaction: some milliseconds."""

DAY_MS = 86_400_000

PRUNED_AT = "pruned_at"
"""Key in ``meta``: when the store was last pruned."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which rows of a table may go.

    Attributes:
        name: What they are, for people.
        table: The table.
        key: The columns that name a row.
        where: The condition; the table is called ``t``.
        params: Its parameters.
    """

    name: str
    table: str
    key: Sequence[str]
    where: str
    params: Sequence[Any]

    def count(self, reader: Reader) -> int:
        """Return how many rows may go."""
        return int(reader.value(f"SELECT COUNT(*) FROM {self.table} AS t WHERE {self.where}", self.params))  # noqa: S608

    def find(self, reader: Reader) -> Iterator[Sequence[Any]]:
        """Yield the keys of the rows that may go."""
        key = ", ".join(map(quoted, self.key))
        return reader.rows(f"SELECT {key} FROM {self.table} AS t WHERE {self.where}", self.params)  # noqa: S608 - constants

    def remove(self, tx: Tx, keys: Sequence[Sequence[Any]]) -> int:
        """Remove those of these rows that still may go, and return how many."""
        these = " AND ".join(f"t.{quoted(name)} = ?" for name in self.key)
        sql = f"DELETE FROM {self.table} AS t WHERE {these} AND {self.where}"  # noqa: S608 - constants
        return tx.many(sql, [(*key, *self.params) for key in keys])


def rules(reader: Reader, settings: Retention, now: int) -> Iterator[Rule]:
    """Yield what may go, in an order in which nothing is left without what it belongs to."""
    yield from _runs(settings, now)
    closed = now - settings.runs_days * DAY_MS
    of_closed = "EXISTS (SELECT 1 FROM alerts a WHERE a.seq = t.alert AND a.ended_at < ?)"
    yield Rule("notices", "alert_notices", ("seq",), of_closed, (closed,))
    yield Rule("alerts", "alerts", ("seq",), "t.ended_at < ?", (closed,))
    yield Rule("webhook hints", "inbox", ("seq",), "t.done_at < ?", (now - settings.inbox_days * DAY_MS,))
    letters = now - settings.dead_letters_days * DAY_MS
    yield Rule("dead letters", "dead_letters", ("seq",), "t.state <> 'open' AND t.last_at < ?", (letters,))
    yield from _scores(settings, now)
    if settings.history_days is not None:
        yield from _history(reader, now - settings.history_days * DAY_MS)
    if settings.audit_days is not None:
        before = now - settings.audit_days * DAY_MS
        of_old = "EXISTS (SELECT 1 FROM audit a WHERE a.seq = t.seq AND a.at < ?)"
        yield Rule("audit texts", "audit_bodies", ("seq",), of_old, (before,))


def counts(reader: Reader, settings: Retention, now: int) -> dict[str, int]:
    """Return how many rows `prune` would remove, by what they are."""
    found: dict[str, int] = {}
    for rule in rules(reader, settings, now):
        found[rule.name] = found.get(rule.name, 0) + rule.count(reader)
    return found


def prune(store: Store, settings: Retention, now: int, advance: Callable[[int], object] = lambda _: None) -> dict[str, int]:
    """Remove what may go and return how many rows that were, by what they are.

    Args:
        store: The store. Others may write meanwhile, and get their turn after each chunk.
        settings: ``[retention]``.
        now: Epoch ms.
        advance: Told after each chunk how many rows went.
    """
    with store.read() as reader:
        todo = list(rules(reader, settings, now))
    removed: dict[str, int] = {}
    for rule in todo:
        removed.setdefault(rule.name, 0)
        with store.read() as reader:
            keys = rule.find(reader)
            while chunk := list(islice(keys, CHUNK)):
                count = store.write_now(partial(rule.remove, keys=chunk))
                removed[rule.name] += count
                advance(count)
    store.write_now(lambda tx: _note(tx, now))
    return removed


def prune_daily(store: Store, settings: Retention, now: int) -> Mapping[str, int]:
    """Prune unless that was done within a day; return what went."""
    with store.read() as reader:
        last = reader.value("SELECT value FROM meta WHERE key = ?", (PRUNED_AT,))
    if last is not None and 0 <= now - int(last) < DAY_MS:
        return {}
    return prune(store, settings, now)


def _note(tx: Tx, now: int) -> None:
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (PRUNED_AT, str(now)),
    )


def _runs(settings: Retention, now: int) -> Iterator[Rule]:
    """Runs that are over, and their streams; of each stream the newest row stays, with its run."""
    usual, small = (now - days * DAY_MS for days in (settings.runs_days, min(settings.hints_days, settings.runs_days)))
    old = "r.started_at < ? AND r.state <> 'running' AND (r.kind IN ('hints', 'wake') OR r.started_at < ?)"
    of_old = f"EXISTS (SELECT 1 FROM runs r WHERE r.id = t.run_id AND {old})"  # noqa: S608 - constants
    newer = "n.instance = t.instance AND n.stream = t.stream AND n.started_at > t.started_at"
    not_last = f"EXISTS (SELECT 1 FROM run_streams n WHERE {newer})"  # noqa: S608 - constants
    yield Rule("streams of runs", "run_streams", ("run_id", "instance", "stream"), f"{of_old} AND {not_last}", (small, usual))
    bare = "NOT EXISTS (SELECT 1 FROM run_streams s WHERE s.run_id = t.id)"
    yield Rule("runs", "runs", ("id",), f"{old.replace('r.', 't.')} AND {bare}", (small, usual))


def _scores(settings: Retention, now: int) -> Iterator[Rule]:
    """Scores of days before the kept ones, save the last of each; and configurations that no score was computed with."""
    first = datetime.fromtimestamp((now - settings.scores_days * DAY_MS) / 1000, UTC).date().isoformat()
    same = "n.account = t.account AND n.scorer = t.scorer AND n.as_of < ?"
    later = "(n.as_of > t.as_of OR (n.as_of = t.as_of AND n.seq > t.seq))"
    not_last = f"EXISTS (SELECT 1 FROM scores n WHERE {same} AND {later})"  # noqa: S608 - constants
    yield Rule("scores", "scores", ("seq",), f"t.as_of < ? AND {not_last}", (first, first))
    yield Rule(
        "configurations of scores",
        "configs",
        ("digest",),
        "t.first_at < ? AND NOT EXISTS (SELECT 1 FROM scores s WHERE s.config_digest = t.digest)",
        (now - settings.scores_days * DAY_MS,),
    )


def _history(reader: Reader, before: int) -> Iterator[Rule]:
    """Past versions of records that no question about a kept day needs: a newer one was true and known by then."""
    tables = set(tables_of(reader))
    known = "n.valid_from <= ? AND n.observed_at <= ?"
    for table in sorted(name for name in tables if name.startswith("h_") and f"r_{name[2:]}" in tables):
        same = "n.instance = t.instance AND n.id = t.id"
        newer = "(n.version > t.version OR (n.version = t.version AND n.observed_at > t.observed_at))"
        yield Rule(
            "past versions",
            quoted(table),
            ("instance", "id", "version", "observed_at"),
            f"t.valid_from <= ? AND t.observed_at <= ? AND (EXISTS (SELECT 1 FROM {quoted(f'r_{table[2:]}')} n"  # noqa: S608
            f" WHERE {same} AND {known}) OR EXISTS (SELECT 1 FROM {quoted(table)} n WHERE {same} AND {known} AND {newer}))",
            (before,) * 6,
        )
