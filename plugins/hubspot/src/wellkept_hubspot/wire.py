"""HubSpot's shapes, as far as they are read.

HubSpot's reference has ids and property values as text, whatever their type; some of its answers have numbers all the same.
Both are read, and are text from here on.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    Text = str
else:
    Text = str | int | float | bool


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Base: names are camel case on the wire, and what is not named here is skipped."""


def text(value: str | float) -> str:
    """Return a plain value as HubSpot's text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _settle(struct: Wire, name: str) -> None:
    """Make text of a field that came as a number."""
    value = getattr(struct, name)
    if value is not None and not isinstance(value, str):
        msgspec.structs.force_setattr(struct, name, text(value))


class Obj(Wire, frozen=True):
    """A CRM object of any type. Properties that were asked for and are empty come as null."""

    id: Text
    properties: dict[str, Text | None]
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    archived_at: datetime | None = None

    def __post_init__(self) -> None:
        """Make text of what came as numbers."""
        _settle(self, "id")
        for name, value in self.properties.items():
            if value is not None and not isinstance(value, str):
                self.properties[name] = text(value)


class Owner(Wire, frozen=True):
    """A user of HubSpot who can own records. A queue has no address."""

    id: Text
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None

    def __post_init__(self) -> None:
        """Make text of an id that came as a number."""
        _settle(self, "id")


class LinkType(Wire, frozen=True):
    """What an association says: 1 and "Primary" for the primary company of a contact."""

    type_id: int
    label: str | None = None


class Link(Wire, frozen=True):
    """The far end of an association; its id is a number in some answers."""

    to_object_id: Text
    association_types: list[LinkType] = []

    def __post_init__(self) -> None:
        """Make text of an id that came as a number."""
        _settle(self, "to_object_id")


class Ref(Wire, frozen=True):
    """The near end of an association."""

    id: Text

    def __post_init__(self) -> None:
        """Make text of an id that came as a number."""
        _settle(self, "id")


class Next(Wire, frozen=True):
    """Where the next page begins."""

    after: Text

    def __post_init__(self) -> None:
        """Make text of an id that came as a number."""
        _settle(self, "after")


class Paging(Wire, frozen=True):
    """The place of a page among the others."""

    next: Next | None = None


class Links(msgspec.Struct, frozen=True):
    """The associations of one object. Python has the word `from` for itself."""

    origin: Ref = msgspec.field(name="from")
    to: list[Link]
    paging: Paging | None = None


class LinkAnswer(Wire, frozen=True):
    """A batch of associations. Objects without any are in none of the results."""

    results: list[Links]


class Complaint(Wire, frozen=True):
    """One of the errors inside of an error or a multi-status. The message may repeat values: never show it."""

    message: str | None = None
    category: str | None = None
    code: str | None = None
    context: dict[str, Any] | None = None

    def named(self, key: str) -> tuple[str, ...]:
        """Return what the context says under a key, where it has one value or several."""
        found = (self.context or {}).get(key) or ()
        return tuple(map(str, found)) if isinstance(found, (list, tuple)) else (str(found),)


class ErrorAnswer(Wire, frozen=True):
    """An error. The message may repeat values: it is looked into, and never shown."""

    message: str | None = None
    category: str | None = None
    policy_name: str | None = None
    errors: list[Complaint] | None = None


class Batch(Wire, frozen=True):
    """The answer to a batch; with status 207, `errors` says which inputs failed."""

    results: list[Obj]
    errors: list[Complaint] | None = None


class Details(Wire, frozen=True):
    """The account behind a token."""

    portal_id: int
    account_type: str
    company_currency: str


class Introspection(Wire, frozen=True):
    """What an OAuth token may do."""

    scopes: list[str]


class Property(Wire, frozen=True):
    """The definition of a property."""

    name: str
    type: str
    field_type: str | None = None
    options: list[Option] | None = None
    archived: bool | None = None
    modification_metadata: Modification | None = None

    @property
    def read_only(self) -> bool:
        """Whether nobody but HubSpot itself may set it."""
        return self.modification_metadata is not None and self.modification_metadata.read_only_value


class Option(Wire, frozen=True):
    """A value that an enumeration may have."""

    label: str | None = None
    value: str = ""


class Modification(Wire, frozen=True):
    """What may be changed about a property."""

    read_only_value: bool = False


class Total(Wire, frozen=True):
    """How many objects a search found."""

    total: int


class Notice(Wire, frozen=True):
    """One event of a webhook; many come in one request."""

    event_id: int | str
    subscription_type: str
    portal_id: int
    occurred_at: int
    object_id: int | str | None = None
    object_type_id: str | None = None
    primary_object_id: int | str | None = None
    merged_object_ids: list[int | str] | None = None
    new_object_id: int | str | None = None
    from_object_id: int | str | None = None
    to_object_id: int | str | None = None
    association_type: str | None = None


def epoch_ms(instant: datetime) -> int:
    """Return an instant as epoch milliseconds."""
    return round(instant.timestamp() * 1000)
