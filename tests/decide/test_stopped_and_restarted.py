"""A decide step that is stopped after any of its commits, and run again, ends as if nothing had happened."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wellkept import Effect, Fact, Facts, Frame, Machine, MessageSend, Policy, Step, TaskCreate, Verdict
from wellkept.errors import LeaseLostError
from wellkept.pipeline import decide as step
from wellkept.pipeline import machines
from wellkept.records import Invoice
from wellkept.settings import Push
from wellkept.store import Reader, Store, open_store
from wellkept.testing import FakeClock

MakeFrame = Callable[..., Frame]
ACCOUNTS = ["a", "b", "c", "d", "e"]
PUSH = Push(to="crm", properties={"score": "health"})


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A store whose user is killed after its commit number `last`."""

    def __init__(self, store: Store, last: int | None) -> None:
        self.store = store
        self.last = last
        self.commits = 0

    def read(self) -> AbstractContextManager[Reader]:
        return self.store.read()

    def write_now(self, job: Any, **options: Any) -> Any:
        if self.commits == self.last:
            raise Killed
        result = self.store.write_now(job, **options)
        self.commits += 1
        return result


class Red(Policy):
    name = "red"
    version = "1"
    uses = frozenset({"health"})

    def decide(self, frame: Frame) -> Iterable[Effect]:
        for row in frame.rows():
            if row["health"] is not None and int(str(row["health"])) < 50:
                yield Effect(key=row.account, payload=TaskCreate(title="call"), account=row.account, reason="red")


class Memory(msgspec.Struct):
    active: bool = False
    episodes: int = 0


class Episodes(Machine[Memory]):
    name = "episodes"
    version = "1"
    state = Memory
    uses = frozenset({"health"})

    def initial(self, subject: str) -> Memory:
        return Memory()

    def step(self, state: Memory, fact: Fact) -> Step[Memory]:
        assert fact.row is not None
        active = int(str(fact.row["health"])) < 50
        if active == state.active or fact.cause != "frame":
            return Step(state=state)
        number = state.episodes + active
        mail = MessageSend(template="alert", to="team", variables={"subject": "s", "body": "b"})
        effect = Effect(key=f"{fact.subject}/{number}", payload=mail, account=fact.subject, reason="fell")
        return Step(state=Memory(active=active, episodes=number), effects=[effect] if active else [])

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        return Verdict.proceed()


class Count(msgspec.Struct):
    heard: int = 0


class Invoices(Machine[Count]):
    name = "invoices"
    version = "1"
    state = Count
    over = Invoice
    uses = frozenset()

    def initial(self, subject: str) -> Count:
        return Count()

    def step(self, state: Count, fact: Fact) -> Step[Count]:
        heard = state.heard + 1
        effect = Effect(key=f"{fact.subject}/{heard}", payload=TaskCreate(title="look"), account=fact.account, reason="changed")
        return Step(state=Count(heard=heard), effects=[effect])

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        return Verdict.proceed()


def invoices(version: int) -> list[Invoice]:
    return [
        Invoice(id=f"in_{name}", version=version, account_ref=name, status="open", currency="usd", amount_due=version)
        for name in ACCOUNTS
    ]


def outcome(world: Any) -> dict[str, Any]:
    """Return everything that must not depend on when the process was stopped."""
    return {
        "effects": sorted(
            (entry.key if entry.kind != "state" else "", entry.state, str(entry.hold), str(entry.note), entry.payload)
            for entry in world.effects()
        ),
        "runs": len({entry.run_id for entry in world.effects() if entry.state != "superseded"}),
        "states": world.table("SELECT policy, subject, state, wake_at FROM policy_states ORDER BY policy, subject"),
        "pushed": world.table("SELECT target_id, field, value FROM pushed ORDER BY target_id, field"),
        "primed": world.table("SELECT policy, primed_at IS NULL FROM policies ORDER BY policy"),
        "waiting": world.table("SELECT * FROM policy_facts") + world.table("SELECT * FROM fact_queue"),
        "holds": world.table("SELECT policy, account, reason FROM holds ORDER BY policy, account"),
        "unprimed": world.table("SELECT policy, subject FROM unprimed ORDER BY policy, subject"),
        "owners": world.table("SELECT key, subject FROM effect_subjects ORDER BY key"),
    }


