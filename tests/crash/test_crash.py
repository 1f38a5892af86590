"""Promise 1 and 2: killed at any boundary and restarted, a run ends as if nothing had happened.

The main job runs on the real plugins against the Stripe simulator and a mail server, which live on when it dies: their logs
are the witnesses. The process is killed at every boundary that an undisturbed run passes, one trial each.
"""

from __future__ import annotations

import collections
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wellkept.testing import Server
from wellkept.testing.clock import FakeClock
from wellkept.testing.mail import MailSink
from wellkept_stripe.simulator import StripeSimulator

HERE = Path(__file__).parent
KILLED = 137
SHARES = 4
START = 1_795_262_400_000
"""2026-11-21T12:00:00Z."""

KNOWN_ACTS = {
    "os.mkdir in wellkept.trust._make": "the installation's key: tests/config/test_trust.py",
    "open in wellkept.trust._make": "the same",
    "os.remove in wellkept.trust._make": "the same",
    "os.mkdir in wellkept.store.migrate._make_file": "a new store: tests/store/test_store_migrate.py",
    "open in wellkept.store.migrate._make_file": "the same",
    "subprocess.Popen in wellkept_stripe.actions._set": "the SDK asks for the platform's name, for its User-Agent",
    "open in wellkept_stripe.actions._set": "the same: /dev/null for that process",
}
"""What our own code does to the world beside the store and the network, and where that is tested. Something new fails."""

CONFIG = """\
[wellkept]
store = "wellkept.db"
rates = "rates.csv"

[plugins.stripe]
live = true
api_key = "file:stripe.key"
api_base = "http://127.0.0.1:{stripe}"
requests_per_second = 100

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
properties = {{ wellkept_health = "health", wellkept_band = "health_band" }}

[messages]
team = ["team@wellkept.example"]

[plugins.playbooks]

[[plugins.playbooks.rules]]
name = "trouble"
when = "health < 90"
do = ["task: team", "mail: team"]
"""


class Driver:
    def __init__(self, errors: Path) -> None:
        self._errors = errors.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-B", str(HERE / "driver.py")],  # -B: a first import's cache is no act of the code under test
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._path = errors

    def run(self, **command: Any) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        assert code in {0, KILLED}, self._path.read_text()[-4000:]
        return code

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._errors.close()


