"""The shapes of what Mixpanel sends, as far as they are read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from wellkept.records import Json


class Wire(msgspec.Struct, frozen=True, gc=False):
    """Base of all shapes; fields that are not named are skipped."""


class Event(Wire, frozen=True, gc=False):
    """One line of an export: what happened, when, who did it, and on whose account.

    Attributes:
        event: Its name.
        time: Seconds; see `wellkept_mixpanel.days`.
        subject: The distinct id; empty where nobody is known.
        group: The value of the group key, or a list of them.
    """

    event: str
    time: float
    subject: str
    group: Json


class Profile(Wire, frozen=True, gc=False):
    """A user profile, or a group profile, whose distinct id is the group id."""

    distinct_id: str | int | float = msgspec.field(name="$distinct_id")
    given: dict[str, Json] | None = msgspec.field(name="$properties", default=None)

    @property
    def properties(self) -> dict[str, Json]:
        """The properties; a profile may have none."""
        return self.given or {}


class FailedRecord(Wire, frozen=True, gc=False):
    """Why one update of a batch was refused."""

    index: int | float
    field: str | None = None
    message: str | None = None


class Verdict(Wire, frozen=True, gc=False):
    """The answer to a batch of updates: of a strict request (`code`), or of a verbose one (`status` 1 or 0)."""

    code: int | None = None
    status: int | str | None = None
    error: str | None = None
    failed_records: list[FailedRecord] | None = None


class ErrorAnswer(Wire, frozen=True, gc=False):
    """An error. Its text may repeat what was sent: never shown, but looked into."""

    error: str | None = None


@lru_cache(maxsize=16)
def line_type(group_key: str | None) -> type[Any]:
    """Return the struct of a line of the export; the group key is a property of the customer's own naming."""
    fields: list[tuple[str, Any, Any]] = [
        ("time", float, msgspec.field()),
        ("distinct_id", str | int | float | None, None),
    ]
    if group_key is not None:
        fields.append(("group", Any, msgspec.field(name=group_key, default=None)))
    properties = msgspec.defstruct("Properties", fields, frozen=True)
    return msgspec.defstruct("Line", [("event", str), ("properties", properties)], frozen=True)


def text_of(value: Json) -> str:
    """Return an id as text, empty for what is none. Mixpanel keeps ids as they were sent: as numbers, too."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value).strip() if isinstance(value, (str, int)) else ""


def texts_of(value: Json) -> tuple[str, ...]:
    """Return the ids in a value that may be one or a list of them, each once, in a fixed order."""
    values = value if isinstance(value, list) else [value]
    return tuple(sorted({text for item in values if (text := text_of(item))}))
