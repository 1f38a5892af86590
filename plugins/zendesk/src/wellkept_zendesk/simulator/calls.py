"""The table of endpoints, and what a handler gets: one request, understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from wellkept_zendesk.simulator.errors import ZendeskError
from wellkept_zendesk.simulator.state import Obj, State

Handler = Callable[["Call"], Any]


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        state: The account.
        path: Without ``.json``.
        url: The address before the query, for links.
        ids: What stands at the placeholders of the path.
        query: The query.
        body: The JSON body.
        user: The agent behind the credential.
    """

    state: State
    path: str
    url: str
    ids: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    user: Obj

    def find(self, kind: str, index: int = 0) -> Obj:
        """Return the object that the path names.

        Raises:
            ZendeskError: There is none.
        """
        try:
            return self.state.get(kind, int(self.ids[index]))
        except (KeyError, ValueError):
            raise ZendeskError(404) from None

    def part(self, name: str) -> Mapping[str, Any]:
        """Return an object of the body.

        Raises:
            ZendeskError: It is not there.
        """
        found = self.body.get(name)
        if not isinstance(found, Mapping):
            raise ZendeskError(400, "ParameterMissing", f"Parameter {name} is required")
        return found

    @property
    def wanted(self) -> list[int]:
        """The ids of show_many and the like, a hundred at most.

        Raises:
            ZendeskError: There are more, or none.
        """
        ids = [int(text) for text in self.query.get("ids", "").split(",") if text.strip().isdigit()]
        if not 0 < len(ids) <= 100:
            raise ZendeskError(400, "ParameterMissing", "ids must be given, 100 at most")
        return ids


class Endpoint(NamedTuple):
    """A method of a path. `scope` is the resource whose scope it needs; None needs no scope of its own."""

    method: str
    pattern: re.Pattern[str]
    scope: str | None
    admin: bool
    status: int
    handler: Handler


ENDPOINTS: list[Endpoint] = []


def endpoint(
    method: str, path: str, *, scope: str | None, admin: bool = False, status: int = 200
) -> Callable[[Handler], Handler]:
    """Enter a handler into the table. ``*`` in the path stands for an id."""

    def enter(handler: Handler) -> Handler:
        pattern = re.compile("/api/v2/" + re.escape(path).replace(r"\*", "([^/]+)"))
        ENDPOINTS.append(Endpoint(method, pattern, scope, admin, status, handler))
        return handler

    return enter


def find(method: str, path: str) -> tuple[Endpoint, tuple[str, ...]]:
    """Return the endpoint of a request: of several, the one that was entered first.

    Raises:
        ZendeskError: There is none.
    """
    for candidate in ENDPOINTS:
        if candidate.method == method and (match := candidate.pattern.fullmatch(path)):
            return candidate, match.groups()
    raise ZendeskError(404, "InvalidEndpoint", "Not found")
