"""One server for the simulators of many tests."""

from __future__ import annotations

from collections.abc import Iterator

from wellkept.testing.server import ASGIApp, Receive, Scope, Send, Server


class Switch:
    """Passes every request on to the simulator of the present test: starting a server takes longer than most tests."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.app is None:
            raise RuntimeError("no simulator is in place: a test is over, or has not begun")
        await self.app(scope, receive, send)


def serve() -> Iterator[tuple[Switch, str]]:
    """Serve the simulators of a session, one after the other, at one address."""
    switch = Switch()
    with Server(switch) as server:
        yield switch, server.url
