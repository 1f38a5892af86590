"""Talking to HubSpot: two clients (searches have a limit of their own), dated paths, and HubSpot's own words for errors.

Versions of records. A row that was *asked for* (a list, or by id) has the instant at which it was asked for, in whole seconds
on HubSpot's clock (its ``Date`` header), because its state is of then or newer. A row that a *search* found has the time of
its last change, because the search index lags behind and may show an old state. So a search never puts an old state over a
newer reading, and a restored object wins over its own deletion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from wellkept import Reject
from wellkept.errors import CredentialsError, NotSentError
from wellkept.http import Bearer, Envelope, NotAllowedError, OAuth2, Outgoing, RateLimit, Response, StatusError, decode_rows
from wellkept_hubspot import wire

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept.http import Auth, Client
    from wellkept_hubspot.config import HubSpotConfig

PAGE = 100
"""Rows a page of a list, and inputs of a batch: the most that HubSpot takes."""

OWNERS_PAGE = 100
"""Owners a page."""

SEARCH_PAGE = 200
"""Rows a page of a search, the most that HubSpot gives."""

PAUSES = {"DAILY": 3600.0, "TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0}
"""Seconds to wait after 429, by the policy that it names, where no Retry-After says so. A day's quota is renewed at midnight in
the account's own zone, so it is asked for again every hour."""

PRIMARY = frozenset({1, 5})
"""Association types of a primary company: of a contact, a deal."""

Filter = Mapping[str, str]


class Seen(NamedTuple):
    """A row, its bytes, and its version."""

    row: wire.Obj
    raw: msgspec.Raw
    version: int


class Page(NamedTuple):
    """A page: rows, rejects, where the next page begins, the last row's id, and when it was asked for (epoch ms)."""

    rows: list[Seen]
    rejects: list[Reject]
    after: str | None
    last_id: str | None
    asked_at: int


class OwnerPage(NamedTuple):
    """A page of owners, each with its version; where the next page begins, and when it was asked for (epoch ms)."""

    owners: list[tuple[wire.Owner, int]]
    rejects: list[Reject]
    after: str | None
    asked_at: int


class Quota(NamedTuple):
    """Requests that the account permits a day, and those that are left."""

    limit: int
    left: int


class OAuth(OAuth2):
    """HubSpot's OAuth: all parameters in the form, also for introspection, which wants the access token itself."""

    access: str | None = None

    async def apply(self, request: Outgoing) -> None:
        """Sign, and remember which token it was."""
        await super().apply(request)
        self.access = request.credential


def authority(ctx: Context[HubSpotConfig]) -> Auth:
    """Return how requests are signed."""
    config = ctx.config
    if config.oauth is not None:
        return OAuth(
            f"{config.api_base}/oauth/{config.api_version}/token",
            config.oauth.client_id,
            config.oauth.client_secret,
            tokens=ctx.tokens,
            refresh_token=config.oauth.refresh_token,
            early=300.0,
        )
    if config.access_token is None:
        raise CredentialsError("there is neither a token nor OAuth")
    return Bearer(config.access_token)


def refusal(response: Response) -> Exception | None:
    """Return the error of a limit or of missing permissions, which HubSpot names in the body; leave the rest to the status."""
    if response.status == 429:
        policy = said(response.body).policy_name or "TEN_SECONDLY_ROLLING"
        if "retry-after" in response.headers:
            return None
        pause = PAUSES.get(policy, 10.0)
        known = policy if policy in PAUSES else "a limit"
        return NotSentError(f"{response.where}: too many requests ({known})", retry_after=pause)
    if response.status != 403:
        return None
    answer = said(response.body)
    names = tuple(
        dict.fromkeys(
            name
            for error in answer.errors or ()
            for key in ("requiredGranularScopes", "requiredScopes")
            for name in error.named(key)
        )
    )
    if answer.category != "MISSING_SCOPES":
        return None
    message = f"{response.where}: the token lacks {', '.join(names) or 'a scope'}"
    kind = CredentialsError if response.where.startswith("GET") else NotAllowedError
    return kind(message, missing=names, guidance="grant the scope to the service key or app, or leave the stream out")


