"""The page of all measures tells what the code declares: no more, no less, in the same words."""

from __future__ import annotations

import re
from pathlib import Path

from wellkept_health.measures import FORMULAS, MEASURES

PAGE = Path(__file__).parents[3] / "docs" / "measures.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+)(, leaks)? \| (.+) \|$", re.MULTILINE)
CORE = {"country", "segment", "owner_known", "tenure_days"}


def test_every_measure_is_documented_as_it_is() -> None:
    told = {name: (unit, bool(leaks), doc) for name, unit, leaks, doc in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    declared = {column.name: (column.unit, column.leaks, column.doc) for column in (*MEASURES, *FORMULAS)}
    missing = [
        f"| `{name}` | {unit}{', leaks' if leaks else ''} | {doc} |"
        for name, (unit, leaks, doc) in declared.items()
        if told.get(name) != (unit, leaks, doc)
    ]
    assert not missing, "docs/measures.md lacks these rows:\n" + "\n".join(missing)
    assert told.keys() - declared.keys() == CORE
