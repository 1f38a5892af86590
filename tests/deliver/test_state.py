from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from wellkept import Outcome, StateDelivery, Target
from wellkept.errors import NotSentError, RetryableError
from wellkept.pipeline.undo import undo
from wellkept.store import audit, outbox, pushed

pytestmark = pytest.mark.both

TARGET = Target(instance="crm", type="account", id="cus_1")


def instead(outcome: Any) -> Any:
    def script(do: Any) -> Outcome:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    return script


def then(outcome: Any) -> Any:
    def script(do: Any) -> Outcome:
        do()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    return script


def fingerprints(world: Any) -> dict[str, Any]:
    with world.store.read() as reader:
        return {name: found.value for name, found in pushed.load(reader, TARGET, "score.push").items()}


# --- planning --------------------------------------------------------------------------------------------------------------


async def test_only_changes_move(world: Any) -> None:
    assert world.push(score=1, band="red")
    assert not world.push(score=1, band="red")
    await world.deliver()
    assert not world.push(score=1)
    assert world.push(score=2, band="red")
    await world.deliver()
    assert world.vendor.sets == [("cus_1", "band", "red"), ("cus_1", "score", 1), ("cus_1", "score", 2)]
    assert fingerprints(world) == {"score": 2, "band": "red"}


async def test_the_newest_value_supersedes_what_waits_field_by_field(world: Any) -> None:
    world.push(score=1, band="red")
    world.push(score=2)
    world.push(band="green")
    assert [(entry.state, entry.fields) for entry in world.entries()] == [
        ("superseded", {"band": "red"}),
        ("planned", {"score": 2}),
        ("planned", {"band": "green"}),
    ]
    await world.deliver()
    assert world.vendor.values == {"cus_1": {"score": "2", "band": "green"}}


async def test_held_values_are_superseded_too_and_never_let_loose(world: Any) -> None:
    world.push(score=1, band="red", state="held")
    world.push(score=2)
    await world.deliver()
    assert world.vendor.values == {"cus_1": {"score": "2"}}
    assert [(entry.state, entry.fields) for entry in world.entries()] == [
        ("held", {"band": "red"}),
        ("done", {"score": 2}),
    ]


async def test_back_to_what_the_vendor_has_needs_no_push(world: Any) -> None:
    world.push(score=1)
    await world.deliver()
    world.push(score=2)
    assert not world.push(score=1)
    assert [entry.state for entry in world.entries()] == ["done", "superseded"]


async def test_equal_is_equal_in_kind_as_well(world: Any) -> None:
    world.push(score=1)
    await world.deliver()
    assert world.push(score=True)
    assert world.push(score=None)


async def test_a_baseline_moves_only_later_changes(world: Any) -> None:
    def prime(**fields: Any) -> None:
        world.store.write_now(lambda tx: outbox.baseline(tx, TARGET, "score.push", fields, world.clock.now()))

    prime(score=1)
    assert not world.push(score=1)
    assert world.push(score=2)
    await world.deliver()
    prime(score=1)  # what the vendor really accepted stands
    assert fingerprints(world) == {"score": 2}


async def test_types_of_one_id_are_kept_apart(world: Any) -> None:
    other = Target(instance="crm", type="person", id="cus_1")
    world.store.write_now(lambda tx: outbox.baseline(tx, other, "score.push", {"score": 1}, 0))
    assert world.push(score=1)


# --- delivering ------------------------------------------------------------------------------------------------------------


async def test_targets_go_in_batches_and_one_target_in_order(world: Any) -> None:
    for number in range(4):
        world.push(f"cus_{number}", score=number)
    world.push("cus_0", band="red")
    await world.deliver()
    assert world.vendor.calls == [3, 1, 1]
    assert world.vendor.sets[-1] == ("cus_0", "band", "red")


async def test_a_value_is_noted_only_when_it_was_accepted(world: Any) -> None:
    world.push(score=1)
    for outcome in (NotSentError("x"), Outcome.retry("x"), Outcome.unknown("x"), RuntimeError("x")):
        world.vendor.script = [instead(outcome)]
        await world.deliver()
        assert fingerprints(world) == {}
        assert world.states() == [("planned", None)]
        world.clock.advance(7 * 3600)
    await world.deliver()
    assert fingerprints(world) == {"score": 1}
    assert world.states() == [("done", None)]


