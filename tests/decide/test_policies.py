from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from wellkept import Column, Effect, Frame, MessageSend, Policy, ScorePush, Target, TaskCreate
from wellkept.effects import Payload
from wellkept.errors import ConfigError
from wellkept.settings import Push

MakeFrame = Callable[..., Frame]


class Red(Policy):
    """A task for every account whose health is below 50."""

    name = "red"
    version = "1"

    def __init__(self, payload: Payload | None = None, **change: Any) -> None:
        self.payload = payload or TaskCreate(title="call them")
        self.change = change
        self.seen: list[list[str]] = []

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"health"})

    def decide(self, frame: Frame) -> Iterable[Effect]:
        self.seen.append(list(frame.accounts))
        for row in frame.rows():
            health = row["health"]
            if isinstance(health, (int, float)) and health < 50:
                fields = {"key": row.account, "payload": self.payload, "account": row.account, "reason": "red"}
                yield Effect(**{**fields, **self.change})


class Broken(Policy):
    name = "broken"
    version = "1"
    uses = frozenset({"health"})

    def decide(self, frame: Frame) -> Iterable[Effect]:
        yield Effect(payload=TaskCreate(title="never"), account="a", key="1", reason="")
        raise RuntimeError("ask bob@example.com")


def healths(frame: MakeFrame, **values: float | None) -> Frame:
    return frame({account: {"health": value} for account, value in values.items()})


# --- priming ---


def test_the_first_run_takes_note_and_the_second_acts_on_what_changed(world: Any, frame: MakeFrame) -> None:
    report = world.decide(healths(frame, a=10, b=90), Red())
    assert report.primed == ["books/red"]
    assert (report.planned, report.held) == (0, 0)
    assert world.keys("superseded") == ["books/red/a"]
    report = world.decide(healths(frame, a=10, b=20), Red())
    assert (report.planned, report.primed) == (1, [])
    assert world.keys("planned") == ["books/red/b"]


def test_planning_a_key_again_plans_nothing(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Red())
    world.decide(healths(frame, a=10), Red())
    report = world.decide(healths(frame, a=10), Red())
    assert report.planned == 0
    assert world.keys("planned") == ["books/red/a"]


def test_a_new_version_is_not_primed_again(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Red())
    newer = Red()
    newer.version = "2"  # type: ignore[misc]
    report = world.decide(healths(frame, a=10), newer)
    assert (report.planned, report.primed) == (1, [])
    assert world.effects("planned")[0].policy_version == "2"


def test_a_renamed_policy_is_primed_anew(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Red())
    renamed = Red()
    renamed.name = "crimson"
    assert world.decide(healths(frame, a=10), renamed).primed == ["books/crimson"]
    assert world.effects("planned") == []


def test_an_account_on_hold_while_priming_is_primed_when_its_data_are_back(world: Any, frame: MakeFrame) -> None:
    world.decide(frame({"a": {"health": None}, "b": {"health": 90}}, gaps={"a": {"health": "stale"}}), Red())
    world.decide(frame({"a": {"health": None}, "b": {"health": 90}}, gaps={"a": {"health": "anomaly"}}), Red())
    world.decide(healths(frame, a=10, b=90), Red())
    assert world.effects("planned") == []
    world.decide(healths(frame, a=10, b=20), Red())
    assert world.keys("planned") == ["books/red/b"]
    assert world.table("SELECT * FROM unprimed") == []


def test_a_frame_without_accounts_primes_nobody(world: Any, frame: MakeFrame) -> None:
    empty = healths(frame, a=10).select([])
    assert world.decide(empty, Red()).primed == []
    assert world.decide(healths(frame, a=10), Red()).primed == ["books/red"]
    assert world.effects("planned") == []


def rename(world: Any, old: str, new: str) -> None:
    """An older record joins an account, which is called after it from now on."""

    def job(tx: Any) -> None:
        tx.execute("INSERT INTO accounts (id, state, created_at, updated_at) VALUES (?, 'active', 0, 0)", (new,))
        tx.execute("UPDATE accounts SET state = 'merged', merged_into = ? WHERE id = ?", (new, old))
        tx.execute("UPDATE links SET account = ? WHERE account = ?", (new, old))

    world.store.write_now(job)


