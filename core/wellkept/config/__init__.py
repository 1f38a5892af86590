"""The configuration: one TOML file, read in two phases.

Phase one (`load`) reads the core's own tables and, of each ``[plugins.NAME]``, the keys that core understands. Phase two
(`validate`) checks the rest of such a table with the plugin's own model, once that plugin was loaded. A mistake in the core's
tables stops everything, because running with other settings than those meant could do harm; a mistake in one instance's table
keeps that instance out, and is reported.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellkept.config.document import Document, parse, read
from wellkept.config.locate import KeyPath
from wellkept.errors import ConfigError
from wellkept.place import address
from wellkept.problems import Problem, ProblemsError
from wellkept.redact import REDACTOR

if TYPE_CHECKING:
    from pydantic import BaseModel

    from wellkept.settings import InstanceHead, Settings

__all__ = ["Config", "InstanceTable", "load", "loads", "reserved_keys", "validate"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class InstanceTable:
    """One ``[plugins.NAME]``.

    Attributes:
        name: The instance's name.
        plugin: Which plugin it is an instance of.
        head: The keys that core reads.
        rest: The keys that belong to the plugin, not yet validated.
    """

    name: str
    plugin: str
    head: InstanceHead
    rest: Mapping[str, Any]

    @property
    def place(self) -> KeyPath:
        """Where the table stands in the file."""
        return ("plugins", self.name)


@dataclass(frozen=True, kw_only=True)
class Config:
    """A configuration whose core part is valid.

    Attributes:
        document: The file.
        settings: The core's tables.
        tables: The instances, in the order of the file; those that are not enabled included.
        problems: What is wrong with single instances, pushes or overrides, which are left out.
    """

    document: Document
    settings: Settings
    tables: Mapping[str, InstanceTable]
    problems: tuple[Problem, ...] = field(default=())

    @property
    def path(self) -> Path:
        """The file."""
        return self.document.path

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self.path.absolute().parent

    @property
    def store(self) -> Path | str:
        """Where the store is: a file, or PostgreSQL's URL, with its password. Raises `ConfigError`."""
        return address(self.settings.wellkept.store, self.base)

    @property
    def enabled(self) -> list[InstanceTable]:
        """The enabled instances, in the order of the file."""
        return [table for table in self.tables.values() if table.head.enabled]


def load(path: Path, *, env: str | None = None, strict: bool = False) -> Config:
    """Read a configuration file: phase one.

    Args:
        path: The file.
        env: An environment, such as ``prod``: ``plugins.prod.toml`` beside the file is laid over it. Tables are merged key by
            key; arrays, ``[[push]]`` included, are replaced whole.
        strict: Treat every problem as fatal.

    Raises:
        ConfigError: A file cannot be read, or is not valid TOML.
        ProblemsError: The core's tables are wrong, or, with `strict`, anything is.
    """
    return _examine(read(path, env), strict=strict)


def loads(text: str, path: Path, *, strict: bool = False) -> Config:
    """Read a configuration from text, as if it stood in `path`. See `load`."""
    return _examine(parse(text, path), strict=strict)


def reserved_keys() -> frozenset[str]:
    """Return the keys of an instance's table that a plugin's model cannot use."""
    from wellkept.settings import InstanceHead

    return frozenset(InstanceHead.model_fields)


def validate(
    config: Config, table: InstanceTable, model: type[BaseModel] | None, *, schemes: Collection[str] = ()
) -> tuple[BaseModel | None, list[ConfigError]]:
    """Check an instance's own keys with its plugin's model: phase two.

    The model's validators find the folder that relative paths start from as ``base`` in their validation context.

    Args:
        config: The configuration.
        table: The instance.
        model: The plugin's model; None for a plugin without any keys.
        schemes: Schemes of secret references that are provided, beside those built in.

    Returns:
        The validated model (None where the plugin has no keys), or the errors, each naming file, line, key and mend.
    """
    document, rest = config.document, dict(table.rest)
    reserved = reserved_keys()
    if model is None:
        from wellkept.config.explain import suggest

        guidance = f"plugin {table.plugin!r} has no keys of its own; {suggest('', reserved)}"
        return None, [document.error((*table.place, key), "unknown key", guidance) for key in rest]
    taken = sorted(reserved & _names(model))
    if taken:
        return None, [document.error(table.place, f"plugin {table.plugin!r} wants the key {taken[0]!r}, which belongs to core")]
    if model.model_config.get("extra") != "forbid":
        mend = f'its author should set `model_config = ConfigDict(extra="forbid")` on {model.__name__}'
        return None, [document.error(table.place, f"plugin {table.plugin!r} would not notice mistyped keys", mend)]
    context = {"schemes": frozenset(schemes), "base": config.base}
    return _validated(document, table.place, rest, model, context=context, also=reserved)


def _names(model: type[BaseModel]) -> set[str]:
    """Return the keys under which a model's fields can be written."""
    fields = model.model_fields.items()
    return {name for name, _ in fields} | {info.alias for _, info in fields if info.alias}


