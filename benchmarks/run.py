"""All targets of performance, or some of them by number or name, each in a process of its own.

    python benchmarks/run.py                 # all but what takes minutes
    python benchmarks/run.py 1 2 outbox      # some
    python benchmarks/run.py --all --remember

The figures go to `benchmarks/history/` with `--remember`. Ends with 1 when a gate was missed. docs/performance.md says how to
read them.
"""

from __future__ import annotations

import argparse
import subprocess

from meter import HERE, PYTHON

TARGETS: dict[str, tuple[str, str, bool]] = {
    "full": ("1", "sync.py full", False),
    "rerun": ("2", "sync.py rerun", False),
    "changed": ("3", "sync.py changed", False),
    "memory": ("4", "sync.py memory", True),
    "latency": ("5", "sync.py latency", False),
    "rollup": ("6", "rollup.py", False),
    "help": ("7", "manners.py help", False),
    "score": ("8", "score.py", True),
    "push": ("9", "delivery.py push", False),
    "retry": ("10", "manners.py retry", False),
    "outbox": ("11", "delivery.py outbox", False),
    "webhooks": ("12", "webhooks.py", True),
}
"""Name to number, command, and whether it takes minutes."""


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(f"{t[0]} {name}" for name, t in TARGETS.items()))
    parser.add_argument("--all", action="store_true", help="also those that take minutes")
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    options = parser.parse_args()
    known = {*TARGETS, *(number for number, _, _ in TARGETS.values())}
    if unknown := [name for name in options.targets if name not in known]:
        parser.error(f"there is no target {unknown[0]!r}; there are: {', '.join(TARGETS)}")
    wanted = {*options.targets}
    worst = 0
    for name, (number, command, long) in TARGETS.items():
        if wanted & {name, number} or (not wanted and (options.all or not long)):
            remember = ["--remember"] if options.remember else []
            script, *arguments = command.split()
            worst = max(worst, subprocess.run([PYTHON, HERE / script, *arguments, *remember], check=False).returncode)
            print(flush=True)
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
