"""What the simulated project holds: profiles, events that were sent to it, and the habits of its fictional users."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from wellkept import Clock
from wellkept.testing import Log
from wellkept.testing.faults import Effected
from wellkept.testing.world import Sighting
from wellkept_mixpanel.simulator.habits import Act, Habits, days

GROUP_KEY = "company_id"

Properties = dict[str, Any]
Event = dict[str, Any]


@dataclass
class Project:
    """One project.

    Args:
        clock: Its time.
        seed: Decides ids and habits.
        log: Where changes are noted.
        zone: Its time zone.
        wall_clock: It was made before 2023, and stores times on its own wall clock.

    Attributes:
        users: Profiles by distinct id.
        groups: Profiles by group id.
        sent: Events that were sent, by UTC day, and by what makes one a duplicate.
    """

    clock: Clock
    seed: int
    log: Log
    zone: ZoneInfo
    wall_clock: bool
    users: dict[str, Properties] = field(default_factory=dict)
    groups: dict[str, Properties] = field(default_factory=dict)
    sent: dict[date, dict[tuple[str, int, str, str], Event]] = field(default_factory=dict)
    habits: Habits = field(init=False)

    def __post_init__(self) -> None:
        self.habits = Habits(self.seed, self.clock.now(), ())

    def populate(self, sightings: Sequence[Sighting]) -> None:
        """Take in accounts and the people there; what was merged into another record is not there any more."""
        accounts: list[tuple[Sighting, str, list[str]]] = []
        for sighting in sightings:
            if sighting.merged_into is not None:
                continue
            group = self.group_id(sighting.ref)
            self.groups[group] = _without_nothing(
                {
                    "$name": sighting.name,
                    "$email": sighting.email,
                    "$phone": sighting.phone,
                    "$created": _moment(sighting.created_at),
                    "account_id": sighting.external_id,
                    "domain": next(iter(sighting.domains), None),
                    "is_test": sighting.test or None,
                    "plan_seats": sighting.company.seats,
                }
            )
            people = []
            for human in sighting.people:
                id_ = self.distinct_id(human.key)
                people.append(id_)
                known = self.users.get(id_)
                groups = sorted({group, *(known or {}).get(GROUP_KEY, [])})
                self.users[id_] = _without_nothing(
                    {
                        "$name": human.name,
                        "$email": human.email,
                        "$phone": human.phone,
                        "$created": _moment(sighting.created_at),
                        "role": human.role,
                        GROUP_KEY: groups,
                    }
                )
            accounts.append((sighting, group, people))
        self.habits = Habits(self.seed, self.clock.now(), accounts)

    def group_id(self, ref: str) -> str:
        """Return the group id of an account record."""
        return f"g-{self._digest(f'group/{ref}')[:12]}"

    def distinct_id(self, key: str) -> str:
        """Return the distinct id of a human."""
        return f"u-{self._digest(f'user/{key}')[:12]}"

    def _digest(self, text: str) -> str:
        return hashlib.sha256(f"{self.seed}/{text}".encode()).hexdigest()

    # --- events ---

    def take(self, event: Event) -> None:
        """Keep an event that was sent; the same one again replaces the earlier one."""
        said = event["properties"]
        at = int(said["time"])
        key = (event["event"], at, str(said.get("distinct_id", "")), str(said.get("$insert_id", "")))
        self.sent.setdefault(datetime.fromtimestamp(at, UTC).date(), {})[key] = event
        self.note("event.received", key[2], {"event": key[0], "time": at})

    def exported(self, first: date, last: date) -> Iterator[Event]:
        """Yield the events of some dates, as the project counts them, in no order of time."""
        begin, end = self._span(first, last)
        now = self.clock.now() // 1000
        for day in days(datetime.fromtimestamp(begin, UTC).date(), datetime.fromtimestamp(end - 1, UTC).date()):
            for number, act in enumerate(self.habits.on(day)):
                if begin <= act.at < min(end, now + 1):
                    yield self._shown(_event(act, f"{day}-{number}"))
            for event in self.sent.get(day, {}).values():
                if begin <= event["properties"]["time"] < end:
                    yield self._shown(event)

    def today(self) -> date:
        """Return the date up to which an export can be asked for."""
        return datetime.fromtimestamp(self.clock.now() / 1000, self.zone if self.wall_clock else UTC).date()

    def _span(self, first: date, last: date) -> tuple[int, int]:
        zone = self.zone if self.wall_clock else UTC
        begin = datetime(first.year, first.month, first.day, tzinfo=zone)
        after = date.fromordinal(last.toordinal() + 1)
        end = datetime(after.year, after.month, after.day, tzinfo=zone)
        return int(begin.timestamp()), int(end.timestamp())

    def _shown(self, event: Event) -> Event:
        """Return an event as an export shows it: an old project gives the seconds of its own wall clock."""
        if not self.wall_clock:
            return event
        local = datetime.fromtimestamp(event["properties"]["time"], self.zone)
        shown = int(local.replace(tzinfo=UTC).timestamp())
        return {"event": event["event"], "properties": {**event["properties"], "time": shown}}

    # --- changes ---

    def note(self, kind: str, id_: str, values: dict[str, Any]) -> None:
        """Write down what changed."""
        self.log.effects.append(Effected(at=self.clock.now(), kind=kind, id=id_, values=values))


def _event(act: Act, insert_id: str) -> Event:
    said: Properties = {"time": act.at, "distinct_id": act.who, "$insert_id": f"{act.group}-{insert_id}"}
    return {"event": act.event, "properties": {**said, GROUP_KEY: act.group, "mp_processing_time_ms": act.at * 1000 + 250}}


def _moment(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _without_nothing(values: Properties) -> Properties:
    return {name: value for name, value in values.items() if value is not None}
