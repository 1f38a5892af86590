"""Delivers ``state`` effects: values of vendor records, in batches, in order for each record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wellkept.action import Outcome, StateAction, StateDelivery
from wellkept.effects import Effect, Target
from wellkept.pipeline.outgoing import OURS
from wellkept.pipeline.worker import Stop, Worker, batches
from wellkept.records import Json
from wellkept.redact import redact_exception
from wellkept.store import claims, outbox, pushed
from wellkept.store.claims import Claim
from wellkept.store.engine import Tx
from wellkept.store.outbox import Change, Entry

Values = Mapping[str, Json]


class Addressed(NamedTuple):
    """An effect, and the vendor record that it is for."""

    entry: Entry
    target: Target


class StateWorker(Worker[StateAction]):
    """See `Worker`."""

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
        priors = await self._priors(ready)
        if priors is None:
            return
        targets = {entry.seq: target for entry, target in ready}
        held = await self._claim([entry for entry, _ in ready if entry.key in priors], priors)
        if not held:
            return
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

        await self.settle(held, await self.attempt(held, send), lambda _tx, _changes: None)

    async def _priors(self, ready: Sequence[Addressed]) -> dict[str, Values] | None:
        """Return, by effect, what stands at the vendor in fields that we never pushed; None when it cannot be told.

        An effect whose record is gone is rejected, and is not in the answer.
        """
        priors: dict[str, Values] = {}
        unknown: dict[str, tuple[Target, list[str]]] = {}
        with self.out.store.read() as reader:
            accepted = pushed.load_all(reader, [target for _, target in ready], self.capability)
        for entry, target in ready:
            priors[entry.key] = {}
            if entry.prior is None:
                ours = accepted.get(target, {})
                fields = [field for field in entry.fields if field not in ours or ours[field].effect_key is None]
                if fields:
                    unknown[entry.key] = (target, fields)
        if not unknown:
            return priors
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
        held: list[Claim] = []
        run = self.out.run.id

        def job(tx: Tx) -> list[Change]:
            claimed, changes = claims.claim_states(tx, entries, run=run, now=self.out.clock.now(), priors=priors)
            held[:] = claimed
            return changes

        for change in await self.write(job, durable=True):
            self.show(change.entry, "done", change.note)
        return held
