"""``score.push``: properties of companies, in batches, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import StateDelivery, Target
from wellkept.errors import CredentialsError, NotSentError
from wellkept.testing import Fault
from wellkept_hubspot.actions import PushProperties
from wellkept_hubspot.api import Api
from wellkept_hubspot.properties import Properties, normal, type_for

Start = Callable[..., Any]
UPDATE = "/crm/objects/2026-03/companies/batch/update"
Pushing = tuple[Any, PushProperties, list[str]]


def delivery(company: str, **fields: Any) -> StateDelivery:
    return StateDelivery(key=f"push/{company}", target=Target(instance="hubspot", type="account", id=company), fields=fields)


def values(simulator: Any, company: str) -> dict[str, str]:
    found: dict[str, str] = simulator.state.things["companies"][company].properties
    return {name: text for name, text in found.items() if name.startswith("wellkept_")}


@pytest.fixture
async def pushing(simulate: Start, connector: Start) -> Pushing:
    simulator = simulate(accounts=12)
    link = connector(simulator)
    return simulator, PushProperties(link.ctx), [thing.id for thing in simulator.state.standing("companies")]


async def test_properties_are_made_on_first_use_with_the_right_type(pushing: Pushing) -> None:
    simulator, action, (one, two, *_) = pushing
    fields = {
        "wellkept_health": 72,
        "wellkept_trend": -1.5,
        "wellkept_band": "green",
        "wellkept_watch": True,
        "wellkept_renewal": "2026-12-31",
        "wellkept_mrr": "1234.50",
    }
    outcomes = await action.deliver([delivery(one, **fields), delivery(two, wellkept_band="red", wellkept_never=None)])
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    definitions = simulator.state.definitions["companies"]
    assert {name: definitions[name]["type"] for name in fields} == {
        "wellkept_health": "number",
        "wellkept_trend": "number",
        "wellkept_band": "string",
        "wellkept_watch": "bool",
        "wellkept_renewal": "date",
        "wellkept_mrr": "string",
    }
    assert "wellkept_never" not in definitions  # there is nothing to clear
    assert {definitions[name]["groupName"] for name in fields} == {"wellkept"}
    assert definitions["wellkept_health"]["label"] == "Health"
    assert values(simulator, one) == {
        "wellkept_health": "72",
        "wellkept_trend": "-1.5",
        "wellkept_band": "green",
        "wellkept_watch": "true",
        "wellkept_renewal": "2026-12-31",
        "wellkept_mrr": "1234.50",
    }
    assert values(simulator, two) == {"wellkept_band": "red"}
    made = len(simulator.log.matching("/crm/properties/*", "POST"))
    assert made == 7  # the group and six properties
    await action.deliver([delivery(one, wellkept_band=None)])
    assert "wellkept_band" not in values(simulator, one)
    assert len(simulator.log.matching("/crm/properties/*", "POST")) == made
    assert len(simulator.log.matching(UPDATE)) == 2


async def test_types_can_be_chosen(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=2)
    action = PushProperties(connector(simulator, property_types={"wellkept_mrr": "number"}).ctx)
    company = next(simulator.state.standing("companies")).id
    (outcome,) = await action.deliver([delivery(company, wellkept_mrr="1234.50")])
    assert outcome.status == "done"
    assert simulator.state.definitions["companies"]["wellkept_mrr"]["type"] == "number"


async def test_properties_that_exist_are_used_as_they_are(pushing: Pushing) -> None:
    simulator, action, (one, two, *_) = pushing
    options = [{"label": "Good", "value": "g", "hidden": False}, {"label": "Bad", "value": "b", "hidden": False}]
    simulator.state.define("companies", "band", "enumeration", fieldType="select", options=options)
    simulator.state.define("companies", "bands", "enumeration", fieldType="checkbox", options=options)
    simulator.state.define("companies", "score", "number")
    first, second = await action.deliver(
        [
            delivery(one, band="good", bands="b;Good", score=5),
            delivery(two, band="purple", score="high", createdate="2026-01-01"),
        ]
    )
    assert first.status == "done"
    found = simulator.state.things["companies"][one].properties
    assert (found["band"], found["bands"], found["score"]) == ("g", "b;g", "5")
    assert second.status == "rejected"
    assert set(second.fields) == {"band", "score", "createdate"}
    assert "purple" not in str(second)
    assert not simulator.log.matching("/crm/properties/*", "POST")


async def test_what_is_read_is_what_was_written(pushing: Pushing) -> None:
    simulator, action, (one, two, three, *_) = pushing
    fields = {"wellkept_score": 71.25, "wellkept_name": "\u5065\u5eb7", "wellkept_flag": False, "wellkept_mrr": "10.50"}
    await action.deliver([delivery(one, **fields)])
    simulator.archive("companies", three)
    targets = [Target(instance="hubspot", type="account", id=id_) for id_ in (one, two, three, "404")]
    read = await action.read(targets, [*fields, "wellkept_absent"])
    assert read[0] == {name: action.normalise(name, value) for name, value in {**fields, "wellkept_absent": None}.items()}
    assert read[1] == dict.fromkeys([*fields, "wellkept_absent"])
    assert read[2:] == [None, None]
    assert len(simulator.log.matching("*/batch/read")) == 1


async def test_one_refused_row_spoils_no_other(simulate: Start, connector: Start) -> None:
    """A validation rule of an admin, from 2026-09 on: HubSpot refuses the whole batch."""
    simulator = simulate(accounts=60)
    action = PushProperties(connector(simulator, api_version="2026-09").ctx)
    companies = [thing.id for thing in simulator.state.standing("companies")][:50]
    bad = {companies[3], companies[30], companies[49]}
    simulator.rules["companies", "wellkept_health"] = lambda text: float(text) <= 100
    outcomes = await action.deliver(
        [delivery(id_, wellkept_health=900 if id_ in bad else 50, wellkept_band="x") for id_ in companies]
    )
    for id_, outcome in zip(companies, outcomes, strict=True):
        assert values(simulator, id_)["wellkept_band"] == "x"  # even of a refused row, the rest is set
        if id_ in bad:
            assert (outcome.status, set(outcome.fields)) == ("rejected", {"wellkept_health"})
            assert "PROPERTY_VALIDATION_RULE" in outcome.fields["wellkept_health"]
            assert "900" not in outcome.reason
            assert "wellkept_health" not in values(simulator, id_)
        else:
            assert outcome.status == "done"
            assert values(simulator, id_)["wellkept_health"] == "50"
    assert len(simulator.log.matching("*/batch/update")) < 40
    older = PushProperties(connector(simulator).ctx)
    (outcome,) = await older.deliver([delivery(companies[3], wellkept_health=900)])
    assert outcome.status == "done"  # 2026-03 does not enforce them


async def test_companies_that_are_gone(pushing: Pushing) -> None:
    simulator, action, (one, two, *_) = pushing
    simulator.archive("companies", one)
    outcomes = await action.deliver([delivery(id_, wellkept_band="red") for id_ in (one, "404", two)])
    assert [(outcome.status, outcome.reason) for outcome in outcomes[:2]] == [("rejected", "the company is gone")] * 2
    assert outcomes[2].status == "done"
    (entry,) = simulator.log.matching(UPDATE)
    assert entry.status == 207


async def test_names_that_no_property_can_have(pushing: Pushing) -> None:
    simulator, action, (one, *_) = pushing
    (outcome,) = await action.deliver([delivery(one, Health=1, **{"a b": 1, "9x": 1, "wellkept_ok": 1, "a" * 101: 1})])
    assert outcome.status == "rejected"
    assert set(outcome.fields) == {"Health", "a b", "9x", "a" * 101}
    assert values(simulator, one) == {"wellkept_ok": "1"}


async def test_a_property_that_hubspot_does_not_take(pushing: Pushing) -> None:
    simulator, action, (one, *_) = pushing
    simulator.faults.add(Fault(kind="status", status=400, method="POST", path="/crm/properties/2026-03/companies"))
    (outcome,) = await action.deliver([delivery(one, wellkept_a=1, wellkept_b=2)])
    assert (outcome.status, set(outcome.fields)) == ("rejected", {"wellkept_a"})
    assert values(simulator, one) == {"wellkept_b": "2"}


async def test_somebody_else_makes_the_property_first(simulate: Start, connector: Start) -> None:
    from wellkept_hubspot import sdk

    simulator = simulate(accounts=1)
    one, two = (Properties(Api(connector(simulator).ctx), "companies") for _ in range(2))
    await one.known()
    definition = sdk.definition("wellkept_a", "number", group_name="wellkept", label="A", description="")
    assert await two.make(definition) is None
    assert "wellkept_a" not in await one.known()
    assert await one.make(definition) is None
    assert "wellkept_a" in await one.known()
    simulator.state.definitions["companies"]["wellkept_b"] = {
        **simulator.state.definitions["companies"]["name"],
        "archived": True,
    }
    problem = await one.make({**definition, "name": "wellkept_b"})
    assert problem == "HubSpot does not take the property wellkept_b (HTTP 409)"


async def test_a_property_that_an_admin_deletes_is_made_again(pushing: Pushing) -> None:
    simulator, action, (one, *_) = pushing
    await action.deliver([delivery(one, wellkept_a=1)])
    del simulator.state.definitions["companies"]["wellkept_a"]
    (outcome,) = await action.deliver([delivery(one, wellkept_a=2)])
    assert outcome.status == "done"
    assert values(simulator, one) == {"wellkept_a": "2"}


async def test_a_value_that_goes_and_comes_back(pushing: Pushing) -> None:
    simulator, action, (one, *_) = pushing
    for value in ("green", "red", "green"):
        await action.deliver([delivery(one, wellkept_band=value)])
    assert values(simulator, one)["wellkept_band"] == "green"


@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        (Fault(kind="status", status=429, retry_after=7), "retry", False),
        (Fault(kind="status", status=500), "unknown", False),
        (Fault(kind="status", status=503, when="after"), "unknown", True),
        (Fault(kind="drop"), "unknown", False),
        (Fault(kind="drop", when="after"), "unknown", True),
        (Fault(kind="cut"), "unknown", True),
        (Fault(kind="status", status=423), "unknown", False),
    ],
)
async def test_what_came_of_it(pushing: Pushing, fault: Fault, status: str, written: bool) -> None:
    import msgspec

    simulator, action, (one, two, *_) = pushing
    await action.deliver([delivery(two, wellkept_band="old")])
    before = len(simulator.log.matching(UPDATE))
    simulator.faults.add(msgspec.structs.replace(fault, path=UPDATE))
    outcomes = await action.deliver([delivery(one, wellkept_band="red"), delivery(two, wellkept_band="red")])
    assert [outcome.status for outcome in outcomes] == [status, status]
    assert (values(simulator, one).get("wellkept_band") == "red") is written
    assert len(simulator.log.matching(UPDATE)) == before + 1  # nobody tried again
    if status == "retry":
        assert outcomes[0].retry_after == 7


@pytest.mark.parametrize("path", ["/crm/properties/2026-03/companies", "/crm/properties/2026-03/companies/groups/wellkept"])
async def test_when_the_properties_cannot_be_seen(pushing: Pushing, path: str) -> None:
    simulator, action, (one, *_) = pushing
    simulator.faults.add(Fault(kind="status", status=500, path=path, times=None))
    (outcome,) = await action.deliver([delivery(one, wellkept_band="red")])
    assert outcome.status == "retry"  # nothing has left
    assert not simulator.log.matching(UPDATE)


async def test_no_connection_is_certainly_nothing_done(connector: Start, simulate: Start) -> None:
    link = connector(simulate(accounts=1), api_base="http://127.0.0.1:9")
    (outcome,) = await PushProperties(link.ctx).deliver([delivery("1", wellkept_band="red")])
    assert outcome.status == "retry"


async def test_a_token_that_may_not_write_pauses_the_instance(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    company = next(simulator.state.standing("companies")).id
    reads = ["crm.objects.companies.read"]
    action = PushProperties(connector(simulator, token=simulator.add_token("pat-r", reads)).ctx)
    with pytest.raises(CredentialsError) as caught:
        await action.deliver([delivery(company, wellkept_band="red")])
    assert caught.value.missing == ("crm.schemas.companies.write",)
    assert isinstance(caught.value, NotSentError)
    simulator.state.define("companies", "wellkept_band")
    action = PushProperties(connector(simulator, token=simulator.add_token("pat-r", reads)).ctx)
    with pytest.raises(CredentialsError) as caught:
        await action.deliver([delivery(company, wellkept_band="red")])
    assert caught.value.missing == ("crm.objects.companies.write",)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20))
def test_texts_are_stable(value: Any) -> None:
    text = normal(value)
    assert normal(text) == text
    assert text != ""


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (72, "72", "number"),
        (72.0, "72", "number"),
        (0.1, "0.1", "number"),
        (True, "true", "bool"),
        ("", None, "string"),
        ("1234.50", "1234.5", "string"),
        ("10.00", "10", "string"),
        ("100", "100", "string"),
        ("2026-12-31", "2026-12-31", "date"),
        ("red", "red", "string"),
    ],
)
def test_values_as_texts(value: Any, text: str | None, kind: str) -> None:
    assert normal(value) == text
    assert type_for(value) == kind
