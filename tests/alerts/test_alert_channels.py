"""Mail and webhook: what arrives, what is said when it does not, and what is never said."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.alerts.conftest import verify

from wellkept.alerts.channels import ping, signature
from wellkept.errors import ConfigError, NotSentError
from wellkept.settings import AlertMail, Alerts
from wellkept.testing.mail import DROP, MailSink

if TYPE_CHECKING:
    from tests.alerts.conftest import House, Receiver


@pytest.fixture(scope="module")
def _sink() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


@pytest.fixture
def sink(_sink: MailSink) -> MailSink:
    _sink.mend()
    _sink.mails.clear()
    return _sink


def mail(sink: MailSink, *to: str) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": sink.port,
        "tls": "none",
        "to": list(to or ("ops@example.com",)),
        "from_address": "wellkept@example.com",
    }


def test_a_mail_says_what_since_when_and_what_to_do(house: House, sink: MailSink) -> None:
    house.instance("crm", "paused", reason="HTTP 401")
    assert house.attend(mail=mail(sink), name="prod") is True
    house.clock.advance(7200)
    house.instance("crm", "ok")
    house.attend(mail=mail(sink), name="prod")
    begin, end = (received.message for received in sink.mails)
    assert begin["subject"] == "[prod] critical: crm: was stopped"
    text = begin.get_content()
    assert "Since 2026-11-21 12:00 UTC." in text
    assert "paused: HTTP 401" in text
    assert "docs/runbook.md#breaker" in text
    assert begin["auto-submitted"] == "auto-generated"
    assert end["subject"] == "[prod] over: crm: was stopped"
    assert "It lasted from 2026-11-21 12:00 UTC to 2026-11-21 14:00 UTC." in end.get_content()
    assert begin["message-id"] != end["message-id"]


def test_the_gravest_is_named_first(house: House, sink: MailSink) -> None:
    house.instance("crm", expires_at=house.clock.now())
    house.instance("bill", "paused")
    house.attend(mail=mail(sink))
    (received,) = sink.mails
    assert received.message["subject"] == "[test] critical: bill: was stopped, and 1 more"


def test_a_mail_server_that_is_away_is_tried_again(house: House, sink: MailSink) -> None:
    sink.fail("end", DROP)
    house.instance("crm", "paused")
    assert house.attend(mail=mail(sink)) is False
    house.clock.advance(61)
    assert house.attend(mail=mail(sink)) is True
    assert len(sink.mails) == 1


def test_one_address_that_is_refused_keeps_nobody_else_from_knowing(
    house: House, sink: MailSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.fail("rcpt", "550 5.1.1 no such user gone@example.com", address="gone@example.com", times=None)
    house.instance("crm", "paused")
    options = mail(sink, "gone@example.com", "ops@example.com")
    assert house.attend(mail=options) is True
    house.clock.advance(7200)
    house.attend(mail=options)
    assert [received.recipients for received in sink.mails] == [("ops@example.com",)]
    assert "refused 1 of 2 addresses" in caplog.text
    assert "gone@example.com" not in caplog.text


def test_what_a_server_says_is_not_repeated(house: House, sink: MailSink) -> None:
    sink.fail("rcpt", "550 5.1.1 ops@example.com is unknown", times=None)
    house.instance("crm", "paused")
    assert house.attend(mail=mail(sink)) is False
    ((note,),) = house.all("SELECT note FROM alert_notices")
    assert note == "the mail server 127.0.0.1 did not take it: it refused all addresses"


def test_both_channels_are_told_and_one_does_not_wait_for_the_other(house: House, sink: MailSink, receiver: Receiver) -> None:
    both: dict[str, Any] = {"mail": mail(sink), "webhook": {"url": "env:ALERT_URL", "secret": "env:ALERT_SECRET"}}
    sink.fail("mail", "451 later", times=1)
    house.instance("crm", "paused")
    assert house.attend(**both) is False
    assert receiver.told == ["opened breaker crm"]
    house.clock.advance(61)
    assert house.attend(**both) is True
    assert len(sink.mails) == len(receiver.posts) == 1


def test_a_login_needs_its_password(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with MailSink(users={"ops": "pass-word"}) as strict:
        options = mail(strict) | {"username": "ops", "password": "env:ALERT_MAIL_PASSWORD"}
        house.instance("crm", "paused")
        monkeypatch.delenv("ALERT_MAIL_PASSWORD", raising=False)
        assert house.attend(mail=options) is False
        monkeypatch.setenv("ALERT_MAIL_PASSWORD", "wrong-word")
        house.clock.advance(61)
        assert house.attend(mail=options) is False
        monkeypatch.setenv("ALERT_MAIL_PASSWORD", "pass-word")
        house.clock.advance(121)
        assert house.attend(mail=options) is True


@pytest.mark.parametrize(
    "table",
    [
        {"host": "mail.example.com", "tls": "none", "username": "u", "password": "env:P"},
        {"host": "h", "username": "u"},
        {"host": "h", "to": []},
        {"host": "h", "from_address": "Ops <ops@example.com>"},
        {"host": "h", "from_address": "a@b.c\r\nBcc: x@y.z"},
        {"host": "h", "username": "u", "password": "vault:mail"},
    ],
)
def test_a_mail_table_that_could_do_harm_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        AlertMail.model_validate({"to": ["a@b.c"], "from_address": "a@b.c", **table})


def test_a_webhook_is_signed_and_says_it_for_people_and_machines(house: House, receiver: Receiver) -> None:
    house.instance("crm", "paused", reason="HTTP 401")
    house.attend()
    ((headers, body),) = receiver.posts
    assert verify(headers, body)
    assert not verify(headers, body.replace(b"crm", b"erp"))
    assert int(headers["webhook-timestamp"]) == house.clock.now() // 1000
    document = json.loads(body)
    assert document["type"] == "wellkept.alerts"
    assert document["installation"] == "test"
    assert document["text"].startswith("[test] critical: crm: was stopped")
    (event,) = document["alerts"]
    assert event == {
        "id": 1,
        "event": "opened",
        "condition": "breaker",
        "subject": "crm",
        "severity": "critical",
        "since": house.clock.now(),
        "ended_at": None,
        "detail": "paused: HTTP 401",
        "runbook": "docs/runbook.md#breaker",
    }


def test_a_repetition_has_the_same_id(house: House, receiver: Receiver) -> None:
    """A process that died before it could note that the receiver had taken it."""
    house.instance("crm", "paused")
    house.attend()
    house.sql("UPDATE alert_notices SET sent_at = NULL, not_before = 0")
    house.attend()
    assert [headers["webhook-id"] for headers, _ in receiver.posts] == [receiver.posts[0][0]["webhook-id"]] * 2


def test_a_plain_secret_is_taken_as_it_is() -> None:
    plain = signature("plain text", "id", 1000, b"{}")
    assert plain == signature("whsec_cGxhaW4gdGV4dA==", "id", 1000, b"{}")
    with pytest.raises(ConfigError, match="not base64"):
        signature("whsec_!", "id", 1000, b"{}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret-path", "no-address-secret-path", "http://u:secret-path@h/"])
def test_no_error_shows_an_address(house: House, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URL", url)
    house.instance("crm", "paused")
    assert house.attend() is False
    ((note,),) = house.all("SELECT note FROM alert_notices")
    assert note
    assert "secret-path" not in note


@pytest.mark.parametrize("key", ["ping", "webhook"])
def test_addresses_stand_in_no_file(key: str) -> None:
    table = {"ping": "https://monitor.example/x", "webhook": {"url": "https://chat.example/x", "secret": "env:S"}}
    with pytest.raises(ValueError, match="env:NAME or file:path"):
        Alerts.model_validate({key: table[key]})


def test_an_answer_that_says_no_is_no(house: House, receiver: Receiver) -> None:
    receiver.status = 404
    with pytest.raises(NotSentError, match="HTTP 404"):
        asyncio.run(ping(os.environ["ALERT_PING"]))
