from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest

from wellkept import Effect, Fact, Facts, Frame, Machine, MessageSend, ScorePush, Step, Target, TaskCreate, Verdict
from wellkept.records import Invoice, PaymentAttempt
from wellkept.source import Deletion

MakeFrame = Callable[..., Frame]
HOUR = 3_600_000


class Memory(msgspec.Struct):
    seen: list[str] = []
    sent: int = 0


class Recorder(Machine[Memory]):
    """Writes down what it hears; sends a task whenever `fires` says so, and asks to be woken as told."""

    name = "recorder"
    version = "1"
    state = Memory
    uses: frozenset[str] = frozenset({"health"})

    def __init__(self, fires: Callable[[Fact], bool] | None = None, wake: Callable[[Fact], int | None] | None = None) -> None:
        self.fires = fires or (lambda _: False)
        self.wake = wake or (lambda _: None)
        self.facts: list[Fact] = []

    def initial(self, subject: str) -> Memory:
        return Memory()

    def step(self, state: Memory, fact: Fact) -> Step[Memory]:
        self.facts.append(fact)
        word = fact.cause if fact.effect_state is None else f"{fact.cause}:{fact.effect_state}:{fact.note}"
        effects = []
        sent = state.sent
        if self.fires(fact):
            sent += 1
            key = f"{fact.subject}/{sent}"
            effects.append(Effect(key=key, payload=TaskCreate(title="do"), account=fact.account, reason="because"))
        return Step(state=Memory(seen=[*state.seen, word], sent=sent), effects=effects, wake_at=self.wake(fact))

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        return Verdict.proceed()


class OverInvoices(Recorder):
    name = "invoices"
    over = Invoice
    reads = (PaymentAttempt,)
    uses = frozenset()


class OverAccounts(Recorder):
    name = "accounts"
    reads: ClassVar[Any] = (Invoice,)


def healths(frame: MakeFrame, **values: float | None) -> Frame:
    return frame({account: {"health": value} for account, value in values.items()})


def states(world: Any) -> dict[str, list[str]]:
    rows = world.table("SELECT subject, state FROM policy_states ORDER BY subject")
    return {subject: msgspec.json.decode(text, type=Memory).seen for subject, text in rows}


def invoice(id_: str, account: str = "a", version: int = 1, **more: Any) -> Invoice:
    fields = {"id": id_, "version": version, "account_ref": account, "status": "open", "currency": "usd", "amount_due": 100}
    return Invoice(**{**fields, **more})


def attempt(id_: str, invoice_ref: str | None, version: int = 1) -> PaymentAttempt:
    fields = {"id": id_, "version": version, "account_ref": "a", "status": "failed", "currency": "usd", "amount": 1}
    return PaymentAttempt(**fields, invoice_ref=invoice_ref, attempted_at=1)  # type: ignore[arg-type]


# --- over accounts ---


def test_every_account_hears_of_every_frame_and_remembers(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90, b=10), Recorder())
    world.decide(healths(frame, a=90, b=10), Recorder())
    assert states(world) == {"a": ["frame", "frame"], "b": ["frame", "frame"]}


def test_the_first_run_keeps_states_and_sends_nothing(world: Any, frame: MakeFrame) -> None:
    machine = Recorder(fires=lambda fact: fact.cause == "frame" and fact.row is not None and fact.row["health"] == 10)
    report = world.decide(healths(frame, a=10), machine)
    assert (report.planned, report.primed) == (0, ["books/recorder"])
    assert world.keys("superseded") == ["books/recorder/a/1"]
    assert states(world) == {"a": ["frame", "settled:superseded:primed"]}
    assert [fact.priming for fact in machine.facts] == [True, True]
    world.decide(healths(frame, a=10), machine)
    assert world.keys("planned") == ["books/recorder/a/2"]


def test_state_and_effects_commit_together(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Recorder())

    class Fails(Recorder):
        def step(self, state: Memory, fact: Fact) -> Step[Memory]:
            step = super().step(state, fact)
            bad = Effect(payload=TaskCreate(title="x"), account=fact.account, reason="", key="")
            return Step(state=step.state, effects=[*step.effects, bad])

    report = world.decide(healths(frame, a=90), Fails(fires=lambda _: True))
    assert states(world) == {"a": ["frame"]}
    assert world.effects() == []
    assert report.failures[0].subjects == ("a",)


def test_a_step_that_raises_stops_its_subject_alone(world: Any, frame: MakeFrame) -> None:
    def fires(fact: Fact) -> bool:
        if fact.subject == "a":
            raise ValueError("cannot read bob@example.com")
        return True

    world.decide(healths(frame, a=90, b=90), Recorder())
    report = world.decide(healths(frame, a=90, b=90), Recorder(fires), Recorder(fires))
    assert report.failures[0].subjects == ("a",)
    assert "bob@" not in report.failures[0].message
    assert "books/recorder/b/1" in world.keys("planned")