def test_an_account_that_is_called_otherwise_is_not_acted_on_twice(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(healths(frame, a=90), Red())
    world.decide(healths(frame, a=10), Red())
    rename(world, "a", "older")
    assert world.decide(healths(frame, older=10), Red()).planned == 0
    assert world.keys("planned") == ["books/red/a"]


def test_an_account_that_was_primed_stays_primed_under_another_id(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b")
    world.decide(frame({"a": {"health": None}, "b": {"health": 10}}, gaps={"a": {"health": "stale"}}), Red())
    rename(world, "a", "a_older")
    rename(world, "b", "b_older")
    world.decide(healths(frame, a_older=10, b_older=10), Red())
    assert world.effects("planned") == []


# --- holds ---


@pytest.mark.parametrize("gap", ["stale", "anomaly"])
def test_data_that_cannot_be_believed_trigger_nothing_and_say_why(world: Any, frame: MakeFrame, gap: str) -> None:
    world.decide(healths(frame, a=90, b=90), Red())
    policy = Red()
    view = frame({"a": {"health": None}, "b": {"health": 10}}, gaps={"a": {"health": gap}})
    report = world.decide(view, policy)
    assert policy.seen == [["b"]]
    assert report.on_hold == 1
    word = "stale" if gap == "stale" else "anomalous"
    assert world.table("SELECT policy, account, reason FROM holds") == [("books/red", "a", f"health is {word}")]
    world.decide(healths(frame, a=90, b=10), Red())
    assert world.table("SELECT * FROM holds") == []


def test_holds_of_a_policy_that_is_gone_are_dropped(world: Any, frame: MakeFrame) -> None:
    view = frame({"a": {"health": None}}, gaps={"a": {"health": "stale"}})
    world.decide(view, Red())
    assert len(world.table("SELECT * FROM holds")) == 1
    world.decide(view)
    assert world.table("SELECT * FROM holds") == []


def test_a_policy_cannot_act_on_an_account_that_it_was_not_shown(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90, b=90), Red())
    view = frame({"a": {"health": 10}, "b": {"health": None}}, gaps={"b": {"health": "stale"}})
    report = world.decide(view, Red(account="b"))
    assert world.effects("planned") == []
    assert "not shown" in report.failures[0].message


def test_a_policy_sees_only_the_columns_that_it_declares(world: Any, frame: MakeFrame) -> None:
    class Peeping(Red):
        def decide(self, frame: Frame) -> Iterable[Effect]:
            frame.column("mrr")
            return []

    report = world.decide(frame({"a": {"health": 10, "mrr": 5}}), Peeping())
    assert "mrr" in report.failures[0].message


# --- failures ---


def test_a_policy_that_raises_is_named_plans_nothing_and_stops_no_other(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Broken(), Red())
    report = world.decide(healths(frame, a=10), Broken(), Red())
    assert [(item.instance, item.name) for item in report.failures] == [("books", "broken")]
    assert "bob@" not in report.failures[0].message
    assert world.keys("planned") == ["books/red/a"]


def test_a_missing_column_names_the_nearest(world: Any, frame: MakeFrame) -> None:
    report = world.decide(frame({"a": {"helth": 10}}), Red())
    assert report.failures[0].message == "there is no column 'health'; did you mean 'helth'?"
    assert report.primed == []


def test_bind_complains_by_name(world: Any, frame: MakeFrame) -> None:
    class Picky(Red):
        def bind(self, columns: Mapping[str, Column]) -> None:
            raise ConfigError(f"{columns['health'].name} is no money", key="rules.0.when")

    report = world.decide(healths(frame, a=10), Picky())
    assert "rules.0.when: health is no money" in report.failures[0].message


@pytest.mark.parametrize("junk", ["not an effect", 7])
def test_what_is_no_effect_is_reported(world: Any, frame: MakeFrame, junk: Any) -> None:
    class Junk(Red):
        def decide(self, frame: Frame) -> Iterable[Effect]:
            return [junk]

    report = world.decide(healths(frame, a=10), Junk())
    assert "among its effects" in report.failures[0].message


def test_one_bad_effect_stops_no_other(world: Any, frame: MakeFrame) -> None:
    class Half(Red):
        def decide(self, frame: Frame) -> Iterable[Effect]:
            for effect in super().decide(frame):
                yield Effect(payload=effect.payload, account="a", key="", reason="no key") if effect.account == "a" else effect

    world.decide(healths(frame, a=90, b=90), Half())
    report = world.decide(healths(frame, a=10, b=10), Half())
    assert world.keys("planned") == ["books/red/b"]
    assert report.failures[0].subjects == ("a",)


# --- what an effect waits for ---


def held(world: Any) -> tuple[str, str]:
    (entry,) = world.effects("held")
    return entry.hold, entry.note


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        (MessageSend(template="alert", to="team", variables={"subject": "x"}), "needs body"),
        (MessageSend(template="alrt", to="team"), "mail has no template 'alrt'; it has alert"),
    ],
)
def test_a_message_that_no_template_can_carry_is_held(world: Any, frame: MakeFrame, payload: Payload, note: str) -> None:
    world.decide(healths(frame, a=90), Red(payload))
    report = world.decide(healths(frame, a=10), Red(payload))
    assert (report.planned, report.held) == (0, 1)
    hold, why = held(world)
    assert hold == "wait"
    assert note in why


def test_a_message_with_its_template_and_variables_is_planned(world: Any, frame: MakeFrame) -> None:
    payload = MessageSend(template="alert", to="team", variables={"subject": "x", "body": "y"})
    world.decide(healths(frame, a=90), Red(payload))
    assert world.decide(healths(frame, a=10), Red(payload)).planned == 1


