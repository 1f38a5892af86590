"""Each fault of the wire ends in the documented state, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from wellkept.errors import CredentialsError, FatalError, RetryableError, StuckCursorError
from wellkept.records import Account, Person, SurveyResponse, Ticket
from wellkept.testing import Fault

Start = Callable[..., Any]
BAD_UTF8 = '"\xff\xfe"'
API = "/api/v2/*"
STREAMS = {
    "organizations": (Account, "organization", "start_time"),
    "users": (Person, "user", "cursor"),
    "tickets": (Ticket, "ticket", "cursor"),
    "satisfaction_ratings": (SurveyResponse, "satisfaction_rating", "page[after]"),
}


@pytest.fixture
async def wired(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setattr("wellkept_zendesk.reading.EXPORT_PAGE", 6)
    monkeypatch.setattr("wellkept_zendesk.reading.PAGE", 6)
    simulator = simulate(14, export_limit=1000)
    return simulator, connector(simulator)


def expected(simulator: Any, stream: str) -> set[str]:
    rows = simulator.state.all(STREAMS[stream][1])
    return {str(row["id"]) for row in rows if row.get("score") not in {"offered", "unoffered"}}


@pytest.mark.parametrize("kind", ["status", "drop", "cut", "truncate"])
@pytest.mark.parametrize("stream", sorted(STREAMS))
async def test_faults_that_last_end_the_read_and_nothing_is_lost(wired: tuple[Any, Any], kind: Any, stream: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind=kind, skip=1, times=None, path=API))
    with pytest.raises(RetryableError):
        await link.sync(stream)
    assert len(link.batches) == 1
    simulator.faults.clear()
    await link.sync(stream)
    assert set(link.all(STREAMS[stream][0])) == expected(simulator, stream)


@pytest.mark.parametrize(
    ("field", "raw", "reason"),
    [
        ("created_at", "7", "Expected `str`, got `int` - at `$.created_at`"),
        ("created_at", '"yesterday"', "`created_at` is no instant"),
        ("updated_at", '"2026-11-20T10:00:00"', "`updated_at` is an instant without a time zone"),
        ("subject", BAD_UTF8, "bad UTF-8 - at `$.subject`"),
        ("subject", '"\\ud800"', "lone surrogate - at `$.subject`"),
        ("organization_id", "NaN", "NaN is not JSON - at `$.organization_id`"),
        ("requester_id", "9" * 20, "integer beyond 64 bits - at `$.requester_id`"),
        ("tags", '"urgent"', "Expected `array | null`, got `str` - at `$.tags`"),
    ],
)
async def test_one_bad_row_of_an_export(wired: tuple[Any, Any], field: str, raw: str, reason: str) -> None:
    simulator, link = wired
    bad = sorted((row["_changed"], row["id"]) for row in simulator.state.all("ticket"))[5][1]
    simulator.faults.add(Fault(kind="row", rows=("tickets",), row=5, field=field, raw=raw, path="/api/v2/incremental/*"))
    await link.sync("tickets")
    assert set(link.all(Ticket)) == expected(simulator, "tickets") - {str(bad)}
    assert [(reject.id, reject.reason) for reject in link.rejects] == [(str(bad), reason)]
    assert raw.encode("latin-1") in link.rejects[0].raw
    link.apply(await link.source.fetch(link.stream("tickets"), [str(bad)]))
    assert set(link.all(Ticket)) == expected(simulator, "tickets")


@pytest.mark.parametrize(
    ("stream", "field", "raw"),
    [
        ("organizations", "domain_names", "[1]"),
        ("organizations", "updated_at", '"soon"'),
        ("users", "name", BAD_UTF8),
        ("users", "updated_at", '"soon"'),
        ("satisfaction_ratings", "score", "null"),
    ],
)
async def test_one_bad_row_of_the_other_streams(wired: tuple[Any, Any], stream: str, field: str, raw: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="row", rows=(stream,), row=2, field=field, raw=raw, path=API))
    await link.sync(stream)
    assert len(link.rejects) == 1
    assert len(expected(simulator, stream) - set(link.all(STREAMS[stream][0]))) <= 1


@pytest.mark.parametrize("raw", ["null", '"text"', BAD_UTF8, "{}"])
async def test_a_row_that_is_no_object(wired: tuple[Any, Any], raw: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="row", rows=("users",), row=2, raw=raw, path=API))
    await link.sync("users")
    assert len(link.all(Person)) == len(expected(simulator, "users")) - 1
    assert len(link.rejects) == 1


async def test_a_bad_row_does_not_delete_what_is_known(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    await link.sync("tickets")
    ticket = min(link.all(Ticket), key=int)
    simulator.faults.add(Fault(kind="row", rows=("tickets",), row=0, field="created_at", raw="7", path="*/show_many"))
    batch = await link.source.fetch(link.stream("tickets"), [ticket])
    assert (batch.records, batch.deletions) == ([], [])
    assert [reject.id for reject in batch.rejects] == [ticket]


async def test_something_else_than_json_stops_the_stream(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="content", skip=1, times=None, path=API))
    with pytest.raises(FatalError):
        await link.sync("tickets")
    simulator.faults.clear()
    await link.sync("tickets")
    assert set(link.all(Ticket)) == expected(simulator, "tickets")


@pytest.mark.parametrize("stream", ["tickets", "users", "organizations", "satisfaction_ratings"])
async def test_a_page_that_does_not_move_on(wired: tuple[Any, Any], stream: str) -> None:
    """A server that always answers with the first page."""
    simulator, link = wired
    vendor = simulator._vendor
    kept: list[Any] = []

    async def first(scope: Any, body: bytes) -> Any:
        answer = await vendor(scope, body)
        if stream in scope["path"]:
            kept.append(answer)
            return kept[0]
        return answer

    simulator._vendor = first
    with pytest.raises(StuckCursorError):
        await link.sync(stream)


@pytest.mark.parametrize("field", ["after_cursor", "meta.after_cursor"])
async def test_more_to_read_but_no_way_there(wired: tuple[Any, Any], field: str) -> None:
    simulator, link = wired
    outer, _, inner = field.rpartition(".")
    path = ("meta",) if outer else ()
    stream = "satisfaction_ratings" if outer else "tickets"

    def drop(answer: Any) -> Any:
        body = json.loads(answer.body)
        holder = body
        for name in path:
            holder = holder[name]
        holder[inner] = None
        return answer._replace(body=json.dumps(body).encode())

    vendor = simulator._vendor

    async def spoilt(scope: Any, body: bytes) -> Any:
        answer = await vendor(scope, body)
        return drop(answer) if stream in scope["path"] else answer

    simulator._vendor = spoilt
    with pytest.raises(FatalError, match="no cursor that leads there"):
        await link.sync(stream)


async def test_a_credential_that_is_refused(wired: tuple[Any, Any]) -> None:
    """One refresh and one retry come first; the message shows no token."""
    simulator, link = wired
    simulator.faults.add(Fault(kind="status", status=401, path=API, skip=1, times=2))
    with pytest.raises(CredentialsError) as caught:
        await link.sync("tickets")
    assert simulator.grant.access not in str(caught.value)
    assert len(link.batches) == 1
    assert len(simulator.log.matching("/oauth/tokens")) == 2
    await link.sync("tickets")
    assert set(link.all(Ticket)) == expected(simulator, "tickets")


async def test_zendesks_own_limits_are_kept(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept_zendesk.reading.PAGE", 2)
    simulator = simulate(16, rate_limit=20)
    link = connector(simulator, requests_per_minute=20)
    await link.sync("satisfaction_ratings")
    assert len(simulator.log.requests) > 15
    assert {entry.status for entry in simulator.log.matching(API)} == {200}