def said(body: bytes) -> wire.ErrorAnswer:
    """Return what an error answer says."""
    try:
        return msgspec.json.decode(body, type=wire.ErrorAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return wire.ErrorAnswer()


class Api:
    """Talks to one HubSpot account."""

    def __init__(self, ctx: Context[HubSpotConfig]) -> None:
        config = ctx.config
        self.version = config.api_version
        self.auth = authority(ctx)
        searches = 10 * config.searches_per_second
        self.client: Client = ctx.http(
            config.api_base,
            auth=self.auth,
            rate=RateLimit(requests=config.requests_per_ten_seconds - searches, per=10.0),
            classify=refusal,
        )
        self._searcher: Client = ctx.http(
            config.api_base,
            auth=self.auth,
            rate=RateLimit(requests=config.searches_per_second, per=1.0),
            credential=f"{ctx.instance}/search",
            classify=refusal,
        )
        self._clock = ctx.clock
        self._details: wire.Details | None = None
        self.quota: Quota | None = None

    def objects(self, type_: str, rest: str = "") -> str:
        """Return the path of objects of a type."""
        return f"/crm/objects/{self.version}/{type_}{rest}"

    async def details(self) -> wire.Details:
        """Return the account's id, kind and currency; asked for once. Sets `quota`, where HubSpot tells it."""
        if self._details is None:
            response = await self.client.get(f"/account-info/{self.version}/details")
            self._details = response.json(wire.Details)
            self.quota = _quota(response)
        return self._details

    async def listed(
        self,
        type_: str,
        properties: Sequence[str],
        *,
        after: str | None = None,
        archived: bool = False,
        limit: int | None = None,
    ) -> Page:
        """Read a page of a list."""
        params: dict[str, Any] = {"limit": limit or PAGE, "after": after, "archived": archived, "properties": list(properties)}
        begun, now = self._clock.monotonic(), self._clock.now()
        response = await self.client.get(self.objects(type_), params=params)
        return self._page(response, self._asked(response, begun, now), versioned=True)

    async def searched(
        self, type_: str, properties: Sequence[str], filters: Sequence[Filter], *, limit: int | None = None
    ) -> Page:
        """Read the objects with the smallest ids that filters let through."""
        body = {
            "filterGroups": [{"filters": list(filters)}],
            "sorts": ["hs_object_id"],
            "properties": list(properties),
            "limit": limit or SEARCH_PAGE,
            "after": "0",
        }
        begun, now = self._clock.monotonic(), self._clock.now()
        response = await self._searcher.post(self.objects(type_, "/search"), json=body, retry=True)
        return self._page(response, self._asked(response, begun, now), versioned=False)

    async def count(self, type_: str, filters: Sequence[Filter]) -> int:
        """Return how many objects filters let through."""
        groups = [{"filters": list(filters)}] if filters else []
        body = {"filterGroups": groups, "sorts": ["hs_object_id"], "properties": [], "limit": 1, "after": "0"}
        response = await self._searcher.post(self.objects(type_, "/search"), json=body, retry=True)
        return response.json(wire.Total).total

    async def by_id(self, type_: str, ids: Sequence[str], properties: Sequence[str], *, id_property: str | None = None) -> Page:
        """Read up to a hundred objects by their ids, or by another unique property; those that are gone are left out."""
        inputs = [{"id": id_} for id_ in ids]
        body: dict[str, Any] = {"inputs": inputs, "properties": list(properties), "propertiesWithHistory": []}
        if id_property is not None:
            body["idProperty"] = id_property
        begun, now = self._clock.monotonic(), self._clock.now()
        response = await self.client.post(self.objects(type_, "/batch/read"), json=body, retry=True)
        return self._page(response, self._asked(response, begun, now), versioned=True)

    async def owners(self, after: str | None = None, *, email: str | None = None) -> OwnerPage:
        """Read a page of owners, or the one with an address."""
        params = {"limit": OWNERS_PAGE, "after": after, "email": email, "archived": False}
        begun, now = self._clock.monotonic(), self._clock.now()
        response = await self.client.get(f"/crm/owners/{self.version}", params=params)
        page = decode_rows(response, wire.Owner, path=("results",))
        asked_at = self._asked(response, begun, now)
        owners = [(owner, max(asked_at, wire.epoch_ms(owner.updated_at))) for owner, _ in page.rows]
        return OwnerPage(owners, page.rejects, _following(page.rest), asked_at)

    async def links(self, from_type: str, to_type: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Return for each object those at the other end: the primary one first, then by id."""
        found: dict[str, list[wire.Link]] = {}
        inputs: list[dict[str, str]] = [{"id": id_} for id_ in ids]
        path = f"/crm/associations/{self.version}/{from_type}/{to_type}/batch/read"
        while inputs:
            response = await self.client.post(path, json={"inputs": inputs}, retry=True)
            inputs = []
            for links in response.json(wire.LinkAnswer).results:
                found.setdefault(links.origin.id, []).extend(links.to)
                if links.paging is not None and links.paging.next is not None:
                    inputs.append({"id": links.origin.id, "after": links.paging.next.after})
        return {id_: _ordered(links) for id_, links in found.items() if links}

    def _asked(self, response: Response, begun: float, now: int) -> int:
        """Return when an answer was asked for, on HubSpot's clock and never too late: its ``Date`` is rounded down."""
        took = round((self._clock.monotonic() - begun) * 1000)
        try:
            date = parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError, TypeError):
            return now // 1000 * 1000
        return (int(date.timestamp()) * 1000 - took) // 1000 * 1000

    def _page(self, response: Response, asked_at: int, *, versioned: bool) -> Page:
        page = decode_rows(response, wire.Obj, path=("results",))
        rows = [
            Seen(row, raw, max(asked_at if versioned else 0, wire.epoch_ms(row.updated_at))) for row, raw in page.rows
        ]  # fmt: skip
        return Page(rows, page.rejects, _following(page.rest), page.last_id, asked_at)


def _following(rest: Envelope) -> str | None:
    """Return where the next page begins; None at the end."""
    after = rest.at(("paging", "next", "after"))
    return None if after is None or after == "" else str(after)


def _quota(response: Response) -> Quota | None:
    """Return the day's quota as the headers tell it; tokens of OAuth see none."""
    try:
        limit, left = (int(response.headers[f"x-hubspot-ratelimit-daily{part}"]) for part in ("", "-remaining"))
    except (KeyError, ValueError):
        return None
    return Quota(limit, left) if limit > 0 else None


def _ordered(links: Sequence[wire.Link]) -> list[str]:
    primary = {
        link.to_object_id
        for link in links
        if any(kind.type_id in PRIMARY or kind.label == "Primary" for kind in link.association_types)
    }
    return sorted({link.to_object_id for link in links}, key=lambda id_: (id_ not in primary, len(id_), id_))


def error_names(error: StatusError) -> tuple[str, ...]:
    """Return the properties that a refusal complains of, sorted; HubSpot names them in the context of its errors."""
    names = {name for complaint in said(error.body).errors or () for name in complaint.named("propertyName")}
    return tuple(sorted(names))
