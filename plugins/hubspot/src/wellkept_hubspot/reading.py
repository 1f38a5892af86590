"""Reading one stream: everything as a list, then what changed by search, and what was archived or merged away.

**Searches.** HubSpot ends a search after 10,000 results, sorts by one property only, and a bulk edit or import gives any number
of objects the same time of change. So a search never pages by position: it sorts by id, and each page asks anew for ids *above
the last one*. Every page is the first page of its own search: there is no end to run into, objects that share a time of change
are nothing special, and an object that is edited meanwhile is either still to come or has a time of change that the next read
asks for. Within one read no object comes twice.

**Deletions.** A search does not show what was archived, so a list of archived objects follows each read of changes; what was
merged into another object is named by that one; and the list of everything, repeated every `reconcile_days`, shows the rest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

import msgspec

from wellkept import Batch, Clock, Deletion, Reject, Window
from wellkept.errors import CursorExpiredError, FatalError, RejectedError, StuckCursorError
from wellkept.records import Person, Record
from wellkept_hubspot.api import PAGE, SEARCH_PAGE, Api, Filter, OwnerPage, Page, Seen
from wellkept_hubspot.config import HubSpotConfig
from wellkept_hubspot.kinds import Kind
from wellkept_hubspot.mapping import OWNER, House, Reading, Refs, agent, merged
from wellkept_hubspot.wire import epoch_ms

DAY = 86_400_000
MINUTE = 60_000


class Listing(msgspec.Struct, frozen=True, kw_only=True, tag_field="mode", tag="list"):
    """Where a full read goes on: when it began (epoch ms, HubSpot's clock), and after which object."""

    began: int
    after: str | None = None


class Changes(msgspec.Struct, frozen=True, kw_only=True, tag_field="mode", tag="changes"):
    """Where a read of changes goes on. Instants are epoch ms on HubSpot's clock.

    Attributes:
        since: Changes from then on are known to be missing.
        full: When everything was read last.
        began: When the read under way began; None: none is.
        after: The last object that it has read.
        bin: After which archived object it goes on, once the search has ended.
    """

    since: int
    full: int
    began: int | None = None
    after: str | None = None
    bin: str | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True, tag_field="mode", tag="window"):
    """Where a window goes on: after which object; at its end `done`."""

    after: str | None = None
    done: bool = False


Place = Listing | Changes | Span


class Mapped(NamedTuple):
    """What became of some rows."""

    records: list[Record]
    deletions: list[Deletion]
    rejects: list[Reject]


