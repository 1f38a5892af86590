"""Routing: which instance serves an effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wellkept.action import Action
from wellkept.effects import MessageSend
from wellkept.store.outbox import Entry


class Route(NamedTuple):
    """Where an effect goes; without an instance, why it cannot go anywhere."""

    instance: str | None
    problem: str = ""


class Routes:
    """The actions of all instances, by capability.

    Args:
        actions: What each instance serves.
        via: ``[messages] via``: who sends messages, where several could.
    """

    def __init__(self, actions: Mapping[str, Sequence[Action]], via: str | None) -> None:
        self._via = via
        self._serving: dict[str, dict[str, Action]] = {}
        for instance, served in actions.items():
            for action in served:
                self._serving.setdefault(action.payload.capability, {})[instance] = action

    def all(self) -> list[tuple[str, Action]]:
        """Return every instance and action, by instance."""
        pairs = [(instance, action) for serving in self._serving.values() for instance, action in serving.items()]
        return sorted(pairs, key=lambda pair: (pair[0], pair[1].payload.capability))

    def choose(self, entry: Entry) -> Route:
        """Find who serves an effect.

        One that was tried once stays where it was tried. Else it is the instance that owns the target, else (for messages) the
        one that config names, else the only one there is.
        """
        capability = entry.capability
        serving = self._serving.get(capability, {})
        fixed = entry.instance or (entry.target_instance if entry.target_instance in serving else None)
        if fixed is None and capability == MessageSend.capability:
            fixed = self._via
        if fixed is not None:
            problem = "" if fixed in serving else f"{fixed} does not serve {capability} at present; enable it"
            return Route(None if problem else fixed, problem)
        if len(serving) == 1:
            return Route(next(iter(serving)))
        if not serving:
            return Route(None, f"nobody serves {capability}; enable a plugin that does")
        mend = "name one as `via` in [messages]" if capability == MessageSend.capability else "leave it to one of them"
        return Route(None, f"{' and '.join(sorted(serving))} both serve {capability}; {mend}")
