"""How fast `wellkept serve` answers webhooks: 200 a second for ten seconds, from a vendor that does not wait.

    python benchmarks/webhooks.py [idle] [busy] [importing] [--rate 200] [--seconds 10]

idle: nothing else goes on.  busy: the server reads at the same time what the webhooks hint at.  importing: its first run reads
1500 customers at the same time.

The load is open: a webhook leaves at its time whether or not earlier ones were answered, as a vendor's do, and its latency
counts from that time. Each is like Stripe's in size and signature, and is on disk before its answer leaves. Server, vendor and
load are three processes on this machine, and no figure leaves out what the load itself was late by. The gate is for idle: each
answer within 100 ms, and each a 200.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from meter import Figure, finish

from wellkept.testing import Server
from wellkept_stripe.simulator import StripeSimulator, signature

BOUND = 100.0
"""Milliseconds."""
KINDS = ("idle", "busy", "importing")
SECRET = "whsec_" + "b" * 32
CONFIG = """\
[wellkept]
store = "wellkept.db"

[plugins.stripe]
schedule = "0 0 1 1 *"
api_key = "file:stripe.key"
webhook_secret = "file:webhook.key"
api_base = "{vendor}"

[serve]
port = 0
hints_seconds = {hints}
"""


def body(number: int, customers: list[str]) -> bytes:
    """Return an event about one of the customers, about as large as Stripe's are."""
    customer = customers[number % len(customers)]
    event = {
        "id": f"evt_{number:010}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "type": "customer.updated",
        "data": {"object": {"id": customer, "object": "customer", "metadata": {"filler": "x" * 1500}}},
    }
    return json.dumps(event).encode()


class Connections:
    """Keep-alive connections to one server; as many as are needed at the same time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, content: bytes, headers: dict[str, str]) -> int:
        """Send one request and return its status."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # the server closes what is idle for a while
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_connection(*self._address)
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._address[0]}", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        return int(head.split()[1])


async def load(url: str, rate: int, seconds: float, customers: list[str]) -> tuple[list[float], list[int]]:
    """Send webhooks at a steady rate; return latencies in seconds, and statuses, 0 for a connection that broke."""
    host, _, port = url.removeprefix("http://").partition(":")
    connections = Connections(host, int(port))
    latencies: list[float] = []
    statuses: list[int] = []
    begin = time.perf_counter() + 0.2

    async def one(number: int) -> None:
        content = body(number, customers)
        due = begin + number / rate
        at = int(time.time() + due - time.perf_counter())
        signed = {"Stripe-Signature": f"t={at},v1={signature(content, SECRET, at)}"}
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        try:
            statuses.append(await connections.post("/webhooks/stripe", content, signed))
        except (ConnectionError, asyncio.IncompleteReadError):
            statuses.append(0)
        latencies.append(time.perf_counter() - due)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    return latencies, statuses


def simulate(accounts: int) -> None:
    """Be the vendor, in a process of its own, until standard input ends."""
    vendor = StripeSimulator(accounts=accounts, seed=1)
    with Server(vendor) as server:
        customers = [item["id"] for item in vendor.state.all("customer")]
        print(json.dumps({"url": server.url, "key": vendor.key, "customers": customers}), flush=True)
        sys.stdin.read()


def wait_for_url(out: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the server's address as soon as it tells."""
    while "Serving on " not in (text := out.read_text()):
        if process.poll() is not None:
            sys.exit(f"the server ended with {process.returncode}: {text[-2000:]}")
        time.sleep(0.05)
    return text.split("Serving on ")[1].split()[0]


def measure(kind: str, rate: int, seconds: float) -> list[Figure]:
    """Start everything, send the load, and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        latencies, statuses = _loaded(Path(folder), kind, rate, seconds)
    cuts = statistics.quantiles([1000 * latency for latency in latencies], n=1000)
    what = f"{len(latencies):,} webhooks at {rate} / s, {kind}"
    gate = BOUND if kind == "idle" else None
    refused = len(statuses) - statuses.count(200)
    return [
        Figure(target=12, what=f"{what}: p50", value=cuts[499], unit="ms"),
        Figure(target=12, what="- p99", value=cuts[989], unit="ms", gate=gate),
        Figure(target=12, what="- the slowest", value=1000 * max(latencies), unit="ms", gate=gate),
        Figure(target=12, what="- answered with anything but 200", value=refused, unit="", gate=0),
    ]


def _loaded(folder: Path, kind: str, rate: int, seconds: float) -> tuple[list[float], list[int]]:
    vendor = subprocess.Popen(
        [sys.executable, __file__, "--simulate", "1500" if kind == "importing" else "50"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert vendor.stdout
    about = json.loads(vendor.stdout.readline())
    (folder / "plugins.toml").write_text(CONFIG.format(vendor=about["url"], hints=1 if kind == "busy" else 3600))
    installation_key = base64.b64encode(secrets.token_bytes(32)).decode()
    for name, secret in (("stripe.key", about["key"]), ("webhook.key", SECRET), ("wellkept.key", installation_key)):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    out = folder / "out"
    command = [sys.executable, "-m", "wellkept", "serve", "--config", str(folder / "plugins.toml")]
    with out.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        url = wait_for_url(out, server)
        time.sleep(0.5 if kind == "importing" else 3)  # the first run
        return asyncio.run(load(url, rate, seconds, about["customers"]))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        vendor.communicate("")


def targets(kinds: Sequence[str], rate: int, seconds: float) -> list[Figure]:
    """Measure."""
    return [figure for kind in kinds for figure in measure(kind, rate, seconds)]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"which of {', '.join(KINDS)}; all unless given")
    parser.add_argument("--rate", type=int, default=200, help="webhooks a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    parser.add_argument("--simulate", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.simulate:
        simulate(options.simulate)
        return 0
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"there is no {min(unknown)!r}; there are: {', '.join(KINDS)}")
    figures = targets(options.kinds or KINDS, options.rate, options.seconds)
    return finish("webhooks", figures, remember=options.remember)


if __name__ == "__main__":
    raise SystemExit(main())
