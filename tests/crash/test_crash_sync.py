"""Promise 1, vendor by vendor: killed at any boundary of its sync and restarted, a connector ends with the same rows.

Around requests that only read, every sixth boundary is tried: see `World.kills`. The vendors' own limits are off: the two
sides have clocks of their own here, and ours passes waits in no time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.crash.world import START, Driver, Place, World, driver, place

from wellkept.testing import FakeClock
from wellkept.testing.world import World as Market
from wellkept_hubspot.simulator import HubSpotSimulator
from wellkept_mixpanel.simulator import MixpanelSimulator
from wellkept_mixpanel.simulator.state import GROUP_KEY
from wellkept_zendesk.simulator import ZendeskSimulator

__all__ = ["driver", "place"]

MARKET = Market(accounts=2, seed=3, now=START)


@dataclass(frozen=True)
class Vendor:
    """How one vendor is played.

    Attributes:
        make: Makes the simulator.
        keys: Returns the instance's table but for ``api_base``.
        change: Lets something happen before the second run.
        secrets: Returns files that `keys` refers to.
    """

    make: Callable[[FakeClock], Any]
    keys: Callable[[Any], Mapping[str, object]]
    change: Callable[[Any], object]
    secrets: Callable[[Any], Mapping[str, str]]


def make_zendesk(clock: FakeClock) -> ZendeskSimulator:
    simulator = ZendeskSimulator(sightings=MARKET.seen_by("helpdesk"), clock=clock, seed=3, export_limit=10_000)
    simulator.api_token()
    return simulator


def zendesk_keys(vendor: ZendeskSimulator) -> Mapping[str, object]:
    """Use an API token: a process that is killed with a new pair of OAuth tokens in its hands has lost both, for good."""
    return {"subdomain": "crash", "email": vendor.api_token()[0], "api_token": "file:zendesk.token"}


def change_zendesk(vendor: ZendeskSimulator) -> None:
    one, two = [ticket["id"] for ticket in vendor.state.all("ticket")][:2]
    vendor.set_status(one, "solved")
    vendor.rate(one, "bad", "slow")
    vendor.delete_ticket(two)
    vendor.rename(next(iter(vendor.organizations.values())), "Renamed")


def mixpanel_keys(vendor: MixpanelSimulator) -> Mapping[str, object]:
    return {
        "project_id": vendor.project_id,
        "service_account": vendor.service_account,
        "secret": "file:mixpanel.secret",
        "group_key": GROUP_KEY,
        "data_group_id": vendor.data_group_id,
        "history_days": 6,
        "window_days": 2,
        "unfinished_day": True,
    }


def change_mixpanel(vendor: MixpanelSimulator) -> None:
    group = vendor.project.group_id(vendor.sightings[0].ref)
    for number in range(3):
        vendor.track("somebody", "Exported", vendor.clock.now() // 1000 - number * 86_400, group)


def change_hubspot(vendor: HubSpotSimulator) -> None:
    company, *_ = vendor.state.standing("companies")
    contact, other, *_ = vendor.state.standing("contacts")
    vendor.edit("companies", company.id, name="Renamed")
    vendor.answer_survey(contact.id, "NPS", 3)
    vendor.archive("contacts", other.id)


VENDORS = {
    "zendesk": Vendor(
        make=make_zendesk,
        keys=zendesk_keys,
        change=change_zendesk,
        secrets=lambda vendor: {"zendesk.token": vendor.api_token()[1]},
    ),
    "mixpanel": Vendor(
        make=lambda clock: MixpanelSimulator(sightings=MARKET.seen_by("analytics"), clock=clock, seed=3, limits=False),
        keys=mixpanel_keys,
        change=change_mixpanel,
        secrets=lambda vendor: {"mixpanel.secret": vendor.secret},
    ),
    "hubspot": Vendor(
        make=lambda clock: HubSpotSimulator(world=MARKET, clock=clock, seed=3),
        keys=lambda _: {"access_token": "file:hubspot.token"},
        change=change_hubspot,
        secrets=lambda vendor: {"hubspot.token": vendor.token},
    ),
}


class Sync(World):
    """One connector alone."""

    def __init__(self, vendor: str, folder: Path, driver: Driver, place: Place, after: World | None = None) -> None:
        super().__init__(folder, driver, place, after)
        self.name = vendor
        self.plays = VENDORS[vendor]

    @property
    def peers(self) -> dict[int, str]:
        return {self.ports[0]: self.name}

    def make(self) -> None:
        self.vendor = self.plays.make(self.clock)

    def configure(self) -> dict[str, str]:
        import tomlkit

        keys = {**self.plays.keys(self.vendor), "api_base": f"http://127.0.0.1:{self.ports[0]}"}
        return {"plugins.toml": tomlkit.dumps({"plugins": {self.name: keys}}), **self.plays.secrets(self.vendor)}

    def change(self) -> None:
        self.plays.change(self.vendor)


@pytest.fixture(scope="module", params=["zendesk", "mixpanel", "hubspot"])
def undisturbed(
    request: pytest.FixtureRequest, driver: Driver, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Sync, Sync]:
    folder = tmp_path_factory.mktemp(request.param)
    first = Sync(request.param, folder / "first", driver, place)
    first.play()
    second = Sync(request.param, folder / "second", driver, place, first)
    second.play()
    return first, second


def test_the_undisturbed_runs_read_something(undisturbed: tuple[Sync, Sync]) -> None:
    first, second = undisturbed
    before, after = first.rows(), second.rows()
    assert sum(bool(rows) for name, rows in before.items() if name.startswith("r_")) >= 2
    assert before != after, "nothing changed between the runs"
    assert list(first.vendor.log.effects) == []
    assert {name.split(": ")[0] for name in first.passed} == {"store", first.name}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("run", [1, 2])
def test_killed_at_every_boundary_and_restarted(
    run: int, undisturbed: tuple[Sync, Sync], driver: Driver, place: Place, tmp_path: Path
) -> None:
    expected = undisturbed[run - 1]
    for number in expected.kills(asking=6):
        world = Sync(expected.name, tmp_path / str(number), driver, place, undisturbed[0] if run == 2 else None)
        world.play(number)
        assert world.rows() == expected.rows(), f"{expected.name}: killed at boundary {number} of run {run}"
        shutil.rmtree(world.folder)
