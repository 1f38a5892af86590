"""What is in the account at the start: HubSpot's own properties, and the market as a CRM has recorded it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from wellkept.testing.world import Fate, Human, Sighting
from wellkept_hubspot.simulator.state import State, Thing, iso

DAY = 86_400_000

PROPERTIES = {
    "companies": {
        "string": (
            "name domain hs_additional_domains phone hs_country_code type lifecyclestage hubspot_owner_id account_id"
            " hs_merged_object_ids industry"
        ),
        "number": "hs_object_id hs_parent_company_id numberofemployees",
        "datetime": "createdate hs_lastmodifieddate",
    },
    "contacts": {
        "string": (
            "firstname lastname email hs_additional_emails phone mobilephone hs_buying_role hs_language lifecyclestage"
            " hs_merged_object_ids"
        ),
        "number": "hs_object_id associatedcompanyid",
        "bool": "hs_email_optout",
        "datetime": "createdate lastmodifieddate",
    },
    "deals": {
        "string": "dealname pipeline dealstage dealtype deal_currency_code hubspot_owner_id hs_merged_object_ids",
        "number": "hs_object_id amount",
        "bool": "hs_is_closed hs_is_closed_won",
        "datetime": "createdate hs_lastmodifieddate closedate",
    },
    "tasks": {
        "string": "hs_task_subject hs_task_body hs_task_status hs_task_type hubspot_owner_id",
        "number": "hs_object_id",
        "datetime": "hs_createdate hs_lastmodifieddate hs_timestamp hs_task_completion_date",
    },
    "feedback_submissions": {
        "string": "hs_survey_type hs_content hs_survey_id hs_contact_id",
        "number": "hs_object_id hs_value",
        "datetime": "hs_createdate hs_lastmodifieddate hs_submission_timestamp",
    },
}
"""Names by type, for each object type."""

READ_ONLY = frozenset(
    {"hs_object_id", "hs_merged_object_ids", "createdate", "lastmodifieddate", "hs_lastmodifieddate", "hs_createdate"}
)

OWNERS = (("Ada", "Quist"), ("Bo", "Lindqvist"), ("Chen", "Mei"))

NPS: dict[Fate, tuple[int, int]] = {
    "thriving": (9, 10),
    "steady": (7, 9),
    "new": (7, 10),
    "fading": (5, 7),
    "silent": (3, 6),
    "struggling": (1, 5),
    "leaving": (0, 4),
    "failing": (5, 8),
}
"""How each kind of customer answers."""


def define_standard(state: State) -> None:
    """Define the properties that every account has, and one of ours: the account's id on companies."""
    for type_, kinds in PROPERTIES.items():
        state.groups[type_][f"{type_}information"] = {"name": f"{type_}information", "label": type_, "archived": False}
        for kind, names in kinds.items():
            for name in names.split():
                locked = {"archivable": False, "readOnlyDefinition": True, "readOnlyValue": name in READ_ONLY}
                state.define(type_, name, kind, hubspotDefined=name != "account_id", modificationMetadata=locked)


def build(state: State, sightings: Sequence[Sighting], *, seed: int) -> dict[str, Sighting]:
    """Fill the account with what a CRM has recorded; return what is behind each company, by HubSpot's id."""
    now = state.clock.now()
    for number, (first, last) in enumerate(OWNERS, 1):
        state.owners[str(number)] = {
            "id": str(number),
            "email": f"{first}@wellkept.example".lower(),
            "firstName": first,
            "lastName": last,
            "type": "PERSON",
            "userId": 100 + number,
            "createdAt": iso(now - 900 * DAY),
            "updatedAt": iso(now - 900 * DAY),
            "archived": False,
        }
    companies: dict[str, Thing] = {}
    people: dict[str, Thing] = {}
    for number, sighting in enumerate(sightings):
        draw = random.Random(f"hubspot/{seed}/{sighting.ref}")  # noqa: S311 - a simulation
        company = companies[sighting.ref] = _company(state, sighting, owner=str(1 + number % len(OWNERS)))
        for human in sighting.people:
            contact = _contact(state, human, sighting, people)
            state.link(contact, company, primary=not state.links["contacts", "companies"].get(contact.id))
        if sighting.main and not sighting.test:
            _history(state, sighting, company, people, draw)
    for sighting in sightings:
        if sighting.merged_into is not None and sighting.merged_into in companies:
            state.merge(companies[sighting.merged_into], companies[sighting.ref])
    return {companies[sighting.ref].id: sighting for sighting in sightings}