async def test_after_a_doubt_the_old_value_moves_again(world: Any) -> None:
    world.push(score=1)
    await world.deliver()
    world.push(score=2)
    world.vendor.script = [then(Outcome.unknown("dropped"))]
    await world.deliver()
    assert world.vendor.values["cus_1"]["score"] == "2"
    assert world.push(score=1)  # nobody knows what stands there
    world.clock.advance(60)
    await world.deliver()
    assert world.vendor.values["cus_1"]["score"] == "1"
    assert [entry.state for entry in world.entries()] == ["done", "superseded", "done"]


async def test_a_crash_is_repeated(world: Any, fakes: Any) -> None:
    world.push(score=1)
    world.vendor.script = [then(fakes.Crash())]
    await world.crash()
    await world.deliver()
    assert world.states() == [("done", None)]
    assert world.vendor.sets == [("cus_1", "score", 1)] * 2


async def test_what_was_planned_meanwhile_wins_over_a_repeat(world: Any) -> None:
    world.push(score=1, band="red")

    def planned_meanwhile(do: Any) -> Outcome:
        do()
        assert world.push(score=2)
        return Outcome.unknown("dropped")

    world.vendor.script = [planned_meanwhile]
    await world.deliver()
    world.clock.advance(60)
    await world.deliver()
    assert world.vendor.values["cus_1"] == {"score": "2", "band": "red"}
    values = [value for _, name, value in world.vendor.sets if name == "score"]
    assert values == [1, 2]


async def test_nothing_of_a_target_leaves_while_something_is_under_way(world: Any) -> None:
    from wellkept.store import claims

    world.push(score=1)
    world.push(band="red")
    first, second = world.entries()

    def job(tx: Any) -> Any:
        nothing = {entry.key: {} for entry in (first, second)}
        one, _ = claims.claim_states(tx, [first], run="r", now=0, priors=nothing)
        return one, claims.claim_states(tx, [second], run="r", now=0, priors=nothing)

    one, two = world.store.write_now(job)
    assert [claim.entry.key for claim in one] == [first.key]
    assert two == ([], [])


async def test_rows_of_a_batch_end_each_in_its_own_way(world: Any) -> None:
    for number in (1, 2, 3):
        world.push(f"cus_{number}", score=number)
    world.vendor.script = [then(Outcome.done()), instead(Outcome.rejected("gone")), then(Outcome.done(ref="ref-3"))]
    await world.deliver()
    assert world.vendor.calls == [3]
    found = [(entry.state, entry.ref, entry.note, entry.hold, entry.attempts) for entry in world.entries()]
    assert found == [("done", None, None, None, 1), ("rejected", None, "gone", None, 1), ("done", "ref-3", None, None, 1)]
    with world.store.read() as reader:
        assert audit.verify(reader) is None
        told = [(entry.kind, (entry.body or {})["effect"][-11:-5]) for entry in audit.entries(reader)]
        have = reader.all("SELECT target_id, field, value FROM pushed ORDER BY target_id")
    assert sorted(told[-3:]) == [("effect.done", ":cus_1"), ("effect.done", ":cus_3"), ("effect.rejected", ":cus_2")]
    assert [kind for kind, _ in told] == ["effect.planned"] * 3 + ["effect.sending"] * 3 + [kind for kind, _ in told[-3:]]
    assert have == [("cus_1", "score", "1"), ("cus_3", "score", "3")]