@pytest.mark.parametrize("junk", [None, "next"])
def test_a_step_that_returns_no_step_is_reported(world: Any, frame: MakeFrame, junk: Any) -> None:
    class Junk(Recorder):
        def step(self, state: Memory, fact: Fact) -> Step[Memory]:
            return junk  # type: ignore[no-any-return]

    report = world.decide(healths(frame, a=90), Junk())
    assert "return a Step" in report.failures[0].message


def test_a_subject_that_failed_while_priming_is_primed_later(world: Any, frame: MakeFrame) -> None:
    def breaks(fact: Fact) -> bool:
        raise ValueError("not today")

    world.decide(healths(frame, a=10), Recorder(breaks))
    world.decide(healths(frame, a=10), Recorder(lambda fact: fact.cause == "frame"))
    assert world.effects("planned") == []
    world.decide(healths(frame, a=10), Recorder(lambda fact: fact.cause == "frame"))
    assert world.keys("planned") == ["books/recorder/a/2"]


def test_an_account_on_hold_hears_nothing_until_its_data_are_back(world: Any, frame: MakeFrame) -> None:
    world.decide(healths(frame, a=90), Recorder(wake=lambda fact: fact.at + 1))
    machine = Recorder()
    report = world.decide(frame({"a": {"health": None}}, gaps={"a": {"health": "stale"}}), machine)
    assert machine.facts == []
    assert report.on_hold == 1
    world.decide(healths(frame, a=90), machine)
    assert [fact.cause for fact in machine.facts] == ["wake", "frame"]


def test_an_account_on_hold_while_priming_is_primed_when_its_data_are_back(world: Any, frame: MakeFrame) -> None:
    machine = Recorder(fires=lambda fact: fact.cause == "frame")
    world.decide(frame({"a": {"health": None}}, gaps={"a": {"health": "stale"}}), machine)
    world.decide(healths(frame, a=10), machine)
    assert world.effects("planned") == []
    assert world.keys("superseded") == ["books/recorder/a/1"]
    world.decide(healths(frame, a=10), machine)
    assert world.keys("planned") == ["books/recorder/a/2"]


def test_a_state_goes_along_when_its_account_is_called_otherwise(world: Any, frame: MakeFrame) -> None:
    machine = Recorder(fires=lambda fact: fact.cause == "frame" and fact.row is not None and fact.row["health"] == 10)
    world.accounts("a")
    world.decide(healths(frame, a=90), machine)
    world.decide(healths(frame, a=10), machine)

    def job(tx: Any) -> None:
        tx.execute("INSERT INTO accounts (id, state, created_at, updated_at) VALUES ('older', 'active', 0, 0)")
        tx.execute("UPDATE accounts SET state = 'merged', merged_into = 'older' WHERE id = 'a'")

    world.store.write_now(job)
    world.settle("books/recorder/a/1", "done")
    world.decide(healths(frame, older=90), machine)
    assert states(world) == {"older": ["frame", "frame", "settled:done:None", "frame"]}


# --- alarms ---


def test_an_alarm_rings_once_when_its_time_has_come(world: Any, frame: MakeFrame) -> None:
    start = world.now + 60_000

    def wake(fact: Fact) -> int | None:
        return start + HOUR if fact.cause == "frame" and fact.at == start else None if fact.cause == "wake" else start + HOUR

    machine = Recorder(wake=wake)
    world.decide(healths(frame, a=1), machine)
    world.now += HOUR // 2
    world.decide(healths(frame, a=1), machine)
    world.now += HOUR
    world.decide(healths(frame, a=1), machine)
    causes = [fact.cause for fact in machine.facts]
    assert causes == ["frame", "frame", "wake", "frame"]
    ring = machine.facts[2]
    assert ring.at == start + HOUR
    assert ring.row is not None
    assert ring.row["health"] == 1


# --- over records ---


