"""What is read of databases: every row once, changes from the cursor, and nothing is ever written."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wellkept.errors import RetryableError
from wellkept_sql.config import Query
from wellkept_sql.statement import refuse_writes

DAY = 86_400
INVOICES = {
    "name": "invoices",
    "query": "SELECT * FROM invoices WHERE amount >= :least",
    "params": {"least": 0},
    "cursor": "changed",
    "record": "invoice",
    "id": "no",
    "fields": {
        "account_ref": "customer",
        "status": {"column": "state", "values": {"P": "paid", "O": "open"}},
        "currency": "currency",
        "amount_due": {"column": "amount", "unit": "major"},
        "created_at": "changed",
    },
    "time_zone": "Europe/Berlin",
}
COLUMNS = "no INTEGER, customer TEXT, state TEXT, currency TEXT, amount NUMERIC(12, 3), changed {time}, gone INTEGER"


def make(database: Any, bench_url: str) -> None:
    columns = COLUMNS.format(time="TEXT" if bench_url.startswith("sqlite") else "TIMESTAMP")
    database(f"CREATE TABLE invoices ({columns})")


def add(database: Any, rows: Sequence[tuple[int, str, str]]) -> None:
    """Add rows: number, amount, time of change."""
    values = ", ".join(f"({no}, 'c{no % 3}', 'P', 'EUR', {amount}, '{changed}', 0)" for no, amount, changed in rows)
    database(f"INSERT INTO invoices VALUES {values}")  # noqa: S608 - our own values


def at(minute: int) -> str:
    return f"2026-11-20 {10 + minute // 60:02}:{minute % 60:02}:00"


def count(result: Any) -> int:
    return int(result.counts["inserted"] + result.counts["updated"] + result.counts["unchanged"])


def test_rows_become_records(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(1, "12.34", at(0)), (2, "-5", at(1))])
    database("INSERT INTO invoices VALUES (3, 'c1', 'O', 'jpy', 1200, '2026-07-01 12:00:00', 0)")
    database("INSERT INTO invoices VALUES (4, 'c1', 'O', 'kwd', 1.234, '2026-07-01 12:00:00', 0)")
    bench = opened(INVOICES)
    bench.read("invoices")
    rows = {id_: row for (_, id_), row in bench.rows().items()}
    assert sorted(rows) == ["1", "3", "4"], "the parameter is bound"
    assert (rows["1"]["amount_due"], rows["1"]["currency"], rows["1"]["status"]) == (1234, "eur", "paid")
    assert (rows["3"]["amount_due"], rows["4"]["amount_due"]) == (1200, 1234)
    assert rows["3"]["created_at"] == 1_782_900_000_000, "12:00 in Berlin, in summer, is 10:00 UTC"
    assert rows["1"]["created_at"] == 1_795_165_200_000, "10:00 in Berlin, in winter, is 9:00 UTC"


def test_only_what_changed_is_read_again(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(no, "1.00", at(no)) for no in range(50)])
    bench = opened({**INVOICES, "lookback": 120})
    assert count(bench.read("invoices")) == 50
    bench.clock.advance(60)
    assert count(bench.read("invoices")) == 3, "those of the last two minutes"
    database(f"UPDATE invoices SET amount = 7, changed = '{at(90)}' WHERE no = 4")  # noqa: S608 - our own values
    add(database, [(60, "2.00", at(48))])
    bench.clock.advance(60)
    result = bench.read("invoices")
    assert (result.inserted, result.updated) == (1, 1), "a row that was committed late is found behind the cursor"
    assert bench.rows()["invoice", "4"]["amount_due"] == 700


@pytest.mark.parametrize("lookback", [0, 300])
def test_many_rows_with_one_cursor_are_read_in_any_portions(opened: Any, database: Any, url: str, lookback: int) -> None:
    """Broken off after each batch in turn: rows with one time are told apart by their ids, and none is lost."""
    make(database, url)
    add(database, [(no, "1.00", at(no // 20)) for no in range(57)])
    bench = opened({**INVOICES, "lookback": lookback}, batch_rows=8)
    bench.sync()
    expected = bench.rows()
    assert len(expected) == 57
    for passing in range(1, 8):
        bench.begin_anew()
        source, _ = bench.instance.streams["invoices"]
        whole = source.read

        async def broken(request: Any, whole: Any = whole, passing: int = passing) -> Any:
            number = 0
            async for batch in whole(request):
                yield batch
                number += 1
                if number == passing:
                    raise RetryableError("broken off")

        source.read = broken
        first = bench.result("invoices")
        assert (first.state, count(first)) == ("failed", 8 * passing)
        bench.reopen()
        assert count(bench.read("invoices")) == 57 - 8 * passing, "a row was read twice, or not at all"
        assert bench.rows() == expected
    add(database, [(100, "1.00", at(2))])
    bench.clock.advance(60)
    bench.read("invoices")
    assert len(bench.rows()) == 58, "a later id at the same time"


@pytest.mark.parametrize("cursor", [None, "no"])
def test_rows_stay_at_the_server(opened: Any, url: str, cursor: str | None) -> None:
    """The first rows of very many come without the others being fetched."""
    if url.startswith("sqlite"):
        made = """
            WITH RECURSIVE n(no) AS (SELECT 1 UNION ALL SELECT no + 1 FROM n WHERE no < 300000)
            SELECT no, 'x' || no AS name FROM n
        """
    else:
        made = "SELECT no, repeat('x', 200) || no AS name FROM generate_series(1, 300000) AS n(no)"
    query = {"name": "many", "query": made, "record": "account", "id": "no", "fields": {"name": "name"}}
    bench = opened(query if cursor is None else {**query, "cursor": cursor})
    tracemalloc.start()
    found = [len(batch.records) for batch in islice(bench.batches("many"), 5)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [500] * 5
    assert peak < 20_000_000


def test_what_reading_costs(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(1, "1", at(0))])
    bench = opened(INVOICES)
    source, stream = bench.instance.streams["invoices"]
    assert bench.runtime.run(source.estimate(stream, None)).calls == 2
    (batch,) = bench.batches("invoices")
    assert bench.runtime.run(source.estimate(stream, batch.cursor)).calls == 1


def test_a_full_query_tells_what_is_gone(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(no, "1.00", at(no)) for no in range(40)])
    bench = opened({name: value for name, value in INVOICES.items() if name != "cursor"}, batch_rows=7)
    bench.read("invoices")
    database("DELETE FROM invoices WHERE no = 11")
    bench.clock.advance(60)
    result = bench.read("invoices")
    assert (result.deleted, result.notes) == (1, [])
    assert len(bench.rows()) == 39


def test_a_query_with_a_cursor_is_read_whole_now_and_then(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(no, "1.00", at(no)) for no in range(40)])
    bench = opened(INVOICES)
    bench.read("invoices")
    database("DELETE FROM invoices WHERE no = 11")
    bench.clock.advance(6 * DAY)
    assert bench.read("invoices").deleted == 0
    bench.clock.advance(DAY)
    assert bench.read("invoices").deleted == 1
    bench.clock.advance(DAY)
    assert count(bench.read("invoices")) < 39


def test_a_row_that_is_marked_as_gone_is(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(no, "1.00", at(no)) for no in range(9)])
    bench = opened({**INVOICES, "deleted": "gone"})
    bench.read("invoices")
    database(f"UPDATE invoices SET gone = 1, changed = '{at(30)}' WHERE no = 4")  # noqa: S608 - our own values
    bench.clock.advance(60)
    assert bench.read("invoices").deleted == 1
    assert ("invoice", "4") not in bench.rows()
    database(f"UPDATE invoices SET gone = 0, changed = '{at(31)}' WHERE no = 4")  # noqa: S608 - our own values
    bench.clock.advance(60)
    bench.read("invoices")
    assert ("invoice", "4") in bench.rows()


def test_a_bad_row_is_put_aside(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(1, "12.34", at(0)), (2, "12.345", at(1)), (3, "1", at(2))])
    bench = opened(INVOICES)
    assert bench.result("invoices").state == "partial"
    (letter,) = bench.letters()
    assert "'amount'" in letter.reason
    assert "12.345" not in letter.reason
    assert {id_ for _, id_ in bench.rows()} == {"1", "3"}


def test_a_row_without_a_cursor_is_not_passed_over_in_silence(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    add(database, [(1, "12.34", at(0))])
    database("INSERT INTO invoices VALUES (2, 'c1', 'O', 'EUR', 1, NULL, 0)")
    bench = opened(INVOICES)
    result = bench.result("invoices")
    assert result.state == "failed"
    assert "'changed' is empty in a row" in result.error
    assert "COALESCE" in result.error


def test_a_query_that_does_not_work_is_told_by_check_and_read(opened: Any, database: Any, url: str) -> None:
    make(database, url)
    bench = opened(INVOICES, {**INVOICES, "name": "other", "query": "SELECT * FROM nowhere", "params": {}})
    findings = {finding.name: finding for finding in bench.check().findings}
    assert (findings["connection"].ok, findings["invoices"].ok, findings["other"].ok) == (True, True, False)
    assert "nowhere" in findings["other"].message
    states = {result.stream: result.state for result in bench.sync().streams}
    assert states == {"invoices": "done", "other": "failed"}


def test_nothing_can_be_written(opened: Any, database: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by a function that a harmless query calls, or by a statement that slipped through."""
    make(database, url)
    add(database, [(1, "1", at(0))])
    if url.startswith("sqlite"):
        bench = opened(INVOICES)
        bench.check()
        monkeypatch.setattr("wellkept_sql.source.statement", lambda *_: sa.text("DELETE FROM invoices"))
    else:
        body = "BEGIN DELETE FROM invoices; RETURN 1; END"
        database(f"CREATE FUNCTION harmless() RETURNS integer LANGUAGE plpgsql AS $$ {body} $$")
        bench = opened({**INVOICES, "query": "SELECT *, harmless() FROM invoices WHERE amount > :least AND harmless() = 1"})
    result = bench.result("invoices")
    assert result.state == "failed"
    assert "read" in result.error.lower()
    monkeypatch.undo()
    monkeypatch.setenv("VENDOR_URL", url)
    again = opened(INVOICES)
    again.begin_anew()
    assert count(again.read("invoices")) == 1


