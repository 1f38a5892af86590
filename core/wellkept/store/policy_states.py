"""What policies remember: whether they were primed, the states of machines, the facts that wait for them, and their holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from wellkept.store.engine import Reader, Tx

CHUNK = 500
"""Subjects looked up in one statement."""

DECIDED = "decided_at"
"""Key in ``meta``: when the last decide step began, epoch ms."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How core knows a policy.

    Attributes:
        known: It has run before, though perhaps not to the end of its first run.
        primed: Its first run is over.
        missed_since: It was left out of later runs: since this instant, epoch ms. None when it took part in the last one.
    """

    known: bool
    primed: bool
    missed_since: int | None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """A machine's state of one subject, as stored."""

    text: str
    wake_at: int | None


class QueuedFact(msgspec.Struct, frozen=True, kw_only=True):
    """A record that changed."""

    at: int
    type: str
    instance: str
    id: str

    @property
    def place(self) -> tuple[int, str, str, str]:
        """Its place in the queue."""
        return self.at, self.type, self.instance, self.id


START = (-1, "", "", "")
"""The place before every fact."""


# --- policies --------------------------------------------------------------------------------------------------------------


def standing(reader: Reader, policy: str) -> Standing:
    """Return how a policy stands before this run."""
    row = reader.one("SELECT primed_at, seen_at FROM policies WHERE policy = ?", (policy,))
    if row is None:
        return Standing(known=False, primed=False, missed_since=None)
    last = reader.value("SELECT value FROM meta WHERE key = ?", (DECIDED,))
    missed = row[1] if last is not None and int(last) > row[1] else None
    return Standing(known=True, primed=row[0] is not None, missed_since=missed)


def take_part(tx: Tx, policy: str, version: str, now: int) -> None:
    """Note that a policy takes part in a run that began now."""
    tx.execute(
        "INSERT INTO policies (policy, version, seen_at) VALUES (?, ?, ?)"
        " ON CONFLICT (policy) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at",
        (policy, version, now),
    )


def set_primed(tx: Tx, policy: str, now: int) -> None:
    """Note that a policy's first run is over; once it is, it stays so."""
    tx.execute("UPDATE policies SET primed_at = ? WHERE policy = ? AND primed_at IS NULL", (now, policy))


def note_run(tx: Tx, now: int) -> None:
    """Note that a decide step began now."""
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (DECIDED, str(now)),
    )


def unprimed(reader: Reader, policy: str) -> set[str]:
    """Return what the policy has not been primed for yet; empty in nearly all installations."""
    return {subject for (subject,) in reader.rows("SELECT subject FROM unprimed WHERE policy = ?", (policy,))}


def set_unprimed(tx: Tx, policy: str, subjects: Iterable[str]) -> None:
    """Note subjects that could not be looked at while the policy was primed."""
    tx.many(
        "INSERT INTO unprimed (policy, subject) VALUES (?, ?) ON CONFLICT (policy, subject) DO NOTHING",
        [(policy, subject) for subject in subjects],
    )


def clear_unprimed(tx: Tx, policy: str, subjects: Iterable[str]) -> None:
    """Note that subjects have been looked at."""
    tx.many("DELETE FROM unprimed WHERE policy = ? AND subject = ?", [(policy, subject) for subject in subjects])


def set_holds(tx: Tx, policy: str, reasons: Mapping[str, str], now: int) -> None:
    """Write down which accounts a policy did not look at, and why; what it wrote before is dropped."""
    tx.execute("DELETE FROM holds WHERE policy = ?", (policy,))
    tx.many(
        "INSERT INTO holds (policy, account, reason, at) VALUES (?, ?, ?, ?)",
        [(policy, account, reason, now) for account, reason in reasons.items()],
    )


def keep_holds(tx: Tx, policies: Sequence[str]) -> None:
    """Drop the holds of policies that are not configured any more."""
    kept = policies or [""]
    tx.execute(f"DELETE FROM holds WHERE policy NOT IN ({', '.join('?' * len(kept))})", kept)  # noqa: S608 - place holders


def holds(reader: Reader, account: str) -> dict[str, str]:
    """Return the policies that do not look at an account at present, and why."""
    return dict(reader.all("SELECT policy, reason FROM holds WHERE account = ? ORDER BY policy", (account,)))


# --- states ----------------------------------------------------------------------------------------------------------------


