"""Phase two: the plugin's own model checks the plugin's own keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from wellkept.config import Config, validate
from wellkept.errors import ConfigError
from wellkept.redact import Redactor
from wellkept.secrets import Secret

Load = Callable[[str], Config]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Mail(_Model):
    kind: Literal["mail"]
    template: str


class Task(_Model):
    kind: Literal["task"]
    title: str


class Rule(_Model):
    name: str
    when: str
    do: list[Annotated[Mail | Task, Field(discriminator="kind")]]
    days: int | Literal["all"] = 1


class Options(_Model):
    api_key: Secret
    """A restricted key. It needs read access."""
    account_name: str = "x"
    rules: list[Rule] = []
    limits: dict[str, Annotated[int, Field(ge=1)]] = {}
    password: str | None = None

    @field_validator("account_name", "password")
    @classmethod
    def _no_x(cls, value: str) -> str:
        if value.startswith("bad"):
            raise ValueError(f"{value!r} is no good")
        return value


def errors(config: Config, model: type[BaseModel] | None = Options, **options: Any) -> list[ConfigError]:
    return validate(config, config.tables["vendor"], model, **options)[1]


def one(config: Config, model: type[BaseModel] | None = Options, **options: Any) -> ConfigError:
    [error] = errors(config, model, **options)
    return error


def test_a_valid_table_becomes_the_model_and_core_keys_stay_out(loaded: Load) -> None:
    config = loaded('[plugins.vendor]\nlive = true\napi_key = "env:KEY"\n')
    model, found = validate(config, config.tables["vendor"], Options)
    assert found == []
    assert isinstance(model, Options)
    assert model.api_key.reference == "env:KEY"


def test_an_unknown_key_gets_the_nearest_one_of_plugin_or_core(loaded: Load) -> None:
    first, second = errors(loaded('[plugins.vendor]\napi_kee = "env:A"\napi_key = "env:A"\nshedule = "every hour"\n'))
    assert (first.line, first.key, first.guidance) == (2, "plugins.vendor.api_kee", "did you mean 'api_key'?")
    assert (second.line, second.key, second.guidance) == (4, "plugins.vendor.shedule", "did you mean 'schedule'?")


def test_an_unknown_key_without_a_neighbour_gets_the_list(loaded: Load) -> None:
    error = one(loaded('[plugins.vendor]\napi_key = "env:A"\nzzz = 1\n'))
    assert error.guidance == (
        "valid keys: account_name, api_key, enabled, limits, live, map, password, plugin, rules, schedule"
    )


def test_a_missing_key_names_the_table_and_says_what_it_is(loaded: Load) -> None:
    error = one(loaded("\n[plugins.vendor]\nlive = true\n"))
    assert (error.line, error.key, error.message) == (2, "plugins.vendor.api_key", "this key is required")
    assert error.guidance == "add it: A restricted key."


def test_nested_tables_and_lists_have_exact_places(loaded: Load) -> None:
    config = loaded(
        '[plugins.vendor]\napi_key = "env:A"\nlimits = { a = 1, b = 0 }\n'
        '[[plugins.vendor.rules]]\nname = "one"\nwhen = "x"\ndo = []\n'
        '[[plugins.vendor.rules]]\nname = "two"\nwhenn = "x"\n'
        'do = [\n  { kind = "mail", template = "t" },\n  { kind = "mail", templat = "t" },\n]\n'
    )
    found = {(error.line, error.key): error for error in errors(config)}
    assert set(found) == {
        (3, "plugins.vendor.limits.b"),
        (8, "plugins.vendor.rules[1].when"),
        (10, "plugins.vendor.rules[1].whenn"),
        (13, "plugins.vendor.rules[1].do[1].template"),
        (13, "plugins.vendor.rules[1].do[1].templat"),
    }
    assert found[10, "plugins.vendor.rules[1].whenn"].guidance == "did you mean 'when'?"
    assert found[13, "plugins.vendor.rules[1].do[1].templat"].guidance == "did you mean 'template'?"


def test_branches_of_a_union_are_one_complaint(loaded: Load) -> None:
    config = loaded(
        '[plugins.vendor]\napi_key = "env:A"\n[[plugins.vendor.rules]]\nname = "one"\nwhen = "x"\ndo = []\ndays = "al"\n'
    )
    error = one(config)
    assert error.key == "plugins.vendor.rules[0].days"
    assert " or should be 'all'" in error.message
    assert error.guidance == "did you mean 'all'?"


def test_a_literal_secret_is_refused_without_an_echo_and_hidden_from_then_on(loaded: Load, redactor: Redactor) -> None:
    error = one(loaded('[plugins.vendor]\napi_key = "correct horse battery"\n'))
    assert error.line == 2
    assert "correct horse" not in str(error)
    assert "env:NAME" in error.message
    assert redactor.text("log: correct horse battery") == "log: ***"


@pytest.mark.parametrize("literal", ["user:hunter2hunter2", "https://user:pw@host", "env:not-a-name!", "env:", "x" * 40])
def test_what_only_looks_like_a_reference_is_refused_as_well(loaded: Load, literal: str) -> None:
    error = one(loaded(f'[plugins.vendor]\napi_key = "{literal}"\n'), schemes={"vault"})
    assert "never the secret itself" in error.message
    assert literal not in str(error)


def test_a_providers_scheme_is_accepted_where_there_is_a_provider(loaded: Load) -> None:
    config = loaded('[plugins.vendor]\napi_key = "vault:kv/x"\n')
    assert errors(config, schemes={"vault"}) == []
    assert len(errors(config, schemes={"safe"})) == 1


def test_values_of_secret_sounding_keys_are_not_repeated_by_a_plugins_validator(loaded: Load) -> None:
    base = '[plugins.vendor]\napi_key = "env:A"\n'
    assert "bad-name" in one(loaded(f'{base}account_name = "bad-name"\n')).message
    error = one(loaded(f'{base}password = "bad-hunter2"\n'))
    assert "hunter2" not in str(error)
    assert error.message == "'***' is no good"


def test_a_value_under_a_mistyped_secret_key_is_not_repeated(loaded: Load) -> None:
    found = errors(loaded('[plugins.vendor]\napi_kee = "sk_very_secret_value"\n'))
    assert "sk_very_secret_value" not in "".join(map(str, found))


def test_a_plugin_without_keys_refuses_all(loaded: Load) -> None:
    error = one(loaded("[plugins.vendor]\nx = 1\n"), None)
    assert error.message == "unknown key"
    assert "no keys of its own" in (error.guidance or "")


def test_a_model_that_would_swallow_typos_is_refused(loaded: Load) -> None:
    class Loose(BaseModel):
        a: int = 1

    assert "would not notice mistyped keys" in one(loaded("[plugins.vendor]\n"), Loose).message


def test_a_model_must_not_take_cores_keys(loaded: Load) -> None:
    class Greedy(_Model):
        timer: str = Field("x", alias="schedule")

    assert "'schedule', which belongs to core" in one(loaded("[plugins.vendor]\n"), Greedy).message


def test_a_model_that_crashes_is_an_error_of_that_instance(loaded: Load) -> None:
    class Broken(_Model):
        password: str

        @field_validator("password")
        @classmethod
        def _crash(cls, value: str) -> str:
            raise KeyError(f"token={value}")

    error = one(loaded('[plugins.vendor]\npassword = "hunter2hunter2"\n'), Broken)
    assert "Broken failed: KeyError" in error.message
    assert "hunter2" not in str(error)
