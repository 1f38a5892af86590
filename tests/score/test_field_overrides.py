"""``[[override]]``: bands that people set in a field of a vendor's record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.pipeline.field_overrides import take_overrides
from wellkept.pipeline.resolve import resolve
from wellkept.records import CANONICAL, Account
from wellkept.scorer import Score, Scorer
from wellkept.settings import OverrideField
from wellkept.store import open_store, overrides
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

NOW = 1_795_219_200_000
HOUR, DAY = 3_600_000, 86_400_000


class Health(Scorer):
    name: ClassVar[str] = "health"  # type: ignore[misc]
    version: ClassVar[str] = "1"
    bands: ClassVar[tuple[str, ...]] = ("red", "yellow", "green")
    uses: ClassVar[frozenset[str]] = frozenset()

    def score(self, frame: Any, previous: Any) -> list[Score]:
        return []


class Crm:
    """A CRM's account records in a store, a person who edits their field, and the runs that look."""

    def __init__(self, folder: Path, **field: Any) -> None:
        self.now = NOW
        self.store = open_store(folder / "wellkept.db", FakeClock(NOW))
        self.tables = RecordTables(CANONICAL)
        self.store.write_now(self.tables.ensure)
        self.field = OverrideField.model_validate({"source": "crm", "field": "extra.band", **field})

    def set(self, band: str | None, id_: str = "c1", **more: Any) -> None:
        self.now += HOUR
        extra = {"other": "x", **({"band": band} if band is not None else {})}
        record = Account(id=id_, version=self.now, external_id="acct-1", extra=extra, **more)
        self.store.write_now(lambda tx: self.tables.upsert(tx, "crm", "companies", [record], self.now))

    def run(self, scorers: Mapping[str, Scorer] | None = None) -> list[str]:
        self.now += HOUR
        resolve(self.store, self.tables, now=self.now)
        return take_overrides(self.store, self.tables, [self.field], scorers or {"health": Health()}, now=self.now)

    def band(self) -> str | None:
        with self.store.read() as reader:
            found = list(overrides.active(reader, "health", self.now).values())
        return found[0].band if found else None

    def history(self) -> int:
        with self.store.read() as reader:
            return int(reader.value("SELECT COUNT(*) FROM overrides"))

    def end(self) -> None:
        """Let somebody end it by hand."""
        with self.store.read() as reader:
            (account,) = overrides.active(reader, "health", self.now)
        self.store.write_now(lambda tx: overrides.end(tx, account, "health", self.now))


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Crm]:
    crm = Crm(tmp_path)
    yield crm
    crm.store.close()


def test_a_value_is_a_persons_word(crm: Crm) -> None:
    crm.set(None)
    assert crm.run() == []
    assert crm.band() is None
    crm.set(" RED ")
    assert crm.run() == []
    assert crm.band() == "red"
    with crm.store.read() as reader:
        (found,) = overrides.active(reader, "health", crm.now).values()
    assert (found.author, found.reason, found.expires_at) == ("crm: extra.band", "set at crm", crm.now + 14 * DAY)
    crm.run()
    assert crm.history() == 1
    crm.set("green")
    crm.run()
    assert crm.band() == "green"


def test_clearing_ends_it_and_setting_renews_it(crm: Crm) -> None:
    crm.set("red")
    crm.run()
    crm.set(None)
    crm.run()
    assert crm.band() is None
    crm.set("red")
    crm.run()
    assert crm.band() == "red"
    assert crm.history() == 2


def test_it_expires_and_does_not_come_back(crm: Crm) -> None:
    crm.set("red")
    crm.run()
    crm.now += 15 * DAY
    crm.run()
    assert crm.band() is None
    crm.set("red", name="another change")
    crm.run()
    assert crm.band() is None
    assert crm.history() == 1


def test_what_was_ended_by_hand_stays_ended(crm: Crm) -> None:
    crm.set("red")
    crm.run()
    crm.end()
    crm.run()
    crm.set("red", name="another change")
    crm.run()
    assert crm.band() is None


def test_a_word_by_hand_is_left_alone(crm: Crm) -> None:
    crm.set(None)
    crm.run()
    with crm.store.read() as reader:
        account = crm.tables.account_of(reader, Account, "crm", "c1")
    assert account is not None
    crm.store.write_now(
        lambda tx: overrides.put(
            tx, account=account, scorer="health", band="yellow", bands=Health.bands, reason="r", author="ann", now=crm.now,
            expires_at=crm.now + DAY,
        )
    )  # fmt: skip
    crm.run()
    assert crm.band() == "yellow"


def test_of_two_records_the_later_word_counts(crm: Crm) -> None:
    crm.set("red", "c1")
    crm.set("green", "c2")
    crm.run()
    assert crm.band() == "green"
    crm.set(None, "c2")
    crm.run()
    assert crm.band() == "red"


def test_what_is_no_band_is_told_and_changes_nothing(crm: Crm) -> None:
    crm.set("red")
    crm.run()
    crm.set("purple")
    (problem,) = crm.run()
    assert problem == "crm: extra.band of c1 is none of the bands of health (red, yellow, green)"
    assert crm.band() is None
    assert crm.run({"risk": Health()}) == ["[[override]] from crm: there is no score 'health'"]


def test_a_field_of_the_record_itself(tmp_path: Path) -> None:
    crm = Crm(tmp_path, field="segment", days=3)
    crm.set(None, segment="yellow")
    crm.run()
    assert crm.band() == "yellow"
    crm.now += 3 * DAY
    assert crm.band() is None
    crm.store.close()


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.sampled_from(["red", "green", None, "run", "end"]), max_size=14))
def test_any_course_of_edits(steps: list[str | None], tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is in force after a run is the field's value, unless it was ended by hand since it stands there."""
    crm = Crm(tmp_path_factory.mktemp("crm"))
    value: str | None = None
    said: str | None = None
    ended = False
    for step in [*steps, "run"]:
        if step == "run":
            if value != said:
                said, ended = value, False
            crm.run()
            assert crm.band() == (None if ended else value)
        elif step == "end":
            if crm.band() is not None:
                crm.end()
                ended = True
        elif step != value:
            value = step
            said = None if step is None else said
            if said == step:
                said = "\0"  # it was something else in between: a new word
            crm.set(step)
    crm.store.close()
