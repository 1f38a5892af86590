"""The watch: looks after each run what is wrong, and tells those who want to know what began and what is over."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4
from zoneinfo import ZoneInfo

from wellkept.alerts.conditions import DAY_MS, Limits, troubles
from wellkept.alerts.notices import Message, compose
from wellkept.errors import WellkeptError
from wellkept.pipeline.jobs import place
from wellkept.pipeline.quiet import parse, quiet_until
from wellkept.redact import REDACTOR, redact_exception
from wellkept.secrets import Resolver, bind
from wellkept.store import alerts, locks
from wellkept.store.alerts import Notice
from wellkept.store.tokens import StoredTokens

if TYPE_CHECKING:
    from wellkept.runtime import Runtime
    from wellkept.settings import Alerts
    from wellkept.store import Store
    from wellkept.store.connection import Reader

LOCK = "alerts"
"""Name of the lock under which notices are sent: two processes must not both tell."""

LOCK_MS = 300_000
"""More than all channels together may take."""

_log = logging.getLogger("wellkept.alerts")


class Watch:
    """Watches one installation.

    Args:
        store: Its store.
        settings: ``[alerts]``.
        base: The folder that relative paths of secrets start from.
        zone: The installation's, for quiet hours and instants.
        limits: From when on something is wrong.
    """

    def __init__(self, store: Store, settings: Alerts, *, base: Path, zone: str, limits: Limits) -> None:
        self._store = store
        self._settings = bind(settings, Resolver(base, REDACTOR.register))
        self._zone = ZoneInfo(zone)
        self._limits = limits
        self._quiet = None if settings.quiet_hours is None else parse(settings.quiet_hours)
        self._name = settings.name or socket.gethostname()

    @classmethod
    def of(cls, runtime: Runtime) -> Watch:
        """Watch an open installation."""
        settings = runtime.settings

        def tokens(reader: Reader) -> Mapping[str, int]:
            found = {}
            for name, instance in runtime.instances.items():
                if isinstance(instance.ctx.tokens, StoredTokens):
                    found[name] = instance.ctx.tokens.ends_at(reader, settings.alerts.credential_days * DAY_MS)
            return {name: at for name, at in found.items() if at is not None}

        return cls(
            runtime.store,
            settings.alerts,
            base=runtime.config.base,
            zone=settings.wellkept.timezone,
            limits=Limits.of(
                settings.alerts,
                stale_limits(runtime),
                tokens,
                jobs=[(name, place(job)) for name, instance in runtime.instances.items() for job in instance.jobs],
            ),
        )

    async def attend(self, *, cycle: bool) -> bool:
        """Look, keep the episodes, and tell. Never raises: what goes wrong here is logged, and tried again the next time.

        Args:
            cycle: A run has just ended that was to read or to send; if all is well the outside is told that we live.

        Returns:
            Whether everybody knows who is to know.
        """
        try:
            well = self._look()
            told = await self._tell()
        except WellkeptError as error:
            _log.error("alerts cannot be looked after: %s", redact_exception(error))
            return False
        except Exception:  # noqa: BLE001 - whoever watches must not bring down what is watched
            _log.exception("alerts cannot be looked after")
            return False
        if cycle and well and told:
            await self._ping()
        return told

    def _look(self) -> bool:
        """Bring the episodes up to date; whether nothing critical is wrong."""
        now = self._store.clock.now()
        with self._store.read() as reader:
            known = [episode.key for episode in alerts.open_episodes(reader)]
            found = [
                trouble for trouble in troubles(reader, self._limits, now, known) if trouble.condition not in self._settings.off
            ]
        if found or known:
            self._store.write_now(lambda tx: alerts.settle(tx, found, self._ways, now))
        return not any(trouble.severity == "critical" for trouble in found)

    async def _tell(self) -> bool:
        """Send what is due; whether nothing is left that could not be sent."""
        if not self._due():
            return not self._unsent()
        owner = uuid4().hex
        epoch = await self._store.write(lambda tx: locks.acquire(tx, LOCK, owner, LOCK_MS, self._store.clock.now()))
        if epoch is None:  # another process is telling just now
            return True
        try:
            for channel, notices in self._due().items():  # once more: another process may just have told
                await self._send(channel, notices)
        finally:
            await self._store.write(lambda tx: locks.release(tx, LOCK, owner, epoch))
        return not self._unsent()

    @property
    def _ways(self) -> Mapping[str, Callable[[Message, int], Awaitable[None]]]:
        """The channels that are set up."""
        from wellkept.alerts import channels

        ways: dict[str, Callable[[Message, int], Awaitable[None]]] = {}
        if (mail := self._settings.mail) is not None:
            ways["mail"] = lambda message, now: channels.mail(mail, message, now)
        if (webhook := self._settings.webhook) is not None:
            ways["webhook"] = lambda message, now: channels.webhook(webhook, message, now)
        return ways

    def _due(self) -> dict[str, list[Notice]]:
        """Return what each channel is to be told now. A channel whose turn it is gets all, so that the order stays."""
        now, found = self._store.clock.now(), dict[str, list[Notice]]()
        quiet = self._quiet is not None and quiet_until(now, self._quiet, self._zone) is not None
        with self._store.read() as reader:
            for channel in self._ways:
                waiting = alerts.waiting(reader, channel, now)
                notices = [notice for notice in waiting if not quiet or notice.episode.severity == "critical"]
                if any(notice.not_before <= now for notice in notices):
                    found[channel] = notices
        return found

    async def _send(self, channel: str, notices: Sequence[Notice]) -> None:
        from wellkept.alerts.channels import PartlySentError

        now = self._store.clock.now()
        await self._store.write(lambda tx: alerts.begin_try(tx, notices, now))
        try:
            await self._ways[channel](compose(notices, name=self._name, zone=self._zone, now=now), now)
        except PartlySentError as error:
            _log.error("an alert did not reach everybody by %s: %s", channel, redact_exception(error))
        except WellkeptError as error:
            why = redact_exception(error)
            _log.error("an alert cannot be sent by %s, and is tried again: %s", channel, why)
            await self._store.write(lambda tx: alerts.failed(tx, notices, why))
            return
        await self._store.write(lambda tx: alerts.sent(tx, notices, self._store.clock.now()))

    def _unsent(self) -> bool:
        with self._store.read() as reader:
            return bool(alerts.failures(reader))

    async def _ping(self) -> None:
        if self._settings.ping is None:
            return
        from wellkept.alerts import channels

        try:
            await channels.ping(self._settings.ping.reveal())
        except WellkeptError as error:
            _log.error("the outside could not be told that we live: %s", redact_exception(error))


def stale_limits(runtime: Runtime) -> dict[tuple[str, str], timedelta]:
    """Return the age after which each configured stream's data no longer count."""
    general = timedelta(hours=runtime.settings.freshness.stale_after_hours)
    return {
        (name, stream): general if bound.stream.stale_after is None else bound.stream.stale_after
        for name, instance in runtime.instances.items()
        for stream, bound in instance.streams.items()
    }
