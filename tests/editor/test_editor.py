"""The JSON Schema at work in a real TOML language server: what is right passes, what is wrong is marked where it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.editor import taplo

from wellkept.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        taplo.program()
    except taplo.UnavailableError as error:
        pytest.skip(str(error))
    made: Path = tmp_path_factory.mktemp("editor")
    shutil.copy(ROOT / "plugins.schema.json", made)
    return made


def faults(folder: Path, text: str) -> list[taplo.Fault]:
    file = folder / "plugins.toml"
    file.write_text(text, encoding="utf-8")
    return taplo.lint(file)


def test_the_example_has_no_error(folder: Path) -> None:
    assert faults(folder, (ROOT / "plugins.toml").read_text(encoding="utf-8")) == []


def test_what_init_writes_names_its_schema_and_has_no_error(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    assert main(["-c", str(path), "init", "--yes", "--plugin", "stripe", "--plugin", "hubspot", "--plugin", "health"]) == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#:schema ./plugins.schema.json\n")
    assert faults(folder, text) == []
    assert faults(folder, text.replace("access_token = ", "acess_token = ", 1)), "the first line is what makes it checked"


MISTAKES = [
    ('subdomain = "acme"', 'subdomian = "acme"', 13),
    ('timezone = "UTC"', "timezone = 1", 12),
    ("max_effects = 400", 'max_effects = "many"', 15),
    ("max_share = 0.25", "max_share = 25", 13),
    ('api_key = "env:STRIPE_API_KEY"', 'api_key = "rk_live_1"', 11),
    ('tls = "none"', 'tls = "nine"', 7),
    ('cooldown = "30d"', 'cooldown = "a month"', 12),
    ('quiet_hours = "21:00-07:00"', "quiet_hours = 21", 15),
]


@pytest.fixture(scope="module")
def marked(folder: Path) -> dict[str, list[taplo.Fault]]:
    """What is marked in the example with each of the mistakes, by the mistake."""
    text = (ROOT / "plugins.toml").read_text(encoding="utf-8")
    files = {}
    for number, (right, wrong, _) in enumerate(MISTAKES):
        assert text.count(right) == 1
        files[wrong] = folder / f"mistake-{number}.toml"
        files[wrong].write_text(text.replace(right, wrong), encoding="utf-8")
    found = taplo.lint_all([*files.values()])
    return {wrong: found[file] for wrong, file in files.items()}


@pytest.mark.parametrize(("right", "wrong", "column"), MISTAKES)
def test_a_mistake_is_marked_where_it_stands(marked: dict[str, list[taplo.Fault]], right: str, wrong: str, column: int) -> None:
    text = (ROOT / "plugins.toml").read_text(encoding="utf-8")
    line = text[: text.index(right)].count("\n") + 1
    assert (line, column) in {(fault.line, fault.column) for fault in marked[wrong]}


def test_an_unknown_key_marks_nothing_but_itself(folder: Path) -> None:
    text = "#:schema ./plugins.schema.json\n[safety]\nmax_effects = 3\nmax_efects = 4\nmin_accounts = 5\n"
    [fault] = faults(folder, text)
    assert (fault.line, fault.column) == (4, 14)
    assert "a key that is not known here" in fault.message


def test_a_way_in_that_is_not_whole_is_marked(folder: Path) -> None:
    both = '[plugins.zendesk]\nsubdomain = "acme"\nemail = "a@b.example"\napi_token = "env:T"\n'
    assert faults(folder, f"#:schema ./plugins.schema.json\n{both}") == []
    assert faults(folder, f"#:schema ./plugins.schema.json\n{both}".replace("api_token", "# api_token"))


def test_a_second_instance_is_checked_by_the_plugin_that_it_names(folder: Path) -> None:
    text = '#:schema ./plugins.schema.json\n[plugins.stripe-eu]\nplugin = "stripe"\napi_key = "env:EU"\n'
    assert faults(folder, text) == []
    assert faults(folder, text.replace("api_key", "api_kee"))


def test_without_the_first_line_nothing_is_checked(folder: Path) -> None:
    assert faults(folder, "[safety]\nmax_efects = 4\n") == []


def test_keys_values_and_meanings_are_offered_while_typing(folder: Path) -> None:
    file = folder / "typing.toml"
    lines = [
        "#:schema ./plugins.schema.json",
        "[plugins.zendesk]",
        "s",
        "",
        "[plugins.smtp]",
        'tls = ""',
        "",
        "[safety]",
        "max_share = 1",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    try:
        editor = taplo.Editor(file)
    except taplo.UnavailableError as error:
        pytest.skip(str(error))
    with editor:
        keys = set(editor.labels(2, 1))
        assert {"subdomain", "client_id", "churn_words", "schedule", "live"} <= keys
        assert not {"access_token", "api_key", "rules"} & keys, "other plugins' keys have no place here"
        assert {'"starttls"', '"tls"', '"none"'} <= set(editor.labels(5, 7))
        assert "min_accounts" in editor.hover(8, 2)
        assert {"plugins.hubspot", "messages", "alerts.mail"} <= set(editor.labels(1, 9))
