"""The tables of accounts and of identity; see `wellkept.store.schema`."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from wellkept.store.schema_columns import integer as _int
from wellkept.store.schema_columns import sequence as _seq
from wellkept.store.schema_columns import table as _table
from wellkept.store.schema_columns import text as _text

_table(
    "accounts",
    _text("id", key=True),
    _text("name", null=True),
    _text("state", default="active"),  # active | gone | merged | split | erased
    _text("merged_into", null=True),
    _int("created_at"),
    _int("updated_at"),
    Index("accounts_by_name", "name"),
)

_table(
    "links",
    _text("type", key=True),
    _text("instance", key=True),
    _text("record_id", key=True),
    _text("account"),
    _text("evidence"),  # JSON: which rule, which value's digest, since when
    _int("at"),
    Index("links_by_account", "account", "type"),
)
"""Which canonical account a vendor's account (or person) record is part of."""

_table(
    "manual_links",
    _text("a_instance", key=True),
    _text("a_id", key=True),
    _text("b_instance", key=True),
    _text("b_id", key=True),
    _text("relation"),  # same | apart
    _text("author"),
    _text("reason"),
    _int("at"),
    Index("manual_links_by_b", "b_instance", "b_id"),
)
"""What people said about two vendors' account records; (a) sorts before (b)."""

_table(
    "identity_keys",
    _text("type", key=True),  # account | person
    _text("instance", key=True),
    _text("record_id", key=True),
    _text("kind", key=True),
    _text("digest", key=True),
    _text("role"),
    _text("holder"),  # the account record that it speaks for; empty for a person whose account nobody names
    Index("identity_keys_by_key", "kind", "digest"),
    Index("identity_keys_by_holder", "instance", "holder"),
)
"""What of a record may be the same in another one, as digests; see `wellkept.identity.keys`."""

_table("unresolved", _text("stage", key=True), _text("instance", key=True), _text("id", key=True))
"""Account records whose keys must be looked at again (``keys``), or which must be solved again (``account``), and persons whose
account nobody names and must be found (``person``)."""

_table(
    "moves",
    _seq(),
    _text("account"),  # the old id
    _text("taken_by"),  # the id that stood in its place
    _text("what"),  # the table
    _text("owner"),  # the scorer, or the policy
    _int("at"),
    Index("moves_by_account", "account"),
)
"""What was moved from an old id to the one that stood in its place, so that a split gives it back."""

_table(
    "conflicts",
    _seq(),
    _text("kind"),
    _text("subject"),
    _text("detail"),
    _int("at"),
    _int("closed_at", null=True),
    UniqueConstraint("kind", "subject"),
)

_table("dirty_accounts", _text("account", key=True), _int("at"))
"""Accounts whose row of the frame must be measured again."""
