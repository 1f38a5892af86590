"""The demo's Zendesk account: fictional organizations, some of whose people get angry, and what was written back."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from wellkept.records import Json
from wellkept.testing import Server
from wellkept.testing.simulation import Happening, Receipt, Setting
from wellkept.testing.world import Seen
from wellkept_zendesk.simulator import ZendeskSimulator
from wellkept_zendesk.simulator.world import ANGRY, LEAVING

SHARE = 0.02
"""Of the organizations, how many something happens to; at least `FEWEST`, at most `MOST`."""
FEWEST, MOST = 4, 15

FATES = frozenset({"thriving", "steady"})
"""Who is not in trouble already, so that what happens here shows."""

SUBDOMAIN = "wellkept-demo"


class ZendeskSimulation:
    """See `wellkept.testing.simulation.Simulation`."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._simulator = ZendeskSimulator(
            sightings=setting.world.seen_by("helpdesk"), clock=setting.clock, seed=setting.seed, rate_limit=200
        )
        self._server = Server(self._simulator)
        self._seen = 0

    def start(self) -> Mapping[str, Json]:
        """Start the server; the credential goes into files, as it would at a customer's."""
        self._server.start()
        access = self._simulator.access
        for name, secret in (("secret", access.client_secret), ("refresh", self._simulator.grant.refresh)):
            file = self._setting.folder / f"zendesk.{name}"
            file.touch(mode=0o600)
            file.write_text(secret, encoding="utf-8")
        return {
            "subdomain": SUBDOMAIN,
            "client_id": access.client_id,
            "client_secret": "file:zendesk.secret",
            "refresh_token": "file:zendesk.refresh",
            "api_base": self._server.url,
        }

    def records(self) -> Mapping[str, Seen]:
        """Return what is behind the organizations."""
        return {str(id_): Seen("helpdesk", ref) for ref, id_ in self._simulator.organizations.items()}

    def unfold(self) -> Sequence[Happening]:
        """Let people complain, wait, rate badly, and say that they want to leave."""
        simulator, draw = self._simulator, random.Random(f"demo/helpdesk/{self._setting.seed}")  # noqa: S311 - a simulation
        stage = [company.key for company in self._setting.stage("helpdesk") if company.fate in FATES]
        known = {simulator.organizations[key] for key in stage if key in simulator.organizations}
        people: dict[int, int] = {}
        with simulator.lock:
            for user in simulator.state.all("user", lambda row: row["organization_id"] in known and bool(row["active"])):
                people.setdefault(user["organization_id"], user["id"])
        organizations = sorted(people)
        draw.shuffle(organizations)
        happenings = []
        for number, organization in enumerate(organizations[: min(MOST, max(FEWEST, round(self._setting.accounts * SHARE)))]):
            person = people[organization]
            if number % 3 == 0:
                ticket = simulator.new_ticket(person, draw.choice(ANGRY), priority="normal")
                simulator.set_status(ticket, "solved")
                simulator.rate(ticket, "offered")
                simulator.rate(ticket, "bad", "Nobody understood the question")
                text = "rated support badly"
            elif number % 3 == 1:
                for subject in draw.sample(ANGRY, 3):
                    simulator.new_ticket(person, subject, priority="normal", channel="wechat")
                text = "wrote three angry tickets"
            else:
                simulator.new_ticket(person, draw.choice(LEAVING))
                text = "asked how to leave"
            happenings.append(Happening(id=str(organization), text=text))
        return happenings

    def received(self) -> Sequence[Receipt]:
        """Return the organization fields that were set, and what was done to tickets, by organization."""
        simulator = self._simulator
        with simulator.lock:
            requests = [entry for entry in simulator.log.matching(method="PUT") if entry.status == 200]
            new, self._seen = requests[self._seen :], len(requests)
            receipts: list[Receipt] = []
            for entry in new:
                receipts += self._receipts(entry.path, entry.params)
        return receipts

    def _receipts(self, path: str, params: Mapping[str, Json]) -> list[Receipt]:
        parts = path.removeprefix("/api/v2/").split("/")
        if parts[0] == "organizations":
            rows = params.get("organizations") or [{**(params.get("organization") or {}), "id": parts[1]}]
            return [Receipt(subject=str(row["id"]), text=_pairs(row.get("organization_fields") or {})) for row in rows]
        ticket = self._simulator.state.tables["ticket"].get(int(parts[1])) if parts[1:] and parts[1].isdigit() else None
        if ticket is None or ticket["organization_id"] is None:
            return []
        done = {"tags": params["tags"]} if parts[2:] == ["tags"] else params.get("ticket") or {}
        shown = {name: value for name, value in done.items() if name in {"priority", "tags", "assignee_id", "group_id"}}
        if "comment" in done:
            shown["note"] = "written"
        return [Receipt(subject=str(ticket["organization_id"]), text=f"ticket {ticket['id']}: {_pairs(shown)}")]

    def close(self) -> None:
        """Stop the server."""
        self._server.close()


def _pairs(values: Mapping[str, Json]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items()))
