"""Webhooks, plugins' routes and the unsubscribe link, over real HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest
from tests.sync.conftest import ACCOUNTS, Bench

from wellkept.errors import ConfigError, RejectedError, RetryableError, SignatureError
from wellkept.routes import Route
from wellkept.source import Batch, CheckResult, Hint, ReadRequest, Received, Stream, WebhookRequest, WebhookSource
from wellkept.store import dead_letters, inbox, instances, messages
from wellkept.store.messages import StoredSuppressions
from wellkept.testing import FakeClock, Server
from wellkept.trust import InstallationKey, KeySigner
from wellkept.unsubscribe import language_of
from wellkept.webhooks import make_app

KEY = InstallationKey(b"k" * 32)
SECRET = b"whsec"


class Hooked(WebhookSource):
    """Signs with HMAC-SHA256 over the raw body, as most vendors do."""

    def __init__(self) -> None:
        self.seen: list[WebhookRequest] = []

    def streams(self) -> Sequence[Stream]:
        return [ACCOUNTS]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[])

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        yield Batch()

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        return Batch()

    def receive(self, request: WebhookRequest) -> Received:
        self.seen.append(request)
        if not hmac.compare_digest(request.headers.get("x-signature", ""), sign(request.body)):
            raise SignatureError("the signature does not match")
        try:
            event = json.loads(request.body)
        except ValueError:
            raise RejectedError("not JSON") from None
        if event.get("crash"):
            raise KeyError(event["crash"])
        hints = [
            Hint(id=event["id"], stream=stream, object_id=object_, at=event.get("at", 1))
            for stream, object_ in event.get("hints", [])
        ]
        return Received(hints=hints, reply=event.get("reply", "").encode(), vendor_account=event.get("account"),
                        mode=event.get("mode"))  # fmt: skip


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = f"{scope['path']} {scope['path_params']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def breaks(scope: Any, receive: Any, send: Any) -> None:
    raise KeyError("jane@example.com")


class Site:
    def __init__(self, bench: Bench, url: str, source: Hooked, client: httpx.Client) -> None:
        self.bench, self.url, self.source, self.client = bench, url, source, client

    def post(self, event: dict[str, Any] | bytes, instance: str = "one", **headers: str) -> httpx.Response:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.client.post(f"/webhooks/{instance}?v=1", content=body, headers={"X-Signature": sign(body), **headers})

    def hints(self) -> list[tuple[Any, ...]]:
        return self.bench.all("SELECT instance, hint_id, stream, object_id, received_at FROM inbox ORDER BY seq")


@pytest.fixture
def site(bench: Bench) -> Iterator[Site]:
    source = Hooked()
    app = make_app(
        bench.store,
        {"one": source},
        clock=bench.clock,
        signer=KeySigner(KEY, ""),
        routes={"one": [Route(path="hello/{name}", app=echo, methods=("GET", "PUT")), Route(path="/broken", app=breaks)]},
        public_url="https://keep.example/base",
        body_limit=2000,
        store_seconds=0.5,
    )
    with Server(app) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        yield Site(bench, server.url, source, client)


def test_a_webhook_is_kept_and_answered(site: Site, clock: FakeClock) -> None:
    answer = site.post({"id": "e1", "hints": [["accounts", "a"], ["accounts", None]], "reply": "ok"})
    assert (answer.status_code, answer.content) == (200, b"ok")
    assert site.hints() == [("one", "e1", "accounts", "a", clock.now()), ("one", "e1", "accounts", "", clock.now())]
    (request,) = site.source.seen
    assert request.url == "https://keep.example/base/webhooks/one?v=1"  # the public address, as some vendors sign it
    assert request.method == "POST"
    assert request.headers["x-signature"] == sign(request.body)
    assert request.received_at == clock.now()


def test_replays_are_one_hint(site: Site) -> None:
    for _ in range(3):
        assert site.post({"id": "e1", "hints": [["accounts", "a"]]}).status_code == 200
    assert len(site.hints()) == 1


def test_a_wrong_signature_stores_nothing(site: Site) -> None:
    body = b'{"id": "e1", "hints": [["accounts", "a"]]}'
    for headers in ({"X-Signature": sign(body + b" ")}, {"X-Signature": ""}, {}):
        assert site.client.post("/webhooks/one", content=body, headers=headers).status_code == 401
    assert site.hints() == []
    assert site.bench.letters() == []


def test_the_signature_is_over_the_raw_bytes(site: Site) -> None:
    """Not over what a parser makes of them."""
    body = b'{ "id":"e\\u0031" ,"hints":[["accounts","a"]]}\n'
    assert site.post(body).status_code == 200
    assert site.source.seen[0].body == body
    compact = json.dumps(json.loads(body)).encode()
    answer = site.client.post("/webhooks/one", content=compact, headers={"X-Signature": sign(body)})
    assert answer.status_code == 401


def test_genuine_but_not_understood(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert site.post(b"{jane@example.com").status_code == 200
    assert site.post({"id": "e1", "hints": [["accounts", "a"], ["nowhere", "b"]]}).status_code == 200
    assert site.hints() == []
    first, second = site.bench.letters()
    assert (first.instance, first.stream, first.reason) == ("one", "webhooks", "not JSON")
    assert "nowhere" in second.reason
    with site.bench.store.read() as reader:
        assert dead_letters.raw(reader, first.seq) == b"{jane@example.com"
    assert "jane" not in caplog.text


@pytest.mark.parametrize(
    "event",
    [
        {"id": "e\0", "hints": [["accounts", "a"]]},
        {"id": "e", "hints": [["accounts", "a\0"]]},
        {"id": "e", "hints": [["accounts", "\ud800"]]},
        {"id": "e", "hints": [["accounts", "a"]], "at": 2**63},
        {"id": "e", "hints": [["accounts", "a"]], "at": -(10**30)},
    ],
)
def test_what_no_database_can_keep_is_not_sent_again_for_ever(site: Site, event: dict[str, Any]) -> None:
    assert site.post(event).status_code == 200
    assert site.hints() == []
    (letter,) = site.bench.letters()
    assert "that no vendor has" in letter.reason


def test_a_broken_plugin_lets_the_vendor_try_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert site.post({"id": "e1", "crash": "jane@example.com"}).status_code == 500
    assert "KeyError" in caplog.text
    assert site.post({"id": "e1", "hints": [[["list"], "a"]]}).status_code == 500  # a hint that is none
    assert "jane" not in caplog.text


def test_unknown_instances(site: Site) -> None:
    assert site.post({"id": "e1"}, instance="two").status_code == 404
    assert site.client.get("/webhooks/one").status_code == 405


def test_another_account_or_mode_is_refused(site: Site) -> None:
    site.bench.store.write_now(
        lambda tx: instances.remember_account(tx, "one", "acme", account="acct_1", mode="live", healthy=True, digest="d", now=0)
    )
    hints = [["accounts", "a"]]
    assert site.post({"id": "e1", "hints": hints, "account": "acct_2"}).status_code == 403
    assert site.post({"id": "e2", "hints": hints, "account": "acct_1", "mode": "test"}).status_code == 403
    assert site.post({"id": "e3", "account": "acct_2"}).status_code == 403
    assert site.hints() == []
    assert site.post({"id": "e4", "hints": hints, "account": "acct_1", "mode": "live"}).status_code == 200
    assert site.post({"id": "e5", "hints": hints}).status_code == 200
    assert len(site.hints()) == 2


def test_size_is_limited(site: Site) -> None:
    assert site.post(b" " * 2001).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    assert site.client.post("/webhooks/one", content=endless()).status_code == 413
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:  # answered before anything is sent
        connection.sendall(b"POST /webhooks/one HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n\r\n")
        assert b" 413 " in connection.recv(100)
    assert site.source.seen == []
    assert site.post(b'{"id": "e"}'.ljust(2000)).status_code == 200


def test_a_client_that_goes_away(site: Site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /webhooks/one HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert site.post({"id": "e1"}).status_code == 200
    assert len(site.source.seen) == 1


def test_a_store_that_cannot_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise RetryableError("locked")

    monkeypatch.setattr(inbox, "add", busy)
    assert site.post({"id": "e1", "hints": [["accounts", "a"]]}).status_code == 503


def test_a_store_that_is_held_up_keeps_nobody_waiting(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The vendor is told when to come again, nothing is queued meanwhile, and what was written late is known then."""
    assert site.post({"id": "e0", "hints": [["accounts", "a"]]}).status_code == 200
    with closing(sqlite3.connect(site.bench.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in (1, 2, 3):
            answer = site.post({"id": f"e{number}", "hints": [["accounts", "a"]]})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        other.execute("ROLLBACK")
    site.bench.store.write_now(lambda _: None, durable=True)  # behind the one that was overdue
    assert [hint[1] for hint in site.hints()] == ["e0", "e1"]
    assert len([line for line in caplog.messages if "could not be stored" in line]) == 1
    for number in (1, 2, 3):
        assert site.post({"id": f"e{number}", "hints": [["accounts", "a"]]}).status_code == 200
    assert [hint[1] for hint in site.hints()] == ["e0", "e1", "e2", "e3"]


def test_many_at_once(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: site.post({"id": f"e{n}", "hints": [["accounts", str(n)]]}).status_code, range(64))
        assert set(answers) == {200}
    assert len(site.hints()) == 64


# --- plugins' routes -----------------------------------------------------------------------------------------------------


def test_routes_of_plugins(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert site.client.get("/one/hello/jane").text == "/one/hello/jane {'name': 'jane'}"
    assert site.client.put("/one/hello/jane").status_code == 200
    assert site.client.post("/one/hello/jane").status_code == 405
    assert site.client.get("/two/hello/jane").status_code == 404
    answer = site.client.get("/one/broken")
    assert (answer.status_code, answer.text) == (500, "internal error")
    assert "jane" not in caplog.text


def test_core_keeps_its_own_paths(bench: Bench) -> None:
    for name in ("webhooks", "unsubscribe"):
        with pytest.raises(ConfigError, match=name):
            make_app(
                bench.store, {}, clock=bench.clock, signer=KeySigner(KEY, ""), routes={name: [Route(path="x", app=echo)]},
            )  # fmt: skip


# --- unsubscribe ---------------------------------------------------------------------------------------------------------


def scope(site: Site, address: str = "jane@example.com") -> Any:
    import asyncio

    return asyncio.run(StoredSuppressions(site.bench.store, KEY, site.bench.clock).scope(address))


def link(signer: KeySigner = KeySigner(KEY, ""), **options: Any) -> str:  # noqa: B008
    return f"/unsubscribe/{signer.sign('unsubscribe', messages.digest(KEY, 'jane@example.com'), **options)}"


def test_following_the_link_changes_nothing(site: Site) -> None:
    """Mail scanners follow links."""
    for method in ("GET", "HEAD"):
        answer = site.client.request(method, link())
        assert answer.status_code == 200
        assert scope(site) is None
    page = site.client.get(link())
    assert '<form method="post">' in page.text
    assert '<html lang="en">' in page.text
    assert "jane" not in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_one_click_unsubscribes(site: Site) -> None:
    """RFC 8058, section 3.2: a POST with this body, without cookies or login."""
    answer = site.client.post(link(), data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert scope(site) == "marketing"
    assert site.client.post(link()).status_code == 200  # again
    assert site.bench.value("SELECT COUNT(*) FROM suppressions") == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_forged_and_old_links(site: Site, clock: FakeClock, method: str) -> None:
    forged = [
        link()[:-2] + "xx", "/unsubscribe/x", link(KeySigner(KEY, "one")), link(KeySigner(InstallationKey(b"j" * 32), "")),
        f"/unsubscribe/{KeySigner(KEY, '').sign('login', 'jane@example.com')}", link(expires_at=clock.now()),
    ]  # fmt: skip
    for address in forged:
        assert site.client.request(method, address).status_code == 404
    assert scope(site) is None


def test_the_page_speaks_chinese(site: Site) -> None:
    page = site.client.get(link(), headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert '<html lang="zh-Hans">' in page.text
    assert "退订" in page.text
    assert page.headers["content-language"] == "zh-Hans"
    assert "退订成功" in site.client.post(link(), headers={"Accept-Language": "zh"}).text
    assert "链接无效" in site.client.get("/unsubscribe/x", headers={"Accept-Language": "zh"}).text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"), ("zh", "zh"), ("ZH-hant-TW", "zh"), ("en-GB,zh;q=0.9", "en"), ("zh;q=0.4,en;q=0.5", "en"),
        ("fr,zh;q=0.2", "zh"), ("*", "en"), ("zh;q=0", "en"), ("zh;q=x", "en"), ("fr", "en"),
    ],
)  # fmt: skip
def test_languages(accepted: str, language: str) -> None:
    assert language_of(accepted) == language
