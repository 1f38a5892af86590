"""What a plugin offers, found out by opening it: with the example of its own README, in a store that is thrown away."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wellkept.plugins.load import Loaded
from wellkept.problems import Problem

if TYPE_CHECKING:
    from wellkept.action import Action
    from wellkept.frame import Formula, Measure
    from wellkept.instance import Instance
    from wellkept.job import Job
    from wellkept.policy import Decider
    from wellkept.scorer import Scorer
    from wellkept.source import Source, Stream

PARENTS = 4
"""Folders above a package in which its project file is looked for."""


@dataclass(kw_only=True)
class Offer:
    """A plugin, opened.

    Attributes:
        loaded: The plugin.
        package: The folder of its package; None where it has none.
        project: The folder of its source tree; None where it was installed without.
        readme: Its README, as it was shipped.
        problems: What kept it from being opened, or is wrong with what it handed out.
        remarks: What it should not have done on the way.
        opened: Whether there was an instance to ask.
        sources: Its sources, and so on.
    """

    loaded: Loaded
    package: Path | None = None
    project: Path | None = None
    readme: str = ""
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    opened: bool = False
    sources: Sequence[Source] = ()
    streams: Sequence[Stream] = ()
    actions: Sequence[Action] = ()
    scorers: Sequence[Scorer] = ()
    deciders: Sequence[Decider] = ()
    measures: Sequence[Measure | Formula] = ()
    jobs: Sequence[Job] = ()

    @property
    def distribution(self) -> str | None:
        """The name of its distribution."""
        return self.loaded.distribution.split()[0] if self.loaded.distribution else None


def examine(loaded: Loaded) -> Offer:
    """Open a plugin with the example of its README and ask it for everything. Calls no vendor, and resolves no secret."""
    offer = Offer(loaded=loaded, package=_package(loaded))
    offer.project = _project(offer)
    offer.readme = _readme(offer)
    for tables in _examples(offer.readme, loaded.name):
        offer.problems, offer.remarks = [], []
        with _opened(loaded, tables, offer) as instance:
            if instance is not None:
                _ask(offer, instance)
        if offer.opened:
            break
    return offer


def _ask(offer: Offer, instance: Instance) -> None:
    offer.opened = True
    offer.sources = instance.sources
    offer.streams = [bound.stream for bound in instance.streams.values()]
    offer.actions = list(instance.actions.values())
    offer.scorers = instance.scorers
    offer.deciders = instance.deciders
    offer.measures = instance.measures
    offer.jobs = list(instance.jobs.values())


@contextmanager
def _opened(loaded: Loaded, tables: dict[str, Any], offer: Offer) -> Iterator[Instance | None]:
    """Open an installation of this plugin alone and yield its first instance; None with the problems."""
    from wellkept.config.template import toml_of
    from wellkept.runtime import Runtime

    with TemporaryDirectory(prefix="wellkept-inspect-") as folder:
        path = Path(folder) / "plugins.toml"
        path.write_text(f"plugins = {toml_of(tables)}\n", encoding="utf-8")
        with Runtime.open(path, extra_plugins={loaded.name: loaded.plugin}) as runtime:
            yield next(iter(runtime.instances.values()), None)
            offer.problems += [replace(item, reason=item.reason.replace(f"{path}:1: ", "")) for item in runtime.problems]
            offer.remarks += runtime.plugins.remarks


def _examples(readme: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield the tables of this plugin in each TOML block of a README, and at last a table without keys."""
    for block in readme.split("```toml")[1:]:
        try:
            tables = tomllib.loads(block.partition("```")[0]).get("plugins", {})
        except tomllib.TOMLDecodeError:
            continue
        own = {table: keys for table, keys in tables.items() if isinstance(keys, dict) and keys.get("plugin", table) == name}
        if own:
            yield own
    yield {name: {}}


def _package(loaded: Loaded) -> Path | None:
    module = type(loaded.plugin).__module__.partition(".")[0]
    spec = importlib.util.find_spec(module) if module not in {"", "builtins"} else None
    if spec is None or spec.origin is None or not spec.submodule_search_locations:
        return None
    return Path(spec.origin).parent


def _project(offer: Offer) -> Path | None:
    """Return the folder whose project file names the distribution, above its package."""
    for folder in list(offer.package.parents)[:PARENTS] if offer.package is not None else ():
        try:
            content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if content.get("project", {}).get("name") == offer.distribution:
            return folder
    return None


def _readme(offer: Offer) -> str:
    """Return the README of the source tree, else the description in the distribution's metadata."""
    if offer.project is not None and (offer.project / "README.md").is_file():
        return (offer.project / "README.md").read_text(encoding="utf-8")
    try:
        return str(distribution(offer.distribution).metadata.json.get("description", "")) if offer.distribution else ""
    except PackageNotFoundError:
        return ""


def keys_of(loaded: Loaded) -> list[dict[str, Any]]:
    """Return the keys of a plugin's own configuration model, for people and for ``--json``."""
    model = loaded.model()
    if model is None:
        return []
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "key": key,
            "type": _type(node),
            "required": key in required,
            "default": None if node.get("default") is None else str(node["default"]),
            "doc": " ".join(str(node.get("description", "")).replace("``", "`").split()),
        }
        for key, node in schema.get("properties", {}).items()
    ]


def _type(node: dict[str, Any]) -> str:
    from wellkept.secrets import MARK

    if node.get("format") == MARK:
        return "secret"
    if "enum" in node:
        return " | ".join(map(str, node["enum"]))
    branches = [_type(branch) for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    return " | ".join(dict.fromkeys(branches)) or str(node.get("type", "table"))
