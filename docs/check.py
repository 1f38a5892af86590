"""Checks of the documentation: links resolve, and every hook, error, verb and setting is documented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
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
    from wellkept import errors, settings
    from wellkept.cli import root
    from wellkept.hookspecs import Hooks

    author = (ROOT / "docs/writing-a-plugin.md").read_text(encoding="utf-8")
    found = [f"hook {name}" for name in vars(Hooks) if not name.startswith("_") and f"### {name}\n" not in author]
    found += [
        f"error {name}"
        for name, value in vars(errors).items()
        if inspect.isclass(value)
        and value.__module__ == errors.__name__
        and name != "WellkeptError"
        and f"`{name}`" not in author
    ]
    configuration = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    models = (
        settings.General, settings.Accounts, settings.Freshness, settings.Push, settings.Safety, settings.Messages,
        settings.Serve, settings.Alerts, settings.AlertMail, settings.AlertWebhook, settings.Retention, settings.Logging,
        settings.InstanceHead, settings.MappedField,
    )  # fmt: skip
    found += [
        f"setting {model.__name__}.{key}" for model in models for key in model.model_fields if f"`{key}`" not in configuration
    ]
    pages = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    found += [f"verb {verb}" for verb in verbs(root) if f"`wellkept {verb}" not in pages]
    return found


def verbs(command: object, prefix: str = "") -> list[str]:
    """Return every verb of the command line, groups opened."""
    import click

    if not isinstance(command, click.Group):
        return [prefix.strip()]
    context = click.Context(command)
    names = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        names += verbs(child, f"{prefix} {name}")
    return names


def main() -> None:
    """Print what is wrong and end with 1, or say that all is well."""
    problems = broken_links() + [f"not documented: {name}" for name in undocumented()]
    print("\n".join(problems) or "docs: all links resolve, everything is documented")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
