"""Events that the `observe` hook sees: what happened, as plain data, after it was committed. They carry no personal data."""

from __future__ import annotations

from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened.

    Attributes:
        kind: What; see the literal.
        at: When, epoch ms.
        run: The run that it belongs to.
        instance: The instance concerned.
        stream: The stream concerned.
        effect: The effect's key.
        state: The new state of the run, stream, effect or instance.
        reason: Why, redacted.
        counts: Figures, such as ``{"read": 100, "inserted": 3}``.
    """

    kind: Literal["run.started", "run.finished", "stream.finished", "effect.settled", "effects.held", "instance.changed"]
    at: int
    run: str | None = None
    instance: str | None = None
    stream: str | None = None
    effect: str | None = None
    state: str | None = None
    reason: str | None = None
    counts: dict[str, int] = {}
