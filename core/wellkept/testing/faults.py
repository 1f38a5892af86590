"""Faults that a simulator injects on request, and the log of what it received.

Both are controlled from a test (`Faults.add`, `Log.requests`) or over HTTP::

    POST   /_control/faults   [{"kind": "status", "path": "/v1/invoices*", "status": 429, "retry_after": 2}]
    GET    /_control/faults   the faults that are still armed
    DELETE /_control/faults   disarm all
    GET    /_control/log      {"requests": [...], "effects": [...]}
    DELETE /_control/log      forget them

Which request is hit depends on the order of the requests and on the seed alone.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import random
from collections import deque
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any, Literal, NamedTuple

import msgspec

from wellkept.clock import Clock
from wellkept.testing.forms import nest, parse_pairs

MOST_LOGGED = 200_000
"""Entries that a log keeps; the oldest go first."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong.

    Attributes:
        kind: ``status``: an error in the vendor's own words. ``drop``: the connection ends without an answer. ``cut``: it ends
            in the middle of the body. ``stall``: the body stops in the middle until the client gives up. ``slow``: the body
            comes in ten pieces, `seconds` apart. ``latency``: `seconds` before the answer. ``truncate``: the body lacks its end
            though HTTP says that it is whole. ``row``: one row is replaced, see `row`. ``content``: something else than JSON.
            ``ignore``: the parameters in `names` are not seen (a page cursor that never moves).
        method: HTTP method, or ``*``.
        path: Shell pattern of the path.
        times: How many requests it hits; None: all.
        skip: How many matching requests pass first.
        share: The part of the matching requests that it hits, drawn with the seed.
        when: ``before`` the vendor acts, ``after`` it (acted upon, but the client does not learn it), or ``inside``: in the
            middle of the vendor's own work, so that an idempotency key keeps the error.
        status: Of ``status``.
        code: The vendor's error code of ``status``, where it has some.
        retry_after: Seconds in a Retry-After header of ``status``.
        as_date: Give Retry-After as a date.
        seconds: Of ``slow`` and ``latency``. Virtual time passes where the clock can be moved, real time otherwise.
        at: Where the body is cut, as a share of its length.
        rows: Where the rows are in the answer.
        row: Which row, from 0.
        field: Which field of it, with dots into nested ones; empty: the row itself.
        raw: What stands there instead: the JSON text, one character per byte (latin-1), so that it may be malformed.
        names: Of ``ignore``.
    """

    kind: Literal["status", "drop", "cut", "stall", "slow", "latency", "truncate", "row", "content", "ignore"]
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    skip: int = 0
    share: float = 1.0
    when: Literal["before", "after", "inside"] = "before"
    status: int = 500
    code: str | None = None
    retry_after: float | None = None
    as_date: bool = False
    seconds: float = 1.0
    at: float = 0.5
    rows: tuple[str, ...] = ("data",)
    row: int = 0
    field: str = ""
    raw: str = "null"
    names: tuple[str, ...] = ()


class Logged(msgspec.Struct, kw_only=True):
    """One request as it was received, and what came of it. Credentials are not kept.

    Attributes:
        number: From 1.
        at: Epoch ms of the simulator's clock.
        params: Query and body together, nested.
        idempotency_key: The header of that name.
        status: Of the answer; None: none was given.
        fault: The kind of the fault that hit it.
    """

    number: int
    at: int
    method: str
    path: str
    params: dict[str, Any]
    idempotency_key: str | None = None
    status: int | None = None
    fault: str | None = None


class Effected(msgspec.Struct, kw_only=True):
    """One thing that changed at the vendor.

    Attributes:
        at: Epoch ms of the simulator's clock.
        kind: Such as ``customer.updated``.
        id: The object.
        values: What changed, to which values.
        idempotency_key: Of the request that did it; None: it happened at the vendor.
    """

    at: int
    kind: str
    id: str
    values: dict[str, Any]
    idempotency_key: str | None = None


class Log:
    """What a simulator received and what it did, oldest first."""

    def __init__(self) -> None:
        self.requests: deque[Logged] = deque(maxlen=MOST_LOGGED)
        self.effects: deque[Effected] = deque(maxlen=MOST_LOGGED)
        self._count = 0

    def add(self, *, at: int, method: str, path: str, params: dict[str, Any], idempotency_key: str | None) -> Logged:
        """Note a request."""
        self._count += 1
        entry = Logged(number=self._count, at=at, method=method, path=path, params=params, idempotency_key=idempotency_key)
        self.requests.append(entry)
        return entry

    def clear(self) -> None:
        """Forget everything."""
        self.requests.clear()
        self.effects.clear()

    def matching(self, path: str = "*", method: str = "*") -> list[Logged]:
        """Return the requests whose path and method match shell patterns."""
        return [
            entry
            for entry in self.requests
            if fnmatch.fnmatchcase(entry.path, path) and fnmatch.fnmatchcase(entry.method, method)
        ]


class Answer(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.hits = 0


class Faults:
    """The faults that are armed.

    Args:
        clock: For Retry-After dates and delays.
        seed: For `Fault.share`.
    """

    def __init__(self, clock: Clock, seed: int = 0) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - a simulation
        self._armed: list[_Armed] = []

    def add(self, *faults: Fault) -> None:
        """Arm faults. Of several that match a request, the one added first hits it."""
        self._armed += [_Armed(fault) for fault in faults]

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def armed(self) -> list[Fault]:
        """Return the faults that can still hit."""
        return [armed.fault for armed in self._armed if armed.fault.times is None or armed.hits < armed.fault.times]

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, and count it."""
        for armed in self._armed:
            fault = armed.fault
            if fault.times is not None and armed.hits >= fault.times:
                continue
            if not (fnmatch.fnmatchcase(path, fault.path) and fnmatch.fnmatchcase(method, fault.method)):
                continue
            armed.seen += 1
            if armed.seen <= fault.skip or (fault.share < 1 and self._random.random() >= fault.share):
                continue
            armed.hits += 1
            return fault
        return None

    def retry_after(self, fault: Fault) -> dict[str, str]:
        """Return the Retry-After header that a fault asks for."""
        if fault.retry_after is None:
            return {}
        if fault.as_date:
            return {"Retry-After": formatdate(self._clock.now() / 1000 + fault.retry_after, usegmt=True)}
        return {"Retry-After": f"{fault.retry_after:g}"}

    async def wait(self, seconds: float) -> None:
        """Let time pass: virtual time where the clock can be moved, real time otherwise."""
        advance = getattr(self._clock, "advance", None)
        if advance is None:
            await self._clock.sleep(seconds)
        else:
            advance(seconds)


