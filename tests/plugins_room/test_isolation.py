"""A bad plugin hurts nobody else: what it does is told by its name, its distribution and the reason, and the rest run."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from wellkept import Batch, CheckResult, PluginInfo, ReadRequest, Source, Stream, hookimpl
from wellkept.cli import main
from wellkept.doctor.instances import examine_instances
from wellkept.plugins import load_named, watchdog
from wellkept.plugins.acting import Actor, acting
from wellkept.plugins.owners import Owner, own
from wellkept.plugins.requirements import unmet
from wellkept.plugins.watchdog import Blocked, watching
from wellkept.problems import Problem
from wellkept.records import Account
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.store import runs
from wellkept.testing import FakeClock

Install = Callable[..., None]
CTX: Any = object()


class Vendor(Source):
    """Reads one account; `act` happens before."""

    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        self.act = act

    def streams(self) -> list[Stream]:
        return [Stream(name="accounts", records=(Account,), doc="Accounts.")]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[])

    async def read(self, request: ReadRequest) -> Any:
        self.act()
        yield Batch(records=[Account(id="1", version=1, name="Acme")])


def plugin(name: str, act: Callable[[], object] = lambda: None, *, hook: Callable[[], object] = lambda: None) -> object:
    class Plugin:
        @hookimpl
        def describe(self) -> PluginInfo:
            return PluginInfo(name=name, api="1.0", summary="For a test.")

        @hookimpl
        def sources(self) -> list[Source]:
            hook()
            return [Vendor(act)]

    return Plugin()


@pytest.fixture
def open_with(tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    opened: list[Runtime] = []

    def go(*names: str, **plugins: object) -> Runtime:
        path = tmp_path / "plugins.toml"
        path.write_text("".join(f"[plugins.{name}]\n" for name in (*names, *plugins)), encoding="utf-8")
        opened.append(Runtime.open(path, clock=FakeClock(), extra_plugins=plugins))
        return opened[-1]

    yield go
    for runtime in opened:
        runtime.close()


def told(problems: list[Problem], stage: str) -> Problem:
    [found] = [problem for problem in problems if problem.stage == stage]
    return found


# --- all of them at once ---


def test_every_kind_of_bad_plugin_is_told_and_the_good_one_runs(
    install: Install, open_with: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("broken", source="import nothing_like_this")
    install("twice", distribution="wellkept-twice")
    install("twice", distribution="other-twice")
    install("strict", config="wellkept_strict_model:Keys", modules={"wellkept_strict_model": STRICT})
    install("raises", "@hookimpl\ndef sources(self, ctx):\n    raise RuntimeError('no')")
    install("nonsense", "@hookimpl\ndef sources(self, ctx):\n    return ['a source']")
    install("old", "@hookimpl\ndef sources(self, ctx):\n    return []", requires=["httpx>=99", "no-such-package>1"])
    runtime = open_with("broken", "twice", "strict", "raises", "nonsense", "old", good=plugin("good"))
    report = asyncio.run(Steps(runtime).sync()).sync
    assert report is not None
    assert [(item.instance, item.state, item.inserted) for item in report.streams] == [("good", "done", 1)]
    found = {(problem.plugin, problem.distribution): problem.reason for problem in runtime.problems}
    assert "cannot be imported: ModuleNotFoundError" in found["broken", "wellkept-broken 1.0"]
    assert "several installed plugins are called 'twice'" in found["twice", None]
    assert "needed" in found["strict", "wellkept-strict 1.0"]
    assert found["raises", "wellkept-raises 1.0"] == "the hook 'sources' failed: RuntimeError: no"
    assert "it returned a str among its Source objects" in found["nonsense", "wellkept-nonsense 1.0"]
    assert {problem.reason for problem in runtime.problems if problem.stage == "requirements"} == {
        f"it requires httpx>=99, and {httpx_version()} is installed",
        "it requires no-such-package>1, and it is not installed",
    }


STRICT = """
from pydantic import BaseModel, ConfigDict

class Keys(BaseModel):
    model_config = ConfigDict(extra="forbid")
    needed: int
