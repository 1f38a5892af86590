"""Exchange rates with dates: read from the CSV file that config names, kept in the store, looked up by day."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from wellkept.errors import ConfigError
from wellkept.money import EXPONENTS
from wellkept.store.engine import Reader, Tx

COLUMNS = ("day", "base", "quote", "rate")

DIGEST = "rates"
"""Key in the table ``meta``: which rates are stored."""


class Rate(NamedTuple):
    """``1 base = rate quote`` from `day` on, until a newer rate. Currencies are lower case."""

    day: str
    base: str
    quote: str
    rate: Decimal


class Rates:
    """Looks up rates.

    Args:
        rates: Any number of rates, in any order.
    """

    def __init__(self, rates: Iterable[Rate] = ()) -> None:
        self._pairs: dict[tuple[str, str], tuple[list[str], list[Decimal]]] = {}
        for item in sorted(rates):
            days, values = self._pairs.setdefault((item.base, item.quote), ([], []))
            days.append(item.day)
            values.append(item.rate)

    def rate(self, day: date, base: str, quote: str) -> Decimal | None:
        """Return the newest rate on or before a day: ``1 base = rate quote``; None when there is none.

        A rate of the opposite direction serves as well, divided to 28 digits; the newer of both counts, and of one day the
        direct one. Rates are never combined over a third currency.
        """
        if base == quote:
            return Decimal(1)
        direct, inverse = self._newest(day, base, quote), self._newest(day, quote, base)
        if direct is not None and (inverse is None or direct[0] >= inverse[0]):
            return direct[1]
        return None if inverse is None else 1 / inverse[1]

    def _newest(self, day: date, base: str, quote: str) -> tuple[str, Decimal] | None:
        days, values = self._pairs.get((base, quote), ([], []))
        index = bisect_right(days, day.isoformat()) - 1
        return (days[index], values[index]) if index >= 0 else None


def read_csv(path: Path) -> list[Rate]:
    """Read a file of rates: a header ``day,base,quote,rate``, then one rate a line.

    Raises:
        ConfigError: The file cannot be read, or a line is wrong; names the line and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the rates cannot be read: {type(error).__name__}", path=path, key="wellkept.rates") from None
    reader = csv.reader(text.splitlines())
    header = tuple(name.strip().lower() for name in next(reader, []))
    if header != COLUMNS:
        raise ConfigError(
            f"the first line is {','.join(header)!r}", path=path, line=1, guidance=f"it must be {','.join(COLUMNS)}"
        )
    seen: dict[tuple[str, str, str], int] = {}
    rates: list[Rate] = []
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        try:
            rate = _rate([cell.strip() for cell in row])
        except ValueError as error:
            raise ConfigError(str(error), path=path, line=reader.line_num) from None
        if rate[:3] in seen:
            raise ConfigError(
                f"{rate.base.upper()} in {rate.quote.upper()} on {rate.day} stands in line {seen[rate[:3]]} already",
                path=path,
                line=reader.line_num,
            )
        seen[rate[:3]] = reader.line_num
        rates.append(rate)
    return rates


def _rate(cells: Sequence[str]) -> Rate:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} cells where {len(COLUMNS)} are expected: {','.join(COLUMNS)}")
    day, base, quote, written = cells
    try:
        exact = date.fromisoformat(day).isoformat() == day
    except ValueError:
        exact = False
    if not exact:
        raise ValueError(f"{day!r} is not a day such as 2026-11-21")
    for currency in (base, quote):
        if currency.lower() not in EXPONENTS:
            raise ValueError(f"{currency!r} is not an ISO 4217 currency")
    if base.lower() == quote.lower():
        raise ValueError(f"a rate of {base.upper()} in itself says nothing")
    try:
        rate = Decimal(written)
    except InvalidOperation:
        raise ValueError(f"{written!r} is not a number; write it with a point, such as 1.0843") from None
    if not rate.is_finite() or rate <= 0:
        raise ValueError(f"the rate {written} is not above zero")
    return Rate(day, base.lower(), quote.lower(), rate)


def digest(rates: Iterable[Rate]) -> str:
    """Return a digest of rates, the same in any order."""
    lines = sorted(f"{item.day},{item.base},{item.quote},{item.rate}" for item in rates)
    return sha256("\n".join(lines).encode()).hexdigest()


def replace(tx: Tx, rates: Sequence[Rate]) -> bool:
    """Make these the stored rates; return whether that changed anything."""
    new = digest(rates)
    if tx.value("SELECT value FROM meta WHERE key = ?", (DIGEST,)) == new:
        return False
    tx.execute("DELETE FROM rates")
    tx.many(
        "INSERT INTO rates (day, base, quote, rate) VALUES (?, ?, ?, ?)",
        [(item.day, item.base, item.quote, str(item.rate)) for item in sorted(rates)],
    )
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (DIGEST, new)
    )
    return True


def stored_digest(reader: Reader) -> str:
    """Return which rates are stored; empty when none ever were."""
    return str(reader.value("SELECT value FROM meta WHERE key = ?", (DIGEST,)) or "")


def load(reader: Reader) -> Rates:
    """Return the stored rates."""
    rows = reader.rows("SELECT day, base, quote, rate FROM rates")
    return Rates(Rate(day, base, quote, Decimal(rate)) for day, base, quote, rate in rows)
