"""The keys of a ``[plugins.stripe]`` table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from wellkept.secrets import Secret


class MrrPolicy(BaseModel):
    """``[plugins.stripe.mrr]``: what counts as monthly recurring revenue where tools disagree.

    The defaults are the definition that Stripe's own billing analytics use, except that a subscription whose collection is
    paused counts for nothing, as nobody pays it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    past_due: bool = True
    """Count subscriptions that are past due; they stop counting when they become unpaid or are cancelled."""
    paused_collection: Literal["zero", "count"] = "zero"
    """What a subscription is worth while ``pause_collection`` is set."""
    discounts: Literal["forever", "all", "none"] = "forever"
    """``forever``: only discounts without an end lower MRR. ``all``: the others as well, while they last. ``none``: none."""


class StripeConfig(BaseModel):
    """``[plugins.stripe]``: one Stripe account, in test or in live mode."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    api_key: Secret
    """A restricted key (``rk_...``); `wellkept check` names the permissions that it needs and lacks."""
    webhook_secret: Secret | list[Secret] | None = None
    """The signing secret of the webhook endpoint (``whsec_...``); a list while a secret is being rotated."""
    external_id_key: Annotated[str, Field(min_length=1, max_length=40)] = "account_id"
    """The key of customer metadata under which *our* account id stands: the strongest evidence of identity."""
    tax_ids: bool = False
    """Read customers' tax ids, as evidence of identity. Events do not show them: each changed customer costs a request more."""
    lookback_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    """How far behind its cursor a read of changes starts, for events that Stripe showed late."""
    reconcile_days: Annotated[int, Field(ge=1, le=25)] = 7
    """How often everything is read again, to find what no event told."""
    requests_per_second: Annotated[int, Field(ge=1, le=100)] = 20
    """Stripe permits 100 a second in live mode and 25 in a sandbox, to all users of the account together."""
    api_base: Annotated[str, Field(pattern=r"^https?://[^/]+$")] = "https://api.stripe.com"
    """Another address for a simulator; plain http on loopback only."""
    mrr: MrrPolicy = MrrPolicy()
    """How MRR is computed."""

    @field_validator("api_base")
    @classmethod
    def _no_key_over_plain_http(cls, value: str) -> str:
        host = value.split("://", 1)[1].rsplit(":", 1)[0]
        if value.startswith("http://") and host not in {"127.0.0.1", "localhost", "[::1]"}:
            raise ValueError("the API key would travel unencrypted; use https://")
        return value

    @property
    def webhook_secrets(self) -> tuple[Secret, ...]:
        """All signing secrets that are good at present."""
        if self.webhook_secret is None:
            return ()
        return tuple(self.webhook_secret) if isinstance(self.webhook_secret, list) else (self.webhook_secret,)
