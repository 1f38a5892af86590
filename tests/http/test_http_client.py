"""The client against a real server: what is repeated, how long it waits, and what its failures say."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import weakref
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from wellkept.clock import SystemClock
from wellkept.errors import ConfigError, CredentialsError, FatalError, NotSentError, RejectedError, RetryableError
from wellkept.http import (
    Bearer,
    Client,
    Http,
    NotAllowedError,
    OutcomeUnknown,
    Response,
    StatusError,
    Timing,
    make_http,
)
from wellkept.store import Store
from wellkept.testing import FakeClock


def http_date(when: datetime) -> str:
    return format_datetime(when.astimezone(UTC), usegmt=True)


@pytest.fixture
def client(http: Http, vendor: Any) -> Client:
    return http(f"{vendor.url}/v1", headers={"X-Version": "7"})


async def test_a_request_and_its_answer(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(json={"id": "a"}, headers={"X-Two": "2"}))
    answer = await client.get("/things/1", params={"expand[]": ["a", "b"], "live": True, "none": None, "n": 2})
    assert (answer.status, answer.json(), answer.headers["x-two"]) == (200, {"id": "a"}, "2")
    request = vendor.requests[0]
    assert request.target == "/v1/things/1?expand%5B%5D=a&expand%5B%5D=b&live=true&n=2"
    assert request.headers["host"] == f"127.0.0.1:{vendor.port}"
    assert request.headers["x-version"] == "7"
    assert request.headers["user-agent"].startswith("wellkept/")


async def test_headers_that_come_twice_are_joined(client: Client, vendor: Any) -> None:
    async def twice(_request: Any, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: <a>\r\nLink: <b>\r\n\r\n")
        return True

    vendor.play(twice)
    assert (await client.get("/")).headers["link"] == "<a>, <b>"


async def test_bodies(client: Client, vendor: Any) -> None:
    await client.post("/a", json={"name": "Zoë", "n": [1, None]})
    await client.post("/a", form={"name": "Zoë & co", "on": False, "items[]": ["x", "y"]})
    await client.request("PUT", "/a", content=b"\x00\xff", headers={"Content-Type": "application/octet-stream"})
    await client.post("/a")
    json, form, raw, nothing = vendor.requests
    assert (json.headers["content-type"], json.body.decode()) == ("application/json", '{"name":"Zoë","n":[1,null]}')
    assert form.body == b"name=Zo%C3%AB+%26+co&on=false&items%5B%5D=x&items%5B%5D=y"
    assert (raw.headers["content-type"], raw.body) == ("application/octet-stream", b"\x00\xff")
    assert nothing.headers["content-length"] == "0"


@pytest.mark.parametrize("status", [400, 402, 404, 409, 422])
async def test_a_refusal_is_final(client: Client, vendor: Any, status: int) -> None:
    vendor.play(vendor.answer(status, json={"error": {"code": "bad"}}, headers={"Request-Id": "req_1"}))
    with pytest.raises(StatusError) as caught:
        await client.get("/things/1", params={"email": "jo@example.com"})
    assert isinstance(caught.value, RejectedError)
    assert (caught.value.status, caught.value.json(dict)) == (status, {"error": {"code": "bad"}})
    assert str(caught.value) == f"GET /v1/things/1: HTTP {status} (request-id req_1)"
    assert len(vendor.requests) == 1


async def test_messages_show_neither_query_nor_personal_paths(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(404, headers={"Request-Id": "jo@example.com <script>"}))
    with pytest.raises(StatusError) as caught:
        await client.get(f"/people/jo@example.com/{'k' * 50}", params={"key": "hush-hush"})
    assert str(caught.value) == "GET /v1/people/*/*: HTTP 404"
    with pytest.raises(StatusError) as caught:
        await client.get(f"{vendor.url}/v1/people?after=jo&key=hush-hush")
    assert str(caught.value) == "GET /v1/people: HTTP 404"


# --- trying again ---


async def test_reads_are_repeated_with_back_off(client: Client, vendor: Any, clock: FakeClock) -> None:
    vendor.play(vendor.answer(500), vendor.answer(503), vendor.hang_up, vendor.answer(json={"ok": 1}))
    assert (await client.get("/x")).json() == {"ok": 1}
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_back_off_is_spread_and_bounded() -> None:
    from wellkept.http.retry import backoff

    assert [backoff(n, lambda: 0.0) for n in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert backoff(99, lambda: 1.0) == 30.0


async def test_a_read_that_never_succeeds_ends(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(502))
    with pytest.raises(RetryableError, match="HTTP 502") as caught:
        await client.get("/x")
    assert not isinstance(caught.value, (NotSentError, OutcomeUnknown))
    assert len(vendor.requests) == Timing().attempts


async def test_writes_are_not_repeated_unless_asked(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(500), vendor.answer(json={"id": "x"}))
    with pytest.raises(OutcomeUnknown):
        await client.post("/pay", json={})
    assert len(vendor.requests) == 1
    vendor.play(vendor.answer(500), vendor.answer(json={"id": "x"}))
    assert (await client.post("/pay", json={}, retry=True, headers={"Idempotency-Key": "k"})).status == 200
    assert [request.headers["idempotency-key"] for request in vendor.requests[1:]] == ["k", "k"]


async def test_a_read_may_ask_for_one_try(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(500))
    with pytest.raises(RetryableError):
        await client.get("/x", retry=False)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("value", ["3", "2.5"])
async def test_retry_after_in_seconds_is_never_cut_short(client: Client, vendor: Any, clock: FakeClock, value: str) -> None:
    vendor.play(vendor.answer(429, headers={"Retry-After": value}), vendor.answer(json={}))
    await client.get("/x")
    first, second = vendor.at
    assert float(value) * 1000 <= second - first <= float(value) * 1000 * 1.15


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(hours=5), timedelta(hours=-5)])
async def test_retry_after_as_a_date_is_held_against_the_vendors_own_clock(
    client: Client, vendor: Any, clock: FakeClock, skew: timedelta
) -> None:
    theirs = datetime.fromtimestamp(clock.now() / 1000, UTC) + skew
    headers = {"Retry-After": http_date(theirs + timedelta(seconds=20)), "Date": http_date(theirs)}
    vendor.play(vendor.answer(503, headers=headers), vendor.answer(json={}))
    await client.get("/x")
    first, second = vendor.at
    assert 20_000 <= second - first <= 23_000


async def test_retry_after_as_a_date_without_the_vendors_clock(client: Client, vendor: Any, clock: FakeClock) -> None:
    ours = datetime.fromtimestamp(clock.now() / 1000, UTC)
    vendor.play(vendor.answer(429, headers={"Retry-After": http_date(ours + timedelta(seconds=9))}), vendor.answer(json={}))
    await client.get("/x")
    assert vendor.at[1] - vendor.at[0] >= 9_000


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", "99999999999", "9999999999", "Wed, 99 Foo 2026 99:99:99 GMT", "0"])
async def test_a_retry_after_that_makes_no_sense_is_ignored(client: Client, vendor: Any, clock: FakeClock, value: str) -> None:
    vendor.play(vendor.answer(429, headers={"Retry-After": value}), vendor.answer(json={}))
    await client.get("/x")
    assert clock.slept == [0.5]


async def test_a_retry_after_beyond_the_deadline_is_handed_on(client: Client, vendor: Any, clock: FakeClock) -> None:
    vendor.play(vendor.answer(429, headers={"Retry-After": "50"}), vendor.answer(json={}))
    with pytest.raises(NotSentError) as caught:
        await client.get("/x", deadline=49)
    assert caught.value.retry_after == 50
    assert clock.slept == []


async def test_a_long_retry_after_blocks_everybody_and_is_handed_on(
    http: Http, client: Client, vendor: Any, other: Any, clock: FakeClock
) -> None:
    vendor.play(vendor.answer(429, headers={"Retry-After": "3600"}), vendor.answer(json={}))
    with pytest.raises(RetryableError) as caught:
        await client.get("/x", deadline=100_000)
    assert caught.value.retry_after == 3600
    with pytest.raises(NotSentError, match="asked for a pause") as blocked:
        await client.get("/x")
    assert 3599 < (blocked.value.retry_after or 0) <= 3601
    await http(other.url, credential="another").get("/x")  # not its business
    assert len(vendor.requests) == 1
    clock.advance(3601)
    await client.get("/x")
    assert len(vendor.requests) == 2


async def test_a_short_retry_after_holds_other_streams_back_too(http: Http, vendor: Any) -> None:
    vendor.play(vendor.answer(429, headers={"Retry-After": "5"}), vendor.answer(json={}))
    first, second = http(vendor.url), http(vendor.url)
    with pytest.raises(NotSentError):
        await first.get("/a", retry=False)
    await second.get("/b")
    assert vendor.at[1] - vendor.at[0] >= 5_000


# --- what happened to a write ---


async def test_nothing_was_sent_where_nobody_listens(http: Http, vendor: Any) -> None:
    client = http(vendor.url)
    await vendor.stop()
    with pytest.raises(NotSentError, match=r"POST /x: no connection"):
        await client.post("/x")
    await vendor.start()


async def test_nothing_was_sent_to_a_name_that_does_not_exist(http: Http) -> None:
    with pytest.raises(NotSentError, match="no connection"):
        await http("http://nobody.invalid").post("/x")


async def test_too_many_requests_means_not_done(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(429))
    with pytest.raises(NotSentError, match="too many requests"):
        await client.post("/x")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_fault_after_sending_leaves_doubt(client: Client, vendor: Any, status: int) -> None:
    vendor.play(vendor.answer(status))
    with pytest.raises(OutcomeUnknown):
        await client.post("/x")


async def test_a_dropped_connection_leaves_doubt(client: Client, vendor: Any) -> None:
    vendor.play(vendor.hang_up)
    with pytest.raises(OutcomeUnknown, match="the connection broke"):
        await client.post("/x")


async def test_an_answer_cut_off_leaves_doubt(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(json={"id": "x" * 100}, keep=20))
    with pytest.raises(OutcomeUnknown, match="the connection broke"):
        await client.post("/x")


async def test_an_answer_too_large_leaves_doubt(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(json={"id": "x" * 100}))
    with pytest.raises(OutcomeUnknown, match="more than 50 bytes"):
        await client.post("/x", max_bytes=50)


async def test_a_silent_vendor_leaves_doubt(client: Client, vendor: Any) -> None:
    async def silence(_request: Any, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    vendor.play(silence)
    with pytest.raises(OutcomeUnknown, match=r"took longer than 0\.05 s"):
        await client.post("/x", deadline=0.05)
    with pytest.raises(RetryableError, match=r"took longer than 0\.05 s") as caught:
        await client.get("/x", deadline=0.05)
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize("then", [401, 403, 409, 429, 503])
async def test_a_later_refusal_does_not_hide_an_earlier_doubt(client: Client, vendor: Any, then: int) -> None:
    vendor.play(vendor.hang_up, vendor.answer(then))
    with pytest.raises(OutcomeUnknown):
        await client.post("/x", retry=True)


async def test_an_error_of_ones_own_after_sending_is_a_doubt_too(http: Http, vendor: Any) -> None:
    def classify(response: Response) -> Exception | None:
        return RetryableError("not now") if response.status == 200 else None

    client = http(vendor.url, classify=classify)
    vendor.play(vendor.answer(json={}), vendor.answer(429))
    with pytest.raises(OutcomeUnknown):
        await client.post("/x", retry=True)


async def test_a_later_failure_to_connect_does_not_hide_an_earlier_doubt(http: Http, vendor: Any) -> None:
    client = http(vendor.url)

    async def drop_and_close(_request: Any, writer: asyncio.StreamWriter) -> bool:
        vendor._server.close()
        writer.close()
        return False

    vendor.play(drop_and_close)
    with pytest.raises(OutcomeUnknown, match="an earlier try may have been done; then POST /x: no connection"):
        await client.post("/x", retry=True)


async def test_a_vendor_that_judges_the_request_itself_has_the_last_word(client: Client, vendor: Any) -> None:
    vendor.play(vendor.hang_up, vendor.answer(402))
    with pytest.raises(StatusError):
        await client.post("/x", retry=True)


async def test_a_write_that_may_not_be_is_certainly_not_done(client: Client, vendor: Any) -> None:
    for status in (401, 403):
        vendor.play(vendor.answer(status))
        with pytest.raises(NotAllowedError) as caught:
            await client.post("/x", retry=True)
        assert isinstance(caught.value, NotSentError)
        assert isinstance(caught.value, CredentialsError)
    assert len(vendor.requests) == 2


# --- credentials ---


async def test_missing_scopes_are_named(client: Client, vendor: Any) -> None:
    challenge = 'Bearer error="insufficient_scope", scope="read:invoices read:charges"'
    vendor.play(vendor.answer(403, headers={"WWW-Authenticate": challenge}))
    with pytest.raises(CredentialsError) as caught:
        await client.get("/x")
    assert caught.value.missing == ("read:invoices", "read:charges")
    vendor.play(vendor.answer(403, headers={"X-Accepted-OAuth-Scopes": "users:read, chat:write"}))
    with pytest.raises(CredentialsError) as caught:
        await client.get("/x")
    assert caught.value.missing == ("users:read", "chat:write")


# --- a vendor with ways of its own ---


def slack(response: Response) -> Exception | None:
    answer = response.json() if response.status == 200 else {"ok": True}
    if answer["ok"]:
        return None
    if answer["error"] == "ratelimited":
        return NotSentError("slow down", retry_after=4)
    if answer["error"] == "invalid_auth":
        return CredentialsError("the vendor refused the credential")
    return RejectedError(answer["error"])


async def test_a_client_may_classify_answers_itself(http: Http, vendor: Any) -> None:
    client = http(vendor.url, classify=slack)
    vendor.play(vendor.answer(json={"ok": False, "error": "ratelimited"}), vendor.answer(json={"ok": True}))
    assert (await client.get("/x")).json() == {"ok": True}
    assert vendor.at[1] - vendor.at[0] >= 4_000
    vendor.play(vendor.answer(json={"ok": False, "error": "no_such_channel"}))
    with pytest.raises(RejectedError, match="no_such_channel"):
        await client.get("/x")
    vendor.play(vendor.answer(404))
    with pytest.raises(StatusError):
        await client.get("/x")


# --- where requests may go ---


async def test_a_path_may_be_a_link_of_the_same_origin_only(client: Client, vendor: Any, other: Any) -> None:
    await client.get(f"{vendor.url}/v2/next?page=2", params={"limit": 5})
    assert vendor.requests[0].target == "/v2/next?page=2&limit=5"
    for link in (f"{other.url}/x", f"https://127.0.0.1:{vendor.port}/x", "http://localhost/x", "HTTP://evil.example/x"):
        with pytest.raises(FatalError, match="another server"):
            await client.get(link)
    assert not other.requests


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "\r\nHost: evil", "@evil.example/", ".evil.example"])
async def test_a_relative_path_cannot_leave_the_server(client: Client, vendor: Any, path: str) -> None:
    await client.get(path)
    assert vendor.requests[0].target.startswith("/v1/")
    assert vendor.requests[0].headers["host"] == f"127.0.0.1:{vendor.port}"


async def test_an_address_that_is_too_long_is_told_without_it(client: Client, vendor: Any) -> None:
    with pytest.raises(FatalError, match="too long") as caught:
        await client.get("/x", params={"ids": "hush," * 20_000})
    assert "hush" not in str(caught.value)
    with pytest.raises(NotSentError):
        await client.post("/x", params={"ids": "hush," * 20_000})
    assert not vendor.requests


async def test_redirects_of_the_same_origin_are_followed_with_credentials(http: Http, vendor: Any) -> None:
    client = http(vendor.url, auth=Bearer(lambda: "sesame-1"))
    vendor.play(vendor.answer(302, headers={"Location": "/new?a=1"}), vendor.answer(json={"ok": 1}))
    assert (await client.get("/old")).json() == {"ok": 1}
    assert vendor.requests[1].target == "/new?a=1"
    assert vendor.requests[1].headers["authorization"] == "Bearer sesame-1"


async def test_redirects_to_another_origin_are_followed_without_credentials(http: Http, vendor: Any, other: Any) -> None:
    client = http(vendor.url, auth=Bearer(lambda: "sesame-1"), headers={"X-Api-Key": "hush"})
    vendor.play(vendor.answer(302, headers={"Location": f"{other.url}/file?sig=a%2Fb"}))
    other.play(vendor.answer(json={"ok": 1}))
    assert (await client.get("/export", headers={"X-Mine": "1"})).json() == {"ok": 1}
    (request,) = other.requests
    assert request.target == "/file?sig=a%2Fb"
    assert set(request.headers) == {"host", "accept", "accept-encoding", "user-agent"}


async def test_redirects_are_not_followed_for_ever(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(302, headers={"Location": "/v1/x"}))
    with pytest.raises(FatalError, match="redirects"):
        await client.get("/x")
    assert len(vendor.requests) == 6


async def test_a_write_is_never_redirected(client: Client, vendor: Any, other: Any) -> None:
    vendor.play(vendor.answer(307, headers={"Location": f"{other.url}/x"}))
    with pytest.raises(StatusError) as caught:
        await client.post("/x", json={"a": 1})
    assert caught.value.status == 307
    assert not other.requests


async def test_a_redirect_from_the_world_into_this_machine_is_refused(
    http: Http, vendor: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", vendor.url)
    vendor.play(vendor.answer(302, headers={"Location": f"{other.url}/metadata"}))
    with pytest.raises(FatalError, match="not followed"):
        await http("http://vendor.example").get("/x")
    assert not other.requests


async def test_proxies_of_the_environment_are_used_but_not_for_this_machine(
    http: Http, vendor: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://joe:pw@127.0.0.1:{vendor.port}")
    monkeypatch.setenv("http_proxy", f"http://joe:pw@127.0.0.1:{vendor.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    await http("http://vendor.example/v1").get("/x")
    assert vendor.requests[0].target == "http://vendor.example/v1/x"
    assert vendor.requests[0].headers["proxy-authorization"].startswith("Basic ")
    await http(other.url).get("/y")
    assert other.requests[0].target == "/y"


@pytest.mark.parametrize("base", ["ftp://x.example", "x.example", "https://", "https://joe:pw@x.example/", "https://x:99999"])
def test_a_base_url_must_name_a_server(http: Http, base: str) -> None:
    with pytest.raises(ConfigError) as caught:
        http(base)
    assert "pw" not in str(caught.value)


# --- deadlines and cancellation ---


async def test_a_body_that_drips_is_cut_by_the_deadline(store: Store, vendor: Any) -> None:
    async def drip(_request: Any, writer: asyncio.StreamWriter) -> bool:
        writer.write(vendor.answer().head(b" " * 100_000))
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.005)
        return False

    vendor.play(drip)
    factory = make_http(store, SystemClock(), "acme")
    with pytest.raises(RetryableError, match="took longer"):
        await factory(vendor.url).get("/x", deadline=0.2)
    await factory.aclose()


async def test_waiting_for_a_silent_vendor_ends(store: Store, vendor: Any, clock: FakeClock) -> None:
    async def silence(_request: Any, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    vendor.play(silence)
    factory = make_http(store, clock, "acme", timing=Timing(read=0.05, attempts=2))
    with pytest.raises(RetryableError, match="fell silent"):
        await factory(vendor.url).get("/x")
    assert len(vendor.requests) == 2
    await factory.aclose()


async def test_a_client_can_be_used_again_after_it_was_closed(client: Client, vendor: Any) -> None:
    async with client:
        await client.get("/x")
    assert (await client.get("/x")).status == 200
    await client.aclose()


# --- silence ---


async def test_nothing_secret_is_logged(http: Http, vendor: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.NOTSET)
    client = http(vendor.url, auth=Bearer(lambda: "sesame-open"))
    vendor.play(vendor.answer(json={"email": "jo@example.com"}, headers={"Set-Cookie": "session=hush"}), vendor.answer(400))
    await client.get("/x", params={"token": "hush"})
    with pytest.raises(StatusError):
        await client.post("/x", json={"name": "hush"})
    assert "GET /x: HTTP 200 in" in caplog.text
    for word in ("hush", "sesame", "jo@example.com"):
        assert word not in caplog.text


async def test_what_the_library_says_about_a_header_is_not_repeated(http: Http, vendor: Any) -> None:
    client = http(vendor.url, headers={"X-Key": "hush\r\nX: y"})
    with pytest.raises(FatalError, match="the header x-key has characters") as caught:
        await client.get("/x")
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "hush" not in str(chain)
        chain = chain.__cause__ or chain.__context__
    assert not vendor.requests


async def test_a_certificate_that_is_not_trusted_is_no_passing_fault(http: Http, vendor: Any, tls_vendor: str) -> None:
    with pytest.raises(FatalError, match="certificate"):
        await http(tls_vendor).get("/x")
    with pytest.raises(NotSentError, match="certificate"):
        await http(tls_vendor).post("/x")


def test_importing_the_kit_is_cheap() -> None:
    code = "import sys, wellkept.http; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(out.stdout.split())
    assert not modules & {"httpx", "httpcore", "anyio", "h11", "certifi", "cryptography", "pydantic", "sqlalchemy", "tenacity"}


def test_only_the_transport_knows_the_library() -> None:
    from pathlib import Path

    import wellkept

    core = Path(wellkept.__file__).parent
    users = [
        path.name for path in core.rglob("*.py") if "import httpcore" in path.read_text() or "import httpx" in path.read_text()
    ]
    assert users == ["transport.py"]


def test_the_public_names_are_these() -> None:
    import wellkept.http as kit

    assert sorted(kit.__all__) == kit.__all__
    for name in kit.__all__:
        assert getattr(kit, name) is not None


async def test_a_factory_forgets_clients_that_nobody_holds(http: Http, vendor: Any) -> None:
    """A server lives for months, and a plugin may make a client for every read."""
    kept, dropped = http(vendor.url), http(vendor.url)
    await dropped.get("/x")
    await http.aclose()
    forgotten = weakref.ref(dropped)
    del dropped
    gc.collect()
    assert forgotten() is None
    assert (await kept.get("/x")).status == 200
    await http.aclose()  # closes it again: an open connection would be a warning, and so an error
