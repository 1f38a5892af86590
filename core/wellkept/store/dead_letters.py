"""Dead letters: rows that could not be understood, kept with their bytes and the reason until they are.

The bytes are personal data. They are returned to who asks for one letter, and never logged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wellkept.source import Reject
from wellkept.store.engine import Reader, Tx


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, without its bytes.

    Attributes:
        seq: Its number.
        instance: Where the row came from.
        stream: Likewise.
        record_id: The vendor's id of the row, if that much could be read.
        reason: Why it could not be stored.
        state: ``open``; ``resolved`` once the row was stored or no longer comes; ``dropped`` by a person.
        first_at: When it came first, epoch ms.
        last_at: When it came last.
        count: How many times it came.
        size: Bytes of the row.
    """

    seq: int
    instance: str
    stream: str
    record_id: str | None
    reason: str
    state: str
    first_at: int
    last_at: int
    count: int
    size: int


_COLUMNS = "seq, instance, stream, record_id, reason, state, first_at, last_at, count, LENGTH(raw)"


def add(tx: Tx, instance: str, stream: str, rejects: Iterable[Reject], now: int) -> int:
    """Keep rejected rows (see `clean`) and return how many came in.

    The same bytes from the same stream are one letter with a count. A letter that was resolved opens again; one that a
    person dropped stays dropped.
    """
    rows = [(instance, stream, reject.id, _digest(reject), reject.reason, reject.raw, now, now) for reject in rejects]
    tx.many(
        "INSERT INTO dead_letters (instance, stream, record_id, digest, reason, raw, first_at, last_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (instance, stream, digest) DO UPDATE SET count = dead_letters.count + 1, last_at = excluded.last_at,"
        " reason = excluded.reason, record_id = COALESCE(excluded.record_id, dead_letters.record_id),"
        " state = CASE WHEN dead_letters.state = 'resolved' THEN 'open' ELSE dead_letters.state END",
        rows,
    )
    return len(rows)


def resolve(tx: Tx, instance: str, stream: str, ids: Iterable[str]) -> None:
    """Close the open letters of rows that were stored well after all (or are known to be gone)."""
    if not tx.value(
        "SELECT 1 FROM dead_letters WHERE state = 'open' AND instance = ? AND stream = ? AND record_id IS NOT NULL LIMIT 1",
        (instance, stream),
    ):
        return
    tx.many(
        "UPDATE dead_letters SET state = 'resolved' WHERE state = 'open' AND instance = ? AND stream = ? AND record_id = ?",
        ((instance, stream, id_) for id_ in ids),
    )


def resolve_absent(tx: Tx, instance: str, stream: str, since: int) -> None:
    """Close the open letters whose bytes a complete full read, begun at `since`, did not bring again."""
    tx.execute(
        "UPDATE dead_letters SET state = 'resolved' WHERE state = 'open' AND instance = ? AND stream = ? AND last_at < ?",
        (instance, stream, since),
    )


def drop(tx: Tx, seqs: Iterable[int]) -> int:
    """Put letters aside for good, by a person's decision; return how many were open."""
    return tx.many("UPDATE dead_letters SET state = 'dropped' WHERE state = 'open' AND seq = ?", [(seq,) for seq in seqs])


def listing(
    reader: Reader,
    *,
    state: str | None = "open",
    instance: str | None = None,
    stream: str | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[Letter]:
    """Return letters in the order of their numbers, from `after` on."""
    conditions, params = ["seq > ?"], [after]
    wanted: list[Any] = params
    for column, value in (("state", state), ("instance", instance), ("stream", stream)):
        if value is not None:
            conditions.append(f"{column} = ?")
            wanted.append(value)
    where = " AND ".join(conditions)
    rows = reader.rows(f"SELECT {_COLUMNS} FROM dead_letters WHERE {where} ORDER BY seq LIMIT ?", [*wanted, limit])  # noqa: S608
    return [Letter(*row) for row in rows]


def by_seq(reader: Reader, seqs: Sequence[int]) -> list[Letter]:
    """Return the letters with these numbers, in their order; unknown numbers are left out."""
    found = (reader.one(f"SELECT {_COLUMNS} FROM dead_letters WHERE seq = ?", (seq,)) for seq in sorted(set(seqs)))  # noqa: S608
    return [Letter(*row) for row in found if row]


def raw(reader: Reader, seq: int) -> bytes | None:
    """Return a letter's bytes as the vendor sent them, for the person who looks into it; None for an unknown number."""
    value: bytes | None = reader.value("SELECT raw FROM dead_letters WHERE seq = ?", (seq,))
    return value


def counts(reader: Reader) -> dict[tuple[str, str], int]:
    """Return how many letters are open, by instance and stream."""
    rows = reader.rows("SELECT instance, stream, COUNT(*) FROM dead_letters WHERE state = 'open' GROUP BY instance, stream")
    return {(instance, stream): count for instance, stream, count in rows}


def since(reader: Reader, at: int) -> list[tuple[str, int, int]]:
    """Return the instances with open letters that first came after an instant: name, how many, and when the first did."""
    rows = reader.all(
        "SELECT instance, COUNT(*), MIN(first_at) FROM dead_letters WHERE state = 'open' AND first_at > ?"
        " GROUP BY instance ORDER BY instance",
        (at,),
    )
    return [(instance, int(count), int(first_at)) for instance, count, first_at in rows]


def clean(reject: Reject) -> Reject:
    """Return a reject whose own parts can be stored: whatever is wrong with a row may be wrong with its id and reason too."""
    id_ = reject.id if isinstance(reject.id, str) and _is_text(reject.id) else None
    return Reject(raw=bytes(reject.raw), reason=reject.reason.encode("utf-8", "replace").decode(), id=id_)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(reject: Reject) -> str:
    """Identify a letter: by its bytes, or where the vendor sent none, by what is known of it."""
    body = reject.raw or f"{reject.id}\n{reject.reason}".encode()
    return hashlib.sha256(body).hexdigest()
