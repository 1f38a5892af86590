"""The standard tests, on HubSpot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import pytest

from wellkept import ScorePush, TaskCreate, WebhookRequest
from wellkept.testing import FakeClock, Fault, Spec
from wellkept.testing.conformance import ActionTests, Case, SourceTests, WebhookTests
from wellkept_hubspot.simulator import HubSpotSimulator
from wellkept_hubspot.simulator.state import iso
from wellkept_hubspot.tasks import KEY

URL = "https://wellkept.example/webhooks/hubspot"
DAY = 86_400_000
OWN = {
    "companies": ("seats", "tier", "industry"),
    "contacts": ("wants_mail", "hs_email_optout_12", "title", "skills"),
    "deals": ("arr", "next_step"),
    "tasks": ("wellkept_outcome", "hs_task_priority"),
    "feedback_submissions": ("language",),
}
"""Properties that people at the vendor have added."""


class HubSpot(Case):
    plugin = "hubspot"

    @pytest.fixture
    def description(self, optional_spec: Spec | None) -> Spec | None:
        return optional_spec

    def vendor(self, clock: FakeClock) -> HubSpotSimulator:
        simulator = HubSpotSimulator(accounts=1, clock=clock, seed=5)
        for type_, names in OWN.items():
            for name in names:
                simulator.state.define(type_, name)
        options = [{"label": "Gold", "value": "g", "hidden": False}, {"label": "", "value": "s", "hidden": False}]
        simulator.state.define("companies", "tier", "enumeration", options=options)
        simulator.state.define("companies", "tiers", "enumeration", fieldType="checkbox", options=options)
        for name, kind in (("opened", "date"), ("started", "datetime"), ("members", "number")):
            simulator.state.define("companies", name, kind)
        _companies(simulator, clock.now() - 200 * DAY)
        _contacts(simulator, clock.now() - 150 * DAY)
        _about(simulator, clock.now() - 100 * DAY)
        _custom(simulator, clock.now() - 50 * DAY)
        simulator.state.owners["2"]["lastName"] = None
        simulator.state.owners["3"] |= {"firstName": "", "lastName": "", "email": ""}
        simulator.log.clear()
        simulator.state.notices.clear()
        return simulator

    def keys(self, vendor: HubSpotSimulator, url: str) -> Mapping[str, Any]:
        return {
            "access_token": "env:HUBSPOT_TOKEN",
            "webhook_secret": ["env:HUBSPOT_NEXT_SECRET", "env:HUBSPOT_WEBHOOK_SECRET"],
            "consent_property": "wants_mail",
            "optout_properties": ["hs_email_optout_12"],
            "extra": {"companies": ["industry"], "contacts": ["title"], "deals": ["next_step"], "tasks": ["hs_task_priority"]},
            "fields": {
                "companies": {"seats_bought": "seats", "segment": "tier"},
                "contacts": {"time_zone": "skills"},
                "deals": {"stage": "arr"},
            },
            "objects": {
                "contracts": {
                    "object_type": "2-77",
                    "record": "subscription",
                    "values": {"status": "active"},
                    "fields": {"mrr": "monthly", "currency": "money", "plan": "plan", "started_at": "begins"},
                },
                "projects": {
                    "object_type": "2-78",
                    "fields": {"name": "title"},
                    "extra": ["phase"],
                    "associations": ["companies", "contacts"],
                },
            },
            "property_types": {"wellkept_since": "datetime"},
            "api_base": url,
        }

    def secrets(self, vendor: HubSpotSimulator) -> Mapping[str, str]:
        return {
            "HUBSPOT_TOKEN": vendor.token,
            "HUBSPOT_WEBHOOK_SECRET": vendor.webhook_secret,
            "HUBSPOT_NEXT_SECRET": "the-secret-after-the-next-rotation",
        }

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_hubspot.reading.PAGE", 3)
        monkeypatch.setattr("wellkept_hubspot.reading.SEARCH_PAGE", 2)
        monkeypatch.setattr("wellkept_hubspot.checking.PAGE", 3)
        monkeypatch.setattr("wellkept_hubspot.checking.SEARCH_PAGE", 2)
        monkeypatch.setattr("wellkept_hubspot.api.OWNERS_PAGE", 2)
        monkeypatch.setattr("wellkept_hubspot.simulator.endpoints.LINK_PAGE", 2)


def _companies(simulator: HubSpotSimulator, at: int) -> None:
    """Add a company with everything, one with next to nothing, and one into which two others were merged."""
    make = partial(simulator.state.create, "companies", at=at)
    parent = make({"name": "Parent", "domain": "Parent.Example", "seats": "", "tier": "gold", "hubspot_owner_id": "1"})
    everything = {
        "name": "Everything",
        "domain": "Every.Example ",
        "hs_additional_domains": "thing.example; ;every.example",
        "phone": "+4930123",
        "hs_country_code": "DE",
        "type": "CUSTOMER",
        "lifecyclestage": "customer",
        "hubspot_owner_id": "2",
        "hs_parent_company_id": parent.id,
        "account_id": "acct-9",
        "industry": "COMPUTER_SOFTWARE",
        "seats": "12",
    }
    kept = make(everything)
    make({"hubspot_owner_id": "2"})
    simulator.state.merge(kept, make({"name": "Merged first"}))
    simulator.state.merge(kept, make({"name": "Merged second"}))


def _contacts(simulator: HubSpotSimulator, at: int) -> None:
    """Add contacts: in each of them other fields are there; one works for three companies."""
    make = partial(simulator.state.create, "contacts", at=at)
    first, second, third = islice(simulator.state.standing("companies"), 3)
    everything = {
        "firstname": "Mei",
        "lastname": "Chen",
        "email": "mei@every.example",
        "hs_additional_emails": "m@thing.example; ;mei.chen@every.example",
        "phone": "+861",
        "mobilephone": "+862",
        "hs_buying_role": "BUDGET_HOLDER;DECISION_MAKER",
        "hs_language": "zh-cn",
        "lifecyclestage": "customer",
        "wants_mail": "true",
        "title": "CFO",
        "skills": "Asia/Shanghai",
    }
    busy = make(everything)
    simulator.state.link(busy, first)
    simulator.state.link(busy, second)
    simulator.state.link(busy, third, primary=True)
    simulator.state.link(make({"lastname": "Solo", "mobilephone": "+1", "hs_language": "DE", "wants_mail": "false"}), first)
    make({"firstname": "Opted", "wants_mail": "true", "hs_email_optout": "true"})
    make({"firstname": "Picky", "wants_mail": "TRUE", "hs_email_optout_12": "true", "hs_email_optout": "false"})
    simulator.state.merge(make({"email": "kept@every.example"}), make({"email": "gone@every.example"}))


def _about(simulator: HubSpotSimulator, at: int) -> None:
    """Add deals, tasks and answers to surveys, in all their states."""
    state = simulator.state
    company, other = islice(state.standing("companies"), 2)
    contact = next(state.standing("contacts"))
    deals = [
        {"amount": "12.5", "hs_is_closed": "true", "hs_is_closed_won": "false", "closedate": iso(at), "next_step": "7"},
        {"dealname": "Yen", "amount": "1200", "deal_currency_code": "JPY", "closedate": "2026-11-30", "arr": "own"},
        {
            "dealname": "Dinar",
            "amount": "1.2345",
            "deal_currency_code": "KWD",
            "hubspot_owner_id": "1",
            "closedate": "20261130",
        },
        {"dealname": "Nothing", "dealtype": "existingbusiness", "pipeline": "p", "dealstage": "open"},
    ]
    for values in deals:
        state.link(state.create("deals", values, at=at), company, primary=True)
    state.create("deals", {"dealname": "Of nobody", "amount": "-5", "closedate": "1790337600000"}, at=at)
    done = {"hs_task_status": "COMPLETED", "hs_task_completion_date": iso(at + DAY), "wellkept_outcome": "solved"}
    tasks = [
        {"hs_task_subject": "Done", "hs_timestamp": iso(at), "hubspot_owner_id": "1", "hs_task_priority": "HIGH", **done},
        {"hs_task_subject": "Open again", **done, "hs_task_status": "NOT_STARTED"},
        {},
    ]
    for values in tasks:
        state.link(state.create("tasks", values, at=at), other)
    state.create("tasks", {"hs_task_subject": "Of nobody", "hs_task_status": "WAITING"}, at=at)
    answers: list[dict[str, str]] = [
        {
            "hs_survey_type": "NPS",
            "hs_value": "10",
            "hs_content": "Fine",
            "hs_submission_timestamp": iso(at + 1),
            "hs_survey_id": "3",
        },
        {"hs_survey_type": "csat", "hs_value": "1", "hs_contact_id": "77"},
        {"hs_survey_type": "CES", "hs_value": "7"},
        {"hs_value": "0", "hs_contact_id": contact.id},
    ]
    for values in answers:
        answer = state.create("feedback_submissions", values, at=at)
        if "hs_contact_id" not in values:
            state.link(answer, contact)


def _custom(simulator: HubSpotSimulator, at: int) -> None:
    """Add objects of two types of the account's own."""
    state = simulator.state
    company, contact = next(state.standing("companies")), next(state.standing("contacts"))
    for name, id_, properties in (("contracts", "2-77", "monthly money plan begins"), ("projects", "2-78", "title phase")):
        state.add_type(name, id_)
        for property_ in (*properties.split(), "hs_object_id"):
            state.define(name, property_, "number" if property_ == "hs_object_id" else "string")
        for property_ in ("hs_createdate", "hs_lastmodifieddate"):
            state.define(name, property_, "datetime")
    for values in (
        {"monthly": "99.5", "money": "EUR", "plan": "pro", "begins": "2026-01-01"},
        {"monthly": "100", "money": "jpy"},
        {"money": "usd", "plan": ""},
        {"monthly": "0", "money": "USD", "begins": "1767225600000"},
    ):
        state.link(state.create("contracts", values, at=at), company)
    for number in range(4):
        project = state.create("projects", {"title": f"Project {number}", **({"phase": "two"} if number else {})}, at=at)
        if number != 1:
            state.link(project, company)
        if number != 2:
            state.link(project, contact)


