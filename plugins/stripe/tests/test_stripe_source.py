from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept import Window
from wellkept.records import Account, Invoice, PaymentAttempt, PaymentMethod, Person, Subscription
from wellkept.testing import FakeClock, Fault
from wellkept_stripe.records import StripePrice, StripeProduct
from wellkept_stripe.simulator import payment_objects
from wellkept_stripe.simulator.shapes import VERSIONS

Start = Callable[..., Any]
DAY = 86_400


async def test_a_first_read_finds_everything(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=50, seed=16)
    link = connector(simulator)
    await link.sync()
    tables = simulator.state.tables
    assert set(link.all(Account)) == set(tables["customer"].rows)
    assert set(link.all(Subscription)) == set(tables["subscription"].rows)
    assert set(link.all(Invoice)) == set(tables["invoice"].rows)
    assert set(link.all(PaymentMethod)) == set(tables["payment_method"].rows)
    assert set(link.all(StripePrice)) == set(tables["price"].rows)
    assert set(link.all(StripeProduct)) == set(tables["product"].rows)
    assert set(link.all(PaymentAttempt)) == set(tables["charge"].rows)
    assert {person.account_ref for person in link.all(Person).values()} == set(tables["customer"].rows)
    assert {sub.status for sub in link.all(Subscription).values()} >= {"active", "past_due", "trialing", "canceled"}
    invoices = {charge.invoice_ref for charge in link.all(PaymentAttempt).values()}
    assert invoices <= set(tables["invoice"].rows)
    assert link.rejects == []


async def play(simulator: Any) -> list[str]:
    """Let a month of a company happen; return the customers concerned."""
    customers = sorted(
        sub["customer"] for sub in simulator.state.tables["subscription"].rows.values() if sub["status"] == "active"
    )
    a, b, c, d, e, f, g, h = customers[:8]
    simulator.fail_payment(a)
    simulator.clock.advance(3600)
    simulator.retry(a)
    simulator.clock.advance(60)
    simulator.fail_payment(b, "expired_card")
    simulator.clock.advance(60)
    simulator.recover(b)
    simulator.cancel_at_period_end(c, feedback="too_complex")
    simulator.clock.advance(60)
    simulator.contract(d, 1)
    simulator.clock.advance(1)
    simulator.switch_plan(d, _same_currency(simulator, d))
    simulator.grant_discount(e, "LOYAL10")
    simulator.pause_collection(f)
    simulator.clock.advance(5)
    simulator.replace_card(g)
    simulator.expire_card(g, year=2026, month=12)
    simulator.rename(g, "Renamed GmbH 改名")
    simulator.clock.advance(600)
    simulator.delete_customer(h)
    simulator.churn(e, reason="payment_failed")
    simulator.new_customer("新しい会社 K.K.", plan="team_jpy_month", quantity=7)
    simulator.clock.advance(30)
    simulator.renew(d)
    return customers[:8]


def _same_currency(simulator: Any, customer: str) -> str:
    sub = next(iter(simulator.state.all("subscription", customer=customer)))
    return f"business_{sub['currency']}_month"


async def test_changes_end_where_a_full_read_ends(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=30, seed=3)
    link = connector(simulator)
    await link.sync()
    simulator.clock.advance(600)
    await play(simulator)
    await link.sync()
    fresh = connector(simulator, instance="fresh")
    await fresh.sync()
    assert link.state() == fresh.state()
    assert link.expired == 0
    await link.sync()
    assert link.state() == fresh.state()


async def test_nothing_new_costs_one_request_a_stream(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=20, seed=3)
    link = connector(simulator)
    await link.sync()
    await play(simulator)
    await link.sync()
    simulator.clock.advance(60)
    simulator.log.clear()
    assert await link.sync() == 0
    assert [entry.path for entry in simulator.log.requests] == ["/v1/events"] * 7


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8])
async def test_a_kill_after_any_page_loses_nothing(simulate: Start, connector: Start, after: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 7)
    simulator = simulate(accounts=10, seed=4, months=2)
    link = connector(simulator)
    await link.sync("customers", "subscriptions", "invoices", batches=after)
    simulator.clock.advance(10)
    await play(simulator)
    await link.sync("customers", "subscriptions", "invoices", batches=after)
    simulator.clock.advance(10)
    standing = [id_ for id_ in link.all(Account) if id_ in simulator.state.tables["customer"].rows]
    simulator.rename(standing[0], "Another name")
    await link.sync("customers", "subscriptions", "invoices")
    await link.sync("customers", "subscriptions", "invoices")
    fresh = connector(simulator, instance="fresh")
    await fresh.sync("customers", "subscriptions", "invoices")
    assert link.state() == fresh.state()


