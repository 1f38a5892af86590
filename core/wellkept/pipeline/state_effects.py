"""Delivers ``state`` effects: values of vendor records, in batches, in order for each record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wellkept.action import Outcome, StateAction, StateDelivery
from wellkept.effects import Target
from wellkept.pipeline.outgoing import OURS
from wellkept.pipeline.worker import Stop, Worker, batches
from wellkept.records import Json
from wellkept.redact import redact_exception
from wellkept.store import claims, outbox, pushed
from wellkept.store.claims import Claim
from wellkept.store.engine import Tx
from wellkept.store.outbox import Change, Entry

Values = Mapping[str, Json]


class StateWorker(Worker[StateAction]):
    """See `Worker`."""

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Deliver a page in rounds: each round has one effect per target at most, the oldest."""
        waiting = []
        for entry in entries:
            if entry.target is None:
                await self.stop(entry, Stop("held", "it names no record of a vendor"))
            else:
                waiting.append(entry)
        while waiting and not self.patience.is_over:
            targets: set[Target | None] = set()
            now, later = list[Entry](), list[Entry]()
            for entry in waiting:
                (later if self.live and entry.target in targets else now).append(entry)
                targets.add(entry.target)
            for batch in batches(now, self.action.max_batch):
                if not self.patience.is_over:
                    await self._batch(batch)
            waiting = later

    async def _batch(self, batch: Sequence[Entry]) -> None:
        ready = [entry for entry in batch if await self._may_go(entry)]
        if not ready:
            return
        if self.live:
            await self._send(ready)
        else:
            await self._preview(ready)

    async def _may_go(self, entry: Entry) -> bool:
        effect = self.effect(entry)
        stop = effect if isinstance(effect, Stop) else await self.ask(entry, effect)
        if stop is not None:
            await self.stop(entry, stop)
        return stop is None

    async def _preview(self, ready: Sequence[Entry]) -> None:
        """Show what stands at the vendor and what would; nothing leaves."""
        present = await self._present({entry.key: (_target(entry), list(entry.fields)) for entry in ready})
        for entry in ready:
            now = present.get(entry.key) if isinstance(present, dict) else None
            note = f"the present values could not be read: {present}" if isinstance(present, str) else None
            if isinstance(present, dict) and now is None:
                note = "the record is gone at the vendor"
            diff = {field: ((now or {}).get(field), value) for field, value in entry.fields.items()}
            self.show(entry, "would send", note, diff=diff)
        await self.mark_dry(ready)

    async def _send(self, ready: Sequence[Entry]) -> None:
        priors = await self._priors(ready)
        if priors is None:
            return
        held = await self._claim([entry for entry in ready if entry.key in priors], priors)
        if not held:
            return
        deliveries = [
            StateDelivery(
                key=claim.entry.key,
                target=_target(claim.entry),
                fields=claim.fields,
                restores=claim.entry.policy == outbox.UNDO,
            )
            for claim in held
        ]

        async def send() -> Sequence[Outcome]:
            return await self.action.deliver(deliveries)

        await self.settle(held, await self.attempt(held, send), lambda _tx, _changes: None)

    async def _priors(self, ready: Sequence[Entry]) -> dict[str, Values] | None:
        """Return, by effect, what stands at the vendor in fields that we never pushed; None when it cannot be told.

        An effect whose record is gone is rejected, and is not in the answer.
        """
        priors: dict[str, Values] = {}
        unknown: dict[str, tuple[Target, list[str]]] = {}
        with self.out.store.read() as reader:
            for entry in ready:
                ours = pushed.load(reader, _target(entry), self.capability)
                fields = [field for field in entry.fields if field not in ours or ours[field].effect_key is None]
                priors[entry.key] = {}
                if fields and entry.prior is None:
                    unknown[entry.key] = (_target(entry), fields)
        if not unknown:
            return priors
        present = await self._present(unknown)
        if isinstance(present, str):
            self.patience.note(present, failed=True)
            for entry in ready:
                await self.stop(entry, Stop("held", f"the present values could not be read: {present}"))
            return None
        for entry in ready:
            if entry.key not in unknown:
                continue
            values = present[entry.key]
            if values is None:
                del priors[entry.key]
                await self.stop(entry, Stop("rejected", "the record is gone at the vendor"))
            else:
                priors[entry.key] = {field: values.get(field) for field in unknown[entry.key][1]}
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
            held.clear()
            now = self.out.clock.now()
            changes = []
            for entry in entries:
                claim = claims.claim_state(tx, entry, run=run, now=now, prior=priors[entry.key])
                fresh = None if claim else outbox.get(tx, entry.key)
                if claim is not None:
                    held.append(claim)
                elif fresh is not None and fresh.state == "done":
                    changes.append(Change(entry=fresh, after="done", note=fresh.note))
            return changes

        for change in await self.write(job, durable=True):
            self.show(change.entry, "done", change.note)
        return held


def _target(entry: Entry) -> Target:
    if entry.target is None:
        raise outbox.IllegalMoveError(f"effect {entry.key} has no target")
    return entry.target
