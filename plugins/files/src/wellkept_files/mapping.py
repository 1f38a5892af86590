"""A mapping in the configuration, from named cells to records of any type.

`Mapping` is what a person writes; `Mapper` applies it to one row after the other. Other plugins may use both for rows that
come from elsewhere, as `wellkept-sql` does: together with `Conversion` they are the public part of this distribution.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Cells
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import inspect
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept.errors import ConfigError, RejectedError
from wellkept.money import EXPONENTS
from wellkept.records import Json, Record, Usage
from wellkept_files.convert import Conversion, Kind, convert, key_text

CURRENCY = "currency"
_GIVEN = ("id", "version", "extra")


class Rule(BaseModel):
    """Where one field comes from, and how it is written there."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    column: str | None = None
    """The column; in JSON a path with dots leads into nested objects."""
    value: bool | int | float | str | list[str] | None = None
    """The same value for all rows, instead of a column; written as the record has it."""
    default: bool | int | float | str | list[str] | None = None
    """What stands in an empty cell's place; written as the record has it."""
    values: dict[str, bool | int | float | str] | None = None
    """What the words of the column mean: ``{ A = "active", C = "canceled" }``. Another word rejects the row."""
    kind: Kind | None = None
    """What the cell holds; needed where the field's name and type do not tell."""
    unit: Literal["major", "minor"] | None = None
    """Of money: ``major`` for 12.34, ``minor`` for 1234. There is no default, as a wrong guess is off by a hundred."""
    currency: str | None = None
    """Of money, where the record has no currency or all rows have the same: an ISO 4217 code."""
    round: bool = False
    """Round money to minor units, halves to even; otherwise an amount with too many decimals rejects the row."""
    format: str | None = None
    """Of dates and times: ``iso`` (default), ``epoch_s``, ``epoch_ms``, or a pattern such as ``%d.%m.%Y``."""
    time_zone: str | None = None
    """Of times that name none: an IANA zone, such as ``Europe/Berlin``."""
    decimal: Literal[".", ","] | None = None
    """The decimal sign of numbers that are written as text."""
    split: str | None = None
    """What separates the items of a list; a comma by default."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return value if value is None else _zone_name(value)

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str | None) -> str | None:
        return value if value is None else _currency_code(value)

    @model_validator(mode="after")
    def _one_origin(self) -> Rule:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either `column` or `value`")
        return self


Where = str | Rule


class Mapping(BaseModel):
    """How rows become records of one type."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    record: str
    """The record type: ``account``, ``invoice``, ... or another plugin's own, such as ``stripe.price``."""
    id: str | Annotated[list[str], Field(min_length=1)] | None = None
    """The column with the row's id, or several that make it together. Only ``usage`` needs none."""
    version: Where | None = None
    """The column that grows whenever the row changes, such as the time of the last change: older never overwrites newer."""
    fields: dict[str, Where] = {}
    """The record's fields: a column's name, or a table that says more."""
    extra: list[str] | dict[str, str] = []
    """Columns to keep as custom fields; as a table, under other names."""
    time_zone: str = "UTC"
    """Of times that name none: an IANA zone."""
    currency: str | None = None
    """Of all rows, where no column tells it: an ISO 4217 code."""
    decimal: Literal[".", ","] = "."
    """The decimal sign of numbers that are written as text."""
    empty: list[str] = []
    """Texts that mean an empty cell, beside the empty text itself: ``["NULL", "n/a"]``."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return _zone_name(value)

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str | None) -> str | None:
        return value if value is None else _currency_code(value)

    @model_validator(mode="after")
    def _fields_in_place(self) -> Mapping:
        for name in _GIVEN:
            if name in self.fields:
                raise ValueError(f"`{name}` stands beside `fields`, not in it")
        return self


class Mapper:
    """Applies a mapping.

    Args:
        mapping: What a person wrote.
        types: The record types of the installation, by name (`Context.record_types`).
        key: Where the mapping stands in the configuration, for errors: ``plugins.files.streams.invoices``.

    Attributes:
        type: The record type.
        columns: Every column that the mapping names.

    Raises:
        ConfigError: The mapping does not fit the record type.
    """

    def __init__(self, mapping: Mapping, types: Cells[str, type[Record]], *, key: str) -> None:
        self._mapping = mapping
        self._key = key
        self.type = self._type(types)
        self._kinds = field_kinds(self.type)
        self._required = frozenset(_required(self.type))
        self._empty = frozenset(mapping.empty)
        self._ids = [mapping.id] if isinstance(mapping.id, str) else mapping.id or []
        self._extra = mapping.extra if isinstance(mapping.extra, dict) else {name: name for name in mapping.extra}
        self._rules = self._fields()
        self._version = None if mapping.version is None else self._conversion("version", mapping.version, "instant")
        self.columns = tuple(dict.fromkeys(self._named()))

    @property
    def has_version(self) -> bool:
        """Whether rows carry a version of their own."""
        return self._version is not None

    def record(self, cells: Cells[str, Any], *, version: int) -> Record:
        """Return a row's record.

        Args:
            cells: The row, by column.
            version: Its version, unless the mapping has a column for it.

        Raises:
            RejectedError: The row does not fit; names column or field, never a value.
        """
        found: dict[str, Json] = {}
        currency = self._currency(cells)
        for name, rule in self._rules.items():
            value = self._value(cells, rule, currency)
            if value is not None or name in self._required:
                found[name] = value
        if CURRENCY in self._kinds and currency is not None:
            found[CURRENCY] = currency
        found["version"] = version
        if self._version is not None:
            found["version"] = self._needed(cells, self._version)
            if self._version.kind == "instant":
                found.setdefault("updated_at", found["version"])
        extra = {name: convert(self._cell(cells, column), _JSON, None) for name, column in self._extra.items()}
        found["extra"] = {name: value for name, value in extra.items() if value is not None}
        return self._finished(found, cells)

    def id_of(self, cells: Cells[str, Any]) -> str | None:
        """Return a row's id, None where it cannot be read: what a reject is filed under."""
        parts = [self._cell(cells, column) for column in self._ids]
        return key_text(parts) if parts and all(part is not None for part in parts) else None

    def _finished(self, found: dict[str, Json], cells: Cells[str, Any]) -> Record:
        try:
            if not self._ids:
                names = ("subject", "event", "day", "count", "account_ref", "person_ref")
                found["id"] = Usage.of(version=0, **{name: found[name] for name in names if name in found}).id
            else:
                found["id"] = self.id_of(cells)
            if found["id"] is None:
                raise RejectedError(f"no id: the column {' or '.join(map(repr, self._ids))} is empty")
            return msgspec.convert(found, self.type)
        except TypeError as error:
            raise RejectedError(str(error).rpartition("() ")[2]) from None
        except msgspec.ValidationError as error:
            raise RejectedError(str(error)) from None

    # --- cells ---

    def _cell(self, cells: Cells[str, Any], column: str) -> Any:
        """Return a cell, None for an empty one; a path with dots leads into nested objects."""
        if column in cells:
            cell = cells[column]
        else:
            cell = cells
            for part in column.split("."):
                cell = cell.get(part) if isinstance(cell, dict) else None
        if isinstance(cell, str):
            cell = cell.strip()
            return None if not cell or cell in self._empty else cell
        return cell

    def _value(self, cells: Cells[str, Any], rule: Conversion, currency: str | None) -> Json:
        if rule.column is None:
            return rule.value
        cell = self._cell(cells, rule.column)
        return rule.default if cell is None else convert(cell, rule, currency)

    def _needed(self, cells: Cells[str, Any], rule: Conversion) -> Json:
        value = self._value(cells, rule, None)
        if not isinstance(value, int):
            raise RejectedError(f"no version: the column {rule.column!r} is empty")
        return value

    def _currency(self, cells: Cells[str, Any]) -> str | None:
        rule = self._rules.get(CURRENCY)
        if rule is None:
            return self._mapping.currency
        value = self._value(cells, rule, None) or self._mapping.currency
        if value is None:
            return None
        code = str(value).lower()
        if code not in EXPONENTS:
            raise RejectedError(f"column {rule.column!r}: not an ISO 4217 currency")
        return code

    # --- the mapping against the type ---

    def _type(self, types: Cells[str, type[Record]]) -> type[Record]:
        found = types.get(self._mapping.record)
        if found is None:
            raise self._wrong("record", f"there is no record type {self._mapping.record!r}", self._mapping.record, types)
        if self._mapping.id is None and found is not Usage:
            raise ConfigError("needs the column that holds the row's id", key=f"{self._key}.id", guidance="add id = ...")
        return found

    def _fields(self) -> dict[str, Conversion]:
        rules = {}
        for name, where in self._mapping.fields.items():
            if name not in self._kinds:
                raise self._wrong(f"fields.{name}", f"{self.type.type} has no field {name!r}", name, self._kinds)
            rules[name] = self._conversion(f"fields.{name}", where, self._kinds[name])
        given = {*rules, *_GIVEN, *([CURRENCY] if self._mapping.currency else [])}
        lacking = [name for name in sorted(self._required) if name not in given]
        if lacking:
            raise ConfigError(
                f"{self.type.type} needs {', '.join(lacking)}",
                key=f"{self._key}.fields",
                guidance='name a column for it, or write { value = "..." }',
            )
        return rules

    def _conversion(self, place: str, where: Where, guess: Kind) -> Conversion:
        rule = Rule(column=where) if isinstance(where, str) else where
        kind = rule.kind or guess
        if kind == "money" and rule.column is not None:
            self._check_money(place, rule)
        return Conversion(
            column=rule.column,
            value=rule.value,
            default=rule.default,
            values=rule.values,
            kind=kind,
            minor=rule.unit == "minor",
            currency=rule.currency,
            round=rule.round,
            format=rule.format or "iso",
            zone=ZoneInfo(rule.time_zone or self._mapping.time_zone),
            decimal=rule.decimal or self._mapping.decimal,
            split=rule.split or ",",
        )

    def _check_money(self, place: str, rule: Rule) -> None:
        key = f"{self._key}.{place}"
        if rule.unit is None:
            raise ConfigError("is money: its unit is missing", key=key, guidance='add unit = "major" (12.34) or "minor" (1234)')
        known = rule.currency or self._mapping.currency or CURRENCY in self._mapping.fields
        if rule.unit == "major" and not known:
            raise ConfigError("is money of an unknown currency", key=key, guidance="map `currency`, or add currency = ...")

    def _wrong(self, place: str, message: str, name: str, known: Cells[str, object]) -> ConfigError:
        near = difflib.get_close_matches(name, list(known), n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        return ConfigError(message, key=f"{self._key}.{place}", guidance=mend)

    def _named(self) -> Iterator[str]:
        yield from self._ids
        yield from (rule.column for rule in self._rules.values() if rule.column is not None)
        if self._version is not None and self._version.column is not None:
            yield self._version.column
        yield from self._extra.values()


_JSON = Conversion(kind="json")


def field_kinds(type_: type[Record]) -> dict[str, Kind]:
    """Return what the fields of a record type hold, as far as their types and names tell."""
    info = inspect.type_info(type_)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows: every record is a struct
    names = {field.name for field in info.fields}
    return {
        field.name: _kind(field.name, field.type, money=CURRENCY in names) for field in info.fields if field.name not in _GIVEN
    }


def _kind(name: str, type_: inspect.Type, *, money: bool) -> Kind:
    options = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    for option in options:
        if isinstance(option, inspect.IntType):
            if name == "at" or name.endswith("_at"):
                return "instant"
            return "money" if money and (name == "mrr" or name.startswith("amount")) else "integer"
        if isinstance(option, inspect.StrType):
            return "day" if name == "day" or name.endswith(("_on", "_day")) else "text"
        for shape, kind in _SHAPES:
            if isinstance(option, shape):
                return kind
    return "text"


_SHAPES: Sequence[tuple[type[inspect.Type], Kind]] = (
    (inspect.BoolType, "flag"),
    (inspect.FloatType, "number"),
    (inspect.ListType, "list"),
    (inspect.DictType, "json"),
)


def _required(type_: type[Record]) -> list[str]:
    info = inspect.type_info(type_)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows, as above
    return [field.name for field in info.fields if field.required]


def _zone_name(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {value!r}; write an IANA name such as Europe/Berlin") from None
    return value


def _currency_code(value: str) -> str:
    if value.lower() not in EXPONENTS:
        raise ValueError(f"{value!r} is not an ISO 4217 currency")
    return value.lower()
