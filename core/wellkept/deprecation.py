"""What of the plugin API will go: announced at least one minor version ahead, and told to those who still use it.

One register holds it all. Its keys are ``hook NAME`` and ``hook NAME(ARGUMENT)`` for hooks, and full names for what plugins
import or call: ``wellkept.Gap``, ``wellkept.http.Client.get``. Functions, methods and hook specifications are entered by the
decorator `deprecated`; classes and constants by a line in `REGISTER`. Something that is entered keeps working until the API
version that removes it.
"""

from __future__ import annotations

import ast
import functools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deprecated:
    """One thing that will go.

    Attributes:
        name: Its key in `REGISTER`.
        since: The plugin API version that announced it: ``1.2``.
        removal: The version that removes it; a new major one.
        instead: What to do, as an imperative sentence.
    """

    name: str
    since: str
    removal: str
    instead: str

    def __str__(self) -> str:
        return f"{self.name} is deprecated since plugin API {self.since} and goes with {self.removal}"


REGISTER: dict[str, Deprecated] = {}
"""Everything that is deprecated. Nothing is in plugin API 1.0."""

_told: set[tuple[str, str]] = set()


def deprecated(name: str, *, since: str, removal: str, instead: str) -> Callable[[F], F]:
    """Enter a function, method or hook specification into the register; a call from a plugin is told.

    Args:
        name: See `REGISTER`.
        since: See `Deprecated`.
        removal: See `Deprecated`.
        instead: See `Deprecated`.
    """
    REGISTER[name] = Deprecated(name, since, removal, instead)

    def mark(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            note(name)
            return function(*args, **kwargs)

        return cast("F", call)

    return mark


def note(name: str) -> None:
    """Tell that something deprecated is used; does nothing for any other name, and nothing where no plugin's code calls."""
    from wellkept.plugins.owners import place_of

    found = REGISTER.get(name)
    if found is None:
        return
    place = place_of(sys._getframe(1))  # noqa: SLF001 - the caller's stack
    if place.owner is not None:
        tell(str(place.owner), found, f" (used at {place.text})")


def tell(who: str, what: Deprecated, where: str = "") -> None:
    """Log a warning that names the plugin, what it uses, the version that removes it, and what to do; once per run."""
    if (who, what.name) not in _told:
        _told.add((who, what.name))
        _log.warning("%s: %s%s: %s", who, what, where, what.instead)


def forget() -> None:
    """Forget what was told, because a run has ended: the next one tells it again."""
    _told.clear()


def of_hook(hook: str, arguments: Iterable[str]) -> list[Deprecated]:
    """Return what is deprecated of a hook that a plugin implements with these arguments."""
    names = [f"hook {hook}", *(f"hook {hook}({argument})" for argument in arguments)]
    return [REGISTER[name] for name in names if name in REGISTER]


def imported_by(folder: Path) -> list[Deprecated]:
    """Return what is deprecated of all that the Python files of a package import from `wellkept`; reads, and runs nothing."""
    names = {name for path in sorted(folder.rglob("*.py")) for name in _imports(path)}
    return [REGISTER[name] for name in sorted(names) if name in REGISTER]


def _imports(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "wellkept":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)
