"""Streams: full reads, changes, deletions, merges, windows, single objects, and searches without an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept import Window
from wellkept.records import Account, Person, SurveyResponse, Task
from wellkept_hubspot.records import HubSpotDeal, HubSpotObject

Start = Callable[..., Any]
KINDS = {
    "companies": Account,
    "contacts": Person,
    "deals": HubSpotDeal,
    "tasks": Task,
    "feedback_submissions": SurveyResponse,
}
DAY = 86_400


def standing(simulator: Any, type_: str) -> set[str]:
    return {thing.id for thing in simulator.state.standing(type_)}


def assert_complete(simulator: Any, link: Any) -> None:
    for stream, kind in KINDS.items():
        found = {id_ for id_ in link.all(kind) if not id_.startswith("owner:")}
        assert found == standing(simulator, stream), stream
    assert {id_ for id_ in link.all(Person) if id_.startswith("owner:")} == {
        f"owner:{id_}" for id_, owner in simulator.state.owners.items() if not owner["archived"]
    }


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept_hubspot.reading.PAGE", 7)
    monkeypatch.setattr("wellkept_hubspot.reading.SEARCH_PAGE", 3)


async def test_everything_then_what_changed(simulate: Start, connector: Start, small: None) -> None:
    simulator = simulate(accounts=25)
    link = connector(simulator)
    await link.sync()
    assert_complete(simulator, link)
    assert link.rejects == []
    lists = len(simulator.log.matching("/crm/objects/2026-03/companies", "GET"))
    assert lists >= 4
    simulator.clock.advance(DAY / 2)
    one, two, three, *_ = sorted(standing(simulator, "companies"))
    simulator.edit("companies", one, name="Renamed")
    simulator.archive("companies", two)
    simulator.merge_companies(one, three)
    new = simulator.new_company("Brand new", domain="brand.example")
    contact = simulator.new_contact(new, firstname="Nia", email="nia@brand.example")
    simulator.answer_survey(contact, "NPS", 9)
    simulator.clock.advance(60)
    before = len(simulator.log.requests)
    await link.sync()
    assert_complete(simulator, link)
    assert link.all(Account)[one].name == "Renamed"
    assert link.all(Person)[contact].account_ref == new
    assert len(simulator.log.requests) - before < 40
    assert len(simulator.log.matching("/crm/objects/2026-03/companies", "GET")) == lists + 1  # the archived ones
    for person in link.all(Person).values():
        assert person.account_ref not in {two, three} or person.account_ref is None or person.account_ref == two


async def test_a_kill_after_any_batch_loses_nothing(simulate: Start, connector: Start, small: None) -> None:
    simulator = simulate(accounts=10)
    link = connector(simulator)
    for _ in range(60):
        await link.sync("companies", "contacts", "tasks", batches=1)
    assert set(link.all(Account)) == standing(simulator, "companies")
    simulator.clock.advance(DAY / 4)
    for company in sorted(standing(simulator, "companies")):
        simulator.edit("companies", company, name="After")
    for _ in range(12):
        await link.sync("companies", batches=1)
    assert {account.name for account in link.all(Account).values()} == {"After"}
    whole = connector(simulator)
    await whole.sync("companies", "contacts", "tasks")
    assert {key: row for key, row in link.state().items() if key[0] == "account"} == {
        key: row for key, row in whole.state().items() if key[0] == "account"
    }


async def test_what_is_archived_meanwhile_or_long_ago(simulate: Start, connector: Start, small: None) -> None:
    simulator = simulate(accounts=6)
    link = connector(simulator)
    await link.sync("companies")
    one, two, *_ = sorted(link.all(Account))
    simulator.clock.advance(3600)
    simulator.archive("companies", one)
    await link.sync("companies")
    assert one not in link.all(Account)
    (deletion,) = [deletion for batch in link.batches for deletion in batch.deletions]
    assert (deletion.id, deletion.at) == (one, simulator.state.things["companies"][one].archived_at)
    for _ in range(3):
        simulator.clock.advance(3600)
        await link.sync("companies")
    assert link.batches[-1].deletions == []  # what is long gone is not told again
    simulator.restore("companies", one)
    link.apply(await link.source.fetch(link.stream("companies"), [one, two, "404"]))
    assert {one, two} <= link.all(Account).keys()
    assert link.batches[-1].deletions[0].id == "404"


async def test_a_merge_deletes_what_was_merged(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=6)
    link = connector(simulator)
    await link.sync("companies", "contacts")
    one, two, *_ = sorted(link.all(Account))
    moved = [person.id for person in link.all(Person).values() if person.account_ref == two]
    assert moved
    simulator.clock.advance(3600)
    simulator.merge_companies(one, two)
    await link.sync("companies", "contacts")
    assert two not in link.all(Account)
    assert {link.all(Person)[id_].account_ref for id_ in moved} == {one}
    link.apply(await link.source.fetch(link.stream("companies"), [two]))
    assert two not in link.all(Account)
    assert [record.id for record in link.batches[-1].records] == [one]


async def test_reconciliation_reads_everything_again(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=5)
    link = connector(simulator, reconcile_days=2)
    await link.sync("companies", "contacts")
    victim = min(link.all(Account))
    del simulator.state.things["companies"][victim]  # gone without a trace
    simulator.clock.advance(DAY)
    await link.sync("companies")
    assert victim in link.all(Account)
    simulator.clock.advance(2 * DAY)
    await link.sync("companies")
    assert link.expired == 1
    assert victim not in link.all(Account)


async def test_an_unknown_cursor_expires(simulate: Start, connector: Start) -> None:
    link = connector(simulate())
    link.cursors["companies"] = {"mode": "of old"}
    await link.sync("companies")
    assert link.expired == 1
    link.cursors["companies"] = {"mode": "changes", "since": "soon", "full": 0}
    await link.sync("companies")
    assert link.expired == 2


async def test_a_lagging_index_is_caught_by_the_lookback(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=4, lag=600_000)
    link = connector(simulator)
    await link.sync("companies")
    one = min(link.all(Account))
    simulator.clock.advance(3600)
    await link.sync("companies")
    simulator.clock.advance(10)
    simulator.edit("companies", one, name="Late")
    simulator.clock.advance(10)
    await link.sync("companies")
    assert link.all(Account)[one].name != "Late"
    simulator.clock.advance(700)
    await link.sync("companies")
    assert link.all(Account)[one].name == "Late"


async def test_a_stale_index_never_covers_a_newer_reading(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=4, lag=600_000)
    link = connector(simulator)
    await link.sync("companies")
    one = min(link.all(Account))
    simulator.clock.advance(3600)
    simulator.edit("companies", one, name="Middle")
    simulator.clock.advance(660)
    simulator.edit("companies", one, name="Newest")
    link.apply(await link.source.fetch(link.stream("companies"), [one]))
    await link.sync("companies")  # the index still has "Middle"
    assert any(record.name == "Middle" for batch in link.batches for record in batch.records)
    assert link.all(Account)[one].name == "Newest"


async def test_a_wrong_clock_of_ours_does_no_harm(simulate: Start, connector: Start) -> None:
    from wellkept.testing import FakeClock

    simulator = simulate(accounts=4)
    ahead = FakeClock(simulator.clock.now() + 5 * 3_600_000)
    link = connector(simulator, our_clock=ahead)
    await link.sync("companies")
    one = min(link.all(Account))
    simulator.clock.advance(5)
    simulator.edit("companies", one, name="Changed")
    simulator.clock.advance(5)
    await link.sync("companies")
    assert link.all(Account)[one].name == "Changed"


async def test_owners_come_and_go(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    await link.sync("owners", "companies")
    assert {person.name for person in link.all(Person).values()} == {"Ada Quist", "Bo Lindqvist", "Chen Mei"}
    assert all(person.roles == ["agent"] for person in link.all(Person).values())
    assert {account.owner_ref for account in link.all(Account).values()} <= set(link.all(Person))
    simulator.state.owners["2"]["archived"] = True
    await link.sync("owners")
    assert set(link.all(Person)) == {"owner:1", "owner:3"}
    batch = await link.source.fetch(link.stream("owners"), ["owner:3"])
    assert [record.id for record in batch.records] == ["owner:3"]


async def test_a_window(simulate: Start, connector: Start, small: None) -> None:
    simulator = simulate()
    link = connector(simulator)
    start = simulator.clock.now()
    made = []
    for _ in range(12):
        simulator.clock.advance(DAY)
        made.append((simulator.clock.now(), simulator.new_company("One")))
    window = Window(start=start + 3 * DAY * 1000, end=start + 9 * DAY * 1000)
    await link.sync("companies", window=window)
    assert set(link.all(Account)) == {id_ for at, id_ in made if window.start <= at < window.end}
    assert await link.sync("companies", window=window) == 0


async def test_custom_objects_and_fields(simulate: Start, connector: Start) -> None:
    from wellkept.records import Subscription

    simulator = simulate(accounts=3)
    state = simulator.state
    state.add_type("p1_contract", "2-77")
    for name, kind in {"title": "string", "state": "string", "monthly": "number", "seats": "number", "starts": "date"}.items():
        state.define("p1_contract", name, kind)
    state.define("p1_contract", "hs_object_id", "number")
    state.define("p1_contract", "hs_lastmodifieddate", "datetime")
    state.define("p1_contract", "hs_createdate", "datetime")
    state.define("companies", "tier")
    state.define("companies", "seats", "number")
    company = next(state.standing("companies"))
    state.touch(company, {"tier": "gold", "seats": "40"})
    values = {"title": "Frame", "state": "active", "monthly": "120.50", "seats": "7", "starts": "2026-01-31"}
    good = state.create("p1_contract", values)
    bad = state.create("p1_contract", {**values, "monthly": "a lot"})
    state.link(good, company)
    fields = {"status": "state", "mrr": "monthly", "quantity": "seats", "started_at": "starts"}
    link = connector(
        simulator,
        fields={"companies": {"segment": "tier", "seats_bought": "seats"}},
        extra={"companies": ["tier"]},
        objects={
            "contracts": {
                "object_type": "2-77",
                "record": "subscription",
                "fields": fields,
                "values": {"currency": "USD"},
                "extra": ["title"],
            },
            "papers": {"object_type": "p1_contract", "fields": {"name": "title"}, "extra": ["monthly"]},
        },
    )
    await link.sync("companies", "contracts", "papers")
    account = link.all(Account)[company.id]
    assert (account.segment, account.seats_bought, account.extra["tier"]) == ("gold", 40, "gold")
    subscription = link.all(Subscription)[good.id]
    assert (subscription.status, subscription.mrr, subscription.currency, subscription.quantity) == ("active", 12_050, "usd", 7)
    assert subscription.started_at == 1_769_817_600_000
    assert subscription.account_ref == company.id
    assert subscription.extra == {"title": "Frame"}
    assert [(reject.id, reject.reason) for reject in link.rejects] == [(bad.id, "mrr is no amount of USD")]
    paper = link.all(HubSpotObject)[good.id]
    assert (paper.kind, paper.name, paper.account_ref, paper.extra) == ("papers", "Frame", company.id, {"monthly": "120.50"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_search_ends_too_early(simulate: Start, connector: Start, data: st.DataObject) -> None:
    """Any number of objects share any times of change, with edits meanwhile: nothing is lost, and nothing comes twice."""
    patch = pytest.MonkeyPatch()
    patch.setattr("wellkept_hubspot.reading.SEARCH_PAGE", 3)
    simulator = simulate(most_results=6, spec=None)
    link = connector(simulator)
    await link.sync("companies")
    simulator.clock.advance(3600)
    times = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=25), label="times of change")
    start = simulator.clock.now()
    expected = {simulator.state.create("companies", {"name": "first"}, at=start + time).id for time in times}
    simulator.clock.advance(60)
    edits = data.draw(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(sorted(expected))), max_size=4), label="edits")
    batches = 0
    reading = link.source.read(_request(link))
    came: list[str] = []
    async for batch in reading:
        link.apply(batch)
        came += [record.id for record in batch.records]
        if batch.cursor is not None:
            link.cursors["companies"] = batch.cursor
        for when, id_ in edits:
            if when == batches:
                simulator.clock.advance(1)
                simulator.edit("companies", id_, name="edited")
        batches += 1
    assert sorted(came) == sorted(expected)
    simulator.clock.advance(1)
    await link.sync("companies")
    stored = {id_: account.name for id_, account in link.all(Account).items()}
    done = {id_ for when, id_ in edits if when < batches}
    assert stored == {id_: "edited" if id_ in done else "first" for id_ in expected}
    patch.undo()


def _request(link: Any) -> Any:
    from wellkept import ReadRequest

    return ReadRequest(stream=link.stream("companies"), cursor=link.cursors["companies"])


async def test_paging_by_position_would_end(simulate: Start, connector: Start) -> None:
    """The simulator has the end that the test above is about."""
    simulator = simulate(accounts=4, most_results=2)
    link = connector(simulator)
    api = link.source._api
    body = {"filterGroups": [], "sorts": ["hs_lastmodifieddate"], "properties": [], "limit": 2, "after": "2"}
    from wellkept.http import StatusError

    with pytest.raises(StatusError, match="HTTP 400"):
        await api.client.post("/crm/objects/2026-03/companies/search", json=body)


async def test_an_estimate(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=120)
    link = connector(simulator)
    assert (await link.source.estimate(link.stream("companies"), None)).calls == 2
    assert (await link.source.estimate(link.stream("owners"), None)).calls == 1
    await link.sync("contacts")
    estimate = await link.source.estimate(link.stream("contacts"), link.cursors["contacts"])
    assert estimate.calls == 3
    assert 0 < estimate.seconds < 2
    assert estimate.quota_share == 3 / 650_000
