"""Wellkept's standard tests, on folders with files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, ClassVar
from weakref import finalize

import pytest

from wellkept.testing import FakeClock
from wellkept.testing.conformance import JobTests, SourceTests

Step = Callable[[], object]

MINUTES = 60_000_000_000

TYPES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "text": ("account", "name", {}),
    "integer": ("account", "seats_bought", {}),
    "number": (
        "survey_response",
        "score",
        {"kind": {"value": "nps"}, "scale_min": {"value": 0}, "scale_max": {"value": 10}, "answered_at": {"value": 1}},
    ),
    "money": (
        "payment_attempt",
        "amount",
        {"status": {"value": "failed"}, "attempted_at": {"value": 1}, "currency": {"column": "currency", "default": "USD"}},
    ),
    "instant": ("account", "created_at", {}),
    "day": ("payment_method", "expires_on", {"kind": {"value": "card"}}),
    "flag": ("account", "test", {}),
    "list": ("account", "domains", {}),
}
"""Kinds of cells: a record type, its field of that kind, and what it needs besides."""

NUMBERS = (
    *("7", "7.0", "7.5", "-0.5", "true", "[1]", "{}", "1e18", "1e19", "1e40", "1e41", "9223372036854775807", "null"),
    *('""', '" 12 "', '"+3"', '"-.5"', '"1e3"', '"1,234.50"', '"1.234,50"', '"1,23.4"', '"1 234"', '"12 abc"', '"NaN"'),
    *('"-Infinity"', '"1E-41"', '"9223372036854775808"'),
)
AMOUNTS = ("12.34", "12.345", "12.355", '"12,34"', '"1,234.5"', "0.005", '"12"', "true")
MOMENTS = (
    *("1772359200", "1772359200.5", '"1772359200"', "true", "1e30", '"soon"', '"2026-03-01"', '"20260301"', '"01.03.2026"'),
    *('"2026-03-01T23:30:00"', '"2026-03-01T23:30:00+02:00"', '"2026-13-01"', '"2026-03-01T23:30:00.250-05:00"', "null"),
)


class Folder:
    """A folder into which a warehouse drops its exports: a CSV snapshot, a log that grows, invoices as Parquet."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.root = Path(mkdtemp(prefix="wellkept-files-"))
        finalize(self, rmtree, self.root, ignore_errors=True)
        self.path = self.root / "drop"
        (self.path / "log").mkdir(parents=True)
        self.customers = [f'c{number},"Company {number}",2024-03-{number:02}' for number in range(1, 9)]
        self.events = [f'{{"id":"e{number}","of":"c{number}","at":{1_795_000_000 + number}}}' for number in range(1, 9)]
        self.amounts = [Decimal(number * 100 + 5) / 100 for number in range(1, 9)]
        self.write()

    def put(self, name: str, content: bytes | str, seconds: float = 300) -> Step:
        """Return what writes a file that was changed so many seconds ago."""

        def write() -> None:
            path = self.path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            at = self.clock.now() * 1_000_000 - int(seconds * 1_000_000_000)
            os.utime(path, ns=(at, at))

        return write

    def write(self) -> None:
        """Write everything as it is now."""
        self._put("customers.csv", "\r\n".join(["no,name,since", *self.customers]).encode())
        self._put("log/events.jsonl", "".join(f"{line}\n" for line in self.events).encode())
        self._parquet()

    def _put(self, name: str, content: bytes) -> None:
        path = self.path / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            self._touch(path)

    def _touch(self, path: Path) -> None:
        at = self.clock.now() * 1_000_000 - 5 * MINUTES
        os.utime(path, ns=(at, at))

    def _parquet(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        made = [datetime(2026, 3, number, tzinfo=UTC) for number in range(1, 9)]
        amounts = pa.array(self.amounts, pa.decimal128(12, 3))
        ids = [f"in_{number}" for number in range(1, 9)]
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.table({"id": ids, "of": ["c1"] * 8, "amount": amounts, "made": made}), buffer, row_group_size=3)
        self._put("invoices.parquet", buffer.getvalue().to_pybytes())


