"""The start of a plugin: a complete distribution that works, made from the one in ``acme/``.

The files there are a plugin for a vendor called Acme. Lines between ``#[part]`` and ``#[/part]`` are kept when the wanted kind
has that part; then Acme's name is replaced. So what people get is what our own tests have run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from wellkept.errors import ConfigError

Kind = Literal["source", "action", "scorer", "policy", "full"]
"""What the plugin does at first. ``action`` has a source as well, as it needs somebody to know the accounts."""

KINDS: tuple[Kind, ...] = get_args(Kind)

PARTS: Mapping[Kind, frozenset[str]] = {
    "source": frozenset({"talks", "only-source"}),
    "action": frozenset({"talks", "action", "only-action"}),
    "scorer": frozenset({"opinion", "columns", "scorer", "only-scorer"}),
    "policy": frozenset({"opinion", "columns", "policy", "only-policy"}),
    "full": frozenset({"talks", "action", "columns", "scorer", "policy", "full"}),
}
"""The parts of each kind: ``talks`` to a vendor, ``opinion`` needs none."""

FILES: Mapping[str, tuple[str, str | None]] = {
    "pyproject.toml.tmpl": ("pyproject.toml", None),
    "README.md.tmpl": ("README.md", None),
    "gitignore.tmpl": (".gitignore", None),
    "github.tmpl": (".github/workflows/test.yml", None),
    "src/__init__.py.tmpl": ("src/wellkept_acme/__init__.py", None),
    "src/py.typed": ("src/wellkept_acme/py.typed", None),
    "src/config.py.tmpl": ("src/wellkept_acme/config.py", None),
    "src/api.py.tmpl": ("src/wellkept_acme/api.py", "talks"),
    "src/source.py.tmpl": ("src/wellkept_acme/source.py", "talks"),
    "src/actions.py.tmpl": ("src/wellkept_acme/actions.py", "action"),
    "src/measures.py.tmpl": ("src/wellkept_acme/measures.py", "columns"),
    "src/scorer.py.tmpl": ("src/wellkept_acme/scorer.py", "scorer"),
    "src/policy.py.tmpl": ("src/wellkept_acme/policy.py", "policy"),
    "src/simulator.py.tmpl": ("src/wellkept_acme/simulator.py", "talks"),
    "tests/test_acme_conformance.py.tmpl": ("tests/test_acme_conformance.py", None),
    "tests/acme_records/customers.json.tmpl": ("tests/acme_records/customers.json", "talks"),
    "tests/acme_records/customers.requests.json.tmpl": ("tests/acme_records/customers.requests.json", "talks"),
    "tests/acme_records/check.findings.json.tmpl": ("tests/acme_records/check.findings.json", "talks"),
    "tests/acme_records/streams.offer.json.tmpl": ("tests/acme_records/streams.offer.json", "talks"),
    "tests/acme_records/TestAcmePush.requests.json.tmpl": ("tests/acme_records/TestAcmePush.requests.json", "action"),
}
"""Template to where it goes, and the part that it belongs to."""

ACME = Path(__file__).with_name("acme")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MARK = re.compile(r"#\[(?P<end>/?)(?P<part>[a-z-]+)\]")


def render(name: str, kind: Kind) -> dict[str, str]:
    """Return the files of a new plugin: path to content.

    Args:
        name: The plugin's name, as in ``[plugins.NAME]``.
        kind: What it does at first.

    Raises:
        ConfigError: The name cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a plugin", guidance="use lower-case letters, digits and -, a letter first")
    parts = PARTS[kind]
    files = {}
    for template, (target, part) in FILES.items():
        if part is None or part in parts:
            text = "\n".join(_kept((ACME / template).read_text(encoding="utf-8").split("\n"), parts))
            files[_renamed(target, name)] = _renamed(text, name)
    return files


def write(name: str, kind: Kind, folder: Path) -> Path:
    """Write a new plugin into ``folder/wellkept-NAME`` and return that path.

    Raises:
        ConfigError: The name cannot be one, or the folder is there already.
    """
    files = render(name, kind)
    target = folder / f"wellkept-{name}"
    if target.exists():
        raise ConfigError("exists already", path=target, guidance="choose another name, or remove it")
    for path, content in files.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return target


def _kept(lines: list[str], parts: frozenset[str]) -> Iterator[str]:
    """Yield the lines of the wanted parts; parts may be nested."""
    within: list[str] = []
    for line in lines:
        mark = _MARK.fullmatch(line.strip())
        if mark is None:
            if parts.issuperset(within):
                yield line
        elif mark["end"]:
            within.remove(mark["part"])
        else:
            within.append(mark["part"])


def _renamed(text: str, name: str) -> str:
    """Put a name in Acme's place: in modules, variables, classes and words."""
    module = name.replace("-", "_")
    words = "".join(word.capitalize() for word in name.split("-"))
    text = re.sub(r"wellkept_acme|test_acme|acme_(?!records)", lambda found: found[0].replace("acme", module), text)
    return text.replace("ACME", module.upper()).replace("Acme", words).replace("acme", name)
