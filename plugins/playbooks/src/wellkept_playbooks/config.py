"""What a person may write below ``[plugins.playbooks]``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from wellkept import Priority
from wellkept.errors import ConfigError
from wellkept.expressions import parse

_SPAN = re.compile(r"(\d+)\s*([dh])")
_SHORT = re.compile(r"(mail|task)\s*:\s*([a-z]+)(?:\s+with\s+([a-z][a-z0-9_-]*))?")
_ON_TICKETS = re.compile(r"(priority|tag|note)\s*:\s*(\S.*)")
_ASSIGN = re.compile(r"assign\s*:\s*(group|agent)\s+(\S.*)")
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
    """One thing that a rule does, as a table or in short.

    Short forms: ``"mail: WHO with TEMPLATE"``, ``"task: WHO"``, and for the account's open tickets ``"priority: high"``,
    ``"tag: TAG"``, ``"note: TEXT"``, ``"assign: group NAME"``, ``"assign: agent ID"``.
    """

    mail: Role | None = None
    """Who gets a mail: ``team``, ``owner``, ``billing`` or ``person:INSTANCE:ID``."""
    task: Role | None = None
    """Who gets a task."""
    priority: Priority | None = None
    """Raises the account's open tickets to this priority; it never lowers one."""
    tag: Annotated[str, Field(pattern=r"^[^\s,]{1,80}$")] | None = None
    """A tag for the account's open tickets, beside those that they have."""
    note: Text | None = None
    """An internal note on the account's open tickets."""
    group: Annotated[str, Field(min_length=1)] | None = None
    """The group of agents that gets the account's open tickets, by name."""
    agent: Annotated[str, Field(pattern=r"^\S+$")] | None = None
    """The agent who gets the account's open tickets, by the vendor's id."""
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
        short = "|".join(pattern.pattern for pattern in (_SHORT, _ON_TICKETS, _ASSIGN))
        return {"anyOf": [{"type": "string", "pattern": f"^\\s*(?:{short})\\s*$"}, handler(schema)]}

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if on_tickets := _ON_TICKETS.fullmatch(text):
            return {on_tickets[1]: on_tickets[2]}
        if assign := _ASSIGN.fullmatch(text):
            return {assign[1]: assign[2]}
        match = _SHORT.fullmatch(text)
        if not match:
            raise ValueError(
                "write 'mail: WHO', 'mail: WHO with TEMPLATE', 'task: WHO', 'priority: high', 'tag: TAG', 'note: TEXT', "
                "'assign: group NAME' or 'assign: agent ID', or a table"
            )
        kind, who, template = match.groups()
        if template and kind == "task":
            raise ValueError("a task has no template")
        return {kind: who} | ({"template": template} if template else {})

    @model_validator(mode="after")
    def _one(self) -> DoTable:
        assigns = self.group is not None or self.agent is not None
        kinds = [self.mail, self.task, self.priority, self.tag, self.note, True if assigns else None]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(
                "say either `mail` or `task`, and who, or one of `priority`, `tag`, `note`, and `group` or `agent`"
            )
        if self.task is None and self.due is not None:
            raise ValueError("`due` is for tasks")
        return self

    @property
    def on_tickets(self) -> bool:
        """Whether it is done to the account's open tickets."""
        return self.mail is None and self.task is None


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
