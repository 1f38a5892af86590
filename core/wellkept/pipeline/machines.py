"""Machines: policies with memory. Their facts, in order, become steps; state and effects of a step commit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from wellkept.effects import Payload, Target
from wellkept.errors import RejectedError
from wellkept.frame import Frame
from wellkept.pipeline.planning import FAULTS, PRIMED, Origin, Planner
from wellkept.policy import Fact, Machine, Step
from wellkept.records import Record
from wellkept.redact import redact_exception
from wellkept.store import outbox, policy_states
from wellkept.store.engine import Reader, Store, Tx
from wellkept.store.outbox import Settled
from wellkept.store.policy_states import START, Memory, QueuedFact
from wellkept.store.records import RecordTables

CHUNK = 200
"""Steps in one transaction: the writer thread is not kept busy for long, and a stop repeats little."""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One fact on its way to a machine.

    Attributes:
        cause: See `Fact`.
        at: When, epoch ms.
        subject: Whose fact it is.
        place: The record's instance and id, for machines over records; None for accounts.
        account: The canonical account id.
        queued: The queue's row that it answers, where it is the last subject to hear of it.
        settled: The effect that ended.
    """

    cause: Literal["frame", "record", "wake", "settled"]
    at: int
    subject: str
    place: tuple[str, str] | None = None
    account: str | None = None
    queued: QueuedFact | None = None
    settled: Settled | None = None


@dataclass(kw_only=True)
class Stepped:
    """What one transaction did."""

    failed: dict[str, str] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


