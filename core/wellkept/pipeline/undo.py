"""Undo: puts back what stood at the vendor before a run, where our value still stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from wellkept.action import Action, StateAction
from wellkept.effects import Target
from wellkept.errors import WellkeptError
from wellkept.pipeline.worker import batches
from wellkept.records import Json
from wellkept.redact import redact_exception
from wellkept.store import outbox, pushed
from wellkept.store.engine import Store, Tx
from wellkept.store.outbox import Entry


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What was not put back, and why."""

    key: str
    field: str | None
    reason: str


@dataclass(kw_only=True)
class UndoReport:
    """What an undo did.

    Attributes:
        planned: (effect, field) whose prior value was planned; the next delivery puts it back, where the instance is live.
        left: What stays as it is.
    """

    planned: list[tuple[str, str]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


async def undo(
    store: Store,
    actions: Mapping[str, Sequence[Action]],
    *,
    undo_run: str,
    run: str | None = None,
    keys: Sequence[str] | None = None,
    now: int,
) -> UndoReport:
    """Plan prior values for what a run (or single effects) set, where nobody has changed it since.

    Args:
        store: The store.
        actions: What each instance serves; needed to look at the vendor.
        undo_run: The run under which the prior values are planned.
        run: The run to undo.
        keys: The effects to undo.
        now: The current instant.

    Raises:
        WellkeptError: Neither a run nor effects are named.
    """
    if run is None and keys is None:
        raise WellkeptError("name a run or effects to undo")
    report = UndoReport()
    groups: dict[tuple[str, str], list[Entry]] = {}
    with store.read() as reader:
        found = outbox.find(reader, run=run, keys=keys)
    for entry in found:
        reason = _cannot(entry)
        if reason is not None:
            report.left.append(Left(key=entry.key, field=None, reason=reason))
        elif entry.target is not None:
            groups.setdefault((entry.target.instance, entry.capability), []).append(entry)
    for (instance, capability), entries in groups.items():
        served = (action for action in actions.get(instance, ()) if action.payload.capability == capability)
        action = next(served, None)
        if not isinstance(action, StateAction):
            report.left += [_whole(entry, f"{instance} does not serve {capability} at present") for entry in entries]
            continue
        for batch in batches(entries, action.max_batch):
            await _undo(store, action, batch, undo_run, now, report)
    return report


async def _undo(  # noqa: PLR0917 - one loop's body
    store: Store, action: StateAction, batch: Sequence[Entry], undo_run: str, now: int, report: UndoReport
) -> None:
    targets = [_target(entry) for entry in batch]
    fields = sorted({field for entry in batch for field in _prior(entry)})
    try:
        present = list(await action.read(targets, fields))
    except Exception as error:  # noqa: BLE001 - whatever an action raises: what cannot be compared is not touched
        report.left += [_whole(entry, f"the present values could not be read: {redact_exception(error)}") for entry in batch]
        return
    for entry, values in zip(batch, present, strict=True):
        if values is None:
            report.left.append(_whole(entry, "the record is gone at the vendor"))
            continue
        back: dict[str, Json] = {}
        for name, value in _prior(entry).items():
            if _same(action, name, values.get(name), entry.fields[name]):
                back[name] = value
            else:
                report.left.append(Left(key=entry.key, field=name, reason="somebody has changed it since"))
        planned = await store.write(lambda tx, entry=entry, back=back: _plan(tx, entry, back, undo_run, now))  # type: ignore[misc]
        for name in back:
            if name in planned:
                report.planned.append((entry.key, name))
            else:
                report.left.append(Left(key=entry.key, field=name, reason="a newer value is already planned"))


def _plan(tx: Tx, entry: Entry, back: Mapping[str, Json], undo_run: str, now: int) -> set[str]:
    """Plan the values, except for fields for which something newer waits; return which were planned."""
    target = _target(entry)
    where = "instance = ? AND target_id = ? AND capability = ? AND target_type = ? AND state IN ('planned', 'held', 'sending')"
    waiting = list(outbox.entries(tx, where, (target.instance, target.id, entry.capability, target.type)))
    taken = {name for other in waiting for name in other.fields}
    fields = {name: value for name, value in back.items() if name not in taken}
    outbox.plan_state(
        tx,
        target=target,
        capability=entry.capability,
        fields=fields,
        account=entry.account,
        reason=f"undo of {entry.key}",
        policy=outbox.UNDO,
        policy_version="1",
        run_id=undo_run,
        state="planned",
        note=None,
        now=now,
    )
    return set(fields)


def _cannot(entry: Entry) -> str | None:
    """Say why an effect cannot be undone at all."""
    if entry.kind != "state":
        return f"an effect of kind {entry.kind} cannot be undone" if entry.state == "done" else f"it is {entry.state}"
    if entry.state not in {"done", "rejected"} or not _prior(entry):
        return f"it is {entry.state}; nothing of it reached the vendor" if entry.state != "done" else "it changed nothing"
    return None


def _prior(entry: Entry) -> dict[str, Json]:
    known: dict[str, Json] = msgspec.json.decode(entry.prior) if entry.prior else {}
    return {name: value for name, value in known.items() if name in entry.fields}


def _same(action: StateAction, name: str, one: Json, other: Json) -> bool:
    return pushed.canonical(action.normalise(name, one)) == pushed.canonical(action.normalise(name, other))


def _whole(entry: Entry, reason: str) -> Left:
    return Left(key=entry.key, field=None, reason=reason)


def _target(entry: Entry) -> Target:
    if entry.target is None:
        raise outbox.IllegalMoveError(f"effect {entry.key} has no target")
    return entry.target
