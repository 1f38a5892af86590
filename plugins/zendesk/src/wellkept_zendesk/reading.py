"""How streams are read: cursor exports, the time export of organizations, lists with a cursor, and single objects.

Incremental exports leave out the last minute, so that nothing which is still being written is missed; the first read and all
later ones are the same read, going on from the cursor. Organizations have a time export only, whose pages overlap by a second.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from wellkept import Batch, Deletion
from wellkept.errors import CursorExpiredError, FatalError, StuckCursorError
from wellkept.http import Response, Rows, StatusError, decode_rows, together
from wellkept_zendesk import mapping, rows, wire
from wellkept_zendesk.api import PAGE, Api, chunks
from wellkept_zendesk.merges import Merges
from wellkept_zendesk.rows import Made, Mapped, Shape
from wellkept_zendesk.words import ChurnWords

if TYPE_CHECKING:
    from wellkept import Clock

EXPORT_PAGE = 1000
"""Rows of an export's page: the most that Zendesk gives."""

TOO_RECENT = 120
"""Seconds: an export must start at least a minute back; twice that allows for a clock of ours that is fast."""

DAY = 86_400

W = TypeVar("W", bound=wire.Wire)


class After(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="mode", tag="after"):
    """Where a cursor export, or the list of deleted tickets, goes on; None starts."""

    cursor: str | None


class Since(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="mode", tag="since"):
    """Where the time export of organizations goes on.

    Attributes:
        time: Epoch seconds.
        first: Whether the very first read is still under way; it may have been broken off.
    """

    time: int
    first: bool


class Rating(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="mode", tag="ratings"):
    """Where the list of ratings goes on.

    Attributes:
        since: Up to when it was read by an earlier run, epoch seconds; 0 for not at all.
        began: When the read under way began.
        cursor: The page that it reached; None where no read is under way.
    """

    since: int
    began: int
    cursor: str | None = None


Place = After | Since | Rating


def place(cursor: Mapping[str, Any] | None) -> Place | None:
    """Return where to go on.

    Raises:
        CursorExpiredError: The cursor was written by another version of this plugin.
    """
    if cursor is None:
        return None
    try:
        found: Place = msgspec.convert(cursor, Place)
    except msgspec.ValidationError as error:
        raise CursorExpiredError(f"the cursor is not understood: {error}") from None
    return found


