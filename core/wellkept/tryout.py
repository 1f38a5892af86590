"""Reading a few live records without storing any: what the vendor sent, side by side with what it became."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from wellkept.http.tap import Exchange, listening
from wellkept.pipeline.report import blame
from wellkept.plugins.acting import Actor, acting
from wellkept.recording.bodies import rows_of
from wellkept.source import Batch, ReadRequest, Reject

if TYPE_CHECKING:
    from wellkept.instance import Instance
    from wellkept.records import Record

ANSWERS_KEPT = 50
"""Answers that are searched for the row behind a record; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A record, and the row of an answer that names its id; None where none does."""

    record: Record
    row: dict[str, Any] | None


@dataclass(kw_only=True)
class Tryout:
    """What a first look at a stream brought.

    Attributes:
        rows: Records with the rows behind them.
        rejects: Rows that could not be understood.
        requests: How many requests it took.
        ended: Whether the stream has no more than that.
    """

    rows: list[Tried] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    requests: int = 0
    ended: bool = False


async def try_stream(instance: Instance, stream: str, limit: int) -> Tryout:
    """Read a stream from its beginning until there are `limit` records. Nothing is stored, and no cursor moves.

    Raises:
        WellkeptError: What the plugin raised.
    """
    source, found = instance.streams[stream]
    tryout = Tryout()
    answers: deque[Exchange] = deque(maxlen=ANSWERS_KEPT)

    def hear(exchange: Exchange) -> None:
        tryout.requests += 1
        answers.append(exchange)

    with listening(hear), acting(Actor(instance.name, f"stream {stream}", stream=stream)):
        reading = source.read(ReadRequest(stream=found))
        try:
            while len(tryout.rows) + len(tryout.rejects) < limit:
                batch: Batch | None = await anext(reading, None)
                if batch is None:
                    tryout.ended = True
                    break
                _take(tryout, batch, answers, limit)
        except Exception as error:
            raise blame(error) from error
        finally:
            close = getattr(reading, "aclose", None)
            if close is not None:
                await close()
    return tryout


def _take(tryout: Tryout, batch: Batch, answers: deque[Exchange], limit: int) -> None:
    rows = [row for answer in reversed(answers) for row in _objects(_values(answer))]
    for record in batch.records[: limit - len(tryout.rows)]:
        tryout.rows.append(Tried(record, _row_of(record.id, rows)))
    tryout.rejects += batch.rejects[:limit]


def _row_of(id_: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row whose own id it is, else the first that names it anywhere."""
    named = [row for row in rows if any(_is(id_, value) for value in row.values())]
    return next((row for row in named if _is(id_, row.get("id"))), named[0] if named else None)


def _is(id_: str, value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) == id_


def _values(answer: Exchange) -> list[Any]:
    """Return the JSON of an answer's body, or of each of its lines; or the rows of CSV and XML."""
    if rows := rows_of(answer.body, answer.headers.get("content-type", "")):
        return rows
    for parts in ([answer.body], answer.body.splitlines()):
        found = []
        for part in parts:
            try:
                found.append(json.loads(part))
            except ValueError:
                continue
        if found:
            return found
    return []


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a value, the outer ones first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of plain data as paths and texts; what is empty is left out."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flat(item, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from flat(item, f"{prefix}[{number}]")
    elif value is not None and value != "":
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def fields_of(record: Record) -> dict[str, Any]:
    """Return what a record says: its type, and its fields that are not at their defaults."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    return {"type": record.type, **fields}
