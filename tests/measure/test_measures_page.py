"""Core's own columns stand on the page of all measures."""

from __future__ import annotations

from pathlib import Path

from wellkept.pipeline.frame_plan import BUILT_IN

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


def test_core_s_own_columns_are_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for measure in BUILT_IN:
        assert f"| `{measure.name}` | {measure.unit} | {measure.doc} |" in page
