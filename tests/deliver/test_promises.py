"""The promises of delivery, against random plans, faults, crashes and people; the vendors' own log is the witness."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from wellkept import Outcome
from wellkept.errors import NotSentError
from wellkept.store import approvals

FAULTS = ["fine", "not sent", "retry", "rejected", "unknown before", "unknown after", "raise before", "raise after",
          "crash before", "crash after"]  # fmt: skip


def script(fault: str, crash: type[BaseException]) -> Any:
    kind, _, when = fault.partition(" ")
    outcomes = {
        "fine": Outcome.done(),
        "retry": Outcome.retry("busy"),
        "rejected": Outcome.rejected("no"),
        "unknown": Outcome.unknown("dropped"),
    }
    errors = {"crash": crash(), "raise": RuntimeError("boom"), "not": NotSentError("no connection")}

    def run(do: Any) -> Outcome:
        if fault == "fine" or when == "after":
            do()
        if kind in errors:
            raise errors[kind]
        return outcomes[kind]

    return run


class Deliveries(RuleBasedStateMachine):
    make: ClassVar[Any]
    crash: ClassVar[type[BaseException]]

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.world = type(self).make(Path(self.folder.name) / "wellkept.db")
        self.world.settings["team"] = ["a@us.example", "b@us.example"]
        self.newest: dict[tuple[str, str], int] = {}
        self.count = 0
        self.keys: list[str] = []
        for kind in ("pay", "mail", "task", "team"):
            self.plan(kind, again=False)

    # --- the world goes on ---

    @rule(kind=st.sampled_from(["pay", "mail", "team", "task"]), again=st.booleans())
    def plan(self, kind: str, again: bool) -> None:
        key = f"{kind}{self.count // (2 if again else 1)}"
        self.count += 1
        if kind == "pay":
            self.world.pay(key)
        elif kind == "task":
            from wellkept import TaskCreate

            self.world.plan(key, TaskCreate(title="x"))
        else:
            self.world.mail(key, to="team" if kind == "team" else "billing")
        self.keys.append(f"books/dunning/{key}")

    @rule(record=st.integers(0, 2), fields=st.sets(st.sampled_from(["score", "band"]), min_size=1))
    def push(self, record: int, fields: set[str]) -> None:
        self.count += 1
        self.world.push(f"cus_{record}", **dict.fromkeys(fields, self.count))
        for name in fields:
            self.newest[f"cus_{record}", name] = self.count

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=6))
    def deliver(self, faults: list[str]) -> None:
        self.world.vendor.script = [script(fault, self.crash) for fault in faults]
        try:
            self.loop.run_until_complete(self.world.deliver())
        except self.crash:
            self.world.clock.advance(61)
        self.world.vendor.script = []

    @rule(fields=st.sets(st.sampled_from(["score", "band"]), min_size=1), fault=st.sampled_from(FAULTS))
    def push_during_a_push(self, fields: set[str], fault: str) -> None:
        """A newer value is planned while an older one is on its way."""

        def meanwhile(do: Any) -> Outcome:
            self.push(0, fields)
            outcome: Outcome = script(fault, self.crash)(do)
            return outcome

        self.push(0, fields)
        self.world.vendor.script = [meanwhile]
        try:
            self.loop.run_until_complete(self.world.deliver())
        except self.crash:
            self.world.clock.advance(61)
        self.world.vendor.script = []

    @rule(seconds=st.sampled_from([1, 60, 3600, 7 * 3600, 30 * 3600]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), verb=st.sampled_from(["hold", "approve", "retry"]))
    def person(self, data: Any, verb: str) -> None:
        key, now = data.draw(st.sampled_from(self.keys)), self.world.clock.now()
        more = {"reason": "x"} if verb == "hold" else {}
        self.world.store.write_now(lambda tx: getattr(approvals, verb)(tx, now=now, keys=[key], **more))

    # --- what always holds ---

    @invariant()
    def once_and_messages_at_most_once(self) -> None:
        done = Counter(self.world.vendor.payments)
        assert not [key for key, count in done.items() if count > 1]
        assert not [who for who, count in Counter(self.world.vendor.sent).items() if count > 1]

    @invariant()
    def done_means_done(self) -> None:
        performed = set(self.world.vendor.payments) | {key for key, _ in self.world.vendor.sent}
        for entry in self.world.entries():
            if entry.kind != "state" and entry.state == "done":
                assert entry.key in performed

    @invariant()
    def values_never_go_back(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        for target, name, value in self.world.vendor.sets:
            assert value >= seen.get((target, name), 0)
            seen[target, name] = value

    @invariant()
    def what_is_held_says_why(self) -> None:
        assert all(entry.note for entry in self.world.entries() if entry.state in {"held", "unknown", "rejected"})

    def teardown(self) -> None:
        """Everything gets well: people let go, time passes, and all ends as promised."""
        world = self.world
        world.store.write_now(lambda tx: approvals.approve(tx, now=0, keys=self.keys))
        for _ in range(3):
            world.clock.advance(7 * 3600)
            keys = [entry.key for entry in world.entries()]
            world.store.write_now(lambda tx, keys=keys: approvals.retry(tx, now=0, keys=keys))
            self.loop.run_until_complete(world.deliver())
        self.once_and_messages_at_most_once()
        self.values_never_go_back()
        performed = set(world.vendor.payments) | {key for key, _ in world.vendor.sent}
        for entry in world.entries():
            if entry.kind == "state":
                assert entry.state in {"done", "superseded", "rejected"}
            elif entry.state == "done":
                assert entry.key in performed
            else:  # never silently dropped: refused by the vendor, split into parts, or in front of a person
                assert entry.state in {"rejected", "superseded"} or entry.hold == "doubt", entry
                assert entry.note
        states = [entry for entry in world.entries() if entry.kind == "state"]
        rejected = {(entry.target_id, name) for entry in states if entry.state == "rejected" for name in entry.fields}
        for (target, name), value in self.newest.items():
            if (target, name) not in rejected:
                assert world.vendor.values[target][name] == str(value)
        assert set(self.keys) <= {entry.key for entry in world.entries()}
        world.store.close()
        self.loop.close()
        self.folder.cleanup()


@pytest.mark.slow
def test_the_promises_hold(worlds: Callable[[Path], Any], fakes: Any) -> None:
    run_state_machine_as_test(
        type("Made", (Deliveries,), {"make": staticmethod(worlds), "crash": fakes.Crash}),
        settings=settings(max_examples=50, stateful_step_count=20, deadline=None),
    )
