"""Deliver: the step that performs effects from the outbox. Nothing outside is touched except here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wellkept.action import Action, MessageAction, OnceAction, StateAction
from wellkept.clock import Clock
from wellkept.errors import FatalError
from wellkept.events import Event
from wellkept.frame import Row
from wellkept.logs import log_fields
from wellkept.pipeline.message_effects import MessageWorker
from wellkept.pipeline.once_effects import OnceWorker
from wellkept.pipeline.outgoing import CALL_SECONDS, OURS, DeliverReport, Outgoing
from wellkept.pipeline.routing import Routes
from wellkept.pipeline.state_effects import StateWorker
from wellkept.pipeline.worker import SCANS, Worker, due
from wellkept.plugins.acting import Actor, acting
from wellkept.policy import Decider
from wellkept.records import Record
from wellkept.store import claims, outbox
from wellkept.store.engine import Store, Tx
from wellkept.store.outbox import Change
from wellkept.store.runs import Run

if TYPE_CHECKING:
    from wellkept.context import Signer
    from wellkept.pipeline.plan import Sources
    from wellkept.settings import General, Messages, Safety
    from wellkept.store.records import RecordTables
    from wellkept.trust import InstallationKey

INSTANCES_AT_ONCE = 8
"""Instances that are delivered through at the same time; each makes one call after another."""


async def deliver(
    store: Store,
    tables: RecordTables,
    actions: Mapping[str, Sequence[Action]],
    *,
    run: Run,
    clock: Clock,
    live: Mapping[str, bool | Sequence[str]],
    deciders: Mapping[str, Decider],
    row: Callable[[str], Row | None],
    feeds: Callable[[str], Collection[type[Record]]],
    sources: Sources,
    general: General,
    messages: Messages,
    safety: Safety,
    key: InstallationKey,
    signer: Signer,
    observe: Callable[[Event], None] = lambda _event: None,
    dry_run: bool = False,
    call_seconds: float = CALL_SECONDS,
) -> DeliverReport:
    """Perform what is due, by the rules of each kind; see `wellkept.effects.Kind`.

    Args:
        store: The store.
        tables: Its record tables.
        actions: What each instance serves.
        run: The run, which holds the lease; it is checked in every claim.
        clock: The only clock.
        live: For each instance whether effects really leave: all, or those of some capabilities. Effects of others are looked
            at in the same way, shown, and stay planned.
        deciders: Policies by the name that planned effects carry, ``INSTANCE/NAME``.
        row: Computes an account's measures and scores now; None when the account is gone.
        feeds: Which record types a column is computed from; see `wellkept.pipeline.recheck.feeds`.
        sources: The sources of each instance, to read records again.
        general: ``[wellkept]``.
        messages: ``[messages]``.
        safety: ``[safety]``.
        key: The installation's key, for keyed hashes of addresses.
        signer: Signs unsubscribe links.
        observe: Told of every effect that ended or is held, after the commit.
        dry_run: Nothing is live, and the outbox stays as it is.
        call_seconds: How long one call of an action may take.

    Returns:
        What was done. An action that fails is named there; the others go on.

    Raises:
        LeaseLostError: Another run took over.
        StoreError: The store failed.
    """
    out = Outgoing(
        store=store,
        tables=tables,
        routes=Routes(actions, messages.via),
        live=live,
        deciders=deciders,
        row=row,
        feeds=feeds,
        messages=messages,
        general=general,
        safety=safety,
        run=run,
        clock=clock,
        sources=sources,
        signer=signer,
        key=key,
        observe=observe,
        dry_run=dry_run,
        report=DeliverReport(run=run.id),
        call_seconds=call_seconds,
    )
    if not dry_run:
        await _sweep(out)
    workers: dict[str, list[Worker[Any]]] = {}
    for instance, action in out.routes.all():
        workers.setdefault(instance, []).append(_worker(out, instance, action))
    gate = asyncio.Semaphore(INSTANCES_AT_ONCE)
    jobs = (_deliver(out, instance, team, gate) for instance, team in workers.items())
    for result in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
    await _hold_unserved(out)
    return out.report


def _worker(out: Outgoing, instance: str, action: Action) -> Worker[Any]:
    if isinstance(action, StateAction):
        return StateWorker(out, instance, action)
    if isinstance(action, OnceAction):
        return OnceWorker(out, instance, action)
    if isinstance(action, MessageAction):
        return MessageWorker(out, instance, action)
    raise FatalError(f"{instance}: {type(action).__name__} is none of StateAction, OnceAction and MessageAction")


async def _deliver(out: Outgoing, instance: str, workers: Sequence[Worker[Any]], gate: asyncio.Semaphore) -> None:
    """Let one instance work; what it does wrong stops nobody else."""
    async with gate:
        for worker in workers:
            try:
                with log_fields(instance=instance), acting(Actor(instance, f"the action behind {worker.capability}")):
                    await worker.run()
            except OURS:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises is reported by its name
                out.blame(instance, error)


async def _sweep(out: Outgoing) -> None:
    """Settle what dead processes left behind, expire what is too late, and hold back after a restore."""
    sweeps: tuple[Callable[[Tx], list[Change]], ...] = (
        lambda tx: claims.recover(tx, now=out.clock.now()),
        lambda tx: claims.expire(tx, now=out.clock.now()),
        lambda tx: claims.hold_restored(tx, now=out.clock.now()),
    )
    for sweep in sweeps:
        while changes := await _fenced(out, sweep):
            for change in changes:
                if change.after in {"expired", "held"}:
                    result: Any = change.after
                    out.show(change.entry, result, change.note, instance=change.entry.instance)


async def _fenced(out: Outgoing, sweep: Callable[[Tx], list[Change]]) -> list[Change]:
    def job(tx: Tx) -> list[Change]:
        out.run.check(tx)
        return sweep(tx)

    changes = await out.store.write(job)
    out.tell(changes)
    return changes


async def _hold_unserved(out: Outgoing) -> None:
    """Hold what nobody serves, saying what to do; the next delivery looks again. What is in doubt is shown all the same."""
    with out.store.read() as reader:
        for entry in outbox.entries(reader, "state = 'unknown'"):
            route = out.routes.choose(entry)
            if route.instance is None:
                out.show(entry, "unknown", f"it cannot be looked up: {route.problem}", instance=entry.instance)
    for state in SCANS:
        after = 0
        while True:
            with out.store.read() as reader:
                page = due(reader, state, after, out.clock.now())
            if not page:
                break
            after = page[-1].seq
            problems = {entry.key: route.problem for entry in page if (route := out.routes.choose(entry)).instance is None}
            lost = [entry for entry in page if entry.key in problems]
            for entry in lost:
                out.show(entry, "held", problems[entry.key], instance=entry.instance)

            def hold(tx: Tx, lost: Sequence[Any] = lost, problems: Mapping[str, str] = problems) -> list[Change]:
                now = out.clock.now()
                made = (claims.put_aside(tx, entry, "held", problems[entry.key], now=now) for entry in lost)
                return [change for change in made if change is not None]

            if lost and not out.dry_run:
                await _fenced(out, hold)
