"""What is exported opens in Excel, pandas and Tableau with the same totals, and nothing in it is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.cli import main
from wellkept.errors import FatalError
from wellkept_files import writers
from wellkept_files.tables import Column, Table
from wellkept_files.writers import guarded, write

BERLIN = ZoneInfo("Europe/Berlin")
CONFIG = """
[wellkept]
timezone = "Europe/Berlin"
reporting_currency = "EUR"

[plugins.health]

[plugins.files]
folder = "{folder}"

[[plugins.files.streams]]
name = "customers"
path = "customers.csv"
mode = "snapshot"
record = "account"
id = "no"
fields = {{ name = "name", external_id = "no" }}
extra = ["region"]

[[plugins.files.streams]]
name = "contracts"
path = "contracts.csv"
mode = "snapshot"
record = "subscription"
id = "id"
currency = "EUR"
fields.account_ref = "no"
fields.status = {{ value = "active" }}
fields.mrr = {{ column = "mrr", unit = "major" }}
fields.started_at = "since"
"""
AMOUNTS = [Decimal("12.34"), Decimal("1000.10"), Decimal("0.01"), Decimal("99999.99")]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an installation that has read some files and computed scores."""
    folder = tmp_path_factory.mktemp("export")
    drop = folder / "drop"
    drop.mkdir()
    with (drop / "customers.csv").open("w", newline="", encoding="utf-8") as file:
        names = ["=HYPERLINK(1)", "Bücher & Söhne", "  plain", "+49 30", "-x", "@a", "数据"]
        csv.writer(file).writerows([("no", "name", "region"), *((f"{no:03}", name, "EU") for no, name in enumerate(names))])
    with (drop / "contracts.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(f"s{no}", f"{no:03}", amount, "2026-03-01T00:00:00+01:00") for no, amount in enumerate(AMOUNTS)]
        csv.writer(file).writerows([("id", "no", "mrr", "since"), *rows])
    path = folder / "plugins.toml"
    path.write_text(
        CONFIG.format(folder=drop).replace("[plugins.files]", "[plugins.files]\nsettle_seconds = 0"), encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert main(["sync"]) == 0
        assert main(["score"]) == 0
        yield folder


def export(folder: Path, *arguments: str) -> Path:
    path = folder / arguments[-1]
    assert main(["files", "export", *arguments[:-1], "-o", str(path)]) == 0
    return path


def frames(path: Path) -> Any:
    """Read a file with pandas, by its ending."""
    pd = pytest.importorskip("pandas")
    if path.suffix == ".csv":
        return pd.read_csv(path, encoding="utf-8-sig")
    return pd.read_excel(path) if path.suffix == ".xlsx" else pd.read_parquet(path)


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet"])
def test_the_totals_are_the_same_in_every_format(installation: Path, ending: str) -> None:
    found = frames(export(installation, "records", "subscription", f"subs.{ending}"))
    assert len(found) == len(AMOUNTS)
    assert round(Decimal(str(found["mrr"].sum())), 2) == sum(AMOUNTS)
    assert set(found["currency"]) == {"eur"}
    frame = frames(export(installation, "frame", f"frame.{ending}"))
    assert len(frame) == 7
    assert round(Decimal(str(frame["mrr_eur"].fillna(0).sum())), 2) == sum(AMOUNTS)
    assert frame["account"].is_unique
    scores = frames(export(installation, "scores", f"scores.{ending}"))
    assert set(scores["account"]) == set(frame["account"])
    by_account = scores[scores["scorer"] == "health"].set_index("account")["value"]
    assert by_account.dropna().to_dict() == frame.set_index("account")["health"].dropna().to_dict()


def test_csv_opens_in_excel_and_holds_no_formula(installation: Path) -> None:
    content = export(installation, "records", "account", "accounts.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf"), "without the mark Excel takes UTF-8 for something else"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    names = {row["id"]: row["name"] for row in rows}
    assert names["000"] == "'=HYPERLINK(1)"
    assert names["001"] == "Bücher & Söhne"
    assert names["006"] == "数据"
    cells = [cell for row in rows for cell in row.values() if cell]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert {row["extra"] for row in rows} == {'{"region":"EU"}'}


def test_xlsx_keeps_types_and_holds_no_formula(installation: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(export(installation, "records", "subscription", "subs.xlsx"))
    heads, *rows = book.active.iter_rows()
    columns = {head.value: number for number, head in enumerate(heads)}
    started = rows[0][columns["started_at"]]
    assert started.is_date
    assert started.value.isoformat() == "2026-03-01T00:00:00", "in the installation's zone"
    assert rows[1][columns["mrr"]].value == 1000.1
    assert rows[1][columns["mrr"]].number_format.startswith("#,##0.00")
    book = openpyxl.load_workbook(export(installation, "records", "account", "accounts.xlsx"))
    assert {cell.data_type for row in book.active.iter_rows() for cell in row} <= {"s", "n", "d", "b"}, "f is a formula"
    names = [row[columns.get("name", 0)] for row in book.active.iter_rows()]
    assert len(names) == 8
    frame = openpyxl.load_workbook(export(installation, "frame", "frame.xlsx")).active
    as_of = [cell for cell in next(frame.iter_rows(min_row=2, max_row=2)) if cell.is_date]
    assert as_of, "a date stays a date"


def test_parquet_has_the_right_types(installation: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    schema = pq.read_schema(export(installation, "records", "subscription", "subs.parquet"))
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds["mrr"] == "decimal128(18, 4)"
    assert kinds["started_at"] == "timestamp[ms, tz=UTC]"
    assert (kinds["quantity"], kinds["cancel_at_period_end"], kinds["id"]) == ("int64", "bool", "string")
    frame = pq.read_schema(export(installation, "frame", "frame.parquet"))
    kinds = {field.name: str(field.type) for field in frame}
    assert (kinds["as_of"], kinds["mrr_eur"]) == ("date32[day]", "decimal128(18, 2)")


def test_mistakes_are_told(installation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", "export", "records", "invoicee"]) == 2
    assert "did you mean 'invoice'?" in capsys.readouterr().err
    assert main(["files", "export", "frame", "-o", "x.xls"]) == 2
    assert main(["files", "export", "frame", "-o", "x.csv", "--format", "xlsx"]) == 2
    assert main(["files", "export", "frame", "-o", "nowhere/x.csv"]) not in {0, 2}
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_the_default_name(installation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", "export", "scores", "--format", "csv"]) == 0
    assert "wellkept-scores.csv: 7 rows" in capsys.readouterr().out
    assert (installation / "wellkept-scores.csv").is_file()


def small(*rows: tuple[Any, ...]) -> Table:
    columns = (
        Column(name="text", holds="text"),
        Column(name="sum", holds="money", decimals=2),
        Column(name="n", holds="integer"),
    )
    return Table(name="small", columns=columns, rows=rows)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        yield ("a", Decimal(1), 1)
        raise FatalError("the store went away")

    path = tmp_path / "x.csv"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(FatalError):
        write(Table(name="x", columns=small().columns, rows=rows()), path, BERLIN)
    assert [item.name for item in tmp_path.iterdir()] == ["x.csv"]
    assert path.read_text(encoding="utf-8") == "before"


def test_more_rows_than_a_sheet_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr(writers, "SHEET_ROWS", 11)
    for rows in (0, 9, 10, 11, 20, 25):
        path = tmp_path / f"{rows}.xlsx"
        assert write(small(*(("a", Decimal(1), number) for number in range(rows))), path, BERLIN) == rows
        sheets = list(openpyxl.load_workbook(path))
        assert len(sheets) == max(1, -(-rows // 10))
        assert [cell.value for sheet in sheets for cell in sheet["C"][1:]] == list(range(rows))


def test_an_amount_that_does_not_fit_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(FatalError, match=r"x\.parquet"):
        write(small(("a", Decimal(10) ** 20, 1)), tmp_path / "x.parquet", BERLIN)


def test_great_numbers_are_not_rounded_by_excel(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    write(small(("a", None, 2**53 + 1)), tmp_path / "x.xlsx", BERLIN)
    assert openpyxl.load_workbook(tmp_path / "x.xlsx").active["C2"].value == str(2**53 + 1)


@given(st.text(max_size=30))
def test_no_text_becomes_a_formula(text: str) -> None:
    """What OWASP lists as a formula's first character is never the first; nothing else is changed."""
    shown = guarded(text)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert shown in {text, f"'{text}"}


def test_days_and_times(tmp_path: Path) -> None:
    columns = (Column(name="day", holds="day"), Column(name="at", holds="instant"), Column(name="yes", holds="flag"))
    row = (date(2026, 3, 1), datetime(2026, 7, 1, 22, 30, tzinfo=UTC), True)
    write(Table(name="x", columns=columns, rows=[row]), tmp_path / "x.csv", BERLIN)
    assert (tmp_path / "x.csv").read_text(encoding="utf-8-sig").splitlines()[1] == "2026-03-01,2026-07-02 00:30:00,TRUE"
