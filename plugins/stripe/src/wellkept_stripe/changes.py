"""Later changes: what events say happened, newest first, from a cursor to now.

Events are listed newest first, and a page's events are applied in that order: an older one of the same object has a smaller
version and changes nothing. So a read can stop after any page and go on where it stopped, and the order of arrival never
matters. Three kinds of object are read again by id instead of being taken from an event: those with several differing events
in the newest second, those whose snapshot lacks something (or has a shape from too long ago), and those whose event cannot be
read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wellkept import Batch, Clock
from wellkept.errors import CursorExpiredError
from wellkept.http import StatusError
from wellkept_stripe.api import Api, Rows, error_code, version_at
from wellkept_stripe.readers import Mapped, Reader, Seen, Subject, Wanted
from wellkept_stripe.wire_events import Event

EVENT_DAYS = 30
"""How long Stripe lists events. Source: docs.stripe.com/api/events/list."""

CLOSE_DAYS = 29
"""A cursor as old as this by our own clock is not trusted any more: our clock may be behind, and reading takes time."""

REMEMBERED = 1000
"""Events within the lookback that a cursor remembers, so that they are not read again; an older one is, which does no harm."""

TAIL = 12
"""Characters at the end of an event's id that tell it from others: 62 ** 12 is enough."""

DAY = 86_400


class Changes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="mode", tag="events"):
    """Where a read of changes goes on. Instants are epoch seconds on Stripe's clock, but for `full_at`.

    Attributes:
        since: Everything before it is known.
        full_at: When everything was read last, epoch ms on our clock.
        seen: Tails of the ids of events after ``since - lookback`` that are done.
        until: While a read is under way: what `since` will be.
        after: The last event of the page that was read last.
        at: When that one was.
        edge: Ids of objects with an event in that second.
        fresh: What `seen` will be.
    """

    since: int
    full_at: int
    seen: list[str] = []
    until: int | None = None
    after: str | None = None
    at: int | None = None
    edge: list[str] = []
    fresh: list[str] = []


@dataclass
class _Object:
    """What a page says about one object: its subjects in the newest second, and whether any event of it is new."""

    at: int
    newest: list[Subject[Any]] = field(default_factory=list)
    gone: bool = False
    new: bool = False


class ChangeReader:
    """Reads the changes of one stream.

    Args:
        api: Stripe.
        reader: The stream.
        clock: Ours.
        lookback: Seconds before `Changes.since` at which reading starts.
        reconcile_days: How often everything is read again.
    """

    def __init__(self, api: Api, reader: Reader[Any], clock: Clock, *, lookback: int, reconcile_days: int) -> None:
        self._api = api
        self._reader = reader
        self._clock = clock
        self._lookback = lookback
        self._reconcile_days = reconcile_days

    async def read(self, place: Changes) -> AsyncGenerator[Batch, None]:
        """Yield what happened since; the last batch's cursor is where the next read starts.

        Raises:
            CursorExpiredError: Stripe does not list events from so long ago, or it is time to read everything again.
        """
        now = self._clock.now()
        self._check_age(place.since, now // 1000, CLOSE_DAYS)
        if now - place.full_at >= self._reconcile_days * DAY * 1000:
            raise CursorExpiredError("it is time to read everything again, to find what no event told")
        low = place.since - self._lookback
        while True:
            page, place = await self._page(place, low)
            self._check_age(low, page.asked_at, EVENT_DAYS)
            until = page.asked_at if place.until is None else place.until
            mapped = await self._apply(page, place)
            following = self._following(page, place, until)
            yield Batch(
                records=mapped.records,
                deletions=mapped.deletions,
                rejects=mapped.rejects,
                cursor=msgspec.to_builtins(following),
            )
            if not page.has_more:
                return
            place = following

    def _check_age(self, since: int, now: int, days: int) -> None:
        if now - since >= days * DAY:
            raise CursorExpiredError(f"the events of {(now - since) // DAY} days ago cannot be listed any more")

    async def _page(self, place: Changes, low: int) -> tuple[Rows[Event], Changes]:
        """Return the next page, and the place from which it was read."""
        params: dict[str, Any] = {"types[]": self._reader.types, "created[gte]": low}
        try:
            return await self._api.page("/v1/events", Event, {**params, "starting_after": place.after}), place
        except StatusError as error:
            if place.after is None or error_code(error) != "resource_missing":
                raise
        # The event after which to go on is gone: go on by its time, which may bring some events twice.
        page = await self._api.page("/v1/events", Event, {**params, "created[lte]": place.at})
        return page, place

    def _following(self, page: Rows[Event], place: Changes, until: int) -> Changes:
        """Return where to go on after a page."""
        keep = until - self._lookback
        fresh = [*place.fresh, *(event.id[-TAIL:] for event, _ in page.rows if event.created >= keep)][:REMEMBERED]
        if not page.has_more:
            return Changes(since=until, full_at=place.full_at, seen=fresh)
        at = page.rows[-1][0].created if page.rows else place.at
        edge = list(place.edge) if at == place.at else []
        for event, _ in page.rows:
            if event.created == at:
                edge += [subject.id for subject in self._reader.subjects(event)]
        return Changes(
            since=place.since,
            full_at=place.full_at,
            seen=place.seen,
            until=until,
            after=page.last_id,
            at=at,
            edge=list(dict.fromkeys(edge)),
            fresh=fresh,
        )

    async def _apply(self, page: Rows[Event], place: Changes) -> Mapped:
        """Turn a page of events into records."""
        objects = self._gather(page, place)
        edge = set(place.edge)
        asked = version_at(page.asked_at)  # what is read again now is at least as new as this page
        found = Mapped()
        unreadable: dict[str, None] = {}
        for reject in page.rejects:
            if (about := self._reader.id_in(reject.raw)) is None:
                found.rejects.append(msgspec.structs.replace(reject, id=None))
            else:
                unreadable[about] = None
        rows: list[Seen[Any]] = []
        wanted = [Wanted(id_, asked) for id_ in unreadable]
        for id_, object_ in objects.items():
            if not object_.new or id_ in unreadable:
                continue
            at = object_.at * 1000
            if object_.gone:
                found.deletions += self._reader.deletions(id_, version_at(object_.at), at)
            elif (agreed := _agreed(object_.newest)) is not None and not (id_ in edge and object_.at == place.at):
                rows.append(Seen(agreed.row, agreed.raw, version_at(object_.at), at))
            else:
                wanted.append(Wanted(id_, max(asked, version_at(object_.at)), at))
        found.add(await self._reader.map(rows, listed=False))
        found.add(await self._reader.fetch(wanted))
        return found

    def _gather(self, page: Rows[Event], place: Changes) -> dict[str, _Object]:
        """Put the events of each object together; the newest come first."""
        seen = set(place.seen)
        objects: dict[str, _Object] = {}
        for event, _ in page.rows:
            new = event.id[-TAIL:] not in seen
            for subject in self._reader.subjects(event):
                object_ = objects.setdefault(subject.id, _Object(at=event.created))
                object_.new |= new
                object_.gone |= subject.gone
                if event.created == object_.at:
                    object_.newest.append(subject)
        return objects


def _agreed(subjects: list[Subject[Any]]) -> Subject[Any] | None:
    """Return what all snapshots of a second agree on, or None."""
    first = subjects[0]
    return first if first.row is not None and all(subject.row == first.row for subject in subjects[1:]) else None
