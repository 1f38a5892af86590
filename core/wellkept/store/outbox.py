"""The outbox: every effect that was ever planned, where it is, and why.

Rows are made by `plan` and `plan_state`, in the transaction that commits the decision. They move only along `LEGAL`, each
move with an entry in the audit chain. What people do to them is in `wellkept.store.approvals`, what delivering does in
`wellkept.store.claims`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from wellkept.effects import Effect, Kind, Payload, State, Target
from wellkept.records import Json
from wellkept.store import audit, pushed
from wellkept.store.engine import Reader, Tx
from wellkept.store.updates import update_rows

Hold = Literal["approval", "person", "restored", "doubt", "tries", "wait", "dry"]
"""What a held effect waits for.

============  =============================================================================================
value         who lets go of it
============  =============================================================================================
approval      a person's `approve`: the policy asks for it, or its run planned too much
person        a person's `approve`: a person held it
restored      a person's `approve`: the store was restored from a backup
doubt         a person's ``retry --i-know``: nobody can say whether it was done
tries         a person's `retry`: it was tried too often
wait          the next delivery, which looks again: the recheck, a missing recipient, a route that is not clear
dry           (of a *planned* effect) nobody; it was looked at while its target was not live
============  =============================================================================================
"""

UNDO = "undo"
"""Stands as the policy of the effects that put prior values back."""

MOVED_AT_ONCE = 200
"""Effects that one statement moves at most."""

FINAL: frozenset[State] = frozenset({"done", "rejected", "superseded", "expired"})

LEGAL: Mapping[State, frozenset[State]] = {
    "planned": frozenset({"sending", "held", "rejected", "superseded", "expired"}),
    "held": frozenset({"planned", "sending", "held", "done", "rejected", "superseded", "expired"}),
    "sending": frozenset({"done", "rejected", "unknown", "planned", "held", "superseded"}),
    "unknown": frozenset({"sending", "done", "rejected", "planned", "held"}),
    "done": frozenset(),
    "rejected": frozenset(),
    "superseded": frozenset(),
    "expired": frozenset(),
}
"""Where an effect may go from where it is.

Two ways need a word. ``held`` to ``done`` (or ``rejected``): a sender that was believed dead comes back with the answer.
``unknown`` to ``sending``: the same key again, inside the vendor's own window.
"""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row of the outbox. Fields are those of the table; JSON columns are still text."""

    seq: int
    key: str
    own_key: str
    parent: str | None
    run_id: str
    policy: str
    policy_version: str
    capability: str
    kind: Kind
    account: str | None
    instance: str | None
    target_instance: str | None
    target_type: str | None
    target_id: str | None
    payload: str
    reason: str
    state: State
    note: str | None
    hold: Hold | None
    not_before: int | None
    expires_at: int | None
    attempts: int
    planned_at: int
    approved_at: int | None
    first_sent_at: int | None
    claimed_at: int | None
    claimed_by: str | None
    settled_at: int | None
    ref: str | None
    prior: str | None

    @property
    def target(self) -> Target | None:
        """The vendor record, where one is named."""
        if self.target_instance is None or self.target_type is None or self.target_id is None:
            return None
        return Target(instance=self.target_instance, type=self.target_type, id=self.target_id)

    @property
    def fields(self) -> dict[str, Json]:
        """The values that a ``state`` effect sets."""
        found: dict[str, Json] = msgspec.json.decode(self.payload)["properties"]
        return found

    def effect(self, payload: type[Payload]) -> Effect:
        """Return the effect as its policy planned it.

        Args:
            payload: The type that the serving action names.

        Raises:
            msgspec.ValidationError: The stored payload does not fit the type.
        """
        return Effect(
            key=self.own_key,
            payload=msgspec.json.decode(self.payload, type=payload),
            account=self.account,
            reason=self.reason,
            target=self.target,
            not_before=self.not_before,
            expires_at=self.expires_at,
        )


