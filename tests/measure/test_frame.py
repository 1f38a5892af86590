"""The frame itself: some of its columns or rows, and why cells are empty."""

from __future__ import annotations

from datetime import date

from wellkept import Column, Frame

FRAME = Frame(
    date(2026, 11, 21),
    ["a", "b", "c"],
    {name: Column(name=name, unit="count", doc="x") for name in ("x", "y")},
    {"x": [1, None, None], "y": [None, 2, 3]},
    {"x": {0: "stale", 1: "stale", 2: "none"}, "y": {0: "unmatched"}},
)


def test_gaps_are_those_of_empty_cells_and_leave_out_mere_lack_of_data() -> None:
    assert FRAME.gaps("x") == {1: "stale"}
    assert FRAME.gaps("y") == {0: "unmatched"}


def test_a_frame_of_some_columns_keeps_their_cells_and_gaps() -> None:
    found = FRAME.only({"y", "z"})
    assert list(found.columns) == ["y"]
    assert (found.column("y"), found.gap("y", 0), len(found)) == ([None, 2, 3], "unmatched", 3)


def test_a_frame_of_some_rows_keeps_their_gaps() -> None:
    found = FRAME.select(["c", "b"])
    assert [(row.account, row["x"], row.gap("x"), row["y"]) for row in found.rows()] == [
        ("c", None, "none", 3),
        ("b", None, "stale", 2),
    ]
    assert FRAME.select(["a", "b", "c"]).gap("x", 1) == "stale"
