"""The standard tests of what holds an opinion: scorers and policies, on frames drawn from a seed."""

from __future__ import annotations

import builtins
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from wellkept.effects import Effect
from wellkept.frame import Column, Frame, Gap, Row, Unit, Value
from wellkept.policy import Decider, Fact, Facts, Machine, Policy
from wellkept.records import Json, Record
from wellkept.scorer import Score, Scorer
from wellkept.steps import Steps
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.bench import Bench

ROUNDS = 60
"""Frames that each test draws."""

ACCOUNTS = 8
"""Accounts in each."""

DAY = 86_400_000
GAPS: Sequence[Gap] = ("none", "unmatched", "no_rate", "filtered")
"""Why a cell may be unknown where a scorer or policy still sees the account; what is stale or anomalous they never see."""


class OpinionCase:
    """Base of the standard tests of scorers and policies.

    Attributes:
        plugin: The name of the plugin's entry point.
        keys: Its table in ``plugins.toml``.
        beside: Tables of further instances, by name, whose columns it reads.
        start: The first instant of the virtual time, epoch ms.
    """

    plugin: ClassVar[str]
    keys: ClassVar[Mapping[str, Json]] = {}
    beside: ClassVar[Mapping[str, Mapping[str, Json]]] = {}
    start: ClassVar[int] = 1_795_262_400_000

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """The plugin, open, in an installation of its own."""
        with Bench(tmp_path / "bench", self.plugin, self.keys, clock=FakeClock(self.start), beside=self.beside) as bench:
            yield bench

    @pytest.fixture
    def columns(self, bench: Bench) -> Mapping[str, Column]:
        """All columns of the frame."""
        steps = Steps(bench.runtime)
        bench.runtime.run(steps.score())
        return steps.frame([]).columns

    def frames(self, columns: Mapping[str, Column], uses: frozenset[str]) -> Iterator[Frame]:
        """Draw frames with the columns that are used."""
        missing = uses - columns.keys()
        assert not missing, f"no plugin declares the columns {sorted(missing)}"
        seen = {name: columns[name] for name in sorted(uses)}
        for number in range(ROUNDS):
            yield drawn(seen, random.Random(f"{self.plugin}/{number}"), self.start)  # noqa: S311 - test data


