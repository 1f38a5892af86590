"""A plugin's own HTTP routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """An ASGI application under ``/<instance>/<path>``.

    Attributes:
        path: Below the instance, without a leading slash; may hold ``{name}`` parts.
        app: The application.
        methods: HTTP methods that it answers.
    """

    path: str
    app: ASGIApp
    methods: tuple[str, ...] = ("GET",)
