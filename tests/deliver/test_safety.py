from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wellkept import Outcome, Target, TaskCreate, Verdict
from wellkept.errors import ConfigError
from wellkept.store import approvals, claims, outbox

pytestmark = pytest.mark.both

# --- dry run ---


@pytest.mark.parametrize("how", ["not live", "dry run"])
async def test_nothing_leaves_where_it_is_not_live(world: Any, how: str) -> None:
    world.vendor.values["cus_1"] = {"score": "old"}
    world.push(score=1)
    world.mail()
    world.mail("m2", to="team")
    world.settings["team"] = ["a@us.example"]
    world.pay()
    if how == "not live":
        world.live = {"crm": False, "pay": []}
    before = world.table("SELECT key, state, payload, attempts FROM outbox ORDER BY seq")

    report = await world.deliver(dry_run=how == "dry run")

    assert world.vendor.deliveries == []
    assert world.table("SELECT key, state, payload, attempts FROM outbox ORDER BY seq") == before
    assert report.total("would send") == 4
    assert report.state == "done"
    (shown,) = [row for row in report.rows if row.kind == "state"]
    assert shown.diff == {"score": ("old", 1)}
    assert {row.note for row in report.rows if row.kind == "message"} == {"alert to billing in en", "to the team, 1 of them"}
    assert world.table("SELECT COUNT(*) FROM sent_messages") == [(0,)]


async def test_a_dry_run_writes_nothing_down_at_all(world: Any) -> None:
    world.mail("expired", expires_at=world.clock.now() - 1)
    world.mail("unwanted", to="billing")
    world.policy.verdict = Verdict.expire("paid")
    world.plan("lost", TaskCreate(title="x"), policy="books/other")
    before = world.table("SELECT * FROM outbox ORDER BY seq")
    report = await world.deliver(dry_run=True)
    assert world.table("SELECT * FROM outbox ORDER BY seq") == before
    assert report.total("expired") >= 1


async def test_the_same_decisions_are_taken_as_live(world: Any) -> None:
    world.live = {}
    world.mail("paid")
    world.source.now["invoice", "in_1"] = world.invoice("in_1", "paid", 2)
    await world.deliver()
    assert world.entry("paid").state == "expired"  # what is over is over, live or not

    world.owes("in_2")
    world.mail("unknown person", to="person:crm:x")
    report = await world.deliver()
    assert world.entry("unknown person").state == "planned"
    assert report.total("held") == 1


async def test_live_may_name_capabilities(world: Any) -> None:
    world.actions["mail"].append(world.actions.pop("tasks")[0])
    world.live = {"mail": ["message.send"]}
    world.mail()
    world.plan("t1", TaskCreate(title="x"))
    await world.deliver()
    assert [delivery.key for delivery in world.vendor.deliveries] == ["books/dunning/m1"]


async def test_a_backlog_is_not_let_loose_by_going_live(world: Any) -> None:
    world.live = {}
    world.safety["max_effects"] = 3
    for number in range(4):
        world.mail(f"m{number}", run_id=f"day{number}")
        await world.deliver()
    world.live = {"mail": True}
    report = await world.deliver()
    assert world.vendor.sent == []
    assert world.states() == [("held", "approval")] * 4
    assert report.total("held") == 4
    with world.store.read() as reader:
        assert [(run.run, run.effects, run.hold) for run in approvals.held_runs(reader)] == [
            (f"day{number}", 1, "approval") for number in range(4)
        ]
    world.store.write_now(lambda tx: approvals.approve(tx, now=0, run="day0"))
    await world.deliver()
    assert len(world.vendor.sent) == 1


async def test_a_small_backlog_goes(world: Any) -> None:
    world.live = {}
    world.safety["max_effects"] = 3
    for number in range(3):
        world.push(f"cus_{number}", score=1)
    await world.deliver()
    world.live = {"crm": True}
    await world.deliver()
    assert len(world.vendor.sets) == 3


async def test_a_preview_without_the_vendor_says_so(world: Any) -> None:
    world.live = {}
    world.vendor.unreadable = RuntimeError("down")
    world.push(score=1)
    report = await world.deliver()
    assert "could not be read" in (report.rows[0].note or "")
    world.vendor.unreadable = None
    world.vendor.values["cus_1"] = {"gone": "true"}
    report = await world.deliver()
    assert report.rows[0].note == "the record is gone at the vendor"


# --- routing ---


async def test_two_that_could_serve_are_one_too_many(world: Any) -> None:
    world.actions["post"] = world.actions["mail"]
    world.live["post"] = True
    world.mail()
    report = await world.deliver()
    assert world.vendor.sent == []
    assert world.states() == [("held", "wait")]
    assert "via" in (world.entry("m1").note or "")
    assert report.total("held") == 1
    world.settings["via"] = "post"
    await world.deliver()
    assert world.entry("m1").instance == "post"
    assert len(world.vendor.sent) == 1


