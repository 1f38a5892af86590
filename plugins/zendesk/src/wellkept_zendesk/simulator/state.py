"""What the account holds: tables of plain objects, and when each of them changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wellkept import Clock
from wellkept.testing import Log
from wellkept.testing.faults import Effected

Obj = dict[str, Any]

FIRST_ID = {
    "organization": 360_000_000_001,
    "user": 380_000_000_001,
    "ticket": 1,
    "satisfaction_rating": 410_000_000_001,
    "group": 21_000_000_001,
    "organization_field": 7_000_000_001,
    "audit": 900_000_000_001,
    "event": 1,
    "job_status": 1,
    "merge": 1,
}


class Event(NamedTuple):
    """Something that webhooks tell of."""

    type: str
    subject: str
    at: int
    id: str


class State:
    """The tables.

    Args:
        clock: The account's time.
        log: Where changes are noted.
    """

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self.at: int | None = None
        """The second at which things happen while the past is written; None for the present."""
        self.tables: dict[str, dict[int, Obj]] = {kind: {} for kind in FIRST_ID}
        self.audits: dict[int, list[Obj]] = {}
        self.jobs: dict[str, Obj] = {}
        self.events: list[Event] = []
        self._next = dict(FIRST_ID)

    @property
    def now(self) -> int:
        """The present, epoch seconds."""
        return self._clock.now() // 1000 if self.at is None else self.at

    def new_id(self, kind: str) -> int:
        """Return the next id."""
        self._next[kind] += 1
        return self._next[kind] - 1

    def add(self, kind: str, row: Mapping[str, Any]) -> Obj:
        """Store a new object and return it."""
        id_ = self.new_id(kind)
        stamp = text(self.now)
        obj: Obj = {"id": id_, "created_at": stamp, "updated_at": stamp, "_changed": self.now, **row}
        self.tables[kind][id_] = obj
        self.note(kind, "created", obj)
        return obj

    def get(self, kind: str, id_: int) -> Obj:
        """Return an object. Raises `KeyError`."""
        return self.tables[kind][id_]

    def all(self, kind: str, where: Callable[[Obj], bool] | None = None) -> list[Obj]:
        """Return the objects of a kind, in the order of their ids."""
        return [obj for obj in self.tables[kind].values() if where is None or where(obj)]

    def touch(self, kind: str, obj: Obj, changes: Mapping[str, Any], *, quiet: bool = False) -> None:
        """Change an object; `quiet` as the system does, which moves exports and not `updated_at`."""
        obj.update(changes)
        obj["_changed"] = self.now
        if not quiet:
            obj["updated_at"] = text(self.now)
        self.note(kind, "updated", obj, changes)

    def note(self, kind: str, verb: str, obj: Obj, changes: Mapping[str, Any] | None = None) -> None:
        """Note a change in the log, and for webhooks. The past makes no noise."""
        if self.at is not None:
            return
        self._log.effects.append(
            Effected(at=self.now * 1000, kind=f"{kind}.{verb}", id=str(obj["id"]), values=dict(changes or {}))
        )
        if kind in {"ticket", "user", "organization"}:
            self.tell(f"zen:event-type:{kind}.{verb}", f"zen:{kind}:{obj['id']}")

    def tell(self, type_: str, subject: str) -> None:
        """Tell webhooks of something."""
        self.events.append(Event(type_, subject, self.now, f"evt-{self.new_id('event'):08d}"))


def text(seconds: int) -> str:
    """Return epoch seconds as Zendesk writes instants."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(stamp: str) -> int:
    """Return epoch seconds of an instant as Zendesk writes it."""
    return int(datetime.fromisoformat(stamp).timestamp())
