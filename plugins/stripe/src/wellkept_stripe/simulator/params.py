"""Parameters as Stripe reads them: unknown names and wrong values are refused with its own messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from wellkept_stripe.simulator.errors import StripeError, invalid, unknown_parameter

Reader = Callable[[Any, str], Any]
"""Turns a value as it was sent (text, list or object) into what it means; gets the parameter's name for messages."""

MOST_KEYS, LONGEST_KEY, LONGEST_VALUE = 50, 40, 500
"""Limits of metadata. Source: docs.stripe.com/api/metadata."""


def read(params: Mapping[str, Any], readers: Mapping[str, Reader], prefix: str = "") -> dict[str, Any]:
    """Return the parameters that were sent, each read by its reader.

    Raises:
        StripeError: One is unknown, or has a wrong value.
    """
    found = {}
    for name, value in params.items():
        shown = f"{prefix}[{name}]" if prefix else name
        if name not in readers:
            raise unknown_parameter(shown)
        found[name] = readers[name](value, shown)
    return found


def text(value: Any, name: str) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise invalid(name, f"Invalid string: {value}")
    return value


def integer(value: Any, name: str) -> int:
    """A whole number."""
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+", value):
        raise invalid(name, f"Invalid integer: {value}", "parameter_invalid_integer")
    return int(value)


def decimal(value: Any, name: str) -> float:
    """A number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise invalid(name, f"Invalid decimal: {value}") from None


def boolean(value: Any, name: str) -> bool:
    """``true`` or ``false``."""
    if value not in {"true", "false"}:
        raise invalid(name, f"Invalid boolean: {value}")
    return bool(value == "true")


def texts(value: Any, name: str) -> list[str]:
    """A list of texts; the empty text is the empty list."""
    if value == "":
        return []
    if not isinstance(value, list):
        raise invalid(name, "Invalid array")
    return [text(item, name) for item in value]


def one_of(*words: str) -> Reader:
    """One of these words."""

    def reader(value: Any, name: str) -> str:
        if value not in words:
            raise invalid(name, f"Invalid {name}: must be one of {', '.join(words)}")
        return str(value)

    return reader


def or_empty(reader: Reader) -> Reader:
    """What `reader` reads, or the empty text, which unsets it (None)."""
    return lambda value, name: None if value == "" else reader(value, name)


def either(word: str, reader: Reader) -> Reader:
    """One special word, or what `reader` reads."""
    return lambda value, name: value if value == word else reader(value, name)


def fields(**readers: Reader) -> Reader:
    """A nested object."""

    def reader(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid(name, "Invalid object")
        return read(value, readers, name)

    return reader


def many(reader: Reader) -> Reader:
    """A list of what `reader` reads; the empty text is the empty list."""

    def each(value: Any, name: str) -> list[Any]:
        if value == "":
            return []
        if not isinstance(value, list):
            raise invalid(name, "Invalid array")
        return [reader(item, f"{name}[{place}]") for place, item in enumerate(value)]

    return each


def anything(value: Any, name: str) -> Any:
    """Accepted as it was sent."""
    del name
    return value


def span(value: Any, name: str) -> dict[str, int]:
    """A filter on an instant: a number, or ``gt``, ``gte``, ``lt``, ``lte``."""
    if isinstance(value, dict):
        return fields(gt=integer, gte=integer, lt=integer, lte=integer)(value, name)  # type: ignore[no-any-return]
    instant = integer(value, name)
    return {"gte": instant, "lte": instant}


def inside(instant: int | None, wanted: Mapping[str, int]) -> bool:
    """Say whether an instant passes a filter."""
    if instant is None:
        return False
    checks = {"gt": instant.__gt__, "gte": instant.__ge__, "lt": instant.__lt__, "lte": instant.__le__}
    return all(checks[name](bound) for name, bound in wanted.items())


def metadata(value: Any, name: str) -> dict[str, str] | None:
    """Metadata; the empty text removes all of them (None)."""
    if value == "":
        return None
    if isinstance(value, list):  # keys that are all numbers
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, dict):
        raise invalid(name, "Invalid object")
    for key, item in value.items():
        if len(key) > LONGEST_KEY:
            raise invalid(f"{name}[{key}]", f"Metadata keys can only be up to {LONGEST_KEY} characters long.")
        if not isinstance(item, str) or len(item) > LONGEST_VALUE:
            raise invalid(f"{name}[{key}]", f"Metadata values can have up to {LONGEST_VALUE} characters.")
    return value


def merged(known: Mapping[str, str], sent: Mapping[str, str] | None) -> dict[str, str]:
    """Return metadata after an update: sent keys replace, an empty value removes its key, None removes all.

    Raises:
        StripeError: There would be too many.
    """
    if sent is None:
        return {}
    found = {key: value for key, value in {**known, **sent}.items() if value != ""}
    if len(found) > MOST_KEYS:
        message = f"You can only have up to {MOST_KEYS} metadata keys; this would make {len(found)}."
        raise StripeError(400, message, param="metadata")
    return found
