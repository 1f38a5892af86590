"""Whatever a reader can meet is documented; and what is not would be noticed."""

from __future__ import annotations

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
    monkeypatch.setattr(commands, "commands", lambda _root: [("wellkept odd", odd)])
    monkeypatch.setattr(frame_plan, "BUILT_IN", [type("Odd", (), {"name": "oddness"})()])
    monkeypatch.setattr(Metrics, "names", lambda _self: {"wellkept_oddness"})
    found = check.undocumented()
    assert {"command wellkept odd", "option --way of wellkept odd", "measure oddness", "metric wellkept_oddness"} <= set(found)


def test_a_link_to_nowhere_is_noticed(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n\n[a](absent.md) [b](#one) [c](#two) [d](https://example.com)\n", encoding="utf-8")
    monkeypatch.setattr(check, "markdown", lambda: [page])
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert check.broken_links() == ["page.md: absent.md does not exist", "page.md: #two has no such heading"]
