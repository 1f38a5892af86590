from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept import AccountScorer, Column, Contribution, Frame, Gap, Row, Score, Scorer, Value
from wellkept.errors import ConfigError
from wellkept.pipeline import score as step
from wellkept.pipeline.score import ScoreReport, fresh_columns, rescore, score, score_columns
from wellkept.store import Store, open_store, overrides, scores
from wellkept.testing import FakeClock

NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
DAY = 86_400_000


class Logins(AccountScorer):
    """Ten points per login; red below 50."""

    name = "logins_score"
    version = "1"
    bands = ("red", "green")

    def __init__(self, change: Callable[[Row, dict[str, Any]], dict[str, Any]] | None = None) -> None:
        self.seen: list[str] = []
        self.before: dict[str, Decimal | None] = {}
        self._change = change

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"logins"})

    def score_account(self, row: Row, previous: Score | None) -> Score:
        self.seen.append(row.account)
        self.before[row.account] = previous.value if previous else None
        logins = row["logins"]
        if not isinstance(logins, int):
            return Score(account=row.account, value=None, band=None, coverage=0.0, note="not scored: no logins")
        value = Decimal(min(100, 10 * logins))
        fields: dict[str, Any] = {
            "account": row.account,
            "value": value,
            "band": "red" if value < 50 else "green",
            "coverage": 1.0,
            "contributions": [
                Contribution(measure="logins", group="usage", value=logins, points=value, text=f"logins: {logins}", weight=1.0)
            ],
        }
        return Score(**(self._change(row, fields) if self._change else fields))


class Broken(Scorer):
    """Cannot do anything."""

    name = "broken"
    version = "1"
    uses = frozenset({"logins"})

    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterable[Score]:
        raise RuntimeError("no idea, ask bob@example.com")


def frame(
    *logins: Value, day: int = 0, gaps: Mapping[int, Gap] | None = None, accounts: Sequence[str] | None = None, **more: Any
) -> Frame:
    names = list(accounts or [f"a{index}" for index in range(len(logins))])
    cells: dict[str, Sequence[Value]] = {"logins": list(logins), **more}
    columns = {name: Column(name=name, unit="count", doc=name) for name in cells}
    return Frame(date(2026, 11, 21 + day), names, columns, cells, {"logins": gaps or {}})


def run(store: Store, view: Frame, *scorers: Scorer, now: int = NOW) -> ScoreReport:
    pairs = [(f"instance_{index}", scorer) for index, scorer in enumerate(scorers)]
    return score(store, pairs, view, run_id="run_1", now=now, configs={"instance_0": {"steps": 10}})


def rows(store: Store, account: str = "a0", scorer: str = "logins_score") -> list[scores.Entry]:
    with store.read() as reader:
        return list(scores.history(reader, account, scorer))


def columns(store: Store, view: Frame, scorer: Scorer | None = None, now: int = NOW) -> Frame:
    with store.read() as reader:
        return score_columns(reader, [("instance_0", scorer or Logins())], view, now)


# --- history ---


def test_a_row_is_written_only_when_score_or_explanation_changed(store: Store) -> None:
    assert run(store, frame(7), Logins()).changed == 1
    assert run(store, frame(7), Logins(), now=NOW + 1).changed == 0
    assert run(store, frame(7, day=1), Logins(), now=NOW + DAY).changed == 0
    assert run(store, frame(8, day=1), Logins(), now=NOW + DAY + 1).changed == 1
    found = rows(store)
    assert [(item.score.value, item.as_of) for item in found] == [(80, "2026-11-22"), (70, "2026-11-21")]
    assert found[0].inputs.cells == {"logins": 8}
    assert found[0].run_id == "run_1"


def test_an_explanation_that_changes_is_kept_though_the_score_stays(store: Store) -> None:
    run(store, frame(10), Logins())
    report = run(store, frame(11), Logins())
    assert report.changed == 1
    assert [item.score.value for item in rows(store)] == [100, 100]


def test_previous_is_the_last_score_of_an_earlier_day(store: Store) -> None:
    run(store, frame(3), Logins())
    run(store, frame(4), Logins())
    same_day, next_day = Logins(), Logins()
    run(store, frame(5), same_day)
    run(store, frame(6, day=1), next_day, now=NOW + DAY)
    run(store, frame(9, day=1), again := Logins(), now=NOW + DAY)
    assert same_day.before == {"a0": None}
    assert next_day.before == again.before == {"a0": 50}


def test_an_old_day_can_be_scored_later_without_disturbing_the_present(store: Store) -> None:
    run(store, frame(3, day=1), Logins())
    run(store, frame(9, day=0), Logins())
    assert columns(store, frame(3, day=1)).column("logins_score") == [30]
    assert columns(store, frame(3, day=0)).column("logins_score") == [90]


