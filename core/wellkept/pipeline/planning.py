"""Planning: from what a policy asks for to rows of the outbox, and the guard against mass effects.

Everything that a run plans enters the outbox *held*, marked as not counted yet. Only when the whole run has been counted does
`release` let it go, or hold all of it for a person. A process that dies in between therefore leaks nothing: the next run takes
over what was not counted, and counts it with its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from wellkept.action import Action, MessageAction, StateAction, Template
from wellkept.effects import Effect, MessageSend, Target
from wellkept.errors import RejectedError
from wellkept.records import Json, Record
from wellkept.redact import redact_exception
from wellkept.settings import Safety
from wellkept.store import outbox
from wellkept.store.connection import MISFITS
from wellkept.store.engine import Reader, Tx
from wellkept.store.outbox import Hold
from wellkept.store.records import RecordTables
from wellkept.store.succession import successors

UNCOUNTED = "not counted yet"
"""How the note of an effect begins whose run has not been counted; what it waits for afterwards stands behind a bar."""

FAULTS: tuple[type[Exception], ...] = (RejectedError, *MISFITS)
"""What one effect or step can do wrong without harm to the others; anything else is not a plugin's doing."""

PRIMED = "primed"
"""The note of an effect that a first run only took note of."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who asks for an effect.

    Attributes:
        policy: Instance and name, as in the effect's key.
        version: The policy's version.
        primed: False in the run that primes the policy: effects are taken note of, and never sent.
    """

    policy: str
    version: str
    primed: bool = True


class Planner:
    """Writes effects to the outbox.

    Args:
        actions: Instance and action, for all enabled instances.
        tables: The record tables, to find an account's record at a vendor.
        run_id: The run.
        now: The current instant, epoch ms.
        via: The instance that sends messages, where several could.
    """

    def __init__(
        self,
        actions: Sequence[tuple[str, Action]],
        tables: RecordTables,
        *,
        run_id: str,
        now: int,
        via: str | None = None,
    ) -> None:
        self._actions = actions
        self._tables = tables
        self._types: Mapping[str, type[Record]] = {type_.type: type_ for type_ in tables.types}
        self._run_id = run_id
        self._now = now
        self._via = via
        self._former: dict[str, list[str]] | None = None

    def plan(self, tx: Tx, effect: Effect, origin: Origin) -> str | None:
        """Plan one effect, or take note of it where the policy is being primed.

        Returns:
            The full key, where the policy can be told how it ended: not for ``state``, which has no end.

        Raises:
            RejectedError: The effect cannot be planned at all; names what is missing.
        """
        kind = effect.payload.kind
        if kind == "state":
            self._plan_state(tx, effect, origin)
            return None
        if not effect.key:
            raise RejectedError(f"an effect of kind {kind} has no key", guidance="build it from what makes it unique")
        key = f"{origin.policy}/{effect.key}"
        if self._known(tx, effect, origin.policy):
            return key
        outbox.plan(
            tx,
            effect,
            key=key,
            policy=origin.policy,
            policy_version=origin.version,
            run_id=self._run_id,
            kind=kind,
            target=effect.target,
            state="held" if origin.primed else "superseded",
            note=self._note(effect) if origin.primed else PRIMED,
            now=self._now,
        )
        return key

    def _known(self, tx: Tx, effect: Effect, policy: str) -> bool:
        """Say whether the effect was planned when its account had another id; the same id is the outbox's business."""
        if self._former is None:
            self._former = {}
            for old, new in successors(tx).items():
                self._former.setdefault(new, []).append(old)
        account = effect.account or ""
        keys = (effect.key.replace(account, old) for old in self._former.get(account, ()))
        return any(key != effect.key and outbox.get(tx, f"{policy}/{key}") is not None for key in keys)

    def plan_fields(self, tx: Tx, effect: Effect, target: Target, fields: Mapping[str, Json], origin: Origin) -> bool:
        """Plan values of one vendor record for a ``state`` effect, and say whether any of them is new."""
        return outbox.plan_state(
            tx,
            target=target,
            capability=effect.payload.capability,
            fields=fields,
            account=effect.account,
            reason=effect.reason,
            policy=origin.policy,
            policy_version=origin.version,
            run_id=self._run_id,
            state="held",
            note=self._note(effect),
            now=self._now,
        )

    def targets(self, reader: Reader, capability: str, account: str, *, instance: str | None = None) -> list[Target]:
        """Return the account's records that actions of a ``state`` capability can change.

        Args:
            reader: Where to read.
            capability: The capability.
            account: The canonical account id.
            instance: Only records of this instance.
        """
        return [
            Target(instance=owner, type=type_, id=record.id)
            for owner, action in self._serving(capability)
            if isinstance(action, StateAction) and instance in {None, owner}
            for type_ in action.target_types
            if type_ in self._types
            for place, record in self._tables.owned(reader, self._types[type_], account)
            if place == owner
        ]

    def serves(self, instance: str, capability: str) -> bool:
        """Say whether an instance serves a capability."""
        return any(owner == instance for owner, _ in self._serving(capability))

    def _serving(self, capability: str) -> list[tuple[str, Action]]:
        return [(owner, action) for owner, action in self._actions if action.payload.capability == capability]

    def _plan_state(self, tx: Tx, effect: Effect, origin: Origin) -> None:
        capability = effect.payload.capability
        fields: Mapping[str, Json] = msgspec.to_builtins(effect.payload)["properties"]
        if effect.target is not None and self.serves(effect.target.instance, capability):
            targets = [effect.target]
        elif effect.target is not None or effect.account is None or not self._serving(capability):
            raise RejectedError(f"nobody can be found to serve {capability}", guidance=_enable(capability, effect.target))
        else:
            targets = self.targets(tx, capability, effect.account)
            owners = sorted({target.instance for target in targets})
            if len(owners) > 1:
                raise RejectedError(
                    f"{' and '.join(owners)} could both serve {capability}", guidance="name the effect's target"
                )
        for target in targets:
            if origin.primed:
                self.plan_fields(tx, effect, target, fields, origin)
            else:
                outbox.baseline(tx, target, capability, fields, self._now)

    def _note(self, effect: Effect) -> str:
        """Return the note of an effect that was not counted yet, with what it will wait for afterwards."""
        problem = self._problem(effect)
        if problem:
            return f"{UNCOUNTED}|wait|{problem}"
        return f"{UNCOUNTED}|approval|approval: the rule asks for it" if effect.approval else UNCOUNTED

    def _problem(self, effect: Effect) -> str | None:
        """Say why an effect cannot be sent as things are."""
        capability = effect.payload.capability
        if effect.account is None:
            return "it names no account"
        serving = self._serving(capability)
        if not serving or (effect.target is not None and not self.serves(effect.target.instance, capability)):
            return f"nobody serves {capability}; {_enable(capability, effect.target)}"
        return self._wrong_message(effect.payload) if isinstance(effect.payload, MessageSend) else None

    def _wrong_message(self, message: MessageSend) -> str | None:
        """Say what no sender can make of a message."""
        problems: list[str] = []
        for owner, templates in self._templates.items():
            if isinstance(templates, str):
                problems.append(f"{owner} cannot say which templates it has: {templates}")
                continue
            template = templates.get(message.template)
            if template is None:
                known = ", ".join(sorted(templates)) or "none"
                problems.append(f"{owner} has no template {message.template!r}; it has {known}")
                continue
            missing = [name for name in template.variables if name not in message.variables]
            if not missing:
                return None
            problems.append(f"the template {message.template!r} of {owner} needs {', '.join(missing)}")
        return "; ".join(problems) or f"{self._via} does not send messages; see `via` in [messages]"

    @cached_property
    def _templates(self) -> Mapping[str, Mapping[str, Template] | str]:
        """Each sender's templates by name, or why they are not known."""
        found: dict[str, Mapping[str, Template] | str] = {}
        for owner, action in self._serving(MessageSend.capability):
            if not isinstance(action, MessageAction) or self._via not in {None, owner}:
                continue
            try:
                found[owner] = {template.name: template for template in action.templates()}
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises is reported by its name
                found[owner] = redact_exception(error)
        return found


