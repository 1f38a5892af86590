"""A rule acts once per episode, never in doubt, and looks again before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wellkept import Column, Effect, Fact, Frame, MessageSend, Step, TaskCreate
from wellkept.errors import ConfigError
from wellkept_playbooks.config import HOUR, PlaybooksConfig, RuleTable
from wellkept_playbooks.rule import Episode, Rule, words

DAY = 24 * HOUR
COLUMNS = {
    "health": Column(name="health", unit="points", doc="-"),
    "health_band": Column(name="health_band", unit="text", doc="-"),
    "mrr": Column(name="mrr", unit="money", doc="-", currency="usd"),
    "paused": Column(name="paused", unit="flag", doc="-"),
}
RED = {"health": 31.0, "health_band": "red", "mrr": 81_200, "paused": False}
GREEN = {**RED, "health": 88.0, "health_band": "green"}


def rule(**changes: Any) -> Rule:
    table = {
        "name": "big account turned red",
        "when": "health_band == 'red' and mrr > usd(500)",
        "do": ["task: owner", "mail: team"],
        "cooldown": "30d",
    }
    return Rule(RuleTable.model_validate({**table, **changes}))


def frame(cells: Mapping[str, Any], account: str = "acct_1") -> Frame:
    return Frame(date(2026, 11, 21), [account], COLUMNS, {name: [cells.get(name)] for name in COLUMNS})


def fact(cells: Mapping[str, Any], at: int = 0, *, account: str = "acct_1", priming: bool = False) -> Fact:
    row = next(frame(cells, account).rows())
    return Fact(subject=account, cause="frame", at=at, account=account, row=row, priming=priming)


class World:
    def __init__(self, cells: Mapping[str, Any] | None) -> None:
        self._cells = cells
        self.now = 0

    def row(self, account: str) -> Any:
        return None if self._cells is None else next(frame(self._cells, account).rows())

    def records(self, record: Any, account: str) -> list[Any]:
        return []

    def record(self, record: Any, id_: str, *, instance: str) -> None:
        return None


def play(machine: Rule, *steps: tuple[Mapping[str, Any], int]) -> list[Effect]:
    state, effects = machine.initial("acct_1"), list[Effect]()
    for cells, at in steps:
        step = machine.step(state, fact(cells, at))
        state = step.state
        effects += step.effects
    return effects


def test_it_does_what_it_says_when_the_condition_becomes_true() -> None:
    task, mail = play(rule(), (GREEN, 0), (RED, 1))
    assert isinstance(task.payload, TaskCreate)
    assert task.payload.assignee == "owner"
    assert isinstance(mail.payload, MessageSend)
    assert (mail.payload.to, mail.payload.template) == ("team", "alert")
    assert mail.payload.variables["text"] == "health_band: red, mrr: 812.00 USD"
    assert task.key != mail.key
    assert "mrr: 812.00 USD" in mail.reason


def test_it_acts_once_per_episode() -> None:
    assert len(play(rule(cooldown=None), (GREEN, 0), (RED, 1), (RED, 2), (RED, 3))) == 2


def test_a_new_episode_acts_again_with_other_keys() -> None:
    effects = play(rule(cooldown=None), (RED, 1), (GREEN, 2), (RED, 3))
    assert len({effect.key for effect in effects}) == len(effects) == 4


@pytest.mark.parametrize(("days", "count"), [(29, 2), (30, 4)])
def test_cooldown_counts_from_the_last_action(days: int, count: int) -> None:
    assert len(play(rule(), (RED, 0), (GREEN, 1), (RED, days * DAY))) == count


def test_unknown_neither_begins_nor_ends_an_episode() -> None:
    unknown = {**RED, "health_band": None}
    assert play(rule(), (GREEN, 0), (unknown, 1)) == []
    assert len(play(rule(cooldown=None), (RED, 0), (unknown, 1), (RED, 2))) == 2


def test_priming_takes_note_and_starts_no_cooldown() -> None:
    machine = rule()
    primed = machine.step(machine.initial("acct_1"), fact(RED, 0, priming=True))
    assert primed == Step(state=Episode(active=True, number=1))
    well = machine.step(primed.state, fact(GREEN, 1)).state
    assert len(machine.step(well, fact(RED, 2)).effects) == 2


@pytest.mark.parametrize("paused", [True, None])
def test_an_exception_stops_it_and_so_does_one_that_is_unknown(paused: bool | None) -> None:
    machine = rule(unless="paused")
    assert play(machine, (GREEN, 0), ({**RED, "paused": paused}, 1)) == []
    assert len(play(machine, (GREEN, 0), (RED, 1))) == 2


@pytest.mark.parametrize(
    ("cells", "action"),
    [
        (RED, "proceed"),
        (GREEN, "expire"),
        ({**RED, "mrr": None}, "hold"),
        ({**RED, "paused": True}, "expire"),
        ({**RED, "paused": None}, "expire"),
        (None, "expire"),
    ],
)
def test_recheck_looks_again(cells: Mapping[str, Any] | None, action: str) -> None:
    machine = rule(unless="paused")
    effect = play(machine, (RED, 0))[0]
    assert machine.recheck(effect, World(cells)).action == action


def test_approval_is_passed_on() -> None:
    assert all(effect.approval for effect in play(rule(approval=True), (RED, 0)))
    assert not any(effect.approval for effect in play(rule(), (RED, 0)))


@given(st.text(min_size=1), st.floats(0, 1))
def test_an_arm_never_changes(account: str, share: float) -> None:
    assert rule(holdout=share).arm(account) == rule(holdout=share).arm(account)


def test_the_holdout_takes_its_share_and_only_pretends() -> None:
    machine = rule(holdout=0.3)
    accounts = [f"acct_{number}" for number in range(2000)]
    controls = [account for account in accounts if machine.arm(account) == "holdout"]
    assert 0.26 < len(controls) / len(accounts) < 0.34
    step = machine.step(Episode(), fact(RED, 7, account=controls[0]))
    assert step == Step(state=Episode(active=True, number=1, acted_at=7, arm="holdout"))
    assert rule(name="another rule", holdout=0.3).arm(controls[0]) in {"act", "holdout"}


def test_texts_of_ones_own() -> None:
    do = [
        {"task": "owner", "title": "Call: health is {health}", "due": "3d"},
        {"mail": "billing", "template": "card_expiring", "variables": {"amount": "{mrr}"}},
    ]
    task, mail = play(rule(do=do), (RED, 1000))
    assert isinstance(task.payload, TaskCreate)
    assert (task.payload.title, task.payload.due_at) == ("Call: health is 31", 1000 + 3 * DAY)
    assert isinstance(mail.payload, MessageSend)
    assert (mail.payload.to, mail.payload.template, mail.payload.variables["amount"]) == (
        "billing",
        "card_expiring",
        "812.00 USD",
    )


def test_dollars_are_not_compared_with_yen() -> None:
    columns = {**COLUMNS, "mrr": Column(name="mrr", unit="money", doc="-", currency="jpy")}
    with pytest.raises(ConfigError, match=r"(?i)jpy"):
        rule().bind(columns)
    rule().bind(COLUMNS)


@pytest.mark.parametrize(
    ("cell", "column", "text"),
    [
        (None, "mrr", "unknown"),
        (True, "paused", "yes"),
        (False, "paused", "no"),
        (81_200, "mrr", "812.00 USD"),
        (72.46, "health", "72.5"),
        (70.0, "health", "70"),
        ("red", "health_band", "red"),
    ],
)
def test_words(cell: Any, column: str, text: str) -> None:
    assert words(cell, COLUMNS[column]) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"when": "health_band = 'red'"}, "=="),
        ({"do": ["mail team"]}, "mail: WHO"),
        ({"do": ["mail: everybody"]}, "pattern"),
        ({"do": ["task: owner with alert"]}, "no template"),
        ({"do": [{"mail": "team", "task": "owner"}]}, "either"),
        ({"do": [{"mail": "team", "due": "3d"}]}, "for tasks"),
        ({"do": [{"mail": "team", "title": "{health band}"}]}, "name of a column"),
        ({"do": []}, "at least 1"),
        ({"cooldown": "a month"}, "span"),
        ({"holdout": 1.5}, "less than or equal"),
        ({"whenn": "True"}, "Extra inputs"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rule(**change)


def test_two_rules_of_one_name_are_refused() -> None:
    table = {"name": "twice", "when": "health < 1", "do": ["mail: team"]}
    with pytest.raises(ValidationError, match="twice"):
        PlaybooksConfig.model_validate({"rules": [table, table]})
