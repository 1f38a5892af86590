from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import StateDelivery, Target
from wellkept.errors import CredentialsError, NotSentError
from wellkept.testing import Fault
from wellkept_stripe.actions import PushMetadata, text_of

Start = Callable[..., Any]


def delivery(customer: str, **fields: Any) -> StateDelivery:
    return StateDelivery(key=f"push/{customer}", target=Target(instance="stripe", type="account", id=customer), fields=fields)


@pytest.fixture
async def pushing(simulate: Start, connector: Start) -> tuple[Any, PushMetadata, list[str]]:
    simulator = simulate(accounts=4)
    link = connector(simulator)
    return simulator, PushMetadata(link.ctx), sorted(simulator.state.tables["customer"].rows)


def metadata(simulator: Any, customer: str) -> Mapping[str, str]:
    found: Mapping[str, str] = simulator.state.get("customer", customer)["metadata"]
    return found


async def test_values_reach_the_metadata_and_nothing_else_changes(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    simulator, action, (one, two, *_) = pushing
    before = dict(metadata(simulator, one))
    outcomes = await action.deliver(
        [delivery(one, health=72, band="green", trend=-1.5, watch=True), delivery(two, health=None, band="red")]
    )
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    assert metadata(simulator, one) == {**before, "health": "72", "band": "green", "trend": "-1.5", "watch": "true"}
    assert metadata(simulator, two)["band"] == "red"
    assert "health" not in metadata(simulator, two)
    await action.deliver([delivery(one, band=None, watch="")])
    assert metadata(simulator, one) == {**before, "health": "72", "trend": "-1.5"}
    (kinds,) = {effect.kind for effect in simulator.log.effects}
    assert kinds == "customer.updated"


async def test_what_is_read_is_what_was_written(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    simulator, action, (one, two, three, _) = pushing
    fields = {"health": 71.25, "name": "\u5065\u5eb7", "flag": False, "none": None}
    await action.deliver([delivery(one, **fields)])
    simulator.delete_customer(three)
    targets = [Target(instance="stripe", type="account", id=id_) for id_ in (one, two, three, "cus_never")]
    read = await action.read(targets, [*fields, "absent"])
    assert read[0] == {name: action.normalise(name, value) for name, value in {**fields, "absent": None}.items()}
    assert read[1] == dict.fromkeys([*fields, "absent"])
    assert read[2:] == [None, None]


async def test_fields_that_stripe_cannot_keep_are_rejected_alone(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    simulator, action, (one, *_) = pushing
    longest = "k" * 40
    (outcome,) = await action.deliver(
        [delivery(one, **{longest: "v" * 500, "k" * 41: 1, "a[b]": 1, "": 1, "long": "v" * 501, "good": 1})]
    )
    assert outcome.status == "rejected"
    assert set(outcome.fields) == {"k" * 41, "a[b]", "", "long"}
    assert metadata(simulator, one)[longest] == "v" * 500
    assert metadata(simulator, one)["good"] == "1"
    (only_bad,) = await action.deliver([delivery(one, long="v" * 501)])
    assert (only_bad.status, set(only_bad.fields)) == ("rejected", {"long"})
    assert "501" in only_bad.reason
    assert "vvv" not in only_bad.reason


async def test_fifty_keys_and_no_more(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    simulator, action, (one, *_) = pushing
    obj = simulator.state.get("customer", one)
    obj["metadata"] = {f"theirs{number}": "x" for number in range(48)}
    (outcome,) = await action.deliver([delivery(one, a=1, b=2, c=3, theirs0="mine")])
    assert (outcome.status, set(outcome.fields)) == ("rejected", {"c"})
    assert len(metadata(simulator, one)) == 50
    assert {name: metadata(simulator, one).get(name) for name in ("a", "b", "c", "theirs0")} == {
        "a": "1",
        "b": "2",
        "c": None,
        "theirs0": "mine",
    }
    (again,) = await action.deliver([delivery(one, a=None, d=4)])
    assert (again.status, metadata(simulator, one)["d"], len(metadata(simulator, one))) == ("done", "4", 50)
    (full,) = await action.deliver([delivery(one, e=5)])
    assert (full.status, set(full.fields)) == ("rejected", {"e"})


async def test_a_value_that_goes_and_comes_back(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    """Stripe answers a repeated idempotency key without acting: the same value on the same day must not have the same key."""
    simulator, action, (one, *_) = pushing
    for value in ("green", "red", "green"):
        await action.deliver([delivery(one, band=value)])
    assert metadata(simulator, one)["band"] == "green"
    keys = [entry.idempotency_key for entry in simulator.log.matching("/v1/customers/*", "POST")]
    assert len(set(keys)) == 3


async def test_a_500_does_not_stick(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    simulator, action, (one, *_) = pushing
    simulator.faults.add(Fault(kind="status", method="POST", when="inside"))
    (first,) = await action.deliver([delivery(one, band="red")])
    (second,) = await action.deliver([delivery(one, band="red")])
    assert (first.status, second.status) == ("unknown", "done")
    assert metadata(simulator, one)["band"] == "red"


async def test_a_customer_that_is_gone(pushing: tuple[Any, PushMetadata, list[str]]) -> None:
    simulator, action, (one, two, *_) = pushing
    simulator.delete_customer(one)
    outcomes = await action.deliver([delivery(one, band="red"), delivery("cus_never", band="red"), delivery(two, band="red")])
    assert [(outcome.status, outcome.reason) for outcome in outcomes[:2]] == [("rejected", "the customer is gone")] * 2
    assert outcomes[2].status == "done"


@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        (Fault(kind="status", method="POST", status=429, retry_after=7), "retry", False),
        (Fault(kind="status", method="POST", status=500), "unknown", False),
        (Fault(kind="status", method="POST", status=503, when="after"), "unknown", True),
        (Fault(kind="status", method="POST", status=409), "unknown", False),
        (Fault(kind="drop", method="POST"), "unknown", False),
        (Fault(kind="drop", method="POST", when="after"), "unknown", True),
        (Fault(kind="cut", method="POST"), "unknown", True),
        (Fault(kind="status", method="POST", status=400, code="parameter_invalid"), "rejected", False),
    ],
)
async def test_what_came_of_it(pushing: tuple[Any, PushMetadata, list[str]], fault: Fault, status: str, written: bool) -> None:
    simulator, action, (one, two, *_) = pushing
    simulator.faults.add(fault)
    first, second = await action.deliver([delivery(one, band="red"), delivery(two, band="red")])
    assert sorted([first.status, second.status]) == sorted([status, "done"])
    hit = first if first.status == status else second
    customer = one if hit is first else two
    assert (metadata(simulator, customer).get("band") == "red") is written
    assert len(simulator.log.matching("/v1/customers/*", "POST")) == 2  # nobody tried again
    if status == "retry":
        assert hit.retry_after == 7


async def test_no_connection_is_certainly_nothing_done(connector: Start, simulate: Start) -> None:
    simulator = simulate(accounts=1)
    link = connector(simulator, api_base="http://127.0.0.1:9")
    (outcome,) = await PushMetadata(link.ctx).deliver([delivery("cus_1", band="red")])
    assert outcome.status == "retry"


async def test_a_key_that_may_not_write_pauses_the_instance(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    (customer,) = simulator.state.tables["customer"].rows
    reader = connector(simulator, key=simulator.add_key("rk_test_reader", {"customer": "read"}))
    with pytest.raises(CredentialsError) as caught:
        await PushMetadata(reader.ctx).deliver([delivery(customer, band="red")])
    assert caught.value.missing == ("rak_customer_write",)
    assert isinstance(caught.value, NotSentError)
    refused = connector(simulator, key="sk_test_wrong")
    with pytest.raises(CredentialsError):
        await PushMetadata(refused.ctx).deliver([delivery(customer, band="red")])


async def test_the_sdk_never_sees_the_key(
    pushing: tuple[Any, PushMetadata, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wellkept_stripe.sdk import Sender

    seen: list[Any] = []
    send = Sender.request_async

    async def spy(self: Sender, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        seen.append((url, headers, post_data))
        return await send(self, method, url, headers, post_data)

    monkeypatch.setattr(Sender, "request_async", spy)
    simulator, action, (one, *_) = pushing
    await action.deliver([delivery(one, band="red")])
    assert seen
    assert simulator.key not in str(seen)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20))
def test_texts_are_stable(value: Any) -> None:
    text = text_of(value)
    assert text_of(text) == text
    assert text != ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (72, "72"),
        (72.0, "72"),
        (0.1, "0.1"),
        (True, "true"),
        (False, "false"),
        ("", None),
        (None, None),
        ("x", "x"),
        (0, "0"),
        ([1, "a"], '[1,"a"]'),
    ],
)
def test_values_as_texts(value: Any, text: str | None) -> None:
    assert text_of(value) == text
