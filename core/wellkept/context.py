"""What core hands to a plugin: `PluginInfo` describes it, `Context` is everything that it may use."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from wellkept.clock import Clock
from wellkept.records import Json, Record

if TYPE_CHECKING:
    from wellkept.http import Auth, Classify, Client, RateLimit

R = TypeVar("R", bound=Record)
ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginInfo:
    """What a plugin says about itself before anything of it is used.

    Attributes:
        name: The name that ``plugin = "..."`` in `plugins.toml` refers to; lower case, ``[a-z][a-z0-9-]*``.
        api: The plugin API that it was written for, ``"major.minor"``. Core loads it when the major equals its own and
            the minor is not newer.
        summary: One sentence.
        config: Where its configuration model is, ``"wellkept_stripe.config:StripeConfig"``: a pydantic model with
            ``extra="forbid"``. Imported only when the configuration is read.
        docs: Address of its documentation.
        state_version: The shape of what it keeps in `Context.state`, from 1. Raise it when the shape changes: core then calls
            the hook `upgrade_state` before anything else of an instance.
        quality: Rules of the quality scale that it does not keep, or that cannot be checked, each with the reason:
            ``{"streams-scoped": "The vendor has no permissions."}``. See `wellkept plugins inspect`.
    """

    name: str
    api: str
    summary: str
    config: str | None = None
    docs: str | None = None
    state_version: int = 1
    quality: Mapping[str, str] = field(default_factory=dict, hash=False)


class StoreView(Protocol):
    """Read-only access to the store for sources, actions and routes. Never blocks on a writer."""

    async def record(self, type_: type[R], id_: str, *, instance: str | None = None) -> R | None:
        """Return one record of an instance (this context's own, unless named), or None."""
        ...

    async def records(self, type_: type[R], *, account: str) -> Sequence[R]:
        """Return all records of a type that belong to a canonical account, deleted ones left out."""
        ...

    async def account_of(self, type_: type[Record], id_: str) -> str | None:
        """Return the canonical account id that a record of this instance belongs to."""
        ...


class PluginState(Protocol):
    """A small durable key-value room of this instance, for what fits neither a cursor nor a policy's state."""

    async def get(self, key: str) -> Json:
        """Return the value, or None."""
        ...

    async def set(self, key: str, value: Json) -> None:
        """Store a plain value durably; None removes the key. Secrets belong into `Context.tokens`."""
        ...


class Tokens(Protocol):
    """Rotating credentials of this instance, encrypted at rest."""

    async def get(self, name: str) -> Mapping[str, Any] | None:
        """Return the newest stored token, whichever process stored it."""
        ...

    async def put(self, name: str, token: Mapping[str, Any]) -> None:
        """Store a token durably; returns only when it is on disk. Call it *before* the token is used."""
        ...

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return the lock around a refresh, shared by all processes on the store."""
        ...


class Suppressions(Protocol):
    """Who must not get mail. Addresses are kept as keyed hashes."""

    async def add(self, address: str, *, scope: Literal["marketing", "all"], reason: str) -> None:
        """Suppress an address: ``marketing`` after an unsubscription, ``all`` after a hard bounce."""
        ...

    async def scope(self, address: str) -> Literal["marketing", "all"] | None:
        """Return what is suppressed for an address."""
        ...


class HttpFactory(Protocol):
    """Makes HTTP clients that obey core's limits, deadlines, retries and redaction."""

    def __call__(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        rate: RateLimit | None = None,
        headers: Mapping[str, str] | None = None,
        credential: str | None = None,
        classify: Classify | None = None,
    ) -> Client:
        """Return a client.

        Args:
            base_url: Requests with a relative path go there.
            auth: How requests are signed; applied to every attempt anew.
            rate: What the vendor permits; shared by all processes that use the same credential.
            headers: Sent with every request.
            credential: What the limit belongs to, such as the vendor account; defaults to the instance.
            classify: Looks at every answer first, for vendors with ways of their own (200 with an error in it): returns the
                error that it stands for, or None to leave it to the status.
        """
        ...


class Signer(Protocol):
    """Makes texts that only this installation can have made."""

    def sign(self, purpose: str, text: str, *, expires_at: int | None = None) -> str:
        """Return a URL-safe token bound to `purpose`; its holder can read `text`. `expires_at` is in epoch ms."""
        ...

    def verify(self, purpose: str, token: str, *, now: int) -> str | None:
        """Return the text of a genuine, unexpired token for this purpose, else None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context(Generic[ConfigT]):
    """Everything that a plugin instance may use. Built by core, one per instance; there is nothing else to import.

    Attributes:
        instance: The table's name in `plugins.toml`, such as ``stripe-eu``.
        config: The validated configuration model; `Secret` fields resolve when `reveal` is called.
        http: Makes clients; see `HttpFactory`.
        clock: The only clock.
        log: A logger whose output is redacted.
        store: Read-only view of the store.
        state: Small durable values of this instance.
        tokens: Rotating credentials.
        suppressions: Who must not get mail.
        public_url: Where the routes of this installation are reachable, without a trailing slash; None when nothing is
            served.
        record_types: All record types of the installation by name, those of other plugins included, for plugins whose
            configuration names them.
        sign: Signs and verifies short texts with the installation's own key, for links that come back.
    """

    instance: str
    config: ConfigT
    http: HttpFactory
    clock: Clock
    log: logging.Logger | logging.LoggerAdapter[logging.Logger]
    store: StoreView
    state: PluginState
    tokens: Tokens
    suppressions: Suppressions
    sign: Signer
    public_url: str | None = None
    record_types: Mapping[str, type[Record]] = field(default_factory=dict)
