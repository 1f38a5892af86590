"""A real HTTP server on loopback for simulators, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

START_SECONDS = 10.0


class Server:
    """Serves an ASGI application on ``127.0.0.1`` until it is closed; a context manager.

    Args:
        app: The application, such as a `Simulator`.
        port: 0 takes a free one.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        import uvicorn

        # The protocol must be named: without it asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an ACK.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            app,
            log_level="error",
            lifespan="off",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
            date_header=False,  # a simulator shows its own time, which may be virtual
        )
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wellkept-simulator", daemon=True)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a trailing slash."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Start serving; returns when requests are answered."""
        self._thread.start()
        # uvicorn sets `started` from its own loop and offers no event to wait for: connecting proves it.
        self._socket.listen(128)
        with socket.create_connection(self._socket.getsockname(), START_SECONDS):
            pass

    def close(self) -> None:
        """Stop serving and wait for the thread."""
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
