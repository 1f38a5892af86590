"""An installation that lives through weeks in virtual time: two vendors that send webhooks too, a mail server, and what
`wellkept serve` is made of."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from wellkept.runtime import Runtime
from wellkept.serve.conductor import Conductor, Task
from wellkept.serve.dispatch import Dispatcher
from wellkept.serve.leadership import Leadership
from wellkept.serve.site import webhook_sources
from wellkept.serve.timetable import timetable
from wellkept.store import open_store
from wellkept.testing import FakeClock, Server
from wellkept.testing.faults import Fault
from wellkept.testing.mail import MailSink
from wellkept.webhooks import make_app
from wellkept_stripe.simulator import StripeSimulator
from wellkept_zendesk.simulator import ZendeskSimulator

START = 1_795_219_200_000
"""2026-11-21T00:00:00Z."""
STEP = 900
"""Seconds of virtual time between two looks at the timetable."""

CONFIG = """\
[plugins.stripe]
schedule = "every {hours} hours"
live = true
api_key = "file:stripe.key"
webhook_secret = "file:stripe.hook"
api_base = "{stripe}"
requests_per_second = 100

[plugins.zendesk]
schedule = "every {hours} hours"
subdomain = "acme"
client_id = "{client}"
client_secret = "file:zendesk.client"
refresh_token = "file:zendesk.token"
webhook_secret = "file:zendesk.hook"
api_base = "{zendesk}"
requests_per_minute = 2500

[plugins.smtp]
live = true
host = "127.0.0.1"
port = {mail}
tls = "none"
from_address = "success@wellkept.example"
tasks = true

[plugins.health]

[[push]]
to = "stripe"
properties = {{ wellkept_health = "health" }}

[messages]
team = ["team@wellkept.example"]

[safety]
max_effects = 200
max_share = 0.9
min_accounts = 8

[plugins.playbooks]

