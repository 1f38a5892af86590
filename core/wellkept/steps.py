"""The six steps of an open installation, and the run that does them in order.

`Steps` binds each step of `wellkept.pipeline` to what `Runtime` has put together; the steps themselves know neither
configuration nor plugins. The command line, the scheduler and tests all go through here. A step is imported by who does it: a
sync, which may run every few minutes, needs no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from wellkept import deprecation
from wellkept.admission import admit, note_failure, note_success
from wellkept.errors import ConfigError, RetryableError, WellkeptError
from wellkept.logs import log_fields
from wellkept.pipeline.report import RunReport
from wellkept.plugins.watchdog import Blocked, watching
from wellkept.store.fence import FencedStore
from wellkept.store.instances import Allowed, Refused
from wellkept.store.runs import LEASE_SECONDS, Run, RunKind, RunState, note_stream, running, whereabouts

if TYPE_CHECKING:
    from wellkept.action import Action
    from wellkept.frame import Frame, Row
    from wellkept.identity.rules import Rules
    from wellkept.pipeline.estimate import StreamEstimate
    from wellkept.pipeline.frame_plan import Plan
    from wellkept.pipeline.plan import Selection, Sources
    from wellkept.pipeline.reading import Progress
    from wellkept.policy import Decider
    from wellkept.runtime import Runtime
    from wellkept.scorer import Scorer
    from wellkept.source import Window
    from wellkept.store import Store, Tx
    from wellkept.store.records import RecordTables

SYNC_SHARE = 0.8
"""The part of a run's deadline after which streams are ended politely, so that the later steps have their time."""


class RunHungError(RetryableError):
    """A run did not end in time, and was ended."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms on which runs are made.

    Attributes:
        lease: Seconds for which a run that gives no sign of life keeps others out.
        deadline: Real seconds after which a run is ended; None for no limit.
        also: Done in the transaction that takes the lease; see `wellkept.store.runs.running`.
        began: Told of the run once it has begun.
    """

    lease: float = LEASE_SECONDS
    deadline: float | None = None
    also: Callable[[Tx], None] | None = None
    began: Callable[[Run], None] | None = None


