"""The golden record: of each field of an account, the value that counts, and which record says so.

The order of sources in ``[identity]`` decides first; among those that it does not name, and within one, what was said last;
then the oldest record. Records that the vendors have deleted say nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wellkept.identity.rules import Rules
from wellkept.records import Account
from wellkept.store.accounts import Node
from wellkept.store.connection import Reader
from wellkept.store.records import RecordTables

FIELDS: Mapping[str, str] = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "country": "country",
    "locale": "locale",
    "segment": "segment",
    "owner": "owner_ref",
}
"""The fields that an account has one value of, and where records keep them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """One value.

    Attributes:
        field: The field, as ``[identity]`` calls it.
        value: The value that counts.
        origin: The record that says so.
        said_at: When its vendor said so, epoch ms.
        others: What other records say instead.
    """

    field: str
    value: str
    origin: Node
    said_at: int
    others: Mapping[str, Node]


def golden(reader: Reader, tables: RecordTables, account: str, rules: Rules) -> list[Golden]:
    """Return the values of an account's fields; a field that no record fills is left out."""
    records = list(tables.owned(reader, Account, account))
    return [found for field in FIELDS if (found := _pick(field, records, rules)) is not None]


def _pick(field: str, records: Sequence[tuple[str, Account]], rules: Rules) -> Golden | None:
    sources = rules.fields.get(field, rules.sources)

    def preference(item: tuple[str, Account]) -> tuple[object, ...]:
        instance, record = item
        place = sources.index(instance) if instance in sources else len(sources)
        age = (record.created_at is None, record.created_at or 0, instance, record.id)
        return place, -said_at(record), age

    filled = sorted((item for item in records if getattr(item[1], FIELDS[field])), key=preference)
    if not filled:
        return None
    (instance, first), *rest = filled
    value = getattr(first, FIELDS[field])
    others: dict[str, Node] = {}
    for other, record in rest:
        text = getattr(record, FIELDS[field])
        if text != value:
            others.setdefault(text, Node(other, record.id))
    return Golden(field=field, value=value, origin=Node(instance, first.id), said_at=said_at(first), others=others)


def said_at(record: Account) -> int:
    """Return when a vendor said what a record says."""
    return record.version if record.updated_at is None else record.updated_at
