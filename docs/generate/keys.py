"""Tables of configuration keys, made from the pydantic models that check them."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wellkept.secrets import MARK

if TYPE_CHECKING:
    from pydantic import BaseModel

EMPTY = "none"
WIDTH = 60
"""Characters of a default above which only its beginning is shown."""


def core_tables() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the name and model of each of core's tables, those in tables included."""
    from wellkept.settings import InstanceHead, Settings

    yield from nested(Settings, "")
    yield from nested(InstanceHead, "plugins.NAME")


def nested(model: type[BaseModel], name: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a table and, after it, the tables that stand in it."""
    if name:
        yield f"[{name}]", model
    for key, info in model.model_fields.items():
        for inner, kind in _models(info.annotation):
            path = f"{name}.{key}" if name else key
            path = f"{path}.KEY" if kind is dict else path
            for found, table in nested(inner, path):
                yield (f"[{found}]" if kind in {list, tuple} and found == f"[{path}]" else found), table


def table(model: type[BaseModel], *, skip: frozenset[str] = frozenset()) -> list[str]:
    """Return the Markdown table of a model's keys."""
    schema = model.model_json_schema()
    own = _properties(schema, schema.get("$defs", {}))
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key not in skip:
            default = "required" if info.is_required() else _default(own[key].get("default"))
            kind = _kind(own[key], schema.get("$defs", {}))
            lines.append(f"| `{key}` | {kind} | {default} | {prose(info.description or '')} |")
    return lines if len(lines) > 2 else ["It has no keys of its own."]


def without_meaning(name: str, model: type[BaseModel]) -> list[str]:
    """Return the keys of a table of which nobody has said what they mean."""
    return [f"key {info.alias or key} of {name}" for key, info in model.model_fields.items() if not info.description]


def prose(text: str) -> str:
    """Return a docstring's words as Markdown on one line, fit for a cell of a table."""
    return " ".join(re.sub(r"``(.+?)``", r"`\1`", text).split()).replace("|", "\\|")


def _properties(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a table, also of one that has a short form beside."""
    if "$ref" in node:
        return _properties(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    forms = [_properties(form, definitions) for form in (*node.get("anyOf", ()), *node.get("oneOf", ()))]
    return node.get("properties") or next((form for form in forms if form), {})


def _models(annotation: Any, kind: type | None = None) -> Iterator[tuple[type[BaseModel], type | None]]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, kind
    origin = typing.get_origin(annotation)
    for part in typing.get_args(annotation):
        yield from _models(part, origin if origin in {list, tuple, dict} else kind)


def _default(value: Any) -> str:
    if value is None:
        return EMPTY
    if isinstance(value, dict) and value:
        return (
            "see its own table"
            if all(isinstance(item, str | int | float | bool | None) for item in value.values())
            else "`{...}`"
        )
    text = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
    return f"`{text}`" if len(text) <= WIDTH else f"`{text[:WIDTH]} ...`"


def _kind(node: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Say in words what a key takes."""
    if "$ref" in node:
        return _kind(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    forms = node.get("anyOf") or node.get("oneOf") or node.get("allOf")
    if forms:
        parts = [_kind(part, definitions) for part in forms if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    if "enum" in node or "const" in node:
        return ", ".join(f"`{json.dumps(item)}`" for item in node.get("enum", [node.get("const")]))
    if node.get("type") == "array":
        items = node.get("items") or {}
        return f"list of {_kind(items, definitions)}" if items else "list"
    if node.get("type") == "object":
        return "table"
    return _limited(node)


def _limited(node: dict[str, Any]) -> str:
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    text = names.get(str(node.get("type")), "any value")
    if node.get("format") in {"path", "file-path"}:
        text = "path"
    elif node.get("format") == MARK:
        text = "reference to a secret"
    low = _bound(node, "minimum", "exclusiveMinimum", "from", "above")
    high = _bound(node, "maximum", "exclusiveMaximum", "to", "below")
    return " ".join(part for part in (text, low, high) if part)


def _bound(node: dict[str, Any], including: str, excluding: str, word: str, strict_word: str) -> str:
    if including in node:
        return f"{word} {node[including]:g}"
    return f"{strict_word} {node[excluding]:g}" if excluding in node else ""


def page() -> str:
    """Return the page of core's own keys."""
    lines = [
        "# Every key",
        "",
        "Made from the models that check `plugins.toml`. [Configuration](../configuration.md) says how the file is read; each",
        "plugin's own keys are on [its page](../plugins.md).",
    ]
    for name, model in core_tables():
        lines += ["", f"## `{name}`", "", *_head(model), *table(model)]
    return "\n".join(lines) + "\n"


def _head(model: type[BaseModel]) -> list[str]:
    first = prose((model.__doc__ or "").split("\n\n", 1)[0])
    said = first.partition(": ")[2] or first
    return [said[:1].upper() + said[1:], ""] if said else []
