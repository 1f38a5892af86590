"""OAuth whose pairs rotate, API tokens that end, and what the check says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from wellkept.errors import CredentialsError, RetryableError
from wellkept.records import Person, Ticket
from wellkept.testing import Fault
from wellkept_zendesk.checking import TOKENS_END, end_of_tokens
from wellkept_zendesk.config import ZendeskConfig

Start = Callable[..., Any]
OAUTH = {"client_id": "c", "client_secret": "env:A", "refresh_token": "env:B"}


async def test_the_new_pair_is_stored_before_it_is_used(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator)
    used: list[bool] = []
    vendor = simulator._vendor

    async def watched(scope: Any, body: bytes) -> Any:
        headers = dict(scope["headers"])
        if b"authorization" in headers:
            used.append(link.tokens.puts[-1]["access"] == headers[b"authorization"].decode().removeprefix("Bearer "))
        return await vendor(scope, body)

    simulator._vendor = watched
    await link.sync()
    simulator.clock.advance(7200)
    await link.sync()
    assert len(link.tokens.puts) == 2
    assert used
    assert all(used)
    refreshes = [entry.params["refresh_token"] for entry in simulator.log.matching("/oauth/tokens")]
    assert refreshes[1] == link.tokens.puts[0]["refresh"]
    assert len(set(refreshes)) == 2, "a refresh token is used once"


async def test_two_workers_that_refresh_at_once(simulate: Start, connector: Start) -> None:
    """The loser of the race finds the winner's pair; were it to refresh as well, its token would be gone."""
    simulator = simulate(4)
    one = connector(simulator)
    two = connector(simulator, tokens=one.tokens)
    for _ in range(3):
        await asyncio.gather(one.sync("users"), two.sync("tickets"), one.sync("satisfaction_ratings"))
        simulator.clock.advance(7200)
    assert len(one.tokens.puts) == 3
    assert {entry.status for entry in simulator.log.requests} <= {200, 201}
    assert one.all(Person)
    assert two.all(Ticket)


async def test_a_token_that_was_revoked_early_is_renewed_once(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator)
    await link.sync("users")
    simulator.grant.expires_at = 0
    await link.sync("tickets")
    assert len(link.tokens.puts) == 2
    assert [entry.status for entry in simulator.log.matching("/api/v2/incremental/tickets/cursor")] == [401, 200]


async def test_an_authorisation_that_was_withdrawn(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator)
    await link.sync("users")
    simulator.access.grants.clear()
    with pytest.raises(CredentialsError, match="invalid_grant"):
        await link.sync("tickets")


async def test_a_token_endpoint_that_is_down_pauses_nobody(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator)
    simulator.faults.add(Fault(kind="status", status=503, path="/oauth/tokens", times=None))
    with pytest.raises(RetryableError):
        await link.sync("users")
    simulator.faults.clear()
    await link.sync("users")


