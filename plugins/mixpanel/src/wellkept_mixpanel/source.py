"""The source: usage, users and groups, the check of the credential, and what a read would cost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from wellkept import Batch, CheckResult, Cursor, Estimate, FetchingSource, ReadRequest, Stream
from wellkept.errors import CursorExpiredError, RejectedError
from wellkept.records import Account, Person, Usage
from wellkept_mixpanel import checking
from wellkept_mixpanel.api import Api
from wellkept_mixpanel.events import EventReader, Place
from wellkept_mixpanel.profiles import GroupReader, Paging, ProfileReader, Read, UserReader

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_mixpanel.config import MixpanelConfig


EVENTS = Stream(
    name="events",
    records=(Usage,),
    doc="Usage: how often each user did what on each day.",
    scopes=("Analyst",),
    backfill=True,
    deletes="never",
)
USERS = Stream(
    name="users",
    records=(Person,),
    doc="User profiles; where groups have no profiles, the accounts that users name as well.",
    scopes=("Analyst",),
    deletes="absence",
)
GROUPS = Stream(
    name="groups",
    records=(Account,),
    doc="Group profiles: an account each.",
    scopes=("Analyst",),
    deletes="absence",
)


class MixpanelSource(FetchingSource):
    """Reads one Mixpanel project."""

    def __init__(self, ctx: Context[MixpanelConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    @property
    def _events(self) -> EventReader:
        return EventReader(self._api, self._ctx.config, self._ctx.clock)

    def _profiles(self, stream: str) -> ProfileReader:
        kind = GroupReader if stream == GROUPS.name else UserReader
        return kind(self._api, self._ctx.config, self._ctx.clock)

    def streams(self) -> Sequence[Stream]:
        """Return the streams; groups are one only where the configuration names their key's id."""
        config = self._ctx.config
        named = (Account,) if config.group_key is not None else ()
        events = msgspec.structs.replace(EVENTS, lookback=timedelta(days=config.lookback_days), includes=named)
        slow = timedelta(hours=2 * config.profiles_every_hours)
        users, groups = (msgspec.structs.replace(stream, stale_after=slow) for stream in (USERS, GROUPS))
        if config.data_group_id is not None:
            return [groups, users, events]
        if config.company_of_user is not None:
            users = msgspec.structs.replace(users, records=(Person, Account))
        return [users, events]

    async def check(self) -> CheckResult:
        """Try the credential on what is read, and the other regions where this one does not know it."""
        return await checking.check(self._ctx, self._api)

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield usage day by day, or profiles page by page."""
        batches: AsyncGenerator[Batch, None]
        if request.stream.name == EVENTS.name:
            window = None if request.window is None else (request.window.start, request.window.end)
            batches = self._events.read(_place(request.cursor, Place), window)
        else:
            batches = self._profiles(request.stream.name).read(_place(request.cursor, Paging | Read))
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        """Read single profiles again.

        Raises:
            RejectedError: Of usage there are no single rows to be had.
        """
        if stream.name == EVENTS.name:
            raise RejectedError("Mixpanel gives events by the day, not one by one; the next read of the day brings them")
        return await self._profiles(stream.name).fetch(list(dict.fromkeys(ids)))

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Say how many of the calls of an hour a read takes."""
        if stream.name == EVENTS.name:
            days = self._events.days(_place(cursor, Place))
            return checking.cost(sum(1 for _ in days.windows(self._ctx.config.window_days)))
        total, size = await self._profiles(stream.name).total()
        return checking.cost(total // size + 1)


def _place(cursor: Cursor | None, type_: Any) -> Any:
    """Return where to go on.

    Raises:
        CursorExpiredError: The cursor was written by another version of this plugin.
    """
    if cursor is None:
        return None
    try:
        return msgspec.convert(cursor, type_)
    except msgspec.ValidationError as error:
        raise CursorExpiredError(f"the cursor is not understood: {error}") from None
