"""``task.create``: once, for the owner, about the company; and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from wellkept import Delivery, Recipient, Target, TaskCreate
from wellkept.errors import CredentialsError
from wellkept.records import Task
from wellkept.testing import Fault
from wellkept_hubspot.tasks import KEY, CreateTask

Start = Callable[..., Any]
TASKS = "/crm/objects/2026-03/tasks"


@pytest.fixture
async def setting(simulate: Start, connector: Start) -> tuple[Any, Any, CreateTask, str]:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    return simulator, link, CreateTask(link.ctx), next(simulator.state.standing("companies")).id


def delivery(link: Any, company: str | None, **changes: Any) -> Delivery[TaskCreate]:
    instance = link.ctx.instance
    base: dict[str, Any] = {
        "key": "rules/1/a",
        "idempotency_key": "k" * 64,
        "payload": TaskCreate(title="Call them", body="Usage fell.\nHealth < 30", due_at=1_796_000_000_000),
        "target": Target(instance=instance, type="account", id=company) if company else None,
        "account": "acct_1",
        "recipient": Recipient(address="bo@wellkept.example", name="Bo", locale="en"),
        "attempt": 1,
        "first_sent_at": 0,
        "sent_at": 0,
    }
    return Delivery(**{**base, **changes})


def ours(simulator: Any) -> list[Any]:
    return [thing for thing in simulator.state.things["tasks"].values() if KEY in thing.properties]


async def test_a_task_for_the_owner_about_the_company(setting: tuple[Any, Any, CreateTask, str]) -> None:
    simulator, link, action, company = setting
    (outcome,) = await action.deliver([delivery(link, company)])
    (task,) = ours(simulator)
    assert (outcome.status, outcome.ref) == ("done", task.id)
    found = task.properties
    assert (found["hs_task_subject"], found["hs_task_body"]) == ("Call them", "Usage fell.<br>Health &lt; 30")
    assert (found["hubspot_owner_id"], found["hs_task_status"], found[KEY]) == ("2", "NOT_STARTED", "k" * 64)
    assert found["hs_timestamp"].startswith("2026-11-30T")
    assert set(simulator.state.links["tasks", "companies"][task.id]) == {company}
    definitions = simulator.state.definitions["tasks"]
    assert definitions[KEY]["hasUniqueValue"]
    assert [option["value"] for option in definitions["wellkept_outcome"]["options"]] == link.ctx.config.task_outcomes


async def test_what_comes_back(setting: tuple[Any, Any, CreateTask, str]) -> None:
    """Read-back: status and outcome, once somebody has worked on it."""
    simulator, link, action, company = setting
    (outcome,) = await action.deliver([delivery(link, company)])
    await link.sync("tasks")
    task = link.all(Task)[outcome.ref]
    assert (task.account_ref, task.owner_ref, task.status, task.outcome) == (company, "owner:2", "NOT_STARTED", None)
    simulator.clock.advance(3600)
    simulator.finish_task(outcome.ref, "solved")
    await link.sync("tasks")
    task = link.all(Task)[outcome.ref]
    assert (task.status, task.outcome, task.completed_at) == ("COMPLETED", "solved", simulator.clock.now())


@pytest.mark.parametrize(
    ("recipient", "owner"),
    [
        (Recipient(address="ada@wellkept.example", name=None, locale="en"), "1"),
        (Recipient(address="nobody@wellkept.example", name=None, locale="en"), None),
        (None, None),
    ],
)
async def test_owners_by_address(
    setting: tuple[Any, Any, CreateTask, str], recipient: Recipient | None, owner: str | None
) -> None:
    simulator, link, action, company = setting
    await action.deliver([delivery(link, company, recipient=recipient)])
    assert ours(simulator)[0].properties.get("hubspot_owner_id") == owner


async def test_an_owner_that_is_known_is_not_looked_up(setting: tuple[Any, Any, CreateTask, str]) -> None:
    simulator, link, action, company = setting
    person = Target(instance=link.ctx.instance, type="person", id="owner:3")
    recipient = Recipient(address="chen@wellkept.example", name=None, locale="en", person=person)
    await action.deliver([delivery(link, company, recipient=recipient)])
    assert ours(simulator)[0].properties["hubspot_owner_id"] == "3"
    assert not simulator.log.matching("/crm/owners/*")


async def test_without_a_company(setting: tuple[Any, Any, CreateTask, str]) -> None:
    simulator, link, action, _ = setting
    elsewhere = Target(instance="stripe", type="account", id="cus_1")
    for number, target in enumerate((None, elsewhere)):
        changes = {"target": target, "idempotency_key": f"key-{number}", "payload": TaskCreate(title="Call")}
        (outcome,) = await action.deliver([delivery(link, None, **changes)])
        assert outcome.status == "done"
    assert len(ours(simulator)) == 2
    assert not any(simulator.state.links["tasks", "companies"].get(task.id) for task in ours(simulator))


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        (Fault(kind="status", status=429, retry_after=7), "retry", 0),
        (Fault(kind="status", status=500), "unknown", 0),
        (Fault(kind="status", status=503, when="after"), "unknown", 1),
        (Fault(kind="drop"), "unknown", 0),
        (Fault(kind="drop", when="after"), "unknown", 1),
        (Fault(kind="cut"), "unknown", 1),
        (Fault(kind="status", status=400), "rejected", 0),
    ],
)
@pytest.mark.parametrize("unique", [True, False])
async def test_a_try_in_doubt_is_looked_up(
    setting: tuple[Any, Any, CreateTask, str], fault: Fault, status: str, made: int, unique: bool
) -> None:
    simulator, link, action, company = setting
    if not unique:
        simulator.state.plain_types.add("tasks")
    simulator.faults.add(msgspec.structs.replace(fault, method="POST", path=TASKS))
    task = delivery(link, company)
    (outcome,) = await action.deliver([task])
    assert outcome.status == status
    assert len(ours(simulator)) == made
    assert len(simulator.log.matching(TASKS, "POST")) == 1
    assert simulator.state.definitions["tasks"][KEY]["hasUniqueValue"] is unique
    simulator.clock.advance(300)
    found = await action.look_up(task)
    assert found is not None
    assert found.status == ("done" if made else "retry")
    if found.status == "retry":
        (again,) = await action.deliver([task])
        assert again.status == "done"
    assert len(ours(simulator)) == 1


async def test_the_same_key_makes_no_second_task(setting: tuple[Any, Any, CreateTask, str]) -> None:
    simulator, link, action, company = setting
    (first,) = await action.deliver([delivery(link, company)])
    (second,) = await action.deliver([delivery(link, company)])
    assert (second.status, second.ref) == ("done", first.ref)
    assert len(ours(simulator)) == 1


async def test_a_look_up_that_cannot_tell(setting: tuple[Any, Any, CreateTask, str]) -> None:
    simulator, link, action, company = setting
    task = delivery(link, company)
    assert (await action.look_up(task)).status == "retry"  # type: ignore[union-attr]  # there is not even the property
    await action.deliver([task])
    simulator.faults.add(Fault(kind="row", rows=("results",), row=0, raw="7", path="*/batch/read"))
    assert await action.look_up(task) is None
    simulator.faults.add(Fault(kind="status", status=418, path="*/batch/read"))
    assert await action.look_up(task) is None


@pytest.mark.parametrize("path", ["/crm/properties/2026-03/tasks", "/crm/owners/2026-03"])
async def test_what_fails_before_the_task_leaves(setting: tuple[Any, Any, CreateTask, str], path: str) -> None:
    simulator, link, action, company = setting
    simulator.faults.add(Fault(kind="status", status=500, path=path, times=None))
    (outcome,) = await action.deliver([delivery(link, company)])
    assert outcome.status == "retry"
    assert ours(simulator) == []


async def test_a_key_that_cannot_be_made_makes_no_task(setting: tuple[Any, Any, CreateTask, str]) -> None:
    simulator, link, action, company = setting
    simulator.faults.add(Fault(kind="status", status=400, method="POST", path="/crm/properties/2026-03/tasks", times=None))
    (outcome,) = await action.deliver([delivery(link, company)])
    assert outcome.status == "rejected"
    assert KEY in outcome.reason
    assert ours(simulator) == []


async def test_a_token_that_may_not_write(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    link = connector(simulator, token=simulator.add_token("pat-r", ["crm.objects.contacts.read", "crm.objects.owners.read"]))
    with pytest.raises(CredentialsError) as caught:
        await CreateTask(link.ctx).deliver([delivery(link, None)])
    assert caught.value.missing == ("crm.schemas.contacts.write",)
