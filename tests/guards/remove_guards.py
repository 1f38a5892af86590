"""Removes the guards of `guards.toml` one by one, each in a copy of the checkout, and makes sure that a test fails each time.

python3 dev.py guards            all of them
python3 dev.py guards 7 8        those of promises 7 and 8
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("core", "plugins", "tests", "docs", "pyproject.toml", "plugins.toml", "plugins.schema.json")
PATIENCE = 300


def guards() -> list[dict[str, str]]:
    """Return the guards."""
    found: list[dict[str, str]] = tomllib.loads(Path(__file__).with_name("guards.toml").read_text(encoding="utf-8"))["guard"]
    return found


def test_fails(copy: Path, test: str) -> bool:
    """Run a test on the copy's code; say whether it failed (and was found at all)."""
    paths = [copy / "core", *sorted(copy.glob("plugins/*/src"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={PATIENCE}", test]
    code = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode
    if code not in {0, 1}:
        sys.exit(f"pytest ended with {code} for {test}: is it there?")
    return code == 1


def main(promises: list[str]) -> None:
    """Remove each guard; end with 1 if one is not missed."""
    chosen = [guard for guard in guards() if not promises or str(guard["promise"]) in promises]
    survived = 0
    for guard in chosen:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder)
            for part in PARTS:
                source = ROOT / part
                (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / part)
            path = copy / guard["file"]
            text = path.read_text(encoding="utf-8")
            if text.count(guard["remove"]) != 1:
                sys.exit(f"{guard['file']}: the guard stands there {text.count(guard['remove'])} times: {guard['remove']!r}")
            path.write_text(text.replace(guard["remove"], guard["put"]), encoding="utf-8")
            missed = test_fails(copy, guard["test"])
        survived += not missed
        print(f"{'missed  ' if missed else 'SURVIVED'} promise {guard['promise']}: {guard['says']}", flush=True)
    print(f"{len(chosen) - survived} passed, {survived} failed")
    sys.exit(bool(survived))


if __name__ == "__main__":
    main(sys.argv[1:])
