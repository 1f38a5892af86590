"""What is read of files: all of it once, what is new, what has changed, and never half of a line."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept import PluginInfo, hookimpl
from wellkept.errors import RetryableError
from wellkept.records import Record
from wellkept_files.config import FileStream
from wellkept_files.rows import Place, rows

START = 1_795_262_400_000
CUSTOMERS = {
    "name": "customers",
    "path": "customers.csv",
    "mode": "snapshot",
    "record": "account",
    "id": "No",
    "fields": {"name": "Company", "created_at": "Since"},
}
EVENTS = {
    "name": "events",
    "path": "log/*.jsonl",
    "mode": "append",
    "record": "timeline_event",
    "id": "id",
    "fields": {
        "account_ref": "who.account",
        "kind": {"value": "note"},
        "text": "text",
        "at": {"column": "ts", "format": "epoch_s"},
    },
}
TEXT = "No,Company,Since\r\n007,Aster Labs,2024-03-01\r\n8,Bücher & Söhne,2025-11-30T10:00:00+01:00\r\n"


def names(bench: Any, type_: str = "account") -> dict[str, Any]:
    return {id_: row.get("name") for (kind, id_), row in bench.rows().items() if kind == type_}


def count(result: Any) -> int:
    """Return how many rows were read."""
    counts = result.counts
    return int(counts["inserted"] + counts["updated"] + counts["unchanged"])


def event(number: int, text: str = "seen") -> str:
    return json.dumps({"id": f"e{number}", "who": {"account": "007"}, "text": text, "ts": 1_795_000_000 + number}) + "\n"


def test_a_csv_file_becomes_records(opened: Any, drop: Any) -> None:
    drop.put("customers.csv", TEXT)
    bench = opened(CUSTOMERS)
    assert bench.read("customers").inserted == 2
    row = bench.rows()["account", "007"]
    assert row["name"] == "Aster Labs"
    assert row["created_at"] == int(datetime(2024, 3, 1, tzinfo=UTC).timestamp() * 1000)
    assert bench.rows()["account", "8"]["created_at"] == int(datetime(2025, 11, 30, 9, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16-le", "utf-16-be", "latin-1", "utf-32-le"])
def test_encodings(opened: Any, drop: Any, encoding: str) -> None:
    mark = "\ufeff" if encoding.startswith(("utf-16", "utf-32")) else ""
    drop.put("customers.csv", mark + TEXT + "9,\u010a\u0a0a,2024-01-01\r\n" * encoding.startswith("utf"), encoding=encoding)
    bench = opened({**CUSTOMERS, "encoding": encoding.removesuffix("-sig")})
    bench.read("customers")
    assert names(bench)["8"] == "Bücher & Söhne"
    assert len(names(bench)) == (3 if encoding.startswith("utf") else 2)


def test_a_wrong_encoding_costs_the_rows_that_it_breaks(opened: Any, drop: Any) -> None:
    drop.put("customers.csv", TEXT, encoding="cp1252")
    bench = opened(CUSTOMERS)
    assert bench.result("customers").state == "partial"
    assert names(bench) == {"007": "Aster Labs"}
    (letter,) = bench.letters()
    assert "line 3" in letter.reason
    assert "'Company'" in letter.reason


def test_bad_rows_are_put_aside_with_their_lines(opened: Any, drop: Any) -> None:
    body = 'No,Company,Since\n1,"Two\nlines",2024-01-01\n2,short\n3,"open,2024-01-01\n4,Late,soon\n'
    body += ",Nobody,2024-01-01\n6,Six,2024-01-02\n"
    drop.put("customers.csv", body)
    bench = opened(CUSTOMERS)
    assert bench.result("customers").state == "partial"
    assert names(bench) == {"1": "Two\nlines", "6": "Six"}
    reasons = sorted(letter.reason for letter in bench.letters())
    assert [reason.split(":")[0] for reason in reasons] == [f"customers.csv, line {line}" for line in (4, 5, 6, 7)]
    assert not any("soon" in reason or "Nobody" in reason for reason in reasons), "a reason shows what is in a cell"


def test_an_unchanged_file_is_not_read_again_and_a_changed_one_is(opened: Any, drop: Any) -> None:
    path = drop.put("customers.csv", TEXT)
    bench = opened(CUSTOMERS)
    bench.read("customers")
    bench.clock.advance(60)
    assert count(bench.read("customers")) == 0
    drop.touch(path, hours=0.5)
    again = bench.read("customers")
    assert (count(again), again.notes) == (0, []), "only its time is another"
    bench.clock.advance(60)
    drop.put("customers.csv", TEXT.replace("Aster Labs", "Aster"), hours=0.25)
    bench.read("customers")
    assert names(bench) == {"007": "Aster", "8": "Bücher & Söhne"}


def test_what_a_snapshot_lacks_is_gone(opened: Any, drop: Any) -> None:
    rows_of = "".join(f"{number},Company {number},2024-01-01\n" for number in range(30))
    drop.put("customers.csv", "No,Company,Since\n" + rows_of)
    bench = opened(CUSTOMERS)
    bench.read("customers")
    bench.clock.advance(3600)
    drop.put("customers.csv", "No,Company,Since\n" + rows_of.replace("7,Company 7,2024-01-01\n", "", 1), hours=0.5)
    assert bench.read("customers").deleted == 1
    assert "7" not in names(bench)
    assert len(names(bench)) == 29


def test_an_older_copy_put_back_counts(opened: Any, drop: Any) -> None:
    drop.put("customers.csv", TEXT, hours=1)
    bench = opened(CUSTOMERS)
    bench.read("customers")
    bench.clock.advance(3600)
    drop.put("customers.csv", TEXT.replace("Aster Labs", "Before"), hours=99)
    bench.read("customers")
    assert names(bench)["007"] == "Before"


def test_a_missing_file_deletes_nothing(opened: Any, drop: Any) -> None:
    path = drop.put("customers.csv", TEXT)
    bench = opened(CUSTOMERS)
    bench.read("customers")
    path.unlink()
    result = bench.result("customers")
    assert result.state == "failed"
    assert "no file matches customers.csv" in result.error
    assert len(names(bench)) == 2


def test_a_file_without_a_mapped_column_deletes_nothing_and_says_what_it_has(opened: Any, drop: Any) -> None:
    drop.put("customers.csv", TEXT)
    bench = opened(CUSTOMERS)
    bench.read("customers")
    bench.clock.advance(60)
    drop.put("customers.csv", TEXT.replace(",", ";"), hours=0.5)
    result = bench.result("customers")
    assert result.state == "failed"
    assert "no column 'No', 'Company', 'Since'" in result.error
    assert len(names(bench)) == 2


def test_latest_takes_the_file_whose_name_sorts_last(opened: Any, drop: Any) -> None:
    drop.put("dump-2026-11-19.csv", TEXT.replace("Aster Labs", "Oldest"), hours=1)
    drop.put("dump-2026-11-20.csv", TEXT, hours=20)
    bench = opened({**CUSTOMERS, "mode": "latest", "path": "dump-*.csv"})
    bench.read("customers")
    assert names(bench)["007"] == "Aster Labs"
    bench.clock.advance(60)
    drop.put("dump-2026-11-21.csv", TEXT.replace("Aster Labs", "Newest"), hours=2)
    bench.read("customers")
    assert names(bench)["007"] == "Newest"


def test_a_file_that_is_being_written_waits(opened: Any, drop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drop.put("customers.csv", TEXT, hours=0.001)
    bench = opened(CUSTOMERS)
    before = bench.clock.now()
    bench.read("customers")
    assert bench.clock.now() - before >= 6_000
    drop.put("customers.csv", TEXT + "9,Nine,2024-01-01\n", hours=0)
    sleep = bench.clock.sleep

    async def writing(seconds: float) -> None:
        path.write_text(path.read_text(encoding="utf-8") + "10,Ten,2024", encoding="utf-8")
        await sleep(seconds)

    monkeypatch.setattr(bench.clock, "sleep", writing)
    result = bench.result("customers")
    assert result.state == "failed"
    assert "being written" in result.error
    assert len(names(bench)) == 2


def test_reading_goes_on_inside_of_files(opened: Any, drop: Any) -> None:
    """Broken off after each batch in turn, the next run goes on where it was, and ends with the same rows."""
    body = "".join(f'{number},"Company\n{number}",2024-01-01\r\n' for number in range(40))
    drop.put("a/customers.csv", "No,Company,Since\r\n" + body)
    drop.put("b/customers.csv", "Since,No,Company\r\n2024-01-01,x1,Xylo\r\n2024-01-01,x2,Xenia")
    drop.put("log/1.jsonl", "".join(event(number) for number in range(30)))
    bench = opened({**CUSTOMERS, "path": "*/customers.csv"}, EVENTS, batch_rows=7)
    bench.sync()
    expected = bench.rows()
    assert len(expected) == 72
    for stream in ("customers", "events"):
        for passing in range(1, 7):
            bench.begin_anew()
            source, _ = bench.instance.streams[stream]
            whole = source.read

            async def broken(request: Any, whole: Any = whole, passing: int = passing) -> Any:
                number = 0
                async for batch in whole(request):
                    yield batch
                    number += 1
                    if number == passing:
                        raise RetryableError("broken off")

            source.read = broken
            failed = bench.result(stream)
            assert failed.state == "failed"
            bench.reopen()
            rest = bench.read(stream)
            assert rest.notes == []
            assert bench.rows(stream) == {key: row for key, row in expected.items() if key in bench.rows(stream)}
            assert count(failed) + count(rest) == (42 if stream == "customers" else 30), "a row was read twice, or not at all"
            assert len(bench.rows(stream)) == (42 if stream == "customers" else 30)


def test_a_growing_file_is_read_from_where_it_was(opened: Any, drop: Any) -> None:
    drop.put("log/1.jsonl", event(1) + event(2))
    bench = opened(EVENTS)
    assert count(bench.read("events")) == 2
    bench.clock.advance(60)
    drop.put("log/1.jsonl", event(1) + event(2) + event(3), hours=0.5)
    drop.put("log/2.jsonl", event(4), hours=0.6)
    assert count(bench.read("events")) == 2
    assert count(bench.read("events")) == 0
    assert len(bench.rows("events")) == 4
    drop.put("log/1.jsonl", event(1, "was seen") + event(2) + event(3) + event(5), hours=0.1)
    assert count(bench.read("events")) == 4, "it was not added to but written anew"
    assert bench.rows("events")["timeline_event", "e1"]["text"] == "was seen"


def test_half_a_line_is_never_read(opened: Any, drop: Any) -> None:
    drop.put("log/1.jsonl", event(1) + event(12)[:20], hours=0)
    bench = opened(EVENTS)
    assert count(bench.read("events")) == 1
    drop.put("log/1.jsonl", event(1) + event(12) + event(3).rstrip(), hours=0)
    assert count(bench.read("events")) == 1
    bench.clock.advance(3600)
    assert count(bench.read("events")) == 1, "a last line without an end counts once nobody writes any more"
    assert count(bench.read("events")) == 0
    drop.put("log/1.jsonl", event(1) + event(12) + event(3) + event(4), hours=0.2)
    bench.read("events")
    assert {id_ for _, id_ in bench.rows()} == {"e1", "e12", "e3", "e4"}
    assert bench.letters() == []


def test_rows_of_an_older_file_do_not_overwrite_those_of_a_newer_one(opened: Any, drop: Any) -> None:
    drop.put("log/new.jsonl", event(1, "new"), hours=1)
    drop.put("log/old.jsonl", event(1, "old"), hours=5)
    bench = opened(EVENTS)
    bench.read("events")
    assert bench.rows("events")["timeline_event", "e1"]["text"] == "new"
    drop.put("log/older.jsonl", event(1, "older"), hours=9)
    bench.read("events")
    assert bench.rows("events")["timeline_event", "e1"]["text"] == "new"


def test_very_many_files_fit_into_a_cursor(opened: Any, drop: Any) -> None:
    for number in range(700):
        drop.put(f"log/a-rather-long-name-of-a-file-{number:06}.jsonl", event(number), hours=900 - number)
    bench = opened(EVENTS)
    assert count(bench.read("events")) == 700
    assert count(bench.read("events")) == 0
    drop.put("log/a-rather-long-name-of-a-file-000003.jsonl", event(3, "anew"), hours=1)
    assert count(bench.read("events")) == 1


def test_a_row_of_json_that_is_none(opened: Any, drop: Any) -> None:
    drop.put("log/1.jsonl", event(1) + "[1]\n\nnot json\n" + event(2).replace("1795000002", "true") + event(3))
    bench = opened(EVENTS)
    assert bench.result("events").state == "partial"
    assert {id_ for _, id_ in bench.rows()} == {"e1", "e3"}
    assert len(bench.letters()) == 3


class Price(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A record of another plugin's own."""

    type: ClassVar[str] = "shop.price"

    amount: int
    currency: str


