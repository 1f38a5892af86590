"""Canonical records: what every connector's rows become.

A record is plain data (a frozen `msgspec.Struct`). Rules that hold for every type:

* `id` is the vendor's own id. Together with the type and the instance (added by core) it is the key, so that a user who
  comes with the tickets and with the users is one row.
* `version` orders two readings of the same row: the store keeps the larger one, whatever the order of arrival; of two equal
  ones it keeps the one observed later. Use one scale per type: the vendor's own time of change, or the instant at which the
  reading was *requested*. Epoch ms.
* Every instant is an integer: epoch milliseconds, UTC. Every day is an ISO string, ``2026-11-21``.
* Money is an integer of minor units beside its lower-case ISO 4217 code; see `wellkept.money`.
* References to other rows (`account_ref`, `person_ref`, ...) are ids of the same instance; core resolves them.
* `extra` carries custom fields, as plain JSON values; config can map them to measures.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

Json = Any
"""A plain JSON value: None, bool, int, float, str, list or dict with str keys."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all records; a plugin's own types derive from it as well.

    A subclass names its table with `type` (``"invoice"``; a plugin's own types carry its name:
    ``"stripe.price"``) and says with `history` whether superseded versions are kept.
    Fields may be of type int, float, bool, str, their optional forms, ``list[str]`` or ``dict[str, Json]``.
    """

    type: ClassVar[str]
    history: ClassVar[bool] = False
    """Whether superseded versions are kept on two clocks, so that a past frame can be rebuilt."""
    personal: ClassVar[tuple[str, ...]] = ()
    """Fields that hold personal data: never logged, and removed by an erasure."""
    search: ClassVar[tuple[str, ...]] = ()
    """Fields that `wellkept account NAME` and `unmatched` look in."""

    id: str
    version: int
    updated_at: int | None = None
    """When this state became true at the vendor, epoch ms: `valid_from` of the two clocks. None: when it was observed."""
    extra: dict[str, Json] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "type" not in cls.__dict__:
            raise TypeError(f'{cls.__name__} must name its table: `type: ClassVar[str] = "myplugin.thing"`')


class Account(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A company (or a paying person) as one vendor knows it; several may be the same account."""

    type: ClassVar[str] = "account"
    history: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ("name", "email", "phone", "domains", "tax_ids", "extra")
    search: ClassVar[tuple[str, ...]] = ("name", "email")

    name: str | None = None
    external_id: str | None = None
    """The id that *we* gave this account, where the vendor stores one: the strongest evidence of identity."""
    email: str | None = None
    phone: str | None = None
    """As the vendor has it; only a number in international form (``+49 30 123456``) is evidence of identity."""
    domains: list[str] = []
    """Internet domains that the vendor keeps for this account, or its web site; any spelling, URLs as well."""
    tax_ids: list[str] = []
    """VAT and other tax numbers, with the country in front where the vendor knows it: ``DE123456789``."""
    test: bool = False
    """The vendor says that this is no customer: a sandbox, a test, an internal account."""
    merged_into: str | None = None
    """The record of the same instance into which the vendor has merged this one."""
    merged_ids: list[str] = []
    """Records of the same instance that the vendor has merged into this one."""
    parent_ref: str | None = None
    owner_ref: str | None = None
    """Who looks after the account on our side: a `Person` id of the same instance, or an e-mail address."""
    locale: str | None = None
    """BCP 47 tag, such as ``zh-CN``; decides the language of mail."""
    country: str | None = None
    segment: str | None = None
    seats_bought: int | None = None
    created_at: int | None = None


