"""How each stream is read: where its rows are listed, which events tell of changes, and how rows become records."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from wellkept import Deletion, Reject, Stream
from wellkept.errors import RejectedError
from wellkept.http import decode_rows, together
from wellkept.records import Account, Invoice, Person, Record, Subscription
from wellkept_stripe import mapping, streams, wire
from wellkept_stripe.api import Answer, Api, version_at
from wellkept_stripe.config import StripeConfig
from wellkept_stripe.lookups import Lookups
from wellkept_stripe.mrr import mrr, needs
from wellkept_stripe.records import StripePrice, StripeProduct
from wellkept_stripe.wire_events import Event, Pointed

W = TypeVar("W", bound=wire.Wire)


@dataclass(slots=True)
class Seen(Generic[W]):
    """A row, where it stands in time, and its bytes for the dead letters."""

    row: W
    raw: bytes | msgspec.Raw
    version: int
    updated_at: int | None = None


@dataclass(slots=True)
class Mapped:
    """What came of some rows."""

    records: list[Record] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def add(self, other: Mapped) -> None:
        """Append."""
        self.records += other.records
        self.deletions += other.deletions
        self.rejects += other.rejects


@dataclass(slots=True)
class Subject(Generic[W]):
    """An object that an event is about.

    Attributes:
        id: What `Reader.fetch` takes.
        row: The object as the event shows it; None when it must be read again.
        raw: Its bytes.
        gone: The event says that it was deleted.
    """

    id: str
    row: W | None = None
    raw: bytes | msgspec.Raw = b""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to be read again.

    Attributes:
        id: Its id.
        floor: Its reading is at least as new as this version: what is known to have happened before it was asked for.
        updated_at: When it changed last, if known.
    """

    id: str
    floor: int = 0
    updated_at: int | None = None


class Reader(ABC, Generic[W]):
    """Reads one stream.

    Attributes:
        stream: What core knows of it.
        path: Where its rows are listed, and single ones found below it.
        row: Their shape.
        types: Event types that tell of changes; Stripe takes twenty at most.
        gone: Those of them that tell of deletions.
        expand: What has to be expanded in a row.
        fixed: Parameters of every list.
        by_created: Whether lists can be filtered by `created`.
        prefix: How ids begin, to find one in an event that cannot be read.
    """

    stream: ClassVar[Stream]
    path: ClassVar[str]
    row: ClassVar[type[Any]]
    types: ClassVar[tuple[str, ...]]
    gone: ClassVar[frozenset[str]] = frozenset()
    expand: ClassVar[tuple[str, ...]] = ()
    fixed: ClassVar[Mapping[str, Any]] = {}
    by_created: ClassVar[bool] = True
    prefix: ClassVar[str]

    def __init__(self, api: Api, config: StripeConfig, now: Callable[[], int]) -> None:
        self.api = api
        self.config = config
        self.now = now
        self._decoder: msgspec.json.Decoder[W] = msgspec.json.Decoder(self.row)

    def list_params(self) -> dict[str, Any]:
        """Return the query of a list."""
        expand = {"expand[]": [f"data.{path}" for path in self.expand]} if self.expand else {}
        return {**self.fixed, **expand}

    @abstractmethod
    async def map(self, rows: Sequence[Seen[W]], *, listed: bool) -> Mapped:
        """Turn rows into records; one that cannot be is rejected alone.

        Args:
            rows: What was read.
            listed: From a list, whose end tells what is gone.
        """

    @abstractmethod
    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """Return what to delete when an object is gone."""

    def subjects(self, event: Event) -> list[Subject[W]]:
        """Return what an event is about, with its snapshot where that can be used."""
        id_, row = self._snapshot(event)
        if id_ is None:
            return []
        return [Subject(id_, row if self.usable(row) else None, event.data.object, gone=event.type in self.gone)]

    def usable(self, row: W | None) -> bool:
        """Say whether a snapshot has everything that is read."""
        return row is not None

    def _snapshot(self, event: Event) -> tuple[str | None, W | None]:
        if wire.readable(event.api_version):
            try:
                row = self._decoder.decode(event.data.object)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            else:
                return getattr(row, "id", None), row
        return pointed(event).id, None

    def id_in(self, raw: bytes) -> str | None:
        """Return the id of the object that an unreadable event is about, if that much can be seen."""
        match = re.search(rb'"(' + self.prefix.encode() + rb'_\w{1,64})"', raw)
        return match[1].decode() if match else None

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapped:
        """Read single objects again; one that is gone becomes a deletion."""
        found = Mapped()
        rows: list[Seen[W]] = []
        for seen, other in await together(wanted, self._one):
            found.add(other)
            if seen is not None:
                rows.append(seen)
        found.add(await self.map(rows, listed=False))
        return found

    async def _one(self, wanted: Wanted) -> tuple[Seen[W] | None, Mapped]:
        params = {"expand[]": list(self.expand)} if self.expand else None
        answer = await self.api.find(f"{self.path}/{wanted.id}", params)
        version = max(wanted.floor, version_at(answer.asked_at))
        if not isinstance(answer, Answer):
            return None, Mapped(deletions=self.deletions(wanted.id, version, wanted.updated_at))
        body = b'{"data":[' + answer.response.body + b"]}"
        if any(left.deleted for left, _ in decode_rows(body, wire.Deleted).rows):
            return None, Mapped(deletions=self.deletions(wanted.id, version, wanted.updated_at))
        page = decode_rows(body, self.row)
        if page.rejects:
            return None, Mapped(rejects=page.rejects)
        row, raw = page.rows[0]
        if self.is_gone(row):
            return None, Mapped(deletions=self.deletions(wanted.id, version, wanted.updated_at))
        return Seen(row, raw, version, wanted.updated_at), Mapped()

    def is_gone(self, row: Any) -> bool:
        """Say whether an object that was found is of no account any more."""
        del row
        return False


