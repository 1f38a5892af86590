"""Episodes of alerts, and what is still to be told of them.

An episode is open from when a condition was first found until it is not found any more. Each channel that was set up then is to
be told of its beginning, and, if it was, of its end. What comes and goes is not told each time: the end of an episode that
followed another one of the same key within `FLAP_MS` is told only once all was calm for `CALM_MS`, and until then the episode
goes on when the condition comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from wellkept.store.connection import Reader, Tx

Severity = Literal["critical", "warning"]
What = Literal["opened", "ended"]

RETRY_MS = 60_000
"""The pause after a notice that could not be sent; doubled each time, up to `LONGEST_RETRY_MS`."""

LONGEST_RETRY_MS = 3_600_000

FLAP_MS = 24 * 3_600_000
"""What comes back within so long after its end comes and goes."""

CALM_MS = 6 * 3_600_000
"""How long it must be gone then before anybody is told so."""


class Trouble(NamedTuple):
    """Something that is wrong now.

    Attributes:
        condition: What; see `wellkept.settings.Condition`.
        subject: Of what: an instance, a run, a credential. One condition and subject is one episode.
        severity: Whether it can wait until the morning.
        since: Since when, as far as is known, epoch ms.
        detail: In words; neither secrets nor personal data.
    """

    condition: str
    subject: str
    severity: Severity
    since: int
    detail: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same as one that was found earlier."""
        return self.condition, self.subject


class Episode(NamedTuple):
    """An episode as it is stored."""

    seq: int
    condition: str
    subject: str
    severity: Severity
    since: int
    opened_at: int
    detail: str
    ended_at: int | None

    @property
    def key(self) -> tuple[str, str]:
        """See `Trouble.key`."""
        return self.condition, self.subject


class Notice(NamedTuple):
    """Something that a channel has not been told yet."""

    seq: int
    what: What
    tries: int
    not_before: int
    episode: Episode


_EPISODE = ", ".join(f"a.{name}" for name in Episode._fields)


def open_episodes(reader: Reader) -> list[Episode]:
    """Return what is wrong, as of the last look, the oldest first."""
    sql = f"SELECT {_EPISODE} FROM alerts a WHERE a.ended_at IS NULL ORDER BY a.seq"  # noqa: S608 - constants
    return [Episode(*row) for row in reader.all(sql)]


def settle(tx: Tx, found: Iterable[Trouble], channels: Collection[str], now: int) -> None:
    """Bring the episodes in line with what is wrong now, and note whom to tell.

    Args:
        tx: The transaction.
        found: All that is wrong; the same key only once.
        channels: Those that are set up. What waits for another one is forgotten.
        now: Epoch ms.
    """
    _forget_others(tx, channels)
    troubles = {trouble.key: trouble for trouble in found}
    for episode in open_episodes(tx):
        trouble = troubles.pop(episode.key, None)
        if trouble is None:
            _end(tx, episode, now)
        elif (trouble.severity, trouble.detail) != (episode.severity, episode.detail):
            tx.execute(
                "UPDATE alerts SET severity = ?, detail = ? WHERE seq = ?", (trouble.severity, trouble.detail, episode.seq)
            )
    for trouble in troubles.values():
        if _goes_on(tx, trouble):
            continue
        seq = tx.insert(
            "INSERT INTO alerts (condition, subject, severity, since, opened_at, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (*trouble.key, trouble.severity, trouble.since, now, trouble.detail),
        )
        _tell(tx, seq, sorted(channels), "opened")


def waiting(reader: Reader, channel: str, now: int) -> list[Notice]:
    """Return what a channel has not been told yet, the oldest first; an end that calm must prove first is none of it."""
    rows = reader.all(
        f"SELECT n.seq, n.what, n.tries, n.not_before, {_EPISODE} FROM alert_notices n JOIN alerts a ON a.seq = n.alert"  # noqa: S608
        " WHERE n.sent_at IS NULL AND n.channel = ? AND (n.tries > 0 OR n.not_before <= ?) ORDER BY n.seq",
        (channel, now),
    )
    return [Notice(seq, what, tries, not_before, Episode(*rest)) for seq, what, tries, not_before, *rest in rows]