class ScorerTests(OpinionCase):
    """The standard tests of a plugin's scorers. Subclass it as ``class TestAcmeScore(ScorerTests)``."""

    @pytest.fixture
    def scorers(self, bench: Bench, columns: Mapping[str, Column]) -> Sequence[Scorer]:
        """The scorers, with their columns shown to them."""
        found = list(bench.instance.scorers)
        assert found, f"{self.plugin!r} has no scorer"
        for scorer in found:
            scorer.bind({name: columns[name] for name in scorer.uses if name in columns})
        return found

    def test_every_score_is_explained_exactly(self, scorers: Sequence[Scorer], columns: Mapping[str, Column]) -> None:
        """Scores: within the range, in a known band, and reference plus contributions is the value, to the last digit."""
        for scorer in scorers:
            low, high = scorer.range
            for frame in self.frames(columns, scorer.uses):
                scores = list(scorer.score(frame, {}))
                assert sorted(score.account for score in scores) == list(frame.accounts), "one score per account"
                for score in scores:
                    assert 0 <= score.coverage <= 1
                    if score.value is None:
                        assert score.note, "a score that is none says why"
                        continue
                    assert low <= score.value <= high
                    assert score.band in (scorer.bands or (None,))
                    assert score.reference + sum((part.points for part in score.contributions), Decimal(0)) == score.value
                    assert all(part.text and part.measure for part in score.contributions), "a reason without words"

    def test_the_same_frame_gives_the_same_scores(
        self, scorers: Sequence[Scorer], columns: Mapping[str, Column], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Scores are pure in frame and previous score: no clock, no chance, no network, no memory of earlier calls."""
        for scorer in scorers:
            frames = list(self.frames(columns, scorer.uses))
            first = [list(scorer.score(frame, {})) for frame in frames]
            with monkeypatch.context() as patch:
                _forbid_the_world(patch)
                again = [list(scorer.score(frame, {})) for frame in reversed(frames)]
            assert again[::-1] == first

    def test_each_account_is_looked_at_alone(self, scorers: Sequence[Scorer], columns: Mapping[str, Column]) -> None:
        """Scores can be computed again: an account's score does not depend on who else is in the frame."""
        for scorer in scorers:
            for frame in self.frames(columns, scorer.uses):
                together = {score.account: score for score in scorer.score(frame, {})}
                for account in frame.accounts:
                    assert list(scorer.score(frame.select([account]), {})) == [together[account]]

    def test_yesterday_is_carried_on(self, scorers: Sequence[Scorer], columns: Mapping[str, Column]) -> None:
        """Scores: the previous one may be any that the scorer ever gave, and survives being stored."""
        for scorer in scorers:
            previous: dict[str, Score] = {}
            for frame in self.frames(columns, scorer.uses):
                scores = list(scorer.score(frame, previous))
                stored = [msgspec.json.decode(msgspec.json.encode(score), type=Score) for score in scores]
                assert stored == [msgspec.convert(msgspec.to_builtins(score), Score) for score in scores]
                previous = {score.account: score for score in stored}

    def test_missing_is_not_bad(self, scorers: Sequence[Scorer], columns: Mapping[str, Column]) -> None:
        """Stale or missing is not zero: with nothing known there is no score, and no band."""
        for scorer in scorers:
            seen = {name: columns[name] for name in sorted(scorer.uses)}
            frame = Frame(_day(self.start), ["a"], seen, {name: [None] for name in seen})
            for score in scorer.score(frame, {}):
                assert (score.value, score.band) == (None, None), "nothing is known, and it was scored all the same"


class PolicyTests(OpinionCase):
    """The standard tests of a plugin's policies and machines. Subclass it as ``class TestAcmeRules(PolicyTests)``."""

    @pytest.fixture
    def deciders(self, bench: Bench, columns: Mapping[str, Column]) -> Sequence[Decider]:
        """Policies and machines, with their columns shown to them."""
        found = list(bench.instance.deciders)
        assert found, f"{self.plugin!r} has no policy"
        for decider in found:
            decider.bind({name: columns[name] for name in decider.uses if name in columns})
        return found

    def test_the_same_facts_give_the_same_effects(
        self, deciders: Sequence[Decider], columns: Mapping[str, Column], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Policies are pure in state and facts: no clock, no chance, no network, no file, no memory of an earlier call."""
        for decider in deciders:
            frames = list(self.frames(columns, decider.uses))
            first = [_decided(decider, frame, self.start) for frame in frames]
            with monkeypatch.context() as patch:
                _forbid_the_world(patch)
                again = [_decided(decider, frame, self.start) for frame in reversed(frames)]
            assert again[::-1] == first

    def test_effects_are_sound(self, deciders: Sequence[Decider], columns: Mapping[str, Column]) -> None:
        """Effects have an account, a reason and, unless they set a state, a key that no other effect has."""
        for decider in deciders:
            for frame in self.frames(columns, decider.uses):
                effects = _decided(decider, frame, self.start)
                assert all(effect.account in frame.accounts for effect in effects)
                assert all(effect.reason for effect in effects)
                keys = [effect.key for effect in effects if effect.payload.kind != "state"]
                assert all(keys)
                assert len(keys) == len(set(keys)), "two effects with one key"

    def test_recheck_holds_what_still_holds_and_drops_what_does_not(
        self, deciders: Sequence[Decider], columns: Mapping[str, Column]
    ) -> None:
        """Never after recovery: asked again, an effect proceeds on the same facts, and never for an account that is gone."""
        for decider in deciders:
            for frame in self.frames(columns, decider.uses):
                for effect in _decided(decider, frame, self.start):
                    same = decider.recheck(effect, _Facts(self.start, frame))
                    if isinstance(decider, Policy):
                        assert same.action == "proceed", same.reason
                    gone = decider.recheck(effect, _Facts(self.start, frame.select([])))
                    assert gone.action != "proceed", "the account is gone, and the effect would go out"

    def test_one_account_alone_decides_the_same(self, deciders: Sequence[Decider], columns: Mapping[str, Column]) -> None:
        """Recheck looks at one account alone, so a policy must decide about it as it did among all."""
        for decider in deciders:
            for frame in self.frames(columns, decider.uses):
                together = _decided(decider, frame, self.start)
                alone = [
                    effect for account in frame.accounts for effect in _decided(decider, frame.select([account]), self.start)
                ]
                assert sorted(map(_text, alone)) == sorted(map(_text, together))

    def test_state_survives_being_stored(self, deciders: Sequence[Decider], columns: Mapping[str, Column]) -> None:
        """A machine's state is plain data: written and read back, it leads to the same steps."""
        for decider in deciders:
            if not isinstance(decider, Machine) or decider.over != "account":
                continue
            kept: dict[str, Any] = {}
            for frame in self.frames(columns, decider.uses):
                for row in frame.rows():
                    state = kept.get(row.account) or decider.initial(row.account)
                    stored = msgspec.json.decode(msgspec.json.encode(state), type=decider.state)
                    fact = _fact(row, self.start)
                    step = decider.step(state, fact)
                    assert decider.step(stored, fact) == step
                    assert step.wake_at is None or step.wake_at > 0
                    kept[row.account] = step.state


# --- what is drawn -----------------------------------------------------------------------------------------------------------


def drawn(columns: Mapping[str, Column], draw: random.Random, now: int) -> Frame:
    """Return a frame with random cells, some of them unknown."""
    accounts = [f"acc_{number:04}" for number in range(ACCOUNTS)]
    cells: dict[str, list[Value]] = {}
    gaps: dict[str, dict[int, Gap]] = {}
    for name, column in columns.items():
        unknown = draw.choice((0.0, 0.1, 0.9))
        cells[name] = [None if draw.random() < unknown else _cell(column.unit, draw, now) for _ in accounts]
        gaps[name] = {index: draw.choice(GAPS) for index, cell in enumerate(cells[name]) if cell is None}
    return Frame(_day(now), accounts, columns, cells, gaps)


def _cell(unit: Unit, draw: random.Random, now: int) -> Value:
    """Draw a cell: often one of the values at which things change, else anything that the unit allows."""
    values: Mapping[str, Sequence[Value]] = {
        "count": (0, 1, draw.randrange(10), draw.randrange(100_000)),
        "minutes": (0, 1, draw.randrange(100), draw.randrange(100_000)),
        "money": (0, draw.randrange(100_000), draw.randrange(1_000_000_000)),
        "days": (0, draw.randrange(-400, 4_000)),
        "ratio": (0.0, 1.0, draw.random(), draw.random() * 10),
        "points": (0.0, draw.random() * 10, draw.random() * 100),
        "date": (now + draw.randrange(-400, 400) * DAY,),
        "flag": (True, False),
        "text": ("", "red", "yellow", "green", "Grün", "企业"),
    }
    return draw.choice(values[unit])


def _day(now: int) -> date:
    return datetime.fromtimestamp(now / 1000, UTC).date()


def _decided(decider: Decider, frame: Frame, now: int) -> Sequence[Effect]:
    """Return what a policy plans, or what a machine plans that has never seen the accounts."""
    if isinstance(decider, Policy):
        return list(decider.decide(frame))
    assert isinstance(decider, Machine)
    if decider.over != "account":
        return []
    found: list[Effect] = []
    for row in frame.rows():
        found += decider.step(decider.initial(row.account), _fact(row, now)).effects
    return found


def _fact(row: Row, now: int) -> Fact:
    return Fact(subject=row.account, cause="frame", at=now, account=row.account, row=row)


def _text(effect: Effect) -> bytes:
    return msgspec.json.encode([effect.key, effect.account, effect.payload, effect.target], order="deterministic")


class _Facts(Facts):
    """The world as a frame shows it, without records."""

    def __init__(self, now: int, frame: Frame) -> None:
        self._now = now
        self._frame = frame

    @property
    def now(self) -> int:
        return self._now

    def row(self, account: str) -> Row | None:
        return self._frame.row(account) if account in self._frame.accounts else None

    def records(self, record: type[Record], account: str) -> Sequence[Any]:
        del record, account
        return []

    def record(self, record: type[Record], id_: str, *, instance: str) -> Any:
        del record, id_, instance
        return None


def _forbid_the_world(patch: pytest.MonkeyPatch) -> None:
    """Let everything that reaches beyond the arguments fail, in this thread; others, such as servers, go on."""
    here = threading.get_ident()

    def forbid(holder: object, name: str) -> None:
        original = getattr(holder, name)

        def forbidden(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == here:
                raise AssertionError(f"it must depend on its arguments alone, and calls {name}")
            return original(*args, **options)

        patch.setattr(holder, name, forbidden)

    for name in ("time", "time_ns", "monotonic", "sleep"):
        forbid(time, name)
    for name in ("random", "randint", "choice", "uniform", "randrange", "shuffle"):
        forbid(random, name)
    forbid(socket.socket, "connect")
    forbid(socket, "getaddrinfo")
    forbid(builtins, "open")
