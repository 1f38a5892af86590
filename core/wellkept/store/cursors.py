"""Cursors: where each stream goes on, what full read is under way, and up to when its data are complete.

A row belongs to (instance, stream, scope). The scope `LIVE` is the ordinary read; a backfill has a scope of its own and never
touches the live one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from wellkept.errors import FatalError
from wellkept.redact import REDACTOR, Redactor
from wellkept.source import Cursor, Window
from wellkept.store.engine import Reader, Tx
from wellkept.store.plain import encode_plain

LIVE = "live"
"""The scope of ordinary reads."""

CURSOR_LIMIT = 64 * 1024
"""Bytes of the longest cursor. A place to go on from is short; what grows with the data is no cursor."""


class Key(NamedTuple):
    """What a cursor belongs to."""

    instance: str
    stream: str
    scope: str = LIVE


@dataclass(frozen=True, kw_only=True, slots=True)
class CursorState:
    """Everything that is remembered about reading one stream.

    Attributes:
        cursor: Where to go on; None means from the beginning.
        generation: How many full reads were begun.
        full_since: When the full read under way began, epoch ms; None when there is none.
        complete_at: When the last full read ended that left nothing out.
        fresh_at: Up to when data are complete: the start of the last successful read.
        full_rows: Rows that the full read under way has yielded so far.
        full_unknown: How many of these were rejected without an id.
        full_wanted: Why the next read must be a full one.
        anomaly: Why the last read is not believed.
    """

    cursor: dict[str, Any] | None = None
    generation: int = 0
    full_since: int | None = None
    complete_at: int | None = None
    fresh_at: int | None = None
    full_rows: int = 0
    full_unknown: int = 0
    full_wanted: str | None = None
    anomaly: str | None = None


_COLUMNS = "cursor, generation, full_since, complete_at, fresh_at, full_rows, full_unknown, full_wanted, anomaly"
_MATCH = "instance = ? AND stream = ? AND scope = ?"


def window_scope(window: Window) -> str:
    """Return the scope of a backfill, so that the same window asked for again goes on where it stopped."""
    return f"window:{window.start}:{window.end}"


def load(reader: Reader, key: Key) -> CursorState:
    """Return what is remembered; a stream that was never read has the defaults."""
    row = reader.one(f"SELECT {_COLUMNS} FROM cursors WHERE {_MATCH}", key)  # noqa: S608 - constants
    return _state(row) if row else CursorState()


def overview(reader: Reader) -> Sequence[tuple[Key, CursorState]]:
    """Return all cursors, live ones and those of backfills that are not finished, by instance and stream."""
    rows = reader.rows(f"SELECT instance, stream, scope, {_COLUMNS} FROM cursors ORDER BY instance, stream, scope")  # noqa: S608
    return [(Key(*row[:3]), _state(row[3:])) for row in rows]


def begin_full(tx: Tx, key: Key, since: int, now: int) -> int:
    """Begin a full read and return its generation. The cursor of the read before it is given up."""
    _ensure(tx, key, now)
    tx.execute(
        "UPDATE cursors SET generation = generation + 1, cursor = NULL, full_since = ?, full_rows = 0, full_unknown = 0,"  # noqa: S608
        f" full_wanted = NULL, updated_at = ? WHERE {_MATCH}",
        (since, now, *key),
    )
    return int(tx.value(f"SELECT generation FROM cursors WHERE {_MATCH}", key))  # noqa: S608


def advance(tx: Tx, key: Key, cursor: str | None, now: int, *, full_rows: int = 0, full_unknown: int = 0) -> None:
    """Move the cursor; call it in the commit that holds the rows before it. None leaves it where it is."""
    _ensure(tx, key, now)
    tx.execute(
        "UPDATE cursors SET cursor = COALESCE(?, cursor), full_rows = full_rows + ?, full_unknown = full_unknown + ?,"  # noqa: S608
        f" updated_at = ? WHERE {_MATCH}",
        (cursor, full_rows, full_unknown, now, *key),
    )


def complete_full(tx: Tx, key: Key, now: int) -> None:
    """Note that the full read under way left nothing out, and has ended."""
    tx.execute(
        f"UPDATE cursors SET complete_at = ?, full_since = NULL, updated_at = ? WHERE {_MATCH}",  # noqa: S608 - constants
        (now, now, *key),
    )


def end_read(tx: Tx, key: Key, fresh_at: int, now: int) -> None:
    """Note that a read ended well; a full read under way ends with it, even if it did not claim to be complete."""
    _ensure(tx, key, now)
    tx.execute(
        f"UPDATE cursors SET fresh_at = ?, full_since = NULL, updated_at = ? WHERE {_MATCH}",  # noqa: S608 - constants
        (fresh_at, now, *key),
    )


def set_anomaly(tx: Tx, key: Key, anomaly: str | None) -> None:
    """Say why what was read is not believed; None once it is."""
    tx.execute(f"UPDATE cursors SET anomaly = ? WHERE {_MATCH}", (anomaly, *key))  # noqa: S608 - constants


def expire(tx: Tx, key: Key, now: int) -> None:
    """Give up a cursor that counts no more, and the full read that it belonged to."""
    tx.execute(
        f"UPDATE cursors SET cursor = NULL, full_since = NULL, updated_at = ? WHERE {_MATCH}",  # noqa: S608 - constants
        (now, *key),
    )


def want_full(tx: Tx, key: Key, reason: str, now: int) -> None:
    """Ask that the next read of a stream be a full one."""
    _ensure(tx, key, now)
    tx.execute(f"UPDATE cursors SET full_wanted = ? WHERE {_MATCH}", (reason, *key))  # noqa: S608 - constants


def forget(tx: Tx, key: Key) -> int:
    """Remove a cursor and all that is remembered about its reads; return how many there were (0 or 1)."""
    return tx.execute(f"DELETE FROM cursors WHERE {_MATCH}", key)  # noqa: S608 - constants


def encode(cursor: Cursor) -> str:
    """Return a cursor's stored form; equal cursors have equal forms.

    Raises:
        FatalError: It is not plain JSON, or too long.
    """
    try:
        text = encode_plain(dict(cursor), order="sorted")
    except (TypeError, ValueError) as error:
        raise FatalError(
            f"the cursor is not plain JSON: {error}", guidance="use None, bool, int, float, str, list and dict"
        ) from None
    if (size := len(text.encode())) > CURSOR_LIMIT:
        raise FatalError(f"the cursor has {size} bytes, more than {CURSOR_LIMIT}", guidance="keep what grows out of the cursor")
    return text


def refuse_secrets(cursor: str) -> None:
    """Make sure that an encoded cursor, which is stored in clear text, holds nothing that looks like a secret.

    Raises:
        FatalError: It does; names the place, never the value.
    """
    if place := _secret_in(msgspec.json.decode(cursor), "cursor"):
        raise FatalError(f"{place} looks like a secret", guidance="a cursor is stored in clear text: keep secrets out of it")


_SECRET_NAMES = frozenset({
    "apikey", "accesskey", "accesstoken", "authorization", "authtoken", "bearer", "clientsecret", "credential", "credentials",
    "idtoken", "passwd", "password", "privatekey", "refreshtoken", "secret", "secretkey", "sessionid",
})  # fmt: skip
_SECRET_SHAPES = re.compile(
    r"\b(?:sk|rk|whsec)_\w{8,}|\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|shpat_|pat-[a-z]{2}\d-)[\w-]{10,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}|\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}|-----BEGIN |\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    r"|://[^\s/@:]*:[^\s/@]+@"
)
"""Keys of vendors by their prefix, authorization headers, private keys, signed tokens, and passwords in front of a host."""

_PARAMETER = re.compile(r"[?&;]([^=&?;#]+)=[^&;#]")
_BREAK = re.compile(r"[\s?&=;,#]+")
_SHAPES = Redactor()  # knows no values, so that a difference to REDACTOR is the value of a secret


def _secret_in(value: object, place: str) -> str | None:
    """Return where a secret seems to be.

    Page tokens and addresses of next pages are what cursors are made of, so mere randomness is no reason. What counts is a
    name that only secrets have, the shape of a known vendor's key, and the value of a secret that this process has revealed.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if item and _plain_name(name) in _SECRET_NAMES:
                return f"{place}.{name}"
            if found := _secret_in(item, f"{place}.{name}"):
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if found := _secret_in(item, f"{place}[{index}]"):
                return found
    elif isinstance(value, str) and _is_secret(value):
        return place
    return None


def _is_secret(text: str) -> bool:
    if _SECRET_SHAPES.search(text) or any(_plain_name(name) in _SECRET_NAMES for name in _PARAMETER.findall(text)):
        return True
    return any(REDACTOR.text(part) != _SHAPES.text(part) for part in {text, *_BREAK.split(text)})


def _plain_name(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _ensure(tx: Tx, key: Key, now: int) -> None:
    tx.execute(
        "INSERT INTO cursors (instance, stream, scope, updated_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (instance, stream, scope) DO NOTHING",
        (*key, now),
    )


def _state(row: Sequence[Any]) -> CursorState:
    cursor, generation, full_since, complete_at, fresh_at, full_rows, full_unknown, full_wanted, anomaly = row
    return CursorState(
        cursor=None if cursor is None else msgspec.json.decode(cursor),
        generation=generation,
        full_since=full_since,
        complete_at=complete_at,
        fresh_at=fresh_at,
        full_rows=full_rows,
        full_unknown=full_unknown,
        full_wanted=full_wanted,
        anomaly=anomaly,
    )
