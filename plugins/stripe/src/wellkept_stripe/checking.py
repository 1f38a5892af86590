"""Trying the key, read-only; and what a read would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from wellkept import CheckResult, Estimate, Finding
from wellkept.errors import CredentialsError
from wellkept.http import StatusError, together
from wellkept_stripe.api import PAGE, Api, MissingPermissionError
from wellkept_stripe.readers import Reader
from wellkept_stripe.wire import VendorAccount
from wellkept_stripe.wire_events import Event

if TYPE_CHECKING:
    from wellkept_stripe.config import StripeConfig

TRIED = {
    "rak_customer_read": "/v1/customers",
    "rak_subscription_read": "/v1/subscriptions",
    "rak_invoice_read": "/v1/invoices",
    "rak_charge_read": "/v1/charges",
    "rak_payment_intent_read": "/v1/payment_intents",
    "rak_payment_method_read": "/v1/payment_methods",
    "rak_product_read": "/v1/products",
    "rak_plan_read": "/v1/prices",
    "rak_coupon_read": "/v1/coupons",
    "rak_event_read": "/v1/events",
}
"""Permission of a restricted key, and a list that needs it. In the Dashboard ``rak_plan_read`` is called Prices."""

ACCOUNT_PERMISSION = "rak_accounts_kyc_basic_read"
WRITE_PERMISSION = "rak_customer_write"

STEP = 8
"""How much further back each sample of an estimate lies, in spans of a page."""

MOST_SAMPLES = 8


async def check(api: Api, config: StripeConfig, secret: str, readers: Sequence[Reader[Any]]) -> CheckResult:
    """Try the key on everything that the streams need.

    Args:
        api: Stripe.
        config: The configuration.
        secret: The key, for its prefix alone.
        readers: The streams.
    """
    mode: Literal["live", "test"] | None = "live" if "_live_" in secret else "test" if "_test_" in secret else None
    try:
        account, finding = await _account(api)
    except CredentialsError:
        mend = "set api_key to a key of the account: Dashboard, Developers, API keys"
        return CheckResult(findings=[Finding(name="key", ok=False, message="Stripe refuses the key", mend=mend)], mode=mode)
    findings = [Finding(name="key", ok=True, message=f"Stripe accepts the key ({mode or 'unknown'} mode)"), finding]
    findings += await together(TRIED, lambda permission: _permission(api, permission, readers))
    if secret.startswith("sk_"):
        message, mend = "the key may do everything", "use a restricted key; the plugin's README has a link that makes one"
        findings.append(Finding(name="least privilege", ok=True, message=message, mend=mend))
    message = f"score.push needs {WRITE_PERMISSION}; it is not tried, because that would write"
    findings.append(Finding(name=WRITE_PERMISSION, ok=True, message=message))
    findings.append(_webhooks(config))
    return CheckResult(findings=findings, vendor_account=account, mode=mode)


async def _account(api: Api) -> tuple[str | None, Finding]:
    """Return the account's id; a refusal for want of a permission tells it as well."""
    try:
        answer = await api.get("/v1/account")
    except MissingPermissionError as error:
        if error.vendor_account is not None:
            return error.vendor_account, Finding(name="account", ok=True, message=f"{error.vendor_account}, as a refusal says")
        mend = f"permit {ACCOUNT_PERMISSION}"
        return None, Finding(name="account", ok=False, message="the account behind the key is not known", mend=mend)
    id_ = answer.response.json(VendorAccount).id
    return id_, Finding(name="account", ok=True, message=id_)


async def _permission(api: Api, permission: str, readers: Sequence[Reader[Any]]) -> Finding:
    path = TRIED[permission]
    used_by = [reader.stream.name for reader in readers if permission in reader.stream.scopes]
    try:
        await api.get(path, {"limit": 1})
    except MissingPermissionError as error:
        names = ", ".join(error.missing) or permission
        mend = f"permit {names} on the restricted key"
        message = f"missing; needed by {', '.join(used_by)}"
        return Finding(name=permission, ok=False, message=message, mend=mend)
    except StatusError as error:
        message, mend = f"GET {path} answers {error.status}", "see the request in the Dashboard's logs"
        return Finding(name=permission, ok=False, message=message, mend=mend)
    return Finding(name=permission, ok=True, message=f"works; needed by {', '.join(used_by)}")


def _webhooks(config: StripeConfig) -> Finding:
    count = len(config.webhook_secrets)
    if not count:
        mend = "set webhook_secret to learn of changes at once; without it they are found by the next sync"
        return Finding(name="webhooks", ok=True, message="no signing secret is set", mend=mend)
    return Finding(
        name="webhooks", ok=True, message="a signing secret is set" if count == 1 else f"{count} signing secrets are set"
    )


async def estimate_list(api: Api, reader: Reader[Any], rate: int) -> Estimate:
    """Estimate a full read from the density of rows, sampled further and further back.

    Stripe counts nothing. Each sample is a page of a hundred rows; its span tells how densely rows lie there, and the next
    sample is taken eight such spans further back, until the beginning is reached.
    """
    rows = 0
    before: int | None = None
    for _ in range(MOST_SAMPLES):
        params: dict[str, Any] = {} if before is None else {"created[lt]": before}
        page = await api.page(reader.path, reader.row, {**reader.fixed, **params})
        times = [int(row.created) for row, _ in page.rows if hasattr(row, "created")]
        rows += len(page.rows)
        if not page.has_more:
            return _cost(-(-rows // PAGE) or 1, rate)
        if not reader.by_created or len(times) < 2:
            return Estimate(calls=None)
        newest, oldest = max(times), min(times)
        span = max(1, newest - oldest)
        rows += len(page.rows) * (STEP - 1)
        before = oldest - span * (STEP - 1)
    return _cost(-(-rows // PAGE), rate)


async def estimate_events(api: Api, reader: Reader[Any], since: int, rate: int) -> Estimate:
    """Estimate a read of changes from one page of events."""
    page = await api.page("/v1/events", Event, {"types[]": reader.types, "created[gte]": since})
    if not page.has_more or not page.rows:
        return _cost(1, rate)
    newest, oldest = page.rows[0][0].created, page.rows[-1][0].created
    pages = (newest - since) / max(1, newest - oldest)
    return _cost(max(2, -(-pages // 1)), rate)


def _cost(calls: float, rate: int) -> Estimate:
    return Estimate(calls=int(calls), seconds=calls / rate)
