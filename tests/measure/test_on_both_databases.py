"""The same records give the same figures, whichever database they are in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.measure.conftest import NOW, World
from tests.measure.test_aggregates import MEASURES, ZONE, invoices, m, surveys, tickets, usage

from wellkept.pipeline.fields import json_value
from wellkept.records import CANONICAL, Account, Person, Ticket
from wellkept.settings import MappedField
from wellkept.store import open_store
from wellkept.store.postgres.dialect import translate
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

if TYPE_CHECKING:
    from tests.conftest import Cluster

KEYS = ["tier", "Seats used", "it's", "a.b"]
texts = st.sampled_from(["", "gold", "Ä", "ab", "2026-11-20", "2026-02-30", "20261120", "x\\u0000", 'q"\\', "a" * 3_000])
numbers = st.integers(-(2**53), 2**53) | st.sampled_from([0, 1, -1, NOW, 2**63 - 1, 2**62]) | st.floats(-1e15, 1e15)
values: Any = st.none() | st.booleans() | texts | numbers | st.lists(st.integers(0, 1), max_size=1)
accounts = st.lists(st.dictionaries(st.sampled_from(KEYS), values), min_size=3, max_size=3)

COLUMN = 'r."extra"'
UNITS = ("count", "ratio", "flag", "text", "date", "days")
MAPPED = {
    **{
        f"m{place}_{unit}_{how}": MappedField(field=f"extra.{key}", unit=unit, aggregate=how)  # type: ignore[arg-type]
        for place, key in enumerate(KEYS)
        for unit in UNITS
        for how in ("max", "min")
    },
    "kinds": MappedField(field="extra.tier", aggregate="distinct", unit="count"),
    "total": MappedField(field="extra.tier", aggregate="sum", unit="ratio"),
    "mean": MappedField(field="extra.tier", aggregate="avg", unit="ratio"),
    "golden": MappedField(field="extra.tier", aggregate="count", unit="count", where="lower(extra.tier) == 'gold'"),
    "many": MappedField(field="extra.tier", aggregate="count", unit="count", where="extra['Seats used'] / 2 > 3 * extra.tier"),
    "flagged": MappedField(field="extra.tier", aggregate="count", unit="count", where="not extra.tier"),
}
for name in ("golden", "many", "flagged"):
    MAPPED[name] = MAPPED[name].model_copy(update={"field": "id", "aggregate": "distinct"})

MORE = [
    m("median_reply", Ticket, "median", "first_reply_minutes", unit="minutes"),
    m("large", Ticket, "count", where="reopens * 4611686018427387904 > 5"),
]


@contextmanager
def worlds(cluster: Cluster) -> Iterator[list[World]]:
    """One in SQLite, one in PostgreSQL."""
    name = cluster.take()
    try:
        with tempfile.TemporaryDirectory() as folder:
            addresses = (Path(folder) / "w.db", cluster.url(name))
            with (
                closing(open_store(addresses[0], FakeClock(NOW))) as one,
                closing(open_store(addresses[1], FakeClock(NOW))) as other,
            ):
                tables = RecordTables(CANONICAL)
                for store in (one, other):
                    store.write_now(tables.ensure)
                yield [World(store, tables) for store in (one, other)]
    finally:
        cluster.give_back(name)


def rounded(value: Any) -> Any:
    """Floats may differ in their last digits: the order of adding up is the database's own."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(rounded, value))
    return float(f"{value:.12g}") if isinstance(value, (int, float)) and not isinstance(value, bool) else value


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(accounts, usage, tickets, surveys, invoices, st.sampled_from([ZONE, "Asia/Kathmandu"]))
def test_the_frame_is_the_same(
    cluster: Cluster, accounts: Any, usage: Any, tickets: Any, surveys: Any, invoices: Any, zone: str
) -> None:
    frames = []
    with worlds(cluster) as pair:
        for world in pair:
            world.put(
                *(Account(id=id_, version=1, seats_bought=3, extra=extra) for id_, extra in zip("abc", accounts, strict=True))
            )
            world.put(Person(id="p", version=1, account_ref="a"), Person(id="q", version=1, account_ref="b"))
            world.put(*usage, *tickets, *surveys, *invoices)
            plan = world.plan(*MEASURES, *MORE, zone=zone, mapped={"stripe": MAPPED})
            world.measure(plan)
            frames.append([rounded(world.plain(found)) for found in (world.frame(plan), world.compute(plan, "2026-11-20"))])
    for one, other in zip(*frames, strict=True):
        for account, cells in one[2].items():
            there = other[2][account]
            assert {name: (cell, there[name]) for name, cell in cells.items() if cell != there[name]} == {}
        assert one == other


@pytest.mark.parametrize("sort", ["text", "bool", "float", "day", "scalar"])
@pytest.mark.parametrize("key", KEYS)
def test_whatever_reads_json_is_translated(sort: str, key: str) -> None:
    text = translate(f"SELECT {json_value(COLUMN, key, sort)} FROM r")
    assert "json_type" not in text
    assert "json_extract" not in text
    assert "jsonb" in text
