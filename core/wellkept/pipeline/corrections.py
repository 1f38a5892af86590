"""What stands at a vendor's record although it was computed for another customer, and what belongs in its place.

While two customers were taken for one, the values of the one were pushed to records of the other. After the split each has its
own values again; where it has none, what stood there before is put back.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wellkept.effects import Target
from wellkept.records import Json
from wellkept.store import outbox
from wellkept.store.accounts import canonical
from wellkept.store.engine import Reader

Corrections = Mapping[str, Mapping[Target, Mapping[str, Json]]]
"""Account, its record, field, and the value that belongs there."""


def corrections(reader: Reader, instance: str, capability: str) -> Corrections:
    """Return what must be put back at an instance: values that were pushed for another account than the record has now."""
    rows = reader.all(
        "SELECT l.account, o.account, p.target_type, p.target_id, p.field FROM pushed p JOIN outbox o ON o.key = p.effect_key"
        " JOIN links l ON l.type = p.target_type AND l.instance = p.instance AND l.record_id = p.target_id"
        " WHERE p.instance = ? AND p.capability = ? AND o.account <> l.account ORDER BY l.account, p.target_id, p.field",
        (instance, capability),
    )
    standing: dict[str, str | None] = {}
    found: dict[str, dict[Target, dict[str, Json]]] = {}
    for account, pushed_for, type_, id_, field in rows:
        if pushed_for not in standing:
            standing[pushed_for] = canonical(reader, pushed_for)
        if standing[pushed_for] == account:
            continue
        target = Target(instance=instance, type=type_, id=id_)
        found.setdefault(account, {}).setdefault(target, {})[field] = _before(reader, target, capability, field, account)
    return found


def _before(reader: Reader, target: Target, capability: str, field: str, account: str) -> Json:
    """Return the last value that was pushed for the account itself, else what stood there before ours."""
    where = "instance = ? AND target_id = ? AND capability = ? AND target_type = ? AND state = 'done' ORDER BY seq DESC"
    value: Json = None
    for entry in outbox.entries(reader, where, (target.instance, target.id, capability, target.type)):
        if field not in entry.fields:
            continue
        if entry.account is not None and canonical(reader, entry.account) == account:
            return entry.fields[field]
        prior: Mapping[str, Json] = {} if entry.prior is None else msgspec.json.decode(entry.prior)
        value = prior.get(field)
    return value
