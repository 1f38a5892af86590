"""A few calls at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Calls under way at the same time, where the caller says nothing else."""


async def together(items: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_once: int = AT_ONCE) -> list[R]:
    """Do the same with several items, a few at a time; for vendors that want one call per object.

    The rate limit of the client holds all the same.

    Args:
        items: What to work on.
        work: What to do with each.
        at_once: How many may be under way at the same time.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: The first that `work` raised; what was not finished by then is cancelled.
    """
    places = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
