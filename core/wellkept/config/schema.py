"""One JSON Schema (2020-12) over the core and all installed plugins, so that editors complete `plugins.toml`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from wellkept.context import PluginInfo

DIALECT = "https://json-schema.org/draft/2020-12/schema"

UNKNOWN = {"not": {"description": "a key that is not known here"}}
"""What a key that is not described must be: as strict as ``false``, but editors then mark it and not its whole table."""

INSTANCE_NAME = "^[a-z][a-z0-9_-]{0,62}$"


def schema(plugins: Mapping[str, tuple[PluginInfo, type[BaseModel] | None]]) -> dict[str, Any]:
    """Return the schema of `plugins.toml`.

    ``[plugins.NAME]`` is described by the plugin of its name where there is one, else by the one that its `plugin` key names. A
    table that is named after one plugin and uses another is valid all the same, but confuses editors and people: not here.

    Args:
        plugins: Name to what the plugin says of itself, and its configuration model.
    """
    from wellkept.settings import InstanceHead, Settings

    definitions: dict[str, Any] = {}
    core = _lift(Settings, "core", definitions)
    head = _lift(InstanceHead, "core", definitions)
    for name, (info, model) in sorted(plugins.items()):
        definitions[f"plugin.{name}"] = _plugin(info, head, model, definitions)
    own = {name: {"$ref": f"#/$defs/plugin.{name}", "properties": {"plugin": {"const": name}}} for name in sorted(plugins)}
    named = [{**table, "required": ["plugin"]} for table in own.values()]
    definitions["instance"] = {
        "title": "An instance",
        "description": "One use of a plugin. `plugin` names it when the table has another name.",
        **({"oneOf": named} if named else {"type": "object"}),
    }
    return {
        "$schema": DIALECT,
        "title": "Wellkept",
        "description": "The configuration of a Wellkept installation: plugins.toml.",
        "type": "object",
        "additionalProperties": UNKNOWN,
        "properties": {
            **core["properties"],
            "plugins": {
                "description": "The instances: one table for each, [plugins.NAME].",
                "type": "object",
                "propertyNames": {"pattern": INSTANCE_NAME},
                "properties": own,
                "patternProperties": {_other_than(own): {"$ref": "#/$defs/instance"}},
            },
        },
        "$defs": definitions,
    }


def _other_than(names: Collection[str]) -> str:
    """Return a pattern of all other names; with ``additionalProperties`` editors would offer all plugins' keys everywhere."""
    return f"^(?!({'|'.join(re.escape(name) for name in names)})$)" if names else "^"


def _plugin(
    info: PluginInfo, head: Mapping[str, Any], model: type[BaseModel] | None, definitions: dict[str, Any]
) -> dict[str, Any]:
    """Return the schema of one instance's table: core's keys and the plugin's together."""
    own = _lift(model, f"plugin.{info.name}", definitions) if model else {"properties": {}}
    return {
        "title": f"Plugin {info.name}",
        "description": info.summary,
        "type": "object",
        "additionalProperties": UNKNOWN,
        "properties": {**head["properties"], **own["properties"]},
        "required": own.get("required", []),
        **{key: own[key] for key in ("oneOf", "anyOf", "allOf", "dependentRequired") if key in own},
    }


def _lift(model: type[BaseModel], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema, with its definitions moved to the common ones under a prefix of their own."""
    own: dict[str, Any] = _located(model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}"))
    definitions.update({f"{prefix}.{name}": item for name, item in own.pop("$defs", {}).items()})
    if "$ref" in own:  # a model that refers to itself
        own = definitions[own["$ref"].removeprefix("#/$defs/")]
    return own


def _located(node: Any) -> Any:
    """Return a schema in which unknown keys are refused where they stand; see `UNKNOWN`."""
    if isinstance(node, list):
        return [_located(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: UNKNOWN if key == "additionalProperties" and item is False else _located(item) for key, item in node.items()}
