"""The wire: the only module that knows the HTTP library, so that another one can take its place.

That library is httpx, of which only the transport is used: its client adds cookies, redirects, sessions and decoding, which are
core's own business (done with other rules), a third to the CPU time of a request, and log lines with whole URLs.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from wellkept.errors import ConfigError
from wellkept.http import tap
from wellkept.http.messages import UNFIT, Origin, split_url

if TYPE_CHECKING:
    import httpx

KEEP_SECONDS = 5.0
"""How long an idle connection is kept. Short: a vendor that closes it just when a write leaves makes an outcome unknown."""

CONNECTIONS = 100


class WireError(Exception):
    """The exchange failed. The text names no header, no query and no body.

    Attributes:
        fatal: Trying again cannot help: the request itself is malformed.
    """

    def __init__(self, reason: str, *, fatal: bool = False) -> None:
        super().__init__(reason)
        self.fatal = fatal


class Progress:
    """How far an exchange got. `sent`: the first byte of the request may have left."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False


@dataclass(slots=True)
class Incoming:
    """The head of an answer, and its body as it comes, still encoded."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport:
    """A pool of connections to one origin.

    Proxies named by the environment (``HTTPS_PROXY``, ``NO_PROXY``) are used, except towards this machine.

    Args:
        origin: The server.
        connect: Seconds to wait for a connection.
        read: Seconds to wait for the next bytes, in either direction.
    """

    def __init__(self, origin: Origin, *, connect: float, read: float) -> None:
        self.origin = origin
        self._timeouts = {"connect": connect, "read": read, "write": read, "pool": None}
        self._wire = _wire(origin)

    @asynccontextmanager
    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None, progress: Progress
    ) -> AsyncIterator[Incoming]:
        """Send one request and yield the answer; the connection is given back, or closed, at the end.

        Raises:
            WireError: The exchange failed; reading the chunks may raise it as well.
        """
        import httpx

        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            if event.endswith("send_request_headers.started"):
                progress.sent = True

        try:
            url = httpx.URL(
                scheme=self.origin.scheme,
                host=self.origin.host,
                port=None if self.origin.has_usual_port else self.origin.port,
                raw_path=target.encode(),
            )
        except httpx.InvalidURL:
            raise WireError("the address is malformed or too long", fatal=True) from None
        fields = [(b"host", self.origin.authority.encode()), *_encoded(headers)]
        extensions = {"timeout": self._timeouts, "trace": trace}
        request = httpx.Request(method, url, headers=fields, content=content, extensions=extensions)
        answer = failure = None
        try:
            answer = await self._wire.handle_async_request(request)
        except _errors() as error:
            failure = _translate(error)
        if answer is None:  # outside of the except clause: what httpx says may repeat a header
            raise failure or WireError("there is no answer")
        incoming = Incoming(answer.status_code, _lower(answer.headers.raw), _chunks(answer))
        tell = tap.listener()
        copy = tap.Copy()
        if tell is not None:
            incoming.chunks = copy.of(incoming.chunks)
        try:
            yield incoming
        finally:
            await answer.aclose()
            if tell is not None:
                tell(
                    tap.Exchange(
                        method=method,
                        origin=str(self.origin),
                        target=target,
                        kind=headers.get("content-type", ""),
                        content=content or b"",
                        status=incoming.status,
                        headers=incoming.headers,
                        body=copy.body(incoming.headers.get("content-encoding", "").strip().lower()),
                    )
                )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    failure: WireError | None = None
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except _errors() as error:
        failure = _translate(error)
    if failure is not None:
        raise failure


@cache
def _errors() -> tuple[type[Exception], ...]:
    import httpx

    return (httpx.TransportError,)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    for name, value in headers.items():
        if UNFIT.search(value):
            raise WireError(f"the header {name} has characters that no header can carry", fatal=True)
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def _translate(error: Exception) -> WireError:
    import httpx

    if isinstance(error, httpx.ConnectError) and _distrusts(error):
        return WireError("its certificate is not to be trusted", fatal=True)
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (httpx.ConnectTimeout, "no connection in time"),
        (httpx.ConnectError, "no connection"),
        (httpx.ProxyError, "the proxy refused"),
        (httpx.TimeoutException, "the vendor fell silent"),
        (httpx.LocalProtocolError, "the request is malformed"),
    )
    reason = next((text for kind, text in reasons if isinstance(error, kind)), "the connection broke")
    return WireError(reason, fatal=isinstance(error, httpx.LocalProtocolError))


def _distrusts(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _lower(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _wire(origin: Origin) -> httpx.AsyncHTTPTransport:
    import httpx

    logging.getLogger("httpcore").setLevel(logging.WARNING)  # its debug lines hold headers
    proxy = _proxy(origin)
    return httpx.AsyncHTTPTransport(
        verify=_trust() if origin.scheme == "https" else False,
        trust_env=False,
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_SECONDS),
        proxy=None if proxy is None else httpx.Proxy(str(proxy[0]), auth=proxy[1]),
    )


@cache
def _trust() -> ssl.SSLContext:
    """Return the certificates to trust: the system's (or those of ``SSL_CERT_FILE``) and certifi's. Takes 50 ms, so once."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _proxy(origin: Origin) -> tuple[Origin, tuple[str, str] | None] | None:
    """Return the proxy that the environment names for an origin, and its user and password."""
    if origin.loopback or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.parse import unquote, urlsplit
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or proxy_bypass(origin.authority):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"}:
        raise ConfigError(
            f"the environment names a {parts.scheme} proxy for {origin.scheme}, which is not supported",
            guidance=f"name an HTTP proxy, or add {origin.host} to NO_PROXY",
        )
    server, _ = split_url(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return server, credentials
