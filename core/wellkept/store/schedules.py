"""When the scheduler last let each instance run: what finds the runs that were missed, by whichever server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wellkept.store.engine import Reader, Tx


class Fired(NamedTuple):
    """The last firing of an instance.

    Attributes:
        last_fired: When, epoch ms.
        settled: Its run came to an end of its own. Otherwise it was cut off, by a stop or a crash, or is under way.
        tries: Firings since one was last settled.
    """

    last_fired: int
    settled: bool
    tries: int


def load(reader: Reader) -> dict[str, Fired]:
    """Return the last firing of every instance that was ever fired."""
    rows = reader.all("SELECT instance, last_fired, settled, tries FROM schedules")
    return {instance: Fired(last_fired, bool(settled), tries) for instance, last_fired, settled, tries in rows}


def fire(tx: Tx, instances: Iterable[str], now: int) -> None:
    """Note that instances are let run now; to be committed together with the beginning of their run."""
    tx.many(
        "INSERT INTO schedules (instance, last_fired, settled, tries) VALUES (?, ?, 0, 1)"
        " ON CONFLICT (instance) DO UPDATE SET last_fired = excluded.last_fired, settled = 0, tries = schedules.tries + 1",
        [(instance, now) for instance in instances],
    )


def settle(tx: Tx, instances: Iterable[str]) -> None:
    """Note that the run of these instances came to an end of its own, well or not."""
    tx.many("UPDATE schedules SET settled = 1, tries = 0 WHERE instance = ?", [(instance,) for instance in instances])


def park(tx: Tx, instances: Iterable[str]) -> None:
    """Note that the run of these instances was told to end: it is begun again, and brought nobody down."""
    tx.many("UPDATE schedules SET tries = 0 WHERE instance = ?", [(instance,) for instance in instances])


def newest_start(reader: Reader, now: int) -> int:
    """Return when the newest run began that looked at what is due: 0 before the first.

    Runs that lie ahead began before the clock was put back, and have not looked at what has come due since.
    """
    newest = (
        "SELECT started_at FROM runs WHERE kind IN ('run', 'hints', 'wake') AND started_at <= ?"
        " ORDER BY started_at DESC LIMIT 1"
    )
    return int(reader.value(newest, (now,)) or 0)


def came_due(reader: Reader, since: int, now: int) -> bool:
    """Say whether something was waiting for a moment in ``(since, now]``.

    That is a machine that wanted to be woken, an effect that was put off (quiet hours, a vendor's "later"), or one that a
    person has approved.
    """
    return (
        reader.one("SELECT 1 FROM policy_states WHERE wake_at > ? AND wake_at <= ? LIMIT 1", (since, now)) is not None
        or reader.one(
            "SELECT 1 FROM outbox WHERE state IN ('planned', 'held') AND (hold IS NULL OR hold IN ('wait', 'dry'))"
            " AND ((not_before > ? AND not_before <= ?) OR (approved_at > ? AND approved_at <= ?)) LIMIT 1",
            (since, now, since, now),
        )
        is not None
    )
