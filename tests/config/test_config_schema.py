"""One schema over core and plugins: valid JSON Schema, and of one mind with the validation itself."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel, ConfigDict, Field

from wellkept import PluginInfo
from wellkept.config import Config, validate
from wellkept.config.schema import schema
from wellkept.secrets import Secret

ROOT = Path(__file__).parents[2]


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    name: str
    """What it is called."""
    rules: list[Rule] = []


class Stripe(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    api_key: Secret
    """A restricted key."""
    other: Secret = Secret("env:OTHER")
    rules: list[Rule] = []
    folder: Path = Path("x")
    days: int = Field(3, ge=1)


class Rules(Rule):
    """A model that refers to itself, with the same definition names as another plugin's."""


PLUGINS: dict[str, tuple[PluginInfo, type[BaseModel] | None]] = {
    "stripe": (PluginInfo(name="stripe", api="1.0", summary="Reads Stripe."), Stripe),
    "nothing": (PluginInfo(name="nothing", api="1.0", summary="No keys."), None),
    "rules": (PluginInfo(name="rules", api="1.0", summary="Rules."), Rules),
}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return schema(PLUGINS)


def test_it_is_valid_json_schema_2020_12(whole: dict[str, Any]) -> None:
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(json.loads(json.dumps(whole)))
    jsonschema_rs.meta.validate(schema({}))


def test_descriptions_come_from_the_docstrings_of_fields(whole: dict[str, Any]) -> None:
    assert whole["$defs"]["plugin.stripe"]["properties"]["api_key"]["description"] == "A restricted key."
    assert whole["$defs"]["plugin.stripe.Rule"]["properties"]["name"]["description"] == "What it is called."
    assert whole["$defs"]["core.Safety"]["properties"]["max_share"]["description"].startswith("Of all accounts")
    assert whole["$defs"]["plugin.stripe"]["properties"]["schedule"]["description"].startswith("When to sync")
    assert whole["$defs"]["plugin.stripe"]["properties"]["other"]["default"] == "env:OTHER"
    assert whole["$defs"]["plugin.stripe"]["description"] == "Reads Stripe."


def test_every_core_key_is_described(whole: dict[str, Any]) -> None:
    for name, definition in whole["$defs"].items():
        if name.startswith("core."):
            for key, node in definition["properties"].items():
                assert node.get("description"), f"{name}.{key}"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", True),
        ('[plugins.stripe]\napi_key = "env:A"\nschedule = "every hour"\nlive = ["score.push"]\n', True),
        ('[plugins.stripe]\napi_key = "env:A"\n[[plugins.stripe.rules]]\nname = "x"\n', True),
        ("[plugins.stripe]\n", False),
        ('[plugins.stripe]\napi_key = "hunter2"\n', False),
        ('[plugins.stripe]\napi_key = "env:A"\napi_kee = 1\n', False),
        ('[plugins.stripe]\napi_key = "env:A"\ndays = 0\n', False),
        ('[plugins.stripe]\napi_key = "env:A"\n[[plugins.stripe.rules]]\nnam = "x"\n', False),
        ('[plugins.stripe-eu]\nplugin = "stripe"\napi_key = "env:A"\n', True),
        ('[plugins.stripe-eu]\nplugin = "stripe"\n', False),
        ('[plugins.stripe-eu]\nplugin = "nothing"\n', True),
        ('[plugins.stripe-eu]\nplugin = "nothing"\napi_key = "env:A"\n', False),
        ('[plugins.stripe]\nplugin = "nothing"\napi_key = "env:A"\n', False),
        ('[plugins.stripe]\nplugin = "stripe"\napi_key = "env:A"\n', True),
        ("[plugins.nothing]\n", True),
        ("[plugins.'Bad Name']\nplugin = 'nothing'\n", False),
        ("[wellkept]\nstoer = 'x'\n", False),
        ("[pluginz.a]\n", False),
        ("[safety]\nmax_share = 2.0\n", False),
        ('[plugins.rules]\nname = "a"\nrules = [{ name = "b", rules = [{ name = "c" }] }]\n', True),
        ('[plugins.rules]\nname = "a"\nrules = [{ name = "b", rules = [{ nam = "c" }] }]\n', False),
    ],
)
def test_schema_and_validation_agree(whole: dict[str, Any], written: Callable[[str], Path], text: str, valid: bool) -> None:
    from wellkept.config import load
    from wellkept.problems import ProblemsError

    assert jsonschema_rs.validator_for(whole).is_valid(tomllib.loads(text)) is valid
    try:
        config = load(written(text), strict=True)
    except ProblemsError:
        assert not valid
        return
    errors = [error for table in config.tables.values() for error in _errors(config, table.name)]
    assert bool(errors) is not valid


def test_a_table_named_after_another_plugin_is_marked_though_it_would_do(
    whole: dict[str, Any], written: Callable[[str], Path]
) -> None:
    from wellkept.config import load

    text = '[plugins.stripe]\nplugin = "nothing"\n'
    assert not jsonschema_rs.validator_for(whole).is_valid(tomllib.loads(text))
    assert _errors(load(written(text), strict=True), "stripe") == []


def test_the_example_configuration_fits_its_core_part() -> None:
    example = tomllib.loads((ROOT / "plugins.toml").read_text(encoding="utf-8"))
    example.pop("plugins")
    assert jsonschema_rs.validator_for(schema({})).is_valid(example)


def _errors(config: Config, name: str) -> list[Any]:
    table = config.tables[name]
    return list(validate(config, table, PLUGINS[table.plugin][1])[1])