def spoil(fault: Fault, answer: Answer) -> Answer:
    """Return the answer with the damage that a fault of kind ``row``, ``truncate`` or ``content`` does to its body."""
    if fault.kind == "truncate":
        return answer._replace(body=answer.body[: int(len(answer.body) * fault.at)])
    if fault.kind == "content":
        page = b"<!doctype html><title>Down for maintenance</title>"
        return Answer(200, {**answer.headers, "content-type": "text/html; charset=utf-8"}, page)
    if fault.kind == "row":
        return answer._replace(body=_replace_row(fault, answer.body))
    return answer


def _replace_row(fault: Fault, body: bytes) -> bytes:
    """Put `Fault.raw` into a row. An answer without that row is left as it is."""
    try:
        value = json.loads(body)
        holder: Any = value
        for key in fault.rows:
            holder = holder[key]
        path: list[str | int] = [fault.row, *(fault.field.split(".") if fault.field else [])]
        for step in path[:-1]:
            holder = holder[step]
        mark = f"mark-{random.Random(0).getrandbits(64):x}"  # noqa: S311 - only has to be unlike any text of the answer
        holder[path[-1]] = mark
    except (ValueError, KeyError, IndexError, TypeError):
        return body
    return json.dumps(value).encode().replace(json.dumps(mark).encode(), fault.raw.encode("latin-1"))


async def send_answer(send: Any, answer: Answer) -> None:
    """Send a whole answer."""
    await _start(send, answer)
    await send({"type": "http.response.body", "body": answer.body})


async def send_broken(faults: Faults, fault: Fault, answer: Answer, send: Any, receive: Any) -> None:
    """Send an answer in the way of a fault of kind ``cut``, ``stall`` or ``slow``."""
    await _start(send, answer)
    if fault.kind == "slow":
        size = max(1, -(-len(answer.body) // 10))
        for start in range(0, len(answer.body), size):
            await faults.wait(fault.seconds)
            await send({"type": "http.response.body", "body": answer.body[start : start + size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    part = answer.body[: int(len(answer.body) * fault.at)]
    await send({"type": "http.response.body", "body": part, "more_body": True})
    if fault.kind == "cut":
        await hang_up(send)
        return
    while (await receive())["type"] != "http.disconnect":
        pass


async def hang_up(send: Any) -> None:
    """Close the connection without an answer, or in the middle of one.

    ASGI has no word for it: this reaches through uvicorn's `send` to the connection.

    Raises:
        RuntimeError: The simulator is not served by uvicorn.
    """
    cycle = getattr(send, "__self__", None)
    if cycle is None or not hasattr(cycle, "transport"):
        raise RuntimeError("a connection can only be dropped under wellkept.testing.Server")
    cycle.transport.close()
    while not cycle.disconnected:  # noqa: ASYNC110 - uvicorn says so by this flag alone
        await asyncio.sleep(0)


async def _start(send: Any, answer: Answer) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers = [(name, value) for name, value in headers if name != b"content-length"]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


def params_of(query: bytes, content_type: str, body: bytes) -> dict[str, Any]:
    """Return query and body of a request as one nested object, for the log. What cannot be read is left out."""
    found: dict[str, Any] = {}
    for read in (lambda: nest(parse_pairs(query)), lambda: _read_body(content_type, body)):
        try:
            value = read()
        except ValueError:
            continue
        found |= value if isinstance(value, dict) else {"body": value}
    return found


def _read_body(content_type: str, body: bytes) -> Any:
    if not body:
        return {}
    return json.loads(body) if "json" in content_type else nest(parse_pairs(body))


def decode_faults(body: bytes) -> Sequence[Fault]:
    """Read faults as they are posted: one object or a list of them. Raises `msgspec.ValidationError`."""
    return msgspec.json.decode(body if body.lstrip().startswith(b"[") else b"[" + body + b"]", type=list[Fault])


def header(headers: Sequence[tuple[bytes, bytes]], name: str) -> str | None:
    """Return an ASGI header, or None."""
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in headers if key == wanted), None)