@dataclass
class World:
    """A vendor, a mail server and an installation, through one of two runs.

    The first run reads everything and takes note. Before the second one, something happens to one customer.

    Args:
        folder: A new folder for the installation.
        driver: Runs it.
        ports: Where the vendor and the mail server listen; always the same, so that configurations are too.
        after: What the first run left, for a world that begins with the second one.
    """

    folder: Path
    driver: Driver
    ports: tuple[int, int]
    after: World | None = None
    boundaries: list[str] = field(default_factory=list)

    def play(self, kill_at: int = 0) -> World:
        """Run to the end: at once, or after a kill at a boundary."""
        clock = FakeClock(START)
        self.vendor = StripeSimulator(accounts=3, clock=clock, seed=7, months=1)
        self.customer = next(sub["customer"] for sub in self.vendor.state.all("subscription") if sub["status"] == "active")
        self.mail = MailSink(self.ports[1])
        if self.after is None:
            self._configure()
        else:
            shutil.copytree(self.after.folder, self.folder)
            (self.folder / "trace").unlink()
            clock.advance(3600)
            self.vendor.fail_payment(self.customer)
            clock.advance(60)
        with Server(self.vendor, self.ports[0]), self.mail:
            self._run(kill_at, clock)
        return self

    def _configure(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "plugins.toml").write_text(CONFIG.format(stripe=self.ports[0], mail=self.ports[1]))
        (self.folder / "stripe.key").write_text(self.vendor.key)
        (self.folder / "stripe.key").chmod(0o600)
        rates = [f"2020-01-01,{code},USD,1.1" for code in ("EUR", "GBP", "JPY", "CNY", "KWD", "ISK")]
        (self.folder / "rates.csv").write_text("\n".join(["day,base,quote,rate", *rates]) + "\n")

    def _run(self, kill_at: int, clock: FakeClock) -> None:
        trace = self.folder / "trace"
        command = {"config": str(self.folder / "plugins.toml"), "trace": str(trace)}
        command["peers"] = {self.ports[0]: "stripe", self.ports[1]: "mail"}
        for attempt in range(3):
            code = self.driver.run(**command, now=clock.now(), kill_at=kill_at if attempt == 0 else 0)
            clock.advance(60)
            if code == 0:
                break
        else:
            pytest.fail("it did not end")
        self.boundaries = trace.read_text().splitlines()
        if any(self.rows()["open"][0]):  # what was re-read just before a message went out is the next run's work
            assert self.driver.run(**command, now=clock.now(), kill_at=0) == 0

    # --- what is left ---

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the store that does not depend on when it was read."""
        timed = {"version", "observed_at", "digest", "updated_at", "valid_from"}
        with sqlite3.connect(self.folder / "wellkept.db") as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = {}
            for table in tables:
                if table.startswith("r_"):
                    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in timed]
                    found[table] = sorted(map(repr, connection.execute(f"SELECT {', '.join(names)} FROM {table}")))
            found["links"] = sorted(connection.execute("SELECT type, instance, record_id, account FROM links"))
            found["scores"] = sorted(
                connection.execute(
                    "SELECT account, scorer, as_of, value_milli, band FROM scores AS s WHERE seq ="
                    " (SELECT MAX(seq) FROM scores AS t WHERE t.account = s.account AND t.scorer = s.scorer)"
                )
            )
            found["pushed"] = sorted(connection.execute("SELECT instance, target_id, field, value FROM pushed"))
            found["open"] = connection.execute(
                "SELECT (SELECT COUNT(*) FROM changes), (SELECT COUNT(*) FROM staged), (SELECT COUNT(*) FROM dirty_accounts)"
            ).fetchall()
        connection.close()
        return found

    def effects(self) -> dict[str, tuple[str, str, str | None]]:
        with sqlite3.connect(self.folder / "wellkept.db") as connection:
            found = {
                key: (kind, state, hold)
                for key, kind, state, hold in connection.execute("SELECT key, kind, state, hold FROM outbox")
            }
        connection.close()
        return found

    def metadata(self) -> dict[str, dict[str, str]]:
        return {obj["id"]: dict(obj["metadata"]) for obj in self.vendor.state.all("customer")}

    def mails(self) -> collections.Counter[str]:
        """How often each message was accepted, by Message-ID."""
        return collections.Counter(str(mail.message["Message-ID"]) for mail in self.mail.mails)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("driver") / "errors")
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.fixture(scope="module")
def undisturbed(driver: Driver, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> tuple[World, World]:
    folder = tmp_path_factory.mktemp("undisturbed")
    first = World(folder / "first", driver, ports).play()
    return first, World(folder / "second", driver, ports, first).play()


def passed(world: World) -> list[str]:
    return [line for line in world.boundaries if not line.startswith("audit:")]


def kills(world: World) -> list[int]:
    """Return where to kill: at every boundary, except that of those around questions every sixth will do.

    A question (GET) changes nothing on either side, so a kill there leaves what a kill at the next commit leaves.
    """
    found, questions = [], 0
    for number, name in enumerate(passed(world), 1):
        if name.endswith(" asking"):
            questions += 1
            if questions % 6:
                continue
        found.append(number)
    return found


def test_the_undisturbed_runs_do_something(undisturbed: tuple[World, World]) -> None:
    first, second = undisturbed
    assert not first.mails()
    assert all(state == "superseded" for _, state, _ in first.effects().values())
    states = collections.Counter((kind, state) for kind, state, _ in second.effects().values())
    assert (states["state", "done"], states["message", "done"], states["once", "done"]) == (1, 1, 1)
    assert sum(second.mails().values()) == 2
    assert "wellkept_health" in second.metadata()[second.customer]
    mail = {"mail: before sending", "mail: after receiving"}
    assert set(passed(first)) == {"store: before a commit", "stripe: before asking", "stripe: after asking"} | mail
    assert set(passed(second)) - set(passed(first)) == {"stripe: before sending", "stripe: after receiving"}


def test_there_is_no_other_way_to_touch_the_world(undisturbed: tuple[World, World]) -> None:
    acts = {line.removeprefix("audit:") for world in undisturbed for line in world.boundaries if line.startswith("audit:")}
    assert acts <= set(KNOWN_ACTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("run", [1, 2])
def test_killed_at_every_boundary_and_restarted(
    run: int, share: int, undisturbed: tuple[World, World], driver: Driver, ports: tuple[int, int], tmp_path: Path
) -> None:
    """The kills of a run are dealt out, so that the tests can run side by side."""
    expected = undisturbed[run - 1]
    for number in kills(expected)[share::SHARES]:
        world = World(tmp_path / str(number), driver, ports, undisturbed[0] if run == 2 else None).play(number)
        name = f"killed at boundary {number} of run {run}"
        assert world.rows() == expected.rows(), name
        assert world.metadata() == expected.metadata(), name
        check_effects(world, expected, name)
        shutil.rmtree(world.folder)


def check_effects(world: World, undisturbed: World, name: str) -> None:
    effects, expected = world.effects(), undisturbed.effects()
    once = {key for key, (kind, *_) in expected.items() if kind != "state"}
    assert once == {key for key, (kind, *_) in effects.items() if kind != "state"}, name
    assert set(world.mails().values()) <= {1}, f"{name}: something was sent twice"
    in_doubt = 0
    for key in once:
        _, state, hold = effects[key]
        if state != expected[key][1]:
            assert (state, hold) == ("held", "doubt") or state == "unknown", f"{name}: {key} is {state} ({hold})"
            in_doubt += 1
    sent, meant = len(world.mails()), len(undisturbed.mails())
    assert meant - in_doubt <= sent <= meant, f"{name}: something was silently lost"
