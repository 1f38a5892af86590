"""The leading client of the field works against the simulator unchanged: lists, exports, writes, errors, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from wellkept.testing import Fault

zenpy = pytest.importorskip("zenpy")
objects = pytest.importorskip("zenpy.lib.api_objects")
exceptions = pytest.importorskip("zenpy.lib.exception")

Start = Callable[..., Any]
SUBDOMAIN = "acme"


class Redirect(HTTPAdapter):
    """Sends what is meant for Zendesk to the simulator."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
        sent = request.copy()
        sent.url = request.url.replace(f"https://{SUBDOMAIN}.zendesk.com", self._url)
        sent.headers.update({"Host": f"{SUBDOMAIN}.zendesk.com", "X-Forwarded-Proto": "https"})
        response = super().send(sent, **options)
        response.request = request
        return response


@pytest.fixture
def desk(simulate: Start) -> Iterator[tuple[Any, Any]]:
    simulator = simulate(12, export_limit=100)
    with requests.Session() as session:
        session.mount("https://", Redirect(simulator.url))
        yield simulator, zenpy.Zenpy(subdomain=SUBDOMAIN, oauth_token=simulator.grant.access, session=session)
    assert simulator.refused == []


def test_lists_by_cursor(desk: tuple[Any, Any]) -> None:
    simulator, client = desk
    assert {row.id for row in client.organizations()} == set(simulator.state.tables["organization"])
    assert {row.id for row in client.users(cursor_pagination=7)} == set(simulator.state.tables["user"])
    assert {row.id for row in client.tickets()} == set(simulator.state.tables["ticket"])
    assert {row.id for row in client.satisfaction_ratings()} == set(simulator.state.tables["satisfaction_rating"])
    assert {row.name for row in client.groups()} == {"Support", "Billing", "Escalations"}


def test_exports(desk: tuple[Any, Any]) -> None:
    simulator, client = desk
    by_cursor = client.tickets.incremental(start_time=0, paginate_by_time=False, per_page=9)
    assert {row.id for row in by_cursor} == set(simulator.state.tables["ticket"])
    by_time = client.tickets.incremental(start_time=0, per_page=9)
    assert {row.id for row in by_time} == set(simulator.state.tables["ticket"])
    assert {row.id for row in client.organizations.incremental(start_time=0)} == set(simulator.state.tables["organization"])


def test_single_objects_and_who_we_are(desk: tuple[Any, Any]) -> None:
    simulator, client = desk
    ticket = next(iter(simulator.state.tables["ticket"]))
    assert client.tickets(id=ticket).subject == simulator.state.get("ticket", ticket)["subject"]
    assert client.users.me().email == "ada@helpdesk.example"
    ids = list(simulator.state.tables["organization"])[:3]
    assert {row.id for row in client.organizations(ids=ids)} == set(ids)


def test_writes(desk: tuple[Any, Any]) -> None:
    simulator, client = desk
    made = client.organizations.create(objects.Organization(name="New Ltd", external_id="acct-new"))
    assert simulator.state.get("organization", made.id)["name"] == "New Ltd"
    made.name = "Newer Ltd"
    client.organizations.update(made)
    assert simulator.state.get("organization", made.id)["name"] == "Newer Ltd"
    audit = client.tickets.create(objects.Ticket(subject="Hello", description="World"))
    assert simulator.state.get("ticket", audit.ticket.id)["subject"] == "Hello"
    ticket = client.tickets(id=next(iter(simulator.state.tables["ticket"])))
    ticket.priority = "urgent"
    ticket.comment = objects.Comment(body="Internal", public=False)
    client.tickets.update(ticket)
    assert simulator.state.get("ticket", ticket.id)["priority"] == "urgent"
    assert [comment.body for comment in client.tickets.comments(ticket)][-1] == "Internal"
    before = list(simulator.state.get("ticket", ticket.id)["tags"])
    client.tickets.add_tags(ticket.id, ["at_risk"])
    assert simulator.state.get("ticket", ticket.id)["tags"] == sorted([*before, "at_risk"])
    client.tickets.delete_tags(ticket.id, ["at_risk"])
    assert simulator.state.get("ticket", ticket.id)["tags"] == before


def test_jobs(desk: tuple[Any, Any]) -> None:
    simulator, client = desk
    rows = list(client.organizations())[:3]
    for row in rows:
        row.notes = "Seen"
    job = client.organizations.update(rows)
    for _ in range(3):
        job = client.job_status(id=job.id)
    assert job.status == "completed"
    assert [simulator.state.get("organization", row.id)["notes"] for row in rows] == ["Seen"] * 3


def test_errors(desk: tuple[Any, Any]) -> None:
    _, client = desk
    with pytest.raises(exceptions.RecordNotFoundException):
        client.tickets(id=999_999)
    with pytest.raises(exceptions.APIException) as caught:
        client.organizations.create(objects.Organization(name="customer 01"))
    assert caught.value.response.status_code == 422
    assert caught.value.response.json()["error"] == "RecordInvalid"


def test_a_limit_is_waited_out(desk: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, client = desk
    waits: list[float] = []
    monkeypatch.setattr("zenpy.lib.api.sleep", waits.append)
    simulator.faults.add(Fault(kind="status", status=429, retry_after=2))
    assert client.users.me().id is not None
    assert sum(waits) == 2
