"""Search as HubSpot does it: one sorting rule, an index that lags behind, and an end after 10,000 results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from wellkept_hubspot.simulator.errors import HubSpotError
from wellkept_hubspot.simulator.state import State, Thing, instant, jumbled

Rank = tuple[int, Decimal, str]
EMPTY: Rank = (0, Decimal(0), "")

MOST, LIMIT = 10_000, 200
"""Results of one search, and rows of one page of it."""


def search(
    state: State, type_: str, body: Mapping[str, Any], *, lag: int, most: int
) -> tuple[list[tuple[Thing, dict[str, str]]], int, str | None]:
    """Return a page of what is found, how much there is in all, and where the next page begins.

    Args:
        state: The account.
        type_: What is searched.
        body: The request.
        lag: Milliseconds by which the index is behind.
        most: Results after which the search ends.
    """
    limit, offset = int(body.get("limit") or 10), _offset(body.get("after"))
    if not 0 < limit <= LIMIT:
        raise HubSpotError(400, f"limit must be between 1 and {LIMIT}")
    if offset >= most:
        raise HubSpotError(400, f"Paging through results is limited to {most}.")
    at = state.clock.now() - lag
    pairs = ((thing, thing.indexed(at)) for thing in state.things[type_].values())
    indexed = [(thing, properties) for thing, properties in pairs if properties is not None]
    groups = _by_cost(body.get("filterGroups") or [])
    found = [(thing, properties) for thing, properties in indexed if _holds(state, type_, properties, groups)]
    name, falling = _sort(body, state.created_name(type_))
    found.sort(  # what is equal comes in no order that could be relied on
        key=lambda pair: (_rank(state, type_, name, pair[1].get(name)), jumbled(pair[0].id)), reverse=falling
    )
    page = found[offset : min(offset + limit, most)]
    more = offset + len(page) < len(found)
    return page, len(found), str(offset + len(page)) if more else None


def _offset(after: Any) -> int:
    if after in {None, ""}:
        return 0
    try:
        return int(after)
    except ValueError:
        raise HubSpotError(400, "after must be a number") from None


def _sort(body: Mapping[str, Any], usual: str) -> tuple[str, bool]:
    sorts = body.get("sorts") or []
    if len(sorts) > 1:
        raise HubSpotError(400, "At most one sort can be given")
    if not sorts:
        return usual, False
    first = sorts[0]
    if isinstance(first, Mapping):
        return str(first["propertyName"]), first.get("direction") == "DESCENDING"
    return str(first).lstrip("-"), str(first).startswith("-")


def _by_cost(groups: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the filters of each group, the one on the id first: it lets few through when a search goes by id."""
    return [sorted(group.get("filters", ()), key=lambda rule: rule["propertyName"] != "hs_object_id") for group in groups]


def _holds(state: State, type_: str, properties: Mapping[str, str], groups: Sequence[Sequence[Mapping[str, Any]]]) -> bool:
    return not groups or any(all(_one(state, type_, properties, rule) for rule in group) for group in groups)


def _one(state: State, type_: str, properties: Mapping[str, str], rule: Mapping[str, Any]) -> bool:
    name, operator = str(rule["propertyName"]), str(rule["operator"])
    if name not in state.definitions[type_]:
        raise HubSpotError(400, f"There was a problem with the request: property {name} does not exist")
    text = properties.get(name)
    if operator in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
        return (text is None) is (operator == "NOT_HAS_PROPERTY")
    if text is None:
        return operator in {"NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN"}
    value = _rank(state, type_, name, text)
    if operator in {"IN", "NOT_IN"}:
        among = value in [_rank(state, type_, name, str(item)) for item in rule["values"]]
        return among is (operator == "IN")
    if operator in {"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}:
        within = str(rule["value"]).strip("*").casefold() in text.casefold()
        return within is (operator == "CONTAINS_TOKEN")
    other = _rank(state, type_, name, str(rule["value"]))
    if operator == "BETWEEN":
        return other <= value <= _rank(state, type_, name, str(rule["highValue"]))
    results = {
        "EQ": value == other,
        "NEQ": value != other,
        "GT": value > other,
        "GTE": value >= other,
        "LT": value < other,
        "LTE": value <= other,
    }
    if operator not in results:
        raise HubSpotError(400, f"unknown operator {operator}")
    return results[operator]


def _rank(state: State, type_: str, name: str, text: str | None) -> Rank:
    """Return something that orders values as their property's type does; what is empty comes first."""
    if text is None:
        return EMPTY
    definition = state.definitions[type_].get(name)
    return _ordered("string" if definition is None else definition["type"], text)


@lru_cache(maxsize=200_000)
def _ordered(kind: str, text: str) -> Rank:
    if kind in {"date", "datetime"}:
        return (1, Decimal(instant(text) or 0), "")
    if kind == "number":
        try:
            return (1, Decimal(text), "")
        except InvalidOperation:
            raise HubSpotError(400, "a number is wanted") from None
    return (1, Decimal(0), text.casefold())
