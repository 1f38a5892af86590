"""Within a day a scorer looks only at accounts that may have another score than before, and always at those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from wellkept import Column, Frame, Score, Scorer
from wellkept.frame import Measure
from wellkept.pipeline.measure import Feed, Plan, frame, measure
from wellkept.pipeline.resolve import resolve
from wellkept.pipeline.score import ScoreReport, score
from wellkept.records import CANONICAL, Account, Ticket
from wellkept.store import Store, cursors, frames, overrides, scores
from wellkept.store.cursors import Key
from wellkept.store.records import RecordTables

NOW = 1_795_219_200_000 + 6 * 3_600_000
DAY = 86_400_000
FEEDS = {type_.type: [Feed(instance="desk", stream="all", plugin="desk")] for type_ in (Account, Ticket)}


class Tickets(Scorer):
    """100 without the tickets; remembers whom it was shown."""

    name = "health"
    version = "1"
    bands = ("red", "green")

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.broken = False

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"tickets"})

    def bind(self, columns: Mapping[str, Column]) -> None:
        assert set(columns) == {"tickets"}

    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterator[Score]:
        for row in frame.rows():
            self.seen.append(row.account)
            if self.broken:
                raise RuntimeError("broken")
            value = Decimal(100 - int(row["tickets"] or 0))
            yield Score(account=row.account, value=value, band="green", coverage=1.0, reference=value)


class House:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self.tables = RecordTables(CANONICAL)
        store.write_now(self.tables.ensure)
        self.scorer = Tickets()
        self.config: dict[str, Any] = {}
        self.where: str | None = None
        self.sync(*(Account(id=id_, version=1, name=id_) for id_ in "abc"))
        with store.read() as reader:
            self.ids = dict(reader.rows("SELECT record_id, account FROM links ORDER BY record_id"))

    def sync(self, *records: Any) -> None:
        def job(tx: Any) -> None:
            self.tables.upsert(tx, "desk", "all", records, self.now)
            cursors.end_read(tx, Key("desk", "all"), self.now, self.now)

        self.store.write_now(job)
        resolve(self.store, self.tables, now=self.now)

    def ticket(self, account: str, number: int = 1) -> None:
        self.sync(Ticket(id=f"{account}{number}", version=1, account_ref=account, status="open", created_at=NOW))

    def look(self, *, later: int = 60_000) -> tuple[list[str], ScoreReport]:
        """Let time pass, measure and score; return whom the scorer was shown, and the report."""
        self.now += later
        tickets = Measure(name="tickets", record=Ticket, aggregate="count", doc="Tickets.")
        plan = Plan([("desk", tickets)], tables=self.tables, feeds=FEEDS, where=self.where)
        measure(self.store, plan, now=self.now)
        self.scorer.seen = []
        with self.store.read() as reader:
            view, basis = frame(reader, plan), frames.basis(reader)
        scorers = [("desk", self.scorer)]
        report = score(self.store, scorers, view, run_id="run", now=self.now, configs={"desk": self.config}, basis=basis)
        back = {account: id_ for id_, account in self.ids.items()}
        return sorted({back[account] for account in self.scorer.seen}), report

    def value(self, id_: str) -> Decimal | None:
        with self.store.read() as reader:
            return next(scores.history(reader, self.ids[id_], "health")).score.value


@pytest.fixture
def house(store: Store) -> House:
    found = House(store)
    assert found.look()[0] == ["a", "b", "c"]
    return found


def test_nobody_is_looked_at_twice_for_nothing(house: House) -> None:
    seen, report = house.look()
    assert seen == []
    assert (report.same, report.scored, report.changed) == (3, 0, 0)


def test_whom_something_has_changed_for_is(house: House) -> None:
    house.ticket("b")
    seen, report = house.look()
    assert seen == ["b"]
    assert (report.same, report.changed) == (2, 1)
    assert house.value("b") == 99


@pytest.mark.parametrize("later", [0, -3_600_000], ids=["still", "back"])
def test_a_clock_that_stands_still_or_goes_back_hides_no_change(house: House, later: int) -> None:
    house.ticket("b")
    assert house.look(later=later)[0] == ["b"]
    house.ticket("c")
    assert house.look(later=later)[0] == ["c"]
    assert house.look(later=later)[0] == []


def test_a_new_day_shows_all(house: House) -> None:
    assert house.look(later=DAY)[0] == ["a", "b", "c"]


def test_another_configuration_shows_all(house: House) -> None:
    house.config = {"weight": 2}
    assert house.look()[0] == ["a", "b", "c"]
    assert house.look()[0] == []


def test_whoever_becomes_a_customer_by_config_is_shown(house: House) -> None:
    house.where = "tickets > 0"
    assert house.look()[0] == []
    house.ticket("a")
    assert house.look()[0] == ["a"]
    house.where = None
    assert house.look()[0] == ["a", "b", "c"]


def test_a_person_s_override_is_seen_while_it_lasts_and_after_it(house: House) -> None:
    house.store.write_now(
        lambda tx: overrides.put(
            tx,
            account=house.ids["a"],
            scorer="health",
            band="red",
            bands=("red", "green"),
            reason="they told us",
            author="me",
            now=house.now,
            expires_at=house.now + 3_600_000,
        )
    )
    assert house.look()[0] == ["a"]
    assert house.look(later=2 * 3_600_000)[0] == ["a"]


def test_a_scorer_that_failed_is_shown_all_again(house: House) -> None:
    house.ticket("b")
    house.scorer.broken = True
    assert len(house.look()[1].failures) == 1
    house.scorer.broken = False
    seen, report = house.look()
    assert seen == ["b"]
    assert not report.failures
    assert house.value("b") == 99