def _validated(
    document: Document,
    place: KeyPath,
    value: Mapping[str, Any],
    model: type[BaseModel],
    *,
    context: Mapping[str, Any] | None = None,
    also: Iterable[str] = (),
) -> tuple[BaseModel | None, list[ConfigError]]:
    from pydantic import ValidationError

    try:
        return model.model_validate(value, context=context), []
    except Exception as error:  # noqa: BLE001 - a plugin's model may raise anything
        from wellkept.config.explain import explain, leaked

        schema = _schema(model)
        for secret in leaked(value, schema):
            REDACTOR.register(secret)
        if not isinstance(error, ValidationError):
            return None, [document.error(place, f"the model {model.__name__} failed: {REDACTOR.exception(error)}")]
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return None, explain(document, place, value, details, schema, also=also)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema, for the names of its keys; an empty one for a model that has none."""
    try:
        return model.model_json_schema()
    except Exception:  # noqa: BLE001 - pydantic refuses exotic types; the error at hand matters more
        return {}


def _examine(document: Document, *, strict: bool) -> Config:
    from wellkept.settings import Settings

    own = {key: value for key, value in document.data.items() if key != "plugins"}
    settings, errors = _validated(document, (), own, Settings, also=("plugins",))
    tables, problems = _tables(document)
    if not isinstance(settings, Settings):
        raise ProblemsError([*(Problem.of(error, stage="config") for error in errors), *problems])
    for table, key in (("push", "to"), ("override", "source")):
        kept, stray = _aimed(document, table, key, getattr(settings, table), tables)
        problems += stray
        settings = settings.model_copy(update={table: kept})
    via = settings.messages.via
    if via is not None and not (via in tables and tables[via].head.enabled):
        raise ProblemsError([Problem.of(_no_instance(document, ("messages", "via"), via, tables), stage="config"), *problems])
    if strict and problems:
        raise ProblemsError(problems)
    return Config(document=document, settings=settings, tables=tables, problems=tuple(problems))


def _tables(document: Document) -> tuple[dict[str, InstanceTable], list[Problem]]:
    """Read the heads of all instances; those with mistakes are left out."""
    tables: dict[str, InstanceTable] = {}
    problems: list[Problem] = []
    plugins = document.data.get("plugins", {})
    if not isinstance(plugins, dict):
        error = document.error(("plugins",), "should hold tables", "write [plugins.NAME] for each instance")
        raise ProblemsError([Problem.of(error, stage="config")])
    for name, value in plugins.items():
        table, errors = _table(document, name, value)
        problems += [Problem.of(error, stage="config", instance=name) for error in errors]
        if table is not None:
            tables[name] = table
    return tables, problems


def _table(document: Document, name: str, value: object) -> tuple[InstanceTable | None, list[ConfigError]]:
    from wellkept.settings import InstanceHead

    place = ("plugins", name)
    if not isinstance(value, dict):
        return None, [document.error(place, "should be a table", f"write [plugins.{name}] on a line of its own")]
    if not _NAME.fullmatch(name):
        mend = "use lower-case letters, digits, - and _, a letter first, 63 at most"
        return None, [document.error(place, f"{name!r} cannot name an instance", mend)]
    reserved = reserved_keys()
    own = {key: item for key, item in value.items() if key in reserved}
    head, errors = _validated(document, place, own, InstanceHead)
    if not isinstance(head, InstanceHead):
        return None, errors
    if head.schedule is not None:
        from wellkept.schedule import parse as parse_schedule

        try:
            parse_schedule(head.schedule)
        except ConfigError as error:
            return None, [document.error((*place, "schedule"), error.message, error.guidance)]
    rest = {key: item for key, item in value.items() if key not in reserved}
    return InstanceTable(name=name, plugin=head.plugin or name, head=head, rest=rest), []


def _aimed(
    document: Document, table: str, key: str, items: Sequence[Any], tables: Mapping[str, InstanceTable]
) -> tuple[tuple[Any, ...], list[Problem]]:
    """Return those of an array of tables whose `key` names an enabled instance; the others are reported, and left out."""
    kept, problems = [], []
    for index, item in enumerate(items):
        name = getattr(item, key)
        if name in tables and tables[name].head.enabled:
            kept.append(item)
        else:
            problems.append(Problem.of(_no_instance(document, (table, index, key), name, tables), stage="config"))
    return tuple(kept), problems


def _no_instance(document: Document, place: KeyPath, name: str, tables: Mapping[str, InstanceTable]) -> ConfigError:
    if name in tables:
        return document.error(place, f"the instance {name!r} is not enabled", f"remove `enabled = false` from [plugins.{name}]")
    from wellkept.config.explain import suggest

    enabled = [table.name for table in tables.values() if table.head.enabled]
    return document.error(place, f"there is no instance {name!r}", suggest(name, enabled, kind="enabled instances"))
