"""The list of guards is about the code as it stands; `dev.py guards` removes them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARDS = tomllib.loads((ROOT / "tests/guards/guards.toml").read_text(encoding="utf-8"))["guard"]


@pytest.mark.parametrize("guard", GUARDS, ids=[guard["says"] for guard in GUARDS])
def test_a_guard_stands_where_the_list_says_and_so_does_its_test(guard: dict[str, str]) -> None:
    assert (ROOT / guard["file"]).read_text(encoding="utf-8").count(guard["remove"]) == 1
    path, _, name = guard["test"].partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    name = name.rpartition("::")[2].partition("[")[0]
    assert re.search(rf"\b(?:def|class) {re.escape(name)}\b|^{re.escape(name)} = ", text, re.MULTILINE), "no such test"
