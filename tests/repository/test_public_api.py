"""The plugin API changes on purpose only: names, signatures, fields and defaults are held against `public_api.txt`."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW = (
    "The public API has changed. If that is meant: a minor version may only add (see core/wellkept/hookspecs.py); what is to go"
    " is entered into wellkept.deprecation first. Then run\n    python tests/repository/surface.py --accept\nand commit"
    " public_api.txt with a line in changelog/. Lines with - are gone, lines with + are new:\n"
)


@pytest.fixture(scope="module")
def surface() -> ModuleType:
    spec = importlib.util.spec_from_file_location("surface", Path(__file__).with_name("surface.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def difference(before: list[str], after: list[str]) -> str:
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def test_nothing_of_the_public_surface_changes_by_accident(surface: ModuleType) -> None:
    accepted = surface.SNAPSHOT.read_text(encoding="utf-8").splitlines()
    changed = difference(accepted, surface.surface())
    assert not changed, f"{HOW}{changed}"


class Row(msgspec.Struct, kw_only=True):
    id: str
    count: int = 3


class Reader:
    limit: int = 5

    def __init__(self, path: str, *, strict: bool = False) -> None: ...

    def read(self, count: int = 1) -> list[str]:
        return []

    @property
    def size(self) -> int:
        return 0


def a_row(**changes: Any) -> type:
    fields: list[Any] = [(name, kind, *default) for name, kind, *default in changes.pop("fields")]
    return msgspec.defstruct("Row", fields, kw_only=True)


@pytest.mark.parametrize(
    ("before", "after", "gone", "new"),
    [
        pytest.param(
            a_row(fields=[("id", str), ("count", int, 3)]),
            a_row(fields=[("id", str), ("count", int, 4)]),
            "Row.count: int = 3", "Row.count: int = 4", id="a default",
        ),
        pytest.param(
            a_row(fields=[("id", str)]), a_row(fields=[("id", int)]), "Row.id: str", "Row.id: int", id="a type",
        ),
        pytest.param(
            a_row(fields=[("id", str), ("x", int)]), a_row(fields=[("id", str)]), "Row.x: int", None, id="a field",
        ),
    ],
)  # fmt: skip
def test_a_changed_field_shows_as_one_line(surface: ModuleType, before: type, after: type, gone: str, new: str | None) -> None:
    lines = [[f"Row.{line}" for line in surface.members(kind)] for kind in (before, after)]
    assert difference(*lines).splitlines() == [f"-{gone}", *([f"+{new}"] if new else [])]


def test_methods_properties_and_attributes_are_part_of_the_surface(surface: ModuleType) -> None:
    assert list(surface.members(Reader)) == [
        "__init__(path: str, *, strict: bool = False) -> None",
        "limit: int = 5",
        "read: (count: int = 1) -> list[str]",
        "size: property -> int",
    ]


def test_functions_and_constants_are_part_of_the_surface(surface: ModuleType) -> None:
    def parse(text: str, /, *, names: Callable[[], int] = len) -> None: ...

    assert list(surface.of_value("m.parse", parse)) == ["m.parse(text: str, /, *, names: Callable[[], int] = len) -> None"]
    assert list(surface.of_value("m.NAMES", frozenset({"b", "a"}))) == ["m.NAMES = frozenset({'a', 'b'})"]
