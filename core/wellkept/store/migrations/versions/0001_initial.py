"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_initial"
down_revision = None


def text(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[str]:
    """Return a column of text."""
    return sa.Column(name, sa.Text(), nullable=null, server_default=default)


def integer(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[int]:
    """Return a column of 64-bit integers."""
    type_ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, type_, nullable=null, server_default=default, autoincrement=False)


def sequence() -> sa.Column[int]:
    """Return the column of numbers that the database gives out."""
    return sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False)


def blob(name: str) -> sa.Column[bytes]:
    """Return a column of bytes."""
    return sa.Column(name, sa.LargeBinary(), nullable=False)


# fmt: off
def upgrade() -> None:  # noqa: PLR0915 - a list of tables
    """Make all tables."""
    op.create_table(
        "meta",
        text("key"), text("value"), sa.PrimaryKeyConstraint("key"), sqlite_strict=True,
    )
    op.create_table(
        "instances",
        text("instance"), text("plugin"), text("vendor_account", null=True), text("mode", null=True),
        text("state", default="ok"), text("reason", null=True), integer("since", null=True), integer("failures", default="0"),
        text("config_digest", null=True), sa.PrimaryKeyConstraint("instance"), sqlite_strict=True,
    )
    op.create_table(
        "locks",
        text("name"), text("owner"), integer("epoch"), integer("expires_at"), sa.PrimaryKeyConstraint("name"),
        sqlite_strict=True,
    )
    op.create_table(
        "limits",
        text("credential"), integer("blocked_until", default="0"), text("state"), sa.PrimaryKeyConstraint("credential"),
        sqlite_strict=True,
    )
    op.create_table(
        "tokens",
        text("instance"), text("name"), blob("sealed"), integer("updated_at"), sa.PrimaryKeyConstraint("instance", "name"),
        sqlite_strict=True,
    )
    op.create_table(
        "plugin_state",
        text("instance"), text("key"), text("value"), sa.PrimaryKeyConstraint("instance", "key"), sqlite_strict=True,
    )
    op.create_table(
        "runs",
        text("id"), text("kind"), text("state"), integer("started_at"), integer("heartbeat_at"),
        integer("finished_at", null=True), text("host"), integer("pid"), text("summary", null=True),
        sa.PrimaryKeyConstraint("id"), sqlite_strict=True,
    )
    op.create_index("runs_by_start", "runs", ["started_at"])
    op.create_table(
        "run_streams",
        text("run_id"), text("instance"), text("stream"), text("state"), integer("started_at"),
        integer("finished_at", null=True), integer("read", default="0"), integer("inserted", default="0"),
        integer("updated", default="0"), integer("unchanged", default="0"), integer("deleted", default="0"),
        integer("rejected", default="0"), text("error", null=True), text("note", null=True),
        sa.PrimaryKeyConstraint("run_id", "instance", "stream"), sqlite_strict=True,
    )
    op.create_index("run_streams_by_stream", "run_streams", ["instance", "stream", "started_at"])
    op.create_table(
        "cursors",
        text("instance"), text("stream"), text("scope"), text("cursor", null=True), integer("generation", default="0"),
        integer("full_since", null=True), integer("complete_at", null=True), integer("fresh_at", null=True),
        integer("full_rows", default="0"), integer("full_unknown", default="0"), text("full_wanted", null=True),
        text("anomaly", null=True), integer("updated_at"), sa.PrimaryKeyConstraint("instance", "stream", "scope"),
        sqlite_strict=True,
    )
    op.create_table(
        "seen",
        text("instance"), text("stream"), text("type"), text("id"), integer("generation"),
        sa.PrimaryKeyConstraint("instance", "stream", "type", "id"), sqlite_strict=True,
    )
    op.create_table(
        "staged",
        sequence(), text("instance"), text("stream"), text("scope"), text("type"), text("id"), text("body"),
        sa.PrimaryKeyConstraint("seq"), sqlite_strict=True,
    )
    op.create_index("staged_by_stream", "staged", ["instance", "stream", "scope", "seq"])
    op.create_table(
        "volumes",
        text("instance"), text("stream"), text("kind"), text("day"), integer("rows"),
        sa.PrimaryKeyConstraint("instance", "stream", "kind", "day"), sqlite_strict=True,
    )
    op.create_table(
        "inbox",
        sequence(), text("instance"), text("hint_id"), text("stream"), text("object_id"), integer("at"),
        integer("received_at"), integer("done_at", null=True), integer("attempts", default="0"),
        integer("not_before", default="0"), sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("instance", "hint_id", "stream", "object_id"), sqlite_strict=True,
    )
    op.create_index("inbox_open", "inbox", ["instance", "stream", "done_at"])
    op.create_table(
        "dead_letters",
        sequence(), text("instance"), text("stream"), text("record_id", null=True), text("digest"), text("reason"),
        blob("raw"), text("state", default="open"), integer("first_at"), integer("last_at"), integer("count", default="1"),
        sa.PrimaryKeyConstraint("seq"), sa.UniqueConstraint("instance", "stream", "digest"), sqlite_strict=True,
    )
    op.create_index("dead_letters_by_state", "dead_letters", ["state", "instance", "stream", "record_id"])
    op.create_table(
        "changes",
        sequence(), text("type"), text("instance"), text("id"), integer("at"), sa.PrimaryKeyConstraint("seq"),
        sqlite_strict=True,
    )
    op.create_table(
        "fact_queue",
        sequence(), text("type"), text("instance"), text("id"), integer("at"), sa.PrimaryKeyConstraint("seq"),
        sqlite_strict=True,
    )
    op.create_table(
        "accounts",
        text("id"), text("name", null=True), text("state", default="active"), text("merged_into", null=True),
        integer("created_at"), integer("updated_at"), sa.PrimaryKeyConstraint("id"), sqlite_strict=True,
    )
    op.create_index("accounts_by_name", "accounts", ["name"])
    op.create_table(
        "links",
        text("type"), text("instance"), text("record_id"), text("account"), text("evidence"), integer("at"),
        sa.PrimaryKeyConstraint("type", "instance", "record_id"), sqlite_strict=True,
    )
    op.create_index("links_by_account", "links", ["account", "type"])
    op.create_table(
        "manual_links",
        text("a_instance"), text("a_id"), text("b_instance"), text("b_id"), text("relation"), text("author"), text("reason"),
        integer("at"), sa.PrimaryKeyConstraint("a_instance", "a_id", "b_instance", "b_id"), sqlite_strict=True,
    )
    op.create_index("manual_links_by_b", "manual_links", ["b_instance", "b_id"])
    op.create_table(
        "conflicts",
        sequence(), text("kind"), text("subject"), text("detail"), integer("at"), integer("closed_at", null=True),
        sa.PrimaryKeyConstraint("seq"), sa.UniqueConstraint("kind", "subject"), sqlite_strict=True,
    )
    op.create_table(
        "dirty_accounts",
        text("account"), integer("at"), sa.PrimaryKeyConstraint("account"), sqlite_strict=True,
    )
    op.create_table(
        "frame_rows",
        text("account"), text("as_of"), integer("measured_at"), text("cells"), text("gaps"),
        sa.PrimaryKeyConstraint("account"), sqlite_strict=True,
    )
    op.create_table(
        "rates",
        text("day"), text("base"), text("quote"), text("rate"), sa.PrimaryKeyConstraint("day", "base", "quote"),
        sqlite_strict=True,
    )
    op.create_table(
        "configs",
        text("digest"), text("body"), integer("first_at"), sa.PrimaryKeyConstraint("digest"), sqlite_strict=True,
    )
    op.create_table(
        "scores",
        sequence(), text("account"), text("scorer"), text("as_of"), integer("at"), text("run_id"), text("scorer_version"),
        text("config_digest"), integer("value_milli", null=True), text("band", null=True), text("held", null=True),
        text("body"), text("inputs"), sa.PrimaryKeyConstraint("seq"), sqlite_strict=True,
    )
    op.create_index("scores_by_account", "scores", ["account", "scorer", "as_of", "seq"])
    op.create_table(
        "overrides",
        sequence(), text("account"), text("scorer"), text("band"), text("reason"), text("author"), integer("at"),
        integer("expires_at"), integer("ended_at", null=True), sa.PrimaryKeyConstraint("seq"), sqlite_strict=True,
    )
    op.create_index("overrides_by_account", "overrides", ["account", "scorer"])
    op.create_table(
        "policies",
        text("policy"), text("version"), integer("primed_at", null=True), integer("seen_at"),
        sa.PrimaryKeyConstraint("policy"), sqlite_strict=True,
    )
    op.create_table(
        "policy_states",
        text("policy"), text("subject"), text("state"), integer("wake_at", null=True), integer("updated_at"),
        sa.PrimaryKeyConstraint("policy", "subject"), sqlite_strict=True,
    )
    op.create_index("policy_states_wake", "policy_states", ["wake_at"])
    op.create_table(
        "policy_facts",
        text("policy"), text("type"), text("instance"), text("id"), integer("at"),
        sa.PrimaryKeyConstraint("policy", "type", "instance", "id"), sqlite_strict=True,
    )
    op.create_index("policy_facts_by_time", "policy_facts", ["policy", "at", "type", "instance", "id"])
    op.create_table(
        "effect_subjects",
        text("key"), text("subject"), sa.PrimaryKeyConstraint("key"), sqlite_strict=True,
    )
    op.create_table(
        "unprimed",
        text("policy"), text("subject"), sa.PrimaryKeyConstraint("policy", "subject"), sqlite_strict=True,
    )
    op.create_table(
        "holds",
        text("policy"), text("account"), text("reason"), integer("at"), sa.PrimaryKeyConstraint("policy", "account"),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox",
        sequence(), text("key"), text("own_key"), text("parent", null=True), text("run_id"), text("policy"),
        text("policy_version"), text("capability"), text("kind"), text("account", null=True), text("instance", null=True),
        text("target_instance", null=True), text("target_type", null=True), text("target_id", null=True), text("payload"),
        text("reason"), text("state"), text("note", null=True), text("hold", null=True), integer("not_before", null=True),
        integer("expires_at", null=True), integer("attempts", default="0"), integer("planned_at"),
        integer("approved_at", null=True), integer("first_sent_at", null=True), integer("claimed_at", null=True),
        text("claimed_by", null=True), integer("settled_at", null=True), text("ref", null=True), text("prior", null=True),
        integer("told", default="0"), sa.PrimaryKeyConstraint("seq"), sa.UniqueConstraint("key"), sqlite_strict=True,
    )
    op.create_index("outbox_by_account", "outbox", ["account"])
    op.create_index("outbox_by_run", "outbox", ["run_id"])
    op.create_index("outbox_by_state", "outbox", ["state", "capability", "seq"])
    op.create_index("outbox_by_target", "outbox", ["instance", "target_id", "capability"])
    op.create_index("outbox_untold", "outbox", ["policy", "told"])
    op.create_table(
        "pushed",
        text("instance"), text("capability"), text("target_type"), text("target_id"), text("field"), text("value"),
        text("effect_key", null=True), integer("at"),
        sa.PrimaryKeyConstraint("instance", "capability", "target_type", "target_id", "field"), sqlite_strict=True,
    )
    op.create_table(
        "suppressions",
        text("address_digest"), text("scope"), text("reason"), integer("at"), sa.PrimaryKeyConstraint("address_digest"),
        sqlite_strict=True,
    )
    op.create_table(
        "sent_messages",
        sequence(), text("address_digest"), text("account", null=True), text("purpose"), integer("at"),
        sa.PrimaryKeyConstraint("seq"), sqlite_strict=True,
    )
    op.create_index("sent_messages_by_address", "sent_messages", ["address_digest", "at"])
    op.create_table(
        "audit",
        sequence(), integer("at"), text("kind"), text("subject_digest"), text("body_digest"), text("previous"),
        text("digest"), sa.PrimaryKeyConstraint("seq"), sqlite_strict=True,
    )
    op.create_table(
        "audit_bodies",
        integer("seq"), text("subject"), text("salt"), text("body"), sa.PrimaryKeyConstraint("seq"),
        sa.ForeignKeyConstraint(["seq"], ["audit.seq"]), sqlite_strict=True,
    )
    op.create_index("audit_bodies_by_subject", "audit_bodies", ["subject"])
    op.create_table(
        "tombstones",
        text("digest"), integer("at"), sa.PrimaryKeyConstraint("digest"), sqlite_strict=True,
    )
