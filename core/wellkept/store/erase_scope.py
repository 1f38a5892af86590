"""What an erasure is about: which vendor records, which accounts, which addresses.

An account record stands for everything that names it. A person's records are those that name the person. A record that
belonged to somebody in the past and belongs to another one now stays; only its past goes.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wellkept.errors import RejectedError
from wellkept.identity.keys import believable
from wellkept.records import Account, Person, Usage
from wellkept.store import tombstones
from wellkept.store.catalogue import columns_of, tables_of
from wellkept.store.columns import tables_made
from wellkept.store.connection import Tx
from wellkept.trust import address_form

_OWNERS = {"account_ref": (Account.type,), "person_ref": (Person.type,)}
_USAGE_OWNERS = {**_OWNERS, "subject": (Account.type, Person.type)}

SAME_USER = 20
"""Person records with one id of ours up to which they are one human; a constant in all of them is nobody's id."""

NAMED = "e.type = l.type AND e.instance = l.instance AND e.id = l.record_id"
"""How a link ``l`` meets an erased record ``e``."""


class Scope:
    """What is erased, found in a transaction and kept in temporary tables of its connection.

    The tables are ``erased_records`` (type, instance, id), ``erased_accounts`` (id), and ``erased_subjects`` (subject): what
    policies and the audit chain call them.

    Args:
        tx: The transaction.

    Attributes:
        lessened: Accounts that lose a part but stay.
        addresses: The addresses to be forgotten: those that nobody else carries.
        texts: What is to be turned away from now on; see `tombstones`.
        users: Ids of ours of erased persons.
    """

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._types = tables_made(tx)
        self.tables = tables_of(tx)
        for table, columns in (("records", ("type", "instance", "id")), ("accounts", ("id",)), ("subjects", ("subject",))):
            texts = ", ".join(f"{name} TEXT" for name in columns)
            key = ", ".join(columns)
            tx.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS erased_{table} ({texts}, PRIMARY KEY ({key}))")
            tx.execute(f"DELETE FROM erased_{table}")  # noqa: S608 - constants
        self.lessened: list[str] = []
        self.addresses: set[str] = set()
        self.texts: set[str] = set()
        self.users: set[str] = set()

    def find(self, who: str) -> None:
        """Find everything about an account (by its id, or an old one) or an e-mail address.

        Raises:
            RejectedError: There is no such account.
        """
        if self._take_account(who):
            address = None
        elif "@" in who:
            address = who.strip()
            self._take_carriers(address)
        else:
            raise RejectedError("there is no such account", guidance="give an account's id, or an e-mail address")
        self._take_whole_accounts()
        self._take_persons()
        self._take_others()
        self._name_subjects()
        self._remember(address)

    def current(self, *types: str) -> Iterator[tuple[str, str]]:
        """Yield (type, table) for the tables of some types, all of them by default, also of plugins that are gone."""
        for type_ in sorted(types or self._types):
            if table := self._types.get(type_):
                yield type_, table

    def past(self, *types: str) -> Iterator[tuple[str, str]]:
        """Yield (type, table) for the tables of the history of some types."""
        for type_, table in self.current(*types):
            if (name := f"h_{table.removeprefix('r_')}") in self.tables:
                yield type_, name

    def owners(self, type_: str, table: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the columns by which records of a type name whom they belong to, and of which types that is."""
        if type_ == Account.type:
            return
        columns = columns_of(self._tx, table)
        for name, types in (_USAGE_OWNERS if type_ == Usage.type else _OWNERS).items():
            if name in columns:
                yield name, types

    # --- finding ---

    def _take_account(self, who: str) -> bool:
        """Take an account, its old ids, and the records that are linked to them."""
        tx = self._tx
        standing, seen = who, {who}
        while (into := tx.value("SELECT merged_into FROM accounts WHERE id = ?", (standing,))) and into not in seen:
            seen.add(into)
            standing = into
        if not tx.one("SELECT 1 FROM accounts WHERE id = ?", (standing,)):
            return False
        tx.execute(
            "INSERT INTO erased_accounts (id) WITH RECURSIVE old (id) AS (SELECT id FROM accounts WHERE id = ? UNION"
            " SELECT a.id FROM accounts a JOIN old ON a.merged_into = old.id) SELECT id FROM old",
            (standing,),
        )
        self._take_linked(Account.type)
        return True

    def _take_carriers(self, address: str) -> None:
        """Take the account and person records that carry an address, or did when they were deleted."""
        for type_, table in self.current(Account.type, Person.type):
            self._take(type_, self._carrying(table, address, "1 = 1"))
            gone = f"EXISTS (SELECT 1 FROM {table} c WHERE c.instance = t.instance AND c.id = t.id AND c.deleted = 1)"  # noqa: S608
            for _, past in self.past(type_):
                self._take(type_, self._carrying(past, address, gone))
        self._take_same_users()

    def _take_same_users(self) -> None:
        """Take the person records that have the same id of ours as one that is taken, such as a profile without an address."""
        for type_, table in self.current(Person.type):
            if "external_id" not in columns_of(self._tx, table):
                continue
            rows = self._tx.all(
                f"SELECT o.external_id, o.instance, o.id FROM {table} o WHERE o.external_id IN (SELECT t.external_id"  # noqa: S608
                f" FROM {table} t JOIN erased_records e ON e.type = ? AND e.instance = t.instance AND e.id = t.id)",
                (type_,),
            )
            by_user: dict[str, list[tuple[str, str]]] = {}
            for user, instance, id_ in rows:
                by_user.setdefault(user, []).append((instance, id_))
            for user, keys in by_user.items():
                if believable(user) is not None and len(keys) <= SAME_USER:
                    self.users.add(user)
                    self._take(type_, keys)

    def _carrying(self, table: str, address: str, condition: str) -> list[tuple[str, str]]:
        more = "t.other_emails" if "other_emails" in columns_of(self._tx, table) else "NULL"
        rows = self._tx.rows(
            f"SELECT t.instance, t.id, t.email, {more} FROM {table} t"  # noqa: S608 - from the catalogue
            f" WHERE (t.email IS NOT NULL OR {more} LIKE '%@%') AND {condition}"
        )
        wanted = address_form(address)
        return [
            (instance, id_) for instance, id_, email, others in rows if wanted in map(address_form, _addresses(email, others))
        ]

    def _take_whole_accounts(self) -> None:
        """Take the accounts of which no account record is left; note those that only lose one."""
        tx = self._tx
        touched = {account for (account,) in tx.rows(f"SELECT l.account FROM links l JOIN erased_records e ON {NAMED}")}  # noqa: S608
        left = {
            account
            for (account,) in tx.rows(
                "SELECT l.account FROM links l WHERE l.type = ? AND NOT EXISTS"  # noqa: S608 - constants
                f" (SELECT 1 FROM erased_records e WHERE {NAMED})",
                (Account.type,),
            )
        }
        tx.many(
            "INSERT INTO erased_accounts (id) VALUES (?) ON CONFLICT (id) DO NOTHING",
            [(account,) for account in touched - left],
        )
        self.lessened = sorted(touched & left)

    def _take_persons(self) -> None:
        """Take the persons of whole accounts, and those that name an erased account record."""
        self._take_linked(Person.type)
        for type_, table in self.current(Person.type):
            self._take_naming(type_, table, "e.type = 'account' AND t.account_ref = e.id")

    def _take_others(self) -> None:
        """Take everything that names an erased account or person record; of what is deleted, what named one last."""
        for type_, table in self.current():
            if type_ == Person.type:
                continue
            for column, types in self.owners(type_, table):
                names = ", ".join(f"'{name}'" for name in types)
                self._take_naming(type_, table, f"e.type IN ({names}) AND t.{column} = e.id")
                gone = f"EXISTS (SELECT 1 FROM {table} c WHERE c.instance = t.instance AND c.id = t.id AND c.deleted = 1)"  # noqa: S608
                for _, past in self.past(type_):
                    self._take_naming(type_, past, f"e.type IN ({names}) AND t.{column} = e.id AND {gone}")

    def _take_naming(self, type_: str, table: str, condition: str) -> None:
        self._tx.execute(
            "INSERT INTO erased_records (type, instance, id) SELECT DISTINCT ?, t.instance, t.id"  # noqa: S608 - catalogue
            f" FROM {table} t JOIN erased_records e ON e.instance = t.instance AND {condition}"
            " WHERE true ON CONFLICT (type, instance, id) DO NOTHING",
            (type_,),
        )

    def _take_linked(self, type_: str) -> None:
        self._tx.execute(
            "INSERT INTO erased_records (type, instance, id) SELECT l.type, l.instance, l.record_id FROM links l"
            " JOIN erased_accounts e ON e.id = l.account WHERE l.type = ? ON CONFLICT (type, instance, id) DO NOTHING",
            (type_,),
        )

    def _take(self, type_: str, keys: list[tuple[str, str]]) -> None:
        self._tx.many(
            "INSERT INTO erased_records (type, instance, id) VALUES (?, ?, ?) ON CONFLICT (type, instance, id) DO NOTHING",
            [(type_, *key) for key in keys],
        )

    def _name_subjects(self) -> None:
        self._tx.execute("INSERT INTO erased_subjects (subject) SELECT id FROM erased_accounts")
        self._tx.execute(
            "INSERT INTO erased_subjects (subject) SELECT DISTINCT instance || ':' || id FROM erased_records WHERE true"
            " ON CONFLICT (subject) DO NOTHING"
        )

    # --- remembering ---

    def _remember(self, address: str | None) -> None:
        """Collect what must be turned away. Usage needs no stone of its own: it is turned away with its subject."""
        rows = self._tx.rows("SELECT type, instance, id FROM erased_records WHERE type <> ?", (Usage.type,))
        self.texts = {tombstones.of_record(*key) for key in rows}
        mine, others = self._values("email", Account.type, Person.type)
        more, more_of_others = self._values("other_emails", Person.type)
        mine |= {email for texts in more for email in _addresses(None, texts)}
        others |= {email for texts in more_of_others for email in _addresses(None, texts)}
        forms = {address_form(email) for email in others}
        self.addresses = {email for email in mine if address_form(email) not in forms}
        if address is not None:
            self.addresses.add(address)
        self.addresses |= {address_form(email) for email in self.addresses}
        self.texts |= {tombstones.of_address(email) for email in self.addresses}
        mine, others = self._values("external_id", Account.type)
        self.texts |= {tombstones.of_external_id(external_id) for external_id in mine - others}
        self.texts |= {tombstones.of_user(user) for user in self.users}

    def _values(self, column: str, *types: str) -> tuple[set[str], set[str]]:
        """Return a column's values: those that erased records have or had, and those that others have."""
        mine: set[str] = set()
        others: set[str] = set()
        for type_, table in [*self.current(*types), *self.past(*types)]:
            if column not in columns_of(self._tx, table):
                continue
            rows = self._tx.rows(
                f"SELECT DISTINCT t.{column}, e.id IS NOT NULL FROM {table} t LEFT JOIN erased_records e"  # noqa: S608 - catalogue
                f" ON e.type = ? AND e.instance = t.instance AND e.id = t.id WHERE t.{column} IS NOT NULL",
                (type_,),
            )
            for value, erased in rows:
                if erased:
                    mine.add(value)
                elif table.startswith("r_"):
                    others.add(value)
        return mine, others


def _addresses(email: str | None, others: str | None) -> list[str]:
    """Return a row's address and its further ones, which are stored as JSON."""
    found: list[str] = msgspec.json.decode(others) if others else []
    return found if email is None else [email, *found]
