"""The keys of a ``[plugins.hubspot]`` table."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept.records import CANONICAL, Account, Person, Record, SurveyResponse, Task
from wellkept.secrets import Secret
from wellkept_hubspot.records import HubSpotDeal, HubSpotObject

StreamName = Literal["companies", "contacts", "deals", "owners", "tasks", "feedback_submissions"]
PropertyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
Scale = tuple[float, float]

_TYPES: tuple[type[Record], ...] = (*CANONICAL, HubSpotDeal, HubSpotObject)

RECORDS: dict[str, type[Record]] = {type_.type: type_ for type_ in _TYPES}
"""What a custom object may become."""

OWN = frozenset({"id", "version", "updated_at", "extra", "account_ref", "person_ref"})
"""Fields that the connector fills in itself."""

STANDARD: dict[str, type[Record]] = {
    "companies": Account,
    "contacts": Person,
    "deals": HubSpotDeal,
    "tasks": Task,
    "feedback_submissions": SurveyResponse,
}
"""What the standard objects become."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class OAuthTable(_Table):
    """``[plugins.hubspot.oauth]``: access that a person granted to an app of yours, instead of a token."""

    client_id: Annotated[str, Field(min_length=1)]
    """The app's client id."""
    client_secret: Secret
    """The app's client secret; it signs the app's webhooks as well."""
    refresh_token: Secret
    """What the authorisation brought. Access tokens are fetched with it, before the old one ends."""


