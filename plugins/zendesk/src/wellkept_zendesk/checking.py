"""Trying the credential, read-only; and what a first read would cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from wellkept import CheckResult, Estimate, Finding, Stream
from wellkept.errors import CredentialsError
from wellkept.http import StatusError
from wellkept_zendesk import streams
from wellkept_zendesk.api import EXPORTS_PER_MINUTE, PAGE, Api
from wellkept_zendesk.reading import EXPORT_PAGE

if TYPE_CHECKING:
    from wellkept_zendesk.config import ZendeskConfig

TOKENS_END = 1_809_043_200_000
"""2027-04-30T00:00:00Z: the day on which all API tokens stop. Source: the vendor's page on the migration to OAuth."""

DAY_MS = 86_400_000

WRITES = (
    ("organizations:write", "score.push"),
    ("tickets:write", "ticket.priority, ticket.tag, ticket.assign and ticket.note"),
)

EXPORTED = frozenset({streams.ORGANIZATIONS.name, streams.USERS.name, streams.TICKETS.name})


class _Me(msgspec.Struct):
    id: int | None = None
    role: str | None = None


class _Who(msgspec.Struct):
    user: _Me


class _Token(msgspec.Struct):
    scopes: list[str] = []


class _Tokens(msgspec.Struct):
    token: _Token


class _Count(msgspec.Struct):
    value: int


class _Counted(msgspec.Struct):
    count: _Count


async def check(api: Api, config: ZendeskConfig, wanted: Sequence[Stream], now: int) -> CheckResult:
    """Try the credential on everything that the streams need.

    Args:
        api: Zendesk.
        config: The configuration.
        wanted: The streams.
        now: The present, epoch ms.
    """
    account = f"{config.subdomain}.zendesk.com"
    try:
        me = (await api.get("/api/v2/users/me")).json(_Who).user
        refused = me.id is None  # Zendesk answers strangers as an anonymous user
    except CredentialsError as error:
        me, refused = _Me(), True
        if error.missing:  # it is known, but may not read users
            me, refused = _Me(id=0), False
    except StatusError as error:
        if error.status != 404:
            raise
        mend = "set subdomain to the first part of the address of your Zendesk"
        return CheckResult(
            findings=[Finding(name="account", ok=False, message=f"there is no Zendesk account at {account}", mend=mend)]
        )
    if refused:
        return CheckResult(findings=[Finding(name="credential", ok=False, message=f"{account} refuses it", mend=_mend(config))])
    findings = [
        Finding(name="account", ok=True, message=account),
        Finding(name="credential", ok=True, message=f"{account} accepts the {_kind(config)}"),
    ]
    if config.api_token is not None:
        findings.append(end_of_tokens(now))
    if me.role is not None:
        findings.append(_role(me.role))
    findings += [await _stream(api, stream) for stream in wanted]
    if config.api_token is None:
        findings += await _writes(api)
    findings.append(_webhooks(config))
    ends = None if config.api_token is None else TOKENS_END
    return CheckResult(findings=findings, vendor_account=config.subdomain, expires_at=ends)


def end_of_tokens(now: int) -> Finding:
    """Say how long API tokens last."""
    day = datetime.fromtimestamp(TOKENS_END / 1000, tz=UTC).date()
    mend = "make an OAuth client, and set client_id, client_secret and refresh_token instead of email and api_token"
    if now >= TOKENS_END:
        return Finding(name="API token", ok=False, message=f"API tokens have stopped on {day}", mend=mend)
    left = -(-(TOKENS_END - now) // DAY_MS)
    return Finding(name="API token", ok=True, message=f"API tokens stop on {day}, in {left} days", mend=mend)


def _kind(config: ZendeskConfig) -> str:
    return "OAuth token" if config.api_token is None else "API token"


def _mend(config: ZendeskConfig) -> str:
    if config.api_token is not None:
        return "check email and api_token; whether token access is on: Admin Center, Apps and integrations, Zendesk API"
    return "authorise the OAuth client again, and set refresh_token to the new refresh token"


def _role(role: str) -> Finding:
    if role == "admin":
        return Finding(name="role", ok=True, message="an admin is behind the credential")
    mend = "authorise as an admin: exports and deleted tickets are for admins only"
    return Finding(name="role", ok=False, message=f"the role behind the credential is {role}, not admin", mend=mend)


async def _stream(api: Api, stream: Stream) -> Finding:
    """Try the list behind a stream; exports, with their small limit, are not touched."""
    name = f"{stream.name} ({', '.join(stream.scopes)})"
    try:
        await api.get(f"/api/v2/{stream.name}", {"page[size]": 1})
    except CredentialsError as error:
        if not error.missing:
            mend = "authorise as an admin; or leave it out of `streams`, if the plan of the account does not have it"
            return Finding(name=name, ok=False, message="the agent behind the credential may not read it", mend=mend)
        missing = ", ".join(error.missing)
        mend = f"authorise the OAuth client with the scope {missing} (or read), as an admin"
        return Finding(name=name, ok=False, message=f"missing: {missing}", mend=mend)
    except StatusError as error:
        mend = "see whether the plan of the account has this; if not, leave it out of `streams`"
        return Finding(name=name, ok=False, message=f"GET /api/v2/{stream.name} answers {error.status}", mend=mend)
    return Finding(name=name, ok=True, message="works")


async def _writes(api: Api) -> list[Finding]:
    """Look up the token's own scopes, as trying to write would write."""
    try:
        scopes: Sequence[str] = (await api.get("/api/v2/oauth/tokens/current")).json(_Tokens).token.scopes
    except (CredentialsError, StatusError):
        message = "the token's scopes cannot be read, so whether it may write is not known"
        return [Finding(name="writing", ok=True, message=message)]
    findings = []
    for scope, what in WRITES:
        has = "write" in scopes or scope in scopes
        message = f"works; needed by {what}" if has else f"missing; needed by {what}"
        mend = None if has else f"authorise the OAuth client with the scope {scope} (or write), if that is to be used"
        findings.append(Finding(name=scope, ok=has, message=message, mend=mend))
    return findings


def _webhooks(config: ZendeskConfig) -> Finding:
    count = len(config.webhook_secrets)
    if not count:
        mend = "set webhook_secret to learn of changes at once; without it they are found by the next sync"
        return Finding(name="webhooks", ok=True, message="no signing secret is set", mend=mend)
    message = "a signing secret is set" if count == 1 else f"{count} signing secrets are set"
    return Finding(name="webhooks", ok=True, message=message)


async def estimate(api: Api, config: ZendeskConfig, stream: Stream) -> Estimate:
    """Estimate a first read from a count."""
    if stream.name == streams.DELETED.name:
        return Estimate(calls=None)
    count = (await api.get(f"/api/v2/{stream.name}/count")).json(_Counted).count.value
    exported = stream.name in EXPORTED
    calls = max(1, -(-count // (EXPORT_PAGE if exported else PAGE)))
    return Estimate(calls=calls, seconds=calls * 60 / (EXPORTS_PER_MINUTE if exported else config.requests_per_minute))
