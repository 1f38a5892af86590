"""The simulator by itself: deterministic, faithful in what it refuses, and filled from the shared market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wellkept.testing import FakeClock
from wellkept.testing.world import World
from wellkept_hubspot.simulator import HubSpotSimulator

Start = Callable[..., Any]
OBJECTS = "/crm/objects/2026-03/companies"


@pytest.fixture
def call(simulate: Start) -> Callable[..., tuple[Any, Callable[..., httpx.Response]]]:
    def start(**options: Any) -> tuple[Any, Callable[..., httpx.Response]]:
        simulator = simulate(**options)
        headers = {"authorization": f"Bearer {simulator.token}"}

        def send(method: str, path: str, **more: Any) -> httpx.Response:
            return httpx.request(method, simulator.url + path, headers=headers, **more)

        return simulator, send

    return start


def search(**more: Any) -> dict[str, Any]:
    return {"filterGroups": [], "sorts": [], "properties": [], "limit": 10, "after": "0", **more}


def test_the_same_seed_gives_the_same_account() -> None:
    def content(seed: int) -> Any:
        simulator = HubSpotSimulator(accounts=30, seed=seed, clock=FakeClock())
        things = {
            type_: {id_: thing.properties for id_, thing in table.items()} for type_, table in simulator.state.things.items()
        }
        return things, dict(simulator.state.links), simulator.token, simulator.portal_id

    assert content(1) == content(1)
    assert content(1) != content(2)


def test_it_knows_what_the_markets_crm_knows() -> None:
    clock = FakeClock()
    world = World(accounts=80, seed=2, now=clock.now())
    simulator = HubSpotSimulator(world=world, clock=clock, seed=2)
    sightings = world.seen_by("crm")
    assert {sighting.ref for sighting in simulator.sightings.values()} == {sighting.ref for sighting in sightings}
    for id_, sighting in simulator.sightings.items():
        company = simulator.state.things["companies"][id_]
        assert company.here == (sighting.merged_into is None)
        assert company.properties["name"] == sighting.name
        assert company.properties.get("account_id") == (sighting.external_id or None)
    merged = [id_ for id_, sighting in simulator.sightings.items() if sighting.merged_into is not None]
    told = {
        id_
        for thing in simulator.state.standing("companies")
        for id_ in thing.properties.get("hs_merged_object_ids", "").split(";")
    }
    assert set(merged) <= told


def test_a_search_ends_where_hubspots_ends(call: Any) -> None:
    simulator, send = call(accounts=10, most_results=5)
    page = send("POST", f"{OBJECTS}/search", json=search(limit=3)).json()
    assert page["total"] == len(list(simulator.state.standing("companies")))
    assert page["paging"]["next"]["after"] == "3"
    page = send("POST", f"{OBJECTS}/search", json=search(limit=3, after="3")).json()
    assert len(page["results"]) == 2
    end = send("POST", f"{OBJECTS}/search", json=search(limit=3, after=page["paging"]["next"]["after"]))
    assert (end.status_code, end.json()["category"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "body",
    [
        search(limit=201),
        search(sorts=["name", "hs_object_id"]),
        search(filterGroups=[{"filters": [{"propertyName": "no_such", "operator": "EQ", "value": "1"}]}]),
        search(filterGroups=[{"filters": [{"propertyName": "numberofemployees", "operator": "GT", "value": "x"}]}]),
    ],
)
def test_searches_that_are_refused(call: Any, body: dict[str, Any]) -> None:
    simulator, send = call(accounts=2)
    simulator.edit("companies", next(simulator.state.standing("companies")).id, numberofemployees="5")
    assert send("POST", f"{OBJECTS}/search", json=body).status_code == 400


@pytest.mark.parametrize(
    ("operator", "rule", "expected"),
    [
        ("EQ", {"value": "B"}, "b"),
        ("NEQ", {"value": "b"}, "acd"),
        ("IN", {"values": ["a", "c"]}, "ac"),
        ("NOT_IN", {"values": ["a", "c"]}, "bd"),
        ("GT", {"value": "b"}, "c"),
        ("LTE", {"value": "b"}, "ab"),
        ("BETWEEN", {"value": "a", "highValue": "b"}, "ab"),
        ("CONTAINS_TOKEN", {"value": "*C*"}, "c"),
        ("NOT_CONTAINS_TOKEN", {"value": "c"}, "abd"),
        ("HAS_PROPERTY", {}, "abc"),
        ("NOT_HAS_PROPERTY", {}, "d"),
    ],
)
def test_operators_of_a_search(call: Any, operator: str, rule: dict[str, Any], expected: str) -> None:
    simulator, send = call()
    ids = {simulator.new_company(name, **({"industry": name} if name != "d" else {})): name for name in "abcd"}
    filters = [{"propertyName": "industry", "operator": operator, **rule}]
    answer = send("POST", f"{OBJECTS}/search", json=search(filterGroups=[{"filters": filters}])).json()
    assert sorted(ids[found["id"]] for found in answer["results"]) == list(expected)


def test_limits_are_told_and_kept(call: Any) -> None:
    simulator, send = call(accounts=1, rate_limit=3, daily_limit=5, search_limit=1)
    first = send("GET", OBJECTS)
    assert (first.headers["x-hubspot-ratelimit-remaining"], first.headers["x-hubspot-ratelimit-daily-remaining"]) == ("2", "4")
    found = send("POST", f"{OBJECTS}/search", json=search())
    assert "x-hubspot-ratelimit-remaining" not in found.headers
    assert send("POST", f"{OBJECTS}/search", json=search()).json()["policyName"] == "SECONDLY"
    assert send("GET", OBJECTS).status_code == 200
    assert send("GET", OBJECTS).json()["policyName"] == "TEN_SECONDLY_ROLLING"
    simulator.clock.advance(10)
    assert send("GET", OBJECTS).status_code == 200
    assert send("GET", OBJECTS).json()["policyName"] == "DAILY"
    simulator.clock.advance(86_400)
    assert send("GET", OBJECTS).status_code == 200


def test_one_bad_value_spoils_a_batch_and_a_lost_id_does_not(call: Any) -> None:
    simulator, send = call(accounts=3)
    one, two, *_ = (thing.id for thing in simulator.state.standing("companies"))
    inputs = [{"id": one, "properties": {"name": "New"}}, {"id": two, "properties": {"createdate": "2026-01-01"}}]
    answer = send("POST", f"{OBJECTS}/batch/update", json={"inputs": inputs})
    assert (answer.status_code, answer.json()["errors"][0]["context"]) == (400, {"propertyName": ["createdate"]})
    assert simulator.state.things["companies"][one].properties["name"] != "New"
    inputs[1] = {"id": "404", "properties": {"name": "New"}}
    answer = send("POST", f"{OBJECTS}/batch/update", json={"inputs": inputs})
    assert (answer.status_code, answer.json()["errors"][0]["context"]) == (207, {"ids": ["404"]})
    assert simulator.state.things["companies"][one].properties["name"] == "New"
    many = [{"id": one, "properties": {"name": "x"}}] * 101
    assert send("POST", f"{OBJECTS}/batch/update", json={"inputs": many}).status_code == 400


def test_a_merged_company_leads_to_the_one_that_stands(call: Any) -> None:
    simulator, send = call(accounts=3)
    one, two, *_ = (thing.id for thing in simulator.state.standing("companies"))
    merged = send("POST", f"{OBJECTS}/merge", json={"primaryObjectId": one, "objectIdToMerge": two})
    assert merged.status_code == 200
    assert send("GET", f"{OBJECTS}/{two}").json()["id"] == one
    assert two not in {found["id"] for found in send("GET", OBJECTS, params={"limit": 100}).json()["results"]}


def test_what_may_happen_can_be_asked_for(call: Any) -> None:
    simulator, send = call(accounts=2)
    answer = send("POST", "/_control/scenarios/new_company", json={"name": "Asked for"})
    assert simulator.state.things["companies"][answer.json()["result"]].properties["name"] == "Asked for"
    assert send("POST", "/_control/scenarios/webhook", json={"url": "x"}).status_code == 404


def test_bad_requests_are_refused(call: Any) -> None:
    simulator, send = call(accounts=1, spec=None)
    assert send("GET", "/crm/objects/2026-03/unicorns").status_code == 400
    assert send("GET", "/no/such/path").status_code == 404
    assert send("GET", OBJECTS, params={"limit": 101}).status_code == 400
    assert send("POST", f"{OBJECTS}/batch/read", content=b"{").status_code == 400
    assert send("POST", f"{OBJECTS}/batch/read", json={}).status_code == 400
    assert send("POST", "/crm/objects/2026-03/tasks", json={"properties": {}, "associations": []}).status_code == 400
    simulator.revoke(simulator.token)
    assert send("GET", OBJECTS).json()["category"] == "INVALID_AUTHENTICATION"