def test_changed_records_and_those_that_refer_to_them_raise_facts_in_order(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(healths(frame, a=90), OverInvoices())
    world.records(invoice("in_1"))
    world.now += 1
    world.records(attempt("pa_1", "in_1"), attempt("pa_2", None))
    machine = OverInvoices()
    world.decide(healths(frame, a=90), machine)
    assert [(fact.subject, fact.cause, fact.account) for fact in machine.facts] == [("crm:in_1", "record", "a")] * 2
    assert [fact.record.id for fact in machine.facts if fact.record] == ["in_1", "in_1"]
    assert [record.id for record in machine.facts[0].related["payment_attempt"]] == ["pa_1", "pa_2"]
    assert world.table("SELECT * FROM policy_facts") == []
    assert world.table("SELECT * FROM fact_queue") == []
    quiet = OverInvoices()
    world.decide(healths(frame, a=90), quiet)
    assert quiet.facts == []


def test_a_deleted_record_raises_a_fact_without_it(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(healths(frame, a=90), OverInvoices())
    world.records(invoice("in_1"))
    world.decide(healths(frame, a=90), OverInvoices())
    gone = [Deletion(record=Invoice, id="in_1", version=5)]
    world.store.write_now(lambda tx: world.tables.delete(tx, "crm", "stream", gone, world.now))
    machine = OverInvoices()
    world.decide(healths(frame, a=90), machine)
    assert [(fact.subject, fact.cause, fact.record) for fact in machine.facts] == [("crm:in_1", "record", None)]


def test_a_machine_over_records_is_primed_with_all_there_are(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.records(invoice("in_1"), invoice("in_2"))
    world.decide(healths(frame, a=90))  # nobody wanted to know then
    machine = OverInvoices(fires=lambda fact: fact.cause == "record")
    world.decide(healths(frame, a=90), machine)
    assert world.effects("planned") == []
    assert states(world) == {key: ["record", "settled:superseded:primed"] for key in ("crm:in_1", "crm:in_2")}
    world.records(invoice("in_2", version=2, amount_due=7))
    world.decide(healths(frame, a=90), machine)
    assert world.keys("planned") == ["books/invoices/crm:in_2/2"]


def test_a_machine_that_was_away_hears_of_what_it_missed(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(healths(frame, a=90), OverInvoices())
    world.now += 1
    world.records(invoice("in_1"))
    world.decide(healths(frame, a=90), Recorder())
    machine = OverInvoices()
    world.decide(healths(frame, a=90), machine)
    assert [fact.subject for fact in machine.facts] == ["crm:in_1"]


def test_a_machine_over_accounts_hears_of_the_records_that_it_reads(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(healths(frame, a=90), OverAccounts())
    world.records(invoice("in_1"))
    machine = OverAccounts()
    world.decide(healths(frame, a=90), machine)
    assert [(fact.subject, fact.cause) for fact in machine.facts] == [("a", "record"), ("a", "frame")]
    assert [record.id for record in machine.facts[0].related["invoice"]] == ["in_1"]
    assert machine.facts[0].targets["invoice"] == [Target(instance="crm", type="invoice", id="in_1")]


def test_facts_of_a_subject_that_failed_wait_in_their_order(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")
    world.decide(healths(frame, a=90), OverInvoices())
    world.records(invoice("in_1"))
    world.now += 1
    world.records(attempt("pa_1", "in_1"))

    def breaks(fact: Fact) -> bool:
        raise ValueError("not today")

    broken = OverInvoices(breaks)
    world.decide(healths(frame, a=90), broken)
    assert len(broken.facts) == 1
    machine = OverInvoices()
    world.decide(healths(frame, a=90), machine)
    assert len(machine.facts) == 2


# --- effects that ended ---


def test_a_machine_learns_once_how_its_effect_ended(world: Any, frame: MakeFrame) -> None:
    machine = Recorder(fires=lambda fact: fact.cause == "frame" and fact.row is not None and fact.row["health"] == 10)
    world.decide(healths(frame, a=90, b=90), machine)
    world.decide(healths(frame, a=10, b=10), machine)
    world.settle("books/recorder/a/1", "done")
    world.settle("books/recorder/b/1", "rejected", "no thanks")
    for _ in range(2):
        world.decide(healths(frame, a=90, b=90), machine)
    assert states(world)["a"] == ["frame", "frame", "settled:done:None", "frame", "frame"]
    assert states(world)["b"] == ["frame", "frame", "settled:rejected:no thanks", "frame", "frame"]
    told = next(fact for fact in machine.facts if fact.effect_state == "done")
    assert told.effect is not None
    assert told.effect.payload == TaskCreate(title="do")
    assert told.effect.key == "a/1"


def test_a_machine_may_set_values_and_send_messages_too(world: Any, frame: MakeFrame) -> None:
    world.accounts("a")

    class Both(Recorder):
        def step(self, state: Memory, fact: Fact) -> Step[Memory]:
            values = ScorePush(properties={"x": fact.row["health"] if fact.row else None})
            mail = MessageSend(template="alert", to="team", variables={"subject": "s", "body": "b"})
            effects = [
                Effect(payload=values, account=fact.account, reason="r"),
                Effect(key=f"{fact.at}", payload=mail, account=fact.account, reason="r"),
            ]
            return Step(state=state, effects=effects)

    world.decide(healths(frame, a=90), Both())
    report = world.decide(healths(frame, a=80), Both())
    assert report.planned == 2
    assert world.fields("planned") == {"a": {"x": 80}}
    assert {entry.kind for entry in world.effects("planned")} == {"state", "message"}
