"""Whatever happens at the helpdesk, in whatever order it is heard of: in the end what is stored is what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept import Batch
from wellkept.records import Account, Person, Ticket
from wellkept.store import Store
from wellkept.testing import FakeClock
from wellkept_zendesk.simulator import ZendeskSimulator

STREAMS = ("organizations", "users", "tickets", "deleted_tickets")

HAPPENINGS = ("write", "reply", "solve", "reopen", "merge", "spam", "delete", "restore", "join", "rename", "leave", "push")
ENDINGS = frozenset({"merge", "spam", "delete", "join", "leave"})
"""Zendesk tells time by the second: what ends and is taken back within one cannot be told from what stays ended."""

HEARD = ("sync", "part", "webhooks", "late webhooks", "nothing")

steps = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 1000), st.sampled_from((0, 1, 30, 61, 4000)), st.sampled_from(HEARD)),
    min_size=1,
    max_size=14,
)


def happen(simulator: ZendeskSimulator, what: str, draw: int) -> None:  # noqa: C901 - a list of cases
    """Let something happen to one of those to whom it can."""
    state = simulator.state
    tickets = [row for row in state.all("ticket") if row["status"] not in {"closed", "deleted"}]
    binned = [row for row in state.all("ticket") if row["status"] == "deleted"]
    people = [row for row in state.all("user") if row["role"] == "end-user" and row["active"]]
    organizations = [row for row in state.all("organization") if row["deleted_at"] is None]
    ticket = tickets[draw % len(tickets)]["id"] if tickets else None
    if what == "write" and people:
        simulator.new_ticket(people[draw % len(people)]["id"], "Question")
    elif what == "reply" and ticket is not None:
        simulator.reply(ticket)
    elif what == "solve" and ticket is not None:
        simulator.set_status(ticket, "solved")
    elif what == "reopen" and ticket is not None:
        simulator.reopen(ticket)
    elif what == "merge" and len(tickets) > 1 and ticket is not None:
        simulator.merge_tickets(ticket, tickets[draw % len(tickets) - 1]["id"])
    elif what == "spam" and ticket is not None:
        simulator.mark_as_spam(ticket)
    elif what == "delete" and ticket is not None:
        simulator.delete_ticket(ticket)
    elif what == "restore" and binned:
        simulator.restore_ticket(binned[draw % len(binned)]["id"])
    elif what == "join" and len(organizations) > 1:
        simulator.merge_organizations(organizations[0]["id"], organizations[1]["id"])
    elif what == "rename" and organizations:
        simulator.rename(organizations[draw % len(organizations)]["id"], f"Name {draw}")
    elif what == "leave" and people:
        state.touch("user", people[draw % len(people)], {"active": False})
    elif what == "push" and organizations:
        row = organizations[draw % len(organizations)]
        state.touch("organization", row, {"organization_fields": {"health": draw}})


@pytest.fixture(scope="module")
def build(simulator_server: tuple[Any, str], request: pytest.FixtureRequest) -> Iterator[Callable[..., ZendeskSimulator]]:
    switch, url = simulator_server
    from plugins.zendesk.tests.conftest import sightings

    def start() -> ZendeskSimulator:
        simulator = ZendeskSimulator(sightings=sightings(3), clock=FakeClock(), seed=3, export_limit=1000)
        simulator.url = url  # type: ignore[attr-defined]
        switch.app = simulator
        return simulator

    yield start
    switch.app = None


async def play(simulator: ZendeskSimulator, link: Any, script: list[tuple[str, int, int, str]]) -> None:
    told, late = 0, list[tuple[Batch, int]]()
    for what, draw, seconds, heard in script:
        simulator.clock.advance(0.001)  # type: ignore[attr-defined]
        with simulator.lock:
            happen(simulator, what, draw)
        simulator.clock.advance(max(seconds, what in ENDINGS) + 0.001)  # type: ignore[attr-defined]
        if heard == "sync":
            await link.sync(*STREAMS)
        elif heard == "part":
            await link.sync(STREAMS[draw % len(STREAMS)], batches=1)
        elif heard in {"webhooks", "late webhooks"}:
            events, told = simulator.state.events[told:], len(simulator.state.events)
            hints = [
                hint
                for event in events
                for hint in link.source.receive(simulator.webhook(event, "zendesk-webhook-secret")).hints
                if hint.object_id is not None
            ]
            asked = simulator.clock.now()
            batches = [(await link.source.fetch(link.stream(hint.stream), [hint.object_id]), asked) for hint in hints]
            if heard == "webhooks":
                for batch, at in batches:
                    link.apply(batch, observed=at)
            else:
                late += batches
    simulator.clock.advance(3600)  # type: ignore[attr-defined]
    await link.sync(*STREAMS)
    for batch, at in late:  # what was read long ago is stored at last
        link.apply(batch, observed=at)


def truth(simulator: ZendeskSimulator) -> dict[str, dict[str, Any]]:
    state = simulator.state
    return {
        "account": {
            str(row["id"]): (row["name"], row["organization_fields"].get("health"))
            for row in state.all("organization")
            if row["deleted_at"] is None
        },
        "person": {str(row["id"]): row["name"] for row in state.all("user") if row["active"]},
        "ticket": {
            str(row["id"]): (row["status"], str(row["organization_id"]), row["_metric"]["reopens"])
            for row in state.all("ticket")
            if row["status"] != "deleted" and "closed_by_merge" not in row["tags"]
        },
    }


def stored(link: Any) -> dict[str, dict[str, Any]]:
    return {
        "account": {id_: (record.name, record.extra.get("health")) for id_, record in link.all(Account).items()},
        "person": {id_: record.name for id_, record in link.all(Person).items()},
        "ticket": {id_: (record.status, record.account_ref, record.reopens) for id_, record in link.all(Ticket).items()},
    }


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(script=steps)
def test_what_is_stored_is_what_is_there(
    build: Callable[..., ZendeskSimulator],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    script: list[tuple[str, int, int, str]],
) -> None:
    from plugins.zendesk.tests.conftest import Connector, MemoryTokens

    async def run() -> None:
        simulator = build()
        monkeypatch.setenv("ZENDESK_SECRET", simulator.access.client_secret)
        monkeypatch.setenv("ZENDESK_REFRESH", simulator.grant.refresh)
        monkeypatch.setenv("ZENDESK_WEBHOOK_SECRET", "zendesk-webhook-secret")
        clock = simulator.clock
        assert isinstance(clock, FakeClock)
        link = Connector(simulator, store, clock, MemoryTokens(), {})
        try:
            await play(simulator, link, script)
            assert stored(link) == truth(simulator)
            assert link.rejects == []
        finally:
            await link.http.aclose()

    asyncio.run(run())