def test_the_configuration_is_filed_once_with_the_columns(store: Store) -> None:
    run(store, frame(3), Logins())
    run(store, frame(4), Logins())
    found = rows(store)
    assert found[0].config_digest == found[1].config_digest
    with store.read() as reader:
        body = scores.config(reader, found[0].config_digest)
        assert reader.value("SELECT count(*) FROM configs") == 1
    assert body is not None
    assert body["config"] == {"steps": 10}
    assert list(body["columns"]) == ["logins"]


def test_scoring_again_after_a_stop_half_way_ends_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    view = frame(1, 2, 3, 4, 5)
    real, count = scores.append, 0

    def dies(tx: Any, entries: Any) -> int:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return real(tx, entries)

    monkeypatch.setattr(scores, "append", dies)
    monkeypatch.setattr(step, "slices", lambda accounts: (accounts[i : i + 2] for i in range(0, len(accounts), 2)))
    with pytest.raises(KeyboardInterrupt):
        run(store, view, Logins())
    monkeypatch.setattr(scores, "append", real)
    run(store, view, Logins())
    assert columns(store, view).column("logins_score") == [10, 20, 30, 40, 50]
    assert all(len(rows(store, account)) == 1 for account in view.accounts)


def test_history_and_overrides_go_along_when_an_account_is_called_otherwise(store: Store) -> None:
    run(store, frame(9), Logins())
    override(store, "red")

    def rename(tx: Any) -> None:
        tx.execute("INSERT INTO accounts (id, state, created_at, updated_at) VALUES ('older', 'active', 0, 0)")
        tx.execute(
            "INSERT INTO accounts (id, state, merged_into, created_at, updated_at) VALUES ('a0', 'merged', 'older', 0, 0)"
        )

    store.write_now(rename)
    run(store, view := frame(2, day=1, accounts=["older"]), late := Logins(), now=NOW + DAY)
    assert late.before == {"older": 90}
    row = columns(store, view, now=NOW + DAY).row("older")
    assert (row["logins_score_band"], row["logins_score_band_before"]) == ("red", "green")
    run(store, frame(None, day=2, gaps={0: "stale"}, accounts=["older"]), Logins(), now=NOW + 2 * DAY)
    held, second, first = rows(store, "older")
    assert held.held is not None
    with store.read() as reader:
        assert rescore(reader, first.seq, Logins()).account == "a0"
        assert msgspec.json.encode(rescore(reader, second.seq, Logins())) == msgspec.json.encode(second.score)


# --- held ---


@pytest.mark.parametrize("gap", ["stale", "anomaly"])
def test_an_outage_changes_no_band(store: Store, gap: Gap) -> None:
    run(store, frame(9, 2), Logins())
    blind = Logins()
    report = run(store, view := frame(None, 8, day=1, gaps={0: gap}), blind, now=NOW + DAY)
    assert blind.seen == ["a1"]
    assert (report.held, report.scored) == (1, 1)
    held = rows(store)[0]
    assert held.held == f"logins is {'stale' if gap == 'stale' else 'anomalous'}"
    assert (held.score.value, held.band) == (90, "green")
    seen = columns(store, view)
    for name in ("logins_score", "logins_score_band", "logins_score_band_before", "logins_score_coverage"):
        assert seen.row("a0")[name] is None
        assert seen.row("a0").gap(name) == "stale"
    assert seen.row("a1")["logins_score_band"] == "green"
    assert seen.row("a1")["logins_score_band_before"] == "red"


def test_after_an_outage_the_score_before_it_is_the_previous_one(store: Store) -> None:
    run(store, frame(9), Logins())
    run(store, frame(None, day=1, gaps={0: "stale"}), Logins(), now=NOW + DAY)
    back = Logins()
    run(store, view := frame(2, day=2), back, now=NOW + 2 * DAY)
    assert back.before == {"a0": 90}
    assert columns(store, view).row("a0")["logins_score_band_before"] == "green"


def test_an_account_that_was_never_scored_is_held_too(store: Store) -> None:
    view = frame(None, gaps={0: "stale"})
    run(store, view, Logins())
    assert columns(store, view).row("a0").gap("logins_score") == "stale"
    run(store, frame(4, day=1), late := Logins())
    assert late.before == {"a0": None}


@pytest.mark.parametrize("gap", ["none", "unmatched", "filtered", "no_rate"])
def test_other_gaps_are_the_scorers_business(store: Store, gap: Gap) -> None:
    report = run(store, view := frame(None, gaps={0: gap}), seeing := Logins())
    assert seeing.seen == ["a0"]
    assert (report.held, report.unscored) == (0, 1)
    assert columns(store, view).row("a0").gap("logins_score") == "none"


# --- rules of a score ---


