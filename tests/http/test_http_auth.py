"""Credentials: read anew for each try, renewed once, stored before they are used, by one process at a time."""

from __future__ import annotations

import asyncio
import os
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import ConfigError, CredentialsError, FatalError, NotSentError, RetryableError, StoreError
from wellkept.http import Basic, Bearer, Client, Header, Http, NotAllowedError, OAuth2, StatusError
from wellkept.redact import Redactor
from wellkept.secrets import Secret
from wellkept.store import Store
from wellkept.store.tokens import StoredTokens
from wellkept.testing import FakeClock

KEY = "installation-key-of-the-tests"


class Grantor:
    """A token endpoint that rotates: the old pair is gone as soon as there is a new one, as at Zendesk."""

    def __init__(self, vendor: Any, *, expires_in: Any = 3600, rotates: bool = True) -> None:
        self._vendor = vendor
        self._expires_in = expires_in
        self._rotates = rotates
        self.count = 0
        self.access = "none-yet"
        self.refresh = "seed-refresh-token"
        self.forms: list[dict[str, str]] = []
        self.failures: list[Any] = []

    def __call__(self, request: Any) -> Any:
        if request.path != "/token":
            good = request.headers.get("authorization") == f"Bearer {self.access}"
            return self._vendor.answer(json={"data": []}) if good else self._vendor.answer(401)
        self.forms.append(request.form)
        if self.failures:
            return self.failures.pop(0)
        if request.form["grant_type"] == "refresh_token" and request.form["refresh_token"] != self.refresh:
            return self._vendor.answer(400, json={"error": "invalid_grant", "error_description": self.refresh})
        self.count += 1
        self.access = f"access-token-{self.count}"
        answer = {"access_token": self.access, "token_type": "bearer", "expires_in": self._expires_in}
        if request.form["grant_type"] == "refresh_token":
            if self._rotates:
                self.refresh = f"refresh-token-{self.count}"
            answer["refresh_token"] = self.refresh
        return self._vendor.answer(json=answer)


@pytest.fixture
def grantor(vendor: Any) -> Grantor:
    grantor = Grantor(vendor)
    vendor.play(grantor)
    return grantor


@pytest.fixture
def tokens(store: Store, clock: FakeClock) -> StoredTokens:
    return StoredTokens(store, clock, "acme", lambda: KEY)


def oauth(vendor: Any, tokens: Any, **options: Any) -> OAuth2:
    options = {"refresh_token": lambda: "seed-refresh-token", **options}
    return OAuth2(f"{vendor.url}/token", "client-1", lambda: "client-secret-1", tokens=tokens, **options)


# --- keys ---


async def test_schemes_with_a_fixed_secret(http: Http, vendor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "sesame-1")
    secret = Secret("env:ACME_KEY")
    for auth in (Bearer(secret), Basic("joe", secret), Basic(secret), Header("X-Api-Key", secret)):
        await http(vendor.url, auth=auth).get("/x")
        assert "sesame" not in repr(auth)
    bearer, basic, key_only, header = (request.headers for request in vendor.requests)
    assert bearer["authorization"] == "Bearer sesame-1"
    assert b64decode(basic["authorization"].removeprefix("Basic ")) == b"joe:sesame-1"
    assert b64decode(key_only["authorization"].removeprefix("Basic ")) == b"sesame-1:"
    assert header["x-api-key"] == "sesame-1"


async def test_secrets_are_registered_before_they_are_used(http: Http, vendor: Any, redactor: Redactor) -> None:
    await http(vendor.url, auth=Bearer(lambda: "sesame-of-a-function")).get("/x")
    assert "sesame" not in redactor.text("it was sesame-of-a-function")


async def test_a_refused_key_is_tried_once_and_no_more(http: Http, vendor: Any) -> None:
    vendor.play(vendor.answer(401))
    with pytest.raises(CredentialsError, match="HTTP 401"):
        await http(vendor.url, auth=Bearer(lambda: "sesame-1")).get("/x")
    assert len(vendor.requests) == 1


async def test_a_key_that_was_rotated_meanwhile_is_tried(http: Http, vendor: Any) -> None:
    keys = iter(["old-key", "new-key", "new-key"])
    vendor.play(vendor.answer(401), vendor.answer(json={}))
    await http(vendor.url, auth=Bearer(lambda: next(keys))).post("/x")
    assert [request.headers["authorization"] for request in vendor.requests] == ["Bearer old-key", "Bearer new-key"]


async def test_a_secret_that_no_header_can_carry_names_its_reference(
    http: Http, vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "sesame\r\nX-Evil: 1")
    client = http(vendor.url, auth=Bearer(Secret("env:ACME_KEY")))
    with pytest.raises(ConfigError, match="env:ACME_KEY") as caught:
        await client.get("/x")
    assert "sesame" not in str(caught.value)
    with pytest.raises(NotAllowedError):
        await client.post("/x")
    assert not vendor.requests


