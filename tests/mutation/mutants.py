"""Changes a plugin's code in one place at a time and runs the standard tests: those that notice have killed the mutant.

    python3 dev.py mutants stripe                              40 mutants, drawn with seed 0
    python3 dev.py mutants hubspot --sample 100 --seed 7       a larger sample, always the same one
    python3 dev.py mutants hubspot --only mapping.py:109       all mutants of a line; of a file without the number
    python3 dev.py mutants hubspot --survivors FILE            those that survived the run which wrote FILE with --json
    python3 dev.py mutants hubspot --each-test                 for each standard test a mutant that it kills

Needs the dependency group ``mutation``. Nothing in the checkout changes: the plugin and pytest are imported once, and for each
mutant a fork imports the changed module and runs the standard tests that reach the changed statement. What survives is listed:
it is a change that makes no difference, or something that no standard test looks at.
"""

from __future__ import annotations

import argparse
import ast
import collections
import importlib
import json
import os
import random
import re
import resource
import select
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SILENCE = 240
"""Seconds without a word from a test after which the mutant counts as hanging."""

PATIENCE = 5
"""CPU time that a test may take, as a multiple of what it took without a change; and as many seconds besides."""

TRIES = 40
"""Mutants that are tried in search of one that a given test kills."""

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

WITHOUT_EFFECT: Mapping[str, tuple[str, ...]] = {
    "what only a type checker reads is imported, or not": ("TYPE_CHECKING:",),
    "a thing that nobody tries to change, or to make by position, may be": ("frozen=", "kw_only=", "slots="),
    "two rows that are equally long are paired": ("strict=True",),
    "the garbage collector looks at what is in no cycle, or not": ("gc=False",),
}
"""Reasons why a change of a flag cannot be noticed, with what stands before it, or with the flag as it is."""

MARKER = re.compile(r"(^|[(,]) ?/,")
"""Ends the arguments of a function that are given by place; the change of a ``*`` into it."""


class Mutant(NamedTuple):
    """One change: where it is, the line before and after it, and the whole module after it."""

    module: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str
    code: str

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.module}:{self.line}"

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from other mutants of the same code."""
        return self.module, self.operator, self.occurrence


class Verdict(NamedTuple):
    """What came of a mutant: the test that killed it, if one did."""

    mutant: Mutant
    killer: str | None
    seconds: float


# --- what is changed ---


def mutants(package: Path) -> Iterator[Mutant]:
    """Yield all changes of a package's connector code, always in the same order."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package)
        if module.parts[0] in LEFT_OUT:
            continue
        source = path.read_bytes()
        lines = source.decode().splitlines()
        for name in OPERATORS:
            operator = get_operator(name)()
            for occurrence in count():
                code = mutate_code(source, operator, occurrence)
                if code is None:
                    break
                after = code.splitlines()
                at = next(n for n, (old, new) in enumerate(zip(lines, after, strict=False)) if old != new)
                yield Mutant(str(module), at + 1, name, occurrence, lines[at].strip(), after[at].strip(), code)


def without_effect(mutant: Mutant) -> str | None:
    """Return why a change of a flag, or of who may give arguments how, makes no difference; None where it may."""
    if MARKER.search(mutant.after) and not MARKER.search(mutant.before):
        return "what is given by name may be given by place"
    if mutant.operator not in {"core/ReplaceTrueWithFalse", "core/ReplaceFalseWithTrue", "core/AddNot"}:
        return None
    for reason, marks in WITHOUT_EFFECT.items():
        for mark in map(_flipped, marks):
            if mark in mutant.after and mark not in mutant.before:
                return reason
    return None


def _flipped(mark: str) -> str:
    """Return what a flag looks like after the change, see `WITHOUT_EFFECT`."""
    if "=" not in mark:
        return "not TYPE_CHECKING"
    return mark.replace("False", "True") if mark.endswith("False") else mark.replace("=True", "=") + "False"


def equivalents(plugin: str) -> set[tuple[str, str, str]]:
    """Return what `equivalent.toml` says of a plugin: file, operator and the changed line."""
    tables = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8"))
    return {(item["file"], f"core/{item['operator']}", item["after"]) for item in tables.get(plugin, ())}