def part(points: str) -> Contribution:
    return Contribution(measure="logins", group="usage", value=1, points=Decimal(points), text="")


BREACHES: dict[str, tuple[dict[str, Any], str]] = {
    "sum": ({"contributions": [part("89.99")]}, "contributions end at 89.99"),
    "reference": ({"reference": Decimal("0.01")}, "contributions end at 90.01"),
    "three decimals": ({"contributions": [part("45.001"), part("44.999")]}, "more than two decimals"),
    "nan": ({"value": Decimal("NaN")}, "not within 0 and 100"),
    "above": ({"value": Decimal(110), "contributions": [part("110")]}, "not within 0 and 100"),
    "below": ({"value": Decimal(-10), "contributions": [part("-10")]}, "not within 0 and 100"),
    "band": ({"band": "purple"}, "unknown band 'purple'"),
    "no band": ({"band": None}, "unknown band None"),
    "band without score": ({"value": None}, "band 'green' without a score"),
    "coverage": ({"coverage": 1.01}, "coverage 1.01"),
    "coverage nan": ({"coverage": float("nan")}, "that is no score"),
    "no such account": ({"account": "zz"}, "no score of an account"),
    "not plain": ({"carry": {"x": {1, 2, object()}}}, "that is no score"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_score_that_breaks_a_rule_is_reported_and_not_kept(store: Store, breach: str) -> None:
    change, message = BREACHES[breach]
    run(store, frame(8, 8), Logins())
    bad = Logins(lambda row, fields: {**fields, **change} if row.account == "a0" else fields)
    other = Logins()
    other.name = "other"
    report = run(store, view := frame(9, 9, day=1), bad, other, now=NOW + DAY)
    failure = report.failures[0]
    assert (failure.instance, failure.name) == ("instance_0", "logins_score")
    assert message in failure.message
    assert rows(store)[0].score.value == 80
    assert columns(store, view).row("a0").gap("logins_score") == "stale"
    assert columns(store, view, other).column("other") == [90, 90]


def test_one_bad_account_does_not_stop_its_neighbours(store: Store) -> None:
    def change(row: Row, fields: dict[str, Any]) -> dict[str, Any]:
        if row.account == "a1":
            raise ValueError("cannot read bob@example.com")
        return fields

    report = run(store, view := frame(1, 2, 3), Logins(change))
    assert report.failures[0].subjects == ("a1",)
    assert "bob@" not in report.failures[0].message
    assert columns(store, view).column("logins_score") == [10, None, 30]


def test_a_scorer_that_fails_is_named_and_the_others_run(store: Store) -> None:
    report = run(store, view := frame(1, 2), Broken(), Logins())
    assert [(item.instance, item.name) for item in report.failures] == [("instance_0", "broken")]
    assert "bob@" not in report.failures[0].message
    assert columns(store, view).column("logins_score") == [10, 20]
    assert columns(store, view, Broken()).row("a0").gap("broken") == "stale"


class Sloppy(Logins):
    """Forgets one account and scores another twice."""

    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterator[Score]:
        found = list(super().score(frame, previous))
        yield found[0]
        yield found[0]
        yield from found[2:]


def test_a_forgotten_and_a_doubled_account_are_held(store: Store) -> None:
    report = run(store, view := frame(1, 2, 3), Sloppy())
    assert {item.message for item in report.failures} == {"it returned two scores", "it returned no score"}
    assert columns(store, view).column("logins_score") == [None, None, 30]


def test_a_missing_column_names_the_nearest_and_holds_all(store: Store) -> None:
    view = Frame(date(2026, 11, 21), ["a0"], {"login": Column(name="login", unit="count", doc="")}, {"login": [1]})
    report = run(store, view, Logins())
    assert report.failures[0].message == "there is no column 'logins'; did you mean 'login'?"
    assert columns(store, view).row("a0").gap("logins_score") == "stale"


def test_a_scorer_sees_only_the_columns_that_it_declares(store: Store) -> None:
    peeking = Logins(lambda row, fields: {**fields, "note": str(row["mrr"])})
    report = run(store, frame(1, mrr=[500]), peeking)
    assert "mrr" in report.failures[0].message


def test_bind_complains_by_name(store: Store) -> None:
    class Picky(Logins):
        def bind(self, columns: Mapping[str, Column]) -> None:
            raise ConfigError(f"{columns['logins'].name} must be money", key="plugins.picky")

    report = run(store, frame(1), Picky())
    assert "logins must be money" in report.failures[0].message


# --- overrides ---


def override(store: Store, band: str, *, days: int = 10, now: int = NOW) -> None:
    store.write_now(
        lambda tx: overrides.put(
            tx,
            account="a0",
            scorer="logins_score",
            band=band,
            bands=Logins.bands,
            reason="talked to them",
            author="ann",
            now=now,
            expires_at=now + days * DAY,
        )
    )


def test_an_override_decides_the_band_while_it_lasts_and_is_kept_beside_the_score(store: Store) -> None:
    run(store, view := frame(9), Logins())
    override(store, "red", days=2)
    run(store, view, Logins())
    assert (rows(store)[0].band, rows(store)[0].score.band) == ("red", "green")
    assert columns(store, view).row("a0")["logins_score_band"] == "red"
    assert columns(store, view).row("a0")["logins_score"] == 90
    later = frame(9, day=2)
    run(store, later, Logins(), now=NOW + 2 * DAY)
    over = columns(store, later, now=NOW + 2 * DAY).row("a0")
    assert (over["logins_score_band_before"], over["logins_score_band"]) == ("red", "green")


def test_an_override_holds_through_an_outage(store: Store) -> None:
    run(store, frame(9), Logins())
    override(store, "red")
    view = frame(None, day=1, gaps={0: "stale"})
    run(store, view, Logins(), now=NOW + DAY)
    row = columns(store, view, now=NOW + DAY).row("a0")
    assert row["logins_score_band"] == "red"
    assert row.gap("logins_score") == "stale"


# --- computing again ---


@contextmanager
def temporary_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "wellkept.db", FakeClock())
        try:
            yield store
        finally:
            store.close()


class Steady(AccountScorer):
    """Uses everything that a cell can be, the previous score, and its configuration."""

    name = "steady"
    version = "2"
    uses = frozenset({"x", "y"})

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.units: list[str] = []

    def bind(self, columns: Mapping[str, Column]) -> None:
        self.units = [column.unit for column in columns.values()]

    def score_account(self, row: Row, previous: Score | None) -> Score:
        size = len(repr((row["x"], row["y"], row.gap("y"), previous, self.units))) * self.factor % 10_000
        value = Decimal(size) / 100
        cell = row["x"]
        return Score(
            account=row.account,
            value=value,
            band=None,
            coverage=0.5,
            contributions=[Contribution(measure="x", group="g", value=cell, points=value, text=repr(cell), weight=1)],
            carry={"days": size},
        )


cell_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)


