"""Records of HubSpot's own: deals, and custom objects that fit no canonical type."""

from __future__ import annotations

from typing import ClassVar

from wellkept.records import Record


class HubSpotDeal(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A sale under way, won or lost: a renewal or an expansion, as the team sees it. `amount` is in minor units."""

    type: ClassVar[str] = "hubspot.deal"
    history: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ("name", "extra")

    account_ref: str | None = None
    name: str | None = None
    pipeline: str | None = None
    stage: str | None = None
    deal_type: str | None = None
    """``newbusiness``, ``existingbusiness`` or the account's own word."""
    currency: str | None = None
    amount: int | None = None
    is_closed: bool = False
    is_won: bool = False
    owner_ref: str | None = None
    close_at: int | None = None
    created_at: int | None = None


class HubSpotObject(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One custom object, its properties in `extra`; all kinds share the table, told apart by `kind`."""

    type: ClassVar[str] = "hubspot.object"
    history: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ("name", "extra")

    kind: str
    """The name of its table in the configuration."""
    account_ref: str | None = None
    person_ref: str | None = None
    name: str | None = None
    status: str | None = None
    owner_ref: str | None = None
    created_at: int | None = None
