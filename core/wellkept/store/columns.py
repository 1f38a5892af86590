"""How a record type becomes a table: its columns, its rows, and the digest by which two readings are told apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import inspect

from wellkept.errors import StoreError
from wellkept.records import Record
from wellkept.store.catalogue import columns_of, tables_of
from wellkept.store.connection import Reader, Tx

R = TypeVar("R", bound=Record)

Kind = Literal["int", "float", "bool", "text", "json", "bytes"]
"""What a column holds: ``bool`` is stored as 0 or 1, ``json`` as compact text."""

SQL_TYPE: Mapping[Kind, str] = {
    "int": "INTEGER",
    "float": "REAL",
    "bool": "INTEGER",
    "text": "TEXT",
    "json": "TEXT",
    "bytes": "BLOB",
}

BOOKKEEPING: Mapping[str, Kind] = {
    "instance": "text",
    "id": "text",
    "stream": "text",  # the stream that owns the row: its absence from a full read of that stream deletes it
    "version": "int",
    "updated_at": "int",
    "deleted": "bool",
    "observed_at": "int",  # when this content was first seen
    "valid_from": "int",  # when it became true: `updated_at`, or `observed_at` where the vendor does not say
    "digest": "bytes",
}
"""Columns that every record table has, beside those of its type."""

LONGEST = 44
"""Characters of a record type's name: PostgreSQL cuts names off behind 63, and those of indexes are made from it."""

_NULLABLE = frozenset({"updated_at"})
_OWN = ("id", "version", "updated_at")  # bookkeeping that comes from the record itself
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_KEY = "columns:"
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_]*)*")

DELETED = b"deleted"
"""Digest of a row that the vendor reported as deleted: a reading must be *newer* to bring it back."""

ABSENT = b"absent"
"""Digest of a row that a full read did not find: a reading that was made later brings it back."""


class Shape(Generic[R]):
    """What is known of one record type as a table.

    Args:
        type_: The record type.

    Attributes:
        table: Name of the table with the newest version of each row.
        past: Name of the table with superseded versions; None without history.
        fields: The type's own columns and their kinds.
        columns: All columns and their kinds.
        written: The columns that `row` gives values for, in that order.

    Raises:
        StoreError: A name or the kind of a field cannot be stored.
    """

    def __init__(self, type_: type[R]) -> None:
        if not _TYPE_NAME.fullmatch(type_.type):
            raise StoreError(f"record type {type_.type!r}: not a name", guidance="use lower case, such as myplugin.thing")
        if len(type_.type) > LONGEST:
            raise StoreError(f"record type {type_.type}: has more than {LONGEST} characters", guidance="use a shorter name")
        self.type_ = type_
        stem = re.sub(r"[.-]", "_", type_.type)
        self.table = f"r_{stem}"
        self.past = f"h_{stem}" if type_.history else None
        info = inspect.type_info(type_)
        assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows: every Record is a struct
        kinds = {field.name: _kind(type_, field) for field in info.fields}
        if tuple(field.encode_name for field in info.fields[:3]) != _OWN:
            raise StoreError(f"record type {type_.type}: id, version and updated_at must keep their names")
        self.fields: dict[str, Kind] = {name: kind for name, kind in kinds.items() if name not in _OWN}
        self.columns: dict[str, Kind] = {**BOOKKEEPING, **self.fields}
        self._bools = tuple(name for name, kind in self.fields.items() if kind == "bool")
        self._jsons = tuple(name for name, kind in self.fields.items() if kind == "json")
        plain = (*_OWN, *(name for name in self.fields if name not in {*self._bools, *self._jsons}))
        self.own_columns = (*plain, *self._bools, *self._jsons)
        self.written = ("instance", "stream", "deleted", "observed_at", "valid_from", "digest", *self.own_columns)
        self.values = _values(plain, self._bools, self._jsons)
        self.digest = _digest()
        defaulted = [field.name for field in info.fields if not field.required and not _takes_none(field.type)]
        self._needs_default = tuple(name for name in defaulted if name in self.fields)

    def record(self, values: Sequence[Any]) -> R:
        """Return the record whose `own_columns` were read."""
        fields = dict(zip(self.own_columns, values, strict=True))
        for name in self._bools:
            if fields[name] is not None:
                fields[name] = bool(fields[name])
        for name in self._jsons:
            if fields[name] is not None:
                fields[name] = msgspec.json.decode(fields[name])
        for name in self._needs_default:
            if fields[name] is None:  # the column is newer than the row
                del fields[name]
        return self.type_(**fields)

    def select(self, alias: str) -> str:
        """Return the list of `own_columns` for a SELECT."""
        return ", ".join(f"{alias}.{quoted(name)}" for name in self.own_columns)


