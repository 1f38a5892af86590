"""The standard tests of actions: each kind of effect keeps its promise when the wire, the vendor or the process fails."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import msgspec
import pytest

from wellkept.action import Envelope, MessageAction, Outcome
from wellkept.effects import MessageSend, Payload, Target
from wellkept.errors import NotSentError
from wellkept.pipeline.undo import undo
from wellkept.records import Json, Record
from wellkept.steps import Steps
from wellkept.store import outbox
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.apart import changed
from wellkept.testing.conformance.bench import Bench, everything_logged
from wellkept.testing.conformance.calls import calls, sending
from wellkept.testing.conformance.case import Case, kinds
from wellkept.testing.conformance.wishes import WISHES, Wishes, wishes_plugin
from wellkept.testing.conformance.written import Written, shown, without
from wellkept.testing.faults import Fault
from wellkept.testing.switch import Switch

DAY = 86_400_000
"""Milliseconds."""

BORNE: Mapping[str, Fault] = {
    "429": Fault(kind="status", status=429, retry_after=2),
    "503 before": Fault(kind="status", status=503, times=2),
}
"""What happens when the vendor certainly has not acted."""

DOUBTFUL: Mapping[str, Fault] = {
    "dropped before": Fault(kind="drop"),
    "dropped after": Fault(kind="drop", when="after"),
    "cut after": Fault(kind="cut", at=0.3),
    "500 after": Fault(kind="status", status=500, when="after"),
}
"""What happens when we do not learn whether the vendor has acted."""


class ActionTests(Case):
    """The standard tests of one action. Subclass it as ``class TestAcmePush(ActionTests)``, once per capability.

    The effects are about the accounts that the plugin's own source links, or else about `customers`.

    A vendor that is not spoken to over HTTP gives faults of its own, which `strike` understands.

    Attributes:
        writes: Shell pattern of the paths that the action writes to; faults hit these.
        write_method: The method of these requests, or ``*``.
        customers: The addresses of accounts that the kit makes up, for a plugin whose source links none; the address is the
            account's billing contact. Or whole records of such accounts and of people.
        borne: Faults, by name, when the vendor certainly has not acted.
        doubtful: Faults, by name, when we do not learn whether it has. One must be ``dropped after``: it has acted, once, and
            nothing is answered.
        outage: The vendor is away until `mend`.
        unwelcome: The credential is refused until `mend`.
        nonsense: The vendor refuses one request and says why.
    """

    writes: ClassVar[str] = "*"
    write_method: ClassVar[str] = "P*"
    customers: ClassVar[Sequence[str | Record]] = ()
    borne: ClassVar[Mapping[str, Any]] = BORNE
    doubtful: ClassVar[Mapping[str, Any]] = DOUBTFUL
    outage: ClassVar[Any] = Fault(kind="status", status=503, times=None)
    unwelcome: ClassVar[Any] = Fault(kind="status", status=401, times=None)
    nonsense: ClassVar[Any] = Fault(kind="status", status=400)

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

    def others(self) -> Sequence[Payload]:
        """Return further payloads, with values of other types and with values that the vendor does not take."""
        return ()

    def messages(self) -> Mapping[str, tuple[MessageSend, Envelope]]:
        """Return messages by name, as core would hand them over: each template, language and kind of address, good and bad."""
        return {}

    def circumstances(self, vendor: Any) -> Mapping[str, Callable[[], object]]:
        """Return what may be otherwise when something is written, by name: at the vendor, or in the configuration.

        Each comes on top of those before it, except for faults, which pass. A mapping that one returns gives keys of the
        plugin's table that differ from then on. What is sent then, and what comes of it, stands in
        a file beside the test. Of messages, it is the first of `messages` that is sent.
        """
        del vendor
        return {}

    def arrived(self, vendor: Any) -> Sequence[str]:
        """Return all that has arrived at the vendor so far, in order. By default the requests that a simulator's log has."""
        return [line for entry in vendor.log.requests for line in shown([entry])]

    def strike(self, vendor: Any, fault: Any) -> None:
        """Let the vendor fail from now on when it is written to. By default a simulator's fault at `writes`."""
        vendor.faults.add(msgspec.structs.replace(fault, path=self.writes, method=self.write_method))

    def mend(self, vendor: Any) -> None:
        """Let the vendor be well again."""
        vendor.faults.clear()

    def changes(self, vendor: Any) -> int:
        """Return how many things have changed at the vendor. By default what the simulator's log says."""
        return len(vendor.log.effects)

    # --- what the tests use ---

    @pytest.fixture
    def wishes(self) -> Wishes:
        """What is to be planned."""
        return Wishes()

    @pytest.fixture
    def bench(self, table: Mapping[str, Json], clock: FakeClock, tmp_path: Path, wishes: Wishes) -> Iterator[Bench]:
        """The plugin, live, beside a policy that plans what the test wants; accounts are linked and the policy is primed."""
        objects = {WISHES: wishes_plugin(wishes, self.customers)}
        with Bench(
            tmp_path / "bench", self.plugin, {**table, "live": True}, clock=clock, objects=objects, settings=self.settings
        ) as bench:
            _run(bench)
            yield bench

    def wish(self, bench: Bench, wishes: Wishes, number: int = 1) -> Payload:
        """Let the policy plan an effect for every account that is linked."""
        with bench.runtime.store.read() as reader:
            linked = reader.rows(
                "SELECT DISTINCT account FROM links WHERE instance = ?", (WISHES if self.customers else self.plugin,)
            )
            accounts = sorted(account for (account,) in linked)
        wishes.targets = {account: self.target(bench, account) for account in accounts}
        assert len(wishes.targets) > 1, "vendor() must know some accounts"
        wishes.payload, wishes.round = self.payload(number), number
        return wishes.payload

    def settled(self, bench: Bench, vendor: Any, payload: Payload) -> None:
        """Hold what came of a call in doubt against the rules of its kind."""
        done, states = self.done(vendor, payload), Counter(_effects(bench).values())
        assert set(done.values()) <= {1}, "something was done twice"
        assert states["done"] <= len(done), "something was said to be done, and is not"
        if payload.kind == "state":
            assert states["done"] == states.total() == len(done), _notes(bench)
        else:
            assert states["done"] + states["held"] + states["unknown"] == states.total(), "something was silently dropped"

    def test_dry_run_touches_nothing(self, bench: Bench, simulator: Any, wishes: Wishes, table: Mapping[str, Json]) -> None:
        """Dry run: the same decisions are taken, and nothing changes at the vendor."""
        before = self.changes(simulator)
        bench.write({**table, "live": False})
        bench.reopen()
        payload = self.wish(bench, wishes)
        _run(bench)
        assert _effects(bench), "nothing was planned"
        assert set(_effects(bench).values()) == {"planned"}
        assert self.changes(simulator) == before
        assert not any(self.done(simulator, payload).values())

    def test_it_is_done_once(self, bench: Bench, simulator: Any, wishes: Wishes) -> None:
        """Effects: what is planned is done for every account, and running again does nothing more."""
        payload = self.wish(bench, wishes)
        _run(bench)
        states = Counter(_effects(bench).values())
        assert set(states) == {"done"}, _notes(bench)
        done = self.done(simulator, payload)
        assert set(done.values()) == {1}
        assert len(done) == states.total(), "something was said to be done, and is not"
        before = self.changes(simulator)
        bench.reopen()
        _run(bench)
        assert self.changes(simulator) == before, "a second run changed something"

    @kinds("state", "once")
    def test_requests_stay_the_same(
        self,
        bench: Bench,
        simulator: Any,
        simulator_server: tuple[Switch, str],
        wishes: Wishes,
        request: pytest.FixtureRequest,
    ) -> None:
        """Requests: what is sent, of ordinary values and of odd ones, and what comes of it stands in a file beside the test."""
        trials: dict[str, tuple[Payload | None, Callable[[], object]]] = {"at first": (None, int)}
        trials |= {f"other values {at}": (payload, int) for at, payload in enumerate(self.others(), 1)}
        trials |= {name: (None, happens) for name, happens in self.circumstances(simulator).items()}
        table, told = request.getfixturevalue("table"), dict[str, Json]()
        for number, (name, (payload, happens)) in enumerate(trials.items(), 1):
            bench.clock.advance((self.start + number * DAY - bench.clock.now()) / 1000)  # pauses end, and times are the same
            keys = happens()
            if isinstance(keys, Mapping):
                table = changed(table, keys)
                bench.write({**table, "live": True})
                bench.reopen()
            wishes.payload = self.wish(bench, wishes, number) if payload is None else payload
            wishes.round = number
            action = _action(bench, wishes.payload)
            told[name] = calls(action, lambda: self.arrived(simulator), lambda: _run(bench), in_order=not self.over_http)
            self.mend(simulator)
        hidden = [simulator_server[1], *self.hidden(simulator)]
        Written(self, request).holds(f"{type(self).__name__}.requests", without(told, hidden))

    @kinds("message")
    def test_messages_stay_the_same(self, bench: Bench, simulator: Any, request: pytest.FixtureRequest) -> None:
        """Messages: the templates, and what is sent of each message and comes of it, also of refusals, stand in a file."""
        action, every = _action(bench, self.payload(1)), self.messages()
        trials: dict[str, tuple[str, Callable[[], object]]] = {name: (name, int) for name in every}
        trials |= {name: (next(iter(every)), happens) for name, happens in self.circumstances(simulator).items()}
        told: dict[str, Json] = {"templates": msgspec.to_builtins(action.templates())}
        for name, (which, happens) in trials.items():
            happens()
            told[name] = sending(bench, action, name, *every[which], arrived=lambda: self.arrived(simulator))
            self.mend(simulator)
        Written(self, request).holds(f"{type(self).__name__}.messages", without(told, self.hidden(simulator)))

    @kinds("state", "once")
    def test_each_delivery_has_its_outcome(self, bench: Bench, wishes: Wishes) -> None:
        """Batches: an action is given no more than it takes at a time, and says of each delivery what came of it."""
        action = _action(bench, self.wish(bench, wishes))
        deliver, seen = action.deliver, list[tuple[int, int]]()

        async def counted(deliveries: Sequence[Any]) -> Sequence[Outcome]:
            outcomes: Sequence[Outcome] = await deliver(deliveries)
            seen.append((len(deliveries), len(outcomes)))
            return outcomes

        with patch.object(action, "deliver", counted):
            _run(bench)
        assert seen, "nothing was delivered"
        assert all(given == told <= action.max_batch for given, told in seen)

    @pytest.mark.parametrize("when", ["before", "during", "after"])
    def test_a_crash_does_nothing_twice(self, bench: Bench, simulator: Any, wishes: Wishes, when: str) -> None:
        """Effects: what a process that is killed at a call leaves, the next one settles: nothing is lost, nor done twice."""
        payload = self.wish(bench, wishes)
        if when == "during":
            self.strike(simulator, self.doubtful["dropped after"])
        _killed(bench, _action(bench, payload), acts=when != "before")
        self.mend(simulator)
        _settle(bench)
        self.settled(bench, simulator, payload)

    def test_what_was_not_sent_is_sent_later(self, bench: Bench, simulator: Any, wishes: Wishes, borne: str) -> None:
        """Effects: when the vendor certainly did not act, it is tried again, and done once."""
        payload = self.wish(bench, wishes)
        self.strike(simulator, self.borne[borne])
        _settle(bench)
        done, states = self.done(simulator, payload), Counter(_effects(bench).values())
        assert set(done.values()) == {1}
        assert states["done"] == states.total() == len(done), _notes(bench)

    def test_doubt_never_does_it_twice(self, bench: Bench, simulator: Any, wishes: Wishes, doubtful: str) -> None:
        """Effects: when nobody knows whether the vendor acted, a state is sent again, the others are never done twice."""
        payload = self.wish(bench, wishes)
        self.strike(simulator, self.doubtful[doubtful])
        _settle(bench)
        self.settled(bench, simulator, payload)

    def test_an_outage_loses_nothing(self, bench: Bench, simulator: Any, wishes: Wishes) -> None:
        """Effects: while the vendor is away, what is planned waits, and is done when it is back."""
        payload = self.wish(bench, wishes)
        self.strike(simulator, self.outage)
        _run(bench)
        assert not any(self.done(simulator, payload).values())
        self.mend(simulator)
        _settle(bench)
        states = Counter(_effects(bench).values())
        assert states["rejected"] == states["expired"] == states["superseded"] == 0, _notes(bench)
        assert states["done"] == len(self.done(simulator, payload))

    def test_a_refused_row_leaves_the_others_alone(self, bench: Bench, simulator: Any, wishes: Wishes) -> None:
        """Effects: of a batch, the row that the vendor refuses is rejected with the reason, and the others are done."""
        if not self.spoil(simulator):
            pytest.skip(f"{type(self).__name__}.spoil() has nothing to refuse")
        payload = self.wish(bench, wishes)
        _run(bench)
        states = Counter(_effects(bench).values())
        assert states["rejected"] == 1, _notes(bench)
        assert states["done"] == states.total() - 1 == len(self.done(simulator, payload)), _notes(bench)
        assert all(note for key, note in _notes(bench).items() if _effects(bench)[key] == "rejected")

    def test_a_refused_credential_rejects_nothing(self, bench: Bench, simulator: Any, wishes: Wishes) -> None:
        """Credentials: one that is refused while sending pauses; the effects wait for a better one, and none is lost."""
        payload = self.wish(bench, wishes)
        self.strike(simulator, self.unwelcome)
        _run(bench)
        assert not any(self.done(simulator, payload).values())
        self.mend(simulator)
        bench.clock.advance(60)
        bench.check()
        _settle(bench)
        assert set(_effects(bench).values()) == {"done"}, _notes(bench)
        assert set(self.done(simulator, payload).values()) == {1}

    @kinds("state")
    def test_newer_values_win(self, bench: Bench, simulator: Any, wishes: Wishes) -> None:
        """Effects: of a ``state``, the newest value stands in the end, whatever happened in between."""
        self.wish(bench, wishes, 1)
        self.strike(simulator, self.doubtful["dropped after"])
        _run(bench)
        payload = self.wish(bench, wishes, 2)
        _settle(bench)
        assert set(self.done(simulator, payload).values()) == {1}

    @kinds("state")
    def test_undo_brings_back_what_stood_there(self, bench: Bench, simulator: Any, wishes: Wishes) -> None:
        """Effects: what was set can be undone: the values that stood there before stand again."""
        first = self.wish(bench, wishes, 1)
        _run(bench)
        known, stood = _effects(bench).keys(), self.done(simulator, first)
        second = self.wish(bench, wishes, 2)
        _run(bench)
        wishes.payload = None
        keys, now = sorted(_effects(bench).keys() - known), bench.clock.now()
        actions = Steps(bench.runtime).actions
        report = bench.runtime.run(undo(bench.runtime.store, actions, undo_run=f"undo-{now}", keys=keys, now=now))
        assert report.planned, (report.left, _notes(bench))
        assert report.left == []
        _settle(bench)
        assert not any(self.done(simulator, second).values()), "it stands as if nothing had been undone"
        assert self.done(simulator, first) == stood, "what stood there before does not stand again"

    def test_no_secret_is_told(self, bench: Bench, simulator: Any, wishes: Wishes, capfd: pytest.CaptureFixture[str]) -> None:
        """Secrets: none is in a log or in the outbox, also when the vendor refuses; nothing is printed."""
        self.wish(bench, wishes)
        self.strike(simulator, self.nonsense)
        with everything_logged() as log:
            _settle(bench)
        told = f"{log.getvalue()} {_notes(bench)}"
        assert not any(value in told for value in self.secrets(simulator).values() if value)
        assert capfd.readouterr() == ("", "")


def _action(bench: Bench, payload: Payload) -> Any:
    return bench.instance.actions[payload.capability]


def _killed(bench: Bench, action: Any, *, acts: bool) -> None:
    """Run until the process is killed at its first call of an action, before or after the vendor acts; and start another.

    What a killed process leaves is its store as it was at that moment: a copy of it takes the store's place.
    """
    copy, name = bench.folder / "killed", "send" if isinstance(action, MessageAction) else "deliver"
    whole = getattr(action, name)

    async def call(*args: Any) -> Any:
        if not copy.exists():
            with closing(sqlite3.connect(bench.store)) as store, closing(sqlite3.connect(copy)) as kept:
                store.backup(kept)
            if acts:
                return await whole(*args)
        raise NotSentError("the process is gone")

    with patch.object(action, name, call):
        _run(bench)
    assert copy.exists(), "nothing was delivered"
    bench.close()
    for path in bench.folder.glob(f"{bench.store.name}*"):
        path.unlink()
    copy.rename(bench.store)
    bench.reopen()


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
