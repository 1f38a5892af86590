"""Episodes of alerts and what is told of them, and when credentials end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_alerts"
down_revision = "0003_identity"


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _integer(name: str, default: str | None = None, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _number(), nullable=null, server_default=default, autoincrement=False)


def _seq() -> sa.Column[int]:
    return sa.Column("seq", _number(), autoincrement=True, nullable=False)


def _number() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables `alerts` and `alert_notices`, and a column of `instances`."""
    op.create_table(
        "alerts",
        _seq(),
        *map(_text, ("condition", "subject", "severity")),
        _integer("since"),
        _integer("opened_at"),
        _text("detail"),
        _integer("ended_at", null=True),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_strict=True,
    )
    op.create_index("alerts_by_end", "alerts", ["ended_at"])
    op.create_table(
        "alert_notices",
        _seq(),
        _integer("alert"),
        _text("channel"),
        _text("what"),
        _integer("tries", "0"),
        _integer("not_before", "0"),
        _integer("sent_at", null=True),
        _text("note", null=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("alert", "channel", "what"),
        sqlite_strict=True,
    )
    op.create_index("alert_notices_open", "alert_notices", ["sent_at", "channel"])
    op.add_column("instances", _integer("expires_at", null=True))
