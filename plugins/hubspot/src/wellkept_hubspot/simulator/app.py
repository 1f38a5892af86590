"""The simulator: tokens and their scopes, OAuth, limits of three kinds, and the way to the endpoints."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept import Clock
from wellkept.testing import Answer, Simulator, Spec
from wellkept.testing.world import World
from wellkept_hubspot.simulator import search
from wellkept_hubspot.simulator.endpoints import ENDPOINTS, Call, Endpoint, Rule, scope_of
from wellkept_hubspot.simulator.errors import HubSpotError, for_status, missing_scopes
from wellkept_hubspot.simulator.scenarios import Scenarios
from wellkept_hubspot.simulator.seed import build, define_standard
from wellkept_hubspot.simulator.state import State

LIFE = 1800
"""Seconds that an access token lasts."""


@dataclass
class Token:
    """A token.

    Attributes:
        scopes: What it may do; None: everything.
        expires_at: Epoch ms; None: never.
    """

    value: str
    scopes: frozenset[str] | None = None
    expires_at: int | None = None
    revoked: bool = False


@dataclass
class Window:
    """Requests within a period: at most `most` in `span` milliseconds."""

    most: int | None
    span: int
    policy: str
    hits: deque[int] = field(default_factory=deque)

    def take(self, now: int) -> None:
        """Count one request. Raises `HubSpotError` if it is one too many."""
        while self.hits and self.hits[0] <= now - self.span:
            self.hits.popleft()
        if self.most is not None and len(self.hits) >= self.most:
            raise for_status(429, self.policy)
        self.hits.append(now)

    @property
    def left(self) -> int:
        """How many more may come."""
        return 650_000 - len(self.hits) if self.most is None else max(0, self.most - len(self.hits))


@dataclass(frozen=True)
class App:
    """An app that was granted access."""

    client_id: str
    client_secret: str
    refresh_token: str
    scopes: frozenset[str]


class HubSpotSimulator(Scenarios, Simulator):
    """A HubSpot account that can be talked to.

    Args:
        accounts: How many customers the market has of which the CRM knows; see `wellkept.testing.world.World`.
        world: A market shared with other simulators, instead.
        clock: Its time.
        seed: Decides the market and everything else.
        spec: The description to check both sides against; see `describe`.
        rate_limit: Requests in ten seconds; None: any number.
        daily_limit: Requests a day.
        search_limit: Searches a second.
        lag: Milliseconds by which the search index is behind.
        most_results: Results after which a search ends.
        account_type: ``STANDARD``, ``SANDBOX`` or ``DEVELOPER_TEST``.

    Attributes:
        token: A token that may do everything.
        rules: What an admin demands of values, by object type and property; holds from API version 2026-09 on.
        portal_id: The account's id.
        webhook_secret: The client secret that signs webhooks.
        sightings: What is behind the companies of the market, by HubSpot's id.
    """

    def __init__(
        self,
        *,
        accounts: int = 0,
        world: World | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        spec: Spec | None = None,
        rate_limit: int | None = None,
        daily_limit: int | None = None,
        search_limit: int | None = None,
        lag: int = 0,
        most_results: int = search.MOST,
        account_type: Literal["STANDARD", "SANDBOX", "DEVELOPER_TEST"] = "STANDARD",
    ) -> None:
        super().__init__(clock=clock, seed=seed, spec=spec)
        self.state = State(self.clock, self.log)
        self.lag = lag
        self.most_results = most_results
        self.account_type = account_type
        self.rules: dict[tuple[str, str], Rule] = {}
        self._windows = (Window(rate_limit, 10_000, "TEN_SECONDLY_ROLLING"), Window(daily_limit, 86_400_000, "DAILY"))
        self._searches = Window(search_limit, 1_000, "SECONDLY")
        digest = hashlib.sha256(f"hubspot/{seed}".encode()).hexdigest()
        self.portal_id = 10_000_000 + int(digest[:6], 16)
        self.webhook_secret = digest[6:38]
        self._tokens: dict[str, Token] = {}
        self._apps: list[App] = []
        self._issued = 0
        self.token = self.add_token(f"pat-na1-{digest[38:60]}")
        define_standard(self.state)
        market = world or World(accounts=accounts, seed=seed, now=self.clock.now())
        self.sightings = build(self.state, market.seen_by("crm"), seed=seed)
        self.log.clear()
        self.state.notices.clear()

    def add_token(self, value: str, scopes: Sequence[str] | None = None) -> str:
        """Make a token, and return it; with `scopes` it may do nothing else."""
        self._tokens[value] = Token(value, None if scopes is None else frozenset(scopes))
        return value

    def revoke(self, value: str) -> None:
        """End a token's life."""
        self._tokens[value].revoked = True

    def add_app(self, client_id: str, client_secret: str, refresh_token: str, scopes: Sequence[str]) -> None:
        """Grant an app access."""
        self._apps.append(App(client_id, client_secret, refresh_token, frozenset(scopes)))

    def routes(self) -> Sequence[BaseRoute]:
        """Return one route: the table of endpoints is our own."""
        return [Route("/{path:path}", self._serve, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])]

    def error(self, status: int, code: str | None = None) -> Answer:
        """Return an error in HubSpot's words."""
        return for_status(status, code).answer()

    # --- one request ---

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        headers: dict[str, str] = {}
        try:
            failure = await self.inside(request)
            if failure is not None:
                return Response(failure.body, failure.status, failure.headers)
            with self.lock:
                status, shown = self._answer_to(request, body, headers)
        except HubSpotError as error:
            answer = error.answer()
            return Response(answer.body, answer.status, {**answer.headers, **headers})
        if shown is None:
            return Response(b"", status, headers)
        kind = "application/json;charset=utf-8"
        return Response(json.dumps(shown, ensure_ascii=False).encode(), status, {**headers, "content-type": kind})

    def _answer_to(self, request: Request, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        path = request.url.path
        if path.startswith("/oauth/"):
            return 200, self._oauth(request.method, path, dict(parse_qsl(body.decode())))
        token = self._authenticate(request)
        if path.startswith("/account-info/") and path.endswith("/details"):
            self._count(headers)
            return 200, self._details()
        found, ids, version = self._find(request.method, path)
        if found.search:
            self._searches.take(self.clock.now())
        self._count(None if found.search else headers)
        scope = scope_of(found, ids, self.state)
        if token.scopes is not None and scope not in token.scopes:
            raise missing_scopes([scope])
        try:
            sent = json.loads(body) if body else {}
        except ValueError:
            raise HubSpotError(400, "Invalid input JSON") from None
        query = parse_qs(request.url.query, keep_blank_values=True)
        call = Call(self.state, version, ids, query, sent, self.rules, self.lag, self.most_results)
        try:
            return found.handler(call)
        except (KeyError, TypeError, AttributeError) as error:
            raise HubSpotError(400, f"Invalid input: {error}") from None

    def _find(self, method: str, path: str) -> tuple[Endpoint, tuple[str, ...], str]:
        for found in ENDPOINTS:
            match = found.pattern.fullmatch(path)
            if match is not None and found.method == method:
                version = match.groupdict().get("v") or ("v4" if "/v4/" in path else "v3")
                groups = match.groups()
                return found, tuple(part for part in groups if part is not None and part != match.groupdict().get("v")), version
        raise HubSpotError(404, f"no such path: {path}")

    def _authenticate(self, request: Request) -> Token:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        token = self._tokens.get(value) if kind.lower() == "bearer" else None
        if token is None or token.revoked:
            raise HubSpotError(401, "Authentication credentials not found.", category="INVALID_AUTHENTICATION")
        if token.expires_at is not None and self.clock.now() >= token.expires_at:
            raise HubSpotError(401, "The OAuth token used to make this call expired.")
        return token

    def _count(self, headers: dict[str, str] | None) -> None:
        """Count a request against both limits. Searches show nothing of it."""
        rolling, daily = self._windows
        daily.take(self.clock.now())
        rolling.take(self.clock.now())
        if headers is not None:
            headers |= {
                "X-HubSpot-RateLimit-Max": str(rolling.most or 190),
                "X-HubSpot-RateLimit-Remaining": str(rolling.left),
                "X-HubSpot-RateLimit-Interval-Milliseconds": str(rolling.span),
                "X-HubSpot-RateLimit-Daily": str(daily.most or 650_000),
                "X-HubSpot-RateLimit-Daily-Remaining": str(daily.left),
            }

    def _details(self) -> dict[str, Any]:
        return {
            "portalId": self.portal_id,
            "accountType": self.account_type,
            "timeZone": "US/Eastern",
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "utcOffset": "-05:00",
            "utcOffsetMilliseconds": -18_000_000,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        }

    # --- OAuth ---

    def _oauth(self, method: str, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        if method == "GET" and path.startswith("/oauth/v1/access-tokens/"):
            return self._token_info(path.rpartition("/")[2])
        app = next((app for app in self._apps if app.client_id == form.get("client_id")), None)
        if app is None or app.client_secret != form.get("client_secret"):
            raise HubSpotError(400, "missing or unknown client id or secret", category="BAD_CLIENT_ID", error="invalid_client")
        if path.endswith("/introspect"):
            return self._introspect(form.get("token", ""), app)
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != app.refresh_token:
            raise HubSpotError(400, "missing or unknown refresh token", category="BAD_REFRESH_TOKEN", error="invalid_grant")
        self._issued += 1
        value = f"access-{hashlib.sha256(f'{self.seed}/{self._issued}'.encode()).hexdigest()[:24]}"
        self._tokens[value] = Token(value, app.scopes, self.clock.now() + LIFE * 1000)
        return {
            "access_token": value,
            "refresh_token": app.refresh_token,
            "expires_in": LIFE,
            "token_type": "bearer",
            "token_use": "access_token",
            "hub_id": self.portal_id,
            "scopes": sorted(app.scopes),
        }

    def _introspect(self, value: str, app: App) -> dict[str, Any]:
        token = self._tokens.get(value)
        if token is None:
            raise HubSpotError(404, "token not found", category="OBJECT_NOT_FOUND")
        left = ((token.expires_at or self.clock.now()) - self.clock.now()) // 1000
        scopes = sorted(token.scopes or ())
        return {
            "token": value,
            "active": left > 0 and not token.revoked,
            "app_id": 7,
            "client_id": app.client_id,
            "expires_in": left,
            "hub_id": self.portal_id,
            "is_private_distribution": False,
            "scopes": scopes,
            "token_type": "bearer",
            "token_use": "access_token",
            "user_id": 1,
            "signed_access_token": {
                "appId": 7,
                "expiresAt": token.expires_at or 0,
                "hubId": self.portal_id,
                "hublet": "na1",
                "installingUserId": 1,
                "isPrivateDistribution": False,
                "isServiceAccount": False,
                "isUserLevel": False,
                "newSignature": "",
                "scopeToScopeGroupPks": "",
                "scopes": " ".join(scopes),
                "signature": "",
                "trialScopeToScopeGroupPks": "",
                "trialScopes": "",
                "userId": 1,
            },
        }

    def _token_info(self, value: str) -> dict[str, Any]:
        token = self._tokens.get(value)
        if token is None:
            raise HubSpotError(404, "token not found")
        return {
            "token": value,
            "app_id": 7,
            "expires_in": LIFE,
            "hub_id": self.portal_id,
            "scopes": sorted(token.scopes or ()),
            "token_type": "access",
            "user_id": 1,
            "scope_to_scope_group_pks": [],
            "trial_scopes": [],
            "trial_scope_to_scope_group_pks": [],
        }