async def test_what_is_made_while_a_list_is_read_is_found(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 5)
    simulator = simulate(accounts=12, seed=4)
    link = connector(simulator)
    await link.sync("customers", batches=1)
    made = simulator.new_customer("In between")
    await link.sync("customers")
    assert made not in link.all(Account)
    await link.sync("customers")
    assert link.all(Account)[made].name == "In between"


async def test_the_row_after_which_to_go_on_is_deleted(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 5)
    simulator = simulate(accounts=12, seed=4)
    link = connector(simulator)
    await link.sync("customers", batches=2)
    last = link.cursors["customers"]["after"]
    simulator.delete_customer(last)
    await link.sync("customers")
    await link.sync("customers")
    assert set(link.all(Account)) == set(simulator.state.tables["customer"].rows)


async def test_the_list_of_payment_methods_starts_over_when_its_place_is_gone(
    simulate: Start, connector: Start, monkeypatch: Any
) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 5)
    simulator = simulate(accounts=12, seed=4)
    link = connector(simulator)
    await link.sync("payment_methods", batches=2)
    last = link.cursors["payment_methods"]["after"]
    simulator.state.remove(simulator.state.get("payment_method", last))
    await link.sync("payment_methods")
    assert set(link.all(PaymentMethod)) - {last} == set(simulator.state.tables["payment_method"].rows)