def _bad(path: str, field: str, raw: str) -> Fault:
    return Fault(kind="row", path=path, rows=("results",), row=1, field=field, raw=raw)


def _plainer(answer: Any, name: str = "") -> Any:
    """Give numbers and truths where HubSpot's reference has texts."""
    if isinstance(answer, dict):
        return {key: _plainer(value, key) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_plainer(part, name) for part in answer]
    if answer in {"true", "false"}:
        return answer == "true"
    if isinstance(answer, str) and name != "email":
        for kind in (int, float):
            with suppress(ValueError):
                if f"{kind(answer):.15g}" == answer:
                    return kind(answer)
    return answer


def _unnamed(answer: Any) -> Any:
    """Leave out the names of labels, and the paging of a last page."""
    if isinstance(answer, list):
        return [_unnamed(part) for part in answer]
    if isinstance(answer, dict):
        return {key: None if key == "label" else _unnamed(value) for key, value in answer.items() if key != "archived"}
    return answer


class TestHubSpotSource(HubSpot, SourceTests):
    reads: ClassVar[Sequence[str]] = ("*/search", "*/batch/read")
    cursor_names: ClassVar[Mapping[str, Any]] = {"*": ("after",)}
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        "companies": _bad("/crm/objects/2026-03/companies", "createdAt", '"soon"'),
        "contacts": _bad("/crm/objects/2026-03/contacts", "properties.email", '"\xff"'),
        "deals": _bad("/crm/objects/2026-03/deals", "properties.amount", '"much"'),
        "owners": _bad("/crm/owners/2026-03", "createdAt", "7"),
        "tasks": _bad("/crm/objects/2026-03/tasks", "properties", "null"),
        "feedback_submissions": _bad("/crm/objects/2026-03/feedback_submissions", "properties.hs_value", '"99"'),
        "contracts": _bad("/crm/objects/2026-03/2-77", "properties.money", '"XXQ"'),
        "projects": _bad("/crm/objects/2026-03/2-78", "id", "null"),
    }

    def change(self, vendor: HubSpotSimulator, stream: str) -> bool:
        if stream == "owners":
            vendor.state.owners["1"]["lastName"] = "Renamed"
            return True
        names = {
            "companies": "name",
            "contacts": "firstname",
            "deals": "dealname",
            "tasks": "hs_task_subject",
            "feedback_submissions": "hs_content",
            "contracts": "plan",
            "projects": "title",
        }
        first, _, third = islice(vendor.state.standing(stream), 3)
        vendor.edit(stream, first.id, **{names[stream]: "Renamed"})
        vendor.archive(stream, third.id)
        if stream == "companies":  # more than a page of what is archived
            for number in range(3):
                vendor.archive(stream, vendor.state.create(stream, {"name": f"Passing {number}"}).id)
        return True

    def shapes(self) -> Mapping[str, Callable[[Any], Any]]:
        return {"numbers and truths for texts": _plainer, "labels without names": _unnamed}

    def troubles(self, vendor: HubSpotSimulator) -> Mapping[str, Callable[[], Mapping[str, Any] | None]]:
        def narrow() -> None:
            vendor.add_token(vendor.token, ["crm.objects.companies.read", "crm.objects.owners.read"])

        def granted(*scopes: str) -> Mapping[str, Any]:
            vendor.add_app("app-1", vendor.webhook_secret, vendor.token, scopes)
            oauth = {"client_id": "app-1", "client_secret": "env:HUBSPOT_WEBHOOK_SECRET", "refresh_token": "env:HUBSPOT_TOKEN"}
            return {"oauth": oauth, "access_token": None}

        def other(kind: Any) -> Mapping[str, Any]:
            vendor.account_type = kind
            return {"portal_id": 5}

        reads = [f"crm.objects.{name}.read" for name in ("companies", "contacts", "deals", "owners")]
        return {
            "the token is refused": lambda: vendor.revoke(vendor.token),
            "the token lacks scopes": narrow,
            "a stream is not there": lambda: vendor.faults.add(Fault(kind="status", status=404, path="*/tasks", times=None)),
            "OAuth": lambda: granted(
                *reads, "crm.objects.feedback_submissions.read", "crm.objects.custom.read", "crm.objects.companies.write"
            ),
            "OAuth, with an outage of a moment": lambda: (
                vendor.faults.add(Fault(kind="status", status=503, path="*/introspect")),
                granted(*reads),
            )[1],
            "OAuth without scopes": lambda: {**granted(*reads[:2]), "webhook_secret": None},
            "OAuth is refused": lambda: {**granted(), "oauth": {**granted()["oauth"], "client_id": "app-2"}},
            "a sandbox of another number": lambda: other("SANDBOX"),
            "the account that is meant": lambda: {
                "portal_id": vendor.portal_id,
                "webhook_secret": "env:HUBSPOT_WEBHOOK_SECRET",
            },
            "few streams": lambda: {"streams": ["companies"], "objects": {}, "webhook_secret": None},
        }