class CustomObject(_Table):
    """``[plugins.hubspot.objects.NAME]``: a custom object, read as a stream ``NAME``."""

    object_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    """Its name or id at HubSpot, such as ``p12345_contract`` or ``2-1234567``."""
    record: str = HubSpotObject.type
    """The record type that it becomes: ``hubspot.object``, or a canonical one such as ``subscription``."""
    fields: dict[str, PropertyName] = {}
    """Field of the record = property of the object."""
    values: dict[str, str | int | float | bool] = {}
    """Field of the record = a fixed value, such as ``currency = "usd"``."""
    extra: list[PropertyName] = []
    """More properties, which go into `extra`."""
    associations: list[Literal["companies", "contacts"]] = ["companies"]
    """What it is associated with at HubSpot: says whose account it belongs to, and which person."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.record not in RECORDS:
            raise ValueError(f"there is no record type {self.record!r}; there are {', '.join(sorted(RECORDS))}")
        type_ = RECORDS[self.record]
        _known(type_, {**self.fields, **self.values})
        given = OWN | self.fields.keys() | self.values.keys() | ({"kind"} if type_ is HubSpotObject else set())
        missing = sorted(
            field.name for field in msgspec.structs.fields(type_) if field.required and field.name not in given
        )  # fmt: skip
        if missing:
            raise ValueError(f"a {self.record} needs {', '.join(missing)}: name their properties under fields, or values")
        return self


class HubSpotConfig(_Table):
    """``[plugins.hubspot]``: one HubSpot account."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"title": "the token of a service key or private app", "required": ["access_token"]},
                {"title": "OAuth, for an app of yours", "required": ["oauth"]},
            ]
        }
    )

    access_token: Secret | None = None
    """The token of a service key or private app (``pat-...``); or use ``oauth``."""
    oauth: OAuthTable | None = None
    """Access by OAuth, instead of ``access_token``."""
    webhook_secret: Secret | list[Secret] | None = None
    """The client secret of the app that sends webhooks; a list while it is being rotated. With ``oauth`` its client secret
    counts unless one is set here."""
    portal_id: int | None = None
    """Your account's id (Hub ID). Needed only if one app sends webhooks of several accounts to this address."""
    api_version: Literal["2026-03", "2026-09"] = "2026-03"
    """The dated version of HubSpot's API. From 2026-09 on, validation rules that admins set hold for writes as well."""
    streams: list[StreamName] = ["companies", "contacts", "deals", "owners", "tasks", "feedback_submissions"]
    """What to read. Leave out what your edition of HubSpot does not have, such as feedback_submissions."""
    external_id_property: PropertyName = "account_id"
    """The company property that holds *our* account id: the strongest evidence of identity."""
    consent_property: PropertyName | None = None
    """A contact property that says ``true`` where marketing mail is wanted. Without it nobody counts as having agreed."""
    optout_properties: list[PropertyName] = []
    """Besides ``hs_email_optout``: opt-outs of single subscription types, ``hs_email_optout_12345``."""
    extra: dict[StreamName, list[PropertyName]] = {}
    """More properties, by stream; they go into `extra`, and ``[plugins.hubspot.map]`` makes columns of them."""
    fields: dict[StreamName, dict[str, PropertyName]] = {}
    """By stream: field of the record = property, such as ``companies = { segment = "customer_tier" }``."""
    objects: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")], CustomObject] = {}
    """Custom objects, by a name of yours."""
    feedback_scales: dict[Literal["nps", "csat", "ces", "other"], Scale] = {
        "nps": (0, 10),
        "csat": (1, 5),
        "ces": (1, 7),
        "other": (0, 10),
    }
    """The scale of each kind of survey, lowest and highest score. HubSpot's answers do not tell it."""
    property_types: dict[PropertyName, Literal["number", "string", "bool", "date", "datetime"]] = {}
    """Types of company properties that ``score.push`` creates, where the first value does not tell."""
    task_outcome_property: PropertyName = "wellkept_outcome"
    """The task property in which people note what came of a task. Created with the first task."""
    task_outcomes: Annotated[list[str], Field(min_length=1)] = ["reached", "no_answer", "solved", "at_risk", "leaving"]
    """What people can choose there, if we create it."""
    lookback_minutes: Annotated[int, Field(ge=1, le=10_080)] = 15
    """How far behind its cursor a read of changes starts, as HubSpot's search index lags behind."""
    reconcile_days: Annotated[int, Field(ge=1, le=60)] = 7
    """How often everything is read again, to find what no search shows."""
    requests_per_ten_seconds: Annotated[int, Field(ge=20, le=250)] = 190
    """HubSpot permits 100, 190 or 250 to an app, depending on edition and add-on; searches are included here."""
    searches_per_second: Annotated[int, Field(ge=1, le=5)] = 4
    """Searches have a limit of their own, for everybody who uses the account."""
    api_base: Annotated[str, Field(pattern=r"^https?://[^/]+$")] = "https://api.hubapi.com"
    """Another address for a simulator; plain http on loopback only."""

    @field_validator("api_base")
    @classmethod
    def _no_token_over_plain_http(cls, value: str) -> str:
        host = value.split("://", 1)[1].rsplit(":", 1)[0]
        if value.startswith("http://") and host not in {"127.0.0.1", "localhost", "[::1]"}:
            raise ValueError("the token would travel unencrypted; use https://")
        return value

    @field_validator("feedback_scales")
    @classmethod
    def _scales_rise(cls, value: dict[str, Scale]) -> dict[str, Scale]:
        for kind, (low, high) in value.items():
            if not low < high:
                raise ValueError(f"{kind}: the lowest score comes first, then the highest")
        return value

    @field_validator("fields")
    @classmethod
    def _fields_exist(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for stream, fields in value.items():
            if stream not in STANDARD:
                raise ValueError(f"{stream} has no properties")
            _known(STANDARD[stream], fields)
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.access_token is None) == (self.oauth is None):
            raise ValueError("give either access_token or [plugins.hubspot.oauth]")
        if self.requests_per_ten_seconds <= 10 * self.searches_per_second:
            raise ValueError("searches_per_second leaves nothing of requests_per_ten_seconds")
        taken = sorted(STANDARD.keys() & self.objects.keys() | {"owners"} & self.objects.keys())
        if taken:
            raise ValueError(f"objects: {', '.join(taken)} is a stream already; choose another name")
        return self

    @property
    def webhook_secrets(self) -> tuple[Secret, ...]:
        """All secrets that sign webhooks at present."""
        if self.webhook_secret is None:
            return () if self.oauth is None else (self.oauth.client_secret,)
        return tuple(self.webhook_secret) if isinstance(self.webhook_secret, list) else (self.webhook_secret,)


def _known(type_: type[Record], fields: dict[str, Any]) -> None:
    """Refuse fields that the record type does not have, or that are not for people to set."""
    names = [field.name for field in msgspec.structs.fields(type_) if field.name not in OWN]
    for name in fields:
        if name not in names:
            raise ValueError(f"a {type_.type} has no field {name!r} that could be set; it has {', '.join(names)}")
