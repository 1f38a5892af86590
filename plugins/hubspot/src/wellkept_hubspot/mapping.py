"""From HubSpot's objects to canonical records, one short function each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple, TypeVar, cast

import msgspec

from wellkept.errors import RejectedError
from wellkept.money import exponent, round_half_even
from wellkept.records import Account, Person, Record, SurveyResponse, Task
from wellkept_hubspot.config import RECORDS, CustomObject, HubSpotConfig
from wellkept_hubspot.records import HubSpotDeal, HubSpotObject
from wellkept_hubspot.wire import Obj, Owner, epoch_ms

R = TypeVar("R", bound=Record)

MONEY = frozenset({"mrr", "amount", "amount_due", "amount_paid", "amount_remaining"})
"""Fields in minor units, which HubSpot has as decimal text in units of the currency."""

LISTS = frozenset({"domains", "roles", "tags"})
"""Fields with several values, which HubSpot separates with semicolons."""

OWNER = "owner:"
"""Before the ids of owners, which are people like contacts but are counted on their own."""


_VALUE = re.compile(r"^(Invalid (?:enum )?value) .*?(?= - at |$)", re.DOTALL)
"""The value that a decoder complains of is not shown: it may be personal."""


class Refs(NamedTuple):
    """What an object is associated with."""

    company: str | None = None
    contact: str | None = None
    other_companies: tuple[str, ...] = ()


class House(NamedTuple):
    """What holds for the whole account."""

    config: HubSpotConfig
    currency: str


class Reading(NamedTuple):
    """One object as it was read."""

    row: Obj
    version: int
    refs: Refs
    house: House

    def get(self, name: str) -> str | None:
        """Return a property's text, or None where it is empty."""
        return self.row.properties.get(name) or None

    def flag(self, name: str) -> bool | None:
        """Return a property that is true or false."""
        text = self.get(name)
        return None if text is None else text.lower() == "true"

    def chosen(self, *names: str) -> dict[str, str]:
        """Return those of some properties that are not empty."""
        found = {name: self.get(name) for name in names}
        return {name: text for name, text in found.items() if text is not None}


def account(seen: Reading) -> Account:
    """Return the account of a company."""
    domains = [seen.get("domain"), *(seen.get("hs_additional_domains") or "").split(";")]
    clean = dict.fromkeys(domain.strip().lower() for domain in domains if domain and domain.strip())
    config = seen.house.config
    return _record(
        Account,
        seen,
        "companies",
        name=seen.get("name"),
        external_id=seen.get(config.external_id_property),
        phone=seen.get("phone"),
        domains=list(clean),
        merged_ids=merged(seen.row),
        parent_ref=seen.get("hs_parent_company_id"),
        owner_ref=owner_ref(seen.get("hubspot_owner_id")),
        country=seen.get("hs_country_code"),
        segment=seen.get("type"),
        extra=seen.chosen("lifecyclestage", *config.extra.get("companies", ())),
        created_at=epoch_ms(seen.row.created_at),
    )


def person(seen: Reading) -> Person:
    """Return the person of a contact."""
    config = seen.house.config
    names = [seen.get("firstname"), seen.get("lastname")]
    roles = (seen.get("hs_buying_role") or "").lower().split(";")
    return _record(
        Person,
        seen,
        "contacts",
        account_ref=seen.refs.company,
        other_account_refs=list(seen.refs.other_companies),
        name=" ".join(name for name in names if name) or None,
        email=seen.get("email"),
        other_emails=_parts(seen.get("hs_additional_emails")),
        phone=seen.get("phone") or seen.get("mobilephone"),
        roles=[role for role in roles if role],
        locale=_locale(seen.get("hs_language")),
        marketing_consent=consent(seen),
        extra=seen.chosen("lifecyclestage", *config.extra.get("contacts", ())),
        created_at=epoch_ms(seen.row.created_at),
    )


def consent(seen: Reading) -> bool | None:
    """Return whether a contact agreed to marketing mail: an opt-out outweighs everything, and silence is no consent."""
    config = seen.house.config
    if any(seen.flag(name) for name in ("hs_email_optout", *config.optout_properties)):
        return False
    return seen.flag(config.consent_property) if config.consent_property else None


def deal(seen: Reading) -> HubSpotDeal:
    """Return a deal, its amount in minor units of its currency, or of the account's."""
    currency = (seen.get("deal_currency_code") or seen.house.currency).lower()
    return _record(
        HubSpotDeal,
        seen,
        "deals",
        account_ref=seen.refs.company,
        name=seen.get("dealname"),
        pipeline=seen.get("pipeline"),
        stage=seen.get("dealstage"),
        deal_type=seen.get("dealtype"),
        currency=currency,
        amount=seen.get("amount"),
        is_closed=seen.flag("hs_is_closed") or False,
        is_won=seen.flag("hs_is_closed_won") or False,
        owner_ref=owner_ref(seen.get("hubspot_owner_id")),
        close_at=seen.get("closedate"),
        extra=seen.chosen(*seen.house.config.extra.get("deals", ())),
        created_at=epoch_ms(seen.row.created_at),
    )


def task(seen: Reading) -> Task:
    """Return a task; its status in HubSpot's words (``NOT_STARTED``, ``COMPLETED``, ...), its outcome as people noted it."""
    config = seen.house.config
    done = seen.get("hs_task_status") == "COMPLETED"
    return _record(
        Task,
        seen,
        "tasks",
        account_ref=seen.refs.company,
        owner_ref=owner_ref(seen.get("hubspot_owner_id")),
        title=seen.get("hs_task_subject"),
        status=seen.get("hs_task_status") or "NOT_STARTED",
        outcome=seen.get(config.task_outcome_property),
        due_at=seen.get("hs_timestamp"),
        completed_at=seen.get("hs_task_completion_date") if done else None,
        extra=seen.chosen(*config.extra.get("tasks", ())),
        created_at=epoch_ms(seen.row.created_at),
    )


