"""What decides: `Policy` for "look at the frame", `Machine` for what remembers.

A policy is pure: it gets the frame (or one fact) and returns effects. It performs nothing, reads no clock and no network.
Core primes a policy on its first run (what is already so causes nothing), holds a run that plans too much, and asks
`recheck` with fresh facts just before an effect is sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

from wellkept.effects import Effect, Payload, State, Target
from wellkept.frame import Column, Frame, Row
from wellkept.records import Record

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=msgspec.Struct)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a recheck: send it, keep it for later, or drop it. Build it with the three class methods."""

    action: Literal["proceed", "hold", "expire"]
    reason: str = ""
    until: int | None = None

    @classmethod
    def proceed(cls) -> Verdict:
        """Send it now."""
        return cls(action="proceed")

    @classmethod
    def hold(cls, reason: str, *, until: int | None = None) -> Verdict:
        """Keep it; core asks again at `until` (epoch ms), or on the next delivery run."""
        return cls(action="hold", reason=reason, until=until)

    @classmethod
    def expire(cls, reason: str) -> Verdict:
        """Drop it for good: what it answers to is over."""
        return cls(action="expire", reason=reason)


class Facts(Protocol):
    """The world at this instant, given to `Decider.recheck`.

    Before a message or a ``once`` effect is rechecked, core reads the account's records that feed the decider's columns (and a
    machine's own subject) again from their sources; when that fails, the effect is held.
    """

    @property
    def now(self) -> int:
        """The current instant, epoch ms."""
        ...

    def row(self, account: str) -> Row | None:
        """The account's measures and scores, recomputed now; None when the account is gone."""
        ...

    def records(self, record: type[R], account: str) -> Sequence[R]:
        """All records of a type that belong to an account, deleted ones left out."""
        ...

    def record(self, record: type[R], id_: str, *, instance: str) -> R | None:
        """One record; None when it is unknown or deleted."""
        ...


class Decider(ABC):
    """What `Policy` and `Machine` have in common; subclass one of these."""

    name: str
    """Unique in its plugin instance; both are part of every effect's key. Renaming a policy primes it anew."""
    version: ClassVar[str]
    """Raise it when the same facts may give other effects."""

    @property
    @abstractmethod
    def uses(self) -> frozenset[str]:
        """The columns that it reads; it sees no others.

        An account for which one of them is stale, anomalous or held is left out of what it sees, and the hold is
        recorded with its reason.
        """

    def bind(self, columns: Mapping[str, Column]) -> None:
        """Look at the columns in `uses` once, before the first frame, and complain early.

        Raises:
            ConfigError: A column has a unit or a currency that the decider cannot use.
        """
        del columns

    @abstractmethod
    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        """Look again just before every try to send `effect`.

        This is where "never after recovery" and "not while paused" are kept. If it raises, the effect is held.
        """


class Policy(Decider):
    """Turns a frame into effects, anew each time. Return instances from the `policies` hook."""

    @abstractmethod
    def decide(self, frame: Frame) -> Iterable[Effect]:
        """Return what should be so. Returning it again is harmless: effects have keys."""

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        """Decide again for this account alone: what would no longer be planned expires."""
        row = facts.row(effect.account) if effect.account else None
        if row is None:
            return Verdict.expire("the account is gone")
        again = (other.key == effect.key and _covers(other.payload, effect.payload) for other in self.decide(row.frame()))
        return Verdict.proceed() if any(again) else Verdict.expire("its reason no longer holds")


def _covers(planned: Payload, kept: Payload) -> bool:
    """Say whether a payload asks for all that the outbox keeps of an earlier one: of a ``state`` only what was new then."""
    if planned.capability != kept.capability:
        return False
    wanted, stored = _stored(planned), _stored(kept)
    if planned.kind != "state":
        return bool(wanted == stored)
    properties = wanted["properties"]
    return all(name in properties and properties[name] == value for name, value in stored["properties"].items())


def _stored(payload: Payload) -> Any:
    """Return a payload as the outbox keeps it: a tuple comes back from there as a list, and means the same."""
    return msgspec.json.decode(msgspec.json.encode(payload))


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a `Machine` learns about one subject.

    Attributes:
        subject: What the state belongs to: an account id, or a record id with its instance (``stripe:in_1``).
        cause: ``frame``: the subject's row was computed. ``record``: its record changed. ``wake``: the time that the
            machine asked for has come. ``settled``: an effect of this subject ended.
        at: When, epoch ms.
        account: The canonical account id.
        row: The account's cells, where the machine's subject is an account, or it woke up.
        record: For machines over records: the record as it is now, whatever the cause; None when it was deleted.
        related: Records of the types in `Machine.reads` that belong to the same account, by type name.
        targets: Where each of them is, in the same order: what an effect about one of them names as its target.
        effect: With cause ``settled``: the effect,
        effect_state: how it ended,
        note: and why.
        priming: This is the machine's first run, whose effects are dropped: a state that remembers when it acted should not
            count this step.
    """

    subject: str
    cause: Literal["frame", "record", "wake", "settled"]
    at: int
    account: str | None = None
    row: Row | None = None
    record: Record | None = None
    related: Mapping[str, Sequence[Record]] = {}
    targets: Mapping[str, Sequence[Target]] = {}
    effect: Effect | None = None
    effect_state: State | None = None
    note: str | None = None
    priming: bool = False


class Step(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """What a machine answers: its next state, effects, and when to be woken (epoch ms, None for not at all)."""

    state: S
    effects: Sequence[Effect] = ()
    wake_at: int | None = None


class Machine(Decider, Generic[S]):
    """A policy with memory: one small state per subject, committed together with the effects that it planned.

    `step` must be pure in (state, fact). Facts of one subject arrive in order, one at a time. In the run that primes it, its
    states are kept and its effects are dropped: what was already so causes nothing.
    """

    state: type[S]
    """The struct that holds the state; fields may be added with defaults."""
    over: ClassVar[Literal["account"] | type[Record]] = "account"
    """``account``: one subject per account, a fact whenever its row was computed. A record type: one subject per record, a
    fact whenever it changed or was deleted."""
    reads: ClassVar[tuple[type[Record], ...]] = ()
    """Other record types that it needs; see `Fact.related`. A change of one that refers to a subject raises a fact too."""

    @abstractmethod
    def initial(self, subject: str) -> S:
        """Return the state of a subject that was never seen."""

    @abstractmethod
    def step(self, state: S, fact: Fact) -> Step[S]:
        """Return what follows from one fact."""
