"""Decide: the step in which policies turn the frame, and what changed since, into effects in the outbox.

Safe at any instant. What a run plans is held until the whole run has been counted (see `planning`); a machine's state and its
effects commit together; a run that dies is finished by the next one, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from wellkept.action import Action
from wellkept.effects import Effect
from wellkept.frame import Frame
from wellkept.pipeline.frames import Failure, held, slices, unusable
from wellkept.pipeline.machines import MachineRun
from wellkept.pipeline.planning import FAULTS, Origin, Planner, Released, adopt, release
from wellkept.pipeline.pushing import PushRun
from wellkept.plugins.acting import Actor, acting
from wellkept.policy import Decider, Machine, Policy
from wellkept.redact import redact_exception
from wellkept.settings import Push, Safety
from wellkept.store import policy_states, succession
from wellkept.store.engine import Store, Tx
from wellkept.store.policy_states import Standing
from wellkept.store.records import RecordTables
from wellkept.store.runs import Run

CHUNK = 200
"""Effects in one transaction."""

FACTS = 2_000
"""Changed records handed to machines in one transaction."""


class DecideReport(msgspec.Struct, kw_only=True):
    """What the step did.

    Attributes:
        planned: Effects that may be sent.
        held: Effects that wait: for approval, or for what their notes say.
        mass: Why all of the run is held for approval; None when it is not.
        primed: Policies and pushed properties whose first run this was; they planned nothing.
        on_hold: How many (policy, account) were not looked at, because their data cannot be believed.
        failures: Policies that failed, by name; the others ran.
    """

    planned: int = 0
    held: int = 0
    mass: str | None = None
    primed: list[str] = []
    on_hold: int = 0
    failures: list[Failure] = []


def decide(
    store: Store,
    deciders: Sequence[tuple[str, Decider]],
    pushes: Sequence[Push],
    frame: Frame,
    *,
    run: Run,
    now: int,
    safety: Safety,
    actions: Sequence[tuple[str, Action]],
    tables: RecordTables,
    via: str | None = None,
) -> DecideReport:
    """Let all policies decide, then count what they planned and let it go, or hold it for a person.

    Blocks; call it in a thread where an event loop is running.

    Args:
        store: The store.
        deciders: Instance and policy or machine.
        pushes: The ``[[push]]`` tables.
        frame: Measures and scores of all accounts.
        run: The run; every commit makes sure that it still holds its lease.
        now: The current instant, epoch ms.
        safety: How much a run may plan.
        actions: Instance and action, for all enabled instances.
        tables: The record tables.
        via: The instance that sends messages, where several could.

    Raises:
        LeaseLostError: Another process took over; nothing was let go.
    """
    report = DecideReport()
    planner = Planner(actions, tables, run_id=run.id, now=now, via=via)
    work = _Work(store=store, frame=frame, planner=planner, tables=tables, run=run, now=now, report=report)
    standings = store.write_now(lambda tx: _begin(tx, deciders, pushes, run=run, now=now, tables=tables))
    work.distribute(deciders)
    for instance, decider in deciders:
        work.let(instance, decider, standings[f"{instance}/{decider.name}"])
    work.push(pushes)

    def finish(tx: Tx) -> Released:
        run.check(tx)
        return release(tx, run.id, safety, accounts=len(frame), now=now)

    released = store.write_now(finish)
    report.planned, report.held, report.mass = released.planned, released.held, released.mass
    return report


def _begin(
    tx: Tx, deciders: Sequence[tuple[str, Decider]], pushes: Sequence[Push], *, run: Run, now: int, tables: RecordTables
) -> dict[str, Standing]:
    """Note who takes part, and queue what machines have missed, or must be primed with."""
    run.check(tx)
    adopt(tx, run.id)
    names = [(f"{instance}/{decider.name}", decider) for instance, decider in deciders]
    over_accounts = [name for name, item in names if not isinstance(item, Machine) or item.over == "account"]
    succession.move_states(tx, over_accounts, now)
    standings = {}
    for policy, decider in names:
        standing = standings[policy] = policy_states.standing(tx, policy)
        policy_states.take_part(tx, policy, decider.version, now)
        if not isinstance(decider, Machine):
            continue
        over = () if decider.over == "account" else (decider.over,)
        if not standing.known:
            for type_ in over:
                policy_states.enqueue_table(tx, policy, type_.type, tables.table(type_), alive=True)
        elif standing.missed_since is not None:
            for type_ in (*over, *decider.reads):
                policy_states.enqueue_table(tx, policy, type_.type, tables.table(type_), since=standing.missed_since)
    policy_states.keep_holds(tx, [*(name for name, _ in names), *(f"push/{push.to}" for push in pushes)])
    policy_states.note_run(tx, now)
    return standings


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One decide step under way."""

    store: Store
    frame: Frame
    planner: Planner
    tables: RecordTables
    run: Run
    now: int
    report: DecideReport

    def distribute(self, deciders: Iterable[tuple[str, Decider]]) -> None:
        """Hand changed records to the machines that want to know of them."""
        interests = {
            f"{instance}/{decider.name}": frozenset(
                type_.type for type_ in (*(() if decider.over == "account" else (decider.over,)), *decider.reads)
            )
            for instance, decider in deciders
            if isinstance(decider, Machine)
        }

        def job(tx: Tx) -> bool:
            self.run.check(tx)
            return policy_states.distribute(tx, interests, FACTS)

        while self.store.write_now(job):
            pass

    def let(self, instance: str, decider: Decider, standing: Standing) -> None:
        """Let one policy or machine decide."""
        problem = unusable(decider.uses, decider.bind, self.frame)
        if problem is not None:
            self._fail(instance, decider.name, problem)
            return
        policy = f"{instance}/{decider.name}"
        view = self.frame.only(decider.uses)
        on_hold = held(view)
        visible = view.select([account for account in view.accounts if account not in on_hold])
        with self.store.read() as reader:
            unprimed = policy_states.unprimed(reader, policy)
        origin = Origin(policy=policy, version=decider.version, primed=standing.primed)
        seen, owed = set(visible.accounts), set[str]()
        if isinstance(decider, Policy):
            if not self._policy(instance, decider, origin, visible, unprimed):
                return
        elif isinstance(decider, Machine):
            machine = MachineRun(
                self.store,
                self.tables,
                decider,
                origin,
                self.planner,
                visible=visible,
                on_hold=on_hold,
                unprimed=unprimed,
                check=self.run.check,
                now=self.now,
            )
            with acting(Actor(instance, f"the machine {decider.name}")):
                machine()
            self._fail_each(instance, decider.name, machine.failed.items())
            seen, owed = seen | machine.seen, machine.owed
        else:
            self._fail(instance, decider.name, "it is neither a Policy nor a Machine")
            return
        self._end(origin, on_hold, looked_at=unprimed & seen - owed, owed=owed)

    def push(self, pushes: Sequence[Push]) -> None:
        """Let the ``[[push]]`` tables decide."""
        holds: dict[str, dict[str, str]] = {}
        for push in pushes:
            pushing = PushRun(self.store, push, self.frame, self.planner, check=self.run.check, now=self.now)
            failure = pushing()
            if failure is not None:
                self.report.failures.append(failure)
                continue
            holds.setdefault(pushing.origin.policy, {}).update(pushing.holds)
            self.report.primed += [f"{pushing.origin.policy}/{name}" for name in pushing.primes]

        def job(tx: Tx) -> None:
            self.run.check(tx)
            for policy, reasons in holds.items():
                policy_states.set_holds(tx, policy, reasons, self.now)

        self.store.write_now(job)
        self.report.on_hold += sum(map(len, holds.values()))

    def _policy(self, instance: str, policy: Policy, origin: Origin, visible: Frame, unprimed: set[str]) -> bool:
        """Plan what a policy decides, and say whether it did; one that fails plans nothing."""
        shown = frozenset(visible.accounts)
        try:
            with acting(Actor(instance, f"the policy {policy.name}")):
                effects = list(policy.decide(visible))
            strange = [type(effect).__name__ for effect in effects if type(effect) is not Effect]
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is reported by its name
            self._fail(instance, policy.name, redact_exception(error))
            return False
        if strange:
            self._fail(instance, policy.name, f"it returned a {strange[0]} among its effects")
            return False

        def job(tx: Tx, part: Sequence[Effect]) -> list[tuple[str, str]]:
            self.run.check(tx)
            return [found for effect in part if (found := self._plan(tx, effect, origin, shown, unprimed)) is not None]

        for part in slices(effects, CHUNK):
            self._fail_each(instance, policy.name, self.store.write_now(lambda tx, part=part: job(tx, part)))  # type: ignore[misc]
        return True

    def _plan(
        self, tx: Tx, effect: Effect, origin: Origin, shown: frozenset[str], unprimed: set[str]
    ) -> tuple[str, str] | None:
        """Plan one effect; what is wrong with it is returned with its account, and stops no other."""
        account = effect.account or ""
        if account and account not in shown:
            return account, "it asks for an effect about an account that it was not shown"
        primed = origin.primed and account not in unprimed
        try:
            with tx.savepoint():
                self.planner.plan(tx, effect, replace(origin, primed=primed))
        except FAULTS as error:
            return account, redact_exception(error)
        return None

    def _end(self, origin: Origin, on_hold: Mapping[str, str], *, looked_at: set[str], owed: set[str]) -> None:
        """Write down what a policy did not look at, and whether it is primed now."""
        primes = not origin.primed and len(self.frame) > 0

        def job(tx: Tx) -> None:
            self.run.check(tx)
            policy_states.set_holds(tx, origin.policy, on_hold, self.now)
            policy_states.clear_unprimed(tx, origin.policy, looked_at)
            policy_states.set_unprimed(tx, origin.policy, owed)
            if primes:
                policy_states.set_unprimed(tx, origin.policy, on_hold)
                policy_states.set_primed(tx, origin.policy, self.now)

        self.store.write_now(job)
        self.report.on_hold += len(on_hold)
        self.report.primed += [origin.policy] if primes else []

    def _fail(self, instance: str, name: str, message: str, *subjects: str) -> None:
        self.report.failures.append(Failure(instance=instance, name=name, message=message, subjects=subjects))

    def _fail_each(self, instance: str, name: str, failed: Iterable[tuple[str, str]]) -> None:
        """Report failures of single subjects, once per message."""
        by_message: dict[str, list[str]] = {}
        for subject, message in failed:
            by_message.setdefault(message, []).append(subject)
        for message, subjects in by_message.items():
            self._fail(instance, name, message, *filter(None, subjects))
