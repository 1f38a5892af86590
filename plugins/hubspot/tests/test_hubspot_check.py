"""Tokens: the check, OAuth, and which account it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept.errors import CredentialsError
from wellkept.records import Account
from wellkept.testing import Fault
from wellkept_hubspot.simulator.app import LIFE

Start = Callable[..., Any]
SCOPES = (
    "crm.objects.companies.read",
    "crm.objects.contacts.read",
    "crm.objects.deals.read",
    "crm.objects.owners.read",
    "crm.objects.feedback_submissions.read",
)
OAUTH = {"client_id": "app-1", "client_secret": "env:APP_SECRET", "refresh_token": "env:REFRESH"}
TOKEN_PATH = "/oauth/2026-03/token"


@pytest.fixture
def granted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def grant(simulator: Any, scopes: tuple[str, ...] = SCOPES, refresh: str = "refresh-1") -> None:
        monkeypatch.setenv("APP_SECRET", "the-app-secret")
        monkeypatch.setenv("REFRESH", refresh)
        simulator.add_app("app-1", "the-app-secret", "refresh-1", scopes)

    return grant


def findings(result: Any) -> dict[str, Any]:
    return {finding.name: finding for finding in result.findings}


@pytest.mark.parametrize(("kind", "mode"), [("STANDARD", "live"), ("SANDBOX", "test"), ("DEVELOPER_TEST", "test")])
async def test_a_good_token(simulate: Start, connector: Start, kind: Any, mode: str) -> None:
    simulator = simulate(accounts=2, account_type=kind)
    result = await connector(simulator).source.check()
    assert result.ok
    assert (result.vendor_account, result.mode) == (str(simulator.portal_id), mode)
    assert {entry.method for entry in simulator.log.requests} == {"GET"}
    assert findings(result)["daily quota"].message == "649999 of 650000 requests are left today"


async def test_scopes_that_are_missing_are_named(simulate: Start, connector: Start) -> None:
    simulator = simulate(accounts=2)
    token = simulator.add_token("pat-narrow", ["crm.objects.companies.read", "crm.objects.owners.read"])
    result = await connector(simulator, token=token).source.check()
    assert not result.ok
    missing = {name for name, finding in findings(result).items() if not finding.ok}
    assert missing == {"crm.objects.contacts.read", "crm.objects.deals.read", "crm.objects.feedback_submissions.read"}
    mend = findings(result)["crm.objects.feedback_submissions.read"].mend
    assert "leave feedback_submissions out" in mend
    fewer = await connector(simulator, token=token, streams=["companies", "owners"]).source.check()
    assert fewer.ok


async def test_a_refused_token(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    result = await connector(simulator, token="pat-wrong").source.check()
    assert not result.ok
    assert result.vendor_account is None
    assert "pat-wrong" not in str(result)


async def test_another_account_than_the_configured(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    result = await connector(simulator, portal_id=5).source.check()
    assert not findings(result)["portal_id"].ok
    assert (await connector(simulator, portal_id=simulator.portal_id).source.check()).ok


async def test_oauth_is_introspected(simulate: Start, connector: Start, granted: Callable[..., None]) -> None:
    simulator = simulate(accounts=2)
    granted(simulator, SCOPES[:4])
    result = await connector(simulator, oauth=OAUTH).source.check()
    assert {name for name, finding in findings(result).items() if not finding.ok} == {SCOPES[4]}
    assert result.vendor_account == str(simulator.portal_id)
    (entry,) = simulator.log.matching("*/introspect", "POST")
    assert set(entry.params) == {"client_id", "client_secret", "token", "token_type_hint"}
    assert not simulator.log.matching("/crm/*")


async def test_oauth_refreshes_before_the_end(simulate: Start, connector: Start, granted: Callable[..., None]) -> None:
    simulator = simulate(accounts=4)
    granted(simulator)
    link = connector(simulator, oauth=OAUTH)
    for _ in range(5):
        await link.sync("companies")
        simulator.clock.advance(LIFE * 0.9)
    tokens = simulator.log.matching(TOKEN_PATH, "POST")
    assert len(tokens) == 5
    assert {tuple(sorted(entry.params)) for entry in tokens} == {
        ("client_id", "client_secret", "grant_type", "refresh_token")
    }  # fmt: skip
    assert 401 not in {entry.status for entry in simulator.log.requests}
    assert (await link.tokens.get("oauth"))["refresh"] == "refresh-1"
    assert link.all(Account)


async def test_oauth_refreshes_once_after_a_401(simulate: Start, connector: Start, granted: Callable[..., None]) -> None:
    simulator = simulate(accounts=4)
    granted(simulator)
    link = connector(simulator, oauth=OAUTH)
    await link.sync("companies")
    simulator.revoke((await link.tokens.get("oauth"))["access"])
    await link.sync("companies")
    assert len(simulator.log.matching(TOKEN_PATH, "POST")) == 2
    simulator.faults.add(Fault(kind="status", status=401, times=None, path="/crm/*"))
    with pytest.raises(CredentialsError):
        await link.sync("companies")
    assert len(simulator.log.matching(TOKEN_PATH, "POST")) == 3


async def test_a_refresh_token_that_is_refused(simulate: Start, connector: Start, granted: Callable[..., None]) -> None:
    simulator = simulate()
    granted(simulator, refresh="refresh-of-old")
    link = connector(simulator, oauth=OAUTH)
    with pytest.raises(CredentialsError) as caught:
        await link.sync("companies")
    assert "refresh-of-old" not in str(caught.value)
    assert not (await link.source.check()).ok


async def test_the_newer_api_version(simulate: Start, connector: Start, granted: Callable[..., None]) -> None:
    simulator = simulate(accounts=3)
    granted(simulator)
    link = connector(simulator, api_version="2026-09", oauth=OAUTH)
    assert (await link.source.check()).ok
    await link.sync()
    assert link.all(Account)
    assert {part for entry in simulator.log.requests for part in entry.path.split("/") if part.startswith("2026")} == {
        "2026-09"
    }
