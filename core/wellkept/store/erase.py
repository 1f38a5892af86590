"""Erasure: everything about a customer, or about the people behind an e-mail address, goes and stays gone.

What is removed is remembered as keyed hashes (`tombstones`), so that a sync, a webhook or a backfill cannot bring it back. The
audit chain loses what it says about them and still verifies. Suppressions stay: they are keyed hashes as well, and forgetting
them would be to write to somebody who asked us not to.

An e-mail address stands for every account and person record that carries it, and for what hangs on them. Records of others
that merely mention it keep their place, and the mention is blanked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import msgspec

from wellkept.records import Json
from wellkept.store import audit, backup, tombstones
from wellkept.store.accounts import TOUCH
from wellkept.store.catalogue import columns_of
from wellkept.store.columns import quoted
from wellkept.store.connection import Tx
from wellkept.store.engine import Store
from wellkept.store.erase_scope import Scope
from wellkept.store.tombstones import KeyedHash
from wellkept.trust import address_form

ERASED = "[erased]"
"""Stands where an address was mentioned."""

BY_ACCOUNT = ("dirty_accounts", "frame_rows", "holds", "moves", "outbox", "overrides", "scores", "sent_messages")
"""Tables whose rows go with an account, by their column ``account``."""

BY_SUBJECT = ("audit_bodies", "effect_subjects", "policy_states", "unprimed")
"""Tables whose rows go with what policies and the audit chain speak of, by their column ``subject``."""

BY_RECORD: Mapping[str, tuple[str | None, str, str]] = {
    "changes": ("type", "instance", "id"),
    "dead_letters": (None, "instance", "record_id"),
    "fact_queue": ("type", "instance", "id"),
    "identity_keys": ("type", "instance", "record_id"),
    "inbox": (None, "instance", "object_id"),
    "links": ("type", "instance", "record_id"),
    "outbox": ("target_type", "target_instance", "target_id"),
    "policy_facts": ("type", "instance", "id"),
    "pushed": ("target_type", "instance", "target_id"),
    "seen": ("type", "instance", "id"),
    "staged": ("type", "instance", "id"),
    "unresolved": (None, "instance", "id"),
}
"""Tables whose rows go with a record: their columns for its type (None: whatever type), instance and id."""

UNTOUCHED = frozenset({"alembic_version", "audit", "suppressions", "tombstones"})
"""Tables that hold digests alone; all others are swept for addresses."""


@dataclass(frozen=True, kw_only=True)
class ErasureReport:
    """What an erasure did.

    Attributes:
        accounts: Canonical accounts that are erased as a whole, old ids included.
        records: Vendor records that were removed, by type.
        removed: Rows that were removed from other tables.
        blanked: Places elsewhere that mentioned an erased address.
        tombstones: Things that are recognised and turned away from now on.
        compacted: Whether the bytes are gone from the file as well. If not, somebody still reads an older state; erasing
            again completes it.
        copies: Copies of the store beside it, which still hold everything: files, or schemas. Backups elsewhere do too.
    """

    accounts: tuple[str, ...]
    records: Mapping[str, int]
    removed: Mapping[str, int]
    blanked: int
    tombstones: int
    compacted: bool = False
    copies: tuple[Path | str, ...] = ()


def erase(store: Store, who: str, *, keyed_hash: KeyedHash) -> ErasureReport:
    """Erase a customer or the people behind an address in one transaction, then rewrite the file without their bytes.

    Records of plugins that are not enabled any more are found too. An address that no record carries is remembered, and will
    be turned away when it comes. Repeating an erasure is harmless.

    Args:
        store: The store.
        who: A canonical account id (old ones are followed), or an e-mail address.
        keyed_hash: The installation key's hash.

    Raises:
        RejectedError: There is no such account.
        StoreError: The disk is too full to rewrite the file: everything is erased, but its bytes may be there still.
    """
    now = store.clock.now()
    report = store.write_now(lambda tx: _erase(tx, who, keyed_hash, now), durable=True)
    with store.read() as reader:
        copies = backup.copies(store.path) if store.path else backup.kept_schemas(reader)
    return replace(report, compacted=store.compact(), copies=tuple(copies))


def _erase(tx: Tx, who: str, keyed_hash: KeyedHash, now: int) -> ErasureReport:
    scope = Scope(tx)
    scope.find(who)
    records = dict(tx.all("SELECT type, COUNT(*) FROM erased_records GROUP BY type ORDER BY type"))
    accounts = tuple(id_ for (id_,) in tx.rows("SELECT id FROM erased_accounts ORDER BY id"))
    removed = _remove(tx, scope, keyed_hash)
    _remove_records(tx, scope)
    _settle_accounts(tx, scope, now)
    blanked = _forget_owners(tx, scope) + _sweep(tx, scope, keyed_hash)
    stones = tombstones.add(tx, scope.texts, keyed_hash, now)
    subject = accounts[0] if accounts else f"address:{keyed_hash(tombstones.of_address(who))}"
    figures = {"records": sum(records.values()), "rows": sum(removed.values()), "blanked": blanked}
    audit.append(tx, "erasure", subject, figures, now=now)
    for table in ("records", "accounts", "subjects"):
        tx.execute(f"DROP TABLE erased_{table}")
    return ErasureReport(accounts=accounts, records=records, removed=removed, blanked=blanked, tombstones=stones)


def _remove(tx: Tx, scope: Scope, keyed_hash: KeyedHash) -> dict[str, int]:
    """Remove the rows of all other tables that are about what is erased; return how many, by table."""
    removed: dict[str, int] = {}

    def remove(table: str, condition: str, *params: str) -> None:
        count = tx.execute(f"DELETE FROM {table} WHERE {condition}", params)  # noqa: S608 - constants
        removed[table] = removed.get(table, 0) + count

    target = "e.type = o.target_type AND e.instance = o.target_instance AND e.id = o.target_id"
    ours = f"o.account IN (SELECT id FROM erased_accounts) OR EXISTS (SELECT 1 FROM erased_records e WHERE {target})"  # noqa: S608
    remove("effect_subjects", f"key IN (SELECT o.key FROM outbox o WHERE {ours})")  # noqa: S608 - constants
    for seq in _told_by_runs(tx, ours):
        remove("audit_bodies", "seq = ?", seq)
    for table in BY_ACCOUNT:
        remove(table, "account IN (SELECT id FROM erased_accounts)")
    for table in BY_SUBJECT:
        remove(table, "subject IN (SELECT subject FROM erased_subjects)")
    for table, (type_, instance, id_) in BY_RECORD.items():
        match = f"e.instance = {table}.{instance} AND e.id = {table}.{id_}"
        same_type = f" AND e.type = {table}.{type_}" if type_ else ""
        remove(table, f"EXISTS (SELECT 1 FROM erased_records e WHERE {match}{same_type})")  # noqa: S608 - constants
    for side in ("a", "b"):
        match = f"e.type = 'account' AND e.instance = manual_links.{side}_instance AND e.id = manual_links.{side}_id"
        remove("manual_links", f"EXISTS (SELECT 1 FROM erased_records e WHERE {match})")  # noqa: S608 - constants
    for address in sorted(scope.addresses):
        remove("sent_messages", "address_digest = ?", keyed_hash(address_form(address)))
    for seq in _letters(tx, scope):
        remove("dead_letters", "seq = ?", seq)
    for seq in _conflicts(tx):
        remove("conflicts", "seq = ?", seq)
    return {table: count for table, count in sorted(removed.items()) if count}


def _told_by_runs(tx: Tx, ours: str) -> list[str]:
    """Return the audit entries about effects without an account: their subject is the run, their effect is in the text."""
    effects = tx.all(f"SELECT o.key, o.run_id FROM outbox o WHERE o.account IS NULL AND ({ours})")  # noqa: S608 - constants
    keys = {key for key, _ in effects}
    bodies = (
        tx.rows("SELECT seq, body FROM audit_bodies WHERE subject = ?", (run,)) for run in sorted({run for _, run in effects})
    )
    return [seq for rows in bodies for seq, body in rows if msgspec.json.decode(body).get("effect") in keys]


def _letters(tx: Tx, scope: Scope) -> list[str]:
    """Return the dead letters in whose bytes an address stands, however JSON or a URL spells it."""
    if not scope.addresses:
        return []
    pattern = _mention(scope.addresses, spelt=_escaped)
    rows = tx.rows("SELECT seq, raw FROM dead_letters")
    return [seq for seq, raw in rows if pattern.search(raw.decode("utf-8", "replace"))]


def _conflicts(tx: Tx) -> list[str]:
    """Return the conflicts that name an erased account record."""
    gone = set(tx.rows("SELECT instance, id FROM erased_records WHERE type = 'account'"))
    rows = tx.rows("SELECT seq, subject, detail FROM conflicts")
    return [seq for seq, *texts in rows if any(_names(text, gone) for text in texts)]


def _names(text: str, records: set[tuple[str, ...]]) -> bool:
    """Say whether a JSON text holds the pair (instance, id) of one of the records."""

    def search(value: Json) -> bool:
        if isinstance(value, dict):
            return any(map(search, value.values()))
        if isinstance(value, list):
            return (all(isinstance(item, str) for item in value) and tuple(value) in records) or any(map(search, value))
        return False

    try:
        return search(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return False


def _remove_records(tx: Tx, scope: Scope) -> None:
    """Remove the records with all their past, and the past in which another one's record belonged to what is erased."""
    for type_, table in [*scope.current(), *scope.past()]:
        tx.execute(
            f"DELETE FROM {table} AS t WHERE EXISTS (SELECT 1 FROM erased_records e"  # noqa: S608 - from the catalogue
            " WHERE e.type = ? AND e.instance = t.instance AND e.id = t.id)",
            (type_,),
        )
    for type_, table in scope.past():
        for column, types in scope.owners(type_, table):
            tx.execute(
                f"DELETE FROM {table} AS t WHERE EXISTS (SELECT 1 FROM erased_records e"  # noqa: S608 - from the catalogue
                f" WHERE e.type IN ({', '.join('?' * len(types))}) AND e.instance = t.instance AND e.id = t.{column})",
                types,
            )


