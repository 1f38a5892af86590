"""The quality scale as the docs show it, for every plugin of this repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from wellkept.plugins.quality import RULES

DOC = Path(__file__).resolve().parents[2] / "docs" / "writing-a-plugin.md"


@pytest.fixture(scope="module")
def quality_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality_page", Path(__file__).with_name("quality_page.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_plugins_are(quality_page: ModuleType) -> None:
    written = quality_page.PAGE.read_text(encoding="utf-8")
    assert written == quality_page.page(), "run: python tests/repository/quality_page.py --write"


def test_every_plugin_of_ours_has_a_line_on_it(quality_page: ModuleType) -> None:
    text = quality_page.PAGE.read_text(encoding="utf-8")
    for name in quality_page.names():
        assert f"| [{name}](../plugins/{name}/README.md) |" in text


def test_every_rule_is_explained_to_authors() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert [rule.name for rule in RULES if f"`{rule.name}`" not in text] == []