def statements(source: str) -> Mapping[int, tuple[int, int]]:
    """Return for each line the first and the last line of the innermost statement that holds it, without its block.

    Lines that run when the module is imported are left out.
    """
    found: dict[int, tuple[int, int]] = {}

    def visit(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if inside and isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                blocks = [part for name in ("body", "cases") for part in getattr(child, name, ()) if isinstance(part, ast.AST)]
                first = getattr(child, "lineno", None) or child.pattern.lineno  # type: ignore[attr-defined]
                last = min((_line(block) for block in blocks), default=_end(child) + 1) - 1
                for line in range(first, max(first, last) + 1):
                    found[line] = (first, max(first, last))
            visit(child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(ast.parse(source), inside=False)
    return found


def _line(node: ast.AST) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno  # type: ignore[attr-defined, no-any-return]


def _end(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> int:
    return (node.body[-1] if isinstance(node, ast.match_case) else node).end_lineno or _line(node)


# --- what is run ---


class Changed(MetaPathFinder):
    """Imports one module of a package with other code."""

    def __init__(self, name: str, path: Path, code: str) -> None:
        self._name = name
        self._path = path
        self._code = compile(code, str(path), "exec")

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how the module is imported."""
        del path, target
        return spec_from_file_location(fullname, self._path, loader=self._loader()) if fullname == self._name else None

    def _loader(self) -> SourceFileLoader:
        code = self._code

        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                del fullname
                return code

        return Loader(self._name, str(self._path))


class Watcher:
    """Pytest's hooks in a fork: runs some tests in an order, limits the CPU time of each, and tells of each what came of it.

    Args:
        tell: Takes a message.
        order: Tests that are to be run, the likeliest killers first; None: all.
        limits: Seconds of CPU time by test.
        begin: Called with each test's id as it begins.
    """

    def __init__(
        self,
        tell: Callable[[Mapping[str, Any]], None],
        order: Sequence[str] | None = None,
        limits: Mapping[str, float] | None = None,
        begin: Callable[[str], None] | None = None,
    ) -> None:
        self._tell = tell
        self._order = None if order is None else {test: number for number, test in enumerate(order)}
        self._limits = limits or {}
        self._begin = begin

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and sort."""
        if self._order is not None:
            order = self._order
            items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Tell which test begins, and how long it took."""
        self._tell({"begins": item.nodeid})
        if self._begin is not None:
            self._begin(item.nodeid)
        signal.setitimer(signal.ITIMER_PROF, self._limits.get(item.nodeid, 0))  # its signal ends the process
        begun = time.process_time()
        result = yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._tell({"ended": item.nodeid, "cpu": time.process_time() - begun})
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a failure."""
        if report.failed:
            self._tell({"failed": report.nodeid, "why": str(report.longrepr)[-1500:]})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell that nothing could be collected."""
        if report.failed:
            self._tell({"failed": "it cannot be imported", "why": str(report.longrepr)[-1500:]})


class Fork:
    """A child of this process in which tests run; what it tells is read with `messages`."""

    def __init__(self, work: Callable[[Callable[[Mapping[str, Any]], None]], int]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            code = 1
            with suppress(BaseException), os.fdopen(writing, "w") as pipe:
                for number in (1, 2):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), number)

                def tell(message: Mapping[str, Any]) -> None:
                    pipe.write(json.dumps(message) + "\n")
                    pipe.flush()

                code = work(tell)
            os._exit(code)
        os.close(writing)
        self._reading = reading

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """Yield what it tells; in the end ``{"code": ...}`` (negative: a signal), or ``{"silent": True}`` when it was ended."""
        pending = b""
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while select.select([pipe], [], [], SILENCE)[0]:
                data = pipe.read(65_536)
                if not data:
                    yield {"code": os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])}
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    yield json.loads(line)
        self.end()
        yield {"silent": True}

    def end(self) -> None:
        """End it."""
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class Trials:
    """One plugin's standard tests, warm.

    Args:
        plugin: Its name.
    """

    def __init__(self, plugin: str) -> None:
        self.package = ROOT / "plugins" / plugin / "src" / f"wellkept_{plugin}"
        self._tests = ROOT / "plugins" / plugin / "tests" / f"test_{plugin}_conformance.py"
        self._kills: collections.Counter[str] = collections.Counter()
        self._killers: set[str] = set()
        self.cpu: dict[str, float] = {}
        self._reached: dict[str, dict[int, set[str]]] = {}
        self._statements: dict[str, Mapping[int, tuple[int, int]]] = {}

    def begin(self) -> str | None:
        """Import what all forks need, then run all tests in one without a change, noting what each reaches.

        Returns:
            What failed; None where all is well.
        """
        for message in Fork(self._collected).messages():
            self._import(message.get("modules", ()))
        failed = None
        for message in Fork(self._unchanged).messages():
            if "failed" in message:
                failed = failed or f"{message['failed']}: {message['why']}"
            elif "cpu" in message:
                self.cpu[message["ended"]] = message["cpu"]
            elif "reached" in message:
                for module, lines in message["reached"].items():
                    self._reached[module] = {int(line): set(tests) for line, tests in lines.items()}
            elif message.get("code"):
                failed = failed or f"pytest ends with {message['code']}"
        return failed

    def false_alarm(self) -> str | None:
        """Run the tests that killed mutants once more by themselves, without a change; return one that fails then as well."""
        name = next(path for path in self.package.glob("*.py"))
        unchanged = Mutant(name.name, 0, "", 0, "", "", name.read_text(encoding="utf-8"))
        return self.run(unchanged, sorted(self._killers)).killer

    def tests(self, mutant: Mutant) -> Sequence[str]:
        """Return the tests that reach a mutant: those that killed most so far come first, then the quickest."""
        if mutant.module not in self._statements:
            self._statements[mutant.module] = statements((self.package / mutant.module).read_text(encoding="utf-8"))
        span = self._statements[mutant.module].get(mutant.line)
        reached = self._reached.get(mutant.module, {})
        if span is None:
            found = set(self.cpu)  # runs when the module is imported
        else:
            found = {test for line in range(span[0], span[1] + 1) for test in reached.get(line, ())}
        return sorted(found, key=lambda test: (-self._kills[function(test)], self.cpu[test], test))

    def run(self, mutant: Mutant, tests: Sequence[str]) -> Verdict:
        """Run tests on a mutant until one fails."""
        begun = time.monotonic()
        killer: str | None = None
        limits = {test: PATIENCE * (1 + self.cpu[test]) for test in tests}
        current = "it cannot be imported"

        def work(tell: Callable[[Mapping[str, Any]], None]) -> int:
            name = ".".join([self.package.name, *Path(mutant.module).with_suffix("").parts]).removesuffix(".__init__")
            sys.meta_path.insert(0, Changed(name, self.package / mutant.module, mutant.code))
            return self._pytest(Watcher(tell, tests, limits), "-x")

        if tests:
            fork = Fork(work)
            for message in fork.messages():
                if "failed" in message:
                    killer = function(message["failed"])
                    self._killers |= {message["failed"]} & self.cpu.keys()
                    fork.end()
                    break
                current = message.get("begins", current)
                if message.get("code") or "silent" in message:
                    killer = f"{function(current)} (it hangs)" if message.get("code") != 1 else function(current)
        if killer is not None:
            self._kills[killer] += 1
        return Verdict(mutant, killer, time.monotonic() - begun)

    def _pytest(self, watcher: Watcher, *options: str) -> int:
        os.chdir(ROOT)
        sys.dont_write_bytecode = True
        ignored = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        command = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", *ignored, *options, str(self._tests)]
        return int(pytest.main(command, plugins=[watcher]))

    def _unchanged(self, tell: Callable[[Mapping[str, Any]], None]) -> int:
        from coverage import Coverage

        coverage = Coverage(data_file=None, source=[str(self.package)], config_file=False, messages=False)
        coverage.start()
        code = self._pytest(Watcher(tell, begin=coverage.switch_context))
        coverage.stop()
        reached, data = {}, coverage.get_data()
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file)
            reached[str(Path(file).relative_to(self.package))] = {
                line: [context for context in contexts if context] for line, contexts in lines.items()
            }
        tell({"reached": reached})
        return code

    def _collected(self, tell: Callable[[Mapping[str, Any]], None]) -> int:
        code = self._pytest(Watcher(tell), "--collect-only")
        tell({"modules": list(sys.modules)})
        return code

    def _import(self, names: Sequence[str]) -> None:
        """Import what every fork will need, but not the plugin itself: it is imported anew, one of its modules changed."""
        left = {self.package.name, "plugins", "tests", "conftest", "__main__", "coverage"}
        for name in names:
            if name.partition(".")[0] not in left and "test_" not in name:
                with suppress(Exception):
                    importlib.import_module(name)
        for name in [name for name in sys.modules if name.partition(".")[0] == self.package.name]:
            del sys.modules[name]


def function(test: str) -> str:
    """Return the name of a test without file, class and parameters."""
    return test.partition("[")[0].rpartition("::")[2]


# --- what is told ---


def chosen(every: Sequence[Mutant], arguments: argparse.Namespace) -> Sequence[Mutant]:
    """Return the mutants that the command line asks for."""
    if arguments.only:
        return [mutant for mutant in every if {mutant.place, mutant.module} & set(arguments.only)]
    if arguments.survivors:
        survived = {
            (item["file"], item["operator"], item["occurrence"])
            for item in json.loads(arguments.survivors.read_text(encoding="utf-8"))["mutants"]
            if item["killed_by"] is None
        }
        return [mutant for mutant in every if mutant.key in survived]
    return random.Random(arguments.seed).sample(every, min(arguments.sample, len(every)))  # noqa: S311 - a sample


def shown(verdict: Verdict) -> str:
    """Return one line about a mutant."""
    mutant = verdict.mutant
    what = f"killed by {verdict.killer}" if verdict.killer else "SURVIVED"
    return f"{verdict.seconds:4.0f} s {mutant.place}: {mutant.after} ({mutant.operator}): {what}"


def report(verdicts: Sequence[Verdict], arguments: argparse.Namespace, left_out: Mapping[str, int]) -> None:
    """Print a table of what came of the mutants, and write it as JSON if asked to."""
    killers = collections.Counter(verdict.killer for verdict in verdicts if verdict.killer)
    print(*(f"{times:4} {test}" for test, times in killers.most_common()), sep="\n")
    survivors = sorted((verdict for verdict in verdicts if not verdict.killer), key=lambda verdict: verdict.mutant[:4])
    print(*(shown(verdict) for verdict in survivors), sep="\n")
    killed = len(verdicts) - len(survivors)
    print(*(f"left out: {number} ({reason})" for reason, number in left_out.items()), sep="\n")
    print(f"{killed} of {len(verdicts)} mutants killed: {killed / max(1, len(verdicts)):.0%}")
    if arguments.json:
        rows = [
            {
                "file": verdict.mutant.module,
                "line": verdict.mutant.line,
                "operator": verdict.mutant.operator,
                "occurrence": verdict.mutant.occurrence,
                "after": verdict.mutant.after,
                "killed_by": verdict.killer,
            }
            for verdict in sorted(verdicts, key=lambda verdict: verdict.mutant[:4])
        ]
        told = {"plugin": arguments.plugin, "seed": arguments.seed, "killed": killed, "of": len(verdicts), "mutants": rows}
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def each_test(trials: Trials, every: Sequence[Mutant], seed: int) -> int:
    """Find for each standard test a mutant that it kills; return how many kill none."""
    drawn = random.Random(seed).sample(every, len(every))  # noqa: S311 - a sample
    idle = 0
    for name in dict.fromkeys(map(function, trials.cpu)):
        killed, tried = None, 0
        for mutant in drawn:
            tests = [test for test in trials.tests(mutant) if function(test) == name]
            if not tests:
                continue
            tried += 1
            if trials.run(mutant, tests).killer is not None:
                killed = mutant
                break
            if tried == TRIES:
                break
        idle += killed is None
        what = f"{killed.place}: {killed.after}" if killed else "KILLS NONE"
        print(f"{name}: {what} ({tried} tried)", flush=True)
    return idle


def main() -> int:
    """Draw mutants, run the tests on each, and tell how many were killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plugin")
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", metavar="FILE[:LINE]")
    parser.add_argument("--survivors", type=Path, metavar="FILE")
    parser.add_argument("--each-test", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    trials = Trials(arguments.plugin)
    known, every, left_out = equivalents(arguments.plugin), [], collections.Counter[str]()
    for mutant in mutants(trials.package):
        reason = without_effect(mutant)
        if (mutant.module, mutant.operator, mutant.after) in known:
            reason = "equivalent, see equivalent.toml"
        if reason is None:
            every.append(mutant)
        else:
            left_out[reason] += 1
    problem = trials.begin()
    if problem is not None:
        print(f"the tests fail without any change: {problem}")
        return 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if arguments.each_test:
        return min(1, each_test(trials, every, arguments.seed))
    wanted, verdicts = chosen(every, arguments), list[Verdict]()
    for number, mutant in enumerate(wanted, 1):
        verdicts.append(trials.run(mutant, trials.tests(mutant)))
        print(f"{number}/{len(wanted)} {shown(verdicts[-1])}", flush=True)
    report(verdicts, arguments, left_out)
    alarm = trials.false_alarm()
    if alarm is not None:
        print(f"{alarm} fails by itself, without any change: what it killed says nothing")
    return int(alarm is not None)


if __name__ == "__main__":
    sys.exit(main())
