"""The keys of a ``[plugins.mixpanel]`` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept.secrets import Secret

Region = Literal["us", "eu", "in"]

Name = Annotated[str, Field(min_length=1, max_length=255)]
"""Of a property or an event."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where a region's three APIs are."""

    export: str
    query: str
    ingestion: str


REGIONS: dict[Region, Hosts] = {
    "us": Hosts("https://data.mixpanel.com", "https://mixpanel.com", "https://api.mixpanel.com"),
    "eu": Hosts("https://data-eu.mixpanel.com", "https://eu.mixpanel.com", "https://api-eu.mixpanel.com"),
    "in": Hosts("https://data-in.mixpanel.com", "https://in.mixpanel.com", "https://api-in.mixpanel.com"),
}
"""Data residency decides about the hosts; a project is known in its own region only."""


class MixpanelConfig(BaseModel):
    """``[plugins.mixpanel]``: one Mixpanel project."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    project_id: Annotated[int, Field(ge=1)]
    """Project settings, Overview."""
    service_account: Name
    """User name of a service account; Organization settings, Service Accounts."""
    secret: Secret
    """The service account's secret."""
    token: Secret | None = None
    """The project's token; ``score.push`` needs it, reading does not."""
    region: Region = "us"
    """Where the project's data are kept."""
    project_timezone: str = "UTC"
    """The project's time zone as in its settings, such as ``Europe/Berlin``: it decides which day an event belongs to."""
    created_before_2023: bool = False
    """For projects made before 2023-01-01 Mixpanel takes dates, and gives times, in the project's zone instead of UTC."""
    history_days: Annotated[int, Field(ge=1, le=1826)] = 90
    """How far the first read goes back; Mixpanel keeps five years."""
    window_days: Annotated[int, Field(ge=1, le=100)] = 7
    """Days in one export. Mixpanel permits 60 exports an hour; a window that breaks off is read again as a whole."""
    lookback_days: Annotated[int, Field(ge=0, le=60)] = 5
    """Days that are read again each day, for events that came late: phones may send theirs up to five days later."""
    unfinished_day: bool = False
    """Read today as well, again in each run. Today's figures are small for no other reason than the time of day."""
    events: list[Name] = []
    """Only these events; empty for all."""
    ignore_events: list[Name] = ["$mp_web_page_view", "$session_start", "$session_end", "$identify", "$create_alias", "$merge"]
    """Events that tell nothing about use."""
    group_key: Name | None = None
    """The group key of accounts, such as ``company_id``: a property of events."""
    data_group_id: Annotated[str, Field(pattern=r"^-?\d+$")] | None = None
    """The id that Mixpanel gave that group key (Project settings, Group Keys). Without it accounts are taken from users."""
    group_id_is_account_id: bool = False
    """Group ids are *our* account ids: the strongest evidence of identity."""
    company_property: Name | None = None
    """The property of a *user* that holds the group id; that of `group_key` where it is left out."""
    external_id_property: Name | None = None
    """The property of a group that holds *our* account id, where the group id is another one."""
    domain_property: Name | None = None
    """The property of a group that holds its internet domain."""
    test_property: Name | None = None
    """The property of a group that is true for test accounts, which are no customers."""
    distinct_id_is_user_id: bool = False
    """Distinct ids are the user ids of *our* product."""
    profiles_every_hours: Annotated[int, Field(ge=1, le=168)] = 24
    """How often all profiles are read: a call for each thousand of them, of which 60 an hour are permitted."""
    push_to: Literal["group", "user"] = "group"
    """Where ``score.push`` writes: into the properties of groups (accounts) or of users (people)."""
    api_base: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    """Another address for a simulator, for all three APIs; plain http on loopback only."""

    @field_validator("project_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError(f"there is no time zone {value!r}; use a name such as Europe/Berlin") from None
        return value

    @field_validator("api_base")
    @classmethod
    def _no_secret_over_plain_http(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("http://"):
            host = value.split("://", 1)[1].rsplit(":", 1)[0]
            if host not in {"127.0.0.1", "localhost", "[::1]"}:
                raise ValueError("the secret would travel unencrypted; use https://")
        return value

    @field_validator("group_key")
    @classmethod
    def _no_property_of_mixpanels_own(cls, value: str | None) -> str | None:
        if value in {"time", "distinct_id", "$insert_id", "token"}:
            raise ValueError(f"{value!r} is a property that Mixpanel itself gives to every event; name your group key")
        return value

    @model_validator(mode="after")
    def _groups_have_a_key(self) -> Self:
        if self.data_group_id is not None and self.group_key is None:
            raise ValueError("data_group_id needs group_key, the name of the same group key")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The project's time zone."""
        return ZoneInfo(self.project_timezone)

    @property
    def company_of_user(self) -> str | None:
        """The property of a user that holds the group id."""
        return self.company_property or self.group_key

    def hosts(self, region: Region | None = None) -> Hosts:
        """Return where a region's APIs are; the configured region's by default."""
        if self.api_base is not None:
            return Hosts(self.api_base, self.api_base, self.api_base)
        return REGIONS[region or self.region]