async def test_a_batch_is_claimed_without_what_has_changed_meanwhile(world: Any) -> None:
    from wellkept.store import approvals, claims

    for number in (1, 2, 3):
        world.push(f"cus_{number}", score=number)
    seen = world.entries()
    world.push("cus_1", score=9)
    world.store.write_now(lambda tx: approvals.hold(tx, now=0, reason="wait", keys=[seen[1].key]))
    priors = {entry.key: {"score": None} for entry in seen}
    held, ends = world.store.write_now(lambda tx: claims.claim_states(tx, seen, run="r", now=7, priors=priors))
    assert [claim.entry.key for claim in held] == [seen[2].key]
    assert ends == []
    taken = world.entries()[2]
    assert held[0].entry == taken
    assert (taken.state, taken.attempts, taken.claimed_by, taken.claimed_at, taken.first_sent_at) == ("sending", 1, "r", 7, 7)
    assert [entry.state for entry in world.entries()] == ["superseded", "held", "sending", "planned"]


async def test_moves_are_made_all_or_none(world: Any) -> None:
    for number in (1, 2):
        world.push(f"cus_{number}", score=number)
    first, second = world.entries()
    world.store.write_now(lambda tx: outbox.move(tx, second, "held", now=0))
    moves = [outbox.Move(entry, "sending", None, {"attempts": number}) for number, entry in enumerate((first, second))]
    with pytest.raises(outbox.IllegalMoveError, match="no longer planned"):
        world.store.write_now(lambda tx: outbox.move_all(tx, moves, now=0))
    assert [(entry.state, entry.attempts) for entry in world.entries()] == [("planned", 0), ("held", 0)]
    with world.store.read() as reader:
        assert audit.verify(reader) is None


async def test_single_fields_may_be_refused(world: Any) -> None:
    world.push(score=1, band="red", tier="x")
    refused = Outcome.rejected("unknown properties", fields={"tier": "no such property"})
    world.vendor.script = [instead(refused)]
    report = await world.deliver()
    (entry,) = world.entries()
    assert (entry.state, entry.note) == ("rejected", "unknown properties: tier: no such property")
    assert fingerprints(world) == {"score": 1, "band": "red"}
    assert report.state == "partial"
    assert world.push(tier="x")
    assert not world.push(score=1)


async def test_prior_values_are_read_once_before_the_first_push(world: Any) -> None:
    world.vendor.values["cus_1"] = {"score": "old"}
    world.push(score=1)
    await world.deliver()
    world.push(score=2)
    await world.deliver()
    assert world.vendor.reads == 1
    assert [entry.prior for entry in world.entries()] == ['{"score":"old"}', '{"score":1}']


async def test_without_prior_values_nothing_is_pushed(world: Any) -> None:
    world.push(score=1)
    world.vendor.unreadable = RetryableError("503")
    report = await world.deliver()
    assert world.vendor.sets == []
    assert world.states() == [("held", "wait")]
    assert report.failures["crm"].startswith("503") or "503" in report.failures["crm"]
    world.vendor.unreadable = None
    await world.deliver()
    assert world.states() == [("done", None)]


async def test_the_prior_value_is_that_before_the_first_try(world: Any) -> None:
    world.vendor.values["cus_1"] = {"score": "old"}
    world.push(score=1)
    world.vendor.script = [then(Outcome.unknown("dropped"))]
    await world.deliver()
    world.clock.advance(60)
    await world.deliver()
    assert [entry.prior for entry in world.entries()] == ['{"score":"old"}']


async def test_a_record_that_is_gone_is_rejected(world: Any) -> None:
    world.vendor.values["cus_1"] = {"gone": "true"}
    world.push(score=1)
    world.push("cus_2", score=1)
    await world.deliver()
    assert [(entry.state, entry.note) for entry in world.entries()] == [
        ("rejected", "the record is gone at the vendor"),
        ("done", None),
    ]


async def test_one_vendor_never_stops_the_others(world: Any) -> None:
    for number in range(9):
        world.push(f"cus_{number}", score=1)
    world.mail()
    world.vendor.unreadable = RuntimeError("boom")
    report = await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/m1"]
    assert list(report.failures) == ["crm"]
    assert report.state == "partial"


# --- undo ------------------------------------------------------------------------------------------------------------------


async def put_back(world: Any, **what: Any) -> Any:
    return await undo(world.store, world.actions, undo_run="u1", now=world.clock.now(), **what)


