"""Integers that no store can keep: a decoder takes any number of digits, a database column 64 bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

SMALLEST, LARGEST = -(2**63), 2**63 - 1

Probe = Callable[[Any], bool]
"""Whether a decoded value holds an integer beyond 64 bits in one of its typed fields."""

Known = dict[type, list[tuple[str, Probe]] | None]
"""The structs that were met: the fields to look into, None for those without integers."""


@lru_cache(maxsize=256)
def probe(row_type: Any) -> Probe | None:
    """Return the probe of a row type; None for a type without integers, or with bounded ones only, which costs nothing.

    Fields of type ``Any`` are not looked into.
    """
    from msgspec import inspect

    return _probe(inspect.type_info(row_type), {})


def is_out(value: Any) -> bool:
    """Whether a value is an integer beyond 64 bits."""
    return isinstance(value, int) and not SMALLEST <= value <= LARGEST


def _probe(info: Any, known: Known) -> Probe | None:
    from msgspec import inspect

    if isinstance(info, inspect.IntType):
        bounded = (info.ge, info.gt) != (None, None) and (info.le, info.lt) != (None, None)
        return None if bounded else is_out  # the decoder keeps bounds itself, which cannot be wider than 64 bits
    if isinstance(info, inspect.UnionType):
        return _any_of([found for part in info.types if (found := _probe(part, known))])
    if isinstance(info, (inspect.ListType, inspect.VarTupleType)):
        item = _probe(info.item_type, known)
        return _items(item) if item else None
    if isinstance(info, inspect.DictType):
        value = _probe(info.value_type, known)
        return _values(value) if value else None
    if isinstance(info, inspect.StructType):
        return _struct(info, known)
    return None


def _struct(info: Any, known: Known) -> Probe | None:
    cls: type = info.cls
    fields = known.get(cls, [])
    if fields is None:
        return None
    if cls not in known:
        known[cls] = fields
        fields += [(part.name, found) for part in info.fields if (found := _probe(part.type, known))]
        if not fields:
            known[cls] = None
            return None

    def look(row: Any) -> bool:
        return isinstance(row, cls) and any(found(getattr(row, name)) for name, found in fields)

    return look


def _any_of(probes: list[Probe]) -> Probe | None:
    if len(probes) < 2:
        return probes[0] if probes else None
    return lambda value: any(found(value) for found in probes)


def _items(item: Probe) -> Probe:
    return lambda value: isinstance(value, (list, tuple)) and any(map(item, value))


def _values(item: Probe) -> Probe:
    return lambda value: isinstance(value, dict) and any(map(item, value.values()))
