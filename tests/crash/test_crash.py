"""Promise 1 and 2: killed at any boundary and restarted, the main job ends as if nothing had happened.

It runs on the real plugins against the Stripe simulator and a mail server, which live on when it dies: their logs are the
witnesses. The process is killed at every boundary that an undisturbed run passes, one trial each.
"""

from __future__ import annotations

import collections
import shutil
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.crash.world import Driver, Place, World, driver, place

from wellkept.testing.mail import MailSink
from wellkept_stripe.simulator import StripeSimulator

__all__ = ["driver", "place"]

SHARES = 4

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


class Job(World):
    """The whole path for one vendor: before the second run, a customer's payment fails."""

    @property
    def peers(self) -> dict[int, str]:
        return {self.ports[0]: "stripe", self.ports[1]: "mail"}

    def make(self) -> None:
        self.vendor = StripeSimulator(accounts=3, clock=self.clock, seed=7, months=1)
        self.customer = next(sub["customer"] for sub in self.vendor.state.all("subscription") if sub["status"] == "active")
        self.mail = MailSink(self.ports[1])

    def serve(self) -> list[AbstractContextManager[Any]]:
        return [self.mail]

    def configure(self) -> dict[str, str]:
        rates = [f"2020-01-01,{code},USD,1.1" for code in ("EUR", "GBP", "JPY", "CNY", "KWD", "ISK")]
        return {
            "plugins.toml": CONFIG.format(stripe=self.ports[0], mail=self.ports[1]),
            "stripe.key": self.vendor.key,
            "rates.csv": "\n".join(["day,base,quote,rate", *rates]) + "\n",
        }

    def change(self) -> None:
        self.vendor.fail_payment(self.customer)

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
def undisturbed(driver: Driver, place: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, World]:
    folder = tmp_path_factory.mktemp("undisturbed")
    first = Job(folder / "first", driver, place).play()
    return first, Job(folder / "second", driver, place, first).play()


def test_the_undisturbed_runs_do_something(undisturbed: tuple[Job, Job]) -> None:
    first, second = undisturbed
    assert not first.mails()
    assert all(state == "superseded" for _, state, _ in first.effects().values())
    states = collections.Counter((kind, state) for kind, state, _ in second.effects().values())
    assert (states["state", "done"], states["message", "done"], states["once", "done"]) == (1, 1, 1)
    assert sum(second.mails().values()) == 2
    assert "wellkept_health" in second.metadata()[second.customer]
    mail = {"mail: before sending", "mail: after receiving"}
    assert set(first.passed) == {"store: before a commit", "stripe: before asking", "stripe: after asking"} | mail
    assert set(second.passed) - set(first.passed) == {"stripe: before sending", "stripe: after receiving"}


def test_there_is_no_other_way_to_touch_the_world(undisturbed: tuple[Job, Job]) -> None:
    acts = undisturbed[0].acts | undisturbed[1].acts
    assert acts <= set(KNOWN_ACTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("run", [1, 2])
def test_killed_at_every_boundary_and_restarted(
    run: int, share: int, undisturbed: tuple[Job, Job], driver: Driver, place: Place, tmp_path: Path
) -> None:
    """The kills of a run are dealt out, so that the tests can run side by side."""
    expected = undisturbed[run - 1]
    for number in expected.kills(asking=6)[share::SHARES]:
        world = Job(tmp_path / str(number), driver, place, undisturbed[0] if run == 2 else None)
        world.play(number)
        name = f"killed at boundary {number} of run {run}"
        assert world.rows() == expected.rows(), name
        assert world.metadata() == expected.metadata(), name
        check_effects(world, expected, name)
        shutil.rmtree(world.folder)


def check_effects(world: Job, undisturbed: Job, name: str) -> None:
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