class Shop:
    """Another plugin."""

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="shop", api="1.0", summary="A shop.")

    @hookimpl
    def record_types(self) -> list[type[Record]]:
        return [Price]


def test_another_plugins_own_records(opened: Any, drop: Any) -> None:
    drop.put("prices.csv", "sku;price\na1;1.299,00\n")
    fields = {"amount": {"column": "price", "unit": "major", "decimal": ","}}
    stream = {"name": "prices", "path": "prices.csv", "mode": "snapshot", "delimiter": ";", "record": "shop.price", "id": "sku"}
    bench = opened({**stream, "currency": "KWD", "fields": fields}, objects={"shop": Shop()})
    bench.read("prices")
    assert bench.rows()["shop.price", "a1"]["amount"] == 1_299_000, "three decimals"


def test_a_mapping_that_does_not_fit_leaves_the_others_alone(opened: Any, drop: Any) -> None:
    bench = opened({**CUSTOMERS, "record": "acount"}, objects={"shop": Shop()})
    assert bench.streams == {}
    (problem,) = bench.runtime.problems
    assert "plugins.files.streams.customers.record: there is no record type 'acount'" in str(problem)
    assert problem.mend == "did you mean 'account'?"
    assert "shop" in bench.runtime.instances


def test_what_reading_costs_and_what_check_says(opened: Any, drop: Any) -> None:
    drop.put("customers.csv", TEXT)
    bench = opened(CUSTOMERS, {**CUSTOMERS, "name": "others", "path": "others.csv"}, EVENTS)
    findings = {finding.name: (finding.ok, finding.message) for finding in bench.check().findings}
    assert findings == {
        "customers": (True, "1 file"),
        "others": (False, "no file matches others.csv"),
        "events": (True, "0 files"),
    }
    source, stream = bench.instance.streams["customers"]
    assert bench.runtime.run(source.estimate(stream, None)).calls == 0