def survey(seen: Reading) -> SurveyResponse:
    """Return an answer to a survey, with the scale of its kind.

    Raises:
        RejectedError: It has no score, or one beyond the scale.
    """
    kind = cast(
        'Literal["nps", "csat", "ces", "other"]',
        {"NPS": "nps", "CSAT": "csat", "CES": "ces"}.get((seen.get("hs_survey_type") or "").upper(), "other"),
    )
    text = seen.get("hs_value")
    try:
        score = float(text or "")
    except ValueError:
        raise RejectedError("hs_value is no number") from None
    low, high = seen.house.config.feedback_scales.get(kind, (0, 10))
    if not low <= score <= high:
        raise RejectedError(f"hs_value is beyond the scale of {kind} ({low:g} to {high:g}); set feedback_scales")
    return _record(
        SurveyResponse,
        seen,
        "feedback_submissions",
        account_ref=seen.refs.company,
        person_ref=seen.refs.contact or seen.get("hs_contact_id"),
        kind=kind,
        score=score,
        scale_min=float(low),
        scale_max=float(high),
        answered_at=seen.get("hs_submission_timestamp") or epoch_ms(seen.row.created_at),
        comment=seen.get("hs_content"),
        extra=seen.chosen("hs_survey_id", *seen.house.config.extra.get("feedback_submissions", ())),
    )


def custom(seen: Reading, name: str, table: CustomObject) -> Record:
    """Return a custom object as the record that the configuration makes of it."""
    type_ = RECORDS[table.record]
    own = {"account_ref": seen.refs.company, "person_ref": seen.refs.contact, "created_at": epoch_ms(seen.row.created_at)}
    values: dict[str, Any] = {field: value for field, value in own.items() if field in type_.__struct_fields__}
    if type_ is HubSpotObject:
        values["kind"] = name
    mapped = {field: seen.get(property_) for field, property_ in table.fields.items()}
    return _build(type_, seen, {**values, **table.values, **mapped}, seen.chosen(*table.extra))


def agent(owner: Owner, version: int) -> Person:
    """Return an owner: somebody on our side."""
    return Person(
        id=OWNER + owner.id,
        version=version,
        updated_at=epoch_ms(owner.updated_at),
        name=" ".join(name for name in (owner.first_name, owner.last_name) if name) or None,
        email=owner.email or None,
        roles=["agent"],
        created_at=epoch_ms(owner.created_at),
    )


def owner_ref(id_: str | None) -> str | None:
    """Return the person that an owner's id stands for."""
    return None if id_ is None else OWNER + id_


def merged(row: Obj) -> list[str]:
    """Return the ids of objects that were merged into this one."""
    return [id_ for id_ in _parts(row.properties.get("hs_merged_object_ids")) if id_ != row.id]


def _parts(text: str | None) -> list[str]:
    """Return the values of a property that holds several."""
    return [part.strip() for part in (text or "").split(";") if part.strip()]


def _record(type_: type[R], seen: Reading, stream: str, *, extra: Mapping[str, str], **values: Any) -> R:
    """Build a record of a standard object, with the fields that the configuration takes from other properties."""
    chosen = seen.house.config.fields.get(stream, {})  # type: ignore[call-overload]
    return _build(type_, seen, {**values, **{field: seen.get(name) for field, name in chosen.items()}}, extra)


def _build(type_: type[R], seen: Reading, values: Mapping[str, Any], extra: Mapping[str, str]) -> R:
    fields = {field: value for field, value in values.items() if value is not None}
    currency = str(fields.get("currency", seen.house.currency)).lower()
    if "currency" in fields:
        fields["currency"] = currency
    for field in fields.keys() & MONEY:
        fields[field] = _minor(field, fields[field], currency)
    for field, value in fields.items():
        if isinstance(value, str) and field.endswith("_at"):
            fields[field] = _instant(field, value)
        elif isinstance(value, str) and field in LISTS:
            fields[field] = _parts(value)
    for info in msgspec.structs.fields(type_):
        if info.required and info.name in values and info.name not in fields:
            fields[info.name] = None  # convert says whether that will do
    whole = {"id": seen.row.id, "version": seen.version, "updated_at": epoch_ms(seen.row.updated_at), "extra": dict(extra)}
    try:
        return msgspec.convert({**fields, **whole}, type_, strict=False)
    except msgspec.ValidationError as error:
        raise RejectedError(_VALUE.sub(r"\1", str(error))) from None


def _minor(field: str, value: Any, currency: str) -> int:
    """Return minor units; what HubSpot computed with more decimals is rounded."""
    try:
        return round_half_even(Decimal(str(value)).scaleb(exponent(currency)))
    except KeyError:
        raise RejectedError(f"{field} is in a currency that ISO 4217 does not have") from None
    except (InvalidOperation, ValueError, OverflowError):
        raise RejectedError(f"{field} is no amount of {currency.upper()}") from None


def _instant(field: str, text: str) -> int:
    """Return epoch ms of an ISO instant, an ISO day (at midnight UTC, as HubSpot means it) or epoch ms as text."""
    if text.lstrip("-").isdigit() and len(text) > 8:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RejectedError(f"{field} is no instant") from None
    return epoch_ms(found if found.tzinfo else found.replace(tzinfo=UTC))


def _locale(text: str | None) -> str | None:
    """Return HubSpot's ``zh-cn`` as BCP 47's ``zh-CN``."""
    if text is None:
        return None
    language, _, region = text.replace("_", "-").partition("-")
    return f"{language.lower()}-{region.upper()}" if region else language.lower()
