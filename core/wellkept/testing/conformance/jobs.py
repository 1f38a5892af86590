"""The standard tests of jobs. Each says in its first line which promise it guards."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from wellkept.pipeline.report import StreamResult
from wellkept.steps import Steps
from wellkept.testing.conformance.bench import Bench
from wellkept.testing.conformance.case import Case


class JobTests(Case):
    """The standard tests of a plugin's jobs. Subclass it as ``class TestAcmeJobs(JobTests)``."""

    @abstractmethod
    def left(self, vendor: Any) -> object:
        """Return what the jobs leave behind, such as the content of a file; None where nothing is there."""

    @abstractmethod
    def prevent(self, vendor: Any) -> None:
        """Make it impossible to do the jobs: remove the folder, refuse the credential."""

    def test_jobs_are_done_at_the_end_of_a_run(self, bench: Bench, simulator: Any) -> None:
        """Jobs: each is done once a run, and how it ended stands in the run table."""
        results = _run(bench)
        assert [item.stream for item in results] == [f"{name} (job)" for name in bench.instance.jobs]
        assert [item.error for item in results if item.state != "done"] == []
        assert all(job.doc.strip() for job in bench.instance.jobs.values()), "a job says in `doc` what it does"
        assert self.left(simulator) is not None

    def test_a_job_done_again_leaves_the_same(self, bench: Bench, simulator: Any) -> None:
        """Jobs: doing one again is harmless, as after a run that was cut off."""
        _run(bench)
        before = self.left(simulator)
        bench.reopen()
        _run(bench)
        assert self.left(simulator) == before

    def test_a_dry_run_does_no_job(self, bench: Bench, simulator: Any) -> None:
        """Dry run: it does nothing that lasts."""
        bench.reopen(dry_run=True)
        assert _run(bench) == []
        assert self.left(simulator) is None

    def test_a_job_that_cannot_be_done_is_told(self, bench: Bench, simulator: Any) -> None:
        """One failure never stops the others, and success never hides it: the run says partial, and why."""
        self.prevent(simulator)
        results = _run(bench)
        assert results
        assert {item.state for item in results} == {"failed"}
        assert all(item.error and "bug of the plugin" not in item.error for item in results), results


def _run(bench: Bench) -> list[StreamResult]:
    report = bench.runtime.run(Steps(bench.runtime).run())
    assert (report.state == "done") == all(item.state == "done" for item in report.jobs or ())
    return list(report.jobs or ())
