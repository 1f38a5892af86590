"""What is written: organization fields, priorities, tags, assignments and notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import Delivery, StateDelivery, Target, TicketNote
from wellkept.errors import CredentialsError, FatalError
from wellkept.testing import Fault
from wellkept_zendesk.actions import PushFields
from wellkept_zendesk.fields import canonical
from wellkept_zendesk.simulator.companies import add_field
from wellkept_zendesk.tickets import AddTags, Assign, RaisePriority, WriteNote

Start = Callable[..., Any]


def target(id_: object, type_: str = "ticket") -> Target:
    return Target(instance="zendesk", type=type_, id=str(id_))


def put(id_: object, type_: str = "ticket", *, restores: bool = False, **fields: Any) -> StateDelivery:
    return StateDelivery(key=f"key/{id_}", target=target(id_, type_), fields=fields, restores=restores)


def note(id_: object, text: str = "Look at this", key: str = "wk-1", type_: str = "ticket") -> Delivery[TicketNote]:
    return Delivery(
        key=f"playbooks/rule/{key}",
        idempotency_key=key,
        payload=TicketNote(text=text),
        target=target(id_, type_),
        account="acct",
        attempt=1,
        first_sent_at=0,
        sent_at=0,
    )


@pytest.fixture
def desk(simulate: Start, connector: Start) -> tuple[Any, Any]:
    simulator = simulate(12, tickets=False)
    return simulator, connector(simulator)


def ticket(simulator: Any, **more: Any) -> dict[str, Any]:
    user = next(row["id"] for row in simulator.state.all("user") if row["organization_id"])
    found: dict[str, Any] = simulator.state.get("ticket", simulator.new_ticket(user, "Question", **more))
    return found


def organizations(simulator: Any) -> list[dict[str, Any]]:
    return list(simulator.state.tables["organization"].values())


# --- organization fields ---


async def test_a_field_is_made_when_it_is_first_used(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    one = organizations(simulator)[0]
    action = PushFields(link.ctx)
    values = {"health": 72, "health_band": "red", "at_risk": True, "renews_on": "2027-01-31", "mrr": "1234.50"}
    [outcome] = await action.deliver([put(one["id"], "account", **values)])
    assert outcome.status == "done"
    assert one["organization_fields"] == values
    kinds = {row["key"]: row["type"] for row in simulator.state.all("organization_field")}
    assert kinds == {"health": "decimal", "health_band": "text", "at_risk": "checkbox", "renews_on": "date", "mrr": "text"}
    [outcome] = await action.deliver([put(one["id"], "account", health=71.5)])
    assert outcome.status == "done", "a score that was whole on its first day is not always whole"
    assert len(simulator.log.matching("/api/v2/organization_fields", "POST")) == 5


async def test_a_field_that_is_only_cleared_is_not_made(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    [outcome] = await PushFields(link.ctx).deliver([put(organizations(simulator)[0]["id"], "account", health=None)])
    assert outcome.status == "done"
    assert simulator.state.all("organization_field") == []


async def test_a_field_that_somebody_else_makes_meanwhile_is_used(desk: tuple[Any, Any]) -> None:
    """Two processes see that it is missing; the second one's try is refused, and the field is there all the same."""
    simulator, link = desk
    vendor = simulator._vendor

    async def quicker(scope: Any, body: bytes) -> Any:
        answer = await vendor(scope, body)
        looked = (scope["method"], scope["path"]) == ("GET", "/api/v2/organization_fields")
        if looked and not simulator.state.all("organization_field"):
            add_field(simulator.state, "health", "decimal")
        return answer

    simulator._vendor = quicker
    one = organizations(simulator)[0]
    [outcome] = await PushFields(link.ctx).deliver([put(one["id"], "account", health=72)])
    assert (outcome.status, one["organization_fields"]) == ("done", {"health": 72})


