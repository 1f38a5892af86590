"""Rules over the account's open tickets: each is dealt with once, new ones as well, and solved ones not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

import wellkept_playbooks
from wellkept import Column, Effect, Fact, Frame, Step, Target, TicketAssign, TicketNote, TicketPriority, TicketTag
from wellkept.records import Ticket
from wellkept_playbooks.config import DoTable, RuleTable
from wellkept_playbooks.tickets import TicketEpisode, TicketRule

COLUMNS = {"health": Column(name="health", unit="points", doc="-"), "paused": Column(name="paused", unit="flag", doc="-")}
RED, GREEN = {"health": 31.0, "paused": False}, {"health": 88.0, "paused": False}
DO = ["priority: high", "tag: at-risk", "note: Health is {health}", "assign: group Escalations"]


def rule(**changes: Any) -> TicketRule:
    return TicketRule(RuleTable.model_validate({"name": "red", "when": "health < 50", "do": DO, **changes}))


def ticket(id_: str, status: str = "open", **more: Any) -> Ticket:
    return Ticket(id=id_, version=1, status=status, created_at=0, **more)


def fact(cells: Mapping[str, Any], *tickets: Ticket, at: int = 0, instance: str = "zendesk", priming: bool = False) -> Fact:
    row = next(Frame(date(2026, 11, 21), ["acct_1"], COLUMNS, {name: [cells.get(name)] for name in COLUMNS}).rows())
    targets = [Target(instance=instance, type="ticket", id=record.id) for record in tickets]
    return Fact(
        subject="acct_1",
        cause="frame",
        at=at,
        account="acct_1",
        row=row,
        related={"ticket": tickets},
        targets={"ticket": targets},
        priming=priming,
    )


def play(machine: TicketRule, *facts: Fact) -> list[list[Effect]]:
    state: Any = machine.initial("acct_1")
    found = []
    for each in facts:
        step: Step[Any] = machine.step(state, each)
        state = step.state
        found.append(list(step.effects))
    return found


def test_open_tickets_are_dealt_with_when_an_episode_begins() -> None:
    _, effects = play(rule(), fact(GREEN, ticket("1")), fact(RED, ticket("1"), ticket("2", "solved"), ticket("3", "pending")))
    assert {effect.target.id for effect in effects if effect.target} == {"1", "3"}
    assert {effect.target.instance for effect in effects if effect.target} == {"zendesk"}
    payloads = [effect.payload for effect in effects if effect.target and effect.target.id == "1"]
    assert payloads == [
        TicketPriority(properties={"priority": "high"}),
        TicketTag(properties={"at-risk": True}),
        TicketNote(text="Health is 31"),
        TicketAssign(properties={"group": "Escalations"}),
    ]
    notes = [effect.key for effect in effects if isinstance(effect.payload, TicketNote)]
    assert notes == ["acct_1/1/2/zendesk:1", "acct_1/1/2/zendesk:3"]


def test_a_ticket_that_comes_later_is_dealt_with_once() -> None:
    first, again, new, old = play(
        rule(), fact(RED, ticket("1")), fact(RED, ticket("1")), fact(RED, ticket("1"), ticket("2")), fact(RED, ticket("2"))
    )
    assert (len(first), again, old) == (4, [], [])
    assert {effect.target.id for effect in new if effect.target} == {"2"}


def test_a_new_episode_deals_with_them_anew() -> None:
    first, _, second = play(rule(), fact(RED, ticket("1")), fact(GREEN, ticket("1")), fact(RED, ticket("1")))
    assert len(first) == len(second) == 4
    keys = {effect.key for effect in first} & {effect.key for effect in second}
    assert keys == {""}, "state has no key of its own; a note of another episode is another note"


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"unless": "paused"}, [fact({**RED, "paused": True}, ticket("1")), fact({**RED, "paused": True}, ticket("2"))]),
        ({"holdout": 1.0}, [fact(RED, ticket("1")), fact(RED, ticket("2"))]),
        ({}, [fact(RED, ticket("1"), priming=True), fact(RED, ticket("2"))]),
        ({"cooldown": "30d"}, [fact(GREEN), fact(RED), fact(GREEN), fact(RED, ticket("1")), fact(RED, ticket("2"))]),
    ],
    ids=["unless", "holdout", "priming", "cooldown"],
)
def test_an_episode_in_which_nothing_is_done_spares_new_tickets_too(changes: dict[str, Any], facts: list[Fact]) -> None:
    assert [effect for effects in play(rule(**changes), *facts) for effect in effects] == []


def test_what_is_for_the_account_and_what_is_for_tickets() -> None:
    [effects] = play(rule(do=["task: owner", "priority: urgent"]), fact(RED, ticket("1"), ticket("2")))
    assert [effect.payload.capability for effect in effects] == ["task.create", "ticket.priority", "ticket.priority"]
    assert effects[0].target is None


class World:
    def __init__(self, found: Ticket | None) -> None:
        self.now = 0
        self._found = found

    def row(self, account: str) -> Any:
        return fact(RED).row

    def records(self, record: Any, account: str) -> list[Any]:
        return []

    def record(self, record: Any, id_: str, *, instance: str) -> Any:
        return self._found


@pytest.mark.parametrize(
    ("found", "action"),
    [(ticket("1"), "proceed"), (ticket("1", "solved"), "expire"), (ticket("1", solved_at=5), "expire"), (None, "expire")],
)
def test_a_ticket_is_looked_at_again(found: Ticket | None, action: str) -> None:
    machine = rule(do=["note: Call them"])
    [[effect]] = play(machine, fact(RED, ticket("1")))
    assert machine.recheck(effect, World(found)).action == action


def test_short_forms() -> None:
    forms = {
        "priority: urgent": {"priority": "urgent"},
        "tag: at_risk": {"tag": "at_risk"},
        "note: Be kind, {health} is low": {"note": "Be kind, {health} is low"},
        "assign: group Second Line": {"group": "Second Line"},
        "assign: agent 381": {"agent": "381"},
    }
    for short, table in forms.items():
        assert DoTable.model_validate(short) == DoTable.model_validate(table)
        assert DoTable.model_validate(short).on_tickets
    assert DoTable.model_validate({"group": "A", "agent": "1"}).on_tickets
    assert not DoTable.model_validate("mail: team").on_tickets


@pytest.mark.parametrize(
    "do",
    [
        "priority: hot",
        "tag: two words",
        "assign: Kim",
        "note:",
        {"priority": "high", "tag": "x"},
        {"mail": "team", "group": "A"},
        {"note": "x", "due": "1d"},
        {"note": "{Bad Name}"},
    ],
)
def test_mistakes(do: Any) -> None:
    with pytest.raises(ValidationError):
        DoTable.model_validate(do)


def test_only_rules_over_tickets_look_at_tickets() -> None:
    class Context:
        class config:  # noqa: N801 - the shape of a context
            rules = (
                RuleTable.model_validate({"name": "a", "when": "health < 50", "do": ["task: owner"]}),
                RuleTable.model_validate({"name": "b", "when": "health < 50", "do": ["tag: x"]}),
            )

    one, two = wellkept_playbooks.plugin.policies(Context())  # type: ignore[arg-type]
    assert (one.reads, two.reads) == ((), (Ticket,))  # type: ignore[attr-defined]
    assert isinstance(two.initial("acct_1"), TicketEpisode)  # type: ignore[attr-defined]