class TestHubSpotWebhooks(HubSpot, WebhookTests):
    tolerance = 300_000

    def deliveries(self, vendor: HubSpotSimulator) -> Sequence[WebhookRequest]:
        one, two, *_ = vendor.state.standing("companies")
        vendor.edit("companies", one.id, name="Renamed")
        vendor.archive("companies", two.id)
        vendor.opt_out(next(vendor.state.standing("contacts")).id)
        headers, body = vendor.webhook(URL)
        return [self._request(vendor, headers, body)]

    def bodies(self, vendor: HubSpotSimulator) -> Mapping[str, bytes]:
        def event(kind: str, **more: Any) -> dict[str, Any]:
            at = vendor.clock.now()
            return {"eventId": 1, "occurredAt": at, "portalId": vendor.portal_id, "subscriptionType": kind, **more}

        events = {
            "a contact is made": [event("contact.creation", objectId=7)],
            "an id that is a text": [event("deal.creation", objectId="7", eventId="x")],
            "an event without an id": [event("deal.creation")],
            "a task": [event("object.creation", objectTypeId="0-27", objectId=7)],
            "a company, as an object": [event("object.propertyChange", objectTypeId="0-2", objectId=7)],
            "an object of the account's own": [event("object.propertyChange", objectTypeId="2-77", objectId=7)],
            "an object that is not read": [event("object.propertyChange", objectTypeId="2-99", objectId=7)],
            "a type that is not read": [event("ticket.creation", objectId=7, objectTypeId="0-1")],
            "a merge": [event("company.merge", objectId=7, primaryObjectId=7, mergedObjectIds=[8, 9], newObjectId=10)],
            "a contact's company": [_ends(event("contact.associationChange"), "CONTACT_TO_COMPANY", 7, 8)],
            "a company's deal": [_ends(event("company.associationChange"), "COMPANY_TO_DEAL", 7, 8)],
            "one end is missing": [_ends(event("deal.associationChange"), "DEAL_TO_CONTACT", None, 8)],
            "ends of no type": [event("deal.associationChange", fromObjectId=7, toObjectId=8)],
            "the same twice": [event("deal.creation", objectId=7), event("deal.creation", objectId=7)],
            "several accounts": [event("deal.creation", objectId=7), event("deal.creation", objectId=8, portalId=1)],
            "nothing": [],
        }
        return {name: json.dumps(found).encode() for name, found in events.items()}

    def signed(self, vendor: HubSpotSimulator, body: bytes) -> WebhookRequest | None:
        if b"\xff" in body:
            return None  # HubSpot signs texts, which are UTF-8: other bytes are refused as a forgery
        return self._request(vendor, vendor.signed(URL, body), body)

    def _request(self, vendor: HubSpotSimulator, headers: Mapping[str, str], body: bytes) -> WebhookRequest:
        return WebhookRequest(method="POST", url=URL, headers=headers, body=body, received_at=vendor.clock.now())


