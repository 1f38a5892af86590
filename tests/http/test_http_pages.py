"""Paging: to the end and not beyond, never in circles, never to another server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.errors import FatalError, StuckCursorError
from wellkept.http import Client, Http, Rows, cursor_pages, link_pages, token_pages
from wellkept.http.pages import REMEMBERED, Itinerary, next_link


class Row(msgspec.Struct):
    id: str


@pytest.fixture
def client(http: Http, vendor: Any) -> Client:
    return http(f"{vendor.url}/v1")


def by_id(page: Rows[Row]) -> str | None:
    return page.last_id if page.rest["has_more"] else None


def listing(vendor: Any, count: int, size: int) -> Any:
    """A vendor that pages by the id of the last row."""

    def answer(request: Any) -> Any:
        after = int(request.query.get("starting_after", -1))
        rows = [{"id": str(n)} for n in range(after + 1, min(after + 1 + size, count))]
        return vendor.answer(json={"data": rows, "has_more": after + 1 + size < count})

    return answer


@pytest.mark.parametrize("count", [0, 1, 3, 6, 7])
async def test_pages_by_the_last_id(client: Client, vendor: Any, count: int) -> None:
    vendor.play(listing(vendor, count, 3))
    pages = [
        page async for page in cursor_pages(client, "/rows", Row, param="starting_after", cursor=by_id, params={"limit": 3})
    ]
    assert [row.id for page in pages for row, _ in page.rows] == [str(n) for n in range(count)]
    assert len(vendor.requests) == max(1, -(-count // 3))
    assert all(request.query["limit"] == "3" for request in vendor.requests)


async def test_reading_goes_on_where_it_stopped(client: Client, vendor: Any) -> None:
    vendor.play(listing(vendor, 7, 3))
    pages = [page async for page in cursor_pages(client, "/rows", Row, param="starting_after", cursor=by_id, start="3")]
    assert [row.id for page in pages for row, _ in page.rows] == ["4", "5", "6"]


async def test_pages_by_a_cursor_in_the_body(client: Client, vendor: Any) -> None:
    vendor.play(
        vendor.answer(json={"data": [{"id": "a"}], "meta": {"after": "c1"}}),
        vendor.answer(json={"data": [], "meta": {"after": 17}}),
        vendor.answer(json={"data": [{"id": "b"}], "meta": {"after": None}}),
    )
    pages = [page async for page in cursor_pages(client, "/rows", Row, param="after", cursor=("meta", "after"))]
    assert [row.id for page in pages for row, _ in page.rows] == ["a", "b"]
    assert [request.query.get("after") for request in vendor.requests] == [None, "c1", "17"]


async def test_pages_by_a_cursor_in_a_header(client: Client, vendor: Any) -> None:
    vendor.play(
        vendor.answer(json=[{"id": "a"}], headers={"X-Next-Cursor": "c1"}),
        vendor.answer(json=[{"id": "b"}]),
    )

    def following(page: Rows[Row]) -> str | None:
        return page.headers.get("x-next-cursor")

    pages = [page async for page in cursor_pages(client, "/rows", Row, param="after", cursor=following, rows=())]
    assert [row.id for page in pages for row, _ in page.rows] == ["a", "b"]
    assert [request.query.get("after") for request in vendor.requests] == [None, "c1"]


async def test_a_bad_row_does_not_stop_paging(client: Client, vendor: Any) -> None:
    vendor.play(
        vendor.answer(body=b'{"data":[{"id":"a","x":NaN},{"id":"b"}],"next":"c1"}'),
        vendor.answer(json={"data": [{"id": "c"}], "next": ""}),
    )
    pages = [page async for page in cursor_pages(client, "/rows", Row, param="after", cursor=("next",))]
    assert [row.id for page in pages for row, _ in page.rows] == ["b", "c"]
    assert [reject.id for reject in pages[0].rejects] == ["a"]


@pytest.mark.parametrize("script", ["A A", "A B A", "A B C B", "A B C C"])
async def test_a_cursor_that_does_not_move_on_is_an_error(client: Client, vendor: Any, script: str) -> None:
    vendor.play(*(vendor.answer(json={"data": [], "next": place}) for place in script.split()))
    with pytest.raises(StuckCursorError) as caught:
        async for _ in cursor_pages(client, "/rows", Row, param="after", cursor=("next",)):
            pass
    assert len(vendor.requests) == len(script.split())
    assert str(caught.value) == "/rows: the vendor's next page is one that was read before"


async def test_the_cursor_where_reading_began_counts_too(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(json={"data": [], "next": "secret-place"}))
    with pytest.raises(StuckCursorError) as caught:
        async for _ in cursor_pages(client, "/rows", Row, param="after", cursor=("next",), start="secret-place"):
            pass
    assert "secret-place" not in str(caught.value)
    assert len(vendor.requests) == 1


async def test_a_cursor_that_is_no_text_is_an_error(client: Client, vendor: Any) -> None:
    for value in (True, 1.5, {"after": "x"}, ["x"]):
        vendor.play(vendor.answer(json={"data": [], "next": value}))
        with pytest.raises(FatalError, match="not text"):
            async for _ in cursor_pages(client, "/rows", Row, param="after", cursor=("next",)):
                pass


@given(st.integers(0, 3000), st.integers(1, 3000))
def test_a_circle_of_any_length_is_found_in_bounded_memory(lead: int, length: int) -> None:
    places = Itinerary("/rows")

    def walk() -> None:
        for step in range(10 * (lead + length) + 10):
            places.visit(str(step if step < lead else lead + (step - lead) % length))

    with pytest.raises(StuckCursorError):
        walk()
    assert len(places._recent) <= REMEMBERED


def test_a_long_way_without_circles_is_fine() -> None:
    places = Itinerary("/rows")
    for step in range(20_000):
        places.visit(str(step))
    assert len(places._recent) == REMEMBERED


async def test_pages_by_a_token_in_the_request_body(client: Client, vendor: Any) -> None:
    vendor.play(
        vendor.answer(json={"results": [{"id": "a"}], "paging": {"next": {"after": "2"}}}),
        vendor.answer(500),
        vendor.answer(json={"results": [{"id": "b"}]}),
    )
    body = {"page": {"size": 1}, "sort": "x"}
    pages = [
        page
        async for page in token_pages(
            client, "/search", Row, token=("paging", "next", "after"), into=("page", "after"), json=body, rows=("results",)
        )
    ]
    assert [row.id for page in pages for row, _ in page.rows] == ["a", "b"]
    sent = [msgspec.json.decode(request.body) for request in vendor.requests]
    assert sent[0] == body == {"page": {"size": 1}, "sort": "x"}
    assert sent[1] == sent[2] == {"page": {"size": 1, "after": "2"}, "sort": "x"}


async def test_a_token_that_does_not_move_is_an_error(client: Client, vendor: Any) -> None:
    vendor.play(vendor.answer(json={"data": [], "next_page_token": "t"}))
    with pytest.raises(StuckCursorError):
        async for _ in token_pages(client, "/search", Row, token=("next_page_token",), into=("page_token",)):
            pass
    assert len(vendor.requests) == 2


async def test_pages_by_the_link_header(client: Client, vendor: Any) -> None:
    first = f'<{vendor.url}/v1/rows?page=1>; rel="first", <{vendor.url}/v1/rows?page=2&x=a,b>; rel="next"; title="a, <b>"'
    vendor.play(
        vendor.answer(json={"data": [{"id": "a"}]}, headers={"Link": first}),
        vendor.answer(json={"data": [{"id": "b"}]}, headers={"Link": "</v1/rows?page=3>; rel=next"}),
        vendor.answer(json={"data": [{"id": "c"}]}, headers={"Link": '<?page=1>; rel="prev"'}),
    )
    pages = [page async for page in link_pages(client, "/rows", Row, params={"limit": 1})]
    assert [row.id for page in pages for row, _ in page.rows] == ["a", "b", "c"]
    assert [request.target for request in vendor.requests] == ["/v1/rows?limit=1", "/v1/rows?page=2&x=a,b", "/v1/rows?page=3"]


async def test_pages_by_a_link_in_the_body(client: Client, vendor: Any) -> None:
    vendor.play(
        vendor.answer(json={"data": [{"id": "a"}], "links": {"next": "?page=2"}}),
        vendor.answer(json={"data": [{"id": "b"}], "links": {"next": None}}),
    )
    pages = [page async for page in link_pages(client, "/rows", Row, link=("links", "next"))]
    assert [row.id for page in pages for row, _ in page.rows] == ["a", "b"]
    assert vendor.requests[1].target == "/v1/rows?page=2"


async def test_a_link_never_leads_to_another_server(client: Client, vendor: Any, other: Any) -> None:
    for link in (f"{other.url}/v1/rows", "//evil.example/rows", "https://evil.example/rows"):
        vendor.play(vendor.answer(json={"data": [], "next": link}))
        with pytest.raises(FatalError, match="another server"):
            async for _ in link_pages(client, "/rows", Row, link=("next",)):
                pass
    assert not other.requests


async def test_links_that_lead_in_a_circle_are_an_error(client: Client, vendor: Any) -> None:
    links = ["/v1/rows?page=2", "/v1/rows?page=3", "/v1/rows?page=2"]
    vendor.play(*(vendor.answer(json={"data": [], "next": link}) for link in links))
    with pytest.raises(StuckCursorError):
        async for _ in link_pages(client, "/rows", Row, link=("next",)):
            pass


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("", None),
        ('<a>; rel="next"', "a"),
        ("<a>;rel=NEXT", "a"),
        ('<a>; title="rel=next"; rel="prev"', None),
        ('<a>; rel="prev next"', "a"),
        ('<a,b;c>; x="\\"<z>; rel=next"; rel="next"', "a,b;c"),
        ('<a>; rel="previous", <b> ; rel = "next"', "b"),
        ("nonsense", None),
    ],
)
def test_link_headers(header: str, target: str | None) -> None:
    assert next_link(header) == target
