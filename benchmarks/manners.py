"""Targets 7 and 10: how soon the command line answers, and how it keeps to Retry-After.

    python benchmarks/manners.py [help] [retry] [--rounds 5]

7 help: `wellkept --help`, the whole process.  10 retry: every tenth answer is 429 with Retry-After, to three streams at once;
no request may come early (one that was on its way already is not), and the reading may take hardly longer than the waits and an
undisturbed reading together.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from meter import PYTHON, Figure, finish, middle, run
from sync import house, sync
from vendor import counted, serving

WAIT = 2
ROWS = 1_000
"""Rows of each stream: 10 pages."""


def help_(rounds: int) -> list[Figure]:
    """Target 7."""
    with tempfile.TemporaryDirectory() as folder:
        command = [PYTHON, "-m", "wellkept", "--help"]
        run(command, folder=Path(folder))
        costs = [run(command, folder=Path(folder)) for _ in range(rounds)]
    return [Figure(target=7, what="wellkept --help", value=middle(costs), unit="CPU s", gate=0.25, stretch=0.15)]


def retry() -> list[Figure]:
    """Target 10."""
    with tempfile.TemporaryDirectory() as folder:
        with serving(customers=ROWS) as base:
            calm = sync(house(Path(folder) / "calm", base)).wall
        with serving(customers=ROWS, fault_every=10, retry_after=WAIT) as base:
            wall = sync(house(Path(folder) / "refused", base)).wall
            seen = counted(base)
    waits = seen["faults"] * WAIT
    assert waits
    return [
        Figure(
            target=10,
            what=f"requests before the end of {seen['faults']} waits",
            value=seen["early"],
            unit="",
            gate=0,
            stretch=0,
        ),
        Figure(
            target=10,
            what=f"time beside {waits} s of waits, as their share",
            value=(wall - calm) / waits - 1,
            unit="",
            gate=0.15,
        ),
    ]


def targets(names: list[str], rounds: int) -> list[Figure]:
    """Measure."""
    return [*(help_(rounds) if "help" in names else ()), *(retry() if "retry" in names else ())]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which of help, retry; both unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    options = parser.parse_args()
    return finish("manners", targets(options.names or ["help", "retry"], options.rounds), remember=options.remember)


if __name__ == "__main__":
    raise SystemExit(main())
