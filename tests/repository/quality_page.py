"""The page about the first-party plugins: which rules of the quality scale each of them keeps.

``python tests/repository/quality_page.py --write`` writes `docs/plugins.md`, which `test_quality_page.py` holds against it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wellkept.plugins import load_named
from wellkept.plugins.examine import Offer, examine
from wellkept.plugins.quality import LEVELS, RULES, Verdict, level_of, verdicts

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "plugins.md"
MARKS = {"kept": "yes", "missed": "**no**", "declared": "declared", "none": "", "unknown": "?"}

HEAD = """# Plugins

What the plugins of this repository offer, and which rules of the quality scale they keep. `wellkept plugins inspect NAME` shows
the same for any plugin, yours included; [writing a plugin](writing-a-plugin.md#the-quality-scale) explains the scale. This page
is written by `python tests/repository/quality_page.py --write`, and a test holds it against the code.

"""


def names() -> list[str]:
    """Return the plugins of this repository."""
    return sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


def page() -> str:
    """Return the whole page."""
    loaded = load_named(names())
    assert not loaded.problems, loaded.problems
    offers = {name: examine(plugin) for name, plugin in loaded.loaded.items()}
    found = {name: verdicts(offer) for name, offer in offers.items()}
    return HEAD + "\n".join([*overview(offers, found), "", *scale(found), "", *reasons(found)]) + "\n"


def overview(offers: dict[str, Offer], found: dict[str, list[Verdict]]) -> list[str]:
    """Return the table of plugins."""
    lines = ["| plugin | quality | does | offers |", "| --- | --- | --- | --- |"]
    for name, offer in offers.items():
        parts = {
            "streams": [stream.name for stream in offer.streams],
            "actions": [action.payload.capability for action in offer.actions],
            "scorers": [scorer.name for scorer in offer.scorers],
            "policies": [decider.name for decider in offer.deciders],
        }
        offered = "; ".join(f"{kind}: {', '.join(items)}" for kind, items in parts.items() if items)
        offered += f"; {len(offer.measures)} columns" if offer.measures else ""
        link = f"[{name}](../plugins/{name}/README.md)"
        lines.append(f"| {link} | {level_of(found[name]) or 'below bronze'} | {offer.loaded.info.summary} | {offered} |")
    return lines


def scale(found: dict[str, list[Verdict]]) -> list[str]:
    """Return the table of rules, one section for each level."""
    lines = ["## The rules", "", "Empty: the rule does not concern the plugin."]
    for level in LEVELS:
        lines += ["", f"### {level.capitalize()}", "", f"| rule | asks for | {' | '.join(found)} |"]
        lines.append(f"| --- | --- |{' --- |' * len(found)}")
        for number, rule in enumerate(RULES):
            if rule.level == level:
                marks = " | ".join(MARKS[verdict[number].state] for verdict in found.values())
                lines.append(f"| {rule.name} | {rule.doc} | {marks} |")
    return lines


def reasons(found: dict[str, list[Verdict]]) -> list[str]:
    """Return the reasons of what is declared, and what is missing."""
    lines = ["## Declared and missing", ""]
    for name, verdict in found.items():
        lines += [
            f"* {name}, {item.rule}{' (missing)' if item.state == 'missed' else ''}: {item.reason}"
            for item in verdict
            if item.state in {"declared", "missed"}
        ]
    return lines if len(lines) > 2 else [*lines, "Nothing."]


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")