def test_parquet(opened: Any, drop: Any) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'wellkept-files[parquet]'")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {
            "id": pa.array(range(2500), pa.int64()),
            "customer": ["c1"] * 2500,
            "state": ["paid"] * 2500,
            "amount": pa.array([Decimal("12.34")] * 2500, pa.decimal128(10, 2)),
            "made": pa.array([datetime(2026, 1, 1, 12, tzinfo=UTC)] * 2500, pa.timestamp("us", tz="UTC")),
        }
    )
    pq.write_table(table, drop.folder / "invoices.parquet", row_group_size=1000)
    bench = opened(
        {
            "name": "invoices",
            "path": "*.parquet",
            "mode": "snapshot",
            "record": "invoice",
            "id": "id",
            "currency": "EUR",
            "fields": {
                "account_ref": "customer",
                "status": "state",
                "amount_due": {"column": "amount", "unit": "major"},
                "created_at": "made",
            },
        }
    )
    drop.touch(drop.folder / "invoices.parquet")
    assert bench.read("invoices").inserted == 2500
    row = bench.rows()["invoice", "2499"]
    assert (row["amount_due"], row["currency"], row["created_at"]) == (1234, "eur", 1_767_268_800_000)
    stream = bench.instance.config.streams[0]
    rest = list(rows(drop.folder / "invoices.parquet", stream, ("id",), Place(2400, 2400)))
    assert [row.cells["id"] for row in rest] == list(range(2400, 2500))


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=12), st.sampled_from(["\r\n", "\n"]), st.sampled_from([",", ";", "\t"]))
def test_every_csv_comes_back_from_every_place(tmp_path_factory: Any, body: list[tuple[str, str]], end: str, sign: str) -> None:
    """What was written is read, and from the place after each row come exactly the rows behind it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, delimiter=sign, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *body])
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(text.getvalue().encode())
    stream = FileStream(name="x", path="x.csv", mode="append", record="account", id="a", delimiter=sign)
    found = list(rows(path, stream, ("a", "b"), Place()))
    assert [(row.cells["a"], row.cells["b"]) for row in found if row.cells] == body
    for number, row in enumerate(found):
        assert list(rows(path, stream, ("a", "b"), row.place)) == found[number + 1 :]
