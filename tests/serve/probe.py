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
    Batch,
    CheckResult,
    Context,
    Hint,
    PluginInfo,
    ReadRequest,
    Received,
    Route,
    Source,
    Stream,
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
        mode = (self._folder / "mode").read_text()
        self._log(f"read {at} {mode}")
        if mode == "hang":
            await asyncio.Event().wait()
        if mode == "block":
            time.sleep(3600)  # noqa: ASYNC251 - that is the point
        yield self._batch(at)
        if mode == "gated":
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
        return Batch(records=[Account(id=id_, name="fetched", version=2) for id_ in ids])

    def receive(self, request: WebhookRequest) -> Received:
        if not hmac.compare_digest(request.headers.get("x-signature", ""), sign(request.body)):
            raise SignatureError("the signature does not match")
        event = json.loads(request.body)
        return Received(hints=[Hint(id=event["id"], stream="accounts", object_id=event["object"], at=request.received_at)])

    def _log(self, text: str) -> None:
        with (self._folder / "log").open("a") as file:
            file.write(f"{os.getpid()} {self._name} {text}\n")


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
    def routes(self, ctx: Context[Config]) -> list[Route]:
        return [Route(path="hello", app=hello)]


plugin = Plugin()
