from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from wellkept.errors import NotSentError
from wellkept.testing.mail import DROP, MailSink
from wellkept_smtp.actions import MailMessages
from wellkept_smtp.config import SmtpConfig, is_loopback

Make = Callable[..., Any]


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_mail_goes_out_encrypted(
    mode: Any, authority: Any, context: Make, delivery: Make, envelope: Make, attempt: Make
) -> None:
    with MailSink(tls=mode, context=authority.server) as sink:
        action = MailMessages(context(port=sink.port, tls=mode, ca_file=authority.ca_file))
        assert (await attempt(action, delivery(), envelope())).status == "done"
        assert len(sink.mails) == 1


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_a_certificate_of_strangers_is_refused(
    mode: Any, authority: Any, stranger: Any, context: Make, delivery: Make, envelope: Make, attempt: Make
) -> None:
    with MailSink(tls=mode, context=authority.server) as sink:
        for ca_file in (stranger.ca_file, None):
            action = MailMessages(context(port=sink.port, tls=mode, ca_file=ca_file))
            outcome = await attempt(action, delivery(), envelope())
            assert outcome.status == "not sent"
            assert "certificate is not trusted" in outcome.reason
        assert (sink.mails, sink.log) == ([], [])


async def test_starttls_is_required(
    sink: MailSink, authority: Any, context: Make, delivery: Make, envelope: Make, attempt: Make
) -> None:
    action = MailMessages(context(port=sink.port, tls="starttls", ca_file=authority.ca_file))

    assert (await attempt(action, delivery(), envelope())).status == "not sent"

    assert (sink.mails, sink.log) == ([], [])


@pytest.mark.parametrize("mode", ["none", "starttls", "tls"])
async def test_login(
    mode: Any, authority: Any, context: Make, delivery: Make, envelope: Make, attempt: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "correct horse")
    users = {"success": "correct horse"}
    with MailSink(tls=mode, context=None if mode == "none" else authority.server, users=users) as sink:
        login = {"tls": mode, "port": sink.port, "username": "success", "password": "env:SMTP_PASSWORD"}
        if mode != "none":
            login["ca_file"] = authority.ca_file
        action = MailMessages(context(**login))
        assert (await attempt(action, delivery("a"), envelope())).status == "done"

        monkeypatch.setenv("SMTP_PASSWORD", "rotated and wrong")
        outcome = await attempt(action, delivery("b"), envelope())
        assert outcome.status == "not sent"
        assert "login" in outcome.reason
        assert "rotated" not in outcome.reason

        nobody = MailMessages(context(**{**login, "username": None, "password": None}))
        assert (await attempt(nobody, delivery("c"), envelope())).status == "not sent"
        assert len(sink.mails) == 1


async def test_check_names_what_works(authority: Any, context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "correct horse")
    with MailSink(tls="starttls", context=authority.server, users={"success": "correct horse"}) as sink:
        config = {
            "port": sink.port,
            "tls": "starttls",
            "ca_file": authority.ca_file,
            "username": "success",
            "password": "env:SMTP_PASSWORD",
        }
        result = await MailMessages(context(**config)).check()
        assert [(finding.name, finding.ok) for finding in result.findings] == [
            ("templates", True),
            ("connection", True),
            ("login", True),
            ("sender", True),
        ]
        assert sink.mails == []

        monkeypatch.setenv("SMTP_PASSWORD", "wrong horse")
        result = await MailMessages(context(**config)).check()
        assert [(finding.name, finding.ok) for finding in result.findings][2:] == [("login", False)]
        assert result.findings[-1].mend is not None

        sink.fail("mail", "550 5.7.1 not you")
        monkeypatch.setenv("SMTP_PASSWORD", "correct horse")
        result = await MailMessages(context(**config)).check()
        assert result.findings[-1].name == "sender"
        assert not result.ok


async def test_check_without_a_server(context: Make) -> None:
    with MailSink() as sink:
        port = sink.port
    with pytest.raises(NotSentError, match="no conversation") as caught:
        await MailMessages(context(port=port)).check()
    assert caught.value.guidance is not None


async def test_a_server_that_drops_everything_is_no_exception(
    sink: MailSink, context: Make, delivery: Make, envelope: Make, attempt: Make
) -> None:
    sink.fail("mail", DROP, times=None)
    for _ in range(3):
        assert (await attempt(MailMessages(context(port=sink.port)), delivery(), envelope())).status == "not sent"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"ca_file": "none.pem", "tls": "tls"}, "ca_file"),
        ({"username": "x", "password": "env:NO_SUCH_SECRET"}, "NO_SUCH_SECRET"),
    ],
)
async def test_a_wrong_configuration_leaves_nothing_in_doubt(
    sink: MailSink, context: Make, delivery: Make, envelope: Make, attempt: Make, wrong: Any, named: str
) -> None:
    action = MailMessages(context(port=sink.port, **wrong))
    outcome = await attempt(action, delivery(), envelope())
    assert outcome.status == "not sent"
    assert named in outcome.reason
    result = await action.check()
    assert not result.ok
    assert named in result.findings[-1].message


def test_plain_text_stays_on_this_machine() -> None:
    def config(**values: Any) -> SmtpConfig:
        return SmtpConfig.model_validate({"from_address": "a@b.example", **values})

    assert config(host="127.0.0.1", tls="none").server_port == 25
    assert config(host="::1", tls="none").server_port == 25
    assert config(host="mail.example", tls="none", allow_plaintext=True).server_port == 25
    assert config(host="mail.example").server_port == 587
    assert config(host="mail.example", tls="tls").server_port == 465
    with pytest.raises(ValidationError, match="readable mail to another machine"):
        config(host="mail.example", tls="none")
    with pytest.raises(ValidationError, match="belong together"):
        config(host="mail.example", username="x")
    with pytest.raises(ValidationError, match="not a valid e-mail address"):
        config(host="mail.example", reply_to="nobody")
    assert not is_loopback("10.0.0.1")
    assert is_loopback("localhost")


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    values = {"host": "x", "from_address": "a@b.example", "templates": "mail", "ca_file": "/etc/ca.pem"}
    config = SmtpConfig.model_validate(values, context={"base": tmp_path})
    assert config.templates == tmp_path / "mail"
    assert config.ca_file == Path("/etc/ca.pem")
    assert SmtpConfig.model_validate(values).templates == Path("mail")


def test_core_says_where_the_configuration_is(tmp_path: Path) -> None:
    from wellkept.config import loads, validate

    text = '[plugins.smtp]\nhost = "127.0.0.1"\ntls = "none"\nfrom_address = "a@b.example"\ntemplates = "mail"\n'
    config = loads(text, tmp_path / "plugins.toml")
    model, errors = validate(config, config.tables["smtp"], SmtpConfig)
    assert errors == []
    assert isinstance(model, SmtpConfig)
    assert model.templates == tmp_path / "mail"
