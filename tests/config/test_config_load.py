"""Phase one: core's own tables and the heads of instances. Every complaint names file, line, key path and the mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wellkept.config import Config, load
from wellkept.errors import ConfigError
from wellkept.problems import ProblemsError

Load = Callable[[str], Config]
Write = Callable[[str], Path]
ROOT = Path(__file__).parents[2]


def test_the_example_configuration_is_valid() -> None:
    config = load(ROOT / "plugins.toml", strict=True)
    assert config.problems == ()
    assert [table.plugin for table in config.enabled] == [
        "stripe", "zendesk", "mixpanel", "hubspot", "smtp", "health", "playbooks",
    ]  # fmt: skip


def test_everything_has_a_default(loaded: Load) -> None:
    config = loaded("")
    assert config.settings.wellkept.timezone == "UTC"
    assert config.settings.push == ()
    assert config.tables == {}


def test_instances_come_in_the_order_of_the_file_with_head_and_rest(loaded: Load) -> None:
    config = loaded(
        '[plugins.zeta]\nplugin = "stripe"\nlive = ["score.push"]\nschedule = "every 2 hours"\napi_key = "env:A"\n'
        "[plugins.alpha]\nenabled = false\n"
    )
    assert list(config.tables) == ["zeta", "alpha"]
    zeta = config.tables["zeta"]
    assert (zeta.plugin, zeta.head.live, zeta.head.schedule, zeta.rest) == (
        "stripe",
        ["score.push"],
        "every 2 hours",
        {"api_key": "env:A"},
    )
    assert [table.name for table in config.enabled] == ["zeta"]


@pytest.mark.parametrize(
    ("text", "line", "key", "message", "mend"),
    [
        ('[wellkept]\nstore = "x"\ntimezon = "UTC"\n', 3, "wellkept.timezon", "unknown key", "did you mean 'timezone'?"),
        ("\n\n[welkept]\n", 3, "welkept", "unknown key", "did you mean 'wellkept'?"),
        ("[plugin.stripe]\n", 1, "plugin", "unknown key", "did you mean 'plugins'?"),
        (
            '[wellkept]\ntimezone = "Berlin"\n',
            2,
            "wellkept.timezone",
            "'Berlin' is not a time zone",
            "Decides where a day ends",
        ),
        ("[safety]\nmax_share = 1.5\n", 2, "safety.max_share", "less than or equal to 1", "Of all accounts"),
        ("[safety]\n\nmax_effects = 'many'\n", 3, "safety.max_effects", "valid integer", None),
        ('[messages]\nquiet_hours = "9-5"\n', 2, "messages.quiet_hours", "match pattern", "in the recipient's zone"),
        ('[[push]]\nto = "a"\n', 1, "push[0].properties", "this key is required", "Property name at the vendor"),
        (
            '[plugins.a]\n[[push]]\nto = "a"\nproperties = { x = "y" }\n[[push]]\nto = "a"\nproperties = { x = 1 }\n',
            7,
            "push[1].properties.x",
            "valid string",
            None,
        ),
        (
            '[plugins.a]\n[[push]]\nto = "a"\nproperties = {}\nfirst = "alll"\n',
            5,
            "push[0].first",
            "'changes' or 'all'",
            "did you mean 'all'?",
        ),
        ("[wellkept]\nkey = 'hunter2-hunter2'\n", 2, "wellkept.key", "never the secret itself", None),
        ("plugins = 3\n", 1, "plugins", "should hold tables", "write [plugins.NAME]"),
        ('[messages]\nvia = "smpt"\n[plugins.smtp]\n', 2, "messages.via", "no instance 'smpt'", "did you mean 'smtp'?"),
        (
            '[messages]\nvia = "smtp"\n[plugins.smtp]\nenabled = false\n',
            2,
            "messages.via",
            "'smtp' is not enabled",
            "remove `enabled = false` from [plugins.smtp]",
        ),
    ],
)
def test_a_mistake_in_cores_tables_stops_everything(
    written: Write, text: str, line: int, key: str, message: str, mend: str | None
) -> None:
    path = written(text)
    with pytest.raises(ProblemsError) as caught:
        load(path)
    [problem] = caught.value.problems
    assert problem.reason.startswith(f"{path}:{line}: {key}: ")
    assert message in problem.reason
    assert problem.stage == "config"
    if mend is not None:
        assert mend in (problem.mend or "")


@pytest.mark.parametrize(
    ("text", "line", "key", "message", "mend"),
    [
        ("[plugins.a]\nlive = 3\n", 2, "plugins.a.live", "valid boolean", "Whether effects really go out"),
        ("[plugins.a]\nenabled = 'perhaps'\n", 2, "plugins.a.enabled", "valid boolean", None),
        ('[plugins.a]\nschedule = "70 * * * *"\n', 2, "plugins.a.schedule", "'70' is not a valid minute", "0 to 59"),
        (
            '[plugins.a]\n[plugins.a.map]\nregion = { feld = "extra.x", field = "y" }\n',
            3,
            "plugins.a.map.region.feld",
            "unknown key",
            "did you mean 'field'?",
        ),
        ("plugins.a = 1\n", 1, "plugins.a", "should be a table", "write [plugins.a]"),
        ("[plugins.'A b']\n", 1, "plugins.'A b'", "cannot name an instance", "lower-case letters"),
    ],
)
def test_a_mistake_in_one_instance_leaves_the_others(
    loaded: Load, text: str, line: int, key: str, message: str, mend: str | None
) -> None:
    config = loaded(f"{text}\n[plugins.fine]\n")
    assert list(config.tables) == ["fine"]
    [problem] = config.problems
    assert f"plugins.toml:{line}: {key}: " in problem.reason
    assert message in problem.reason
    assert problem.instance is not None
    if mend is not None:
        assert mend in (problem.mend or "")


def test_all_mistakes_are_told_at_once(written: Write) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(written("[safety]\nmax_share = 2\nmax_efects = 1\n[plugins.a]\nlive = 3\n"))
    assert len(caught.value.problems) == 3
    assert "and 2 more" in str(caught.value)


def test_a_push_to_nobody_is_left_out_and_the_others_stay(loaded: Load) -> None:
    config = loaded(
        "[plugins.hubspot]\n[plugins.off]\nenabled = false\n"
        '[[push]]\nto = "hubspt"\nproperties = { a = "b" }\n'
        '[[push]]\nto = "hubspot"\nproperties = { c = "d" }\n'
        '[[push]]\nto = "off"\nproperties = { e = "f" }\n'
    )
    assert [push.to for push in config.settings.push] == ["hubspot"]
    assert [problem.mend for problem in config.problems] == [
        "did you mean 'hubspot'?",
        "remove `enabled = false` from [plugins.off]",
    ]
    assert "plugins.toml:5: push[0].to" in config.problems[0].reason


def test_an_override_from_nobody_is_left_out(loaded: Load) -> None:
    config = loaded(
        '[plugins.hubspot]\n[[override]]\nsource = "hubspt"\nfield = "extra.band"\n'
        '[[override]]\nsource = "hubspot"\nfield = "extra.band"\ndays = 7\n'
    )
    assert [(item.source, item.days) for item in config.settings.override] == [("hubspot", 7)]
    assert [problem.mend for problem in config.problems] == ["did you mean 'hubspot'?"]
    assert "plugins.toml:3: override[0].source" in config.problems[0].reason


def test_strict_makes_every_problem_fatal(written: Write) -> None:
    path = written("[plugins.a]\nlive = 3\n")
    assert len(load(path).problems) == 1
    with pytest.raises(ProblemsError):
        load(path, strict=True)


@pytest.mark.parametrize(
    ("text", "line", "mend"),
    [
        ('a = 1\nb = "x\n', 2, "close the quotes"),
        ("[a]\n\n[a]\n", 3, "further up"),
        ("a = 1\na = 2\n", 2, "twice"),
        ("a = yes\n", 1, "text needs quotes"),
        ("[a\n", 1, "close the brackets"),
        ("a = [1,\n2\n", 2, "close the array"),
        ("foo bar = 1\n", 1, "keys with blanks"),
        ('a = "\\q"\n', 1, "backslash"),
        ("a = 1 2\n", 1, "line of its own"),
        ("= 1\n", 1, "[table]"),
        ('a = """x\n\n', 2, "close the quotes"),
        ("a = {b = 1\n}\n", 1, "close the inline table"),
        ("a.b = 1\n[a.b]\n", 2, "twice"),
    ],
)
def test_a_syntax_error_names_line_and_mend(written: Write, text: str, line: int, mend: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(text))
    assert caught.value.line == line
    assert mend in (caught.value.guidance or "")
    assert "at line" not in caught.value.message


def test_a_syntax_error_does_not_repeat_a_secret(written: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written("api_key = sk_live_abcdef0123456789\n"))
    assert "sk_live" not in str(caught.value)


def test_a_file_that_is_missing_or_unreadable_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wellkept init"):
        load(tmp_path / "plugins.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b"a = 1\nb = '\xe4'\n")
    with pytest.raises(ConfigError, match="UTF-8") as caught:
        load(path)
    assert caught.value.line == 2


def test_a_byte_order_mark_and_endless_brackets_are_no_crash(written: Write) -> None:
    path = written("")
    path.write_bytes("\ufeff[safety]\r\nmax_effects = 7\r\n".encode())
    assert load(path).settings.safety.max_effects == 7
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(written("a = " + "[" * 5000 + "]" * 5000))
