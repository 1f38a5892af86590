"""When a scorer looked at the whole frame last, so that the next run shows it only the accounts whose rows have changed since.

A score is a function of the account's row, the scorer with its configuration, the day, and a person's override. While day and
configuration stay the same, whoever was not measured anew, and has no override, has the score that is stored.
"""

from __future__ import annotations

import msgspec

from wellkept.store.connection import Reader, Tx
from wellkept.store.frames import Basis

_KEY = "looked:"
"""How the keys in the table ``meta`` begin."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look at every account of a frame.

    Attributes:
        as_of: The day of the frame.
        where: Which accounts were in it.
        config: Digest of the scorer's configuration, version and columns.
        measured_at: Up to when the rows had been measured.
    """

    as_of: str
    where: str
    config: str
    measured_at: int


def look(basis: Basis, config: str) -> Look:
    """Return what a look at the kept frame is."""
    return Look(as_of=basis.as_of, where=basis.where, config=config, measured_at=basis.at)


def due(reader: Reader, scorer: str, now: Look) -> set[str] | None:
    """Return the accounts that a scorer must be shown again; None for all of them."""
    text = reader.value("SELECT value FROM meta WHERE key = ?", (_KEY + scorer,))
    last = None if text is None else msgspec.json.decode(text, type=Look)
    if last is None or msgspec.structs.replace(last, measured_at=now.measured_at) != now:
        return None
    rows = reader.rows(
        "SELECT account FROM frame_rows WHERE measured_at > ? UNION SELECT account FROM overrides WHERE scorer = ?",
        (last.measured_at, scorer),
    )
    return {account for (account,) in rows}


def note(tx: Tx, scorer: str, done: Look) -> None:
    """Note that a scorer has looked at every account that was due."""
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_KEY + scorer, msgspec.json.encode(done).decode()),
    )
