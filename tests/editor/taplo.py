"""A TOML language server as editors use it: taplo, from npm; here its linter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.7.0"
"""Of ``@taplo/cli``."""

ERROR = re.compile(r"^error: (?P<message>.*)\n\s*┌─ (?P<file>.*):(?P<line>\d+):(?P<column>\d+)$", re.MULTILINE)


class UnavailableError(Exception):
    """Taplo is not here and cannot be fetched."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One error of the linter, where an editor would underline it."""

    line: int
    column: int
    message: str


def program() -> Path:
    """Return the program; fetched once by npm, and then kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wellkept-tests"
    folder = cache / f"taplo-{VERSION}"
    found = folder / "node_modules" / ".bin" / "taplo"
    if not found.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise UnavailableError("npm is not installed")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            command = [npm, "install", "--prefix", fresh, "--no-audit", "--no-fund", f"@taplo/cli@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            if done.returncode:
                raise UnavailableError(f"npm cannot fetch @taplo/cli: {done.stderr.strip()[-300:]}")
            if not found.exists():
                Path(fresh).replace(folder)
                Path(fresh).mkdir()
    return found


def lint(file: Path) -> list[Fault]:
    """Return what the linter has to say of a file, by what the file's own ``#:schema`` line names."""
    environ = {**os.environ, "RUST_LOG": "error"}
    command = [str(program()), "lint", "--colors", "never", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ, cwd=file.parent)
    faults = [
        Fault(line=int(found["line"]), column=int(found["column"]), message=found["message"])
        for found in ERROR.finditer(done.stdout + done.stderr)
    ]
    assert bool(faults) == bool(done.returncode), done.stdout + done.stderr
    return faults
