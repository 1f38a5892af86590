"""What people decide about effects: approve, reject, hold, retry. Each names effects or a run, never "all"."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wellkept.effects import State
from wellkept.store.engine import Reader, Tx
from wellkept.store.outbox import Change, Entry, Hold, find, move


def approve(tx: Tx, *, now: int, keys: Sequence[str] | None = None, run: str | None = None) -> list[Change]:
    """Let held effects go that wait for approval. Those that are in doubt or were tried too often need `retry`."""
    found = _chosen(tx, keys, run, ("held",))
    return [
        move(tx, entry, "planned", now=now, approved_at=now)
        for entry in found
        if entry.hold in {"approval", "person", "restored"}
    ]


def reject(tx: Tx, *, now: int, reason: str, keys: Sequence[str] | None = None, run: str | None = None) -> list[Change]:
    """Drop effects for good. One that is in doubt stays undecided at the vendor, and is never tried again."""
    found = _chosen(tx, keys, run, ("planned", "held", "unknown"))
    return [move(tx, entry, "rejected", now=now, note=reason) for entry in found]


def hold(tx: Tx, *, now: int, reason: str, keys: Sequence[str] | None = None, run: str | None = None) -> list[Change]:
    """Keep planned effects back until somebody approves them."""
    found = _chosen(tx, keys, run, ("planned",))
    return [move(tx, entry, "held", now=now, note=reason, hold="person") for entry in found]


def retry(tx: Tx, *, now: int, keys: Sequence[str] | None = None, run: str | None = None, i_know: bool = False) -> list[Change]:
    """Let effects be tried again: those tried too often, those that wait, and with `i_know` those in doubt.

    Args:
        tx: The transaction.
        now: The current instant.
        keys: Which effects.
        run: Those of this run.
        i_know: The person has looked at the vendor, and the effect was *not* done there.
    """
    changes: list[Change] = []
    for entry in _chosen(tx, keys, run, ("planned", "held", "unknown")):
        if entry.state == "planned":
            tx.execute("UPDATE outbox SET not_before = NULL, note = NULL WHERE seq = ?", (entry.seq,))
        elif entry.state == "unknown" or entry.hold == "doubt":
            if i_know:
                again = move(tx, entry, "planned", now=now, not_before=None, attempts=0, first_sent_at=None, approved_at=now)
                changes.append(again)
        elif entry.hold in {"tries", "wait"}:
            changes.append(move(tx, entry, "planned", now=now, not_before=None, attempts=0, approved_at=now))
    return changes


def _chosen(tx: Tx, keys: Sequence[str] | None, run: str | None, states: Sequence[State]) -> list[Entry]:
    """Return what a person named; naming nothing is a mistake, never "all"."""
    if keys is None and run is None:
        raise ValueError("name effects or a run")
    return find(tx, keys=keys, run=run, states=states)


class HeldRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has effects waiting for a person.

    Attributes:
        run: Its id, for `wellkept effects approve RUN`.
        effects: How many wait.
        accounts: How many accounts they touch.
        since: When the first one was planned, epoch ms.
        hold: What they wait for.
        note: Why, in words (of one of them).
    """

    run: str
    effects: int
    accounts: int
    since: int
    hold: Hold
    note: str | None


def held_runs(reader: Reader) -> list[HeldRun]:
    """Return what waits for a person, by run and reason, oldest first."""
    rows = reader.rows(
        "SELECT run_id, COUNT(*), COUNT(DISTINCT account), MIN(planned_at), hold, MIN(note) FROM outbox"
        " WHERE state = 'held' AND hold <> 'wait' GROUP BY run_id, hold ORDER BY MIN(seq)"
    )
    return [HeldRun(run=run, effects=n, accounts=of, since=at, hold=why, note=note) for run, n, of, at, why, note in rows]
