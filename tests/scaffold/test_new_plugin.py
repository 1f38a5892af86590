"""`wellkept new-plugin`: what it writes works at once, is clean, and is the author's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wellkept.cli import main
from wellkept.errors import ConfigError
from wellkept.scaffold import KINDS, PARTS, Kind, render
from wellkept.testing.distributions import write_distribution

ROOT = Path(__file__).parents[2]


def written(kind: Kind, name: str, folder: Path) -> Path:
    assert main(["new-plugin", name, "--kind", kind, "--into", str(folder)]) == 0
    plugin = folder / f"wellkept-{name}"
    module = f"wellkept_{name.replace('-', '_')}"
    requires = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    entry = {name: f"{module}:plugin"}
    write_distribution(plugin / "src", f"wellkept-{name}", version="0.1.0", plugins=entry, requires=requires)
    return plugin


def run(plugin: Path, *command: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(plugin / "src"), "MYPYPATH": "src", "ACME_API_KEY": "acme-key-0123456789"}
    environ.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=plugin, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_standard_tests_pass_at_once(kind: Kind, tmp_path: Path) -> None:
    plugin = written(kind, "acme", tmp_path)
    output = run(plugin, "pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in output
    assert "failed" not in output
    skipped = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    assert not skipped, "the example should show everything that a test can use"


def test_any_name_gives_a_plugin_of_its_own(tmp_path: Path) -> None:
    plugin = written("full", "north-star9", tmp_path)
    files = {
        str(path.relative_to(plugin)): path.read_text() for path in plugin.rglob("*") if path.suffix in {".py", ".toml", ".md"}
    }
    assert "src/wellkept_north_star9/source.py" in files
    for path, text in files.items():
        assert "acme" not in text.lower().replace("acme-key", ""), path
        assert "#[" not in text, path
    assert "class NorthStar9Source(Source)" in files["src/wellkept_north_star9/source.py"]
    assert 'name="north-star9"' in files["src/wellkept_north_star9/__init__.py"]
    run(plugin, "compileall", "-q", "src", "tests")
    run(plugin, "pytest", "-q", "-p", "no:cacheprovider", "-k", "read_once or same_records or done_once or explained or sound")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of core: it takes longer to learn than all plugins that are checked against it."""
    folder: Path = tmp_path_factory.mktemp("mypy")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_clean_by_our_own_rules(kind: Kind, tmp_path: Path, known: Path) -> None:
    plugin = written(kind, "acme", tmp_path)
    rules = ["--config", str(ROOT / "pyproject.toml"), "--config", 'src=["src"]', "--no-cache"]
    run(plugin, "ruff", "check", *rules, "--ignore", "D,S101,INP001,PLR6301,ARG002", ".")
    run(plugin, "ruff", "format", "--config", str(ROOT / "pyproject.toml"), "--check", "--no-cache", ".")
    run(plugin, "mypy", "--strict", "--cache-dir", str(known), "src")


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_rules_up_to_silver_from_its_first_day(kind: Kind, tmp_path: Path) -> None:
    plugin = written(kind, "acme", tmp_path)
    quality = json.loads(run(plugin, "wellkept", "--json", "plugins", "inspect", "acme"))["quality"]
    missed = {item["rule"] for item in quality["rules"] if item["state"] in {"missed", "unknown"}}
    assert missed <= {"webhooks", "estimate", "demo"}
    assert quality["level"] == ("gold" if kind in {"scorer", "policy"} else "silver")


@pytest.mark.parametrize("name", ["Acme", "9lives", "a_b", "-x", "a--b", "", "ä", "a/b", "acme."])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a plugin"):
        render(name, "source")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    assert main(["new-plugin", "acme", "--into", str(tmp_path)]) == 0
    (tmp_path / "wellkept-acme" / "README.md").write_text("mine")
    assert main(["new-plugin", "acme", "--into", str(tmp_path)]) == 3
    assert (tmp_path / "wellkept-acme" / "README.md").read_text() == "mine"


def test_every_kind_has_its_parts_and_no_more() -> None:
    assert set(PARTS) == set(KINDS)
    assert "src/wellkept_acme/scorer.py" not in render("acme", "source")
    assert "src/wellkept_acme/simulator.py" not in render("acme", "policy")
    assert {"src/wellkept_acme/scorer.py", "src/wellkept_acme/actions.py"} <= set(render("acme", "full"))
