"""What is reachable from outside: webhooks, plugins' own routes, and the link that stops marketing mail.

A webhook is only a hint. It is verified on its raw bytes, put durably into the inbox, and answered; what changed is read from
the vendor by the next sync. The work per request is one verification and one durable write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as AppRoute

from wellkept import unsubscribe
from wellkept.clock import Clock
from wellkept.errors import ConfigError, FatalError, RejectedError, RetryableError, SignatureError, StoreError
from wellkept.logs import log_fields
from wellkept.pipeline.report import describe
from wellkept.source import Hint, Received, Reject, WebhookRequest, WebhookSource
from wellkept.store import dead_letters, inbox, instances
from wellkept.store.engine import Store, Tx

if TYPE_CHECKING:
    from wellkept.context import Signer
    from wellkept.routes import ASGIApp, Route

BODY_LIMIT = 1024 * 1024
"""Bytes of the largest webhook that is read; vendors' events are far smaller."""

LETTERS = "webhooks"
"""The stream under which bodies go to the dead letters that are genuine, but not understood."""

BODY_SECONDS = 10.0
"""How long a body may take to come in; vendors send it at once, and give up after about as long themselves."""

STORE_SECONDS = 4.0
"""How long the store may take to keep a webhook: HubSpot, the least patient, waits for five seconds."""

RETRY_AFTER = 10
"""Seconds after which a sender that was told to come again should."""

LARGEST_TIME = 2**53
"""Epoch ms of the latest instant that is believed; what is larger is no time, and some databases could not keep it."""

RESERVED = frozenset({"webhooks", "unsubscribe", "health", "metrics"})
"""First parts of core's own paths; an instance with routes cannot be called so."""

Told = Callable[[str, int, float], None]
"""Told of every webhook that was answered: instance (empty for one that there is not), status, seconds."""

_log = logging.getLogger(__name__)


def make_app(
    store: Store,
    sources: Mapping[str, WebhookSource],
    *,
    clock: Clock,
    signer: Signer,
    routes: Mapping[str, Sequence[Route]] | None = None,
    public_url: str | None = None,
    body_limit: int = BODY_LIMIT,
    body_seconds: float = BODY_SECONDS,
    store_seconds: float = STORE_SECONDS,
    own: Sequence[BaseRoute] = (),
    told: Told | None = None,
) -> Starlette:
    """Return the ASGI application.

    ======================================  ==================================================================
    path                                    answer
    ======================================  ==================================================================
    ``POST /webhooks/INSTANCE``             see `Webhooks`
    ``GET, POST /unsubscribe/TOKEN``        see `wellkept.unsubscribe`
    ``/INSTANCE/PATH``                      the plugin's route
    ``/health/...``, ``/metrics``           the server's own; see `wellkept.serve.site`
    ======================================  ==================================================================

    Args:
        store: Where hints are kept.
        sources: Sources that take webhooks, by instance.
        clock: The only clock.
        signer: Core's own; verifies the links of mails.
        routes: The plugins' routes, by instance.
        public_url: Where this application is reachable, without a trailing slash: some vendors sign the address. None
            means the address that the request came with.
        body_limit: Bytes of the largest webhook.
        body_seconds: See `BODY_SECONDS`.
        store_seconds: See `STORE_SECONDS`.
        own: Further routes of core.
        told: See `Told`.

    Raises:
        ConfigError: An instance with routes has a name that core needs.
    """
    hooks = Webhooks(
        store,
        sources,
        clock=clock,
        public_url=public_url,
        body_limit=body_limit,
        body_seconds=body_seconds,
        store_seconds=store_seconds,
        told=told,
    )

    async def stop(request: Request) -> Response:
        page = await unsubscribe.answer(
            store,
            signer,
            clock,
            method=request.method,
            token=request.path_params["token"],
            languages=request.headers.get("accept-language", ""),
        )
        return HTMLResponse(page.body, page.status, headers=page.headers)

    app_routes: list[BaseRoute] = [
        *own,
        AppRoute("/webhooks/{instance}", hooks.answer, methods=["POST"]),
        AppRoute(f"{unsubscribe.PATH}{{token}}", stop, methods=["GET", "POST"]),
    ]
    for instance, theirs in (routes or {}).items():
        if theirs and instance in RESERVED:
            raise ConfigError(f"an instance with routes cannot be called {instance!r}", guidance="give it another name")
        app_routes += [
            AppRoute(f"/{instance}/{route.path.lstrip('/')}", _Guarded(instance, route.app), methods=list(route.methods))
            for route in theirs
        ]
    return Starlette(routes=app_routes)


