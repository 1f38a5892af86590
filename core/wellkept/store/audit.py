"""The audit chain: who did what to whom, append-only, and still verifiable after an erasure.

Every entry holds digests alone and the digest of the entry before it. What an entry says, and about whom, stands apart
together with a random salt that went into the digests. Removing that text and its salt leaves a chain that verifies, and
digests that nobody can guess back, not even with the installation's key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from wellkept.records import Json
from wellkept.store.connection import Reader, Tx
from wellkept.store.updates import insert_rows

_HEAD = "audit_head"
_GENESIS = "0" * 64
SALT = 16
"""Random bytes that go into the digests of an entry."""

_encode = msgspec.json.Encoder(order="deterministic").encode

Told = tuple[str, str, dict[str, Json]]
"""What an entry to be added says.

It is the kind of what is done (never personal data, as it cannot be erased), the subject (a canonical account id, a record as
``instance:id``, or a run), and what there is to say, as plain JSON.
"""


class Entry(NamedTuple):
    """One entry, as far as it can still be read.

    Attributes:
        seq: Its number, from 1 without gaps.
        at: When, epoch ms.
        kind: What was done, such as ``effect.done``.
        subject: To whom: a canonical account id, or a record as ``instance:id``. None once it was erased.
        body: What there is to say. None once it was erased.
    """

    seq: int
    at: int
    kind: str
    subject: str | None
    body: dict[str, Json] | None


def append(
    tx: Tx,
    kind: str,
    subject: str,
    body: Mapping[str, Json],
    *,
    now: int,
    random: Callable[[int], str] = secrets.token_hex,
) -> int:
    """Add an entry and return its number; see `append_all`, and `Told` for what it says."""
    return append_all(tx, [(kind, subject, dict(body))], now=now, random=random)


def append_all(tx: Tx, told: Sequence[Told], *, now: int, random: Callable[[int], str] = secrets.token_hex) -> int:
    """Add entries in their order, each with its own link, and return the number of the newest one.

    Args:
        tx: The transaction that does what the entries tell of.
        told: What they say.
        now: Epoch ms.
        random: Makes the salts: so many random bytes, in hexadecimal.
    """
    seq, digest = _head(tx)
    if not told:
        return seq
    salts = random(SALT * len(told))
    links: list[tuple[int | str, ...]] = []
    bodies: list[tuple[int | str, ...]] = []
    for place, (kind, subject, body) in enumerate(told):
        seq += 1
        salt = salts[2 * SALT * place : 2 * SALT * (place + 1)]
        text = _encode(body).decode()
        link = (seq, now, kind, _salted(salt, subject), _salted(salt, text), digest)
        digest = _link(*link)
        links.append((*link, digest))
        bodies.append((seq, subject, salt, text))
    insert_rows(tx, "audit (seq, at, kind, subject_digest, body_digest, previous, digest)", links)
    insert_rows(tx, "audit_bodies (seq, subject, salt, body)", bodies)
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_HEAD, f"{seq}:{digest}"),
    )
    return seq


def verify(reader: Reader) -> int | None:
    """Check the whole chain and return the number of the first entry that is not as it was written; None if all are.

    Found are entries that were changed, removed (the newest ones too) or added by other means, and texts that were changed.
    Texts that were removed are not: that is what an erasure does.
    """
    previous, expected = _GENESIS, 1
    rows = reader.rows(
        "SELECT a.seq, a.at, a.kind, a.subject_digest, a.body_digest, a.previous, a.digest, b.subject, b.salt, b.body"
        " FROM audit a LEFT JOIN audit_bodies b ON b.seq = a.seq ORDER BY a.seq"
    )
    for seq, at, kind, subject_digest, body_digest, before, digest, subject, salt, body in rows:
        if before != previous or digest != _link(seq, at, kind, subject_digest, body_digest, before):
            return expected
        if salt is not None and (_salted(salt, subject), _salted(salt, body)) != (subject_digest, body_digest):
            return expected
        previous, expected = digest, expected + 1
    return None if _head(reader) == (expected - 1, previous) else expected


def entries(reader: Reader, *, subject: str | None = None, after: int = 0) -> Iterator[Entry]:
    """Yield entries in their order.

    Args:
        reader: Where to read.
        subject: Only those about it.
        after: Only those with a larger number.
    """
    about = "" if subject is None else " AND b.subject = ?"
    rows = reader.rows(
        "SELECT a.seq, a.at, a.kind, b.subject, b.body FROM audit a LEFT JOIN audit_bodies b ON b.seq = a.seq"  # noqa: S608
        f" WHERE a.seq > ?{about} ORDER BY a.seq",
        (after,) if subject is None else (after, subject),
    )
    for seq, at, kind, whom, body in rows:
        yield Entry(seq, at, kind, whom, None if body is None else msgspec.json.decode(body))


def _head(reader: Reader) -> tuple[int, str]:
    """Return number and digest of the newest entry."""
    text = reader.value("SELECT value FROM meta WHERE key = ?", (_HEAD,))
    if text is None:
        return 0, _GENESIS
    number, _, digest = str(text).partition(":")
    return int(number), digest


def _salted(salt: str, text: str) -> str:
    return sha256(_encode((salt, text))).hexdigest()


def _link(*parts: int | str) -> str:
    return sha256(_encode(parts)).hexdigest()
