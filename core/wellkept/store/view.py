"""What a plugin instance sees of the store: records, read-only, and a small room of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from wellkept.errors import RejectedError
from wellkept.records import Json, Record
from wellkept.store.engine import Store, Tx
from wellkept.store.plain import encode_plain

if TYPE_CHECKING:
    from wellkept.store.records import RecordTables

R = TypeVar("R", bound=Record)

VALUE_LIMIT = 64 * 1024
"""Bytes of the largest value in `StoredState`; what is larger is data, and belongs into records."""


class InstanceView:
    """A `wellkept.context.StoreView` for one instance. Each call sees what was committed before it.

    Args:
        store: The store.
        tables: Its record tables.
        instance: Whose view it is.
    """

    def __init__(self, store: Store, tables: RecordTables, instance: str) -> None:
        self._store = store
        self._tables = tables
        self._instance = instance

    async def record(self, type_: type[R], id_: str, *, instance: str | None = None) -> R | None:
        """Return one record of an instance (this one, unless named), or None; a deleted one is none."""
        with self._store.read() as reader:
            return self._tables.get(reader, type_, instance or self._instance, id_)

    async def records(self, type_: type[R], *, account: str) -> Sequence[R]:
        """Return all records of a type that belong to a canonical account, deleted ones left out."""
        with self._store.read() as reader:
            return self._tables.of_account(reader, type_, account)

    async def account_of(self, type_: type[Record], id_: str) -> str | None:
        """Return the canonical account id that a record of this instance belongs to."""
        with self._store.read() as reader:
            return self._tables.account_of(reader, type_, self._instance, id_)


class StoredState:
    """A `wellkept.context.PluginState`: JSON values by key, of one instance.

    Args:
        store: The store.
        instance: Whose room it is.
    """

    def __init__(self, store: Store, instance: str) -> None:
        self._store = store
        self._instance = instance

    async def get(self, key: str) -> Json:
        """Return the value, or None."""
        with self._store.read() as reader:
            value = reader.value("SELECT value FROM plugin_state WHERE instance = ? AND key = ?", (self._instance, key))
        return None if value is None else msgspec.json.decode(value)

    async def set(self, key: str, value: Json) -> None:
        """Store a plain value; returns when it is on disk. None removes the key.

        Raises:
            RejectedError: The value is not plain JSON, or larger than `VALUE_LIMIT`.
        """
        text = None if value is None else encoded(self._instance, key, value)

        def job(tx: Tx) -> None:
            if text is None:
                tx.execute("DELETE FROM plugin_state WHERE instance = ? AND key = ?", (self._instance, key))
            else:
                tx.execute(
                    "INSERT INTO plugin_state (instance, key, value) VALUES (?, ?, ?)"
                    " ON CONFLICT (instance, key) DO UPDATE SET value = excluded.value",
                    (self._instance, key, text),
                )

        await self._store.write(job, durable=True)


def encoded(instance: str, key: str, value: Json) -> str:
    """Return a value of a plugin's state as it is stored. Raises `RejectedError`, see `StoredState.set`."""
    try:
        text = encode_plain(value)
    except ValueError as error:
        raise RejectedError(
            f"{instance}: the state {key!r} is not plain JSON: {error}",
            guidance="use None, bool, int, float, str, list and dict",
        ) from None
    if (size := len(text.encode())) > VALUE_LIMIT:
        raise RejectedError(f"{instance}: the state {key!r} has {size} bytes, more than {VALUE_LIMIT}")
    return text
