"""Overlays: `plugins.prod.toml` changes what differs in one environment, and errors name the file that said it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.cli import main
from wellkept.config import load
from wellkept.config.document import parse
from wellkept.errors import ConfigError
from wellkept.problems import ProblemsError

Write = Callable[[str], Path]

BASE = """\
[wellkept]
timezone = "Europe/Berlin"
store = "dev.db"

[plugins.stripe]
api_key = "env:STRIPE_TEST"
schedule = "every 2 hours"

[plugins.hubspot]
enabled = false

[[push]]
to = "stripe"
properties = { a = "health", b = "mrr" }

[[push]]
to = "stripe"
properties = { c = "health" }
"""

PROD = """\
[wellkept]
store = "prod.db"

[plugins.stripe]
api_key = "env:STRIPE_LIVE"
live = true

[plugins.mailer]
plugin = "smtp"

[[push]]
to = "stripe"
properties = { d = "health" }
"""


def test_tables_are_merged_key_by_key_and_arrays_replaced_whole(written: Write) -> None:
    path = written(BASE)
    path.with_name("plugins.prod.toml").write_text(PROD)
    config = load(path, env="prod")
    assert (config.settings.wellkept.timezone, str(config.settings.wellkept.store)) == ("Europe/Berlin", "prod.db")
    stripe = config.tables["stripe"]
    assert (stripe.head.live, stripe.head.schedule, stripe.rest) == (True, "every 2 hours", {"api_key": "env:STRIPE_LIVE"})
    assert list(config.tables) == ["stripe", "hubspot", "mailer"]
    assert [push.properties for push in config.settings.push] == [{"d": "health"}]


def test_without_an_environment_the_overlay_is_not_read(written: Write) -> None:
    path = written(BASE)
    path.with_name("plugins.prod.toml").write_text("this is not TOML")
    assert str(load(path).settings.wellkept.store) == "dev.db"


@pytest.mark.parametrize(
    ("overlay", "file", "line", "key"),
    [
        ('\n[wellkept]\ntimezone = "Mars"\n', "plugins.prod.toml", 3, "wellkept.timezone"),
        ("[wellkept]\nlocale = 7\n", "plugins.prod.toml", 2, "wellkept.locale"),
        ("\n\n[[push]]\nto = 3\nproperties = {}\n", "plugins.prod.toml", 4, "push[0].to"),
        ("[safety]\nmax_effects = 0\n", "plugins.prod.toml", 2, "safety.max_effects"),
    ],
)
def test_an_error_names_the_file_that_said_it(written: Write, overlay: str, file: str, line: int, key: str) -> None:
    path = written(BASE)
    path.with_name("plugins.prod.toml").write_text(overlay)
    with pytest.raises(ProblemsError) as caught:
        load(path, env="prod")
    [problem] = caught.value.problems
    assert f"{file}:{line}" in str(problem)
    assert key in str(problem)


def test_an_error_of_the_base_names_the_base(written: Write) -> None:
    path = written('[wellkept]\ntimezone = "Mars"\n')
    path.with_name("plugins.prod.toml").write_text('[wellkept]\nstore = "prod.db"\n')
    with pytest.raises(ProblemsError, match=r"plugins\.toml:2"):
        load(path, env="prod")


def test_an_element_of_a_replaced_array_is_never_looked_for_in_the_base() -> None:
    base = parse("[[push]]\nto = 1\nwhere = 2\n", Path("plugins.toml"))
    both = base.under(parse("\n[[push]]\nto = 1\n", Path("plugins.prod.toml")))
    error = both.error(("push", 0, "where"), "no")
    assert (error.path, error.line) == (Path("plugins.prod.toml"), 2)


@pytest.mark.parametrize(("instance", "file", "line"), [("new", "plugins.prod.toml", 3), ("both", "plugins.toml", 2)])
def test_a_key_that_is_missing_is_missing_where_its_table_stands(instance: str, file: str, line: int) -> None:
    base = parse("\n[plugins.both]\nplugin = 'x'\n", Path("plugins.toml"))
    document = base.under(parse("[plugins.both]\nlive = true\n[plugins.new]\nplugin = 'x'\n", Path("plugins.prod.toml")))
    error = document.error(("plugins", instance, "api_key"), "this key is required")
    assert (error.path, error.line) == (Path(file), line)


@pytest.mark.parametrize("env", ["PROD", "../prod", "", "a.b", "1st"])
def test_a_name_that_is_none_is_refused(written: Write, env: str) -> None:
    with pytest.raises(ConfigError, match="cannot name an environment"):
        load(written(BASE), env=env)


def test_a_missing_overlay_is_an_error(written: Write) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        load(written(BASE), env="prod")
    assert caught.value.path is not None
    assert caught.value.path.name == "plugins.prod.toml"
    assert "WELLKEPT_ENV" in (caught.value.guidance or "")


_KEYS = st.sampled_from("abc")
_TABLES = st.recursive(
    st.dictionaries(_KEYS, st.integers(0, 9), max_size=3),
    lambda inner: st.dictionaries(_KEYS, inner | st.integers(0, 9), max_size=3),
    max_leaves=12,
)


@given(base=_TABLES, overlay=_TABLES)
def test_every_value_comes_from_the_overlay_or_else_from_the_base(base: dict[str, object], overlay: dict[str, object]) -> None:
    merged = parse(_toml(base), Path("base")).under(parse(_toml(overlay), Path("overlay"))).data
    for place, value in _leaves(merged):
        assert value == _at(overlay, place, _at(base, place, None))
    assert {place for place, _ in _leaves(overlay)} <= {place for place, _ in _leaves(merged)}


def test_the_command_line_takes_the_option_or_the_variable(
    written: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written("")
    path.with_name("plugins.prod.toml").write_text("[welkept]\n")
    assert main(["runs", "--config", str(path)]) == 0
    assert main(["runs", "--config", str(path), "--env", "prod", "--json"]) == 3
    monkeypatch.setenv("WELLKEPT_ENV", "prod")
    capsys.readouterr()
    assert main(["runs", "--config", str(path), "--json"]) == 3
    assert "plugins.prod.toml" in json.loads(capsys.readouterr().out)["problems"][0]["text"]


def _toml(table: dict[str, object], prefix: str = "") -> str:
    own = "".join(f"{key} = {value}\n" for key, value in table.items() if not isinstance(value, dict))
    text = f"[{prefix.rstrip('.')}]\n{own}" if prefix else own
    for key, value in table.items():
        if isinstance(value, dict):
            text += _toml(value, f"{prefix}{key}.")
    return text


def _leaves(table: dict[str, object], prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    found: list[tuple[tuple[str, ...], object]] = []
    for key, value in table.items():
        found += _leaves(value, (*prefix, key)) if isinstance(value, dict) else [((*prefix, key), value)]
    return found


def _at(table: object, place: tuple[str, ...], default: object) -> object:
    for part in place:
        if not isinstance(table, dict) or part not in table:
            return default
        table = table[part]
    return table