async def test_credentials_in_the_clear_are_warned_of(http: Http, caplog: pytest.LogCaptureFixture, vendor: Any) -> None:
    http("http://vendor.example", auth=Bearer(lambda: "sesame-1"))
    assert "unencrypted" in caplog.text
    caplog.clear()
    http(vendor.url, auth=Bearer(lambda: "sesame-1"))
    http("https://vendor.example", auth=Bearer(lambda: "sesame-1"))
    assert not caplog.text


# --- OAuth 2 ---


async def test_a_first_token_and_its_use(http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor) -> None:
    client = http(vendor.url, auth=oauth(vendor, tokens))
    await client.get("/x")
    await client.get("/y")
    assert grantor.count == 1
    assert grantor.forms[0] == {
        "grant_type": "refresh_token",
        "refresh_token": "seed-refresh-token",
        "client_id": "client-1",
        "client_secret": "client-secret-1",
    }
    stored = await tokens.get("oauth")
    assert stored is not None
    assert (stored["access"], stored["refresh"]) == ("access-token-1", "refresh-token-1")


async def test_a_client_of_a_later_process_uses_what_was_stored(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor
) -> None:
    await http(vendor.url, auth=oauth(vendor, tokens)).get("/x")
    await http(vendor.url, auth=oauth(vendor, tokens)).get("/x")
    assert grantor.count == 1


async def test_client_credentials_with_basic(http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor) -> None:
    auth = oauth(vendor, tokens, grant="client_credentials", client_auth="basic", scope="read write", refresh_token=None)
    await http(vendor.url, auth=auth).get("/x")
    assert grantor.forms[0] == {"grant_type": "client_credentials", "scope": "read write"}
    header = vendor.requests[0].headers["authorization"]
    assert b64decode(header.removeprefix("Basic ")) == b"client-1:client-secret-1"


async def test_a_token_is_renewed_shortly_before_its_end(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor, clock: FakeClock
) -> None:
    client = http(vendor.url, auth=oauth(vendor, tokens, early=60))
    await client.get("/x")
    clock.advance(3539)
    await client.get("/x")
    assert grantor.count == 1
    clock.advance(1)
    await client.get("/x")
    assert grantor.count == 2
    assert all(request.headers.get("authorization") != "Bearer none" for request in vendor.requests)


async def test_a_token_with_a_short_life_is_still_used(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor, clock: FakeClock
) -> None:
    grantor._expires_in = "30"
    client = http(vendor.url, auth=oauth(vendor, tokens, early=60))
    await client.get("/x")
    clock.advance(14)
    await client.get("/x")
    assert grantor.count == 1
    clock.advance(1)
    await client.get("/x")
    assert grantor.count == 2


async def test_a_token_that_expires_while_we_wait_is_renewed(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor, clock: FakeClock
) -> None:
    grantor._expires_in = 100
    client = http(vendor.url, auth=oauth(vendor, tokens, early=10))
    await client.get("/x")
    busy = vendor.answer(429, headers={"Retry-After": "55"})
    answers = [busy, busy]

    def play(request: Any) -> Any:
        return answers.pop() if request.path == "/x" and answers else grantor(request)

    vendor.play(play)
    await client.get("/x", deadline=1000)
    used = [request.headers["authorization"] for request in vendor.requests if request.path == "/x"]
    assert used[1:] == ["Bearer access-token-1", "Bearer access-token-1", "Bearer access-token-2"]


async def test_after_a_401_one_refresh_and_one_more_try(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor
) -> None:
    client = http(vendor.url, auth=oauth(vendor, tokens))
    await client.get("/x")
    grantor.access = "revoked"
    assert (await client.post("/pay")).status == 200
    assert grantor.count == 2

    vendor.play(lambda request: grantor(request) if request.path == "/token" else vendor.answer(401))
    before = len(vendor.requests)
    with pytest.raises(CredentialsError):
        await client.get("/x")
    assert [request.path for request in vendor.requests[before:]] == ["/x", "/token", "/x"]


async def test_one_refresh_is_all_that_a_request_gets(http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor) -> None:
    client = http(vendor.url, auth=oauth(vendor, tokens))
    await client.get("/x")
    answers = [vendor.answer(401), vendor.answer(503), vendor.answer(401)]
    vendor.play(lambda request: grantor(request) if request.path == "/token" else answers.pop())
    before = len(vendor.requests)
    with pytest.raises(CredentialsError):
        await client.get("/x")
    assert [request.path for request in vendor.requests[before:]] == ["/x", "/token", "/x", "/x"]


