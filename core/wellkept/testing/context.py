"""A `Context` outside an installation, with its parts in memory: for tests of one class of a plugin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeVar

from wellkept.clock import Clock
from wellkept.context import Context, HttpFactory
from wellkept.records import Json, Record

ConfigT = TypeVar("ConfigT")


class MemoryTokens:
    """A `wellkept.context.Tokens`.

    Attributes:
        puts: Every token that was stored, in order.
    """

    def __init__(self) -> None:
        self.puts: list[Mapping[str, Any]] = []
        self._stored: dict[str, Mapping[str, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> Mapping[str, Any] | None:
        """Return the newest stored token."""
        return self._stored.get(name)

    async def put(self, name: str, token: Mapping[str, Any]) -> None:
        """Store a token."""
        self._stored[name] = token
        self.puts.append(token)

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return the lock around a refresh."""
        return self._locks.setdefault(name, asyncio.Lock())


class MemoryState:
    """A `wellkept.context.PluginState`.

    Attributes:
        values: What is kept.
    """

    def __init__(self) -> None:
        self.values: dict[str, Json] = {}

    async def get(self, key: str) -> Json:
        """Return the value, or None."""
        return self.values.get(key)

    async def set(self, key: str, value: Json) -> None:
        """Keep a value; None removes it."""
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


class MemorySuppressions:
    """A `wellkept.context.Suppressions`.

    Attributes:
        scopes: What is suppressed, by address.
    """

    def __init__(self) -> None:
        self.scopes: dict[str, Literal["marketing", "all"]] = {}

    async def add(self, address: str, *, scope: Literal["marketing", "all"], reason: str) -> None:
        """Suppress an address."""
        del reason
        self.scopes[address] = scope

    async def scope(self, address: str) -> Literal["marketing", "all"] | None:
        """Return what is suppressed for an address."""
        return self.scopes.get(address)


class EmptyStore:
    """A `wellkept.context.StoreView` with nothing in it."""

    async def record(self, type_: type[Record], id_: str, *, instance: str | None = None) -> None:
        """Return None."""
        del type_, id_, instance

    async def records(self, type_: type[Record], *, account: str) -> Sequence[Any]:
        """Return nothing."""
        del type_, account
        return ()

    async def account_of(self, type_: type[Record], id_: str) -> None:
        """Return None."""
        del type_, id_


def make_context(
    config: ConfigT, *, clock: Clock, http: HttpFactory | None = None, instance: str = "test", **parts: Any
) -> Context[ConfigT]:
    """Return a context for one object under test.

    Args:
        config: The validated configuration.
        clock: The time.
        http: Makes clients, see `wellkept.http.make_http`; None for what calls nobody.
        instance: The instance's name.
        parts: Further fields of `Context` that are to be something else than empty, such as ``tokens`` or ``sign``.
    """
    nothing: Any = None
    return Context(
        **{
            "instance": instance,
            "config": config,
            "http": http or nothing,
            "clock": clock,
            "log": logging.getLogger(f"test.{instance}"),
            "store": EmptyStore(),
            "state": MemoryState(),
            "tokens": MemoryTokens(),
            "suppressions": MemorySuppressions(),
            "sign": nothing,
            **parts,
        }
    )
