"""The server's own pages: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wellkept.errors import RetryableError, StoreError
from wellkept.redact import redact_exception
from wellkept.serve.metrics import CONTENT_TYPE, Metrics
from wellkept.source import WebhookSource
from wellkept.webhooks import make_app

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from wellkept.runtime import Runtime
    from wellkept.store import Store, Tx

READY_AT = "ready_at"
"""Under this key of ``meta`` stands when the store last proved that it takes writes."""

STORE_SECONDS = 2.0
"""How long the store may take to answer a server that is ready."""


def site(runtime: Runtime, metrics: Metrics, role: Callable[[], str]) -> Starlette:
    """Return the ASGI application of an installation: all that is reachable over HTTP.

    Args:
        runtime: The installation.
        metrics: Counts webhooks too.
        role: Says what the server is doing: ``scheduling``, ``standby`` or ``stopping``.

    Raises:
        ConfigError: An instance with routes has a name that core needs.
    """
    return make_app(
        runtime.store,
        webhook_sources(runtime),
        clock=runtime.clock,
        signer=runtime.signer,
        routes={name: instance.routes for name, instance in runtime.instances.items()},
        public_url=runtime.settings.wellkept.public_url,
        body_limit=runtime.settings.serve.body_limit,
        own=pages(runtime.store, metrics, role),
        told=metrics.webhook,
    )


def webhook_sources(runtime: Runtime) -> Mapping[str, WebhookSource]:
    """Return the sources that take webhooks, by instance; of several at one instance, the first."""
    found: dict[str, WebhookSource] = {}
    for name, instance in runtime.instances.items():
        for source in instance.sources:
            if isinstance(source, WebhookSource):
                found.setdefault(name, source)
    return found


def pages(store: Store, metrics: Metrics, role: Callable[[], str]) -> Sequence[Route]:
    """Return the routes ``/health/live``, ``/health/ready`` and ``/metrics``."""

    async def live(request: Request) -> Response:  # noqa: ARG001 - what Starlette calls
        return JSONResponse({"status": "alive"})

    async def ready(request: Request) -> Response:  # noqa: ARG001
        problem = await _problem_of(store)
        now = role()
        well = problem is None and now != "stopping"
        found = {"status": "ready" if well else "not ready", "role": now, **({"problem": problem} if problem else {})}
        return JSONResponse(found, 200 if well else 503)

    async def show(request: Request) -> Response:  # noqa: ARG001
        return Response(await asyncio.to_thread(metrics.text), headers={"content-type": CONTENT_TYPE})

    return [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", show)]


async def _problem_of(store: Store) -> str | None:
    """Say what is wrong with the store: a webhook could not be kept now. None when all is well."""

    def job(tx: Tx) -> None:  # an empty transaction would not notice that the disk is full
        note = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        tx.execute(note, (READY_AT, str(store.clock.now())))

    try:
        async with asyncio.timeout(STORE_SECONDS):
            await store.write(job, durable=True)
    except TimeoutError:
        return f"the store did not answer within {STORE_SECONDS:.0f} s"
    except (RetryableError, StoreError) as error:
        return redact_exception(error)
    return None
