"""What HubSpot's properties become."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.errors import RejectedError
from wellkept.http import decode_rows
from wellkept_hubspot import mapping
from wellkept_hubspot.api import said
from wellkept_hubspot.config import HubSpotConfig
from wellkept_hubspot.mapping import House, Reading, Refs
from wellkept_hubspot.wire import Obj

MADE, CHANGED = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 11, 20, 12, 30, 0, 250_000, tzinfo=UTC)
CHANGED_MS = 1_795_177_800_250


def reading(properties: dict[str, str | None], refs: Refs = Refs("9", "8"), currency: str = "usd", **config: Any) -> Reading:  # noqa: B008
    found = HubSpotConfig.model_validate({"access_token": "env:X", **config})
    return Reading(Obj("5", properties, MADE, CHANGED), 77, refs, House(found, currency))


def test_a_company() -> None:
    account = mapping.account(
        reading(
            {
                "name": "Aster Labs",
                "domain": "Aster.Example",
                "hs_additional_domains": "aster.example; labs.example;",
                "phone": "+4930123",
                "hs_country_code": "DE",
                "type": "CUSTOMER",
                "lifecyclestage": "customer",
                "hubspot_owner_id": "3",
                "hs_parent_company_id": "44",
                "account_id": "acct-0001",
                "industry": "COMPUTER_SOFTWARE",
            },
            extra={"companies": ["industry", "absent"]},
        )
    )
    assert (account.id, account.version, account.updated_at) == ("5", 77, CHANGED_MS)
    assert account.domains == ["aster.example", "labs.example"]
    assert (account.name, account.external_id, account.country, account.parent_ref) == ("Aster Labs", "acct-0001", "DE", "44")
    assert (account.owner_ref, account.segment, account.phone) == ("owner:3", "CUSTOMER", "+4930123")
    assert account.extra == {"lifecyclestage": "customer", "industry": "COMPUTER_SOFTWARE"}
    assert account.created_at == 1_767_312_000_000


def test_an_empty_company() -> None:
    account = mapping.account(reading(dict.fromkeys(["name", "domain", "hs_additional_domains", "account_id"])))
    assert (account.name, account.domains, account.external_id, account.owner_ref, account.extra) == (None, [], None, None, {})


def test_a_contact() -> None:
    person = mapping.person(
        reading(
            {
                "firstname": "Mei",
                "lastname": "Chen",
                "email": "mei@aster.example",
                "mobilephone": "+861",
                "hs_buying_role": "BUDGET_HOLDER;DECISION_MAKER",
                "hs_language": "zh-cn",
            }
        )
    )
    assert (person.account_ref, person.name, person.email, person.phone) == ("9", "Mei Chen", "mei@aster.example", "+861")
    assert person.roles == ["budget_holder", "decision_maker"]
    assert person.locale == "zh-CN"
    assert not person.email_verified


@pytest.mark.parametrize(
    ("properties", "consent"),
    [
        ({}, None),
        ({"hs_email_optout": None}, None),
        ({"hs_email_optout": "false"}, None),
        ({"hs_email_optout": "true"}, False),
        ({"hs_email_optout_12": "true", "wants_mail": "true"}, False),
        ({"hs_email_optout": "true", "wants_mail": "true"}, False),
        ({"wants_mail": "true"}, True),
        ({"wants_mail": "false"}, False),
    ],
)
def test_consent_is_the_strictest(properties: dict[str, str | None], consent: bool | None) -> None:
    found = reading(properties, consent_property="wants_mail", optout_properties=["hs_email_optout_12"])
    assert mapping.person(found).marketing_consent is consent


def test_without_a_consent_property_nobody_has_agreed() -> None:
    assert mapping.person(reading({"wants_mail": "true"})).marketing_consent is None


@pytest.mark.parametrize(
    ("amount", "code", "currency", "expected"),
    [
        ("1200.5", "EUR", "usd", ("eur", 120_050)),
        ("1200", None, "usd", ("usd", 120_000)),
        ("1200", "JPY", "usd", ("jpy", 1200)),
        ("1.234", "KWD", "usd", ("kwd", 1234)),
        (None, None, "jpy", ("jpy", None)),
        ("-5", None, "usd", ("usd", -500)),
        ("12.345", "USD", "usd", ("usd", 1234)),
        ("12.3451", "USD", "usd", ("usd", 1235)),
    ],
)
def test_money_of_a_deal(amount: str | None, code: str | None, currency: str, expected: tuple[str, int | None]) -> None:
    deal = mapping.deal(reading({"amount": amount, "deal_currency_code": code}, currency=currency))
    assert (deal.currency, deal.amount) == expected


@pytest.mark.parametrize(
    ("amount", "code", "reason"),
    [
        ("much", "USD", "amount is no amount of USD"),
        ("NaN", "USD", "amount is no amount of USD"),
        ("1", "XXQ", "amount is in a currency that ISO 4217 does not have"),
    ],
)
def test_money_that_is_none(amount: str, code: str, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        mapping.deal(reading({"amount": amount, "deal_currency_code": code}))
    assert caught.value.message == reason


def test_a_deal() -> None:
    deal = mapping.deal(
        reading(
            {
                "dealname": "Renewal",
                "pipeline": "default",
                "dealstage": "closedwon",
                "dealtype": "existingbusiness",
                "hs_is_closed": "true",
                "hs_is_closed_won": "true",
                "hubspot_owner_id": "2",
                "closedate": "2026-11-30T00:00:00Z",
            }
        )
    )
    assert (deal.account_ref, deal.name, deal.stage, deal.is_closed, deal.is_won) == ("9", "Renewal", "closedwon", True, True)
    assert (deal.owner_ref, deal.close_at, deal.deal_type) == ("owner:2", 1_795_996_800_000, "existingbusiness")


def test_a_task_and_its_outcome() -> None:
    values: dict[str, str | None] = {
        "hs_task_subject": "Call them",
        "hs_task_status": "COMPLETED",
        "hubspot_owner_id": "1",
        "hs_timestamp": "1795996800000",
        "hs_task_completion_date": "2026-11-19T08:00:00.500Z",
        "wellkept_outcome": "solved",
    }
    task = mapping.task(reading(values))
    assert (task.account_ref, task.owner_ref, task.title, task.status, task.outcome) == (
        "9", "owner:1", "Call them", "COMPLETED", "solved",
    )  # fmt: skip
    assert (task.due_at, task.completed_at) == (1_795_996_800_000, 1_795_075_200_500)
    again = mapping.task(reading({**values, "hs_task_status": "NOT_STARTED"}))
    assert again.completed_at is None
    assert mapping.task(reading({"mine": "leaving"}, task_outcome_property="mine")).outcome == "leaving"
    assert mapping.task(reading({})).status == "NOT_STARTED"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("NPS", "10", ("nps", 10, 0, 10)),
        ("NPS", "0", ("nps", 0, 0, 10)),
        ("CSAT", "4", ("csat", 4, 1, 5)),
        ("CES", "7", ("ces", 7, 1, 7)),
        ("CUSTOM", "3", ("other", 3, 0, 10)),
        (None, "3", ("other", 3, 0, 10)),
    ],
)
def test_surveys_keep_their_scale(kind: str | None, value: str, expected: tuple[str, int, int, int]) -> None:
    answer = mapping.survey(reading({"hs_survey_type": kind, "hs_value": value, "hs_submission_timestamp": "2026-11-19"}))
    assert (answer.kind, answer.score, answer.scale_min, answer.scale_max) == expected
    assert (answer.account_ref, answer.person_ref, answer.answered_at) == ("9", "8", 1_795_046_400_000)


def test_a_scale_of_ones_own() -> None:
    answer = mapping.survey(reading({"hs_survey_type": "CSAT", "hs_value": "2"}, feedback_scales={"csat": [0, 2]}))
    assert (answer.score, answer.scale_min, answer.scale_max) == (2, 0, 2)
    assert answer.answered_at == 1_767_312_000_000


@pytest.mark.parametrize("value", ["11", "-1", "happy", "", None, "nan"])
def test_scores_beyond_the_scale(value: str | None) -> None:
    with pytest.raises(RejectedError) as caught:
        mapping.survey(reading({"hs_survey_type": "NPS", "hs_value": value}))
    assert "hs_value" in caught.value.message


def test_the_reason_never_shows_a_value() -> None:
    found = reading({"seats": "mine@private.example"}, fields={"companies": {"seats_bought": "seats"}})
    with pytest.raises(RejectedError) as caught:
        mapping.account(found)
    assert "seats_bought" in caught.value.message
    assert "private" not in caught.value.message


def test_a_company_remembers_what_was_merged_into_it() -> None:
    assert mapping.account(reading({"hs_merged_object_ids": "3;4"})).merged_ids == ["3", "4"]


def test_a_contact_keeps_the_further_addresses_that_a_merge_left() -> None:
    person = mapping.person(reading({"email": "ann@a.example", "hs_additional_emails": "a@b.example; ann@c.example"}))
    assert person.other_emails == ["a@b.example", "ann@c.example"]


def test_ids_and_values_may_come_as_numbers() -> None:
    made = {"createdAt": "2026-01-02T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False, "url": "https://x"}
    properties = {
        "amount": 12.5,
        "hs_is_closed": True,
        "hs_merged_object_ids": None,
        "dealname": "Renewal",
        "n": 9007199254740993,
    }
    body = msgspec.json.encode({"results": [{"id": 9007199254740993, "properties": properties, **made}]})
    ((row, _),) = decode_rows(body, Obj, path=("results",)).rows
    assert row.id == "9007199254740993"
    assert row.properties == {**properties, "amount": "12.5", "hs_is_closed": "true", "n": "9007199254740993"}


def test_a_refusal_is_read_whatever_of_it_is_missing() -> None:
    answer = said(b'{"message": null, "category": "VALIDATION_ERROR", "errors": null, "context": null}')
    assert answer.category == "VALIDATION_ERROR"
    answer = said(b'{"category": "X", "errors": [{"message": null, "context": null}, {"context": {"propertyName": "a"}}]}')
    assert [complaint.named("propertyName") for complaint in answer.errors or ()] == [(), ("a",)]


def test_merged_ids() -> None:
    obj = Obj("5", {"hs_merged_object_ids": "3;4; 5;"}, MADE, CHANGED)
    assert mapping.merged(obj) == ["3", "4"]


@given(st.integers(0, 4_102_444_800_000))
def test_instants_in_every_notation(ms: int) -> None:
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    values = {"hs_timestamp": text.replace("+00:00", "Z")}
    assert mapping.task(reading(dict(values))).due_at == ms
    if len(str(ms)) > 8:
        assert mapping.task(reading({"hs_timestamp": str(ms)})).due_at == ms