async def test_two_changes_in_one_second_are_read_again(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    await link.sync("customers")
    one, two, _ = sorted(link.all(Account))
    simulator.clock.advance(120)
    simulator.rename(one, "First")
    simulator.rename(one, "Second")
    simulator.rename(two, "Alone")
    events = simulator.state.tables["event"]
    events.rows = dict(sorted(events.rows.items(), reverse=True))
    for number, event in enumerate(events.rows.values()):  # the order within a second says nothing
        event["_seq"] = number
    events._keys = None
    simulator.log.clear()
    await link.sync("customers")
    assert (link.all(Account)[one].name, link.all(Account)[two].name) == ("Second", "Alone")
    assert [entry.path for entry in simulator.log.requests] == ["/v1/events", f"/v1/customers/{one}"]


async def test_a_second_change_in_a_second_that_was_read(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=1)
    link = connector(simulator)
    await link.sync("customers")
    (customer,) = link.all(Account)
    simulator.clock.advance(120)
    simulator.rename(customer, "First")
    await link.sync("customers")
    simulator.rename(customer, "Second")
    simulator.faults.add(
        Fault(kind="latency", seconds=1.5, path="/v1/customers/*")
    )  # `Date` is of the answer, not of the question
    await link.sync("customers")
    assert link.all(Account)[customer].name == "Second"


async def test_what_happens_while_changes_are_read_is_found(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    simulator = simulate(accounts=6)
    link = connector(simulator, lookback_minutes=1)
    await link.sync("customers")
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 2)
    one, *others = sorted(link.all(Account))
    for customer in others:
        simulator.clock.advance(10)
        simulator.rename(customer, "Renamed")
    await link.sync("customers", batches=1)
    simulator.clock.advance(1)
    simulator.rename(one, "Meanwhile")
    simulator.clock.advance(600)
    await link.sync("customers")
    simulator.clock.advance(60)
    await link.sync("customers")
    assert link.all(Account)[one].name == "Meanwhile"


async def test_several_events_of_one_change_need_no_second_look(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=30, seed=3)
    link = connector(simulator)
    await link.sync("invoices")
    customer = next(iter(simulator.state.all("invoice", status="open")))["customer"]
    simulator.clock.advance(120)
    simulator.recover(customer)
    simulator.log.clear()
    await link.sync("invoices")
    assert [entry.path for entry in simulator.log.requests] == ["/v1/events"]
    assert {invoice.status for invoice in link.all(Invoice).values() if invoice.account_ref == customer} == {"paid"}


async def test_a_second_that_spans_two_pages(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    simulator = simulate(accounts=4)
    link = connector(simulator)
    await link.sync("customers")
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 2)
    customer, *others = sorted(link.all(Account))
    simulator.clock.advance(120)
    simulator.rename(others[0], "Filler")
    simulator.rename(customer, "Older")
    simulator.rename(customer, "Newer")
    simulator.rename(others[1], "Filler")
    simulator.log.clear()
    await link.sync("customers")
    assert link.all(Account)[customer].name == "Newer"
    assert f"/v1/customers/{customer}" in [entry.path for entry in simulator.log.requests]


async def test_an_event_that_stripe_shows_late_is_still_found(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    await link.sync("customers")
    customer = min(link.all(Account))
    simulator.clock.advance(120)
    simulator.rename(customer, "Late news")
    events = simulator.state.tables["event"]
    late = dict(events.rows)
    events.rows.clear()
    events._keys = None
    simulator.clock.advance(300)
    await link.sync("customers")
    assert link.all(Account)[customer].name != "Late news"
    events.rows.update(late)
    events._keys = None
    simulator.clock.advance(300)
    await link.sync("customers")
    assert link.all(Account)[customer].name == "Late news"


async def test_an_older_event_never_overwrites_a_newer_reading(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    await link.sync("customers")
    customer = min(link.all(Account))
    simulator.clock.advance(120)
    simulator.rename(customer, "Old")
    simulator.clock.advance(120)
    simulator.rename(customer, "New")
    link.apply(await link.source.fetch(link.stream("customers"), [customer]))
    newest = simulator.events()[-1]
    simulator.state.remove(newest)  # Stripe shows the newest event late
    await link.sync("customers")
    assert link.all(Account)[customer].name == "New"


@pytest.mark.parametrize("skew", [-7200, -30, 30, 7200])
async def test_our_clock_may_be_wrong(simulate: Start, connector: Start, skew: int) -> None:
    simulator = simulate(accounts=6)
    ours = FakeClock()
    ours.advance(skew)

    def tick(seconds: float) -> None:
        ours.advance(seconds)
        simulator.clock.advance(seconds)

    link = connector(simulator, our_clock=ours)
    await link.sync("customers", "subscriptions")
    customer = min(link.all(Account))
    for name in ("One", "Two", "Three"):
        tick(3)
        simulator.rename(customer, name)
        await link.sync("customers")
        assert link.all(Account)[customer].name == name
        link.apply(await link.source.fetch(link.stream("customers"), [customer]))
        tick(0.4)


@pytest.mark.parametrize("version", [VERSIONS[0], "2024-09-30.acacia", "2025-03-31.basil"])
async def test_events_of_accounts_with_older_versions(simulate: Start, connector: Start, version: str) -> None:
    simulator = simulate(accounts=10, seed=3, api_version=version)
    link = connector(simulator)
    await link.sync("customers", "subscriptions", "invoices", "payment_attempts")
    simulator.clock.advance(600)
    await play(simulator)
    simulator.log.clear()
    await link.sync("customers", "subscriptions", "invoices", "payment_attempts")
    assert len(simulator.log.matching("/v1/subscriptions/*")) < 8
    fresh = connector(simulator)
    await fresh.sync("customers", "subscriptions", "invoices", "payment_attempts")
    assert link.state() == fresh.state()


async def test_a_snapshot_in_an_unknown_shape_is_not_used(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    await link.sync("customers")
    one, two, three = sorted(link.all(Account))
    simulator.clock.advance(120)
    for customer, version in ((one, "2031-01-01.future"), (two, "2015-10-16"), (three, None)):
        simulator.rename(customer, "Right")
        event = simulator.events()[-1]
        event["api_version"] = version
        event["data"]["object"]["name"] = "Wrong"
    await link.sync("customers")
    assert {account.name for account in link.all(Account).values()} == {"Right"}


async def test_a_cursor_older_than_events_asks_for_a_full_read(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=5)
    link = connector(simulator, reconcile_days=25)
    await link.sync("customers")
    customer = min(link.all(Account))
    simulator.rename(customer, "A month ago")
    simulator.clock.advance(24 * DAY)
    await link.sync("customers")
    assert (link.expired, link.all(Account)[customer].name) == (0, "A month ago")
    simulator.rename(customer, "Two months ago")
    link.cursors["customers"] = {**link.cursors["customers"], "full_at": simulator.clock.now() + 90 * DAY * 1000}
    simulator.clock.advance(29 * DAY + 1)
    await link.sync("customers")
    assert (link.expired, link.all(Account)[customer].name) == (1, "Two months ago")


async def test_stripes_clock_decides_when_ours_is_behind(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=5)
    ours = FakeClock()
    link = connector(simulator, our_clock=ours)
    await link.sync("customers")
    customer = min(link.all(Account))
    simulator.rename(customer, "Long ago")
    simulator.clock.advance(31 * DAY)
    ours.advance(2 * DAY)
    await link.sync("customers")
    assert (link.expired, link.all(Account)[customer].name) == (1, "Long ago")


async def test_reconciliation_finds_what_no_event_told(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=5)
    link = connector(simulator, reconcile_days=7)
    await link.sync("customers")
    lost, changed, *_ = sorted(link.all(Account))
    simulator.state.tables["customer"].remove(lost)
    simulator.state.get("customer", changed)["name"] = "Silently changed"
    simulator.clock.advance(6 * DAY)
    await link.sync("customers")
    assert lost in link.all(Account)
    simulator.clock.advance(1 * DAY)
    await link.sync("customers")
    assert lost not in link.all(Account)
    assert (link.expired, link.all(Account)[changed].name) == (1, "Silently changed")


async def test_a_full_read_that_was_interrupted_for_a_month_starts_over(
    simulate: Start, connector: Start, monkeypatch: Any
) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 2)
    simulator = simulate(accounts=5)
    link = connector(simulator)
    await link.sync("customers", batches=1)
    first = next(iter(link.all(Account)))
    simulator.rename(first, "Changed in the meantime")
    simulator.clock.advance(29 * DAY)
    await link.sync("customers")
    assert (link.expired, link.all(Account)[first].name) == (1, "Changed in the meantime")


async def test_the_event_after_which_to_go_on_is_gone(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    simulator = simulate(accounts=6)
    link = connector(simulator)
    await link.sync("customers")
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 2)
    for customer in sorted(link.all(Account)):
        simulator.clock.advance(10)
        simulator.rename(customer, "Renamed")
    await link.sync("customers", batches=1)
    simulator.state.remove(simulator.state.get("event", link.cursors["customers"]["after"]))
    await link.sync("customers")
    assert {account.name for account in link.all(Account).values()} == {"Renamed"}


async def test_a_cursor_of_another_version_is_not_trusted(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=2)
    link = connector(simulator)
    link.cursors["customers"] = {"page": 7}
    await link.sync("customers")
    assert (link.expired, len(link.all(Account))) == (1, 2)


async def test_deletions(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=4, seed=2)
    link = connector(simulator)
    await link.sync()
    customer = min(link.all(Account))
    simulator.clock.advance(60)
    simulator.delete_customer(customer)
    await link.sync()
    assert customer not in link.all(Account)
    assert customer not in link.all(Person)
    assert {sub.status for sub in link.all(Subscription).values() if sub.account_ref == customer} <= {"canceled"}
    late = await link.source.fetch(link.stream("customers"), [customer, "cus_never"])
    assert {(deletion.record, deletion.id) for deletion in late.deletions} == {
        (Account, customer),
        (Person, customer),
        (Account, "cus_never"),
        (Person, "cus_never"),
    }


async def test_a_contact_without_address_is_nobody(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=2)
    link = connector(simulator)
    await link.sync("customers")
    one, two = sorted(link.all(Person))
    simulator.clock.advance(60)
    obj = simulator.state.get("customer", one)
    with simulator.state.change(obj, "customer.updated"):
        obj["email"] = obj["phone"] = None
    await link.sync("customers")
    assert set(link.all(Person)) == {two}
    assert set(link.all(Account)) == {one, two}


async def test_a_window_reads_what_was_made_in_it(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 10)
    simulator = simulate(accounts=40, seed=3)
    link = connector(simulator)
    made = sorted(row["created"] for row in simulator.state.tables["invoice"].rows.values())
    start, end = made[10], made[-10]
    expected = {row["id"] for row in simulator.state.tables["invoice"].rows.values() if start <= row["created"] < end}
    window = Window(start=start * 1000, end=end * 1000)
    assert await link.sync("invoices", window=window) == len(expected)
    assert set(link.all(Invoice)) == expected
    assert not any(batch.complete for batch in link.batches)
    assert await link.sync("invoices", window=window) == 0
    assert "invoices" not in link.cursors


async def test_attempts_before_the_latest_are_found_in_a_first_read(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=30, seed=3)
    customer = next(
        sub["customer"] for sub in simulator.state.tables["subscription"].rows.values() if sub["status"] == "active"
    )
    invoice = simulator.fail_payment(customer, "insufficient_funds")
    simulator.clock.advance(3 * DAY)
    simulator.retry(customer)
    simulator.clock.advance(2 * DAY)
    simulator.recover(customer)
    link = connector(simulator)
    await link.sync("payment_attempts")
    attempts = sorted(
        (attempt for attempt in link.all(PaymentAttempt).values() if attempt.invoice_ref == invoice),
        key=lambda attempt: attempt.attempted_at,
    )
    assert [(attempt.status, attempt.decline_code, attempt.network_code, attempt.advice_code) for attempt in attempts] == [
        ("failed", "insufficient_funds", "51", "try_again_later"),
        ("failed", "insufficient_funds", "51", "try_again_later"),
        ("succeeded", None, None, None),
    ]
    assert all(attempt.account_ref == customer for attempt in attempts)


async def test_attempts_that_wait_for_the_customer_come_and_go(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=30, seed=3)
    link = connector(simulator)
    await link.sync("payment_attempts")
    customer = next(
        sub["customer"] for sub in simulator.state.tables["subscription"].rows.values() if sub["status"] == "active"
    )
    sub = simulator._subscription(customer)
    simulator.clock.advance(60)
    bill = simulator.billing.finalize(simulator.billing.bill(sub, "subscription_cycle"))
    payment = simulator.state.get("invoice_payment", bill["_payments"][0])
    intent = simulator.state.get("payment_intent", payment["payment"]["payment_intent"])
    with simulator.state.change(intent, "payment_intent.requires_action"):
        intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
    await link.sync("payment_attempts")
    waiting = link.all(PaymentAttempt)[payment["id"]]
    assert (waiting.status, waiting.invoice_ref, waiting.account_ref) == ("requires_action", bill["id"], customer)
    simulator.clock.advance(60)
    simulator.billing.collect(bill)
    await link.sync("payment_attempts")
    assert payment["id"] not in link.all(PaymentAttempt)
    assert [a.status for a in link.all(PaymentAttempt).values() if a.invoice_ref == bill["id"]] == ["succeeded"]


async def test_a_payment_outside_of_stripe(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=30, seed=3)
    bill = simulator.state.all("invoice", status="open")[0]
    link = connector(simulator)
    await link.sync("payment_attempts")
    simulator.clock.advance(60)
    simulator.billing.pay_outside(bill)
    await link.sync("payment_attempts")
    outside = link.all(PaymentAttempt)[bill["_payments"][-1]]
    assert (outside.status, outside.invoice_ref, outside.amount) == ("succeeded", bill["id"], bill["amount_due"])


async def test_attempts_can_be_asked_for_by_any_id_that_leads_to_them(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=20, seed=3)
    link = connector(simulator)
    charge = simulator.state.all("charge", status="succeeded")[0]
    link_row = next(
        row
        for row in simulator.state.tables["invoice_payment"].rows.values()
        if row["payment"]["payment_intent"] == charge["payment_intent"]
    )
    for id_ in (charge["id"], charge["payment_intent"], link_row["id"], link_row["invoice"]):
        batch = await link.source.fetch(link.stream("payment_attempts"), [id_, id_])
        assert charge["id"] in {record.id for record in batch.records}
        assert all(record.invoice_ref == link_row["invoice"] for record in batch.records)
    gone = await link.source.fetch(link.stream("payment_attempts"), ["ch_gone"])
    assert [deletion.id for deletion in gone.deletions] == ["ch_gone"]
    free = payment_objects.payment_intent(simulator.state, 500, "usd", charge["customer"])
    simulator.state.add("payment_intent", free)
    alone = payment_objects.charge(simulator.state, free, simulator._method(charge["customer"]))
    simulator.state.add("charge", alone)
    nothing = await link.source.fetch(link.stream("payment_attempts"), [alone["id"], free["id"]])
    assert (nothing.records, nothing.deletions) == ([], [])


async def test_the_default_payment_method_moves(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=3)
    link = connector(simulator)
    await link.sync("payment_methods")
    customer = min(simulator.state.tables["customer"].rows)
    (old,) = (method.id for method in link.all(PaymentMethod).values() if method.account_ref == customer)
    assert link.all(PaymentMethod)[old].is_default
    simulator.clock.advance(60)
    new = simulator.replace_card(customer)
    simulator.rename(min(set(simulator.state.tables["customer"].rows) - {customer}), "Of no interest")
    simulator.log.clear()
    await link.sync("payment_methods")
    assert (link.all(PaymentMethod)[old].is_default, link.all(PaymentMethod)[new].is_default) == (False, True)
    assert sorted(entry.path for entry in simulator.log.matching("/v1/payment_methods/*")) == sorted(
        [f"/v1/payment_methods/{old}", f"/v1/payment_methods/{new}"]
    )


async def test_an_estimate_counts_what_can_be_counted(simulate: Start, connector: Start, monkeypatch: Any) -> None:
    simulator = simulate(accounts=60, seed=3)
    link = connector(simulator)
    small = await link.source.estimate(link.stream("products"), None)
    assert (small.calls, small.seconds) == (1, 1 / 20)
    monkeypatch.setattr("wellkept_stripe.api.PAGE", 10)
    monkeypatch.setattr("wellkept_stripe.checking.PAGE", 10)
    invoices = len(simulator.state.tables["invoice"].rows)
    simulator.log.clear()
    large = await link.source.estimate(link.stream("invoices"), None)
    assert invoices / 10 / 3 < large.calls < invoices / 10 * 3
    assert len(simulator.log.requests) <= 8
    assert (await link.source.estimate(link.stream("payment_methods"), None)).calls is None
    await link.sync("customers")
    for customer in sorted(link.all(Account)):
        simulator.clock.advance(30)
        simulator.rename(customer, "Renamed")
    changes = await link.source.estimate(link.stream("customers"), link.cursors["customers"])
    assert 3 <= changes.calls <= 30


async def test_tax_ids_are_read_where_the_configuration_asks(simulate: Start, connector: Start, clock: FakeClock) -> None:
    simulator = simulate(accounts=40, seed=3)
    link = connector(simulator, tax_ids=True)
    await link.sync("customers")
    known = {row["customer"]: [row["value"]] for row in simulator.state.all("tax_id")}
    assert known
    assert {id_: row.tax_ids for id_, row in link.all(Account).items()} == {
        id_: known.get(id_, []) for id_ in link.all(Account)
    }
    with_one, without = min(known), min(link.all(Account).keys() - known.keys())
    clock.advance(60)
    simulator.rename(with_one, "Another Name")
    simulator.add_tax_id(without, "DE999999999")
    clock.advance(60)
    await link.sync("customers")
    accounts = link.all(Account)
    assert (accounts[with_one].name, accounts[with_one].tax_ids) == ("Another Name", known[with_one])
    assert accounts[without].tax_ids == ["DE999999999"]
    plain = connector(simulator)
    await plain.sync("customers")
    assert not any(row.tax_ids for row in plain.all(Account).values())
