"""Rows of the frame as they are kept: one per account, cells and gaps as JSON, and what they were computed for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from wellkept.frame import Gap, Value
from wellkept.store.accounts import TOUCH
from wellkept.store.connection import Reader, Tx

BASIS = "frame"
"""Key in the table ``meta``: what the kept rows were computed for."""

INDEXES = "measure_indexes"
"""Key in the table ``meta``: the indexes that were made for measures."""

StreamState = str
"""``ok``, ``stale``, ``anomaly``, or ``never`` (not read to its end yet)."""


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What rows of the frame depend on, beside the records of their account.

    Attributes:
        as_of: The day, ISO.
        plan: Digest of the plan.
        rates: Digest of the exchange rates.
        streams: ``instance.stream`` to its state.
        lulls: Record type to the days that do not count, ISO.
        where: Who is a customer at all, by config; rows do not depend on it, but the frame does.
        at: When rows were measured last; each measuring has a later instant than the one before, whatever the clock says.
    """

    as_of: str
    plan: str
    rates: str
    streams: dict[str, StreamState]
    lulls: dict[str, list[str]] = {}
    where: str = ""
    at: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRow:
    """One account's row: known cells alone, and why others are not known, where that is not simply for lack of data."""

    account: str
    cells: Mapping[str, Value]
    gaps: Mapping[str, Gap]


_CELLS = msgspec.json.Decoder(dict[str, Value])
_GAPS = msgspec.json.Decoder(dict[str, Gap])


def basis(reader: Reader) -> Basis | None:
    """Return what the kept rows were computed for; None before the first time."""
    text = reader.value("SELECT value FROM meta WHERE key = ?", (BASIS,))
    return None if text is None else msgspec.json.decode(text, type=Basis)


def lulls_of(basis: Basis) -> dict[str, frozenset[date]]:
    """Return the days that do not count, by record type."""
    return {type_: frozenset(map(date.fromisoformat, days)) for type_, days in basis.lulls.items()}


def set_basis(tx: Tx, new: Basis) -> None:
    """Note what rows are computed for from now on; mark those that depend on what has changed in the same transaction."""
    _put(tx, BASIS, msgspec.json.encode(new).decode())


def mark_all(tx: Tx, at: int) -> None:
    """Mark every account to be measured, and those that have a row and are none any more."""
    for source in ("SELECT id, ? FROM accounts WHERE state = 'active'", "SELECT account, ? FROM frame_rows WHERE 1 = 1"):
        tx.execute(f"INSERT INTO dirty_accounts (account, at) {source} {TOUCH}", (at,))


def mark_instances(tx: Tx, instances: Iterable[str], at: int) -> None:
    """Mark every account that has a record at one of some instances."""
    tx.many(
        f"INSERT INTO dirty_accounts (account, at) SELECT DISTINCT account, ? FROM links WHERE instance = ? {TOUCH}",  # noqa: S608
        [(at, instance) for instance in sorted(set(instances))],
    )


def dirty(reader: Reader, after: str, limit: int) -> list[tuple[str, int, bool]]:
    """Return the next dirty accounts by id: id, when they were marked, and whether they are customers' accounts."""
    rows = reader.rows(
        "SELECT d.account, d.at, a.state FROM dirty_accounts d LEFT JOIN accounts a ON a.id = d.account"
        " WHERE d.account > ? ORDER BY d.account LIMIT ?",
        (after, limit),
    )
    return [(account, at, state == "active") for account, at, state in rows]


def save(tx: Tx, rows: Iterable[FrameRow], marks: Sequence[tuple[str, int]], *, as_of: str, now: int) -> int:
    """Keep what was measured, and take the marks off; return how many accounts that were.

    An account that was marked again meanwhile stays marked, and one whose mark is gone has been measured by somebody else: of
    both nothing is written, so that an older row never overwrites a newer one.

    Args:
        tx: The transaction.
        rows: The new rows. An account without one is no customer's any more: what is kept of it goes.
        marks: Accounts in ascending order, and the marks that were there when they were measured.
        as_of: The day, ISO.
        now: When they were measured: `Basis.at`.
    """
    present = "SELECT account, at FROM dirty_accounts WHERE account >= ? AND account <= ?"
    standing = set(marks).intersection(tx.rows(present, (marks[0][0], marks[-1][0])))
    accounts = {account for account, _ in standing}
    new = {row.account: row for row in rows if row.account in accounts}
    encode = msgspec.json.encode
    tx.many(
        "INSERT INTO frame_rows (account, as_of, measured_at, cells, gaps) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET as_of = excluded.as_of, measured_at = excluded.measured_at,"
        " cells = excluded.cells, gaps = excluded.gaps",
        [(row.account, as_of, now, encode(row.cells).decode(), encode(row.gaps).decode()) for row in new.values()],
    )
    tx.many("DELETE FROM frame_rows WHERE account = ?", [(account,) for account in sorted(accounts - new.keys())])
    tx.many("DELETE FROM dirty_accounts WHERE account = ? AND at = ?", sorted(standing))
    return len(accounts)


def rows(reader: Reader, as_of: str, accounts: Sequence[str] | None = None) -> Iterator[FrameRow]:
    """Yield the kept rows of a day by account, of some accounts or of all."""
    if accounts is None:
        found = reader.rows("SELECT account, cells, gaps FROM frame_rows WHERE as_of = ? ORDER BY account", (as_of,))
        yield from map(_row, found)
        return
    wanted = sorted(set(accounts))
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        marks = ", ".join("?" * len(part))
        yield from map(
            _row,
            reader.rows(
                f"SELECT account, cells, gaps FROM frame_rows WHERE as_of = ? AND account IN ({marks}) ORDER BY account",  # noqa: S608
                (as_of, *part),
            ),
        )


def keep_indexes(tx: Tx, wanted: Mapping[str, str]) -> None:
    """Make indexes by their statements, and drop those that were made here before and are wanted no more."""
    text = tx.value("SELECT value FROM meta WHERE key = ?", (INDEXES,))
    known: list[str] = msgspec.json.decode(text) if text else []
    if sorted(known) == sorted(wanted):
        return
    for name in known:
        if name not in wanted:
            tx.execute(f"DROP INDEX IF EXISTS {name}")
    for statement in wanted.values():
        tx.execute(statement)
    _put(tx, INDEXES, msgspec.json.encode(sorted(wanted)).decode())


def _put(tx: Tx, key: str, value: str) -> None:
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


def _row(row: tuple[str, str, str]) -> FrameRow:
    account, cells, gaps = row
    return FrameRow(account=account, cells=_CELLS.decode(cells), gaps=_GAPS.decode(gaps))
