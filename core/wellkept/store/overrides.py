"""A person's word on an account's band: with a reason, an author and an end, beside the computed value."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import msgspec

from wellkept.errors import ConfigError
from wellkept.store.engine import Reader, Tx

DAY = 86_400_000
MAX_DAYS = 30
"""The longest that an override may last: what a person saw two months ago says little about today."""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One override; over when `ended_at` is set or `expires_at` has passed, whichever comes first. Instants are epoch ms."""

    seq: int
    account: str
    scorer: str
    band: str
    reason: str
    author: str
    at: int
    expires_at: int
    ended_at: int | None = None


_COLUMNS = "seq, account, scorer, band, reason, author, at, expires_at, ended_at"


def put(
    tx: Tx,
    *,
    account: str,
    scorer: str,
    band: str,
    bands: Sequence[str],
    reason: str,
    author: str,
    now: int,
    expires_at: int,
) -> int:
    """Override an account's band from now on, ending an override that is in force, and return the new one's number.

    Args:
        tx: The transaction.
        account: The canonical account id.
        scorer: The scorer's name.
        band: The band to be used instead.
        bands: The scorer's bands.
        reason: Why; shown wherever the band is.
        author: Who says so.
        now: The current instant, epoch ms.
        expires_at: When it ends by itself, epoch ms; at most `MAX_DAYS` from now.

    Raises:
        ConfigError: The band is unknown, a text is empty, or the end is past or too far away.
    """
    if band not in bands:
        near = difflib.get_close_matches(band, bands, n=1)
        raise ConfigError(
            f"{scorer} has no band {band!r}",
            key="band",
            guidance=f"use {near[0]!r}" if near else f"use one of {', '.join(bands) or 'none: this scorer has no bands'}",
        )
    for key, text in (("reason", reason), ("author", author)):
        if not text.strip():
            raise ConfigError("an override needs a reason and an author", key=key, guidance=f"give a {key}")
    if not now < expires_at <= now + MAX_DAYS * DAY:
        raise ConfigError(
            f"an override ends after now and within {MAX_DAYS} days",
            key="expires",
            guidance=f"choose 1 to {MAX_DAYS} days, and renew it when it still holds",
        )
    end(tx, account, scorer, now)
    return tx.insert(
        "INSERT INTO overrides (account, scorer, band, reason, author, at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account, scorer, band, reason.strip(), author.strip(), now, expires_at),
    )


def end(tx: Tx, account: str, scorer: str, now: int) -> bool:
    """End the override that is in force, and say whether there was one."""
    sql = "UPDATE overrides SET ended_at = ? WHERE account = ? AND scorer = ? AND ended_at IS NULL AND expires_at > ?"
    return tx.execute(sql, (now, account, scorer, now)) > 0


def active(reader: Reader, scorer: str, now: int) -> dict[str, Override]:
    """Return the overrides in force at an instant, by account; one past its end is over without anybody's doing."""
    sql = f"SELECT {_COLUMNS} FROM overrides WHERE scorer = ? AND ended_at IS NULL AND expires_at > ? ORDER BY seq"  # noqa: S608
    return {row.account: row for row in map(_override, reader.rows(sql, (scorer, now)))}


def history(reader: Reader, account: str, scorer: str) -> list[Override]:
    """Return all overrides of an account, newest first."""
    sql = f"SELECT {_COLUMNS} FROM overrides WHERE account = ? AND scorer = ? ORDER BY seq DESC"  # noqa: S608 - fixed text
    return [_override(row) for row in reader.rows(sql, (account, scorer))]


def _override(row: Sequence[object]) -> Override:
    return msgspec.convert(dict(zip(Override.__struct_fields__, row, strict=True)), Override)