@settings(max_examples=15, deadline=None)
@given(days=st.lists(st.tuples(cell_values, cell_values, st.integers(1, 3)), min_size=1, max_size=6))
def test_every_past_score_is_computed_again_byte_for_byte(days: list[tuple[Value, Value, int]]) -> None:
    known = {name: Column(name=name, unit=unit, doc="") for name, unit in (("x", "count"), ("y", "days"))}  # type: ignore[arg-type]
    with temporary_store() as store:
        for number, (x, y, factor) in enumerate(days):
            view = Frame(date(2026, 11, 1 + number // 2), ["a0"], known, {"x": [x], "y": [y]}, {"y": {0: "unmatched"}})
            score(store, [("i", Steady(factor))], view, run_id="r", now=NOW + number, configs={"i": {"factor": factor}})
        with store.read() as reader:
            found = list(scores.history(reader, "a0", "steady"))
            assert found
            for item in found:
                body = scores.config(reader, item.config_digest)
                assert body is not None
                again = rescore(reader, item.seq, Steady(body["config"]["factor"]))
                stored = reader.value("SELECT body FROM scores WHERE seq = ?", (item.seq,))
                assert msgspec.json.encode(again).decode() == stored


def test_computing_again_refuses_another_version_and_an_unknown_number(store: Store) -> None:
    run(store, frame(9), Logins())
    newer = Logins()
    newer.version = "2"  # type: ignore[misc]
    with store.read() as reader:
        with pytest.raises(ConfigError, match="logins_score 1, not by logins_score 2"):
            rescore(reader, rows(store)[0].seq, newer)
        with pytest.raises(ConfigError, match="number 999"):
            rescore(reader, 999, Logins())


def test_a_held_score_is_returned_as_it_was_kept(store: Store) -> None:
    run(store, frame(9), Logins())
    run(store, frame(None, day=1, gaps={0: "stale"}), Logins(), now=NOW + DAY)
    with store.read() as reader:
        assert rescore(reader, rows(store)[0].seq, Logins()).value == 90


def test_fresh_columns_compute_now_and_store_nothing(store: Store) -> None:
    run(store, frame(9), Logins())
    with store.read() as reader:
        row = fresh_columns(reader, [("i", Logins())], frame(2, day=1), NOW + DAY).row("a0")
        down = fresh_columns(reader, [("i", Logins())], frame(None, day=1, gaps={0: "stale"}), NOW + DAY).row("a0")
    assert (row["logins_score"], row["logins_score_band"], row["logins_score_band_before"]) == (20, "red", "green")
    assert down.gap("logins_score_band") == "stale"
    assert len(rows(store)) == 1
