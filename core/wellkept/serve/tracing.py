"""OpenTelemetry traces: one per run, with a span for each stream that was read and each effect that was sent.

Spans are made when a run has ended, from what the store knows of it: the work itself is not slowed down, and where traces are
switched off this module is not even imported.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from wellkept.errors import ConfigError
from wellkept.store import runs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace import TracerProvider as Provider

    from wellkept.events import Event
    from wellkept.store import Store
    from wellkept.store.engine import Reader

MOST_DELIVERIES = 1000
"""Spans of deliveries in one trace, at most: collectors refuse endless ones."""

_BAD = frozenset({"failed", "rejected", "unknown"})
_NANOSECONDS = 1_000_000


class Tracing:
    """Sends traces.

    Args:
        store: What is known of runs.
        processor: Gets the finished spans.
    """

    def __init__(self, store: Store, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider

        defaults = Resource.create({SERVICE_VERSION: version("wellkept")})
        if str(defaults.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):  # not named by the environment
            defaults = defaults.merge(Resource({SERVICE_NAME: "wellkept"}))
        self._store = store
        self._provider: Provider = TracerProvider(resource=defaults, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("wellkept")

    @classmethod
    def to_collector(cls, store: Store) -> Tracing:
        """Return one that sends to the collector that the environment names (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kin).

        Raises:
            ConfigError: OpenTelemetry is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise ConfigError(
                "[serve] traces = true needs OpenTelemetry", guidance="pip install 'wellkept[otel]', or set it to false"
            ) from error
        return cls(store, BatchSpanProcessor(OTLPSpanExporter()))

    def observe(self, event: Event) -> None:
        """Make the trace of a run that has ended."""
        if event.kind == "run.finished" and event.run is not None:
            with self._store.read() as reader:
                self._trace(reader, event.run, event.at)

    def close(self) -> None:
        """Send what is left; blocks."""
        self._provider.shutdown()

    def _trace(self, reader: Reader, run_id: str, now: int) -> None:
        from opentelemetry.trace import set_span_in_context

        run = runs.get(reader, run_id)
        if run is None:
            return
        root = self._tracer.start_span(
            f"run {run.kind}",
            start_time=run.started_at * _NANOSECONDS,
            attributes={"wellkept.run": run.id, "wellkept.state": run.state},
        )
        context = set_span_in_context(root)
        for row in runs.streams(reader, run_id):
            self._span(
                context,
                f"stream {row.instance}.{row.stream}",
                row.started_at,
                row.finished_at or now,
                row.state,
                row.error,
                {
                    "wellkept.instance": row.instance,
                    "wellkept.stream": row.stream,
                    "wellkept.records.read": row.read,
                    "wellkept.records.rejected": row.rejected,
                },
            )
        sent = reader.rows(
            "SELECT instance, capability, kind, state, claimed_at, settled_at FROM outbox WHERE claimed_by = ?"
            " AND claimed_at IS NOT NULL ORDER BY seq LIMIT ?",
            (run_id, MOST_DELIVERIES),
        )
        for instance, capability, kind, state, claimed_at, settled_at in sent:
            about = {"wellkept.instance": instance or "", "wellkept.capability": capability, "wellkept.kind": kind}
            self._span(context, f"deliver {capability}", claimed_at, settled_at or now, state, None, about)
        _conclude(root, run.state, run.summary if run.state in _BAD else None)
        root.end((run.finished_at or now) * _NANOSECONDS)

    def _span(  # noqa: PLR0917 - private, and in the order of a span's life
        self, context: Any, name: str, begun: int, ended: int, state: str, error: str | None, about: dict[str, Any]
    ) -> None:
        attributes = {**about, "wellkept.state": state}
        span = self._tracer.start_span(name, context=context, start_time=begun * _NANOSECONDS, attributes=attributes)
        _conclude(span, state, error)
        span.end(max(begun, ended) * _NANOSECONDS)


def _conclude(span: Any, state: str, error: str | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    if state in _BAD:
        span.set_status(Status(StatusCode.ERROR, error or state))
