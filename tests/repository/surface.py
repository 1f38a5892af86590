"""The public surface of the plugin API as text, one line for each name, field, method and default.

``python tests/repository/surface.py --accept`` writes it into `public_api.txt`, which `test_public_api.py` holds it against.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

SNAPSHOT = Path(__file__).with_name("public_api.txt")
MODULES = (
    "wellkept",
    "wellkept.records",
    "wellkept.errors",
    "wellkept.money",
    "wellkept.http",
    "wellkept.secrets",
    "wellkept.expressions",
    "wellkept.testing",
    "wellkept.testing.conformance",
)


def surface() -> list[str]:
    """Return the lines of the whole public surface, hooks included."""
    lines = [line for name in MODULES for line in of_module(importlib.import_module(name))]
    from wellkept.hookspecs import Hooks
    from wellkept.plugins import HOOKS

    return [*lines, *(f"hook {name}{signature(getattr(Hooks, name))}" for name in HOOKS)]


def of_module(module: ModuleType) -> Iterator[str]:
    """Yield the lines of one module: of its ``__all__``, or of what it defines itself."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (getattr(value, "__module__", None) == module.__name__ or name.isupper())
    ]
    for name in sorted(names):
        yield from of_value(f"{module.__name__}.{name}", getattr(module, name))


def of_value(name: str, value: Any) -> Iterator[str]:
    """Yield the lines of one public value."""
    if inspect.isclass(value) and value.__module__.partition(".")[0] == "wellkept":
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"{name}: class({bases})"
        yield from (f"{name}.{line}" for line in members(value))
    elif inspect.isroutine(value) and not inspect.isclass(value):
        yield f"{name}{signature(value)}"
    else:
        yield f"{name} = {shown(value)}"


def members(kind: type) -> Iterator[str]:
    """Yield the fields of a class with their defaults, then its own public methods and attributes."""
    fields = dict(fields_of(kind))
    yield from (f"{name}: {text}" for name, text in fields.items())
    if not fields and "__init__" in vars(kind):
        yield f"__init__{signature(vars(kind)['__init__'])}"
    annotated = vars(kind).get("__annotations__", {})
    for name in sorted({*vars(kind), *annotated}):
        if name.startswith("_") or name in fields:
            continue
        value = vars(kind).get(name)
        abstract = "abstract " if getattr(value, "__isabstractmethod__", False) else ""
        if isinstance(value, property):
            yield f"{name}: {abstract}property -> {annotation(value.fget)}"
        elif isinstance(value, (staticmethod, classmethod)):
            yield f"{name}: {type(value).__name__}{signature(value.__func__)}"
        elif inspect.isfunction(value):
            kind_of = "async " if inspect.iscoroutinefunction(value) else ""
            yield f"{name}: {abstract}{kind_of}{signature(value)}"
        elif isinstance(value, enum.Enum):
            yield f"{name} = {value.value!r}"
        elif name in annotated:
            default = f" = {shown(value)}" if name in vars(kind) else ""
            yield f"{name}: {text_of(annotated[name])}{default}"


def fields_of(kind: type) -> Iterator[tuple[str, str]]:
    """Yield what a struct, a data class or a named tuple is made of, in order."""
    if issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
            yield field.name, f"{hint(kind, field.name)}{'' if default is msgspec.NODEFAULT else f' = {shown(default)}'}"
    elif dataclasses.is_dataclass(kind):
        for item in dataclasses.fields(kind):
            default = item.default if item.default is not dataclasses.MISSING else item.default_factory
            yield item.name, f"{hint(kind, item.name)}{'' if default is dataclasses.MISSING else f' = {shown(default)}'}"
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        for name in kind._fields:
            default = f" = {shown(kind._field_defaults[name])}" if name in kind._field_defaults else ""
            yield name, f"{hint(kind, name)}{default}"


def hint(kind: type, name: str) -> str:
    """Return a field's annotation as it is written, whichever base declares it."""
    bases = (vars(base).get("__annotations__", {}) for base in kind.__mro__)
    return text_of(next((annotations[name] for annotations in bases if name in annotations), "?"))


def signature(function: Any) -> str:
    """Return a signature with its annotations as they are written."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [
        parameter.replace(
            annotation=Plain(text_of(parameter.annotation)) if parameter.annotation is not parameter.empty else parameter.empty,
            default=Plain(shown(parameter.default)) if parameter.default is not parameter.empty else parameter.empty,
        )
        for parameter in found.parameters.values()
        if parameter.name != "self"
    ]
    returns = found.return_annotation
    result = Plain(text_of(returns)) if returns is not found.empty else returns
    return str(found.replace(parameters=parameters, return_annotation=result))


def annotation(function: Any) -> str:
    """Return what a property returns."""
    return text_of(inspect.signature(function).return_annotation)


class Plain:
    """A text that shows itself without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def text_of(found: Any) -> str:
    """Return an annotation as text."""
    if isinstance(found, str):
        return found
    text = getattr(found, "__arg__", None) or getattr(found, "__forward_arg__", None)
    if text:
        return str(text)
    return found.__name__ if inspect.isclass(found) else str(found)


def shown(value: Any) -> str:
    """Return a default so that it is the same in every process."""
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}({{{', '.join(sorted(map(repr, value)))}}})"
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__ or 'builtins'}.{value.__qualname__}".removeprefix("builtins.")
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


if __name__ == "__main__":
    text = "\n".join(surface()) + "\n"
    if "--accept" in sys.argv:
        SNAPSHOT.write_text(text, encoding="utf-8")
        print(f"{SNAPSHOT}: {text.count(chr(10))} lines")
    else:
        print(text, end="")
