"""The server's HTTP: uvicorn in the server's own event loop, with bounds on what strangers can hold up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from wellkept.errors import ConfigError
from wellkept.webhooks import try_later

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CONNECTIONS = 512
"""Connections at the same time. When there are more, the one goes that has been idle for longest."""

REQUESTS = 400
"""Requests under way at the same time; further ones are told to come again. Fewer than connections, so that whoever asks how
the server does gets through."""

HEAD_SECONDS = 10.0
"""How long a client may be silent, or take to say what it wants, before it is let go."""

OWN = ("/health/", "/metrics")
"""Paths that are answered however busy the server is."""


class Http(uvicorn.Server):
    """uvicorn; signals are the server's business.

    Args:
        app: What is served.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                _Bounded(app),
                http=_Connection,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class _Connection(H11Protocol):
    """A connection that must not stay idle, nor say what it wants byte by byte: somebody else may need its place."""

    idle_since = 0.0
    _alarm: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # uvicorn declares it wrongly

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > CONNECTIONS:
            idle = [other for other in self.connections if isinstance(other, _Connection) and other.idle]
            min(idle, key=lambda other: other.idle_since).transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._alarm is not None:
            self._alarm.cancel()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def _wait(self) -> None:
        """Begin to wait for a request."""
        self.idle_since = self.loop.time()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.idle:
            self.transport.close()


class _Bounded:
    """Passes on so many requests at a time; further ones are to come again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or str(scope["path"]).startswith(OWN):
            await self._app(scope, receive, send)
            return
        if self._under_way >= REQUESTS:
            await try_later()(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: The address is taken, or not ours.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            guidance="set `host` and `port` in [serve]; two servers on one machine need two ports",
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return the URL at which a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
