"""The standard tests, on HubSpot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from wellkept import ScorePush, TaskCreate, WebhookRequest
from wellkept.testing import FakeClock, Fault
from wellkept.testing.conformance import ActionTests, Case, SourceTests, WebhookTests
from wellkept_hubspot.simulator import HubSpotSimulator
from wellkept_hubspot.tasks import KEY

URL = "https://wellkept.example/webhooks/hubspot"


class HubSpot(Case):
    plugin = "hubspot"

    def vendor(self, clock: FakeClock) -> HubSpotSimulator:
        simulator = HubSpotSimulator(accounts=4, clock=clock, seed=5)
        contact = next(simulator.state.standing("contacts"))
        for _ in range(4):
            simulator.answer_survey(contact.id, "CSAT", 4)
            task = simulator.state.create("tasks", {"hs_task_subject": "Call", "hs_task_status": "NOT_STARTED"})
            simulator.state.link(task, next(simulator.state.standing("companies")))
        simulator.log.clear()
        simulator.state.notices.clear()
        return simulator

    def keys(self, vendor: HubSpotSimulator, url: str) -> Mapping[str, Any]:
        return {
            "access_token": "env:HUBSPOT_TOKEN",
            "webhook_secret": "env:HUBSPOT_WEBHOOK_SECRET",
            "api_base": url,
        }

    def secrets(self, vendor: HubSpotSimulator) -> Mapping[str, str]:
        return {"HUBSPOT_TOKEN": vendor.token, "HUBSPOT_WEBHOOK_SECRET": vendor.webhook_secret}

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_hubspot.reading.PAGE", 3)
        monkeypatch.setattr("wellkept_hubspot.reading.SEARCH_PAGE", 2)
        monkeypatch.setattr("wellkept_hubspot.api.OWNERS_PAGE", 2)


def _bad(path: str, field: str, raw: str) -> Fault:
    return Fault(kind="row", path=path, rows=("results",), row=1, field=field, raw=raw)


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
        }
        vendor.edit(stream, next(vendor.state.standing(stream)).id, **{names[stream]: "Renamed"})
        return True


class TestHubSpotWebhooks(HubSpot, WebhookTests):
    def deliveries(self, vendor: HubSpotSimulator) -> Sequence[WebhookRequest]:
        one, two, *_ = vendor.state.standing("companies")
        vendor.edit("companies", one.id, name="Renamed")
        vendor.archive("companies", two.id)
        vendor.opt_out(next(vendor.state.standing("contacts")).id)
        headers, body = vendor.webhook(URL)
        return [self._request(vendor, headers, body)]

    def signed(self, vendor: HubSpotSimulator, body: bytes) -> WebhookRequest | None:
        if b"\xff" in body:
            return None  # HubSpot signs texts, which are UTF-8: other bytes are refused as a forgery
        return self._request(vendor, vendor.signed(URL, body), body)

    def _request(self, vendor: HubSpotSimulator, headers: Mapping[str, str], body: bytes) -> WebhookRequest:
        return WebhookRequest(method="POST", url=URL, headers=headers, body=body, received_at=vendor.clock.now())


class TestHubSpotPush(HubSpot, ActionTests):
    writes = "*/batch/update"

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


class TestHubSpotTasks(HubSpot, ActionTests):
    writes = "/crm/objects/2026-03/tasks"
    write_method = "POST"

    def payload(self, number: int) -> TaskCreate:
        return TaskCreate(title=f"Call them {number}", body="Now", assignee="owner")

    def done(self, vendor: HubSpotSimulator, payload: TaskCreate) -> Mapping[str, int]:
        made = [
            thing.properties[KEY]
            for thing in vendor.state.standing("tasks")
            if KEY in thing.properties and thing.properties["hs_task_subject"] == payload.title
        ]
        return Counter(made)
