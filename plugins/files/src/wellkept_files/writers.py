"""Tables as files: CSV that Excel opens, XLSX, Parquet. A file is either there whole, or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from wellkept.errors import ConfigError, FatalError

if TYPE_CHECKING:
    from wellkept_files.tables import Cell, Table

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a text begins with that a spreadsheet would take for a formula (OWASP, CSV injection), wide forms included."""

SHEET_ROWS = 1_048_576
CELL_TEXT = 32_767
EXACT = 2**53
"""Excel's limits: rows of a sheet with its headings, characters of a cell, and the largest whole number it keeps exactly."""

GROUP_ROWS = 10_000
"""Rows of a Parquet row group: what is held in memory."""


def write(table: Table, path: Path, zone: ZoneInfo) -> int:
    """Write a table in the format of the path's ending, and return how many rows it has.

    Args:
        table: What to write.
        path: Where; what is there is replaced once the new file is whole.
        zone: In CSV and XLSX, which know no zones, instants are shown in it; in Parquet they are UTC.

    Raises:
        ConfigError: A library is missing, or there is no such folder.
        FatalError: An amount does not fit.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", guidance="make it, or write elsewhere")
    with _whole(path) as draft:
        return WRITERS[path.suffix.lower()](table, draft, zone)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the other's place when all went well."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _csv(table: Table, path: Path, zone: ZoneInfo) -> int:
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([guarded(column.name) for column in table.columns])
        for row in table.rows:
            writer.writerow([_csv_cell(cell, zone) for cell in row])
            count += 1
    return count


def _csv_cell(cell: Cell, zone: ZoneInfo) -> Any:
    if isinstance(cell, str):
        return guarded(cell)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, datetime):
        return cell.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    return f"{cell:f}" if isinstance(cell, Decimal) else cell


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _xlsx(table: Table, path: Path, zone: ZoneInfo) -> int:
    try:
        import xlsxwriter
    except ImportError:
        raise ConfigError("writing XLSX needs xlsxwriter", guidance="pip install 'wellkept-files[xlsx]'") from None
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    rows, count, number = iter(table.rows), 0, 1
    with xlsxwriter.Workbook(str(path), options) as book:
        pen = _Pen(book, table, zone)
        first = next(rows, None)
        while first is not None or number == 1:
            sheet = pen.sheet(number)
            part = () if first is None else chain([first], islice(rows, SHEET_ROWS - 2))
            for line, row in enumerate(part, start=1):
                pen.row(sheet, line, row)
                count += 1
            first, number = next(rows, None), number + 1
    return count


class _Pen:
    """Writes cells into a workbook. Text is always text, never a formula, a number or a link."""

    def __init__(self, book: Any, table: Table, zone: ZoneInfo) -> None:
        self._book, self._table, self._zone = book, table, zone
        self._heading = book.add_format({"bold": True})
        self._instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._money = [book.add_format({"num_format": _money_format(decimals)}) for decimals in range(5)]

    def sheet(self, number: int) -> Any:
        """Return a new sheet with its headings, which stay in view."""
        sheet = self._book.add_worksheet(_sheet_name(self._table.name, number))
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(self._table.columns):
            sheet.set_column(place, place, 20 if column.holds in {"text", "instant"} else 12)
            sheet.write_string(0, place, column.name, self._heading)
        return sheet

    def row(self, sheet: Any, line: int, row: Sequence[Cell]) -> None:
        """Write a row."""
        for place, (cell, column) in enumerate(zip(row, self._table.columns, strict=True)):
            if isinstance(cell, bool):
                sheet.write_boolean(line, place, cell)
            elif isinstance(cell, datetime):
                sheet.write_datetime(line, place, cell.astimezone(self._zone).replace(tzinfo=None), self._instant)
            elif isinstance(cell, date):
                sheet.write_datetime(line, place, cell, self._day)
            elif isinstance(cell, Decimal):
                sheet.write_number(line, place, float(cell), self._money[column.decimals])
            elif isinstance(cell, float) or (isinstance(cell, int) and abs(cell) <= EXACT):
                sheet.write_number(line, place, cell)
            elif cell is not None:
                sheet.write_string(line, place, str(cell)[:CELL_TEXT])


def _money_format(decimals: int) -> str:
    return "#,##0" + ("." + "0" * decimals if decimals else "")


def _sheet_name(name: str, number: int) -> str:
    """Return a name of at most 31 characters, without those that Excel forbids."""
    plain = name.translate({ord(char): "_" for char in "[]:*?/\\"})[:25]
    return plain if number == 1 else f"{plain} {number}"


def _parquet(table: Table, path: Path, zone: ZoneInfo) -> int:
    del zone
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError("writing Parquet needs pyarrow", guidance="pip install 'wellkept-files[parquet]'") from None
    plain = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "instant": pa.timestamp("ms", tz="UTC"),
        "day": pa.date32(),
        "flag": pa.bool_(),
    }
    schema = pa.schema(
        [
            (column.name, pa.decimal128(18, column.decimals) if column.holds == "money" else plain[column.holds])
            for column in table.columns
        ]
    )
    rows, count = iter(table.rows), 0
    with pq.ParquetWriter(path, schema) as writer:
        while part := list(islice(rows, GROUP_ROWS)):
            try:
                arrays = [
                    pa.array(cells, type=field.type) for cells, field in zip(zip(*part, strict=True), schema, strict=True)
                ]
            except pa.ArrowInvalid as error:
                raise FatalError(f"{path.name}: {error}") from None
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(part)
    return count


WRITERS: Mapping[str, Callable[[Table, Path, ZoneInfo], int]] = {".csv": _csv, ".xlsx": _xlsx, ".parquet": _parquet}
"""By the ending of the file."""
