"""What can be read: for each stream its object type, the properties asked for, and how rows become records."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wellkept import Stream
from wellkept.records import Account, Person, Record, SurveyResponse, Task
from wellkept_hubspot import mapping
from wellkept_hubspot.config import RECORDS, CustomObject, HubSpotConfig
from wellkept_hubspot.mapping import Reading
from wellkept_hubspot.records import HubSpotDeal

MERGED = "hs_merged_object_ids"

COMPANIES = Stream(
    name="companies",
    records=(Account,),
    doc="Companies: an account each, with domains, parent, owner and custom fields.",
    scopes=("crm.objects.companies.read",),
    backfill=True,
    deletes="absence",
)
CONTACTS = Stream(
    name="contacts",
    records=(Person,),
    doc="Contacts: people at customers, with their company and whether they want marketing mail.",
    scopes=("crm.objects.contacts.read", "crm.objects.companies.read"),
    backfill=True,
    deletes="absence",
)
DEALS = Stream(
    name="deals",
    records=(HubSpotDeal,),
    doc="Deals, open, won and lost.",
    scopes=("crm.objects.deals.read", "crm.objects.companies.read"),
    backfill=True,
    deletes="absence",
)
OWNERS = Stream(
    name="owners",
    records=(Person,),
    doc="Owners: the people on our side who look after companies and tasks.",
    scopes=("crm.objects.owners.read",),
    deletes="absence",
)
TASKS = Stream(
    name="tasks",
    records=(Task,),
    doc="Tasks about companies, with their status and outcome.",
    scopes=("crm.objects.contacts.read", "crm.objects.companies.read"),
    backfill=True,
    deletes="absence",
)
FEEDBACK = Stream(
    name="feedback_submissions",
    records=(SurveyResponse,),
    doc="Answers to NPS, CSAT and CES surveys.",
    scopes=("crm.objects.feedback_submissions.read", "crm.objects.contacts.read"),
    backfill=True,
    deletes="absence",
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One stream of CRM objects.

    Attributes:
        stream: The stream.
        type: The object type in paths.
        changed: The property with the time of the last change.
        created: The property with the time of creation.
        properties: What is asked for.
        links: Object types whose associations are read.
        map: Makes the record of a row; raises `RejectedError`.
        record: What it makes.
        event: The word in webhooks before the dot, such as ``company``; None: there are none by that name.
    """

    stream: Stream
    type: str
    properties: tuple[str, ...]
    map: Callable[[Reading], Record]
    record: builtins.type[Record]
    changed: str = "hs_lastmodifieddate"
    created: str = "hs_createdate"
    links: tuple[str, ...] = ("companies",)
    event: str | None = None
    type_ids: tuple[str, ...] = ()


def kinds(config: HubSpotConfig) -> dict[str, Kind]:
    """Return what the configuration asks for, by stream."""
    wanted = frozenset[str](config.streams)
    standard = {kind.stream.name: kind for kind in _standard(config) if kind.stream.name in wanted}
    return {**standard, **{name: _custom(name, table) for name, table in config.objects.items()}}


def _standard(config: HubSpotConfig) -> list[Kind]:
    def asked(stream: str, *names: str) -> tuple[str, ...]:
        chosen = config.fields.get(stream, {}).values()  # type: ignore[call-overload]
        return tuple(dict.fromkeys([*names, *config.extra.get(stream, ()), *chosen]))  # type: ignore[call-overload]

    return [
        Kind(
            stream=COMPANIES,
            type="companies",
            properties=asked(
                "companies", "name", "domain", "hs_additional_domains", "phone", "hs_country_code", "type", "lifecyclestage",
                "hubspot_owner_id", "hs_parent_company_id", MERGED, config.external_id_property,
            ),
            map=mapping.account,
            record=Account,
            created="createdate",
            links=(),
            event="company",
            type_ids=("0-2",),
        ),
        Kind(
            stream=CONTACTS,
            type="contacts",
            properties=asked(
                "contacts", "firstname", "lastname", "email", "hs_additional_emails", "phone", "mobilephone", "hs_buying_role",
                "hs_language", "lifecyclestage", "hs_email_optout", MERGED, *config.optout_properties,
                *([config.consent_property] if config.consent_property else []),
            ),
            map=mapping.person,
            record=Person,
            changed="lastmodifieddate",
            created="createdate",
            event="contact",
            type_ids=("0-1",),
        ),
        Kind(
            stream=DEALS,
            type="deals",
            properties=asked(
                "deals", "dealname", "pipeline", "dealstage", "dealtype", "deal_currency_code", "amount", "hs_is_closed",
                "hs_is_closed_won", "hubspot_owner_id", "closedate", MERGED,
            ),
            map=mapping.deal,
            record=HubSpotDeal,
            created="createdate",
            event="deal",
            type_ids=("0-3",),
        ),
        Kind(
            stream=TASKS,
            type="tasks",
            properties=asked(
                "tasks", "hs_task_subject", "hs_task_status", "hubspot_owner_id", "hs_timestamp", "hs_task_completion_date",
                config.task_outcome_property,
            ),
            map=mapping.task,
            record=Task,
            type_ids=("0-27",),
        ),
        Kind(
            stream=FEEDBACK,
            type="feedback_submissions",
            properties=asked(
                "feedback_submissions", "hs_survey_type", "hs_value", "hs_content", "hs_submission_timestamp", "hs_survey_id",
                "hs_contact_id",
            ),
            map=mapping.survey,
            record=SurveyResponse,
            links=("contacts",),
            type_ids=("0-19",),
        ),
    ]  # fmt: skip


def _custom(name: str, table: CustomObject) -> Kind:
    record = RECORDS[table.record]
    scopes = ("crm.objects.custom.read", "crm.objects.companies.read", "crm.objects.contacts.read")
    stream = Stream(
        name=name,
        records=(record,),
        doc=f"Custom objects {table.object_type}.",
        scopes=scopes,
        backfill=True,
        deletes="absence",
    )
    return Kind(
        stream=stream,
        type=table.object_type,
        properties=tuple(dict.fromkeys([*table.fields.values(), *table.extra])),
        map=partial(mapping.custom, name=name, table=table),
        record=record,
        links=tuple(table.associations),
        type_ids=(table.object_type,),
    )
