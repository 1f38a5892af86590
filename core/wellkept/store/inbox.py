"""The inbox: what webhooks hinted at, kept durably until it was read again from the vendor.

**A hint that ends whoever asks for it** (the process dies, the run hangs) must stop neither the others nor the server. So what
was due when a run died or hung is under suspicion, with one try each; a try of what is under suspicion is counted before it is
made; those with the fewest tries come first, and the more tries, the fewer share a call. Soon the one stands alone, and waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wellkept.source import Hint
from wellkept.store.engine import Reader, Tx

BACK_OFF_MS = 60_000
"""Wait after the first failure; it doubles with each further one."""

BACK_OFF_MOST_MS = 3_600_000
"""The longest wait."""


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


def due(
    reader: Reader, instance: str, stream: str, now: int, *, after: OpenHint | None, until: int, limit: int = 500
) -> list[OpenHint]:
    """Return hints at single objects that may be tried now: those tried least come first, in order of arrival.

    Args:
        reader: The store.
        instance: Whose hints.
        stream: Of which stream.
        now: The present instant, epoch ms.
        after: The last one that was returned; None begins.
        until: The number of the newest hint that counts.
        limit: How many at most.
    """
    attempts, seq = (-1, 0) if after is None else (after.attempts, after.seq)
    rows = reader.rows(
        "SELECT seq, object_id, attempts FROM inbox WHERE instance = ? AND stream = ? AND done_at IS NULL"
        " AND not_before <= ? AND seq <= ? AND object_id <> '' AND (attempts > ? OR attempts = ? AND seq > ?)"
        " ORDER BY attempts, seq LIMIT ?",
        (instance, stream, now, until, attempts, attempts, seq, limit),
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


def back_off_ms(attempts: int) -> int:
    """Return how long a hint waits that has failed once more, after so many failures before."""
    return min(BACK_OFF_MS << min(attempts, 10), BACK_OFF_MOST_MS)


def postpone(tx: Tx, hints: Sequence[OpenHint], now: int, at_least: int = 0) -> None:
    """Count one more try than a reader saw, and put hints off; to do so twice does no more than once.

    Args:
        tx: The transaction.
        hints: As they were before the try.
        now: The present instant, epoch ms.
        at_least: Milliseconds for which the vendor asked.
    """
    tx.many(
        "UPDATE inbox SET attempts = ?, not_before = ? WHERE seq = ?",
        [(hint.attempts + 1, now + max(at_least, back_off_ms(hint.attempts)), hint.seq) for hint in hints],
    )


def suspect(tx: Tx, now: int, not_before: int, until: int) -> None:
    """Put everything that is due under suspicion of having ended the run that asked for it.

    Args:
        tx: The transaction.
        now: The present instant, epoch ms.
        not_before: When they may be tried again, epoch ms.
        until: The number of the newest hint that the run may have known.
    """
    tx.execute(
        "UPDATE inbox SET attempts = CASE WHEN attempts = 0 THEN 1 ELSE attempts END, not_before = ?"
        " WHERE done_at IS NULL AND not_before <= ? AND seq <= ?",
        (not_before, now, until),
    )


def waiting(reader: Reader) -> dict[tuple[str, str], int]:
    """Return how many hints are open, by instance and stream."""
    rows = reader.rows("SELECT instance, stream, COUNT(*) FROM inbox WHERE done_at IS NULL GROUP BY instance, stream")
    return {(instance, stream): count for instance, stream, count in rows}


def purge(tx: Tx, before: int) -> int:
    """Forget hints that were done before an instant, and return how many. A vendor's retries must have ended by then."""
    return tx.execute("DELETE FROM inbox WHERE done_at < ?", (before,))
