"""Who may ask, and how often: OAuth tokens that expire and rotate, API tokens until they end, and limits by the minute."""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wellkept import Clock
from wellkept_zendesk.simulator.calls import Endpoint
from wellkept_zendesk.simulator.errors import ZendeskError
from wellkept_zendesk.simulator.state import Obj

TOKENS_END = 1_809_043_200
"""2027-04-30, epoch seconds."""

MINUTE = 60


@dataclass
class Grant:
    """What a person has authorised: one pair of tokens at a time."""

    user: Obj
    scopes: tuple[str, ...]
    access: str = ""
    refresh: str = ""
    expires_at: int = 0
    count: int = 0


class Access:
    """The account's credentials and limits.

    Args:
        clock: The account's time.
        seed: Makes tokens.
        lifetime: Seconds that an access token lives.
        rate_limit: Requests a minute; None for any number.
        export_limit: Incremental exports a minute.
    """

    def __init__(self, clock: Clock, seed: int, *, lifetime: int, rate_limit: int | None, export_limit: int) -> None:
        self._clock = clock
        self._seed = seed
        self._lifetime = lifetime
        self._limits = {"all": rate_limit, "exports": export_limit}
        self._hits: dict[str, deque[int]] = {"all": deque(), "exports": deque()}
        self.client_id, self.client_secret = "wellkept", self._token("client")
        self.grants: list[Grant] = []
        self.api_tokens: dict[tuple[str, str], Obj] = {}

    def _token(self, what: str) -> str:
        return hashlib.sha256(f"zendesk/{self._seed}/{what}".encode()).hexdigest()[:40]

    @property
    def _now(self) -> int:
        return self._clock.now() // 1000

    def authorize(self, user: Obj, scopes: tuple[str, ...] = ("read", "write")) -> Grant:
        """Return a new grant, as when an admin has clicked on Allow."""
        grant = Grant(user, scopes)
        self.grants.append(grant)
        self._renew(grant)
        return grant

    def _renew(self, grant: Grant) -> None:
        """Give out a new pair; the old one is gone."""
        grant.count += 1
        place = f"{self.grants.index(grant)}/{grant.count}"
        grant.access, grant.refresh = self._token(f"access/{place}"), self._token(f"refresh/{place}")
        grant.expires_at = self._now + self._lifetime

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer the token endpoint.

        Raises:
            ZendeskError: The client or its refresh token is unknown.
        """
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            raise ZendeskError(401, "invalid_client", "Client authentication failed")
        if form.get("grant_type") != "refresh_token":
            raise ZendeskError(400, "unsupported_grant_type", "The grant type is not supported")
        grant = next((found for found in self.grants if found.refresh == form.get("refresh_token")), None)
        if grant is None:
            raise ZendeskError(400, "invalid_grant", "The refresh token is invalid, expired or revoked")
        self._renew(grant)
        return {
            "access_token": grant.access,
            "refresh_token": grant.refresh,
            "token_type": "bearer",
            "scope": " ".join(grant.scopes),
            "expires_in": self._lifetime,
        }

    def who(self, header: str) -> tuple[Obj, tuple[str, ...]]:
        """Return the agent and the scopes behind an Authorization header.

        Raises:
            ZendeskError: There is nobody.
        """
        scheme, _, value = header.partition(" ")
        if scheme == "Bearer":
            for grant in self.grants:
                if grant.access == value and self._now < grant.expires_at:
                    return grant.user, grant.scopes
        elif scheme == "Basic" and self._now < TOKENS_END:
            name, _, secret = base64.b64decode(value + "==").decode("utf-8", "replace").partition(":")
            user = self.api_tokens.get((name.removesuffix("/token"), secret)) if name.endswith("/token") else None
            if user is not None:
                return user, ("read", "write")
        raise ZendeskError(401)

    def permit(self, endpoint: Endpoint, user: Obj, scopes: tuple[str, ...]) -> None:
        """Refuse what a credential may not do.

        Raises:
            ZendeskError: It may not.
        """
        need = "read" if endpoint.method == "GET" else "write"
        specific = {need} if endpoint.scope is None else {need, f"{endpoint.scope}:{need}"}
        if endpoint.scope is None and need == "read":
            specific |= {scope for scope in scopes if scope.endswith(":read")}
        if not specific & set(scopes):
            wanted = f"{endpoint.scope}:{need}" if endpoint.scope else need
            raise ZendeskError(403, description=f"You are missing the following required scopes: {wanted}")
        if endpoint.admin and user["role"] != "admin":
            raise ZendeskError(403)

    def count(self, *, export: bool) -> None:
        """Count a request.

        Raises:
            ZendeskError: There were too many within a minute.
        """
        for name in ("exports", "all") if export else ("all",):
            limit, hits = self._limits[name], self._hits[name]
            now = self._clock.now()
            while hits and hits[0] <= now - MINUTE * 1000:
                hits.popleft()
            if limit is not None and len(hits) >= limit:
                wait = -(-(hits[0] + MINUTE * 1000 - now) // 1000)
                raise ZendeskError(429, headers={"retry-after": str(max(1, wait))})
        for name in ("exports", "all") if export else ("all",):
            self._hits[name].append(self._clock.now())
