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


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A claimed effect.

    Attributes:
        entry: The row as it was claimed, in ``sending``.
        doubtful: An earlier try is in doubt; this one repeats it under the same key.
        fields: What a ``state`` effect has to send: its fields without those that the vendor has already.
        before: The row as it was before; None for a claim that a dead process left behind.
    """

    entry: Entry
    doubtful: bool = False
    fields: Mapping[str, Json] = {}
    before: Entry | None = None


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
    found = _as_they_are(tx, [entry])
    if not found or not _may_be_claimed(found[0], instance, now):
        return None
    [fresh] = found
    columns: dict[str, Any] = {"instance": instance}
    if target is not None and fresh.target_id is None:
        columns |= {"target_instance": target.instance, "target_type": target.type, "target_id": target.id}
    move, claimed = _taken(fresh, run, now, columns)
    outbox.move_all(tx, [move], now=now)
    return Claim(entry=claimed, doubtful=fresh.state == "unknown", before=fresh)


def claim_states(
    tx: Tx, entries: Sequence[Entry], *, run: str, now: int, priors: Mapping[str, Mapping[str, Json]]
) -> tuple[list[Claim], list[Change]]:
    """Claim ``state`` effects of one capability, whose targets are known.

    Args:
        tx: The transaction.
        entries: The effects as they were looked at.
        run: Who claims.
        now: The current instant.
        priors: By effect, what stood at the vendor in the fields that we have not pushed before; kept for `undo`.

    Returns:
        The claims, and the ends of effects whose values the vendor has by now. In neither are those that are not to be had, as
        above, and those whose target has another effect under way: these go one after another.
    """
    addressed = [(entry, _target(entry)) for entry in _as_they_are(tx, entries)]
    fresh = [(entry, target) for entry, target in addressed if _may_be_claimed(entry, target.instance, now)]
    if not fresh:
        return [], []
    capability = fresh[0][0].capability
    under_way = "SELECT instance, target_type, target_id FROM outbox WHERE state = 'sending' AND capability = ?"
    busy = set(tx.all(under_way, (capability,)))
    accepted = pushed.load_all(tx, [target for _, target in fresh], capability)
    taken: list[outbox.Move] = []
    held: list[Claim] = []
    known: list[Entry] = []
    for entry, target in fresh:
        place = (target.instance, target.type, target.id)
        if place in busy:
            continue
        ours = accepted.get(target, {})
        fields = {
            field: value
            for field, value in entry.fields.items()
            if field not in ours or ours[field].text != pushed.canonical(value)
        }
        prior = priors[entry.key]
        kept = {
            **{field: value for field, value in prior.items() if field in fields},
            **{field: ours[field].value for field in fields if field in ours and ours[field].effect_key},
            **(msgspec.json.decode(entry.prior) if entry.prior else {}),  # of the first try, before anything of ours got there
        }
        move, claimed = _taken(entry, run, now, {"prior": pushed.canonical(kept)})
        taken.append(move)
        if fields:
            busy.add(place)
            held.append(Claim(entry=claimed, fields=fields, before=entry))
        else:
            known.append(claimed)
    outbox.move_all(tx, taken, now=now)
    ends = [outbox.Move(entry, "done", "the vendor has these values already") for entry in known]
    return held, outbox.move_all(tx, ends, now=now)


def _as_they_are(tx: Tx, entries: Sequence[Entry]) -> list[Entry]:
    """Return effects as they are now; those that are no longer what was looked at are left out."""
    rows = tx.all(
        "SELECT seq, state, attempts, payload, hold, instance, first_sent_at, claimed_by FROM outbox"  # noqa: S608 - marks alone
        f" WHERE seq IN ({', '.join('?' * len(entries))})",
        [entry.seq for entry in entries],
    )
    now = {row[0]: row[1:] for row in rows}
    found: list[Entry] = []
    for entry in entries:
        row = now.get(entry.seq)
        if row == _looked_at(entry):
            found.append(entry)
        elif row is not None and row[:3] == _looked_at(entry)[:3]:
            found += [fresh for fresh in (outbox.get(tx, entry.key),) if fresh is not None]
    return found


def _looked_at(entry: Entry) -> tuple[Any, ...]:
    """Return what tells a row that has changed while it waited: a person may decide about it, a newer value narrow it."""
    return (
        entry.state,
        entry.attempts,
        entry.payload,
        entry.hold,
        entry.instance,
        entry.first_sent_at,
        entry.claimed_by,
    )


def _may_be_claimed(fresh: Entry, instance: str, now: int) -> bool:
    if fresh.instance not in {None, instance} or (fresh.state == "held" and fresh.hold != "wait"):
        return False
    return fresh.expires_at is None or fresh.expires_at > now or fresh.state == "unknown"


def _taken(fresh: Entry, run: str, now: int, columns: Mapping[str, Any]) -> tuple[outbox.Move, Entry]:
    """Return the move that claims an effect, and the effect as it is then."""
    values: dict[str, Any] = {
        "attempts": fresh.attempts + 1,
        "first_sent_at": fresh.first_sent_at or now,
        "claimed_at": now,
        "claimed_by": run,
        "not_before": None,
        **columns,
    }
    return outbox.Move(fresh, "sending", None, values), msgspec.structs.replace(
        fresh, state="sending", hold=None, note=None, **values
    )


def _target(entry: Entry) -> Target:
    target = entry.target
    if target is None:
        raise outbox.IllegalMoveError(f"effect {entry.key} has no target yet")
    return target


_OF_A_CLAIM = ("hold", "attempts", "first_sent_at", "claimed_at", "claimed_by", "not_before", "prior")
"""Columns that a claim of a ``state`` effect sets."""


def give_back(tx: Tx, held: Sequence[Claim], *, now: int) -> list[Change]:
    """Undo claims of ``state`` effects that have certainly not left; a claim that was taken over meanwhile is left alone."""
    ours = _still_ours(tx, [(claim, Outcome.retry("it has not left")) for claim in held])
    moves = [
        outbox.Move(claim.entry, before.state, before.note, {name: getattr(before, name) for name in _OF_A_CLAIM})
        for claim in held
        if claim.entry.seq in ours and (before := claim.before) is not None
    ]
    changes = outbox.move_all(tx, moves, now=now)
    for change in changes:
        _yield_to_newer(tx, change.entry, change, now=now)
    return changes


def settle(tx: Tx, held: Claim, outcome: Outcome, *, now: int) -> Change | None:
    """Write down what came of a try.

    Returns:
        None when the answer changes nothing: the effect was taken over meanwhile, and this tells nothing new.
    """
    changes = settle_all(tx, [(held, outcome)], now=now)
    return changes[0] if changes else None


def settle_all(tx: Tx, tries: Sequence[tuple[Claim, Outcome]], *, now: int) -> list[Change]:
    """Write down what came of tries of different effects; those of which the answer changes nothing are left out."""
    ours = _still_ours(tx, tries)
    done: list[outbox.Move] = []
    accepted: list[pushed.Accepted] = []
    for held, outcome in tries:
        entry = ours.get(held.entry.seq)
        if entry is not None and outcome.status == "done":
            done.append(outbox.Move(entry, "done", None, {"ref": outcome.ref}))
            if entry.kind == "state":
                accepted.append(pushed.Accepted(_target(entry), entry.capability, held.fields, entry.key))
    pushed.accept(tx, accepted, now=now)
    changes = {change.entry.seq: change for change in outbox.move_all(tx, done, now=now)}
    for held, outcome in tries:
        entry = ours.get(held.entry.seq)
        if entry is not None and outcome.status != "done":
            changes[entry.seq] = _settle_undone(tx, entry, held, outcome, now=now)
    return [changes[held.entry.seq] for held, _ in tries if held.entry.seq in changes]


def _still_ours(tx: Tx, tries: Sequence[tuple[Claim, Outcome]]) -> dict[int, Entry]:
    """Return the rows of tries that are still the newest of their effects, by number.

    One that was given up for dead may bring a final answer all the same. What is in ``sending`` is as it was claimed.
    """
    rows = tx.all(
        "SELECT seq, state, hold, claimed_by, attempts FROM outbox"  # noqa: S608 - marks alone
        f" WHERE seq IN ({', '.join('?' * len(tries))})",
        [held.entry.seq for held, _ in tries],
    )
    now = {row[0]: row[1:] for row in rows}
    found: dict[int, Entry] = {}
    for held, outcome in tries:
        entry = held.entry
        state, hold, claimed_by, attempts = now.get(entry.seq, (None,) * 4)
        if (claimed_by, attempts) != (entry.claimed_by, entry.attempts):
            continue
        if state == "sending":
            found[entry.seq] = entry
        elif (state == "unknown" or (state, hold) == ("held", "doubt")) and outcome.status in {"done", "rejected"}:
            late = outbox.get(tx, entry.key)
            if late is not None:
                found[entry.seq] = late
    return found


def _settle_undone(tx: Tx, entry: Entry, held: Claim, outcome: Outcome, *, now: int) -> Change:
    if entry.kind == "state":
        return _settle_state(tx, entry, held, outcome, now=now)
    if outcome.status == "rejected":
        return outbox.move(tx, entry, "rejected", now=now, ref=outcome.ref, note=outcome.reason or None)
    if outcome.status == "unknown" and entry.kind == "message":
        return outbox.move(tx, entry, "held", now=now, hold="doubt", note=f"in doubt: {outcome.reason}")
    if outcome.status == "unknown" or held.doubtful:
        note = outcome.reason if outcome.status == "unknown" else f"an earlier try is in doubt; {outcome.reason}"
        return _in_doubt(tx, entry, note, outcome.retry_after, now=now)
    return _again(tx, entry, outcome, now=now)


def _settle_state(tx: Tx, entry: Entry, held: Claim, outcome: Outcome, *, now: int) -> Change:
    target = _target(entry)
    if outcome.status == "rejected":
        refused = set(outcome.fields) or set(held.fields)
        taken = {field: value for field, value in held.fields.items() if field not in refused}
        pushed.accept(tx, [pushed.Accepted(target, entry.capability, taken, entry.key)], now=now)
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
    left = list(outbox.entries(tx, "state = 'sending'"))
    return settle_all(
        tx, [(Claim(entry=entry, fields=entry.fields if entry.kind == "state" else {}), lost) for entry in left], now=now
    )


def expire(tx: Tx, *, now: int) -> list[Change]:
    """Expire what was not sent in time, `PAGE` rows at most. What is in doubt stays: it may have been done."""
    where = "state IN ('planned', 'held') AND expires_at <= ? AND (hold IS NULL OR hold <> 'doubt') ORDER BY seq LIMIT ?"
    late = _page(tx, where, now)
    return outbox.move_all(tx, [outbox.Move(entry, "expired", "its time had passed") for entry in late], now=now)


def hold_restored(tx: Tx, *, now: int) -> list[Change]:
    """Hold planned effects, `PAGE` at most, after a restore of the store, which may not know what was sent since its backup.

    This goes on, for new effects too, until `accept_restore`: a policy may well plan again what was sent already.
    """
    if not tx.one("SELECT 1 FROM meta WHERE key = ?", (RESTORED,)):
        return []
    note = "the store was restored from a backup, and what was sent since is not known here"
    due = "(state = 'planned' OR (state = 'held' AND hold = 'wait')) AND approved_at IS NULL ORDER BY seq LIMIT ?"
    found = _page(tx, due)
    return outbox.move_all(tx, [outbox.Move(entry, "held", note, {"hold": "restored"}) for entry in found], now=now)


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
    return outbox.move_all(tx, [outbox.Move(entry, "held", note, {"hold": "approval"}) for entry in found], now=now)


def _page(tx: Tx, where: str, *params: object) -> list[Entry]:
    return outbox.page(tx, where, (*params, PAGE))
