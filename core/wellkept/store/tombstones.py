"""Tombstones: keyed hashes of what was erased, so that a later sync cannot bring it back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

import msgspec

from wellkept.errors import StoreError
from wellkept.records import Record
from wellkept.store.connection import Reader, Tx
from wellkept.trust import address_form

R = TypeVar("R", bound=Record)

KeyedHash = Callable[[str], str]
"""The installation key's hash of a text; of no use to anybody without the key."""

CHUNK = 500
"""Values looked up in one statement; far below the number of parameters that SQLite and PostgreSQL allow."""


def of_record(type_: str, instance: str, id_: str) -> str:
    """Return what is hashed for a vendor's record."""
    return f"erased/record/{len(type_)}:{type_}/{len(instance)}:{instance}/{id_}"


def of_address(address: str) -> str:
    """Return what is hashed for an e-mail address, however it is spelt."""
    return f"erased/address/{address_form(address)}"


def of_external_id(external_id: str) -> str:
    """Return what is hashed for an id of ours."""
    return f"erased/external/{external_id}"


def of_user(external_id: str) -> str:
    """Return what is hashed for an id of ours of a person."""
    return f"erased/user/{external_id}"


def add(tx: Tx, texts: Iterable[str], keyed_hash: KeyedHash, at: int) -> int:
    """Remember what was erased and return how many things that were."""
    rows = [(keyed_hash(text), at) for text in sorted(set(texts))]
    tx.many("INSERT INTO tombstones (digest, at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", rows)
    return len(rows)


class Gate:
    """Turns away what was erased.

    Args:
        keyed_hash: The installation key's hash; None in a process without the key, which then cannot store anything as soon
            as something was erased.
    """

    def __init__(self, keyed_hash: KeyedHash | None) -> None:
        self._keyed_hash = keyed_hash

    def admit(self, reader: Reader, instance: str, records: Sequence[R]) -> Sequence[R]:
        """Return the records that were not erased.

        A record is turned away when its id, one of its e-mail addresses or its external id was erased, or the account or person
        that it belongs to. One that is only *looked after* by somebody erased is let in without that name.

        Raises:
            StoreError: Something was erased, and there is no key to tell what.
        """
        if not reader.one("SELECT 1 FROM tombstones LIMIT 1"):
            return records
        of_each = [_texts(instance, record) for record in records]
        owners = {owner: _owner_texts(instance, owner) for record in records if (owner := getattr(record, "owner_ref", None))}
        erased = self.erased(reader, {text for texts in [*of_each, *owners.values()] for text in texts})
        admitted = []
        for record, texts in zip(records, of_each, strict=True):
            if erased.isdisjoint(texts):
                owner = getattr(record, "owner_ref", None)
                hidden = bool(owner) and not erased.isdisjoint(owners[owner])
                admitted.append(msgspec.structs.replace(record, owner_ref=None) if hidden else record)
        return admitted

    def erased(self, reader: Reader, texts: Collection[str]) -> set[str]:
        """Return those of the texts (made by the functions above) that were erased.

        Raises:
            StoreError: Something was erased, and there is no key to tell what.
        """
        if not reader.one("SELECT 1 FROM tombstones LIMIT 1"):
            return set()
        if self._keyed_hash is None:
            raise StoreError(
                "the store remembers erasures, and cannot tell what was erased without the installation key",
                guidance="put the key back; see `key` in [wellkept]",
            )
        by_digest = {self._keyed_hash(text): text for text in texts}
        digests = list(by_digest)
        found: set[str] = set()
        for start in range(0, len(digests), CHUNK):
            part = digests[start : start + CHUNK]
            marks = ", ".join("?" * len(part))
            rows = reader.rows(f"SELECT digest FROM tombstones WHERE digest IN ({marks})", part)  # noqa: S608 - marks only
            found.update(by_digest[digest] for (digest,) in rows)
        return found


def _texts(instance: str, record: Record) -> set[str]:
    """Return everything by which a record, or what it belongs to, may have been erased."""
    texts = {of_record(record.type, instance, record.id)}
    if email := getattr(record, "email", None):
        texts.add(of_address(email))
    texts |= {of_address(email) for email in getattr(record, "other_emails", ())}
    ours: tuple[tuple[str, Callable[[str], str]], ...] = (("external_id", of_external_id),)
    if record.type == "person":
        ours = (("external_id", of_user), ("account_external_id", of_external_id))
    texts |= {form(value) for name, form in ours if (value := getattr(record, name, None))}
    if account := getattr(record, "account_ref", None):
        texts.add(of_record("account", instance, account))
    if person := getattr(record, "person_ref", None):
        texts.add(of_record("person", instance, person))
    if subject := getattr(record, "subject", None) if record.type == "usage" else None:
        texts |= {of_record("account", instance, subject), *_owner_texts(instance, subject)}
    return texts


def _owner_texts(instance: str, ref: str) -> set[str]:
    return {of_record("person", instance, ref), of_address(ref)}
