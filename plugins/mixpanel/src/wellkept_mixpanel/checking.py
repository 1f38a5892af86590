"""Trying the credential, read-only; and what a read would cost."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from wellkept import CheckResult, Estimate, Finding
from wellkept.errors import CredentialsError, RetryableError
from wellkept.http import StatusError
from wellkept_mixpanel.api import AN_HOUR, Api
from wellkept_mixpanel.config import REGIONS, Region
from wellkept_mixpanel.days import Calendar

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_mixpanel.config import MixpanelConfig

ROLE = "give the service account the role Analyst or above: Project settings, Service Accounts"


async def check(ctx: Context[MixpanelConfig], api: Api) -> CheckResult:
    """Try what is read, each with one call of the hour's quota.

    Raises:
        RetryableError: Mixpanel cannot be reached, or the quota of this hour is used up.
    """
    config = ctx.config
    findings: list[Finding] = []
    try:
        await _users(api)
    except CredentialsError as error:
        if not error.missing:
            return CheckResult(findings=[await _stranger(ctx)])
        findings.append(Finding(name="profiles", ok=False, message="a permission is missing; needed by users", mend=ROLE))
    else:
        findings.append(Finding(name="profiles", ok=True, message="work; needed by users"))
    known = f"project {api.project}, region {config.region}, service account {config.service_account}"
    findings.insert(0, Finding(name="project", ok=True, message=known))
    findings.append(await _export(ctx, api))
    if config.data_group_id is not None:
        findings.append(await _groups(api, config.data_group_id))
    findings.append(_token(config))
    findings.append(_accounts(config))
    return CheckResult(findings=findings, vendor_account=api.project)


async def _users(api: Api, **form: Any) -> int:
    return (await api.profiles(**form)).total


async def _stranger(ctx: Context[MixpanelConfig]) -> Finding:
    """Look in the other regions for a project that this one does not know."""
    config = ctx.config
    message = f"Mixpanel does not know {config.service_account} in project {config.project_id} of region {config.region}"
    if config.api_base is None:
        others: list[Region] = [region for region in REGIONS if region != config.region]
        for region in others:
            try:
                await _users(Api(ctx, region))
            except (CredentialsError, StatusError, RetryableError):
                continue
            return Finding(name="region", ok=False, message=f"{message}; {region} does", mend=f'set region = "{region}"')
    mend = "check project_id, service_account and secret: Project settings, Overview and Service Accounts"
    return Finding(name="project", ok=False, message=message, mend=mend)


async def _export(ctx: Context[MixpanelConfig], api: Api) -> Finding:
    calendar = Calendar(ctx.config)
    now = ctx.clock.now()
    yesterday = calendar.today(now) - timedelta(days=1)
    from_date, to_date = calendar.asked_for(yesterday, yesterday, now)
    count = 0
    try:
        async with aclosing(api.export(from_date, to_date, limit=1)) as lines:
            async for _ in lines:
                count += 1
    except CredentialsError:
        return Finding(name="export", ok=False, message="a permission is missing; needed by events", mend=ROLE)
    except StatusError as error:
        return Finding(name="export", ok=False, message=f"answers HTTP {error.status}", mend="see Mixpanel's status page")
    if not count:
        mend = "if that is unexpected, see whether the product still sends events to this project"
        return Finding(name="export", ok=True, message=f"works; there was no event on {yesterday}", mend=mend)
    return Finding(name="export", ok=True, message="works; needed by events")


async def _groups(api: Api, data_group_id: str) -> Finding:
    mend = "copy the id of the group key: Project settings, Group Keys"
    try:
        total = await _users(api, data_group_id=data_group_id)
    except CredentialsError:
        return Finding(name="groups", ok=False, message="a permission is missing; needed by groups", mend=ROLE)
    except StatusError as error:
        message = f"data_group_id {data_group_id} is refused (HTTP {error.status})"
        return Finding(name="groups", ok=False, message=message, mend=mend)
    if not total:
        return Finding(name="groups", ok=False, message=f"there is no group with data_group_id {data_group_id}", mend=mend)
    return Finding(name="groups", ok=True, message=f"{total} group profiles")


def _token(config: MixpanelConfig) -> Finding:
    if config.token is None:
        mend = "set token for score.push: Project settings, Overview"
        return Finding(name="token", ok=True, message="no token is set, so nothing can be written", mend=mend)
    if config.push_to == "group" and config.data_group_id is None:
        mend = 'set group_key and data_group_id, or push_to = "user"'
        return Finding(name="token", ok=False, message="a token is set, but there are no groups to write to", mend=mend)
    message = "a token is set; it is not tried, because that would write, and Mixpanel does not say whose it is"
    return Finding(name="token", ok=True, message=message)


def _accounts(config: MixpanelConfig) -> Finding:
    if config.company_of_user is None:
        mend = "set group_key, or company_property, so that use is known by account and not by person alone"
        return Finding(name="accounts", ok=True, message="no property says to which account a user belongs", mend=mend)
    source = "group profiles" if config.data_group_id is not None else "user profiles"
    return Finding(name="accounts", ok=True, message=f"named by {config.company_of_user}; taken from {source}")


def cost(calls: int) -> Estimate:
    """Return what so many calls cost where 60 an hour are permitted: those above wait for the next hour."""
    return Estimate(calls=calls, quota_share=calls / AN_HOUR, seconds=float((max(0, calls - 1)) // AN_HOUR * 3600))
