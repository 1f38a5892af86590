"""The standard tests of actions: each kind of effect keeps its promise when the wire, the vendor or the process fails."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from wellkept.context import PluginInfo
from wellkept.effects import Effect, Payload, Target
from wellkept.frame import Frame
from wellkept.hookspecs import hookimpl
from wellkept.policy import Policy
from wellkept.records import Json
from wellkept.steps import Steps
from wellkept.store import outbox
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.bench import Bench, everything_logged
from wellkept.testing.conformance.case import Case
from wellkept.testing.faults import Fault
from wellkept.testing.simulator import Simulator

WISHES = "wishes"
"""The plugin of the kit that plans what a test wants to see done."""

BORNE: Mapping[str, Fault] = {
    "429": Fault(kind="status", status=429, retry_after=2),
    "503 before": Fault(kind="status", status=503, times=2),
    "dropped before": Fault(kind="drop"),
}
"""What happens before the vendor has acted."""

DOUBTFUL: Mapping[str, Fault] = {
    "dropped after": Fault(kind="drop", when="after"),
    "cut after": Fault(kind="cut", at=0.3),
    "500 after": Fault(kind="status", status=500, when="after"),
}
"""What happens when the vendor has acted, and we do not learn it."""


class Wishes(Policy):
    """Plans one effect for each of the accounts that it was told of."""

    name = "wishes"
    version: ClassVar[str] = "1"
    uses: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.payload: Payload | None = None
        self.targets: Mapping[str, Target | None] = {}
        self.round = 0

    def decide(self, frame: Frame) -> Iterable[Effect]:
        """Return what the test wants."""
        if self.payload is None:
            return
        for account in frame.accounts:
            if account in self.targets:
                key = "" if self.payload.kind == "state" else f"{account}/{self.round}"
                target = self.targets[account]
                yield Effect(key=key, payload=self.payload, account=account, target=target, reason="a conformance test")


class _WishesPlugin:
    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name=WISHES, api="1.0", summary="Plans what a test wants to see done.")

    @hookimpl
    def policies(self) -> Sequence[Policy]:
        return [self._wishes]


class ActionTests(Case):
    """The standard tests of one action. Subclass it as ``class TestAcmePush(ActionTests)``, once per capability.

    The plugin's own source must link accounts, as the effects are about those.

    Attributes:
        writes: Shell pattern of the paths that the action writes to; faults hit these.
        write_method: The method of these requests, or ``*``.
    """

    writes: ClassVar[str] = "*"
    write_method: ClassVar[str] = "P*"

    # --- to be overridden ---

    @abstractmethod
    def payload(self, number: int) -> Payload:
        """Return what is to be done; another number means other values."""

    @abstractmethod
    def done(self, vendor: Any, payload: Payload) -> Mapping[str, int]:
        """Return what the vendor has: for each of its records for which the payload was performed, how often it stands there.

        For a ``state`` effect the figure is 1 where the values stand; for the others it is the number of things made.
        """

    def target(self, bench: Bench, account: str) -> Target | None:
        """Return the vendor's record that is meant; None leaves it to core, which takes the account's own."""
        del bench, account
        return None

    def spoil(self, vendor: Any) -> bool:
        """Let the vendor refuse one account's effect for good; return False where it has no reason to."""
        del vendor
        return False

    # --- what the tests use ---

    @pytest.fixture
    def wishes(self) -> Wishes:
        """What is to be planned."""
        return Wishes()

    @pytest.fixture
    def bench(
        self, table: Mapping[str, Json], simulator: Simulator, clock: FakeClock, tmp_path: Path, wishes: Wishes
    ) -> Iterator[Bench]:
        """The plugin, live, beside a policy that plans what the test wants; accounts are linked and the policy is primed."""
        objects = {WISHES: _WishesPlugin(wishes)}
        with Bench(tmp_path / "bench", self.plugin, {**table, "live": True}, clock=clock, objects=objects) as bench:
            _run(bench)
            simulator.log.clear()
            yield bench

    def wish(self, bench: Bench, wishes: Wishes, number: int = 1) -> Payload:
        """Let the policy plan an effect for every account that the plugin knows."""
        with bench.runtime.store.read() as reader:
            linked = reader.rows("SELECT DISTINCT account FROM links WHERE instance = ?", (self.plugin,))
            accounts = sorted(account for (account,) in linked)
        wishes.targets = {account: self.target(bench, account) for account in accounts}
        assert len(wishes.targets) > 1, "vendor() must know some accounts"
        wishes.payload, wishes.round = self.payload(number), number
        return wishes.payload

    def test_dry_run_touches_nothing(
        self, bench: Bench, simulator: Simulator, wishes: Wishes, table: Mapping[str, Json]
    ) -> None:
        """Dry run: the same decisions are taken, and nothing changes at the vendor."""
        bench.write({**table, "live": False})
        bench.reopen()
        payload = self.wish(bench, wishes)
        _run(bench)
        assert _effects(bench), "nothing was planned"
        assert set(_effects(bench).values()) == {"planned"}
        assert list(simulator.log.effects) == []
        assert not any(self.done(simulator, payload).values())

    def test_it_is_done_once(self, bench: Bench, simulator: Simulator, wishes: Wishes) -> None:
        """Effects: what is planned is done for every account, and running again does nothing more."""
        payload = self.wish(bench, wishes)
        _run(bench)
        assert set(_effects(bench).values()) == {"done"}, _notes(bench)
        assert set(self.done(simulator, payload).values()) == {1}
        before = len(simulator.log.effects)
        bench.reopen()
        _run(bench)
        assert len(simulator.log.effects) == before, "a second run changed something"

    @pytest.mark.parametrize("fault", BORNE)
    def test_what_was_not_sent_is_sent_later(self, bench: Bench, simulator: Simulator, wishes: Wishes, fault: str) -> None:
        """Effects: when the vendor certainly did not act, it is tried again, and done once."""
        payload = self.wish(bench, wishes)
        simulator.faults.add(_at(BORNE[fault], self))
        _settle(bench)
        done = self.done(simulator, payload)
        assert set(done.values()) <= {1}
        states = Counter(_effects(bench).values())
        assert states["done"] == len(done)
        assert states["done"] + states["held"] + states["unknown"] == states.total(), states
        if fault != "dropped before":
            assert states["done"] == states.total(), _notes(bench)

    @pytest.mark.parametrize("fault", DOUBTFUL)
    def test_doubt_never_does_it_twice(self, bench: Bench, simulator: Simulator, wishes: Wishes, fault: str) -> None:
        """Effects: when nobody knows whether the vendor acted, a state is sent again, the others are never done twice."""
        payload = self.wish(bench, wishes)
        simulator.faults.add(_at(DOUBTFUL[fault], self))
        _settle(bench)
        done = self.done(simulator, payload)
        assert set(done.values()) == {1}, "something was done twice"
        states = Counter(_effects(bench).values())
        if payload.kind == "state":
            assert states["done"] == states.total() == len(done), _notes(bench)
        else:
            assert states["done"] + states["held"] + states["unknown"] == states.total(), "something was silently dropped"

    def test_an_outage_loses_nothing(self, bench: Bench, simulator: Simulator, wishes: Wishes) -> None:
        """Effects: while the vendor is away, what is planned waits, and is done when it is back."""
        payload = self.wish(bench, wishes)
        simulator.faults.add(_at(Fault(kind="status", status=503, times=None), self))
        _run(bench)
        assert not any(self.done(simulator, payload).values())
        simulator.faults.clear()
        _settle(bench)
        states = Counter(_effects(bench).values())
        assert states["rejected"] == states["expired"] == states["superseded"] == 0, _notes(bench)
        assert states["done"] == len(self.done(simulator, payload))

    def test_a_refused_row_leaves_the_others_alone(self, bench: Bench, simulator: Simulator, wishes: Wishes) -> None:
        """Effects: of a batch, the row that the vendor refuses is rejected with the reason, and the others are done."""
        if not self.spoil(simulator):
            pytest.skip(f"{type(self).__name__}.spoil() has nothing to refuse")
        payload = self.wish(bench, wishes)
        _run(bench)
        states = Counter(_effects(bench).values())
        assert states["rejected"] == 1, _notes(bench)
        assert states["done"] == states.total() - 1 == len(self.done(simulator, payload)), _notes(bench)
        assert all(note for key, note in _notes(bench).items() if _effects(bench)[key] == "rejected")

    def test_a_refused_credential_rejects_nothing(self, bench: Bench, simulator: Simulator, wishes: Wishes) -> None:
        """Credentials: a 401 while sending pauses; the effects wait for a better credential, and none is lost."""
        payload = self.wish(bench, wishes)
        simulator.faults.add(_at(Fault(kind="status", status=401, times=None), self))
        _run(bench)
        simulator.faults.clear()
        bench.clock.advance(60)
        bench.check()
        _settle(bench)
        assert set(_effects(bench).values()) == {"done"}, _notes(bench)
        assert set(self.done(simulator, payload).values()) == {1}

    def test_newer_values_win(self, bench: Bench, simulator: Simulator, wishes: Wishes) -> None:
        """Effects: of a ``state``, the newest value stands in the end, whatever happened in between."""
        if self.payload(1).kind != "state":
            pytest.skip("only a state has newer values")
        self.wish(bench, wishes, 1)
        simulator.faults.add(_at(Fault(kind="drop", when="after"), self))
        _run(bench)
        payload = self.wish(bench, wishes, 2)
        _settle(bench)
        assert set(self.done(simulator, payload).values()) == {1}

    def test_no_secret_is_told(
        self, bench: Bench, simulator: Simulator, wishes: Wishes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Secrets: none is in a log or in the outbox, also when the vendor refuses; nothing is printed."""
        self.wish(bench, wishes)
        simulator.faults.add(_at(Fault(kind="status", status=400), self))
        with everything_logged() as log:
            _settle(bench)
        told = f"{log.getvalue()} {_notes(bench)}"
        assert not any(value in told for value in self.secrets(simulator).values() if value)
        assert capfd.readouterr() == ("", "")


def _at(fault: Fault, case: ActionTests) -> Fault:
    return msgspec.structs.replace(fault, path=case.writes, method=case.write_method)


def _run(bench: Bench) -> None:
    bench.runtime.run(Steps(bench.runtime).run())
    bench.clock.advance(60)


def _settle(bench: Bench) -> None:
    """Run as often as a scheduler would in two days."""
    for hours in (0, 1, 6, 48):
        bench.clock.advance(hours * 3600)
        _run(bench)


def _effects(bench: Bench) -> Mapping[str, str]:
    with bench.runtime.store.read() as reader:
        return {entry.key: entry.state for entry in outbox.find(reader) if entry.policy == f"{WISHES}/{WISHES}"}


def _notes(bench: Bench) -> Mapping[str, Json]:
    with bench.runtime.store.read() as reader:
        return {entry.key: f"{entry.state}: {entry.note}" for entry in outbox.find(reader)}
