"""Waiting for long calls without seeming to hang: up to an hour for the quota, or for a large export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

BEAT_SECONDS = 60.0
"""How often a sign of life is given. Core ends a stream that says nothing for a quarter of an hour."""


async def patiently(call: Coroutine[Any, Any, T]) -> AsyncGenerator[T | None, None]:
    """Yield None as long as a call takes, then what it returns. Ending the generator ends the call."""
    work = asyncio.create_task(call)
    try:
        while not (await asyncio.wait({work}, timeout=BEAT_SECONDS))[0]:
            yield None
        yield work.result()
    finally:
        work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # looked at, so that asyncio does not complain: its failure was told above
