from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from wellkept.testing.distributions import write_distribution

PLUGIN = """
from wellkept import PluginInfo, hookimpl

class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name={name!r}, api="1.0", summary="The plugin {name}.", config={config!r})
{more}

plugin = Plugin()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path` for distributions; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]
    importlib.invalidate_caches()


Install = Callable[..., None]


@pytest.fixture
def install(site: Path) -> Install:
    """Install a plugin: its name, more lines for its class, or its whole source."""

    def add(
        name: str,
        more: str = "",
        *,
        source: str | None = None,
        distribution: str | None = None,
        version: str = "1.0",
        config: str | None = None,
        modules: dict[str, str] | None = None,
        entry: str | None = None,
        requires: Sequence[str] = (),
        description: str = "",
    ) -> None:
        distribution = distribution or f"wellkept-{name}"
        module = f"{distribution.replace('-', '_')}_{version.replace('.', '_')}_module"
        lines = "\n".join(f"    {line}" for line in dedent(more).strip().splitlines())
        text = PLUGIN.format(name=name, config=config, more=lines) if source is None else dedent(source)
        write_distribution(
            site,
            distribution,
            version=version,
            plugins={name: entry or f"{module}:plugin"},
            modules={module: text, **(modules or {})},
            requires=requires,
            description=description,
        )
        importlib.invalidate_caches()

    return add
