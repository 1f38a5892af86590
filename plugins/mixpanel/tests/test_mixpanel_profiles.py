from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from wellkept.http import decode_rows
from wellkept.records import Account, Person
from wellkept.testing import FakeClock
from wellkept_mixpanel import mapping
from wellkept_mixpanel.wire import Profile, Verdict

Start = Callable[..., Any]
HOUR = 3600


async def test_users_and_groups(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator, external_id_property="account_id", domain_property="domain", test_property="is_test")
    simulator.project.groups[min(simulator.project.groups)]["is_test"] = True
    await link.sync("groups")
    await link.sync("users")
    sighting = simulator.sightings[1]
    account = link.all(Account)[simulator.project.group_id(sighting.ref)]
    assert (account.name, account.external_id, account.domains) == ("Company 1", "acct-0001", ["co1.example"])
    assert account.created_at == sighting.created_at
    assert account.extra == {"account_id": "acct-0001", "domain": "co1.example", "plan_seats": 3}
    assert [row.test for _, row in sorted(link.all(Account).items())] == [True, False, False, False]
    person = link.all(Person)[simulator.project.distinct_id("co-0001/2")]
    assert (person.name, person.email, person.account_ref) == ("Person 2", "p2@co1.example", account.id)
    assert (person.external_id, person.account_external_id, person.email_verified) == (None, None, False)
    assert len(link.all(Person)) == 12


async def test_ids_that_are_our_own(simulate: Start, connector: Start) -> None:
    link = connector(simulate(), group_id_is_account_id=True, distinct_id_is_user_id=True)
    await link.sync("groups")
    await link.sync("users")
    assert all(account.external_id == account.id for account in link.all(Account).values())
    assert all(
        (person.external_id, person.account_external_id) == (person.id, person.account_ref)
        for person in link.all(Person).values()
    )


async def test_accounts_from_users_where_groups_have_no_profiles(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator, data_group_id=None)
    assert [stream.name for stream in link.source.streams()] == ["users", "events"]
    await link.sync("users")
    assert set(link.all(Account)) == set(simulator.project.groups)
    assert all(account.name is None for account in link.all(Account).values())
    assert mapping.company("Acme Labs", link.ctx.config, 1).name == "Acme Labs"
    nobody = connector(simulator, data_group_id=None, group_key=None)
    await nobody.sync("users")
    assert nobody.all(Account) == {}
    assert {person.account_ref for person in nobody.all(Person).values()} == {None}


async def test_odd_profiles(simulate: Start, connector: Start) -> None:
    simulator = simulate(sightings=[])
    simulator.project.users = {
        "u-1": {"$first_name": "Ada", "$last_name": " Byron ", "company_id": 17, "$created": "2026-01-02T03:04:05"},
        "u-2": {"$name": 7, "$email": "", "company_id": ["b", "a", "b", None, True], "$created": "soon", "plan": "x" * 2000},
        "u-3": {"company_id": {"odd": 1}, "tags": ["a", 1], "nested": {"a": 1}, "deep": [["a"]], "nothing": None},
        "u-4": {"$created": "2026-01-02T03:04:05+02:00", "$timezone": "Asia/Shanghai"},
    }
    link = connector(simulator)
    await link.sync("users")
    one, two, three, four = (row for _, row in sorted(link.all(Person).items()))
    assert (one.name, one.account_ref, one.created_at) == ("Ada Byron", "17", 1_767_323_045_000)
    assert (two.name, two.email, two.account_ref, two.other_account_refs) == (None, None, "a", ["b"])
    assert (two.created_at, two.extra) == (None, {})
    assert (three.account_ref, three.extra) == (None, {"tags": ["a", 1]})
    assert (four.created_at, four.time_zone) == (1_767_315_845_000, "Asia/Shanghai")


async def test_the_wall_clock_of_an_old_project(simulate: Start, connector: Start) -> None:
    simulator = simulate(sightings=[], timezone="Europe/Berlin", created_before_2023=True)
    simulator.project.users = {"u-1": {"$created": "2026-01-02T03:04:05"}}
    link = connector(simulator)
    await link.sync("users")
    assert link.all(Person)["u-1"].created_at == 1_767_319_445_000


async def test_pages_and_what_is_gone(simulate: Start, connector: Start, clock: FakeClock) -> None:
    simulator = simulate(page_size=4)
    link = connector(simulator)
    await link.sync("users")
    pages = [entry.params.get("page") for entry in simulator.log.matching("/api/query/engage")]
    assert pages == [None, "1", "2", "3"]  # the last one is empty: twelve profiles make three full pages
    assert link.batches[-1].complete
    gone = min(simulator.project.users)
    del simulator.project.users[gone]
    simulator.log.clear()
    clock.advance(23 * HOUR)
    assert await link.sync("users") == 0
    assert not simulator.log.requests
    clock.advance(HOUR)
    await link.sync("users")
    assert link.expired == 1
    assert set(link.all(Person)) == set(simulator.project.users)


async def test_single_profiles(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator)
    await link.sync("groups")
    one, two, *_ = sorted(simulator.project.groups)
    simulator.project.groups[one]["$name"] = "Renamed"
    del simulator.project.groups[two]
    link.apply(await link.source.fetch(link.stream("groups"), [one, two, one]))
    assert link.all(Account)[one].name == "Renamed"
    assert two not in link.all(Account)
    user = min(simulator.project.users)
    found = await link.source.fetch(link.stream("users"), [user, "nobody"])
    assert [record.id for record in found.records] == [user]
    assert [(gone.record, gone.id) for gone in found.deletions] == [(Person, "nobody")]
    simulator.page_size = 5
    every = await link.source.fetch(link.stream("users"), sorted(simulator.project.users))
    assert ({record.id for record in every.records}, every.deletions) == (set(simulator.project.users), [])


async def test_what_a_read_costs(simulate: Start, connector: Start) -> None:
    simulator = simulate(page_size=5)
    link = connector(simulator, history_days=1826, window_days=7)
    events = await link.source.estimate(link.stream("events"), None)
    assert (events.calls, round(events.quota_share, 2), events.seconds) == (261, 4.35, 4 * 3600)
    assert not simulator.log.requests
    users = await link.source.estimate(link.stream("users"), None)
    assert (users.calls, users.quota_share) == (3, 0.05)
    await connector(simulator).sync("events")
    link.cursors["events"] = {"type": "events", "done": "2026-11-20", "at": "2026-11-20", "on": "2026-11-21"}
    assert (await link.source.estimate(link.stream("events"), link.cursors["events"])).calls == 0


def test_a_profile_may_have_no_properties_and_a_verdict_no_list() -> None:
    body = b'{"results": [{"$distinct_id": 4, "$properties": null}, {"$distinct_id": "a"}, {"$distinct_id": "b", "$x": 1}]}'
    found = decode_rows(body, Profile, path=("results",), id_field="$distinct_id")
    assert [profile.properties for profile, _ in found.rows] == [{}, {}, {}]
    verdict = msgspec.json.decode(
        b'{"code": 200, "status": "OK", "failed_records": null, "num_records_imported": 2}', type=Verdict
    )
    assert not verdict.failed_records
