"""Bodies: bombs, sizes, cuts, and lines that come one by one."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.errors import FatalError, NotSentError, RetryableError
from wellkept.http import Client, Http, RateLimit, StatusError, make_http, ndjson
from wellkept.http.body import PIECE, BodyError, Inflater, Lines
from wellkept.store import Store
from wellkept.testing import FakeClock


class Event(msgspec.Struct):
    id: int


@pytest.fixture
def client(http: Http, vendor: Any) -> Client:
    return http(vendor.url)


def deflate(data: bytes, wbits: int) -> bytes:
    engine = zlib.compressobj(wbits=wbits)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("x-gzip", 31), ("GZIP", 31), ("deflate", 15), ("deflate", -15)])
async def test_compressed_answers(client: Client, vendor: Any, encoding: str, wbits: int) -> None:
    body = b'{"a":"' + b"x" * 300_000 + b'"}'
    vendor.play(vendor.answer(body=deflate(body, wbits), headers={"Content-Encoding": encoding}))
    assert (await client.get("/x")).body == body
    assert vendor.requests[0].headers["accept-encoding"] == "gzip, deflate"


async def test_an_encoding_that_was_not_asked_for_is_refused(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(body=b"zzz", headers={"Content-Encoding": "br"}))
    with pytest.raises(FatalError, match="not asked for"):
        await client.get("/x")


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 997), st.sampled_from([31, 15, -15]))
def test_any_division_into_chunks_gives_the_same(members: list[bytes], step: int, wbits: int) -> None:
    parts = members if wbits == 31 else members[:1]
    data = b"".join(deflate(part, wbits) for part in parts)
    inflater = Inflater("gzip" if wbits == 31 else "deflate")
    found = b"".join(piece for at in range(0, len(data), step) for piece in inflater.feed(data[at : at + step]))
    inflater.finish()
    assert found == b"".join(parts)


def test_no_piece_is_larger_than_its_bound() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    sizes = [len(piece) for piece in Inflater("gzip").feed(bomb)]
    assert max(sizes) <= PIECE
    assert sum(sizes) == 50_000_000


def test_padding_after_a_compressed_body_is_no_fault_but_a_missing_end_is() -> None:
    inflater = Inflater("gzip")
    assert b"".join(inflater.feed(gzip.compress(b"abc") + bytes(512))) == b"abc"
    inflater.finish()
    list(inflater.feed(gzip.compress(b"abc")[:-4]))
    with pytest.raises(BodyError) as caught:
        inflater.finish()
    assert caught.value.cut


def test_a_body_that_is_not_compressed_at_all_is_not_taken_for_padding() -> None:
    with pytest.raises(BodyError, match="cannot be decompressed"):
        list(Inflater("gzip").feed(b"<!doctype html><title>Down for maintenance</title>"))


async def test_a_bomb_is_defused(client: Client, vendor: Any) -> None:
    bomb = gzip.compress(bytes(80_000_000))
    vendor.play(vendor.answer(body=bomb, headers={"Content-Encoding": "gzip"}))
    await client.get("/warm", max_bytes=100_000_000)
    tracemalloc.start()
    with pytest.raises(FatalError, match=r"GET /x: .*more than 1000000 bytes"):
        await client.get("/x", max_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


async def test_a_plain_answer_is_bounded_too(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(body=b"x" * 5_000_000))
    with pytest.raises(FatalError, match="more than 1000 bytes"):
        await client.get("/x", max_bytes=1000)


async def test_an_error_is_not_read_to_its_end(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(400, body=b"x" * 5_000_000))
    with pytest.raises(StatusError) as caught:
        await client.get("/x")
    assert len(caught.value.body) <= 65_536


async def test_the_status_counts_even_if_its_body_breaks(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(404, body=b"x" * 1000, keep=10))
    with pytest.raises(StatusError):
        await client.get("/x")


@pytest.mark.parametrize("framed", [True, False], ids=["announced", "to the end of the connection"])
async def test_a_body_that_was_cut_off_is_read_again(client: Client, vendor: Any, framed: bool) -> None:
    page = {"data": [{"id": n} for n in range(50)]}
    vendor.play(vendor.answer(json=page, keep=200, framed=framed), vendor.answer(json=page))
    assert (await client.get("/x")).json() == page
    assert len(vendor.requests) == 2


async def test_a_compressed_body_that_was_cut_off_is_read_again(client: Client, vendor: Any) -> None:
    zipped = gzip.compress(b'{"a":1}')
    headers = {"Content-Encoding": "gzip"}
    vendor.play(vendor.answer(body=zipped[:-4], headers=headers), vendor.answer(body=zipped, headers=headers))
    assert (await client.get("/x")).json() == {"a": 1}
    assert len(vendor.requests) == 2


@pytest.mark.parametrize("end", [b'{"data":[{"id":1}', b'{"data":[{"id":1}]', b'{"data":[{"id":1}],"has_more":tr'])
async def test_json_without_its_end_is_read_again_wherever_it_was_cut(client: Client, vendor: Any, end: bytes) -> None:
    page = {"data": [{"id": 1}], "has_more": True}
    vendor.play(vendor.answer(body=end), vendor.answer(json=page))
    assert (await client.get("/x")).json() == page
    assert len(vendor.requests) == 2


async def test_json_of_another_type_names_the_field_and_not_the_value(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(json={"id": "jo@example.com"}))
    with pytest.raises(FatalError, match=r"GET /x: .*Expected `int`, got `str` - at `\$.id`"):
        (await client.get("/x")).json(Event)
    vendor.play(vendor.answer(body=b"<html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(FatalError, match="malformed"):
        (await client.get("/x")).json()


# --- lines ---


async def lines_of(client: Client, **options: Any) -> list[bytes]:
    return [line async for line in client.stream_lines("/export", **options)]


async def test_lines(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(body=b'{"id":1}\r\n\n  \n{"id":2}\n{"id":3}'))
    assert await lines_of(client) == [b'{"id":1}', b'{"id":2}', b'{"id":3}']


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"").strip()), max_size=20), st.integers(1, 50))
def test_any_division_into_chunks_gives_the_same_lines(wanted: list[bytes], step: int) -> None:
    data = b"".join(line + b"\n" for line in wanted)
    lines = Lines(1000)
    found = [line for at in range(0, len(data), step) for line in lines.feed(data[at : at + step])]
    assert found == [line for line in wanted if line]
    assert lines.rest == b""


@given(st.lists(st.integers(0, 40), max_size=15), st.integers(1, 60))
def test_a_line_that_is_too_long_costs_only_itself(sizes: list[int], step: int) -> None:
    data = b"".join(b"x" * size + b"\n" for size in sizes)
    lines = Lines(10)
    found = [line for at in range(0, len(data), step) for line in lines.feed(data[at : at + step])]
    assert [len(line) for line in found] == [min(size, 10) for size in sizes if size]


async def test_a_stream_is_read_in_flat_memory(client: Client, vendor: Any) -> None:
    async def flood(_request: Any, writer: asyncio.StreamWriter) -> bool:
        block = b'{"id":12345678}\n' * 4096
        writer.write(vendor.answer(headers={"Content-Length": str(len(block) * 60)}).head(b""))
        for _ in range(60):
            writer.write(block)
            await writer.drain()
        return True

    vendor.play(flood)
    count, peak = 0, 0
    tracemalloc.start()
    async for _line in client.stream_lines("/export"):
        count += 1
        if count % 20_000 == 0:
            peak = max(peak, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert count == 60 * 4096
    assert peak < 4_000_000


async def test_a_stream_that_fails_before_its_first_byte_is_begun_again(client: Client, vendor: Any) -> None:
    whole = vendor.answer(body=b'{"id":1}\n')
    vendor.play(vendor.answer(503), vendor.hang_up, vendor.answer(body=b'{"id":1}\n', keep=0), whole)
    assert await lines_of(client) == [b'{"id":1}']


async def test_a_stream_that_breaks_later_says_so(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(body=b'{"id":1}\n{"id":2}\n' * 10, keep=30))
    lines = client.stream_lines("/export")
    assert [await anext(lines) for _ in range(3)] == [b'{"id":1}', b'{"id":2}', b'{"id":1}']
    with pytest.raises(RetryableError, match="GET /export: the connection broke"):
        await anext(lines)
    assert len(vendor.requests) == 1


async def test_a_last_line_that_is_cut_is_a_broken_stream(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(body=b'{"id":1}\n{"id":', framed=False))
    with pytest.raises(RetryableError, match="cut off"):
        await lines_of(client)


async def test_a_stream_has_a_size_and_a_time(client: Client, vendor: Any, store: Store) -> None:
    vendor.play(vendor.answer(body=b'{"id":1}\n' * 1000))
    with pytest.raises(FatalError, match="more than 100 bytes"):
        await lines_of(client, max_bytes=100)

    async def drip(_request: Any, writer: asyncio.StreamWriter) -> bool:
        writer.write(vendor.answer().head(b" " * 100_000))
        while not writer.is_closing():
            writer.write(b"{}\n")
            await writer.drain()
            await asyncio.sleep(0.005)
        return False

    from wellkept.clock import SystemClock

    vendor.play(drip)
    factory = make_http(store, SystemClock(), "acme")
    with pytest.raises(RetryableError, match="took longer"):
        await lines_of(factory(vendor.url), deadline=0.2)
    await factory.aclose()


async def test_errors_of_a_stream_are_those_of_a_request(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(404, json={"error": "gone"}))
    with pytest.raises(StatusError) as caught:
        await lines_of(client)
    assert caught.value.json(dict) == {"error": "gone"}
    vendor.play(vendor.answer(429))
    with pytest.raises(NotSentError):
        await lines_of(client, retry=False)


async def test_a_stream_that_is_left_early_gives_its_place_back(http: Http, vendor: Any) -> None:
    client = http(vendor.url, rate=RateLimit(1000, 1, concurrent=1))
    vendor.play(vendor.answer(body=b'{"id":1}\n' * 1000))
    lines = client.stream_lines("/export")
    assert await anext(lines) == b'{"id":1}'
    await lines.aclose()
    assert len(await lines_of(client)) == 1000


async def test_ndjson_in_groups(client: Client, vendor: Any) -> None:
    rows = [b'{"id":%d}' % n if n != 3 else b'{"id":"x3"}' for n in range(5)]
    vendor.play(vendor.answer(body=b"\n".join(rows)))
    pages = [page async for page in ndjson(client, "/export", Event, size=2)]
    assert [[row.id for row, _ in page.rows] for page in pages] == [[0, 1], [2], [4]]
    assert [(reject.id, reject.raw) for page in pages for reject in page.rejects] == [("x3", b'{"id":"x3"}')]
    assert [page.last_id for page in pages] == ["1", "x3", "4"]


async def test_a_line_longer_than_the_bound_becomes_a_reject(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(body=b'{"id":1}\n{"id":2,"pad":"' + b"x" * 500 + b'"}\n{"id":3}\n'))
    (page,) = [page async for page in ndjson(client, "/export", Event, max_line=100)]
    assert [row.id for row, _ in page.rows] == [1, 3]
    assert [(reject.id, len(reject.raw)) for reject in page.rejects] == [("2", 100)]


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    assert not tracemalloc.is_tracing()


def test_the_clock_of_these_tests_is_virtual(clock: FakeClock) -> None:
    assert clock.slept == []
