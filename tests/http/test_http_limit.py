"""The limiter as clients use it: streams, processes, blocks and deadlines, measured where the vendor stands."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import ConfigError, NotSentError, RetryableError
from wellkept.http import Http, RateLimit, make_http
from wellkept.http.limit import SLOT_TTL_MS
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock


@pytest.fixture
async def theirs(store_path: Path, clock: FakeClock) -> AsyncIterator[Http]:
    """What another process on the same store uses."""
    second = open_store(store_path, clock)
    factory = make_http(second, clock, "acme")
    yield factory
    await factory.aclose()
    second.close()


def fullest_window(instants: list[float], per: float) -> int:
    instants = sorted(instants)
    return max(sum(1 for other in instants if start <= other < start + per) for start in instants)


async def send(client: Any, count: int, deadline: float = 10_000) -> None:
    for number in range(count):
        await client.get(f"/{number}", deadline=deadline)


@pytest.mark.parametrize(("requests", "per", "streams", "each"), [(5, 10, 3, 10), (1, 2, 2, 4), (100, 1, 4, 100)])
async def test_streams_of_one_process_share_the_limit(
    http: Http, vendor: Any, requests: int, per: float, streams: int, each: int
) -> None:
    clients = [http(vendor.url, rate=RateLimit(requests, per)) for _ in range(streams)]
    await asyncio.gather(*(send(client, each) for client in clients))
    assert fullest_window(vendor.at, per * 1000) <= requests
    ideal = (streams * each / requests - 1) * per
    assert (vendor.at[-1] - vendor.at[0]) / 1000 <= 1.2 * ideal + 0.5


async def test_a_burst_is_spread_over_the_period(http: Http, vendor: Any) -> None:
    client = http(vendor.url, rate=RateLimit(10, 10, burst=3))
    await send(client, 30)
    assert fullest_window(vendor.at, 10_000) <= 10
    assert fullest_window(vendor.at, 3_333) <= 3


async def test_requests_are_served_in_the_order_in_which_they_came(http: Http, vendor: Any) -> None:
    client = http(vendor.url, rate=RateLimit(1, 1))
    await asyncio.gather(*(client.get(f"/{number}", deadline=1000) for number in range(10)))
    assert [request.path for request in vendor.requests] == [f"/{number}" for number in range(10)]


async def test_not_every_request_writes(http: Http, vendor: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = 0
    write = store.write

    async def count(*args: Any, **options: Any) -> Any:
        nonlocal writes
        writes += 1
        return await write(*args, **options)

    monkeypatch.setattr(store, "write", count)
    await send(http(vendor.url, rate=RateLimit(1000, 60)), 200)
    assert writes <= 15


async def test_a_wait_beyond_the_deadline_is_told_at_once(http: Http, vendor: Any, clock: FakeClock) -> None:
    client = http(vendor.url, rate=RateLimit(2, 3600))
    await send(client, 2)
    clock.slept.clear()
    with pytest.raises(NotSentError, match="the rate limit is used up") as caught:
        await client.post("/x", deadline=60)
    assert 3590 < (caught.value.retry_after or 0) <= 3601
    assert len(vendor.requests) == 2


async def test_two_stores_on_one_file_share_budget_and_block(http: Http, theirs: Http, vendor: Any) -> None:
    rate = RateLimit(6, 10)
    await asyncio.gather(send(http(vendor.url, rate=rate), 12), send(theirs(vendor.url, rate=rate), 12))
    assert fullest_window(vendor.at, 10_000) <= 6
    assert len(vendor.requests) == 24

    vendor.play(vendor.answer(429, headers={"Retry-After": "500"}), vendor.answer(json={}))
    with pytest.raises(NotSentError):
        await http(vendor.url).get("/x")
    with pytest.raises(NotSentError, match="asked for a pause"):
        await theirs(vendor.url).get("/x")


async def test_permits_that_were_left_lying_are_not_used(http: Http, theirs: Http, vendor: Any, clock: FakeClock) -> None:
    """By then another process has them."""
    rate = RateLimit(40, 10)
    mine = http(vendor.url, rate=rate)
    await send(mine, 4)  # leases of 1, 2 and 4: three permits are left
    clock.advance(30)
    await send(theirs(vendor.url, rate=rate), 40)
    await send(mine, 3)
    assert fullest_window(vendor.at, 10_000) == 40


async def test_instances_have_limits_of_their_own_unless_they_name_a_credential(
    http: Http, vendor: Any, store: Store, clock: FakeClock
) -> None:
    other = make_http(store, clock, "acme-eu")
    rate = RateLimit(1, 1000)
    await http(vendor.url, rate=rate).get("/a")
    await other(vendor.url, rate=rate).get("/b")
    await http(vendor.url, rate=rate, credential="acct_1").get("/c")
    with pytest.raises(NotSentError):
        await other(vendor.url, rate=rate, credential="acct_1").get("/d")
    await other.aclose()


async def test_every_try_counts(http: Http, vendor: Any) -> None:
    vendor.play(vendor.answer(500), vendor.answer(500), vendor.answer(json={}))
    await http(vendor.url, rate=RateLimit(1, 20)).get("/x")
    assert fullest_window(vendor.at, 20_000) == 1


async def test_every_hop_of_a_redirect_counts(http: Http, vendor: Any) -> None:
    vendor.play(vendor.answer(302, headers={"Location": "/y"}), vendor.answer(json={}))
    await http(vendor.url, rate=RateLimit(1, 20)).get("/x")
    assert fullest_window(vendor.at, 20_000) == 1


async def test_no_more_than_so_many_at_the_same_time(http: Http, vendor: Any) -> None:
    under_way = most = 0

    async def slowly(_request: Any, writer: asyncio.StreamWriter) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        return bool(await vendor.answer(json={}).send(writer))

    vendor.play(slowly)
    client = http(vendor.url, rate=RateLimit(1000, 1, concurrent=2))
    await asyncio.gather(*(client.get(f"/{number}") for number in range(12)))
    assert most == 2


async def test_places_are_shared_by_processes_and_given_back(http: Http, theirs: Http, vendor: Any) -> None:
    rate = RateLimit(1000, 1, concurrent=1)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_request: Any, writer: asyncio.StreamWriter) -> bool:
        entered.set()
        await go_on.wait()
        return bool(await vendor.answer(json={}).send(writer))

    vendor.play(wait)
    first = asyncio.create_task(http(vendor.url, rate=rate).get("/a"))
    await entered.wait()
    with pytest.raises(NotSentError, match="others have all places"):
        await theirs(vendor.url, rate=rate).get("/b", deadline=2)
    go_on.set()
    await first
    await theirs(vendor.url, rate=rate).get("/b", deadline=2)


async def test_a_request_that_takes_long_keeps_its_place(http: Http, theirs: Http, vendor: Any, clock: FakeClock) -> None:
    rate = RateLimit(1000, 1, concurrent=1)
    more: asyncio.Queue[bool] = asyncio.Queue()

    async def slowly(request: Any, writer: asyncio.StreamWriter) -> bool:
        if request.path != "/long":
            return bool(await vendor.answer(json={}).send(writer))
        writer.write(vendor.answer().head(b" " * 100))
        while await more.get():
            writer.write(b"{}\n")
        return False

    vendor.play(slowly)
    lines = http(vendor.url, rate=rate).stream_lines("/long")
    for _ in range(9):
        more.put_nowait(True)
        await anext(lines)
        clock.advance(40)
    assert clock.now() - vendor.at[0] > 2 * SLOT_TTL_MS
    with pytest.raises(NotSentError, match="others have all places"):
        await theirs(vendor.url, rate=rate).get("/b", deadline=2)
    await lines.aclose()
    more.put_nowait(False)
    await theirs(vendor.url, rate=rate).get("/b", deadline=2)


async def test_a_store_that_takes_nothing_does_not_spoil_what_the_vendor_has_done(
    http: Http, vendor: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_args: Any, **_options: Any) -> Any:
        raise RetryableError("locked")

    def done(_request: Any) -> Any:
        monkeypatch.setattr(store, "write", refuse)
        return vendor.answer(json={"id": "x"})

    vendor.play(done)
    assert (await http(vendor.url, rate=RateLimit(1000, 1, concurrent=1)).post("/pay")).status == 200
    with pytest.raises(NotSentError, match="POST /pay: locked"):
        await http(vendor.url, rate=RateLimit(1000, 1, concurrent=1)).post("/pay")


async def test_a_store_that_takes_nothing_does_not_hide_what_the_vendor_said(
    http: Http, vendor: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_args: Any, **_options: Any) -> Any:
        raise RetryableError("locked")

    monkeypatch.setattr(store, "write", refuse)
    vendor.play(vendor.answer(429, headers={"Retry-After": "7"}))
    with pytest.raises(NotSentError, match="HTTP 429") as caught:
        await http(vendor.url).post("/x")
    assert caught.value.retry_after == 7


async def test_a_request_that_gets_no_permit_gives_its_place_back(http: Http, vendor: Any) -> None:
    client = http(vendor.url, rate=RateLimit(1, 3600, concurrent=1))
    await client.get("/x")
    for _ in range(2):
        with pytest.raises(NotSentError, match="the rate limit is used up"):
            await client.get("/x", deadline=5)


async def test_a_request_that_is_cancelled_gives_its_place_back(http: Http, vendor: Any) -> None:
    entered = asyncio.Event()

    async def silence(_request: Any, _writer: asyncio.StreamWriter) -> bool:
        entered.set()
        await asyncio.Event().wait()
        return False

    client = http(vendor.url, rate=RateLimit(1000, 1, concurrent=1))
    vendor.play(silence)
    task = asyncio.create_task(client.get("/x"))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    vendor.play(vendor.answer(json={}))
    await client.get("/y", deadline=1)


async def test_a_lease_that_nobody_received_goes_back(http: Http, vendor: Any, clock: FakeClock) -> None:
    client = http(vendor.url, rate=RateLimit(2, 3600))
    task = asyncio.create_task(client.get("/x"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for number in range(2 - len(vendor.requests)):
        await client.get(f"/{number}", deadline=10)


async def test_two_limits_for_one_credential_are_a_mistake(http: Http, vendor: Any) -> None:
    await http(vendor.url, rate=RateLimit(10, 1)).get("/x")
    await http(vendor.url).get("/x")  # without one: the same holds
    with pytest.raises(ConfigError, match="different limits"):
        await http(vendor.url, rate=RateLimit(20, 1)).get("/x")


async def test_a_limit_that_is_named_later_holds(http: Http, vendor: Any) -> None:
    await http(vendor.url).get("/x")
    await send(http(vendor.url, rate=RateLimit(1, 100)), 1)
    with pytest.raises(NotSentError):
        await http(vendor.url).get("/x", deadline=10)


@pytest.mark.parametrize(
    "figures",
    [
        {"requests": 0, "per": 1},
        {"requests": 1, "per": 0},
        {"requests": 1, "per": float("inf")},
        {"requests": 1, "per": 1, "concurrent": 0},
        {"requests": 5, "per": 1, "burst": 6},
        {"requests": 5, "per": 1, "burst": 0},
    ],
)
def test_limits_that_make_no_sense(figures: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RateLimit(**figures)


WORKER = """
import asyncio, sys
from pathlib import Path
from wellkept.clock import SystemClock
from wellkept.http import RateLimit, make_http
from wellkept.store import open_store

async def main(path, url):
    clock = SystemClock()
    store = open_store(Path(path), clock)
    http = make_http(store, clock, "acme")
    client = http(url, rate=RateLimit(20, 0.5))
    await http(url, credential="start").get("/ready")
    await asyncio.gather(*(client.get(f"/{n}") for n in range(40)))
    await http.aclose()
    store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.file
async def test_two_processes_share_the_limit(vendor: Any, store_path: Path) -> None:
    both, ready = asyncio.Event(), 0
    at: list[float] = []

    async def play(request: Any, writer: asyncio.StreamWriter) -> bool:
        nonlocal ready
        if request.path == "/ready":
            ready += 1
            if ready == 2:
                both.set()
            await both.wait()
        else:
            at.append(time.monotonic())
        return bool(await vendor.answer(json={}).send(writer))

    vendor.play(play)
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, str(store_path), vendor.url, stderr=asyncio.subprocess.PIPE, env=dict(os.environ)
        )
        for _ in range(2)
    ]
    ends = await asyncio.gather(*(worker.communicate() for worker in workers))
    assert [worker.returncode for worker in workers] == [0, 0], ends
    assert len(at) == 80
    assert fullest_window(at, 0.5) <= 20
