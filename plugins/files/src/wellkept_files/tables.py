"""What is exported, as tables: named columns that say what they hold, and rows as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from wellkept.money import EXPONENTS, exponent, to_decimal
from wellkept.records import Record
from wellkept_files.mapping import field_kinds

if TYPE_CHECKING:
    from wellkept import Column as FrameColumn
    from wellkept import Frame, Installation

Holds = Literal["text", "integer", "number", "money", "instant", "day", "flag"]
Cell = str | int | float | bool | Decimal | date | datetime | None
"""Money is a decimal amount, an instant an aware datetime, a day a date."""

MOST_DECIMALS = 4
"""Of any ISO 4217 currency."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column: its name, what it holds, and of money how many decimals."""

    name: str
    holds: Holds
    decimals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A name, columns, and rows that are made as they are asked for."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]


def frame_table(installation: Installation) -> Table:
    """Return one row for each account, with all measures and scores."""
    frame, names = installation.frame(), installation.names()
    columns = [_frame_column(frame, column) for column in frame.columns.values()]
    cells = [frame.column(column.name) for column in columns]
    codes = [column.currency for column in frame.columns.values()]

    def rows() -> Iterator[Sequence[Cell]]:
        for index, account in enumerate(frame.accounts):
            values = [_cell(cell[index], column.holds, code) for cell, column, code in zip(cells, columns, codes, strict=True)]
            yield (account, names.get(account), frame.as_of, *values)

    first = (Column(name="account", holds="text"), Column(name="account_name", holds="text"), Column(name="as_of", holds="day"))
    return Table(name="frame", columns=(*first, *columns), rows=rows())


SCORES: Sequence[Column] = (
    Column(name="account", holds="text"),
    Column(name="account_name", holds="text"),
    Column(name="scorer", holds="text"),
    Column(name="as_of", holds="day"),
    Column(name="value", holds="number"),
    Column(name="band", holds="text"),
    Column(name="coverage", holds="number"),
    Column(name="reasons", holds="text"),
    Column(name="held", holds="text"),
    Column(name="note", holds="text"),
    Column(name="computed_at", holds="instant"),
)


def scores_table(installation: Installation) -> Table:
    """Return one row for each account and scorer, with the three parts that weigh most as its reasons."""
    names = installation.names()

    def rows() -> Iterator[Sequence[Cell]]:
        for item in installation.scores():
            score = item.score
            parts = sorted(score.contributions, key=lambda part: -abs(part.points))[:3]
            yield (
                item.account,
                names.get(item.account),
                item.scorer,
                date.fromisoformat(item.as_of),
                None if score.value is None else float(score.value),
                item.band,
                score.coverage,
                "; ".join(f"{part.text or part.measure} ({part.points:+})" for part in parts),
                item.held,
                score.note,
                _instant(item.at),
            )

    return Table(name="scores", columns=SCORES, rows=rows())


def records_table(installation: Installation, type_: type[Record]) -> Table:
    """Return all records of a type with the accounts that they belong to."""
    kinds = field_kinds(type_)
    columns = [
        Column(name="instance", holds="text"),
        Column(name="account", holds="text"),
        Column(name="id", holds="text"),
        Column(name="updated_at", holds="instant"),
        *(Column(name=name, holds=_HOLDS.get(kind, "text"), decimals=MOST_DECIMALS) for name, kind in kinds.items()),
        Column(name="extra", holds="text"),
    ]
    columns = list({column.name: column for column in columns}.values())

    def rows() -> Iterator[Sequence[Cell]]:
        for instance, account, record in installation.records(type_):
            code = getattr(record, "currency", None)
            values = [_cell(getattr(record, column.name), column.holds, code) for column in columns[2:]]
            yield (instance, account, *values)

    return Table(name=type_.type, columns=columns, rows=rows())


_HOLDS: Mapping[str, Holds] = {
    "integer": "integer",
    "number": "number",
    "money": "money",
    "instant": "instant",
    "day": "day",
    "flag": "flag",
}


def _frame_column(frame: Frame, column: FrameColumn) -> Column:
    """Say what a column of the frame holds, by its unit and, where that does not tell, by its cells."""
    if column.unit == "money" and column.currency:
        return Column(name=column.name, holds="money", decimals=exponent(column.currency))
    kinds = {type(cell) for cell in frame.column(column.name) if cell is not None}
    if column.unit == "date":
        return Column(name=column.name, holds="day" if kinds <= {str} and kinds else "instant")
    if kinds <= {bool} and (kinds or column.unit == "flag"):
        return Column(name=column.name, holds="flag")
    if str in kinds or (not kinds and column.unit == "text"):
        return Column(name=column.name, holds="text")
    whole = kinds <= {int, bool} and (bool(kinds) or column.unit == "count")
    return Column(name=column.name, holds="integer" if whole else "number")


def _cell(value: Any, holds: Holds, currency: str | None) -> Cell:
    """Return a value as its column holds it."""
    if value is None:
        return None
    if holds == "money":
        return to_decimal(value, currency) if currency in EXPONENTS else None  # no figure rather than one off by a hundred
    cell: Cell = _CELLS[holds](value)
    return cell


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode() if value else None
    return str(value)


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


_CELLS: Mapping[Holds, Callable[[Any], Cell]] = {
    "text": _text,
    "integer": int,
    "number": float,
    "instant": _instant,
    "day": date.fromisoformat,
    "flag": bool,
}
