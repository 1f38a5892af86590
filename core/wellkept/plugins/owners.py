"""Whose a piece of code is: the packages that plugins were loaded from, and the place in a stack that a plugin answers for."""

from __future__ import annotations

from pathlib import Path
from types import FrameType
from typing import NamedTuple


class Owner(NamedTuple):
    """A plugin and what ships it."""

    plugin: str
    distribution: str | None

    def __str__(self) -> str:
        return f"plugin {self.plugin}" + (f" [{self.distribution}]" if self.distribution else "")


class Place(NamedTuple):
    """A line of code, and the plugin that it belongs to; None for nobody's."""

    owner: Owner | None
    text: str


_packages: dict[str, Owner] = {}


def own(package: str, owner: Owner) -> None:
    """Remember whose a package or module is, with all that is below it. Core's own stays nobody's."""
    if package.partition(".")[0] not in {"", "builtins", "__main__", "wellkept"}:
        _packages[package] = owner


def owner_of(module: str) -> Owner | None:
    """Return the plugin that a module belongs to."""
    while module:
        if module in _packages:
            return _packages[module]
        module = module.rpartition(".")[0]
    return None


def place_of(frame: FrameType | None) -> Place:
    """Return the innermost line of a stack that is a plugin's, or the innermost one at all."""
    innermost = frame
    while frame is not None:
        owner = owner_of(str(frame.f_globals.get("__name__", "")))
        if owner is not None:
            return Place(owner, _text(frame))
        frame = frame.f_back
    return Place(None, _text(innermost) if innermost is not None else "an unknown place")


def _text(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
