"""What delivering does to the outbox: claim, settle, recover, expire.

A claim is committed, on disk, before the call leaves: a process that dies in between leaves a row in ``sending``, which
`recover` turns into what is true for its kind. A settlement is committed afterwards; if that is lost, the claim stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from wellkept.action import Outcome
from wellkept.effects import Target
from wellkept.records import Json
from wellkept.store import outbox, pushed
from wellkept.store.engine import Reader, Tx
from wellkept.store.outbox import Change, Entry

MAX_TRIES = 8
"""After so many tries without an answer an effect is held for a person: with `BACK_OFF`, some four hours."""

BACK_OFF = (60.0, 6 * 3600.0)
"""Seconds before the second try, doubling with each one, and the most."""

PAGE = 500
"""Rows that one job of the writer thread moves at most, so that nobody waits long for it."""

RESTORED = "restored_at"
"""Key in ``meta``: set by a restore, removed by `accept_restore`."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed effect.

    Attributes:
        entry: The row as it was claimed, in ``sending``.
        doubtful: An earlier try is in doubt; this one repeats it under the same key.
        fields: What a ``state`` effect has to send: its fields without those that the vendor has already.
    """

    entry: Entry
    doubtful: bool = False
    fields: Mapping[str, Json] = {}


def claim(tx: Tx, entry: Entry, *, run: str, now: int, instance: str, target: Target | None = None) -> Claim | None:
    """Claim a ``once`` or ``message`` effect for a run; to be committed durably before the call leaves.

    Args:
        tx: The transaction.
        entry: The effect as it was looked at.
        run: Who claims.
        now: The current instant.
        instance: Where it goes; from now on it goes nowhere else.
        target: The vendor record, where planning did not name one.

    Returns:
        None when it is not to be had: somebody else was faster, or it has changed since it was looked at.
    """
    fresh = _unchanged(tx, entry, instance, now)
    if fresh is None:
        return None
    columns: dict[str, Any] = {"instance": instance}
    if target is not None and fresh.target_id is None:
        columns |= {"target_instance": target.instance, "target_type": target.type, "target_id": target.id}
    return Claim(entry=_take(tx, fresh, run, now, columns), doubtful=fresh.state == "unknown")


def claim_state(tx: Tx, entry: Entry, *, run: str, now: int, prior: Mapping[str, Json]) -> Claim | None:
    """Claim a ``state`` effect, whose target is known.

    Args:
        tx: The transaction.
        entry: The effect as it was looked at.
        run: Who claims.
        now: The current instant.
        prior: What stood at the vendor in the fields that we have not pushed before; kept for `undo`.

    Returns:
        None when it is not to be had, as above, or when another effect of the same target is under way. An effect whose values
        the vendor has by now is done, and None is returned as well.
    """
    target = _target(entry)
    fresh = _unchanged(tx, entry, target.instance, now)
    if fresh is None or _busy(tx, entry):
        return None
    accepted = pushed.load(tx, target, fresh.capability)
    fields = {
        field: value
        for field, value in fresh.fields.items()
        if field not in accepted or accepted[field].text != pushed.canonical(value)
    }
    kept = {
        **{field: value for field, value in prior.items() if field in fields},
        **{field: accepted[field].value for field in fields if field in accepted and accepted[field].effect_key},
        **(msgspec.json.decode(fresh.prior) if fresh.prior else {}),  # of the first try, before anything of ours got there
    }
    taken = _take(tx, fresh, run, now, {"prior": pushed.canonical(kept)})
    if not fields:
        outbox.move(tx, taken, "done", now=now, note="the vendor has these values already")
        return None
    return Claim(entry=taken, fields=fields)


def _unchanged(tx: Tx, entry: Entry, instance: str, now: int) -> Entry | None:
    """Return the row as it is now, if it may still be claimed and is what was looked at."""
    fresh = outbox.get(tx, entry.key)
    if fresh is None or (fresh.state, fresh.attempts, fresh.payload) != (entry.state, entry.attempts, entry.payload):
        return None
    if fresh.instance not in {None, instance} or (fresh.state == "held" and fresh.hold != "wait"):
        return None
    return None if fresh.expires_at is not None and fresh.expires_at <= now and fresh.state != "unknown" else fresh


def _busy(tx: Tx, entry: Entry) -> bool:
    """Say whether another effect of the same target is under way: they go one after another."""
    where = "instance = ? AND target_id = ? AND capability = ? AND target_type = ? AND state = 'sending'"
    params = (entry.instance, entry.target_id, entry.capability, entry.target_type)
    return tx.one(f"SELECT 1 FROM outbox WHERE {where}", params) is not None  # noqa: S608 - our own text


def _take(tx: Tx, fresh: Entry, run: str, now: int, columns: Mapping[str, Any]) -> Entry:
    values: dict[str, Any] = {
        "attempts": fresh.attempts + 1,
        "first_sent_at": fresh.first_sent_at or now,
        "claimed_at": now,
        "claimed_by": run,
        "not_before": None,
        **columns,
    }
    outbox.move(tx, fresh, "sending", now=now, **values)
    return msgspec.structs.replace(fresh, state="sending", hold=None, note=None, **values)


def _target(entry: Entry) -> Target:
    if entry.target is None:
        raise outbox.IllegalMoveError(f"effect {entry.key} has no target yet")
    return entry.target


def settle(tx: Tx, held: Claim, outcome: Outcome, *, now: int) -> Change | None:
    """Write down what came of a try.

    Returns:
        None when the answer changes nothing: the effect was taken over meanwhile, and this tells nothing new.
    """
    entry = _still_ours(tx, held.entry, outcome)
    if entry is None:
        return None
    if entry.kind == "state":
        return _settle_state(tx, entry, held, outcome, now=now)
    if outcome.status in {"done", "rejected"}:
        return outbox.move(tx, entry, outcome.status, now=now, ref=outcome.ref, note=outcome.reason or None)
    if outcome.status == "unknown" and entry.kind == "message":
        return outbox.move(tx, entry, "held", now=now, hold="doubt", note=f"in doubt: {outcome.reason}")
    if outcome.status == "unknown" or held.doubtful:
        note = outcome.reason if outcome.status == "unknown" else f"an earlier try is in doubt; {outcome.reason}"
        return _in_doubt(tx, entry, note, outcome.retry_after, now=now)
    return _again(tx, entry, outcome, now=now)


def _still_ours(tx: Tx, entry: Entry, outcome: Outcome) -> Entry | None:
    """Return the row if this try is still its newest. One that was given up for dead may bring a final answer all the same."""
    fresh = outbox.get(tx, entry.key)
    if fresh is None or (fresh.claimed_by, fresh.attempts) != (entry.claimed_by, entry.attempts):
        return None
    late = fresh.state == "unknown" or (fresh.state == "held" and fresh.hold == "doubt")
    return fresh if fresh.state == "sending" or (late and outcome.status in {"done", "rejected"}) else None


def _settle_state(tx: Tx, entry: Entry, held: Claim, outcome: Outcome, *, now: int) -> Change:
    target = _target(entry)
    if outcome.status == "done":
        pushed.accept(tx, target, entry.capability, held.fields, effect_key=entry.key, now=now)
        return outbox.move(tx, entry, "done", now=now, ref=outcome.ref)
    if outcome.status == "rejected":
        refused = set(outcome.fields) or set(held.fields)
        taken = {field: value for field, value in held.fields.items() if field not in refused}
        pushed.accept(tx, target, entry.capability, taken, effect_key=entry.key, now=now)
        prior = {field: value for field, value in msgspec.json.decode(entry.prior or "{}").items() if field in taken}
        whys = "; ".join(f"{field}: {why}" for field, why in sorted(outcome.fields.items()))
        note = ": ".join(part for part in (outcome.reason, whys) if part)
        return outbox.move(tx, entry, "rejected", now=now, note=note, prior=pushed.canonical(prior))
    if outcome.status == "unknown":
        pushed.forget(tx, target, entry.capability, held.fields)
    return _again(tx, entry, outcome, now=now)


def _again(tx: Tx, entry: Entry, outcome: Outcome, *, now: int) -> Change:
    """Put an effect back among the planned ones, until it was tried too often."""
    if entry.attempts >= MAX_TRIES:
        change = outbox.move(tx, entry, "held", now=now, hold="tries", note=f"tried {entry.attempts} times: {outcome.reason}")
    else:
        wait = _wait(entry.attempts, outcome.retry_after)
        change = outbox.move(tx, entry, "planned", now=now, note=outcome.reason, not_before=now + wait)
    if entry.kind == "state":
        _yield_to_newer(tx, entry, change, now=now)
    return change


def _yield_to_newer(tx: Tx, entry: Entry, change: Change, *, now: int) -> None:
    """Give up fields for which something newer was planned while this effect was on its way."""
    where = (
        "instance = ? AND target_id = ? AND capability = ? AND target_type = ? AND seq > ?"
        " AND state IN ('planned', 'held', 'sending', 'done')"
    )
    newer: set[str] = set()
    for other in outbox.entries(tx, where, (entry.instance, entry.target_id, entry.capability, entry.target_type, entry.seq)):
        newer |= set(other.fields)
    outbox.narrow(tx, msgspec.structs.replace(entry, state=change.after), newer, now=now)


def _in_doubt(tx: Tx, entry: Entry, note: str, after: float | None, *, now: int) -> Change:
    if entry.attempts >= MAX_TRIES:
        return outbox.move(tx, entry, "held", now=now, hold="doubt", note=f"tried {entry.attempts} times: {note}")
    wait = _wait(entry.attempts, after) if after is not None else None
    return outbox.move(tx, entry, "unknown", now=now, note=note, not_before=None if wait is None else now + wait)


def _wait(tries: int, after: float | None) -> int:
    """Return milliseconds before the next try: what the vendor said, or the back-off."""
    first, most = BACK_OFF
    seconds = after if after is not None else min(most, first * 2 ** (tries - 1))
    return round(max(0.0, seconds) * 1000)


def resolve(tx: Tx, entry: Entry, found: Outcome, *, now: int) -> Change | None:
    """Write down what a look-up found out about a ``once`` effect in doubt.

    ``retry`` means that the vendor certainly does not have it: it is planned again, under the same key.
    """
    fresh = outbox.get(tx, entry.key)
    if fresh is None or (fresh.state, fresh.attempts) != ("unknown", entry.attempts):
        return None
    if found.status == "done":
        return outbox.move(tx, fresh, "done", now=now, ref=found.ref, note="found at the vendor")
    if found.status == "rejected":
        return outbox.move(tx, fresh, "rejected", now=now, note=found.reason)
    return _again(
        tx, fresh, Outcome.retry(found.reason or "the vendor does not have it", after=found.retry_after or 0), now=now
    )


def put_aside(
    tx: Tx,
    entry: Entry,
    state: Literal["held", "expired", "rejected"],
    note: str,
    *,
    now: int,
    until: int | None = None,
    doubt: bool = False,
) -> Change | None:
    """Hold, expire or reject an effect that has not been sent (again), after looking at it; a repeated hold is no move."""
    fresh = outbox.get(tx, entry.key)
    if fresh is None or (fresh.state, fresh.attempts, fresh.hold) != (entry.state, entry.attempts, entry.hold):
        return None
    if state != "held":
        return outbox.move(tx, fresh, state, now=now, note=note)
    kind: outbox.Hold = "doubt" if doubt else "wait"
    if fresh.state == "held" and fresh.hold == kind:
        tx.execute("UPDATE outbox SET note = ?, not_before = ? WHERE seq = ?", (note, until, fresh.seq))
        return None
    return outbox.move(tx, fresh, "held", now=now, note=note, hold=kind, not_before=until)


def recover(tx: Tx, *, now: int) -> list[Change]:
    """Settle what dead processes left in ``sending``.

    Only the one run that holds the lease may call it, before it claims anything, and in a transaction that checks the lease:
    whatever is under way then belongs to the dead.
    """
    lost = Outcome(status="unknown", reason="the process ended before the answer was written down", retry_after=0)
    changes = []
    for entry in list(outbox.entries(tx, "state = 'sending'")):
        fields = entry.fields if entry.kind == "state" else {}
        change = settle(tx, Claim(entry=entry, fields=fields), lost, now=now)
        if change is not None:
            changes.append(change)
    return changes


def expire(tx: Tx, *, now: int) -> list[Change]:
    """Expire what was not sent in time, `PAGE` rows at most. What is in doubt stays: it may have been done."""
    where = "state IN ('planned', 'held') AND expires_at <= ? AND (hold IS NULL OR hold <> 'doubt') ORDER BY seq LIMIT ?"
    return [outbox.move(tx, entry, "expired", now=now, note="its time had passed") for entry in _page(tx, where, now)]


def hold_restored(tx: Tx, *, now: int) -> list[Change]:
    """Hold planned effects, `PAGE` at most, after a restore of the store, which may not know what was sent since its backup.

    This goes on, for new effects too, until `accept_restore`: a policy may well plan again what was sent already.
    """
    if not tx.one("SELECT 1 FROM meta WHERE key = ?", (RESTORED,)):
        return []
    note = "the store was restored from a backup, and what was sent since is not known here"
    due = "(state = 'planned' OR (state = 'held' AND hold = 'wait')) AND approved_at IS NULL ORDER BY seq LIMIT ?"
    found = _page(tx, due)
    return [outbox.move(tx, entry, "held", now=now, note=note, hold="restored") for entry in found]


def accept_restore(tx: Tx) -> bool:
    """End the caution after a restore: a person has compared. What is held stays held. Returns whether there was any."""
    return tx.execute("DELETE FROM meta WHERE key = ?", (RESTORED,)) > 0


def mark_dry(tx: Tx, entries: Sequence[Entry]) -> None:
    """Note that effects were looked at while their target was not live; see `hold_backlog`."""
    tx.many(
        "UPDATE outbox SET hold = 'dry' WHERE seq = ? AND state = 'planned' AND approved_at IS NULL",
        [(entry.seq,) for entry in entries],
    )


_BACKLOG = "state = 'planned' AND hold = 'dry' AND capability = ? AND (instance = ? OR instance IS NULL)"


def backlog(reader: Reader, instance: str, capability: str) -> int:
    """Return how many effects piled up while their target was not live."""
    return int(reader.value(f"SELECT COUNT(*) FROM outbox WHERE {_BACKLOG}", (capability, instance)))  # noqa: S608


def hold_backlog(tx: Tx, instance: str, capability: str, note: str, *, now: int) -> list[Change]:
    """Hold such effects for approval, `PAGE` at most."""
    found = _page(tx, f"{_BACKLOG} ORDER BY seq LIMIT ?", capability, instance)
    return [outbox.move(tx, entry, "held", now=now, note=note, hold="approval") for entry in found]


def _page(tx: Tx, where: str, *params: object) -> list[Entry]:
    return list(outbox.entries(tx, where, (*params, PAGE)))