def _company(state: State, sighting: Sighting, *, owner: str) -> Thing:
    first, *more = sighting.domains or ("",)
    values = {
        "name": sighting.name,
        "domain": first,
        "hs_additional_domains": ";".join(more),
        "phone": sighting.phone or "",
        "account_id": sighting.external_id or "",
        "hs_country_code": sighting.company.country,
        "lifecyclestage": "lead" if sighting.company.key.startswith("lead") else "customer",
        "hubspot_owner_id": owner,
    }
    return state.create("companies", {name: text for name, text in values.items() if text}, at=sighting.created_at)


def _contact(state: State, human: Human, sighting: Sighting, people: dict[str, Thing]) -> Thing:
    """Return the contact of a person: one for each address, as HubSpot keeps it."""
    key = human.email or f"{sighting.ref}/{human.key}"
    if key not in people:
        first, _, last = human.name.partition(" ")
        values = {
            "firstname": first,
            "lastname": last,
            "email": human.email or "",
            "phone": human.phone or "",
            "hs_language": human.locale.lower(),
            "hs_buying_role": {"billing": "BUDGET_HOLDER", "admin": "ADMINISTRATOR"}.get(human.role, ""),
            "lifecyclestage": "customer",
        }
        people[key] = state.create("contacts", {name: text for name, text in values.items() if text}, at=sighting.created_at)
    return people[key]


def _history(state: State, sighting: Sighting, company: Thing, people: dict[str, Thing], draw: random.Random) -> None:
    """Add a deal, perhaps a task, and perhaps an answer to a survey."""
    now = state.clock.now()
    fate, since = sighting.company.fate, min(sighting.company.since, now - DAY)
    deal = state.create(
        "deals",
        {
            "dealname": f"{sighting.name} - new business",
            "pipeline": "default",
            "dealstage": "closedwon",
            "dealtype": "newbusiness",
            "deal_currency_code": sighting.company.currency.upper(),
            "amount": str(sighting.company.mrr * 12 // 100),
            "hs_is_closed": "true",
            "hs_is_closed_won": "true",
            "closedate": iso(since),
        },
        at=since,
    )
    state.link(deal, company, primary=True)
    if draw.random() < 0.3:
        at = now - draw.randrange(1, 60) * DAY
        done = draw.random() < 0.6
        values = {
            "hs_task_subject": f"Check in with {sighting.name}",
            "hs_task_status": "COMPLETED" if done else "NOT_STARTED",
            "hs_timestamp": iso(at + 3 * DAY),
            "hubspot_owner_id": company.properties["hubspot_owner_id"],
            **({"hs_task_completion_date": iso(at + DAY)} if done else {}),
        }
        state.link(state.create("tasks", values, at=at), company)
    if sighting.people and draw.random() < 0.5:
        low, high = NPS[fate]
        human = sighting.people[0]
        contact = people[human.email or f"{sighting.ref}/{human.key}"]
        at = now - draw.randrange(1, 80) * DAY
        values = {
            "hs_survey_type": "NPS",
            "hs_value": str(draw.randint(low, high)),
            "hs_submission_timestamp": iso(at),
            "hs_contact_id": contact.id,
        }
        submission = state.create("feedback_submissions", values, at=at)
        state.link(submission, contact)
