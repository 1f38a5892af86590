"""What a mapping makes of cells, and what it refuses before a row is read."""

from __future__ import annotations

import csv
import os
import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wellkept.errors import ConfigError, RejectedError
from wellkept.money import EXPONENTS, exponent, to_decimal
from wellkept.records import CANONICAL, Invoice, Record, Subscription, Usage
from wellkept_files.config import FileStream
from wellkept_files.convert import Conversion, Kind, convert, instant_of, key_text
from wellkept_files.mapping import Mapper, Mapping
from wellkept_files.rows import Place, rows


class Price(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Another plugin's own record."""

    type: ClassVar[str] = "shop.price"

    tags: list[str] = []  # noqa: RUF012 - msgspec copies it
    weight: float = 0.0
    sold: bool = False
    on_sale_at: int | None = None
    last_day: str | None = None


TYPES = {type_.type: type_ for type_ in (*CANONICAL, Price)}
INVOICE: dict[str, Any] = {
    "record": "invoice",
    "id": "no",
    "fields": {
        "account_ref": "who",
        "status": {"column": "state", "values": {"bezahlt": "paid", "offen": "open"}, "default": "open"},
        "currency": "cur",
        "amount_due": {"column": "sum", "unit": "major", "decimal": ","},
        "due_at": {"column": "due", "format": "%d.%m.%Y"},
    },
    "time_zone": "Europe/Berlin",
    "empty": ["NULL"],
}
ROW = {"no": " 17 ", "who": "c1", "state": "bezahlt", "cur": "EUR", "sum": "1.234,50", "due": "01.07.2026"}


def mapper(table: dict[str, Any], **changes: Any) -> Mapper:
    return Mapper(Mapping.model_validate({**table, **changes}), TYPES, key="plugins.files.streams.x")


def invoice(**cells: Any) -> Invoice:
    found = mapper(INVOICE).record({**ROW, **cells}, version=5)
    assert isinstance(found, Invoice)
    return found


def test_a_row_becomes_a_record() -> None:
    found = invoice()
    assert (found.id, found.version, found.status, found.currency, found.amount_due) == ("17", 5, "paid", "eur", 123_450)
    assert found.due_at == instant_of(datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    assert invoice(state="NULL", due="").status == "open"
    assert invoice(due="NULL").due_at is None


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"no": ""}, "no id: the column 'no' is empty"),
        ({"state": "verloren"}, "column 'state'"),
        ({"cur": "QQQ"}, "column 'cur': not an ISO 4217 currency"),
        ({"sum": "12.34"}, "column 'sum': not a number with ','"),
        ({"sum": "1,234"}, "column 'sum': more decimals than EUR has"),
        ({"sum": "NaN"}, "column 'sum'"),
        ({"sum": "1" * 30}, "column 'sum': not a number that can be stored"),
        ({"due": "2026-07-01"}, "column 'due': not a date or time as `format` says"),
        ({"who": ""}, r"account_ref"),
        ({"cur": ""}, "currency is empty"),
        ({"who": "a\0b"}, "column 'who': bytes that are not text"),
        ({"who": "a\udcffb"}, "column 'who': bytes that are not text"),
    ],
)
def test_a_row_that_does_not_fit_says_why_and_shows_no_cell(cells: dict[str, str], reason: str) -> None:
    with pytest.raises(RejectedError, match=reason) as caught:
        invoice(**cells)
    assert not any(value in str(caught.value) for value in cells.values() if len(value) > 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"record": "invoce"}, "did you mean 'invoice'"),
        ({"id": None}, "needs the column that holds the row's id"),
        ({"fields": {**INVOICE["fields"], "amount_dew": "x"}}, "has no field 'amount_dew'"),
        ({"fields": {**INVOICE["fields"], "amount_due": "sum"}}, 'add unit = "major"'),
        ({"fields": {"account_ref": "who"}}, "needs amount_due, currency, status"),
    ],
)
def test_a_mapping_that_does_not_fit_is_told_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"plugins\.files\.streams\.x") as caught:
        mapper(INVOICE, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"time_zone": "Berlin"}, {"currency": "EURO"}, {"fields": {"id": "x"}}, {"fields": {"name": {}}}, {"colour": "red"}],
)
def test_mistakes_in_the_file_are_told(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mapping.model_validate({**INVOICE, **changes})


def test_a_plugins_own_record_and_all_kinds_of_cells() -> None:
    fields = {"tags": {"column": "t", "split": ";"}, "weight": "w", "sold": "s", "on_sale_at": "at", "last_day": "d"}
    made = mapper({"record": "shop.price", "id": ["a", "b"], "fields": fields, "extra": {"colour": "c"}, "version": "v"})
    at = datetime(2026, 11, 21, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    cells = {
        "a": 1.0,
        "b": "x|y",
        "t": "new; old;;",
        "w": Decimal("0.5"),
        "s": "Yes",
        "at": at,
        "d": at,
        "c": {"r": 1},
        "v": at,
    }
    found = made.record(cells, version=1)
    assert found == Price(
        id="1|x\\|y",
        version=instant_of(at),
        updated_at=instant_of(at),
        extra={"colour": {"r": 1}},
        tags=["new", "old"],
        weight=0.5,
        sold=True,
        on_sale_at=instant_of(at),
        last_day="2026-11-22",
    )


def test_mrr_may_be_unknown() -> None:
    fields = {"account_ref": "a", "status": {"value": "active"}, "mrr": {"column": "m", "unit": "minor"}}
    made = mapper({"record": "subscription", "id": "i", "currency": "USD", "fields": fields})
    found = made.record({"a": "c1", "m": "", "i": "1"}, version=1)
    assert isinstance(found, Subscription)
    assert (found.mrr, found.currency) == (None, "usd")


def test_usage_has_the_id_that_it_derives() -> None:
    fields = {"subject": "user", "event": {"value": "login"}, "day": "day", "count": "n"}
    found = mapper({"record": "usage", "fields": fields}).record({"user": "u1", "day": "2026-11-21", "n": "3"}, version=9)
    assert found == Usage.of(subject="u1", event="login", day="2026-11-21", count=3, version=9)


def one(cell: Any, kind: Kind, **rule: Any) -> Any:
    return convert(cell, Conversion(column="c", kind=kind, **rule), None)


@given(st.integers(-(2**53), 2**53), st.sampled_from(sorted(EXPONENTS)))
def test_every_amount_comes_back(minor: int, currency: str) -> None:
    """Money in any currency, written with its decimals, with groups, in either style, as decimal or float, is the same."""
    amount = to_decimal(minor, currency)
    plain = f"{amount:f}"
    grouped = f"{amount:,.{exponent(currency)}f}"
    swapped = grouped.translate(str.maketrans(",.", ".,"))
    assert one(plain, "money", currency=currency) == minor
    assert one(grouped, "money", currency=currency) == minor
    assert one(swapped, "money", currency=currency, decimal=",") == minor
    assert one(amount, "money", currency=currency) == minor
    assert one(float(amount), "money", currency=currency, round=True) == minor or abs(minor) > 2**49


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))  # noqa: DTZ001
def test_every_time_comes_back(naive: datetime, name: str) -> None:
    """A time is the same as text, as a value, with and without its zone, and as a figure."""
    zone = ZoneInfo(name)
    naive = naive.replace(microsecond=naive.microsecond // 1000 * 1000)
    aware = naive.replace(tzinfo=zone)
    at = instant_of(aware)
    assert one(naive, "instant", zone=zone) == one(naive.isoformat(), "instant", zone=zone) == at
    assert one(aware, "instant") == one(aware.isoformat(), "instant") == at
    assert one(str(at), "instant", format="epoch_ms") == one(at, "instant", format="epoch_ms") == at
    assert one(Decimal(at) / 1000, "instant", format="epoch_s") == at


@given(st.lists(st.lists(st.text("a|\\", max_size=3), min_size=2, max_size=2), min_size=2, max_size=2))
def test_different_keys_make_different_ids(keys: list[list[str]]) -> None:
    assert (key_text(keys[0]) == key_text(keys[1])) == (keys[0] == keys[1])


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("1.5", "integer"),
        (True, "integer"),
        ("1,23.4", "number"),
        (float("inf"), "number"),
        ("maybe", "flag"),
        (b"x", "text"),
        (17, "instant"),
        ("2026-13-01", "day"),
        (timedelta(1), "number"),
    ],
)
def test_cells_that_are_something_else(cell: Any, kind: Kind) -> None:
    with pytest.raises(RejectedError, match="column 'c'"):
        one(cell, kind)


