"""What plugins are installed and what they offer, remembered, so that ``--help``, completion and listings import none of them.

The cache is a JSON file in the user's cache folder. What is remembered of a plugin holds as long as its distribution, version
and entry point are the same; the list of plugins holds as long as no folder on `sys.path` has changed. A file that is missing,
broken or not writable costs time and nothing else. Loading never relies on it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """An entry point of the group ``wellkept``.

    Attributes:
        name: The plugin's name.
        target: What to import: ``wellkept_stripe:plugin``.
        distribution: The distribution that ships it.
        version: That distribution's version.
        summary: The distribution's own summary.
    """

    name: str
    target: str
    distribution: str
    version: str
    summary: str

    @property
    def origin(self) -> str:
        """Distribution and version: ``wellkept-stripe 0.1.0``."""
        return f"{self.distribution} {self.version}"

    @property
    def package(self) -> str:
        """The package that holds its code: ``wellkept_stripe``."""
        return self.target.partition(":")[0].partition(".")[0]

    @property
    def key(self) -> str:
        """What knowledge of this plugin depends on."""
        return f"{self.distribution}=={self.version} {self.name}={self.target}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What one plugin offers.

    Attributes:
        summary: One sentence.
        hooks: The hooks that it implements.
        commands: Its subcommands: name and one line of help.
    """

    summary: str
    hooks: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]


class ManifestCache:
    """Installed plugins and their manifests.

    Args:
        path: The file; None means the user's cache folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        content = self._read()
        self._scanned: Any = content.get("installed")
        plugins = content.get("plugins")
        self._entries: dict[str, Any] = plugins if isinstance(plugins, dict) else {}
        self._dirty = False

    def installed(self) -> dict[str, Installed]:
        """Return the installed plugins by name, from the cache while `sys.path` is as it was."""
        present = _fingerprint()
        try:
            if self._scanned["path"] == present:
                return {item["name"]: Installed(**item) for item in self._scanned["plugins"]}
        except (TypeError, KeyError):
            pass
        from wellkept.plugins.discover import find

        plugins = dict(find().plugins)
        self._scanned = {"path": present, "plugins": [asdict(item) for item in plugins.values()]}
        self._dirty = True
        return plugins

    def get(self, installed: Installed) -> Manifest | None:
        """Return what is remembered of exactly this distribution, version and entry point."""
        entry: Any = self._entries.get(installed.key)
        try:
            return Manifest(
                summary=str(entry["summary"]),
                hooks=tuple(map(str, entry["hooks"])),
                commands=tuple((str(name), str(text)) for name, text in entry["commands"]),
            )
        except (TypeError, KeyError, ValueError):
            return None

    def put(self, installed: Installed, manifest: Manifest) -> None:
        """Remember a manifest, and forget those of other versions of the same plugin."""
        entry = json.loads(json.dumps(asdict(manifest)))
        if self._entries.get(installed.key) == entry:
            return
        self._entries = {
            key: value
            for key, value in self._entries.items()
            if not (key.startswith(f"{installed.distribution}==") and f" {installed.name}=" in key)
        }
        self._entries[installed.key] = entry
        self._dirty = True

    def save(self) -> None:
        """Write the file, whole or not at all, if anything changed."""
        if not self._dirty:
            return
        import tempfile

        content = {"format": FORMAT, "installed": self._scanned, "plugins": self._entries}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False)
            Path(name).replace(self.path)
        self._dirty = False

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) and content.get("format") == FORMAT else {}


def default_path() -> Path:
    """Return the cache file: ``$XDG_CACHE_HOME/wellkept/plugins.json``, or where the system keeps caches."""
    home = os.environ.get("XDG_CACHE_HOME")
    if home:
        folder = Path(home)
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path.home() / ".cache"
    return folder / "wellkept" / "plugins.json"


def _fingerprint() -> list[list[Any]]:
    """Return the folders on `sys.path` with their times of change: installing and removing a distribution changes one."""
    folders = []
    for entry in sys.path:
        with suppress(OSError):
            folders.append([entry, os.stat(entry or ".").st_mtime_ns])  # noqa: PTH116 - many calls at start-up
    return folders