@pytest.fixture(autouse=True)
def small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "CHUNK", 2)
    monkeypatch.setattr(machines, "CHUNK", 2)
    monkeypatch.setattr(step, "FACTS", 2)


@pytest.fixture
def copies(world: Any, tmp_path: Path) -> Callable[[], Iterator[Any]]:
    """Return a function that yields the world again and again as it is when it is first called."""

    def generate() -> Iterator[Any]:
        world.store.close()
        number = 0
        while True:
            number += 1
            path = tmp_path / f"copy{number}.db"
            shutil.copy(tmp_path / "wellkept.db", path)
            store = open_store(path, FakeClock())
            try:
                yield type(world)(store, world.tables, world.now)
            finally:
                store.close()

    return generate


def go(world: Any, view: Frame, last: int | None = None, **safety: Any) -> int:
    """Run a decide step that is killed after a number of commits, and return how many there were."""
    mortal = Mortal(world.store, last)
    with suppress(Killed):
        world.decide(view, Red(), Episodes(), Invoices(), pushes=[PUSH], store=mortal, **safety)
    return mortal.commits


def view(frame: MakeFrame, low: str, hidden: str = "") -> Frame:
    cells = {name: {"health": None if name in hidden else 10 if name in low else 90} for name in ACCOUNTS}
    return frame(cells, gaps={name: {"health": "stale"} for name in hidden})


@pytest.mark.parametrize("safety", [{}, {"max_effects": 3}], ids=["small", "mass"])
@pytest.mark.parametrize("primed", [True, False], ids=["later run", "first run"])
def test_a_stop_after_any_commit_changes_nothing(
    world: Any, frame: MakeFrame, copies: Callable[[], Iterator[Any]], safety: dict[str, Any], primed: bool
) -> None:
    world.accounts(*ACCOUNTS)
    world.records(*invoices(1))
    if primed:
        go(world, view(frame, low="a"))
        world.records(*invoices(2))
    before = {entry.key for entry in world.effects("planned")}
    now = view(frame, low="abcd", hidden="e")
    worlds = copies()
    undisturbed = next(worlds)
    commits = go(undisturbed, now, **safety)
    expected = outcome(undisturbed)
    complete = {entry.key for entry in undisturbed.effects("planned")}
    assert commits > 15
    assert bool(complete - before) is (primed and not safety)
    for last in range(commits):
        other = next(worlds)
        assert go(other, now, last, **safety) == last
        assert {entry.key for entry in other.effects("planned")} == before  # nothing leaks from half a run
        go(other, now, **safety)
        assert outcome(other) == expected, f"killed after commit {last}"
    worlds.close()  # type: ignore[attr-defined]


class Robbed(Mortal):
    """A store of which another process takes the lease after a number of commits."""

    def write_now(self, job: Any, **options: Any) -> Any:
        if self.commits == self.last:
            self.store.write_now(lambda tx: tx.execute("UPDATE locks SET owner = 'another', epoch = epoch + 1"))
        result = self.store.write_now(job, **options)
        self.commits += 1
        return result


def test_a_run_that_lost_its_lease_commits_nothing_more(
    world: Any, frame: MakeFrame, copies: Callable[[], Iterator[Any]]
) -> None:
    world.accounts(*ACCOUNTS)
    go(world, view(frame, low="a"))
    world.records(*invoices(2))
    now = view(frame, low="abcd", hidden="e")
    worlds = copies()
    commits = go(next(worlds), now)
    for last in range(commits):
        other = next(worlds)
        robbed = Robbed(other.store, last)
        with pytest.raises(LeaseLostError):
            other.decide(now, Red(), Episodes(), Invoices(), pushes=[PUSH], store=robbed)
        assert robbed.commits == last
        assert other.effects("planned") == []
    worlds.close()  # type: ignore[attr-defined]
