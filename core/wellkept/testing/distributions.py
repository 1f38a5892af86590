"""Distributions made on the spot, to try how plugins are found and loaded without installing anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def write_distribution(
    folder: Path,
    name: str,
    *,
    version: str = "1.0",
    plugins: Mapping[str, str] | None = None,
    modules: Mapping[str, str] | None = None,
    summary: str = "A plugin for tests.",
    requires: Sequence[str] = (),
    description: str = "",
) -> None:
    """Write a distribution, as an installer would leave it, into a folder that is (or will be) on `sys.path`.

    Args:
        folder: Where to.
        name: The distribution's name.
        version: Its version.
        plugins: Entry points of the group ``wellkept``: name to ``module:object``.
        modules: Module name to source code.
        summary: The summary in its metadata.
        requires: What it requires: ``httpx>=0.28``.
        description: Its README.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: {summary}\n"
    metadata += "".join(f"Requires-Dist: {text}\n" for text in requires) + f"\n{description}"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = ["[wellkept]", *(f"{plugin} = {target}" for plugin, target in (plugins or {}).items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for module, source in (modules or {}).items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