class _OverdueError(RetryableError):
    """An earlier write is overdue, and has been told of."""

    def __init__(self) -> None:
        super().__init__("the store is held up")


class Webhooks:
    """Takes webhooks in. Arguments: see `make_app`.

    ======  ========================================================================================
    status  meaning
    ======  ========================================================================================
    200     kept durably (or of no interest, or genuine but not understood and kept as a dead letter)
    400     the client went away
    401     the signature is wrong; nothing is stored
    403     of another vendor account or mode than the instance's; nothing is stored
    404     no instance of that name takes webhooks
    408     the body did not come in time
    413     too large
    500     the plugin failed: the vendor will try again
    503     the store cannot write now, or takes too long: the vendor will try again (``Retry-After``)
    ======  ========================================================================================
    """

    def __init__(
        self,
        store: Store,
        sources: Mapping[str, WebhookSource],
        *,
        clock: Clock,
        public_url: str | None,
        body_limit: int,
        body_seconds: float = BODY_SECONDS,
        store_seconds: float = STORE_SECONDS,
        told: Told | None = None,
    ) -> None:
        self._store = store
        self._sources = sources
        self._clock = clock
        self._public_url = public_url
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._store_seconds = store_seconds
        self._told = told
        self._streams: dict[str, frozenset[str]] = {}
        self._overdue: asyncio.Future[None] | None = None

    async def answer(self, request: Request) -> Response:
        """Take one webhook in."""
        began = self._clock.monotonic()
        instance = request.path_params["instance"]
        source = self._sources.get(instance)
        if source is None:
            answer = _plain(404, "no such instance")
        else:
            with log_fields(instance=instance):
                answer = await self._answer(request, instance, source)
        if self._told is not None:
            self._told("" if source is None else instance, answer.status_code, self._clock.monotonic() - began)
        return answer

    async def _answer(self, request: Request, instance: str, source: WebhookSource) -> Response:
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await self._body(request)
        except ClientDisconnect:
            return _plain(400, "incomplete")
        except TimeoutError:
            return _plain(408, "too slow")
        if body is None:
            return _plain(413, "too large")
        message = WebhookRequest(
            method=request.method,
            url=self._url(request),
            headers=_headers(request),
            body=body,
            received_at=self._clock.now(),
        )
        try:
            status, reply = await self._take(instance, source, message)
        except _OverdueError:
            return try_later()
        except (RetryableError, StoreError) as error:
            _log.error("%s: a webhook could not be stored: %s", instance, describe(error))
            return try_later()
        return Response(reply, status) if status == 200 else _plain(status, reply.decode())

    async def _take(self, instance: str, source: WebhookSource, message: WebhookRequest) -> tuple[int, bytes]:
        """Verify a webhook and keep what it says.

        Raises:
            RetryableError: The store is busy.
            StoreError: The store is broken.
        """
        reject: Reject | None = None
        received = Received()
        try:
            received = source.receive(message)
            fault = self._fault(instance, source, received.hints)
        except SignatureError as error:
            _log.warning("%s: a webhook was refused: %s", instance, describe(error))
            return 401, b"the signature is not valid"
        except RejectedError as error:
            reject = Reject(raw=message.body, reason=describe(error))
        except Exception as error:  # noqa: BLE001 - a plugin's failure; its message may quote the body
            _log.error("%s: a webhook could not be understood: %s", instance, describe(error))
            return 500, b"internal error"
        else:
            if fault is not None:
                reject = Reject(raw=message.body, reason=fault)
        hints = [] if reject else list(received.hints)

        def job(tx: Tx) -> None:
            row = instances.load(tx, instance)
            if row is not None:
                instances.refuse_other(row, row.plugin, received.vendor_account, received.mode)
            if reject is not None:
                dead_letters.add(tx, instance, LETTERS, [dead_letters.clean(reject)], message.received_at)
            inbox.add(tx, instance, hints, message.received_at)

        if reject is None and not hints and received.vendor_account is None and received.mode is None:
            return 200, received.reply
        try:
            await self._keep(job)
        except ConfigError as error:
            _log.warning("%s: a webhook was refused: %s", instance, describe(error))
            return 403, b"of another account"
        return 200, received.reply

    async def _keep(self, job: Callable[[Tx], None]) -> None:
        """Write durably, within `store_seconds`. What takes longer may still be written: the repetition is known as one then.

        While a write is overdue no other is begun, so that a store that is held up gathers no endless queue.

        Raises:
            RetryableError: The store is busy.
            StoreError: The store is broken.
        """
        if self._is_overdue:
            raise _OverdueError
        write = asyncio.ensure_future(self._store.write(job, durable=True))
        done, _ = await asyncio.wait({write}, timeout=self._store_seconds)
        if done:
            return write.result()
        write.add_done_callback(_forget)
        if self._is_overdue:
            raise _OverdueError
        self._overdue = write
        raise RetryableError(f"the store did not answer within {self._store_seconds:.0f} s; webhooks are put off until it does")

    @property
    def _is_overdue(self) -> bool:
        return self._overdue is not None and not self._overdue.done()

    async def _body(self, request: Request) -> bytes | None:
        """Return the raw body, None for one that is too large."""
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._body_limit:
            return None
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._body_limit:
                return None
        return bytes(body)

    def _url(self, request: Request) -> str:
        if self._public_url is None:
            return str(request.url)
        query = f"?{request.url.query}" if request.url.query else ""
        return f"{self._public_url}{request.url.path}{query}"

    def _fault(self, instance: str, source: WebhookSource, hints: Sequence[Hint]) -> str | None:
        """Say why hints cannot be kept; None when all is well."""
        unknown = sorted({hint.stream for hint in hints} - self._known(instance, source))
        if unknown:
            return f"it speaks of streams that there are not: {', '.join(unknown)}"
        if not all(abs(hint.at) <= LARGEST_TIME and _storable(hint.id) and _storable(hint.object_id or "") for hint in hints):
            return "it names an object or a time that no vendor has"
        return None

    def _known(self, instance: str, source: WebhookSource) -> frozenset[str]:
        if instance not in self._streams:
            self._streams[instance] = frozenset(stream.name for stream in source.streams())
        return self._streams[instance]


class _Guarded:
    """A plugin's ASGI application: what it raises is logged without its data, and answered 500."""

    def __init__(self, instance: str, app: ASGIApp) -> None:
        self._instance = instance
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started = False

        async def watched(message: Any) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - a plugin's failure
            reason = describe(error)
            _log.error(
                "%s: the route %s failed: %s", self._instance, scope["route"].path, reason, extra={"instance": self._instance}
            )
            if started:
                raise FatalError(reason) from None
            await _plain(500, "internal error")(scope, receive, send)


def _headers(request: Request) -> dict[str, str]:
    """Return the headers with lower-case names; of one that came several times, all values."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _forget(write: asyncio.Future[None]) -> None:
    """Take note of the outcome of a write that nobody waits for any more."""
    if not write.cancelled():
        write.exception()


def try_later() -> Response:
    """Return the answer to a request that cannot be served now."""
    return Response("try again later", 503, media_type="text/plain", headers={"retry-after": str(RETRY_AFTER)})


def _storable(text: str) -> bool:
    """Whether every database can keep a text: one without NUL, in whole characters."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _plain(status: int, text: str) -> Response:
    return Response(text, status, media_type="text/plain")
