"""What the three kinds of delivery have in common: finding effects, calling an action, writing down what came of it."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from wellkept.action import Action, Outcome
from wellkept.effects import Effect
from wellkept.errors import NotSentError
from wellkept.pipeline.outgoing import CLAIM_SHARE, OURS, Outgoing, Patience, Result
from wellkept.pipeline.recheck import look_again
from wellkept.pipeline.recipients import TEAM, team_parts
from wellkept.redact import redact_exception
from wellkept.store import claims, outbox
from wellkept.store.claims import Claim
from wellkept.store.engine import Reader, Tx
from wellkept.store.outbox import Change, Entry

A = TypeVar("A", bound=Action)
T = TypeVar("T")

PAGE = 200
"""Effects read from the outbox at a time."""

SCANS = ("held", "planned")
"""In this order, so that what is held in a run is not looked at again in the same run."""


class Stop(NamedTuple):
    """Why an effect does not leave now."""

    what: Literal["held", "postponed", "expired", "rejected"]
    note: str
    until: int | None = None


GONE = Stop("expired", "the account is gone")
"""It was merged into another one, split, or erased: what was planned for it was meant for somebody else."""


class Split(NamedTuple):
    """An effect for several people, to be made into one for each."""

    parts: Sequence[str]


class Worker(ABC, Generic[A]):
    """Delivers the effects of one capability through one instance, one call after another.

    Args:
        out: The delivery.
        instance: The instance.
        action: Its action.
    """

    def __init__(self, out: Outgoing, instance: str, action: A) -> None:
        self.out = out
        self.instance = instance
        self.action = action
        self.capability = action.payload.capability
        self.live = out.is_live(instance, self.capability)
        self.patience = Patience(out.run)

    async def run(self) -> None:
        """Deliver everything that is due, or show it where the instance is not live."""
        if self.live:
            await self._hold_backlog()
        await self.work()
        if self.patience.is_spent:
            self.out.report.failures.setdefault(self.instance, self.patience.reason)

    async def work(self) -> None:
        """Go through what is due, page by page."""
        await self.begin()
        for state in SCANS:
            after = 0
            while not self.patience.is_over and (page := self._page(state, after)):
                after = page[-1].seq
                mine = [entry for entry in page if self.out.routes.choose(entry).instance == self.instance]
                await self.handle(mine)

    async def begin(self) -> None:
        """Do what comes before the effects that are due."""

    @abstractmethod
    async def handle(self, entries: Sequence[Entry]) -> None:
        """Deliver or show a page of effects."""

    def _page(self, state: str, after: int) -> list[Entry]:
        with self.out.store.read() as reader:
            return due(reader, state, after, self.out.clock.now(), capability=self.capability, instance=self.instance)

    async def _hold_backlog(self) -> None:
        out, most = self.out, self.out.safety.max_effects
        with out.store.read() as reader:
            count = claims.backlog(reader, self.instance, self.capability)
        if count <= most:
            return
        note = f"{count} effects were planned while {self.instance} was not live, more than the {most} of [safety]"

        def job(tx: Tx) -> list[Change]:
            return claims.hold_backlog(tx, self.instance, self.capability, note, now=out.clock.now())

        while changes := await self.write(job):
            for change in changes:
                self.show(change.entry, "held", note)

    # --- looking -----------------------------------------------------------------------------------------------------------

    def effect(self, entry: Entry) -> Effect | Stop:
        """Read a stored effect with the type that the action names."""
        try:
            return entry.effect(self.action.payload)
        except msgspec.ValidationError as error:
            return Stop("held", f"{self.instance} cannot read it: {error}; was it planned by another version?")

    async def ask(self, entry: Entry, effect: Effect) -> Stop | None:
        """Ask the policy again, with fresh facts. A part is asked about as the whole that was planned."""
        if entry.parent is not None and (who := role(effect.payload)) is not None:
            whole = msgspec.structs.replace(effect.payload, **{who[0]: TEAM})
            effect = msgspec.structs.replace(effect, payload=whole)
        verdict = await look_again(self.out, entry, effect)
        if verdict.action == "proceed":
            return None
        return Stop("held" if verdict.action == "hold" else "expired", verdict.reason, verdict.until)

    def split(self, entry: Entry, effect: Effect) -> Split | Stop | None:
        """Say into which parts an effect for the team falls; None where it is for one person."""
        who = role(effect.payload)
        if entry.kind == "state" or who is None or who[1] != TEAM:
            return None
        parts = team_parts(self.out)
        return Split(parts) if parts else Stop("held", "nobody is in the team; set `team` in [messages]")

    # --- writing -----------------------------------------------------------------------------------------------------------

    async def write(self, job: Callable[[Tx], list[Change]], *, durable: bool = False) -> list[Change]:
        """Run a job that moves effects, under the lease, and announce the moves once they are committed."""

        def fenced(tx: Tx) -> list[Change]:
            self.out.run.check(tx)
            return job(tx)

        changes = await self.out.store.write(fenced, durable=durable)
        self.out.tell(changes)
        return changes

    async def stop(self, entry: Entry, stop: Stop) -> None:
        """Put an effect aside. Where the instance is not live only its end is written down: the rest is for when it is."""
        self.show(entry, stop.what, stop.note)
        if self.out.dry_run or not (self.live or stop.what == "expired"):
            return

        def job(tx: Tx) -> list[Change]:
            now = self.out.clock.now()
            if stop.what == "postponed":
                if _same(tx, entry):
                    outbox.postpone(tx, entry, stop.until or now, stop.note, now=now)
                return []
            change = claims.put_aside(tx, entry, stop.what, stop.note, now=now, until=stop.until)
            return [] if change is None else [change]

        await self.write(job)

    async def divide(self, entry: Entry, effect: Effect, split: Split) -> None:
        """Plan one effect for each part, and end the whole."""
        who = role(effect.payload)
        if not self.live or who is None:
            self.show(entry, "would send", f"to the team, {len(split.parts)} of them")
            return

        def job(tx: Tx) -> list[Change]:
            now = self.out.clock.now()
            if not _same(tx, entry):
                return []
            for part in split.parts:
                payload = msgspec.structs.replace(effect.payload, **{who[0]: part})
                outbox.plan(
                    tx,
                    msgspec.structs.replace(effect, payload=payload),
                    key=f"{entry.key}/{part}",
                    policy=entry.policy,
                    policy_version=entry.policy_version,
                    run_id=entry.run_id,
                    kind=entry.kind,
                    target=entry.target,
                    state="planned",
                    note=None,
                    now=now,
                    parent=entry.key,
                    approved_at=entry.approved_at,
                )
            note = f"one for each of {len(split.parts)} in the team"
            return [outbox.move(tx, entry, "superseded", now=now, note=note, told=1)]

        await self.write(job)
        self.show(entry, "split", f"one for each of {len(split.parts)} in the team")

    async def mark_dry(self, entries: Sequence[Entry]) -> None:
        """Note that these would have left, had the instance been live."""
        if not self.out.dry_run and entries:
            await self.out.store.write(lambda tx: claims.mark_dry(tx, entries))

    def show(self, entry: Entry, result: Result, note: str | None = None, **more: object) -> None:
        """Write an effect into the report."""
        self.out.show(entry, result, note, instance=self.instance, **more)

    # --- calling -----------------------------------------------------------------------------------------------------------

    async def attempt(self, held: Sequence[Claim], send: Callable[[], Awaitable[Sequence[Outcome]]]) -> list[Outcome]:
        """Make the call for claimed effects, and return one outcome for each, whatever happens."""
        out = self.out
        if out.clock.now() - (held[0].entry.claimed_at or 0) > out.run.lease_seconds * 1000 * CLAIM_SHARE:
            return [Outcome.retry("the process was paused between the claim and the call")] * len(held)
        failed = True
        try:
            async with asyncio.timeout(out.call_seconds):
                outcomes = list(await send())
            failed = False
        except OURS:
            raise
        except NotSentError as error:
            out.remember(self.instance, error)
            outcomes = [Outcome.retry(redact_exception(error), after=error.retry_after)] * len(held)
        except Exception as error:  # noqa: BLE001 - whatever an action raises: nobody can say what the vendor saw
            out.remember(self.instance, error)
            outcomes = [Outcome.unknown(redact_exception(error) or type(error).__name__)] * len(held)
        if len(outcomes) != len(held) or not all(isinstance(outcome, Outcome) for outcome in outcomes):
            outcomes = [Outcome.unknown(f"{self.instance} gave {len(outcomes)} answers for {len(held)} effects")] * len(held)
        failed = failed or all(outcome.status == "unknown" for outcome in outcomes)
        busy = all(outcome.status in {"retry", "unknown"} for outcome in outcomes)
        self.patience.note(outcomes[0].reason, failed=failed, busy=busy)
        return outcomes

    async def settle(self, held: Sequence[Claim], outcomes: Sequence[Outcome], also: Callable[[Tx, list[Change]], Any]) -> None:
        """Write down what came of a call. Not fenced: the answer is true whoever holds the lease by now."""

        def job(tx: Tx) -> list[Change]:
            now = self.out.clock.now()
            changes = claims.settle_all(tx, list(zip(held, outcomes, strict=True)), now=now)
            also(tx, changes)
            return changes

        changes = await self.out.store.write(job)
        self.out.tell(changes)
        for change in changes:
            self.show(change.entry, _RESULTS.get(change.after, "held"), change.note)


_RESULTS: dict[str, Result] = {"done": "done", "rejected": "rejected", "planned": "again later", "unknown": "unknown"}


def due(
    reader: Reader, state: str, after: int, now: int, *, capability: str | None = None, instance: str | None = None
) -> list[Entry]:
    """Return the next page of effects that may be looked at, in the order of planning.

    Args:
        reader: Where to read.
        state: ``planned``, or ``held`` for those that wait for the next delivery.
        after: Go on behind this `seq`.
        now: The current instant.
        capability: Of one capability only.
        instance: Only those that are not bound to another instance.
    """
    where = ["state = ?", "seq > ?", "(hold IS NULL OR hold IN ('wait', 'dry'))", "(not_before IS NULL OR not_before <= ?)"]
    params: list[Any] = [state, after, now]
    if capability is not None:
        where.append("capability = ?")
        params.append(capability)
    if instance is not None:
        where.append("(instance IS NULL OR instance = ?)")
        params.append(instance)
    return outbox.page(reader, f"{' AND '.join(where)} ORDER BY seq LIMIT ?", (*params, PAGE))


def _same(tx: Tx, entry: Entry) -> bool:
    """Say whether an effect is still what was looked at: a person may have decided about it meanwhile."""
    return outbox.get(tx, entry.key) == entry


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a page into batches."""
    return (items[start : start + size] for start in range(0, len(items), max(1, size)))


def role(payload: object) -> tuple[str, str] | None:
    """Return the field that names a person, and what it says: ``to`` or ``assignee``."""
    for field in ("to", "assignee"):
        value = getattr(payload, field, None)
        if isinstance(value, str):
            return field, value
    return None


def idempotency_key(key: str) -> str:
    """Return what names an effect at a vendor: 50 characters that are safe everywhere, the same for every try, for ever.

    It depends on nothing but the effect's key, so that a store that was restored, or a second one beside it, charges nobody
    twice.
    """
    return "wk" + hashlib.sha256(key.encode()).hexdigest()[:48]