@pytest.mark.file
async def test_a_pair_is_on_disk_before_it_is_used(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor, store_path: Path, clock: FakeClock
) -> None:
    """At each request the vendor opens the store as another process would, and looks for the token that it was given."""
    seen: list[bool] = []

    def look(request: Any) -> Any:
        if request.path != "/token":
            import sqlite3

            connection = sqlite3.connect(store_path)
            (sealed,) = connection.execute("SELECT sealed FROM tokens").fetchone()
            connection.close()
            seen.append(tokens._open("oauth", sealed)["access"] == request.headers["authorization"].removeprefix("Bearer "))
        return grantor(request)

    vendor.play(look)
    client = http(vendor.url, auth=oauth(vendor, tokens))
    for _ in range(3):
        await client.get("/x")
        clock.advance(3600)
    assert seen == [True, True, True]


class FullDisk:
    """Tokens on a disk that takes nothing more."""

    def __init__(self, inner: StoredTokens) -> None:
        self._inner = inner

    async def get(self, name: str) -> Mapping[str, Any] | None:
        return await self._inner.get(name)

    async def put(self, name: str, token: Mapping[str, Any]) -> None:
        raise StoreError("the disk is full")

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        return self._inner.lock(name)


async def test_a_pair_that_cannot_be_stored_is_not_used(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor
) -> None:
    client = http(vendor.url, auth=oauth(vendor, FullDisk(tokens)))
    for _ in range(2):
        with pytest.raises((StoreError, CredentialsError)):
            await client.get("/x")
    assert {request.path for request in vendor.requests} == {"/token"}


async def test_streams_of_one_process_refresh_once(http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor) -> None:
    client = http(vendor.url, auth=oauth(vendor, tokens))
    await asyncio.gather(*(client.get(f"/{n}") for n in range(8)))
    grantor.access = "revoked"
    await asyncio.gather(*(client.get(f"/{n}") for n in range(8)))
    assert grantor.count == 2


async def test_a_refresh_under_way_survives_the_request_that_began_it(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(request: Any, writer: asyncio.StreamWriter) -> bool:
        answer = grantor(request)
        asked.set()
        await go_on.wait()
        return bool(await answer.send(writer))

    vendor.play(slowly)
    client = http(vendor.url, auth=oauth(vendor, tokens))
    task = asyncio.create_task(client.get("/x"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await client.aclose()
    stored = await tokens.get("oauth")
    assert stored is not None
    assert stored["refresh"] == grantor.refresh


async def test_a_new_authorisation_replaces_what_was_stored(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor
) -> None:
    await http(vendor.url, auth=oauth(vendor, tokens)).get("/x")
    grantor.refresh = "granted-anew"
    grantor.access = "revoked"
    with pytest.raises(CredentialsError):
        await http(vendor.url, auth=oauth(vendor, tokens)).get("/x")
    await http(vendor.url, auth=oauth(vendor, tokens, refresh_token=lambda: "granted-anew")).get("/x")
    await http(vendor.url, auth=oauth(vendor, tokens, refresh_token=lambda: "granted-anew")).get("/x")
    assert [form["refresh_token"] for form in grantor.forms] == [
        "seed-refresh-token",
        "refresh-token-1",
        "granted-anew",
    ]


async def test_a_vendor_that_keeps_its_refresh_token(http: Http, vendor: Any, tokens: StoredTokens, clock: FakeClock) -> None:
    grantor = Grantor(vendor, rotates=False)

    def without(request: Any) -> Any:
        answer = grantor(request)
        if request.path == "/token":
            answer.json.pop("refresh_token", None)
        return answer

    vendor.play(without)
    client = http(vendor.url, auth=oauth(vendor, tokens))
    for _ in range(3):
        await client.get("/x")
        clock.advance(4000)
    assert [form["refresh_token"] for form in grantor.forms] == ["seed-refresh-token"] * 3


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, b'{"error":"invalid_grant","error_description":"refresh-token-9 of jo"}', CredentialsError, "(invalid_grant)"),
        (401, b'{"error":"seed-refresh-token"}', CredentialsError, "HTTP 401"),
        (403, b"<html>seed-refresh-token", CredentialsError, "HTTP 403"),
        (429, b"", RetryableError, "HTTP 429"),
        (503, b"", RetryableError, "HTTP 503"),
        (404, b"", FatalError, "HTTP 404"),
        (200, b'{"refresh_token":"seed-refresh-token"}', RetryableError, "no token"),
        (200, b"<html>", RetryableError, "no token"),
    ],
)
async def test_what_a_token_endpoint_refuses(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor, status: int, body: bytes, kind: type, text: str
) -> None:
    grantor.failures = [vendor.answer(status, body=body)] * 2
    client = http(vendor.url, auth=oauth(vendor, tokens))
    with pytest.raises(kind) as caught:
        await client.get("/x", retry=False)
    assert text in str(caught.value)
    assert "seed-refresh" not in str(caught.value)
    assert "refresh-token-9" not in str(caught.value)
    if kind is not FatalError:
        with pytest.raises(NotSentError):  # the write itself never left
            await client.post("/pay")


