"""Metrics in the format of Prometheus; `docs/metrics.md` describes each of them.

What happened in this process is counted as it happens, from the events that plugins see as well. How things stand is read from
the store when somebody asks, so that a server which stands by tells the same as the one which schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wellkept.store import inbox, instances, limits, runs, schedules
from wellkept.store.cursors import LIVE
from wellkept.store.runs import STATES

if TYPE_CHECKING:
    from datetime import timedelta

    from wellkept.events import Event
    from wellkept.store import Store
    from wellkept.store.engine import Reader

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for each counter that says when the process first counted: nobody asks for it

RUN_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600)
WEBHOOK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class Metrics:
    """All metrics of one server.

    Args:
        store: How things stand.
        names: Of the instances that are configured: of others that the store remembers nothing is told.
        stale_after: Age after which a stream's data no longer count, by (instance, stream), of all streams that are configured.
        next_runs: Returns when each instance runs next, epoch ms, from its last firings.
        leads: Says whether this server schedules.
    """

    def __init__(
        self,
        store: Store,
        *,
        names: Collection[str],
        stale_after: Mapping[tuple[str, str], timedelta],
        next_runs: Callable[[Mapping[str, schedules.Fired], int], Mapping[str, int]],
        leads: Callable[[], bool],
    ) -> None:
        self._registry = CollectorRegistry()
        self._began: dict[str, int] = {}
        self._runs = self._counter("runs", "Runs that ended.", "state")
        self._seconds = Histogram("wellkept_run_seconds", "How long runs took.", registry=self._registry, buckets=RUN_BUCKETS)
        self._streams = self._counter("streams", "Reads of a stream that ended.", "instance", "stream", "state")
        self._records = self._counter(
            "records", "Records that were read, by what became of them.", "instance", "stream", "result"
        )
        self._settled = self._counter("effects_settled", "Effects that came to an end, or were held.", "instance", "state")
        self._webhooks = self._counter("webhooks", "Webhooks that were answered.", "instance", "status")
        self._webhook_seconds = Histogram(
            "wellkept_webhook_seconds", "Time to answer a webhook.", registry=self._registry, buckets=WEBHOOK_BUCKETS
        )
        self._registry.register(_State(store, names, stale_after, next_runs, leads))

    def observe(self, event: Event) -> None:
        """Count an event."""
        if event.kind == "run.started":
            self._began[event.run or ""] = event.at
        elif event.kind == "run.finished":
            self._runs.labels(event.state).inc()
            began = self._began.pop(event.run or "", event.at)
            self._seconds.observe(max(0, event.at - began) / 1000)
        elif event.kind == "stream.finished":
            self._streams.labels(event.instance, event.stream, event.state).inc()
            for result, count in event.counts.items():
                self._records.labels(event.instance, event.stream, result).inc(count)
        elif event.kind in {"effect.settled", "effects.held"}:
            self._settled.labels(event.instance or "", event.state).inc()

    def webhook(self, instance: str, status: int, seconds: float) -> None:
        """Count a webhook that was answered."""
        self._webhooks.labels(instance, str(status)).inc()
        self._webhook_seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics. Reads the store."""
        return generate_latest(self._registry)

    def names(self) -> set[str]:
        """Return the names of all metrics, as a page of them shows."""
        return {f"{family.name}_total" if family.type == "counter" else family.name for family in self._registry.collect()}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wellkept_{name}", text, labels, registry=self._registry)


