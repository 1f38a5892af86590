"""When the scheduler last let an instance run, and which hints come due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_schedules"
down_revision = "0001_initial"


def _integer(name: str, default: str | None = None) -> sa.Column[int]:
    type_ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, type_, nullable=False, server_default=default, autoincrement=False)


def upgrade() -> None:
    """Make the table `schedules`, and an index for hints that were put off."""
    op.create_table(
        "schedules",
        sa.Column("instance", sa.Text(), nullable=False),
        _integer("last_fired"),
        _integer("settled", "1"),
        _integer("tries", "0"),
        sa.PrimaryKeyConstraint("instance"),
        sqlite_strict=True,
    )
    op.create_index("inbox_waiting", "inbox", ["done_at", "not_before"])