async def test_a_token_endpoint_that_fails_for_now_is_asked_again(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor
) -> None:
    grantor.failures = [vendor.answer(503)]
    await http(vendor.url, auth=oauth(vendor, tokens)).get("/x")
    assert grantor.count == 1


async def test_there_must_be_a_refresh_token_to_begin_with(http: Http, vendor: Any, tokens: StoredTokens) -> None:
    with pytest.raises(CredentialsError, match="authorise the instance once"):
        await http(vendor.url, auth=oauth(vendor, tokens, refresh_token=None)).get("/x")


async def test_secrets_never_travel_to_a_token_endpoint_in_the_clear(http: Http, vendor: Any, tokens: StoredTokens) -> None:
    auth = OAuth2("http://id.example/token", "c", lambda: "client-secret-1", tokens=tokens, refresh_token=lambda: "seed-1")
    with pytest.raises(ConfigError, match="not encrypted"):
        await http(vendor.url, auth=auth).get("/x")


async def test_tokens_are_known_to_the_redactor(
    http: Http, vendor: Any, tokens: StoredTokens, grantor: Grantor, redactor: Redactor
) -> None:
    await http(vendor.url, auth=oauth(vendor, tokens)).get("/x")
    text = redactor.text("access-token-1 refresh-token-1 client-secret-1 seed-refresh-token")
    assert not any(word in text for word in ("access-token", "refresh-token", "client-secret"))


WORKER = """
import asyncio, os, sys
from pathlib import Path
from wellkept.clock import SystemClock
from wellkept.http import OAuth2, make_http
from wellkept.store import open_store
from wellkept.store.tokens import StoredTokens

async def main(path, url):
    clock = SystemClock()
    store = open_store(Path(path), clock)
    tokens = StoredTokens(store, clock, "acme", lambda: "installation-key-of-the-tests")
    auth = OAuth2(url + "/token", "client-1", lambda: "client-secret-1", tokens=tokens,
                  refresh_token=lambda: "seed-refresh-token")
    http = make_http(store, clock, "acme")
    client = http(url, auth=auth)
    await client.post("/ready")
    for n in range(20):
        await asyncio.gather(*(client.get(f"/x/{os.getpid()}/{n}/{m}") for m in range(2)))
    await http.aclose()
    store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.file
async def test_two_processes_that_refresh_at_once_do_not_lose_the_pair(vendor: Any, store_path: Path, grantor: Grantor) -> None:
    """An access token ends soon after both processes have used it, so that they keep running into its end together.

    Not sooner: a process that finds its new token ended as well takes it for refused, and is right.
    """
    used: Counter[str] = Counter()
    total: Counter[str] = Counter()
    ready: list[Any] = []
    both = asyncio.Event()

    async def play(request: Any, writer: asyncio.StreamWriter) -> bool:
        if request.path == "/ready":
            ready.append(request)
            if len(ready) == 2:
                both.set()
            await both.wait()
            return bool(await vendor.answer(json={}).send(writer))
        answer = grantor(request)
        if request.path != "/token" and answer.status == 200:
            worker = request.path.split("/")[2]
            used[worker] += 1
            total[worker] += 1
            working = {worker for worker, answers in total.items() if answers < 40}
            if used.total() >= 6 and all(used[worker] >= 2 for worker in working):
                grantor.access = "expired"
                used.clear()
        return bool(await answer.send(writer))

    vendor.play(play)
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, str(store_path), vendor.url, stderr=asyncio.subprocess.PIPE, env=dict(os.environ)
        )
        for _ in range(2)
    ]
    ends = await asyncio.gather(*(worker.communicate() for worker in workers))
    assert [worker.returncode for worker in workers] == [0, 0], ends
    assert set(total.values()) == {40}
    assert grantor.count == len(grantor.forms) >= 4


async def test_an_auth_scheme_of_ones_own(http: Http, vendor: Any) -> None:
    from wellkept.http import Auth, Outgoing

    class Query(Auth):
        async def apply(self, request: Outgoing) -> None:
            request.params.append(("api_key", "sesame-1"))

    client: Client = http(vendor.url, auth=Query())
    vendor.play(vendor.answer(404))
    with pytest.raises(StatusError) as caught:
        await client.get("/x", params={"a": 1})
    assert vendor.requests[0].target == "/x?a=1&api_key=sesame-1"
    assert "sesame" not in str(caught.value)