def failures(reader: Reader) -> list[tuple[str, int, str]]:
    """Return the channels that could not be told: name, how often it was tried, and why it failed."""
    rows = reader.all(
        "SELECT channel, MAX(tries), MAX(note) FROM alert_notices WHERE sent_at IS NULL AND note IS NOT NULL GROUP BY channel"
        " ORDER BY channel"
    )
    return [(channel, int(tries), note) for channel, tries, note in rows]


def begin_try(tx: Tx, notices: Sequence[Notice], now: int) -> None:
    """Note that notices are being sent; they are not tried again before a while is over."""
    tx.many(
        "UPDATE alert_notices SET tries = tries + 1, not_before = ? WHERE seq = ?",
        [(now + min(RETRY_MS * 2**notice.tries, LONGEST_RETRY_MS), notice.seq) for notice in notices],
    )


def sent(tx: Tx, notices: Sequence[Notice], now: int) -> None:
    """Note that notices were taken."""
    tx.many("UPDATE alert_notices SET sent_at = ?, note = NULL WHERE seq = ?", [(now, notice.seq) for notice in notices])


def failed(tx: Tx, notices: Sequence[Notice], why: str) -> None:
    """Note why notices could not be sent; redacted."""
    tx.many("UPDATE alert_notices SET note = ? WHERE seq = ?", [(why, notice.seq) for notice in notices])


def _end(tx: Tx, episode: Episode, now: int) -> None:
    """End an episode. Whoever was told of it, or may have been, is told; nobody else is."""
    tx.execute("UPDATE alerts SET ended_at = ? WHERE seq = ?", (now, episode.seq))
    tx.execute("DELETE FROM alert_notices WHERE alert = ? AND sent_at IS NULL AND tries = 0", (episode.seq,))
    told = [channel for (channel,) in tx.all("SELECT channel FROM alert_notices WHERE alert = ? ORDER BY 1", (episode.seq,))]
    again = tx.one(
        "SELECT 1 FROM alerts WHERE condition = ? AND subject = ? AND seq < ? AND ended_at > ?",
        (*episode.key, episode.seq, episode.opened_at - FLAP_MS),
    )
    _tell(tx, episode.seq, told, "ended", now + CALM_MS if again else 0)


def _goes_on(tx: Tx, trouble: Trouble) -> bool:
    """Open an episode again whose end nobody was told of yet; whether there is one."""
    newest = tx.value("SELECT MAX(seq) FROM alerts WHERE condition = ? AND subject = ?", trouble.key)
    ends = tx.all("SELECT tries FROM alert_notices WHERE alert = ? AND what = 'ended'", (newest,))
    if not ends or any(tries for (tries,) in ends):
        return False
    tx.execute("DELETE FROM alert_notices WHERE alert = ? AND what = 'ended'", (newest,))
    sql = "UPDATE alerts SET ended_at = NULL, severity = ?, detail = ? WHERE seq = ?"
    tx.execute(sql, (trouble.severity, trouble.detail, newest))
    return True


def _tell(tx: Tx, alert: int, channels: Iterable[str], what: What, not_before: int = 0) -> None:
    tx.many(
        "INSERT INTO alert_notices (alert, channel, what, not_before) VALUES (?, ?, ?, ?)",
        [(alert, channel, what, not_before) for channel in channels],
    )


def _forget_others(tx: Tx, channels: Collection[str]) -> None:
    others = f" AND channel NOT IN ({', '.join('?' * len(channels))})" if channels else ""
    tx.execute(f"DELETE FROM alert_notices WHERE sent_at IS NULL{others}", sorted(channels))  # noqa: S608 - place holders
