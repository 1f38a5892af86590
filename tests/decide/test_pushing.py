from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept import Column, Frame
from wellkept.pipeline.pushing import outward
from wellkept.settings import Push

MakeFrame = Callable[..., Frame]
PUSH = Push(to="crm", properties={"score": "health", "band": "health_band"})


def row(health: float | None, band: str | None = "green") -> dict[str, Any]:
    return {"health": health, "health_band": band}


def test_the_first_run_takes_note_and_only_changes_move(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b")
    report = world.decide(frame({"a": row(72), "b": row(31, "red")}), pushes=[PUSH])
    assert report.primed == ["push/crm/score", "push/crm/band"]
    assert report.planned == 0
    report = world.decide(frame({"a": row(72), "b": row(30, "red")}), pushes=[PUSH])
    assert (report.planned, report.primed) == (1, [])
    assert world.fields("planned") == {"b": {"score": 30}}
    assert world.decide(frame({"a": row(72), "b": row(30, "red")}), pushes=[PUSH]).planned == 0


def test_the_newest_value_takes_the_place_of_a_planned_one(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    for health in (72, 60, 50):
        world.decide(frame({"a": row(health)}), pushes=[PUSH])
    assert world.fields("planned") == {"a": {"score": 50}}
    assert world.fields("superseded") == {"a": {"score": 60}}


def test_first_all_pushes_every_account_once(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b")
    push = Push(to="crm", properties={"score": "health"}, first="all")
    report = world.decide(frame({"a": row(72), "b": row(31)}), pushes=[push])
    assert (report.planned, report.primed) == (2, [])
    assert world.fields("planned") == {"a": {"score": 72}, "b": {"score": 31}}


def test_a_large_first_push_waits_for_approval(world: Any, frame: MakeFrame) -> None:
    names = [f"a{index:02d}" for index in range(30)]
    world.accounts(*names)
    push = Push(to="crm", properties={"score": "health"}, first="all")
    report = world.decide(frame({name: row(50) for name in names}), pushes=[push], max_share=0.25)
    assert report.mass is not None
    assert world.effects("planned") == []


def test_a_property_that_is_added_later_is_primed_on_its_own(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(frame({"a": row(72)}), pushes=[Push(to="crm", properties={"score": "health"})])
    report = world.decide(frame({"a": row(70)}), pushes=[PUSH])
    assert report.primed == ["push/crm/band"]
    assert world.fields("planned") == {"a": {"score": 70}}


def test_a_new_customer_is_pushed_after_the_first_run(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(frame({"a": row(72)}), pushes=[PUSH])
    world.accounts("b")
    world.decide(frame({"a": row(72), "b": row(90)}), pushes=[PUSH])
    assert world.fields("planned") == {"b": {"score": 90, "band": "green"}}


@pytest.mark.parametrize("gap", ["stale", "anomaly", "none", "unmatched"])
def test_unknown_values_are_never_pushed(world: Any, frame: MakeFrame, gap: str) -> None:
    world.accounts("a")
    world.decide(frame({"a": row(72)}), pushes=[PUSH])
    report = world.decide(frame({"a": row(None, "red")}, gaps={"a": {"health": gap}}), pushes=[PUSH])
    assert world.fields("planned") == {"a": {"band": "red"}}
    assert report.on_hold == (1 if gap in {"stale", "anomaly"} else 0)


def test_a_value_that_was_on_hold_while_priming_is_primed_when_it_is_back(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(frame({"a": row(None)}, gaps={"a": {"health": "stale"}}), pushes=[PUSH])
    world.decide(frame({"a": row(50)}), pushes=[PUSH])
    assert world.effects("planned") == []
    world.decide(frame({"a": row(40)}), pushes=[PUSH])
    assert world.fields("planned") == {"a": {"score": 40}}


def test_where_decides_which_accounts(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b", "c")
    push = Push(to="crm", properties={"score": "health"}, where="health_band == 'red'")
    world.decide(frame({"a": row(1), "b": row(2), "c": row(3)}), pushes=[push])
    view = frame({"a": row(11, "red"), "b": row(12), "c": row(13, None)}, gaps={"c": {"health_band": "stale"}})
    report = world.decide(view, pushes=[push])
    assert world.fields("planned") == {"a": {"score": 11}}
    assert report.on_hold == 1
    assert world.table("SELECT account, reason FROM holds") == [("c", "health_band cannot be believed")]


def test_holds_of_two_tables_to_one_vendor_stand_together(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b")
    pushes = [Push(to="crm", properties={"score": "health"}), Push(to="crm", properties={"band": "health_band"})]
    view = frame({"a": row(None), "b": row(1, None)}, gaps={"a": {"health": "stale"}, "b": {"health_band": "stale"}})
    assert world.decide(view, pushes=pushes).on_hold == 2
    assert world.table("SELECT policy, account FROM holds ORDER BY account") == [("push/crm", "a"), ("push/crm", "b")]


def test_an_account_outside_where_while_priming_is_pushed_when_it_comes_in(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    push = Push(to="crm", properties={"score": "health"}, where="health_band == 'red'")
    world.decide(frame({"a": row(None, None)}, gaps={"a": {"health": "stale", "health_band": "stale"}}), pushes=[push])
    world.decide(frame({"a": row(80)}), pushes=[push])
    world.decide(frame({"a": row(10, "red")}), pushes=[push])
    assert world.fields("planned") == {"a": {"score": 10}}


def test_accounts_without_a_record_there_are_left_alone_and_several_records_all_get_it(world: Any, frame: MakeFrame) -> None:
    world.accounts("a", "b")
    world.store.write_now(
        lambda tx: tx.execute(
            "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('account', 'crm', 'a2', 'a', '{}', 0)"
        )
    )
    from wellkept.records import Account

    world.records(Account(id="a2", version=1))
    push = Push(to="crm", properties={"score": "health"}, first="all")
    world.decide(frame({"a": row(5), "nobody": row(6)}), pushes=[push])
    assert world.fields("planned") == {"a": {"score": 5}, "a2": {"score": 5}}


@pytest.mark.parametrize(
    ("push", "message"),
    [
        (Push(to="cmr", properties={"s": "health"}), "no enabled instance 'cmr' serves score.push"),
        (Push(to="mail", properties={"s": "health"}), "no enabled instance 'mail' serves score.push"),
        (Push(to="crm", properties={"s": "healt"}), "there is no column 'healt'; did you mean 'health'?"),
        (Push(to="crm", properties={"s": "health"}, where="health >"), "where: "),
        (Push(to="crm", properties={"s": "health"}, where="helth > 3"), "where: "),
    ],
)
def test_a_table_that_cannot_work_is_named_and_stops_no_other(world: Any, frame: MakeFrame, push: Push, message: str) -> None:
    world.accounts("a")
    good = Push(to="crm", properties={"score": "health"}, first="all")
    report = world.decide(frame({"a": row(5)}), pushes=[push, good])
    assert message in report.failures[0].message
    assert world.fields("planned") == {"a": {"score": 5}}


@pytest.mark.parametrize(
    ("value", "unit", "currency", "out"),
    [
        (123450, "money", "usd", "1234.50"),
        (1234, "money", "jpy", "1234"),
        (1234, "money", "kwd", "1.234"),
        (-5, "money", "usd", "-0.05"),
        (1_795_219_200_000, "date", None, "2026-11-21"),
        ("2026-11-21", "date", None, "2026-11-21"),
        (0.123456, "ratio", None, 0.1235),
        (72.0, "points", None, 72),
        (72.15, "points", None, 72.15),
        (True, "flag", None, True),
        ("red", "text", None, "red"),
        (3, "count", None, 3),
        (None, "count", None, None),
    ],
)
def test_how_values_leave(value: Any, unit: Any, currency: str | None, out: Any) -> None:
    found = outward(value, Column(name="x", unit=unit, doc="", currency=currency))
    assert found == out
    assert type(found) is type(out)
