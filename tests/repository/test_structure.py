"""Rules of the house that nobody would notice breaking (DESIGN, section 2)."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

import wellkept

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PUBLIC_MODULES = {
    "wellkept",
    "wellkept.records",
    "wellkept.errors",
    "wellkept.money",
    "wellkept.http",
    "wellkept.secrets",
    "wellkept.expressions",
    "wellkept.testing",
}


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
    return found


def test_no_init_file_shadows_an_sdk() -> None:
    assert not list(ROOT.glob("plugins/__init__.py"))
    assert not list(ROOT.glob("plugins/*/__init__.py"))
    assert not list(ROOT.glob("plugins/*/tests/__init__.py"))
    assert not list(ROOT.glob("tests/**/__init__.py"))


def test_no_test_folder_is_named_after_an_installed_package() -> None:
    installed = {name for dist in distributions() for name in (dist.read_text("top_level.txt") or "").split()}
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    assert not folders & (installed | {"stripe", "zendesk", "mixpanel", "hubspot"})


def test_the_stripe_sdk_is_the_sdk() -> None:
    import stripe

    assert "site-packages" in str(stripe.__file__)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_is_what_a_third_party_ships(plugin: Path) -> None:
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == f"wellkept-{plugin.name}"
    assert list(project["entry-points"]["wellkept"]) == [plugin.name]
    assert any(re.fullmatch(r"wellkept(\[\w+\])?>=\d+\.\d+(\.\d+)?,<\d+", dep) for dep in project["dependencies"])
    package = plugin / "src" / f"wellkept_{plugin.name}"
    assert (package / "__init__.py").is_file()
    assert (package / "py.typed").is_file()
    assert (plugin / "README.md").is_file()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugins_use_only_public_names_of_core(plugin: Path) -> None:
    for path in (plugin / "src").rglob("*.py"):
        for name in imports(path):
            if name.split(".")[0] == "wellkept":
                public = any(name == module or name.startswith("wellkept.testing") for module in PUBLIC_MODULES)
                assert public, f"{path.relative_to(ROOT)} imports {name}"


def test_core_imports_no_plugin() -> None:
    names = {f"wellkept_{plugin.name}" for plugin in PLUGINS}
    for path in (ROOT / "core").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & names, path


def test_all_is_sorted_and_true() -> None:
    assert sorted(wellkept.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == wellkept.__all__
    for name in wellkept.__all__:
        assert getattr(wellkept, name) is not None


def test_importing_the_api_is_cheap() -> None:
    code = "import sys, wellkept; print(*sys.modules)"
    modules = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not modules & {"pydantic", "httpx", "rich", "sqlalchemy", "alembic", "cryptography", "starlette", "stripe"}


def test_every_module_says_what_it_is() -> None:
    for path in tracked("core/*.py", "plugins/*/src/*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_no_module_is_too_long() -> None:
    for path in tracked("core/*.py", "plugins/*/src/*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, path


def test_nothing_names_a_registry_or_a_lock_file() -> None:
    hosts = re.compile("|".join(("py" + r"pi\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs")))
    for path in tracked():
        assert path.name != "uv.lock"
        if path.suffix not in {".png", ".ico"}:
            assert not hosts.search(path.read_text(encoding="utf-8", errors="replace")), path


def test_the_example_is_the_demo_s_and_fits_its_schema() -> None:
    """`plugins.toml`, the packaged example and the JSON Schema agree; `wellkept config schema` writes the latter."""
    import jsonschema_rs

    from wellkept.cli import main

    example = ROOT / "plugins.toml"
    assert example.read_bytes() == (ROOT / "core/wellkept/example.toml").read_bytes()
    schema = (ROOT / "plugins.schema.json").read_text(encoding="utf-8")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert main(["-c", str(example), "--json", "config", "schema"]) == 0
    assert json.loads(output.getvalue()) == json.loads(schema), "run: wellkept config schema -o plugins.schema.json"
    validator = jsonschema_rs.validator_for(json.loads(schema))
    content = tomllib.loads(example.read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(content)] == []
    content["plugins"]["stripe"]["api_kee"] = "env:X"
    assert not validator.is_valid(content)


def test_nothing_unfinished_is_left() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "NotImplemented" + "Error")))
    for path in tracked("*.py", "*.md", "*.toml"):
        assert not marks.search(path.read_text(encoding="utf-8")), path