@lru_cache(256)
def shape_of(type_: type[R]) -> Shape[R]:
    """Return the shape of a record type; made once, as to look into a type takes milliseconds.

    Raises:
        StoreError: A name or the kind of a field cannot be stored.
    """
    return Shape(type_)


def quoted(name: str) -> str:
    """Return a column's name as SQL; fields may be called like keywords."""
    return f'"{name}"'


def ensure(tx: Tx, shape: Shape[Any]) -> None:
    """Make the tables of a type, or add the columns that it has gained.

    Raises:
        StoreError: A field has changed its kind, so that what is stored cannot be read as the type says.
    """
    key = f"{_KEY}{shape.table}"
    text = tx.value("SELECT value FROM meta WHERE key = ?", (key,))
    known: dict[str, Kind] = msgspec.json.decode(text)["fields"] if text else {}
    for name in shape.fields.keys() & known.keys():
        if shape.fields[name] != known[name]:
            raise StoreError(
                f"record type {shape.type_.type}: field {name} was {known[name]} and is now {shape.fields[name]}",
                guidance="give the field a new name, or the record type",
            )
    for table in filter(None, (shape.table, shape.past)):
        present = columns_of(tx, table)
        if not present:
            _create(tx, table, shape.fields)
        for name, kind in shape.fields.items():
            if present and name not in present:
                tx.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {SQL_TYPE[kind]}")
    if known | shape.fields != known:
        about = {"type": shape.type_.type, "fields": known | shape.fields}
        tx.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, msgspec.json.encode(about).decode()),
        )


def tables_made(reader: Reader) -> dict[str, str]:
    """Return the tables of all types that this store ever knew, also of plugins that are gone: type to table."""
    rows = reader.rows("SELECT key, value FROM meta WHERE key LIKE ?", (f"{_KEY}%",))
    return {msgspec.json.decode(value)["type"]: key.removeprefix(_KEY) for key, value in rows}


def copy_tables(reader: Reader, tx: Tx) -> None:
    """Make the tables of all types that another store ever knew, as far as they are not there.

    Args:
        reader: Reads the other store.
        tx: Writes this one.
    """
    known, present = set(tables_of(reader)), set(tables_of(tx))
    for key, value in reader.all("SELECT key, value FROM meta WHERE key LIKE ?", (f"{_KEY}%",)):
        fields: dict[str, Kind] = msgspec.json.decode(value)["fields"]
        table = key.removeprefix(_KEY)
        for name in (table, f"h_{table.removeprefix('r_')}"):
            if name in known - present:
                _create(tx, name, fields)


def _create(tx: Tx, table: str, fields: Mapping[str, Kind]) -> None:
    lines = [
        f"{quoted(name)} {SQL_TYPE[kind]}{'' if name in _NULLABLE or name in fields else ' NOT NULL'}"
        for name, kind in {**BOOKKEEPING, **fields}.items()
    ]
    newest = table.startswith("r_")
    key = "instance, id" if newest else "instance, id, version, observed_at"
    tx.execute(f"CREATE TABLE {table} ({', '.join(lines)}, PRIMARY KEY ({key})) STRICT")
    if newest:
        _index(tx, table, fields)


