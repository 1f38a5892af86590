"""Rate limits that all processes on the store share.

**The rule.** A vendor permits `requests` in any `per` milliseconds. A process does not ask the store before every request: it
leases a slice of the budget, some permits that it may use until the lease ends, and says afterwards until when it has used
how many of them.

**Why it holds.** Each entry of `held` says: *n* requests may have reached the vendor, the last of them at `until`. A lease
enters with all its permits and with its end, put off by its own length once more, which is the time that a request has to
arrive. A settled one enters with those that were used, and the instant when the last of their answers came (a request has
reached the vendor by the time its answer is here). An entry counts until ``until + per``, and a
lease is granted only where the sum of all entries that count stays within `requests`. Take any window ``[t, t + per)`` and the
entries with a request in it. Let *g* be the instant of the newest of their grants, so ``g < t + per``. Each other entry has
``until >= t > g - per``, so it counted when that newest one was granted, and the sum was within `requests`. Hence no window
holds more. Rounding goes the safe way: entries may be joined under the later `until`, never under the earlier; an instant
that was read a little before the grant counts more, not less. Outside the proof are a request that needs longer than a lease
lasts to reach the vendor, and a clock that is put forward.

**Nobody starves.** Who gets nothing waits in a queue. Permits are set aside for those who wait longer, and while others wait a
lease takes no more than an equal share. A waiter that does not come back loses its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from wellkept.store.engine import Reader, Tx

State = TypeVar("State")

GRACE_MS = 2_000
"""How late a waiter may come back and still have its place."""

SHORTEST_LEASE_MS = 500
LONGEST_LEASE_MS = 5_000
"""Bounds of a lease. Short: what a dead process held comes back soon. Long: few writes."""

SHORTEST_POLL_MS = 100
LONGEST_POLL_MS = 30_000
"""Bounds of the pause before a waiter asks again: permits may be given back before their time."""

JOINED_PARTS = 64
"""Settled entries that ended within the same 64th of the period are joined, so that a row stays small."""

_UNDER_WAY = " (under way)"
"""Ends the key of the row that counts a credential's requests under way."""

SLACK_MS = 10_000
"""An entry that ends so much later than any lease can was written before the clock was put back: it is cut."""


class Lease(msgspec.Struct, frozen=True):
    """Permits to send `count` requests until `until`, epoch ms."""

    id: str
    count: int
    until: int


class Wait(msgspec.Struct, frozen=True):
    """Nothing to give: ask again at `again`. `sure` is an instant before which there will certainly be nothing."""

    again: int
    sure: int


class Settled(msgspec.Struct, frozen=True):
    """What came of a lease.

    Attributes:
        id: The lease's.
        used: Requests that were sent under it. The other permits go back.
        last: When the last of their answers came, epoch ms.
        final: All answers are here. Otherwise the lease goes on being held for the requests under way.
    """

    id: str
    used: int
    last: int
    final: bool


class _Held(msgspec.Struct, array_like=True):
    id: str  # empty once settled
    until: int
    count: int


class _Waiter(msgspec.Struct, array_like=True):
    owner: str
    alive_until: int


class _Budget(msgspec.Struct):
    held: list[_Held] = []
    queue: list[_Waiter] = []
    requests: int = 0  # what was permitted when somebody last asked, for those who look on
    per: int = 0


class _Slots(msgspec.Struct):
    held: dict[str, int] = {}
    queue: list[_Waiter] = []


_budgets = msgspec.json.Decoder(_Budget)
_slots = msgspec.json.Decoder(_Slots)


def blocked_until(reader: Reader, credential: str) -> int:
    """Return the instant before which nobody may use the credential, epoch ms; 0 when it is free."""
    return int(reader.value("SELECT blocked_until FROM limits WHERE credential = ?", (credential,)) or 0)


def all_blocks(reader: Reader) -> dict[str, int]:
    """Return `blocked_until` of every credential that is known."""
    rows = reader.all("SELECT credential, blocked_until FROM limits ORDER BY credential")
    return {credential: until for credential, until in rows if not credential.endswith(_UNDER_WAY)}


