"""Trying the token, read-only; and what a read would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from wellkept import CheckResult, Estimate, Finding, Stream
from wellkept.errors import CredentialsError
from wellkept.http import StatusError
from wellkept_hubspot.api import PAGE, SEARCH_PAGE, Api, OAuth
from wellkept_hubspot.config import HubSpotConfig
from wellkept_hubspot.kinds import OWNERS, Kind
from wellkept_hubspot.wire import Introspection

WRITES = ("crm.objects.companies.write", "crm.schemas.companies.write", "crm.objects.contacts.write")
"""What ``score.push`` (the first two) and ``task.create`` need besides."""

MODES: Mapping[str, Literal["live", "test"]] = {
    "STANDARD": "live",
    "SANDBOX": "test",
    "DEVELOPER_TEST": "test",
    "APP_DEVELOPER": "test",
}
"""Account type to whether it holds real customers."""


async def check(api: Api, config: HubSpotConfig, streams: Sequence[Stream], kinds: Mapping[str, Kind]) -> CheckResult:
    """Try the token on everything that the streams need."""
    try:
        details = await api.details()
    except CredentialsError as error:
        mend = error.guidance or "set access_token to a service key: Settings, Integrations, Service keys; or authorise anew"
        return CheckResult(findings=[Finding(name="token", ok=False, message="HubSpot refuses the token", mend=mend)])
    mode = MODES.get(details.account_type)
    portal = str(details.portal_id)
    findings = [
        Finding(name="token", ok=True, message="HubSpot accepts the token"),
        Finding(name="account", ok=True, message=f"{portal} ({details.account_type.lower().replace('_', ' ')})"),
    ]
    if api.quota is not None:
        message = f"{api.quota.left} of {api.quota.limit} requests are left today"
        findings.append(Finding(name="daily quota", ok=True, message=message))
    if config.portal_id is not None and config.portal_id != details.portal_id:
        mend = f"set portal_id to {portal}, or use a token of {config.portal_id}"
        message = f"the token is of account {portal}, not of {config.portal_id}"
        findings.append(Finding(name="portal_id", ok=False, message=message, mend=mend))
    granted = await _granted(api, config)
    findings += await _tried(api, streams, kinds) if granted is None else _compared(granted, streams)
    findings.append(_webhooks(config))
    return CheckResult(findings=findings, vendor_account=portal, mode=mode)


async def _granted(api: Api, config: HubSpotConfig) -> frozenset[str] | None:
    """Return what an OAuth token was granted; None for a token that cannot be asked about."""
    if config.oauth is None or not isinstance(api.auth, OAuth) or api.auth.access is None:
        return None
    form = {
        "client_id": config.oauth.client_id,
        "client_secret": config.oauth.client_secret.reveal(),
        "token": api.auth.access,
        "token_type_hint": "access_token",
    }
    response = await api.client.post(f"/oauth/{api.version}/token/introspect", form=form, retry=True)
    return frozenset(response.json(Introspection).scopes)


def _compared(granted: frozenset[str], streams: Sequence[Stream]) -> list[Finding]:
    """Say of every scope whether it was granted."""
    findings = []
    for scope in dict.fromkeys(scope for stream in streams for scope in stream.scopes):
        users = ", ".join(stream.name for stream in streams if scope in stream.scopes)
        if scope in granted:
            findings.append(Finding(name=scope, ok=True, message=f"granted; needed by {users}"))
        else:
            mend = f"add {scope} to the app and authorise again, or leave {users} out of streams"
            findings.append(Finding(name=scope, ok=False, message=f"missing; needed by {users}", mend=mend))
    for scope in WRITES:
        message = "granted" if scope in granted else "not granted"
        findings.append(Finding(name=scope, ok=True, message=f"{message}; needed to write scores and tasks"))
    return findings


async def _tried(api: Api, streams: Sequence[Stream], kinds: Mapping[str, Kind]) -> list[Finding]:
    """Ask for one row of every stream: what a token may do cannot be asked for. Refusals name the scopes."""
    findings = []
    for stream in streams:
        try:
            if stream.name == OWNERS.name:
                await api.owners()
            else:
                await api.listed(kinds[stream.name].type, (), limit=1)
        except CredentialsError as error:
            names = error.missing or stream.scopes
            for scope in names:
                mend = f"grant {scope} to the service key or app, or leave {stream.name} out of streams"
                findings.append(Finding(name=scope, ok=False, message=f"missing; needed by {stream.name}", mend=mend))
        except StatusError as error:
            message, mend = f"HubSpot answers {error.status}", f"does the account have {stream.name}? leave it out if not"
            findings.append(Finding(name=stream.name, ok=False, message=message, mend=mend))
        else:
            findings.append(Finding(name=stream.name, ok=True, message="can be read"))
    message = f"scores and tasks need {', '.join(WRITES)}; that is not tried, because it would write"
    findings.append(Finding(name="writing", ok=True, message=message))
    return findings


def _webhooks(config: HubSpotConfig) -> Finding:
    count = len(config.webhook_secrets)
    mend = None if count else "set webhook_secret to learn of changes at once; without it they are found by the next sync"
    message = {0: "no secret is set", 1: "a secret is set"}.get(count, f"{count} secrets are set")
    return Finding(name="webhooks", ok=True, message=message, mend=mend)


async def estimate(api: Api, kind: Kind, since: int | None, config: HubSpotConfig) -> Estimate:
    """Estimate from a count: a page is a request, and so are its associations.

    Args:
        api: HubSpot.
        kind: What would be read.
        since: Changes from then on, epoch ms; None: everything.
        config: For the rates.
    """
    filters = [] if since is None else [{"propertyName": kind.changed, "operator": "GTE", "value": str(since)}]
    total = await api.count(kind.type, filters)
    pages = max(1, -(-total // (PAGE if since is None else SEARCH_PAGE)))
    calls = pages * (1 + len(kind.links)) + (since is not None)
    rate = config.requests_per_ten_seconds / 10 - config.searches_per_second
    listing = calls / rate
    await api.details()
    return Estimate(
        calls=calls,
        quota_share=calls / api.quota.limit if api.quota is not None else None,
        seconds=listing if since is None else max(listing, pages / config.searches_per_second),
    )
