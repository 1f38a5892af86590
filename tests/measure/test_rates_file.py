"""Exchange rates: the file, what it may say, and which rate counts on a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import ConfigError
from wellkept.store import rates
from wellkept.store.rates import Rate, Rates


def read(tmp_path: Path, *lines: str) -> list[Rate]:
    path = tmp_path / "rates.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rates.read_csv(path)


def test_a_file_of_rates(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeffday,base,quote,rate", "2026-11-01,EUR,usd,1.0843", "", " 2026-11-02 , eur , USD , 1.09 ")
    assert found == [Rate("2026-11-01", "eur", "usd", Decimal("1.0843")), Rate("2026-11-02", "eur", "usd", Decimal("1.09"))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2026-11-01,EUR,USD", "3 cells where 4"),
        ("2026-11-01,EUR,USD,1,1", "5 cells where 4"),
        ("01.11.2026,EUR,USD,1.08", "'01.11.2026' is not a day"),
        ("20261101,EUR,USD,1.08", "is not a day"),
        ("2026-02-30,EUR,USD,1.08", "is not a day"),
        ("2026-11-01,EURO,USD,1.08", "'EURO' is not an ISO 4217 currency"),
        ("2026-11-01,EUR,EUR,1", "in itself"),
        ("2026-11-01,EUR,USD,1,08", "5 cells"),
        ("2026-11-01,EUR,USD,abc", "'abc' is not a number"),
        ("2026-11-01,EUR,USD,0", "not above zero"),
        ("2026-11-01,EUR,USD,-1", "not above zero"),
        ("2026-11-01,EUR,USD,NaN", "not above zero"),
        ("2026-11-01,EUR,USD,Infinity", "not above zero"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"rates\.csv:3") as caught:
        read(tmp_path, "day,base,quote,rate", "2026-11-01,GBP,USD,1.3", line)
    assert words in str(caught.value)


def test_a_wrong_header_a_double_line_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be day,base,quote,rate"):
        read(tmp_path, "date,from,to,rate")
    with pytest.raises(ConfigError, match="must be day,base,quote,rate"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="EUR in USD on 2026-11-01 stands in line 2 already"):
        read(tmp_path, "day,base,quote,rate", "2026-11-01,EUR,USD,1.1", "2026-11-01,EUR,USD,1.2")
    with pytest.raises(ConfigError, match=r"none\.csv"):
        rates.read_csv(tmp_path / "none.csv")


def test_the_newest_rate_on_or_before_the_day_counts() -> None:
    known = Rates([Rate("2026-11-05", "eur", "usd", Decimal("1.2")), Rate("2026-11-01", "eur", "usd", Decimal("1.1"))])
    assert known.rate(date(2026, 10, 31), "eur", "usd") is None
    assert known.rate(date(2026, 11, 1), "eur", "usd") == Decimal("1.1")
    assert known.rate(date(2026, 11, 4), "eur", "usd") == Decimal("1.1")
    assert known.rate(date(2027, 1, 1), "eur", "usd") == Decimal("1.2")
    assert known.rate(date(2026, 11, 1), "usd", "usd") == 1
    assert known.rate(date(2026, 11, 5), "gbp", "usd") is None


def test_a_rate_serves_in_both_directions_and_the_newer_one_counts() -> None:
    known = Rates([Rate("2026-11-01", "usd", "eur", Decimal("0.8")), Rate("2026-11-03", "eur", "usd", Decimal("1.3"))])
    assert known.rate(date(2026, 11, 2), "eur", "usd") == Decimal("1.25")
    assert known.rate(date(2026, 11, 3), "eur", "usd") == Decimal("1.3")
    assert known.rate(date(2026, 11, 3), "usd", "eur") == 1 / Decimal("1.3")
    same = Rates([Rate("2026-11-01", "usd", "eur", Decimal("0.8")), Rate("2026-11-01", "eur", "usd", Decimal("1.3"))])
    assert same.rate(date(2026, 11, 1), "eur", "usd") == Decimal("1.3")


def test_rates_are_kept_exactly_and_replaced_only_when_they_changed(world: Any) -> None:
    one = [Rate("2026-11-01", "eur", "usd", Decimal("1.08430000000000000001"))]
    assert world.store.write_now(lambda tx: rates.replace(tx, one))
    assert not world.store.write_now(lambda tx: rates.replace(tx, one))
    assert world.read(rates.load).rate(date(2026, 11, 1), "eur", "usd") == one[0].rate
    assert world.store.write_now(lambda tx: rates.replace(tx, []))
    assert world.read(rates.load).rate(date(2026, 11, 1), "eur", "usd") is None
