"""Tables keep their columns in line whatever the text, terminals are not played with, and JSON is one document."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from wellkept.cli.output import Output, clean, plain_table, show


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_cjk_text_keeps_columns_aligned() -> None:
    lines = plain_table(
        ["account", "score", "reason"], [["阿里巴巴集团", 71, "逾期"], ["Acme", 5, "ok"], ["カナ ﾊﾝｶｸ é", 100, None]]
    )
    assert lines == [
        "account       score  reason",
        "阿里巴巴集团     71  逾期",
        "Acme              5  ok",
        "カナ ﾊﾝｶｸ é     100  -",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=8), st.integers(), st.text(max_size=8)), min_size=1, max_size=5))
def test_every_column_begins_at_the_same_place(rows: list[tuple[str, int, str]]) -> None:
    lines = plain_table(["a", "b", "c"], [list(row) for row in rows])
    widths = [
        max(cell_len(show(row[0])) for row in [*rows, ("a", 0, "")]),
        max(len(show(row[1])) for row in [*rows, ("", 1, "")]),
    ]
    for line, (text, number, other) in zip(lines[1:], rows, strict=True):
        left = show(text) + " " * (widths[0] - cell_len(show(text)))
        expected = f"{left}  {show(number):>{widths[1]}}  {show(other)}"
        assert line == expected.rstrip()
        assert "\n" not in line


def test_control_characters_of_a_vendor_reach_no_terminal() -> None:
    evil = "\x1b[31mred\x1b]0;title\x07\r\nnext\u202eback\u2066x\x9b1m\ud800"
    assert clean(evil) == "[31mred]0;title  nextbackx1m"
    for stream in (io.StringIO(), Terminal()):
        out = Output(stdout=stream, stderr=stream, color=False)
        out.table(["name"], [[evil]])
        out.line(evil)
        out.note(evil)
        text = stream.getvalue()
        assert "\x1b[31m" not in text
        assert "\x9b" not in text
        assert "\u202e" not in text


def test_markup_in_data_is_data() -> None:
    stream = Terminal()
    Output(stdout=stream, color=False).table(["name"], [["[bold]x[/bold] :smile:"]], title="[red]t[/red]")
    assert "[bold]x[/bold] :smile:" in stream.getvalue()
    assert "[red]t[/red]" in stream.getvalue()


def test_a_terminal_gets_colours_unless_refused_and_a_pipe_never() -> None:
    for stream, color, coloured in ((Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False)):
        out = Output(stdout=stream, stderr=stream, color=color)
        out.line("fine", "good")
        out.note("bad", "bad")
        out.table(["a"], [["x"]], tones=["warn"])
        assert ("\x1b[3" in stream.getvalue()) is coloured


def test_with_json_only_the_document_goes_to_stdout() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    out = Output(as_json=True, stdout=stdout, stderr=stderr)
    out.line("x")
    out.table(["a"], [["b"]])
    with out.progress("working", 3) as advance:
        advance(1)
    out.note("aside")
    out.document({"名": [1, None, "é"]})
    assert json.loads(stdout.getvalue()) == {"名": [1, None, "é"]}
    assert "名" in stdout.getvalue()
    assert stderr.getvalue() == "aside\n"
    with pytest.raises(RuntimeError, match="one JSON document"):
        out.document({})


def test_without_json_the_document_is_not_printed() -> None:
    stdout = io.StringIO()
    Output(stdout=stdout).document({"a": 1})
    assert stdout.getvalue() == ""


def test_progress_is_a_bar_on_a_terminal_and_silence_elsewhere() -> None:
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        with Output(stdout=stream, stderr=stream).progress("reading [x]", 2) as advance:
            advance(1)
            advance(1)
        assert ("reading [x]" in stream.getvalue()) is shown


def test_cells_read_well() -> None:
    assert [show(cell) for cell in (None, True, False, 1234567, -1.5, "a\tb\n")] == [
        "-",
        "yes",
        "no",
        "1,234,567",
        "-1.5",
        "a b ",
    ]
