"""The fixture server: answers as Stripe's lists do, from pages that were rendered before, so that it costs the reader nothing.

    python benchmarks/vendor.py [--customers 10000] [--latency 0.05] [--changed 0] [--fault-every 10 --retry-after 2]

Three streams hold as many rows as there are customers, of about 2 KB each, in pages of 100; the other lists are empty. With
`--changed`, the events since the last read tell of so many rows. It writes its port to standard output, counts requests, and
tells at ``/counted`` how many there were, how many were faults, and how many came before a Retry-After was over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

NOW = 1_795_219_200
"""The youngest row's time, epoch seconds: 2026-11-21."""
PAGE = 100
MOST_PAGES = 500
"""Pages of a list that are rendered beforehand; longer lists would fill the memory, and are rendered as they are asked for."""
ON_ITS_WAY = 0.1
"""Seconds within which a request may have left before its sender knew of the refusal of another one."""
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
FILLER = {f"field_{number}": "0123456789abcdefghijklmnopqrstuvwxyz" for number in range(36)}
"""What a vendor sends and nobody reads."""


def customer(number: int) -> dict[str, Any]:
    """Return a customer."""
    return {
        "id": f"cus_{number:07}",
        "object": "customer",
        "created": NOW - number,
        "name": f"Customer {number}",
        "email": f"billing@customer{number}.example",
        "phone": None,
        "address": {"country": "DE"},
        "delinquent": False,
        "invoice_settings": {"default_payment_method": None},
        "metadata": {"account_id": f"a{number}"},
        "more": FILLER,
    }


def subscription(number: int) -> dict[str, Any]:
    """Return a subscription."""
    price = {
        "id": "price_1",
        "object": "price",
        "product": "prod_1",
        "currency": "usd",
        "created": NOW - 10**7,
        "unit_amount": 4_900,
        "unit_amount_decimal": "4900",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    }
    item = {"id": f"si_{number:07}", "price": price, "quantity": 3, "current_period_end": NOW + 10**6, "discounts": []}
    return {
        "id": f"sub_{number:07}",
        "object": "subscription",
        "customer": f"cus_{number:07}",
        "status": "active",
        "currency": "usd",
        "created": NOW - number,
        "start_date": NOW - number,
        "items": {"object": "list", "data": [item], "has_more": False},
        "discounts": [],
        "default_tax_rates": [],
        "metadata": {},
        "more": FILLER,
    }


def invoice(number: int) -> dict[str, Any]:
    """Return an invoice."""
    return {
        "id": f"in_{number:07}",
        "object": "invoice",
        "customer": f"cus_{number:07}",
        "currency": "usd",
        "status": "paid",
        "amount_due": 14_700,
        "amount_paid": 14_700,
        "amount_remaining": 0,
        "attempt_count": 1,
        "created": NOW - number,
        "number": f"A-{number:07}",
        "status_transitions": {"finalized_at": NOW - number, "paid_at": NOW - number},
        "parent": {"subscription_details": {"subscription": f"sub_{number:07}"}},
        "metadata": {},
        "more": FILLER,
    }


LISTS = {"/v1/customers": customer, "/v1/subscriptions": subscription, "/v1/invoices": invoice}

SINGLE = {
    "/v1/account": b'{"id": "acct_1", "object": "account", "created": 1500000000}',
    "/v1/products/prod_1": b'{"id": "prod_1", "object": "product", "name": "Plan", "created": 1500000000}',
}


