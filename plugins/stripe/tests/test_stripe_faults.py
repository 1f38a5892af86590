"""Each fault of the wire ends in the documented state, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept.errors import CredentialsError, FatalError, RetryableError, StuckCursorError
from wellkept.records import Account, Invoice, Subscription
from wellkept.testing import Fault

Start = Callable[..., Any]
BAD_UTF8 = '"\xff\xfe"'


@pytest.fixture
async def wired(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 5)
    simulator = simulate(accounts=12, seed=4)
    return simulator, connector(simulator)


@pytest.mark.parametrize("kind", ["status", "drop", "cut", "truncate"])
async def test_faults_that_last_end_the_read_and_nothing_is_lost(wired: tuple[Any, Any], kind: Any) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind=kind, skip=1, times=None))
    with pytest.raises(RetryableError):
        await link.sync("customers")
    assert len(link.all(Account)) == 5
    simulator.faults.clear()
    await link.sync("customers")
    assert set(link.all(Account)) == set(simulator.state.tables["customer"].rows)
    simulator.clock.advance(60)
    simulator.rename(min(link.all(Account)), "After the outage")
    simulator.faults.add(Fault(kind=kind, times=None))
    with pytest.raises(RetryableError):
        await link.sync("customers")
    simulator.faults.clear()
    await link.sync("customers")
    assert link.all(Account)[min(link.all(Account))].name == "After the outage"


@pytest.mark.parametrize(
    ("field", "raw", "reason"),
    [
        ("created", '"yesterday"', "Expected `int`, got `str` - at `$.created`"),
        ("name", BAD_UTF8, "bad UTF-8 - at `$.name`"),
        ("name", '"\\ud800"', "lone surrogate - at `$.name`"),
        ("created", "NaN", "NaN is not JSON - at `$.created`"),
        ("created", "9" * 20, "Expected `int` <= 9223372036854775807 - at `$.created`"),
        ("email", "7", "Expected `str | null`, got `int` - at `$.email`"),
    ],
)
async def test_one_bad_row_of_a_list(wired: tuple[Any, Any], field: str, raw: str, reason: str) -> None:
    simulator, link = wired
    newest = [row["id"] for row in simulator.state.tables["customer"].listed()]
    simulator.faults.add(Fault(kind="row", row=4, field=field, raw=raw))  # the last of its page, after which to go on
    await link.sync("customers")
    assert set(link.all(Account)) == set(newest) - {newest[4]}
    assert [(reject.id, reject.reason) for reject in link.rejects] == [(newest[4], reason)]
    assert raw.encode("latin-1") in link.rejects[0].raw
    link.apply(await link.source.fetch(link.stream("customers"), [newest[4]]))
    assert set(link.all(Account)) == set(newest)


async def test_a_row_that_makes_no_record(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    newest = [row["id"] for row in simulator.state.tables["invoice"].listed()]
    simulator.faults.add(Fault(kind="row", row=1, field="status", raw="null", path="/v1/invoices"))
    await link.sync("invoices")
    assert set(link.all(Invoice)) == set(newest) - {newest[1]}
    assert [(reject.id, reject.reason) for reject in link.rejects] == [(newest[1], "it has no status")]
    subs = [row["id"] for row in simulator.state.tables["subscription"].listed()]
    simulator.faults.add(Fault(kind="row", row=0, field="customer", raw="null", path="/v1/subscriptions"))
    await link.sync("subscriptions")
    assert set(link.all(Subscription)) == set(subs) - {subs[0]}
    assert (link.rejects[-1].id, link.rejects[-1].reason) == (subs[0], "it has no customer")


@pytest.mark.parametrize("raw", ["null", '"text"', BAD_UTF8, "{}"])
async def test_a_row_that_is_no_object(wired: tuple[Any, Any], raw: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="row", row=2, raw=raw))
    await link.sync("customers")
    assert len(link.all(Account)) == 11
    assert len(link.rejects) == 1


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("data.object.created", '"soon"'),
        ("data.object.name", BAD_UTF8),
        ("created", "NaN"),
        ("type", "7"),
        ("data", "{}"),
        ("", "null"),
    ],
)
async def test_an_event_that_cannot_be_read(wired: tuple[Any, Any], field: str, raw: str) -> None:
    """Its object is read again, as far as the event shows which one it is."""
    simulator, link = wired
    await link.sync("customers")
    one, two, *_ = sorted(link.all(Account))
    simulator.clock.advance(60)
    simulator.rename(one, "Renamed")
    simulator.clock.advance(60)
    simulator.rename(two, "Renamed")
    simulator.faults.add(Fault(kind="row", row=0, field=field, raw=raw))
    await link.sync("customers")
    assert link.all(Account)[one].name == "Renamed"
    named = field not in {"data", ""}
    assert (link.all(Account)[two].name == "Renamed") is named
    assert len(link.rejects) == (0 if named else 1)


async def test_a_single_object_that_cannot_be_read(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    one, two = sorted(simulator.state.tables["customer"].rows)[:2]
    simulator.state.get("customer", one)["email"] = 7
    simulator.spec = None
    batch = await link.source.fetch(link.stream("customers"), [one, two])
    assert [reject.id for reject in batch.rejects] == [one]
    assert {record.id for record in batch.records} == {two}


async def test_something_else_than_json_stops_the_stream(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="content", skip=1, times=None))
    with pytest.raises(FatalError):
        await link.sync("customers")
    simulator.faults.clear()
    await link.sync("customers")
    assert set(link.all(Account)) == set(simulator.state.tables["customer"].rows)


@pytest.mark.parametrize("stream", ["customers", "payment_attempts"])
async def test_a_page_that_does_not_move_on(wired: tuple[Any, Any], stream: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="ignore", names=("starting_after",), times=None))
    with pytest.raises(StuckCursorError):
        await link.sync(stream)


async def test_events_that_do_not_move_on(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    await link.sync("customers")
    for customer in sorted(link.all(Account)):
        simulator.rename(customer, "Renamed")
    simulator.faults.add(Fault(kind="ignore", names=("starting_after",), times=None))
    with pytest.raises(StuckCursorError):
        await link.sync("customers")


async def test_a_page_none_of_whose_rows_has_an_id(wired: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, link = wired
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 1)
    simulator.faults.add(Fault(kind="row", row=0, raw="null"))
    with pytest.raises(FatalError, match="no row of the page has an id"):
        await link.sync("customers")


async def test_an_expired_key_and_one_that_was_rotated(wired: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="status", status=401, skip=1))
    with pytest.raises(CredentialsError) as caught:
        await link.sync("customers")
    assert simulator.key not in str(caught.value)
    assert len(link.all(Account)) == 5
    await link.sync("customers")
    assert len(link.all(Account)) == 12
    new = simulator.add_key("sk_test_rotated")
    simulator.expire_key(simulator.key)
    with pytest.raises(CredentialsError):
        await link.sync("subscriptions")
    monkeypatch.setenv("STRIPE_KEY", new)
    await link.sync("subscriptions")
    assert set(link.all(Subscription)) == set(simulator.state.tables["subscription"].rows)


async def test_stripes_own_limit_is_kept(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 2)
    simulator = simulate(accounts=10, seed=4, rate_limit=5)
    link = connector(simulator, requests_per_second=5)
    await link.sync("customers", "subscriptions")
    assert {entry.status for entry in simulator.log.requests} == {200}
    assert len(simulator.log.requests) > 10
