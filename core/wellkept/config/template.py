"""A first `plugins.toml`, written from what plugins say of their own keys: commented, valid, without any secret."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellkept.secrets import Secret

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from wellkept.context import PluginInfo

_HEAD = """\
#:schema ./plugins.schema.json
# Wellkept's configuration. `wellkept check` tries it, `wellkept config schema -o plugins.schema.json` teaches your editor.
# Secrets never stand here, only references to them: "env:NAME" or "file:path".

[wellkept]
store = "wellkept.db"
# The installation's key: made on first use. Back it up apart from the store, and keep it out of version control.
key = "file:wellkept.key"
timezone = "UTC"
reporting_currency = "USD"
# rates = "rates.csv"                       # day,base,quote,rate: without a rate, a figure is left out
# public_url = "https://wellkept.example"   # where webhooks and unsubscribe links reach this installation
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A plugin that the file should use.

    Attributes:
        info: What it says of itself.
        model: Its configuration model.
        answers: Values for its keys; the others get a reference, an example, or stay commented out.
        way: The keys of the way in that was chosen, where there are several; see `ways`.
    """

    info: PluginInfo
    model: type[BaseModel] | None
    answers: Mapping[str, Any] = field(default_factory=dict)
    way: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One of several ways to be let in by a vendor: by OAuth, by a token.

    Attributes:
        title: What it is called.
        keys: The keys that it needs.
    """

    title: str
    keys: tuple[str, ...]


def render(choices: Sequence[Choice]) -> str:
    """Return the text of a `plugins.toml`."""
    return "\n".join([_HEAD, *(_table(choice) for choice in choices)])


def questions(model: type[BaseModel] | None, way: Sequence[str] = ()) -> dict[str, FieldInfo]:
    """Return the fields that a person must fill in, in order: those without a default, and those of the chosen way in."""
    if model is None:
        return {}
    named = {info.alias or name: info for name, info in model.model_fields.items()}
    return {key: info for key, info in named.items() if info.is_required() or key in way}


def ways(model: type[BaseModel] | None) -> list[Way]:
    """Return the ways in of which a person must choose one, the recommended one first.

    A model tells them in its JSON Schema: ``model_config = ConfigDict(json_schema_extra={"oneOf": [{"title": "an API key",
    "required": ["api_key"]}, ...]})``.
    """
    extra = model.model_config.get("json_schema_extra") if model else None
    found = extra.get("oneOf") if isinstance(extra, dict) else None
    possible = []
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict) and isinstance(keys := item.get("required"), list):
            named = tuple(str(key) for key in keys)
            possible.append(Way(title=str(item.get("title", ", ".join(named))), keys=named))
    return possible


def table_of(info: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a table of its own, given or left out as a whole."""
    from pydantic import BaseModel

    parts = [part for part in typing.get_args(info.annotation) or (info.annotation,) if part is not type(None)]
    alone = parts[0] if len(parts) == 1 else None
    return alone if isinstance(alone, type) and issubclass(alone, BaseModel) else None


def is_secret(info: FieldInfo) -> bool:
    """Whether a field holds a reference to a secret."""
    return _mentions_secret(info.annotation)


def suggested_reference(plugin: str, key: str) -> str:
    """Return the reference that a secret gets: ``env:STRIPE_API_KEY``."""
    return f"env:{plugin}_{key}".replace("-", "_").upper().replace("ENV:", "env:", 1)


def _table(choice: Choice) -> str:
    name = choice.info.name
    lines = [*_comment(choice.info.summary), f"[plugins.{name}]"]
    fields = choice.model.model_fields.items() if choice.model else ()
    for attribute, info in fields:
        lines += _field(name, info.alias or attribute, info, choice)
    lines += [
        '# schedule = "every 15 minutes"   # or five cron fields: "30 2 * * *"',
        "# live = true                     # without it, what would be sent is shown and kept",
    ]
    return "\n".join(lines) + "\n"


def _field(plugin: str, key: str, info: FieldInfo, choice: Choice) -> list[str]:
    lines = _comment(info.description)
    needed = info.is_required() or key in choice.way
    inner = table_of(info)
    if key in choice.answers:
        value, active = choice.answers[key], True
    elif inner is not None and not needed and info.default is None:
        return [*lines, *_left_out(plugin, key, inner)]
    elif inner is None and is_secret(info):
        value, active = suggested_reference(plugin, key), needed
    elif info.is_required():
        value, active = next(iter(info.examples or ()), None), bool(info.examples)
    else:
        value, active = info.get_default(call_default_factory=True, validated_data={}), False
    text = toml_of(value)
    if text is None:
        return [*lines, f"# {key} = ...{'  # required' if needed else ''}"]
    return [*lines, f"{'' if active else '# '}{key} = {text}"]


def _left_out(plugin: str, key: str, model: type[BaseModel]) -> list[str]:
    """Return a table that is not given, as a comment that shows what it would hold."""
    inner = [
        f"{name} = {toml_of(suggested_reference(plugin, f'{key}_{name}') if is_secret(info) else '...')}"
        for name, info in questions(model).items()
    ]
    return [f"# {key} = {{ {', '.join(inner)} }}"]


def _comment(text: str | None) -> list[str]:
    return [f"# {line}".rstrip() for line in (text or "").strip().replace("``", "`").splitlines()]


def toml_of(value: Any) -> str | None:  # noqa: PLR0911 - one answer per type
    """Return a value as TOML on one line; None for what has no such form."""
    from pydantic import BaseModel

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Secret):
        return toml_of(value.reference)
    if isinstance(value, Enum):
        return toml_of(value.value)
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        items = [toml_of(item) for item in value]
        return None if None in items else f"[{', '.join(item for item in items if item)}]"
    if isinstance(value, BaseModel):
        return toml_of({key: item for key, item in value if item is not None})
    if isinstance(value, dict):
        if not value:
            return "{}"
        pairs = [(toml_of(str(key)), toml_of(item)) for key, item in value.items()]
        return (
            None if any(item is None for _, item in pairs) else f"{{ {', '.join(f'{key} = {item}' for key, item in pairs)} }}"
        )
    return str(value) if isinstance(value, Decimal) else None


def _mentions_secret(annotation: Any) -> bool:
    return annotation is Secret or any(_mentions_secret(part) for part in typing.get_args(annotation))
