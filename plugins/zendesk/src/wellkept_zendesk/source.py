"""The source: exports, ratings, deleted tickets, single objects, webhooks, and the check of the credential."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from wellkept import Batch, CheckResult, Cursor, Estimate, ReadRequest, Received, Stream, WebhookRequest, WebhookSource
from wellkept_zendesk import checking, streams, webhooks
from wellkept_zendesk.api import Api
from wellkept_zendesk.merges import Merges
from wellkept_zendesk.reading import DAY, Reading, place
from wellkept_zendesk.words import ChurnWords

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_zendesk.config import ZendeskConfig


class ZendeskSource(WebhookSource):
    """Reads one Zendesk account. Every stream goes on from its cursor; nothing is ever read in full twice."""

    def __init__(self, ctx: Context[ZendeskConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    @cached_property
    def _reading(self) -> Reading:
        config = self._ctx.config
        merges = Merges(self._api, self._ctx.state)
        lookback = config.rating_lookback_days * DAY
        return Reading(self._api, self._ctx.clock, merges, ChurnWords(config.churn_words), lookback)

    def streams(self) -> Sequence[Stream]:
        """Return the streams that are wanted."""
        wanted = self._ctx.config.streams
        lookback = timedelta(days=self._ctx.config.rating_lookback_days)
        return [
            msgspec.structs.replace(
                stream,
                lookback=lookback if stream is streams.RATINGS else stream.lookback,
                depends_on=tuple(name for name in stream.depends_on if name in wanted),
            )
            for stream in streams.ALL
            if stream.name in wanted
        ]

    async def check(self) -> CheckResult:
        """Try the credential, read-only."""
        return await checking.check(self._api, self._ctx.config, self.streams(), self._ctx.clock.now())

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield rows from the cursor on."""
        reading = self._reading
        batches = {
            streams.ORGANIZATIONS.name: reading.organizations,
            streams.USERS.name: reading.users,
            streams.TICKETS.name: reading.tickets,
            streams.RATINGS.name: reading.ratings,
            streams.DELETED.name: reading.deleted_tickets,
        }[request.stream.name](place(request.cursor))
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        """Read single objects again."""
        found = await self._reading.fetch(stream.name, ids)
        return Batch(records=found.records, deletions=found.deletions, rejects=found.rejects)

    def receive(self, request: WebhookRequest) -> Received:
        """Verify a webhook and say what to read again."""
        config = self._ctx.config
        return webhooks.receive(request, [secret.reveal() for secret in config.webhook_secrets], config.streams)

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Estimate a first read from Zendesk's own counts; what a later one costs, only reading tells."""
        return Estimate(calls=None) if cursor is not None else await checking.estimate(self._api, self._ctx.config, stream)