class Steps:
    """The steps of one installation.

    Args:
        runtime: The open installation.
        progress: Told after each commit of a sync.
        terms: The terms on which runs are made.
    """

    def __init__(self, runtime: Runtime, *, progress: Progress | None = None, terms: Terms | None = None) -> None:
        self._runtime = runtime
        self._progress = progress
        self._terms = terms or Terms()

    # --- runs ---

    async def sync(
        self,
        select: Selection | None = None,
        *,
        full: bool = False,
        accept_deletes: bool = False,
        time_limit: float | None = None,
    ) -> RunReport:
        """Read the streams of all sources, or those selected, as a run of their own."""
        async with self._run("sync") as (run, report):
            await self._sync(run, report, select, full=full, accept_deletes=accept_deletes, time_limit=time_limit)
        return report

    async def score(self) -> RunReport:
        """Resolve, measure and score, as a run of their own."""
        async with self._run("score") as (run, report):
            await asyncio.to_thread(self._compute, run, report)
        return report

    async def link(self, say: Callable[[Tx], object]) -> RunReport:
        """Write down a person's word about records, and resolve, as a run of its own; scores follow with the next run."""
        from wellkept.pipeline.resolve import resolve

        async with self._run("score") as (run, report):
            runtime = self._runtime
            store = FencedStore(runtime.store, run.check_going)
            store.write_now(say, durable=True)
            report.resolve = await asyncio.to_thread(resolve, store, runtime.tables, now=runtime.clock.now(), rules=self.rules)
            report.worsen("done", f"{report.resolve.linked} records linked by a person's word")
        return report

    async def deliver(self) -> RunReport:
        """Deliver what is planned, as a run of its own."""
        async with self._run("deliver") as (run, report):
            await self._deliver(run, report)
        return report

    async def run(
        self, select: Selection | None = None, *, jobs_of: Collection[str] | None = None, time_limit: float | None = None
    ) -> RunReport:
        """Do all six steps in order, reading all streams or those selected; then the jobs of all or some instances.

        A stream or an instance that fails leaves the others alone, and the run says ``partial``. When nothing at all could be
        read the later steps still run: they see that the data are stale, and hold.
        """
        async with self._run("run") as (run, report):
            await self._sync(run, report, select, time_limit=time_limit)
            await self._follow(run, report)
            await self._jobs(run, report, self._runtime.instances if jobs_of is None else jobs_of)
        return report

    async def hints(self) -> RunReport:
        """Read what webhooks hinted at, then do the later steps."""
        from wellkept.pipeline.sync import drain

        async with self._run("hints") as (run, report):
            run.doing = "sync"
            report.sync = await drain(*self._world(), **self._watchers(run))
            report.worsen(report.sync.state, report.sync.summary)
            await self._follow(run, report)
        return report

    async def wake(self, jobs_of: Collection[str] = ()) -> RunReport:
        """Do the later steps alone, because a moment has come that something was waiting for; then some instances' jobs."""
        async with self._run("wake") as (run, report):
            await self._follow(run, report)
            await self._jobs(run, report, jobs_of)
        return report

    async def backfill(self, instance: str, stream: str, window: Window) -> RunReport:
        """Read a window of one stream's past; the live cursor stays where it is."""
        from wellkept.pipeline.backfill import backfill

        async with self._run("backfill") as (run, report):
            report.sync = await backfill(
                *self._world(), instance=instance, stream=stream, window=window, progress=self._progress, **self._watchers(run)
            )
            report.worsen(report.sync.state, report.sync.summary)
        return report

    async def retry_letters(self, numbers: Sequence[int]) -> RunReport:
        """Read the rows of dead letters again."""
        from wellkept.pipeline.letters import retry

        async with self._run("sync") as (run, report):
            report.sync = await retry(*self._world(), numbers, **self._watchers(run))
            report.worsen(report.sync.state, report.sync.summary)
        return report

    async def estimate(self, select: Selection | None = None, *, full: bool = False) -> Sequence[StreamEstimate]:
        """Say what a sync would cost. Changes nothing."""
        from wellkept.pipeline.estimate import estimate

        runtime = self._runtime
        try:
            return await estimate(runtime.store, self.sources, clock=runtime.clock, select=select, full=full)
        finally:
            await runtime.disconnect()

    # --- what the steps need of the installation ---

    @cached_property
    def sources(self) -> Sources:
        """Every instance's sources."""
        return {name: instance.sources for name, instance in self._runtime.instances.items() if instance.sources}

    @cached_property
    def rules(self) -> Rules:
        """The rules of identity. Raises `ConfigError` where ``[identity]`` cannot be used."""
        from wellkept.identity.rules import Rules

        return Rules.of(self._runtime.settings.identity, self._runtime.config.base)

    @cached_property
    def actions(self) -> Mapping[str, Sequence[Action]]:
        """Every instance's actions."""
        found = {name: list(instance.actions.values()) for name, instance in self._runtime.instances.items()}
        return {name: actions for name, actions in found.items() if actions}

    @cached_property
    def scorers(self) -> Sequence[tuple[str, Scorer]]:
        """Instance and scorer."""
        return [(instance.name, scorer) for instance, scorer in self._runtime.scorers.values()]

    @cached_property
    def deciders(self) -> Sequence[tuple[str, Decider]]:
        """Instance and policy or machine."""
        return [(instance.name, decider) for instance, decider in self._runtime.deciders.values()]

    @cached_property
    def plan(self) -> Plan:
        """The columns of the frame, and what feeds them."""
        from wellkept.pipeline.frame_plan import Plan
        from wellkept.pipeline.parts import Feed

        runtime, settings = self._runtime, self._runtime.settings
        feeds: dict[str, list[Feed]] = {}
        for name, instance in runtime.instances.items():
            for bound in instance.streams.values():
                feed = Feed(
                    instance=name, stream=bound.stream.name, stale_after=bound.stream.stale_after, plugin=instance.plugin
                )  # fmt: skip
                for type_ in (*bound.stream.records, *bound.stream.includes):
                    feeds.setdefault(type_.type, []).append(feed)
        owners = {measure.name: name for name, instance in runtime.instances.items() for measure in instance.measures}
        plan = Plan(
            [(owners[measure.name], measure) for measure in runtime.measures.values()],
            tables=runtime.tables,
            feeds=feeds,
            mapped={name: instance.map for name, instance in runtime.instances.items() if instance.map},
            zone=settings.wellkept.timezone,
            reporting_currency=settings.wellkept.reporting_currency,
            where=settings.accounts.where,
            stale_after_hours=settings.freshness.stale_after_hours,
            lull_below=settings.freshness.anomaly_drop,
            lull_min_rows=settings.freshness.anomaly_min_rows,
            report=lambda owner, error: runtime.instances[owner].report(error.message, error.guidance),
        )
        for by, name in self._columns_used():
            if plan.column(name) is not None:  # a score's columns come later; what does not exist at all is told by its user
                plan.require([name], by=by)
        return plan

    def _columns_used(self) -> Iterator[tuple[str, str]]:
        """Yield who reads which column, so that columns of a currency exist even while no account uses it."""
        for push in self._runtime.settings.push:
            yield from ((f"[[push]] to {push.to}", name) for name in push.properties.values())
        readers: Sequence[tuple[str, Scorer | Decider]] = (*self.scorers, *self.deciders)
        for instance, reader in readers:
            try:
                names = frozenset(reader.uses)
            except Exception:  # noqa: BLE001, S112 - a plugin's own property; its step reports it and lets the others run
                continue
            yield from ((instance, name) for name in names)

    def frame(self, accounts: Sequence[str] | None = None) -> Frame:
        """Return the stored measures with the stored scores."""
        from wellkept.pipeline.measure import frame
        from wellkept.pipeline.score import score_columns

        with self._runtime.store.read() as reader:
            measured = frame(reader, self.plan, accounts)
            return score_columns(reader, self.scorers, measured, self._runtime.clock.now())

    def row(self, account: str) -> Row | None:
        """Compute one account's measures and scores now, from what the store holds; None when the account is gone."""
        from wellkept.pipeline.days import day_of
        from wellkept.pipeline.measure import compute
        from wellkept.pipeline.score import fresh_columns

        now = self._runtime.clock.now()
        with self._runtime.store.read() as reader:
            measured = compute(reader, self.plan, day_of(now, self.plan.zone), now, [account])
            if account not in measured.accounts:
                return None
            return fresh_columns(reader, self.scorers, measured, now).row(account)

    # --- the steps ---

    async def _follow(self, run: Run, report: RunReport) -> None:
        """Resolve, measure, score, decide, deliver. A run that is to stop does so between two steps."""
        run.check_stopping()
        frame = await asyncio.to_thread(self._compute, run, report)
        run.check_stopping()
        await asyncio.to_thread(self._decide, run, report, frame)
        run.check_stopping()
        await self._deliver(run, report)
        run.check_stopping()

    async def _sync(
        self, run: Run, report: RunReport, select: Selection | None, *, time_limit: float | None = None, **options: Any
    ) -> None:
        from wellkept.pipeline.sync import sync

        run.doing = "sync"
        store, tables, sources = self._world()
        limits = [time_limit, None if self._terms.deadline is None else self._terms.deadline * SYNC_SHARE]
        options["time_limit"] = min((limit for limit in limits if limit is not None), default=None)
        watchers = {**self._watchers(run), **options}
        report.sync = await sync(store, tables, sources, select=select, progress=self._progress, **watchers)
        report.worsen(report.sync.state, report.sync.summary)

    def _compute(self, run: Run, report: RunReport) -> Frame:
        """Resolve, measure and score, in a thread. What a run still writes that was given up meanwhile is refused."""
        from wellkept.pipeline.measure import frame, measure
        from wellkept.pipeline.resolve import resolve
        from wellkept.pipeline.score import score, score_columns
        from wellkept.store import frames

        runtime = self._runtime
        now = runtime.clock.now()
        store = FencedStore(runtime.store, run.check_going)
        run.doing = "resolve"
        self._load_rates(store, report)
        report.resolve = resolve(store, runtime.tables, now=now, rules=self.rules)
        run.doing = "measure"
        report.measure = measure(store, self.plan, now=now)
        with store.read() as reader:
            measured, basis = frame(reader, self.plan), frames.basis(reader)
        run.doing = "score"
        self._take_overrides(store, report, now)
        configs = {instance.name: instance.table.rest for instance, _ in runtime.scorers.values()}
        report.score = score(store, self.scorers, measured, run_id=run.id, now=now, configs=configs, basis=basis)
        worst: RunState = "partial" if report.score.failures else "done"
        done = report.score
        report.worsen(worst, f"{done.scored} scored, {done.changed} changed, {done.held} held, {done.same} as they were")
        with runtime.store.read() as reader:
            return score_columns(reader, self.scorers, measured, now)

    def _take_overrides(self, store: Store, report: RunReport, now: int) -> None:
        """Take the bands that people have set at vendors. One that is none is told, and left aside."""
        from wellkept.pipeline.field_overrides import take_overrides

        runtime = self._runtime
        scorers = {name: scorer for name, (_, scorer) in runtime.scorers.items()}
        for problem in take_overrides(store, runtime.tables, runtime.settings.override, scorers, now=now):
            report.worsen("partial", problem)

    def _load_rates(self, store: Store, report: RunReport) -> None:
        """Take the rates from their file. One that cannot be read leaves the stored rates as they are."""
        from wellkept.store import rates

        runtime = self._runtime
        path = runtime.settings.wellkept.rates
        try:
            found = [] if path is None else rates.read_csv(runtime.config.base / path)
        except ConfigError as error:
            report.worsen("partial", str(error))
        else:
            store.write_now(lambda tx: rates.replace(tx, found))

    def _decide(self, run: Run, report: RunReport, scored: Frame) -> None:
        from wellkept.pipeline.decide import decide

        runtime, settings = self._runtime, self._runtime.settings
        run.doing = "decide"
        report.decide = decide(
            runtime.store,
            self.deciders,
            settings.push,
            scored,
            run=run,
            now=runtime.clock.now(),
            safety=settings.safety,
            actions=[(name, action) for name, actions in self.actions.items() for action in actions],
            tables=runtime.tables,
            via=settings.messages.via,
        )
        worst: RunState = "partial" if report.decide.failures else "done"
        report.worsen(worst, f"{report.decide.planned} effects planned, {report.decide.held} held")

    async def _deliver(self, run: Run, report: RunReport) -> None:
        from wellkept.pipeline.deliver import deliver
        from wellkept.pipeline.recheck import feeds

        runtime, settings = self._runtime, self._runtime.settings
        run.doing = "deliver"
        admitted = {name: actions for name, actions in self.actions.items() if await self._may_work(name)}
        report.deliver = await deliver(
            runtime.store,
            runtime.tables,
            admitted,
            run=run,
            clock=runtime.clock,
            live={name: instance.head.live for name, instance in runtime.instances.items()},
            deciders={f"{instance}/{decider.name}": decider for instance, decider in self.deciders},
            row=self.row,
            feeds=feeds(self.plan.records_of, [scorer for _, scorer in self.scorers]),
            sources=self.sources,
            general=settings.wellkept,
            messages=settings.messages,
            safety=settings.safety,
            key=runtime.key,
            signer=runtime.signer,
            observe=runtime.observe,
            dry_run=runtime.dry_run,
        )
        for name, error in report.deliver.errors.items():
            await note_failure(runtime, runtime.instances[name], error)
        done = report.deliver.total("done")
        report.worsen(report.deliver.state, f"{done} effects delivered")

    async def _jobs(self, run: Run, report: RunReport, instances: Collection[str]) -> None:
        from wellkept.pipeline.jobs import perform

        runtime = self._runtime
        due = {name: list(instance.jobs.values()) for name, instance in runtime.instances.items() if name in instances}
        if any(due.values()) and not runtime.dry_run:
            run.doing = "jobs"
            report.jobs = await perform(runtime, due, run=run, may_work=self._may_work)
            bad = [f"{item.instance}.{item.stream}: {item.error or item.note}" for item in report.jobs if item.state != "done"]
            report.worsen("partial" if bad else "done", "; ".join(bad) or f"{len(report.jobs)} jobs")

    async def _may_work(self, name: str) -> bool:
        """Say whether an instance's actions and jobs may be used; one that is paused keeps its effects for later."""
        try:
            return not isinstance(await admit(self._runtime, self._runtime.instances[name]), Refused)
        except RetryableError:
            return False

    # --- inside ---

    @asynccontextmanager
    async def _run(self, kind: RunKind) -> AsyncIterator[tuple[Run, RunReport]]:
        """Hold the lease; the run's row gets the report's state and summary.

        Raises:
            RunHungError: The deadline has passed; what hung is named.
        """
        runtime, terms = self._runtime, self._terms
        async with running(runtime.store, kind, observe=runtime.observe, lease=terms.lease, also=terms.also) as run:
            report = RunReport(run=run.id)
            if terms.began is not None:
                terms.began(run)
            timer = asyncio.timeout(terms.deadline)
            try:
                async with timer:
                    with log_fields(run=run.id), watching(partial(self._note_blocked, run, report)):
                        runtime.plugins.tell_deprecated()
                        yield run, report
            except TimeoutError:
                if timer.expired():
                    raise self._hung(run) from None
                raise
            finally:
                deprecation.forget()
                await runtime.disconnect()
            if runtime.problems:
                report.worsen("partial", f"{len(runtime.problems)} problems")
            run.state, run.summary = report.state, "; ".join(report.summary) or None

    def _note_blocked(self, run: Run, report: RunReport, blocked: Blocked) -> None:
        """Write down what blocks the event loop while it does: it may never come back. Called in the watchdog's thread."""
        report.summary.append(str(blocked))
        if blocked.instance is None or blocked.stream is None:
            return
        instance, stream = blocked.instance, blocked.stream
        note = f"it blocks the event loop at {blocked.place}"
        with suppress(WellkeptError):  # the note of the stream's end says it as well
            self._runtime.store.write_now(lambda tx: note_stream(tx, run, instance, stream, note))

    def _hung(self, run: Run) -> RunHungError:
        with self._runtime.store.read() as reader:
            where = whereabouts(reader, run)
        return RunHungError(f"it hung in {where} and was ended after {self._terms.deadline:.0f} s")

    def _world(self) -> tuple[Store, RecordTables, Sources]:
        return self._runtime.store, self._runtime.tables, self.sources

    def _watchers(self, run: Run) -> dict[str, Any]:
        runtime = self._runtime

        async def gate(name: str) -> Allowed | Refused:
            return await admit(runtime, runtime.instances[name])

        async def on_result(name: str, error: WellkeptError | None) -> None:
            instance = runtime.instances[name]
            await (note_success(runtime, instance) if error is None else note_failure(runtime, instance, error))

        return {
            "run": run,
            "clock": runtime.clock,
            "freshness": runtime.settings.freshness,
            "gate": gate,
            "observe": runtime.observe,
            "on_result": on_result,
        }
