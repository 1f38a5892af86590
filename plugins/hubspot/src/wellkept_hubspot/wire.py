"""HubSpot's shapes, as far as they are read. Every property value is text, whatever the property's type."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Base: names are camel case on the wire, and what is not named here is skipped."""


class Obj(Wire, frozen=True):
    """A CRM object of any type. Properties that were asked for and are empty come as null."""

    id: str
    properties: dict[str, str | None]
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    archived_at: datetime | None = None


class Owner(Wire, frozen=True):
    """A user of HubSpot who can own records. A queue has no address."""

    id: str
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    user_id: int | None = None


class LinkType(Wire, frozen=True):
    """What an association says: 1 and "Primary" for the primary company of a contact."""

    type_id: int
    label: str | None = None


class Link(Wire, frozen=True):
    """The far end of an association; its id is a number in some answers."""

    to_object_id: str | int
    association_types: list[LinkType]


class Ref(Wire, frozen=True):
    """The near end of an association."""

    id: str


class Next(Wire, frozen=True):
    """Where the next page begins."""

    after: str


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

    message: str = ""
    category: str | None = None
    code: str | None = None
    context: dict[str, Any] = {}


class ErrorAnswer(Wire, frozen=True):
    """An error. The message may repeat values: it is looked into, and never shown."""

    message: str = ""
    category: str | None = None
    policy_name: str | None = None
    errors: list[Complaint] = []


class Batch(Wire, frozen=True):
    """The answer to a batch; with status 207, `errors` says which inputs failed."""

    results: list[Obj]
    errors: list[Complaint] = []


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
    field_type: str = ""
    options: list[Option] = []
    archived: bool | None = None
    modification_metadata: Modification | None = None

    @property
    def read_only(self) -> bool:
        """Whether nobody but HubSpot itself may set it."""
        return self.modification_metadata is not None and self.modification_metadata.read_only_value


class Option(Wire, frozen=True):
    """A value that an enumeration may have."""

    label: str
    value: str


class Modification(Wire, frozen=True):
    """What may be changed about a property."""

    read_only_value: bool = False


class Total(Wire, frozen=True):
    """How many objects a search found."""

    total: int


class Notice(Wire, frozen=True):
    """One event of a webhook; many come in one request."""

    event_id: int
    subscription_type: str
    portal_id: int
    occurred_at: int
    object_id: int | None = None
    object_type_id: str | None = None
    primary_object_id: int | None = None
    merged_object_ids: list[int] = []
    new_object_id: int | None = None
    from_object_id: int | None = None
    to_object_id: int | None = None
    association_type: str | None = None


def epoch_ms(instant: datetime) -> int:
    """Return an instant as epoch milliseconds."""
    return round(instant.timestamp() * 1000)
