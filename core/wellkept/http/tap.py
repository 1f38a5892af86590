"""Listening in on what a connector and its vendor say to each other, for ``wellkept try`` and ``wellkept record``.

Headers of requests are never heard, since they carry credentials; nor are exchanges with token endpoints.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from wellkept.http.body import BodyError, Inflater


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request, and what came back.

    Attributes:
        method: HTTP method.
        origin: ``https://api.example.com``.
        target: Path and query.
        kind: Content type of the request's body.
        content: The request's body.
        status: Of the answer.
        headers: Of the answer, names in lower case.
        body: Of the answer, without content encoding, as far as it was read.
    """

    method: str
    origin: str
    target: str
    kind: str
    content: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes


Listener = Callable[[Exchange], object]
_listener: ContextVar[Listener | None] = ContextVar("http_listener", default=None)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Tell a listener of every exchange that is made inside; None lets nobody hear."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Listener | None:
    """Return who listens here."""
    return _listener.get()


class Copy:
    """Keeps a copy of a body while it is read."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    async def of(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks on."""
        async for chunk in chunks:
            self._parts.append(chunk)
            yield chunk

    def body(self, encoding: str) -> bytes:
        """Return what was read, without its content encoding as far as that goes."""
        raw = b"".join(self._parts)
        if encoding in {"", "identity"}:
            return raw
        pieces: list[bytes] = []
        with suppress(BodyError):
            pieces.extend(Inflater(encoding).feed(raw))
        return b"".join(pieces)
