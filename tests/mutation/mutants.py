"""Changes a plugin's code in one place at a time and runs the standard tests: those that notice have killed the mutant.

    python3 dev.py mutants stripe                 40 mutants, drawn with seed 0
    python3 dev.py mutants hubspot --sample 100 --seed 7

Needs the dependency group ``mutation``. The plugin is copied; nothing in the checkout changes. What survives is listed: it is a
change that makes no difference, or something that no standard test looks at.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TIMEOUT = 240
"""Seconds after which a run counts as killed: the mutant hangs."""

LEFT_OUT = ("simulator", "simulation.py", "config.py", "py.typed")
"""What is no connector code: the tests themselves stand on the simulator, and the configuration is declared."""

OPERATORS = (
    "core/AddNot",
    "core/NumberReplacer",
    "core/ReplaceAndWithOr",
    "core/ReplaceBinaryOperator_Add_Sub",
    "core/ReplaceBinaryOperator_Mul_Div",
    "core/ReplaceBinaryOperator_Sub_Add",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceComparisonOperator_Eq_NotEq",
    "core/ReplaceComparisonOperator_Gt_LtE",
    "core/ReplaceComparisonOperator_GtE_Lt",
    "core/ReplaceComparisonOperator_Is_IsNot",
    "core/ReplaceComparisonOperator_IsNot_Is",
    "core/ReplaceComparisonOperator_Lt_GtE",
    "core/ReplaceComparisonOperator_LtE_Gt",
    "core/ReplaceComparisonOperator_NotEq_Eq",
    "core/ReplaceContinueWithBreak",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceOrWithAnd",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ZeroIterationForLoop",
)
"""Cosmic Ray's operators; those that only change annotations are left out."""


class Mutant(NamedTuple):
    """One change."""

    module: Path
    operator: str
    occurrence: int
    code: str

    def line(self, original: str) -> str:
        """Return the first line that differs, with its number."""
        pairs = zip(original.splitlines(), self.code.splitlines(), strict=False)
        number, new = next(((n, after) for n, (before, after) in enumerate(pairs, 1) if before != after), (0, ""))
        return f"{self.module}:{number}: {new.strip()}"


def mutants(package: Path) -> Iterator[Mutant]:
    """Yield all changes of a package's connector code."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package)
        if module.parts[0] in LEFT_OUT:
            continue
        source = path.read_bytes()
        for name in OPERATORS:
            operator = get_operator(name)()
            for occurrence in count():
                code = mutate_code(source, operator, occurrence)
                if code is None:
                    break
                yield Mutant(module, name, occurrence, code)


def run(plugin: str, source: Path) -> tuple[bool, str]:
    """Run the standard tests against a copy; return whether they passed, and the test that failed first."""
    tests = ROOT / "plugins" / plugin / "tests" / f"test_{plugin}_conformance.py"
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(tests)]
    environ = {**os.environ, "PYTHONPATH": str(source)}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return False, "it hangs"
    failed = re.search(r"^(?:FAILED|ERROR) \S+::(\S+?)(?:\[|\s|$)", done.stdout, re.MULTILINE)
    return done.returncode == 0, failed[1] if failed else "it cannot be imported"


def main() -> int:
    """Draw mutants, run the tests on each, and tell how many were killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plugin")
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    package = ROOT / "plugins" / arguments.plugin / "src" / f"wellkept_{arguments.plugin}"
    every = list(mutants(package))
    chosen = random.Random(arguments.seed).sample(every, min(arguments.sample, len(every)))  # noqa: S311 - a sample
    killers: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(package.parent, source)
        well, test = run(arguments.plugin, source)
        if not well:
            print(f"the tests fail without any change: {test}")
            return 1
        for number, mutant in enumerate(chosen, 1):
            file = source / package.name / mutant.module
            original = file.read_text(encoding="utf-8")
            file.write_text(mutant.code, encoding="utf-8")
            begun = time.monotonic()
            survived, test = run(arguments.plugin, source)
            file.write_text(original, encoding="utf-8")
            killers["" if survived else test] += 1
            verdict = "survived" if survived else f"killed by {test}"
            took = time.monotonic() - begun
            print(f"{number}/{len(chosen)} {took:.0f} s {mutant.line(original)} ({mutant.operator}): {verdict}", flush=True)
    killed = len(chosen) - killers.pop("", 0)
    print(*(f"{times:4} {test}" for test, times in killers.most_common()), sep="\n")
    print(f"{killed} of {len(chosen)} mutants killed: {killed / len(chosen):.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
