"""Pages about what a plugin's author meets: hooks, errors and the public modules."""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sources": ("Sources", ("source",)),
    "actions": ("Actions and effects", ("action", "effects")),
    "opinions": ("Scorers, policies and the frame", ("scorer", "policy", "frame")),
    "plugin": ("The plugin and its context", ("context", "installation", "job", "events", "routes", "paths", "clock")),
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


def homeless() -> list[str]:
    """Return the names of the public API that are defined in none of the modules described, nor in that of hooks."""
    described = {f"wellkept.{module}" for _, modules in MODULES.values() for module in modules} | {"wellkept.hookspecs"}
    package = import_module("wellkept")
    found = []
    for name in package.__all__:
        modules = [module for module in described if hasattr(import_module(module), name)]
        if not any(_tells(module, name) for module in modules):
            found.append(name)
    return found


def _tells(module: str, name: str) -> bool:
    """Whether a module says what a name is: a docstring of its own, or a text after its assignment."""
    source = inspect.getsource(import_module(module))
    return (
        f"class {name}" in source or f"def {name}(" in source or re.search(rf"^{name}\b.* = ", source, re.MULTILINE) is not None
    )


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
            lines += [
                "",
                f"## `{name}` {{ #{anchor(module)} }}",
                "",
                f"::: {name}",
                "    options:",
                "      heading_level: 3",
                *_members(name),
            ]
        yield page, "\n".join(lines) + "\n"


def anchor(module: str) -> str:
    """Return where on its page a module is described."""
    return f"wellkept-{module.replace('.', '-')}"


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
