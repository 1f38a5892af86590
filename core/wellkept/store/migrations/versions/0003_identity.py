"""Keys by which records are linked, what waits to be resolved, and what moved between accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_identity"
down_revision = "0002_schedules"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _number() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables `identity_keys`, `unresolved` and `moves`. The next resolve fills them."""
    op.create_table(
        "identity_keys",
        *map(_text, ("type", "instance", "record_id", "kind", "digest", "role", "holder")),
        sa.PrimaryKeyConstraint("type", "instance", "record_id", "kind", "digest"),
        sqlite_strict=True,
    )
    op.create_index("identity_keys_by_key", "identity_keys", ["kind", "digest"])
    op.create_index("identity_keys_by_holder", "identity_keys", ["instance", "holder"])
    op.create_table(
        "unresolved",
        *map(_text, ("stage", "instance", "id")),
        sa.PrimaryKeyConstraint("stage", "instance", "id"),
        sqlite_strict=True,
    )
    op.create_table(
        "moves",
        sa.Column("seq", _number(), autoincrement=True, nullable=False),
        *map(_text, ("account", "taken_by", "what", "owner")),
        sa.Column("at", _number(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_strict=True,
    )
    op.create_index("moves_by_account", "moves", ["account"])
