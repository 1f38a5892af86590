"""Delivers ``once`` effects: at most once, and never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from wellkept.action import Delivery, OnceAction, Outcome, Recipient
from wellkept.effects import Effect, Payload, Target
from wellkept.pipeline.outgoing import OURS
from wellkept.pipeline.recipients import find, is_gone
from wellkept.pipeline.worker import GONE, PAGE, Split, Stop, Worker, batches, idempotency_key, role
from wellkept.records import Account
from wellkept.redact import redact_exception
from wellkept.store import claims, outbox
from wellkept.store.claims import Claim
from wellkept.store.engine import Tx
from wellkept.store.outbox import Change, Entry

AT_ONCE = 25
"""Effects looked at and sent together at most, however many the action takes: facts are to be fresh when the call leaves."""

LOOKS_AT_ONCE = 8
"""Effects whose facts are read again at the same time."""


class Ready(NamedTuple):
    """An effect that may leave."""

    entry: Entry
    payload: Payload
    recipient: Recipient | None
    target: Target | None


class OnceWorker(Worker[OnceAction[Any]]):
    """See `Worker`."""

    async def begin(self) -> None:
        """Find out what became of those in doubt."""
        after = 0
        where = "state = 'unknown' AND capability = ? AND instance = ? AND seq > ? ORDER BY seq LIMIT ?"
        while not self.patience.is_over:
            with self.out.store.read() as reader:
                page = list(outbox.entries(reader, where, (self.capability, self.instance, after, PAGE)))
            if not page:
                return
            after = page[-1].seq
            for entry in page:
                if not self.patience.is_over:
                    await self._doubt(entry)

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Perform a page of effects, in small batches: looked at, claimed together, sent together."""
        for batch in batches(entries, min(self.action.max_batch, AT_ONCE)):
            if self.patience.is_over:
                return
            gate = asyncio.Semaphore(LOOKS_AT_ONCE)
            looked = await asyncio.gather(*(self._ready(entry, gate) for entry in batch))
            ready = [item for item in looked if item is not None]
            if self.live:
                await self._send(ready)
            else:
                for item in ready:
                    self.show(item.entry, "would send")
                await self.mark_dry([item.entry for item in ready])

    async def _ready(self, entry: Entry, gate: asyncio.Semaphore) -> Ready | None:
        """Look at an effect; one that stops, or falls into parts, is dealt with here."""
        effect = self.effect(entry)
        async with gate:
            looked = effect if isinstance(effect, Stop) else await self._look(entry, effect)
        if isinstance(looked, Ready):
            return looked
        if isinstance(looked, Stop):
            await self.stop(entry, looked)
        elif isinstance(effect, Effect):
            await self.divide(entry, effect, looked)
        return None

    async def _look(self, entry: Entry, effect: Effect) -> Ready | Split | Stop:
        if entry.account is None:
            return Stop("held", "it names no account")
        divided = self.split(entry, effect)
        if divided is not None:
            return divided
        stop = await self.ask(entry, effect)
        return stop or self._resolved(entry, effect, entry.account)

    def _resolved(self, entry: Entry, effect: Effect, account: str) -> Ready | Stop:
        """Find the person and the vendor's record that are meant."""
        who, recipient, target = role(effect.payload), None, entry.target
        with self.out.store.read() as reader:
            if is_gone(reader, account):
                return GONE
            if who is not None:
                found = find(self.out, reader, who[1], account, getattr(effect.payload, "locale", None))
                if found.recipient is None:
                    return Stop("held", found.problem)
                recipient = found.recipient
            if target is None:
                here = [
                    record.id
                    for instance, record in self.out.tables.owned(reader, Account, account)
                    if instance == self.instance
                ]
                if len(here) == 1:
                    target = Target(instance=self.instance, type=Account.type, id=here[0])
        return Ready(entry, effect.payload, recipient, target)

    async def _send(self, ready: Sequence[Ready]) -> None:
        """Claim together, durably; then call; then settle together."""
        held: list[tuple[Ready, Claim]] = []

        def job(tx: Tx) -> list[Change]:
            held.clear()
            now, changes = self.out.clock.now(), list[Change]()
            for item in ready:
                if item.entry.state == "unknown" and not self._in_window(item.entry, now):
                    change = claims.put_aside(tx, item.entry, "held", _UNTOLD, now=now, doubt=True)
                    changes += [change] if change else []
                    continue
                claim = claims.claim(tx, item.entry, run=self.out.run.id, now=now, instance=self.instance, target=item.target)
                if claim is not None:
                    held.append((item, claim))
            return changes

        for change in await self.write(job, durable=True) if ready else ():
            self.show(change.entry, "held", change.note)
        if not held:
            return
        deliveries = [_delivery(item, claim.entry) for item, claim in held]

        async def send() -> Sequence[Outcome]:
            return await self.action.deliver(deliveries)

        claimed = [claim for _, claim in held]
        await self.settle(claimed, await self.attempt(claimed, send), lambda _tx, _changes: None)

    # --- in doubt ----------------------------------------------------------------------------------------------------------

    async def _doubt(self, entry: Entry) -> None:
        """Look an effect up at the vendor, and act on what is found."""
        now = self.out.clock.now()
        settled = (entry.claimed_at or 0) + round(self.action.settle_after.total_seconds() * 1000)
        if now < max(settled, entry.not_before or 0) or self.out.dry_run:
            self.show(entry, "unknown", entry.note)
            return
        effect = self.effect(entry)
        if isinstance(effect, Stop):
            self.show(entry, "unknown", effect.note)
            return
        resolved = self._resolved(entry, effect, entry.account or "")
        item = Ready(entry, effect.payload, None, entry.target) if isinstance(resolved, Stop) else resolved
        try:
            async with asyncio.timeout(self.out.call_seconds):
                found = await self.action.look_up(_delivery(item, entry))
        except OURS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an action raises: nothing was found out
            reason = redact_exception(error) or type(error).__name__
            self.patience.note(reason, failed=True)
            self.out.remember(self.instance, error)
            self.show(entry, "unknown", f"it could not be looked up: {reason}")
            return
        self.patience.note()
        if found is not None and found.status != "unknown":
            await self._resolve(entry, found)
        elif not self._in_window(entry, self.out.clock.now()):
            await self._give_to_person(entry, _UNTOLD)
        else:
            await self._repeat(item, effect)

    async def _resolve(self, entry: Entry, found: Outcome) -> None:
        def job(tx: Tx) -> list[Change]:
            change = claims.resolve(tx, entry, found, now=self.out.clock.now())
            return [] if change is None else [change]

        for change in await self.write(job):
            if change.after != "planned":  # planned ones are dealt with in this very run
                self.show(change.entry, "done" if change.after == "done" else "rejected", change.note)

    async def _repeat(self, item: Ready, effect: Effect) -> None:
        """Send it again under the same key, while the vendor honours that, if it is still wanted."""
        stop = await self.ask(item.entry, effect)
        if stop is not None and stop.what == "expired":
            await self._give_to_person(item.entry, f"{_UNTOLD}; meanwhile it is not wanted any more: {stop.note}")
        elif stop is not None or not self.live:
            self.show(item.entry, "unknown", stop.note if stop else f"{self.instance} is not live")
        else:
            await self._send([item])

    async def _give_to_person(self, entry: Entry, note: str) -> None:
        def job(tx: Tx) -> list[Change]:
            change = claims.put_aside(tx, entry, "held", note, now=self.out.clock.now(), doubt=True)
            return [] if change is None else [change]

        await self.write(job)
        self.show(entry, "held", note)

    def _in_window(self, entry: Entry, now: int) -> bool:
        """Say whether the vendor will still honour the key when the call arrives, however long that takes."""
        window = self.action.idempotency_window.total_seconds()
        return now + self.out.call_seconds * 1000 < (entry.first_sent_at or 0) + window * 1000


_UNTOLD = "nobody can say whether it was done; look at the vendor, then `effects retry --i-know` or `effects reject`"


def _delivery(item: Ready, entry: Entry) -> Delivery[Any]:
    return Delivery(
        key=entry.key,
        idempotency_key=idempotency_key(entry.key),
        payload=item.payload,
        target=entry.target or item.target,
        account=entry.account,
        recipient=item.recipient,
        attempt=entry.attempts,
        first_sent_at=entry.first_sent_at or 0,
        sent_at=entry.claimed_at or 0,
    )