[[plugins.playbooks.rules]]
name = "trouble"
when = "failing_invoices > 0"
do = ["mail: team"]
cooldown = "1d"
"""


HOOKS = {"stripe": "whsec_of_the_first_vendor", "zendesk": "secret-of-the-second-vendor"}
"""What webhooks are signed with."""


DESK_FAULTS = (  # none at the token endpoint: an answer that is lost there takes the pair of tokens with it
    Fault(kind="status", status=500, path="/api/*", times=2, share=0.5),
    Fault(kind="status", status=429, retry_after=2, path="/api/*", times=2),
    Fault(kind="drop", path="/api/*", times=2, share=0.5),
)


class Installation:
    """One installation, its vendors and its mail server."""

    def __init__(self, folder: Path, *, accounts: int, hours: int, seed: int) -> None:
        self.folder = folder
        self.clock = FakeClock(START)
        self.random = random.Random(seed)  # noqa: S311 - the same week every time
        self.vendor = StripeSimulator(accounts=accounts, clock=self.clock, seed=seed, months=2)
        self.server = Server(self.vendor)
        self.desk = ZendeskSimulator(accounts=accounts // 3, clock=self.clock, seed=seed)
        self.desk_server = Server(self.desk)
        self.refused = 0
        self._told = {"stripe": len(self.vendor.events()), "zendesk": len(self.desk.state.events)}
        self._late: list[tuple[str, Any]] = []
        self.mail = MailSink()
        self.hours = hours
        self.runs = 0
        self._keys = 0

    @property
    def path(self) -> Path:
        return self.folder / "plugins.toml"

    def open(self) -> None:
        self.server.start()
        self.desk_server.start()
        self.mail.start()
        places = {"stripe": self.server.url, "zendesk": self.desk_server.url, "mail": self.mail.port}
        self.path.write_text(CONFIG.format(**places, hours=self.hours, client=self.desk.access.client_id))
        self.write_secret("stripe.key", self.vendor.key)
        self.write_secret("zendesk.client", self.desk.access.client_secret)
        self.write_secret("zendesk.token", self.desk.grant.refresh)
        for name, secret in HOOKS.items():
            self.write_secret(f"{name}.hook", secret)

    def close(self) -> None:
        self.mail.close()
        self.desk_server.close()
        self.server.close()

    # --- what happens to it ---

    def write_secret(self, name: str, secret: str) -> None:
        path = self.folder / name
        path.write_text(secret)
        path.chmod(0o600)

    def rotate_key(self, *, late: bool) -> None:
        """The vendor's key is replaced; `late`: the old one ends before anybody has told us the new one."""
        new = self.vendor.add_key(f"{self.vendor.key}{self._keys}")
        self._keys += 1
        current = (self.folder / "stripe.key").read_text()
        self.vendor.expire_key(current)
        if late:
            self.live_for(hours=self.hours + 1)
        self.write_secret("stripe.key", new)

    def authorise_again(self, *, late: bool) -> None:
        """An admin takes the access back and gives a new one; `late`: some hours pass in between."""
        self.desk.grant.refresh, self.desk.grant.expires_at = "", 0
        if late:
            self.live_for(hours=self.hours + 1)
        self.desk.grant = self.desk.authorize()
        self.write_secret("zendesk.token", self.desk.grant.refresh)

    def customers_move(self) -> None:
        """Something happens at the vendor: payments fail and are made good, customers come."""
        customers = [obj["id"] for obj in self.vendor.state.all("customer")]
        subs = self.vendor.state.all("subscription")
        paying = sorted({sub["customer"] for sub in subs if sub["status"] == "active"})
        match self.random.randrange(4):
            case 0 if paying:
                self.vendor.fail_payment(self.random.choice(paying))
            case 1:
                self.vendor.recover(self.random.choice(customers))
            case 2:
                self.vendor.rename(self.random.choice(customers), f"Renamed {self.random.random()}")
            case _:
                self.vendor.new_customer(f"New {len(customers)}", plan=None)
        tickets = [row["id"] for row in self.desk.state.all("ticket")]
        people = [row["id"] for row in self.desk.state.all("user") if row["role"] == "end-user"]
        match self.random.randrange(4):
            case 0 if tickets:
                self.desk.set_status(self.random.choice(tickets), "solved")
            case 1:
                self.desk.rename(self.random.choice([*self.desk.organizations.values()]), f"Renamed {self.random.random()}")
            case 2:
                self.desk.new_organization(f"New {len(tickets)}")
            case _:
                self.desk.new_ticket(self.random.choice(people), "I cannot log in")

    def trouble(self) -> None:
        """Something goes wrong on the way."""
        faults = [
            Fault(kind="status", status=500, times=self.random.randint(1, 3), share=0.5),
            Fault(kind="status", status=429, retry_after=2, times=2),
            Fault(kind="drop", times=2, share=0.5),
            Fault(kind="truncate", path="/v1/events", times=1),
            Fault(kind="status", status=500, method="POST", when="after", times=1),
        ]
        self.vendor.faults.add(self.random.choice(faults))
        self.desk.faults.add(self.random.choice(DESK_FAULTS))
        if self.random.random() < 0.3:
            self.mail.fail("mail", "451 4.3.0 come again", times=1)

    # --- how it lives ---

    def live_for(self, *, hours: float, cut: bool = False, moving: bool = False) -> None:
        """Let a server live for some hours, as one process.

        Args:
            hours: How long.
            cut: It ends in the middle of its first run.
            moving: Customers go on moving meanwhile.
        """
        asyncio.run(self._serve(self.clock.now() + round(hours * 3_600_000), cut=cut, moving=moving))
        gc.collect()

    async def _serve(self, until: int, *, cut: bool, moving: bool) -> None:
        with (
            closing(open_store(self.folder / "wellkept.db", self.clock)) as store,
            Runtime.open(self.path, clock=self.clock, store=store) as first,
        ):
            leadership = Leadership(store, 60)
            while not await leadership.take():
                self.clock.advance(60)
            conductor = Conductor(
                store,
                lambda: Runtime.open(self.path, clock=self.clock, store=store),
                leadership,
                first.settings.serve,
                grace=30,
            )
            dispatcher = Dispatcher(store, timetable(first), hooked=list(HOOKS), hints_seconds=10)
            app = make_app(store, webhook_sources(first), clock=self.clock, signer=first.signer)
            try:
                async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as outside:
                    while self.clock.now() < until:
                        await self.vendors_tell(outside)
                        task = dispatcher.next()
                        if task is None:
                            self.clock.advance(STEP)
                            if moving and self.random.random() < 0.05:
                                self.customers_move()
                        elif cut and task.kind == "run":
                            await self._cut_off(conductor, task)
                            return
                        else:
                            began = self.clock.now()
                            if await conductor.perform(task):
                                self.runs += 1
                                dispatcher.begun(task, began)
                            conductor.close()  # a changed secret or configuration is read anew, as after a reload
            finally:
                conductor.close()
                await leadership.give_back()

    async def vendors_tell(self, outside: httpx.AsyncClient) -> None:
        """Let vendors send what happened: signed, some of it twice, some later than the rest; and somebody who forges."""
        vendors: dict[str, Any] = {"stripe": self.vendor, "zendesk": self.desk}
        events = {"stripe": self.vendor.events(), "zendesk": self.desk.state.events}
        news = [(name, event) for name, found in events.items() for event in found[self._told[name] :]]
        self._told = {name: len(found) for name, found in events.items()}
        letters = [*self._late, *(letter for letter in news for _ in range(self.random.choice((1, 1, 2))))]
        self.random.shuffle(letters)
        some = len(letters) // 4
        self._late, letters = letters[:some], letters[some:]

        async def send(name: str, event: Any, secret: str, **options: Any) -> int:
            request = vendors[name].webhook(event, secret, url=f"http://localhost/webhooks/{name}", **options)
            answer = await outside.post(request.url, content=request.body, headers=dict(request.headers))
            return answer.status_code

        for name, event in letters:
            assert await send(name, event, HOOKS[name]) == 200
        for name, event in letters[:1]:
            assert await send(name, event, "whsec_somebody else's") == 401
            assert await send(name, event, HOOKS[name], at=self.clock.now() // 1000 - 3600) == 401
            self.refused += 2

    async def _cut_off(self, conductor: Conductor, task: Task) -> None:
        """Begin a run and end it while the vendor is answering."""
        with self.vendor.gate("GET", "/v1/*") as gate:
            performing = asyncio.create_task(conductor.perform(task))
            waiting = asyncio.create_task(asyncio.to_thread(gate.arrived.wait, 20))
            await asyncio.wait({performing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            conductor.cut_off()
            gate.open()
            await performing
            gate.arrived.set()
            await waiting

    # --- witnesses ---

    def ask(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "wellkept.db")) as connection:
            return connection.execute(sql, params).fetchall()

    @property
    def store_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.folder.glob("wellkept.db*"))


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def handles() -> int:
    """Return how many files and sockets this process has open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path, accounts=30, hours=3, seed=7)
    found.open()
    yield found
    found.close()
    gc.collect()  # what was left open is this test's fault, not the next one's
