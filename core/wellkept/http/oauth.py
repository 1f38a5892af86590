"""OAuth 2 (RFC 6749): access tokens that expire, and refresh tokens that may be used once.

Vendors that rotate delete the old pair when they give out the new one. So whoever refreshes holds a lock that all processes
share, looks first whether somebody else was quicker, and has the new pair on disk before it is used for anything.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from wellkept.context import Tokens
from wellkept.errors import CredentialsError, FatalError, RetryableError
from wellkept.http.auth import Auth, SecretLike, Session, basic, reveal
from wellkept.http.messages import Outgoing, Response

ERRORS = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)
"""RFC 6749 section 5.2. Only these words of an answer are shown: the rest may repeat the request."""


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: int | float | str | None = None
    refresh_token: str | None = None
    refresh_token_expires_in: int | float | str | None = None


class _Refusal(msgspec.Struct):
    error: str


class _Pair(msgspec.Struct):
    """A stored token. Instants are epoch ms; `seed` is a digest of the refresh token in the configuration that began it."""

    access: str
    refresh: str | None = None
    issued_at: int = 0
    expires_at: int | None = None
    seed: str | None = None
    refresh_expires_at: int | None = None


class OAuth2(Auth):
    """Bearer tokens from a token endpoint.

    Args:
        token_url: The token endpoint.
        client_id: Who we are there.
        client_secret: And how we prove it.
        tokens: Where tokens are kept: `Context.tokens`.
        name: The token's name in there.
        grant: ``refresh_token`` for an access that a person granted, ``client_credentials`` for our own.
        refresh_token: The first refresh token, for that grant. Once it was used, the stored one counts, until this one is
            replaced by another: after a new authorisation.
        scope: Asked for at ``client_credentials``.
        client_auth: Whether id and secret go into the form or into a Basic header.
        early: Seconds before its end at which a token is renewed; at most half of its life.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: SecretLike,
        *,
        tokens: Tokens,
        name: str = "oauth",
        grant: Literal["refresh_token", "client_credentials"] = "refresh_token",
        refresh_token: SecretLike | None = None,
        scope: str | None = None,
        client_auth: Literal["body", "basic"] = "body",
        early: float = 60.0,
    ) -> None:
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._tokens = tokens
        self._name = name
        self._grant = grant
        self._seed = refresh_token
        self._scope = scope
        self._client_auth = client_auth
        self._early = early
        self._session: Session | None = None
        self._pair: _Pair | None = None
        self._renewal: asyncio.Task[_Pair] | None = None

    def __repr__(self) -> str:
        return f"OAuth2({self._name!r}, grant={self._grant!r})"

    def bind(self, session: Session) -> None:
        """Take the clock, a way to the token endpoint, and the redactor."""
        self._session = session

    async def apply(self, request: Outgoing) -> None:
        """Set the header, with a token that lasts a while."""
        pair = self._pair
        if pair is None or self._is_old(pair):
            pair = await self._renew(pair.access if pair else None)
        request.credential = pair.access
        request.headers["authorization"] = f"Bearer {pair.access}"

    async def refresh(self, refused: Outgoing) -> bool:
        """Get a new token, unless somebody has one already."""
        if self._pair is None or self._pair.access == refused.credential:
            await self._renew(refused.credential, refused=True)
        return True

    async def aclose(self) -> None:
        """Let a refresh under way come to its end: the pair that it brings must not be lost."""
        if self._renewal is not None and not self._renewal.done() and self._renewal.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([self._renewal])

    async def _renew(self, stale: str | None, *, refused: bool = False) -> _Pair:
        """Wait for one renewal, whoever asks. Cancelling a waiter does not cancel it."""
        task = self._renewal
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._renewal = asyncio.create_task(self._renew_now(stale, refused=refused))
            task.add_done_callback(_seen)
        self._pair = await asyncio.shield(task)
        return self._pair

    async def _renew_now(self, stale: str | None, *, refused: bool) -> _Pair:
        seed = self._seed_digest()
        pair = await self._stored(seed)
        if pair is not None and self._serves(pair, stale, refused=refused):
            return pair
        async with self._tokens.lock(self._name):
            pair = await self._stored(seed)
            if pair is not None and self._serves(pair, stale, refused=refused):
                return pair
            return await self._fetch(pair.refresh if pair else None, seed)

    def _serves(self, pair: _Pair, stale: str | None, *, refused: bool) -> bool:
        """Whether a stored pair is what we need: not the refused one, and not about to end."""
        return not self._is_old(pair) and not (refused and pair.access == stale)

    async def _fetch(self, refresh: str | None, seed: str | None) -> _Pair:
        form: dict[str, str] = {"grant_type": self._grant}
        if self._grant == "refresh_token":
            token = refresh or (self._reveal(self._seed) if self._seed is not None else None)
            if token is None:
                raise CredentialsError(
                    f"{self._name}: there is no refresh token to begin with", guidance="authorise the instance once"
                )
            form["refresh_token"] = token
        elif self._scope:
            form["scope"] = self._scope
        headers = {"accept": "application/json"}
        if self._client_auth == "basic":
            headers["authorization"] = basic(self._client_id, self._reveal(self._client_secret))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._reveal(self._client_secret)}
        now = self._bound.clock.now()
        answer = self._read(await self._bound.post(self._token_url, form, headers))
        for token in (answer.access_token, answer.refresh_token):
            if token:
                self._bound.register(token)
        life, refreshable = _seconds(answer.expires_in), _seconds(answer.refresh_token_expires_in)
        pair = _Pair(
            access=answer.access_token,
            refresh=answer.refresh_token or form.get("refresh_token"),
            issued_at=now,
            expires_at=None if life is None else now + round(life * 1000),
            seed=seed,
            refresh_expires_at=None if refreshable is None else now + round(refreshable * 1000),
        )
        await self._tokens.put(self._name, msgspec.to_builtins(pair))  # before anybody uses it
        return pair

    def _read(self, response: Response) -> _Answer:
        """Make sense of an answer of the token endpoint. Nothing of it is shown but its status and a known error word."""
        where = f"{self._name}: the token endpoint"
        if 200 <= response.status < 300:
            try:
                return msgspec.json.decode(response.body, type=_Answer)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
            raise RetryableError(f"{where} gave no token with HTTP {response.status}")
        if response.status in {408, 425, 429} or response.status >= 500:
            raise RetryableError(f"{where} answered HTTP {response.status}")
        if response.status in {400, 401, 403}:
            raise CredentialsError(
                f"{where} answered HTTP {response.status}{_word(response.body)}",
                guidance="check client id and secret, or authorise the instance again",
            )
        raise FatalError(f"{where} answered HTTP {response.status}", guidance="check its address")

    async def _stored(self, seed: str | None) -> _Pair | None:
        stored = await self._tokens.get(self._name)
        if stored is None:
            return None
        pair = _pair(stored)
        if seed is not None and pair.seed != seed:
            return None  # a person has authorised anew
        for token in (pair.access, pair.refresh):
            if token:
                self._bound.register(token)
        return pair

    def _is_old(self, pair: _Pair) -> bool:
        if pair.expires_at is None:
            return False
        life = pair.expires_at - pair.issued_at
        return self._bound.clock.now() >= pair.expires_at - min(round(self._early * 1000), life // 2)

    def _seed_digest(self) -> str | None:
        if self._seed is None:
            return None
        return hashlib.sha256(b"seed:" + self._reveal(self._seed).encode()).hexdigest()

    def _reveal(self, secret: SecretLike) -> str:
        return reveal(secret, self._bound.register)

    @property
    def _bound(self) -> Session:
        if self._session is None:
            raise FatalError(f"{self!r} is not used by any client", guidance="pass it as auth= when the client is made")
        return self._session


def _pair(stored: Mapping[str, Any]) -> _Pair:
    try:
        return msgspec.convert(stored, _Pair)
    except msgspec.ValidationError:
        raise CredentialsError("the stored token is of another kind", guidance="authorise the instance again") from None


def _seconds(value: float | str | None) -> float | None:
    """Return a lifetime; some vendors send it as text."""
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 < seconds < 10**10 else None


def _word(body: bytes) -> str:
    try:
        word = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return f" ({word})" if word in ERRORS else ""


def _seen(task: asyncio.Task[_Pair]) -> None:
    """Take note of a failure, so that nobody is warned of one that everybody who waited has left behind."""
    if not task.cancelled():
        task.exception()