def _index(tx: Tx, table: str, fields: Mapping[str, Kind]) -> None:
    """Index what rows are looked up by: account, person (of rows without account), address, and the day of a generation."""
    if "account_ref" in fields:
        tx.execute(f"CREATE INDEX {table}_account ON {table} (instance, account_ref)")
        if "person_ref" in fields:
            tx.execute(f"CREATE INDEX {table}_person ON {table} (instance, person_ref) WHERE account_ref IS NULL")
    for name in ("email", "day"):
        if name in fields:
            tx.execute(f"CREATE INDEX {table}_{name} ON {table} (instance, {name})")


def _kind(type_: type[Record], field: inspect.Field) -> Kind:
    if field.name in BOOKKEEPING and field.name not in _OWN:
        raise StoreError(f"record type {type_.type}: the field name {field.name} is taken", guidance="choose another name")
    if len(field.name) > 63:
        raise StoreError(f"record type {type_.type}: field {field.name} has more than 63 characters", guidance="shorten it")
    if not _NAME.fullmatch(field.name):
        raise StoreError(f"record type {type_.type}: {field.name!r} cannot name a column", guidance="use lower case letters")
    kinds = {_kind_of(part) for part in _parts(field.type)}
    if len(kinds) != 1 or None in kinds:
        raise StoreError(
            f"record type {type_.type}: field {field.name} has a type that cannot be stored",
            guidance="use int, float, bool, str, list[str] or dict[str, Json], or an optional form of these",
        )
    kind = kinds.pop()
    assert kind is not None  # noqa: S101 - narrows
    return kind


def _parts(type_: inspect.Type) -> list[inspect.Type]:
    if isinstance(type_, inspect.UnionType):
        return [part for part in type_.types if not isinstance(part, inspect.NoneType)]
    return [type_]


def _takes_none(type_: inspect.Type) -> bool:
    if isinstance(type_, inspect.UnionType):
        return any(isinstance(part, inspect.NoneType) for part in type_.types)
    return isinstance(type_, inspect.AnyType)


_KINDS: Mapping[type[inspect.Type], Kind] = {
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.BoolType: "bool",
    inspect.StrType: "text",
    inspect.ListType: "json",
    inspect.DictType: "json",
    inspect.AnyType: "json",
}


def _kind_of(type_: inspect.Type) -> Kind | None:
    if isinstance(type_, inspect.LiteralType):
        return "int" if all(isinstance(value, int) for value in type_.values) else "text"
    return _KINDS.get(type(type_))


def _values(plain: Sequence[str], bools: Sequence[str], jsons: Sequence[str]) -> Callable[[Any], list[Any]]:
    """Return the function that takes a record apart into column values. It runs once per row of a sync."""
    take, encode = attrgetter(*plain, *bools, *jsons), msgspec.json.Encoder(order="deterministic").encode
    flags = range(len(plain), len(plain) + len(bools))
    documents = range(flags.stop, flags.stop + len(jsons))

    def values(record: Any) -> list[Any]:
        row = [*take(record)]
        for place in flags:
            if row[place] is not None:
                row[place] = +row[place]  # an int: sqlite3 is slow to adapt a bool
        for place in documents:
            value = row[place]
            if value == []:
                row[place] = "[]"
            elif value is not None:
                row[place] = encode(value).decode()
        return row

    return values


def _digest() -> Callable[[Any], bytes]:
    """Return the function that digests a record's content: all that it says but its id, version and update time.

    Fields at their defaults are left out (records are encoded so), hence a field that a type gains later changes nothing.
    The encoding starts with id, version and update time, in this order, and within the id quotes are escaped: the first
    match is the right one.
    """
    encode = msgspec.json.Encoder(order="deterministic").encode

    def digest(record: Any) -> bytes:
        text = encode(record)
        comma = text.find(b",", text.index(b',"version":') + 11)
        if comma < 0:
            return blake2b(b"", digest_size=16).digest()
        if text.startswith(b',"updated_at":', comma):
            comma = text.find(b",", comma + 14)
        return blake2b(text[comma:] if comma > 0 else b"", digest_size=16).digest()

    return digest
