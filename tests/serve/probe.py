"""A plugin whose vendor is a folder: what it does, and for how long, the test says by files. Installed for real processes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from wellkept import (
    Action,
    Batch,
    CheckResult,
    Context,
    Decider,
    Delivery,
    Effect,
    Facts,
    Frame,
    Hint,
    OnceAction,
    Outcome,
    PluginInfo,
    Policy,
    ReadRequest,
    Received,
    Route,
    Source,
    Stream,
    TaskCreate,
    Verdict,
    WebhookRequest,
    WebhookSource,
    hookimpl,
)
from wellkept.errors import SignatureError
from wellkept.records import Account

ACCOUNTS = Stream(name="accounts", records=(Account,), doc="Accounts.")
SECRET = b"probe secret"


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folder: Path
    nag: bool = False


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()


class ProbeSource(WebhookSource):
    """Reads one account at a time; the file ``mode`` says how.

    ``plain`` reads one account and ends. ``gated`` reads one, waits for the file ``gate-PID``, reads another and ends. ``hang``
    waits for ever, ``block`` does so without letting go of the event loop.
    """

    def __init__(self, ctx: Context[Config]) -> None:
        self._folder = ctx.config.folder
        self._name = ctx.instance

    def streams(self) -> Sequence[Stream]:
        return [ACCOUNTS]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[], vendor_account="probe", mode="test")

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        at = (request.cursor or {"at": 0})["at"]
        how = mode(self._folder)
        self._log(f"read {at} {how}")
        if how == "hang":
            await asyncio.Event().wait()
        if how == "block":
            time.sleep(3600)  # noqa: ASYNC251 - that is the point
        yield self._batch(at)
        if how == "gated":
            gate = self._folder / f"gate-{os.getpid()}"
            self._log("waits")
            while not gate.exists():  # noqa: ASYNC110 - the event is a file of the test
                await asyncio.sleep(0.01)
            self._log("goes on")
            yield self._batch(at + 1)

    def _batch(self, at: int) -> Batch:
        return Batch(records=[Account(id=f"{at}", name=f"read by {os.getpid()}", version=1)], cursor={"at": at + 1})

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        self._log(f"fetch {' '.join(ids)}")
        if mode(self._folder) == "hang":
            await asyncio.Event().wait()
        return Batch(records=[Account(id=id_, name="fetched", version=2) for id_ in ids])

    def receive(self, request: WebhookRequest) -> Received:
        if not hmac.compare_digest(request.headers.get("x-signature", ""), sign(request.body)):
            raise SignatureError("the signature does not match")
        event = json.loads(request.body)
        return Received(hints=[Hint(id=event["id"], stream="accounts", object_id=event["object"], at=request.received_at)])

    def _log(self, text: str) -> None:
        note(self._folder, f"{self._name} {text}")


class Nag(Policy):
    """Wants a task for every account. Where the mode is ``doubting`` it waits for ``gate-PID`` just before one is claimed."""

    name = "nag"
    version = "1"
    uses: frozenset[str] = frozenset()

    def __init__(self, ctx: Context[Config]) -> None:
        self._folder = ctx.config.folder

    def decide(self, frame: Frame) -> Sequence[Effect]:
        return [
            Effect(key=f"task/{account}", payload=TaskCreate(title="Call"), account=account, reason="it is there")
            for account in frame.accounts
        ]

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        note(self._folder, "doubts")
        while mode(self._folder) == "doubting" and not (self._folder / f"gate-{os.getpid()}").exists():
            time.sleep(0.01)
        return Verdict.proceed()


class Tasks(OnceAction[TaskCreate]):
    """Writes tasks into the log."""

    payload = TaskCreate

    def __init__(self, ctx: Context[Config]) -> None:
        self._folder = ctx.config.folder

    async def deliver(self, deliveries: Sequence[Delivery[TaskCreate]]) -> Sequence[Outcome]:
        for delivery in deliveries:
            note(self._folder, f"task {delivery.key}")
        return [Outcome.done(ref="t") for _ in deliveries]

    async def look_up(self, delivery: Delivery[TaskCreate]) -> Outcome | None:
        return None


def mode(folder: Path) -> str:
    return (folder / "mode").read_text()


def note(folder: Path, text: str) -> None:
    with (folder / "log").open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Plugin:
    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="probe", api="1.0", summary="Reads a folder.", config=f"{__name__}:Config")

    @hookimpl
    def sources(self, ctx: Context[Config]) -> list[Source]:
        return [ProbeSource(ctx)]

    @hookimpl
    def policies(self, ctx: Context[Config]) -> list[Decider]:
        return [Nag(ctx)] if ctx.config.nag else []

    @hookimpl
    def actions(self, ctx: Context[Config]) -> list[Action]:
        return [Tasks(ctx)]

    @hookimpl
    def routes(self, ctx: Context[Config]) -> list[Route]:
        return [Route(path="hello", app=hello)]


plugin = Plugin()
