"""The standard tests, on Zendesk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from wellkept import ScorePush, Target, TicketAssign, TicketNote, TicketPriority, TicketTag, WebhookRequest
from wellkept.records import Ticket
from wellkept.testing import FakeClock, Fault, Spec
from wellkept.testing.conformance import ActionTests, Bench, Case, SourceTests, WebhookTests
from wellkept_zendesk.checking import TOKENS_END
from wellkept_zendesk.simulator import ZendeskSimulator
from wellkept_zendesk.simulator.companies import add_field
from wellkept_zendesk.simulator.state import FIRST_ID, text
from wellkept_zendesk.simulator.world import AGENTS, GROUPS
from wellkept_zendesk.webhooks import signature

API_TOKEN = "zendesk-api-token-of-the-tests"
WEBHOOK_SECRET = "zendesk-webhook-secret"
API = "/api/v2"
DAY = 86_400


class Zendesk(Case):
    plugin = "zendesk"

    @pytest.fixture
    def description(self, optional_spec: Spec | None) -> Spec | None:
        return optional_spec

    def vendor(self, clock: FakeClock) -> ZendeskSimulator:
        simulator = ZendeskSimulator(accounts=1, clock=clock, seed=5, tickets=False, export_limit=100_000)
        simulator.api_token(API_TOKEN)
        simulator.state.at = simulator.state.now - 90 * DAY
        _people(simulator, _organizations(simulator))
        _tickets(simulator)
        simulator.state.at = None
        clock.advance(600)
        simulator.log.clear()
        return simulator

    def keys(self, vendor: ZendeskSimulator, url: str) -> Mapping[str, Any]:
        return {
            "subdomain": "standard",
            "email": vendor.api_token()[0],
            "api_token": "env:ZENDESK_TOKEN",
            "webhook_secret": ["env:ZENDESK_NEXT_SECRET", "env:ZENDESK_WEBHOOK_SECRET"],
            "churn_words": ["so long"],
            "api_base": url,
        }

    def secrets(self, vendor: ZendeskSimulator) -> Mapping[str, str]:
        return {
            "ZENDESK_TOKEN": API_TOKEN,
            "ZENDESK_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "ZENDESK_NEXT_SECRET": "zendesk-secret-after-the-next-rotation",
            "ZENDESK_CLIENT": vendor.access.client_secret,
            "ZENDESK_REFRESH": vendor.grant.refresh,
        }

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_zendesk.reading.EXPORT_PAGE", 3)
        monkeypatch.setattr("wellkept_zendesk.reading.PAGE", 2)
        monkeypatch.setattr("wellkept_zendesk.checking.EXPORT_PAGE", 3)
        monkeypatch.setattr("wellkept_zendesk.checking.PAGE", 2)
        monkeypatch.setattr("wellkept_zendesk.fields.PAGE", 2)
        monkeypatch.setattr("wellkept_zendesk.tickets.PAGE", 2)


def _organizations(simulator: ZendeskSimulator) -> tuple[int, int]:
    """Add an organization with everything, one with next to nothing, one that is deleted, and two that became one."""
    state = simulator.state
    fields = {"tier": "gold", "seats": 12, "empty": "", "none": None, "off": False, "list": []}
    add_field(state, "owner", "text")
    everything = simulator.new_organization(
        "Everything", external_id="acct-9", domain_names=["a.example", "b.example"], tags=["vip"]
    )
    state.get("organization", everything)["organization_fields"] = fields
    plain = simulator.new_organization("Nothing")
    state.touch(
        "organization", state.get("organization", simulator.new_organization("Deleted")), {"deleted_at": text(state.now)}
    )
    simulator.merge_organizations(simulator.new_organization("Loser", domain_names=["c.example"]), everything)
    state.at = (state.at or 0) + 3_600
    state.touch("organization", state.get("organization", plain), {})
    return everything, plain


def _people(simulator: ZendeskSimulator, organizations: tuple[int, int]) -> None:
    """Add people: in each of them other fields are there."""
    state, (everything, plain) = simulator.state, organizations
    phone = {"phone": "+4930123", "shared_phone_number": False}
    more = {"external_id": "u-1", "locale": "de", "iana_time_zone": "Europe/Berlin", "user_fields": {"level": 3, "none": None}}
    simulator.new_user("Everything", everything, email="mei@a.example", **phone, **more)
    simulator.new_user("Shared line", plain, phone="+4930999", shared_phone_number=True, email="pat@b.example", verified=False)
    simulator.new_user("Nobody's", None, suspended=True, locale=None, iana_time_zone=None, user_fields=None)
    gone = simulator.new_user("Deleted", plain)
    state.get("user", gone)["active"] = False
    state.get("user", simulator.new_user("Agent of a customer", everything, role="agent"))["updated_at"] = None


def _tickets(simulator: ZendeskSimulator) -> None:
    """Add tickets and ratings, in all their states."""
    state = simulator.state
    people = {row["name"]: row["id"] for row in state.all("user")}
    mei, pat, nobody = people["Everything"], people["Shared line"], people["Nobody's"]
    agent, group = state.all("user", lambda row: row["role"] == "agent")[0]["id"], state.all("group")[0]["id"]
    full = simulator.new_ticket(
        mei, "We want to cancel our subscription", channel="any_channel", service="QQ", priority="high", type="problem",
        tags=["b", "a"], assignee_id=agent, group_id=group,
    )  # fmt: skip
    waits = {"agent_wait_time_in_minutes": 7, "requester_wait_time_in_minutes": 11, "on_hold_time_in_minutes": 13}
    metric = state.get("ticket", full)["_metric"]
    metric |= {name: {"calendar": minutes, "business": minutes - 5} for name, minutes in waits.items()}
    state.at = (state.at or 0) + 3_600
    simulator.reply(full)
    simulator.set_status(full, "solved")
    simulator.rate(full, "offered")
    simulator.rate(full, "good", "So long, and thanks")
    again = simulator.new_ticket(mei, "Opened again", channel="any_channel")
    state.at += 120
    simulator.set_status(again, "solved")
    simulator.reopen(again)
    simulator.rate(again, "offered")
    simulator.state.get("satisfaction_rating", simulator.rate(again, "bad"))["reason"] = "Slow"
    chat = simulator.new_ticket(pat, "Chat", status="closed", satisfaction_rating=None)
    state.get("ticket", chat)["_metric"] |= {"reply_time_in_seconds": {"calendar": 150}, "reopens": None, "solved_at": None}
    bare = simulator.new_ticket(nobody, "Bare", channel="web")
    state.get("ticket", bare).update(updated_at=None, via={"channel": 29})
    for name in waits:
        state.get("ticket", bare)["_metric"][name] = None
    state.get("ticket", bare)["_metric"]["reply_time_in_minutes"] = None
    simulator.rate(bare, "good", "")
    simulator.rate(simulator.new_ticket(pat, "Offered only"), "offered")
    first = state.all("organization")[0]["id"]
    simulator.new_ticket(state.all("user", lambda row: row["organization_id"] == first)[0]["id"], "Question")
    simulator.merge_tickets(simulator.new_ticket(pat, "Merged away"), again)
    for number in range(3):
        simulator.delete_ticket(simulator.new_ticket(pat, f"Deleted {number}"))


def _merge_later(vendor: ZendeskSimulator) -> None:
    """Merge a new organization into one that changes ten minutes later, when another one is a second too late."""
    state, now = vendor.state, vendor.state.now
    one, other = (row["id"] for row in state.all("organization", lambda row: row["deleted_at"] is None)[1:3])
    state.at = now - 1_200
    vendor.merge_organizations(vendor.new_organization("Lost later"), one)
    state.at = now - 600
    state.touch("organization", state.get("organization", one), {})
    state.at = now - 599
    state.touch("organization", state.get("organization", other), {})
    state.at = None


def _unsolved(vendor: ZendeskSimulator) -> Sequence[int]:
    return [row["id"] for row in vendor.state.all("ticket", lambda row: row["status"] not in {"solved", "deleted"})]


def _bad(path: str, rows: str, field: str, raw: str, row: int = 1) -> Fault:
    return Fault(kind="row", path=f"{API}/{path}", rows=(rows,), row=row, field=field, raw=raw)


def _beside(answer: Any) -> Any:
    """Let the metrics stand beside the tickets, and not in them."""
    if not isinstance(answer, dict) or not isinstance(answer.get("tickets"), list):
        return answer
    found = [(row, row.get("metric_set")) for row in answer["tickets"]]
    metrics = [{**metric, "ticket_id": row["id"]} for row, metric in found if metric is not None]
    rows = [{key: value for key, value in row.items() if key != "metric_set"} for row in answer["tickets"]]
    return {**answer, "tickets": rows, "metric_sets": metrics or None}


def _texts(answer: Any, name: str = "") -> Any:
    """Let ids be texts."""
    if isinstance(answer, dict):
        return {key: _texts(value, key) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_texts(part, name) for part in answer]
    return str(answer) if name.endswith("_id") and isinstance(answer, int) else answer


class TestZendeskSource(Zendesk, SourceTests):
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        "organizations": _bad("incremental/organizations", "organizations", "created_at", "7", row=0),
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
                _merge_later(vendor)
            case "users":
                vendor.new_user("Somebody new", vendor.state.all("organization")[0]["id"])
            case "tickets":
                vendor.set_status(tickets[0], "solved")
            case "satisfaction_ratings":
                fresh = vendor.new_ticket(vendor.state.all("user")[-1]["id"], "Was it good?")
                vendor.rate(fresh, "offered")
                vendor.rate(fresh, "bad", "Slow")
            case _:
                vendor.delete_ticket(tickets[0])
        return True

    def troubles(self, vendor: ZendeskSimulator) -> Mapping[str, Callable[[], Mapping[str, Any] | None]]:
        def granted(*scopes: str, role: str = "admin", webhook: str | None = "env:ZENDESK_WEBHOOK_SECRET") -> Mapping[str, Any]:
            vendor.grant.scopes = scopes or vendor.grant.scopes
            vendor.grant.user = next(row for row in vendor.state.all("user") if row["role"] == role)
            names = {"client_secret": "env:ZENDESK_CLIENT", "refresh_token": "env:ZENDESK_REFRESH", "webhook_secret": webhook}
            return {"client_id": vendor.access.client_id, "email": None, "api_token": None, **names}

        def fails(path: str, status: int) -> None:
            vendor.faults.add(Fault(kind="status", path=f"{API}/{path}", status=status, times=None))

        def refused(path: str, status: int) -> Callable[[], None]:
            return lambda: vendor.faults.add(Fault(kind="status", path=f"{API}/{path}", status=status, skip=1))

        def stranger() -> None:
            vendor.access.api_tokens = {key: {**vendor.admin, "id": None} for key in vendor.access.api_tokens}

        reads = ("organizations:read", "users:read", "tickets:read", "satisfaction_ratings:read")
        return {
            "the token is refused": vendor.access.api_tokens.clear,
            "Zendesk takes us for a stranger": stranger,
            "there is no such account": lambda: fails("users/me", 404),
            "a stream is not in the plan": lambda: fails("satisfaction_ratings*", 404),
            "OAuth": granted,
            "OAuth, reading alone": lambda: granted(*reads, "tickets:write"),
            "OAuth without scopes": lambda: granted("users:read", "tickets:read", webhook=None),
            "OAuth that may not read users": lambda: granted("tickets:read", "organizations:write"),
            "OAuth of an agent": lambda: granted(role="agent"),
            "OAuth is refused": lambda: {**granted(), "client_id": "another"},
            "tokens have ended": lambda: vendor.clock.advance((TOKENS_END - vendor.clock.now()) / 1000),  # type: ignore[attr-defined]
            "few streams": lambda: {"streams": ["users", "deleted_tickets"]},
            "a page is refused": refused("incremental/users/cursor", 400),
            "a page is gone": refused("incremental/tickets/cursor", 410),
            "a page is not understood": refused("incremental/users/cursor", 422),
            "a page is not found": refused("incremental/users/cursor", 404),
            "exports are not for us": lambda: fails("incremental/*", 403),
        }

    def shapes(self) -> Mapping[str, Callable[[Any], Any]]:
        return {"metrics beside the tickets": _beside, "texts for ids": _texts}


class TestZendeskWebhooks(Zendesk, WebhookTests):
    tolerance = 300_000

    def deliveries(self, vendor: ZendeskSimulator) -> Sequence[WebhookRequest]:
        known = len(vendor.state.events)
        vendor.rename(vendor.state.all("organization")[0]["id"], "Renamed")
        vendor.set_status(_unsolved(vendor)[0], "pending")
        return [vendor.webhook(event, WEBHOOK_SECRET) for event in vendor.state.events[known:]]

    def bodies(self, vendor: ZendeskSimulator) -> Mapping[str, bytes]:
        rated = {"type": "zen:event-type:ticket.csat_received", "subject": "zen:ticket:8", "id": "e"}
        events: Mapping[str, Any] = {
            "a trigger about a ticket": {"ticket_id": "17"},
            "a trigger about two things": {"ticket_id": 17, "organization_id": 4},
            "a trigger about a rating": {"satisfaction_rating_id": 9, "user_id": "3"},
            "a trigger with something else": {"ticket_id": "17; drop"},
            "a trigger with nothing": {"hello": "world"},
            "an organization": {"subject": "zen:organization:5", "time": "2026-11-20T08:00:00Z", "id": "a"},
            "a user, at no time": {"subject": "zen:user:5", "time": "soon", "id": "b"},
            "a rating": rated,
            "the same thing twice": {"subject": "zen:ticket:17", "ticket_id": 17, "id": "c"},
            "a subject that is not read": {"subject": "zen:article:5", "id": "d"},
            "a subject that is none": {"subject": "ticket 5"},
        }
        return {name: json.dumps(body).encode() for name, body in events.items()}

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

    def vendor(self, clock: FakeClock) -> ZendeskSimulator:
        simulator = super().vendor(clock)
        choices = [{"value": "gold"}, {"value": "silver"}]
        add_field(simulator.state, "stage", "dropdown", custom_field_options=choices)
        for key, kind in (("licences", "integer"), ("since", "date"), ("active", "checkbox"), ("shouted", "text")):
            add_field(simulator.state, key, kind)
        return simulator

    def keys(self, vendor: ZendeskSimulator, url: str) -> Mapping[str, Any]:
        return {**super().keys(vendor, url), "streams": ["organizations"]}

    def payload(self, number: int) -> ScorePush:
        return ScorePush(properties={"wellkept_health": 50 + number, "wellkept_band": "yellow"})

    def done(self, vendor: ZendeskSimulator, payload: ScorePush) -> Mapping[str, int]:
        wanted = payload.properties.items()
        rows = vendor.state.all("organization", lambda row: wanted <= row["organization_fields"].items())
        return {str(row["id"]): 1 for row in rows}

    def spoil(self, vendor: ZendeskSimulator) -> bool:
        first = vendor.state.all("organization")[0]["id"]
        vendor.faults.add(Fault(kind="status", status=422, path=f"{API}/organizations/{first}", method="PUT", times=None))
        return True

    def others(self) -> Sequence[ScorePush]:
        kinds = {"at_risk": True, "fits": False, "mrr": 1234.5, "seats": 7, "renews_on": "2027-01-31", "Owned_By": "Kim"}
        return [
            ScorePush(properties={f"wellkept_{name}": value for name, value in kinds.items()}),
            ScorePush(properties={"wellkept_at_risk": None, "wellkept_nothing": None, "wellkept_seats": "", "no key": 1}),
            ScorePush(properties={"stage": "gold", "licences": 7.0, "since": "2026-11-30", "active": "Yes", "SHOUTED": False}),
            ScorePush(properties={"stage": "tin", "licences": 7.5, "since": "soon", "active": "no", "shouted": 0.1}),
            ScorePush(properties={"stage": None, "licences": "many", "active": None, "wellkept_mrr": "NaN", "shouted": 12}),
            ScorePush(properties={"wellkept_mrr": "12.50", "licences": "12.0", "shouted": "", "active": 1, "k" * 256: 1}),
        ]

    def circumstances(self, vendor: ZendeskSimulator) -> Mapping[str, Callable[[], object]]:
        one, other, *_ = (row["id"] for row in vendor.state.all("organization", lambda row: not row["deleted_at"]))

        def fault(status: int, path: str = self.writes, method: str = "PUT", **more: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(Fault(kind="status", status=status, path=path, method=method, **more))

        def told(field: str, raw: str, row: int = 0) -> Callable[[], None]:
            rows, path = ("job_status", "results"), f"{API}/job_statuses/*"
            return lambda: vendor.faults.add(Fault(kind="row", path=path, skip=1, rows=rows, row=row, field=field, raw=raw))

        def without_band() -> None:
            fields = vendor.state.tables["organization_field"]
            fields.pop(next(id_ for id_, field in fields.items() if field["key"] == "wellkept_band"))

        first = f"{API}/organizations/{one}"
        jobs = {"path": f"{API}/job_statuses/*", "method": "GET"}
        return {
            "a field cannot be made": lambda: (without_band(), fault(422, f"{API}/organization_fields", "POST")()),
            "one is refused": fault(422, first),
            "one is gone": fault(404, first),
            "one is gone for good": fault(410, first),
            "too many requests": fault(429, first, retry_after=7),
            "an error of the vendor's": fault(503, first),
            "there are more from tomorrow on": lambda: [vendor.new_organization(f"One more {at}") for at in range(2)],
            "a job": int,
            "a job: one is gone": lambda: vendor.state.get("organization", other).update(deleted_at=text(vendor.state.now)),
            "a job: a row is refused": told("error", '"RecordInvalid"'),
            "a job: a row is refused in other words": told("errors", '"Conflict"', row=1),
            "a job: a row fails without a word": told("success", "false", row=1),
            "a job: rows are named by their place": told("id", "null"),
            "a job: rows are named by their id": told("index", "null", row=2),
            "a job: nothing is said of a row": told("", "{}"),
            "a job: what is said is not understood": told("", "7"),
            "a job: it cannot be asked about for a while": fault(503, **jobs, times=9),
            "a job: it is not found": fault(404, **jobs, times=None),
            "a batch is refused": fault(422),
            "a batch too many": fault(429, retry_after=7),
            "a batch has an error of the vendor's": fault(500),
            "the agent may not": fault(403),
        }


class OnTickets(Zendesk, ActionTests):
    """What the actions on tickets are tried with: one ticket of each customer, which can be changed."""

    writes = f"{API}/tickets/*"
    write_method = "PUT"

    def vendor(self, clock: FakeClock) -> ZendeskSimulator:
        simulator = super().vendor(clock)
        simulator.state.get("ticket", self.tickets(simulator)[0])["priority"] = "low"
        return simulator

    def keys(self, vendor: ZendeskSimulator, url: str) -> Mapping[str, Any]:
        return {**super().keys(vendor, url), "streams": ["organizations", "tickets"]}

    def tickets(self, vendor: ZendeskSimulator) -> Sequence[int]:
        rows = vendor.state.all("ticket", lambda row: row["organization_id"] is not None and row["subject"] != "Chat")
        return list({row["organization_id"]: row["id"] for row in reversed(rows)}.values())[::-1]

    def target(self, bench: Bench, account: str) -> Target | None:
        with bench.runtime.store.read() as reader:
            tickets = bench.runtime.tables.of_account(reader, Ticket, account)
        ids = [int(ticket.id) for ticket in tickets if ticket.subject != "Chat"]
        return Target(instance="zendesk", type="ticket", id=str(min(ids))) if ids else None

    def spoil(self, vendor: ZendeskSimulator) -> bool:
        vendor.state.get("ticket", self.tickets(vendor)[0])["status"] = "closed"
        return True

    def again(self, vendor: ZendeskSimulator) -> None:
        """Let there be something to do once more."""

    def circumstances(self, vendor: ZendeskSimulator) -> Mapping[str, Callable[[], object]]:
        one, other, third = self.tickets(vendor)

        def fault(status: int, ticket: int = one, **more: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(
                Fault(kind="status", status=status, path=f"{API}/tickets/{ticket}*", method="PUT", **more)
            )

        found: Mapping[str, Callable[[], object]] = {
            "somebody changes it meanwhile": fault(409),
            "it is gone meanwhile": fault(404),
            "it is gone for good": fault(410),
            "it is refused": fault(422),
            "too many requests": fault(429, retry_after=7),
            "an error of the vendor's": fault(503),
            "one is closed": lambda: self.spoil(vendor),
            "one is deleted": lambda: vendor.delete_ticket(other),
            "the agent may not": fault(403, third),
        }

        def happening(what: Callable[[], object]) -> Callable[[], object]:
            return lambda: (self.again(vendor), what())

        return {name: happening(what) for name, what in found.items()}


class TestZendeskPriority(OnTickets):
    def payload(self, number: int) -> TicketPriority:
        return TicketPriority(properties={"priority": "high" if number % 2 else "urgent"})

    def done(self, vendor: ZendeskSimulator, payload: TicketPriority) -> Mapping[str, int]:
        wanted = payload.properties["priority"]
        return {str(row["id"]): 1 for row in vendor.state.all("ticket", lambda row: row["priority"] == wanted)}

    def again(self, vendor: ZendeskSimulator) -> None:
        for ticket, priority in zip(self.tickets(vendor), (None, "low", "normal"), strict=True):
            vendor.state.get("ticket", ticket)["priority"] = priority

    def others(self) -> Sequence[TicketPriority]:
        return [TicketPriority(properties={"priority": wanted}) for wanted in ("normal", "urgent", None, "low")]


class TestZendeskTag(OnTickets):
    def payload(self, number: int) -> TicketTag:
        return TicketTag(properties={f"At_Risk_{number}": True})

    def done(self, vendor: ZendeskSimulator, payload: TicketTag) -> Mapping[str, int]:
        wanted = {tag.lower() for tag in payload.properties}
        return {str(row["id"]): 1 for row in vendor.state.all("ticket", lambda row: wanted <= set(row["tags"]))}

    def others(self) -> Sequence[TicketTag]:
        tags: Sequence[Mapping[str, Any]] = (
            {"b": True, "vip": True},
            {"two words": True, "more": True},
            {"more": None, "": True, "A": True},
        )
        return [TicketTag(properties=found) for found in tags]


class TestZendeskAssign(OnTickets):
    def payload(self, number: int) -> TicketAssign:
        agent = FIRST_ID["user"] + 1 + number % len(AGENTS)
        return TicketAssign(properties={"assignee": str(agent), "group": GROUPS[number % len(GROUPS)].lower()})

    def vendor(self, clock: FakeClock) -> ZendeskSimulator:
        simulator = super().vendor(clock)
        simulator.state.add("group", {"name": "Old", "deleted": True, "default": False, "description": ""})
        return simulator

    def done(self, vendor: ZendeskSimulator, payload: TicketAssign) -> Mapping[str, int]:
        groups = {row["id"]: row["name"].lower() for row in vendor.state.all("group")}
        wanted = (payload.properties["assignee"], payload.properties["group"])
        rows = vendor.state.all("ticket", lambda row: (str(row["assignee_id"]), groups.get(row["group_id"])) == wanted)
        return {str(row["id"]): 1 for row in rows}

    def others(self) -> Sequence[TicketAssign]:
        agent = str(FIRST_ID["user"] + 1)
        given: Sequence[Mapping[str, Any]] = (
            {"assignee": agent},
            {"group": "SUPPORT"},
            {"assignee": None, "group": None},
            {"group": "Nobody"},
            {"group": "Old"},
            {"group": ""},
            {"assignee": "ines@helpdesk.example"},
            {"assignee": "1", "group": "billing"},
            {"owner": "1"},
        )
        return [TicketAssign(properties=found) for found in given]


class TestZendeskNote(OnTickets):
    odd = False

    def payload(self, number: int) -> TicketNote:
        return TicketNote(text=f"Look at this, for the {number}. time")

    def target(self, bench: Bench, account: str) -> Target | None:
        found = super().target(bench, account)
        return Target(instance="zendesk", type="account", id="3") if self.odd else found

    def done(self, vendor: ZendeskSimulator, payload: TicketNote) -> Mapping[str, int]:
        told = [
            str(ticket)
            for ticket, audits in vendor.state.audits.items()
            for audit in audits
            for event in audit["events"]
            if event["type"] == "Comment" and not event["public"] and payload.text in event["body"]
        ]
        return Counter(told)

    def circumstances(self, vendor: ZendeskSimulator) -> Mapping[str, Callable[[], object]]:
        one, *_ = self.tickets(vendor)

        def lost(when: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(Fault(kind="drop", when=when, path=f"{API}/tickets/{one}", method="PUT"))

        def history(**fault: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(Fault(path=f"{API}/tickets/{one}/audits", **fault))

        def odd() -> None:
            self.odd = True

        looks = {
            "the next look finds it": ("after", int),
            "the next look does not find it": ("before", int),
            "the next look cannot read all": ("before", history(kind="row", rows=("audits",), field="id", raw='"x"')),
            "the next look finds what else it cannot read": (
                "after",
                history(kind="row", rows=("audits",), field="metadata", raw="7", times=None),
            ),
            "the next look has no end": ("before", history(kind="ignore", names=("page[after]",), times=None)),
            "the next look is refused": ("before", history(kind="status", status=400)),
            "the next look finds no ticket": ("before", history(kind="status", status=404)),
        }
        found: dict[str, Callable[[], object]] = {}
        for name, (when, then) in looks.items():
            found[f"its answer is lost; {name}"] = lost(when)
            found[name] = then
        plain = dict(super().circumstances(vendor))
        last = plain.pop("the agent may not")
        return {**found, **plain, "no ticket is named": odd, "the agent may not": last}
