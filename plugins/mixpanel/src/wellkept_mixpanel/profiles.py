"""Reading profiles: all of them, page by page, once a day; single ones by id.

Mixpanel pages through a snapshot that it keeps for a while under a session id. A cursor names session and page, so that a read
that was cut off goes on; a session that has ended means reading from the first page again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from wellkept import Batch, Deletion, Reject
from wellkept.errors import CursorExpiredError
from wellkept.http import StatusError
from wellkept.records import Account, Person, Record
from wellkept_mixpanel import mapping
from wellkept_mixpanel.days import Calendar
from wellkept_mixpanel.patience import patiently
from wellkept_mixpanel.wire import Profile, text_of

if TYPE_CHECKING:
    from wellkept import Clock
    from wellkept_mixpanel.api import Api, Page
    from wellkept_mixpanel.config import MixpanelConfig

HOUR = 3_600_000


class Paging(msgspec.Struct, frozen=True, tag="paging"):
    """Where a read of all profiles goes on. `since` is when it began, epoch ms: the version of its rows."""

    session: str
    page: int
    since: int


class Read(msgspec.Struct, frozen=True, tag="read"):
    """All profiles were read; the read began then, epoch ms."""

    since: int


class ProfileReader(ABC):
    """Reads profiles of one kind.

    Args:
        api: Mixpanel.
        config: The configuration.
        clock: The only clock.
    """

    record: ClassVar[type[Record]]

    def __init__(self, api: Api, config: MixpanelConfig, clock: Clock) -> None:
        self._api = api
        self.config = config
        self._clock = clock
        self.calendar = Calendar(config)

    @property
    def form(self) -> dict[str, Any]:
        """What tells Mixpanel which profiles are meant."""
        return {}

    @abstractmethod
    def records(self, profile: Profile, version: int) -> list[Record]:
        """Return what a profile amounts to."""

    async def read(self, place: Paging | Read | None) -> AsyncGenerator[Batch, None]:
        """Yield all profiles, unless they were read not long ago.

        Raises:
            CursorExpiredError: It is time to read them again, or the snapshot is gone.
        """
        now = self._clock.now()
        if isinstance(place, Read):
            if now - place.since < self.config.profiles_every_hours * HOUR:
                return
            raise CursorExpiredError(f"the profiles were read {self.config.profiles_every_hours} hours ago or earlier")
        at = place or Paging("", 0, now)
        while True:
            page = None
            async with aclosing(patiently(self._page(at))) as steps:
                async for page in steps:
                    if page is None:
                        yield Batch()
            assert page is not None  # noqa: S101 - narrows: the last step is the page
            records, rejects = self._mapped(page, at.since)
            if page.last:
                yield Batch(records=records, rejects=rejects, cursor=msgspec.to_builtins(Read(at.since)), complete=True)
                return
            at = Paging(page.session, at.page + 1, at.since)
            yield Batch(records=records, rejects=rejects, cursor=msgspec.to_builtins(at))

    async def _page(self, at: Paging) -> Page:
        try:
            return await self._api.profiles(page=at.page, session=at.session or None, **self.form)
        except StatusError as error:
            if at.page and error.status == 400:
                raise CursorExpiredError("Mixpanel no longer has the snapshot that was being read") from None
            raise

    def _mapped(self, page: Page, version: int) -> tuple[list[Record], list[Reject]]:
        """Return the records of a page; accounts that several users name come once."""
        found: dict[tuple[type[Record], str], Record] = {}
        rejects = list(page.rejects)
        for profile in page.rows:
            if text_of(profile.distinct_id):
                found |= {(type(record), record.id): record for record in self.records(profile, version)}
            else:
                rejects.append(Reject(raw=msgspec.json.encode(profile), reason="its $distinct_id is empty"))
        return list(found.values()), rejects

    async def fetch(self, ids: Sequence[str]) -> Batch:
        """Read single profiles again; one that is gone is a deletion."""
        version = self._clock.now()
        page = await self._api.by_id(ids, **self.form)
        records, rejects = self._mapped(page, version)
        present = {record.id for record in records if type(record) is self.record} | {reject.id for reject in rejects}
        gone = [Deletion(record=self.record, id=id_, version=version) for id_ in ids if id_ not in present]
        return Batch(records=records, deletions=gone, rejects=rejects)

    async def total(self) -> tuple[int, int]:
        """Return how many profiles there are, and how many come in a page; costs a call."""
        page = await self._api.profiles(**self.form)
        return page.total, max(1, len(page.rows) + len(page.rejects))


class UserReader(ProfileReader):
    """Users. Where groups have no profiles, the accounts that users name come with them."""

    record = Person

    def records(self, profile: Profile, version: int) -> list[Record]:
        """Return a person, and the accounts that it names."""
        found: list[Record] = [mapping.person(profile, self.config, self.calendar, version)]
        if self.config.data_group_id is None:
            found += [mapping.company(id_, self.config, version) for id_ in mapping.companies_of(profile, self.config)]
        return found


class GroupReader(ProfileReader):
    """Groups of the configured key."""

    record = Account

    @property
    def form(self) -> dict[str, Any]:
        """Name the group key by its id."""
        return {"data_group_id": self.config.data_group_id}

    def records(self, profile: Profile, version: int) -> list[Record]:
        """Return an account."""
        return [mapping.group(profile, self.config, self.calendar, version)]
