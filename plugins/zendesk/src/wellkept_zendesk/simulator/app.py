"""The simulator: the way of a request through credential, limits and permissions to its endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept import Clock
from wellkept.testing import Answer, Simulator, Spec
from wellkept.testing.world import Sighting, World
from wellkept_zendesk.simulator import calls, companies, objects, support
from wellkept_zendesk.simulator.access import Access, Grant
from wellkept_zendesk.simulator.calls import Call
from wellkept_zendesk.simulator.errors import ZendeskError
from wellkept_zendesk.simulator.scenarios import Scenarios
from wellkept_zendesk.simulator.state import Obj, State
from wellkept_zendesk.simulator.webhooks import Webhooks
from wellkept_zendesk.simulator.world import DAY, Writer, staff

ENDPOINT_MODULES = (companies, support)
"""Importing them filled the table of endpoints."""

ANONYMOUS: Obj = {"id": None, **objects.user("Anonymous user", email="invalid@example.com", active=False, verified=False)}
"""What Zendesk answers to strangers who ask who they are."""


class ZendeskSimulator(Scenarios, Webhooks, Simulator):
    """A Zendesk account that can be talked to.

    Args:
        accounts: How many companies the market has at the start; see `wellkept.testing.world`.
        sightings: What the helpdesk knows, instead of a drawn market.
        clock: Its time.
        seed: Decides everything that is drawn, and the tokens.
        spec: The description to check both sides against; see `describe`.
        rate_limit: Requests a minute; None for any number.
        export_limit: Incremental exports a minute.
        token_lifetime: Seconds that an OAuth access token lives.
        tickets: Whether the past has tickets.

    Attributes:
        admin: The agent behind `grant`.
        grant: An authorisation with all scopes: its pair of tokens is what a connector begins with.
    """

    def __init__(
        self,
        *,
        accounts: int = 0,
        sightings: Sequence[Sighting] | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        spec: Spec | None = None,
        rate_limit: int | None = None,
        export_limit: int = 10,
        token_lifetime: int = 1800,
        tickets: bool = True,
    ) -> None:
        Simulator.__init__(self, clock=clock, seed=seed, spec=spec)
        self.state = State(self.clock, self.log)
        self.endpoints = []
        self.access = Access(self.clock, seed, lifetime=token_lifetime, rate_limit=rate_limit, export_limit=export_limit)
        self.admin: Obj = staff(self.state, self.state.now - 900 * DAY)
        self.grant = self.access.authorize(self.admin)
        if sightings is None and accounts:
            sightings = World(accounts=accounts, seed=seed, now=self.clock.now()).seen_by("helpdesk")
        writer = Writer(self, seed=seed, tickets=tickets)
        writer.write(sightings or ())
        self.organizations: Mapping[str, int] = writer.ids
        """Ids of organizations by the reference of their sighting."""

    def authorize(self, *scopes: str, role: str = "admin") -> Grant:
        """Return another authorisation, with fewer scopes or by somebody of another role."""
        user = next(row for row in self.state.all("user") if row["role"] == role)
        return self.access.authorize(user, scopes or ("read", "write"))

    def api_token(self, secret: str = "zendesk-api-token") -> tuple[str, str]:  # noqa: S107 - a simulation
        """Let an API token in, and return it with whose it is: (address, token)."""
        self.access.api_tokens[self.admin["email"], secret] = self.admin
        return str(self.admin["email"]), secret

    def routes(self) -> Sequence[BaseRoute]:
        """Return two routes: the table of endpoints is our own."""
        methods = ["GET", "POST", "PUT", "DELETE"]
        return [
            Route("/oauth/tokens", self._token, methods=["POST"]),
            Route("/{rest:path}", self._api, methods=methods),
        ]

    def scenarios(self) -> Mapping[str, Callable[..., object]]:
        """Return what may happen by itself."""
        return Scenarios.scenarios(self)

    def error(self, status: int, code: str | None = None) -> Answer:
        """Return an error in Zendesk's words."""
        return ZendeskError(status, code).answer()

    async def _token(self, request: Request) -> Response:
        body = await request.body()
        form = json.loads(body) if "json" in request.headers.get("content-type", "") else dict(parse_qsl(body.decode()))
        with self.lock:
            try:
                answer = self.access.token(form)
            except ZendeskError as error:
                return _response(error.answer())
        failure = await self.inside(request)
        return _response(failure or _json(answer, 201))

    async def _api(self, request: Request) -> Response:
        try:
            return _response(await self._answer_api(request))
        except ZendeskError as error:
            return _response(error.answer())

    async def _answer_api(self, request: Request) -> Answer:
        path = request.url.path.removesuffix(".json")
        body = await request.body()
        with self.lock:
            endpoint, ids = calls.find(request.method, path) if path != "/api/v2/oauth/tokens/current" else (None, ())
            try:
                user, scopes = self.access.who(request.headers.get("authorization", ""))
            except ZendeskError:
                if path == "/api/v2/users/me" and "authorization" not in request.headers:
                    return _json({"user": ANONYMOUS}, 200)
                raise
            self.access.count(export=path.startswith("/api/v2/incremental/"))
            if endpoint is None:
                return _json({"token": {"id": 1, "scopes": list(scopes), "user_id": user["id"]}}, 200)
            self.access.permit(endpoint, user, scopes)
        failure = await self.inside(request)
        if failure is not None:
            return failure
        scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
        url = f"{scheme}://{request.url.netloc}{path}.json"
        query = {name: ",".join(request.query_params.getlist(name)) for name in request.query_params}
        with self.lock:
            call = Call(self.state, path, url, ids, query, _read(body), user)
            return _json(endpoint.handler(call), endpoint.status)


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        raise ZendeskError(422, "UnprocessableEntity", "Server could not parse JSON") from None
    return found if isinstance(found, dict) else {}


def _json(value: Any, status: int) -> Answer:
    if status == 204:
        return Answer(204, {}, b"")
    return Answer(status, {"content-type": "application/json; charset=utf-8"}, json.dumps(value, ensure_ascii=False).encode())


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
