"""Promise 1: a kill at any instant, then a restart, ends with the same rows as an undisturbed run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks for each kill")
@pytest.mark.file
def test_a_kill_at_any_point_changes_nothing(template: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), str(template), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    points = re.fullmatch(r"up to (\d+)\nup to (\d+)\n", done.stdout)
    assert points is not None, done.stdout
    assert min(map(int, points.groups())) > 60