class RowReader(Reader[W]):
    """A reader whose rows can be mapped one by one."""

    async def map(self, rows: Sequence[Seen[W]], *, listed: bool) -> Mapped:
        """Map each row by itself."""
        del listed
        found = Mapped()
        for seen in rows:
            try:
                found.records += self.records(seen)
            except RejectedError as error:
                found.rejects.append(Reject(raw=bytes(seen.raw), reason=error.message, id=getattr(seen.row, "id", None)))
        return found

    @abstractmethod
    def records(self, seen: Seen[W]) -> Iterable[Record]:
        """Return the records of one row. Raises `RejectedError` when it makes none."""


def pointed(event: Event) -> Pointed:
    """Return the references in an event's object; empty when even they cannot be read."""
    try:
        return msgspec.json.decode(event.data.object, type=Pointed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Pointed()


class Customers(RowReader[wire.Customer]):
    """Customers: an account each, and the person who gets the bills."""

    stream = streams.CUSTOMERS
    path = "/v1/customers"
    row = wire.Customer
    types: ClassVar[tuple[str, ...]] = ("customer.created", "customer.updated", "customer.deleted")
    gone = frozenset({"customer.deleted"})
    prefix = "cus"

    def records(self, seen: Seen[wire.Customer]) -> Iterable[Record]:
        """Return the account, and the person if there is one."""
        row, version, at = seen.row, seen.version, seen.updated_at
        account = mapping.account(row, external_id_key=self.config.external_id_key, version=version, updated_at=at)
        contact = mapping.billing_contact(row, version=version, updated_at=at)
        return (account,) if contact is None else (account, contact)

    async def map(self, rows: Sequence[Seen[wire.Customer]], *, listed: bool) -> Mapped:
        """Remove the person of a customer who has neither address nor number (any more)."""
        found = await super().map(rows, listed=listed)
        for seen in () if listed else rows:
            if mapping.billing_contact(seen.row, version=0, updated_at=None) is None:
                found.deletions.append(Deletion(record=Person, id=seen.row.id, version=seen.version, at=seen.updated_at))
        return found

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """Remove both."""
        return [Deletion(record=type_, id=id_, version=version, at=at) for type_ in (Account, Person)]


class CustomersWithTaxIds(Customers):
    """Customers with their tax ids, which neither events nor plain lists show."""

    types = (*Customers.types, "customer.tax_id.created", "customer.tax_id.updated", "customer.tax_id.deleted")
    expand = ("tax_ids",)

    def subjects(self, event: Event) -> list[Subject[wire.Customer]]:
        """Return the customer of a tax id as well."""
        if not event.type.startswith("customer.tax_id."):
            return super().subjects(event)
        try:
            owner = wire.ref(msgspec.json.decode(event.data.object, type=wire.TaxId).customer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []
        return [] if owner is None else [Subject(owner, None, event.data.object)]

    def usable(self, row: wire.Customer | None) -> bool:
        """No snapshot has everything."""
        return row is not None and row.tax_ids is not msgspec.UNSET


class Subscriptions(Reader[wire.Subscription]):
    """Subscriptions of every status, with their MRR."""

    stream = streams.SUBSCRIPTIONS
    path = "/v1/subscriptions"
    row = wire.Subscription
    types = (
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        "customer.discount.created",
        "customer.discount.updated",
        "customer.discount.deleted",
    )
    expand = ("discounts.source.coupon",)
    fixed: ClassVar[Mapping[str, Any]] = {"status": "all"}
    prefix = "sub"

    def __init__(self, api: Api, config: StripeConfig, now: Callable[[], int]) -> None:
        super().__init__(api, config, now)
        self._lookups = Lookups(api, config.mrr)

    async def map(self, rows: Sequence[Seen[wire.Subscription]], *, listed: bool) -> Mapped:
        """Ask for what MRR and plan depend on, then map."""
        del listed
        now = self.now() // 1000
        whole = await self._lookups.whole([seen.row for seen in rows])
        terms = await self._lookups.terms(whole, now)
        worths = [mrr(row, self.config.mrr, now=now, terms=terms) for row in whole]
        plans = await self._lookups.plans(worth.main.price for worth in worths if worth.main is not None)
        found = Mapped()
        for seen, row, worth in zip(rows, whole, worths, strict=True):
            plan = None if worth.main is None else plans[worth.main.price.id]
            try:
                found.records.append(mapping.subscription(row, worth, plan, version=seen.version, updated_at=seen.updated_at))
            except RejectedError as error:
                found.rejects.append(Reject(raw=bytes(seen.raw), reason=error.message, id=row.id))
        return found

    def subjects(self, event: Event) -> list[Subject[wire.Subscription]]:
        """A discount's event is about the subscription that it is for."""
        if event.type.startswith("customer.discount."):
            id_ = wire.ref(pointed(event).subscription)
            return [] if id_ is None else [Subject(id_)]
        return super().subjects(event)

    def usable(self, row: wire.Subscription | None) -> bool:
        """Events show discounts as ids, and ten items."""
        return row is not None and not needs(row, self.config.mrr, now=self.now() // 1000).discounts

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """A subscription that ended is kept by Stripe; one that is not there was purged."""
        return [Deletion(record=Subscription, id=id_, version=version, at=at)]


class Invoices(RowReader[wire.Invoice]):
    """Invoices of every status."""

    stream = streams.INVOICES
    path = "/v1/invoices"
    row = wire.Invoice
    types = (
        "invoice.created",
        "invoice.updated",
        "invoice.deleted",
        "invoice.finalized",
        "invoice.finalization_failed",
        "invoice.sent",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "invoice.payment_attempt_required",
        "invoice.voided",
        "invoice.marked_uncollectible",
        "invoice.overdue",
        "invoice.overpaid",
        "invoice.will_be_due",
    )
    gone = frozenset({"invoice.deleted"})
    prefix = "in"

    def records(self, seen: Seen[wire.Invoice]) -> Iterable[Record]:
        """Return the invoice."""
        return (mapping.invoice(seen.row, version=seen.version, updated_at=seen.updated_at),)

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """Drafts can be deleted."""
        return [Deletion(record=Invoice, id=id_, version=version, at=at)]


class Prices(RowReader[wire.Price]):
    """Prices, with their tiers."""

    stream = streams.PRICES
    path = "/v1/prices"
    row = wire.Price
    types = ("price.created", "price.updated", "price.deleted")
    gone = frozenset({"price.deleted"})
    expand = ("tiers",)
    prefix = "price"

    def records(self, seen: Seen[wire.Price]) -> Iterable[Record]:
        """Return the price."""
        return (mapping.price(seen.row, version=seen.version, updated_at=seen.updated_at),)

    def usable(self, row: wire.Price | None) -> bool:
        """Events do not show tiers."""
        return row is not None and (row.billing_scheme != "tiered" or row.tiers is not None)

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """A price that was never used can be deleted."""
        return [Deletion(record=StripePrice, id=id_, version=version, at=at)]


class Products(RowReader[wire.Product]):
    """Products."""

    stream = streams.PRODUCTS
    path = "/v1/products"
    row = wire.Product
    types = ("product.created", "product.updated", "product.deleted")
    gone = frozenset({"product.deleted"})
    prefix = "prod"

    def records(self, seen: Seen[wire.Product]) -> Iterable[Record]:
        """Return the product."""
        return (mapping.product(seen.row, version=seen.version, updated_at=seen.updated_at),)

    def deletions(self, id_: str, version: int, at: int | None) -> list[Deletion]:
        """A product without prices can be deleted."""
        return [Deletion(record=StripeProduct, id=id_, version=version, at=at)]
