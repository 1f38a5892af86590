"""Reading usage: exports of some days at a time, counted while they stream in, handed over day by day.

What a read promises:

* A day is replaced only by an export that came to its end. One that breaks off leaves nothing behind: it is asked for once
  more, and then its whole window is counted again by the next read.
* The days of a window are handed over one by one, each as a generation (`Batch.replaces`) with the cursor after it. A kill in
  between loses nothing, and a day that is read twice never doubles.
* A line that cannot be read goes to the dead letters. Its day is stored with what could be read, and nothing of that day is
  removed, because what is missing might be in that line; where the line does not even tell its day, that holds for the whole
  window. Too many such lines end the read: then it is not the line that is odd.
* The day that is not over yet is left out, unless the configuration asks for it: it would look like a drop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, closing
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from wellkept import Batch, Reject, Replace
from wellkept.errors import FatalError, RejectedError, RetryableError
from wellkept.http import decode_line
from wellkept.records import Record, Usage
from wellkept_mixpanel.days import DAY, Calendar
from wellkept_mixpanel.mapping import company
from wellkept_mixpanel.patience import patiently
from wellkept_mixpanel.tally import Row, Tally
from wellkept_mixpanel.wire import line_type, text_of, texts_of

if TYPE_CHECKING:
    from wellkept import Clock
    from wellkept_mixpanel.api import Api
    from wellkept_mixpanel.config import MixpanelConfig

BATCH = 1000
"""Rows that are handed over together."""

MOST_REJECTS = 1000
"""Lines of one export that may be unreadable."""

ANONYMOUS = "$device:"
"""How the ids of visitors begin of whom nobody knows who they are."""

_TIME = re.compile(rb'"time"\s*:\s*(\d{1,12})\s*[,}]')


class Place(msgspec.Struct, frozen=True, tag="events", omit_defaults=True):
    """Where a read of usage goes on; days are ISO, in the project's zone.

    Attributes:
        done: The last day that was ever handed over.
        at: The last day that this read, or the one that broke off, has handed over.
        on: The project's date at which that read began: another day begins with the lookback again.
        full: The read began with no cursor and has not come to its end yet.
    """

    done: str
    at: str
    on: str
    full: bool = False


class Days(msgspec.Struct, frozen=True):
    """The days to be read, and where their reading comes from."""

    first: date
    last: date
    full: bool
    done: str | None

    def windows(self, size: int) -> Iterator[tuple[date, date]]:
        """Cut them into windows of so many days."""
        first = self.first
        while first <= self.last:
            last = min(self.last, first + DAY * (size - 1))
            yield first, last
            first = last + DAY


@dataclass
class Counted:
    """What an export amounts to.

    Attributes:
        version: When it was asked for, epoch ms.
        tally: The counts.
        rejects: Lines that could not be read, by day; under an empty text where not even that much could be.
        lines: How many lines came.
    """

    version: int
    tally: Tally = field(default_factory=Tally)
    rejects: dict[str, list[Reject]] = field(default_factory=dict)
    lines: int = 0


class EventReader:
    """Reads the usage of one project.

    Args:
        api: Mixpanel.
        config: The configuration.
        clock: The only clock.
    """

    def __init__(self, api: Api, config: MixpanelConfig, clock: Clock) -> None:
        self._api = api
        self._config = config
        self._clock = clock
        self._calendar = Calendar(config)
        self._line = line_type(config.group_key)
        self._ignored = frozenset(config.ignore_events)

    def days(self, place: Place | None, window: tuple[int, int] | None = None) -> Days:
        """Return which days are to be read; none where `first` is after `last`."""
        config, today = self._config, self._calendar.today(self._clock.now())
        last = today if config.unfinished_day else today - DAY
        first = today - DAY * config.history_days
        if window is not None:
            begin, end = window
            first, last = self._calendar.today(begin), min(last, self._calendar.today(end - 1))
        if place is None:
            return Days(first, last, window is None, None)
        done, at = date.fromisoformat(place.done), date.fromisoformat(place.at)
        if window is not None:
            return Days(max(first, at + DAY), last, full=False, done=place.done)
        if place.full or (at < last and place.on == today.isoformat()):
            return Days(max(first, at + DAY), last, place.full, place.done)
        if done >= last and not config.unfinished_day:
            return Days(last + DAY, last, full=False, done=place.done)
        return Days(max(first, min(done, last) + DAY * (1 - config.lookback_days)), last, full=False, done=place.done)

    async def read(self, place: Place | None, window: tuple[int, int] | None = None) -> AsyncGenerator[Batch, None]:
        """Yield the usage of the days that are due."""
        days = self.days(place, window)
        today = self._calendar.today(self._clock.now())
        on, over = today.isoformat(), (today - DAY).isoformat()
        done = days.done
        for first, last in days.windows(self._config.window_days):
            counting = self._window(first, last)
            async with aclosing(counting):
                async for batch, day in counting:
                    if day is None:
                        yield batch
                        continue
                    done = max(done or "", min(day, over))
                    yield msgspec.structs.replace(batch, cursor=_cursor(Place(done, day, on, days.full)))
        if days.full:
            end = done or over
            yield Batch(cursor=_cursor(Place(end, max(end, days.last.isoformat()), on)), complete=True)

    async def _window(self, first: date, last: date) -> AsyncGenerator[tuple[Batch, str | None], None]:
        """Count one export, then yield its days; the day stands beside the last batch of each."""
        counted = None
        async with aclosing(patiently(self._counted(first, last))) as steps:
            async for counted in steps:
                if counted is None:
                    yield Batch(), None
        assert counted is not None  # noqa: S101 - narrows: the last step is the result
        with closing(counted.tally):
            unplaced = counted.rejects.pop("", [])
            if unplaced:
                yield Batch(rejects=unplaced), None
            day = first
            while day <= last:
                for batch, ends in self._day(day, counted, replace=not unplaced):
                    yield batch, day.isoformat() if ends else None
                day += DAY

    async def _counted(self, first: date, last: date) -> Counted:
        """Count one export; one that breaks off in the middle is asked for once more.

        Raises:
            RetryableError: It broke off again, or did not even begin, after all that the client tries by itself.
            FatalError: See `_count`.
        """
        counted = Counted(self._clock.now())
        with ExitStack() as stack:
            stack.callback(counted.tally.close)
            try:
                await self._count(first, last, counted)
            except RetryableError:
                if not counted.lines:
                    raise
            else:
                stack.pop_all()
                return counted
        counted = Counted(self._clock.now())
        with ExitStack() as stack:
            stack.callback(counted.tally.close)
            await self._count(first, last, counted)
            stack.pop_all()
        return counted

    async def _count(self, first: date, last: date, counted: Counted) -> None:
        """Count the lines of one export.

        Raises:
            RetryableError: It broke off, or the answer is no export at all.
            FatalError: So many lines cannot be read that the figures would be wrong.
        """
        wanted = {(first + DAY * number).isoformat() for number in range((last - first).days + 1)}
        from_date, to_date = self._calendar.asked_for(first, last, self._clock.now())
        events = msgspec.json.encode(self._config.events).decode() if self._config.events else None
        lines = self._api.export(from_date, to_date, event=events)
        tally, rejects, bad = counted.tally, counted.rejects, 0
        async with aclosing(lines):
            async for line in lines:
                counted.lines += 1
                rows = self._rows(line, wanted)
                if isinstance(rows, Reject):
                    bad += 1
                    if bad > MOST_REJECTS:
                        raise FatalError(f"more than {MOST_REJECTS} lines of the export cannot be read: {rows.reason}")
                    day = self._day_of_bad(line)
                    if not day or day in wanted:
                        rejects.setdefault(day, []).append(rows)
                    continue
                for row in rows:
                    tally.add(row)
                if tally.full:
                    await asyncio.to_thread(tally.spill)
        if (
            bad
            and bad == counted.lines
            and not any(reject.raw.startswith(b"{") for found in rejects.values() for reject in found)
        ):
            raise RetryableError("Mixpanel answered with something else than events")

    def _rows(self, line: bytes, wanted: set[str]) -> list[Row] | Reject:
        """Return what a line counts for: a row per account that it names; nothing for what is no use of anybody's."""
        decoded = decode_line(line, self._line)
        if isinstance(decoded, Reject):
            return msgspec.structs.replace(decoded, id=None)
        event, properties = decoded[0].event, decoded[0].properties
        try:
            day = self._calendar.day_of_event(properties.time)
        except RejectedError as error:
            return Reject(raw=line, reason=error.message)
        if day not in wanted or event in self._ignored:
            return []
        subject, accounts = text_of(properties.distinct_id), texts_of(getattr(properties, "group", None))
        if accounts:
            return [Row(day, subject or account, event, account) for account in accounts]
        return [] if not subject or subject.startswith(ANONYMOUS) else [Row(day, subject, event, "")]

    def _day_of_bad(self, line: bytes) -> str:
        """Return the day of a line that cannot be read, if that much can be; else an empty text."""
        match = _TIME.search(line)
        try:
            return self._calendar.day_of_event(int(match[1])) if match else ""
        except RejectedError:
            return ""

    def _day(self, day: date, counted: Counted, *, replace: bool) -> Iterator[tuple[Batch, bool]]:
        """Yield one day in batches, and whether each is the day's last; without `replace` nothing stored is removed.

        The accounts that events name come along, as a group has a profile only where somebody has given it properties. They
        have the lowest version: whatever a profile says counts more, and what is gone stays gone.
        """
        start, end = day.isoformat(), (day + DAY).isoformat()
        replaces = Replace(record=Usage, field="day", start=start, end=end) if replace else None
        records: list[Record] = []
        named = {""}
        for row, count in counted.tally.of_day(start):
            if len(records) > BATCH - 2:  # there may be no room for a row and its account
                yield Batch(records=records, replaces=replaces, last=not replace), False
                records = []
            records.append(_usage(row, count, counted.version))
            if row.account not in named:
                named.add(row.account)
                records.append(company(row.account, self._config, version=0))
        yield Batch(records=records, rejects=counted.rejects.get(start, []), replaces=replaces), True


def _usage(row: Row, count: int, version: int) -> Usage:
    return Usage.of(
        subject=row.subject,
        event=row.event,
        day=row.day,
        count=count,
        version=version,
        account_ref=row.account or None,
        person_ref=None if row.subject == row.account else row.subject,
    )


def _cursor(place: Place) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(place)
    return found
