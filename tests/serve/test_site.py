"""The server's own pages, and its traces."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.serve.conftest import Home
from tests.serve.probe import sign

from wellkept.errors import ConfigError, StoreError
from wellkept.events import Event
from wellkept.problems import ProblemsError
from wellkept.runtime import Runtime
from wellkept.serve import Server as Serving
from wellkept.serve.metrics import Metrics
from wellkept.serve.site import site, webhook_sources
from wellkept.serve.tracing import Tracing
from wellkept.steps import Steps
from wellkept.store import schedules
from wellkept.testing import FakeClock, Server
from wellkept.webhooks import make_app

METRICS_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


class Site:
    """An installation over HTTP."""

    def __init__(self, runtime: Runtime, metrics: Metrics, client: httpx.Client, port: int) -> None:
        self.runtime, self.metrics, self.client, self.port = runtime, metrics, client, port
        self.role = "scheduling"

    def metric(self, line: str) -> float | None:
        """The value of one series, None where there is no such."""
        for text in self.client.get("/metrics").text.splitlines():
            if text.startswith(f"{line} "):
                return float(text.rpartition(" ")[2])
        return None


@pytest.fixture
def pages(home: Home, clock: FakeClock) -> Iterator[Site]:
    with home.open(clock) as runtime:
        metrics = Metrics(
            runtime.store,
            names=runtime.instances,
            stale_after={("probe", "accounts"): timedelta(hours=2)},
            next_runs=lambda _fired, now: {"probe": now + 60_000},
            leads=lambda: True,
        )
        runtime.observers.append(metrics.observe)
        with Server(site(runtime, metrics, lambda: pages.role)) as server, httpx.Client(
            base_url=server.url, trust_env=False
        ) as client:  # fmt: skip
            pages = Site(runtime, metrics, client, int(server.url.rpartition(":")[2]))
            yield pages


def test_health(pages: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pages.client.get("/health/live").json() == {"status": "alive"}
    answer = pages.client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "role": "scheduling"})
    pages.role = "standby"
    assert pages.client.get("/health/ready").status_code == 200, "it takes webhooks"
    pages.role = "stopping"
    assert pages.client.get("/health/ready").status_code == 503
    pages.role = "scheduling"

    async def broken(*_args: object, **_options: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(pages.runtime.store, "write", broken)
    answer = pages.client.get("/health/ready")
    assert (answer.status_code, answer.json()["problem"]) == (503, "the disk is full")
    assert pages.client.get("/health/live").status_code == 200, "a restart would not help"


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of a file's size")
def test_a_server_whose_disk_is_full_is_not_ready(pages: Site, clock: FakeClock) -> None:
    """A transaction in which nothing is written would go well."""
    import resource

    assert pages.client.get("/health/ready").status_code == 200
    clock.advance(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        full, live = pages.client.get("/health/ready"), pages.client.get("/health/live")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (full.status_code, full.json()["status"], live.status_code) == (503, "not ready", 200)
    assert pages.client.get("/health/ready").status_code == 200


async def test_metrics_say_how_things_stand(pages: Site, clock: FakeClock) -> None:
    assert pages.metric('wellkept_stream_stale{instance="probe",stream="accounts"}') == 1
    await Steps(pages.runtime).run()
    await pages.runtime.store.write(lambda tx: schedules.fire(tx, ["removed"], clock.now()))
    await pages.runtime.store.write(
        lambda tx: tx.execute("INSERT INTO instances (instance, plugin, state) VALUES ('removed', 'probe', 'paused')")
    )
    clock.advance(3600)
    body = b'{"id": "e1", "object": "x1"}'
    assert pages.client.post("/webhooks/probe", content=body, headers={"x-signature": sign(body)}).status_code == 200
    assert pages.client.post("/webhooks/probe", content=body).status_code == 401
    assert pages.client.post("/webhooks/nobody", content=body).status_code == 404
    clock.advance(60)
    assert pages.metric('wellkept_stream_stale{instance="probe",stream="accounts"}') == 0
    assert pages.metric('wellkept_stream_age_seconds{instance="probe",stream="accounts"}') == 3660
    assert pages.metric('wellkept_inbox_open{instance="probe",stream="accounts"}') == 1
    assert pages.metric("wellkept_inbox_oldest_seconds") == 60
    assert pages.metric('wellkept_records_total{instance="probe",result="inserted",stream="accounts"}') == 1
    assert pages.metric('wellkept_runs_total{state="done"}') == 1
    assert pages.metric("wellkept_run_seconds_count") == 1
    assert pages.metric('wellkept_run_ended_timestamp_seconds{state="done"}') == (clock.now() - 3_660_000) / 1000
    assert pages.metric('wellkept_webhooks_total{instance="probe",status="401"}') == 1
    assert pages.metric('wellkept_webhooks_total{instance="",status="404"}') == 1
    assert pages.metric('wellkept_schedule_next_timestamp_seconds{instance="probe"}') == clock.now() / 1000 + 60
    assert pages.metric('wellkept_instance_state{instance="probe",state="ok"}') == 1
    assert pages.metric('wellkept_instance_state{instance="removed",state="paused"}') is None
    assert pages.metric('wellkept_schedule_fired_timestamp_seconds{instance="removed"}') is None
    clock.advance(3600)
    assert pages.metric('wellkept_stream_stale{instance="probe",stream="accounts"}') == 1


def test_every_metric_is_documented_and_no_other(pages: Site) -> None:
    documented = set(re.findall(r"^\| `(wellkept_\w+)` \|", METRICS_PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert pages.metrics.names() == documented
    shown = set(re.findall(r"^# TYPE (\w+)", pages.client.get("/metrics").text, re.MULTILINE))
    assert shown == documented


def test_a_body_that_does_not_come_is_not_waited_for(home: Home, clock: FakeClock) -> None:
    with home.open(clock) as runtime:
        app = make_app(
            runtime.store, webhook_sources(runtime), clock=clock, signer=runtime.signer, body_seconds=0.05
        )  # fmt: skip
        with Server(app) as server, socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as slow:
            slow.sendall(b"POST /webhooks/probe HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            slow.settimeout(10)
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


async def test_an_address_that_is_taken(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        home.config.write_text(home.config.read_text().replace("port = 0", f"port = {taken.getsockname()[1]}"))
        with home.open() as runtime:
            server = Serving(runtime, lambda: home.open(store=runtime.store))
            with pytest.raises(ConfigError, match="cannot listen on 127"):
                await server.run()


@pytest.mark.parametrize(
    ("key", "value"), [("schedule", '"every 5 seconds"'), ("lease_seconds", "0"), ("port", "70000"), ("prot", "1")]
)
def test_settings_that_make_no_sense(home: Home, key: str, value: str) -> None:
    lines = [line for line in home.config.read_text().splitlines() if not line.startswith(f"{key} =")]
    home.config.write_text("\n".join([*lines, f"{key} = {value}"]))
    with pytest.raises(ProblemsError, match=rf"serve\.{key}"):
        home.open()


# --- traces ----------------------------------------------------------------------------------------------------------------


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_a_run_is_a_trace(home: Home, clock: FakeClock) -> None:
    with home.open(clock) as runtime:
        exporter = InMemorySpanExporter()
        tracing = Tracing(runtime.store, SimpleSpanProcessor(exporter))
        runtime.observers.append(tracing.observe)
        report = await Steps(runtime).run()
        runtime.store.write_now(
            lambda tx: tx.execute(
                "INSERT INTO outbox (key, own_key, policy, policy_version, capability, kind, instance, payload, reason, state,"
                " run_id, planned_at, claimed_at, settled_at, claimed_by)"
                " VALUES ('k', 'k', 'p', '1', 'task.create', 'once', 'probe', '{}', '', 'rejected', ?, 0, ?, ?, ?)",
                (report.run, clock.now() + 1, clock.now() + 3, report.run),
            )
        )
        exporter.clear()
        tracing.observe(Event(kind="run.finished", at=clock.now(), run=report.run))
        found = spans(exporter)
        tracing.close()
    root, stream, sent = found["run run"], found["stream probe.accounts"], found["deliver task.create"]
    assert root.parent is None
    assert {stream.parent.span_id, sent.parent.span_id} == {root.context.span_id}  # type: ignore[union-attr]
    assert stream.attributes is not None
    assert (stream.attributes["wellkept.records.read"], stream.attributes["wellkept.state"]) == (1, "done")
    assert sent.status.status_code is StatusCode.ERROR
    assert sent.end_time - sent.start_time == 2_000_000  # type: ignore[operator]
    assert root.resource.attributes["service.name"] == "wellkept"


async def test_traces_reach_a_collector(home: Home, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[ExportTraceServiceRequest] = []

    async def collect(request: Request) -> Response:
        received.append(ExportTraceServiceRequest.FromString(await request.body()))
        return Response(b"", media_type="application/x-protobuf")

    collector = Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])
    with Server(collector) as server, home.open(clock) as runtime:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        tracing = Tracing.to_collector(runtime.store)
        runtime.observers.append(tracing.observe)
        await Steps(runtime).run()
        await asyncio.to_thread(tracing.close)
    found = [span.name for part in received for of in part.resource_spans for scope in of.scope_spans for span in scope.spans]
    assert sorted(found) == ["run run", "stream probe.accounts"]


def test_no_traces_cost_nothing() -> None:
    """Nothing of OpenTelemetry is imported, as long as nobody asks for it."""
    code = "import sys, wellkept.serve; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_traces_without_the_package(home: Home, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with home.open(clock) as runtime, pytest.raises(ConfigError, match="needs OpenTelemetry"):
        Tracing.to_collector(runtime.store)
