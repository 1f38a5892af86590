"""A vendor on loopback that misbehaves on order: a TCP server that speaks just enough HTTP to be able to break it."""

from __future__ import annotations

import asyncio
import inspect
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from wellkept.http import Http, Timing, make_http
from wellkept.redact import Redactor
from wellkept.store import Store, open_store
from wellkept.testing import FakeClock


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Answer:
    """What the vendor says. `keep` bytes of the body are sent before the connection breaks; `framed` announces its length."""

    status: int = 200
    json: Any = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    keep: int | None = None
    framed: bool = True

    def head(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", **self.headers}
        if self.framed:
            headers.setdefault("Content-Length", str(len(body)))
        else:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {self.status} Reason", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()

    async def send(self, writer: asyncio.StreamWriter) -> bool:
        """Send it; return whether the connection goes on."""
        body = msgspec.json.encode(self.json) if self.json is not None else self.body
        writer.write(self.head(body) + body[: self.keep])
        await writer.drain()
        return self.keep is None and self.framed


Step = Answer | Callable[[Request, asyncio.StreamWriter], Awaitable[bool]] | Callable[[Request], Answer]


async def hang_up(_request: Request, writer: asyncio.StreamWriter) -> bool:
    """Take the request and break the connection without a word."""
    writer.close()
    return False


class Vendor:
    """Plays `script`, one step per request; the last step is repeated.

    Attributes:
        requests: What came in.
        at: The clock's instant at which each came in.
    """

    answer = Answer
    hang_up = staticmethod(hang_up)

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.script: list[Step] = [Answer(json={})]
        self.requests: list[Request] = []
        self.at: list[int] = []
        self._clock = clock
        self._served = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def play(self, *script: Step) -> None:
        self.script = list(script)
        self._served = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, target, headers, body)
        self.requests.append(request)
        self.at.append(self._clock.now() if self._clock else 0)
        step = self.script[min(self._served, len(self.script) - 1)]
        self._served += 1
        if isinstance(step, Answer):
            return await step.send(writer)
        if inspect.iscoroutinefunction(step):
            return bool(await step(request, writer))
        answer = step(request)  # type: ignore[call-arg]
        assert isinstance(answer, Answer)
        return await answer.send(writer)


@pytest.fixture
def empty_store(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A store without anything in it."""
    return made_once("http", lambda path: open_store(path, FakeClock()).close())


@pytest.fixture
def store_path(empty_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_store, tmp_path / "wellkept.db"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(store_path: Path, clock: FakeClock) -> Iterator[Store]:
    store = open_store(store_path, clock)
    yield store
    store.close()


@pytest.fixture
async def vendor(clock: FakeClock) -> AsyncIterator[Vendor]:
    vendor = Vendor(clock)
    await vendor.start()
    yield vendor
    await vendor.stop()


@pytest.fixture
async def other(clock: FakeClock) -> AsyncIterator[Vendor]:
    """Another server: another origin, as its port differs."""
    vendor = Vendor(clock)
    await vendor.start()
    yield vendor
    await vendor.stop()


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
async def http(store: Store, clock: FakeClock, redactor: Redactor) -> AsyncIterator[Http]:
    """A factory whose back-off is always the longest, so that waits are known."""
    factory = make_http(store, clock, "acme", redactor=redactor, timing=Timing(deadline=100), random=lambda: 1.0)
    yield factory
    await factory.aclose()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of its own for localhost and vendor.example: nobody vouches for it."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("vendor.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return pem


@pytest.fixture
async def tls_vendor(certificate: Path) -> AsyncIterator[str]:
    """A server whose certificate nobody vouches for."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
