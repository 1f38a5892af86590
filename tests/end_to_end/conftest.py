"""An installation with all four plugins, a Stripe simulator and a mail server, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wellkept.pipeline.report import RunReport
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing import Server
from wellkept.testing.clock import FakeClock
from wellkept.testing.faults import Fault
from wellkept.testing.mail import MailSink
from wellkept_stripe.simulator import StripeSimulator

START = 1_795_262_400_000
"""2026-11-21T12:00:00Z."""

CONFIG = """\
[wellkept]
rates = "rates.csv"

[plugins.stripe]
live = {live}
api_key = "file:stripe.key"
api_base = "{stripe}"

[plugins.smtp]
live = {live}
host = "127.0.0.1"
port = {mail}
tls = "none"
from_address = "success@wellkept.example"
tasks = true

[plugins.health]

[[push]]
to = "stripe"
properties = {{ wellkept_health = "health", wellkept_band = "health_band" }}

[messages]
team = ["team@wellkept.example"]

[safety]
max_effects = 200
max_share = 0.5
min_accounts = 8

[plugins.playbooks]

[[plugins.playbooks.rules]]
name = "trouble"
when = "health < 90 and failing_invoices > 0"
do = ["task: owner", "mail: team"]
"""


class House:
    def __init__(self, folder: Path, *, accounts: int = 12, live: bool = True, seed: int = 3) -> None:
        self.folder = folder
        self.clock = FakeClock(START)
        self.vendor = StripeSimulator(accounts=accounts, clock=self.clock, seed=seed, months=2)
        self.server = Server(self.vendor)
        self.mail = MailSink()
        self.live = live

    @property
    def path(self) -> Path:
        return self.folder / "plugins.toml"

    def open(self) -> None:
        self.server.start()
        self.mail.start()
        self.configure(live=self.live)
        (self.folder / "stripe.key").write_text(self.vendor.key)
        (self.folder / "stripe.key").chmod(0o600)
        rates = [f"2020-01-01,{code},USD,1.1" for code in ("EUR", "GBP", "JPY", "CNY", "KWD", "ISK")]
        (self.folder / "rates.csv").write_text("\n".join(["day,base,quote,rate", *rates]) + "\n")

    def configure(self, *, live: bool) -> None:
        text = CONFIG.format(live=str(live).lower(), stripe=self.server.url, mail=self.mail.port)
        self.path.write_text(text)

    def close(self) -> None:
        self.mail.close()
        self.server.close()

    def runtime(self, **options: Any) -> Runtime:
        return Runtime.open(self.path, clock=self.clock, **options)

    def run(self, *, later: float = 3600, **options: Any) -> RunReport:
        """Let time pass, then do the main job."""
        self.clock.advance(later)
        with self.runtime(**options) as runtime:
            return asyncio.run(Steps(runtime).run())

    def active(self) -> list[str]:
        """Customers with one running subscription, which is paid and goes on."""
        subs = self.vendor.state.all("subscription")
        owners = [sub["customer"] for sub in subs]
        well = [sub for sub in subs if sub["status"] == "active" and not sub["cancel_at_period_end"]]
        return [sub["customer"] for sub in well if owners.count(sub["customer"]) == 1]

    def trouble(self, **fault: Any) -> None:
        """Let something go wrong at the vendor from now on."""
        self.vendor.faults.add(Fault(**fault))

    def metadata(self) -> dict[str, dict[str, str]]:
        return {obj["id"]: dict(obj["metadata"]) for obj in self.vendor.state.all("customer")}

    def ask(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.folder / "wellkept.db")
        try:
            return connection.execute(sql, params).fetchall()
        finally:
            connection.close()

    def rows(self) -> dict[str, list[str]]:
        """All records, without what depends on when they were read."""
        timed = {"version", "observed_at", "digest", "updated_at", "valid_from"}
        tables = [
            name for (name,) in self.ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'r!_%' ESCAPE '!'")
        ]
        found = {}
        for table in tables:
            names = [row[1] for row in self.ask(f"PRAGMA table_info({table})") if row[1] not in timed]
            found[table] = sorted(map(repr, self.ask(f"SELECT {', '.join(names)} FROM {table}")))
        return found

    def bands(self) -> dict[str, str | None]:
        newest = "SELECT MAX(seq) FROM scores AS t WHERE t.account = s.account"
        return dict(self.ask(f"SELECT account, band FROM scores AS s WHERE seq = ({newest})"))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    house.open()
    yield house
    house.close()
    gc.collect()  # what was left open is this test's fault, not the next one's


@pytest.fixture
def build() -> type[House]:
    """For tests that need more than one."""
    return House