def _settle_accounts(tx: Tx, scope: Scope, now: int) -> None:
    """Mark accounts as erased; have those that lost a part solved and measured again, as their name may have come from it."""
    tx.execute(
        "UPDATE accounts SET name = NULL, state = 'erased', merged_into = NULL, updated_at = ?"
        " WHERE id IN (SELECT id FROM erased_accounts)",
        (now,),
    )
    accounts = [(now, account) for account in scope.lessened]
    tx.many(f"INSERT INTO dirty_accounts (at, account) VALUES (?, ?) {TOUCH}", accounts)  # noqa: S608 - constants
    tx.many(
        "INSERT INTO changes (type, instance, id, at)"
        " SELECT type, instance, record_id, ? FROM links WHERE account = ? AND type = 'account'",
        accounts,
    )


def _forget_owners(tx: Tx, scope: Scope) -> int:
    """Forget who looked after an account, where that is somebody erased; return in how many rows."""
    forms = {address_form(address) for address in scope.addresses}
    count = 0
    for _, table in [*scope.current(), *scope.past()]:
        if "owner_ref" not in columns_of(tx, table):
            continue
        owners = tx.all(f"SELECT DISTINCT owner_ref FROM {table} WHERE owner_ref LIKE '%@%'")  # noqa: S608 - catalogue
        gone = [(owner,) for (owner,) in owners if address_form(owner) in forms]
        count += sum(tx.execute(f"UPDATE {table} SET owner_ref = NULL WHERE owner_ref = ?", owner) for owner in gone)  # noqa: S608
        count += tx.execute(
            f"UPDATE {table} AS t SET owner_ref = NULL WHERE EXISTS (SELECT 1 FROM erased_records e"  # noqa: S608 - catalogue
            " WHERE e.type = 'person' AND e.instance = t.instance AND e.id = t.owner_ref)"
        )
    return count


