"""Secrets are references; their values are fetched when used, and known to the redactor from then on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from wellkept.errors import ConfigError, CredentialsError
from wellkept.redact import Redactor
from wellkept.secrets import Resolver, Secret, bind, secrets_in, split


@pytest.fixture
def resolver(tmp_path: Path, redactor: Redactor) -> Resolver:
    return Resolver(tmp_path, redactor.register)


def test_env_is_read_anew_each_time_and_registered(
    resolver: Resolver, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = Secret("env:SOME_KEY").bound(resolver)
    monkeypatch.setenv("SOME_KEY", "value-one")
    assert secret.reveal() == "value-one"
    monkeypatch.setenv("SOME_KEY", "value-two")
    assert secret.reveal() == "value-two"
    assert redactor.text("value-one value-two") == "*** ***"


def test_a_file_loses_one_line_end_and_is_relative_to_the_configuration(resolver: Resolver, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.touch(mode=0o600)
    for content, value in (("abcd\n", "abcd"), ("abcd\r\n", "abcd"), (" abcd \n\n", " abcd \n"), ("ab\ncd", "ab\ncd")):
        path.write_bytes(content.encode())
        assert Secret("file:key.txt").bound(resolver).reveal() == value


def test_a_file_that_others_can_read_is_warned_about_once(
    resolver: Resolver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "key.txt"
    path.write_text("abcdef")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Secret("file:key.txt").bound(resolver).reveal()
        Secret("file:key.txt").bound(resolver).reveal()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "chmod 600" in caplog.text
    caplog.clear()
    path.chmod(0o600)
    Resolver(tmp_path, lambda _value: None).value("file:key.txt")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("reference", "mend"),
    [
        ("env:NOT_SET_ANYWHERE", "set the environment variable NOT_SET_ANYWHERE"),
        ("env:EMPTY", "set the environment variable EMPTY"),
        ("file:missing.txt", "missing.txt"),
        ("file:empty.txt", "empty.txt"),
        ("vault:kv/x", r"\[plugins.vault\]"),
    ],
)
def test_a_missing_secret_names_reference_and_mend(
    resolver: Resolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, mend: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ConfigError, match=mend) as caught:
        Secret(reference).bound(resolver).reveal()
    assert repr(reference) in str(caught.value)


def test_a_short_secret_is_refused_because_it_could_not_be_hidden(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT", "xyz")
    with pytest.raises(ConfigError, match="fewer than 4") as caught:
        Secret("env:SHORT").bound(resolver).reveal()
    assert "xyz" not in str(caught.value)


def test_a_folder_and_binary_files_are_no_crash(resolver: Resolver, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for reference in ("file:.", "file:binary"):
        with pytest.raises(ConfigError, match="cannot be read"):
            Secret(reference).bound(resolver).reveal()


def test_providers_answer_by_scheme(tmp_path: Path, redactor: Redactor) -> None:
    class Vault:
        def get(self, path: str) -> str | None:
            return {"kv/x#key": "vault-value"}.get(path)

    resolver = Resolver(tmp_path, redactor.register, {"vault": Vault()}.get)
    assert resolver.value("vault:kv/x#key") == "vault-value"
    assert redactor.text("vault-value") == "***"
    with pytest.raises(ConfigError, match="no secret behind 'vault:kv/y'"):
        resolver.value("vault:kv/y")
    with pytest.raises(ConfigError, match="nothing provides the secrets of 'other'"):
        resolver.value("other:x")


def test_a_provider_that_fails_says_so_without_its_words(tmp_path: Path) -> None:
    class Leaky:
        def get(self, path: str) -> str | None:
            if path == "denied":
                raise CredentialsError("the vault refuses us")
            if path == "number":
                return 7  # type: ignore[return-value]
            raise RuntimeError("the value is hunter2")

    resolver = Resolver(tmp_path, lambda _value: None, {"leaky": Leaky()}.get)
    with pytest.raises(ConfigError, match="failed for 'leaky:x': RuntimeError") as caught:
        resolver.value("leaky:x")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(CredentialsError):
        resolver.value("leaky:denied")
    with pytest.raises(ConfigError, match="gave int"):
        resolver.value("leaky:number")


def test_a_provider_that_needs_itself_is_told_so(tmp_path: Path) -> None:
    class Circular:
        def get(self, path: str) -> str | None:
            return circle.value(f"loop:{path}x")

    circle = Resolver(tmp_path, lambda _value: None, {"loop": Circular()}.get)
    with pytest.raises(ConfigError, match="loop asks loop"):
        circle.value("loop:a")


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True)
    token: Secret = Secret("env:DEFAULT_TOKEN")


class Outer(BaseModel):
    key: Secret
    inner: Inner = Inner()
    many: list[Secret] = []
    named: dict[str, Secret] = {}
    pair: tuple[str, Secret] | None = None
    plain: list[int] = [1]


def test_binding_reaches_every_secret_and_shares_nothing(
    resolver: Resolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a", "b"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(f"{name}-here")
        (other / name).touch(mode=0o600)
        (other / name).write_text(f"{name}-there")
    raw = Outer.model_validate(
        {"key": "file:a", "many": ["file:a"], "named": {"x": "file:b"}, "pair": ["p", "file:b"], "inner": {"token": "file:a"}}
    )
    here, there = bind(raw, resolver), bind(raw, Resolver(other, lambda _value: None))
    assert [secret.reveal() for secret in secrets_in(here)] == ["a-here", "a-here", "a-here", "b-here", "b-here"]
    assert [secret.reveal() for secret in secrets_in(there)] == ["a-there", "a-there", "a-there", "b-there", "b-there"]
    assert here.plain is raw.plain
    defaults = bind(Outer(key=Secret("file:a")), resolver)
    monkeypatch.setenv("DEFAULT_TOKEN", "default-value")
    assert defaults.inner.token.reveal() == "default-value"
    assert defaults.inner.token._resolver is resolver
    assert Inner().token._resolver is None


def test_no_text_form_holds_the_value(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "the-value")
    model = bind(Outer(key=Secret("env:SOME_KEY")), resolver)
    assert model.key.reveal() == "the-value"
    for text in (repr(model), str(model), model.model_dump_json(), repr(model.model_dump()), f"{model.key}"):
        assert "env:SOME_KEY" in text
        assert "the-value" not in text


def test_equality_is_by_reference() -> None:
    assert Secret("env:A") == Secret("env:A")
    assert hash(Secret("env:A")) == hash(Secret("env:A"))
    assert Secret("env:A") != Secret("env:B")


@pytest.mark.parametrize("text", ["", "env", "env:", "env:1A", "env:A-B", "ENV:A", "sk_live_1", ":x", "file: x", "a b:c"])
def test_what_is_no_reference(text: str) -> None:
    assert split(text) is None
