"""Checks of the documentation: links resolve, and every hook, error, verb and setting is documented."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def markdown() -> list[Path]:
    """Return the tracked Markdown files."""
    out = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S607
    return [ROOT / name for name in out.decode().split("\0") if name and (ROOT / name).is_file()]


def broken_links() -> list[str]:
    """Return links between files that lead nowhere, anchors included."""
    found = []
    for page in markdown():
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in target or target.startswith("mailto:"):
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists():
                found.append(f"{page.relative_to(ROOT)}: {target} does not exist")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                found.append(f"{page.relative_to(ROOT)}: {target} has no such heading")
    return found


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def undocumented() -> list[str]:
    """Return names that a reader could meet and would not find."""
    from generate import commands, keys, plugin_pages, surface

    from wellkept.cli import root

    author = (ROOT / "docs/writing-a-plugin.md").read_text(encoding="utf-8")
    found = [f"hook {name}" for name in surface.hooks() if f"### {name}\n" not in author]
    found += [f"error {name}" for name in surface.error_classes() if name != "WellkeptError" and f"`{name}`" not in author]
    found += [f"name {name} of the public API" for name in surface.homeless()]
    configuration = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for table, model in keys.core_tables():
        found += [f"key {key} of {table}" for key in model.model_fields if f"`{key}`" not in configuration]
        found += keys.without_meaning(table, model)
    for plugin in plugin_pages.names(ROOT):
        _, own = plugin_pages.load(ROOT, plugin)
        for table, model in keys.nested(own, f"plugins.{plugin}") if own else ():
            found += keys.without_meaning(table, model)
        found += plugin_commands(plugin)
    verbs = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    for path, command in commands.commands(root):
        found += [f"command {path}"] if f"`{path}" not in verbs else []
        found += commands.without_meaning(path, command)
    return [*found, *columns(), *metrics()]


def plugin_commands(name: str) -> list[str]:
    """Return the commands of a plugin that its README lacks, or whose options do not say what they are for."""
    from generate import commands, plugin_pages

    plugin, readme = plugin_pages.plugin(ROOT, name), (ROOT / "plugins" / name / "README.md").read_text(encoding="utf-8")
    found: list[str] = []
    for top in plugin.commands() if hasattr(plugin, "commands") else ():
        for path, command in commands.commands(top, f"wellkept {name} {top.name}"):
            found += [] if path in readme else [f"command {path}"]
            found += commands.without_meaning(path, command)
    return found


def columns() -> list[str]:
    """Return the measures, of core and of the health score, that the page of measures lacks."""
    from wellkept.pipeline.frame_plan import BUILT_IN
    from wellkept_health.config import HealthConfig
    from wellkept_health.measures import columns as of_health

    page = (ROOT / "docs/measures.md").read_text(encoding="utf-8")
    return [f"measure {item.name}" for item in (*BUILT_IN, *of_health(HealthConfig())) if f"`{item.name}`" not in page]


def metrics() -> list[str]:
    """Return the metrics that the page of metrics lacks."""
    from wellkept.serve.metrics import Metrics
    from wellkept.store import open_store

    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "wellkept.db")
        try:
            shown = Metrics(store, names=(), stale_after={}, next_runs=lambda _fired, _now: {}, leads=lambda: True).names()
        finally:
            store.close()
    return [f"metric {name}" for name in sorted(shown) if f"`{name}`" not in page]


def main() -> None:
    """Print what is wrong and end with 1, or say that all is well."""
    problems = broken_links() + [f"not documented: {name}" for name in undocumented()]
    print("\n".join(problems) or "docs: all links resolve, everything is documented")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
