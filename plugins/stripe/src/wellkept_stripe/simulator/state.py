"""The state of one Stripe account in one mode: objects by kind, events, and what shows of them."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

from wellkept import Clock
from wellkept.testing import Log
from wellkept.testing.faults import Effected
from wellkept_stripe.simulator import shapes
from wellkept_stripe.simulator.errors import missing

Obj = dict[str, Any]

EVENT_DAYS = 30
"""How long events can be listed. Source: docs.stripe.com/api/events/list."""

PREFIXES = {
    "cus": "customer",
    "prod": "product",
    "price": "price",
    "sub": "subscription",
    "si": "subscription_item",
    "in": "invoice",
    "ii": "invoiceitem",
    "inpay": "invoice_payment",
    "pi": "payment_intent",
    "ch": "charge",
    "pm": "payment_method",
    "evt": "event",
    "di": "discount",
    "we": "webhook_endpoint",
    "txr": "tax_rate",
    "txi": "tax_id",
}
"""Prefix of an id to the kind of object; coupons have ids that people choose."""

_IDS = {kind: prefix for prefix, kind in PREFIXES.items()}


class Table:
    """The objects of one kind, in the order in which Stripe lists them: the newest first."""

    def __init__(self) -> None:
        self.rows: dict[str, Obj] = {}
        self._keys: list[tuple[int, int]] | None = None
        self._order: list[Obj] = []
        self._count = 0

    def add(self, obj: Obj) -> None:
        """Put an object in."""
        self._count += 1
        obj["_seq"] = self._count
        self.rows[obj["id"]] = obj
        self._keys = None

    def remove(self, id_: str) -> None:
        """Take an object out."""
        del self.rows[id_]
        self._keys = None

    def listed(self) -> list[Obj]:
        """Return all objects, the newest first."""
        if self._keys is None:
            self._order = sorted(self.rows.values(), key=_order)
            self._keys = [_order(obj) for obj in self._order]
        return self._order

    def place(self, obj: Obj) -> int:
        """Return the place of an object in `listed`."""
        self.listed()
        return bisect_left(self._keys or [], _order(obj))


def _order(obj: Obj) -> tuple[int, int]:
    created = obj["created"] if "created" in obj else obj.get("date") or 0
    return -created, -obj["_seq"]


class State:
    """Everything that one account has in one mode.

    Args:
        clock: The simulator's time.
        seed: Decides ids.
        livemode: Which mode.
        api_version: The account's default version: events are made in it.
        log: Where effects are noted.
    """

    def __init__(self, clock: Clock, *, seed: int, livemode: bool, api_version: str, log: Log) -> None:
        self.clock = clock
        self.seed = seed
        self.livemode = livemode
        self.api_version = api_version
        self.log = log
        self.tables: dict[str, Table] = {kind: Table() for kind in [*PREFIXES.values(), "coupon"]}
        self.request: tuple[str | None, str | None] = (None, None)
        """Id and idempotency key of the request that is being answered; events mention them."""
        self.quiet = False
        """Changes make no events: for the history of a generated world."""
        self.at: int | None = None
        """Takes the place of the clock, in epoch seconds, while a history is written."""
        self.on_event: list[Callable[[Obj], None]] = []
        self.deleted_customers: set[str] = set()
        self.deleted_coupons: dict[str, Obj] = {}
        """Discounts keep the terms of coupons that were deleted since."""
        self._ids = 0

    @property
    def now(self) -> int:
        """The present, in epoch seconds."""
        return self.clock.now() // 1000 if self.at is None else self.at

    def new_id(self, kind: str) -> str:
        """Return a new id, which the seed and the order of making decide."""
        self._ids += 1
        digest = hashlib.sha256(f"{self.seed}/{self.livemode}/{self._ids}".encode()).digest()
        text = base64.b64encode(digest, altchars=b"00").decode().rstrip("=")
        short = kind in {"customer", "product", "subscription_item"}
        return f"{_IDS[kind]}_{text[:14] if short else '1' + text[:23]}"

    def get(self, kind: str, id_: str, param: str | None = "id") -> Obj:
        """Return an object. Raises `StripeError` when there is none."""
        found = self.tables[kind].rows.get(id_)
        if found is None:
            raise missing(kind, id_, param)
        return found

    def find(self, id_: str) -> Obj | None:
        """Return the object with an id, whatever its kind."""
        kind = PREFIXES.get(id_.split("_", 1)[0])
        return self.tables[kind].rows.get(id_) if kind else None

    def coupon(self, id_: str) -> Obj:
        """Return a coupon, deleted or not, as discounts know it."""
        return self.tables["coupon"].rows.get(id_) or self.deleted_coupons[id_]

    def all(self, kind: str, **fields: Any) -> list[Obj]:
        """Return the objects of a kind whose fields have these values, the newest first."""
        wanted = fields.items()
        return [obj for obj in self.tables[kind].listed() if all(obj.get(name) == value for name, value in wanted)]

    def add(self, kind: str, obj: Obj, event: str | None = None) -> Obj:
        """Put a new object in; `event` tells of it."""
        self.tables[kind].add(obj)
        if event is not None:
            self.emit(event, obj)
        return obj

    @contextlib.contextmanager
    def change(self, obj: Obj, event: str | None) -> Iterator[Obj]:
        """Change an object; if anything shows, `event` tells of it, with the earlier values."""
        if self.quiet:
            yield obj
            return
        before = shapes.render(self, obj)
        yield obj
        after = shapes.render(self, obj)
        previous = _previous(before, after)
        if previous and event is not None:
            self.emit(event, obj, previous=previous, rendered=after)

    def remove(self, obj: Obj, event: str | None = None) -> None:
        """Take an object out; `event` tells of it and shows it a last time."""
        if event is not None:
            self.emit(event, obj)
        self.tables[obj["object"]].remove(obj["id"])

    def emit(self, type_: str, obj: Obj, *, previous: Obj | None = None, rendered: Obj | None = None) -> None:
        """Make an event."""
        if self.quiet:
            return
        shown = copy.deepcopy(rendered if rendered is not None else shapes.render(self, obj))
        data: Obj = {"object": shapes.older(shown, self.api_version, self)}
        if previous is not None:
            data["previous_attributes"] = previous
        request, key = self.request
        event = {
            "id": self.new_id("event"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now,
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": 0,
            "request": {"id": request, "idempotency_key": key},
            "type": type_,
        }
        self.tables["event"].add(event)
        values = {name: shown.get(name) for name in previous} if previous is not None else {}
        self.log.effects.append(
            Effected(at=self.clock.now(), kind=type_, id=shown.get("id") or "", values=values, idempotency_key=key)
        )
        for listener in self.on_event:
            listener(event)

    def forget_old_events(self) -> None:
        """Drop the events that Stripe does not list any more."""
        oldest = self.now - EVENT_DAYS * 86_400
        table = self.tables["event"]
        for id_ in [id_ for id_, event in table.rows.items() if event["created"] < oldest]:
            table.remove(id_)


def _previous(before: Obj, after: Obj) -> Obj:
    """Return the earlier values of what changed, nested objects reduced to the keys that changed."""
    found: Obj = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name == "metadata" and isinstance(old, dict) and isinstance(new, dict):
            found[name] = {key: old.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        elif isinstance(old, dict) and isinstance(new, dict) and old.get("object") is None:
            found[name] = {key: value for key, value in old.items() if new.get(key) != value}
        else:
            found[name] = copy.deepcopy(old)
    return found
