"""What simulators of vendors have in common: control routes, faults, the log, checks against a description, gates.

A simulator is an ASGI application, so that it can be served on loopback (`wellkept.testing.Server`) or called in process. A
subclass gives its routes and says how its vendor words an error; it keeps its state in plain objects under `lock`, because
requests arrive in the server's thread while a test or a demo changes the world in its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept.clock import Clock, SystemClock
from wellkept.testing.faults import (
    Answer,
    Fault,
    Faults,
    Log,
    Logged,
    decode_faults,
    hang_up,
    header,
    params_of,
    send_answer,
    send_broken,
    spoil,
)
from wellkept.testing.server import ASGIApp, Receive, Scope, Send
from wellkept.testing.spec import Spec, SpecMismatch

CONTROL = "/_control/"
LONGEST_WAIT = 30.0
"""Seconds that a gate stays shut when nobody opens it, so that a failing test ends."""


class Gate:
    """Holds requests in the middle of the vendor's work until it is opened.

    Attributes:
        arrived: Set as soon as a request waits at the gate.
    """

    def __init__(self, method: str, path: str) -> None:
        self._method = method
        self._path = path
        self._open = threading.Event()
        self.arrived = threading.Event()

    def open(self) -> None:
        """Let everything through from now on."""
        self._open.set()

    def stops(self, method: str, path: str) -> bool:
        """Say whether a request has to wait."""
        matches = fnmatch.fnmatchcase(method, self._method) and fnmatch.fnmatchcase(path, self._path)
        return matches and not self._open.is_set()

    async def wait(self) -> None:
        """Wait until it is open."""
        self.arrived.set()
        await asyncio.to_thread(self._open.wait, LONGEST_WAIT)


class Simulator(ABC):
    """Base of vendor simulators.

    Args:
        clock: The simulator's time, shown in its `Date` headers as well.
        seed: Decides everything that is drawn.
        spec: The vendor's description; requests and answers are checked against it where it is given.

    Attributes:
        log: What was received, and what changed.
        faults: What is to go wrong.
        lock: Held while a request is handled; hold it to change the world from another thread.
        refused: Requests that did not fit the description and were refused, as they should be. A connector's test asserts
            that this is empty.
        broken: Requests that were wrongly accepted and answers of the wrong shape: mistakes of the simulator.
        shape: Takes the JSON of each good answer and returns it in another shape, after it was held against the description.
    """

    def __init__(self, *, clock: Clock | None = None, seed: int = 0, spec: Spec | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.seed = seed
        self.spec = spec
        self.log = Log()
        self.faults = Faults(self.clock, seed)
        self.lock = threading.RLock()
        self.refused: list[SpecMismatch] = []
        self.broken: list[SpecMismatch] = []
        self.shape: Callable[[Any], Any] | None = None
        self._gates: list[Gate] = []

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Return the vendor's routes."""

    @abstractmethod
    def error(self, status: int, code: str | None = None) -> Answer:
        """Return an error in the vendor's words, for faults of kind ``status``."""

    def scenarios(self) -> Mapping[str, Callable[..., object]]:
        """Return what may happen at the vendor by itself, by name: ``POST /_control/scenarios/NAME`` with a JSON object."""
        return {}

    @contextlib.contextmanager
    def gate(self, method: str, path: str) -> Iterator[Gate]:
        """Hold matching requests (shell patterns) in the middle of their work; opens at the end of the block."""
        gate = Gate(method, path)
        self._gates.append(gate)
        try:
            yield gate
        finally:
            gate.open()
            self._gates.remove(gate)

    async def inside(self, request: Request) -> Answer | None:
        """To be called by the vendor's code once it has begun to act: waits at gates, and returns a fault's error, if any."""
        for gate in list(self._gates):
            if gate.stops(request.method, request.url.path):
                await gate.wait()
        fault: Fault | None = request.scope.get("wellkept.fault")
        return None if fault is None else self._error(fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"].startswith(CONTROL):
            await self._control(scope, receive, send)
            return
        body = await _body(receive)
        with self.lock:
            entry = self.log.add(
                at=self.clock.now(),
                method=scope["method"],
                path=scope["path"],
                params=params_of(scope["query_string"], header(scope["headers"], "content-type") or "", body),
                idempotency_key=header(scope["headers"], "idempotency-key"),
            )
            fault = self.faults.take(scope["method"], scope["path"])
        if fault is not None:
            entry.fault = fault.kind
        await self._answer(scope, body, entry, fault, (receive, send))

    async def _answer(self, scope: Scope, body: bytes, entry: Logged, fault: Fault | None, wire: tuple[Receive, Send]) -> None:
        receive, send = wire
        kind = None if fault is None else fault.kind
        if fault is not None and kind == "latency":
            await self.faults.wait(fault.seconds)
        if fault is not None and kind == "ignore":
            scope = {**scope, "query_string": _without(scope["query_string"], fault.names)}
        if fault is not None and kind == "status" and fault.when == "inside":
            scope = {**scope, "wellkept.fault": fault}
        if fault is not None and fault.when == "before":
            if kind == "drop":
                await hang_up(send)
                return
            if kind == "status":
                entry.status = fault.status
                await send_answer(send, self._dated(self._error(fault)))
                return
        answer = self._dated(self._shaped(await self._checked(scope, body)))
        if fault is not None and kind == "status" and fault.when == "after":
            answer = self._dated(self._error(fault))
        if fault is not None and kind == "drop":
            await hang_up(send)
            return
        entry.status = answer.status
        if fault is not None and kind in {"cut", "stall", "slow"}:
            await send_broken(self.faults, fault, answer, send, receive)
            return
        await send_answer(send, answer if fault is None else spoil(fault, answer))

    async def _checked(self, scope: Scope, body: bytes) -> Answer:
        """Let the vendor answer, and hold both sides against the description."""
        if self.spec is None:
            return await self._vendor(scope, body)
        method, path, query = scope["method"], scope["path"], scope["query_string"].decode("ascii")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        mismatch: SpecMismatch | None = None
        try:
            self.spec.check_request(method, path, query=query, headers=headers, body=body)
        except SpecMismatch as error:
            mismatch = error
        answer = await self._vendor(scope, body)
        if mismatch is not None and answer.status >= 400:
            self.refused.append(mismatch)
            return answer
        try:
            if mismatch is not None:
                raise mismatch
            self.spec.check_response(method, path, status=answer.status, headers=answer.headers, body=answer.body)
        except SpecMismatch as error:
            self.broken.append(error)
            return Answer(500, {"content-type": "text/plain; charset=utf-8"}, f"simulator: {error}".encode())
        return answer

    @cached_property
    def _app(self) -> ASGIApp:
        return Starlette(routes=list(self.routes()))

    async def _vendor(self, scope: Scope, body: bytes) -> Answer:
        started: dict[str, Any] = {}
        pieces: list[bytes] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                pieces.append(message.get("body", b""))

        await self._app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in started["headers"]}
        return Answer(started["status"], headers, b"".join(pieces))

    def _error(self, fault: Fault) -> Answer:
        answer = self.error(fault.status, fault.code)
        return answer._replace(headers={**answer.headers, **self.faults.retry_after(fault)})

    def _shaped(self, answer: Answer) -> Answer:
        if self.shape is None or answer.status >= 400 or not answer.body:
            return answer
        return answer._replace(body=json.dumps(self.shape(json.loads(answer.body))).encode())

    def _dated(self, answer: Answer) -> Answer:
        return answer._replace(headers={**answer.headers, "date": formatdate(self.clock.now() // 1000, usegmt=True)})

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        routes = [
            Route(f"{CONTROL}faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route(f"{CONTROL}log", self._log, methods=["GET", "DELETE"]),
            Route(f"{CONTROL}scenarios/{{name}}", self._scenario, methods=["POST"]),
        ]
        await Starlette(routes=routes)(scope, receive, send)

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                self.faults.add(*decode_faults(await request.body()))
            except msgspec.DecodeError as error:
                return _json({"error": str(error)}, 422)
        return _json(self.faults.armed())

    async def _log(self, request: Request) -> Response:
        with self.lock:
            if request.method == "DELETE":
                self.log.clear()
            return _json({"requests": list(self.log.requests), "effects": list(self.log.effects)})

    async def _scenario(self, request: Request) -> Response:
        scenario = self.scenarios().get(request.path_params["name"])
        if scenario is None:
            return _json({"error": f"there is no such scenario; there are {', '.join(sorted(self.scenarios()))}"}, 404)
        try:
            arguments = json.loads(await request.body() or b"{}")
            with self.lock:
                return _json({"result": scenario(**arguments)})
        except (TypeError, ValueError, LookupError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 422)


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def _without(query: bytes, names: Sequence[str]) -> bytes:
    return b"&".join(part for part in query.split(b"&") if unquote_plus(part.split(b"=", 1)[0].decode("latin-1")) not in names)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
