"""What all benchmarks share: how a figure is measured, judged, shown and kept.

CPU seconds and memory are those of a process of its own, read from the system when it has ended. A target is given as a gate,
which must be met, and a stretch figure. Machines differ and are shared, so wherever another program sets the scale, both run
in turns within one command, and the figure is the ratio.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from wellkept.cli import GARBAGE

HERE = Path(__file__).parent
HISTORY = HERE / "history"
PYTHON = sys.executable


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process took: seconds of CPU (its children's too), seconds on the clock, and MiB at its peak."""

    cpu: float
    wall: float
    mib: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes:
        target: Number in the list of targets.
        what: What was measured.
        value: The figure.
        unit: Its unit; ``x`` for a ratio.
        gate: What it must not exceed, or not fall below; None where it is only told.
        stretch: What is sought.
        more_is_better: It is a rate, not a cost.
    """

    target: int
    what: str
    value: float
    unit: str
    gate: float | None = None
    stretch: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """``stretch``, ``met``, ``MISSED``, or nothing."""
        if self.gate is None:
            return ""
        if self._reaches(self.stretch):
            return "stretch"
        return "met" if self._reaches(self.gate) else "MISSED"

    def _reaches(self, bound: float | None) -> bool:
        return bound is not None and (self.value >= bound if self.more_is_better else self.value <= bound)


def run(command: Sequence[str | Path], *, folder: Path | None = None, env: dict[str, str] | None = None, ok: int = 0) -> Cost:
    """Run a command to its end and return what it took.

    Raises:
        RuntimeError: It ended with another code; the end of what it wrote is shown.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*map(str, command)], cwd=folder, env=_environment() | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    written = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != ok:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}: {written.decode()[-2000:]}")
    wall = time.perf_counter() - begun
    return Cost(cpu=usage.ru_utime + usage.ru_stime, wall=wall, mib=mebibytes(usage.ru_maxrss))


@cache
def _environment() -> dict[str, str]:
    """Return the environment of measured processes, once there is bytecode of this checkout, as pip leaves it of a package."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    sources = [HERE.parent / "core", *HERE.parent.glob("plugins/*/src")]
    subprocess.run([PYTHON, "-m", "compileall", "-q", *sources], env=environment, check=True)
    return environment


def here(work: Callable[[], Any]) -> Cost:
    """Run something in this process, as the command line does; the peak of memory is that of the process so far."""
    gc.set_threshold(GARBAGE)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu=cpu, wall=wall, mib=mebibytes(after.ru_maxrss))


def mebibytes(peak: int) -> float:
    """Return a peak of memory as the system tells it in MiB: Linux counts in KiB, macOS in bytes."""
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def middle(costs: Iterable[Cost], part: str = "cpu") -> float:
    """Return the median of one part of several costs."""
    return median(getattr(cost, part) for cost in costs)


def table(figures: Sequence[Figure]) -> str:
    """Return figures as a table."""
    head = ("#", "what", "figure", "gate", "stretch", "")
    rows = [
        (
            str(figure.target),
            figure.what,
            _text(figure.value, figure.unit),
            _text(figure.gate, figure.unit),
            _text(figure.stretch, figure.unit),
            figure.verdict,
        )
        for figure in figures
    ]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def keep(name: str, figures: Iterable[Figure]) -> None:
    """Add figures to the history of a benchmark, with the machine, the commit and the date."""
    HISTORY.mkdir(exist_ok=True)
    changed = "+" if _git("status", "--porcelain", "-uno", "core", "plugins") else ""
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD") + changed,
        "machine": f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "figures": [asdict(figure) for figure in figures],
    }
    with (HISTORY / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def finish(name: str, figures: Sequence[Figure], *, remember: bool) -> int:
    """Show figures, keep them if asked, and return the exit code: 1 when a gate was missed."""
    print(table(figures))
    if remember:
        keep(name, figures)
    return int(any(figure.verdict == "MISSED" for figure in figures))


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown} {unit}"


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False)  # noqa: S607
    return found.stdout.strip()
