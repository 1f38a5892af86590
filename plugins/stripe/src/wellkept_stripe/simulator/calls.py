"""One call to the API: what it is about, and the table of endpoints with the permission that each one needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wellkept_stripe.simulator import shapes
from wellkept_stripe.simulator.billing import Billing
from wellkept_stripe.simulator.errors import invalid
from wellkept_stripe.simulator.params import Reader, inside, integer, read, text, texts
from wellkept_stripe.simulator.state import Obj, State

LONGEST_PAGE, USUAL_PAGE = 100, 10
PAGING: Mapping[str, Reader] = {"limit": integer, "starting_after": text, "ending_before": text, "expand": texts}


@dataclass
class Call:
    """A request that was let in.

    Attributes:
        state: The account in the key's mode.
        billing: Acts on it.
        account: The account's own object.
        path: The path.
        ids: What stood in the placeholders of the path.
        params: Query and body, nested.
        version: The API version to answer in.
    """

    state: State
    billing: Billing
    account: Obj
    path: str
    ids: tuple[str, ...]
    params: dict[str, Any]
    version: str
    expand: list[str] = field(default_factory=list)

    def read(self, **readers: Reader) -> dict[str, Any]:
        """Read the parameters; every endpoint takes ``expand``."""
        found = read(self.params, {"expand": texts, **readers})
        self.expand = found.pop("expand", [])
        return found

    def show(self, obj: Obj) -> Obj:
        """Return an object as this call shows it."""
        return shapes.older(shapes.expand(self.state, shapes.render(self.state, obj), self.expand), self.version, self.state)

    def page(
        self, kind: str, readers: Mapping[str, Reader], passes: Callable[[Obj, dict[str, Any]], bool] | None = None
    ) -> Obj:
        """Return a page of a list.

        Args:
            kind: Of the objects.
            readers: Of the filters besides paging; a plain one is held against the field of its own name.
            passes: Decides about what the filters mean beyond that.
        """
        found = read(self.params, {**PAGING, **readers})
        expand = found.pop("expand", [])
        limit = found.pop("limit", USUAL_PAGE)
        if not 1 <= limit <= LONGEST_PAGE:
            raise invalid("limit", "Invalid limit: must be between 1 and 100.", "parameter_invalid_integer")
        after, before = found.pop("starting_after", None), found.pop("ending_before", None)
        table = self.state.tables[kind]
        rows = table.listed()
        if before is not None:
            rows = rows[: table.place(self.state.get(kind, before, "ending_before"))][::-1]
        elif after is not None:
            rows = rows[table.place(self.state.get(kind, after, "starting_after")) + 1 :]
        chosen: list[Obj] = []
        for row in rows:
            if _matches(row, found) and (passes is None or passes(row, found)):
                chosen.append(row)
                if len(chosen) > limit:
                    break
        has_more = len(chosen) > limit
        chosen = chosen[:limit]
        if before is not None:
            chosen.reverse()
        listed = shapes.list_of([shapes.render(self.state, row) for row in chosen], self.path, has_more=has_more)
        shown = shapes.expand(self.state, listed, expand)
        shown["data"] = [shapes.older(row, self.version, self.state) for row in shown["data"]]
        return shown


_PLAIN = (
    "customer",
    "email",
    "active",
    "product",
    "currency",
    "type",
    "collection_method",
    "subscription",
    "invoice",
    "payment_intent",
)


def _matches(row: Obj, filters: Mapping[str, Any]) -> bool:
    if "created" in filters and not inside(row["created"], filters["created"]):
        return False
    return all(row.get(name) == filters[name] for name in _PLAIN if name in filters and name in row)


Handler = Callable[[Call], Obj]


@dataclass(frozen=True)
class Endpoint:
    """A method and path, who answers, and what a restricted key must be permitted (``customer``)."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    permission: str

    @property
    def needs(self) -> str:
        """The permission's name in error messages: ``rak_customer_read``."""
        if self.permission == "accounts_kyc_basic":
            return "rak_accounts_kyc_basic_read"
        return f"rak_{self.permission}_{'read' if self.method == 'GET' else 'write'}"


ENDPOINTS: list[Endpoint] = []


def endpoint(method: str, path: str, permission: str) -> Callable[[Handler], Handler]:
    """Register a handler; ``{}`` in the path is a placeholder."""

    def register(handler: Handler) -> Handler:
        pattern = re.compile("([^/]+)".join(re.escape(piece) for piece in path.split("{}")))
        ENDPOINTS.append(Endpoint(method, pattern, handler, permission))
        return handler

    return register


def deleted(obj: Obj) -> Obj:
    """Return what is left of a deleted object."""
    return {"id": obj["id"], "object": obj["object"], "deleted": True}
