"""Stripe's own sample objects map without loss.

For every shape, every field that it names is filled from the sample and compared with the JSON; and for every field, a change
of its value changes the record. So nothing that is read is dropped, and nothing is read in vain.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wellkept.records import Account, Invoice, PaymentAttempt, PaymentMethod, Person, Record, Subscription
from wellkept_stripe import mapping, wire
from wellkept_stripe import wire_payments as payments
from wellkept_stripe.config import MrrPolicy
from wellkept_stripe.mrr import mrr
from wellkept_stripe.records import StripePrice, StripeProduct

FIXTURES = Path(__file__).parents[4] / "shared" / "specs" / "stripe" / "fixtures3.json"
NOW = 1_795_219_200


@pytest.fixture(scope="module")
def samples() -> dict[str, Any]:
    if not FIXTURES.exists():
        pytest.skip(f"{FIXTURES.name} is not here")
    found: dict[str, Any] = json.loads(FIXTURES.read_bytes())["resources"]
    return found


def decode(value: Any, type_: Any) -> Any:
    return msgspec.json.decode(json.dumps(value), type=type_)


def customer(value: Any) -> list[Record | None]:
    row = decode(value, wire.Customer)
    return [
        mapping.account(row, external_id_key="account_id", version=1, updated_at=None),
        mapping.billing_contact(row, version=1, updated_at=None),
    ]


def subscription(value: Any) -> list[Record | None]:
    row = decode(value, wire.Subscription)
    return [mapping.subscription(row, mrr(row, MrrPolicy(), now=NOW), "Plan", version=1, updated_at=None)]


def invoice(value: Any) -> list[Record | None]:
    return [mapping.invoice(decode(value, wire.Invoice), version=1, updated_at=None)]


def charge(value: Any) -> list[Record | None]:
    return [mapping.attempt(decode(value, payments.Charge), invoice_ref=None, error=None, version=1)]


def intent(value: Any) -> list[Record | None]:
    row = decode(value, payments.PaymentIntent)
    payment = payments.InvoicePayment(
        id="inpay_1",
        invoice="in_1",
        currency="usd",
        amount_requested=1,
        created=0,
        status="open",
        payment=payments.Payment("payment_intent"),
    )
    found: list[Record | None] = [mapping.waiting(payment, row, version=1)]
    if isinstance(row.latest_charge, payments.Charge):
        found.append(mapping.attempt(row.latest_charge, invoice_ref="in_1", error=row.last_payment_error, version=1))
    return found


def invoice_payment(value: Any) -> list[Record | None]:
    return [mapping.outside(decode(value, payments.InvoicePayment), version=1)]


def payment_method(value: Any) -> list[Record | None]:
    return [mapping.payment_method(decode(value, payments.PaymentMethod), version=1, updated_at=None)]


def price(value: Any) -> list[Record | None]:
    return [mapping.price(decode(value, wire.Price), version=1, updated_at=None)]


def product(value: Any) -> list[Record | None]:
    return [mapping.product(decode(value, wire.Product), version=1, updated_at=None)]


Mapper = Callable[[Any], list[Record | None]]

CASES: dict[str, tuple[type[Any], Mapper]] = {
    "customer": (wire.Customer, customer),
    "subscription": (wire.Subscription, subscription),
    "invoice": (wire.Invoice, invoice),
    "charge": (payments.Charge, charge),
    "payment_intent": (payments.PaymentIntent, intent),
    "invoice_payment": (payments.InvoicePayment, invoice_payment),
    "payment_method": (payments.PaymentMethod, payment_method),
    "price": (wire.Price, price),
    "product": (wire.Product, product),
}


def fields(type_: Any, value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every leaf that the shape names and the JSON has."""
    for field in msgspec.structs.fields(type_):
        name = field.encode_name
        if name in value:
            yield from below(field.type, value[name], (*path, name))