class _State(Collector):
    """Reads how things stand; see `Metrics` for the arguments."""

    def __init__(
        self,
        store: Store,
        names: Collection[str],
        stale_after: Mapping[tuple[str, str], timedelta],
        next_runs: Callable[[Mapping[str, schedules.Fired], int], Mapping[str, int]],
        leads: Callable[[], bool],
    ) -> None:
        self._store = store
        self._names = names
        self._stale_after = stale_after
        self._next_runs = next_runs
        self._leads = leads

    def describe(self) -> list[Metric]:
        """Return nothing: the registry need not read the store to know our names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the store and yield what is so now."""
        now = self._store.clock.now()
        yield _gauge("info", "The version that runs.", ["version"], {(version("wellkept"),): 1})
        yield _gauge("leader", "1 while this server schedules, 0 while it stands by.", [], {(): int(self._leads())})
        with self._store.read() as reader:
            yield from self._of_runs(reader, now)
            yield from self._of_streams(reader, now)
            yield from self._of_effects(reader)
            yield from self._of_queues(reader, now)
            yield from self._of_instances(reader)
            yield from self._of_limits(reader, now)

    def _of_runs(self, reader: Reader, now: int) -> Iterator[Metric]:
        under_way = int(reader.value("SELECT MIN(started_at) FROM runs WHERE state = 'running'") or 0)
        yield _gauge(
            "run_under_way_seconds",
            "Age of the run under way, 0 when there is none.",
            [],
            {(): (now - under_way) / 1000 if under_way else 0},
        )
        ended = {(state,): at / 1000 for state in STATES if (at := runs.newest_end(reader, state)) is not None}
        yield _gauge("run_ended_timestamp_seconds", "When a run last ended so.", ["state"], ended)
        fired = schedules.load(reader)
        yield _gauge(
            "schedule_fired_timestamp_seconds",
            "When an instance was last let run.",
            ["instance"],
            {(name,): item.last_fired / 1000 for name, item in fired.items() if name in self._names},
        )
        yield _gauge(
            "schedule_next_timestamp_seconds",
            "When an instance runs next.",
            ["instance"],
            {(name,): at / 1000 for name, at in self._next_runs(fired, now).items()},
        )

    def _of_streams(self, reader: Reader, now: int) -> Iterator[Metric]:
        rows = reader.all("SELECT instance, stream, fresh_at, anomaly FROM cursors WHERE scope = ?", (LIVE,))
        known = {(instance, stream): (fresh_at, anomaly) for instance, stream, fresh_at, anomaly in rows}
        ages, stale = {}, {}
        for key, limit in self._stale_after.items():
            fresh_at, anomaly = known.get(key, (None, None))
            if fresh_at is not None:
                ages[key] = (now - fresh_at) / 1000
            stale[key] = int(fresh_at is None or anomaly is not None or now - fresh_at > limit.total_seconds() * 1000)
        yield _gauge("stream_age_seconds", "Age of a stream's data.", ["instance", "stream"], ages)
        yield _gauge("stream_stale", "1 while a stream's data do not count.", ["instance", "stream"], stale)

    def _of_effects(self, reader: Reader) -> Iterator[Metric]:
        rows = reader.all("SELECT capability, state, COUNT(*) FROM outbox GROUP BY state, capability")
        counts = {(capability, state): count for capability, state, count in rows}
        yield _gauge("effects", "Effects by the state that they are in.", ["capability", "state"], counts)

    def _of_queues(self, reader: Reader, now: int) -> Iterator[Metric]:
        waiting = inbox.waiting(reader)
        yield _gauge("inbox_open", "Webhook hints that wait to be read.", ["instance", "stream"], waiting)
        oldest = reader.value("SELECT MIN(received_at) FROM inbox WHERE done_at IS NULL") if waiting else None
        age = 0 if oldest is None else (now - int(oldest)) / 1000
        yield _gauge("inbox_oldest_seconds", "Age of the oldest hint that waits, 0 when none does.", [], {(): age})
        rows = reader.all("SELECT instance, stream, COUNT(*) FROM dead_letters WHERE state = 'open' GROUP BY instance, stream")
        letters = {(instance, stream): count for instance, stream, count in rows}
        yield _gauge("dead_letters_open", "Rows that could not be understood.", ["instance", "stream"], letters)

    def _of_instances(self, reader: Reader) -> Iterator[Metric]:
        rows = [row for row in instances.overview(reader) if row.instance in self._names]
        states = {(row.instance, state): int(row.state == state) for row in rows for state in ("ok", "paused", "disabled")}
        yield _gauge(
            "instance_state", "1 for the state that the breaker has put an instance in.", ["instance", "state"], states
        )
        failures = {(row.instance,): row.failures for row in rows}
        yield _gauge("instance_failures", "Failed runs in a row, none for a transient reason.", ["instance"], failures)

    def _of_limits(self, reader: Reader, now: int) -> Iterator[Metric]:
        blocked = {(name,): max(0, until - now) / 1000 for name, until in limits.all_blocks(reader).items()}
        yield _gauge("limit_blocked_seconds", "How long a vendor asked us to wait from now on.", ["credential"], blocked)
        used = {(credential,): share for credential, share in limits.used_shares(reader, now).items()}
        yield _gauge("limit_used_ratio", "Used part of what a vendor permits in a period.", ["credential"], used)


def _gauge(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> GaugeMetricFamily:
    """Make a gauge; the keys of `values` are tuples of label values."""
    family = GaugeMetricFamily(f"wellkept_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family