class Vendor:
    """The state of the server.

    Args:
        options: The command line's.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.latency: float = options.latency
        self.changed: int = options.changed
        self.fault_every: int = options.fault_every
        self.status: int = options.status
        self.retry_after: int = options.retry_after
        self.counted: dict[str, Any] = {"requests": 0, "faults": 0, "early": 0, "by_path": {}}
        self._blocked_until = 0.0
        self._pages: dict[tuple[str, int], bytes] = {}
        self._customers: int = options.customers
        places = range(-(-self._customers // PAGE))
        if len(places) <= MOST_PAGES:
            self._pages = {(path, place): self._render(path, place) for path in LISTS for place in places}

    def _render(self, path: str, place: int) -> bytes:
        start, end = place * PAGE, min(place * PAGE + PAGE, self._customers)
        rows = [LISTS[path](number) for number in range(start, end)]
        return json.dumps({"object": "list", "data": rows, "has_more": end < self._customers}).encode()

    def answer(self, target: str) -> tuple[int, bytes, str]:
        """Return status, body and further headers."""
        url = urlsplit(target)
        query = parse_qs(url.query)
        if url.path == "/counted":
            return 200, json.dumps(self.counted).encode(), ""
        self.counted["requests"] += 1
        by_path = self.counted["by_path"]
        by_path[url.path] = by_path.get(url.path, 0) + 1
        if self._blocked_until - self.retry_after + ON_ITS_WAY < time.monotonic() < self._blocked_until:
            self.counted["early"] += 1
        if self.fault_every and self.counted["requests"] % self.fault_every == 0 and url.path in LISTS:
            self.counted["faults"] += 1
            self._blocked_until = time.monotonic() + self.retry_after
            return self.status, b'{"error": {"message": "slow down"}}', f"Retry-After: {self.retry_after}\r\n"
        if url.path in SINGLE:
            return 200, SINGLE[url.path], ""
        if url.path == "/v1/events":
            return 200, self._events(query), ""
        if url.path not in LISTS:
            return 200, b'{"object": "list", "data": [], "has_more": false}', ""
        after = query.get("starting_after")
        place = 0 if after is None else (int(after[0].rpartition("_")[2]) + 1) // PAGE
        return 200, self._pages.get((url.path, place)) or self._render(url.path, place), ""

    def _events(self, query: dict[str, list[str]]) -> bytes:
        """Return a page of events about changed customers, for the stream that asks for customers; nothing for others."""
        wanted = query.get("types[]", query.get("type", [""]))
        if not self.changed or not any(kind.startswith("customer.updated") for kind in wanted):
            return b'{"object": "list", "data": [], "has_more": false}'
        after = query.get("starting_after")
        start = 0 if after is None else int(after[0].rpartition("_")[2]) + 1
        second = int(time.time()) - 1
        rows = [
            {
                "id": f"evt_{number:07}",
                "object": "event",
                "api_version": "2026-10-28.endive",
                "type": "customer.updated",
                "created": second,
                "data": {"object": customer(number) | {"name": f"Renamed {number} {second}"}},
            }
            for number in range(start, min(start + PAGE, self.changed))
        ]
        return json.dumps({"object": "list", "data": rows, "has_more": start + PAGE < self.changed}).encode()


class Connection(asyncio.Protocol):
    """One connection, kept alive; requests one after another, whose bodies are read and not looked at."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Remember where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, rest = self._buffer.split(b"\r\n\r\n", 1)
            length = LENGTH.search(head)
            if length and len(rest) < int(length[1]):
                return
            self._buffer = rest[int(length[1]) :] if length else rest
            status, body, more = self._vendor.answer(head.split(b" ", 2)[1].decode())
            answer = (
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Date: {formatdate(usegmt=True)}\r\n{more}\r\n"
            ).encode() + body
            if self._vendor.latency:
                asyncio.get_running_loop().call_later(self._vendor.latency, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


@contextmanager
def serving(**options: float) -> Iterator[str]:
    """Run the server as a process of its own; its CPU seconds are nobody's."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = subprocess.Popen([sys.executable, Path(__file__), *flags], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def counted(base: str) -> dict[str, Any]:
    """Ask a server what it has counted."""
    with urllib.request.urlopen(f"{base}/counted") as answer:  # noqa: S310 - our own server on loopback
        found: dict[str, Any] = json.load(answer)
    return found


async def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--changed", type=int, default=0)
    parser.add_argument("--fault-every", type=int, default=0)
    parser.add_argument("--status", type=int, default=429)
    parser.add_argument("--retry-after", type=int, default=2)
    vendor = Vendor(parser.parse_args())
    server = await asyncio.get_running_loop().create_server(lambda: Connection(vendor), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