@pytest.mark.parametrize(
    "number", ["1E-999999999", "1E+999999999", "0E+999999999", "1e400", "NaN", "-Infinity", "1E+30", "0.0"]
)
@pytest.mark.parametrize("kind", ["text", "integer", "number", "money", "instant", "json"])
def test_outlandish_numbers_cost_one_row_at_most(number: str, kind: Kind) -> None:
    try:
        one(Decimal(number), kind, currency="usd", format="epoch_s")
        one(number, kind, currency="usd", format="epoch_s")
    except RejectedError:
        return


def test_texts_of_other_values() -> None:
    given_ = [
        17,
        17.0,
        Decimal("17.00"),
        Decimal("1.50"),
        True,
        date(2026, 1, 2),
        UUID(int=1),
        datetime(2026, 1, 2, tzinfo=UTC),
    ]
    texts = ["17", "17", "17", "1.50", "true", "2026-01-02", str(UUID(int=1)), "2026-01-02T00:00:00+00:00"]
    assert [one(cell, "text") for cell in given_] == texts


def test_a_huge_file_needs_no_memory(tmp_path: Path) -> None:
    """Ten times the rows, the same memory."""
    peaks = []
    for count in (10_000, 100_000):
        path = tmp_path / f"{count}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "name"), *((number, "x" * 40) for number in range(count))])
        stream = FileStream(name="x", path="x.csv", mode="append", record="account", id="id")
        tracemalloc.start()
        assert sum(1 for _ in rows(path, stream, ("id",), Place())) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        os.remove(path)  # noqa: PTH107 - gone before the next one is made
    assert peaks[1] < 1.5 * peaks[0] + 500_000