class Reader:
    """Reads one kind of object.

    Args:
        api: HubSpot.
        kind: What to read.
        config: The configuration.
        clock: Says when to read everything again.
    """

    def __init__(self, api: Api, kind: Kind, config: HubSpotConfig, clock: Clock) -> None:
        self._api = api
        self._kind = kind
        self._config = config
        self._clock = clock

    async def read(self, place: Place | None, window: Window | None) -> AsyncGenerator[Batch, None]:
        """Yield what is asked for, from a place on."""
        if window is not None:
            batches = self._window(place if isinstance(place, Span) else Span(), window)
        elif isinstance(place, Changes):
            batches = self._changes(place)
        else:
            batches = self._list(place if isinstance(place, Listing) else None)
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()

    async def _list(self, place: Listing | None) -> AsyncGenerator[Batch, None]:
        """Yield everything there is. What is changed meanwhile is found by the search that comes next."""
        after, began = (place.after, place.began) if place else (None, None)
        while True:
            page = await self._api.listed(self._kind.type, self._kind.properties, after=after, limit=PAGE)
            began = page.asked_at if began is None else began
            if page.after is not None and page.after == after:
                raise StuckCursorError(f"{self._kind.stream.name}: the next page is the one that was read before")
            after = page.after
            cursor: Place = Listing(began=began, after=after) if after else Changes(since=began, full=began)
            yield self._batch(await self.map(page), cursor, complete=after is None)
            if after is None:
                return

    async def _changes(self, place: Changes) -> AsyncGenerator[Batch, None]:
        if self._clock.now() - place.full > self._config.reconcile_days * DAY:
            raise CursorExpiredError(f"the last full read is {self._config.reconcile_days} days old")
        since = place.since - self._config.lookback_minutes * MINUTE
        filters = [{"propertyName": self._kind.changed, "operator": "GTE", "value": str(since)}]
        if place.bin is None:
            async for page in self._ascending(filters, place.after):
                began = page.asked_at if place.began is None else place.began
                place = msgspec.structs.replace(place, began=began, after=page.last_id or place.after)
                if page.rows or page.rejects:
                    yield self._batch(await self.map(page), place)
        async for batch in self._archived(place, since):
            yield batch

    async def _window(self, place: Span, window: Window) -> AsyncGenerator[Batch, None]:
        """Yield the objects that were made in a window."""
        if place.done:
            return
        filters = [
            {"propertyName": self._kind.created, "operator": "GTE", "value": str(window.start)},
            {"propertyName": self._kind.created, "operator": "LT", "value": str(window.end)},
        ]
        async for page in self._ascending(filters, place.after):
            yield self._batch(await self.map(page), Span(after=page.last_id))
        yield Batch(cursor=msgspec.to_builtins(Span(done=True)))

    async def _ascending(self, filters: Sequence[Filter], after: str | None) -> AsyncGenerator[Page, None]:
        """Yield all that filters let through, by ascending id; see the module."""
        while True:
            above = [{"propertyName": "hs_object_id", "operator": "GT", "value": after}] if after else []
            page = await self._api.searched(self._kind.type, self._kind.properties, [*filters, *above], limit=SEARCH_PAGE)
            if page.after is None:
                yield page
                return
            if page.last_id is None or not page.last_id.isdecimal():
                raise FatalError(
                    f"{self._kind.stream.name}: the page's last row has no id, so the next one cannot be asked for"
                )
            if after is not None and int(page.last_id) <= int(after):
                raise StuckCursorError(f"{self._kind.stream.name}: the search does not move on")
            if any(seen.row.id.isdecimal() and int(seen.row.id) > int(page.last_id) for seen in page.rows):
                raise FatalError(f"{self._kind.stream.name}: the search is not sorted by id, so rows would be missed")
            yield page
            after = page.last_id

    async def _archived(self, place: Changes, since: int) -> AsyncGenerator[Batch, None]:
        """Yield deletions of what was archived from an instant on; the last batch ends the read of changes."""
        after = place.bin or None
        while True:
            page = await self._api.listed(self._kind.type, (), after=after, archived=True, limit=PAGE)
            gone = [
                self._deletion(seen.row.id, epoch_ms(seen.row.archived_at), epoch_ms(seen.row.archived_at))
                for seen in page.rows
                if seen.row.archived_at is not None and epoch_ms(seen.row.archived_at) >= since
            ]
            if page.after is not None and page.after == after:
                raise StuckCursorError(f"{self._kind.stream.name}: the next page is the one that was read before")
            after = page.after
            end = Changes(since=place.since if place.began is None else place.began, full=place.full)
            cursor = end if after is None else msgspec.structs.replace(place, bin=after)
            if gone or after is None:
                yield Batch(deletions=gone, cursor=msgspec.to_builtins(cursor))
            if after is None:
                return

    async def fetch(self, ids: Sequence[str]) -> Batch:
        """Read single objects again; one that is not found, or was merged into another one, is deleted."""
        wanted = list(dict.fromkeys(ids))
        found = Mapped([], [], [])
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            page = await self._api.by_id(self._kind.type, part, self._kind.properties)
            mapped = await self.map(page)
            present = {seen.row.id for seen in page.rows} | {reject.id for reject in page.rejects}
            known = {deletion.id for deletion in mapped.deletions}
            gone = [] if None in present else [id_ for id_ in part if id_ not in present and id_ not in known]
            found.records.extend(mapped.records)
            found.rejects.extend(mapped.rejects)
            found.deletions.extend(mapped.deletions)
            found.deletions.extend(self._deletion(id_, page.asked_at, None) for id_ in gone)
        return Batch(records=found.records, deletions=found.deletions, rejects=found.rejects)

    async def map(self, page: Page) -> Mapped:
        """Make records of a page, each row by itself."""
        refs = await self._refs([seen.row.id for seen in page.rows])
        house = House(self._config, await self._currency())
        mapped = Mapped([], [], list(page.rejects))
        for seen in page.rows:
            try:
                record = self._kind.map(Reading(seen.row, seen.version, refs.get(seen.row.id, Refs()), house))
            except RejectedError as error:
                mapped.rejects.append(Reject(raw=bytes(seen.raw), reason=error.message, id=seen.row.id))
            else:
                mapped.records.append(record)
            mapped.deletions.extend(self._merged(seen))
        return mapped

    def _merged(self, seen: Seen) -> list[Deletion]:
        changed = epoch_ms(seen.row.updated_at)
        return [self._deletion(id_, max(seen.version, changed), changed) for id_ in merged(seen.row)]

    async def _refs(self, ids: Sequence[str]) -> dict[str, Refs]:
        if not ids:
            return {}
        found = {to: await self._api.links(self._kind.type, to, ids) for to in self._kind.links}
        companies, contacts = found.get("companies", {}), found.get("contacts", {})
        refs = {}
        for id_ in ids:
            mine, people = companies.get(id_, []), contacts.get(id_, [])
            refs[id_] = Refs(next(iter(mine), None), next(iter(people), None), tuple(mine[1:]))
        return refs

    async def _currency(self) -> str:
        """Return the account's currency, for amounts that lack one."""
        if "currency" not in self._kind.record.__struct_fields__:
            return ""
        return (await self._api.details()).company_currency.lower()

    def _deletion(self, id_: str, version: int, at: int | None) -> Deletion:
        return Deletion(record=self._kind.record, id=id_, version=version, at=at)

    def _batch(self, mapped: Mapped, cursor: Place, *, complete: bool = False) -> Batch:
        return Batch(
            records=mapped.records,
            deletions=mapped.deletions,
            rejects=mapped.rejects,
            cursor=msgspec.to_builtins(cursor),
            complete=complete,
        )