def test_a_capability_that_nobody_serves_is_held_and_says_how_to_mend_it(world: Any, frame: MakeFrame) -> None:
    world.actions = [pair for pair in world.actions if pair[0] != "tasks"]
    world.decide(healths(frame, a=90), Red())
    world.decide(healths(frame, a=10), Red())
    hold, why = held(world)
    assert hold == "wait"
    assert why == "nobody serves task.create; enable a plugin that does, or take the rule that asks for task.create away"


def test_a_target_whose_instance_does_not_serve_it_is_held(world: Any, frame: MakeFrame) -> None:
    target = Target(instance="crm", type="account", id="a")
    world.decide(healths(frame, a=90), Red(target=target))
    world.decide(healths(frame, a=10), Red(target=target))
    assert "let crm serve it" in held(world)[1]


def test_an_effect_without_account_is_held(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Red(account=None))
    world.decide(healths(frame, a=10), Red(account=None))
    assert held(world) == ("wait", "it names no account")


def test_a_policy_may_ask_for_approval(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Red(approval=True))
    world.decide(healths(frame, a=10), Red(approval=True))
    assert held(world) == ("approval", "approval: the rule asks for it")


# --- state effects of policies ---


def test_a_state_effect_finds_the_accounts_record(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b")
    payload = ScorePush(properties={"tier": "risk"})
    world.decide(healths(frame, a=90, b=90), Red(payload))
    world.decide(healths(frame, a=10, b=90), Red(payload))
    assert world.fields("planned") == {"a": {"tier": "risk"}}
    assert world.decide(healths(frame, a=10, b=90), Red(payload)).planned == 0


def test_a_state_effect_is_primed_as_a_baseline(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    payload = ScorePush(properties={"tier": "risk"})
    world.decide(healths(frame, a=10), Red(payload))
    assert world.decide(healths(frame, a=10), Red(payload)).planned == 0
    assert world.table("SELECT field, value, effect_key FROM pushed") == [("tier", '"risk"', None)]


def test_a_state_effect_with_two_possible_servants_is_refused(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.accounts("a", instance="desk")
    world.actions.append(("desk", type(world.actions[0][1])()))
    world.decide(healths(frame, a=90), Red(ScorePush(properties={"x": 1})))
    report = world.decide(healths(frame, a=10), Red(ScorePush(properties={"x": 1})))
    assert "crm and desk could both serve score.push" in report.failures[0].message
    target = Target(instance="desk", type="account", id="a")
    world.decide(healths(frame, a=10), Red(ScorePush(properties={"x": 1}), target=target))
    assert [entry.instance for entry in world.effects("planned")] == ["desk"]


# --- mass guard ---


def many(frame: MakeFrame, red: int, total: int = 100) -> Frame:
    return frame({f"a{index:03d}": {"health": 10 if index < red else 90} for index in range(total)})


def test_a_run_that_plans_too_many_effects_is_held_whole(world: Any, frame: MakeFrame) -> None:
    world.accounts("a000")
    push = Push(to="crm", properties={"health": "health"})
    world.decide(many(frame, 0), Red(), pushes=[push], max_effects=5)
    report = world.decide(many(frame, 6), Red(), pushes=[push], max_effects=5)
    assert (report.planned, report.held) == (0, 7)
    assert report.mass == "mass: the run planned 7 effects, more than max_effects = 5"
    assert world.effects("planned") == []
    assert {(entry.hold, entry.note) for entry in world.effects("held")} == {("approval", report.mass)}
    from wellkept.store import approvals

    run_id = world.effects("held")[0].run_id
    world.store.write_now(lambda tx: approvals.approve(tx, run=run_id, now=world.now))
    assert len(world.effects("planned")) == 7


def test_a_run_that_touches_too_many_accounts_is_held_whole(world: Any, frame: MakeFrame) -> None:
    world.decide(many(frame, 0), Red(), max_share=0.25)
    assert world.decide(many(frame, 25), Red(), max_share=0.25).planned == 25
    report = world.decide(many(frame, 25 + 26), Red(), max_share=0.25)
    assert (report.planned, report.held) == (0, 26)
    assert report.mass == "mass: the run touches 26 of 100 accounts, more than max_share = 0.25"


def test_the_share_counts_only_above_a_number_of_accounts(world: Any, frame: MakeFrame) -> None:
    world.decide(many(frame, 0, 20), Red(), max_share=0.25)
    assert world.decide(many(frame, 20, 20), Red(), max_share=0.25, min_accounts=20).planned == 20


def test_effects_that_wait_anyway_are_held_for_approval_in_a_mass_run(world: Any, frame: MakeFrame) -> None:
    world.actions = [pair for pair in world.actions if pair[0] != "tasks"]
    world.decide(many(frame, 0), Red(), max_effects=5)
    world.decide(many(frame, 6), Red(), max_effects=5)
    assert {entry.hold for entry in world.effects("held")} == {"approval"}
