"""Pages about what a plugin's author meets: hooks, errors and the public modules."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sources": ("Sources", ("source",)),
    "actions": ("Actions and effects", ("action", "effects")),
    "opinions": ("Scorers, policies and the frame", ("scorer", "policy", "frame")),
    "plugin": ("The plugin and its context", ("context", "installation", "events", "routes", "clock")),
    "records": ("Records", ("records",)),
    "http": ("HTTP", ("http",)),
    "money": ("Money", ("money",)),
    "secrets": ("Secrets", ("secrets",)),
    "expressions": ("Expressions", ("expressions",)),
    "testing": ("Testing", ("testing", "testing.conformance", "testing.simulation", "testing.world", "testing.links")),
}
"""Pages of the Python API: name to heading, and the modules that a plugin may import."""


def error_classes() -> list[str]:
    """Return the names of the errors that core raises or understands."""
    from wellkept import errors

    return [name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__]


def hooks() -> list[str]:
    """Return the names of all hooks."""
    from wellkept.hookspecs import Hooks

    return [name for name in vars(Hooks) if not name.startswith("_")]


def public_names() -> Iterator[tuple[str, str]]:
    """Yield page and name of whatever plugins may import."""
    pages = {f"wellkept.{module}": page for page, (_, modules) in MODULES.items() for module in modules}
    package = import_module("wellkept")
    for name in package.__all__:
        home = getattr(getattr(package, name), "__module__", None) or ""
        if home in pages:
            yield pages[home], name
    for module, page in pages.items():
        for name in getattr(import_module(module), "__all__", ()):
            yield page, name


def hooks_page() -> str:
    """Return the page of hooks."""
    listed = "\n".join(f"* [`{name}`][wellkept.hookspecs.Hooks.{name}]" for name in hooks())
    return (
        "# Hooks\n\n[Writing a plugin](../writing-a-plugin.md#hooks) explains them with examples.\n\n"
        f"{listed}\n\n::: wellkept.hookspecs\n"
    )


def errors_page() -> str:
    """Return the page of errors."""
    return "# Errors\n\n::: wellkept.errors\n"


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of each page of the Python API."""
    for page, (heading, modules) in MODULES.items():
        lines = [f"# {heading}"]
        for module in modules:
            name = f"wellkept.{module}"
            lines += ["", f"## `{name}`", "", f"::: {name}", "    options:", "      heading_level: 3", *_members(name)]
        yield page, "\n".join(lines) + "\n"


def _members(name: str) -> list[str]:
    """Return what a package shows: the names that it exports, which its modules define."""
    module = import_module(name)
    exported = getattr(module, "__all__", None)
    if exported is None or not hasattr(module, "__path__"):
        return []
    return ["      members:", *(f"        - {item}" for item in exported if not _alias(module, item))]


def _alias(module: types.ModuleType, item: str) -> bool:
    """Whether a name has no docstring of its own to show."""
    value: Any = getattr(module, item)
    return not getattr(sys.modules.get(getattr(value, "__module__", "")), "__doc__", None)
