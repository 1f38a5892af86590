#!/usr/bin/env python3
"""Run Wellkept from a checkout: makes `.venv` when needed, then does what was asked. Standard library only.

    python3 dev.py demo      run the whole path against simulators on loopback
    python3 dev.py test      run all tests
    python3 dev.py lint      ruff, formatting included
    python3 dev.py types     mypy --strict
    python3 dev.py docs      everything documented, links, changelog fragments, and the site (site/index.html)
    python3 dev.py guards    remove each guard behind a promise, and see a test fail
    python3 dev.py mutants   change a plugin's code in many places, and see the standard tests fail
    python3 dev.py setup     only make the environment

Arguments after the verb are passed on: `python3 dev.py demo --accounts 50`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
CONSTRAINTS = ROOT / "constraints.txt"
OLDEST = (3, 11)


def plugins() -> list[Path]:
    """Return the plugin distributions of the workspace."""
    return sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    import tomllib

    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"][name]
    return found


def everything() -> list[str]:
    """Return what is installed: core and plugins editable, with everything that tests and demo need."""
    arguments = [*group("dev"), *group("docs"), "-e", f"{ROOT}[all]"]
    for plugin in plugins():
        arguments += ["-e", str(plugin)]
    return arguments


def fingerprint() -> str:
    """Return a digest of everything that decides what is installed."""
    files = [ROOT / "pyproject.toml", CONSTRAINTS, *(path / "pyproject.toml" for path in plugins())]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def setup() -> None:
    """Make the environment, unless it is there and up to date. Uses uv where it is installed, else venv and pip."""
    stamp = VENV / "wellkept-stamp"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint():
        return
    print("Preparing .venv (once, about a minute) ...", file=sys.stderr, flush=True)
    if uv := shutil.which("uv"):
        run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)])
    elif not (BIN / "python").exists():
        run([sys.executable, "-m", "venv", str(VENV)])
    install(everything())
    stamp.write_text(fingerprint(), encoding="utf-8")


def install(requirements: list[str]) -> None:
    """Install into the environment, in the pinned versions."""
    arguments = ["install", "--quiet", "-c", str(CONSTRAINTS), *requirements]
    if uv := shutil.which("uv"):
        run([uv, "pip", *arguments, "--python", str(BIN / "python")])
    else:
        run([str(BIN / "python"), "-m", "pip", *arguments, "--disable-pip-version-check"])


def run(command: list[str]) -> None:
    """Run a command and end with its exit code if it fails."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    if sys.version_info < OLDEST:
        sys.exit(f"Wellkept needs Python {'.'.join(map(str, OLDEST))} or newer; this is {sys.version.split()[0]}")
    verb, *rest = arguments or ["help"]
    python = str(BIN / "python")
    verbs = {
        "demo": [[str(BIN / "wellkept"), "demo", *rest]],
        "test": [
            [python, "-m", "compileall", "-q", "core", *(str(path / "src") for path in plugins())],  # for the tests' processes
            [python, "-m", "pytest", "-n", "auto", "--dist", "worksteal", *rest],
        ],
        "lint": [[python, "-m", "ruff", "check", *rest], [python, "-m", "ruff", "format", "--check", *rest]],
        "types": [[python, "-m", "mypy", "core", *(str(path / "src") for path in plugins()), *rest]],
        "docs": [
            [python, str(ROOT / "docs" / "check.py"), *rest],
            [python, "-m", "towncrier", "build", "--draft"],
            [python, "-m", "mkdocs", "build", "--strict"],
        ],
        "guards": [[python, str(ROOT / "tests" / "guards" / "remove_guards.py"), *rest]],
        "mutants": [[python, str(ROOT / "tests" / "mutation" / "mutants.py"), *rest]],
        "setup": [],
    }
    if verb not in verbs:
        sys.exit(__doc__)
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # an advertisement of the theme's, at each build
    setup()
    if verb == "mutants":
        install(group("mutation"))
    for command in verbs[verb]:
        run(command)


if __name__ == "__main__":
    main(sys.argv[1:])