def _enable(capability: str, target: Target | None) -> str:
    who = f"let {target.instance} serve it" if target else "enable a plugin that does"
    return f"{who}, or take the rule that asks for {capability} away"


@dataclass(frozen=True, kw_only=True)
class Released:
    """What became of a run's effects.

    Attributes:
        planned: How many may be sent.
        held: How many wait, for whatever reason.
        mass: Why the whole run is held for approval; None when it is not.
    """

    planned: int
    held: int
    mass: str | None


def adopt(tx: Tx, run_id: str) -> int:
    """Take over what an earlier run planned and did not live to count, and return how much that was."""
    return tx.execute(
        "UPDATE outbox SET run_id = ? WHERE state = 'held' AND hold = 'approval' AND note LIKE ?", (run_id, f"{UNCOUNTED}%")
    )


def release(tx: Tx, run_id: str, safety: Safety, *, accounts: int, now: int) -> Released:
    """Count what a run planned, and let it go or hold all of it.

    Args:
        tx: The transaction.
        run_id: The run.
        safety: How much a run may plan.
        accounts: How many accounts there are.
        now: The current instant, epoch ms.
    """
    where = "run_id = ? AND state = 'held' AND hold = 'approval' AND note LIKE ?"
    params = (run_id, f"{UNCOUNTED}%")
    effects, touched = tx.one(f"SELECT COUNT(*), COUNT(DISTINCT account) FROM outbox WHERE {where}", params) or (0, 0)  # noqa: S608
    mass = _mass(effects, touched, accounts, safety)
    if mass:
        tx.execute(f"UPDATE outbox SET note = ? WHERE {where}", (mass, *params))  # noqa: S608 - fixed text
        return Released(planned=0, held=effects, mass=mass)
    planned = 0
    for entry in list(outbox.entries(tx, where, params)):
        after = (entry.note or "").split("|", 2)
        if len(after) == 3:
            kind: Hold = "wait" if after[1] == "wait" else "approval"
            outbox.move(tx, entry, "held", now=now, hold=kind, note=after[2])
        else:
            outbox.move(tx, entry, "planned", now=now)
            planned += 1
    return Released(planned=planned, held=effects - planned, mass=None)


def _mass(effects: int, touched: int, accounts: int, safety: Safety) -> str | None:
    if effects > safety.max_effects:
        return f"mass: the run planned {effects} effects, more than max_effects = {safety.max_effects}"
    if touched > safety.min_accounts and touched > safety.max_share * accounts:
        return f"mass: the run touches {touched} of {accounts} accounts, more than max_share = {safety.max_share:g}"
    return None
