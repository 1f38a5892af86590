from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from wellkept.alerts import Limits, Watch
from wellkept.settings import Alerts
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock, Server

SECRET = "whsec_" + base64.b64encode(b"a secret of the webhook").decode()
HOUR = 3_600_000
DAY = 24 * HOUR


class Receiver:
    """A server that keeps what it takes: webhooks and pings."""

    def __init__(self) -> None:
        self.status = 200
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.pings: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if self.status == 200:
            if scope["method"] == "POST":
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                self.posts.append((headers, body))
            else:
                self.pings.append(scope["path"])
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that was told, in order."""
        return [event for _, body in self.posts for event in json.loads(body)["alerts"]]

    @property
    def told(self) -> list[str]:
        return [f"{event['event']} {event['condition']} {event['subject']}" for event in self.events]

    def clear(self) -> None:
        self.status = 200
        self.posts.clear()
        self.pings.clear()


def verify(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    """Check a signature as a receiver does that follows Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{mac}" in headers["webhook-signature"].split()


@pytest.fixture(scope="module")
def _receiver() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    with Server(receiver) as server:
        yield receiver, server.url


@pytest.fixture
def receiver(_receiver: tuple[Receiver, str], monkeypatch: pytest.MonkeyPatch) -> Receiver:
    found, url = _receiver
    found.clear()
    monkeypatch.setenv("ALERT_URL", f"{url}/hook")
    monkeypatch.setenv("ALERT_SECRET", SECRET)
    monkeypatch.setenv("ALERT_PING", f"{url}/ping")
    return found


class House:
    """A store, and what may be wrong in it."""

    def __init__(self, store: Store, clock: FakeClock, base: Path) -> None:
        self.store, self.clock, self.base = store, clock, base
        self.stale: dict[tuple[str, str], timedelta] = {}
        self.runs = 0

    def watch(self, **settings: Any) -> Watch:
        made = Alerts.model_validate({"name": "test", **settings})
        return Watch(self.store, made, base=self.base, zone="UTC", limits=Limits.of(made, self.stale))

    def attend(self, *, cycle: bool = False, **settings: Any) -> bool:
        settings = settings or {"webhook": {"url": "env:ALERT_URL", "secret": "env:ALERT_SECRET"}, "ping": "env:ALERT_PING"}
        return asyncio.run(self.watch(**settings).attend(cycle=cycle))

    def sql(self, sql: str, *params: Any) -> None:
        self.store.write_now(lambda tx: tx.execute(sql, params))

    def all(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.store.read() as reader:
            return reader.all(sql, params)

    def instance(self, name: str, state: str = "ok", *, reason: str | None = None, expires_at: int | None = None) -> None:
        self.sql(
            "INSERT INTO instances (instance, plugin, state, reason, since, expires_at) VALUES (?, 'p', ?, ?, ?, ?)"
            " ON CONFLICT (instance) DO UPDATE SET state = excluded.state, reason = excluded.reason, since = excluded.since,"
            " expires_at = excluded.expires_at",
            name, state, reason, self.clock.now(), expires_at,
        )  # fmt: skip

    def run(self, state: str, kind: str = "run", summary: str | None = None, **streams: str) -> str:
        """Add a run that has ended, with its streams: ``crm_deals="failed: no answer"``."""
        self.runs += 1
        self.clock.advance(1)
        now, id_ = self.clock.now(), f"r-{self.runs}"
        self.sql(
            "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, finished_at, host, pid, summary)"
            " VALUES (?, ?, ?, ?, ?, ?, 'h', 1, ?)",
            id_, kind, state, now, now, now, summary,
        )  # fmt: skip
        for name, outcome in streams.items():
            instance, _, stream = name.partition("_")
            self.stale.setdefault((instance, stream), timedelta(days=365))
            ended, _, error = outcome.partition(": ")
            self.sql(
                "INSERT INTO run_streams (run_id, instance, stream, state, started_at, finished_at, error)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                id_, instance, stream, ended, now, now, error or None,
            )  # fmt: skip
        return id_

    def open(self) -> list[tuple[str, str]]:
        """What is open after a look."""
        self.attend()
        return [
            (row[0], row[1]) for row in self.all("SELECT condition, subject FROM alerts WHERE ended_at IS NULL ORDER BY seq")
        ]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_795_219_200_000 + 12 * HOUR)


@pytest.fixture
def house(tmp_path: Path, clock: FakeClock, receiver: Receiver) -> Iterator[House]:
    with closing(open_store(tmp_path / "wellkept.db", clock)) as store:
        yield House(store, clock, tmp_path)
