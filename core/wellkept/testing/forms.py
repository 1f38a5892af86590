"""Forms and queries: bracketed names, as in ``a[b]=1&c[0][d]=2&e[]=3``, and text read as the types that a schema asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


def parse_pairs(text: str | bytes) -> list[tuple[str, str]]:
    """Return the name-value pairs of a query string or form body, blank values included, in their order.

    Raises:
        UnicodeDecodeError: The text is not UTF-8 once its escapes are undone.
    """
    encoded = text.decode("ascii", "strict") if isinstance(text, bytes) else text
    return parse_qsl(encoded, keep_blank_values=True, encoding="utf-8", errors="strict")


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the nested value behind bracketed names.

    ``a[b]`` makes an object, ``a[]`` appends to a list, ``a[0]`` makes a list where the indices are 0, 1, 2, ... and a
    plain name that is repeated makes a list. A name that is not well formed is kept as it is.

    Raises:
        ValueError: Two names contradict each other, such as ``a=1&a[b]=2``.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        match = _NAME.match(name)
        parts = [name] if match is None else [match[1], *_PART.findall(match[2])]
        _put(root, parts, value, name)
    return {key: _listed(value) for key, value in root.items()}


class _Items(list[Any]):
    """A list that came from ``a[]`` or from a repeated name, as long as the tree is being built."""


def _put(node: dict[str, Any], parts: list[str], value: str, name: str) -> None:
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if not last and parts[position + 1] == "":
            items = node.setdefault(part, _Items())
            if not isinstance(items, _Items) or position + 2 != len(parts):
                raise ValueError(f"{name!r} contradicts another name")
            items.append(value)
            return
        if last:
            known = node.get(part)
            if known is None:
                node[part] = value
            elif isinstance(known, _Items):
                known.append(value)
            elif isinstance(known, str):
                node[part] = _Items([known, value])
            else:
                raise ValueError(f"{name!r} contradicts another name")
            return
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise ValueError(f"{name!r} contradicts another name")  # noqa: TRY004 - the text is wrong, not a type
        node = child


def _listed(value: Any) -> Any:
    """Turn objects whose keys are 0, 1, 2, ... into lists, from the inside out."""
    if isinstance(value, _Items):
        return list(value)
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        ordered = sorted(inner, key=int)
        if [int(key) for key in ordered] == list(range(len(ordered))):
            return [inner[key] for key in ordered]
    return inner


Schema = Mapping[str, Any]
Follow = Callable[[Schema], Schema]
"""Returns the schema behind a reference."""


def coerce(value: Any, schema: Schema, follow: Follow) -> Any:
    """Return a value made of strings with the types that a schema asks for; what does not fit stays as it is."""
    schema = follow(schema)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _coerce_any(value, schema[word], follow)
    for part in schema.get("allOf", ()):
        value = coerce(value, part, follow)
    if isinstance(value, str):
        return _scalar(value, schema)
    if isinstance(value, list):
        items = schema.get("items")
        return value if items is None else [coerce(item, items, follow) for item in value]
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        rest = other if isinstance(other, dict) else {}
        return {name: coerce(item, known.get(name, rest), follow) for name, item in value.items()}
    return value


def types_of(schema: Schema) -> set[str]:
    """Return the JSON types that a schema names."""
    kinds = schema.get("type", ())
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _coerce_any(value: Any, schemas: Sequence[Schema], follow: Follow) -> Any:
    """Take the first alternative that fits; a plain string comes last, as it fits everything."""
    followed = [follow(schema) for schema in schemas]
    for schema in sorted(followed, key=lambda schema: types_of(schema) == {"string"} and "enum" not in schema):
        coerced = coerce(value, schema, follow)
        if _plausible(coerced, schema):
            return coerced
    return value


_READERS: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("integer", re.compile(r"-?\d+"), int),
    ("number", re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?"), float),
    ("boolean", re.compile(r"true|false"), lambda text: text == "true"),
)


def _scalar(text: str, schema: Schema) -> Any:
    for option in schema.get("enum", ()):
        if text == (option if isinstance(option, str) else json.dumps(option)):
            return option
    kinds = types_of(schema)
    for kind, pattern, read in _READERS:
        if kind in kinds and pattern.fullmatch(text):
            return read(text)
    return text


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _plausible(value: Any, schema: Schema) -> bool:
    """Say whether an alternative is the one that was meant: by type, enumeration and, if closed, by names."""
    if "enum" in schema:
        return value in schema["enum"]
    kinds = types_of(schema)
    if kinds and not any(_CHECKS[kind](value) for kind in kinds):
        return False
    if isinstance(value, dict) and schema.get("additionalProperties") is False:
        return set(value) <= set(schema.get("properties", ()))
    return True
