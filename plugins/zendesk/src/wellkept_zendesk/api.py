"""Talking to Zendesk: who we are, how fast we may ask, what a refusal means, and single objects by id.

Two clients share one credential: incremental exports have a limit of their own (10 a minute) below the account's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from wellkept.errors import CredentialsError, FatalError
from wellkept.http import Auth, Basic, NotAllowedError, OAuth2, RateLimit, Response, StatusError, decode_rows

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept.http import Client
    from wellkept_zendesk.config import ZendeskConfig

PAGE = 100
"""Rows of a list's page, and objects asked for by id at once: the most that Zendesk gives."""

EXPORTS_PER_MINUTE = 10
"""Source: the vendor's reference, incremental exports."""

_SCOPES = re.compile(r"required scopes?:?\s*([\w:., ]+)", re.IGNORECASE)

T = TypeVar("T")


class Refusal(msgspec.Struct):
    """An error answer; Zendesk has several forms of it."""

    error: str | dict[str, Any] | None = None
    description: str | None = None
    message: str | None = None
    details: Any = None

    @property
    def code(self) -> str:
        """The error's name, such as ``RecordInvalid``; empty where there is none."""
        if isinstance(self.error, dict):
            return str(self.error.get("title") or "")
        return self.error or ""


class Api:
    """One Zendesk account.

    Args:
        ctx: The instance.
    """

    def __init__(self, ctx: Context[ZendeskConfig]) -> None:
        self._ctx = ctx
        self._config = ctx.config

    @cached_property
    def _auth(self) -> Auth:
        config = self._config
        if config.api_token is not None:
            return Basic(f"{config.email}/token", config.api_token)
        if config.client_id is None or config.client_secret is None:
            raise FatalError("the configuration names no credential")
        return OAuth2(
            f"{config.base}/oauth/tokens",
            config.client_id,
            config.client_secret,
            tokens=self._ctx.tokens,
            refresh_token=config.refresh_token,
        )

    @cached_property
    def client(self) -> Client:
        """Everything but exports."""
        return self._client("", RateLimit(requests=self._config.requests_per_minute, per=60.0))

    @cached_property
    def exports(self) -> Client:
        """Incremental exports."""
        return self._client("/incremental", RateLimit(requests=EXPORTS_PER_MINUTE, per=60.0))

    def _client(self, part: str, rate: RateLimit) -> Client:
        return self._ctx.http(
            self._config.base,
            auth=self._auth,
            rate=rate,
            credential=f"{self._config.subdomain}.zendesk.com{part}",
            classify=refusal,
        )

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Response:
        """Read one thing. Raises as `wellkept.http.Client.request` does."""
        return await self.client.get(path, params=params)

    async def show_many(self, plural: str, ids: Sequence[str], row_type: type[T]) -> list[T]:
        """Read up to a hundred objects by id; those that are gone are simply not in the answer.

        Raises:
            FatalError: One of them cannot be understood: it must not be taken for one that is gone.
        """
        path = f"/api/v2/{plural}/show_many"
        page = decode_rows((await self.get(path, {"ids": ",".join(ids)})).body, row_type, path=(plural,))
        if page.rejects:
            raise FatalError(f"GET {path}: {page.rejects[0].reason}")
        return [row for row, _ in page.rows]

    async def find(self, path: str) -> Response | None:
        """Read one thing that may not be there."""
        try:
            return await self.get(path)
        except StatusError as error:
            if error.status in {404, 410}:
                return None
            raise


def refusal(response: Response) -> Exception | None:
    """Return the error of a missing permission, whose scopes Zendesk names in the body; leave the rest to the status."""
    if response.status != 403:
        return None
    match = _SCOPES.search(complaint(response.body).description or "")
    names = tuple(re.findall(r"[a-z_]+(?::[a-z]+)?", match[1])) if match else ()
    if names:
        message = f"{response.where}: the token lacks the scope {', '.join(names)}"
        guidance = "authorise the OAuth client again with the scopes that the plugin's README names"
    else:
        message = f"{response.where}: the agent behind the credential may not do this"
        guidance = "authorise as an admin; or leave out of `streams` what the plan of the account does not have"
    kind = CredentialsError if response.where.startswith("GET") else NotAllowedError
    return kind(message, missing=names, guidance=guidance)


def complaint(body: bytes) -> Refusal:
    """Return what an error answer says. It may repeat what was sent, so only its code is ever shown."""
    try:
        return msgspec.json.decode(body, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refusal()


def chunks(items: Sequence[T], size: int = PAGE) -> Iterable[Sequence[T]]:
    """Cut a list into parts."""
    return (items[start : start + size] for start in range(0, len(items), size))