class Person(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A human at a customer, or an owner or agent on our side."""

    type: ClassVar[str] = "person"
    personal: ClassVar[tuple[str, ...]] = ("name", "email", "other_emails", "phone", "extra")
    search: ClassVar[tuple[str, ...]] = ("name", "email")

    account_ref: str | None = None
    """The account to which the vendor says this person belongs."""
    other_account_refs: list[str] = []
    """Further accounts of the same instance that this person has to do with, such as an agency's customers."""
    account_external_id: str | None = None
    """The id that *we* gave this person's account, where the vendor keeps it on the person."""
    external_id: str | None = None
    """The id that *we* gave this person (the user id of our product), where the vendor stores it."""
    merged_into: str | None = None
    """The record of the same instance into which the vendor has merged this one."""
    test: bool = False
    """The vendor says that this is nobody: a test user, a robot."""
    name: str | None = None
    email: str | None = None
    email_verified: bool = False
    """The vendor has seen a proof that the address is this person's; unproven ones are weaker evidence of identity."""
    other_emails: list[str] = []
    phone: str | None = None
    roles: list[str] = []
    """``billing``, ``owner`` (of the customer's account), ``admin``, ``user``, ``agent`` (ours) or the vendor's word."""
    locale: str | None = None
    time_zone: str | None = None
    marketing_consent: bool | None = None
    """None means that the vendor does not say."""
    created_at: int | None = None


class Subscription(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A recurring contract. `mrr` follows the one definition in `wellkept.money.monthly`'s source."""

    type: ClassVar[str] = "subscription"
    history: ClassVar[bool] = True

    account_ref: str
    status: Literal["trialing", "active", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled"]
    currency: str
    mrr: int | None
    """Minor units a month; 0 while trialing, paused or ended; None where what is at hand does not tell it."""
    plan: str | None = None
    quantity: int | None = None
    """Seats, where the plan is sold by seat."""
    interval: Literal["day", "week", "month", "year"] | None = None
    interval_count: int | None = None
    started_at: int | None = None
    trial_end_at: int | None = None
    period_start_at: int | None = None
    period_end_at: int | None = None
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    """When the wish to cancel was recorded."""
    ended_at: int | None = None
    end_reason: Literal["voluntary", "involuntary", "unknown"] | None = None
    payment_method_ref: str | None = None


class Invoice(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A bill. Amounts are minor units of `currency`."""

    type: ClassVar[str] = "invoice"
    history: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ("number",)

    account_ref: str
    status: Literal["draft", "open", "paid", "void", "uncollectible"]
    currency: str
    amount_due: int
    amount_paid: int = 0
    amount_remaining: int = 0
    subscription_ref: str | None = None
    number: str | None = None
    billing_reason: str | None = None
    collection: Literal["automatic", "manual"] = "automatic"
    attempt_count: int = 0
    """The vendor's own count; at Stripe it is *not* the number of network attempts."""
    next_attempt_at: int | None = None
    due_at: int | None = None
    created_at: int | None = None
    finalized_at: int | None = None
    paid_at: int | None = None


class PaymentAttempt(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One try to collect money."""

    type: ClassVar[str] = "payment_attempt"
    history: ClassVar[bool] = True

    account_ref: str | None = None
    invoice_ref: str | None = None
    payment_method_ref: str | None = None
    status: Literal["succeeded", "failed", "pending", "requires_action", "canceled"]
    currency: str
    amount: int
    attempted_at: int
    decline_code: str | None = None
    """The processor's reason, verbatim; an open vocabulary."""
    network_code: str | None = None
    advice_code: str | None = None
    failure_code: str | None = None


class PaymentMethod(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A card, debit mandate or wallet. Card numbers are never read."""

    type: ClassVar[str] = "payment_method"
    history: ClassVar[bool] = True

    account_ref: str | None = None
    kind: str
    """``card``, ``sepa_debit``, ... in the vendor's words."""
    brand: str | None = None
    last4: str | None = None
    fingerprint: str | None = None
    expires_on: str | None = None
    """The last day on which a card is good, ISO date."""
    is_default: bool = False


class Ticket(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A request for support. Durations are whole minutes; None means not yet, or not known."""

    type: ClassVar[str] = "ticket"
    history: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ("subject", "extra")

    account_ref: str | None = None
    person_ref: str | None = None
    status: str
    created_at: int
    subject: str | None = None
    channel: str | None = None
    """The vendor's word, kept as it is."""
    priority: str | None = None
    tags: list[str] = []
    solved_at: int | None = None
    first_reply_minutes: int | None = None
    first_reply_business_minutes: int | None = None
    resolution_minutes: int | None = None
    resolution_business_minutes: int | None = None
    pending_minutes: int | None = None
    reopens: int = 0
    churn_intent: bool = False
    """The text says that the customer wants to leave."""


class Usage(Record, frozen=True, kw_only=True, omit_defaults=True):
    """How often one subject did one thing on one day. `id` is derived: see `Usage.key`."""

    type: ClassVar[str] = "usage"

    subject: str
    """The vendor's id of the acting person, or of the account."""
    account_ref: str | None = None
    person_ref: str | None = None
    event: str
    day: str
    """The vendor project's own day, ISO."""
    count: int

    @classmethod
    def of(
        cls,
        *,
        subject: str,
        event: str,
        day: str,
        count: int,
        version: int,
        account_ref: str | None = None,
        person_ref: str | None = None,
    ) -> Usage:
        """Return the row for (subject, event, day), whose id is the same for every reading.

        Somebody who acts for several accounts on one day has a row for each: where the account is named, it is part of the id.
        """
        plain = f"{day}|{len(event)}:{event}|{subject}"
        return cls(
            id=plain if account_ref is None else f"{day}@{len(event)}:{event}|{len(subject)}:{subject}|{account_ref}",
            version=version,
            subject=subject,
            account_ref=account_ref,
            person_ref=person_ref,
            event=event,
            day=day,
            count=count,
        )


class SurveyResponse(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One answer to one question, with its scale, so that NPS and CSAT never mix."""

    type: ClassVar[str] = "survey_response"
    personal: ClassVar[tuple[str, ...]] = ("comment",)

    account_ref: str | None = None
    person_ref: str | None = None
    kind: Literal["nps", "csat", "ces", "other"]
    score: float
    scale_min: float
    scale_max: float
    answered_at: int
    comment: str | None = None
    churn_intent: bool = False


class Touch(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One marketing or mail interaction: sent, delivered, opened, clicked, visited."""

    type: ClassVar[str] = "touch"

    account_ref: str | None = None
    person_ref: str | None = None
    kind: str
    channel: str | None = None
    campaign: str | None = None
    at: int


class Task(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A to-do of ours about an account."""

    type: ClassVar[str] = "task"
    history: ClassVar[bool] = True
    personal: ClassVar[tuple[str, ...]] = ("title",)

    account_ref: str | None = None
    owner_ref: str | None = None
    title: str | None = None
    status: str
    outcome: str | None = None
    due_at: int | None = None
    created_at: int | None = None
    completed_at: int | None = None


class TimelineEvent(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Something worth showing on an account's timeline that no other type covers."""

    type: ClassVar[str] = "timeline_event"
    personal: ClassVar[tuple[str, ...]] = ("text",)

    account_ref: str | None = None
    kind: str
    text: str
    at: int


CANONICAL: tuple[type[Record], ...] = (
    Account,
    Person,
    Subscription,
    Invoice,
    PaymentAttempt,
    PaymentMethod,
    Ticket,
    Usage,
    SurveyResponse,
    Touch,
    Task,
    TimelineEvent,
)
"""The types that core knows; a plugin adds its own through the `record_types` hook."""

__all__ = [
    "CANONICAL",
    "Account",
    "Invoice",
    "Json",
    "PaymentAttempt",
    "PaymentMethod",
    "Person",
    "Record",
    "Subscription",
    "SurveyResponse",
    "Task",
    "Ticket",
    "TimelineEvent",
    "Touch",
    "Usage",
]
