"""Values as JSON that comes back as it was: cursors and the state of plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

_FAILURES = (TypeError, ValueError, msgspec.MsgspecError, RecursionError)


def encode_plain(value: Any, *, order: Literal["sorted"] | None = None) -> str:
    """Return a value as JSON. A tuple comes back as a list; everything else as it was.

    Args:
        value: The value.
        order: ``sorted`` gives equal values equal texts.

    Raises:
        ValueError: Something in it would not come back; names its place and type, and never shows the value.
    """
    try:
        raw = msgspec.json.encode(value, order=order)
        if msgspec.json.decode(raw) == _listed(value):
            return raw.decode()
        found = _odd(value, "")
    except _FAILURES:
        found = _odd(value, "")
    raise ValueError(found or "it is nested too deeply")


def _listed(value: Any) -> Any:
    """Return a value with lists in the place of tuples."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, (list, tuple)) else value


def _odd(value: Any, place: str) -> str | None:
    """Say what would not come back, and where."""
    try:
        if isinstance(value, Mapping):
            for key, item in value.items():
                if not isinstance(key, str):
                    return f"{type(key).__name__} as a key{_at(place)}"
                if found := _odd(item, f"{place}.{key}"):
                    return found
            return None
        if isinstance(value, (list, tuple)):
            return next((found for item in value if (found := _odd(item, f"{place}[...]"))), None)
        return None if _comes_back(value) else f"{type(value).__name__}{_at(place)}"
    except RecursionError:
        return None


def _comes_back(value: Any) -> bool:
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value)
    except _FAILURES:
        return False


def _at(place: str) -> str:
    return f" at `{place.removeprefix('.')}`" if place else ""