def _sweep(tx: Tx, scope: Scope, keyed_hash: KeyedHash) -> int:
    """Blank the addresses wherever else they stand, in any text of any table; return in how many places."""
    if not scope.addresses:
        return 0
    pattern = _mention(scope.addresses)
    domains = {address.rpartition("@")[2].lower() for address in scope.addresses}
    likes = [f"%@{domain.replace('_', '!_')}%" for domain in sorted(domains)]  # the database folds ASCII letters alone
    count = 0
    for table in scope.tables:
        if table in UNTOUCHED:
            continue
        columns = columns_of(tx, table)
        keys = [quoted(name) for name, (_, key) in columns.items() if key]
        for name, (kind, key) in columns.items():
            if kind != "TEXT":
                continue
            column = quoted(name)
            found = tx.all(
                f"SELECT {column}, {', '.join(keys)} FROM {table} WHERE "  # noqa: S608 - from the catalogue
                + " OR ".join([f"LOWER({column}) LIKE ? ESCAPE '!'"] * len(likes)),
                likes,
            )
            changes = [
                (f"erased:{keyed_hash(text)}" if key else pattern.sub(ERASED, text), *row)
                for text, *row in found
                if pattern.search(text)
            ]
            _rewrite(tx, table, column, keys, changes)
            count += len(changes)
    return count


def _rewrite(tx: Tx, table: str, column: str, keys: list[str], changes: list[tuple[str, ...]]) -> None:
    if table == "audit_bodies":  # a text that was changed does not verify; one that is gone does
        tx.many("DELETE FROM audit_bodies WHERE seq = ?", [(change[-1],) for change in changes])
        return
    where = " AND ".join(f"{key} = ?" for key in keys)
    tx.many(f"UPDATE {table} SET {column} = ? WHERE {where}", changes)  # noqa: S608 - from the catalogue


def _mention(addresses: set[str], *, spelt: Callable[[str], str] = re.escape) -> re.Pattern[str]:
    """Return a pattern that finds the addresses in any case, and not longer ones that merely begin or end alike."""
    each = "|".join("".join(map(spelt, address.strip())) for address in sorted(addresses))
    return re.compile(rf"(?<![\w.+-])(?:{each})(?![\w-]|\.\w)", re.IGNORECASE)


def _escaped(letter: str) -> str:
    """Return a pattern for a letter as it is, as JSON may escape it, and as a URL does."""
    if letter.isascii() and letter.isalnum():
        return letter
    ways: set[str] = set()
    for form in {letter, letter.lower(), letter.upper()}:
        ways |= {re.escape(form), "".join(rf"\\u{ord(part):04x}" for part in form), quote(form, safe="")}
    return f"(?:{'|'.join(sorted(ways))})"
