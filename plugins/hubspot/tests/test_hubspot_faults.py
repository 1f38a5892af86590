"""Each fault of the wire ends in the documented state, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from wellkept.errors import CredentialsError, FatalError, NotSentError, RetryableError, StuckCursorError
from wellkept.records import Account, Person
from wellkept.testing import Fault
from wellkept.testing.conformance.sources import PASSING

Start = Callable[..., Any]
BAD_UTF8 = '"\xff\xfe"'
LIST, SEARCH = "/crm/objects/2026-03/companies", "/crm/objects/2026-03/companies/search"


def standing(simulator: Any, type_: str = "companies") -> set[str]:
    return {thing.id for thing in simulator.state.standing(type_)}


@pytest.fixture
async def wired(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setattr("wellkept_hubspot.reading.PAGE", 5)
    monkeypatch.setattr("wellkept_hubspot.reading.SEARCH_PAGE", 4)
    simulator = simulate(accounts=12, seed=4)
    return simulator, connector(simulator)


@pytest.mark.parametrize("name", PASSING)
async def test_faults_that_pass_while_searching(wired: tuple[Any, Any], name: str) -> None:
    """The standard tests try the lists."""
    simulator, link = wired
    await link.sync("companies")
    simulator.clock.advance(3600)
    for id_ in standing(simulator):
        simulator.edit("companies", id_, name="Edited")
    fault = PASSING[name]
    simulator.faults.add(msgspec.structs.replace(fault, path=SEARCH))
    await link.sync("companies")
    assert set(link.all(Account)) == standing(simulator)
    assert {account.name for account in link.all(Account).values()} == {"Edited"}
    assert link.rejects == []
    hit = next(entry for entry in simulator.log.requests if entry.fault)
    if fault.retry_after is not None:
        again = next(entry for entry in simulator.log.requests if entry.number > hit.number and entry.path == SEARCH)
        assert again.at - hit.at >= fault.retry_after * 1000


@pytest.mark.parametrize("kind", ["status", "drop", "cut", "truncate"])
async def test_faults_that_last_end_the_read_and_nothing_is_lost(wired: tuple[Any, Any], kind: Any) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind=kind, skip=1, times=None))
    with pytest.raises(RetryableError):
        await link.sync("companies")
    assert len(link.all(Account)) == 5
    simulator.faults.clear()
    await link.sync("companies")
    assert set(link.all(Account)) == standing(simulator)
    simulator.clock.advance(60)
    first = min(link.all(Account))
    simulator.edit("companies", first, name="After the outage")
    simulator.faults.add(Fault(kind=kind, times=None))
    with pytest.raises(RetryableError):
        await link.sync("companies")
    simulator.faults.clear()
    await link.sync("companies")
    assert link.all(Account)[first].name == "After the outage"


@pytest.mark.parametrize("path", ["/crm/associations/*", "/account-info/*", "/crm/owners/*"])
async def test_what_is_read_besides_fails(wired: tuple[Any, Any], path: str) -> None:
    simulator, link = wired
    stream = "owners" if "owners" in path else "deals"
    simulator.faults.add(Fault(kind="status", status=502, path=path, times=None))
    with pytest.raises(RetryableError):
        await link.sync(stream)
    assert link.rows == {}
    simulator.faults.clear()
    await link.sync(stream)
    assert link.rows


@pytest.mark.parametrize(
    ("field", "raw", "reason"),
    [
        ("createdAt", '"yesterday"', "Invalid RFC3339 encoded datetime - at `$.createdAt`"),
        ("properties.name", BAD_UTF8, "bad UTF-8 - at `$.properties.name`"),
        ("properties.name", '"\\ud800"', "lone surrogate - at `$.properties.name`"),
        ("properties", "NaN", "NaN is not JSON - at `$.properties`"),
        ("properties.name", "[]", "Expected `bool | int | float | str | null`, got `array` - at `$.properties[...]`"),
        ("properties", "null", "Expected `object`, got `null` - at `$.properties`"),
    ],
)
async def test_one_bad_row_of_a_list(wired: tuple[Any, Any], field: str, raw: str, reason: str) -> None:
    simulator, link = wired
    by_id = sorted(standing(simulator))
    simulator.faults.add(Fault(kind="row", rows=("results",), row=4, field=field, raw=raw, path=LIST))
    await link.sync("companies")
    assert set(link.all(Account)) == set(by_id) - {by_id[4]}
    assert [(reject.id, reject.reason) for reject in link.rejects] == [(by_id[4], reason)]
    assert raw.encode("latin-1") in link.rejects[0].raw
    link.apply(await link.source.fetch(link.stream("companies"), [by_id[4]]))
    assert set(link.all(Account)) == set(by_id)


@pytest.mark.parametrize("raw", ["null", '"text"', BAD_UTF8, "{}"])
async def test_a_row_that_is_no_object(wired: tuple[Any, Any], raw: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="row", rows=("results",), row=2, raw=raw, path=LIST))
    await link.sync("companies")
    assert len(link.all(Account)) == len(standing(simulator)) - 1
    assert len(link.rejects) == 1


async def test_the_last_row_of_a_page_of_a_search_cannot_be_read(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    await link.sync("companies")
    simulator.clock.advance(3600)
    for id_ in standing(simulator):
        simulator.edit("companies", id_, name="Edited")
    simulator.faults.add(Fault(kind="row", rows=("results",), row=3, field="properties", raw="7", path=SEARCH))
    await link.sync("companies")
    assert len([account for account in link.all(Account).values() if account.name == "Edited"]) == len(standing(simulator)) - 1
    assert len(link.rejects) == 1
    simulator.clock.advance(3600)
    for id_ in standing(simulator):
        simulator.edit("companies", id_, name="Once more")
    simulator.faults.add(Fault(kind="row", rows=("results",), row=3, raw="null", path=SEARCH))
    with pytest.raises(FatalError, match="has no id"):
        await link.sync("companies")
    await link.sync("companies")
    assert {account.name for account in link.all(Account).values()} == {"Once more"}


async def test_an_owner_that_cannot_be_read_keeps_its_row(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="row", rows=("results",), row=1, field="createdAt", raw="7", path="/crm/owners/*"))
    await link.sync("owners")
    assert set(link.all(Person)) == {"owner:1", "owner:3"}
    assert [reject.id for reject in link.rejects] == ["owner:2"]


async def test_a_single_object_that_cannot_be_read(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    one, two = sorted(standing(simulator))[:2]
    simulator.faults.add(Fault(kind="row", rows=("results",), row=0, field="properties", raw="7", path="*/batch/read"))
    batch = await link.source.fetch(link.stream("companies"), [one, two])
    assert [reject.id for reject in batch.rejects] == [one]
    assert {record.id for record in batch.records} == {two}
    assert batch.deletions == []
    simulator.faults.add(Fault(kind="row", rows=("results",), row=0, raw="null", path="*/batch/read"))
    batch = await link.source.fetch(link.stream("companies"), [one, two])
    assert batch.deletions == []  # nobody knows whose row it was


async def test_something_else_than_json_stops_the_stream(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="content", skip=1, times=None))
    with pytest.raises(FatalError):
        await link.sync("companies")
    simulator.faults.clear()
    await link.sync("companies")
    assert set(link.all(Account)) == standing(simulator)


async def test_a_list_that_does_not_move_on(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="ignore", names=("after",), times=None, path=LIST))
    with pytest.raises(StuckCursorError):
        await link.sync("companies")


async def test_a_search_that_does_not_move_on(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    await link.sync("companies")
    simulator.clock.advance(3600)
    for id_ in standing(simulator):
        simulator.edit("companies", id_, name="Edited")
    low = sorted(standing(simulator))[3]
    simulator.faults.add(
        Fault(kind="row", rows=("results",), row=3, field="id", raw=f'"{low}"', path=SEARCH, skip=1, times=None)
    )
    with pytest.raises(StuckCursorError):
        await link.sync("companies")


async def test_an_archive_that_does_not_move_on(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    await link.sync("companies")
    for id_ in sorted(standing(simulator))[:7]:
        simulator.archive("companies", id_)
    simulator.faults.add(Fault(kind="ignore", names=("after",), times=None, path=LIST))
    with pytest.raises(StuckCursorError):
        await link.sync("companies")


async def test_a_revoked_token_and_one_that_was_rotated(wired: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="status", status=401, skip=1))
    with pytest.raises(CredentialsError) as caught:
        await link.sync("companies")
    assert simulator.token not in str(caught.value)
    assert len(link.all(Account)) == 5
    new = simulator.add_token("pat-na1-rotated")
    simulator.revoke(simulator.token)
    with pytest.raises(CredentialsError):
        await link.sync("companies")
    monkeypatch.setenv("HUBSPOT_TOKEN", new)
    await link.sync("companies")
    assert set(link.all(Account)) == standing(simulator)


@pytest.mark.parametrize("stream", ["companies", "feedback_submissions"])
async def test_a_missing_scope_is_named(simulate: Start, connector: Start, stream: str) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator, token=simulator.add_token("pat-narrow", ["crm.objects.contacts.read"]))
    with pytest.raises(CredentialsError) as caught:
        await link.sync(stream)
    assert caught.value.missing == (f"crm.objects.{stream}.read",)
    await link.sync("contacts")  # the others go on


async def test_the_limits_are_kept(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept_hubspot.reading.PAGE", 2)
    monkeypatch.setattr("wellkept_hubspot.reading.SEARCH_PAGE", 1)
    simulator = simulate(accounts=20, seed=4, rate_limit=40, search_limit=2)
    link = connector(simulator, requests_per_ten_seconds=40, searches_per_second=2)
    await link.sync("companies", "contacts")
    simulator.clock.advance(60)
    for id_ in standing(simulator):
        simulator.edit("companies", id_, name="Edited")
    await link.sync("companies")
    assert 429 not in {entry.status for entry in simulator.log.requests}
    assert len(simulator.log.matching(SEARCH, "POST")) > 10
    assert len(simulator.log.requests) > 60


async def test_a_search_limit_of_others_is_waited_for(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3, search_limit=1)
    link = connector(simulator, searches_per_second=4)
    await link.sync("companies", "contacts", "deals")
    start = simulator.clock.now()
    await link.sync("companies", "contacts", "deals")
    assert 429 in {entry.status for entry in simulator.log.requests}
    assert simulator.clock.now() - start < 10_000


async def test_the_days_quota_is_handed_on_and_holds_everybody(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3, daily_limit=2)
    link = connector(simulator)
    await link.sync("companies")
    simulator.clock.advance(1)
    start = simulator.clock.now()
    with pytest.raises(RetryableError) as caught:
        await link.sync("companies", "contacts", "deals")
    assert isinstance(caught.value, NotSentError)
    assert caught.value.retry_after == 3600
    assert "DAILY" in caught.value.message
    before = len(simulator.log.requests)
    with pytest.raises(NotSentError):
        await link.sync("owners")
    assert len(simulator.log.requests) == before  # nobody asks again so soon
    assert simulator.clock.now() - start < 60_000
