"""The history of scores: append-only, with everything that is needed to compute each of them again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from wellkept.frame import Gap, Value
from wellkept.records import Json
from wellkept.scorer import Score
from wellkept.store.engine import Reader, Tx

CHUNK = 500
"""Accounts looked up in one statement; far below the number of parameters that SQLite and PostgreSQL allow."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The cells that a scorer saw of one account: its used columns, and why those that are None are so."""

    cells: dict[str, Value]
    gaps: dict[str, Gap] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of history.

    Attributes:
        seq: Its number; 0 before it is stored.
        account: The canonical account id.
        scorer: The scorer's name.
        as_of: The day that it holds for, ISO.
        at: When it was computed, epoch ms.
        run_id: The run that computed it.
        scorer_version: The scorer's version then.
        config_digest: The configuration and columns then; see `config`.
        band: The band in force: a person's override while it lasted, else the computed one.
        held: Why the score is an earlier one that was kept; None when it was computed.
        score: The score as the scorer returned it,
        body: and as JSON.
        inputs: What it was computed from.
    """

    seq: int = 0
    account: str
    scorer: str
    as_of: str
    at: int
    run_id: str
    scorer_version: str
    config_digest: str
    band: str | None
    held: str | None
    score: Score
    body: str
    inputs: Inputs

    @property
    def told(self) -> Told:
        """What it tells a reader."""
        return Told(self.body, self.band, self.held)


class Told(NamedTuple):
    """What a row of history tells a reader: score and explanation as JSON, the band in force, and why it is held."""

    body: str
    band: str | None
    held: str | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a score comes to, without its explanation."""

    value: Decimal | None
    band: str | None
    coverage: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An `Entry` in short: cheap to read for all accounts."""

    account: str
    band: str | None
    held: str | None
    score: Summary | Score


_COLUMNS = (
    "s.seq, s.account, s.scorer, s.as_of, s.at, s.run_id, s.scorer_version, s.config_digest, s.band, s.held, s.body, s.inputs"
)
_SHORT = "s.account, s.band, s.held, s.body"
_score = msgspec.json.Decoder(Score)
_summary = msgspec.json.Decoder(Summary)
_inputs = msgspec.json.Decoder(Inputs)


def _entry(row: Sequence[Json]) -> Entry:
    seq, account, scorer, as_of, at, run_id, version, digest, band, held, body, inputs = row
    return Entry(
        seq=seq,
        account=account,
        scorer=scorer,
        as_of=as_of,
        at=at,
        run_id=run_id,
        scorer_version=version,
        config_digest=digest,
        band=band,
        held=held,
        score=_score.decode(body),
        body=body,
        inputs=_inputs.decode(inputs),
    )


def _standing(row: Sequence[Json]) -> Standing:
    account, band, held, body = row
    return Standing(account=account, band=band, held=held, score=_summary.decode(body))


def append(tx: Tx, entries: Iterable[Entry]) -> int:
    """Add rows to the history and return how many; rows are never changed afterwards."""
    encode = msgspec.json.encode
    rows = [
        (
            entry.account,
            entry.scorer,
            entry.as_of,
            entry.at,
            entry.run_id,
            entry.scorer_version,
            entry.config_digest,
            None if entry.score.value is None else int(entry.score.value * 1000),
            entry.band,
            entry.held,
            entry.body,
            encode(entry.inputs).decode(),
        )
        for entry in entries
    ]
    tx.many(
        "INSERT INTO scores (account, scorer, as_of, at, run_id, scorer_version, config_digest, value_milli, band, held,"
        " body, inputs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    return len(rows)


def latest(reader: Reader, scorer: str, accounts: Sequence[str], as_of: str) -> dict[str, Entry]:
    """Return each account's newest row of this day or an earlier one."""
    return {entry.account: entry for entry in map(_entry, _newest(reader, scorer, accounts, "t.as_of <= ?", as_of))}


