"""The source: full reads, later changes from events, windows, single objects, webhooks, and the check of the key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from wellkept_stripe import checking, streams, webhooks
from wellkept_stripe.api import Api
from wellkept_stripe.changes import ChangeReader, Changes
from wellkept_stripe.listing import Done, Listing, ListReader
from wellkept_stripe.readers import Customers, CustomersWithTaxIds, Invoices, Prices, Products, Reader, Subscriptions, Wanted
from wellkept_stripe.readers_payments import PaymentAttempts, PaymentMethods

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_stripe.config import StripeConfig

READERS: dict[str, type[Reader[Any]]] = {
    reader.stream.name: reader
    for reader in (Customers, Subscriptions, Invoices, PaymentAttempts, PaymentMethods, Products, Prices)
}


class StripeSource(WebhookSource):
    """Reads one Stripe account.

    A stream is read in full first, as a list. From then on its cursor says since when the events of its objects are to be read.
    Every `reconcile_days`, and when the cursor is older than the events that Stripe keeps, the source says that the cursor has
    expired, so that core reads everything again and finds what is gone.
    """

    def __init__(self, ctx: Context[StripeConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    def _reader(self, stream: str) -> Reader[Any]:
        """Return a reader; what it looks up, it remembers for one use only."""
        reader = READERS[stream]
        if reader is Customers and self._ctx.config.tax_ids:
            reader = CustomersWithTaxIds
        return reader(self._api, self._ctx.config, self._ctx.clock.now)

    def streams(self) -> Sequence[Stream]:
        """Return the streams."""
        lookback = timedelta(minutes=self._ctx.config.lookback_minutes)
        return [msgspec.structs.replace(stream, lookback=lookback) for stream in streams.ALL]

    async def check(self) -> CheckResult:
        """Try the key, read-only."""
        config = self._ctx.config
        return await checking.check(self._api, config, config.api_key.reveal(), [self._reader(name) for name in READERS])

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield rows: all, those of a window, or what changed."""
        reader = self._reader(request.stream.name)
        place = _place(request.cursor)
        if isinstance(place, Changes):
            batches = self._changes(reader).read(place)
        elif isinstance(place, Listing) or place is None:
            batches = ListReader(self._api, reader, self._ctx.clock).read(place, request.window)
        else:
            return
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        """Read single objects again.

        Besides the ids of its rows, ``payment_attempts`` takes those of payment intents and invoices.
        """
        found = await self._reader(stream.name).fetch([Wanted(id_) for id_ in dict.fromkeys(ids)])
        return Batch(records=found.records, deletions=found.deletions, rejects=found.rejects)

    def receive(self, request: WebhookRequest) -> Received:
        """Verify a webhook and say what to read again."""
        secrets = [secret.reveal() for secret in self._ctx.config.webhook_secrets]
        return webhooks.receive(request, secrets, [self._reader(name) for name in READERS])

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Estimate from samples: Stripe counts nothing."""
        reader = self._reader(stream.name)
        place = _place(cursor)
        rate = self._ctx.config.requests_per_second
        if isinstance(place, Changes):
            lookback = self._ctx.config.lookback_minutes * 60
            return await checking.estimate_events(self._api, reader, place.since - lookback, rate)
        return await checking.estimate_list(self._api, reader, rate)

    def _changes(self, reader: Reader[Any]) -> ChangeReader:
        config = self._ctx.config
        return ChangeReader(
            self._api,
            reader,
            self._ctx.clock,
            lookback=config.lookback_minutes * 60,
            reconcile_days=config.reconcile_days,
        )


def _place(cursor: Cursor | None) -> Changes | Listing | Done | None:
    """Return where to go on.

    Raises:
        CursorExpiredError: The cursor was written by another version of this plugin.
    """
    if cursor is None:
        return None
    try:
        return msgspec.convert(cursor, Changes | Listing | Done)
    except msgspec.ValidationError as error:
        raise CursorExpiredError(f"the cursor is not understood: {error}") from None
