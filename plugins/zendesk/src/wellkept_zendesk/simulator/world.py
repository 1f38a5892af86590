"""The market as a helpdesk sees it: organizations and people of the sightings, and tickets that follow from each one's fate."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from wellkept.testing.world import Human, Sighting
from wellkept_zendesk.simulator import objects
from wellkept_zendesk.simulator.scenarios import Scenarios
from wellkept_zendesk.simulator.state import Obj, State

HOUR = 3600
DAY = 86_400

GROUPS = ("Support", "Billing", "Escalations")
AGENTS = ("Ines Agent", "Tomoko Agent", "Karl Agent")

CHANNELS = (
    ("email", None, 40),
    ("web", None, 25),
    ("voice", None, 10),
    ("chat", None, 10),
    ("wechat", None, 6),
    ("any_channel", "QQ", 4),
    ("whatsapp", None, 5),
)
"""Way, name of the integration, weight."""

QUESTIONS = (
    "How do I invite a colleague?",
    "Export to CSV stops half-way",
    "Invoice shows the wrong address",
    "Dashboard loads slowly since Monday",
    "Can we use single sign-on?",
    "The report counts a day twice",
    "导出报表时出错",
    "Passwort lässt sich nicht ändern",
)
ANGRY = (
    "Still broken after three replies",
    "Nobody answers us",
    "This is the fourth outage this month",
    "We pay for this and it does not work",
)
LEAVING = (
    "We want to cancel our subscription at the end of the month",
    "How can I close our account?",
    "We are moving to another vendor",
    "我们打算取消订阅",
)
PRAISE, BLAME = ("Quick and kind, thank you", "Solved at once"), ("Took far too long", "The answer did not help")


class Habit(NamedTuple):
    """How customers of one fate use support.

    Attributes:
        tickets: Fewest and most tickets in `days`.
        days: How far back they begin ...
        quiet: ... and how many days ago they ended.
        reply: Hours until the first reply, at the least and at the most.
        good: Share of answered ratings that are good.
        reopened: Share of tickets that are reopened.
    """

    tickets: tuple[int, int]
    days: int = 110
    quiet: int = 0
    reply: tuple[float, float] = (0.5, 6)
    good: float = 0.9
    reopened: float = 0.05


HABITS = {
    "thriving": Habit((2, 5), good=0.95),
    "steady": Habit((1, 4)),
    "fading": Habit((1, 3), quiet=10),
    "silent": Habit((0, 2), quiet=45),
    "struggling": Habit((7, 12), days=60, reply=(20, 90), good=0.15, reopened=0.4),
    "leaving": Habit((3, 6), days=80, reply=(4, 30), good=0.35, reopened=0.15),
    "failing": Habit((1, 3)),
    "new": Habit((1, 4), days=50, good=0.9),
}


def staff(state: State, began: int) -> Obj:
    """Hire the agents, and return the admin."""
    state.at = began
    admin = state.add("user", objects.user("Ada Admin", email="ada@helpdesk.example", role="admin"))
    for name in AGENTS:
        state.add("user", objects.user(name, email=f"{name.split()[0].lower()}@helpdesk.example", role="agent"))
    for name in GROUPS:
        state.add("group", {"name": name, "deleted": False, "default": name == GROUPS[0], "description": ""})
    state.at = None
    return admin


class Writer:
    """Writes the past of an account. Nothing of it makes events.

    Args:
        simulator: The account.
        seed: Decides everything that is drawn.
        tickets: Whether there are tickets at all.
    """

    def __init__(self, simulator: Scenarios, *, seed: int, tickets: bool = True) -> None:
        self._simulator = simulator
        self._state = simulator.state
        self._draw = random.Random(f"helpdesk/{seed}")  # noqa: S311 - a simulation
        self._tickets = tickets
        self._users: dict[str, Obj] = {}
        self._names: set[str] = set()
        self._external_ids: set[str] = set()
        self._people: dict[int, list[Obj]] = {}
        self.ids: dict[str, int] = {}
        """Organizations by the reference of their sighting."""

    def write(self, sightings: Sequence[Sighting]) -> None:
        """Write organizations, people, tickets, and the merges of what was merged."""
        state, now = self._state, self._state.now
        for sighting in sightings:
            state.at = min(now - DAY, sighting.created_at // 1000)
            self._sighting(sighting)
        state.at = now - 2 * HOUR
        for sighting in sightings:
            if sighting.merged_into is not None and sighting.merged_into in self.ids:
                loser, winner = self.ids[sighting.ref], self.ids[sighting.merged_into]
                self._simulator.merge_organizations(loser, winner)
                self._people.setdefault(winner, []).extend(self._people.pop(loser, ()))
        if self._tickets:
            for sighting in sightings:
                if sighting.merged_into is None:
                    self._history(sighting, now)
        state.at = None

    def _sighting(self, sighting: Sighting) -> None:
        name = sighting.name if sighting.name.casefold() not in self._names else f"{sighting.name} ({sighting.ref})"
        self._names.add(name.casefold())
        row = objects.organization(
            name,
            external_id=self._unused(sighting.external_id),
            domain_names=list(sighting.domains),
            tags=["test"] if sighting.test else [],
        )
        self.ids[sighting.ref] = int(self._state.add("organization", row)["id"])
        for human in sighting.people:
            self._person(human, self.ids[sighting.ref])

    def _unused(self, external_id: str | None) -> str | None:
        """Return an external id, unless another organization has it: they are unique, whatever their case."""
        if external_id is None or external_id.casefold() in self._external_ids:
            return None
        self._external_ids.add(external_id.casefold())
        return external_id

    def _person(self, human: Human, organization: int) -> None:
        """Write a person. Addresses are unique: who is seen at two organizations belongs to the first."""
        key = (human.email or human.key).casefold()
        if key in self._users:
            return
        row = objects.user(
            human.name,
            email=human.email,
            phone=human.phone,
            organization_id=organization,
            locale=human.locale,
            verified=human.email is not None,
        )
        self._users[key] = self._state.add("user", row)
        self._people.setdefault(organization, []).append(self._users[key])

    def _history(self, sighting: Sighting, now: int) -> None:
        organization = self.ids[sighting.ref]
        people = self._people.get(organization, [])
        habit = HABITS[sighting.company.fate]
        born = sighting.created_at // 1000
        start, end = max(born, now - habit.days * DAY), now - habit.quiet * DAY - 3 * HOUR
        if not people or end <= start or sighting.test:
            return
        for number in range(self._draw.randint(*habit.tickets)):
            self._state.at = self._draw.randrange(start, end)
            self._ticket(people, sighting.company.fate, habit, now, first=number == 0)

    def _ticket(self, people: Sequence[Obj], fate: str, habit: Habit, now: int, *, first: bool) -> None:
        draw, simulator, state = self._draw, self._simulator, self._state
        texts = LEAVING if fate == "leaving" and first else ANGRY if fate == "struggling" and draw.random() < 0.5 else QUESTIONS
        if fate == "leaving" and first:
            state.at = now - draw.randrange(2 * DAY, 12 * DAY)
        channel, service, _ = draw.choices(CHANNELS, weights=[weight for *_, weight in CHANNELS])[0]
        id_ = simulator.new_ticket(draw.choice(people)["id"], draw.choice(texts), channel=channel, service=service)
        row = state.get("ticket", id_)
        row["priority"] = draw.choices((None, "low", "normal", "high"), weights=(30, 15, 45, 10))[0]
        at = state.now
        for wait, step in ((draw.uniform(*habit.reply), "reply"), (draw.uniform(1, 20), "solved")):
            at += round(wait * HOUR)
            if at >= now - 3 * HOUR:
                return
            state.at = at
            if step == "reply":
                simulator.reply(id_)
            else:
                simulator.set_status(id_, "solved")
        if draw.random() < habit.reopened and at < now - DAY:
            state.at = at + 6 * HOUR
            simulator.reopen(id_)
            state.at = at + 18 * HOUR
            simulator.set_status(id_, "solved")
        self._rating(id_, habit, now)

    def _rating(self, ticket: int, habit: Habit, now: int) -> None:
        draw, state = self._draw, self._state
        state.at = min(now - HOUR, state.now + DAY)
        self._simulator.rate(ticket, "offered")
        if draw.random() < 0.5:
            good = draw.random() < habit.good
            self._simulator.rate(ticket, "good" if good else "bad", draw.choice(PRAISE if good else BLAME))
