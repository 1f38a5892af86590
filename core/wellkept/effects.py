"""Effects: what a policy asks for, and the typed payloads of the capabilities that serve them.

A policy never names a plugin. It names a *capability* by the type of its payload; the action that owns the target's
source, or the one that config names, serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from wellkept.records import Json

Kind = Literal["state", "once", "message"]
"""How an effect behaves when it is planned twice or its outcome is unknown.

========  ============================================================  ===================================================
kind      same effect                                                   after an unknown outcome
========  ============================================================  ===================================================
state     the newest value per (target, field) wins; order per target   sent again, which is harmless
once      its key, for ever                                             looked up at the vendor; the same key only inside the
                                                                        vendor's own window; never a new key
message   its key, for ever                                             held for a person; never sent twice
========  ============================================================  ===================================================
"""

State = Literal["planned", "held", "sending", "done", "rejected", "unknown", "superseded", "expired"]
"""Where an effect is. ``done``, ``rejected``, ``superseded`` and ``expired`` are final."""


Priority = Literal["low", "normal", "high", "urgent"]
"""How soon a ticket should be answered. Vendors with other words map them."""

PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high", "urgent")
"""From the least to the most pressing; a ticket without a priority comes before all."""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the typed payloads. A plugin may add its own capability of kind ``state`` or ``once`` by subclassing it.

    It is stored as (capability, JSON) and read back as the type that the serving action names, so fields may only be added,
    with defaults. A ``state`` payload has one field, ``properties``.
    """

    capability: ClassVar[str]
    kind: ClassVar[Kind]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        missing = [name for name in ("capability", "kind") if name not in cls.__dict__]
        if missing:
            raise TypeError(f"{cls.__name__} must set {' and '.join(missing)}")


class ScorePush(Payload, frozen=True, kw_only=True):
    """Set properties of one vendor record: capability ``score.push``.

    Attributes:
        properties: Property name at the vendor to its new value; None clears it.
    """

    capability: ClassVar[str] = "score.push"
    kind: ClassVar[Kind] = "state"

    properties: Mapping[str, str | int | float | bool | None]


class MessageSend(Payload, frozen=True, kw_only=True):
    """Send one message to one recipient: capability ``message.send``.

    Attributes:
        template: The template's name. The template itself says whether it is transactional or marketing.
        to: A role (``billing``, ``owner``, ``team``) or a person (``person:INSTANCE:ID``), never an address: core resolves
            it just before sending, and the outbox holds no address.
        locale: BCP 47 tag; None takes the recipient's own, then the account's, then the configured default.
        variables: What the template may use; plain values only.
    """

    capability: ClassVar[str] = "message.send"
    kind: ClassVar[Kind] = "message"

    template: str
    to: str
    locale: str | None = None
    variables: Mapping[str, Json] = {}


class TaskCreate(Payload, frozen=True, kw_only=True):
    """Give somebody on our side a task about an account: capability ``task.create``.

    Attributes:
        title: One line.
        body: Plain text, may be empty.
        assignee: A role or a person, as in `MessageSend.to`.
        due_at: Epoch ms; None means no date.
    """

    capability: ClassVar[str] = "task.create"
    kind: ClassVar[Kind] = "once"

    title: str
    body: str = ""
    assignee: str = "owner"
    due_at: int | None = None


class TicketPriority(Payload, frozen=True, kw_only=True):
    """Raise the priority of one ticket: capability ``ticket.priority``. Its target is the ticket.

    An action never lowers a priority, except to put back what stood there before (`StateDelivery.restores`).

    Attributes:
        properties: ``{"priority": "high"}``: one of `PRIORITIES`; None only when a prior value is put back.
    """

    capability: ClassVar[str] = "ticket.priority"
    kind: ClassVar[Kind] = "state"

    properties: Mapping[Literal["priority"], Priority | None]


class TicketTag(Payload, frozen=True, kw_only=True):
    """Add tags to one ticket: capability ``ticket.tag``. Its target is the ticket; its other tags stay.

    Attributes:
        properties: A tag to True, ``{"at_risk": True}``; None only when a tag of ours is taken away again.
    """

    capability: ClassVar[str] = "ticket.tag"
    kind: ClassVar[Kind] = "state"

    properties: Mapping[str, Literal[True] | None]


class TicketAssign(Payload, frozen=True, kw_only=True):
    """Give one ticket to an agent, a group, or an agent of a group: capability ``ticket.assign``. Its target is the ticket.

    Attributes:
        properties: ``assignee`` to the vendor's id of the agent, ``group`` to the group's name; None clears it.
    """

    capability: ClassVar[str] = "ticket.assign"
    kind: ClassVar[Kind] = "state"

    properties: Mapping[Literal["assignee", "group"], str | None]


class TicketNote(Payload, frozen=True, kw_only=True):
    """Write a note onto one ticket that only our own people see: capability ``ticket.note``. Its target is the ticket.

    Attributes:
        text: Plain text.
    """

    capability: ClassVar[str] = "ticket.note"
    kind: ClassVar[Kind] = "once"

    text: str


class Target(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A vendor's record: the instance that owns it, its type (``account``, ``ticket``) and its id there."""

    instance: str
    type: str
    id: str


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be done outside, and why.

    Attributes:
        key: Names the effect for ever: planning the same key again plans nothing. Build it from what makes it unique
            (``acct_1/2026-11-21``); core prefixes the instance and name of the policy. For ``state`` effects core builds
            the key itself, and this is left empty.
        payload: What to do.
        account: The canonical account id that it is about. An effect without one is held.
        target: The vendor record it changes. None: core finds the instance that serves the capability and the account's
            record there.
        reason: One sentence for the audit trail: what was seen, and which rule.
        not_before: Earliest instant, epoch ms.
        expires_at: Past this instant it is expired instead of sent.
        approval: A person must approve it before it is sent.
    """

    payload: Payload
    account: str | None
    reason: str
    key: str = ""
    target: Target | None = None
    not_before: int | None = None
    expires_at: int | None = None
    approval: bool = False
