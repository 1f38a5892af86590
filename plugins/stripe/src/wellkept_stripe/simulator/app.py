"""The simulator: keys and their permissions, API versions, rate limits, idempotency keys, and the way to the endpoints."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept import Clock
from wellkept.testing import Answer, Simulator, Spec, nest, parse_pairs
from wellkept.testing.world import World
from wellkept_stripe.simulator import catalog, contracts, payments, shapes
from wellkept_stripe.simulator.billing import Billing
from wellkept_stripe.simulator.calls import ENDPOINTS, Call, Endpoint
from wellkept_stripe.simulator.errors import StripeError, for_status
from wellkept_stripe.simulator.idempotency import SavedAnswers
from wellkept_stripe.simulator.scenarios import Scenarios
from wellkept_stripe.simulator.state import Obj, State
from wellkept_stripe.simulator.webhooks import Webhooks
from wellkept_stripe.simulator.world import build
from wellkept_stripe.wire import API_VERSION

ENDPOINT_MODULES = (catalog, contracts, payments)
"""Importing them filled the table of endpoints."""


@dataclass
class Key:
    """An API key.

    Attributes:
        secret: The key itself; its prefix tells the mode.
        permissions: For a restricted key: resource (``customer``) to ``read`` or ``write``; None permits all.
        expired: It was rotated away.
    """

    secret: str
    permissions: Mapping[str, Literal["read", "write"]] | None = None
    expired: bool = False
    hits: deque[float] = field(default_factory=deque)

    @property
    def livemode(self) -> bool:
        """Whether it is good for live mode."""
        return "_live_" in self.secret

    @property
    def shown(self) -> str:
        """The key as error messages show it."""
        return f"{self.secret[:8]}{'*' * 20}{self.secret[-6:]}"


@dataclass(frozen=True)
class Reply:
    """Under which id and in which API version a request is answered."""

    id: str
    version: str


@dataclass(frozen=True)
class Asked:
    """What a request asked for."""

    ids: tuple[str, ...]
    params: dict[str, Any]
    idempotency_key: str | None = None


class StripeSimulator(Simulator, Scenarios, Webhooks):
    """A Stripe account that can be talked to.

    Args:
        accounts: How many companies of the market that `seed` draws are customers at the start.
        clock: Its time.
        seed: Decides ids, names, plans and histories.
        spec: The description to check both sides against; see `describe`.
        rate_limit: Requests a second that one key may make; None: any number.
        api_version: The account's default: events are made in it, and it answers those who ask for no other.
        livemode: The mode that the world is in; the other one is empty.
        months: How long the history of a subscription is at most.
        world: The market that it has its customers from, instead of one of its own.

    Attributes:
        key: A secret key for the mode of the world.
        sightings: What is behind the customers of the start, by id.
    """

    def __init__(
        self,
        *,
        accounts: int = 0,
        clock: Clock | None = None,
        seed: int = 0,
        spec: Spec | None = None,
        rate_limit: int | None = None,
        api_version: str = API_VERSION,
        livemode: bool = False,
        months: int = 6,
        world: World | None = None,
    ) -> None:
        super().__init__(clock=clock, seed=seed, spec=spec)
        self.api_version = api_version
        self.rate_limit = rate_limit
        self.livemode = livemode
        digest = hashlib.sha256(f"account/{seed}".encode()).hexdigest()
        self.account_id = f"acct_1{digest[:15]}"
        self.states = {
            mode: State(self.clock, seed=seed, livemode=mode, api_version=api_version, log=self.log) for mode in (False, True)
        }
        self.state = self.states[livemode]
        self.billing = Billing(self.state)
        self._keys: dict[str, Key] = {}
        self._saved = SavedAnswers(self.clock)
        self._requests = 0
        self.key = self.add_key(f"sk_{'live' if livemode else 'test'}_{digest[15:39]}")
        world = world or World(accounts=accounts, seed=seed, now=self.clock.now())
        self.sightings = build(self.state, self.billing, sightings=world.seen_by("billing"), seed=seed, months=months)

    @property
    def account(self) -> Obj:
        """The account's own object."""
        return {
            "id": self.account_id,
            "object": "account",
            "business_type": "company",
            "charges_enabled": True,
            "country": "US",
            "created": self.state.now - 3 * 365 * 86_400,
            "default_currency": "usd",
            "details_submitted": True,
            "email": "owner@wellkept.example",
            "payouts_enabled": True,
            "type": "standard",
        }

    def add_key(self, secret: str, permissions: Mapping[str, Literal["read", "write"]] | None = None) -> str:
        """Make a key, and return it. With `permissions` it is a restricted one."""
        self._keys[secret] = Key(secret, permissions)
        return secret

    def expire_key(self, secret: str) -> None:
        """End a key's life, as rotating it does."""
        self._keys[secret].expired = True

    def routes(self) -> Sequence[BaseRoute]:
        """Return one route: the table of endpoints is our own."""
        return [Route("/{path:path}", self._serve, methods=["GET", "POST", "DELETE"])]

    def error(self, status: int, code: str | None = None) -> Answer:
        """Return an error in Stripe's words."""
        return for_status(status, code).answer()

    def scenarios(self) -> Mapping[str, Callable[..., object]]:
        """Return everything that `Scenarios` offers."""
        names = [name for name in vars(Scenarios) if not name.startswith("_")]
        return {name: getattr(self, name) for name in names}

    # --- one request ---

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        with self.lock:
            self._requests += 1
            id_ = f"req_{hashlib.sha256(f'{self.seed}/{self._requests}'.encode()).hexdigest()[:14]}"
        version = request.headers.get("stripe-version", self.api_version)
        headers = {"request-id": id_, "stripe-version": version}
        try:
            key = self._authenticate(request)
            self._admit(key, version)
            answer = await self._once(request, body, key, Reply(id_, version))
        except StripeError as error:
            answer = error.answer()
        return Response(answer.body, answer.status, {**headers, **answer.headers})

    def _authenticate(self, request: Request) -> Key:
        kind, _, credential = request.headers.get("authorization", "").partition(" ")
        secret = credential
        if kind.lower() == "basic":
            secret = base64.b64decode(credential).decode("utf-8", "replace").partition(":")[0]
        if not secret:
            raise StripeError(
                401,
                "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer "
                "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            )
        key = self._keys.get(secret)
        if key is None:
            raise StripeError(401, f"Invalid API Key provided: {Key(secret).shown}")
        if key.expired:
            raise StripeError(401, f"Expired API Key provided: {key.shown}", code="api_key_expired")
        return key

    def _admit(self, key: Key, version: str) -> None:
        if version not in shapes.VERSIONS:
            raise StripeError(400, f"Invalid Stripe API version: {version}")
        if self.rate_limit is None:
            return
        now = self.clock.now() / 1000
        with self.lock:
            while key.hits and key.hits[0] <= now - 1:
                key.hits.popleft()
            if len(key.hits) >= self.rate_limit:
                raise for_status(429, None)
            key.hits.append(now)

    def _find(self, request: Request) -> tuple[Endpoint, tuple[str, ...]]:
        path = request.url.path
        for endpoint in ENDPOINTS:
            if endpoint.method == request.method and (match := endpoint.pattern.fullmatch(path)):
                return endpoint, match.groups()
        raise StripeError(404, f"Unrecognized request URL ({request.method}: {path}).")

    def _permit(self, key: Key, endpoint: Endpoint) -> None:
        if key.permissions is None:
            return
        granted = key.permissions.get(endpoint.permission)
        if granted == "write" or (granted == "read" and endpoint.method == "GET"):
            return
        raise StripeError(
            403,
            f"The provided key '{key.shown}' does not have the required permissions for this endpoint on account "
            f"'{self.account_id}'. Having the '{endpoint.needs}' permission would allow this request to continue.",
        )

    async def _once(self, request: Request, body: bytes, key: Key, reply: Reply) -> Answer:
        """Act, unless the request's idempotency key has been used: then answer as the first time."""
        endpoint, ids = self._find(request)
        self._permit(key, endpoint)
        try:
            params = {**nest(parse_pairs(request.url.query)), **nest(parse_pairs(body))}
        except ValueError as error:
            raise StripeError(400, f"Invalid request: {error}") from None
        name = request.headers.get("idempotency-key") if request.method == "POST" else None
        if name is None:
            return await self._act(request, endpoint, key, reply, Asked(ids, params))
        with self.lock:
            known = self._saved.begin(key.livemode, name, f"{request.url.path}?{json.dumps(params, sort_keys=True)}", reply.id)
        if known is not None:
            return known
        answer = None
        try:
            answer = await self._act(request, endpoint, key, reply, Asked(ids, params, name))
        except StripeError as error:
            if error.saved:
                answer = error.answer()
            raise
        finally:
            with self.lock:
                self._saved.end(key.livemode, name, answer)
        return answer

    async def _act(self, request: Request, endpoint: Endpoint, key: Key, reply: Reply, asked: Asked) -> Answer:
        failure = await self.inside(request)
        if failure is not None:
            return failure
        state = self.states[key.livemode]
        with self.lock:
            state.request = (reply.id, asked.idempotency_key)
            try:
                call = Call(state, Billing(state), self.account, request.url.path, asked.ids, asked.params, reply.version)
                shown = endpoint.handler(call)
            except StripeError as error:
                self._mention_other_mode(error, asked.ids, state)
                raise
            finally:
                state.request = (None, None)
        return Answer(200, {"content-type": "application/json"}, json.dumps(shown, ensure_ascii=False).encode())

    def _mention_other_mode(self, error: StripeError, ids: tuple[str, ...], state: State) -> None:
        other = self.states[not state.livemode]
        if error.fields.get("code") == "resource_missing" and any(other.find(id_) for id_ in ids):
            modes = ("live", "test") if other.livemode else ("test", "live")
            error.fields["message"] += (
                f"; a similar object exists in {modes[0]} mode, but a {modes[1]} mode key was used to make this request."
            )