COLUMNS = ", ".join(Entry.__struct_fields__)


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One move of one effect, for events and reports."""

    entry: Entry
    after: State
    note: str | None = None


class Move(msgspec.Struct, frozen=True, gc=False):
    """One move that is to be made.

    Attributes:
        entry: The effect as it is.
        state: Where it goes.
        note: Why.
        columns: What else is set; `hold` is cleared unless it is among them.
    """

    entry: Entry
    state: State
    note: str | None = None
    columns: Mapping[str, Any] = {}


class IllegalMoveError(AssertionError):
    """A bug in Wellkept: an effect was to move where it must not."""


# --- reading -------------------------------------------------------------------------------------------------------------


def entries(reader: Reader, where: str, params: Sequence[Any] = ()) -> Iterator[Entry]:
    """Yield the rows that an SQL condition selects, in the order of planning (unless it says otherwise)."""
    for row in reader.rows(_selected(where), params):
        yield Entry(*row)


def page(reader: Reader, where: str, params: Sequence[Any] = ()) -> list[Entry]:
    """Do what `entries` does for a condition that bounds the number of rows."""
    return [Entry(*row) for row in reader.all(_selected(where), params)]


def _selected(where: str) -> str:
    order = "" if "ORDER BY" in where else " ORDER BY seq"
    return f"SELECT {COLUMNS} FROM outbox WHERE {where}{order}"  # noqa: S608 - our own texts


def get(reader: Reader, key: str) -> Entry | None:
    """Return one effect by its full key."""
    row = reader.one(f"SELECT {COLUMNS} FROM outbox WHERE key = ?", (key,))  # noqa: S608 - our own names
    return None if row is None else Entry(*row)


def find(
    reader: Reader,
    *,
    keys: Sequence[str] | None = None,
    run: str | None = None,
    account: str | None = None,
    states: Sequence[State] | None = None,
    capability: str | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """Return the effects that fit all that is given, oldest first; with `limit`, the newest so many."""
    where, params = ["1 = 1"], list[Any]()
    for column, values in (("key", keys), ("state", states)):
        if values is not None:
            where.append(f"{column} IN ({', '.join('?' * len(values))})")
            params += values
    for column, value in (("run_id", run), ("account", account), ("capability", capability)):
        if value is not None:
            where.append(f"{column} = ?")
            params.append(value)
    found = list(
        entries(reader, f"{' AND '.join(where)} ORDER BY seq DESC LIMIT ?", (*params, 2**63 - 1 if limit is None else limit))
    )
    return found[::-1]


def counts(reader: Reader) -> dict[State, int]:
    """Return how many effects are in which state."""
    return dict(reader.all("SELECT state, COUNT(*) FROM outbox GROUP BY state"))


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """How an effect ended, for the policy that planned it (`Fact` with cause ``settled``).

    Attributes:
        seq: For `mark_told`.
        entry: The effect as planned. For a part (one address of the team) it is the whole.
        state: How it ended, or how this part of it did.
        note: Why.
    """

    seq: int
    entry: Entry
    state: State
    note: str | None


def untold(reader: Reader, policy: str, limit: int = 1000) -> list[Settled]:
    """Return effects of a policy that ended and that it has not been told of, oldest first.

    An effect that was split (into one message per address) counts by its parts, which come under the key of the whole.
    """
    found: list[Settled] = []
    where = "policy = ? AND told = 0 AND state IN ('done', 'rejected', 'superseded', 'expired') ORDER BY seq LIMIT ?"
    for entry in list(entries(reader, where, (policy, limit))):
        whole = entry if entry.parent is None else get(reader, entry.parent)
        found.append(Settled(seq=entry.seq, entry=whole or entry, state=entry.state, note=entry.note))
    return found


def mark_told(tx: Tx, seqs: Sequence[int]) -> None:
    """Note, in the transaction that commits the policy's new state, that it has been told."""
    tx.many("UPDATE outbox SET told = 1 WHERE seq = ?", [(seq,) for seq in seqs])


# --- planning --------------------------------------------------------------------------------------------------------------


