"""Whatever a reader can meet is documented; and what is not would be noticed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def check() -> Any:
    from importlib import import_module

    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield import_module("check")
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_everything_is_documented_and_every_link_leads_somewhere(check: Any) -> None:
    assert check.undocumented() == []
    assert check.broken_links() == []


def test_a_hook_that_nobody_explains_is_noticed(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from wellkept.hookspecs import Hooks

    monkeypatch.setattr(Hooks, "dream", lambda _self: None, raising=False)
    assert "hook dream" in check.undocumented()


def test_an_error_that_nobody_explains_is_noticed(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from wellkept import errors

    made = type("LostError", (errors.WellkeptError,), {"__module__": errors.__name__})
    monkeypatch.setattr(errors, "LostError", made, raising=False)
    assert "error LostError" in check.undocumented()


def test_a_key_without_a_meaning_is_noticed(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from generate import keys, plugin_pages

    class Silent(BaseModel):
        model_config = ConfigDict(use_attribute_docstrings=True)
        shout: bool = False

    monkeypatch.setattr(keys, "core_tables", lambda: [("[odd]", Silent)])
    monkeypatch.setattr(plugin_pages, "load", lambda _root, _name: (None, Silent))
    found = check.undocumented()
    assert found.count("key shout of [odd]") == 2, "neither on the page nor in the model"
    assert "key shout of [plugins.stripe]" in found


def test_a_command_an_option_a_measure_and_a_metric_are_noticed(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from generate import commands

    from wellkept.pipeline import frame_plan
    from wellkept.serve.metrics import Metrics

    odd = click.Command("odd", params=[click.Option(["--way"])])
    monkeypatch.setattr(commands, "commands", lambda *_: [("wellkept odd", odd)])
    monkeypatch.setattr(frame_plan, "BUILT_IN", [type("Odd", (), {"name": "oddness"})()])
    monkeypatch.setattr(Metrics, "names", lambda _self: {"wellkept_oddness"})
    found = check.undocumented()
    assert {"command wellkept odd", "option --way of wellkept odd", "measure oddness", "metric wellkept_oddness"} <= set(found)


def test_a_command_of_a_plugin_is_noticed(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from generate import plugin_pages

    odd = click.Command("odd", params=[click.Option(["--way"])])
    monkeypatch.setattr(plugin_pages, "plugin", lambda _root, _name: type("Odd", (), {"commands": lambda _self: [odd]})())
    found = check.plugin_commands("files")
    assert set(found) == {"command wellkept files odd", "option --way of wellkept files odd"}


def test_a_link_to_nowhere_is_noticed(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n\n[a](absent.md) [b](#one) [c](#two) [d](https://example.com)\n", encoding="utf-8")
    monkeypatch.setattr(check, "markdown", lambda: [page])
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert check.broken_links() == ["page.md: absent.md does not exist", "page.md: #two has no such heading"]


TWINS = {"README.md": "README.zh.md", "docs/index.md": "docs/zh/index.md", "docs/quick-start.md": "docs/zh/quick-start.md"}
LEADS = re.compile(r"\]\(([^)#\s]+\.md)")
COMMAND = re.compile(r"^(?:wellkept|python3|pip|export) [^#\n]*", re.MULTILINE)


@pytest.mark.parametrize("english", TWINS)
def test_a_chinese_page_leads_where_the_english_one_does_and_shows_the_same_commands(english: str) -> None:
    other = {ROOT / twin: ROOT / page for page, twin in TWINS.items()}

    def told(name: str) -> tuple[set[Path], list[str]]:
        page = ROOT / name
        text = page.read_text(encoding="utf-8")
        links = {(page.parent / link).resolve() for link in LEADS.findall(text)}
        return {other.get(link, link) for link in links} - {ROOT / english}, [found.strip() for found in COMMAND.findall(text)]

    links, commands = told(english)
    chinese_links, chinese_commands = told(TWINS[english])
    assert links - chinese_links == set()
    assert commands == chinese_commands
