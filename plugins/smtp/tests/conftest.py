from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wellkept import Context, Delivery, Envelope, MessageSend, Recipient
from wellkept.errors import NotSentError
from wellkept.testing import FakeClock, MemorySuppressions, make_context
from wellkept.testing.mail import MailSink
from wellkept_smtp.config import SmtpConfig

FIRST_SENT = 1_795_219_200_000  # 2026-11-21T00:00:00Z


@pytest.fixture
def suppressed() -> MemorySuppressions:
    return MemorySuppressions()


@pytest.fixture
def context(suppressed: MemorySuppressions) -> Callable[..., Context[SmtpConfig]]:
    def make(**config: Any) -> Context[SmtpConfig]:
        values = {"host": "127.0.0.1", "tls": "none", "from_address": "Success <success@wellkept.example>", **config}
        return make_context(SmtpConfig.model_validate(values), clock=FakeClock(), instance="smtp", suppressions=suppressed)

    return make


@pytest.fixture
def sink() -> Iterator[MailSink]:
    with MailSink() as running:
        yield running


@pytest.fixture
def delivery() -> Callable[..., Delivery[MessageSend]]:
    def make(key: str = "policy-1", **payload: Any) -> Delivery[MessageSend]:
        values = {"template": "alert", "to": "team", "variables": {"title": "health fell"}, **payload}
        return Delivery(
            key=key,
            idempotency_key=f"key-{key}",
            payload=MessageSend(**values),
            target=None,
            account="acct_1",
            attempt=1,
            first_sent_at=FIRST_SENT,
            sent_at=FIRST_SENT,
        )

    return make


@pytest.fixture
def envelope() -> Callable[..., Envelope]:
    def make(address: str = "bo@example.com", name: str | None = "Bo", locale: str = "en", **fields: Any) -> Envelope:
        values = {"purpose": "transactional", "account_name": "Acme", **fields}
        return Envelope(recipient=Recipient(address=address, name=name, locale=locale), **values)

    return make


@pytest.fixture
def attempt() -> Callable[..., Any]:
    """Send, and return the outcome; one of status ``not sent`` where the action raises `NotSentError`."""

    async def send(action: Any, delivery: Any, envelope: Any) -> Any:
        try:
            return await action.send(delivery, envelope)
        except NotSentError as error:
            return SimpleNamespace(status="not sent", reason=str(error))

    return send


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and a server's certificate for ``localhost`` and 127.0.0.1."""

    ca_file: Path
    server: ssl.SSLContext


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("stranger"))


def make_authority(folder: Path) -> Authority:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def builder(subject: str, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    ca = (
        builder("test authority", ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = builder("localhost", key.public_key()).add_extension(names, critical=False).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "leaf.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    return Authority(folder / "ca.pem", server)