def plan(
    tx: Tx,
    effect: Effect,
    *,
    key: str,
    policy: str,
    policy_version: str,
    run_id: str,
    kind: str,
    target: Target | None,
    state: Literal["planned", "held", "superseded"],
    note: str | None,
    now: int,
    hold: Hold = "approval",
    parent: str | None = None,
    approved_at: int | None = None,
) -> bool:
    """Plan an effect whose key names it for ever: kinds ``once`` and ``message``.

    Args:
        tx: The transaction that also commits the policy's state.
        effect: What the policy asks for.
        key: Its full key, with the policy's instance and name.
        policy: The policy's instance and name.
        policy_version: Its version.
        run_id: The run that plans it.
        kind: The payload's kind.
        target: The vendor record, where one is known.
        state: ``held`` keeps it until `hold` is lifted; ``superseded`` only takes note of the key, so that it never fires
            (a first run).
        note: Why it is held or superseded.
        now: The current instant.
        hold: What a held one waits for.
        parent: The effect that this one is a part of.
        approved_at: When a person approved that.

    Returns:
        False when the key is known: nothing was planned, whatever became of the first one.
    """
    if effect.account is None and state == "planned":
        state, note, hold = "held", "it names no account", "wait"
    seq = _insert(
        tx,
        {
            "key": key,
            "own_key": effect.key,
            "parent": parent,
            "run_id": run_id,
            "policy": policy,
            "policy_version": policy_version,
            "capability": effect.payload.capability,
            "kind": kind,
            "account": effect.account,
            "target_instance": target.instance if target else None,
            "target_type": target.type if target else None,
            "target_id": target.id if target else None,
            "payload": pushed.canonical(effect.payload),
            "reason": effect.reason,
            "state": state,
            "note": note,
            "hold": hold if state == "held" else None,
            "not_before": effect.not_before,
            "expires_at": effect.expires_at,
            "planned_at": now,
            "approved_at": approved_at,
            "settled_at": now if state == "superseded" else None,
            "told": int(state == "superseded"),
        },
    )
    return seq is not None


def plan_state(
    tx: Tx,
    *,
    target: Target,
    capability: str,
    fields: Mapping[str, Json],
    account: str | None,
    reason: str,
    policy: str,
    policy_version: str,
    run_id: str,
    state: Literal["planned", "held"],
    note: str | None,
    now: int,
    hold: Hold = "approval",
) -> bool:
    """Plan values of a vendor record: kind ``state``. For each field the newest value wins.

    A field whose newest wish (waiting, on its way, or accepted) is already this value is left out. What waits for a field
    with another value gives that field up; an effect that has given up all of its fields is superseded.

    Returns:
        Whether an effect was planned: False when there is nothing left to do.
    """
    where = "instance = ? AND target_id = ? AND capability = ? AND target_type = ? AND state IN ('planned', 'held', 'sending')"
    open_ = list(entries(tx, where, (target.instance, target.id, capability, target.type)))
    accepted = pushed.load(tx, target, capability)
    flying, waiting = dict[str, str](), dict[str, str]()
    for entry in open_:
        texts = {field: pushed.canonical(value) for field, value in entry.fields.items()}
        (flying if entry.state == "sending" else waiting).update(texts)
    wanted: dict[str, Json] = {}
    given_up: set[str] = set()
    for field, value in fields.items():
        text = pushed.canonical(value)
        newest = waiting.get(field) or flying.get(field)
        if newest == text:
            continue
        if field in waiting:
            given_up.add(field)
        if field not in flying and field in accepted and accepted[field].text == text:
            continue
        wanted[field] = value
    for entry in open_:
        if entry.state != "sending":
            narrow(tx, entry, given_up, now=now)
    if not wanted:
        return False
    stem = f"{policy}/{capability}/{target.instance}:{target.type}:{target.id}/{run_id}"
    values = {
        "own_key": "",
        "run_id": run_id,
        "policy": policy,
        "policy_version": policy_version,
        "capability": capability,
        "kind": "state",
        "account": account,
        "instance": target.instance,
        "target_instance": target.instance,
        "target_type": target.type,
        "target_id": target.id,
        "payload": pushed.canonical({"properties": wanted}),
        "reason": reason,
        "state": state,
        "note": note,
        "hold": hold if state == "held" else None,
        "planned_at": now,
    }
    number = 1
    while _insert(tx, {"key": stem if number == 1 else f"{stem}/{number}", **values}) is None:
        number += 1
    return True


def baseline(tx: Tx, target: Target, capability: str, fields: Mapping[str, Json], now: int) -> None:
    """Take note of values as if the vendor had them, without sending any: what a first run does."""
    pushed.baseline(tx, target, capability, fields, now=now)


