"""The source: full reads, later changes by search, windows, single objects, webhooks, and the check of the token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from wellkept import (
    Batch,
    CheckResult,
    Cursor,
    Estimate,
    ReadRequest,
    Received,
    Stream,
    WebhookRequest,
    WebhookSource,
)
from wellkept.errors import CursorExpiredError
from wellkept_hubspot import checking, webhooks
from wellkept_hubspot.api import Api
from wellkept_hubspot.kinds import OWNERS, kinds
from wellkept_hubspot.reading import Changes, Listing, OwnersReader, Place, Reader, Span

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_hubspot.config import HubSpotConfig


class HubSpotSource(WebhookSource):
    """Reads one HubSpot account.

    A stream is read in full first, as a list. From then on its cursor says since when changes are to be searched. Every
    `reconcile_days` the source says that the cursor has expired, so that core reads everything again and finds what is gone.
    """

    def __init__(self, ctx: Context[HubSpotConfig]) -> None:
        self._ctx = ctx
        self._kinds = kinds(ctx.config)

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    def _reader(self, stream: str) -> Reader:
        return Reader(self._api, self._kinds[stream], self._ctx.config, self._ctx.clock)

    def streams(self) -> Sequence[Stream]:
        """Return the streams, owners first."""
        lookback = timedelta(minutes=self._ctx.config.lookback_minutes)
        found = [msgspec.structs.replace(kind.stream, lookback=lookback) for kind in self._kinds.values()]
        return [OWNERS, *found] if "owners" in self._ctx.config.streams else found

    async def check(self) -> CheckResult:
        """Try the token, read-only."""
        return await checking.check(self._api, self._ctx.config, self.streams(), self._kinds)

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield rows: all, those of a window, or what changed."""
        if request.stream.name == OWNERS.name:
            batches = OwnersReader(self._api).read()
        else:
            batches = self._reader(request.stream.name).read(_place(request.cursor), request.window)
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        """Read single objects again."""
        if stream.name == OWNERS.name:
            return await OwnersReader(self._api).fetch(ids)
        return await self._reader(stream.name).fetch(ids)

    def receive(self, request: WebhookRequest) -> Received:
        """Verify a webhook and say what to read again."""
        config = self._ctx.config
        secrets = [secret.reveal() for secret in config.webhook_secrets]
        return webhooks.receive(request, secrets, list(self._kinds.values()), portal=config.portal_id)

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Estimate from what a search counts."""
        if stream.name == OWNERS.name:
            return Estimate(calls=1)
        place = _place(cursor)
        config = self._ctx.config
        since = place.since - config.lookback_minutes * 60_000 if isinstance(place, Changes) else None
        return await checking.estimate(self._api, self._kinds[stream.name], since, config)


def _place(cursor: Cursor | None) -> Place | None:
    """Return where to go on.

    Raises:
        CursorExpiredError: The cursor was written by another version of this plugin.
    """
    if cursor is None:
        return None
    try:
        return msgspec.convert(cursor, Listing | Changes | Span)
    except msgspec.ValidationError as error:
        raise CursorExpiredError(f"the cursor is not understood: {error}") from None