class TestFilesSource(SourceTests):
    plugin = "files"
    over_http = False
    STREAMS: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "customers",
            "path": "customers.csv",
            "mode": "snapshot",
            "record": "account",
            "id": "no",
            "fields": {"name": "name", "created_at": "since"},
        },
        {
            "name": "events",
            "path": "log/*.jsonl",
            "mode": "append",
            "record": "timeline_event",
            "id": "id",
            "fields": {
                "account_ref": "of",
                "kind": {"value": "login"},
                "text": {"value": "logged in"},
                "at": {"column": "at", "format": "epoch_s"},
            },
        },
        {
            "name": "invoices",
            "path": "*.parquet",
            "mode": "latest",
            "record": "invoice",
            "id": "id",
            "currency": "EUR",
            "fields": {
                "account_ref": "of",
                "status": {"value": "paid"},
                "amount_due": {"column": "amount", "unit": "major"},
                "created_at": "made",
            },
        },
    ]

    def vendor(self, clock: FakeClock) -> Folder:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'wellkept-files[parquet]'")
        return Folder(clock)

    def keys(self, vendor: Folder, url: str) -> Mapping[str, Any]:
        return {"folder": str(vendor.path), "batch_rows": 3, "streams": self.STREAMS}

    def refuse(self, vendor: Folder) -> None:
        if os.geteuid() == 0:  # whom nothing is refused: the folder is gone instead
            vendor.path.rename(vendor.root / "elsewhere")
        else:
            vendor.root.chmod(0)

    def change(self, vendor: Folder, stream: str) -> bool:
        if stream == "customers":
            vendor.customers[3] = vendor.customers[3].replace("Company", "Société")
        elif stream == "events":
            vendor.events.append('{"id":"e99","of":"c1","at":1795000099}')
        else:
            vendor.amounts[2] += 1
        vendor.write()
        return True

    def spoil_row(self, vendor: Folder, stream: str) -> Callable[[], object]:
        before = list(vendor.customers), list(vendor.events), list(vendor.amounts)
        vendor.customers[1] = vendor.customers[1].replace("2024", "soon")
        vendor.events[1] = vendor.events[1][:-4]
        vendor.amounts[1] = Decimal("1.005")
        vendor.write()

        def mend() -> None:
            vendor.customers, vendor.events, vendor.amounts = before
            vendor.write()

        return mend

    def contents(self, vendor: Folder) -> object:
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in vendor.path.rglob("*") if path.is_file()}

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root is refused nothing")
    def test_a_credential_that_is_refused_later_pauses(self, bench: Any, simulator: Folder) -> None:
        super().test_a_credential_that_is_refused_later_pauses(bench, simulator)

    def varying(self, vendor: Folder) -> Sequence[str]:
        return [str(vendor.root)]

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_files.growth.KNOWN_BYTES", 300)

    def mistakes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return configurations that are refused, by what is wrong with them."""
        customers, _, invoices = self.STREAMS

        def mapped(base: Mapping[str, Any] = customers, **changes: Any) -> Mapping[str, Any]:
            return {"streams": [{**base, **changes}]}

        fields = {name: where for name, where in invoices["fields"].items() if name != "amount_due"}
        return {
            "no such record": mapped(record="acount"),
            "nothing like a record": mapped(record="qqqq"),
            "no id": mapped(id=None) | {"streams": [{k: v for k, v in customers.items() if k != "id"}]},
            "the id among the fields": mapped(fields={"id": "no"}),
            "no such field": mapped(fields={"nmae": "name"}),
            "needed fields are missing": mapped(invoices, fields={}),
            "money without a unit": mapped(invoices, fields={**fields, "amount_due": "amount"}),
            "money without a currency": mapped(
                {k: v for k, v in invoices.items() if k != "currency"},
                fields={**fields, "amount_due": {"column": "amount", "unit": "major"}},
            ),
            "no such currency": mapped(invoices, currency="euro"),
            "no such currency of a field": mapped(fields={"name": {"column": "name", "currency": "euro"}}),
            "no such zone": mapped(time_zone="Berlin"),
            "no such zone of a field": mapped(fields={"created_at": {"column": "since", "time_zone": "Mars/Olympus"}}),
            "a column and a value": mapped(fields={"name": {"column": "name", "value": "x"}}),
            "neither": mapped(fields={"name": {"default": "x"}}),
        }

    def troubles(self, vendor: Folder) -> Mapping[str, Step]:
        def moved() -> None:
            vendor.path.rename(vendor.root / "elsewhere")

        return {
            "the folder is gone": moved,
            "a column is missing": vendor.put("customers.csv", "no,nom\n1,A\n"),
            "a column is there twice": vendor.put("customers.csv", "no,name,since,name\n1,A,,B\n"),
            "nothing is in a file": vendor.put("customers.csv", ""),
            "the first line is no CSV": vendor.put("customers.csv", '"no,name'),
            "no Parquet": vendor.put("invoices.parquet", "no Parquet"),
            "files are missing": lambda: [path.unlink() for path in vendor.path.rglob("*.*")],
            "a folder has the name of a file": (vendor.path / "late.parquet").mkdir,
            "two files": vendor.put("log/more.jsonl", ""),
            "the last file counts": vendor.put("kept.parquet", "no Parquet"),
            "a file is being written": vendor.put("customers.csv", "no,name,since\n1,A,\n", seconds=9.999),
            **{name: partial(dict, keys) for name, keys in self.mistakes().items()},
            "a file is from the future": vendor.put("customers.csv", "no,name,since\n1,A,\n", seconds=-100),
        }

    def stories(self, vendor: Folder) -> Mapping[str, Sequence[Step]]:
        def cells(kind: str, values: Sequence[str], /, **rule: Any) -> Step:
            """Rows with one cell each, which becomes one field."""
            record, field, others = TYPES[kind]
            options = {name: rule.pop(name) for name in ("extra", "empty", "version", "time_zone", "currency") if name in rule}
            fields = {**others, field: {"column": "cell", **rule}}
            stream = {
                "name": "cells",
                "path": "cells.jsonl",
                "mode": "snapshot",
                "record": record,
                "id": "no",
                "fields": fields,
            }
            lines = [f'{{"no": "{number:02}", "cell": {value}}}\n' for number, value in enumerate(values)]
            return lambda: (
                vendor.put("cells.jsonl", "".join(lines))(),
                {"streams": [{**stream, "fields": fields, **options}]},
            )[1]

        def table(content: bytes | str, *, name: str = "table.csv", **options: Any) -> Step:
            base = {"name": "table", "path": name, "mode": "snapshot", "record": "account", "id": "a", "fields": {"name": "b"}}
            stream = {key: value for key, value in {**base, **options}.items() if value is not None}
            return after(vendor.put(name, content), {"streams": [stream]})

        def log(*lines: str, name: str = "log.csv", seconds: float = 300) -> Step:
            return vendor.put(name, "".join(lines), seconds)

        def follow() -> Mapping[str, Any]:
            stream = {
                "name": "log",
                "path": "log*.csv",
                "mode": "append",
                "record": "account",
                "id": "a",
                "fields": {"name": "b"},
            }
            return {"streams": [stream]}

        nested = ('{"a": 1.0, "b": [1.5, null, true, "x"]}', '{"d": {"e": "f"}}', '""', "7", "1e19", "1e400", '"x"', "[0.1]")
        return {
            "texts": [
                cells("text", ('"x"', "5", "5.0", "5.5", "true", "false", "{}", r'"a\u0000b"', r'"\u200b"', "1e39", "1e41"))
            ],
            "words": [cells("text", ('"A"', '"C"', "1", '"x"', "null"), values={"A": "active", "C": "gone", "1": "one"})],
            "whole numbers": [cells("integer", NUMBERS)],
            "numbers": [cells("number", NUMBERS, default=5), cells("number", NUMBERS, decimal=",")],
            "amounts": [
                cells("money", AMOUNTS, unit="major"),
                cells("money", AMOUNTS, unit="major", round=True),
                cells("money", AMOUNTS, unit="minor"),
                cells("money", AMOUNTS, unit="major", currency="JPY"),
            ],
            **{
                f"{kind}s, {format_}": [cells(kind, MOMENTS, format=format_, time_zone="Europe/Berlin")]
                for kind in ("instant", "day")
                for format_ in ("iso", "epoch_s", "epoch_ms", "%d.%m.%Y")
            },
            "flags": [cells("flag", ('"Yes"', '"T"', '"0"', '"no"', "true", "1", "0", '"maybe"', "2", "0.0", "null"))],
            "lists": [
                cells("list", ('"a, b,,c"', '["a", null, " b ", 1]', '"a;b"', "{}", "7", '[{"a": 1}]')),
                cells("list", ('"a, b"', '"a; b"'), split=";"),
            ],
            "further cells": [
                cells("text", nested, column="no", extra={"of": "cell"}, empty=["x"]),
                cells("text", ('{"a": {"b": "deep"}, "a.b": "flat"}', '{"a": 7}'), column="cell.a.b", extra=["cell"]),
            ],
            "versions": [
                cells("text", ('"2026-03-01T00:00:00Z"', '"soon"', "null"), version="cell"),
                cells("text", ("5", '"7"', "null", "1.5"), version={"column": "cell", "kind": "integer"}),
            ],
            "currencies": [
                table("a,b,c\n1,2,eur\n2,3.5,Jpy\n3,4.567,\n4,5,QQQ\n", record="payment_attempt", **paid(unit="major")),
                table("a,b,c\n1,2,\n", record="payment_attempt", **paid(unit="major"), currency="GBP"),
            ],
            "ids of several columns": [table("a,b\n1,x|y\n2,\\\n,z\n", id=["a", "b"])],
            "usage": [
                table(
                    "a,b,c\nu1,2026-03-01,3\nu1,,4\n,2026-03-01,5\nu2,2026-03-01T23:30:00Z,x\n",
                    record="usage",
                    fields={"subject": "a", "event": {"value": "login"}, "day": "b", "count": "c"},
                    id=None,
                )
            ],
            "lines of CSV": [
                table('a,b\n1,"x\ny"\n\n2,y,z\n3\n4,"broken"x\n5,fine\n6,"open\n7,more\n'),
                table(b"a,b\r\n1,\xff\r\n2,\xc3\xa9"),
                table("\ufeffa;b\n1; x \n", delimiter=";"),
                table("1\tx\n2\ty\n", name="table.tsv", columns=["a", "b"]),
                table("a,b\n1,Gr\u00fcn\n".encode("cp1252"), encoding="cp1252"),
                table("\ufeffa,b\n1,\u4f01\u4e1a\n2,\u0a0a\n".encode("utf-16-le"), encoding="utf-16-le"),
                table("1,x", columns=["a", "b"]),
            ],
            "lines of JSON": [
                table(
                    b'{"a": "1", "b": "x"}\n\n{"a": "2"\n[1]\n7\n{"a": "3", "b": "\xff"}\n{"a": "4", "b": "y"}',
                    name="table.jsonl",
                ),
            ],
            "an endless line": [
                table(b"a,b\n1,x\n" + b"x" * (16 * 1024 * 1024) + b"\n"),
                table(b"a,b\n1,x\n2," + b"x" * (16 * 1024 * 1024) + b"\n"),
            ],
            "a long bad line": [table("a,b\n1,x,y" + "z" * 70_000 + "\n")],
            "files that grow": [
                lambda: (log("a,b\n", "1,x\n", '2,"y')(), follow())[1],
                log("a,b\n", "1,x\n", '2,"y"\n', "3,z", seconds=1),
                log("a,b\n", "1,x\n", '2,"y"\n', "3,zz\n", seconds=1),
                log("a,b\n", "1,x\n", '2,"y"\n', "3,zz\n", "4,4"),
                lambda: None,
                log("a,b\n", "9,other\n", "8,more\n", "7,x\n", "6,x\n", "5,x\n"),
                log("a,b\n", "5,short\n"),
                *(log("a,b\n", f"{number},new\n", name=f"log{number}.csv", seconds=100 - number) for number in range(10, 16)),
                (vendor.path / "log10.csv").unlink,
                log("a,b\n", "10,again\n", name="log10.csv"),
                log("a,b\n", "11,changed\n", name="log11.csv"),
            ],
            "snapshots": [
                lambda: (
                    table("a,b\n1,x\n2,y\n", name="table1.csv")(),
                    table("a,b\n3,z\n", name="table2.csv", path="table*.csv")(),
                )[1],
                vendor.put("table1.csv", "a,b\n1,x\n2,y\n", seconds=200),
                vendor.put("table1.csv", "a,b\n2,Y\n", seconds=11),
                vendor.put("table2.csv", "a,b\n4,late\n", seconds=5),
                vendor.put("table2.csv", "a,b\n4,late\n5,x\n", seconds=-5),
            ],
            "the last one": [
                lambda: (
                    vendor.put("day1.csv", "a,b\n1,x\n")(),
                    table("a,b\n2,y\n", name="day0.csv", path="day*.csv", mode="latest")(),
                )[1],
                vendor.put("day2.csv", "a,b\n3,z\n"),
                vendor.put("day10.csv", "a,b\n4,z\n"),
            ],
            "columns of Parquet": [lambda: self._typed(vendor)],
        }

    def _typed(self, vendor: Folder) -> Mapping[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        moment = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
        columns = {
            "a": pa.array([1.0, 2.0, None]),
            "b": pa.array([{"c": "in", "d": [1, 2]}, None, {"c": "x", "d": []}]),
            "at": pa.array([moment, None, moment], pa.timestamp("us", "UTC")),
            "on": pa.array([moment.date(), None, None]),
            "raw": pa.array([b"x", None, None]),
        }
        pq.write_table(pa.table(columns), vendor.path / "typed.pq")
        vendor.put("typed.pq", (vendor.path / "typed.pq").read_bytes())()
        fields = {"name": "b.c", "created_at": "at"}
        base = {"name": "typed", "path": "typed.pq", "mode": "append", "record": "account", "id": "a", "fields": fields}
        missing = {**base, "name": "missing", "fields": {"name": "bb.c"}}
        return {"streams": [{**base, "extra": ["b", "on"]}, {**base, "name": "bytes", "extra": ["raw"]}, missing]}


def after(step: Step, keys: Mapping[str, Any]) -> Step:
    """Return a step that takes another one, and returns keys."""
    return lambda: (step(), keys)[1]


def paid(**rule: Any) -> Mapping[str, Any]:
    """Map a payment whose amount and currency stand in columns."""
    others = {"status": {"value": "failed"}, "attempted_at": {"value": 1}, "currency": "c"}
    return {"fields": {**others, "amount": {"column": "b", **rule}}}


class TestFilesExports(JobTests):
    plugin = "files"

    def vendor(self, clock: FakeClock) -> Folder:
        return Folder(clock)

    def keys(self, vendor: Folder, url: str) -> Mapping[str, Any]:
        streams = [TestFilesSource.STREAMS[0]]
        exports = [
            {"what": "records", "record": "account", "path": str(vendor.root / "out.csv")},
            {"what": "frame", "path": str(vendor.root / "out.parquet")},
        ]
        return {"folder": str(vendor.path), "streams": streams, "exports": exports}

    def left(self, vendor: Folder) -> object:
        found = {path.name: path.read_bytes() for path in sorted(vendor.root.glob("out.*"))}
        return found or None

    def prevent(self, vendor: Folder) -> None:
        for name in ("out.csv", "out.parquet"):
            (vendor.root / name).mkdir()
