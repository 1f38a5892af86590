"""Delivers ``state`` effects: values of vendor records, in batches, in order for each record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wellkept.action import Outcome, StateAction, StateDelivery
from wellkept.effects import Effect, Target
from wellkept.pipeline.outgoing import OURS, Outgoing
from wellkept.pipeline.worker import Stop, Worker, batches
from wellkept.records import Json
from wellkept.redact import redact_exception
from wellkept.store import claims, outbox, pushed
from wellkept.store.claims import Claim
from wellkept.store.engine import Tx
from wellkept.store.outbox import Change, Entry

Values = Mapping[str, Json]

LOOK_AGAIN_MS = 5_000
"""How long a batch may wait, claimed, for the call before it; after that its reasons are looked at again."""


class Addressed(NamedTuple):
    """An effect, and the vendor record that it is for."""

    entry: Entry
    target: Target


class StateWorker(Worker[StateAction]):
    """See `Worker`.

    While a call is under way the next batch is looked at and claimed, in one commit with what came of the call before. So
    calls follow each other without a pause, and two batches at most are claimed at the same time.
    """

    def __init__(self, out: Outgoing, instance: str, action: StateAction) -> None:
        super().__init__(out, instance, action)
        self._call: asyncio.Task[list[Outcome]] | None = None
        self._called: Sequence[Claim] = ()
        self._tried: list[tuple[Claim, Outcome]] = []
        self._targets: dict[int, Target] = {}

    async def work(self) -> None:
        """Go through what is due. However that ends, what came of calls is written down."""
        try:
            await super().work()
        except asyncio.CancelledError:
            if self._call is not None:
                self._call.cancel()
            raise
        finally:
            await self._finish()

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Deliver a page in rounds: each round has one effect per target at most, the oldest."""
        waiting = []
        for entry in entries:
            target = entry.target
            if target is None:
                await self.stop(entry, Stop("held", "it names no record of a vendor"))
            else:
                waiting.append(Addressed(entry, target))
        while waiting and not self.patience.is_over:
            targets: set[Target] = set()
            now, later = list[Addressed](), list[Addressed]()
            for item in waiting:
                (later if self.live and item.target in targets else now).append(item)
                targets.add(item.target)
            for batch in batches(now, self.action.max_batch):
                if not self.patience.is_over:
                    await self._batch(batch)
            waiting = later

    async def _batch(self, batch: Sequence[Addressed]) -> None:
        ready = []
        for item in batch:
            effect = self.effect(item.entry)
            stop = effect if isinstance(effect, Stop) else None
            if isinstance(effect, Effect) and item.entry.policy in self.out.deciders:  # else nobody could take it back
                stop = await self.ask(item.entry, effect)
            if stop is None:
                ready.append(item)
            else:
                await self.stop(item.entry, stop)
        if not ready:
            return
        if self.live:
            await self._send(ready)
        else:
            await self._preview(ready)

    async def _preview(self, ready: Sequence[Addressed]) -> None:
        """Show what stands at the vendor and what would; nothing leaves."""
        present = await self._present({entry.key: (target, list(entry.fields)) for entry, target in ready})
        for entry, _ in ready:
            now = present.get(entry.key) if isinstance(present, dict) else None
            note = f"the present values could not be read: {present}" if isinstance(present, str) else None
            if isinstance(present, dict) and now is None:
                note = "the record is gone at the vendor"
            diff = {field: ((now or {}).get(field), value) for field, value in entry.fields.items()}
            self.show(entry, "would send", note, diff=diff)
        await self.mark_dry([entry for entry, _ in ready])

    async def _send(self, ready: Sequence[Addressed]) -> None:
        if not {target for _, target in ready}.isdisjoint(self._targets.values()):
            await self._finish()
        priors = await self._priors(ready)
        if priors is None:
            return
        held = await self._claim([entry for entry, _ in ready if entry.key in priors], priors)
        waited = await self._answer()
        if not held:
            return
        if self.patience.is_over:
            await self._give_back(held)
        elif waited and self.out.clock.now() - (held[0].entry.claimed_at or 0) > LOOK_AGAIN_MS:
            await self._give_back(held)
            ours = {claim.entry.seq for claim in held}
            await self._batch([item for item in ready if item.entry.seq in ours])
        else:
            await self._begin_call(held, {entry.seq: target for entry, target in ready})

    async def _begin_call(self, held: Sequence[Claim], targets: Mapping[int, Target]) -> None:
        deliveries = [
            StateDelivery(
                key=claim.entry.key,
                target=targets[claim.entry.seq],
                fields=claim.fields,
                restores=claim.entry.policy == outbox.UNDO,
            )
            for claim in held
        ]

        async def send() -> Sequence[Outcome]:
            return await self.action.deliver(deliveries)

        self._call, self._called = asyncio.create_task(self.attempt(held, send)), held
        self._targets |= {claim.entry.seq: targets[claim.entry.seq] for claim in held}
        await asyncio.sleep(0)  # let it leave before anything else is done

    async def _answer(self) -> bool:
        """Wait for the call that is under way; returns whether there was one."""
        if self._call is None:
            return False
        call, self._call = self._call, None
        self._tried += zip(self._called, await call, strict=True)
        return True

    async def _write_down(self) -> None:
        """Settle what was tried."""
        tried, self._tried = self._tried, []
        if tried:
            await self.settle([held for held, _ in tried], [outcome for _, outcome in tried], lambda _tx, _changes: None)
            for held, _ in tried:
                del self._targets[held.entry.seq]

    async def _finish(self) -> None:
        """Wait for the call that is under way, and settle all that was tried."""
        try:
            await self._answer()
        finally:
            await self._write_down()

    async def _give_back(self, held: Sequence[Claim]) -> None:
        """Leave claimed effects as they were: they have not left."""
        await self.write(lambda tx: claims.give_back(tx, held, now=self.out.clock.now()))

    async def _priors(self, ready: Sequence[Addressed]) -> dict[str, Values] | None:
        """Return, by effect, what stands at the vendor in fields that we never pushed; None when it cannot be told.

        An effect whose record is gone is rejected, and is not in the answer.
        """
        priors: dict[str, Values] = {}
        unknown: dict[str, tuple[Target, list[str]]] = {}
        with self.out.store.read() as reader:
            sent = pushed.sent(reader, [target for _, target in ready], self.capability)
        for entry, target in ready:
            priors[entry.key] = {}
            if entry.prior is None:
                ours = sent.get(target, ())
                fields = [field for field in entry.fields if field not in ours]
                if fields:
                    unknown[entry.key] = (target, fields)
        if not unknown:
            return priors
        await self._finish()  # an instance makes one call after another
        present = await self._present(unknown)
        if isinstance(present, str):
            self.patience.note(present, failed=True)
            for entry, _ in ready:
                await self.stop(entry, Stop("held", f"the present values could not be read: {present}"))
            return None
        for key, (_, fields) in unknown.items():
            values = present[key]
            if values is not None:
                priors[key] = {field: values.get(field) for field in fields}
        for entry, _ in ready:
            if entry.key in unknown and present[entry.key] is None:
                del priors[entry.key]
                await self.stop(entry, Stop("rejected", "the record is gone at the vendor"))
        return priors

    async def _present(self, wanted: Mapping[str, tuple[Target, list[str]]]) -> dict[str, Values | None] | str:
        """Read values at the vendor, by effect; a text says why that failed."""
        targets = [target for target, _ in wanted.values()]
        fields = sorted({field for _, names in wanted.values() for field in names})
        try:
            found = list(await self.action.read(targets, fields))
        except OURS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an action raises is shown
            self.out.blame(self.instance, error)
            return redact_exception(error)
        if len(found) != len(targets):
            return f"{self.instance} gave {len(found)} answers for {len(targets)} records"
        return dict(zip(wanted, found, strict=True))

    async def _claim(self, entries: Sequence[Entry], priors: Mapping[str, Values]) -> list[Claim]:
        """Claim effects, in one commit with what came of earlier ones; neither is lost when the other one fails."""
        held: list[Claim] = []
        run = self.out.run.id

        def job(tx: Tx) -> list[Change]:
            claimed, changes = claims.claim_states(tx, entries, run=run, now=self.out.clock.now(), priors=priors)
            held[:] = claimed
            return changes

        writing = asyncio.create_task(self._write_down())
        await asyncio.sleep(0)  # it is sent first
        try:
            claimed = await self.write(job, durable=True)
        finally:
            await writing
        for change in claimed:
            self.show(change.entry, "done", change.note)
        return held
