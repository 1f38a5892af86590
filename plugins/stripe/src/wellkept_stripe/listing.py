"""Full reads and windows: a list from its newest row to its oldest.

Stripe lists by time of creation, the newest first, and pages by the id of the last row, so that rows which are made meanwhile
change nothing below: they are in no page, but in the events since the read began, where the next read starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from wellkept import Batch, Clock, Window
from wellkept.errors import CursorExpiredError
from wellkept.http import StatusError
from wellkept_stripe.api import Api, Rows, error_code, version_at
from wellkept_stripe.changes import CLOSE_DAYS, DAY, Changes
from wellkept_stripe.readers import Mapped, Reader, Seen


class Listing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="mode", tag="list"):
    """Where a full read or a window goes on. Instants are epoch seconds on Stripe's clock.

    Attributes:
        began: When its first page was asked for.
        after: The last row of the page that was read last.
        at: When that one was made.
    """

    began: int
    after: str | None = None
    at: int | None = None


class Done(msgspec.Struct, frozen=True, tag_field="mode", tag="done"):
    """A window that was read to its end."""


class ListReader:
    """Reads the list of one stream. Arguments: see `wellkept_stripe.changes.ChangeReader`."""

    def __init__(self, api: Api, reader: Reader[Any], clock: Clock) -> None:
        self._api = api
        self._reader = reader
        self._clock = clock

    async def read(self, place: Listing | None, window: Window | None = None) -> AsyncGenerator[Batch, None]:
        """Yield all rows, or those of a window.

        Args:
            place: Where to go on; None starts.
            window: Rows made in it only.

        Raises:
            CursorExpiredError: The read was interrupted for so long that events from its beginning cannot be listed.
        """
        if place is not None and window is None and self._clock.now() // 1000 - place.began >= CLOSE_DAYS * DAY:
            raise CursorExpiredError("the full read was interrupted for too long")
        span = _span(window)
        following = asyncio.ensure_future(self._page(place, span))
        try:
            while True:
                page = await following
                began = page.asked_at if place is None else place.began
                if page.has_more:
                    place = Listing(began=began, after=page.last_id, at=_created(page, place))
                    following = asyncio.ensure_future(self._page(place, span))  # while this page is mapped and stored
                mapped = await self._map(page)
                yield Batch(
                    records=mapped.records,
                    deletions=mapped.deletions,
                    rejects=mapped.rejects,
                    cursor=msgspec.to_builtins(self._cursor(page, place, began, window)),
                    complete=window is None and not page.has_more,
                )
                if not page.has_more:
                    return
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _cursor(self, page: Rows[Any], place: Listing | None, began: int, window: Window | None) -> object:
        if page.has_more:
            return place
        return Changes(since=began, full_at=self._clock.now()) if window is None else Done()

    async def _page(self, place: Listing | None, span: dict[str, int]) -> Rows[Any]:
        reader = self._reader
        params = {**reader.list_params(), **span}
        if place is None or place.after is None:
            return await self._api.page(reader.path, reader.row, params)
        try:
            return await self._api.page(reader.path, reader.row, {**params, "starting_after": place.after})
        except StatusError as error:
            if error_code(error) != "resource_missing":
                raise
        # The row after which to go on is gone: go on by its time, or from the top, which brings some rows twice.
        if reader.by_created and place.at is not None:
            params["created[lte]"] = place.at
        return await self._api.page(reader.path, reader.row, params)

    async def _map(self, page: Rows[Any]) -> Mapped:
        version = version_at(page.asked_at)
        rows = [Seen(row, raw, version) for row, raw in page.rows if not self._reader.is_gone(row)]
        found = await self._reader.map(rows, listed=True)
        found.rejects += page.rejects
        return found


def _created(page: Rows[Any], place: Listing | None) -> int | None:
    """Return when the last row of a page was made, as far as its rows tell."""
    for row, _ in reversed(page.rows):
        created = getattr(row, "created", None)
        if created is not None:
            return int(created)
    return None if place is None else place.at


def _span(window: Window | None) -> dict[str, int]:
    """Return the filter for rows made in a window; its bounds are rounded up to seconds, which keeps it half-open."""
    if window is None:
        return {}
    return {"created[gte]": -(-window.start // 1000), "created[lt]": -(-window.end // 1000)}
