"""The inbox: what webhooks hinted at, kept durably until it was read again from the vendor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wellkept.source import Hint
from wellkept.store.engine import Reader, Tx


class OpenHint(NamedTuple):
    """A hint that waits. `object_id` is empty where the whole stream is to be read."""

    seq: int
    object_id: str
    attempts: int


def add(tx: Tx, instance: str, hints: Iterable[Hint], received_at: int) -> int:
    """Keep hints and return how many are new: the same (id, stream, object) twice is one hint, also when it was done."""
    rows = [(instance, hint.id, hint.stream, hint.object_id or "", hint.at, received_at) for hint in hints]
    return tx.many(
        "INSERT INTO inbox (instance, hint_id, stream, object_id, at, received_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (instance, hint_id, stream, object_id) DO NOTHING",
        rows,
    )


def newest(reader: Reader) -> int:
    """Return the number of the newest hint."""
    return int(reader.value("SELECT MAX(seq) FROM inbox") or 0)


def due(reader: Reader, instance: str, stream: str, now: int, *, after: int, until: int, limit: int = 500) -> list[OpenHint]:
    """Return hints at single objects that may be tried now, in order of arrival: those after number `after`, to `until`."""
    rows = reader.rows(
        "SELECT seq, object_id, attempts FROM inbox WHERE instance = ? AND stream = ? AND done_at IS NULL"
        " AND not_before <= ? AND seq > ? AND seq <= ? AND object_id <> '' ORDER BY seq LIMIT ?",
        (instance, stream, now, after, until, limit),
    )
    return [OpenHint(*row) for row in rows]


def due_until(reader: Reader, until: int, now: int) -> list[OpenHint]:
    """Return all hints that may be tried now, to number `until`, in order of arrival."""
    rows = reader.rows(
        "SELECT seq, object_id, attempts FROM inbox WHERE done_at IS NULL AND not_before <= ? AND seq <= ? ORDER BY seq",
        (now, until),
    )
    return [OpenHint(*row) for row in rows]


def due_streams(reader: Reader, now: int) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return (instance, stream) of all hints that may be tried now: those at single objects, and those at whole streams."""
    rows = reader.all(
        "SELECT DISTINCT instance, stream, object_id = '' FROM inbox WHERE done_at IS NULL AND not_before <= ?", (now,)
    )
    objects, reads = (
        {(instance, stream) for instance, stream, whole in rows if bool(whole) is wanted} for wanted in (False, True)
    )
    return objects, reads


def news(reader: Reader, after: int, since: int, now: int) -> set[str]:
    """Return the instances with open hints that came after number `after`, or were put off to a moment in ``(since, now]``."""
    came = reader.all("SELECT DISTINCT instance FROM inbox WHERE seq > ? AND done_at IS NULL AND not_before <= ?", (after, now))
    put_off = reader.all(
        "SELECT DISTINCT instance FROM inbox WHERE done_at IS NULL AND not_before > ? AND not_before <= ?", (since, now)
    )
    return {instance for (instance,) in (*came, *put_off)}


def newest_read_hint(reader: Reader, instance: str, stream: str) -> int:
    """Return the number of the newest open hint that asks for a read of the whole stream; 0 when there is none."""
    found = reader.value(
        "SELECT MAX(seq) FROM inbox WHERE instance = ? AND stream = ? AND done_at IS NULL AND object_id = ''",
        (instance, stream),
    )
    return int(found or 0)


def settle(tx: Tx, seqs: Iterable[int], now: int) -> None:
    """Mark hints as done; call it in the commit that holds what was read because of them."""
    tx.many("UPDATE inbox SET done_at = ? WHERE seq = ? AND done_at IS NULL", ((now, seq) for seq in seqs))


def settle_reads(tx: Tx, instance: str, stream: str, newest: int, now: int) -> None:
    """Mark the hints that asked for a read of the whole stream as done, up to the one that was newest when it began."""
    tx.execute(
        "UPDATE inbox SET done_at = ? WHERE instance = ? AND stream = ? AND done_at IS NULL AND object_id = '' AND seq <= ?",
        (now, instance, stream, newest),
    )


def postpone(tx: Tx, later: Sequence[tuple[int, int]]) -> None:
    """Note a failed try of hints, given as (number, epoch ms before which they are not tried again)."""
    tx.many(
        "UPDATE inbox SET attempts = attempts + 1, not_before = ? WHERE seq = ?",
        [(not_before, seq) for seq, not_before in later],
    )


def waiting(reader: Reader) -> dict[tuple[str, str], int]:
    """Return how many hints are open, by instance and stream."""
    rows = reader.rows("SELECT instance, stream, COUNT(*) FROM inbox WHERE done_at IS NULL GROUP BY instance, stream")
    return {(instance, stream): count for instance, stream, count in rows}


def purge(tx: Tx, before: int) -> int:
    """Forget hints that were done before an instant, and return how many. A vendor's retries must have ended by then."""
    return tx.execute("DELETE FROM inbox WHERE done_at < ?", (before,))