async def test_an_api_token_while_it_lives(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = simulate(2)
    email, secret = simulator.api_token()
    monkeypatch.setenv("ZENDESK_TOKEN", secret)
    link = connector(simulator, email=email, api_token="env:ZENDESK_TOKEN")
    await link.sync()
    assert link.all(Ticket)
    assert simulator.log.matching("/oauth/*") == []
    checked = await link.source.check()
    assert checked.expires_at == TOKENS_END  # core tells of it in time
    found = {finding.name: finding for finding in checked.findings}
    assert found["API token"].ok
    assert "2027-04-30, in 160 days" in found["API token"].message
    assert "OAuth client" in (found["API token"].mend or "")
    simulator.clock.advance((TOKENS_END - simulator.clock.now()) / 1000)
    result = await link.source.check()
    assert not result.ok
    with pytest.raises(CredentialsError):
        await link.sync("users")


def test_the_last_day_of_api_tokens() -> None:
    assert end_of_tokens(TOKENS_END - 1).message == "API tokens stop on 2027-04-30, in 1 days"
    assert not end_of_tokens(TOKENS_END).ok


async def test_a_check_that_is_well(simulate: Start, connector: Start) -> None:
    link = connector(simulate(2))
    result = await link.source.check()
    assert result.ok
    assert result.vendor_account == link.ctx.config.subdomain
    assert f"{link.ctx.config.subdomain}.zendesk.com" in {finding.message for finding in result.findings}
    names = {finding.name for finding in result.findings}
    assert {"organizations:write", "tickets:write", "tickets (tickets:read)", "role", "webhooks"} <= names
    assert link.simulator.log.matching("/api/v2/incremental/*") == [], "ten a minute are too few for looking around"
    assert {entry.method for entry in link.simulator.log.matching("/api/*")} == {"GET"}


async def test_a_check_names_missing_scopes(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    grant = simulator.authorize("users:read", "organizations:read")
    link = connector(simulator, refresh=grant.refresh)
    found = {finding.name: finding for finding in (await link.source.check()).findings}
    assert found["users (users:read)"].ok
    assert found["organizations (organizations:read)"].ok
    for stream, scope in (("tickets", "tickets:read"), ("satisfaction_ratings", "satisfaction_ratings:read")):
        finding = found[f"{stream} ({scope})"]
        assert not finding.ok
        assert scope in finding.message
        assert scope in (finding.mend or "")
    assert not found["organizations:write"].ok
    with pytest.raises(CredentialsError) as caught:
        await link.sync("tickets")
    assert caught.value.missing == ("tickets:read",)


async def test_a_check_without_the_scope_to_read_users(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    grant = simulator.authorize("tickets:read", "organizations:read", "satisfaction_ratings:read")
    found = {f.name: f.ok for f in (await connector(simulator, refresh=grant.refresh).source.check()).findings}
    assert found["credential"]
    assert not found["users (users:read)"]


async def test_a_check_of_somebody_who_is_no_admin(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator, refresh=simulator.authorize(role="agent").refresh)
    result = await link.source.check()
    roles = [finding for finding in result.findings if finding.name == "role"]
    assert [(finding.ok, "agent" in finding.message) for finding in roles] == [(False, True)]
    [bin_] = [finding for finding in result.findings if finding.name.startswith("deleted_tickets")]
    assert not bin_.ok
    assert "scope" not in (bin_.mend or "")
    assert "admin" in (bin_.mend or "")
    with pytest.raises(CredentialsError, match="may not do this"):
        await link.sync("tickets")


async def test_a_check_of_a_credential_that_is_refused(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    link = connector(simulator, refresh="somebody-elses-token")
    result = await link.source.check()
    assert [finding.name for finding in result.findings if not finding.ok] == ["credential"]
    assert result.vendor_account is None


async def test_a_check_of_an_account_that_does_not_exist(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    simulator.faults.add(Fault(kind="status", status=404, path="/api/v2/users/me"))
    result = await connector(simulator).source.check()
    assert [finding.name for finding in result.findings] == ["account"]
    assert not result.ok


async def test_a_check_while_zendesk_cannot_be_reached(simulate: Start, connector: Start) -> None:
    simulator = simulate(2)
    simulator.faults.add(Fault(kind="drop", times=None, path="/api/v2/*"))
    with pytest.raises(RetryableError):
        await connector(simulator).source.check()


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({}, "subdomain"),
        ({"subdomain": "acme.zendesk.com", **OAUTH}, "subdomain"),
        ({"subdomain": "https://acme", **OAUTH}, "subdomain"),
        ({"subdomain": "acme"}, ""),
        ({"subdomain": "acme", "client_id": "c", "client_secret": "env:A"}, ""),
        ({"subdomain": "acme", "email": "a@b.example"}, ""),
        ({"subdomain": "acme", "email": "a@b.example", "api_token": "env:T", **OAUTH}, ""),
        ({"subdomain": "acme", **OAUTH, "refresh_token": "secret-in-the-open"}, "refresh_token"),
        ({"subdomain": "acme", **OAUTH, "api_base": "http://acme.zendesk.com"}, "api_base"),
        ({"subdomain": "acme", **OAUTH, "rating_lookback_days": 0}, "rating_lookback_days"),
        ({"subdomain": "acme", **OAUTH, "requests_per_minute": 5}, "requests_per_minute"),
        ({"subdomain": "acme", **OAUTH, "streams": []}, "streams"),
    ],
)
def test_mistakes_in_the_configuration(keys: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ZendeskConfig.model_validate(keys)
    errors = caught.value.errors()
    assert field in {str(error["loc"][0]) if error["loc"] else "" for error in errors}


def test_where_an_account_is() -> None:
    config = ZendeskConfig.model_validate({"subdomain": "acme", **OAUTH})
    assert config.base == "https://acme.zendesk.com"
    assert config.webhook_secrets == ()
