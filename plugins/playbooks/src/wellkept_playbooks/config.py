"""What a person may write below ``[plugins.playbooks]``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from wellkept.errors import ConfigError
from wellkept.expressions import parse

_SPAN = re.compile(r"(\d+)\s*([dh])")
_SHORT = re.compile(r"(mail|task)\s*:\s*([a-z]+)(?:\s+with\s+([a-z][a-z0-9_-]*))?")
_PLACE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")

HOUR = 3_600_000


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _condition(text: str) -> str:
    try:
        parse(text, condition=True)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


def _span(value: object) -> object:
    if isinstance(value, str):
        match = _SPAN.fullmatch(value.strip())
        if not match:
            raise ValueError("write a span such as '30d' or '12h'")
        return int(match[1]) * (24 * HOUR if match[2] == "d" else HOUR)
    return value


def _text(text: str) -> str:
    for name in _PLACE.findall(text):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{{{name}}} is not the name of a column")
    return text


def places(text: str) -> set[str]:
    """Return the columns that a text mentions as ``{column}``."""
    return set(_PLACE.findall(text))


def fill(text: str, figures: Mapping[str, str]) -> str:
    """Put figures into a text."""
    return _PLACE.sub(lambda match: figures[match[1]], text)


Condition = Annotated[str, AfterValidator(_condition)]
Span = Annotated[int, BeforeValidator(_span), Field(gt=0, json_schema_extra={"type": "string", "pattern": r"^\d+\s*[dh]$"})]
Text = Annotated[str, AfterValidator(_text)]
Role = Annotated[str, Field(pattern=r"^(team|owner|billing|person:[^:]+:.+)$")]


class DoTable(_Table):
    """One thing that a rule does: a mail or a task; as a table, or in short ``"mail: WHO with TEMPLATE"``, ``"task: WHO"``."""

    mail: Role | None = None
    """Who gets a mail: ``team``, ``owner``, ``billing`` or ``person:INSTANCE:ID``."""
    task: Role | None = None
    """Who gets a task."""
    template: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] = "alert"
    """The mail's template."""
    title: Text | None = None
    """The task's title, or the template's `title`; the rule's name unless given."""
    text: Text | None = None
    """The task's body, or the template's `text`; the figures that the rule looked at unless given."""
    due: Span | None = None
    """When the task is due, counted from its making."""
    variables: dict[str, Text] = {}
    """Further variables of the template."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that the short form is as good as the table."""
        return {"anyOf": [{"type": "string", "pattern": f"^\\s*{_SHORT.pattern}\\s*$"}, handler(schema)]}

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _SHORT.fullmatch(value.strip())
        if not match:
            raise ValueError("write 'mail: WHO', 'mail: WHO with TEMPLATE' or 'task: WHO', or a table")
        kind, who, template = match.groups()
        if template and kind == "task":
            raise ValueError("a task has no template")
        return {kind: who} | ({"template": template} if template else {})

    @model_validator(mode="after")
    def _one(self) -> DoTable:
        if (self.mail is None) == (self.task is None):
            raise ValueError("say either `mail` or `task`, and who")
        if self.mail is not None and self.due is not None:
            raise ValueError("`due` is for tasks")
        return self


class RuleTable(_Table):
    """``[[plugins.playbooks.rules]]``: one rule."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Unique; part of every effect's key."""
    when: Condition
    """The rule acts when this becomes true for an account."""
    unless: Condition | None = None
    """Where this is true or unknown, nothing is done."""
    do: Annotated[list[DoTable], Field(min_length=1)]
    """What to do, in order."""
    cooldown: Span | None = None
    """An episode that begins within this time after the last action does nothing."""
    holdout: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of accounts for which the rule only pretends."""
    approval: bool = False
    """What the rule plans waits for a person."""


class PlaybooksConfig(_Table):
    """``[plugins.playbooks]``."""

    rules: list[RuleTable] = []
    """The rules; each is looked at on its own."""

    @model_validator(mode="after")
    def _unique(self) -> PlaybooksConfig:
        twice = [name for name, count in Counter(rule.name for rule in self.rules).items() if count > 1]
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}; their effects could not be told apart")
        return self
