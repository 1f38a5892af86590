"""The demo's Mixpanel project: customers who use the product, some who stop, and the properties that were pushed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from wellkept.records import Json
from wellkept.testing import Server
from wellkept.testing.simulation import Happening, Receipt, Setting
from wellkept.testing.world import Seen
from wellkept_mixpanel.simulator import MixpanelSimulator
from wellkept_mixpanel.simulator.state import GROUP_KEY

SHARE = 0.01
"""Of the customers, how many stop using the product; at least `FEWEST`, at most `MOST`."""
FEWEST, MOST = 2, 6

STOPPED_DAYS = 20
"""How long ago they stopped. The demo's clock moves an hour, in which no use could be missed: what looked like use since then
was a robot's, and is removed at Mixpanel."""

HISTORY_DAYS, WINDOW_DAYS = 84, 28


class MixpanelSimulation:
    """See `wellkept.testing.simulation.Simulation`."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._simulator = MixpanelSimulator(
            sightings=setting.world.seen_by("analytics"), clock=setting.clock, seed=setting.seed
        )
        self._server = Server(self._simulator)
        self._seen = 0

    def start(self) -> Mapping[str, Json]:
        """Start the server; secret and token go into files, as they would at a customer's."""
        self._server.start()
        simulator = self._simulator
        for name, value in {"mixpanel.secret": simulator.secret, "mixpanel.token": simulator.token}.items():
            path = self._setting.folder / name
            path.touch(mode=0o600)
            path.write_text(value, encoding="utf-8")
        return {
            "project_id": simulator.project_id,
            "service_account": simulator.service_account,
            "secret": "file:mixpanel.secret",
            "token": "file:mixpanel.token",
            "group_key": GROUP_KEY,
            "data_group_id": simulator.data_group_id,
            "external_id_property": "account_id",
            "domain_property": "domain",
            "test_property": "is_test",
            "history_days": HISTORY_DAYS,
            "window_days": WINDOW_DAYS,
            "lookback_days": STOPPED_DAYS + 1,
            "unfinished_day": True,
            "api_base": self._server.url,
        }

    def records(self) -> Mapping[str, Seen]:
        """Return what is behind the groups."""
        project = self._simulator.project
        known = ((project.group_id(sighting.ref), sighting.ref) for sighting in self._simulator.sightings)
        return {group: Seen("analytics", ref) for group, ref in known if group in project.groups}

    def unfold(self) -> Sequence[Happening]:
        """Let some customers turn out to have stopped."""
        simulator, draw = self._simulator, random.Random(f"demo/analytics/{self._setting.seed}")  # noqa: S311 - a simulation
        stage = {company.key for company in self._setting.stage("analytics") if company.fate in {"thriving", "steady"}}
        busy = [
            simulator.project.group_id(sighting.ref)
            for sighting in simulator.sightings
            if sighting.main and sighting.company.key in stage and sighting.company.seats > 2
        ]
        count = min(MOST, max(FEWEST, round(self._setting.accounts * SHARE)), len(busy))
        chosen = sorted(draw.sample(busy, count))
        for group in chosen:
            simulator.stop_using(group, STOPPED_DAYS)
        return [Happening(id=group, text=f"has not used the product for {STOPPED_DAYS} days") for group in chosen]

    def received(self) -> Sequence[Receipt]:
        """Return the group properties that were written, by group."""
        with self._simulator.lock:
            effects = [effect for effect in self._simulator.log.effects if effect.kind == "group.$set"]
        new, self._seen = effects[self._seen :], len(effects)
        return [
            Receipt(
                subject=effect.id, text=", ".join(f"{name}={value}" for name, value in sorted(effect.values["$set"].items()))
            )
            for effect in new
        ]

    def close(self) -> None:
        """Stop the server."""
        self._server.close()
