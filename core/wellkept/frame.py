"""The frame: one row per account, one column per measure, as of one date."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Literal

import msgspec

from wellkept.records import Record

Value = int | float | str | bool | None
"""A cell. None means *not known*; why is in `Frame.gap`. Money is integer minor units, instants are epoch ms."""

Gap = Literal["none", "stale", "anomaly", "unmatched", "no_rate", "filtered"]
"""Why a cell is None: no such data, data too old, volume not credible, no vendor record linked, no exchange rate, or
left out by config. A count over no rows is 0, not None, as soon as a feeding stream has been read completely."""

Aggregate = Literal["count", "distinct", "sum", "min", "max", "avg", "median", "p90", "latest", "any", "slope"]
"""What a measure makes of the rows that count; see `Measure`."""

Unit = Literal["count", "money", "days", "minutes", "ratio", "points", "date", "text", "flag"]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What `Measure` and `Formula` have in common, a column of the frame."""

    name: str
    doc: str
    unit: Unit = "count"
    leaks: bool = False


class Measure(Declared, frozen=True, kw_only=True):
    """A declared column of the frame. Core compiles all measures over one record type into one grouped scan.

    Attributes:
        name: The column, such as ``open_invoices``.
        record: The record type it is computed from.
        aggregate: ``count`` rows, ``distinct`` values of `field`, ``sum``, ``min``, ``max`` or ``avg`` of it, ``median`` (of
            an even number of values the mean of the two in the middle), ``p90`` (the smallest value that at least 90 of
            100 do not exceed), ``latest`` value of it by `time`, ``any`` (is there a row), ``slope`` (change of the daily
            sum over the window, per day).
        field: The field aggregated; not for ``count`` and ``any``. ``distinct`` takes several texts or days, such as
            ``"day, subject"``, and counts their combinations.
        time: The instant or day field that places a row in time; needed with `window` and ``latest``.
        window: Days before and up to the as-of date; None counts all of the past. Over a *day* field, days on which all
            accounts together were far quieter than usual (an outage, a public holiday) do not count: the same weekday
            further back takes their place, so that nobody seems to use less. The age of such a field skips them too.
        offset: Days that the window is moved into the past, for a baseline.
        ago: Take each row as it was so many days ago, by the history of its type; a row whose history does not reach so far
            counts as it was first known. Give a `time` and the same `offset` to leave out rows that began later.
        per: A field: of all rows with one value of it only the latest by `time` counts (the last answer of each person).
            Rows without a value count each on its own.
        where: A filter over the record's fields: ``"status == 'open' and attempt_count > 0"``. The same small language
            as a policy's `when`, see `wellkept.expressions`; ``as_of`` is the end of the as-of day, epoch ms.
        having: A further filter, over the rows that `per` has chosen.
        unit: How a reader should take the figure. ``money`` makes one column per currency (``mrr_usd``) and one in the
            reporting currency (``mrr``); the record needs a `currency` field.
        doc: One sentence, shown in explanations and documentation.
        streams: Names of the streams (``"stripe.invoices"``) that feed it; empty means every stream that yields `record`.
        leaks: It tells the outcome itself (a cancellation is set, a wish to leave was said): a rule should use it, and a model
            that learns who leaves must not see it.
    """

    record: type[Record]
    aggregate: Aggregate
    field: str | None = None
    time: str | None = None
    window: int | None = None
    offset: int = 0
    ago: int = 0
    per: str | None = None
    where: str | None = None
    having: str | None = None
    streams: tuple[str, ...] = ()


class Formula(Declared, frozen=True, kw_only=True):
    """A column computed from other columns of the same account: ``"events_28d / events_before_28d"``.

    It is unknown while a column in it is, and for the same reason; what is divided by zero is unknown as well.

    Attributes:
        name: The column.
        value: An expression over measures, and over formulas that were declared before; see `wellkept.expressions`.
        doc: One sentence, shown in explanations and documentation.
        unit: How a reader should take the figure; not ``money``, ``text`` or ``date``.
        leaks: As for `Measure`.
    """

    value: str
    unit: Unit = "ratio"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a column beside its cells; `currency` is set for money alone, `leaks` as for `Measure`."""

    name: str
    unit: Unit
    doc: str
    currency: str | None = None
    leaks: bool = False


class Row(Mapping[str, Value]):
    """One account's cells, by column name. A column that does not exist raises `KeyError`."""

    __slots__ = ("_frame", "_index")

    def __init__(self, frame: Frame, index: int) -> None:
        self._frame = frame
        self._index = index

    @property
    def account(self) -> str:
        """The canonical account id."""
        return self._frame.accounts[self._index]

    def __getitem__(self, name: str) -> Value:
        return self._frame.column(name)[self._index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.columns)

    def __len__(self) -> int:
        return len(self._frame.columns)

    def frame(self) -> Frame:
        """The frame of this one account."""
        return self._frame.select([self.account])

    @property
    def as_of(self) -> date:
        """The day, in the configured zone, at whose end the figures hold."""
        return self._frame.as_of

    def gap(self, name: str) -> Gap | None:
        """Say why a cell is None; None where it has a value."""
        return self._frame.gap(name, self._index)


