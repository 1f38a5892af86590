"""Fingerprints: what a vendor has from us, field by field, so that only changes move.

A value gets here when the vendor has *accepted* it, or when a first run takes note of how things are (`baseline`). It leaves
when the outcome of a push is in doubt: what stands at the vendor is then unknown, and the next value moves in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from wellkept.effects import Target
from wellkept.records import Json
from wellkept.store.engine import Reader, Tx
from wellkept.store.updates import insert_rows


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one field at a vendor.

    Attributes:
        text: The value in the form that `canonical` gives.
        effect_key: The effect that the vendor accepted; None for a baseline, which nobody sent.
        at: When, epoch ms.
    """

    text: str
    effect_key: str | None
    at: int

    @property
    def value(self) -> Json:
        """The value itself."""
        return msgspec.json.decode(self.text)


def canonical(value: Json) -> str:
    """Return the text under which values are compared: equal texts, equal values (1, 1.0 and true are three)."""
    return msgspec.json.encode(value, order="deterministic").decode()


def load(reader: Reader, target: Target, capability: str) -> dict[str, Fingerprint]:
    """Return what the vendor record has from us, by field."""
    found = reader.rows(
        "SELECT field, value, effect_key, at FROM pushed"
        " WHERE instance = ? AND capability = ? AND target_type = ? AND target_id = ?",
        (target.instance, capability, target.type, target.id),
    )
    return {field: Fingerprint(text=text, effect_key=key, at=at) for field, text, key, at in found}


def load_all(reader: Reader, targets: Iterable[Target], capability: str) -> dict[Target, dict[str, Fingerprint]]:
    """Do what `load` does for many vendor records; those that have nothing from us are left out."""
    found: dict[Target, dict[str, Fingerprint]] = {}
    for target, field, text, key, at in _of_all(reader, "field, value, effect_key, at", targets, capability):
        found.setdefault(target, {})[field] = Fingerprint(text=text, effect_key=key, at=at)
    return found


def sent(reader: Reader, targets: Iterable[Target], capability: str) -> dict[Target, set[str]]:
    """Return the fields of vendor records that have been sent; records without any are left out."""
    found: dict[Target, set[str]] = {}
    for target, field in _of_all(reader, "field", targets, capability, " AND effect_key IS NOT NULL"):
        found.setdefault(target, set()).add(field)
    return found


def _of_all(
    reader: Reader, columns: str, targets: Iterable[Target], capability: str, where: str = ""
) -> Iterator[tuple[Any, ...]]:
    """Yield columns of what vendor records have from us, each row after its record."""
    places: dict[tuple[str, str], dict[str, Target]] = {}
    for target in targets:
        places.setdefault((target.instance, target.type), {})[target.id] = target
    for (instance, type_), named in places.items():
        rows = reader.all(
            f"SELECT target_id, {columns} FROM pushed WHERE instance = ? AND capability = ?"  # noqa: S608 - our own names
            f" AND target_type = ? AND target_id IN ({', '.join('?' * len(named))}){where}",
            (instance, capability, type_, *named),
        )
        for id_, *values in rows:
            yield named[id_], *values


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """Values that a vendor record has from an effect."""

    target: Target
    capability: str
    fields: Mapping[str, Json]
    effect_key: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The first columns of the table's key."""
        return self.target.instance, self.capability, self.target.type, self.target.id


def accept(tx: Tx, accepted: Iterable[Accepted], *, now: int) -> None:
    """Note values that the vendor has accepted; of one field the last one."""
    rows: dict[tuple[str, ...], tuple[str | int, ...]] = {}
    for each in accepted:
        for field, value in each.fields.items():
            place = (*each.place, field)
            rows[place] = (*place, canonical(value), each.effect_key, now)
    insert_rows(
        tx,
        "pushed (instance, capability, target_type, target_id, field, value, effect_key, at)",
        list(rows.values()),
        "ON CONFLICT (instance, capability, target_type, target_id, field)"
        " DO UPDATE SET value = excluded.value, effect_key = excluded.effect_key, at = excluded.at",
    )


def baseline(tx: Tx, target: Target, capability: str, fields: Mapping[str, Json], *, now: int) -> None:
    """Take note of values as if the vendor had them; one that it really accepted stays as it is."""
    tx.many(
        "INSERT INTO pushed (instance, capability, target_type, target_id, field, value, effect_key, at)"
        " VALUES (?, ?, ?, ?, ?, ?, NULL, ?)"
        " ON CONFLICT (instance, capability, target_type, target_id, field)"
        " DO UPDATE SET value = excluded.value, at = excluded.at WHERE pushed.effect_key IS NULL",
        [
            (target.instance, capability, target.type, target.id, field, canonical(value), now)
            for field, value in fields.items()
        ],
    )


def forget(tx: Tx, target: Target, capability: str, fields: Iterable[str]) -> None:
    """Drop what is no longer certain: a push of these fields is in doubt, or the vendor no longer has them from us."""
    tx.many(
        "DELETE FROM pushed WHERE instance = ? AND capability = ? AND target_type = ? AND target_id = ? AND field = ?",
        [(target.instance, capability, target.type, target.id, field) for field in fields],
    )