def load(reader: Reader, policy: str, subjects: Sequence[str]) -> dict[str, Memory]:
    """Return the stored states of subjects, for those that have one."""
    found: dict[str, Memory] = {}
    for start in range(0, len(subjects), CHUNK):
        part = subjects[start : start + CHUNK]
        rows = reader.rows(
            "SELECT subject, state, wake_at FROM policy_states"  # noqa: S608 - place holders only
            f" WHERE policy = ? AND subject IN ({', '.join('?' * len(part))})",
            (policy, *part),
        )
        found.update((subject, Memory(text=text, wake_at=wake_at)) for subject, text, wake_at in rows)
    return found


def save(tx: Tx, policy: str, subject: str, memory: Memory, now: int) -> None:
    """Store the state of a subject."""
    tx.execute(
        "INSERT INTO policy_states (policy, subject, state, wake_at, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (policy, subject)"
        " DO UPDATE SET state = excluded.state, wake_at = excluded.wake_at, updated_at = excluded.updated_at",
        (policy, subject, memory.text, memory.wake_at, now),
    )


def due(reader: Reader, policy: str, now: int) -> list[tuple[str, int]]:
    """Return the subjects that asked to be woken by now, and when, earliest first."""
    sql = "SELECT subject, wake_at FROM policy_states WHERE policy = ? AND wake_at <= ? ORDER BY wake_at, subject"
    return [(subject, at) for subject, at in reader.rows(sql, (policy, now))]


# --- facts -----------------------------------------------------------------------------------------------------------------


def distribute(tx: Tx, interests: Mapping[str, frozenset[str]], limit: int) -> bool:
    """Hand queued changes to the machines that want to know of their type, `limit` rows at most.

    Args:
        tx: The transaction.
        interests: Record types by policy.
        limit: How many rows.

    Returns:
        Whether rows are left.
    """
    rows = tx.all("SELECT seq, type, instance, id, at FROM fact_queue ORDER BY seq LIMIT ?", (limit,))
    for policy, types in interests.items():
        _enqueue(tx, policy, [(type_, instance, id_, at) for _, type_, instance, id_, at in rows if type_ in types])
    tx.many("DELETE FROM fact_queue WHERE seq = ?", [(row[0],) for row in rows])
    return len(rows) == limit


def enqueue_table(tx: Tx, policy: str, type_: str, table: str, *, since: int | None = None, alive: bool = False) -> None:
    """Queue all rows of a record table for a machine: those that it missed, or all there are when it is primed.

    Args:
        tx: The transaction.
        policy: The machine.
        type_: The record type.
        table: Its table.
        since: Only rows observed at this instant or later, epoch ms.
        alive: Only rows that are not deleted.
    """
    conditions = [*(["observed_at >= ?"] if since is not None else []), *(["deleted = 0"] if alive else [])]
    tx.execute(
        "INSERT INTO policy_facts (policy, type, instance, id, at) SELECT ?, ?, instance, id, observed_at"  # noqa: S608 - names
        f" FROM {table} WHERE {' AND '.join(conditions) or '1 = 1'} ON CONFLICT (policy, type, instance, id) DO NOTHING",
        (policy, type_, *([since] if since is not None else [])),
    )


def facts(reader: Reader, policy: str, after: tuple[int, str, str, str], limit: int) -> list[QueuedFact]:
    """Return changes that wait for a machine, in the order in which they were observed, from after a place."""
    rows = reader.rows(
        "SELECT at, type, instance, id FROM policy_facts WHERE policy = ? AND (at, type, instance, id) > (?, ?, ?, ?)"
        " ORDER BY at, type, instance, id LIMIT ?",
        (policy, *after, limit),
    )
    return [QueuedFact(at=at, type=type_, instance=instance, id=id_) for at, type_, instance, id_ in rows]


def done_with(tx: Tx, policy: str, fact: QueuedFact) -> None:
    """Take a change out of a machine's queue."""
    tx.execute(
        "DELETE FROM policy_facts WHERE policy = ? AND type = ? AND instance = ? AND id = ?",
        (policy, fact.type, fact.instance, fact.id),
    )


def _enqueue(tx: Tx, policy: str, rows: Sequence[tuple[str, str, str, int]]) -> None:
    tx.many(
        "INSERT INTO policy_facts (policy, type, instance, id, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (policy, type, instance, id) DO NOTHING",
        [(policy, *row) for row in rows],
    )


# --- effects of a subject --------------------------------------------------------------------------------------------------


def own(tx: Tx, key: str, subject: str) -> None:
    """Note whose effect it is."""
    tx.execute("INSERT INTO effect_subjects (key, subject) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key, subject))


def owner(reader: Reader, key: str) -> str | None:
    """Return whose effect it is; None for an effect that no machine planned."""
    subject: str | None = reader.value("SELECT subject FROM effect_subjects WHERE key = ?", (key,))
    return subject