class Reading:
    """Reads one account.

    Args:
        api: Zendesk.
        clock: Says when a read began.
        merges: Which organizations became which.
        words: Finds the wish to leave.
        rating_lookback: Seconds behind its cursor at which a read of ratings starts.
    """

    def __init__(self, api: Api, clock: Clock, merges: Merges, words: ChurnWords, rating_lookback: int) -> None:
        self._api = api
        self._clock = clock
        self._merges = merges
        self._words = words
        self._rating_lookback = rating_lookback

    async def users(self, at: Place | None) -> AsyncGenerator[Batch, None]:
        """Yield users from the export."""
        async for page, following in self._export(rows.USER, at, {}):
            yield _batch(rows.each(page, rows.user), following)

    async def tickets(self, at: Place | None) -> AsyncGenerator[Batch, None]:
        """Yield tickets from the export, metrics side-loaded."""
        async for page, following in self._export(rows.TICKET, at, {"include": "metric_sets"}):
            yield _batch(rows.each(rows.with_metrics(page), self._ticket), following)

    async def _export(
        self, shape: Shape, at: Place | None, more: Mapping[str, str]
    ) -> AsyncGenerator[tuple[Rows[Any], After], None]:
        """Follow a cursor export to the end of its stream."""
        after = at.cursor if isinstance(at, After) else None
        seen = {after}
        while True:
            start = {"start_time": 0} if after is None else {"cursor": after}
            path = f"/api/v2/incremental/{shape.plural}/cursor"
            response = await _follow(self._api.exports.get, path, {**start, "per_page": EXPORT_PAGE, **more}, after)
            page = decode_rows(response, shape.row, path=(shape.plural,))
            following, over = page.rest.at(("after_cursor",)), page.rest.at(("end_of_stream",)) is True
            if not over and not isinstance(following, str):
                raise FatalError(f"GET {path}: there is more to read, but no cursor that leads there")
            if not over and following in seen:
                raise StuckCursorError(f"GET {path}: the next page is one that was read before")
            after = following if isinstance(following, str) else after
            seen.add(after)
            yield page, After(cursor=after)
            if over:
                return

    async def organizations(self, at: Place | None) -> AsyncGenerator[Batch, None]:
        """Yield organizations from the time export."""
        known = at if isinstance(at, Since) else Since(time=0, first=True)
        since = known.time
        path, plural = "/api/v2/incremental/organizations", rows.ORGANIZATION.plural
        while True:
            start = min(since, self._clock.now() // 1000 - TOO_RECENT)
            response = await self._api.exports.get(path, params={"start_time": start, "per_page": EXPORT_PAGE})
            page = decode_rows(response, wire.Organization, path=(plural,))
            end, over = page.rest.at(("end_time",)), page.rest.at(("end_of_stream",))
            end = end if isinstance(end, int) else since
            if over is None:  # older answers say it by a short page alone
                over = len(page.rows) + len(page.rejects) < EXPORT_PAGE
            if not over and end <= start:
                raise StuckCursorError(f"GET {path}: the next page is one that was read before")
            merges = await self._merges.look([row for row, _ in page.rows], first=known.first)
            since = max(since, end)
            following = Since(time=since, first=known.first and not over)
            yield _batch(rows.each(page, partial(rows.organization, merges=merges)), following)
            if over:
                return

    async def ratings(self, at: Place | None) -> AsyncGenerator[Batch, None]:
        """Yield answered ratings, from some days before the last read on."""
        now = self._clock.now() // 1000
        known = at if isinstance(at, Rating) else Rating(since=0, began=now)
        if known.cursor is None:
            known = Rating(since=known.since, began=now)
        start = {"start_time": max(0, known.since - self._rating_lookback)} if known.since else {}
        async for page, following in self._list(rows.RATING, known.cursor, start):
            reached = Rating(since=known.since, began=known.began, cursor=following)
            done = Rating(since=known.began, began=known.began)
            yield _batch(rows.each(page, self._rating), done if following is None else reached)

    async def deleted_tickets(self, at: Place | None) -> AsyncGenerator[Batch, None]:
        """Yield the deletions of what is in the bin; every read goes through all of it."""
        after = at.cursor if isinstance(at, After) else None
        async for page, following in self._list(rows.DELETED_TICKET, after, {}):
            yield _batch(rows.each(page, rows.deleted_ticket), After(cursor=following))

    async def _list(
        self, shape: Shape, after: str | None, more: Mapping[str, Any]
    ) -> AsyncGenerator[tuple[Rows[Any], str | None], None]:
        """Follow a list by its cursor."""
        path, seen = f"/api/v2/{shape.plural}", {after}
        while True:
            query = {**more, "page[size]": PAGE, "page[after]": after}
            response = await _follow(self._api.get, path, query, after)
            page = decode_rows(response, shape.row, path=(shape.plural,))
            further = page.rest.at(("meta", "has_more"))
            following = page.rest.at(("meta", "after_cursor")) if further is True else None
            if (further is True or (further is None and page.rest.get("next_page"))) and not isinstance(following, str):
                raise FatalError(f"GET {path}: there is more to read, but no cursor that leads there")
            if following is not None and following in seen:
                raise StuckCursorError(f"GET {path}: the next page is one that was read before")
            seen.add(following)
            yield page, following
            if following is None:
                return
            after = following

    # --- single objects ---

    async def fetch(self, stream: str, ids: Sequence[str]) -> Mapped:
        """Read single objects again; one that is gone becomes a deletion."""
        wanted = list(dict.fromkeys(ids))
        if stream == rows.RATING.plural:
            return await self._ratings_by_id(wanted)
        found = Mapped()
        for part in chunks(wanted):
            if stream == rows.ORGANIZATION.plural:
                merges = await self._merges.known()
                await self._many(rows.ORGANIZATION, part, partial(rows.organization, merges=merges), found)
            elif stream == rows.USER.plural:
                await self._many(rows.USER, part, rows.user, found)
            else:
                await self._many(rows.TICKET, part, self._ticket, found, include="metric_sets")
        return found

    async def _many(self, shape: Shape, ids: Sequence[str], make: Callable[[Any], Made], found: Mapped, **params: str) -> None:
        sound = [id_ for id_ in ids if id_.isdigit()]
        told: set[str] = set()
        asked_at = self._clock.now()
        if sound:
            path, query = f"/api/v2/{shape.plural}/show_many", {"ids": ",".join(sound), **params}
            response = await self._api.get(path, query)
            page: Rows[Any] = decode_rows(response, shape.row, path=(shape.plural,))
            page = rows.with_metrics(page) if shape is rows.TICKET else page
            mapped = rows.each(page, make)
            told = mapped.ids()
            found.records += mapped.records
            found.deletions += mapped.deletions
            found.rejects += mapped.rejects
            asked_at = _missed_at(response, asked_at)
        found.deletions += [Deletion(record=shape.record, id=id_, version=asked_at) for id_ in ids if id_ not in told]

    async def _ratings_by_id(self, ids: Sequence[str]) -> Mapped:
        """The list cannot be asked for single ratings, and a single one may come in a list of one."""
        found, asked_at = Mapped(), self._clock.now()

        async def one(id_: str) -> Response | None:
            return await self._api.find(f"/api/v2/satisfaction_ratings/{id_}") if id_.isdigit() else None

        for id_, answer in zip(ids, await together(ids, one), strict=True):
            if answer is None:
                found.deletions.append(Deletion(record=rows.RATING.record, id=id_, version=asked_at))
                continue
            shown = answer.json(dict[str, msgspec.Raw]).get("satisfaction_rating", msgspec.Raw(b"[]"))
            raw = bytes(shown).strip()
            listed = raw if raw.startswith(b"[") else b"[" + raw + b"]"
            mapped = rows.each(decode_rows(listed, wire.Rating, path=()), self._rating)
            found.records += mapped.records
            found.rejects += mapped.rejects
            if not mapped.records and not mapped.rejects:
                found.deletions.append(Deletion(record=rows.RATING.record, id=id_, version=_missed_at(answer, asked_at)))
        return found

    def _ticket(self, row: wire.Ticket) -> Made:
        return rows.ticket(row, self._words)

    def _rating(self, row: wire.Rating) -> Made:
        return mapping.rating(row, self._words)


async def _follow(get: Callable[..., Any], path: str, params: Mapping[str, Any], after: str | None) -> Response:
    """Ask for a page.

    Raises:
        CursorExpiredError: Zendesk does not take the cursor (any more).
    """
    try:
        response: Response = await get(path, params=params)
    except StatusError as error:
        if after is not None and error.status in {400, 410, 422}:
            raise CursorExpiredError(f"GET {path}: Zendesk no longer takes the cursor (HTTP {error.status})") from None
        raise
    return response


def _batch(mapped: Mapped, at: Place) -> Batch:
    cursor = msgspec.to_builtins(at)
    return Batch(records=mapped.records, deletions=mapped.deletions, rejects=mapped.rejects, cursor=cursor)


def _missed_at(response: Response, otherwise: int) -> int:
    """Return the version of an absence, epoch ms: just before the second in which it was noticed, on Zendesk's clock.

    Zendesk tells time by the second. What comes back within that same second must not be taken for older than its absence;
    where the absence should have counted after all, the export says so within minutes.
    """
    try:
        return round(parsedate_to_datetime(response.headers["date"]).timestamp() * 1000) - 1
    except (KeyError, ValueError, TypeError):
        return otherwise
