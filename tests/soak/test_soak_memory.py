"""Memory of a sync does not grow with the data: a hundred thousand rows take what ten thousand do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "sync.py"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wellkept_stripe") is None, reason="needs the plugin stripe")
def test_memory_is_flat_from_ten_thousand_to_a_hundred_thousand_rows() -> None:
    """Processes of their own, whose peak the system tells; at most 120 MiB, and 10 % more for the larger one."""
    done = subprocess.run(
        [sys.executable, BENCHMARK, "memory", "--large", "33400"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
