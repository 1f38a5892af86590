"""The keys of a ``[plugins.zendesk]`` table."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept.secrets import Secret

StreamName = Literal["organizations", "users", "tickets", "satisfaction_ratings", "deleted_tickets"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class ZendeskConfig(BaseModel):
    """``[plugins.zendesk]``: one Zendesk account, by OAuth or (until 2027-04-30) by an API token."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={
            "oneOf": [
                {"title": "an OAuth client", "required": ["client_id", "client_secret", "refresh_token"]},
                {"title": "an API token (until 2027-04-30)", "required": ["email", "api_token"]},
            ]
        },
    )

    subdomain: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """The account: ``acme`` of ``acme.zendesk.com``."""
    client_id: Annotated[str, Field(min_length=1)] | None = None
    """The OAuth client's identifier, from Admin Center, Apps and integrations, OAuth clients."""
    client_secret: Secret | None = None
    """Its secret."""
    refresh_token: Secret | None = None
    """The refresh token of the first authorisation. Later ones are kept in the store, encrypted."""
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """Whose API token it is."""
    api_token: Secret | None = None
    """An API token that was made before 2026-10-27; all of them stop working on 2027-04-30."""
    webhook_secret: Secret | list[Secret] | None = None
    """The webhook's signing secret; a list while a secret is being rotated."""
    requests_per_minute: Annotated[int, Field(ge=10, le=2500)] = 200
    """Zendesk permits 200 (Team), 400 (Growth, Professional) or 700 (Enterprise) to everybody who uses the account."""
    streams: Annotated[list[StreamName], Field(min_length=1)] = [
        "organizations",
        "users",
        "tickets",
        "satisfaction_ratings",
        "deleted_tickets",
    ]
    """What is read. Leave out what the account's plan does not have, such as ratings."""
    rating_lookback_days: Annotated[int, Field(ge=1, le=90)] = 14
    """How far behind its cursor a read of ratings starts: Zendesk dates a rating by its offer, and customers answer late."""
    churn_words: list[Annotated[str, Field(min_length=3)]] = []
    """Further phrases that tell that a customer wants to leave, besides those that the plugin knows."""
    api_base: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    """Another address for a simulator; plain http on loopback only."""

    @field_validator("api_base")
    @classmethod
    def _no_token_over_plain_http(cls, value: str | None) -> str | None:
        if value is None or value.startswith("https://"):
            return value
        if value.removeprefix("http://").rsplit(":", 1)[0] not in LOOPBACK:
            raise ValueError("the token would travel unencrypted; use https://")
        return value

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        oauth = {"client_id": self.client_id, "client_secret": self.client_secret, "refresh_token": self.refresh_token}
        token = {"email": self.email, "api_token": self.api_token}
        begun = {name for name, value in oauth.items() if value is not None}
        if begun and any(value is not None for value in token.values()):
            raise ValueError("give either client_id, client_secret and refresh_token, or email and api_token; not both")
        needed = oauth if begun or not any(value is not None for value in token.values()) else token
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            raise ValueError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        return self

    @property
    def base(self) -> str:
        """Where the account is."""
        return self.api_base or f"https://{self.subdomain}.zendesk.com"

    @property
    def webhook_secrets(self) -> tuple[Secret, ...]:
        """All signing secrets that are good at present."""
        if self.webhook_secret is None:
            return ()
        return tuple(self.webhook_secret) if isinstance(self.webhook_secret, list) else (self.webhook_secret,)
