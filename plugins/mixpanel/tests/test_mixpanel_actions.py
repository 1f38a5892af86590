from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from wellkept import StateDelivery, Target
from wellkept.errors import CredentialsError
from wellkept.testing import Fault
from wellkept_mixpanel.actions import PushGroupProperties, PushUserProperties, pushing

Start = Callable[..., Any]


@pytest.fixture
async def wired(simulate: Start, connector: Start) -> tuple[Any, Any, Any]:
    simulator = simulate(sightings=None, accounts=130)
    link = connector(simulator)
    (action,) = pushing(link.ctx)
    return simulator, link, action


def deliveries(link: Any, type_: str, fields: Mapping[str, Mapping[str, Any]]) -> list[StateDelivery]:
    return [
        StateDelivery(key=f"k/{id_}", target=Target(instance=link.ctx.instance, type=type_, id=id_), fields=values)
        for id_, values in fields.items()
    ]


async def test_group_properties_are_set_in_one_request(wired: tuple[Any, Any, Any]) -> None:
    simulator, link, action = wired
    assert isinstance(action, PushGroupProperties)
    groups = sorted(simulator.project.groups)[:100]
    assert action.max_batch == len(groups) == 100
    names = [simulator.project.groups[group]["$name"] for group in groups]
    wanted = {group: {"wellkept_health": number, "wellkept_band": "red"} for number, group in enumerate(groups)}
    outcomes = await action.deliver(deliveries(link, "account", wanted))
    assert [(outcome.status, outcome.ref) for outcome in outcomes] == [("done", group) for group in groups]
    assert [simulator.project.groups[group]["wellkept_health"] for group in groups] == list(range(100))
    assert [simulator.project.groups[group]["$name"] for group in groups] == names
    (entry,) = simulator.log.matching("/groups")
    assert len(entry.params["body"]) == 100
    assert (entry.params["strict"], entry.params["ip"]) == ("1", "0")


async def test_values_are_cleared(wired: tuple[Any, Any, Any]) -> None:
    simulator, link, action = wired
    group = min(simulator.project.groups)
    await action.deliver(deliveries(link, "account", {group: {"a": 1, "b": "x", "c": True, "d": 1.5}}))
    outcomes = await action.deliver(deliveries(link, "account", {group: {"a": None, "b": "y"}}))
    assert [outcome.status for outcome in outcomes] == ["done"]
    target = Target(instance=link.ctx.instance, type="account", id=group)
    assert await action.read([target], ["a", "b", "c", "d"]) == [{"a": None, "b": "y", "c": True, "d": 1.5}]
    assert len(simulator.log.matching("/groups")[-1].params["body"]) == 2


async def test_a_group_without_a_profile_gets_one(wired: tuple[Any, Any, Any]) -> None:
    _, link, action = wired
    target = Target(instance=link.ctx.instance, type="account", id="bare")
    assert await action.read([target], ["wellkept_health"]) == [{"wellkept_health": None}]
    (outcome,) = await action.deliver(deliveries(link, "account", {"bare": {"wellkept_health": 71}}))
    assert outcome.status == "done"
    assert await action.read([target], ["wellkept_health"]) == [{"wellkept_health": 71}]


async def test_user_properties(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator, push_to="user", data_group_id=None)
    (action,) = pushing(link.ctx)
    assert isinstance(action, PushUserProperties)
    assert action.target_types == ("person",)
    user = min(simulator.project.users)
    outcomes = await action.deliver(deliveries(link, "person", {user: {"wellkept_health": 71}}))
    assert outcomes[0].status == "done"
    assert simulator.project.users[user]["wellkept_health"] == 71
    targets = [Target(instance=link.ctx.instance, type="person", id=id_) for id_ in (user, "nobody")]
    assert await action.read(targets, ["wellkept_health", "x"]) == [{"wellkept_health": 71, "x": None}, None]


async def test_present_values_cost_one_call(wired: tuple[Any, Any, Any]) -> None:
    simulator, link, action = wired
    groups = sorted(simulator.project.groups)
    targets = [Target(instance=link.ctx.instance, type="account", id=group) for group in groups]
    found = await action.read(targets, ["$name", "nothing"])
    assert [values["$name"] for values in found] == [simulator.project.groups[group]["$name"] for group in groups]
    assert len(simulator.log.requests) == 1


async def test_rows_are_refused_one_by_one(wired: tuple[Any, Any, Any]) -> None:
    simulator, link, action = wired
    one, two, three, *_ = sorted(simulator.project.groups)
    simulator.refused_ids[two] = "'$set' is invalid"
    values = {"health": 1, "note": "x" * 256, "n" * 256: 1, "": 2, "umlaut": "ü" * 128}
    outcomes = await action.deliver(deliveries(link, "account", {one: {"health": 1}, two: {"health": 2}, three: values}))
    assert [outcome.status for outcome in outcomes] == ["done", "rejected", "rejected"]
    assert outcomes[1].fields == {"health": "Mixpanel refuses it: '$set' is invalid ($set)"}
    assert set(outcomes[2].fields) == {"note", "n" * 256, "", "umlaut"}
    assert outcomes[2].fields["note"] == "a property's text has up to 255 bytes, not 256"
    assert simulator.project.groups[three]["health"] == 1
    assert "health" not in simulator.project.groups[two]