class Frame:
    """A small columnar table. Cells are plain lists, so that scorers need no data-frame library.

    Args:
        as_of: The day, in the configured zone, at whose end the figures hold.
        accounts: Canonical account ids, ascending: the row labels.
        columns: Name to `Column`, in display order.
        cells: Name to one value per account.
        gaps: Name to {row index: why that cell is None}; a None without an entry means ``"none"``.
    """

    __slots__ = ("_cells", "_gaps", "_positions", "accounts", "as_of", "columns")

    def __init__(
        self,
        as_of: date,
        accounts: Sequence[str],
        columns: Mapping[str, Column],
        cells: Mapping[str, Sequence[Value]],
        gaps: Mapping[str, Mapping[int, Gap]] | None = None,
    ) -> None:
        self.as_of = as_of
        self.accounts = accounts
        self.columns = columns
        self._cells = cells
        self._gaps = gaps or {}
        self._positions: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.accounts)

    def column(self, name: str) -> Sequence[Value]:
        """Return the cells of one column, in the order of `accounts`. Raises `KeyError` for an unknown name."""
        return self._cells[name]

    def gap(self, name: str, index: int) -> Gap | None:
        """Say why the cell is None; None where it has a value."""
        if self._cells[name][index] is not None:
            return None
        return self._gaps.get(name, {}).get(index, "none")

    def gaps(self, name: str) -> Mapping[int, Gap]:
        """Return why cells of a column are None, by row index, where that is not simply for lack of data.

        Raises `KeyError` for an unknown name.
        """
        cells = self._cells[name]
        return {index: gap for index, gap in self._gaps.get(name, {}).items() if cells[index] is None and gap != "none"}

    def rows(self) -> Iterator[Row]:
        """Yield one `Row` per account."""
        return (Row(self, index) for index in range(len(self.accounts)))

    def row(self, account: str) -> Row:
        """Return one account's row. Raises `KeyError` for an account that is not in the frame."""
        return Row(self, self._position(account))

    def _position(self, account: str) -> int:
        if self._positions is None:
            self._positions = {name: index for index, name in enumerate(self.accounts)}
        return self._positions[account]

    def select(self, accounts: Sequence[str]) -> Frame:
        """Return the frame of these accounts only, in their order."""
        if accounts == self.accounts:
            return self
        indices = [self._position(account) for account in accounts]
        return Frame(
            self.as_of,
            list(accounts),
            self.columns,
            {name: [cells[index] for index in indices] for name, cells in self._cells.items()},
            {
                name: {new: gaps[old] for new, old in enumerate(indices) if old in gaps}
                for name, gaps in self._gaps.items()
                if gaps
            },
        )

    def only(self, names: Collection[str]) -> Frame:
        """Return the frame with these columns alone, as far as it has them."""
        columns = {name: column for name, column in self.columns.items() if name in names}
        gaps = {name: gaps for name, gaps in self._gaps.items() if name in columns}
        return Frame(self.as_of, self.accounts, columns, {name: self._cells[name] for name in columns}, gaps)

    def with_columns(
        self,
        columns: Mapping[str, Column],
        cells: Mapping[str, Sequence[Value]],
        gaps: Mapping[str, Mapping[int, Gap]] | None = None,
    ) -> Frame:
        """Return a frame with more columns at its end (scores, for policies)."""
        return Frame(
            self.as_of,
            self.accounts,
            {**self.columns, **columns},
            {**self._cells, **cells},
            {**self._gaps, **(gaps or {})},
        )

    def to_polars(self) -> object:
        """Return a ``polars.DataFrame`` with an ``account`` column first. Raises `ImportError` without polars."""
        import polars as pl

        return pl.DataFrame({"account": list(self.accounts), **{n: list(c) for n, c in self._cells.items()}})