class MachineRun:
    """Lets one machine take its steps.

    Args:
        store: The store.
        tables: The record tables.
        machine: The machine.
        origin: Who it is, and whether it was primed.
        planner: Plans its effects.
        visible: The accounts that it may look at, with the columns that it uses.
        on_hold: The accounts that it may not look at; their facts stay where they are.
        unprimed: Accounts and subjects that it has still to be primed for.
        check: Makes sure, inside a transaction, that the run may commit.
        now: The current instant, epoch ms.
    """

    def __init__(
        self,
        store: Store,
        tables: RecordTables,
        machine: Machine[Any],
        origin: Origin,
        planner: Planner,
        *,
        visible: Frame,
        on_hold: Mapping[str, str],
        unprimed: set[str],
        check: Callable[[Reader], None],
        now: int,
    ) -> None:
        self._store = store
        self._tables = tables
        self._machine = machine
        self._origin = origin
        self._planner = planner
        self._visible = visible
        self._shown = frozenset(visible.accounts)
        self._on_hold = on_hold
        self._unprimed = unprimed
        self._check = check
        self._now = now
        self._over = machine.over if isinstance(machine.over, type) else None
        self._types: dict[str, type[Record]] = {
            type_.type: type_ for type_ in (*([self._over] if self._over else []), *machine.reads)
        }
        self.failed: dict[str, str] = {}
        """What went wrong, by subject; a subject takes no further steps in this run."""
        self.owed: set[str] = set()
        """Those of them that have still to be primed."""
        self.seen: set[str] = set()
        """Subjects that took a step."""

    def __call__(self) -> None:
        """Take all steps: effects that ended, changed records, alarms, then the frame."""
        self._hear_of_effects()
        self._hear_of_records()
        with self._store.read() as reader:
            alarms = [self._alarm(reader, *due) for due in policy_states.due(reader, self._origin.policy, self._now)]
        self._in_chunks(alarms)
        if self._over is None:
            self._in_chunks(
                [Happening(cause="frame", at=self._now, subject=account, account=account) for account in self._visible.accounts]
            )

    # --- where facts come from ---

    def _hear_of_effects(self) -> None:
        policy = self._origin.policy
        tried: set[int] = set()
        while True:
            with self._store.read() as reader:
                ended = [item for item in outbox.untold(reader, policy) if item.seq not in tried]
                found = [self._ending(reader, item) for item in ended]
            if not ended:
                return
            tried |= {item.seq for item in ended}
            ours = [item for item in found if item is not None]
            self._in_chunks(ours)
            strangers = [item.seq for item, happening in zip(ended, found, strict=True) if happening is None]
            if strangers:
                self._store.write_now(lambda tx, seqs=strangers: self._forget(tx, seqs))  # type: ignore[misc]

    def _forget(self, tx: Tx, seqs: Sequence[int]) -> None:
        """Note that nobody wants to know how these effects ended."""
        self._check(tx)
        outbox.mark_told(tx, seqs)

    def _ending(self, reader: Reader, item: Settled) -> Happening | None:
        """Return the fact of an effect that ended; None for one that no step planned."""
        subject = policy_states.owner(reader, item.entry.key)
        if subject is None:
            return None
        place, account = self._whereabouts(reader, subject)
        at = item.entry.settled_at or self._now
        return Happening(cause="settled", at=at, subject=subject, place=place, account=account, settled=item)

    def _hear_of_records(self) -> None:
        place = START
        while True:
            with self._store.read() as reader:
                queued = policy_states.facts(reader, self._origin.policy, place, CHUNK)
                happenings = [happening for item in queued for happening in self._changes(reader, item)]
            if not queued:
                return
            place = queued[-1].place
            self._in_chunks(happenings)

    def _changes(self, reader: Reader, item: QueuedFact) -> list[Happening]:
        """Return the facts that a changed record raises; the last of them takes it out of the queue."""
        type_ = self._types.get(item.type)
        places: list[tuple[str, str] | None]
        if type_ is None:
            places = []
        elif self._over is None:
            places = [None]
        elif type_ is self._over:
            places = [(item.instance, item.id)]
        else:
            ref = self._reference(reader, type_, item)
            places = [] if ref is None else [(item.instance, ref)]
        found = []
        for place in places:
            if place is None or self._over is None:
                account = self._tables.account_of(reader, self._types[item.type], item.instance, item.id)
                subject = account
            else:
                account = self._tables.account_of(reader, self._over, *place)
                subject = ":".join(place)
            if subject is not None:
                found.append(Happening(cause="record", at=item.at, subject=subject, place=place, account=account, queued=item))
        if not found:  # it concerns nobody
            found.append(Happening(cause="record", at=item.at, subject="", queued=item))
        return found

    def _reference(self, reader: Reader, type_: type[Record], item: QueuedFact) -> str | None:
        """Return the subject that a record of another type refers to, by its field ``<type>_ref``; deleted or not."""
        assert self._over is not None  # noqa: S101 - narrows
        name = f"{self._over.type.rpartition('.')[2]}_ref"
        if name not in self._tables.columns(type_):
            return None
        table = self._tables.table(type_)
        ref: str | None = reader.value(f'SELECT "{name}" FROM {table} WHERE instance = ? AND id = ?', (item.instance, item.id))  # noqa: S608
        return ref

    def _alarm(self, reader: Reader, subject: str, at: int) -> Happening:
        place, account = self._whereabouts(reader, subject)
        return Happening(cause="wake", at=at, subject=subject, place=place, account=account)

    def _whereabouts(self, reader: Reader, subject: str) -> tuple[tuple[str, str] | None, str | None]:
        """Return a subject's record, if it is one, and its account."""
        if self._over is None:
            return None, subject
        instance, _, id_ = subject.partition(":")
        return (instance, id_), self._tables.account_of(reader, self._over, instance, id_)

    # --- steps ---

    def _in_chunks(self, happenings: Sequence[Happening]) -> None:
        for start in range(0, len(happenings), CHUNK):
            part = happenings[start : start + CHUNK]
            known = dict(self.failed)
            done = self._store.write_now(lambda tx, part=part, known=known: self._chunk(tx, part, known))  # type: ignore[misc]
            self.failed |= done.failed
            self.owed |= done.owed
            self.seen |= done.seen

    def _chunk(self, tx: Tx, happenings: Sequence[Happening], failed: Mapping[str, str]) -> Stepped:
        """Take steps in one transaction. Each subject's are undone alone when one fails."""
        self._check(tx)
        done = Stepped()
        memories = policy_states.load(tx, self._origin.policy, sorted({item.subject for item in happenings}))
        for item in happenings:
            if not item.subject and item.queued is not None:
                policy_states.done_with(tx, self._origin.policy, item.queued)
                continue
            if item.subject in failed or item.subject in done.failed or item.account in self._on_hold:
                continue
            try:
                memories[item.subject] = self._advance(tx, item, memories.get(item.subject))
            except FAULTS as error:
                done.failed[item.subject] = redact_exception(error)
                done.owed |= set() if self._is_primed(item) else {item.subject}
                continue
            done.seen.add(item.subject)
        return done

    def _is_primed(self, item: Happening) -> bool:
        return self._origin.primed and not {item.account, item.subject} & self._unprimed

    def _advance(self, tx: Tx, item: Happening, memory: Memory | None) -> Memory:
        """Take one step and return the new memory.

        Raises:
            RejectedError: The machine failed, or asked for what cannot be planned.
        """
        policy = self._origin.policy
        state = self._remember(item.subject, memory)
        before = memory or Memory(text=_text(state), wake_at=None)
        primed = self._is_primed(item)
        origin = replace(self._origin, primed=primed)
        fact = self._fact(tx, item, priming=not primed)
        step = self._step(state, fact)
        if item.cause == "frame" and not step.effects and Memory(text=_text(step.state), wake_at=step.wake_at) == before:
            return before  # what nearly all steps are: nothing to write
        with tx.savepoint():
            for effect in step.effects:
                key = self._planner.plan(tx, effect, origin)
                if key is not None and primed:
                    policy_states.own(tx, key, item.subject)
            if not primed:
                step = self._tell_primed(tx, step, fact, origin)
            after = Memory(text=_text(step.state), wake_at=step.wake_at)
            if after != before:
                policy_states.save(tx, policy, item.subject, after, self._now)
            if item.queued is not None:
                policy_states.done_with(tx, policy, item.queued)
            if item.settled is not None:
                outbox.mark_told(tx, [item.settled.seq])
        return after

    def _tell_primed(self, tx: Tx, step: Step[Any], fact: Fact, origin: Origin) -> Step[Any]:
        """Tell a machine that is being primed that its effects will never be sent, lest it waits for them to end."""
        for effect in step.effects:
            ended = msgspec.structs.replace(fact, cause="settled", effect=effect, effect_state="superseded", note=PRIMED)
            step = self._step(step.state, ended)
            for other in step.effects:
                self._planner.plan(tx, other, origin)
        return step

    def _remember(self, subject: str, memory: Memory | None) -> Any:
        """Return a subject's state, guarded."""
        try:
            if memory is None:
                return self._machine.initial(subject)
            return msgspec.json.decode(memory.text, type=self._machine.state)
        except Exception as error:
            raise RejectedError(f"its state cannot be had: {redact_exception(error)}") from error

    def _step(self, state: Any, fact: Fact) -> Step[Any]:
        """Let the machine take a step, guarded."""
        try:
            step: object = self._machine.step(state, fact)
        except Exception as error:
            raise RejectedError(redact_exception(error)) from error
        if not isinstance(step, Step):
            raise RejectedError(f"its step returned a {type(step).__name__}", guidance="return a Step")
        return step

    def _fact(self, tx: Tx, item: Happening, *, priming: bool) -> Fact:
        record = None
        if item.place is not None and self._over is not None:
            record = self._tables.get(tx, self._over, *item.place)
        settled = item.settled
        related = {
            type_.type: list(self._tables.owned(tx, type_, item.account)) if item.account else []
            for type_ in self._machine.reads
        }
        return Fact(
            subject=item.subject,
            cause=item.cause,
            at=item.at,
            account=item.account,
            row=self._visible.row(item.account) if item.account in self._shown and item.account is not None else None,
            record=record,
            related={name: [record for _, record in found] for name, found in related.items()},
            targets={
                name: [Target(instance=instance, type=name, id=record.id) for instance, record in found]
                for name, found in related.items()
            },
            effect=settled.entry.effect(payload_type(settled.entry.capability)) if settled else None,
            effect_state=settled.state if settled else None,
            note=settled.note if settled else None,
            priming=priming,
        )


def payload_type(capability: str) -> type[Payload]:
    """Return the payload type of a capability, core's or a plugin's.

    Raises:
        RejectedError: The plugin that had it is gone.
    """
    waiting = [Payload]
    while waiting:
        for type_ in waiting.pop().__subclasses__():
            if type_.capability == capability:
                return type_
            waiting.append(type_)
    raise RejectedError(f"no plugin knows the capability {capability!r} any more", guidance="enable the one that did")


def _text(state: msgspec.Struct) -> str:
    return msgspec.json.encode(state).decode()