def test_a_refused_password_pauses_and_is_never_shown(opened: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite knows no users")
    bench = opened(INVOICES)
    monkeypatch.setenv("VENDOR_URL", url.replace("postgres@", "nobody_of_this_name:s3cret-password@"))
    result = bench.check()
    assert not result.ok
    assert "s3cret-password" not in repr(result)
    report = bench.sync().streams[0]
    assert report.state in {"failed", "skipped"}
    assert "s3cret-password" not in f"{report.error} {report.note}"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM a",
        "SELECT 1; DROP TABLE a",
        "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
        "SELECT * INTO b FROM a",
        "SELECT * FROM a FOR UPDATE",
        "SELECT * FROM a FOR NO KEY UPDATE",
        "/* SELECT */ TRUNCATE a",
        "-- SELECT\nUPDATE a SET b = 1",
        "EXPLAIN ANALYZE SELECT 1",
        "VALUES (1)",
        "",
    ],
)
def test_statements_that_are_no_queries_are_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r"SELECT|refused|semicolon|locks"):
        refuse_writes(query)
    with pytest.raises(ValidationError):
        Query(name="a", query=query, record="account", id="id")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1;",
        "select replace(name, 'DELETE', ';') from a -- ; drop",
        'WITH x AS (SELECT "update" FROM a) SELECT t.set FROM x t',
        "SELECT a::text, updated_at, created FROM a WHERE b = :b /* ; UPDATE */",
        "SELECT $x$ ; DELETE $x$ FROM a",
    ],
)
def test_queries_are_let_through(query: str) -> None:
    assert refuse_writes(query) == query.removesuffix(";")


@given(st.text(max_size=40))
def test_whatever_stands_in_quotes_is_no_statement(text: str) -> None:
    quoted = text.replace("'", "''")
    assert refuse_writes(f"SELECT '{quoted}' FROM a").startswith("SELECT")  # noqa: S608 - sent nowhere