async def test_what_was_tried_stays_where_it_was_tried(world: Any) -> None:
    world.mail()
    world.vendor.script = [lambda _do: Outcome.retry("451")]
    await world.deliver()
    world.actions["post"] = world.actions.pop("mail")
    world.live["post"] = True
    world.clock.advance(60)
    await world.deliver()
    assert world.vendor.sent == []
    assert world.entry("m1").note == "mail does not serve message.send at present; enable it"
    world.actions["mail"] = world.actions["post"]
    await world.deliver()
    assert len(world.vendor.sent) == 1


@pytest.mark.parametrize("via", ["nowhere", None])
async def test_nobody_serves_it(world: Any, via: str | None) -> None:
    world.settings["via"] = via
    world.mail()
    if via is None:
        del world.actions["mail"]
    report = await world.deliver()
    assert world.states() == [("held", "wait")]
    assert report.state == "partial"


async def test_the_owner_of_the_target_serves_it(world: Any, fakes: Any) -> None:
    world.actions["crm"].append(fakes.FakeTasks(world.vendor))
    world.plan("t1", TaskCreate(title="x"), target=Target(instance="crm", type="account", id="cus_1"))
    world.plan("t2", TaskCreate(title="x"))
    await world.deliver()
    assert world.entry("t1").instance == "crm"
    assert world.states()[1] == ("held", "wait")  # crm and tasks both could


async def test_a_plugin_that_cannot_list_its_templates_harms_itself_alone(world: Any) -> None:
    class Broken(type(world.actions["mail"][0])):  # type: ignore[misc]
        def templates(self) -> Any:
            raise ConfigError("alert.toml: line 3")

    world.actions["mail"] = [Broken(world.vendor)]
    world.mail()
    world.pay()
    report = await world.deliver()
    assert report.failures["mail"] == "alert.toml: line 3"
    assert world.states() == [("planned", None), ("done", None)]


async def test_a_payload_of_another_version_is_held(world: Any) -> None:
    world.mail()
    world.store.write_now(lambda tx: tx.execute("""UPDATE outbox SET payload = '{"template": 1}'"""))
    await world.deliver()
    assert world.states() == [("held", "wait")]


# --- after a restore ---


async def test_after_a_restore_everything_waits_for_a_person(world: Any) -> None:
    world.mail("old")
    world.mail("waiting", to="person:crm:x")
    await world.deliver()
    world.mail("planned")
    world.push(score=1)
    world.store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES ('restored_at', '1')"))
    await world.deliver()
    world.mail("again")
    await world.deliver()
    assert [(entry.state, entry.hold) for entry in world.entries()] == [
        ("done", None),
        ("held", "restored"),
        ("held", "restored"),
        ("held", "restored"),
        ("held", "restored"),
    ]
    world.store.write_now(lambda tx: approvals.approve(tx, now=1, keys=["books/dunning/planned"]))
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/old", "books/dunning/planned"]

    assert world.store.write_now(claims.accept_restore)
    assert not world.store.write_now(claims.accept_restore)
    world.mail("new")
    await world.deliver()
    assert len(world.vendor.sent) == 3
    assert world.entry("again").hold == "restored"


# --- what people do ---


def do(world: Any, verb: Any, **options: Any) -> list[str]:
    now = world.clock.now()
    return [change.entry.key.rpartition("/")[2] for change in world.store.write_now(lambda tx: verb(tx, now=now, **options))]


async def test_approval(world: Any) -> None:
    for number in range(3):
        world.mail(f"m{number}", state="held", note="asks for approval", run_id=f"r{number % 2}")
    await world.deliver()
    assert world.vendor.sent == []
    assert do(world, approvals.approve, run="r0") == ["m0", "m2"]
    assert do(world, approvals.reject, keys=["books/dunning/m1"], reason="no") == ["m1"]
    assert do(world, approvals.hold, keys=["books/dunning/m0", "books/dunning/m1"], reason="wait a day") == ["m0"]
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/m2"]
    assert world.entry("m0").note == "wait a day"
    assert do(world, approvals.approve, keys=["books/dunning/m0", "books/dunning/m2"]) == ["m0"]
    assert (world.entry("m1").state, world.entry("m1").note) == ("rejected", "no")
    for verb in (approvals.approve, approvals.retry):
        with pytest.raises(ValueError, match="name effects or a run"):
            do(world, verb)


async def test_retry_does_not_lift_what_needs_approval(world: Any) -> None:
    world.mail("m", state="held")
    assert do(world, approvals.retry, keys=["books/dunning/m"], i_know=True) == []
    assert do(world, approvals.hold, keys=["books/dunning/m"], reason="x") == []


async def test_retry_ends_a_wait(world: Any) -> None:
    world.mail()
    world.vendor.script = [lambda _do: Outcome.retry("451")]
    await world.deliver()
    do(world, approvals.retry, keys=["books/dunning/m1"])
    await world.deliver()
    assert len(world.vendor.sent) == 1


def test_a_key_is_known_for_ever(world: Any) -> None:
    assert world.mail("m", state="superseded", note="primed")
    assert not world.mail("m")
    assert [entry.state for entry in world.entries()] == ["superseded"]
    with world.store.read() as reader:
        assert outbox.untold(reader, "books/dunning") == []
        assert outbox.counts(reader) == {"superseded": 1}
        assert outbox.get(reader, "nothing") is None
        assert outbox.find(reader, account="acme", capability="message.send", states=["superseded"], limit=1)
        assert not outbox.find(reader, account="other")


