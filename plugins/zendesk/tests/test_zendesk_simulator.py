"""The simulator itself: what the vendor does that the connector never asks for, and its own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from wellkept.testing import FakeClock, Server, Spec
from wellkept.testing.simulation import Setting
from wellkept_zendesk.simulation import ZendeskSimulation
from wellkept_zendesk.simulator import ZendeskSimulator

Start = Callable[..., Any]


@pytest.fixture
def asking(simulate: Start) -> Iterator[tuple[Any, Callable[..., httpx.Response]]]:
    simulator = simulate(12)
    with httpx.Client(base_url=simulator.url, headers={"authorization": f"Bearer {simulator.grant.access}"}) as client:

        def ask(method: str, path: str, **options: Any) -> httpx.Response:
            return client.request(method, f"/api/v2/{path}", **options)

        yield simulator, ask


def test_the_same_seed_gives_the_same_account() -> None:
    from wellkept.testing import FakeClock

    def rows(seed: int) -> Any:
        return ZendeskSimulator(accounts=30, seed=seed, clock=FakeClock()).state.tables

    assert rows(3) == rows(3)
    assert rows(3) != rows(4)


def test_the_market_as_a_helpdesk_sees_it() -> None:
    simulator = ZendeskSimulator(accounts=60, seed=2, clock=FakeClock())
    organizations = simulator.state.all("organization")
    names = [str(row["name"]).casefold() for row in organizations if row["deleted_at"] is None]
    externals = [
        str(row["external_id"]).casefold() for row in organizations if row["external_id"] and row["deleted_at"] is None
    ]
    assert len(organizations) >= 55
    assert len(set(names)) == len(names)
    assert len(set(externals)) == len(externals)
    tickets = simulator.state.all("ticket")
    assert len(tickets) > 100
    assert {"voice", "chat", "wechat", "any_channel"} <= {row["via"]["channel"] for row in tickets}
    assert {row["score"] for row in simulator.state.all("satisfaction_rating")} == {"offered", "good", "bad"}
    now = simulator.state.now
    assert all(row["_changed"] < now - 60 for row in tickets), "the past is over: an export shows all of it"
    assert simulator.log.effects == type(simulator.log.effects)(maxlen=simulator.log.effects.maxlen)
    assert simulator.state.events == []


def test_paging_by_offset_ends_after_a_hundred_pages(asking: Any) -> None:
    _, ask = asking
    page = ask("GET", "users.json", params={"per_page": 5}).json()
    assert len(page["users"]) == 5
    assert page["next_page"]
    assert ask("GET", "users", params={"page": 101}).status_code == 400
    assert ask("GET", "users", params={"page[size]": 101}).status_code == 400


def test_names_and_external_ids_are_unique_whatever_their_case(asking: Any) -> None:
    _, ask = asking
    for body in ({"name": "CUSTOMER 01"}, {"name": "Other", "external_id": "ACCT-0001"}):
        answer = ask("POST", "organizations", json={"organization": body})
        assert (answer.status_code, answer.json()["error"]) == (422, "RecordInvalid")
        assert "DuplicateValue" in answer.text


def test_unknown_fields_are_ignored_and_wrong_values_refused(asking: Any) -> None:
    simulator, ask = asking
    id_ = next(iter(simulator.state.tables["organization"]))
    answer = ask("PUT", f"organizations/{id_}", json={"organization": {"organization_fields": {"nothing": 1}}})
    assert answer.status_code == 200
    assert "nothing" not in answer.json()["organization"]["organization_fields"]
    ask("POST", "organization_fields", json={"organization_field": {"key": "health", "type": "decimal", "title": "Health"}})
    answer = ask("PUT", f"organizations/{id_}", json={"organization": {"organization_fields": {"health": "red"}}})
    assert answer.status_code == 422
    assert ask("GET", f"organizations/{id_}").json()["organization"]["organization_fields"] == {"health": None}


def test_an_export_that_begins_too_late(asking: Any) -> None:
    simulator, ask = asking
    answer = ask("GET", "incremental/tickets/cursor", params={"start_time": simulator.state.now - 10})
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidValue")


def test_ten_exports_a_minute(asking: Any) -> None:
    simulator, ask = asking
    answers = [ask("GET", "incremental/users/cursor", params={"start_time": 0}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    assert answers[-1].json()["error"] == "APIRateLimitExceeded"
    assert ask("GET", "users/me").status_code == 200
    simulator.clock.advance(60)
    assert ask("GET", "incremental/users/cursor", params={"start_time": 0}).status_code == 200


def test_a_refresh_deletes_the_old_pair(asking: Any) -> None:
    simulator, ask = asking
    access, old = simulator.access, simulator.grant.refresh
    form = {
        "grant_type": "refresh_token",
        "client_id": access.client_id,
        "client_secret": access.client_secret,
        "refresh_token": old,
    }
    answer = httpx.post(f"{simulator.url}/oauth/tokens", data=form)
    assert answer.status_code == 201
    assert ask("GET", "users/me").status_code == 401
    again = httpx.post(f"{simulator.url}/oauth/tokens", data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    fresh = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert httpx.get(f"{simulator.url}/api/v2/users/me", headers=fresh).status_code == 200
    simulator.clock.advance(answer.json()["expires_in"])
    assert httpx.get(f"{simulator.url}/api/v2/users/me", headers=fresh).status_code == 401


def test_a_stranger_is_an_anonymous_user(asking: Any) -> None:
    simulator, _ = asking
    answer = httpx.get(f"{simulator.url}/api/v2/users/me")
    assert answer.json()["user"]["id"] is None


def test_scenarios_over_http(asking: Any) -> None:
    simulator, _ = asking
    user = next(row["id"] for row in simulator.state.all("user") if row["organization_id"])
    answer = httpx.post(
        f"{simulator.url}/_control/scenarios/new_ticket", json={"requester": user, "subject": "Hi", "channel": "qq"}
    )
    assert simulator.state.get("ticket", answer.json()["result"])["via"]["channel"] == "qq"
    assert httpx.post(f"{simulator.url}/_control/scenarios/nothing", json={}).status_code == 404


def test_webhooks_are_delivered_and_kept_until_they_are_taken(simulate: Start) -> None:
    simulator = simulate(1, tickets=False)
    taken: list[bytes] = []
    ready = False

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        status = 200 if ready else 503
        if ready:
            taken.append(message["body"])
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with Server(endpoint) as server:
        simulator.register(f"{server.url}/webhooks/zendesk", "secret")
        user = next(row["id"] for row in simulator.state.all("user") if row["organization_id"])
        simulator.new_ticket(user, "Question")
        assert simulator.deliver() == {"taken": 0, "refused": 1}
        ready = True
        assert simulator.deliver() == {"taken": 1, "refused": 0}
        assert simulator.deliver() == {"taken": 0, "refused": 0}
    assert b"zen:ticket:1" in taken[0]


def test_the_demo(tmp_path: Path) -> None:
    simulation = ZendeskSimulation(Setting(accounts=40, seed=1, clock=FakeClock(), folder=tmp_path))
    keys = simulation.start()
    try:
        assert set(keys) == {"subdomain", "client_id", "client_secret", "refresh_token", "api_base"}
        assert (tmp_path / "zendesk.refresh").stat().st_mode & 0o077 == 0
        happenings = simulation.unfold()
        assert len(happenings) >= 4
        assert len({happening.id for happening in happenings}) == len(happenings)
        assert simulation.received() == []
        simulator = simulation._simulator
        header = {"authorization": f"Bearer {simulator.grant.access}"}
        id_ = happenings[0].id
        with httpx.Client(base_url=str(keys["api_base"]), headers=header) as client:
            client.post(
                "/api/v2/organization_fields", json={"organization_field": {"key": "health", "type": "decimal", "title": "h"}}
            )
            client.put(
                "/api/v2/organizations/update_many",
                json={"organizations": [{"id": int(id_), "organization_fields": {"health": 41}}]},
            )
            ticket = next(row["id"] for row in simulator.state.all("ticket") if str(row["organization_id"]) == id_)
            client.put(f"/api/v2/tickets/{ticket}/tags", json={"tags": ["at_risk"]})
            client.put(f"/api/v2/tickets/{ticket}", json={"ticket": {"comment": {"body": "x", "public": False}}})
        receipts = [(receipt.subject, receipt.text) for receipt in simulation.received()]
        assert receipts == [
            (id_, "health=41"),
            (id_, f"ticket {ticket}: tags=['at_risk']"),
            (id_, f"ticket {ticket}: note=written"),
        ]
        assert simulation.received() == []
    finally:
        simulation.close()


def test_the_description_is_filled_in(spec: Spec) -> None:
    """What the derivation lost is checked again: a ticket without its status fails."""
    from wellkept.testing import SpecMismatch

    with pytest.raises(SpecMismatch):
        spec.check_object("TicketObject", {"id": 1})
    with pytest.raises(SpecMismatch):
        spec.check_request("PUT", "/api/v2/tickets/1/tags", headers={"content-type": "application/json"}, body=b"{}")