def narrow(tx: Tx, entry: Entry, fields: set[str], *, now: int) -> None:
    """Take fields out of a waiting ``state`` effect, because something newer sets them."""
    left = {field: value for field, value in entry.fields.items() if field not in fields}
    if not left:
        move(tx, entry, "superseded", now=now, note="a newer value was planned")
    elif len(left) < len(entry.fields):
        told = _told("effect.narrowed", entry, fields=sorted(fields & entry.fields.keys()))
        audit.append_all(tx, [told], now=now)
        tx.execute("UPDATE outbox SET payload = ? WHERE seq = ?", (pushed.canonical({"properties": left}), entry.seq))


def _insert(tx: Tx, values: Mapping[str, Any]) -> int | None:
    """Add a row and return its number; None when the key is known."""
    row = tx.one(
        f"INSERT INTO outbox ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"  # noqa: S608 - our own names
        " ON CONFLICT (key) DO NOTHING RETURNING seq",
        tuple(values.values()),
    )
    if row is None:
        return None
    body = {name: values[name] for name in ("policy", "policy_version", "reason", "state", "note")}
    about = {"effect": values["key"], "kind": values["kind"], "capability": values["capability"], "run": values["run_id"]}
    audit.append(tx, "effect.planned", values["account"] or values["run_id"], {**about, **body}, now=values["planned_at"])
    return int(row[0])


# --- moving ------------------------------------------------------------------------------------------------------------------


def move(tx: Tx, entry: Entry, state: State, *, now: int, note: str | None = None, **columns: Any) -> Change:
    """Move an effect, and write the move into the audit chain. `hold` is cleared unless given.

    Raises:
        IllegalMoveError: `LEGAL` does not allow it, or the effect is no longer where `entry` says.
    """
    return move_all(tx, [Move(entry, state, note, columns)], now=now)[0]


def move_all(tx: Tx, moves: Sequence[Move], *, now: int) -> list[Change]:
    """Move effects, no two of them the same, and write the moves into the audit chain in their order.

    Raises:
        IllegalMoveError: As for `move`; then none of them may be committed.
    """
    if not moves:
        return []
    alike: dict[tuple[State, State, tuple[str, ...]], list[Move]] = {}
    for each in moves:
        entry, state = each.entry, each.state
        if state not in LEGAL[entry.state]:
            raise IllegalMoveError(f"effect {entry.key}: {entry.state} to {state}")
        alike.setdefault((entry.state, state, tuple(each.columns)), []).append(each)
    for group in alike.values():
        for start in range(0, len(group), MOVED_AT_ONCE):
            _update(tx, group[start : start + MOVED_AT_ONCE], now)
    told = [_told(f"effect.{each.state}", each.entry, before=each.entry.state, note=each.note) for each in moves]
    audit.append_all(tx, told, now=now)
    return [Change(entry=each.entry, after=each.state, note=each.note) for each in moves]


def _update(tx: Tx, moves: Sequence[Move], now: int) -> None:
    """Write moves from one state into another, with the same columns, by one statement."""
    before, after, count = moves[0].entry.state, moves[0].state, len(moves)
    columns: dict[str, Sequence[Any]] = {
        "state": [after] * count,
        "hold": [None] * count,
        "note": [each.note for each in moves],
    }
    if after in FINAL:
        columns["settled_at"] = [now] * count
    if names := moves[0].columns.keys():
        columns |= zip(names, zip(*(each.columns.values() for each in moves), strict=True), strict=True)
    if update_rows(tx, "outbox", [each.entry.seq for each in moves], columns, state=before) != count:
        those = f"effect {moves[0].entry.key}" if count == 1 else f"one of {count} effects"
        raise IllegalMoveError(f"{those} is no longer {before}")


def _told(kind: str, entry: Entry, **more: Json) -> audit.Told:
    """Return what the audit chain is told, about the account (or the run, where there is none)."""
    more |= {
        "effect": entry.key,
        "kind": entry.kind,
        "capability": entry.capability,
        "run": entry.claimed_by or entry.run_id,
    }
    return kind, entry.account or entry.run_id, more


def postpone(tx: Tx, entry: Entry, until: int, note: str, *, now: int) -> None:
    """Let an effect wait until an instant, saying why. For a planned one that is no move."""
    if entry.state == "held":
        move(tx, entry, "planned", now=now, note=note, not_before=until)
        return
    tx.execute("UPDATE outbox SET not_before = ?, note = ? WHERE seq = ? AND state = ?", (until, note, entry.seq, entry.state))
