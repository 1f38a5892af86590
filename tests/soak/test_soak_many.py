"""A hundred instances of one plugin that are due at once."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.soak.conftest import handles, memory

from wellkept.pipeline.report import RunReport
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing import FakeClock, Server
from wellkept_stripe.simulator import StripeSimulator

MANY = 100
TABLE = """
[plugins.stripe-{number}]
plugin = "stripe"
api_key = "file:{number}.key"
api_base = "{base}"
requests_per_second = 100
"""
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")]


class Vendors:
    """A hundred accounts of one vendor behind one address; whose a request is, its key says."""

    def __init__(self, clock: FakeClock) -> None:
        self.all = [StripeSimulator(accounts=2, clock=clock, seed=seed, months=1) for seed in range(MANY)]
        self._by_key = {f"Bearer {vendor.key}".encode(): vendor for vendor in self.all}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._by_key[dict(scope["headers"])[b"authorization"]](scope, receive, send)


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def vendors(clock: FakeClock) -> Iterator[tuple[Vendors, str]]:
    vendors = Vendors(clock)
    assert len(vendors._by_key) == MANY
    with Server(vendors) as server:
        yield vendors, server.url


def run(folder: Path, clock: FakeClock) -> RunReport:
    clock.advance(3600)
    with Runtime.open(folder / "plugins.toml", clock=clock) as runtime:
        return asyncio.run(Steps(runtime).run())


def ids(folder: Path, clock: FakeClock, instance: str) -> set[str]:
    with Runtime.open(folder / "plugins.toml", clock=clock) as runtime, runtime.store.read() as reader:
        return {id_ for (id_,) in reader.rows("SELECT id FROM r_invoice WHERE instance = ? AND deleted = 0", (instance,))}


def test_a_hundred_instances_at_once(tmp_path: Path, clock: FakeClock, vendors: tuple[Vendors, str]) -> None:
    them, base = vendors
    (tmp_path / "plugins.toml").write_text("".join(TABLE.format(number=number, base=base) for number in range(MANY)))
    for number, vendor in enumerate(them.all):
        key = tmp_path / f"{number}.key"
        key.write_text(vendor.key)
        key.chmod(0o600)
    first = run(tmp_path, clock)
    before = memory(), handles()
    assert first.state == "done", first.summary
    assert first.sync is not None
    assert len({stream.instance for stream in first.sync.streams}) == MANY

    broken = them.all[17]
    broken.expire_key(broken.key)
    for vendor in them.all:
        vendor.new_customer("Newcomer", plan=None)
    second = run(tmp_path, clock)
    assert second.state == "partial"
    assert second.sync is not None
    failed = {stream.instance for stream in second.sync.streams if stream.state == "failed"}
    assert failed == {"stripe-17"}, "one that is refused leaves ninety-nine alone"

    for number in (0, 16, 17, 18, 99):
        assert ids(tmp_path, clock, f"stripe-{number}") == {obj["id"] for obj in them.all[number].state.all("invoice")}
    with Runtime.open(tmp_path / "plugins.toml", clock=clock) as runtime, runtime.store.read() as reader:
        new = "SELECT instance, COUNT(*) FROM r_account WHERE name = 'Newcomer' GROUP BY instance"
        assert dict(reader.rows(new)) == {f"stripe-{number}": 1 for number in range(MANY) if number != 17}
    gc.collect()
    assert memory() < before[0] + 30
    assert handles() <= before[1] + 2