def told(reader: Reader, scorer: str, accounts: Sequence[str], as_of: str) -> dict[str, Told]:
    """Return what each account's newest row of this day or an earlier one tells a reader."""
    rows = _newest(reader, scorer, accounts, "t.as_of <= ?", as_of, columns="s.account, s.body, s.band, s.held")
    return {account: Told(*rest) for account, *rest in rows}


def standings(reader: Reader, scorer: str, accounts: Sequence[str], as_of: str) -> dict[str, Standing]:
    """Return each account's newest row of this day or an earlier one in short."""
    rows = _newest(reader, scorer, accounts, "t.as_of <= ?", as_of, columns=_SHORT)
    return {found.account: found for found in map(_standing, rows)}


def bands_before(reader: Reader, scorer: str, accounts: Sequence[str], as_of: str) -> dict[str, str | None]:
    """Return the band that was in force for each account after its newest row of an earlier day, if there is one."""
    rows = _newest(reader, scorer, accounts, "t.as_of < ?", as_of, columns="s.account, s.band")
    return {row[0]: row[1] for row in rows}


def computed_before(
    reader: Reader, scorer: str, accounts: Sequence[str], as_of: str, *, seq: int | None = None
) -> dict[str, Score]:
    """Return each account's newest computed score of an earlier day: what a scorer gets as `previous`.

    Args:
        reader: Where to read.
        scorer: The scorer's name.
        accounts: Canonical account ids.
        as_of: The day that is scored, ISO.
        seq: Leave out this row and newer ones: what was known when that row was computed.
    """
    condition = "t.as_of < ? AND t.held IS NULL" + ("" if seq is None else f" AND t.seq < {seq:d}")
    rows = _newest(reader, scorer, accounts, condition, as_of, columns="s.account, s.body")
    return {account: _score.decode(body) for account, body in rows}


def _newest(
    reader: Reader, scorer: str, accounts: Sequence[str], condition: str, as_of: str, *, columns: str = _COLUMNS
) -> Iterator[Sequence[Json]]:
    """Yield columns of each account's newest row that fulfils a condition."""
    for start in range(0, len(accounts), CHUNK):
        part = accounts[start : start + CHUNK]
        values = ", ".join(["(?)"] * len(part))
        yield from reader.rows(
            f"WITH wanted (account) AS (VALUES {values})"  # noqa: S608 - fixed text only
            f" SELECT {columns} FROM wanted w JOIN scores s ON s.seq = (SELECT t.seq FROM scores t"
            f" WHERE t.account = w.account AND t.scorer = ? AND {condition} ORDER BY t.as_of DESC, t.seq DESC LIMIT 1)",
            (*part, scorer, as_of),
        )


def entry(reader: Reader, seq: int) -> Entry | None:
    """Return one row by its number."""
    row = reader.one(f"SELECT {_COLUMNS} FROM scores s WHERE s.seq = ?", (seq,))  # noqa: S608 - fixed text only
    return None if row is None else _entry(row)


def history(reader: Reader, account: str, scorer: str) -> Iterator[Entry]:
    """Yield an account's rows, newest first."""
    sql = f"SELECT {_COLUMNS} FROM scores s WHERE s.account = ? AND s.scorer = ? ORDER BY s.as_of DESC, s.seq DESC"  # noqa: S608
    return map(_entry, reader.rows(sql, (account, scorer)))


def digest_of(body: Mapping[str, Json]) -> str:
    """Return the digest under which `put_config` files a configuration."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


def put_config(tx: Tx, body: Mapping[str, Json], now: int) -> str:
    """File a configuration (with references to secrets, never their values) and return its digest."""
    digest = digest_of(body)
    text = msgspec.json.encode(body, order="sorted").decode()
    tx.execute(
        "INSERT INTO configs (digest, body, first_at) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING", (digest, text, now)
    )
    return digest


def config(reader: Reader, digest: str) -> Mapping[str, Json] | None:
    """Return what was filed under a digest."""
    text = reader.value("SELECT body FROM configs WHERE digest = ?", (digest,))
    body: Mapping[str, Json] | None = None if text is None else msgspec.json.decode(text)
    return body
