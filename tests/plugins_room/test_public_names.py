"""The public names of `wellkept` are imported when asked for, and the two lists of them agree."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wellkept


def test_every_public_name_can_be_imported_from_its_home() -> None:
    assert {name for names in wellkept._HOME.values() for name in names} == set(wellkept.__all__)
    for module, names in wellkept._HOME.items():
        for name in names:
            assert getattr(wellkept, name) is getattr(sys.modules[module], name)
    assert set(wellkept.__all__) <= set(dir(wellkept))


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(wellkept.__file__).read_text(encoding="utf-8"))
    [checked] = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {node.module: {alias.name for alias in node.names} for node in checked.body if isinstance(node, ast.ImportFrom)}
    assert imported == {module: set(names) for module, names in wellkept._HOME.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sauce'"):
        wellkept.Sauce  # noqa: B018


def test_importing_the_package_imports_next_to_nothing() -> None:
    names = ("wellkept", "msgspec", "pluggy", "asyncio")
    code = f"import sys, wellkept; print(*sorted(name for name in sys.modules if name.startswith({names})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["wellkept"]
