"""From Zendesk's objects to records: durations, channels, who belongs where, and the wish to leave."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import Deletion
from wellkept.errors import RejectedError
from wellkept.http import decode_rows
from wellkept_zendesk import mapping, rows, wire
from wellkept_zendesk.words import ChurnWords

WORDS = ChurnWords()
CREATED, UPDATED = "2026-11-01T10:00:00Z", "2026-11-03T10:00:00Z"
MS = 1_793_527_200_000
"""2026-11-01T10:00:00Z"""


def minutes(calendar: int | None, business: int | None) -> dict[str, int | None]:
    return {"calendar": calendar, "business": business}


def ticket(metric: dict[str, Any] | None = None, **fields: Any) -> wire.Ticket:
    row = {"id": 7, "created_at": CREATED, "updated_at": UPDATED, "status": "open", "metric_set": metric, **fields}
    return msgspec.convert(row, wire.Ticket)


METRIC = {
    "ticket_id": 7,
    "reopens": 0,
    "replies": 2,
    "solved_at": "2026-11-02T09:00:00Z",
    "updated_at": UPDATED,
    "reply_time_in_minutes": minutes(95, 30),
    "first_resolution_time_in_minutes": minutes(1000, 400),
    "full_resolution_time_in_minutes": minutes(1380, 540),
    "agent_wait_time_in_minutes": minutes(600, 200),
    "requester_wait_time_in_minutes": minutes(780, 340),
    "on_hold_time_in_minutes": minutes(0, 0),
}


def test_the_durations_of_a_solved_ticket() -> None:
    record = mapping.ticket(ticket(METRIC, status="solved"), WORDS)
    assert (record.first_reply_minutes, record.first_reply_business_minutes) == (95, 30)
    assert (record.resolution_minutes, record.resolution_business_minutes) == (1380, 540)
    assert record.pending_minutes == 600
    assert record.extra["zendesk_pending_business_minutes"] == 200
    assert record.solved_at == MS + 23 * 3_600_000
    assert record.extra["zendesk_requester_wait_minutes"] == 780


@pytest.mark.parametrize("metric", [None, {"ticket_id": 7, "solved_at": None}])
def test_a_closed_ticket_without_metrics_is_not_open(metric: dict[str, Any] | None) -> None:
    record = mapping.ticket(ticket(metric, status="closed"), WORDS)
    assert record.solved_at == MS + 48 * 3_600_000
    assert record.resolution_minutes is None


@pytest.mark.parametrize("status", ["open", "pending", "hold", "new"])
def test_a_ticket_that_was_reopened_is_not_resolved(status: str) -> None:
    record = mapping.ticket(ticket({**METRIC, "reopens": 1}, status=status), WORDS)
    assert (record.resolution_minutes, record.resolution_business_minutes, record.solved_at) == (None, None, None)
    assert record.reopens == 1
    assert record.first_reply_minutes == 95


def test_the_last_resolution_counts_after_a_reopening() -> None:
    record = mapping.ticket(ticket({**METRIC, "reopens": 2}, status="closed"), WORDS)
    assert record.resolution_minutes == 1380, "not the first one's 1000"


def test_a_ticket_that_nobody_answered() -> None:
    nothing = {name: minutes(None, None) for name in METRIC if name.endswith("_in_minutes")}
    for metric in (None, {**METRIC, **nothing, "solved_at": None}, {"ticket_id": 7}):
        record = mapping.ticket(ticket(metric), WORDS)
        assert (record.first_reply_minutes, record.first_reply_business_minutes, record.pending_minutes) == (None, None, None)


def test_chats_tell_seconds() -> None:
    metric = {**METRIC, "reply_time_in_minutes": minutes(None, None), "reply_time_in_seconds": {"calendar": 150}}
    record = mapping.ticket(ticket(metric), WORDS)
    assert (record.first_reply_minutes, record.first_reply_business_minutes) == (2, None)


@pytest.mark.parametrize(
    ("via", "channel"),
    [
        ({"channel": "voice"}, "voice"),
        ({"channel": "chat"}, "chat"),
        ({"channel": "wechat"}, "wechat"),
        ({"channel": "any_channel", "source": {"from": {"registered_integration_service_name": "QQ"}}}, "QQ"),
        ({"channel": "any_channel", "source": {"from": {}}}, "any_channel"),
        ({"channel": "any_channel"}, "any_channel"),
        ({"channel": 29}, "29"),
        ({"channel": None}, None),
        (None, None),
    ],
)
def test_channels_are_kept_as_they_are_named(via: Any, channel: str | None) -> None:
    assert mapping.ticket(ticket(via=via), WORDS).channel == channel


def test_who_a_ticket_belongs_to() -> None:
    record = mapping.ticket(ticket(organization_id=3, requester_id=4, assignee_id=5, group_id=6), WORDS)
    assert (record.account_ref, record.person_ref) == ("3", "4")
    assert (record.extra["zendesk_assignee"], record.extra["zendesk_group"]) == ("5", "6")
    assert mapping.ticket(ticket(requester_id=4), WORDS).account_ref is None


def test_a_version_is_the_latest_change_of_any_kind() -> None:
    seconds = MS // 1000
    assert mapping.ticket_version(ticket()) == MS + 2 * 86_400_000
    assert mapping.ticket_version(ticket(generated_timestamp=seconds + 5 * 86_400)) == MS + 5 * 86_400_000
    later = {**METRIC, "updated_at": "2026-11-09T10:00:00Z"}
    assert mapping.ticket_version(ticket(later, generated_timestamp=seconds)) == MS + 8 * 86_400_000


@pytest.mark.parametrize("fields", [{"status": "deleted"}, {"status": "closed", "tags": ["vip", "closed_by_merge"]}])
def test_what_counts_for_nothing(fields: dict[str, Any]) -> None:
    made = rows.ticket(ticket(**fields), WORDS)
    assert isinstance(made, Deletion)
    assert (made.id, made.version) == ("7", MS + 2 * 86_400_000)


def test_metrics_beside_the_tickets() -> None:
    """Side-loads usually stand in an array of their own."""
    page = {
        "tickets": [{"id": 7, "created_at": CREATED, "updated_at": UPDATED, "status": "solved"}],
        "metric_sets": [{**METRIC}, {**METRIC, "ticket_id": 8, "reopens": 4}],
    }
    found = rows.with_metrics(decode_rows(msgspec.json.encode(page), wire.Ticket, path=("tickets",)))
    assert mapping.ticket(found.rows[0][0], WORDS).resolution_minutes == 1380


def organization(**fields: Any) -> wire.Organization:
    return msgspec.convert({"id": 3, "name": "Acme", "created_at": CREATED, "updated_at": UPDATED, **fields}, wire.Organization)


def test_an_organization() -> None:
    fields = {"plan": "Pro", "seats": 5, "vip": False, "note": None}
    row = organization(external_id="ACCT-1", domain_names=["acme.example"], organization_fields=fields, tags=["eu"])
    record = mapping.account(row, ["9"])
    assert (record.external_id, record.domains, record.merged_ids) == ("ACCT-1", ["acme.example"], ["9"])
    assert record.extra == {"plan": "Pro", "seats": 5, "vip": False, "zendesk_tags": ["eu"]}
    assert record.created_at == MS
    assert mapping.account(organization(external_id="")).external_id is None


def test_an_organization_that_was_deleted() -> None:
    made = rows.organization(organization(deleted_at="2026-11-05T10:00:00Z"), {})
    assert isinstance(made, Deletion)
    assert made.version == MS + 4 * 86_400_000, "a deletion is later than the last change that it follows"


def user(**fields: Any) -> wire.User:
    row = {"id": 4, "name": "Ann", "email": "ann@acme.example", "created_at": CREATED, "updated_at": UPDATED, **fields}
    return msgspec.convert({"role": "end-user", "active": True, **row}, wire.User)


def test_a_customer() -> None:
    record = mapping.person(
        user(organization_id=3, verified=True, phone="+4930123", locale="de", iana_time_zone="Europe/Berlin")
    )
    assert (record.account_ref, record.email, record.email_verified, record.phone) == (
        "3",
        "ann@acme.example",
        True,
        "+4930123",
    )
    assert (record.roles, record.locale, record.time_zone) == (["user"], "de", "Europe/Berlin")


@pytest.mark.parametrize("role", ["agent", "admin"])
def test_one_of_us_belongs_to_no_customer(role: str) -> None:
    record = mapping.person(user(role=role, organization_id=3))
    assert (record.account_ref, record.roles) == (None, ["agent"])


def test_what_is_no_proof_of_identity() -> None:
    assert mapping.person(user(verified=False)).email_verified is False
    assert mapping.person(user(verified=True, email=None)).email_verified is False
    assert mapping.person(user(phone="+4930123", shared_phone_number=True)).phone is None


def test_a_user_who_is_gone() -> None:
    assert isinstance(rows.user(user(active=False)), Deletion)


@pytest.mark.parametrize("score", ["offered", "unoffered", "whatever"])
def test_what_is_no_answer(score: str) -> None:
    row = wire.Rating(id=1, score=score, created_at=CREATED)
    assert mapping.rating(row, WORDS) is None


@pytest.mark.parametrize(("score", "value"), [("good", 1.0), ("bad", 0.0)])
def test_an_answer(score: str, value: float) -> None:
    row = wire.Rating(id=1, score=score, created_at=CREATED, updated_at=UPDATED, requester_id=4, ticket_id=7, comment="x")
    record = mapping.rating(row, WORDS)
    assert record is not None
    assert (record.score, record.answered_at, record.person_ref) == (value, MS + 2 * 86_400_000, "4")
    assert record.extra["zendesk_ticket"] == "7"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-01T10:00:00"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(RejectedError, match="`created_at`"):
        wire.instant(text, "created_at")


@given(st.text())
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    with contextlib.suppress(RejectedError):
        assert isinstance(wire.instant(text, "x"), int)


@pytest.mark.parametrize(
    "text",
    [
        "We want to cancel our subscription",
        "please close my account",
        "How do I cancel the Pro plan?",
        "We will not renew next month",
        "we won\u2019t be renewing",
        "We are moving to another vendor",
        "Currently evaluating alternatives",
        "I have decided to cancel.",
        "Hiermit kündige ich",
        "Bitte den Vertrag zum Jahresende kündigen",
        "Je souhaite résilier mon abonnement",
        "Quiero cancelar mi suscripción",
        "我们打算取消订阅",
        "下个月不续费了",
        "解約したいです",
        "구독을 해지하고 싶습니다",
        "This is not good, cancel our account",
        "We no longer need it: cancel our subscription",
        "我们不得不取消订阅",
    ],
)
def test_the_wish_to_leave(text: str) -> None:
    assert WORDS.found_in(None, f"Hello,\n{text}\nBye")


@pytest.mark.parametrize(
    "text",
    [
        "How do I cancel a meeting?",
        "We do not want to cancel our subscription",
        "I don't want to cancel, only to pause",
        "Please never close my account",
        "我们不想取消订阅",
        "The account page loads slowly",
        "Cannot close the dialog",
        "",
    ],
)
def test_no_wish_to_leave(text: str) -> None:
    assert not WORDS.found_in(text, None)


def test_phrases_of_ones_own() -> None:
    words = ChurnWords(["hand in our notice"])
    assert words.found_in("We HAND  in our\nnotice today")
    assert not WORDS.found_in("We hand in our notice today")


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert WORDS.found_in(text) in {True, False}
