"""Staging: rows of a generation that is still being read, kept aside until its last batch swaps them in.

Rejected rows leave a mark, because a stored row must not vanish just because its new version cannot be understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from wellkept.records import Record
from wellkept.source import Reject
from wellkept.store.cursors import Key
from wellkept.store.engine import Reader, Tx
from wellkept.store.salvage import BAD_VALUE, reject_of

R = TypeVar("R", bound=Record)

_MATCH = "instance = ? AND stream = ? AND scope = ?"


def clear(tx: Tx, key: Key) -> None:
    """Drop what is staged: the leftovers of a generation that never ended, or of one that was swapped in."""
    tx.execute(f"DELETE FROM staged WHERE {_MATCH}", key)  # noqa: S608 - constants


def put(tx: Tx, key: Key, records: Iterable[Record]) -> list[Reject]:
    """Stage records. Those that do not survive their own encoding are returned, and marked like `put_rejects` does."""
    rows: list[tuple[str, str, str, str, str, str]] = []
    rejects: list[Reject] = []
    for record in records:
        try:
            body = msgspec.json.encode(record)
            msgspec.json.decode(body, type=type(record))
        except BAD_VALUE as error:
            rejects.append(reject_of(record, error))
        else:
            rows.append((*key, record.type, record.id, body.decode()))
    _insert(tx, rows)
    put_rejects(tx, key, rejects)
    return rejects


def put_rejects(tx: Tx, key: Key, rejects: Sequence[Reject]) -> None:
    """Mark rejected rows of the generation; one without an id might be any."""
    _insert(tx, [(*key, "", reject.id or "", "") for reject in rejects])


def records(reader: Reader, key: Key, type_: type[R], *, size: int = 500) -> Iterator[list[R]]:
    """Yield the staged records in chunks, in the order in which they came."""
    decode = msgspec.json.Decoder(type_).decode
    after = 0
    while chunk := reader.all(
        f"SELECT seq, body FROM staged WHERE {_MATCH} AND type = ? AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - constants
        (*key, type_.type, after, size),
    ):
        after = chunk[-1][0]
        yield [decode(body) for _, body in chunk]


def count(reader: Reader, key: Key) -> int:
    """Return how many records are staged."""
    return int(reader.value(f"SELECT COUNT(*) FROM staged WHERE {_MATCH} AND type <> ''", key))  # noqa: S608 - constants


def rejected(reader: Reader, key: Key) -> tuple[set[str], int]:
    """Return the ids of the generation's rejected rows, and how many had none."""
    rows = reader.all(f"SELECT id FROM staged WHERE {_MATCH} AND type = ''", key)  # noqa: S608 - constants
    ids = [id_ for (id_,) in rows]
    return {id_ for id_ in ids if id_}, sum(not id_ for id_ in ids)


def remove(tx: Tx, key: Key, ids: Iterable[str]) -> None:
    """Take staged records out again, by id."""
    tx.many(f"DELETE FROM staged WHERE {_MATCH} AND type <> '' AND id = ?", [(*key, id_) for id_ in ids])  # noqa: S608


def _insert(tx: Tx, rows: Sequence[tuple[str, str, str, str, str, str]]) -> None:
    tx.bulk("INSERT INTO staged (instance, stream, scope, type, id, body) VALUES (?, ?, ?, ?, ?, ?)", rows)
