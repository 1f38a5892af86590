"""Answers as Zendesk's reference permits them and our simulator does not give them: other paging, missing and odd fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from wellkept.errors import FatalError
from wellkept.records import Account, Ticket
from wellkept.testing import Server

Start = Callable[..., Any]

CREATED, UPDATED = "2026-11-01T10:00:00Z", "2026-11-03T10:00:00Z"
STAMPS = {"created_at": CREATED, "updated_at": UPDATED}


class Plain:
    """Answers what it is told to, by path; what it does not know is not found."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Mapping[str, str]], Any]] = {}
        self.access = SimpleNamespace(client_secret="secret")
        self.grant = SimpleNamespace(refresh="refresh")
        self.refused: list[str] = []
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        query = dict(part.partition("=")[::2] for part in scope["query_string"].decode().split("&"))
        if scope["path"] == "/oauth/tokens":
            found: Any = {
                "access_token": "a",
                "refresh_token": "r",
                "token_type": "bearer",
                "scope": "read",
                "expires_in": None,
            }
        else:
            answer = self.answers.get(scope["path"])
            found = None if answer is None else answer(query)
        headers = [(b"content-type", b"application/json; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200 if found is not None else 404, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(found or {"error": "RecordNotFound"})})


@pytest.fixture(scope="module")
def server() -> Iterator[Plain]:
    plain = Plain()
    with Server(plain) as running:
        plain.url = running.url
        yield plain


@pytest.fixture
def plain(server: Plain) -> Plain:
    server.answers.clear()
    return server


async def test_the_time_export_ends_with_a_short_page_where_it_does_not_say_so(plain: Plain, connector: Start) -> None:
    rows = [{"id": 10_000_000_000_000_000 + number, "name": f"Ä {number}", **STAMPS} for number in range(3)]
    plain.answers["/api/v2/incremental/organizations"] = lambda _: {
        "count": 3,
        "end_time": 1_793_700_000,
        "next_page": "https://acme.zendesk.com/api/v2/incremental/organizations.json?start_time=1793700000",
        "organizations": rows,
    }
    link = connector(plain)
    assert await link.sync("organizations") == 3
    assert "10000000000000002" in link.all(Account)
    assert await link.sync("organizations") == 3


async def test_an_account_without_anything(plain: Plain, connector: Start) -> None:
    plain.answers["/api/v2/incremental/organizations"] = lambda _: {
        "organizations": [], "count": 0, "end_of_stream": True, "end_time": None, "next_page": None,
    }  # fmt: skip
    for plural in ("users", "tickets"):
        plain.answers[f"/api/v2/incremental/{plural}/cursor"] = lambda _, plural=plural: {  # type: ignore[misc]
            plural: [], "after_cursor": None, "after_url": None, "before_cursor": None, "end_of_stream": True,
        }  # fmt: skip
    for plural in ("satisfaction_ratings", "deleted_tickets"):
        plain.answers[f"/api/v2/{plural}"] = lambda _, plural=plural: {  # type: ignore[misc]
            plural: [], "meta": {"has_more": False, "after_cursor": None, "before_cursor": None}, "links": {"next": None},
        }  # fmt: skip
    link = connector(plain)
    assert await link.sync() == 0
    assert await link.sync() == 0


async def test_a_list_that_is_paged_by_number_is_not_taken_for_whole(plain: Plain, connector: Start) -> None:
    plain.answers["/api/v2/deleted_tickets"] = lambda _: {
        "deleted_tickets": [{"id": 1, "deleted_at": UPDATED}],
        "count": 200,
        "next_page": "https://acme.zendesk.com/api/v2/deleted_tickets.json?page=2",
        "previous_page": None,
    }
    with pytest.raises(FatalError, match="no cursor that leads there"):
        await connector(plain).sync("deleted_tickets")


async def test_metrics_that_cannot_be_read_cost_their_ticket_alone(plain: Plain, connector: Start) -> None:
    ticket = {
        "status": "open",
        "priority": None,
        "via": {"channel": 0, "source": {"from": None, "to": {}, "rel": None}},
        **STAMPS,
    }
    minutes = {"calendar": 5, "business": None}
    plain.answers["/api/v2/incremental/tickets/cursor"] = lambda _: {
        "tickets": [{"id": number, "future_field": {"a": [1]}, **ticket} for number in (1, 2, 3)],
        "metric_sets": [
            {"ticket_id": 1, "reply_time_in_minutes": "soon"},
            {"ticket_id": 2, "reply_time_in_minutes": minutes, "custom_status_updated_at": None},
        ],
        "after_cursor": "abc",
        "end_of_stream": True,
    }
    link = connector(plain)
    await link.sync("tickets")
    tickets = link.all(Ticket)
    assert {id_: record.first_reply_minutes for id_, record in tickets.items()} == {"2": 5, "3": None}
    assert [reject.id for reject in link.rejects] == ["1"]
    assert "metrics" in link.rejects[0].reason


async def test_side_loads_that_are_null_and_ids_that_are_text(plain: Plain, connector: Start) -> None:
    row = {"id": "35436", "status": "solved", "organization_id": "509974", "requester_id": None, "via": None, **STAMPS}
    plain.answers["/api/v2/incremental/tickets/cursor"] = lambda _: {
        "tickets": [{**row, "satisfaction_rating": None, "tags": None, "metric_set": None, "generated_timestamp": None}],
        "metric_sets": None,
        "after_cursor": "abc",
        "end_of_stream": True,
    }
    link = connector(plain)
    await link.sync("tickets")
    assert link.all(Ticket)["35436"].account_ref == "509974"
