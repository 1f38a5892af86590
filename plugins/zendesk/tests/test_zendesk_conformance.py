"""The standard tests, on Zendesk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from wellkept import ScorePush, Target, TicketNote, WebhookRequest
from wellkept.records import Ticket
from wellkept.testing import FakeClock, Fault
from wellkept.testing.conformance import ActionTests, Bench, Case, SourceTests, WebhookTests
from wellkept_zendesk.simulator import ZendeskSimulator
from wellkept_zendesk.simulator.state import text
from wellkept_zendesk.webhooks import signature

WEBHOOK_SECRET = "zendesk-webhook-secret"
API = "/api/v2"


class Zendesk(Case):
    plugin = "zendesk"

    def vendor(self, clock: FakeClock) -> ZendeskSimulator:
        simulator = ZendeskSimulator(accounts=5, clock=clock, seed=5, tickets=False, export_limit=100_000)
        simulator.api_token()
        people: dict[int, int] = {}
        for row in simulator.state.all("user", lambda row: row["organization_id"] is not None):
            people.setdefault(row["organization_id"], row["id"])
        made = [simulator.new_ticket(person, f"Question {number}") for number in (1, 2, 3) for person in people.values()]
        third = len(people)
        for ticket in made[:third]:
            simulator.set_status(ticket, "solved")
            simulator.rate(ticket, "offered")
            simulator.rate(ticket, "good")
        for ticket in made[-third:]:
            simulator.delete_ticket(ticket)
        clock.advance(600)
        simulator.log.clear()
        return simulator

    def keys(self, vendor: ZendeskSimulator, url: str) -> Mapping[str, Any]:
        return {
            "subdomain": "standard",
            "email": vendor.api_token()[0],
            "api_token": "env:ZENDESK_TOKEN",
            "webhook_secret": "env:ZENDESK_WEBHOOK_SECRET",
            "api_base": url,
        }

    def secrets(self, vendor: ZendeskSimulator) -> Mapping[str, str]:
        return {"ZENDESK_TOKEN": vendor.api_token()[1], "ZENDESK_WEBHOOK_SECRET": WEBHOOK_SECRET}

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_zendesk.reading.EXPORT_PAGE", 3)
        monkeypatch.setattr("wellkept_zendesk.reading.PAGE", 2)


def _unsolved(vendor: ZendeskSimulator) -> Sequence[int]:
    return [row["id"] for row in vendor.state.all("ticket", lambda row: row["status"] not in {"solved", "deleted"})]


def _bad(path: str, rows: str, field: str, raw: str) -> Fault:
    return Fault(kind="row", path=f"{API}/{path}", rows=(rows,), row=1, field=field, raw=raw)


class TestZendeskSource(Zendesk, SourceTests):
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        "organizations": _bad("incremental/organizations", "organizations", "created_at", "7"),
        "users": _bad("incremental/users/cursor", "users", "name", '"\xff"'),
        "tickets": _bad("incremental/tickets/cursor", "tickets", "created_at", '"soon"'),
        "satisfaction_ratings": _bad("satisfaction_ratings", "satisfaction_ratings", "score", "7"),
    }
    cursor_names: ClassVar[Mapping[str, Sequence[str]]] = {
        "users": ("cursor",),
        "tickets": ("cursor",),
        "satisfaction_ratings": ("page[after]",),
        "deleted_tickets": ("page[after]",),
    }

    def change(self, vendor: ZendeskSimulator, stream: str) -> bool:
        tickets = _unsolved(vendor)
        match stream:
            case "organizations":
                vendor.rename(vendor.state.all("organization")[0]["id"], "Renamed")
            case "users":
                vendor.new_user("Somebody new", vendor.state.all("organization")[0]["id"])
            case "tickets":
                vendor.set_status(tickets[0], "solved")
            case "satisfaction_ratings":
                vendor.set_status(tickets[0], "solved")
                vendor.rate(tickets[0], "offered")
                vendor.rate(tickets[0], "bad", "Slow")
            case _:
                vendor.delete_ticket(tickets[0])
        return True


class TestZendeskWebhooks(Zendesk, WebhookTests):
    def deliveries(self, vendor: ZendeskSimulator) -> Sequence[WebhookRequest]:
        known = len(vendor.state.events)
        vendor.rename(vendor.state.all("organization")[0]["id"], "Renamed")
        vendor.set_status(_unsolved(vendor)[0], "pending")
        return [vendor.webhook(event, WEBHOOK_SECRET) for event in vendor.state.events[known:]]

    def signed(self, vendor: ZendeskSimulator, body: bytes) -> WebhookRequest:
        stamp = text(vendor.state.now)
        headers = {
            "x-zendesk-webhook-signature": signature(stamp, body, WEBHOOK_SECRET),
            "x-zendesk-webhook-signature-timestamp": stamp,
        }
        url = "https://wellkept.example/webhooks/zendesk"
        return WebhookRequest(method="POST", url=url, headers=headers, body=body, received_at=vendor.clock.now())


class TestZendeskPush(Zendesk, ActionTests):
    writes = f"{API}/organizations/*"
    write_method = "PUT"

    def payload(self, number: int) -> ScorePush:
        return ScorePush(properties={"wellkept_health": 50 + number, "wellkept_band": "yellow"})

    def done(self, vendor: ZendeskSimulator, payload: ScorePush) -> Mapping[str, int]:
        wanted = payload.properties.items()
        rows = vendor.state.all("organization", lambda row: wanted <= row["organization_fields"].items())
        return {str(row["id"]): 1 for row in rows}


class TestZendeskNote(Zendesk, ActionTests):
    writes = f"{API}/tickets/*"
    write_method = "PUT"

    def payload(self, number: int) -> TicketNote:
        return TicketNote(text=f"Look at this, for the {number}. time")

    def target(self, bench: Bench, account: str) -> Target | None:
        with bench.runtime.store.read() as reader:
            tickets = bench.runtime.tables.of_account(reader, Ticket, account)
        return Target(instance="zendesk", type="ticket", id=min(ticket.id for ticket in tickets))

    def done(self, vendor: ZendeskSimulator, payload: TicketNote) -> Mapping[str, int]:
        told = [
            str(ticket)
            for ticket, audits in vendor.state.audits.items()
            for audit in audits
            for event in audit["events"]
            if event["type"] == "Comment" and payload.text in event["body"]
        ]
        return Counter(told)
