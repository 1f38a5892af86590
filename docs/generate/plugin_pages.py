"""One page for each plugin of this repository: its README, and its keys from its model."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generate import keys

if TYPE_CHECKING:
    from pydantic import BaseModel

    from wellkept import PluginInfo


def names(root: Path) -> list[str]:
    """Return the plugins that have a page."""
    return sorted(path.parent.name for path in root.glob("plugins/*/README.md"))


def plugin(root: Path, name: str) -> Any:
    """Return the object that a plugin's entry point names."""
    project = tomllib.loads((root / "plugins" / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, attribute = project["entry-points"]["wellkept"][name].partition(":")
    return getattr(import_module(module), attribute)


def load(root: Path, name: str) -> tuple[PluginInfo, type[BaseModel] | None]:
    """Return what a plugin says of itself, and the model of its keys."""
    info: PluginInfo = plugin(root, name).describe()
    if info.config is None:
        return info, None
    place, _, model = info.config.partition(":")
    found: type[BaseModel] = getattr(import_module(place), model)
    return info, found


def page(root: Path, name: str) -> str:
    """Return the page of a plugin."""
    info, model = load(root, name)
    readme = (root / "plugins" / name / "README.md").read_text(encoding="utf-8").rstrip()
    lines = [re.sub(r"\A# .*", f"# {name}", readme), "", "## Every key", ""]
    if model is None:
        lines.append("It has no keys of its own.")
    else:
        lines += ["Made from the model that checks them.", "", *keys.table(model)]
        for table, inner in list(keys.nested(model, f"plugins.{name}"))[1:]:
            lines += ["", f"### `{table}`", "", *keys.table(inner)]
    lines += ["", f"Speaks API {info.api}. All plugins share [core's keys](../configuration.md#pluginsname)."]
    return "\n".join(lines) + "\n"
