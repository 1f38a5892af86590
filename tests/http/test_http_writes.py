"""What actions share: a few calls at a time, and what an error of one says of its effect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wellkept import Outcome
from wellkept.errors import CredentialsError, RetryableError
from wellkept.http import Client, Http, StatusError, together


@pytest.fixture
def client(http: Http, vendor: Any) -> Client:
    return http(vendor.url)


async def outcome(client: Client, url: str) -> Outcome:
    try:
        await client.post(url, json={})
    except RetryableError as error:
        return Outcome.failed(error)
    return Outcome.done()


async def test_what_the_vendor_certainly_did_not_take_is_tried_again(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(429, headers={"Retry-After": "7"}))
    busy = await outcome(client, "/x")
    assert (busy.status, busy.retry_after) == ("retry", 7.0)
    assert "too many requests" in busy.reason


async def test_no_connection_is_tried_again(http: Http, vendor: Any) -> None:
    client = http(vendor.url)
    await vendor.stop()
    assert (await outcome(client, "/x")).status == "retry"


async def test_a_fault_or_a_dropped_connection_leaves_it_unknown(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(500), vendor.hang_up)
    assert [(await outcome(client, "/x")).status for _ in range(2)] == ["unknown", "unknown"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_credential_is_no_outcome_of_a_row(client: Client, vendor: Any, status: int) -> None:
    vendor.play(vendor.answer(status))
    with pytest.raises(CredentialsError):
        await outcome(client, "/x")


async def test_a_refusal_is_the_action_s_to_judge(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(422))
    with pytest.raises(StatusError):
        await outcome(client, "/x")


async def test_a_few_at_a_time_and_results_in_order() -> None:
    under_way, most = 0, 0

    async def work(item: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5 - item % 5):
            await asyncio.sleep(0)
        under_way -= 1
        return item * 10

    assert await together(range(20), work, at_once=3) == [item * 10 for item in range(20)]
    assert most == 3


async def test_the_first_error_ends_what_is_under_way() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise ValueError("one is bad")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with pytest.raises(ValueError, match="one is bad"):
        await together(range(10), work, at_once=4)
    await asyncio.sleep(0)
    assert {0, 2, 3} <= set(begun) < set(range(10))
    assert sorted(ended) == sorted(set(begun) - {1})
