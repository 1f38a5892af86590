"""Jobs: a plugin's own work at the end of a run, by its instance's schedule."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wellkept import Context, Installation, Job, PluginInfo, hookimpl
from wellkept.alerts.conditions import Limits, troubles
from wellkept.errors import ConfigError
from wellkept.pipeline.jobs import place
from wellkept.runtime import Runtime
from wellkept.serve.conductor import Task, _work
from wellkept.serve.timetable import Due, timetable
from wellkept.steps import Steps, Terms
from wellkept.store import runs
from wellkept.testing import FakeClock

Perform = Callable[[Installation], Any]


class Report(Job):
    """A job that does what the test says."""

    doc = "Reports."

    def __init__(self, name: str, perform: Perform) -> None:
        self.name = name
        self._perform = perform

    def perform(self, installation: Installation) -> int:
        counted: int = self._perform(installation)
        return counted


class Reporter:
    """A plugin without a source."""

    def __init__(self, *jobs: object) -> None:
        self._jobs = jobs

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="reporter", api="1.0", summary="Reports.")

    @hookimpl
    def jobs(self, ctx: Context[Any]) -> list[object]:
        del ctx
        return list(self._jobs)


Open = Callable[..., Runtime]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    runtimes: list[Runtime] = []

    def go(*jobs: object, tables: str = "[plugins.reporter]\n", dry_run: bool = False) -> Runtime:
        (tmp_path / "plugins.toml").write_text(tables, encoding="utf-8")
        runtimes.append(
            Runtime.open(
                tmp_path / "plugins.toml", clock=FakeClock(), extra_plugins={"reporter": Reporter(*jobs)}, dry_run=dry_run
            )
        )
        return runtimes[-1]

    yield go
    for runtime in runtimes:
        runtime.close()


def test_a_job_sees_the_frame_of_its_own_run_and_is_noted(opened: Open) -> None:
    seen: list[str] = []

    def look(installation: Installation) -> int:
        seen.append(installation.frame().as_of.isoformat())
        print("to nobody")
        return 7

    runtime = opened(Report("look", look))
    report = asyncio.run(Steps(runtime).run())
    assert len(seen) == 1
    assert report.jobs is not None
    [result] = report.jobs
    assert (result.state, result.read) == ("done", 7)
    assert result.note == "it wrote 1 line to standard output, now in the log; use ctx.log"
    with runtime.store.read() as reader:
        [row] = runs.streams(reader, report.run)
    assert (row.instance, row.stream, row.state, row.read) == ("reporter", "look (job)", "done", 7)


def refuse(_: Installation) -> int:
    raise ConfigError("there is no folder", guidance="make it")


@pytest.mark.parametrize(
    ("perform", "told"),
    [
        (refuse, "there is no folder (make it)"),
        (lambda _: 1 // 0, "ZeroDivisionError at test_jobs.py"),
        (lambda _: "many", "`perform` returned str, not how many rows it dealt with"),
    ],
)
def test_a_job_that_fails_is_told_and_leaves_the_others_alone(opened: Open, perform: Perform, told: str) -> None:
    runtime = opened(Report("bad", perform), Report("good", lambda _: 1))
    report = asyncio.run(Steps(runtime).run())
    assert report.jobs is not None
    bad, good = report.jobs
    assert (bad.state, good.state, report.state) == ("failed", "done", "partial")
    assert str(bad.error).startswith(told)
    assert f"reporter.bad (job): {told}" in "; ".join(report.summary)


def test_what_is_wrong_is_an_alert_until_the_job_is_done_again(opened: Open) -> None:
    failing = [True]

    def now_and_then(_: Installation) -> int:
        return 1 // 0 if failing[0] else 1

    runtime = opened(Report("now-and-then", now_and_then))
    limits = Limits(stale={}, jobs=[("reporter", place("now-and-then"))])

    def wrong() -> list[tuple[str, str, str]]:
        with runtime.store.read() as reader:
            return [(found.condition, found.subject, found.severity) for found in troubles(reader, limits, runtime.clock.now())]

    asyncio.run(Steps(runtime).run())
    assert wrong() == [("partial", "reporter", "warning")]
    asyncio.run(Steps(runtime).wake())  # in which it is not due
    assert wrong() == [("partial", "reporter", "warning")]
    failing[0] = False
    asyncio.run(Steps(runtime).wake(["reporter"]))
    assert wrong() == []


def test_jobs_run_by_the_schedule_of_their_instance_alone(opened: Open) -> None:
    tables = '[serve]\nschedule = "every 1 hour"\n[plugins.reporter]\n'
    tables += '[plugins.nightly]\nplugin = "reporter"\nschedule = "0 6 * * *"\n'
    runtime = opened(Report("report", lambda _: 1), tables=tables)
    entries = {entry.instance: entry for entry in timetable(runtime).entries}
    assert {name: entry.reads for name, entry in entries.items()} == {"reporter": False, "nightly": False}
    due = Due("nightly", reads=False, since=0, why="time")
    report = asyncio.run(_work(Steps(runtime), Task(kind="run", due=[due])))
    assert [item.instance for item in report.jobs or ()] == ["nightly"]
    assert not asyncio.run(_work(Steps(runtime), Task(kind="wake"))).jobs


def test_a_dry_run_does_none(opened: Open) -> None:
    done: list[int] = []
    runtime = opened(Report("report", lambda _: done.append(1)), dry_run=True)
    assert asyncio.run(Steps(runtime).run()).jobs is None
    assert done == []


def test_what_is_no_job_is_reported_and_left_out(opened: Open) -> None:
    jobs = [Report("a", lambda _: 1), Report("a", lambda _: 1), Report("No", lambda _: 1), "export", Report]
    runtime = opened(*jobs)
    runtime.collect()
    told = [problem.reason for problem in runtime.problems]
    assert list(runtime.instances["reporter"].jobs) == ["a"]
    assert told == [
        "the hook 'jobs' failed: it returned a str among its Job objects",
        "the hook 'jobs' failed: it returned the class Report among its Job objects",
        "two jobs are called 'a'",
        "'No' cannot name a job: use lower-case letters, digits, - and _",
    ]


def test_where_a_run_hangs_is_known_while_a_job_does(opened: Open) -> None:
    begun, released = threading.Event(), threading.Event()

    def wait(_: Installation) -> int:
        begun.set()
        return int(released.wait(30))

    made: list[runs.Run] = []
    runtime = opened(Report("endless", wait))

    async def look() -> str:
        running = asyncio.create_task(Steps(runtime, terms=Terms(began=made.append)).run())
        await asyncio.to_thread(begun.wait, 30)
        with runtime.store.read() as reader:
            where = runs.whereabouts(reader, made[0])
        released.set()
        await running
        return where

    assert asyncio.run(look()) == "jobs (reporter.endless (job))"


def test_the_command_line_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wellkept.cli import main

    text = '[plugins.files]\n[[plugins.files.exports]]\nwhat = "records"\nrecord = "account"\npath = "accounts.csv"\n'
    (tmp_path / "plugins.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = str(tmp_path / "plugins.toml")
    assert main(["-c", path, "run"]) == 0
    assert "records (job)" in capsys.readouterr().out
    assert (tmp_path / "accounts.csv").read_text(encoding="utf-8-sig").startswith("instance,account,id")
    assert main(["-c", path, "--json", "run"]) == 0
    [job] = json.loads(capsys.readouterr().out)["jobs"]
    assert job == {"instance": "files", "job": "records (job)", "state": "done", "rows": 0, "error": None}
