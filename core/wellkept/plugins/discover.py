"""Which plugins are installed: entry points of the group ``wellkept``, read without importing anything."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions

from wellkept.hookspecs import PROJECT
from wellkept.manifest import Installed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What is installed.

    Attributes:
        plugins: Name to entry point, for names that are unique.
        ambiguous: Names that several entry points claim; none of them is used.
    """

    plugins: Mapping[str, Installed] = field(default_factory=dict)
    ambiguous: Mapping[str, tuple[Installed, ...]] = field(default_factory=dict)


def find(source: Iterable[Distribution] | None = None) -> Found:
    """Return the installed plugins. A distribution whose metadata cannot be read is passed over, and logged.

    Of two copies of one distribution the first on `sys.path` counts, as it does for imports.

    Args:
        source: The distributions to look at; None means all that can be imported.
    """
    claims: dict[str, list[Installed]] = {}
    seen: set[str] = set()
    for distribution in distributions() if source is None else source:
        for item in _plugins_of(distribution, seen):
            claims.setdefault(item.name, []).append(item)
    return Found(
        {name: items[0] for name, items in sorted(claims.items()) if len(items) == 1},
        {name: tuple(items) for name, items in sorted(claims.items()) if len(items) > 1},
    )


def import_plugin(installed: Installed) -> object:
    """Import what an entry point names."""
    loaded: object = EntryPoint(installed.name, installed.target, PROJECT).load()
    return loaded


def _plugins_of(distribution: Distribution, seen: set[str]) -> list[Installed]:
    """Return one distribution's plugins. Its metadata are parsed only if it has an entry point of ours: that takes time."""
    try:
        if f"[{PROJECT}]" not in (distribution.read_text("entry_points.txt") or ""):
            return []
        metadata = distribution.metadata.json
        name, version, summary = (str(metadata.get(key, "")) for key in ("name", "version", "summary"))
        normal = re.sub(r"[-_.]+", "-", name).lower()
        if normal in seen:
            return []
        seen.add(normal)
        return [
            Installed(name=entry.name, target=entry.value, distribution=name, version=version, summary=summary)
            for entry in distribution.entry_points
            if entry.group == PROJECT
        ]
    except Exception as error:  # noqa: BLE001 - another package's broken metadata must not hide the rest
        _log.warning("the metadata of an installed distribution cannot be read: %s", error)
        return []