"""


def httpx_version() -> str:
    from importlib.metadata import version

    return version("httpx")


# --- requirements ---


def test_requirements_that_are_met_optional_or_for_other_systems_are_not_told(install: Install) -> None:
    install(
        "fine",
        requires=[
            "httpx>=0.1",
            "no-such-package; extra == 'more'",
            "no-such-package; python_version < '3'",
            "Msgspec",
        ],
    )
    assert unmet("wellkept-fine") == []
    assert load_named(["fine"]).problems == []


def test_a_requirement_that_is_not_met_comes_with_its_mend_and_the_plugin_is_loaded_all_the_same(install: Install) -> None:
    install("old", requires=["httpx>=99", "==nonsense=="])
    plugins = load_named(["old"])
    assert list(plugins.loaded) == ["old"]
    first, second = plugins.problems
    assert (first.stage, first.plugin, first.distribution) == ("requirements", "old", "wellkept-old 1.0")
    assert (first.mend or "").startswith('run `pip install "httpx>=99"`')
    assert "which no installer understands" in second.reason


def test_what_is_not_installed_as_a_distribution_has_no_requirements() -> None:
    assert unmet("no-such-package") == []


# --- standard output ---


def test_what_a_hook_prints_goes_to_the_log_under_its_name(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def chatter() -> None:
        print("hello", "world")
        sys.stdout.writelines(["half ", "a line"])
        sys.stdout.buffer.write("ü\n".encode())
        sys.stdout.flush()
        sys.stdout.buffer.flush()

    plugins = load_named(["loud"], {"loud": plugin("loud", hook=chatter)})
    assert len(plugins.collect("loud", "sources", ctx=CTX)) == 1
    print("ours")
    assert capsys.readouterr().out == "ours\n"
    assert [record.message for record in caplog.records] == [
        "loud wrote to standard output in the hook 'sources': hello world",
        "loud wrote to standard output in the hook 'sources': half a lineü",
    ]
    remark = told(plugins.remarks, "stdout")
    assert (remark.plugin, remark.reason) == ("loud", "it wrote 2 lines to standard output, now in the log; use ctx.log")
    assert plugins.problems == []


def test_what_an_import_prints_is_caught_as_well(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("loud", source="print('loading')\nimport sys\nsys.stdout.write('x' * 1000)\n1 / 0")
    problem = told(load_named(["loud"]).problems, "load")
    assert "ZeroDivisionError" in problem.reason
    assert capsys.readouterr().out == ""


def test_a_stream_that_prints_is_noted_with_the_stream_and_others_are_not(
    open_with: Callable[..., Runtime], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def chatter() -> None:
        print("mail a@b.example")
        thread = asyncio.get_running_loop().run_in_executor(None, int)
        assert not thread.cancelled()

    runtime = open_with(loud=plugin("loud", chatter), quiet=plugin("quiet"))
    report = asyncio.run(Steps(runtime).sync()).sync
    assert report is not None
    notes = {item.instance: item.note for item in report.streams}
    assert notes == {"loud": "it wrote 1 line to standard output, now in the log; use ctx.log", "quiet": None}
    assert capsys.readouterr().out == ""
    [line] = [record.message for record in caplog.records if "standard output" in record.message]
    assert line == "loud wrote to standard output in stream accounts: mail ***"


def test_a_worker_thread_of_a_plugin_counts_as_the_plugin(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        with acting(Actor("acme", "stream x")):
            await asyncio.to_thread(print, "from a thread")
        await asyncio.to_thread(print, "ours")

    asyncio.run(work())
    assert [record.message for record in caplog.records] == ["acme wrote to standard output in stream x: from a thread"]


def test_of_a_flood_the_log_shows_the_beginning(caplog: pytest.LogCaptureFixture) -> None:
    remarks: list[str] = []
    with acting(Actor("acme", "its check", remarks.append)):
        for number in range(1000):
            print(number)
    assert len(caplog.records) == 20
    assert remarks == ["it wrote 1000 lines to standard output, now in the log; use ctx.log"]


def test_json_stays_one_document_whatever_plugins_print(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    install("loud", LOUD)
    path = tmp_path / "plugins.toml"
    path.write_text("[plugins.loud]\n", encoding="utf-8")
    for arguments in (("check",), ("sync",), ("plugins", "inspect", "loud")):
        capsys.readouterr()
        main(["-c", str(path), "--json", *arguments])
        captured = capsys.readouterr()
        assert isinstance(json.loads(captured.out), dict), arguments
        assert "wrote to standard output" in captured.err


LOUD = """
@hookimpl
def sources(self, ctx):
    from wellkept import Batch, CheckResult, Source, Stream
    from wellkept.records import Account
    print("in the hook")
    class Loud(Source):
        def streams(self):
            print("listing")
            return [Stream(name="accounts", records=(Account,), doc="Accounts.")]
        async def check(self):
            print("checking")
            return CheckResult(findings=[])
        async def read(self, request):
            print("reading")
            yield Batch(records=[Account(id="1", version=1, name="Acme")])
    return [Loud()]
