"""The fields of a record type as measures and filters see them: what sort of value, and how to write it in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from msgspec import inspect

from wellkept.expressions import nearest
from wellkept.frame import Measure, Unit
from wellkept.records import Record

Sort = Literal["int", "float", "bool", "text", "instant", "day", "list", "json", "scalar"]

_WORDS: Mapping[str, str] = {
    "int": "a number",
    "float": "a number",
    "bool": "a flag",
    "text": "a text",
    "instant": "an instant",
    "day": "a day",
    "list": "a list",
    "json": "a structure",
    "scalar": "any value",
}
_UNITS: Mapping[str, str] = {
    "int": "count",
    "float": "ratio",
    "bool": "flag",
    "text": "text",
    "instant": "date",
    "day": "text",
    "list": "list",
    "json": "json",
}
_CUSTOM: Mapping[str, Sort] = {"text": "text", "flag": "bool", "date": "day", "scalar": "scalar"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: The field; ``extra.KEY`` for a custom one; several, as ``day, subject``, for their combinations.
        sort: ``instant`` is an integer called ``at`` or ``..._at``; ``day`` a text called ``day``, ``..._day`` or ``..._on``.
    """

    name: str
    sort: Sort

    @property
    def custom(self) -> bool:
        """Whether it lives in `Record.extra`."""
        return "." in self.name

    @property
    def names(self) -> Sequence[str]:
        """The fields of the record that it is made of."""
        return [self.name] if self.custom else self.name.split(", ")

    @property
    def words(self) -> str:
        """What it is, for messages."""
        return _WORDS[self.sort]

    @property
    def unit(self) -> str:
        """Its unit in an expression."""
        return _UNITS[self.sort]

    def sql(self) -> str:
        """Return its value in SQL, of a table called ``r``."""
        if not self.custom:
            return " || ' ' || ".join(f'r."{name}"' for name in self.names)
        return json_value('r."extra"', self.name.partition(".")[2], self.sort)


@lru_cache(maxsize=256)
def fields_of(record: type[Record]) -> Mapping[str, Field]:
    """Return all fields of a record type by name."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows: every Record is a struct
    return {field.name: Field(field.name, _sort(field)) for field in info.fields}


def find_field(record: type[Record], name: str, unit: str) -> Field:
    """Return a field, or a custom one.

    Args:
        record: The record type.
        name: The field; ``extra.KEY`` for a custom one; several, as ``day, subject``, for their combinations.
        unit: What a custom one is wanted as, which says what sort it must be: a unit, or ``scalar``.

    Raises:
        ValueError: There is no such field.
    """
    fields = fields_of(record)
    stem, _, key = name.partition(".")
    if stem == "extra" and key:
        if '"' in key:
            raise ValueError(f"the custom field {key!r} has quotation marks in its name")
        return Field(name, _CUSTOM.get(unit, "float"))
    if unit == "scalar" and ", " in name:
        parts = [find_field(record, part, unit) for part in name.split(", ")]
        if any(part.custom or part.sort not in {"text", "day"} for part in parts):
            raise ValueError(f"only texts and days have combinations, and {name!r} has others")
        return Field(name, "text")
    if name not in fields or fields[name].sort == "json":
        known = [other for other, field in fields.items() if field.sort != "json"]
        advice = nearest(name, known)
        raise ValueError(f"{record.type} has no field {name!r}" + (f"; {advice}" if advice else ""))
    return fields[name]


_COUNTED = frozenset({"count", "days", "minutes", "ratio", "points"})
_FITS: Mapping[str, frozenset[str]] = {
    "int": _COUNTED,
    "float": _COUNTED,
    "bool": frozenset({"flag"}),
    "text": frozenset({"text"}),
    "instant": frozenset({"date", "days"}),
    "day": frozenset({"date", "days", "text"}),
}


def checked_unit(measure: Measure, field: Field | None) -> Unit:
    """Return the unit of a measure's figure. ``days`` of an instant or a day is its age.

    Raises:
        ValueError: The declared unit does not fit the field and the aggregate.
    """
    unit, aggregate = measure.unit, measure.aggregate
    if aggregate == "any":
        if unit not in {"flag", "count"}:  # count is the default, which nobody need have written
            raise ValueError(f"'any' is a flag, not {unit!r}")
        return "flag"
    if field is None or aggregate == "distinct":
        if unit != "count":
            raise ValueError(f"{aggregate!r} is a count, not {unit!r}")
        if field is not None and field.sort == "list":
            raise ValueError(f"{measure.field!r} is a list, which has no distinct values")
        return unit
    if aggregate in {"sum", "avg", "slope", "median", "p90"} and field.sort not in {"int", "float"}:
        raise ValueError(f"{aggregate!r} needs numbers, and {measure.field!r} is {field.words}")
    if unit == "money" and aggregate in {"median", "p90"}:
        raise ValueError(f"{aggregate!r} of money of several currencies has no meaning")
    if unit == "money":
        if field.sort != "int" or field.custom:
            raise ValueError(f"money is an integer of minor units, and {measure.field!r} is {field.words}")
        if "currency" not in fields_of(measure.record):
            raise ValueError(f"money needs a field `currency`, which {measure.record.type} does not have")
    elif unit not in _FITS.get(field.sort, frozenset()):
        raise ValueError(f"{measure.field!r} is {field.words}, which cannot be taken as {unit!r}")
    return unit


_JSON_TYPES: Mapping[str, str] = {
    "text": "('text')",
    "day": "('text', 'integer')",
    "scalar": "('text', 'integer', 'real', 'true', 'false')",
}


def json_value(column: str, key: str, sort: str) -> str:
    """Return SQL for a member of a JSON object, NULL when it is of another sort. The one place that reads JSON in SQL."""
    path = "'$.\"" + key.replace("'", "''") + "\"'"
    kind, value = f"json_type({column}, {path})", f"json_extract({column}, {path})"
    if sort == "bool":
        return f"CASE {kind} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    kinds = _JSON_TYPES.get(sort, "('integer', 'real')")
    return f"CASE WHEN {kind} IN {kinds} THEN {value} END"


def _sort(field: inspect.Field) -> Sort:
    parts = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    real = next((part for part in parts if not isinstance(part, inspect.NoneType)), parts[0])
    if isinstance(real, inspect.LiteralType):
        return "int" if all(isinstance(value, int) for value in real.values) else "text"
    if isinstance(real, inspect.IntType):
        return "instant" if field.name == "at" or field.name.endswith("_at") else "int"
    if isinstance(real, inspect.StrType):
        return "day" if field.name == "day" or field.name.endswith(("_day", "_on")) else "text"
    if isinstance(real, inspect.FloatType):
        return "float"
    if isinstance(real, inspect.BoolType):
        return "bool"
    return "list" if isinstance(real, inspect.ListType) else "json"
