"""Mixpanel's descriptions, for checks on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wellkept.testing import Spec

FILES = {"export": "/api/2.0", "query": "/api/query", "ingestion": ""}
"""The files ``NAME.openapi.yaml``, and the base path of each."""

ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}

VERDICT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["status"],
    "properties": {
        "code": {"type": "integer"},
        "status": {"type": ["integer", "string"]},
        "error": {"type": ["string", "null"]},
        "num_good_events": {"type": "integer"},
        "failed_records": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "message"],
                "properties": {
                    "index": {"type": "integer"},
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                    "insert_id": {"type": "string"},
                },
            },
        },
    },
}
"""The JSON that ``strict=1`` and ``verbose=1`` are said to answer; its shape is the one of ``/import``."""


def describe(folder: Path) -> Spec:
    """Load the descriptions of the three APIs as one.

    What they leave out or get wrong is mended: they name no errors of exports and queries, no JSON answer of updates, and a
    distinct id of a profile as a number. All updates of one path are one operation here, as their paths differ by a fragment
    alone. Forms are closed, so that a misspelt field fails.
    """
    specs = {name: Spec.load(folder / f"{name}.openapi.yaml").document for name in FILES}
    paths: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for name, base in FILES.items():
        moved = _moved(specs[name], name)
        for kind, members in moved.get("components", {}).items():
            parts.setdefault(kind, {})[name] = members
        for path, item in moved["paths"].items():
            _add(paths, f"{base}{path.partition('#')[0]}", item)
    for path in ("/api/2.0/export", "/api/query/engage"):
        for operation in paths[path].values():
            operation["responses"]["default"] = _json(ERROR)
    form = paths["/api/query/engage"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    form["additionalProperties"] = False
    answer = paths["/api/query/engage"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer["properties"]["results"]["items"]["properties"]["$distinct_id"] = {"type": ["string", "integer"]}
    for path in ("/engage", "/groups"):
        responses = paths[path]["post"]["responses"]
        plain = {"text/plain": {"schema": {"enum": [1, 0]}}}
        responses["200"] = {"content": {**plain, **_json(VERDICT)["content"]}}
        responses["400"] = _json(VERDICT)
        responses["429"] = _json(ERROR)
    return Spec({"openapi": "3.1.0", "paths": paths, "components": parts})


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": "", "content": {"application/json": {"schema": dict(schema)}}}


def _moved(node: Any, name: str) -> Any:
    """Return a description whose references lead to where `describe` puts its components."""
    if isinstance(node, list):
        return [_moved(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _moved(value, name) for key, value in node.items()}
    if isinstance(ref := found.get("$ref"), str):
        _, _, kind, *rest = ref.split("/")
        found["$ref"] = "/".join(["#/components", kind, name, *rest])
    return found


def _add(paths: dict[str, Any], path: str, item: dict[str, Any]) -> None:
    """Add a path; of one that is there already, accept its body as well."""
    if path not in paths:
        paths[path] = item
        return
    for method, operation in item.items():
        known, other = (_items(each) for each in (paths[path][method], operation))
        if known is not None and other is not None:
            known.setdefault("anyOf", []).append(other)


def _items(operation: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of one update, as a list of alternatives; None for the batch, which is described as a text."""
    schema = operation["requestBody"]["content"].get("application/json", {}).get("schema", {})
    items = schema.get("items")
    if items is None:
        return None
    if "anyOf" not in items:
        schema["items"] = items = {"anyOf": [items]}
    found: dict[str, Any] = items
    return found