class OwnersReader:
    """Reads all owners each time: there are few, and nothing tells which of them changed."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def fetch(self, ids: Sequence[str]) -> Batch:
        """Read them all, and return those that are wanted; one that is not among them is gone."""
        wanted = dict.fromkeys(ids)
        found, rejects, asked_at = list[Record](), list[Reject](), 0
        async for page, _ in self._pages():
            found += [record for record in _agents(page) if record.id in wanted]
            rejects += _rejects(page)
            asked_at = asked_at or page.asked_at
        known = {record.id for record in found} | {reject.id for reject in rejects}
        gone = [] if None in known else [id_ for id_ in wanted if id_ not in known]
        return Batch(
            records=found,
            deletions=[Deletion(record=Person, id=id_, version=asked_at) for id_ in gone],
            rejects=[reject for reject in rejects if reject.id in wanted],
        )

    async def read(self) -> AsyncGenerator[Batch, None]:
        """Yield everybody who can own records at present."""
        async for page, complete in self._pages():
            yield Batch(records=_agents(page), rejects=_rejects(page), complete=complete)

    async def _pages(self) -> AsyncGenerator[tuple[OwnerPage, bool], None]:
        """Yield all pages, and whether each is the last."""
        after = None
        while True:
            page = await self._api.owners(after)
            if page.after is not None and page.after == after:
                raise StuckCursorError("owners: the next page is the one that was read before")
            after = page.after
            yield page, after is None
            if after is None:
                return


def _agents(page: OwnerPage) -> list[Person]:
    return [agent(owner, version) for owner, version in page.owners]


def _rejects(page: OwnerPage) -> list[Reject]:
    return [msgspec.structs.replace(reject, id=reject.id and OWNER + reject.id) for reject in page.rejects]