async def test_a_batch_that_is_refused_as_a_whole_is_cut_until_it_shows_which_row(wired: tuple[Any, Any, Any]) -> None:
    simulator, link, action = wired
    groups = sorted(simulator.project.groups)[:8]
    bad = groups[5]
    simulator.refused_ids[bad] = "is invalid"
    real = simulator._serve_updates

    async def vague(request: Any, body: bytes) -> Any:
        answer = await real(request, body)
        return simulator.error(400, "bad data") if answer.status == 400 else answer

    simulator._serve_updates = vague
    simulator.spec = None
    outcomes = await action.deliver(deliveries(link, "account", {group: {"health": 1} for group in groups}))
    assert [outcome.status for outcome in outcomes] == ["done"] * 5 + ["rejected"] + ["done"] * 2
    assert outcomes[5].fields == {"health": "Mixpanel refuses it (HTTP 400)"}
    assert [group for group in groups if "health" in simulator.project.groups[group]] == [g for g in groups if g != bad]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"1", "text/plain", "done"),
        (b'{"status": 1, "error": null}', "application/json", "done"),
        (b"0", "text/plain", "rejected"),
        (b'{"status": 0, "error": "data, missing or empty"}', "application/json", "rejected"),
        (b"<html>", "text/html", "unknown"),
        (b"{}", "application/json", "rejected"),
    ],
)
async def test_answers_of_other_kinds(wired: tuple[Any, Any, Any], body: bytes, kind: str, status: str) -> None:
    simulator, link, action = wired

    async def answer(request: Any, sent: bytes) -> Any:
        return simulator.error(200)._replace(body=body, headers={"content-type": kind})

    simulator._serve_updates = answer
    simulator.spec = None
    (outcome,) = await action.deliver(deliveries(link, "account", {"g-1": {"health": 1}}))
    assert outcome.status == status


@pytest.mark.parametrize(
    ("fault", "status", "arrived"),
    [
        (Fault(kind="status", status=429, retry_after=7), "retry", False),
        (Fault(kind="status", status=500), "unknown", False),
        (Fault(kind="status", status=503, when="after"), "unknown", True),
        (Fault(kind="drop", when="after"), "unknown", True),
        (Fault(kind="drop"), "unknown", False),
        (Fault(kind="truncate"), "unknown", True),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
async def test_faults(wired: tuple[Any, Any, Any], fault: Fault, status: str, arrived: bool) -> None:
    """A write is never repeated here; sending it again later does no harm."""
    simulator, link, action = wired
    group = min(simulator.project.groups)
    simulator.faults.add(fault)
    one = deliveries(link, "account", {group: {"health": 5}})
    (outcome,) = await action.deliver(one)
    assert outcome.status == status
    assert outcome.retry_after == fault.retry_after
    assert len(simulator.log.matching("/groups")) == 1
    assert ("health" in simulator.project.groups[group]) is arrived
    (again,) = await action.deliver(one)
    assert again.status == "done"
    assert simulator.project.groups[group]["health"] == 5


async def test_a_refused_token(wired: tuple[Any, Any, Any]) -> None:
    simulator, link, action = wired
    simulator.faults.add(Fault(kind="status", status=401))
    with pytest.raises(CredentialsError) as caught:
        await action.deliver(deliveries(link, "account", {"g-1": {"health": 5}}))
    assert "refuses the project's token" in str(caught.value)
    assert simulator.token not in str(caught.value)


async def test_the_token_of_another_project_changes_nothing_here(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator, token_value="0" * 32)
    (action,) = pushing(link.ctx)
    group = min(simulator.project.groups)
    await action.deliver(deliveries(link, "account", {group: {"health": 5}}))
    assert "health" not in simulator.project.groups[group]


def test_values_as_mixpanel_gives_them_back(connector: Start, simulate: Start) -> None:
    (action,) = pushing(connector(simulate()).ctx)
    assert [action.normalise("f", value) for value in (72.0, 71.5, "", "x", True, None)] == [72, 71.5, None, "x", True, None]
    assert type(action.normalise("f", 72.0)) is int


def test_nothing_can_be_written_without_a_token_or_groups(connector: Start, simulate: Start) -> None:
    simulator = simulate()
    assert pushing(connector(simulator, token=None).ctx) == []
    assert pushing(connector(simulator, data_group_id=None).ctx) == []