def _ends(event: dict[str, Any], kind: str, one: int | None, other: int | None) -> dict[str, Any]:
    return {**event, "associationType": kind, "fromObjectId": one, "toObjectId": other}


class TestHubSpotPush(HubSpot, ActionTests):
    writes = "*/batch/update"

    def keys(self, vendor: HubSpotSimulator, url: str) -> Mapping[str, Any]:
        return {**super().keys(vendor, url), "streams": ["companies"], "objects": {}}

    def payload(self, number: int) -> ScorePush:
        return ScorePush(properties={"wellkept_health": 50 + number, "wellkept_band": "yellow"})

    def done(self, vendor: HubSpotSimulator, payload: ScorePush) -> Mapping[str, int]:
        wanted = {name: str(value) for name, value in payload.properties.items()}
        found = {thing.id: thing.properties for thing in vendor.state.standing("companies")}
        return {id_: 1 for id_, properties in found.items() if wanted.items() <= properties.items()}

    def spoil(self, vendor: HubSpotSimulator) -> bool:
        company = next(vendor.state.standing("companies"))
        check = vendor.state.check

        def refuse(type_: str, properties: Mapping[str, str], *, own: str | None = None) -> dict[str, str]:
            kept = check(type_, properties, own=own)
            return check(type_, {"no_such_property": "x"}) if own == company.id else kept

        vendor.state.check = refuse  # type: ignore[method-assign]
        return True

    def others(self) -> Sequence[ScorePush]:
        kinds = {"at_risk": True, "fits": False, "mrr": 12.5, "seats": 7, "renews_on": "2027-01-31", "long_name": "a" * 70_000}
        own = {"tier": "Gold", "tiers": "s;Gold", "opened": "soon", "started": "2026-11-30T08:00:00Z", "members": "many"}
        return [
            ScorePush(
                properties={**{f"wellkept_{name}": value for name, value in kinds.items()}, "wellkept_since": "1795262400000"}
            ),
            ScorePush(properties={"wellkept_at_risk": None, "wellkept_nothing": None, "wellkept_seats": "", "Not a name": 1}),
            ScorePush(properties=own),
            ScorePush(properties={"tier": "bronze", "opened": "2026-11-30", "members": "12.50", "started": "1795262400000"}),
            ScorePush(properties={"createdate": "2026-11-30", "started": "noon", "members": "NaN"}),
        ]

    def circumstances(self, vendor: HubSpotSimulator) -> Mapping[str, Callable[[], object]]:
        companies = list(vendor.state.standing("companies"))

        def fault(status: int, *, path: str = self.writes, **more: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(Fault(kind="status", status=status, path=path, **more))

        return {
            "a value is refused": lambda: self.spoil(vendor),
            "one company is gone": lambda: vendor.archive("companies", companies[-1].id),
            "the properties cannot be seen": fault(503, path="/crm/properties/*", method="GET", times=None),
            "the property is not taken": lambda: (
                vendor.state.definitions["companies"].pop("wellkept_band"),
                fault(400, path="/crm/properties/*/companies", method="POST")(),
            ),
            "too many requests": fault(429, code="SECONDLY", times=None),
            "a day's requests are used up": fault(429, code="DAILY", times=None),
            "requests of some other kind are used up": fault(429, code="ELSE", times=None),
            "too many requests, with a time to wait": fault(429, retry_after=7, times=None),
            "all is refused": fault(400, times=None),
            "all is refused as a conflict": fault(409, times=None),
            "all is refused as nonsense": fault(422, times=None),
            "it is not to be had": fault(404, times=None),
            "a status of no meaning": fault(418, times=None),
            "a fault of the vendor's": fault(500, times=None),
            "the token may not": fault(403, code="crm.objects.companies.write", times=None),
        }


class TestHubSpotTasks(HubSpot, ActionTests):
    writes = "/crm/objects/2026-03/tasks"
    write_method = "POST"

    def keys(self, vendor: HubSpotSimulator, url: str) -> Mapping[str, Any]:
        return {**super().keys(vendor, url), "streams": ["companies", "owners"], "objects": {}}

    def payload(self, number: int) -> TaskCreate:
        return TaskCreate(title=f"Call them {number}", body="Now", assignee="owner", due_at=self.start + number * DAY)

    def done(self, vendor: HubSpotSimulator, payload: TaskCreate) -> Mapping[str, int]:
        made = [
            thing.properties[KEY]
            for thing in vendor.state.standing("tasks")
            if KEY in thing.properties and thing.properties["hs_task_subject"] == payload.title
        ]
        return Counter(made)

    def others(self) -> Sequence[TaskCreate]:
        return [
            TaskCreate(title="Odd", body="<b>Now</b>\nor never & ever", assignee="owner", due_at=self.start),
            TaskCreate(title="Of the team", assignee="team"),
            TaskCreate(title="Of the one who pays", assignee="billing"),
        ]

    def circumstances(self, vendor: HubSpotSimulator) -> Mapping[str, Callable[[], object]]:
        def fault(status: int, *, path: str = self.writes, **more: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(
                Fault(kind="status", status=status, **{"path": path, "method": "POST", "times": None, **more})
            )

        def without_key(type_: str = "tasks") -> None:
            vendor.state.definitions[type_].pop(KEY)

        return {
            "its properties cannot be seen": fault(503, path="/crm/properties/*", method="GET"),
            "too many requests": fault(429, code="SECONDLY"),
            "an error of the vendor's": fault(503, times=1),
            "it is refused": fault(400),
            "it is refused, and was made": fault(400, when="after"),
            "it is refused, and there is no looking up": lambda: (fault(400)(), fault(503, path="*/tasks/batch/read")()),
            "the key cannot be unique": lambda: (without_key(), vendor.state.plain_types.add("tasks")),
        }
