"""Delivers messages: one after another, to whom it may be sent, when it may be sent, and never twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wellkept import unsubscribe
from wellkept.action import Delivery, Envelope, MessageAction, Outcome, Template
from wellkept.effects import Effect, MessageSend
from wellkept.pipeline import quiet
from wellkept.pipeline.recipients import Found, account_name, consents, find, is_gone
from wellkept.pipeline.worker import GONE, Split, Stop, Worker, idempotency_key
from wellkept.store import claims, messages, outbox
from wellkept.store.claims import Claim
from wellkept.store.engine import Reader, Tx
from wellkept.store.outbox import Change, Entry


class Ready(NamedTuple):
    """A message that may leave."""

    message: MessageSend
    envelope: Envelope
    digest: str


class MessageWorker(Worker[MessageAction]):
    """See `Worker`."""

    _templates: Mapping[str, Template]

    async def begin(self) -> None:
        """Learn what can be sent."""
        self._templates = {template.name: template for template in self.action.templates()}

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Send a page of messages, each as soon as it was looked at."""
        for entry in entries:
            if self.patience.is_over:
                return
            effect = self.effect(entry)
            looked = effect if isinstance(effect, Stop) else await self._ready(entry, effect)
            if isinstance(looked, Stop):
                await self.stop(entry, looked)
            elif isinstance(looked, Split) and isinstance(effect, Effect):
                await self.divide(entry, effect, looked)
            elif isinstance(looked, Ready) and self.live:
                await self._send(entry, looked)
            elif isinstance(looked, Ready):
                self.show(entry, "would send", _to(looked))
                await self.mark_dry([entry])

    async def _ready(self, entry: Entry, effect: Effect) -> Ready | Split | Stop:
        """Look at a message, ask its policy with fresh facts, and look again: the facts may have changed the recipient."""
        divided = self.split(entry, effect)
        if divided is not None:
            return divided
        message = effect.payload
        if not isinstance(message, MessageSend) or entry.account is None:
            return Stop("held", "it names no account")
        looked = self._look(entry.account, message)
        if isinstance(looked, Stop):
            return looked
        return await self.ask(entry, effect) or self._look(entry.account, message)

    def _look(self, account: str, message: MessageSend) -> Ready | Stop:
        problem = self._wrong(message)
        if problem is not None:
            return Stop("held", problem)
        purpose = self._templates[message.template].purpose
        with self.out.store.read() as reader:
            if is_gone(reader, account):
                return GONE
            found = find(self.out, reader, message.to, account, message.locale)
            if found.recipient is None:
                return Stop("held", found.problem)
            digest = messages.digest(self.out.key, found.recipient.address)
            stop = self._unwanted(reader, found, account, purpose, digest) or self._too_early(reader, found, purpose, digest)
            name = account_name(reader, account)
        if stop is not None:
            return stop
        url = None
        if purpose == "marketing":
            url = unsubscribe.link(self.out.general.public_url or "", self.out.signer, digest)
        envelope = Envelope(recipient=found.recipient, purpose=purpose, account_name=name, unsubscribe_url=url)
        return Ready(message, envelope, digest)

    def _wrong(self, message: MessageSend) -> str | None:
        """Say why no message can be made of it."""
        template = self._templates.get(message.template)
        if template is None:
            known = ", ".join(sorted(self._templates)) or "none"
            return f"{self.instance} has no template {message.template!r}; it has {known}"
        missing = [name for name in template.variables if name not in message.variables]
        return f"the template {message.template!r} needs {', '.join(missing)}" if missing else None

    def _unwanted(self, reader: Reader, found: Found, account: str, purpose: str, digest: str) -> Stop | None:
        """Say whether the recipient must not get it, or we must not send it."""
        scope = messages.suppressed(reader, digest)
        if scope == "all":
            return Stop("rejected", "mail to this address has bounced")
        if purpose != "marketing" or found.recipient is None:
            return None
        if scope == "marketing":
            return Stop("rejected", "the recipient has unsubscribed")
        if not consents(self.out, reader, found.recipient, account):
            return Stop("rejected", "the recipient has not agreed to marketing")
        if self.out.general.public_url is None:
            return Stop("held", "marketing needs an unsubscribe link; set `public_url` in [wellkept]")
        return None

    def _too_early(self, reader: Reader, found: Found, purpose: str, digest: str) -> Stop | None:
        """Say whether it has to wait."""
        out, now = self.out, self.out.clock.now()
        if out.messages.quiet_hours is not None:
            zone = quiet.zone_of(found.time_zone, out.general.timezone)
            until = quiet.quiet_until(now, quiet.parse(out.messages.quiet_hours), zone)
            if until is not None:
                return Stop("postponed", "quiet hours", until)
        if purpose == "marketing":
            return self._capped(reader, digest, now)
        return None

    def _capped(self, reader: Reader, digest: str, now: int) -> Stop | None:
        cap, days = self.out.messages.cap, self.out.messages.cap_days
        free = messages.free_at(reader, digest, now=now, cap=cap, days=days)
        return None if free <= now else Stop("postponed", f"{cap} messages in {days} days is the cap", free)

    async def _send(self, entry: Entry, ready: Ready) -> None:
        """Claim, send, settle. The cap is checked once more in the claim's own transaction."""
        out, held, noted = self.out, list[Claim](), list[int]()
        purpose = ready.envelope.purpose

        def job(tx: Tx) -> list[Change]:
            held.clear()
            noted.clear()
            now = out.clock.now()
            capped = self._capped(tx, ready.digest, now) if purpose == "marketing" else None
            if capped is not None and outbox.get(tx, entry.key) == entry:
                outbox.postpone(tx, entry, capped.until or now, capped.note, now=now)
            claim = None if capped else claims.claim(tx, entry, run=out.run.id, now=now, instance=self.instance)
            if claim is not None:
                held.append(claim)
                noted.append(messages.note_sent(tx, ready.digest, account=entry.account, purpose=purpose, now=now))
            return []

        await self.write(job, durable=True)
        if not held:
            return
        claimed = held[0].entry
        delivery = Delivery(
            key=claimed.key,
            idempotency_key=idempotency_key(claimed.key),
            payload=ready.message,
            target=claimed.target,
            account=claimed.account,
            recipient=ready.envelope.recipient,
            attempt=claimed.attempts,
            first_sent_at=claimed.first_sent_at or 0,
            sent_at=claimed.claimed_at or 0,
        )

        async def send() -> Sequence[Outcome]:
            return [await self.action.send(delivery, ready.envelope)]

        def take_back(tx: Tx, changes: list[Change]) -> None:
            """A message that certainly did not leave does not count against the cap."""
            for change in changes:
                if change.after in {"planned", "rejected"} or (change.after == "held" and outcomes[0].status == "retry"):
                    messages.note_unsent(tx, noted[0])

        outcomes = await self.attempt(held, send)
        await self.settle(held, outcomes, take_back)


def _to(ready: Ready) -> str:
    return f"{ready.message.template} to {ready.message.to.partition(':')[0]} in {ready.envelope.recipient.locale}"