async def test_what_cannot_be_understood_is_not_taken_for_gone(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row, one = ticket(simulator), organizations(simulator)[0]
    for rows in ("tickets", "organizations"):
        simulator.faults.add(
            Fault(kind="row", rows=(rows,), field="id", raw='"x"', path=f"/api/v2/{rows}/show_many", times=None)
        )
    for action, item in ((RaisePriority(link.ctx), target(row["id"])), (PushFields(link.ctx), target(one["id"], "account"))):
        with pytest.raises(FatalError):
            await action.read([item], ["priority"])
    with pytest.raises(FatalError):
        await RaisePriority(link.ctx).deliver([put(row["id"], priority="high")])
    assert row["priority"] is None


async def test_other_fields_stay(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    simulator.state.add("organization_field", {"key": "owner", "type": "text", "title": "Owner"})
    one = organizations(simulator)[0]
    one["organization_fields"]["owner"] = "Kim"
    await PushFields(link.ctx).deliver([put(one["id"], "account", health=72)])
    assert one["organization_fields"] == {"owner": "Kim", "health": 72}


@pytest.mark.parametrize("count", [2, 12])
async def test_rows_succeed_and_fail_one_by_one(desk: tuple[Any, Any], count: int) -> None:
    """Few are set one by one, many by a job; either way a row that is refused costs only itself."""
    simulator, link = desk
    rows = organizations(simulator)[:count]
    rows[1]["deleted_at"] = "2026-11-20T00:00:00Z"
    outcomes = await PushFields(link.ctx).deliver([put(row["id"], "account", health=50 + n) for n, row in enumerate(rows)])
    assert [outcome.status for outcome in outcomes] == ["rejected" if n == 1 else "done" for n in range(count)]
    assert outcomes[1].reason == "the organization is gone"
    assert [row["organization_fields"]["health"] for n, row in enumerate(rows) if n != 1] == [
        50 + n for n in range(count) if n != 1
    ]
    assert bool(simulator.log.matching("/api/v2/organizations/update_many")) is (count == 12)


async def test_a_value_that_does_not_fit_costs_only_its_field(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    options = {"custom_field_options": [{"value": "red"}, {"value": "green"}]}
    for key, kind, more in (("score", "integer", {}), ("band", "dropdown", options), ("since", "date", {})):
        simulator.state.add("organization_field", {"key": key, "type": kind, "title": key, **more})
    one = organizations(simulator)[0]
    [outcome] = await PushFields(link.ctx).deliver(
        [put(one["id"], "account", score=71.5, band="purple", since="soon", health=60, **{"bad key": 1})]
    )
    assert outcome.status == "rejected"
    assert set(outcome.fields) == {"score", "band", "since", "bad key"}
    assert one["organization_fields"]["health"] == 60
    [outcome] = await PushFields(link.ctx).deliver([put(one["id"], "account", score=71.0, band="red", since="2026-01-01")])
    assert outcome.status == "done"
    assert one["organization_fields"]["score"] == 71


async def test_a_job_that_does_not_end(desk: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, link = desk
    monkeypatch.setattr("wellkept_zendesk.simulator.support.work_off", lambda *_: None)
    outcomes = await PushFields(link.ctx).deliver([put(row["id"], "account", health=1) for row in organizations(simulator)])
    assert {outcome.status for outcome in outcomes} == {"unknown"}


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(kind="status", status=429, retry_after=7, method="PUT", times=None), "retry"),
        (Fault(kind="status", status=503, method="PUT", times=None), "unknown"),
        (Fault(kind="drop", method="PUT", when="after", times=None), "unknown"),
        (Fault(kind="status", status=422, method="PUT", times=None), "rejected"),
    ],
    ids=["429", "503", "dropped", "422"],
)
async def test_what_a_fault_of_a_write_means(desk: tuple[Any, Any], fault: Fault, status: str, count: int) -> None:
    simulator, link = desk
    simulator.faults.add(fault)
    outcomes = await PushFields(link.ctx).deliver(
        [put(row["id"], "account", health=1) for row in organizations(simulator)[:count]]
    )
    assert {outcome.status for outcome in outcomes} == {status}
    assert len(simulator.log.matching(method="PUT")) == 1, "an action never tries again"


async def test_a_token_that_may_not_write(simulate: Start, connector: Start) -> None:
    simulator = simulate(1)
    link = connector(simulator, refresh=simulator.authorize("read").refresh)
    row = organizations(simulator)[0]
    with pytest.raises(CredentialsError) as caught:
        await PushFields(link.ctx).deliver([put(row["id"], "account", health=1)])
    assert caught.value.missing == ("organizations:write",)
    with pytest.raises(CredentialsError):
        await RaisePriority(link.ctx).deliver([put(ticket(simulator)["id"], priority="high")])


async def test_present_values(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    one, two = organizations(simulator)[:2]
    action = PushFields(link.ctx)
    await action.deliver([put(one["id"], "account", health=72)])
    two["deleted_at"] = "2026-11-20T00:00:00Z"
    found = await action.read([target(one["id"], "account"), target(two["id"], "account")], ["health", "not_there"])
    assert found == [{"health": 72, "not_there": None}, None]


@pytest.mark.parametrize(("one", "other"), [(72, "72"), (72.0, 72), ("72.50", 72.5), (None, ""), (False, None), (True, "true")])
def test_one_value_in_two_forms(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()))
def test_the_one_form_is_stable(value: Any) -> None:
    assert canonical(canonical(value)) == canonical(value)


# --- priority ---


@pytest.mark.parametrize(
    ("present", "wanted", "after"),
    [
        (None, "low", "low"),
        ("low", "high", "high"),
        ("normal", "urgent", "urgent"),
        ("high", "high", "high"),
        ("urgent", "high", "urgent"),
        ("normal", "low", "normal"),
        ("normal", None, "normal"),
    ],
)
async def test_a_priority_is_never_lowered(desk: tuple[Any, Any], present: str | None, wanted: str | None, after: str) -> None:
    simulator, link = desk
    row = ticket(simulator, priority=present)
    [outcome] = await RaisePriority(link.ctx).deliver([put(row["id"], priority=wanted)])
    assert outcome.status == "done"
    assert row["priority"] == after


async def test_a_prior_value_is_put_back(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator, priority="low")
    action = RaisePriority(link.ctx)
    assert await action.read([target(row["id"]), target(999)], ["priority"]) == [{"priority": "low"}, None]
    await action.deliver([put(row["id"], priority="urgent")])
    [outcome] = await action.deliver([put(row["id"], priority="low", restores=True)])
    assert (outcome.status, row["priority"]) == ("done", "low")


async def test_a_ticket_that_cannot_be_changed(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    closed, deleted = ticket(simulator, status="closed"), ticket(simulator)
    simulator.delete_ticket(deleted["id"])
    deliveries = [put(closed["id"], priority="high"), put(deleted["id"], priority="high"), put(12_345, priority="high")]
    outcomes = await RaisePriority(link.ctx).deliver([*deliveries, put(3, "account", priority="high")])
    assert {outcome.status for outcome in outcomes} == {"rejected"}
    assert "closed" in outcomes[0].reason
    assert {outcome.reason for outcome in outcomes[1:]} == {"the ticket is gone"}


async def test_somebody_elses_change_meanwhile_wins(desk: tuple[Any, Any]) -> None:
    """Between our look and our write an agent changes the ticket: Zendesk refuses, and the next delivery looks again."""
    simulator, link = desk
    row = ticket(simulator, priority="normal")
    vendor = simulator._vendor

    async def meddling(scope: Any, body: bytes) -> Any:
        answer = await vendor(scope, body)
        if scope["path"].endswith("show_many"):
            simulator.clock.advance(5)
            simulator.state.touch("ticket", row, {"priority": "urgent"})
        return answer

    simulator._vendor = meddling
    [outcome] = await RaisePriority(link.ctx).deliver([put(row["id"], priority="high")])
    assert (outcome.status, row["priority"]) == ("retry", "urgent")
    simulator._vendor = vendor
    [outcome] = await RaisePriority(link.ctx).deliver([put(row["id"], priority="high")])
    assert (outcome.status, row["priority"]) == ("done", "urgent")


# --- tags ---


async def test_tags_are_only_added(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator, tags=["billing", "vip"])
    action = AddTags(link.ctx)
    [outcome] = await action.deliver([put(row["id"], at_risk=True, vip=True)])
    assert (outcome.status, row["tags"]) == ("done", ["at_risk", "billing", "vip"])
    [outcome] = await action.deliver([put(row["id"], **{"vip": None, "two words": True, "more": True})])
    assert outcome.status == "rejected"
    assert set(outcome.fields) == {"vip", "two words"}
    assert row["tags"] == ["at_risk", "billing", "more", "vip"]


async def test_tags_that_others_set_meanwhile_stay(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator, tags=["billing"])
    vendor = simulator._vendor

    async def meddling(scope: Any, body: bytes) -> Any:
        answer = await vendor(scope, body)
        if scope["path"].endswith("show_many"):
            simulator.state.touch("ticket", row, {"tags": ["billing", "colleagues"]})
        return answer

    simulator._vendor = meddling
    await AddTags(link.ctx).deliver([put(row["id"], at_risk=True)])
    assert row["tags"] == ["at_risk", "billing", "colleagues"]


async def test_an_undo_takes_away_what_we_added(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator, tags=["billing"])
    action = AddTags(link.ctx)
    prior = await action.read([target(row["id"])], ["at_risk", "billing"])
    assert prior == [{"at_risk": None, "billing": True}]
    await action.deliver([put(row["id"], at_risk=True)])
    await action.deliver([put(row["id"], at_risk=None, restores=True)])
    assert row["tags"] == ["billing"]


# --- assignment ---


async def test_a_ticket_is_assigned(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator)
    agent = next(user for user in simulator.state.all("user") if user["role"] == "agent")
    action = Assign(link.ctx)
    assert await action.read([target(row["id"])], ["assignee", "group"]) == [{"assignee": None, "group": None}]
    [outcome] = await action.deliver([put(row["id"], assignee=str(agent["id"]), group="escalations")])
    assert outcome.status == "done"
    assert row["assignee_id"] == agent["id"]
    shown = await action.read([target(row["id"])], ["assignee", "group"])
    assert shown == [{"assignee": str(agent["id"]), "group": "Escalations"}]
    assert action.normalise("group", "escalations") == action.normalise("group", "Escalations")
    [outcome] = await action.deliver([put(row["id"], assignee=None, group=None, restores=True)])
    assert (row["assignee_id"], row["group_id"]) == (None, None)


@pytest.mark.parametrize(
    "fields", [{"group": "Nobody"}, {"assignee": "ines@helpdesk.example"}, {"assignee": "1"}, {"owner": "1"}]
)
async def test_an_assignment_that_cannot_be(desk: tuple[Any, Any], fields: dict[str, str]) -> None:
    simulator, link = desk
    row = ticket(simulator)
    [outcome] = await Assign(link.ctx).deliver([put(row["id"], **fields)])
    assert (outcome.status, row["assignee_id"], row["group_id"]) == ("rejected", None, None)


# --- notes ---


def comments(simulator: Any, row: dict[str, Any]) -> list[tuple[str, bool]]:
    audits = simulator.state.audits[row["id"]]
    return [(e["body"], e["public"]) for audit in audits for e in audit["events"] if e["type"] == "Comment"]


async def test_a_note_is_internal(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator)
    [outcome] = await WriteNote(link.ctx).deliver([note(row["id"])])
    assert outcome.status == "done"
    assert comments(simulator, row) == [("Look at this", False)]


async def test_a_note_in_doubt_is_found_again(desk: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept_zendesk.tickets.PAGE", 3)
    simulator, link = desk
    row = ticket(simulator)
    action = WriteNote(link.ctx)
    simulator.faults.add(Fault(kind="drop", method="PUT", when="after"))
    [outcome] = await action.deliver([note(row["id"])])
    assert outcome.status == "unknown"
    for number in range(8):
        await action.deliver([note(row["id"], f"Other {number}", f"wk-other-{number}")])
    assert (await action.look_up(note(row["id"]))).status == "done"  # type: ignore[union-attr]
    simulator.faults.add(Fault(kind="drop", method="PUT", when="before"))
    [outcome] = await action.deliver([note(row["id"], key="wk-2")])
    assert outcome.status == "unknown"
    found = await action.look_up(note(row["id"], key="wk-2"))
    assert found is not None
    assert found.status == "retry", "the whole history was read, and it is not there"


async def test_a_look_that_cannot_be_trusted_says_nothing(desk: tuple[Any, Any]) -> None:
    simulator, link = desk
    row = ticket(simulator)
    action = WriteNote(link.ctx)
    simulator.faults.add(Fault(kind="row", rows=("audits",), row=0, field="id", raw='"x"', path="*/audits"))
    assert await action.look_up(note(row["id"])) is None
    simulator.delete_ticket(row["id"])
    gone = await action.look_up(note(row["id"]))
    assert gone is not None
    assert gone.status == "rejected"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(kind="status", status=429, method="PUT"), "retry"),
        (Fault(kind="status", status=409, method="PUT"), "retry"),
        (Fault(kind="status", status=500, method="PUT"), "unknown"),
        (Fault(kind="status", status=422, method="PUT"), "rejected"),
    ],
    ids=["429", "409", "500", "422"],
)
async def test_what_a_fault_of_a_note_means(desk: tuple[Any, Any], fault: Fault, status: str) -> None:
    simulator, link = desk
    row = ticket(simulator)
    simulator.faults.add(fault)
    [outcome] = await WriteNote(link.ctx).deliver([note(row["id"])])
    assert outcome.status == status
    assert comments(simulator, row) == []


async def test_a_note_needs_a_ticket(desk: tuple[Any, Any]) -> None:
    _, link = desk
    [outcome] = await WriteNote(link.ctx).deliver([note(3, type_="account")])
    assert outcome.status == "rejected"
