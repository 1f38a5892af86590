"""The demo's HubSpot account: companies with their people, some of whom act, and what was written there."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from wellkept.records import Json
from wellkept.testing import Server
from wellkept.testing.simulation import Happening, Receipt, Setting
from wellkept.testing.world import Seen
from wellkept_hubspot.simulator import HubSpotSimulator

SHARE = 0.02
"""Of the customers, how many something happens to; at least `FEWEST`, at most `MOST`."""
FEWEST, MOST = 3, 12

FATES = frozenset({"thriving", "steady"})
"""Who is not in trouble already, so that what happens here shows."""

OURS = "wellkept"


class HubSpotSimulation:
    """See `wellkept.testing.simulation.Simulation`."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._simulator = HubSpotSimulator(
            world=setting.world, clock=setting.clock, seed=setting.seed, rate_limit=190, search_limit=5
        )
        self._server = Server(self._simulator)
        self._seen = 0

    def start(self) -> Mapping[str, Json]:
        """Start the server; the token goes into a file, as it would at a customer's."""
        self._server.start()
        token = self._setting.folder / "hubspot.token"
        token.touch(mode=0o600)
        token.write_text(self._simulator.token, encoding="utf-8")
        return {"access_token": f"file:{token.name}", "api_base": self._server.url}

    def records(self) -> Mapping[str, Seen]:
        """Return what is behind the companies."""
        return {id_: Seen("crm", sighting.ref) for id_, sighting in self._simulator.sightings.items()}

    def unfold(self) -> Sequence[Happening]:
        """Let people of content customers answer a survey badly."""
        simulator, draw = self._simulator, random.Random(f"demo/crm/{self._setting.seed}")  # noqa: S311 - a simulation
        count = min(MOST, max(FEWEST, round(self._setting.accounts * SHARE)))
        happenings = []
        with simulator.lock:
            known = self._companies()
            draw.shuffle(known)
            for company, contact in known[:count]:
                score = draw.randint(0, 2)
                simulator.answer_survey(contact, "NPS", score)
                happenings.append(Happening(id=company, text=f"answered the NPS survey with {score}"))
        return happenings

    def _companies(self) -> list[tuple[str, str]]:
        """Return companies of customers on this stage who are otherwise well, each with a contact who is nobody else's."""
        stage = {company.key for company in self._setting.stage("crm") if company.fate in FATES}
        links = self._simulator.state.links
        found = []
        for id_, sighting in self._simulator.sightings.items():
            if sighting.main and sighting.company.key in stage:
                own = [
                    contact
                    for contact in links["companies", "contacts"].get(id_, {})
                    if len(links["contacts", "companies"][contact]) == 1
                ]
                found += [(id_, min(own))] if own else []
        return found

    def received(self) -> Sequence[Receipt]:
        """Return the properties that were set on companies, and the tasks that were made."""
        with self._simulator.lock:
            effects = list(self._simulator.log.effects)
            new, self._seen = effects[self._seen :], len(effects)
            receipts = []
            for effect in new:
                if effect.kind == "tasks.creation" and f"{OURS}_key" in effect.values:
                    companies = self._simulator.state.links["tasks", "companies"].get(effect.id, {})
                    text = f"task: {effect.values.get('hs_task_subject', '')}"
                    receipts.append(Receipt(subject=min(companies, default="no company"), text=text, capability="task.create"))
                values = {name: value for name, value in sorted(effect.values.items()) if name.startswith(OURS)}
                if effect.kind == "companies.propertyChange" and values:
                    text = ", ".join(f"{name}={value}" for name, value in values.items())
                    receipts.append(Receipt(subject=effect.id, text=text))
        return receipts

    def close(self) -> None:
        """Stop the server."""
        self._server.close()