def below(kind: Any, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    structs = [part for part in parts(kind) if isinstance(part, type) and issubclass(part, msgspec.Struct)]
    if isinstance(value, dict) and structs:
        yield from fields(structs[0], value, path)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        inner = [part for option in parts(kind) for part in getattr(option, "__args__", ())]
        found = [part for each in inner for part in parts(each) if isinstance(part, type) and issubclass(part, msgspec.Struct)]
        for place, item in enumerate(value):
            yield from fields(found[0], item, (*path, place))
    else:
        yield path


def parts(kind: Any) -> list[Any]:
    """The members of a union, annotations peeled off."""
    kind = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    args = getattr(kind, "__args__", None)
    return list(args) if args and "Union" in type(kind).__name__ else [kind]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def attribute(row: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        row = row[step] if isinstance(step, int) else getattr(row, step)
    return row


@pytest.mark.parametrize("name", CASES)
def test_samples_are_read_without_loss(samples: dict[str, Any], name: str) -> None:
    shape, mapper = CASES[name]
    row = decode(samples[name], shape)
    paths = list(fields(shape, samples[name]))
    assert len(paths) >= len(msgspec.structs.fields(shape)) // 2
    for path in paths:
        sent, got = at(samples[name], path), attribute(row, path)
        if isinstance(got, Decimal):
            got = float(got)
        assert got == sent or (isinstance(got, wire.Named) and got.id == sent), path
    assert all(record is None or record.id for record in mapper(samples[name]))


def test_what_the_samples_become(samples: dict[str, Any]) -> None:
    (account, contact) = customer({**samples["customer"], "email": "a@b.example", "metadata": {"account_id": "acct-1"}})
    assert isinstance(account, Account)
    assert (account.id, account.external_id, account.created_at) == ("cus_QXg1o8vcGmoR32", "acct-1", 1_234_567_890_000)
    assert isinstance(contact, Person)
    assert (contact.account_ref, contact.roles) == (account.id, ["billing"])
    (sub,) = subscription(samples["subscription"])
    assert isinstance(sub, Subscription)
    assert (sub.account_ref, sub.interval, sub.period_end_at) == ("cus_QXg1o8vcGmoR32", "month", 976_287_773_000)
    (bill,) = invoice(samples["invoice"])
    assert isinstance(bill, Invoice)
    assert (bill.status, bill.amount_due, bill.amount_remaining, bill.number) == ("draft", 1000, 1000, None)
    (attempt,) = charge(samples["charge"])
    assert isinstance(attempt, PaymentAttempt)
    assert (attempt.status, attempt.amount, attempt.payment_method_ref) == ("succeeded", 100, "card_1PgaftB7WZ01zgkWm3waTcFp")
    (method,) = payment_method(samples["payment_method"])
    assert isinstance(method, PaymentMethod)
    assert (method.kind, method.brand, method.last4, method.expires_on) == ("card", "visa", "4242", "2030-08-31")
    (cost,) = price(samples["price"])
    assert isinstance(cost, StripePrice)
    assert (cost.amount, cost.currency, cost.interval) == (2000, "usd", "month")
    (thing,) = product(samples["product"])
    assert isinstance(thing, StripeProduct)
    assert (thing.name, thing.active) == ("T-shirt", True)


# --- every field counts ---

RICH: dict[str, Any] = {
    "customer": {
        "id": "cus_1",
        "created": 10,
        "name": "N",
        "business_name": "B",
        "individual_name": "I",
        "email": "e@x.example",
        "phone": "+1",
        "address": {"country": "DE"},
        "preferred_locales": ["de"],
        "delinquent": False,
        "metadata": {"account_id": "a", "tier": "gold"},
    },
    "invoice": {
        "id": "in_1",
        "customer": "cus_1",
        "status": "open",
        "currency": "usd",
        "amount_due": 10,
        "amount_paid": 1,
        "amount_remaining": 9,
        "created": 5,
        "number": "A-1",
        "billing_reason": "manual",
        "collection_method": "send_invoice",
        "attempt_count": 2,
        "next_payment_attempt": 7,
        "due_date": 8,
        "metadata": {"k": "v"},
        "status_transitions": {"finalized_at": 6, "paid_at": None, "voided_at": None, "marked_uncollectible_at": None},
        "parent": {"subscription_details": {"subscription": "sub_1"}},
    },
    "charge": {
        "id": "ch_1",
        "amount": 5,
        "currency": "usd",
        "created": 9,
        "status": "failed",
        "customer": "cus_1",
        "payment_intent": "pi_1",
        "payment_method": "pm_1",
        "failure_code": "card_declined",
        "invoice": "in_0",
        "outcome": {
            "reason": "lost_card",
            "network_decline_code": "41",
            "network_advice_code": "02",
            "advice_code": "do_not_try_again",
        },
    },
    "invoice_payment": {
        "id": "inpay_1",
        "invoice": "in_1",
        "currency": "usd",
        "amount_requested": 5,
        "amount_paid": None,
        "created": 3,
        "status": "paid",
        "payment": {"type": "payment_record", "payment_record": "pr_1"},
        "status_transitions": {"paid_at": 4},
    },
    "payment_method": {
        "id": "pm_1",
        "type": "card",
        "customer": {"id": "cus_1", "invoice_settings": {"default_payment_method": "pm_1"}, "default_source": None},
        "card": {"brand": "visa", "last4": "4242", "exp_month": 2, "exp_year": 2028, "fingerprint": "F"},
        "metadata": {"k": "v"},
    },
    "price": {
        "id": "price_1",
        "product": "prod_1",
        "currency": "usd",
        "created": 4,
        "active": True,
        "nickname": "N",
        "lookup_key": "L",
        "billing_scheme": "per_unit",
        "unit_amount": 500,
        "unit_amount_decimal": "500",
        "tiers_mode": None,
        "tiers": [{"up_to": 3, "flat_amount": 1, "flat_amount_decimal": None, "unit_amount": 2, "unit_amount_decimal": None}],
        "transform_quantity": {"divide_by": 3, "round": "up"},
        "tax_behavior": "inclusive",
        "metadata": {"k": "v"},
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    },
    "product": {
        "id": "prod_1",
        "name": "P",
        "created": 1,
        "active": True,
        "updated": 2,
        "unit_label": "seat",
        "metadata": {"k": "v"},
    },
}
_COUPON = {"id": "C", "duration": "forever", "percent_off": 10.5, "amount_off": None, "currency": None}
_DISCOUNT = {"id": "di_1", "start": NOW - 50, "end": None, "source": {"coupon": _COUPON}, "subscription": "sub_1"}
RICH["subscription"] = {
    "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd", "created": 1, "start_date": 2, "trial_end": 3,
    "cancel_at_period_end": True, "cancel_at": 4, "canceled_at": 5, "ended_at": 6, "default_payment_method": "pm_1",
    "cancellation_details": {"reason": "payment_failed", "feedback": "unused"},
    "pause_collection": {"behavior": "void", "resumes_at": 7}, "discounts": [_DISCOUNT],
    "default_tax_rates": [{"percentage": 20.0, "inclusive": True}], "metadata": {"k": "v"},
    "items": {
        "data": [
            {
                "id": "si_1", "quantity": 700, "current_period_start": 8, "current_period_end": 9,
                "current_trial": {"end_date": NOW - 1},
                "discounts": [{**_DISCOUNT, "id": "di_2"}], "tax_rates": None, "price": {**RICH["price"], "tiers": None},
            }
        ]
    },
}  # fmt: skip
RICH["payment_intent"] = {
    "id": "pi_1", "amount": 7, "currency": "usd", "created": 2, "status": "requires_action", "customer": "cus_1",
    "payment_method": "pm_1",
    "latest_charge": {**RICH["charge"], "outcome": None, "payment_method": None, "failure_code": None},
    "last_payment_error": {
        "charge": "ch_1", "code": "card_declined", "decline_code": "fraudulent", "network_decline_code": "59",
        "network_advice_code": "03", "advice_code": "do_not_try_again", "payment_method": {"id": "pm_9"},
    },
}  # fmt: skip

SILENT: dict[str, dict[str, str]] = {
    "customer": {
        "name": "shows where there is no business_name",
    },
    "subscription": {
        "created": "start_date says it",
        "discounts.0.id": "an id of no consequence",
        "discounts.0.subscription": "used in events only",
        "discounts.0.source.coupon.id": "for looking up restrictions",
        "discounts.0.source.coupon.amount_off": "percent_off is set",
        "items.data.0.id": "for looking up discounts",
        "items.data.0.discounts.0.id": "an id of no consequence",
        "items.data.0.discounts.0.subscription": "used in events only",
        "items.data.0.discounts.0.source.coupon.id": "for looking up restrictions",
        "items.data.0.discounts.0.source.coupon.amount_off": "percent_off is set",
        "items.data.0.price.created": "the price's own record has it",
        "items.data.0.price.active": "the price's own record has it",
        "items.data.0.price.nickname": "names the plan where the product has no name",
        "items.data.0.price.lookup_key": "names the plan where the product has no name",
        "items.data.0.price.unit_amount_decimal": "unit_amount is set",
        "items.data.0.price.tax_behavior": "counts with automatic tax",
        "items.data.0.price.metadata.k": "the price's own record has it",
    },
    "invoice": {
        "status_transitions.voided_at": "counts for a void invoice",
        "status_transitions.marked_uncollectible_at": "likewise",
    },
    "invoice_payment": {"created": "paid_at says it", "payment.type": "decides how it is read"},
    "payment_intent": {
        "status": "decides how it is read",
        "latest_charge.invoice": "the invoice payment tells the invoice",
    },
}
"""Fields whose change alone need not change the record, and why."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path


OTHER: dict[Any, Any] = {
    "open": "draft", "active": "past_due", "send_invoice": "charge_automatically", "failed": "pending", "month": "year",
    "up": "down", "licensed": "metered", "per_unit": "tiered", "forever": "once", "paid": "open",
    "payment_failed": "cancellation_requested",
    "usd": "isk",
}  # fmt: skip


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, str) and value in OTHER:
        return OTHER[value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 100
    if isinstance(value, list):
        return [*value[1:], "fr"]
    return 12 if value is None else f"{value}9"


@pytest.mark.parametrize("name", RICH)
def test_every_field_that_is_read_has_a_place(name: str) -> None:
    _, mapper = CASES[name]
    value = copy.deepcopy(RICH[name])
    if name == "subscription":
        value["pause_collection"]["resumes_at"] = NOW - 1
    before = mapper(value)
    without_effect = []
    for path in leaves(value):
        other = copy.deepcopy(value)
        holder = at(other, path[:-1])
        holder[path[-1]] = changed(holder[path[-1]])
        try:
            same = mapper(other) == before
        except (msgspec.ValidationError, ValueError):
            same = False  # it is read: another value is refused
        if same:
            without_effect.append(".".join(map(str, path)))
    assert set(without_effect) == set(SILENT.get(name, {}))


# --- older shapes ---


def test_the_older_shape_of_an_invoice() -> None:
    new = RICH["invoice"]
    old = {key: item for key, item in new.items() if key not in {"parent", "status"}} | {
        "subscription": "sub_1", "paid": True, "payment_intent": "pi_1", "charge": "ch_1",
    }  # fmt: skip
    (record,) = invoice(old)
    assert isinstance(record, Invoice)
    assert (record.subscription_ref, record.status) == ("sub_1", "paid")
    assert invoice({**old, "paid": False})[0].status == "open"  # type: ignore[union-attr]


def test_the_older_shape_of_a_subscription() -> None:
    old = copy.deepcopy(RICH["subscription"])
    old |= {"current_period_start": 80, "current_period_end": 90, "discount": old.pop("discounts")[0]}
    for item in old["items"]["data"]:
        del item["current_period_start"], item["current_period_end"]
    (record,) = subscription(old)
    assert isinstance(record, Subscription)
    assert (record.period_start_at, record.period_end_at) == (80_000, 90_000)


@pytest.mark.parametrize(
    ("version", "readable"),
    [
        ("2026-10-28.endive", True),
        ("2025-03-31.basil", True),
        ("2024-06-20", True),
        ("2020-08-27", True),
        ("2019-12-03", False),
        ("2027-03-31.fennel", False),
        ("", False),
        (None, False),
    ],
)
def test_versions_that_can_be_read(version: str | None, readable: bool) -> None:
    assert wire.readable(version) is readable


def test_amounts_are_in_iso_units() -> None:
    bill = {**RICH["invoice"], "currency": "isk", "amount_due": 250_000, "amount_paid": 100_000, "amount_remaining": 150_000}
    (record,) = invoice(bill)
    assert isinstance(record, Invoice)
    assert (record.amount_due, record.amount_paid, record.amount_remaining) == (2500, 1000, 1500)
    (attempt,) = charge({**RICH["charge"], "currency": "mga", "amount": 500})
    assert isinstance(attempt, PaymentAttempt)
    assert attempt.amount == 50_000


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("canceled", "cancellation_requested", "voluntary"),
        ("canceled", "payment_failed", "involuntary"),
        ("canceled", "payment_disputed", "involuntary"),
        ("canceled", "canceled_by_retention_policy", "unknown"),
        ("canceled", None, "unknown"),
        ("active", "cancellation_requested", None),
    ],
)
def test_who_wanted_the_end(status: str, reason: str | None, expected: str | None) -> None:
    value = {**RICH["subscription"], "status": status, "cancellation_details": {"reason": reason}}
    (record,) = subscription(value)
    assert isinstance(record, Subscription)
    assert record.end_reason == expected


def test_a_final_state_says_when_it_began() -> None:
    bill = copy.deepcopy(RICH["invoice"])
    bill["status_transitions"] |= {"paid_at": 100, "voided_at": 200, "marked_uncollectible_at": 300}
    began = {status: invoice({**bill, "status": status})[0].updated_at for status in ("open", "paid", "void", "uncollectible")}  # type: ignore[union-attr]
    assert began == {"open": None, "paid": 100_000, "void": 200_000, "uncollectible": 300_000}
    (ended,) = subscription({**RICH["subscription"], "status": "canceled"})
    assert ended is not None
    assert ended.updated_at == 6000
