"""Answers as HubSpot's reference permits them and our simulator does not give them: numbers for text, odd fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from wellkept.errors import FatalError
from wellkept.records import Account, Person
from wellkept.testing import Server

Start = Callable[..., Any]

STAMPS = {"createdAt": "2026-11-01T10:00:00.123Z", "updatedAt": "2026-11-03T10:00:00Z"}
LARGE = 9_007_199_254_740_993
"""More than a float holds."""


class Plain:
    """Answers what it is told to, by method and path; what it does not know is not found."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[str, Any], Any]] = {}
        self.token, self.webhook_secret, self.url = "token", "secret", ""
        self.refused: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        answer = self.answers.get(f"{scope['method']} {scope['path']}")
        query = scope["query_string"].decode()
        status, found = (404, {"category": "OBJECT_NOT_FOUND", "message": "no"}) if answer is None else (
            200, answer(query, msgspec.json.decode(body) if body else None)
        )  # fmt: skip
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": msgspec.json.encode(found)})


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


async def test_pages_and_ids_that_are_numbers(plain: Plain, connector: Start) -> None:
    def companies(query: str, _: Any) -> Any:
        rows = [{"id": LARGE, "properties": {"name": "Ä 有限公司 🚀", "numberofemployees": 12, "domain": None}, **STAMPS}]
        if "after=" in query:
            return {"results": [{**rows[0], "id": "7", "url": "https://x", "objectWriteTraceId": None}], "paging": None}
        return {"results": rows, "paging": {"next": {"after": LARGE, "link": "https://api.hubapi.com/x?after=1"}, "prev": None}}

    plain.answers["GET /crm/objects/2026-03/companies"] = companies
    link = connector(plain)
    assert await link.sync("companies") == 2
    assert set(link.all(Account)) == {str(LARGE), "7"}
    assert link.all(Account)["7"].name == "Ä 有限公司 🚀"


async def test_associations_with_numbers_for_ids_and_unknown_labels(plain: Plain, connector: Start) -> None:
    contacts = [
        {"id": str(number), "properties": {"email": f"{number}@a.example"}, "archived": False, **STAMPS} for number in (1, 2)
    ]
    plain.answers["GET /crm/objects/2026-03/contacts"] = lambda *_: {"results": contacts}
    spread = [
        {"toObjectId": 5, "associationTypes": [{"category": "USER_DEFINED", "typeId": 999, "label": "Adviser of"}]},
        {"toObjectId": LARGE, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 1, "label": None}]},
    ]
    plain.answers["POST /crm/associations/2026-03/contacts/companies/batch/read"] = lambda *_: {
        "status": "COMPLETE",
        "results": [{"from": {"id": 1}, "to": spread, "paging": None}],
        "numErrors": 1,
        "errors": [{"status": "error", "category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                    "message": "no", "context": {"fromObjectId": ["2"]}}],
    }  # fmt: skip
    link = connector(plain)
    await link.sync("contacts")
    people = link.all(Person)
    assert {id_: person.account_ref for id_, person in people.items()} == {"1": str(LARGE), "2": None}
    assert {id_: person.other_account_refs for id_, person in people.items()} == {"1": ["5"], "2": []}


async def test_a_search_in_another_order_is_not_taken_for_whole(plain: Plain, connector: Start) -> None:
    rows = [{"id": id_, "properties": {"name": id_}, "archived": False, **STAMPS} for id_ in ("9", "3", "5")]
    plain.answers["POST /crm/objects/2026-03/companies/search"] = lambda *_: {
        "total": 900,
        "results": rows,
        "paging": {"next": {"after": "3"}},
    }
    link = connector(plain)
    link.cursors["companies"] = {"mode": "changes", "since": link.clock.now(), "full": link.clock.now()}
    with pytest.raises(FatalError, match="not sorted by id"):
        await link.sync("companies")
    assert link.all(Account) == {}


async def test_an_account_without_anything(plain: Plain, connector: Start) -> None:
    for type_ in ("companies", "contacts", "deals", "tasks", "feedback_submissions"):
        plain.answers[f"GET /crm/objects/2026-03/{type_}"] = lambda *_: {"results": []}
        plain.answers[f"POST /crm/objects/2026-03/{type_}/search"] = lambda *_: {"total": 0, "results": []}
    plain.answers["GET /crm/owners/2026-03"] = lambda *_: {"results": []}
    plain.answers["GET /account-info/2026-03/details"] = lambda *_: {
        "portalId": 1, "accountType": "STANDARD", "timeZone": "Asia/Kolkata", "companyCurrency": "INR",
        "additionalCurrencies": [], "utcOffset": "+05:30", "utcOffsetMilliseconds": 19_800_000, "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "eu1",
    }  # fmt: skip
    link = connector(plain)
    assert await link.sync() == 0
    assert await link.sync() == 0