"""


# --- the event loop ---


def blocking(freed: threading.Event) -> None:
    assert freed.wait(30), "the watchdog named nobody"


def quick(freed: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs be watched at a quicker rhythm, and free what blocks as soon as it was named."""

    def watch(tell: Callable[[Blocked], object]) -> AbstractContextManager[None]:
        def and_free(blocked: Blocked) -> None:
            tell(blocked)
            freed.set()

        return watching(and_free, poll=0.01, after=3)

    monkeypatch.setattr("wellkept.steps.watching", watch)


def test_code_that_blocks_the_event_loop_is_named_with_its_place_in_the_log_and_the_notes(
    open_with: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    freed = threading.Event()
    quick(freed, monkeypatch)
    runtime = open_with(slow=plugin("slow", partial(blocking, freed)), other=plugin("other"))
    report = asyncio.run(Steps(runtime).sync())
    assert report.sync is not None
    slow, other = report.sync.streams
    assert (slow.state, other.state, other.note) == ("done", "done", None)
    assert "it blocked the event loop at test_isolation.py:" in (slow.note or "")
    assert "in blocking" in (slow.note or "")
    [line] = [record for record in caplog.records if "blocked the event loop" in record.message]
    assert re.match(r"slow\.accounts \(plugin \w+\) has blocked the event loop for", line.message)
    assert line.levelno == logging.WARNING
    with runtime.store.read() as reader:
        row = runs.get(reader, report.run)
        assert row is not None
        assert "has blocked the event loop" in (row.summary or "")


def test_the_note_is_written_while_the_loop_is_still_blocked(
    open_with: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    quick(freed, monkeypatch)
    notes: list[Any] = []
    runtime = open_with(slow=plugin("slow", lambda: (blocking(freed), notes.append(present()))))

    def present() -> Any:
        with runtime.store.read() as reader:
            return reader.value("SELECT note FROM run_streams WHERE instance = 'slow'")

    asyncio.run(Steps(runtime).sync())
    assert "it blocks the event loop at test_isolation.py" in notes[0]


def test_a_loop_that_core_itself_keeps_busy_blames_nobody() -> None:
    named: list[Blocked] = []
    seen = threading.Event()
    monitor = logging.Handler()
    lines: list[str] = []
    monitor.emit = lambda record: (lines.append(record.getMessage()), seen.set())[1]  # type: ignore[method-assign]
    watchdog._log.addHandler(monitor)

    async def work() -> None:
        with watching(named.append, poll=0.01, after=3):
            assert seen.wait(30)

    from wellkept.plugins import owners

    before = dict(owners._packages)
    owners._packages.clear()
    try:
        asyncio.run(work())
    finally:
        owners._packages.update(before)
        watchdog._log.removeHandler(monitor)
    assert named == []
    assert "something has blocked the event loop" in lines[0]


def test_a_loop_that_answers_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        with watching(poll=0.001, after=1000):
            for _ in range(100):
                await asyncio.sleep(0)

    asyncio.run(work())
    assert caplog.records == []


def test_core_is_nobody_s() -> None:
    own("wellkept.source", Owner("thief", None))
    from wellkept.plugins.owners import owner_of

    assert owner_of("wellkept.source") is None


# --- hangs ---


def test_a_stream_that_hangs_is_ended_and_the_others_are_read(open_with: Callable[..., Runtime]) -> None:
    class Hanging(Vendor):
        async def read(self, request: ReadRequest) -> Any:
            await asyncio.Event().wait()
            yield Batch()

    class Plugin:
        @hookimpl
        def describe(self) -> PluginInfo:
            return PluginInfo(name="hanging", api="1.0", summary="For a test.")

        @hookimpl
        def sources(self) -> list[Source]:
            return [Hanging()]

    runtime = open_with(hanging=Plugin(), good=plugin("good"))
    from wellkept.pipeline.sync import sync

    async def work() -> Any:
        async with runs.running(runtime.store, "sync") as run:
            sources = {name: instance.sources for name, instance in runtime.instances.items()}
            steps = sync(
                runtime.store, runtime.tables, sources, run=run, clock=runtime.clock,
                freshness=runtime.settings.freshness, silence=0.0, tick=0.01,
            )  # fmt: skip
            return await steps

    report = asyncio.run(work())
    assert [(item.instance, item.state) for item in report.streams if item.instance == "hanging"] == [("hanging", "failed")]
    assert "the source hangs" in report.streams[0].error


def test_doctor_tells_remarks_as_well(open_with: Callable[..., Runtime]) -> None:
    runtime = open_with(loud=plugin("loud", hook=lambda: print("hello")))
    [line] = [item for item in runtime.run(examine_instances(runtime)) if item.name == "stdout"]
    assert (line.area, line.grade) == ("plugins", "warn")
    assert "it wrote 1 line to standard output" in line.message
