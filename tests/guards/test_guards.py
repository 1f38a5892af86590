"""The list of guards stays true: every guard stands where the list says, and every promise has one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARDS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("guards.toml").read_text(encoding="utf-8"))["guard"]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard['promise']}: {guard['says']}")
def test_the_guard_stands_where_the_list_says(guard: dict[str, Any]) -> None:
    assert (ROOT / guard["file"]).read_text(encoding="utf-8").count(guard["remove"]) == 1
    assert guard["remove"] != guard["put"]
    path, _, name = guard["test"].partition("::")
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8") if name else (ROOT / path).is_file()


def test_every_promise_has_a_guard() -> None:
    assert {guard["promise"] for guard in GUARDS} == set(range(1, 10))


def test_every_guard_is_documented() -> None:
    page = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
    for guard in GUARDS:
        assert guard["says"] in page
