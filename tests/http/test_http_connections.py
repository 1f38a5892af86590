"""Connections: TLS, through a proxy as well, answers larger than what is read ahead, and connections that went stale."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wellkept.http import transport

BODY = b"x" * 3_000_000
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve connections on loopback, and yield the port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


class Vendor:
    """Answers every request with the same large body, and counts connections."""

    def __init__(self) -> None:
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY)
            await writer.drain()


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that the client trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(transport, "_trust", transport._trust.__wrapped__)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_tls_to_a_server_that_is_trusted(http: Any, tls: ssl.SSLContext) -> None:
    vendor = Vendor()
    async with serving(vendor.serve, tls) as port:
        client = http(f"https://localhost:{port}")
        for _ in range(2):
            assert (await client.get("/x")).body == BODY
        await client.aclose()
    assert vendor.connections == 1


async def test_tls_through_a_proxy(http: Any, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Vendor()
    asked: list[bytes] = []

    async with serving(vendor.serve, tls) as port:

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
            there, away = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

            async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
                target.close()

            await asyncio.gather(pipe(reader, away), pipe(there, writer), return_exceptions=True)

        async with serving(tunnel) as proxy:
            for name in ("HTTPS_PROXY", "https_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            client = http("https://vendor.example")
            assert (await client.get("/x")).body == BODY
            await client.aclose()
    assert asked == [b"CONNECT vendor.example:443 HTTP/1.1"]


@pytest.mark.parametrize("last", [b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"])
async def test_a_connection_that_the_vendor_has_closed_is_not_used_again(http: Any, last: bytes) -> None:
    """Nor is what it said before it hung up taken for the answer to the next request: that may be a write."""
    closed = asyncio.Event()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + str(connections).encode())
        if connections == 1:
            await writer.drain()
            writer.write(last)
            writer.close()
            await writer.wait_closed()
            closed.set()

    async with serving(serve) as port:
        client = http(f"http://127.0.0.1:{port}")
        assert (await client.get("/x")).body == b"1"
        await closed.wait()
        assert (await client.post("/x")).body == b"2"
        await client.aclose()


async def test_a_body_larger_than_all_buffers_leaves_as_fast_as_the_vendor_takes_it(http: Any) -> None:
    taken = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        taken = len(await reader.readexactly(20 * len(BODY)))
        writer.write(b"HTTP/1.1 204 OK\r\n\r\n")

    async with serving(serve) as port:
        client = http(f"http://127.0.0.1:{port}")
        assert (await client.post("/x", content=20 * BODY)).status == 204
        await client.aclose()
    assert taken == 20 * len(BODY)
