"""What is read, and how reading goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept.records import Account, Person, SurveyResponse, Ticket

Start = Callable[..., Any]
DAY = 86_400


def living(simulator: Any, kind: str) -> set[str]:
    """The ids of what is there and counts, as the simulator has it."""
    rows = simulator.state.all(kind)
    keep = {
        "organization": lambda row: row["deleted_at"] is None,
        "user": lambda row: row["active"],
        "ticket": lambda row: row["status"] != "deleted" and "closed_by_merge" not in row["tags"],
        "satisfaction_rating": lambda row: row["score"] in {"good", "bad"},
    }[kind]
    return {str(row["id"]) for row in rows if keep(row)}


KINDS = {Account: "organization", Person: "user", Ticket: "ticket", SurveyResponse: "satisfaction_rating"}


def assert_complete(link: Any) -> None:
    for type_, kind in KINDS.items():
        assert set(link.all(type_)) == living(link.simulator, kind), kind


async def test_everything_is_read_and_nothing_is_read_twice(simulate: Start, connector: Start) -> None:
    link = connector(simulate(12))
    await link.sync()
    assert_complete(link)
    assert len(link.all(Ticket)) > 30
    before = len(link.simulator.log.requests)
    link.clock.advance(3600)
    count = await link.sync("users", "tickets")
    assert count == 0
    assert len(link.simulator.log.requests) == before + 2 + 1, "one export each, and a refreshed token"


@pytest.mark.parametrize("stream", ["organizations", "users", "tickets", "satisfaction_ratings", "deleted_tickets"])
async def test_reading_goes_on_from_every_cursor(
    simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """Stopped after each batch in turn, as by a kill, a read ends with the same rows."""
    monkeypatch.setattr("wellkept_zendesk.reading.EXPORT_PAGE", 5)
    monkeypatch.setattr("wellkept_zendesk.reading.PAGE", 5)
    simulator = simulate(12, export_limit=1000)
    for ticket in sorted(int(id_) for id_ in living(simulator, "ticket"))[:20]:
        simulator.delete_ticket(ticket)
    simulator.clock.advance(DAY)
    whole = connector(simulator)
    parts = connector(simulator, tokens=whole.tokens)
    await whole.sync(stream)
    assert len(whole.batches) > 2
    for _ in range(len(whole.batches) + 1):
        await parts.sync(stream, batches=1)
    assert parts.rows == whole.rows
    assert parts.gone == whole.gone
    assert len(parts.batches) == len(whole.batches) + 1


async def test_later_changes(simulate: Start, connector: Start) -> None:
    simulator = simulate(4)
    link = connector(simulator)
    await link.sync()
    clock = simulator.clock
    organization, user = min(living(simulator, "organization")), min(living(simulator, "user"))
    clock.advance(300)
    simulator.rename(int(organization), "Renamed AG")
    ticket = simulator.new_ticket(int(user), "New question")
    clock.advance(30)
    await link.sync()
    assert str(ticket) not in link.all(Ticket), "exports leave out the last minute"
    clock.advance(300)
    await link.sync()
    assert link.all(Account)[organization].name == "Renamed AG"
    assert link.all(Ticket)[str(ticket)].status == "open"
    assert_complete(link)


async def test_many_rows_of_one_second_do_not_hold_up_the_time_export(
    simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wellkept_zendesk.reading.EXPORT_PAGE", 5)
    simulator = simulate(3)
    simulator.clock.advance(600)
    for number in range(12):
        simulator.new_organization(f"Imported {number}")
    simulator.clock.advance(600)
    simulator.new_organization("Last")
    simulator.clock.advance(600)
    link = connector(simulator)
    await link.sync("organizations")
    assert set(link.all(Account)) == living(simulator, "organization")


async def test_merged_spam_and_deleted_tickets_do_not_count(simulate: Start, connector: Start) -> None:
    simulator = simulate(1, tickets=False)
    user = int(min(str(row["id"]) for row in simulator.state.all("user") if row["organization_id"]))
    merged, target, spam, deleted, kept = (simulator.new_ticket(user, f"Question {number}") for number in range(5))
    link = connector(simulator)
    simulator.clock.advance(600)
    await link.sync("tickets")
    assert len(link.all(Ticket)) == 5
    simulator.merge_tickets(merged, target)
    simulator.mark_as_spam(spam)
    simulator.delete_ticket(deleted)
    simulator.clock.advance(600)
    await link.sync("tickets", "deleted_tickets")
    assert set(link.all(Ticket)) == {str(target), str(kept)}
    simulator.restore_ticket(deleted)
    simulator.clock.advance(600)
    await link.sync("tickets", "deleted_tickets")
    assert set(link.all(Ticket)) == {str(target), str(kept), str(deleted)}, "the bin of yesterday does not delete it again"


async def test_the_bin_tells_of_what_the_export_no_longer_shows(simulate: Start, connector: Start) -> None:
    simulator = simulate(1, tickets=False)
    user = next(row["id"] for row in simulator.state.all("user") if row["organization_id"])
    ticket = simulator.new_ticket(user, "Question")
    link = connector(simulator)
    simulator.clock.advance(600)
    await link.sync("tickets")
    simulator.delete_ticket(ticket)
    await link.sync("deleted_tickets")
    assert link.all(Ticket) == {}


async def test_an_offer_without_an_answer_is_not_bad(simulate: Start, connector: Start) -> None:
    simulator = simulate(1, tickets=False)
    user = next(row["id"] for row in simulator.state.all("user") if row["organization_id"])
    tickets = [simulator.new_ticket(user, f"Question {number}") for number in range(3)]
    for ticket in tickets:
        simulator.rate(ticket, "offered")
    link = connector(simulator)
    simulator.clock.advance(DAY)
    await link.sync("satisfaction_ratings")
    assert link.all(SurveyResponse) == {}
    simulator.clock.advance(5 * DAY)  # the list is dated by the offer, which the last read has seen
    bad = simulator.rate(tickets[0], "bad", "We will cancel our subscription")
    good = simulator.rate(tickets[1], "good")
    await link.sync("satisfaction_ratings")
    found = link.all(SurveyResponse)
    assert {id_: (row.score, row.scale_min, row.scale_max, row.kind) for id_, row in found.items()} == {
        str(bad): (0.0, 0.0, 1.0, "csat"),
        str(good): (1.0, 0.0, 1.0, "csat"),
    }
    assert (found[str(bad)].churn_intent, found[str(good)].churn_intent) == (True, False)
    assert found[str(bad)].person_ref == str(user)


async def test_an_organization_that_was_merged(simulate: Start, connector: Start) -> None:
    simulator = simulate(3)
    link = connector(simulator)
    await link.sync()
    loser, winner, other = sorted(link.all(Account))
    simulator.clock.advance(600)
    simulator.merge_organizations(int(loser), int(winner))
    simulator.clock.advance(600)
    await link.sync()
    assert_complete(link)
    assert link.all(Account)[winner].merged_ids == [loser]
    assert {record.account_ref for record in link.all(Ticket).values()} <= {winner, other}
    simulator.rename(int(winner), "Renamed")
    simulator.clock.advance(600)
    await link.sync("organizations")
    assert (link.all(Account)[winner].name, link.all(Account)[winner].merged_ids) == ("Renamed", [loser])


async def test_single_objects(simulate: Start, connector: Start) -> None:
    simulator = simulate(4)
    link = connector(simulator)
    await link.sync()
    everything = dict(link.rows)
    for stream, type_ in (
        ("organizations", Account),
        ("users", Person),
        ("tickets", Ticket),
        ("satisfaction_ratings", SurveyResponse),
    ):
        ids = sorted(link.all(type_))
        batch = await link.source.fetch(link.stream(stream), [*ids, "999", "no-id"])
        assert {record.id for record in batch.records if type(record) is type_} == set(ids)
        assert {(item.record, item.id) for item in batch.deletions} == {(type_, "999"), (type_, "no-id")}
        assert batch.cursor is None
        link.apply(batch)
    assert link.rows == everything


async def test_single_objects_that_are_gone(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator)
    await link.sync()
    ticket, user = min(link.all(Ticket), key=int), min(link.all(Person), key=int)
    simulator.clock.advance(600)
    simulator.delete_ticket(int(ticket))
    simulator.state.touch("user", simulator.state.get("user", int(user)), {"active": False})
    link.apply(await link.source.fetch(link.stream("tickets"), [ticket]))
    link.apply(await link.source.fetch(link.stream("users"), [user]))
    assert ticket not in link.all(Ticket)
    assert user not in link.all(Person)


async def test_a_cursor_that_is_not_understood(simulate: Start, connector: Start) -> None:
    link = connector(simulate(2))
    await link.sync("tickets")
    link.cursors["tickets"] = {"mode": "after", "cursor": "bm9uc2Vuc2U="}
    await link.sync("tickets")
    assert link.expired == 1
    link.cursors["tickets"] = {"page": 3}
    await link.sync("tickets")
    assert link.expired == 2


async def test_what_a_first_read_costs(simulate: Start, connector: Start) -> None:
    simulator = simulate(12)
    link = connector(simulator)
    estimate = await link.source.estimate(link.stream("tickets"), None)
    assert (estimate.calls, estimate.seconds) == (1, 6.0)
    assert (await link.source.estimate(link.stream("tickets"), {"mode": "after", "cursor": "x"})).calls is None
    assert (await link.source.estimate(link.stream("deleted_tickets"), None)).calls is None
    await link.sync("tickets")


async def test_exports_are_asked_for_ten_times_a_minute(
    simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wellkept_zendesk.reading.EXPORT_PAGE", 2)
    simulator = simulate(16)
    link = connector(simulator)
    await link.sync("tickets", "users")
    exports = simulator.log.matching("/api/v2/incremental/*")
    assert {entry.status for entry in exports} == {200}
    assert len(exports) > 25
    for first, eleventh in zip(exports, exports[10:], strict=False):
        assert eleventh.at - first.at >= 60_000


async def test_only_the_streams_that_are_wanted(simulate: Start, connector: Start) -> None:
    link = connector(simulate(2), streams=["users", "deleted_tickets"])
    assert [(stream.name, stream.depends_on) for stream in link.source.streams()] == [("users", ()), ("deleted_tickets", ())]
    assert "tickets (tickets:read)" not in {finding.name for finding in (await link.source.check()).findings}