def block(tx: Tx, credential: str, until: int) -> None:
    """Keep everybody from using the credential before `until`, epoch ms. A block is only ever made longer."""
    tx.execute(
        "INSERT INTO limits (credential, blocked_until, state) VALUES (?, ?, '{}') ON CONFLICT (credential) DO UPDATE"
        " SET blocked_until = CASE WHEN excluded.blocked_until > limits.blocked_until"
        " THEN excluded.blocked_until ELSE limits.blocked_until END",
        (credential, until),
    )


def used_shares(reader: Reader, now: int, *, shortest: int = 0) -> dict[str, float]:
    """Return how much of each credential's budget is used in the period that ends now, 0 to 1; leased permits count as used.

    Args:
        reader: The store.
        now: Epoch ms.
        shortest: Milliseconds of the shortest period that counts.
    """
    rows = reader.all("SELECT credential, state FROM limits")
    budgets = ((credential, _budgets.decode(state)) for credential, state in rows if not credential.endswith(_UNDER_WAY))
    return {
        credential: min(1.0, sum(entry.count for entry in budget.held if entry.until + budget.per > now) / budget.requests)
        for credential, budget in budgets
        if budget.requests and budget.per >= shortest
    }


def lease_ms(per: int) -> int:
    """Return how long a lease lasts under a period, both in milliseconds."""
    return min(max(per // 10, SHORTEST_LEASE_MS), LONGEST_LEASE_MS)


def lease(
    tx: Tx,
    credential: str,
    owner: str,
    id: str,  # noqa: A002 - the word of the field that it becomes
    *,
    requests: int,
    per: int,
    want: int,
    now: int,
    settled: Sequence[Settled] = (),
) -> Lease | Wait:
    """Settle earlier leases and take a new one.

    Args:
        tx: The transaction.
        credential: Whose budget.
        owner: Who asks: one limiter of one process.
        id: The new lease's id, unlike any other.
        requests: Requests that the vendor permits ...
        per: ... in any so many milliseconds.
        want: Permits that would be of use; fewer may be given.
        now: The present instant, epoch ms, or one shortly before.
        settled: What came of this owner's earlier leases.
    """
    budget = _load(tx, credential, _budgets)
    budget.requests, budget.per = requests, per
    length = lease_ms(per)
    arrived = now + 2 * length
    _settle(budget, settled, arrived)
    budget.held = _joined([entry for entry in budget.held if entry.until + per > now], per)
    for entry in budget.held:
        entry.until = min(entry.until, arrived + SLACK_MS)
    ahead, waiting = _places(budget.queue, owner, now)
    budget.queue = waiting
    free = requests - sum(entry.count for entry in budget.held)
    share = max(1, free // (len({waiter.owner for waiter in waiting} | {owner})))
    count = min(want, free - ahead * share, share if any(waiter.owner != owner for waiter in waiting) else want)
    answer: Lease | Wait
    if count > 0:
        budget.queue = [waiter for waiter in waiting if waiter.owner != owner]
        budget.held.append(_Held(id, arrived, count))
        answer = Lease(id, count, now + length)
    else:
        answer = _wait(budget.held, 1 - free, ahead, per, now)
        _line_up(budget.queue, owner, answer.again + GRACE_MS)
    _save(tx, credential, budget)
    return answer


def take_slot(tx: Tx, credential: str, owner: str, *, limit: int, ttl: int, now: int) -> bool:
    """Take one of `limit` places for requests under way at the same time; first come, first served.

    Args:
        tx: The transaction.
        credential: Whose places.
        owner: Who asks: one request.
        limit: Requests that may be under way at the same time.
        ttl: Milliseconds after which the place is free again, unless `keep_slot` was called: its holder died.
        now: The present instant, epoch ms.
    """
    slots = _load(tx, _slot_key(credential), _slots)
    slots.held = {id_: min(until, now + ttl) for id_, until in slots.held.items() if until > now}
    ahead, slots.queue = _places(slots.queue, owner, now)
    taken = limit - len(slots.held) > ahead
    if taken:
        slots.queue = [waiter for waiter in slots.queue if waiter.owner != owner]
        slots.held[owner] = now + ttl
    else:
        _line_up(slots.queue, owner, now + GRACE_MS)
    _save(tx, _slot_key(credential), slots)
    return taken


def keep_slot(tx: Tx, credential: str, owner: str, *, until: int) -> None:
    """Say that the request is still under way."""
    slots = _load(tx, _slot_key(credential), _slots)
    slots.held[owner] = until
    _save(tx, _slot_key(credential), slots)


def free_slot(tx: Tx, credential: str, owner: str) -> None:
    """Give the place back, or leave the queue."""
    slots = _load(tx, _slot_key(credential), _slots)
    slots.held.pop(owner, None)
    slots.queue = [waiter for waiter in slots.queue if waiter.owner != owner]
    _save(tx, _slot_key(credential), slots)


def _settle(budget: _Budget, settled: Sequence[Settled], arrived: int) -> None:
    for report in settled:
        budget.held = [entry for entry in budget.held if entry.id != report.id]
        if not report.final:
            budget.held.append(_Held(report.id, arrived, report.used))
        elif report.used:
            budget.held.append(_Held("", report.last, report.used))


def _joined(held: list[_Held], per: int) -> list[_Held]:
    width = max(1, per // JOINED_PARTS)
    joined: list[_Held] = []
    for entry in sorted(held, key=lambda entry: (bool(entry.id), entry.until)):
        if joined and not entry.id and entry.until // width == joined[-1].until // width:
            joined[-1].until = entry.until
            joined[-1].count += entry.count
        else:
            joined.append(entry)
    return joined


def _wait(held: list[_Held], missing: int, ahead: int, per: int, now: int) -> Wait:
    """Find out when `missing` permits can be back, and as many more as wait ahead.

    `sure` supposes that at this moment all open leases come back unused and nobody waits ahead; `again` that the leases are
    used to their end, or a tenth of the period if that is sooner.
    """
    poll = now + min(max(per // 10, SHORTEST_POLL_MS), LONGEST_POLL_MS)
    settled = [entry for entry in held if not entry.id]
    unused = sum(entry.count for entry in held if entry.id)
    again = _free_at(held, missing + ahead, per, now)
    return Wait(poll if again is None else min(again, poll), _free_at(settled, missing - unused, per, now) or now)


def _free_at(held: list[_Held], missing: int, per: int, now: int) -> int | None:
    """Return the instant at which `missing` permits no longer count; None when there are not that many."""
    if missing <= 0:
        return now
    for entry in sorted(held, key=lambda entry: entry.until):
        missing -= entry.count
        if missing <= 0:
            return entry.until + per
    return None


def _places(queue: list[_Waiter], owner: str, now: int) -> tuple[int, list[_Waiter]]:
    """Return how many wait ahead of the owner, and the queue without those who did not come back."""
    alive = [waiter for waiter in queue if waiter.alive_until > now or waiter.owner == owner]
    ahead = next((place for place, waiter in enumerate(alive) if waiter.owner == owner), len(alive))
    return ahead, alive


def _line_up(queue: list[_Waiter], owner: str, alive_until: int) -> None:
    for waiter in queue:
        if waiter.owner == owner:
            waiter.alive_until = alive_until
            return
    queue.append(_Waiter(owner, alive_until))


def _slot_key(credential: str) -> str:
    return f"{credential}{_UNDER_WAY}"


def _load(tx: Tx, key: str, decoder: msgspec.json.Decoder[State]) -> State:
    return decoder.decode(tx.value("SELECT state FROM limits WHERE credential = ?", (key,)) or "{}")


def _save(tx: Tx, key: str, state: _Budget | _Slots) -> None:
    tx.execute(
        "INSERT INTO limits (credential, blocked_until, state) VALUES (?, 0, ?)"
        " ON CONFLICT (credential) DO UPDATE SET state = excluded.state",
        (key, msgspec.json.encode(state).decode()),
    )