def test_no_move_against_the_rules(world: Any) -> None:
    world.mail("m", state="superseded")
    entry = world.entry("m")
    for state in ("planned", "sending", "done", "held"):
        with pytest.raises(outbox.IllegalMoveError):
            world.store.write_now(lambda tx, state=state: outbox.move(tx, entry, state, now=0))
    world.mail("n")
    fresh = world.entry("n")
    world.store.write_now(lambda tx: outbox.move(tx, fresh, "held", now=0))
    with pytest.raises(outbox.IllegalMoveError, match="no longer"):
        world.store.write_now(lambda tx: outbox.move(tx, fresh, "sending", now=0))


async def test_ends_are_told_to_the_policy_and_to_observers(world: Any) -> None:
    world.pay("a")
    world.pay("b")
    world.vendor.script = [lambda _do: Outcome.done(), lambda _do: Outcome.rejected("declined")]
    await world.deliver()
    with world.store.read() as reader:
        told = outbox.untold(reader, "books/dunning")
    assert [(item.entry.own_key, item.state, item.note) for item in told] == [
        ("a", "done", None),
        ("b", "rejected", "declined"),
    ]
    assert [(event.kind, event.effect, event.state, event.instance) for event in world.events] == [
        ("effect.settled", "books/dunning/a", "done", "pay"),
        ("effect.settled", "books/dunning/b", "rejected", "pay"),
    ]


@pytest.mark.both(False)
def test_a_report_is_bounded(world: Any) -> None:
    from wellkept.pipeline.outgoing import ROWS_KEPT

    world.live = {}

    def job(tx: Any) -> None:
        for number in range(ROWS_KEPT + 5):
            target = Target(instance="crm", type="account", id=f"c{number}")
            who = {"policy": "push/crm", "policy_version": "1", "run_id": "r", "account": "acme", "reason": "r"}
            outbox.plan_state(
                tx, target=target, capability="score.push", fields={"s": 1}, state="planned", note=None, now=0, **who
            )

    world.store.write_now(job)
    report = asyncio.run(world.deliver())
    assert len(report.rows) == ROWS_KEPT
    assert report.total("would send") == ROWS_KEPT + 5


# --- one that fails ---


@pytest.mark.both(False)
async def test_later_is_not_a_failure_until_it_is_all_that_is_said(world: Any) -> None:
    for number in range(60):
        world.mail(f"m{number:02}")
    world.vendor.script = [lambda _do: Outcome.retry("451 greylisted")] * 5
    report = await world.deliver()
    assert (report.total("again later"), report.total("done")) == (5, 55)
    assert report.failures == {}

    for number in range(60):
        world.mail(f"n{number:02}")
    world.vendor.script = [lambda _do: Outcome.retry("421 busy")] * 99
    report = await world.deliver()
    assert report.total("again later") == 20
    assert report.failures == {"mail": "421 busy"}


async def test_what_is_in_doubt_is_shown_even_where_nobody_can_look_it_up(world: Any) -> None:
    world.pay()
    world.vendor.script = [lambda _do: Outcome.unknown("dropped")]
    await world.deliver()
    del world.actions["pay"]
    report = await world.deliver()
    assert report.total("unknown") == 1
    assert "enable it" in (report.rows[0].note or "")


@pytest.mark.parametrize("state", ["merged", "gone", "erased"])
async def test_what_was_meant_for_an_account_that_is_none_any_more_expires(world: Any, state: str) -> None:
    world.mail(to="person:crm:nobody")
    world.plan("t1", TaskCreate(title="x"))
    world.policy.verdict = Verdict.proceed()
    world.store.write_now(lambda tx: tx.execute("UPDATE accounts SET state = ?", (state,)))
    await world.deliver()
    assert [entry.state for entry in world.entries()] == ["expired", "expired"]
    assert world.vendor.deliveries == []


@pytest.mark.parametrize("to", ["team", "billing"])
async def test_a_person_who_decides_at_the_same_moment_is_heard(world: Any, monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    world.settings |= {"team": ["a@us.example"]} | ({"quiet_hours": "23:00-08:00"} if to == "billing" else {})
    world.mail(to=to)
    write = world.store.write

    async def overtaken(job: Any, **options: Any) -> Any:
        monkeypatch.setattr(world.store, "write", write)
        await write(lambda tx: approvals.reject(tx, now=0, keys=["books/dunning/m1"], reason="no"))
        return await write(job, **options)

    original = type(world.actions["mail"][0]).templates

    def templates(self: Any) -> Any:
        monkeypatch.setattr(world.store, "write", overtaken)  # from now on: the next write is the decision
        return original(self)

    monkeypatch.setattr(type(world.actions["mail"][0]), "templates", templates)
    report = await world.deliver()
    assert world.entry("m1").note == "no"
    assert len(world.entries()) == 1
    assert report.failures == {}
