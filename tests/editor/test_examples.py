"""Every TOML example that a reader could copy is valid: to the schema that editors use, and to the models themselves."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from wellkept.config import load, validate
from wellkept.config.template import toml_of
from wellkept.plugins import load_named

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```toml[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted([*ROOT.glob("plugins/*/README.md"), *ROOT.glob("docs/**/*.md"), ROOT / "plugins.toml"])
SCHEMA = json.loads((ROOT / "plugins.schema.json").read_text(encoding="utf-8"))


def laid_over(below: Any, above: Any) -> Any:
    """Lay a fragment over the example that it belongs to, as an overlay is laid over a configuration."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}
    return above


def examples(page: Path) -> Iterator[dict[str, Any]]:
    """Yield the configurations of a page. Later ones on a plugin's page are fragments of the first one's instance."""
    text = page.read_text(encoding="utf-8")
    texts = [text] if page.suffix == ".toml" else FENCE.findall(text)
    whole = tomllib.loads((ROOT / "plugins.toml").read_text(encoding="utf-8"))["plugins"]
    for block in texts:
        found = tomllib.loads(block)
        if found.keys() <= SCHEMA["properties"].keys():
            for name, table in list(found.get("plugins", {}).items()):
                if f"plugin.{table.get('plugin', name)}" not in SCHEMA["$defs"]:
                    del found["plugins"][name]  # the one that a tutorial makes
                    continue
                known = whole.get(name, {}) if page.suffix == ".md" else {}
                first = known if "enabled" not in table and _is_fragment(name, table) else {}
                found["plugins"][name] = whole[name] = laid_over(first, table)
            yield found


def _is_fragment(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a table leaves out what its plugin must have."""
    definition = SCHEMA["$defs"].get(f"plugin.{table.get('plugin', name)}", {})
    ways = [way["required"] for way in definition.get("oneOf", [{"required": []}])]
    return not (table.keys() >= set(definition.get("required", ())) and any(table.keys() >= set(way) for way in ways))


CASES = [
    pytest.param(example, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, example in enumerate(examples(page), 1)
]


@pytest.mark.parametrize("example", CASES)
def test_an_example_is_valid_to_editors_and_to_wellkept(example: dict[str, Any], tmp_path: Path) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(example)] == []
    path = tmp_path / "plugins.toml"
    path.write_text("".join(f"{key} = {toml_of(value)}\n" for key, value in example.items()), encoding="utf-8")
    config = load(path)
    names = {table.plugin for table in config.tables.values()} & {name.removeprefix("plugin.") for name in SCHEMA["$defs"]}
    loaded = load_named(sorted(names)).loaded
    for table in config.tables.values():
        if table.plugin in loaded:
            assert [str(error) for error in validate(config, table, loaded[table.plugin].model())[1]] == []


def test_every_plugin_shows_how_it_is_configured() -> None:
    shown = {str(case.id).split("/")[1] for case in CASES if str(case.id).startswith("plugins/")}
    assert shown >= {page.parent.name for page in ROOT.glob("plugins/*/README.md")}