async def test_undo_restores_what_stood_there(world: Any) -> None:
    world.vendor.values["cus_1"] = {"score": "old"}
    world.push(score=1, band="red", run="r1")
    await world.deliver()

    report = await put_back(world, run="r1")

    assert sorted(name for _, name in report.planned) == ["band", "score"]
    assert report.left == []
    await world.deliver()
    assert world.vendor.values["cus_1"] == {"score": "old", "band": None}


async def test_an_action_can_tell_an_undo_from_a_push(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that only ever raises or adds must know when it may take back."""
    seen: list[tuple[Any, bool]] = []
    push = next(action for actions in world.actions.values() for action in actions if action.payload.capability == "score.push")
    original = type(push).deliver

    async def watched(self: Any, deliveries: Sequence[StateDelivery]) -> Any:
        seen.extend((dict(delivery.fields), delivery.restores) for delivery in deliveries)
        return await original(self, deliveries)

    monkeypatch.setattr(type(push), "deliver", watched)
    world.vendor.values["cus_1"] = {"score": "old"}
    world.push(score=1, run="r1")
    await world.deliver()
    await put_back(world, run="r1")
    await world.deliver()
    assert seen == [({"score": 1}, False), ({"score": "old"}, True)]


async def test_undo_leaves_alone_what_somebody_changed(world: Any) -> None:
    world.vendor.values["cus_1"] = {"score": "old"}
    world.push(score=1, band="red", run="r1")
    await world.deliver()
    world.vendor.values["cus_1"]["score"] = "by hand"
    report = await put_back(world, run="r1")
    assert [(left.field, left.reason) for left in report.left] == [("score", "somebody has changed it since")]
    await world.deliver()
    assert world.vendor.values["cus_1"] == {"score": "by hand", "band": None}


async def test_undo_goes_back_to_our_own_earlier_value(world: Any) -> None:
    world.push(score=1, run="r1")
    await world.deliver()
    world.push(score=2, run="r2")
    await world.deliver()
    assert (await put_back(world, run="r1")).left[0].reason == "somebody has changed it since"
    await put_back(world, run="r2")
    await world.deliver()
    assert world.vendor.values["cus_1"] == {"score": "1"}


async def test_undo_does_not_override_a_newer_plan(world: Any) -> None:
    world.push(score=1, run="r1")
    await world.deliver()
    world.push(score=2, run="r2")
    report = await put_back(world, run="r1")
    assert report.planned == []
    assert report.left[0].reason == "a newer value is already planned"
    await world.deliver()
    assert world.vendor.values["cus_1"] == {"score": "2"}


async def test_undo_covers_the_accepted_part_of_a_refused_effect(world: Any) -> None:
    world.push(score=1, tier="x", run="r1")

    def partly(do: Any) -> Outcome:
        world.vendor.values.setdefault("cus_1", {})["score"] = "1"
        return Outcome.rejected("no", fields={"tier": "no such property"})

    world.vendor.script = [partly]
    await world.deliver()
    report = await put_back(world, run="r1")
    assert [name for _, name in report.planned] == ["score"]


async def test_undo_says_what_it_cannot_do(world: Any) -> None:
    world.mail(run_id="r1")
    world.pay(run_id="r1")
    await world.deliver()
    world.push(score=1, run="r1", state="held")
    world.mail("m2", run_id="r1", state="held")
    report = await put_back(world, run="r1")
    assert sorted(left.reason for left in report.left) == [
        "an effect of kind message cannot be undone",
        "an effect of kind once cannot be undone",
        "it is held",
        "it is held; nothing of it reached the vendor",
    ]
    assert report.planned == []


async def test_undo_needs_the_vendor(world: Any) -> None:
    from wellkept.errors import WellkeptError

    world.push(score=1, run="r1")
    await world.deliver()
    world.vendor.unreadable = RuntimeError("down")
    (left,) = (await put_back(world, run="r1")).left
    assert "could not be read" in left.reason
    world.actions["crm"] = []
    (left,) = (await put_back(world, keys=[world.entries()[0].key])).left
    assert "does not serve" in left.reason
    with pytest.raises(WellkeptError, match="name a run"):
        await put_back(world)
